//! How messages travel: SMTP submission, IMAP retrieval, Maildirs, and the outbox between us and them.
//!
//! - [`endpoint`]: server URLs; TLS is never optional.
//! - [`tls`]: certificates of servers, checked against the configured anchor alone.
//! - [`smtp`]: submission (RFC 6409).   - [`imap`]: new messages by UID (RFC 9051).
//! - [`maildir`]: folders of messages, one file each.
//! - [`outbox`]: what is to be sent, on disk before the first byte leaves.   - [`courier`]: who carries it away.
//! - [`mailbox_sync`]: new messages from a server or a Maildir into our own Maildir.
pub mod courier;
pub mod endpoint;
pub mod error;
pub mod imap;
pub mod mailbox_sync;
pub mod maildir;
mod metered;
pub mod outbox;
pub mod smtp;
pub mod tls;

pub use error::TransportError;

use zeroize::Zeroizing;

/// A user name with its password, for SMTP and IMAP alike.
#[derive(Clone)]
pub struct Credentials {
    /// The user name at the server.
    pub user: String,
    /// The password; never printed.
    pub password: Zeroizing<String>,
}
