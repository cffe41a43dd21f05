//! Where the keys of cards came from, as the certificates that were made for them tell it. Of what an earlier program recorded
//! no event tells: there the word is compared with the evidence that its row carries.

use std::collections::BTreeMap;

use super::super::backup::{BackupValue, values};
use super::super::error::RegistryError;
use super::super::key_origins::KeyOriginRecord;
use super::difference::{Columns, Findings, Told};
use super::{Page, View, octets, text};
use crate::domain::{CertificateEvent, ToldKey, ToldKeyOrigin};

const TABLE: &str = "key_origins";

/// Compares what the certificates of a page tell.
pub(super) async fn compare_told(
    view: &mut View,
    page: &Page,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    let mut told = told_by(page);
    let keys: Vec<_> = told.keys().map(|key| BackupValue::Octets { hex: key.clone() }).collect();
    if keys.is_empty() {
        return Ok(());
    }
    let places: Vec<_> = (1..=keys.len()).map(|place| format!("${place}")).collect();
    let statement = format!("SELECT * FROM key_origins WHERE public_key IN ({})", places.join(", "));
    for row in &view.fetch(&statement, &keys.iter().collect::<Vec<_>>()).await? {
        let row = values(row)?;
        let key = octets(&row, "public_key")?;
        match told.remove(&key) {
            Some(Some(origin)) => findings.compare(TABLE, &key, &row, columns(&origin)),
            Some(None) => findings.without_event(TABLE, &key, true),
            None => {}
        }
    }
    let missing = told.iter().filter(|(_, origin)| origin.is_some());
    missing.for_each(|(key, _)| findings.missing(TABLE, key));
    Ok(())
}

/// By the key: what its newest certificate of the page tells.
fn told_by(page: &Page) -> BTreeMap<String, Option<ToldKeyOrigin>> {
    let lines = page.subjects().flat_map(|(_, _, lines)| lines);
    let told = lines.filter(|line| line.record.detail.contains("\"public_key\"")).filter_map(|line| {
        let told = match serde_json::from_str(&line.record.detail).ok()? {
            CertificateEvent::CertificateReserved { certificate, .. } => certificate?.key?,
            _ => return None,
        };
        Some((line.record.sequence, told))
    });
    let mut told: Vec<_> = told.collect();
    told.sort_by_key(|(sequence, _)| *sequence);
    told.into_iter().map(|(_, ToldKey { public_key, origin })| (public_key, origin)).collect()
}

fn columns(told: &ToldKeyOrigin) -> Vec<(&'static str, Told)> {
    let evidence = |digest: &Option<String>| digest.clone().map_or(Told::nothing(), Told::Digest);
    vec![
        ("card", Told::number(told.card.0)),
        ("card_key", Told::text(&told.card_key)),
        ("origin", Told::text(&told.origin)),
        ("statement", evidence(&told.statement)),
        ("issuer", evidence(&told.issuer)),
        ("root", evidence(&told.root)),
        ("at", Told::time(told.at)),
    ]
}

/// Compares the word of each record with the evidence that it carries.
pub(super) async fn compare_carried(view: &mut View, findings: &mut Findings) -> Result<(), RegistryError> {
    view.each(TABLE, |row: Columns| {
        let (key, origin) = (octets(&row, "public_key")?, text(&row, "origin")?);
        let has = |column| row.contains_key(column);
        let carried = KeyOriginRecord::word_of(has("statement"), has("root"));
        let agrees = carried.map_or(!origin.starts_with("attested"), |carried| carried == origin);
        if !agrees && !findings.names(TABLE, &key) {
            let carried = carried.unwrap_or("generated or injected");
            findings.compare(TABLE, &key, &row, vec![("origin", Told::text(carried))]);
        }
        Ok(())
    })
    .await
}
