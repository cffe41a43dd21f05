//! Where the server is (RFC 4516, the part that is needed).
use percent_encoding::percent_decode_str;
use url::{Host, Url};

use crate::readers::error::ReadersError;

/// `ldap://HOST[:389]/BASE` (StartTLS, except on this computer) or `ldaps://HOST[:636]/BASE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapUrl {
    /// Host name or address, as the server's certificate must name it.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Where the search begins.
    pub base: String,
    /// When TLS starts.
    pub security: Security,
}

/// When TLS starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// From the first octet.
    Immediate,
    /// By StartTLS, which the server must offer (RFC 4511 section 4.14).
    Upgrade,
    /// Never: nothing leaves this computer.
    Loopback,
}

impl std::str::FromStr for LdapUrl {
    type Err = ReadersError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = |problem| ReadersError::BadUrl { url: text.to_owned(), problem };
        let url = Url::parse(text).map_err(|_| bad("it cannot be read"))?;
        let is_immediate = match url.scheme() {
            "ldap" => false,
            "ldaps" => true,
            _ => return Err(bad("it is of another kind")),
        };
        if !url.username().is_empty() || url.password().is_some() {
            return Err(bad("users and passwords have no place in it"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(bad("only a host, a port and a base are wanted"));
        }
        // Of a scheme that the URL standard does not know, an IPv4 address stays a name.
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(bad("it names no host")),
        };
        let base = percent_decode_str(url.path().trim_start_matches('/')).decode_utf8();
        let base = base.map_err(|_| bad("its base is not UTF-8"))?.into_owned();
        if !base.contains('=') {
            return Err(bad("it names no base where the search begins"));
        }
        let security = match is_immediate {
            true => Security::Immediate,
            false if is_loopback(&host) => Security::Loopback,
            false => Security::Upgrade,
        };
        let port = url.port().unwrap_or(if is_immediate { 636 } else { 389 });
        Ok(Self { host, port, base, security })
    }
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl std::fmt::Display for LdapUrl {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(formatter, "[{}]:{}", self.host, self.port),
            false => write!(formatter, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_say_when_tls_starts_and_where_the_search_begins() {
        for (text, server, base, security) in [
            ("ldap://dir.test/dc=mail,dc=test", "dir.test:389", "dc=mail,dc=test", Security::Upgrade),
            ("ldap://127.0.0.1:3890/ou=a%20b", "127.0.0.1:3890", "ou=a b", Security::Loopback),
            ("ldap://[::1]/dc=x", "[::1]:389", "dc=x", Security::Loopback),
            ("ldaps://dir.test/dc=x", "dir.test:636", "dc=x", Security::Immediate),
        ] {
            let url: LdapUrl = text.parse().unwrap();
            assert_eq!((url.to_string().as_str(), url.base.as_str(), url.security), (server, base, security));
        }
    }

    #[test]
    fn other_urls_are_refused() {
        for text in [
            "",
            "dir.test",
            "http://dir.test/dc=x",
            "ldap://dir.test",
            "ldap://dir.test/",
            "ldap:///dc=x",
            "ldap://user:secret@dir.test/dc=x",
            "ldap://dir.test/dc=x?mail",
            "ldap://dir.test/dc=%FF",
        ] {
            assert_eq!(text.parse::<LdapUrl>().unwrap_err().code(), "bad-ldap-address", "{text}");
        }
    }
}
