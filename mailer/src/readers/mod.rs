//! Classes of readers, and what readers are cleared for.
//!
//! - [`class_list`]: the signed list that the issuer publishes, `classes.p7m`: read, judged, never older than before.
//! - [`ldap_groups`]: groups of an LDAP server (RFC 4519 sections 3.5 and 3.6) instead; [`ldap`] asks it.
//! - [`clearance`]: up to which classification somebody may read, whatever says so.
//!
//! A class decides only who is written to: everybody's certificate is found and checked all the same.
pub mod class_list;
pub mod clearance;
pub mod error;
pub mod ldap;
pub mod ldap_groups;

pub use class_list::{ClassList, Member, NewestList, ReaderClass};
pub use clearance::ClearanceProblem;
pub use error::ReadersError;
