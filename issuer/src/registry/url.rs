//! Where a registry is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::{Host, Url};

/// `sqlite:FILE` or `postgres://...`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryUrl {
    /// One file on this computer.
    Sqlite(PathBuf),
    /// A database that several desks share.
    Postgres(PostgresUrl),
}

/// A PostgreSQL connection URI (PostgreSQL documentation section 34.1.1.2) without a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostgresUrl(Url);

impl PostgresUrl {
    /// The URI, with the demand that a server on another computer proves who it is.
    pub fn to_connect(&self) -> Url {
        let mut url = self.0.clone();
        if !self.is_local() && !self.0.query_pairs().any(|(key, _)| is_mode(&key)) {
            url.query_pairs_mut().append_pair("sslmode", "verify-full");
        }
        url
    }

    /// Whether nobody in between can listen: a socket in the file system, or loopback.
    fn is_local(&self) -> bool {
        let is_local_name = |host: &str| {
            host.is_empty()
                || host.starts_with('/')
                || host == "localhost"
                || host == "127.0.0.1"
                || host == "::1"
        };
        let in_query = self.0.query_pairs().find(|(key, _)| key == "host" || key == "hostaddr");
        match (in_query, self.0.host()) {
            (Some((_, host)), _) => is_local_name(&host),
            (None, Some(Host::Domain(host))) => {
                // A socket's folder, written as %2Frun%2Fpostgresql.
                is_local_name(host) || host.to_ascii_lowercase().starts_with("%2f")
            }
            (None, Some(Host::Ipv4(address))) => address.is_loopback(),
            (None, Some(Host::Ipv6(address))) => address.is_loopback(),
            (None, None) => true,
        }
    }
}

fn is_mode(key: &str) -> bool {
    key == "sslmode" || key == "ssl-mode"
}

/// A registry that this program cannot open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnsupportedRegistryUrl {
    /// Neither the one nor the other.
    #[error("registry {0:?} is not understood; name a file, sqlite:FILE, or a database, postgres://...")]
    Unknown(String),
    /// Whoever lists the processes would read it.
    #[error(
        "a password does not belong on a command line, where others can read it; put it into the file that PGPASSFILE names (~/.pgpass)"
    )]
    Password,
    /// Everybody in between would read names and change states.
    #[error(
        "sslmode {0:?} lets others on the network read and change the registry; leave it out, or say sslmode=verify-full"
    )]
    Unprotected(String),
}

impl FromStr for RegistryUrl {
    type Err = UnsupportedRegistryUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("sqlite:").filter(|path| !path.is_empty()) {
            return Ok(Self::Sqlite(PathBuf::from(path)));
        }
        let unknown = || UnsupportedRegistryUrl::Unknown(without_password(text));
        if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
            return Err(unknown());
        }
        let url = Url::parse(text).map_err(|_| unknown())?;
        if url.password().is_some() || url.query_pairs().any(|(key, _)| key == "password") {
            return Err(UnsupportedRegistryUrl::Password);
        }
        let mode = url.query_pairs().find(|(key, _)| is_mode(key)).map(|(_, mode)| mode.into_owned());
        let url = PostgresUrl(url);
        match mode {
            Some(mode) if !url.is_local() && !["verify-full", "verify-ca"].contains(&mode.as_str()) => {
                Err(UnsupportedRegistryUrl::Unprotected(mode))
            }
            _ => Ok(Self::Postgres(url)),
        }
    }
}

/// What is shown of a text that may hold one.
fn without_password(text: &str) -> String {
    match text.split_once('@') {
        Some((_, rest)) => format!("...@{rest}"),
        None => text.to_owned(),
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
            Self::Postgres(url) => fmt::Display::fmt(&url.0, f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_opened_is_accepted() {
        assert_eq!("sqlite:/a/b.db".parse(), Ok(RegistryUrl::Sqlite(PathBuf::from("/a/b.db"))));
        for text in ["sqlite:", "/a/b.db", "mysql://localhost/issuer", "postgres:issuer", ""] {
            let refused = text.parse::<RegistryUrl>();
            assert!(matches!(refused, Err(UnsupportedRegistryUrl::Unknown(_))), "{text:?} was accepted");
        }
    }

    #[test]
    fn a_password_is_not_taken_and_not_repeated() {
        for text in ["postgres://desk:secret@localhost/issuer", "postgres:///issuer?password=secret"] {
            assert_eq!(text.parse::<RegistryUrl>(), Err(UnsupportedRegistryUrl::Password));
        }
        let wrong = "mysql://desk:secret@localhost/issuer".parse::<RegistryUrl>().unwrap_err();
        assert!(!wrong.to_string().contains("secret"), "{wrong}");
    }

    #[test]
    fn a_server_elsewhere_proves_who_it_is() {
        let to_connect = |text: &str| match text.parse::<RegistryUrl>().unwrap() {
            RegistryUrl::Postgres(url) => url.to_connect().to_string(),
            RegistryUrl::Sqlite(_) => String::new(),
        };
        for local in [
            "postgres:///issuer?host=/run/postgresql",
            "postgres://%2Frun%2Fpostgresql/issuer",
            "postgres://desk@localhost/issuer",
            "postgres://127.0.0.1:5433/issuer",
            "postgres://[::1]/issuer",
        ] {
            assert!(!to_connect(local).contains("sslmode"), "{local}");
        }
        assert!(to_connect("postgres://db.example.org/issuer").ends_with("?sslmode=verify-full"));
        assert!(to_connect("postgres:///issuer?host=192.0.2.1").ends_with("&sslmode=verify-full"));
        let weak = "postgres://db.example.org/issuer?sslmode=require".parse::<RegistryUrl>();
        assert_eq!(weak, Err(UnsupportedRegistryUrl::Unprotected("require".to_owned())));
    }
}
