//! What goes into a registry and comes out of it.

use jiff::Timestamp;

use super::crls_due::CrlDue;
use super::error::RegistryError;
use super::rows::damaged;
use crate::domain::{
    AuthorityName, Card, CardId, CardKey, Cardholder, CardholderId, Certificate, ClassDescription, ClassName,
    Clearance, Guid, Request, RequestId, RequestKind, RevocationReason, SerialNumber, StockIdentity,
};

/// Whether cards that show the mark of an emulated card are personalised. Fixed when the registry is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmulatedCards {
    /// For tests and demonstrations; certificates carry a test policy.
    Allowed,
    /// For production.
    Refused,
}

/// One of the organisation's certification authorities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// Which.
    pub name: AuthorityName,
    /// Its certificate, DER.
    pub certificate: Vec<u8>,
}

/// A blank card about to be taken into stock.
pub struct NewStockCard {
    /// What the card is known by.
    pub identity: StockIdentity,
    /// The manufacturer's secrets, sealed under the master key; none where they are the factory's well-known ones.
    pub sealed_secrets: Option<Vec<u8>>,
}

/// A card as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardRecord {
    /// The registry's number.
    pub id: CardId,
    /// What the card is known by in stock.
    pub identity: StockIdentity,
    /// Where it stands.
    pub card: Card,
    /// The version of the derivation of its secrets.
    pub secrets_version: u32,
}

/// A certificate about to be signed.
#[derive(Clone, Debug)]
pub struct NewCertificate {
    /// Never used before.
    pub serial: SerialNumber,
    /// Who will sign.
    pub authority: AuthorityName,
    /// The profile's name.
    pub profile: String,
    /// The subject, in words.
    pub subject: String,
    /// The `rfc822Name`, where there is one: the certificate is published under it.
    pub mail: Option<String>,
    /// For a card's certificate: whose card, which one, in which attempt, and which key.
    pub on_card: Option<(CardholderId, CardId, u32, CardKey)>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// The exact DER of the TBSCertificate.
    pub to_be_signed: Vec<u8>,
}

/// A certificate as the registry knows it.
#[derive(Clone, Debug)]
pub struct CertificateRecord {
    /// Its number.
    pub serial: SerialNumber,
    /// Who signed or was to sign it.
    pub authority: AuthorityName,
    /// The profile's name.
    pub profile: String,
    /// The subject, in words.
    pub subject: String,
    /// The `rfc822Name`, where there is one.
    pub mail: Option<String>,
    /// The key on the card, for a card's certificate.
    pub card_key: Option<CardKey>,
    /// Whose it is, for a card's certificate.
    pub holder: Option<CardholderId>,
    /// The card, and the attempt of personalisation that it was made in.
    pub card: Option<(CardId, u32)>,
    /// Start of validity.
    pub not_before: Timestamp,
    /// End of validity.
    pub not_after: Timestamp,
    /// DER, once signed.
    pub certificate: Option<Vec<u8>>,
    /// Where it stands.
    pub state: Certificate,
}

/// Members to be added to a class of readers.
#[derive(Clone, Debug)]
pub struct ClassChange {
    /// Which class.
    pub name: ClassName,
    /// What it is; what was said before stays where nothing is said.
    pub description: Option<ClassDescription>,
    /// Its security policy; likewise.
    pub policy: Option<String>,
    /// The policy of a new class of which nothing is said.
    pub default_policy: String,
    /// Who is added.
    pub members: Vec<CardholderId>,
    /// Up to what they may read; 0 for a new member of whom nothing is said.
    pub clearance: Option<Clearance>,
}

/// What a CRL says about one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevokedCertificate {
    /// Which.
    pub serial: SerialNumber,
    /// When it was recorded.
    pub revoked_at: Timestamp,
    /// Why, or for how long.
    pub standing: Standing,
    /// Since when the key was not its holder's alone, where known.
    pub invalid_since: Option<Timestamp>,
}

/// Whether a CRL entry is for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Until it is released or revoked.
    OnHold,
    /// For good.
    Revoked(RevocationReason),
}

impl Standing {
    /// The word in the registry: that of RFC 5280 section 5.3.1.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OnHold => "certificate-hold",
            Self::Revoked(reason) => reason.as_str(),
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "certificate-hold" => Some(Self::OnHold),
            text => RevocationReason::parse(text).map(Self::Revoked),
        }
    }
}

/// What revoking a person's card and certificates changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RevokedForCardholder {
    /// Issued cards that ended.
    pub cards: Vec<CardId>,
    /// Half-made cards that went back to stock.
    pub abandoned: Vec<CardId>,
    /// Half-made cards that have a fault and were set aside.
    pub set_aside: Vec<CardId>,
    /// Certificates that are on the next CRL.
    pub certificates: Vec<SerialNumber>,
    /// Certificates that were revoked before without a reason, and have one now.
    pub explained: Vec<SerialNumber>,
    /// Where nothing changed: the newest earlier revocation.
    pub earlier: Option<(Timestamp, RevocationReason)>,
}

impl RevokedForCardholder {
    /// Whether everything is as it was before.
    pub fn changed_nothing(&self) -> bool {
        self.cards.is_empty()
            && self.abandoned.is_empty()
            && self.set_aside.is_empty()
            && self.certificates.is_empty()
            && self.explained.is_empty()
    }
}

/// A CRL that was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCrl {
    /// Its number.
    pub number: u64,
    /// DER.
    pub crl: Vec<u8>,
}

/// The CRLs of an authority that were signed under one number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCrls<'a> {
    /// Their number.
    pub number: u64,
    /// The subjectKeyIdentifier of the key that signed them, hexadecimal: names of their files begin so.
    pub key: String,
    /// Whether they are complete ones and all that go with them; else only deltas were made.
    pub is_complete: bool,
    /// The complete one of all certificates, DER, of the key that signs certificates now.
    pub complete: Option<&'a [u8]>,
    /// Those of partitions, and deltas: the name of the file, and DER.
    pub parts: Vec<(&'a str, &'a [u8])>,
    /// What was due before the revocations were read that they say.
    pub told: Option<CrlDue>,
}

/// Before or after the act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JournalPhase {
    /// The card may or may not have done it.
    Intended,
    /// The card did it.
    Confirmed,
}

impl JournalPhase {
    /// The name in the registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Confirmed => "confirmed",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub(super) fn parse(text: &str) -> Result<Self, RegistryError> {
        match text {
            "intended" => Ok(Self::Intended),
            "confirmed" => Ok(Self::Confirmed),
            other => Err(damaged(format!("unknown journal phase {other:?}"))),
        }
    }
}

/// One line of a card's journal, to be written.
#[derive(Clone, Copy, Debug)]
pub struct JournalLine<'a> {
    /// Which card.
    pub card: CardId,
    /// The attempt of personalisation.
    pub attempt: u32,
    /// The step's name.
    pub step: &'a str,
    /// Before or after.
    pub phase: JournalPhase,
    /// What whoever resumes must know: never a secret.
    pub detail: Option<&'a str>,
}

/// One line of a card's journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalEntry {
    /// The attempt of personalisation.
    pub attempt: u32,
    /// The step's name.
    pub step: String,
    /// Before or after.
    pub phase: JournalPhase,
    /// What whoever resumes must know.
    pub detail: Option<String>,
}

/// What a search found.
#[derive(Debug, Default)]
pub struct SearchHits {
    /// People by name, mail address or staff identifier.
    pub people: Vec<Cardholder>,
    /// Cards by serial number or GUID, and those of the people found.
    pub cards: Vec<CardRecord>,
    /// Certificates by serial number or subject, and those of the people found.
    pub certificates: Vec<CertificateRecord>,
    /// Whether there was more than the search shows.
    pub more: bool,
}

/// What a card shows of itself, to find its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresentedIdentity {
    /// The vendor's serial number, where the card has one.
    pub vendor_serial: Option<u32>,
    /// The GUID of its CHUID, where it has one.
    pub guid: Option<Guid>,
}

/// A request as the registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestRecord {
    /// The registry's number.
    pub id: RequestId,
    /// What is asked for.
    pub kind: RequestKind,
    /// For whom.
    pub holder: CardholderId,
    /// About which card.
    pub card: Option<CardId>,
    /// Why, in words.
    pub why: String,
    /// Where it stands.
    pub request: Request,
}
