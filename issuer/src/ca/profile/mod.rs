//! What each kind of certificate contains.
//!
//! - this file: the kinds, and the holders' data that they need;
//! - [`policy`]: certificate policies; `name`: distinguished names; `extension`: one function per extension;
//! - [`status_services`]: how readers learn of revocations; `assemble`: which of them go together.
pub(crate) mod assemble;
pub(crate) mod extension;
pub(crate) mod name;
pub mod policy;
pub mod status_services;

use std::fmt;
use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};

use super::error::CaError;
use super::mail_address::MailAddress;
pub use policy::{Assurance, PolicyArc};
pub use status_services::StatusServices;

/// The organisation that runs the CA: what all its certificates share.
#[derive(Clone, Debug)]
pub struct Organization {
    /// Legal or usual name, 1 to 64 characters.
    pub name: String,
    /// Registration identifier (`NTRGB-12345678`, X.520 organizationIdentifier). With it mail certificates
    /// are of the sponsored kind of the S/MIME Baseline Requirements and name the organisation; without it
    /// of the individual kind, which must not name one.
    pub identifier: Option<String>,
    /// Where the published directory is served, `http://HOST[:PORT][/PATH]`, without a final slash.
    pub base_url: String,
    /// Arc of the certificate policies.
    pub policies: PolicyArc,
    /// Whether 9A and 9E carry what only PIV readers look for.
    pub piv_extensions: PivExtensions,
    /// How readers learn of revocations.
    pub status_services: StatusServices,
}

/// What SP 800-73-5 Part 1 section 3.4.1 asks of the certificates of 9A and 9E beyond RFC 5280: the card's
/// UUID as an alternative name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PivExtensions {
    /// The card is named in 9E's subject alone. Linters that take every URI for a URL find nothing.
    #[default]
    Omitted,
    /// `urn:uuid:` and the card's GUID.
    Included,
}

/// Which of the issuing authorities below the root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    /// Certificates on staff cards.
    People,
    /// Certificates of mail servers.
    Servers,
    /// Certificates of what is signed around documents: time stamps, lists of readers.
    Documents,
}

/// What a certificate is for, and for whom.
#[derive(Clone, Debug)]
pub enum Profile {
    /// The trust anchor.
    Root,
    /// An issuing authority below the root.
    IssuingAuthority(Branch),
    /// Key 9A.
    PivAuthentication(CardHolder),
    /// Key 9C.
    DigitalSignature(CardHolder),
    /// Key 9D.
    KeyManagement(CardHolder),
    /// Key 9E: the card alone, no personal name.
    CardAuthentication(CardUuid),
    /// The organisation's SMTP and IMAP servers.
    MailServer(MailServer),
    /// The organisation's time-stamp service (RFC 3161 section 2.3).
    TimeStamping,
    /// The organisation's own lists, such as the classes of readers (RFC 9336).
    DocumentSigning,
    /// Who signs what is written on cards: CHUID and security object (FIPS 201-3 section 4.2.1).
    ContentSigning,
    /// A responder that says for its authority which certificates are revoked (RFC 6960 section 4.2.2.2).
    OcspResponder,
}

impl Profile {
    /// The longest validity that the profile allows, in days; what is asked for beyond is cut.
    ///
    /// S/MIME Baseline Requirements 6.3.2 allow 825 days, seconds counted inclusively; TLS clients take 397
    /// for servers. A time stamp can be checked for as long as its certificate is valid: as long as the
    /// authority's; and whoever signed a card's objects must not end before the card (SP 800-73-5 Part 1 section 3.1.2.1).
    pub fn maximum_days(&self) -> u32 {
        match self {
            Self::Root => 20 * 365 + 5,
            Self::IssuingAuthority(_) | Self::TimeStamping | Self::ContentSigning => 10 * 365 + 3,
            Self::MailServer(_) => 397,
            // Nobody asks whether it is revoked: it must end soon by itself (RFC 6960 section 4.2.2.2.1).
            Self::OcspResponder => 30,
            _ => 824,
        }
    }

    /// A stable word: `piv-authentication`, `mail-server`...
    pub fn name(&self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::IssuingAuthority(Branch::People) => "issuing-authority-people",
            Self::IssuingAuthority(Branch::Servers) => "issuing-authority-servers",
            Self::IssuingAuthority(Branch::Documents) => "issuing-authority-documents",
            Self::PivAuthentication(_) => "piv-authentication",
            Self::DigitalSignature(_) => "digital-signature",
            Self::KeyManagement(_) => "key-management",
            Self::CardAuthentication(_) => "card-authentication",
            Self::MailServer(_) => "mail-server",
            Self::TimeStamping => "time-stamping",
            Self::DocumentSigning => "document-signing",
            Self::ContentSigning => "content-signing",
            Self::OcspResponder => "ocsp-responder",
        }
    }
}

/// Who holds a card.
#[derive(Clone, Debug)]
pub struct CardHolder {
    /// Name.
    pub name: PersonName,
    /// What tells two people of one name apart in the distinguished name: the staff number, a PrintableString.
    pub identifier: Option<String>,
    /// One mail address or more; the first is the main one.
    pub mail: Vec<MailAddress>,
    /// The card.
    pub card: CardUuid,
}

/// A person's name.
#[derive(Clone, Debug)]
pub struct PersonName {
    /// As it is written: the common name, 1 to 64 characters.
    pub full: String,
    /// Given name and surname, where they are known apart. Otherwise the whole name stands as surname, which
    /// is what the S/MIME Baseline Requirements (7.1.4.2.2) prescribe for people with a single name; no
    /// guess is made.
    pub parts: Option<(String, String)>,
}

impl PersonName {
    /// A name whose parts are not known apart.
    pub fn whole(full: impl Into<String>) -> Self {
        Self { full: full.into(), parts: None }
    }
}

/// The card UUID: GUID of the CHUID, SP 800-73-5 Part 1 section 3.4.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CardUuid(pub [u8; 16]);

impl fmt::Display for CardUuid {
    /// `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`, RFC 4122 section 3.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, octet) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{octet:02x}")?;
        }
        Ok(())
    }
}

/// Names of a server; at least one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MailServer {
    /// DNS names, A-labels or U-labels.
    pub dns_names: Vec<String>,
    /// IP addresses.
    pub ip_addresses: Vec<IpAddr>,
}

/// Begin and end of a validity, both inclusive, in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// First second.
    pub not_before: Timestamp,
    /// Last second.
    pub not_after: Timestamp,
}

impl Validity {
    /// From `not_before` for so many days, the last second included.
    pub fn for_days(not_before: Timestamp, days: u32) -> Self {
        let begin = Timestamp::from_second(not_before.as_second()).unwrap_or(not_before);
        let length = SignedDuration::from_secs(i64::from(days) * 86_400 - 1);
        Self { not_before: begin, not_after: begin.checked_add(length).unwrap_or(Timestamp::MAX) }
    }

    /// The part of it that lies within the days allowed and within the issuer's validity.
    pub(crate) fn cut(self, maximum_days: u32, issuer: Option<Validity>) -> Result<Self, CaError> {
        let longest = Self::for_days(self.not_before, maximum_days);
        let Some(issuer) = issuer else {
            return Ok(Self {
                not_before: longest.not_before,
                not_after: longest.not_after.min(self.not_after),
            });
        };
        if issuer.not_after < longest.not_before {
            return Err(CaError::AuthorityExpired {
                not_after: issuer.not_after,
                not_before: longest.not_before,
            });
        }
        Ok(Self {
            not_before: longest.not_before.max(issuer.not_before),
            not_after: longest.not_after.min(self.not_after).min(issuer.not_after),
        })
    }
}
