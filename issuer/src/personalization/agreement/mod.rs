//! Whether card, registry and authority say the same of a card; nothing is changed.
//!
//! The card is asked for what it shows and lets its keys prove themselves; the registry for what should be there; each
//! certificate and signed data object for whose signature it carries. What cannot be found out without changing something or spending a try is
//! said to be unproven, and why.

mod certificates;
mod objects;
mod secrets;

use std::fmt;

use jiff::Timestamp;
use middleware::{Card, CardIdentity, DataObject, KeyReference, Pin};
use rand_core::CryptoRng;

use super::custody::MasterKey;
use super::error::PersonalizationError;
use super::half_done::HalfDone;
use super::{describe, presented};
use crate::ca::Certificate;
use crate::domain::{AuthorityName, CardState, Guid, RevocationReason, SerialNumber};
use crate::registry::{CardRecord, Registry};

/// One thing that was compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub subject: Subject,
    /// What came of it.
    pub outcome: Outcome,
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Serial number, GUID and state.
    Card,
    /// The certificate beside a key.
    Certificate(KeyReference),
    /// The private key and its certificate.
    Key(KeyReference),
    /// Certificates of the card in the registry that are not on it.
    OtherCertificates,
    /// The management key (9B).
    ManagementKey,
    /// The PIN.
    Pin,
    /// The PUK.
    Puk,
    /// Who the card is, signed.
    Chuid,
    /// The hashes of the data objects, signed.
    SecurityObject,
    /// How many retired keys the card counts.
    KeyHistory,
}

/// What a comparison came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All say the same.
    Agrees,
    /// It cannot be found out.
    Unproven(Unproven),
    /// They do not say the same.
    Differs(Disagreement),
}

/// Why something is not proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unproven {
    /// The key wants the PIN, and the card does not tell the public half.
    PinWanted,
    /// The card does not tell the public half of a retired key.
    NotTold,
    /// A wrong PUK would cost a try.
    CostsATry,
    /// Revoked since the newest CRL.
    NotOnACrlYet,
    /// Put on hold since the newest CRL.
    HoldNotOnACrlYet,
    /// Released, and the newest CRL does not say so.
    ReleaseNotOnACrlYet,
    /// One PIN try is left; it was not spent.
    LastPinTry,
    /// The PIN is blocked.
    PinNotTried,
}

/// In what they differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disagreement {
    /// It is being made: what is on it may be anything.
    HalfMade {
        /// Since when.
        since: Timestamp,
    },
    /// There is no such card any more, and it answers.
    Destroyed {
        /// Since when the registry says so.
        since: Timestamp,
    },
    /// The card shows another GUID than it was given.
    OtherGuid {
        /// Which it was given.
        given: Guid,
        /// Which it shows.
        shown: Option<Guid>,
    },
    /// The registry has a valid one that should be there.
    CertificateMissing(SerialNumber),
    /// The data object holds no certificate.
    Unreadable,
    /// A certificate that this registry never saw.
    Stranger {
        /// Its subject.
        subject: String,
        /// Who signed it.
        issuer: String,
    },
    /// A certificate that this registry never saw, on a card in stock.
    NotBlank {
        /// Its subject.
        subject: String,
        /// Who signed it.
        issuer: String,
    },
    /// A key that was not made here and has no certificate, on a card in stock.
    KeyInStock,
    /// Somebody signed whose card it is, which is in stock.
    SignedInStock {
        /// The subject of the certificate that goes with the signature.
        signer: String,
    },
    /// It belongs to another card or person.
    OfAnother(SerialNumber),
    /// It belongs to another key of this card.
    OfAnotherKey(SerialNumber),
    /// The same serial number, but other bytes than were signed.
    Altered(SerialNumber),
    /// Its signature is not the authority's.
    NotSignedByUs(SerialNumber),
    /// It is on the card of somebody, but revoked.
    Revoked {
        /// Which.
        serial: SerialNumber,
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: RevocationReason,
    },
    /// The card's state and its certificate's do not fit: one is on hold, the other is not.
    HoldDiffers(SerialNumber),
    /// It was never confirmed to have reached the card.
    NeverDelivered(SerialNumber),
    /// Valid, but not on the card.
    NotOnCard(SerialNumber),
    /// Valid, although the card has come to its end or is blank.
    StillValid(SerialNumber),
    /// The private key is another than the certificate's.
    OtherKey,
    /// It is neither the desk's nor the one that the card came with.
    OtherManagementKey,
    /// The PIN that was given is not the card's.
    WrongPin {
        /// How often another may be tried.
        tries_left: u8,
    },
    /// The card's PIN is blocked, and the registry does not know.
    PinBlocked,
    /// The registry says that the PIN is blocked, and it is not.
    PinNotBlocked,
    /// No PUK is accepted any more.
    PukBlocked,
    /// The data object is not there.
    ObjectMissing,
    /// The data object is not what it should be.
    Malformed,
    /// Nobody signed it.
    NotSigned,
    /// Whoever signed it is no content signer of this registry.
    SignedByStranger {
        /// The subject of the certificate that it names.
        subject: String,
        /// Who signed that.
        issuer: String,
    },
    /// Who signed it cannot be told, because the CHUID does not say so.
    SignerUnknown,
    /// Its signature does not verify.
    SignatureFalse,
    /// These data objects are others than those that were signed, are missing, or are not among them.
    HashesDiffer(Vec<DataObject>),
    /// The card counts other retired keys than were retired.
    HistoryDiffers {
        /// By the card.
        counted: u8,
        /// By the registry's journal.
        recorded: u8,
    },
}

/// What a comparison needs.
pub struct Comparison<'a> {
    /// What should be.
    pub registry: &'a Registry,
    /// From which the card's secrets derive.
    pub master_key: &'a MasterKey,
    /// Who signs what is on cards.
    pub authority: &'a Certificate,
    /// The holder's PIN, if it is known: then every key is exercised.
    pub pin: Option<&'a Pin>,
    /// When it is.
    pub now: Timestamp,
}

/// Everything that was compared.
pub struct Agreement {
    /// The card in the registry.
    pub record: CardRecord,
    /// What it shows of itself.
    pub identity: CardIdentity,
    /// What was begun with it and is not done.
    pub half_done: Option<HalfDone>,
    /// One for each comparison.
    pub findings: Vec<Finding>,
}

impl Agreement {
    /// Whether nothing differs, and nothing that is half done is left to finish.
    pub fn holds(&self) -> bool {
        self.half_done.as_ref().is_none_or(|open| open.is_over(&self.record))
            && self.findings.iter().all(|finding| !matches!(finding.outcome, Outcome::Differs(_)))
    }
}

impl Comparison<'_> {
    /// Compares.
    ///
    /// # Errors
    /// [`PersonalizationError::UnknownCard`]; the card or the registry cannot be read.
    pub async fn of(
        &self,
        card: &mut Card,
        random: &mut dyn CryptoRng,
    ) -> Result<Agreement, PersonalizationError> {
        let identity = card.transaction()?.identity_afresh()?;
        let presented = presented(&identity);
        let Some(record) = self.registry.card_presented(presented).await? else {
            return Err(PersonalizationError::UnknownCard(describe(presented)));
        };
        let half_done = HalfDone::of(self.registry, &record).await?;
        let mut findings = vec![standing(&record, &identity)];
        if !matches!(record.card.state(), CardState::BeingPersonalised { .. }) {
            let refused = self.pin.map(|pin| secrets::refused_pin(card, pin)).transpose()?.flatten();
            let comparison = Comparison { pin: self.pin.filter(|_| refused.is_none()), ..*self };
            findings.extend(certificates::compare(&comparison, &record, card, random).await?);
            findings.extend(objects::compare(&comparison, &record, card).await?);
            findings.extend(secrets::compare(&comparison, &record, card).await?);
            if let Some(outcome) = refused {
                note_refused_pin(&mut findings, outcome);
            }
        }
        Ok(Agreement { record, identity, half_done, findings })
    }

    /// Whether the authority for people signed it, with the key that it has or with one of before.
    async fn is_signed_by_us(&self, certificate: &Certificate) -> Result<bool, PersonalizationError> {
        if certificate.verify_issuer(self.authority).is_ok() {
            return Ok(true);
        }
        for key in self.registry.authority_keys().await? {
            let is_ours = || {
                Certificate::from_der(key.certificate)
                    .is_ok_and(|ours| certificate.verify_issuer(&ours).is_ok())
            };
            if key.name == AuthorityName::People && is_ours() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What is known of the PIN beside weighs more, where it differs.
fn note_refused_pin(findings: &mut Vec<Finding>, outcome: Outcome) {
    let known = findings.iter_mut().find(|finding| finding.subject == Subject::Pin);
    match known {
        Some(known) if known.outcome == Outcome::Agrees => known.outcome = outcome,
        Some(_) => {}
        None => findings.push(Finding { subject: Subject::Pin, outcome }),
    }
}

/// The card's state, and the GUID that it was given.
fn standing(record: &CardRecord, identity: &CardIdentity) -> Finding {
    let shown = identity.guid.map(Guid::new);
    let outcome = match (record.card.state(), record.card.guid()) {
        (CardState::BeingPersonalised { since, .. }, _) => {
            Outcome::Differs(Disagreement::HalfMade { since: *since })
        }
        (CardState::Destroyed { since, .. }, _) => {
            Outcome::Differs(Disagreement::Destroyed { since: *since })
        }
        // Given up and back in stock, or set aside: how far it came is not known.
        (CardState::InStock { .. } | CardState::Unusable { .. }, _) | (_, None) => Outcome::Agrees,
        (_, given) if given == shown => Outcome::Agrees,
        (_, Some(given)) => Outcome::Differs(Disagreement::OtherGuid { given, shown }),
    };
    Finding { subject: Subject::Card, outcome }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Card => f.write_str("card"),
            Self::Certificate(key) => write!(f, "{key} certificate"),
            Self::Key(key) => write!(f, "{key} key"),
            Self::OtherCertificates => f.write_str("other certificates"),
            Self::ManagementKey => f.write_str("management key"),
            Self::Pin => f.write_str("PIN"),
            Self::Puk => f.write_str("PUK"),
            Self::Chuid => f.write_str("CHUID"),
            Self::SecurityObject => f.write_str("security object"),
            Self::KeyHistory => f.write_str("key history"),
        }
    }
}
