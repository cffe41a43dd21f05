//! Certificate policies, RFC 5280 section 4.2.1.4.
use std::fmt;
use std::str::FromStr;

use const_oid::ObjectIdentifier;

use super::{Branch, Organization, Profile};
use crate::ca::error::CaError;

/// Arc below which the policies lie: `.1` staff, `.2` servers, `.3` emulated cards (test only), `.4` time stamps, `.5`
/// signed lists, `.6` what security labels mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicyArc(ObjectIdentifier);

impl PolicyArc {
    /// Certificates on the staff's cards.
    pub fn staff(self) -> ObjectIdentifier {
        self.below(1)
    }

    /// Certificates of the organisation's servers.
    pub fn servers(self) -> ObjectIdentifier {
        self.below(2)
    }

    /// Certificates on emulated cards: for tests only.
    pub fn emulated(self) -> ObjectIdentifier {
        self.below(3)
    }

    /// Time stamps: of the certificate that signs them and, unless another is chosen, of the stamps themselves.
    pub fn time_stamps(self) -> ObjectIdentifier {
        self.below(4)
    }

    /// Lists that the organisation signs.
    pub fn lists(self) -> ObjectIdentifier {
        self.below(5)
    }

    /// The security policy under which documents are classified, unless another is chosen (RFC 2634 section 3.2).
    pub fn classification(self) -> ObjectIdentifier {
        self.below(6)
    }

    fn below(self, arc: u32) -> ObjectIdentifier {
        self.0.push_arc(arc).expect("from_str left room for one more arc")
    }
}

impl Default for PolicyArc {
    /// `1.3.6.1.4.1.32473.1`: below the enterprise number for documentation (RFC 5612), for organisations
    /// that have no arc of their own. The arc for examples of ITU-T X.660, `2.999`, will not do: relying
    /// parties built on `const-oid` cannot read second arcs above 39, and would refuse the whole
    /// certificate.
    fn default() -> Self {
        Self(ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1"))
    }
}

impl FromStr for PolicyArc {
    type Err = CaError;

    /// # Errors
    /// Not an object identifier, too long, or with a second arc above 39.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: String| CaError::Field { field: "policy arc", value: text.to_owned(), reason };
        let arc = ObjectIdentifier::new(text).map_err(|error| refuse(error.to_string()))?;
        arc.push_arc(3).map_err(|_| refuse("it is too long".into()))?;
        Ok(Self(arc))
    }
}

impl fmt::Display for PolicyArc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether the key lives in a card that keeps it, or in an emulated one: the latter's certificates carry the
/// test policy instead of the staff policy, so that nobody who asks for the staff policy takes them. For an
/// issuing authority it says whether it may certify emulated cards at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assurance {
    /// A real card.
    Production,
    /// An emulated card, allowed by `init --allow-emulated`.
    Emulated,
}

/// The policies of a certificate; none for a root, which RFC 5280 section 6.1.1 does not look at.
///
/// Mail certificates also carry one of the reserved identifiers of the S/MIME Baseline Requirements
/// (7.1.6.1): their profile is kept, and checkers tell the kind of certificate by it. Multipurpose, not
/// strict, because only the former may be put on hold.
pub(crate) fn policies(
    organization: &Organization,
    profile: &Profile,
    assurance: Assurance,
) -> Vec<ObjectIdentifier> {
    let arc = organization.policies;
    let mail =
        if organization.identifier.is_some() { SPONSORED_MULTIPURPOSE } else { INDIVIDUAL_MULTIPURPOSE };
    let person = match assurance {
        Assurance::Production => arc.staff(),
        Assurance::Emulated => arc.emulated(),
    };
    match profile {
        Profile::Root | Profile::OcspResponder => Vec::new(),
        Profile::IssuingAuthority(Branch::People) if assurance == Assurance::Emulated => {
            vec![arc.staff(), arc.emulated(), mail]
        }
        Profile::IssuingAuthority(Branch::People) => vec![arc.staff(), mail],
        Profile::IssuingAuthority(Branch::Servers) | Profile::MailServer(_) => vec![arc.servers()],
        Profile::IssuingAuthority(Branch::Documents) => vec![arc.time_stamps(), arc.lists()],
        Profile::TimeStamping => vec![arc.time_stamps()],
        Profile::DocumentSigning => vec![arc.lists()],
        Profile::PivAuthentication(_) | Profile::CardAuthentication(_) | Profile::ContentSigning => {
            vec![person]
        }
        Profile::DigitalSignature(_) | Profile::KeyManagement(_) => vec![person, mail],
    }
}

/// S/MIME Baseline Requirements 7.1.6.1: sponsor-validated, multipurpose.
pub(crate) const SPONSORED_MULTIPURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.140.1.5.3.2");
/// S/MIME Baseline Requirements 7.1.6.1: individual-validated, multipurpose.
pub(crate) const INDIVIDUAL_MULTIPURPOSE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.140.1.5.4.2");
