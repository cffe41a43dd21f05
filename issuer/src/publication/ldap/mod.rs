//! Publication into an LDAP directory (RFC 4511, schema of RFC 4523).
//!
//! - [`target`]: which directory, and where things lie there.
//! - [`ours`]: which values are ours: those that one of our authorities signed. No other value is ever touched, but what says
//!   that it is ours and was damaged (`claims`).
//! - [`attribute`]: what is to be removed and added, so that an attribute holds what it shall.
//! - `people`: `userCertificate;binary` of the entries that have a mail address (`spelling`: which addresses are one);
//!   `authority`: the entry of an authority with `cACertificate;binary`, `certificateRevocationList;binary`,
//!   `deltaRevocationList;binary` and `crossCertificatePair;binary`.
//! - [`cross_pair`]: two authorities that certified each other, in one value.
//!
//! What was written is read back: a server that says yes and holds something else is named. Doing anything twice changes
//! nothing.

pub mod attribute;
mod authority;
mod claims;
pub mod cross_pair;
pub mod ours;
mod people;
mod spelling;
pub mod target;

pub use authority::{AuthorityEntry, publish_authorities};
pub use ours::Ours;
pub(crate) use people::reads_answer;
pub use people::{AddressEntry, publish_addresses};
pub use target::{Access, LdapTarget, LdapUrl};

/// What became of one entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It holds what it shall; whether something had to be changed for it.
    Done {
        /// Something was changed.
        changed: bool,
        /// What of ours was damaged and is replaced, or was where it does not belong and is taken out.
        mended: Vec<String>,
    },
    /// It does not; why, and what to do.
    Trouble(String),
}

impl Outcome {
    /// Nothing was to be done.
    const UNCHANGED: Self = Self::Done { changed: false, mended: Vec::new() };
}

/// Why a directory as a whole could not be worked off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LdapFailure {
    /// A stable word for programs.
    pub code: &'static str,
    /// What happened.
    pub message: String,
}

impl From<crate::ldap_client::LdapTrouble> for LdapFailure {
    fn from(trouble: crate::ldap_client::LdapTrouble) -> Self {
        use crate::ldap_client::LdapTrouble;
        let code = match &trouble {
            LdapTrouble::Unreachable(_) => "ldap-unreachable",
            LdapTrouble::UnknownLogin | LdapTrouble::Refused { .. } => "ldap-refused",
            LdapTrouble::Here(_) => "io",
            _ => "ldap",
        };
        Self { code, message: trouble.to_string() }
    }
}
