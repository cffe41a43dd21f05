//! Where the directory is.
use std::path::PathBuf;

use super::DirectoryError;

/// `file:DIR`, `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// A published directory in the file system.
    File(PathBuf),
    /// A certificate store by HTTP (RFC 4387), `/certificates/search.cgi` and `/crls/search.cgi` below this address.
    Http(url::Url),
}

impl std::str::FromStr for Location {
    type Err = DirectoryError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || DirectoryError::BadLocation(text.to_owned());
        if let Some(path) = text.strip_prefix("file:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            return if path.is_empty() { Err(bad()) } else { Ok(Self::File(PathBuf::from(path))) };
        }
        let mut url = url::Url::parse(text).map_err(|_| bad())?;
        let plain = url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if !matches!(url.scheme(), "http" | "https") || url.host().is_none() || !plain {
            return Err(bad());
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self::Http(url))
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "file:{}", path.display()),
            Self::Http(url) => formatter.write_str(url.as_str().trim_end_matches('/')),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_written() {
        for text in ["file:/srv/pki", "http://127.0.0.1:8080", "https://pki.example.test/store"] {
            assert_eq!(text.parse::<Location>().unwrap().to_string(), text);
        }
        for text in
            ["", "file:", "ldap://x", "http://", "http://user:secret@host", "http://host/?q", "/srv/pki"]
        {
            assert!(matches!(text.parse::<Location>(), Err(DirectoryError::BadLocation(_))), "{text}");
        }
    }
}
