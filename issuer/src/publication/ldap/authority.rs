//! The entry of an authority: its certificates, its CRLs, and who certified it.
use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;
use ldap3::{Ldap, Scope, SearchEntry, dn_escape};

use super::attribute::{self, Difference, difference, replacement, values};
use super::cross_pair;
use super::{LdapFailure, LdapTarget, Ours, Outcome};
use crate::ca::{Certificate, SerialNumber};
use crate::ldap_client::{self, LdapTrouble, said};
use crate::publication::crl_succession::{TrustedClock, check_succession};

/// What a directory shall hold of an authority and one of its keys.
pub struct AuthorityEntry {
    /// Its newest certificate.
    pub certificate: Certificate,
    /// All its certificates that have not expired, DER.
    pub certificates: Vec<Vec<u8>>,
    /// Certificates between it and authorities of other keys or organisations, DER `CertificatePair`.
    pub pairs: Vec<Vec<u8>>,
    /// Its newest complete CRL, DER; none where none was made yet.
    pub crl: Option<Vec<u8>>,
    /// Its newest delta, DER.
    pub delta: Option<Vec<u8>>,
    /// When the certificates that its CRLs have named expire.
    pub ends: Vec<(SerialNumber, Timestamp)>,
}

const CERTIFICATES: &str = "cACertificate;binary";
const CRL: &str = "certificateRevocationList;binary";
const DELTA: &str = "deltaRevocationList;binary";
const PAIRS: &str = "crossCertificatePair;binary";
const CLASSES: &str = "objectClass";

/// Brings the entries of these authorities into this state, making those that are not there; the answers are in the order
/// of the authorities.
///
/// # Errors
/// The directory cannot be reached, or does not answer as one.
pub fn publish_authorities(
    target: &LdapTarget,
    ours: Arc<Ours>,
    entries: Vec<AuthorityEntry>,
    clock: TrustedClock,
) -> Result<Vec<Outcome>, LdapFailure> {
    let base = target.authorities.clone();
    let done = ldap_client::ask(target.server.clone(), target.login(), async move |mut ldap| {
        let mut outcomes = Vec::new();
        for entry in &entries {
            outcomes.push(Publisher { base: &base, ours: &ours, entry, clock }.bring(&mut ldap).await?);
        }
        Ok(outcomes)
    });
    Ok(done?)
}

struct Publisher<'a> {
    base: &'a str,
    ours: &'a Ours,
    entry: &'a AuthorityEntry,
    clock: TrustedClock,
}

impl Publisher<'_> {
    async fn bring(&self, ldap: &mut Ldap) -> Result<Outcome, LdapTrouble> {
        let common_name = self.entry.certificate.common_name().unwrap_or_default();
        let name = format!("cn={},{}", dn_escape(common_name.as_str()), self.base);
        let Some(present) = read(ldap, &name).await? else {
            return self.add(ldap, &name, &common_name).await;
        };
        let changes = match self.changes(&present) {
            Ok(changes) if changes.is_empty() => return Ok(Outcome::UNCHANGED),
            Ok(changes) => changes,
            Err(trouble) => return Ok(Outcome::Trouble(format!("{name}: {trouble}"))),
        };
        let modifications = changes.iter().flat_map(|(attribute, change)| match *attribute {
            CRL | DELTA | PAIRS => vec![replacement(attribute, &values(&present, attribute), change)],
            CERTIFICATES => {
                attribute::modifications(attribute, &values(&present, attribute), change, is_certificate)
            }
            _ => change.modifications(attribute),
        });
        let modifications = modifications.collect();
        let mended = changes.iter().filter_map(|(attribute, change)| {
            attribute::mended(&name, attribute, change, |value| self.is_damaged(attribute, value))
        });
        let mended = mended.collect();
        let result = ldap.modify(&name, modifications).await;
        match result.and_then(ldap3::LdapResult::success).map_err(|error| said(&error)) {
            Ok(_) => self.read_back(ldap, &name, mended).await,
            Err(trouble) => of_one_entry(&name, trouble).map(Outcome::Trouble),
        }
    }

    async fn add(&self, ldap: &mut Ldap, name: &str, common_name: &str) -> Result<Outcome, LdapTrouble> {
        let mut attributes: Vec<(Vec<u8>, HashSet<Vec<u8>>)> = vec![
            (
                CLASSES.into(),
                HashSet::from([b"organizationalRole".to_vec(), b"pkiCA".to_vec(), b"deltaCRL".to_vec()]),
            ),
            (b"cn".to_vec(), HashSet::from([common_name.as_bytes().to_vec()])),
        ];
        for (attribute, values) in self.wanted() {
            if !values.is_empty() {
                attributes.push((attribute.into(), values.into_iter().collect()));
            }
        }
        let result = ldap.add(name, attributes).await;
        match result.and_then(ldap3::LdapResult::success).map_err(|error| said(&error)) {
            Ok(_) => self.read_back(ldap, name, Vec::new()).await,
            Err(trouble) => of_one_entry(name, trouble).map(Outcome::Trouble),
        }
    }

    async fn read_back(
        &self,
        ldap: &mut Ldap,
        name: &str,
        mended: Vec<String>,
    ) -> Result<Outcome, LdapTrouble> {
        let present = read(ldap, name).await?;
        let holds = present.is_some_and(|present| self.changes(&present).is_ok_and(|left| left.is_empty()));
        Ok(if holds {
            Outcome::Done { changed: true, mended }
        } else {
            Outcome::Trouble(format!(
                "the directory said that {name} is written, but read back it holds something else; look at the server"
            ))
        })
    }

    fn wanted(&self) -> [(&'static str, Vec<Vec<u8>>); 4] {
        [
            (CERTIFICATES, self.entry.certificates.clone()),
            (CRL, self.entry.crl.iter().cloned().collect()),
            (DELTA, self.entry.delta.iter().cloned().collect()),
            (PAIRS, self.entry.pairs.clone()),
        ]
    }

    /// What is to be changed; a refusal when a CRL must not follow the one that is there.
    fn changes(&self, present: &SearchEntry) -> Result<Vec<(&'static str, Difference)>, String> {
        let key = self.entry.certificate.subject_key_identifier();
        let mut changes = Vec::new();
        let classes: Vec<String> = values(present, CLASSES)
            .iter()
            .map(|class| String::from_utf8_lossy(class).to_ascii_lowercase())
            .collect();
        let missing = [("pkiCA", "pkica"), ("deltaCRL", "deltacrl")]
            .into_iter()
            .filter(|(_, class)| !classes.iter().any(|present| present == class))
            .filter(|(class, _)| *class == "pkiCA" || self.entry.delta.is_some())
            .map(|(class, _)| class.into());
        changes.push((CLASSES, Difference { remove: Vec::new(), add: missing.collect() }));
        for (attribute, wanted) in self.wanted() {
            let present = values(present, attribute);
            let is_ours = |value: &[u8]| match attribute {
                CERTIFICATES => self.ours.is_authority(value),
                PAIRS => self.is_our_pair(value),
                _ => self.ours.is_crl_of(value, key),
            };
            let is_ours = |value: &[u8]| is_ours(value) || self.is_damaged(attribute, value);
            let change = difference(&present, &wanted, is_ours);
            if attribute == CRL && wanted.is_empty() {
                // No CRL was made yet: whatever is there stays.
                continue;
            }
            if attribute == CRL || attribute == DELTA {
                self.check_succession(&change.remove, &wanted)?;
            }
            changes.push((attribute, change));
        }
        changes.retain(|(_, change)| !change.is_empty());
        Ok(changes)
    }

    /// A CRL follows the one that is there as it would in a published directory, or not at all.
    fn check_succession(&self, replaced: &[Vec<u8>], wanted: &[Vec<u8>]) -> Result<(), String> {
        let end = |serial: &SerialNumber| {
            self.entry.ends.iter().find(|(known, _)| known == serial).map(|(_, end)| *end)
        };
        let key = self.entry.certificate.subject_key_identifier();
        // Of a damaged one nothing can be said; the new one was compared with its predecessor before it was kept.
        let whole = replaced.iter().filter(|old| self.ours.is_crl_of(old, key));
        for (old, new) in whole.flat_map(|old| wanted.iter().map(move |new| (old, new))) {
            check_succession(Some(old), new, self.clock, end)
                .map_err(|refusal| format!("the CRL was not published: {refusal}; the one there stays"))?;
        }
        Ok(())
    }

    /// Whether a value of this attribute says that it is ours, and was damaged.
    fn is_damaged(&self, attribute: &str, value: &[u8]) -> bool {
        let own = &self.entry.certificate;
        match attribute {
            CERTIFICATES => self.ours.is_damaged_authority(value, own),
            CRL | DELTA => self.ours.is_damaged_crl_of(value, own.subject_key_identifier()),
            _ => false,
        }
    }

    fn is_our_pair(&self, value: &[u8]) -> bool {
        let Ok(pair) = cross_pair::decode(value) else { return false };
        pair.iter().flatten().any(|one| self.ours.is_authority(one.as_der()))
    }
}

pub(super) fn is_certificate(value: &[u8]) -> bool {
    Certificate::from_der(value.to_vec()).is_ok()
}

async fn read(ldap: &mut Ldap, name: &str) -> Result<Option<SearchEntry>, LdapTrouble> {
    let attributes = vec![CLASSES, CERTIFICATES, CRL, DELTA, PAIRS];
    let result = ldap.search(name, Scope::Base, "(objectClass=*)", attributes).await;
    match result.and_then(ldap3::SearchResult::success).map_err(|error| said(&error)) {
        Ok((entries, _)) => Ok(entries.into_iter().find(|entry| !entry.is_ref()).map(SearchEntry::construct)),
        Err(LdapTrouble::Refused { code: NO_SUCH_OBJECT, .. }) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

const NO_SUCH_OBJECT: u32 = 32;

/// What a refusal of one entry means: its own affair, unless the server as a whole is not to be used (RFC 4511 appendix
/// A.2: busy, unavailable, unwilling).
pub(super) fn of_one_entry(name: &str, trouble: LdapTrouble) -> Result<String, LdapTrouble> {
    match trouble {
        LdapTrouble::Refused { code: 51..=53, .. } => Err(trouble),
        LdapTrouble::Refused { code: 50, .. } => Ok(format!(
            "{name}: whoever publishes may not write here (result code 50); grant it on the server"
        )),
        LdapTrouble::Refused { code, text } => {
            Ok(format!("{name}: the directory refuses (result code {code}) {text}"))
        }
        other => Err(other),
    }
}
