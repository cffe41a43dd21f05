//! Which LDAP directory, and where things lie in it.
use ldap3::{Scope, get_url_params};
use url::Url;
use zeroize::Zeroizing;

use crate::ldap_client::{Login, Protection, Server};

/// An LDAP URL (RFC 4516) to publish to: the entry below which people are, the attribute with their mail address (`mail`
/// if it names none), the scope (`sub`) and a filter for their entries (`(objectClass=inetOrgPerson)`).
#[derive(Clone, Debug)]
pub struct LdapUrl {
    pub(super) url: Url,
    /// The entry below which people are.
    pub base: String,
    /// The attribute with the mail address.
    pub mail: String,
    pub(super) scope: Scope,
    pub(super) filter: String,
}

/// A directory that is reached in a certain way.
#[derive(Clone)]
pub struct LdapTarget {
    pub(super) place: LdapUrl,
    pub(super) server: Server,
    login: Option<(String, Zeroizing<String>)>,
    /// The entry below which the entries of authorities are.
    pub(super) authorities: String,
}

/// How a connection is kept from others, and who opens it.
pub struct Access<'a> {
    /// Those who may speak for the server, PEM; needed for `ldaps` and StartTLS.
    pub trusted: Option<&'a [u8]>,
    /// Whether TLS begins once the server agreed.
    pub start_tls: bool,
    /// A distinguished name and its password.
    pub login: Option<(String, Zeroizing<String>)>,
    /// The entry below which the entries of authorities are; the base, if absent.
    pub authorities: Option<&'a str>,
}

impl LdapUrl {
    /// Reads an LDAP URL; `None` for what is not one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Option<Self>, String> {
        if !["ldap://", "ldaps://", "ldapi://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(None);
        }
        let url = Url::parse(text).map_err(|_| format!("{text:?} is not a URL"))?;
        if url.password().is_some() || !url.username().is_empty() {
            return Err(format!(
                "{text:?}: say who publishes with --bind-dn and --bind-password-file, not in the URL"
            ));
        }
        let (base, mail, scope, filter) = {
            let parts =
                get_url_params(&url).map_err(|_| format!("{text:?} is no URL of a directory (RFC 4516)"))?;
            let attributes: Vec<_> = parts.attrs.iter().filter(|name| **name != "*").collect();
            let mail = match attributes.as_slice() {
                [] => "mail".to_owned(),
                [one] => (**one).to_owned(),
                _ => return Err(format!("{text:?}: name one attribute, that of the mail address, or none")),
            };
            (parts.base.into_owned(), mail, parts.scope, parts.filter.into_owned())
        };
        if base.is_empty() {
            return Err(format!(
                "{text:?}: name the entry below which people are: ldap://HOST/ou=people,dc=example,dc=org"
            ));
        }
        if !mail.chars().all(|character| character.is_ascii_alphanumeric() || "-;.".contains(character)) {
            return Err(format!("{text:?}: {mail:?} is no attribute"));
        }
        let scope = if scope == Scope::OneLevel { Scope::OneLevel } else { Scope::Subtree };
        let is_default = filter.is_empty() || filter == "(objectClass=*)";
        let filter = if is_default { "(objectClass=inetOrgPerson)".to_owned() } else { filter };
        Ok(Some(Self { url, base, mail, scope, filter }))
    }
}

impl LdapTarget {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// What is missing, or that a password would travel in the clear.
    pub fn new(place: LdapUrl, access: Access<'_>) -> Result<Self, String> {
        let trusted = || {
            let pem = access.trusted.ok_or_else(|| {
                "TLS needs --ca-file FILE: the certificates, PEM, of those who may speak for the server"
                    .to_owned()
            })?;
            crate::ldap_client::trusting(pem)
                .ok_or_else(|| "the file of --ca-file holds no certificates, PEM".to_owned())
        };
        let protection = match (place.url.scheme(), access.start_tls) {
            ("ldaps", _) => Protection::Tls(trusted()?),
            ("ldap", true) => Protection::StartTls(trusted()?),
            (_, true) => return Err("StartTLS is for ldap:// URLs".to_owned()),
            _ => Protection::None,
        };
        let server = Server { url: place.url.clone(), protection };
        let login = match access.login {
            Some(_) if !server.is_private() => {
                return Err("a password is not sent where others can listen: use ldaps://, or --start-tls, or ldap:// on this computer".to_owned());
            }
            // An empty password would bind as nobody (RFC 4513 section 5.1.2).
            Some((name, password)) if password.is_empty() => {
                return Err(format!("the password of {name} is empty"));
            }
            login => login,
        };
        let authorities = access.authorities.unwrap_or(&place.base).to_owned();
        Ok(Self { place, server, login, authorities })
    }

    pub(super) fn login(&self) -> Option<Login> {
        let (name, password) = self.login.clone()?;
        Some(Login { name, password })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_people_are() {
        assert!(LdapUrl::parse("/srv/pki").unwrap().is_none());
        let plain = LdapUrl::parse("ldap://127.0.0.1:3389/ou=people,dc=example,dc=org").unwrap().unwrap();
        assert_eq!(
            (plain.mail.as_str(), plain.scope, plain.filter.as_str()),
            ("mail", Scope::Subtree, "(objectClass=inetOrgPerson)")
        );
        let full = LdapUrl::parse("ldaps://h/dc=x?mailAlternate?one?(objectClass=person)").unwrap().unwrap();
        assert_eq!((full.mail.as_str(), full.scope), ("mailAlternate", Scope::OneLevel));
        for wrong in ["ldap://h", "ldap://h/dc=x?a,b", "ldap://a:b@h/dc=x", "ldap://h/dc=x?(mail"] {
            assert!(LdapUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_password_does_not_travel_in_the_clear() {
        let place = || LdapUrl::parse("ldap://ldap.example.org/dc=x").unwrap().unwrap();
        let access = |start_tls| Access {
            trusted: None,
            start_tls,
            login: Some(("cn=x".to_owned(), Zeroizing::new("secret".to_owned()))),
            authorities: None,
        };
        assert!(LdapTarget::new(place(), access(false)).err().unwrap().contains("others can listen"));
        assert!(LdapTarget::new(place(), access(true)).err().unwrap().contains("--ca-file"));
    }
}
