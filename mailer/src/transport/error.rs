//! What can go wrong between us and a mail server.

/// Why a server was not used, or did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TransportError {
    /// Not a server URL.
    #[error("{url:?} is not a mail server: {problem}")]
    BadUrl {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// No TCP connection, or it broke.
    #[error("{server} cannot be reached: {problem}")]
    Unreachable {
        /// `host:port`
        server: String,
        /// Why.
        problem: String,
    },
    /// The server took too long.
    #[error("{server} did not answer in time ({during})")]
    Timeout {
        /// `host:port`
        server: String,
        /// What was asked of it.
        during: &'static str,
    },
    /// No STARTTLS: nothing is ever sent in the clear.
    #[error(
        "{server} does not offer STARTTLS; nothing was sent, because it would have been readable on the way"
    )]
    NoStartTls {
        /// `host:port`
        server: String,
    },
    /// The server's certificate is not one we trust.
    #[error(
        "the certificate of {server} is not ours: {problem}; nothing was sent. Check the address, or the TLS anchor (mailer setup --tls-anchor)"
    )]
    ServerCertificate {
        /// `host:port`
        server: String,
        /// Why.
        problem: String,
    },
    /// Any other failure of the TLS handshake.
    #[error("no secure connection to {server}: {problem}")]
    Tls {
        /// `host:port`
        server: String,
        /// Why.
        problem: String,
    },
    /// The anchor file holds no usable certificate.
    #[error("the TLS anchor is not a certificate: {0}")]
    BadAnchor(String),
    /// The server offers no way to log in that we know.
    #[error("{server} offers no login by password (AUTH PLAIN or LOGIN)")]
    NoAuthentication {
        /// `host:port`
        server: String,
    },
    /// Wrong user name or password.
    #[error("{server} refused user {user:?} or the password: {reply}")]
    AuthenticationRefused {
        /// `host:port`
        server: String,
        /// The user name that was used.
        user: String,
        /// The server's words.
        reply: String,
    },
    /// The server refused a command.
    #[error("{server} refused {command}: {reply}")]
    Refused {
        /// `host:port`
        server: String,
        /// The command.
        command: &'static str,
        /// The server's words.
        reply: String,
        /// Whether trying later may help (SMTP 4yz).
        is_transient: bool,
    },
    /// The connection ended between the message and its confirmation.
    #[error("{server} got the message and did not confirm it, so nobody knows whether it took it: {problem}")]
    Unconfirmed {
        /// `host:port`
        server: String,
        /// What happened instead.
        problem: String,
    },
    /// The server does not keep to the protocol.
    #[error("{server} answered something that is not {protocol}: {problem}")]
    Protocol {
        /// `host:port`
        server: String,
        /// `SMTP` or `IMAP`
        protocol: &'static str,
        /// What it said.
        problem: String,
    },
    /// A file could not be written or read.
    #[error("{0}")]
    Storage(String),
}

impl TransportError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadUrl { .. } => "bad-server-url",
            Self::Unreachable { .. } => "server-unreachable",
            Self::Timeout { .. } => "server-timeout",
            Self::NoStartTls { .. } => "no-starttls",
            Self::ServerCertificate { .. } => "server-certificate",
            Self::Tls { .. } => "tls",
            Self::BadAnchor(_) => "bad-tls-anchor",
            Self::NoAuthentication { .. } => "no-authentication",
            Self::AuthenticationRefused { .. } => "authentication-refused",
            Self::Refused { .. } => "server-refused",
            Self::Unconfirmed { .. } => "delivery-unconfirmed",
            Self::Protocol { .. } => "server-protocol",
            Self::Storage(_) => "storage",
        }
    }
    /// Whether the server may have taken the message all the same.
    pub fn is_unconfirmed(&self) -> bool {
        matches!(self, Self::Unconfirmed { .. })
    }
}
