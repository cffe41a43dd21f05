//! The little of LDAP that is needed to look groups up (RFC 4511): anonymous, one server, no referral followed.
//!
//! [`message`] writes questions and reads answers, bytes in, values out; [`client`] owns the connection; [`url`] says where.
//! The crates for LDAP that there are panic on malformed answers and set no limit to their size.
pub mod client;
pub mod message;
pub mod url;

pub use client::Client;
pub use url::LdapUrl;
