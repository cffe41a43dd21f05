//! Authorities, their keys, certificates and CRLs, as their events tell them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::error::RegistryError;
use super::difference::{Columns, Findings, Told};
use super::topics::{digest_of, of_table};
use super::{View, number, text, told_number};
use crate::domain::{AuthorityHistory, AuthorityName, Known};

type Histories = BTreeMap<AuthorityName, AuthorityHistory>;

/// Compares the tables of authorities; where the log does not begin with the registry, rows of which it says nothing are an
/// earlier program's.
pub(super) async fn compare(
    view: &mut View,
    histories: &Histories,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    present(view, histories, is_whole, findings).await?;
    keys(view, histories, is_whole, findings).await?;
    certificates(view, histories, is_whole, findings).await?;
    numbers(view, histories, is_whole, findings).await?;
    parts(view, histories, is_whole, findings).await
}

async fn present(
    view: &mut View,
    histories: &Histories,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    // An earlier program's authority may have events of CRLs and none of itself: its row must be there all the same.
    let told = histories.iter().map(|(name, history)| {
        let certificate = Told::known(&history.certificate, |digest| Told::Digest(digest.clone()));
        (name.as_str().to_owned(), vec![("certificate", certificate)])
    });
    of_table(view, "authorities", |row| text(row, "name"), told.collect(), is_whole, findings).await
}

async fn keys(
    view: &mut View,
    histories: &Histories,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    let mut told = BTreeMap::new();
    for (name, history) in histories {
        for (generation, key) in &history.keys {
            let certificate = Told::known(&key.certificate, |digest| Told::Digest(digest.clone()));
            let columns = vec![("key_identifier", Told::hex(&key.identifier)), ("certificate", certificate)];
            told.insert(numbered(name.as_str(), *generation), columns);
        }
    }
    let key = |row: &Columns| Ok(numbered(&text(row, "authority")?, number(row, "generation")?));
    of_table(view, "authority_keys", key, told, is_whole, findings).await
}

async fn certificates(
    view: &mut View,
    histories: &Histories,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    const TABLE: &str = "authority_certificates";
    let shown = |(name, generation, kind, digest): &(String, i64, String, String)| {
        format!("{} {kind} with SHA-256 {digest}", numbered(name, generation))
    };
    let mut told: BTreeSet<_> = histories
        .iter()
        .flat_map(|(name, history)| history.certificates.iter().map(move |certificate| (name, certificate)))
        .map(|(name, (generation, kind, digest))| {
            (name.as_str().to_owned(), i64::from(*generation), kind.clone(), digest.clone())
        })
        .collect();
    view.each(TABLE, |row| {
        let (name, generation) = (text(&row, "authority")?, number(&row, "generation")?);
        let found = (name, generation, text(&row, "kind")?, digest_of(&row, "certificate")?);
        if told.remove(&found) {
            findings.compare(TABLE, &shown(&found), &row, Vec::new());
        } else {
            findings.without_event(TABLE, &shown(&found), is_whole);
        }
        Ok(())
    })
    .await?;
    told.iter().for_each(|missing| findings.missing(TABLE, &shown(missing)));
    Ok(())
}

async fn numbers(
    view: &mut View,
    histories: &Histories,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    let mut told = BTreeMap::new();
    for (name, history) in histories {
        for (number, crl) in &history.crls {
            let columns = vec![
                ("this_update", Told::time(crl.this_update)),
                ("next_update", Told::known(&crl.next_update, |time| Told::time(*time))),
                ("crl", crl_told(&crl.crl)),
            ];
            told.insert(numbered(name.as_str(), told_number(*number)?), columns);
        }
    }
    let key = |row: &Columns| Ok(numbered(&text(row, "authority")?, number(row, "number")?));
    of_table(view, "crls", key, told, is_whole, findings).await
}

fn crl_told(crl: &Known<Option<String>>) -> Told {
    Told::known(crl, |crl| Told::optional(crl.clone(), Told::Digest))
}

async fn parts(
    view: &mut View,
    histories: &Histories,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    let mut told = BTreeMap::new();
    for (name, history) in histories {
        for (file, (number, digest)) in &history.parts {
            let columns =
                vec![("number", Told::number(told_number(*number)?)), ("crl", Told::Digest(digest.clone()))];
            told.insert(format!("{name} {file}"), columns);
        }
    }
    let key = |row: &Columns| Ok(format!("{} {}", text(row, "authority")?, text(row, "file")?));
    of_table(view, "crl_parts", key, told, is_whole, findings).await
}

fn numbered(name: &str, number: impl std::fmt::Display) -> String {
    format!("{name} {number}")
}
