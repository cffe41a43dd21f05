//! `userCertificate;binary` of the entries that have a mail address.
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ldap3::{Ldap, Mod, Scope, SearchEntry, ldap_escape};
use tokio::task::JoinSet;

use super::attribute::{self, difference, values};
use super::authority::is_certificate;
use super::{LdapFailure, LdapTarget, Ours, Outcome, spelling};
use crate::ldap_client::{self, LdapTrouble, said};

/// What a directory shall hold of an address.
#[derive(Clone, Debug)]
pub struct AddressEntry {
    /// The address, in lower case.
    pub address: String,
    /// Every certificate of it that everybody should find, DER.
    pub certificates: Vec<Vec<u8>>,
}

const ATTRIBUTE: &str = "userCertificate;binary";

/// Addresses that one search asks for, and entries that are changed at a time.
const TOGETHER: usize = 50;

/// Brings the entries of these addresses into this state; the answers are in the order of the addresses.
///
/// # Errors
/// The directory cannot be reached, or does not answer as one.
pub fn publish_addresses(
    target: &LdapTarget,
    ours: Arc<Ours>,
    entries: Vec<AddressEntry>,
) -> Result<Vec<Outcome>, LdapFailure> {
    let place = Place::of(target);
    let done = ldap_client::ask(target.server.clone(), target.login(), async move |mut ldap| {
        let mut outcomes = Vec::new();
        for chunk in entries.chunks(TOGETHER) {
            outcomes.extend(bring(&mut ldap, &place, &ours, chunk).await?);
        }
        Ok(outcomes)
    });
    Ok(done?)
}

/// Whether what comes out of a stream answers a search for an address, for [`crate::fuzz`].
pub(crate) fn reads_answer(stream: std::os::unix::net::UnixStream) -> bool {
    let place = Place {
        base: "dc=example".to_owned(),
        scope: Scope::Subtree,
        filter: "(objectClass=inetOrgPerson)".to_owned(),
        mail: "mail".to_owned(),
    };
    let wanted =
        vec![AddressEntry { address: "alice@example.org".to_owned(), certificates: vec![vec![0x30, 0]] }];
    let planned = ldap_client::ask_stream(stream, async move |mut ldap| {
        let found = find(&mut ldap, &place, &wanted).await?;
        Ok(wanted.iter().any(|entry| plan(&place, &Ours::new([]), entry, entries_of(&found, entry)).is_ok()))
    });
    planned.unwrap_or(false)
}

/// Where people are.
struct Place {
    base: String,
    scope: Scope,
    filter: String,
    mail: String,
}

impl Place {
    fn of(target: &LdapTarget) -> Self {
        let place = &target.place;
        Self {
            base: place.base.clone(),
            scope: place.scope,
            filter: place.filter.clone(),
            mail: place.mail.clone(),
        }
    }
}

/// An entry of an address.
#[derive(Clone)]
struct Found {
    name: String,
    certificates: Vec<Vec<u8>>,
    /// Every address of the entry, as it is there.
    addresses: Vec<String>,
    /// Whether it is found by another of its addresses as well: what is nobody's there is taken out once.
    is_found_before: bool,
}

async fn bring(
    ldap: &mut Ldap,
    place: &Place,
    ours: &Ours,
    wanted: &[AddressEntry],
) -> Result<Vec<Outcome>, LdapTrouble> {
    let before = find(ldap, place, wanted).await?;
    let mut outcomes = Vec::new();
    let mut changes = JoinSet::new();
    for (index, entry) in wanted.iter().enumerate() {
        match plan(place, ours, entry, entries_of(&before, entry)) {
            Ok(None) => outcomes.push(Outcome::UNCHANGED),
            Ok(Some(Planned { name, modifications, mended })) => {
                let mut ldap = ldap.clone();
                changes.spawn(async move { (index, modify(&mut ldap, &name, modifications).await) });
                outcomes.push(Outcome::Done { changed: true, mended });
            }
            Err(trouble) => outcomes.push(Outcome::Trouble(trouble)),
        }
    }
    if changes.is_empty() {
        return Ok(outcomes);
    }
    while let Some(done) = changes.join_next().await {
        let (index, result) = done.map_err(|_| LdapTrouble::Unreadable)?;
        if let (Some(trouble), Some(outcome)) = (result?, outcomes.get_mut(index)) {
            *outcome = Outcome::Trouble(trouble);
        }
    }
    let after = find(ldap, place, wanted).await?;
    for (entry, outcome) in wanted.iter().zip(&mut outcomes) {
        let was_changed = matches!(outcome, Outcome::Done { changed: true, .. });
        if was_changed && !matches!(plan(place, ours, entry, entries_of(&after, entry)), Ok(None)) {
            *outcome = Outcome::Trouble(format!(
                "the directory said that the certificates of {} are written, but read back its entry holds others; look at the server",
                entry.address
            ));
        }
    }
    Ok(outcomes)
}

fn entries_of<'a>(found: &'a BTreeMap<String, Vec<Found>>, wanted: &AddressEntry) -> &'a [Found] {
    found.get(&spelling::key(&wanted.address)).map(Vec::as_slice).unwrap_or_default()
}

/// What is to be changed, and where.
struct Planned {
    name: String,
    modifications: Vec<Mod<Vec<u8>>>,
    mended: Vec<String>,
}

fn plan(
    place: &Place,
    ours: &Ours,
    wanted: &AddressEntry,
    found: &[Found],
) -> Result<Option<Planned>, String> {
    let (address, base) = (&wanted.address, &place.base);
    match found {
        // Who is not there finds no certificate either.
        [] if wanted.certificates.is_empty() => Ok(None),
        [] => Err(format!(
            "no entry below {base} has {}={address}; add one to the directory, the certificates follow by themselves",
            place.mail
        )),
        [entry] => {
            let is_damaged = |value: &[u8]| ours.is_damaged_of_address(value, address);
            let strays = |value: &[u8]| {
                let whose = ours.strays(value, &entry.addresses)?;
                (!entry.is_found_before).then_some(whose)
            };
            let is_ours = |value: &[u8]| {
                ours.is_of_address(value, address) || is_damaged(value) || strays(value).is_some()
            };
            let present = &entry.certificates;
            let change = difference(present, &wanted.certificates, is_ours);
            let taken_out = change.remove.iter().filter_map(|value| strays(value)).map(|whose| {
                format!(
                    "{}: {ATTRIBUTE} held a certificate of ours for {whose}, whose entry that is not; it is taken out",
                    entry.name
                )
            });
            let damaged = attribute::mended(&entry.name, ATTRIBUTE, &change, is_damaged);
            Ok((!change.is_empty()).then(|| Planned {
                name: entry.name.clone(),
                modifications: attribute::modifications(ATTRIBUTE, present, &change, is_certificate),
                mended: damaged.into_iter().chain(taken_out).collect(),
            }))
        }
        [first, second, ..] => Err(format!(
            "more than one entry below {base} has {}={address} ({} and {}); whose certificates they are cannot be told",
            place.mail, first.name, second.name
        )),
    }
}

/// Entries by what their addresses are compared by.
async fn find(
    ldap: &mut Ldap,
    place: &Place,
    wanted: &[AddressEntry],
) -> Result<BTreeMap<String, Vec<Found>>, LdapTrouble> {
    let any: String = wanted
        .iter()
        .map(|entry| format!("({}={})", place.mail, ldap_escape(entry.address.as_str())))
        .collect();
    let filter = format!("(&{}(|{any}))", place.filter);
    let attributes = vec![place.mail.as_str(), ATTRIBUTE];
    let result = ldap.search(&place.base, place.scope, &filter, attributes).await;
    let (entries, _) = result.and_then(ldap3::SearchResult::success).map_err(|error| said(&error))?;
    let wanted: BTreeSet<_> = wanted.iter().map(|wanted| spelling::key(&wanted.address)).collect();
    let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for entry in entries.into_iter().filter(|entry| !entry.is_ref()) {
        let entry = SearchEntry::construct(entry);
        let certificates = values(&entry, ATTRIBUTE);
        let mails = values(&entry, &place.mail);
        let addresses: Vec<_> = mails.iter().map(|mail| String::from_utf8_lossy(mail).into_owned()).collect();
        let mut is_found_before = false;
        // Two spellings of one address are one way to find the entry.
        let keys: BTreeSet<_> = addresses.iter().map(|address| spelling::key(address)).collect();
        for key in keys {
            let one = Found {
                name: entry.dn.clone(),
                certificates: certificates.clone(),
                addresses: addresses.clone(),
                is_found_before,
            };
            is_found_before |= wanted.contains(&key);
            found.entry(key).or_default().push(one);
        }
    }
    Ok(found)
}

/// Changes one entry; why it could not, when that is the entry's own affair.
async fn modify(
    ldap: &mut Ldap,
    name: &str,
    modifications: Vec<Mod<Vec<u8>>>,
) -> Result<Option<String>, LdapTrouble> {
    let result = ldap.modify(name, modifications).await;
    match result.and_then(ldap3::LdapResult::success).map_err(|error| said(&error)) {
        Ok(_) => Ok(None),
        Err(trouble) => super::authority::of_one_entry(name, trouble).map(Some),
    }
}
