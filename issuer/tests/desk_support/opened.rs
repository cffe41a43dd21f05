//! The parts of a desk, opened once, for tests that issue without a process of their own.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::Path;

use issuer::ca::{Authority, Certificate};
use issuer::clock::{Clock, SystemClock};
use issuer::config::{Config, Home};
use issuer::domain::{Actor, AuthorityName, Cardholder, CertificateState, MailAddress, Name, NewCardholder};
use issuer::personalization::PersonalizationError;
use issuer::personalization::agreement::Comparison;
use issuer::personalization::attestation::AttestationRoots;
use issuer::personalization::custody::MasterKey;
use issuer::personalization::objects::ContentSigner;
use issuer::personalization::plan::{Commission, KeyChoice, KeyOrigin};
use issuer::personalization::run::{Desk as Personalizer, Personalized, Progress};
use issuer::registry::{Registry, RegistryUrl};
use middleware::{Card, FileKey, KeyAlgorithm, Locator};
use rand_core::UnwrapErr;

use crate::desk_support::{Desk, PASSPHRASE, content_signer};

pub struct Opened {
    pub registry: Registry,
    pub authority: Authority,
    pub config: Config,
    pub master_key: MasterKey,
    random: UnwrapErr<getrandom::SysRng>,
    content_signer: Option<ContentSigner>,
}

/// Four keys as a desk makes them.
pub fn keys() -> KeyChoice {
    KeyChoice { algorithm: KeyAlgorithm::P256, origin: KeyOrigin::GeneratedOnCard }
}

pub fn sqlite(desk: &Desk) -> RegistryUrl {
    RegistryUrl::Sqlite(desk.home().join("registry.db"))
}

/// Where the registry of a desk is.
pub fn registry(desk: &Desk) -> RegistryUrl {
    desk.registry.as_ref().map_or_else(|| sqlite(desk), |url| url.parse().unwrap())
}

impl Opened {
    pub async fn at(home: &Path, registry: &RegistryUrl) -> Self {
        let home = Home::new(home.to_owned());
        let registry = Registry::open(registry, Actor::unrecorded()).await.unwrap();
        let authorities = registry.authorities().await.unwrap();
        let people =
            authorities.into_iter().find(|authority| authority.name == AuthorityName::People).unwrap();
        let pem = std::fs::read_to_string(home.key_file(AuthorityName::People)).unwrap();
        let key = FileKey::from_encrypted_pkcs8_pem(&pem, PASSPHRASE).unwrap();
        let certificate = Certificate::from_der(people.certificate).unwrap();
        let master_key = std::fs::read_to_string(home.master_key_file()).unwrap();
        Self {
            authority: Authority::open(certificate, Box::new(key)).unwrap(),
            config: Config::read(&home.config_file()).unwrap(),
            master_key: MasterKey::from_file(&master_key, PASSPHRASE).unwrap(),
            random: UnwrapErr(getrandom::SysRng),
            content_signer: None,
            registry,
        }
    }

    pub async fn add_person(&self, mail: &str) {
        let person = NewCardholder {
            name: Name::new("Ng Alice").unwrap(),
            mail: MailAddress::new(mail).unwrap(),
            staff_id: None,
            employed_until: None,
        };
        self.registry.add_cardholder(&person, SystemClock.now()).await.unwrap();
    }

    pub async fn issue(
        &mut self,
        person: &str,
        card: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Personalized, PersonalizationError> {
        self.issue_to(Card::open(&card.parse::<Locator>().unwrap()).unwrap(), person, progress).await
    }

    pub async fn issue_to(
        &mut self,
        mut card: Card,
        person: &str,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Personalized, PersonalizationError> {
        let holder = self.registry.cardholder_named(person).await.unwrap().unwrap();
        self.personalize(&mut card, &holder, keys(), progress).await
    }

    /// Makes a card for somebody, as it is ordered.
    pub async fn personalize(
        &mut self,
        card: &mut Card,
        holder: &Cardholder,
        commission: impl Into<Commission>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Personalized, PersonalizationError> {
        let signer = match self.content_signer.take() {
            Some(signer) => signer,
            None => content_signer(&self.registry, &mut self.authority, &self.config.organization).await,
        };
        let mut desk = Personalizer {
            registry: &self.registry,
            authority: &mut self.authority,
            organization: &self.config.organization,
            content_signer: self.content_signer.insert(signer),
            attestation_roots: &AttestationRoots::default(),
            master_key: &self.master_key,
            clock: &SystemClock,
            random: &mut self.random,
            progress,
            hand_over_pin: &mut |_| Ok(()),
            stop: &|| false,
        };
        desk.personalize(card, holder, commission).await
    }

    /// Card, registry and authority say the same, and the certificates of the card are all on it or revoked.
    pub async fn agree(&mut self, card: &str, moment: usize) {
        let mut card = Card::open(&card.parse::<Locator>().unwrap()).unwrap();
        let comparison = Comparison {
            registry: &self.registry,
            master_key: &self.master_key,
            authority: self.authority.certificate(),
            pin: None,
            now: SystemClock.now(),
        };
        let agreement = comparison.of(&mut card, &mut self.random).await.unwrap();
        assert!(agreement.holds(), "moment {moment}: {:?}", agreement.findings);
        let certificates = self.registry.certificates_of_card(agreement.record.id).await.unwrap();
        let delivered = certificates
            .iter()
            .filter(|certificate| matches!(certificate.state.state(), CertificateState::Delivered { .. }));
        let expected = if agreement.record.card.state().is_live() { 4 } else { 0 };
        assert_eq!(delivered.count(), expected, "moment {moment}");
        let others = certificates.iter().filter(|certificate| {
            !matches!(
                certificate.state.state(),
                CertificateState::Delivered { .. } | CertificateState::Revoked { .. }
            )
        });
        assert_eq!(others.count(), 0, "moment {moment}");
    }
}
