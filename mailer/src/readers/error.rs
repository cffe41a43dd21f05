//! Why a class of readers is not known.
use jiff::Timestamp;

use crate::directory::DirectoryError;
use crate::trust::in_words;

/// Why a class of readers is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadersError {
    /// The directory cannot be asked.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The directory has none.
    #[error(
        "the directory {0} has no list of classes (classes.p7m); name readers with --to, or ask the issuer to publish one"
    )]
    NoList(String),
    /// Not what an issuer publishes.
    #[error("the list of classes is malformed: {0}; it is not used")]
    Malformed(String),
    /// Not what was signed.
    #[error("the list of classes was changed after it was signed; it is not used, tell the issuer")]
    Tampered,
    /// Signed by somebody who is not believed.
    #[error("the list of classes is not believed: {0}")]
    Untrusted(String),
    /// Signed by somebody who is believed, but not for this.
    #[error(
        "the list of classes is signed with the certificate of {0}, which is not for lists (id-kp-documentSigning alone); it is not used, tell the issuer"
    )]
    WrongSigner(String),
    /// It does not count any more.
    #[error("the list of classes has expired on {}; ask the issuer to publish a new one", in_words(*.0))]
    Expired(Timestamp),
    /// It does not count yet.
    #[error("the list of classes was issued on {}, which is in the future; check this computer's clock", in_words(*.0))]
    FromTheFuture(Timestamp),
    /// Somebody brought an old one back.
    #[error(
        "the directory holds list {number} of classes, but list {seen} was seen before; an old list is not used, tell the issuer"
    )]
    Older {
        /// Its number.
        number: u64,
        /// The highest number seen.
        seen: u64,
    },
    /// What was remembered cannot be read or written.
    #[error("{path}: {problem}")]
    Storage {
        /// Which file.
        path: String,
        /// Why not.
        problem: String,
    },
    /// No class of that name.
    #[error("there is no class of readers {name:?}; {}", known_in_words(.known))]
    UnknownClass {
        /// As the user wrote it.
        name: String,
        /// Those there are, as far as that is known.
        known: Vec<String>,
    },
    /// Nobody is in it.
    #[error("the class of readers {0:?} has no member, so nobody could read it")]
    Empty(String),
    /// Several groups have the name.
    #[error("the LDAP server {server} has several groups named {name:?}; one of them must be renamed")]
    Ambiguous {
        /// The server.
        server: String,
        /// The name.
        name: String,
    },
    /// Members of a group who cannot be written to.
    #[error("the class of readers {class:?} has members without a mail address: {}", .members.join("; "))]
    WithoutAddress {
        /// The class.
        class: String,
        /// Their names in the server.
        members: Vec<String>,
    },
    /// A configured address that is none.
    #[error("bad LDAP address {url:?}: {problem}; write ldap://HOST:PORT/BASE or ldaps://HOST:PORT/BASE")]
    BadUrl {
        /// As configured.
        url: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// It does not answer.
    #[error(
        "the LDAP server {server} cannot be asked: {problem}; try again later, or name readers with --to"
    )]
    Unreachable {
        /// The server.
        server: String,
        /// Why not.
        problem: String,
    },
    /// Nobody shall be asked.
    #[error(
        "the LDAP server {0} is not asked, because the network is not to be used (offline); name readers with --to"
    )]
    Offline(String),
    /// It answers that it will not (RFC 4511 section 4.1.9).
    #[error("the LDAP server {server} refuses the question (result {code}): {message}")]
    Refused {
        /// The server.
        server: String,
        /// The result code.
        code: u32,
        /// What it says about that, safe for a terminal.
        message: String,
    },
    /// Its answer breaks the rules, or is larger than is read.
    #[error("the answer of the LDAP server {server} is refused: {problem}")]
    BadAnswer {
        /// The server.
        server: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl ReadersError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Directory(error) => error.code(),
            Self::NoList(_) => "no-class-list",
            Self::Malformed(_) => "class-list-malformed",
            Self::Tampered => "class-list-changed",
            Self::Untrusted(_) => "class-list-untrusted",
            Self::WrongSigner(_) => "class-list-wrong-signer",
            Self::Expired(_) => "class-list-expired",
            Self::FromTheFuture(_) => "class-list-from-the-future",
            Self::Older { .. } => "class-list-older",
            Self::Storage { .. } => "class-list-storage",
            Self::UnknownClass { .. } => "unknown-class",
            Self::Empty(_) => "class-empty",
            Self::Ambiguous { .. } => "class-ambiguous",
            Self::WithoutAddress { .. } => "member-without-address",
            Self::BadUrl { .. } => "bad-ldap-address",
            Self::Unreachable { .. } => "ldap-unreachable",
            Self::Offline(_) => "offline",
            Self::Refused { .. } => "ldap-refused",
            Self::BadAnswer { .. } => "ldap-answer-refused",
        }
    }
}

fn known_in_words(known: &[String]) -> String {
    const MOST: usize = 20;
    match known {
        [] => "ask who keeps the classes how it is named".to_owned(),
        some if some.len() > MOST => {
            format!(
                "there are {} of them, among others: {}",
                some.len(),
                some.iter().take(MOST).cloned().collect::<Vec<_>>().join(", ")
            )
        }
        some => format!("there are: {}", some.join(", ")),
    }
}
