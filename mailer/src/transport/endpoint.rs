//! Server URLs (RFC 8314): `smtp:` and `imap:` mean STARTTLS, `smtps:` and `imaps:` TLS from the first byte.
use std::fmt;

use url::Url;

use super::TransportError;

/// When TLS starts; there is no third way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsStart {
    /// After STARTTLS, which the server must offer (RFC 3207, RFC 9051 section 6.2.1).
    Upgrade,
    /// At once (RFC 8314 section 3).
    Immediate,
}

/// A server, its port, and when TLS starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Host name or IP address, as the server's certificate must name it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// When TLS starts.
    pub tls: TlsStart,
}

impl Endpoint {
    /// Reads `smtp://HOST[:587]` or `smtps://HOST[:465]`.
    ///
    /// # Errors
    /// [`TransportError::BadUrl`].
    pub fn smtp(url: &str) -> Result<Self, TransportError> {
        Self::parse(url, ("smtp", 587), ("smtps", 465))
    }

    /// Reads `imap://HOST[:143]` or `imaps://HOST[:993]`.
    ///
    /// # Errors
    /// [`TransportError::BadUrl`].
    pub fn imap(url: &str) -> Result<Self, TransportError> {
        Self::parse(url, ("imap", 143), ("imaps", 993))
    }

    fn parse(text: &str, upgrade: (&str, u16), immediate: (&str, u16)) -> Result<Self, TransportError> {
        let bad = |problem: String| TransportError::BadUrl { url: text.to_owned(), problem };
        let url = Url::parse(text).map_err(|error| bad(error.to_string()))?;
        let (tls, default_port) = match url.scheme() {
            scheme if scheme == upgrade.0 => (TlsStart::Upgrade, upgrade.1),
            scheme if scheme == immediate.0 => (TlsStart::Immediate, immediate.1),
            _ => return Err(bad(format!("write {}://HOST:PORT or {}://HOST:PORT", upgrade.0, immediate.0))),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("the user belongs in --user, the password in a file".to_owned()));
        }
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err(bad("only a host and a port are wanted".to_owned()));
        }
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| bad("it names no host".to_owned()))?;
        let host = idna::domain_to_ascii(host.trim_matches(['[', ']'])).unwrap_or_else(|_| host.to_owned());
        Ok(Self { host, port: url.port().unwrap_or(default_port), tls })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_when_tls_starts() {
        for (url, wanted, tls) in [
            ("smtp://mail.test", "mail.test:587", TlsStart::Upgrade),
            ("smtp://127.0.0.1:2525/", "127.0.0.1:2525", TlsStart::Upgrade),
            ("smtps://mail.test", "mail.test:465", TlsStart::Immediate),
            ("smtps://[::1]:4650", "[::1]:4650", TlsStart::Immediate),
        ] {
            let endpoint = Endpoint::smtp(url).unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.tls), (wanted, tls), "{url}");
        }
        assert_eq!(Endpoint::imap("imaps://mail.test").unwrap().to_string(), "mail.test:993");
    }

    #[test]
    fn other_urls_are_refused() {
        for url in [
            "",
            "mail.test",
            "http://mail.test",
            "imap://mail.test",
            "smtp://",
            "smtp://u:p@mail.test",
            "smtp://mail.test/x",
            "smtp://mail.test?x",
        ] {
            assert!(matches!(Endpoint::smtp(url), Err(TransportError::BadUrl { .. })), "{url}");
        }
    }
}
