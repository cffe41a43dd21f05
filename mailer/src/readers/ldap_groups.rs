//! Classes of readers that are groups of an LDAP server (RFC 4519 sections 3.5 and 3.6).
//!
//! Only the configured server is asked; its word is as good as its TLS certificate. Nobody in a group is left out silently.
use super::class_list::{Member, ReaderClass};
use super::error::ReadersError;
use super::ldap::message::{Entry, Filter, Scope, Search};
use super::ldap::{Client, LdapUrl};
use crate::message::address::Address;
use crate::message::terminal_text::safe_line;

/// The most members of a group.
const MOST_MEMBERS: usize = 10_000;
/// How many members without an address are named.
const MOST_NAMED: usize = 20;

/// The members of the group with this common name, each with the first address of its entry.
///
/// # Errors
/// There is no such group, or several, or it has nobody, or members who cannot be written to; the server cannot be asked.
pub fn class(client: &mut Client, url: &LdapUrl, name: &str) -> Result<ReaderClass, ReadersError> {
    let group = group(client, url, name)?;
    let names: Vec<&[u8]> = group.values("member").chain(group.values("uniqueMember")).collect();
    if names.len() > MOST_MEMBERS {
        let problem = "the group has more members than are read";
        return Err(ReadersError::BadAnswer { server: url.to_string(), problem });
    }
    let (mut members, mut without) = (Vec::<Member>::new(), Vec::new());
    let mut known = std::collections::HashSet::new();
    for octets in names {
        let Some(member) = distinguished_name(octets) else {
            without.push("one whose name is not text".to_owned());
            continue;
        };
        if member.is_empty() {
            // groupOfNames must have a member; where there is none, the empty name stands there by custom.
            continue;
        }
        match address(client, member)? {
            Some(address) if known.insert(address.key()) => members.push(Member { address, clearance: None }),
            Some(_) => {}
            None => without.push(safe_line(member)),
        }
    }
    if !without.is_empty() {
        without.truncate(MOST_NAMED);
        return Err(ReadersError::WithoutAddress { class: name.to_owned(), members: without });
    }
    if members.is_empty() {
        return Err(ReadersError::Empty(name.to_owned()));
    }
    let description = group.values("description").next().map(String::from_utf8_lossy).unwrap_or_default();
    Ok(ReaderClass { name: name.to_owned(), description: safe_line(&description), policy: None, members })
}

fn group(client: &mut Client, url: &LdapUrl, name: &str) -> Result<Entry, ReadersError> {
    let kinds = ["groupOfNames", "groupOfUniqueNames"];
    let kinds = kinds.map(|kind| Filter::Equals("objectClass", kind.to_owned())).to_vec();
    let question = Search {
        base: &url.base,
        scope: Scope::Subtree,
        most: 2,
        filter: Filter::And(vec![Filter::Or(kinds), Filter::Equals("cn", name.to_owned())]),
        attributes: &["member", "uniqueMember", "description"],
    };
    let mut found = client.search(&question)?.unwrap_or_default();
    let unknown = || ReadersError::UnknownClass { name: name.to_owned(), known: Vec::new() };
    match found.len() {
        0 | 1 => found.pop().ok_or_else(unknown),
        _ => Err(ReadersError::Ambiguous { server: url.to_string(), name: name.to_owned() }),
    }
}

/// The first mail address of an entry; `None` where there is no entry, or none that is an address.
fn address(client: &mut Client, name: &str) -> Result<Option<Address>, ReadersError> {
    let question = Search {
        base: name,
        scope: Scope::Base,
        most: 1,
        filter: Filter::Present("objectClass"),
        attributes: &["mail"],
    };
    let found = match client.search(&question) {
        // What stands there is no distinguished name: nobody's.
        Err(ReadersError::Refused { code: INVALID_DN_SYNTAX, .. }) => None,
        found => found?,
    };
    let entry = found.into_iter().flatten().next();
    let mail = entry.as_ref().and_then(|entry| entry.values("mail").next());
    Ok(mail.and_then(|mail| std::str::from_utf8(mail).ok()).and_then(|mail| mail.parse().ok()))
}

const INVALID_DN_SYNTAX: u32 = 34;

/// `NameAndOptionalUID = distinguishedName [ SHARP BitString ]` (RFC 4517 section 3.3.21): without the bits.
fn distinguished_name(octets: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(octets).ok()?;
    let without = text.rsplit_once('#').filter(|(_, bits)| bits.starts_with('\'') && bits.ends_with("'B"));
    Some(without.map_or(text, |(name, _)| name).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_without_their_bits() {
        for (value, name) in [
            ("uid=a,dc=x", "uid=a,dc=x"),
            ("uid=a,dc=x#'0101'B", "uid=a,dc=x"),
            ("cn=a#b,dc=x", "cn=a#b,dc=x"),
            (" ", ""),
        ] {
            assert_eq!(distinguished_name(value.as_bytes()), Some(name));
        }
        assert_eq!(distinguished_name(&[0xFF]), None);
    }
}
