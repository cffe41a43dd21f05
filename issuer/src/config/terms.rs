//! What of `config.toml` a registry remembers.
//!
//! The operator's card belongs to one computer and is no term: desks that share a registry may differ in it. The witness file
//! is one: whoever could take its line out alone would be rid of the witness. Desks that share a registry share the file.

use super::{Config, ConfigError, ConfigFile};
use crate::domain::Terms;

impl Config {
    /// The terms on which it makes certificates.
    pub fn terms(&self) -> Terms {
        let mut domains: Vec<_> = self.domains.iter().map(|domain| domain.as_str().to_owned()).collect();
        domains.sort();
        domains.dedup();
        let file = ConfigFile { domains, operator: None, ..self.file() };
        // Texts, numbers and lists of texts can always be written.
        Terms::new(toml::to_string(&file).unwrap_or_default())
    }

    /// The same computer's configuration on other terms.
    ///
    /// # Errors
    /// They were written by a program that knows more, or are damaged.
    pub fn on(&self, terms: &Terms) -> Result<Self, ConfigError> {
        let config = Self::parse(terms.as_str(), "the configuration that the registry remembers")?;
        Ok(Self { operator: self.operator.clone(), ..config })
    }
}

#[cfg(test)]
mod tests {
    use middleware::KeyAlgorithm;

    use super::*;
    use crate::ca::profile::PivExtensions;
    use crate::domain::{CardProfile, KeyChoice, KeyOrigin};

    fn config(domains: &[&str]) -> Config {
        let domains: Vec<_> = domains.iter().map(|domain| (*domain).to_owned()).collect();
        Config::new("Example", None, &domains, "http://a", None, PivExtensions::Omitted).unwrap()
    }

    #[test]
    fn terms_read_back_and_do_not_name_what_belongs_to_one_computer() {
        let here =
            Config { operator: Some("pcsc:".to_owned()), ..config(&["b.example", "a.example", "b.example"]) };
        let terms = here.terms();
        assert!(!terms.as_str().contains("pcsc:"), "{}", terms.as_str());
        assert_eq!(terms, config(&["a.example", "b.example"]).terms());
        let again = here.on(&terms).unwrap();
        assert_eq!((again.terms(), again.operator.as_deref()), (terms, Some("pcsc:")));
        let unknown = here.on(&Terms::new("organisation = 1")).unwrap_err().to_string();
        assert!(unknown.contains("the registry remembers") && unknown.contains("organisation"), "{unknown}");
    }

    #[test]
    fn whatever_can_be_configured_is_in_the_terms() {
        let config = config(&["a.example"])
            .with_status_services(
                Some(16),
                crate::ca::profile::status_services::DeltaCrls::Published,
                crate::ca::profile::status_services::OcspService::Offered,
            )
            .unwrap();
        let keys = KeyChoice { algorithm: KeyAlgorithm::Rsa2048, origin: KeyOrigin::GeneratedOnCard };
        let mail = CardProfile { name: Some("mail".to_owned()), days: Some(365), ..keys.into() };
        let config = Config {
            external_lint: vec!["lint".to_owned(), "{}".to_owned()],
            witness: Some("/media/auditor/witness".into()),
            profiles: [("mail".to_owned(), mail)].into(),
            ..config
        };
        assert_eq!(config.terms().witness().as_deref(), Some("/media/auditor/witness"));
        assert_eq!(config.on(&config.terms()).unwrap().profiles, config.profiles);
        let lines = config.terms().lines();
        for line in [
            "crl_partitions = 16",
            "delta_crls = true",
            "ocsp = true",
            "external_lint = [\"lint\", \"{}\"]",
            "witness = \"/media/auditor/witness\"",
            "profile mail = { algorithm = \"rsa2048\", days = 365, keys = \"card\" }",
        ] {
            assert!(lines.iter().any(|told| told == line), "{line} is not in {lines:?}");
        }
    }
}
