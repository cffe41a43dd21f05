//! People of an LDAP directory (RFC 4511), as a list of staff.

use std::path::Path;

use ldap3::adapters::{Adapter, EntriesOnly, PagedResults};
use ldap3::{Ldap, Scope, SearchEntry, get_url_params};
use middleware::secret_source::SecretSource;
use url::Url;

use super::failure::Failure;
use super::office::read_file;
use super::staff_file::{Fields, StaffList};
use crate::config::Config;
use crate::ldap_client::{self, LdapTrouble, Protection, Server, said};

/// A directory, and what of it is read.
#[derive(Clone, Debug)]
pub struct Source {
    url: Url,
    base: String,
    scope: Scope,
    filter: String,
    /// The attributes of name, mail address and identifier.
    attributes: [String; 3],
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub struct Login<'a> {
    /// Nobody, if absent.
    pub distinguished_name: Option<&'a str>,
    /// Where the password comes from; the terminal, if absent.
    pub password: Option<&'a SecretSource>,
}

/// An entry, as far as it is wanted.
struct Entry {
    distinguished_name: String,
    values: [Option<String>; 3],
}

/// What a directory answered.
struct Found {
    entries: Vec<Entry>,
    /// Where it has entries that are not among them (continuation references, RFC 4511 section 4.5.3).
    elsewhere: Vec<String>,
}

const PAGE: i32 = 500;

impl Source {
    /// Reads an LDAP URL (RFC 4516): its attributes are those of name, mail address and identifier, in this order; `cn`,
    /// `mail` and `employeeNumber` if it names none. `None` for what is no such URL.
    ///
    /// # Errors
    /// A URL that cannot be understood.
    pub fn parse(text: &str) -> Result<Option<Self>, Failure> {
        if !["ldap://", "ldaps://", "ldapi://"].iter().any(|scheme| text.starts_with(scheme)) {
            return Ok(None);
        }
        let wrong = |what: &str| Failure::usage(format!("{text:?}: {what}"));
        let url = Url::parse(text).map_err(|_| wrong("is not a URL"))?;
        if url.password().is_some() || !url.username().is_empty() {
            return Err(wrong("say who asks with --bind-dn and --bind-password-file, not in the URL"));
        }
        let (base, scope, filter, mut attributes) = {
            let parts = get_url_params(&url).map_err(|_| wrong("is no URL of a directory (RFC 4516)"))?;
            let attributes: Vec<_> = parts.attrs.iter().map(|name| (*name).to_owned()).collect();
            (parts.base.into_owned(), parts.scope, parts.filter.into_owned(), attributes)
        };
        if base.is_empty() {
            return Err(wrong(
                "name the entry below which people are: ldap://HOST/ou=people,dc=example,dc=org",
            ));
        }
        if attributes.is_empty() || attributes == ["*"] {
            attributes = ["cn", "mail", "employeeNumber"].map(str::to_owned).to_vec();
        }
        let attributes = <[String; 3]>::try_from(attributes).map_err(|_| {
            wrong("name three attributes, those of name, mail address and identifier, or none")
        })?;
        let is_default = filter.is_empty() || filter == "(objectClass=*)";
        let filter = if is_default { "(&(objectClass=person)(mail=*))".to_owned() } else { filter };
        Ok(Some(Self { url, base, scope, filter, attributes }))
    }
}

/// Asks the directory for everybody.
///
/// # Errors
/// It cannot be reached, refuses, answers too much or what cannot be understood; nothing is half read.
pub async fn read(
    source: &Source,
    login: Login<'_>,
    ca_file: Option<&Path>,
    config: &Config,
) -> Result<StaffList, Failure> {
    let server = Server { url: source.url.clone(), protection: protection(source.url.scheme(), ca_file)? };
    let login = login.opened(&server)?;
    let (wanted, place) = (source.clone(), server.name());
    let found = ldap_client::ask(server, login, async move |mut ldap| search(&mut ldap, &wanted).await);
    let found = found.map_err(|trouble| failure(&trouble, &place))?;
    let mut list = StaffList::default();
    for elsewhere in found.elsewhere {
        let message = "the directory has a part of its people there, and that is not read; name a directory that has all, or a filter that leaves it out".to_owned();
        list.add_unreadable(elsewhere, message);
    }
    for entry in &found.entries {
        let [name, mail, id] = &entry.values;
        let fields = Fields { name: name.as_deref(), mail: mail.as_deref(), id: id.as_deref(), until: None };
        list.add(entry.distinguished_name.clone(), fields, config);
    }
    Ok(list)
}

impl Login<'_> {
    /// With the password, which is only for whoever is asked.
    ///
    /// # Errors
    /// Others could listen, or there is no password.
    pub(super) fn opened(&self, server: &Server) -> Result<Option<ldap_client::Login>, Failure> {
        let Some(name) = self.distinguished_name else { return Ok(None) };
        if !server.is_private() {
            return Err(Failure::usage(
                "a password is not sent where others can listen: use ldaps://, or ldap:// on this computer",
            ));
        }
        let password = self.password.unwrap_or(&SecretSource::Terminal);
        let password = password
            .read(&format!("Password of {name}"))
            .map_err(|error| Failure::new("password", format!("the password cannot be read: {error}")))?;
        // An empty one would bind as nobody, and the answer would be short (RFC 4513 section 5.1.2).
        if password.is_empty() {
            return Err(Failure::new("password", "the password is empty"));
        }
        Ok(Some(ldap_client::Login { name: name.to_owned(), password }))
    }
}

fn protection(scheme: &str, ca_file: Option<&Path>) -> Result<Protection, Failure> {
    match (scheme, ca_file) {
        ("ldaps", Some(file)) => trusting(file).map(Protection::Tls),
        ("ldaps", None) => Err(Failure::usage(
            "ldaps:// needs --ca-file FILE: the certificates, PEM, of those who may speak for the server",
        )),
        _ => Ok(Protection::None),
    }
}

/// Those who may speak for a server, from a file.
///
/// # Errors
/// It holds no certificates.
pub(super) fn trusting(file: &Path) -> Result<std::sync::Arc<rustls::ClientConfig>, Failure> {
    let pem = read_file(file, 1024 * 1024)?;
    let unusable = || Failure::new("ca-file", format!("{}: holds no certificates, PEM", file.display()));
    ldap_client::trusting(&pem).ok_or_else(unusable)
}

fn failure(trouble: &LdapTrouble, place: &str) -> Failure {
    let message = match trouble {
        LdapTrouble::Filter => return Failure::usage(trouble.to_string()),
        LdapTrouble::Unreadable => format!("{place}: {trouble}; nothing was changed"),
        _ => format!("{place}: {trouble}"),
    };
    Failure::new(code(trouble), message)
}

/// A stable word for programs.
pub(super) fn code(trouble: &LdapTrouble) -> &'static str {
    match trouble {
        LdapTrouble::Unreachable(_) => "ldap-unreachable",
        LdapTrouble::UnknownLogin | LdapTrouble::Refused { .. } => "ldap-refused",
        LdapTrouble::Here(_) => "io",
        _ => "ldap",
    }
}

async fn search(ldap: &mut Ldap, source: &Source) -> Result<Found, LdapTrouble> {
    let attributes: Vec<&str> = source.attributes.iter().map(String::as_str).collect();
    let adapters: Vec<Box<dyn Adapter<_, _>>> =
        vec![Box::new(EntriesOnly::new()), Box::new(PagedResults::new(PAGE))];
    let searched =
        ldap.streaming_search_with(adapters, &source.base, source.scope, &source.filter, attributes).await;
    let mut stream = searched.map_err(|error| said(&error))?;
    let mut entries = Vec::new();
    while let Some(entry) = stream.next().await.map_err(|error| said(&error))? {
        let entry = SearchEntry::construct(entry);
        let value = |attribute: &String| {
            let mut found = entry.attrs.iter().filter(|(name, _)| name.eq_ignore_ascii_case(attribute));
            found.next().and_then(|(_, values)| values.first()).map(|value| value.trim().to_owned())
        };
        let values = source.attributes.each_ref().map(value);
        entries.push(Entry { distinguished_name: entry.dn.clone(), values });
    }
    let ended = stream.finish().await;
    let elsewhere = ended.refs.clone();
    ended.success().map_err(|error| said(&error))?;
    Ok(Found { entries, elsewhere })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_what_is_read() {
        let parse = |text: &str| Source::parse(text);
        assert!(parse("staff.csv").unwrap().is_none());
        let plain = parse("ldap://127.0.0.1:3389/ou=people,dc=example,dc=org").unwrap().unwrap();
        assert_eq!(plain.attributes, ["cn", "mail", "employeeNumber"]);
        let is_private =
            |source: &Source| Server { url: source.url.clone(), protection: Protection::None }.is_private();
        assert_eq!((plain.filter.as_str(), is_private(&plain)), ("(&(objectClass=person)(mail=*))", true));
        let full = parse("ldap://ldap.example.org/dc=x?displayName,mail,employeeID?one?(department=7)");
        let full = full.unwrap().unwrap();
        assert_eq!(full.attributes, ["displayName", "mail", "employeeID"]);
        assert_eq!(
            (full.scope, full.filter.as_str(), is_private(&full)),
            (Scope::OneLevel, "(department=7)", false)
        );
        for wrong in [
            "ldap://127.0.0.1",
            "ldap://127.0.0.1/dc=x?mail",
            "ldap://a:b@127.0.0.1/dc=x",
            "ldap://127.0.0.1/dc=x??deep",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
