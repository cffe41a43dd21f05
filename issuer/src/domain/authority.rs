//! The keys of an authority, its certificates and its CRLs, as the log tells them.
//!
//! Whether an authority may sign is judged elsewhere (`desk::ca`); here is only what the registry must hold after what
//! was recorded. Certificates and CRLs are named by their SHA-256, hex.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What happened to an authority.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum AuthorityEvent {
    /// It came into the registry, with its first key.
    AuthorityAdded {
        /// Its certificate.
        certificate: String,
    },
    /// Its present key has a new certificate.
    AuthorityRenewed {
        /// Its certificate from now on.
        certificate: String,
    },
    /// It has a new key.
    AuthorityRolledOver {
        /// The number of the new key.
        generation: u32,
        /// Its certificate.
        certificate: String,
        /// Its subjectKeyIdentifier, hex.
        key: String,
        /// That of the key before it.
        predecessor: String,
    },
    /// A certificate between one of its keys and another authority is kept.
    CrossCertificateKept {
        /// The number of its key.
        generation: u32,
        /// `given` or `received`.
        direction: String,
        /// The certificate.
        certificate: String,
    },
    /// A CRL number was taken, for a CRL of the moment of the event.
    CrlNumberTaken {
        /// The number.
        number: u64,
        /// Until when the CRL shall be good; earlier programs did not say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_update: Option<Timestamp>,
    },
    /// CRLs were signed under a number.
    CrlsSigned {
        /// The number.
        number: u64,
        /// The subjectKeyIdentifier of the key that signed them, hex: names of their files begin so.
        key: String,
        /// Whether those that are not named here are replaced by these.
        is_complete: bool,
        /// The complete one, of the key that signs certificates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        complete: Option<String>,
        /// The others, by the names of their files.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        parts: BTreeMap<String, String>,
    },
    /// A CRL was taken in that was signed elsewhere.
    CrlInstalled {
        /// Its number.
        number: u64,
        /// When it was made.
        this_update: Timestamp,
        /// Until when it is good.
        next_update: Timestamp,
        /// The CRL.
        crl: String,
    },
    /// Numbers up to this one are not used: somebody may have seen them.
    CrlNumbersSkipped {
        /// The number.
        number: u64,
    },
}

/// What is known of a value.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub enum Known<T> {
    /// The log of an earlier program does not say.
    #[default]
    Untold,
    /// It is this.
    Is(T),
}

/// A key of an authority that has had several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHistory {
    /// Its subjectKeyIdentifier, hex.
    pub identifier: String,
    /// Its newest certificate.
    pub certificate: Known<String>,
}

/// A CRL number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CrlHistory {
    /// When its CRL was made.
    pub this_update: Timestamp,
    /// Until when it is good.
    pub next_update: Known<Timestamp>,
    /// The complete CRL, as long as it is the newest.
    pub crl: Known<Option<String>>,
}

/// An authority as its events tell it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct AuthorityHistory {
    /// Whether its events begin with its beginning; else rows of which they say nothing are an earlier program's.
    pub is_whole: bool,
    /// The certificate of the key that signs certificates now.
    pub certificate: Known<String>,
    /// Its keys by number, once it has had more than one.
    pub keys: BTreeMap<u32, KeyHistory>,
    /// Other certificates of its keys: number of the key, kind, certificate.
    pub certificates: BTreeSet<(u32, String, String)>,
    /// Its CRL numbers.
    pub crls: BTreeMap<u64, CrlHistory>,
    /// CRLs of partitions, deltas, and those of earlier keys: number and CRL by the names of their files.
    pub parts: BTreeMap<String, (u64, String)>,
}

impl AuthorityHistory {
    /// The authority after `event`, which was recorded at `at`.
    #[must_use]
    pub fn apply(mut self, event: AuthorityEvent, at: Timestamp) -> Self {
        match event {
            AuthorityEvent::AuthorityAdded { certificate } => {
                (self.is_whole, self.certificate) = (true, Known::Is(certificate));
            }
            AuthorityEvent::AuthorityRenewed { certificate } => self.renew(certificate),
            AuthorityEvent::AuthorityRolledOver { generation, certificate, key, predecessor } => {
                self.roll_over(generation, certificate, key, predecessor);
            }
            AuthorityEvent::CrossCertificateKept { generation, direction, certificate } => {
                self.certificates.insert((generation, direction, certificate));
            }
            AuthorityEvent::CrlNumberTaken { number, next_update } => {
                let (next_update, crl) = match next_update {
                    Some(next_update) => (Known::Is(next_update), Known::Is(None)),
                    None => (Known::Untold, Known::Untold),
                };
                self.crls.insert(number, CrlHistory { this_update: at, next_update, crl });
            }
            AuthorityEvent::CrlsSigned { number, key, is_complete, complete, parts } => {
                if let Some(complete) = complete {
                    self.keep_complete(number, complete);
                }
                self.parts.extend(parts.into_iter().map(|(file, crl)| (file, (number, crl))));
                if is_complete {
                    self.parts.retain(|file, (of, _)| *of >= number || !file.starts_with(&key));
                }
            }
            AuthorityEvent::CrlInstalled { number, this_update, next_update, crl } => {
                let (next_update, none) = (Known::Is(next_update), Known::Is(None));
                self.crls.insert(number, CrlHistory { this_update, next_update, crl: none });
                self.keep_complete(number, crl);
            }
            AuthorityEvent::CrlNumbersSkipped { number } => {
                let (next_update, crl) = (Known::Is(at), Known::Is(None));
                self.crls.entry(number).or_insert(CrlHistory { this_update: at, next_update, crl });
            }
        }
        self
    }

    /// The number of the key that signs certificates.
    pub fn generation(&self) -> u32 {
        self.keys.keys().next_back().copied().unwrap_or(1)
    }

    fn renew(&mut self, certificate: String) {
        let generation = self.generation();
        if let Known::Is(earlier) = std::mem::replace(&mut self.certificate, Known::Is(certificate.clone())) {
            self.certificates.insert((generation, "earlier".to_owned(), earlier));
        }
        if let Some(key) = self.keys.get_mut(&generation) {
            key.certificate = Known::Is(certificate);
        }
    }

    fn roll_over(&mut self, generation: u32, certificate: String, key: String, predecessor: String) {
        let present = std::mem::replace(&mut self.certificate, Known::Is(certificate.clone()));
        let before = KeyHistory { identifier: predecessor.clone(), certificate: present };
        self.keys.entry(generation.saturating_sub(1)).or_insert(before);
        let now = KeyHistory { identifier: key, certificate: Known::Is(certificate) };
        self.keys.insert(generation, now);
        // The complete CRL is that of the key that signs certificates; that of an earlier key lies among the parts.
        for (number, crl) in &mut self.crls {
            if let Known::Is(Some(complete)) = std::mem::replace(&mut crl.crl, Known::Is(None)) {
                self.parts.insert(format!("{predecessor}.crl"), (*number, complete));
            }
        }
    }

    /// Only the newest is kept.
    fn keep_complete(&mut self, number: u64, complete: String) {
        for (_, earlier) in self.crls.range_mut(..number) {
            earlier.crl = Known::Is(None);
        }
        if let Some(crl) = self.crls.get_mut(&number) {
            crl.crl = Known::Is(Some(complete));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn after(events: impl IntoIterator<Item = AuthorityEvent>) -> AuthorityHistory {
        events.into_iter().fold(AuthorityHistory::default(), |history, event| history.apply(event, at(1)))
    }

    fn taken(number: u64) -> AuthorityEvent {
        AuthorityEvent::CrlNumberTaken { number, next_update: Some(at(9)) }
    }

    fn signed(number: u64, complete: &str, parts: &[(&str, &str)]) -> AuthorityEvent {
        AuthorityEvent::CrlsSigned {
            number,
            key: "aa".to_owned(),
            is_complete: true,
            complete: Some(complete.to_owned()),
            parts: parts.iter().map(|(file, crl)| ((*file).to_owned(), (*crl).to_owned())).collect(),
        }
    }

    #[test]
    fn only_the_newest_complete_crl_is_kept_and_an_earlier_keys_lies_among_the_parts() {
        let added = AuthorityEvent::AuthorityAdded { certificate: "c1".to_owned() };
        let rolled = AuthorityEvent::AuthorityRolledOver {
            generation: 2,
            certificate: "c2".to_owned(),
            key: "bb".to_owned(),
            predecessor: "aa".to_owned(),
        };
        let parts = [("aa-2-0.crl", "p0"), ("aa-delta.crl", "d")];
        let history =
            after([added, taken(1), signed(1, "l1", &parts), taken(2), signed(2, "l2", &parts[..1])]);
        assert_eq!(history.crls[&1].crl, Known::Is(None));
        assert_eq!(history.crls[&2].crl, Known::Is(Some("l2".to_owned())));
        assert_eq!(history.parts.keys().collect::<Vec<_>>(), ["aa-2-0.crl"], "the delta before it is gone");
        let history = history.apply(rolled, at(2));
        assert_eq!(history.crls[&2].crl, Known::Is(None));
        assert_eq!(history.parts["aa.crl"], (2, "l2".to_owned()));
        assert_eq!((history.generation(), history.keys.len()), (2, 2));
        let renewed = history.apply(AuthorityEvent::AuthorityRenewed { certificate: "c3".to_owned() }, at(3));
        assert!(renewed.certificates.contains(&(2, "earlier".to_owned(), "c2".to_owned())));
        assert_eq!(renewed.keys[&2].certificate, Known::Is("c3".to_owned()));
    }

    /// What earlier programs wrote says less, and nothing wrong.
    #[test]
    fn what_was_not_told_stays_unknown() {
        let event: AuthorityEvent =
            serde_json::from_str(r#"{"event":"crl-number-taken","number":7}"#).unwrap();
        let history = after([event]);
        assert!(!history.is_whole);
        assert_eq!((&history.crls[&7].next_update, &history.crls[&7].crl), (&Known::Untold, &Known::Untold));
    }
}
