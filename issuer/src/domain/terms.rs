//! The terms on which certificates are made: what of `config.toml` decides what they say and for whom they are, and which file
//! bears witness to that.
//!
//! A registry remembers them, so that an edited file is noticed: it is another configuration.

use std::fmt;

use super::audit::ChainHash;

/// Terms in one form: two configurations that certify the same have the same text. TOML, a name and its value on each line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Terms(String);

impl Terms {
    /// Terms as they were written.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands for them: the SHA-256 of the text.
    pub fn digest(&self) -> ChainHash {
        ChainHash::of(self.0.as_bytes())
    }

    /// One line for each thing that is said, every domain and every profile on its own.
    pub fn lines(&self) -> Vec<String> {
        let table: toml::Table = toml::from_str(&self.0).unwrap_or_default();
        let mut lines = Vec::new();
        for (name, value) in table {
            match value {
                toml::Value::Array(domains) if name == "domains" => {
                    lines.extend(domains.iter().map(|domain| format!("{DOMAIN}{domain}")));
                }
                toml::Value::Table(profiles) if name == "profiles" => {
                    lines.extend(profiles.iter().map(|(name, value)| format!("profile {name} = {value}")));
                }
                value => lines.push(format!("{name} = {value}")),
            }
        }
        lines
    }

    /// The witness file that they name.
    pub fn witness(&self) -> Option<String> {
        let table: toml::Table = toml::from_str(&self.0).ok()?;
        table.get(WITNESS)?.as_str().map(str::to_owned)
    }

    /// What these terms say that those `before` did not, and the other way round.
    pub fn difference(&self, before: Option<&Self>) -> Difference {
        let (old, new) = (before.map(Self::lines).unwrap_or_default(), self.lines());
        let only = |these: &[String], those: &[String]| {
            these.iter().filter(|line| !those.contains(line)).cloned().collect()
        };
        Difference { removed: only(&old, &new), added: only(&new, &old) }
    }
}

/// The line that names the witness file.
const WITNESS: &str = "witness";
/// How the line of a domain begins.
const DOMAIN: &str = "domain = ";

/// What two terms differ in, in lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    removed: Vec<String>,
    added: Vec<String>,
}

impl Difference {
    /// Every line, with `- ` or `+ ` before it.
    pub fn lines(&self) -> Vec<String> {
        let removed = self.removed.iter().map(|line| format!("- {line}"));
        removed.chain(self.added.iter().map(|line| format!("+ {line}"))).collect()
    }

    /// Whether somebody can be certified who could not be before.
    pub fn has_new_domain(&self) -> bool {
        self.added.iter().any(|line| line.starts_with(DOMAIN))
    }
}

impl fmt::Display for Difference {
    /// On one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_is_told_domain_by_domain() {
        let old = Terms::new("organization = \"Example\"\ndomains = [\"a.example\"]\n");
        let new =
            Terms::new("organization = \"Example\"\ndomains = [\"a.example\", \"b.example\"]\nocsp = true\n");
        let told = new.difference(Some(&old));
        assert_eq!(told.to_string(), "+ domain = \"b.example\", + ocsp = true");
        assert!(told.has_new_domain());
        let back = old.difference(Some(&new));
        assert_eq!(back.lines(), ["- domain = \"b.example\"", "- ocsp = true"]);
        assert!(!back.has_new_domain());
        assert_eq!(old.difference(Some(&old)), Difference::default());
        assert_eq!(old.difference(None).lines().len(), 2);
        assert_ne!(old.digest(), new.digest());
    }

    #[test]
    fn a_profile_that_changed_is_told_alone() {
        let old = Terms::new("[profiles.door]\ndays = 90\n[profiles.mail]\ndays = 365\n");
        let new = Terms::new("[profiles.door]\ndays = 90\n[profiles.mail]\ndays = 180\n");
        let told = new.difference(Some(&old));
        assert_eq!(told.lines(), ["- profile mail = { days = 365 }", "+ profile mail = { days = 180 }"]);
    }

    #[test]
    fn what_is_no_toml_says_nothing() {
        assert!(Terms::new("= [").lines().is_empty());
        assert_eq!(Terms::new("= [").witness(), None);
    }

    #[test]
    fn the_witness_is_one_of_them() {
        let with = Terms::new("organization = \"Example\"\nwitness = \"/media/auditor/witness\"\n");
        assert_eq!(with.witness().as_deref(), Some("/media/auditor/witness"));
        let without = Terms::new("organization = \"Example\"\n");
        assert_eq!(without.witness(), None);
        assert_eq!(without.difference(Some(&with)).to_string(), "- witness = \"/media/auditor/witness\"");
    }
}
