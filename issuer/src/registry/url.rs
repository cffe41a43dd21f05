//! Where a registry is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// `sqlite:FILE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryUrl {
    /// One file on this computer.
    Sqlite(PathBuf),
}

/// A registry that this program cannot open.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("registry {0:?} is not understood; name a file: sqlite:FILE")]
pub struct UnsupportedRegistryUrl(String);

impl FromStr for RegistryUrl {
    type Err = UnsupportedRegistryUrl;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.strip_prefix("sqlite:") {
            Some(path) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            _ => Err(UnsupportedRegistryUrl(text.to_owned())),
        }
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "sqlite:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_opened_is_accepted() {
        assert_eq!("sqlite:/a/b.db".parse(), Ok(RegistryUrl::Sqlite(PathBuf::from("/a/b.db"))));
        for text in ["sqlite:", "/a/b.db", "postgres://localhost/issuer", ""] {
            assert!(text.parse::<RegistryUrl>().is_err(), "{text:?} was accepted");
        }
    }
}
