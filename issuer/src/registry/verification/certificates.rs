//! Certificates and what CRLs say of them, as their events tell them.

use std::collections::BTreeMap;

use super::super::backup::{BackupValue, values};
use super::super::error::RegistryError;
use super::super::records::Standing;
use super::super::rows::{damaged, snapshot_text};
use super::difference::{Columns, Findings, Told};
use super::{Line, Page, Subjects, View, events, key_origins, shown, text};
use crate::domain::unicode::search_key;
use crate::domain::{Certificate, CertificateEvent, CertificateState, ReservedCertificate};

const TABLE: &str = "certificates";
const REVOCATIONS: &str = "revocations";

pub(super) async fn compare(
    view: &mut View,
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    let start = BackupValue::Octets { hex: String::new() };
    let of = Subjects { table: TABLE, key: "serial", event: "serial", start };
    let mut after = of.start.clone();
    loop {
        let page = view.page(&of, &after).await?;
        key_origins::compare_told(view, &page, findings).await?;
        let mut revocations = revocations(view, &page, &after).await?;
        for (serial, row, lines) in page.subjects() {
            let revocation = revocations.remove(serial);
            judge(&shown(serial), (row, revocation.as_ref()), lines, is_whole, findings)?;
        }
        for serial in revocations.keys() {
            findings.without_event(REVOCATIONS, &shown(serial), true);
        }
        let Some(last) = page.last else { return Ok(()) };
        after = last;
    }
}

async fn revocations(
    view: &mut View,
    page: &Page,
    after: &BackupValue,
) -> Result<BTreeMap<BackupValue, Columns>, RegistryError> {
    let found = match &page.last {
        Some(last) => {
            let statement = "SELECT * FROM revocations WHERE serial > $1 AND serial <= $2";
            view.fetch(statement, &[after, last]).await?
        }
        None => view.fetch("SELECT * FROM revocations WHERE serial > $1", &[after]).await?,
    };
    let mut revocations = BTreeMap::new();
    for row in &found {
        let columns = values(row)?;
        let serial = columns.get("serial").ok_or_else(|| damaged("a revocation is of no certificate"))?;
        revocations.insert(serial.clone(), columns);
    }
    Ok(revocations)
}

fn judge(
    serial: &str,
    (row, revocation): (Option<&Columns>, Option<&Columns>),
    lines: &[Line],
    is_whole: bool,
    findings: &mut Findings,
) -> Result<(), RegistryError> {
    let Some(row) = row else {
        findings.missing(TABLE, serial);
        return Ok(());
    };
    if lines.is_empty() {
        // In the earliest registries authorities' certificates had no events.
        let is_strange = is_whole || text(row, "state")? != Certificate::default().state().name();
        findings.without_event(TABLE, serial, is_strange);
        return Ok(());
    }
    let events: Vec<CertificateEvent> = events(lines)?;
    let told = Story::of(&events);
    let state = Certificate::replay(events.iter().cloned());
    findings.compare(TABLE, serial, row, told.columns(&state)?);
    let (since, standing, invalid_since) = match state.state() {
        CertificateState::Revoked { since, reason, invalid_since } => {
            (*since, Standing::Revoked(*reason), *invalid_since)
        }
        CertificateState::OnHold { since, .. } => (*since, Standing::OnHold, None),
        _ => {
            if revocation.is_some() {
                findings.without_event(REVOCATIONS, serial, true);
            }
            return Ok(());
        }
    };
    let Some(revocation) = revocation else {
        findings.missing(REVOCATIONS, serial);
        return Ok(());
    };
    let mut columns = vec![
        ("revoked_at", Told::time(since)),
        ("reason", Told::text(standing.as_str())),
        ("invalid_since", Told::optional(invalid_since, Told::time)),
    ];
    columns.extend(told.signer());
    findings.compare(REVOCATIONS, serial, revocation, columns);
    Ok(())
}

/// What the events of a certificate say of it beside its state.
struct Story<'a> {
    reserved: Option<&'a ReservedCertificate>,
    /// The attempt that took it over, if one did.
    attempt: Option<u32>,
    certificate: Told,
}

impl<'a> Story<'a> {
    fn of(events: &'a [CertificateEvent]) -> Self {
        let mut story = Self { reserved: None, attempt: None, certificate: Told::nothing() };
        for event in events {
            match event {
                CertificateEvent::CertificateReserved { certificate, .. } => {
                    story.reserved = certificate.as_deref();
                }
                CertificateEvent::CertificateSigned { certificate: Some(digest), .. } => {
                    story.certificate = Told::Digest(digest.clone());
                }
                CertificateEvent::CertificateSigned { certificate: None, .. } => {
                    story.certificate = Told::Untold;
                }
                CertificateEvent::CertificateAdopted { attempt, .. } => story.attempt = Some(*attempt),
                _ => {}
            }
        }
        story
    }

    /// Whose key signs it.
    fn signer(&self) -> [(&'static str, Told); 2] {
        match self.reserved {
            Some(told) => {
                [("authority", Told::text(&told.authority)), ("generation", Told::number(told.generation))]
            }
            None => ["authority", "generation"].map(|column| (column, Told::Untold)),
        }
    }

    fn columns(&self, state: &Certificate) -> Result<Vec<(&'static str, Told)>, RegistryError> {
        let mut columns = vec![
            ("state", Told::text(state.state().name())),
            ("snapshot", Told::Json(snapshot_text(state)?)),
            ("certificate", self.certificate.clone()),
        ];
        columns.extend(self.signer());
        let Some(told) = self.reserved else {
            columns.push(("attempt", self.attempt.map_or(Told::Untold, Told::number)));
            return Ok(columns);
        };
        let on_card = told.on_card.as_ref();
        columns.extend([
            ("profile", Told::text(&told.profile)),
            ("subject", Told::text(&told.subject)),
            ("subject_key", Told::text(search_key(&told.subject))),
            ("mail", Told::optional(told.mail.as_ref(), Told::text)),
            ("holder", Told::optional(on_card, |on_card| Told::number(on_card.holder.0))),
            ("card", Told::optional(on_card, |on_card| Told::number(on_card.card.0))),
            (
                "attempt",
                Told::optional(on_card, |on_card| Told::number(self.attempt.unwrap_or(on_card.attempt))),
            ),
            ("card_key", Told::optional(on_card, |on_card| Told::text(&on_card.key))),
            ("not_before", Told::time(told.not_before)),
            ("not_after", Told::time(told.not_after)),
            ("to_be_signed", Told::Digest(told.to_be_signed.clone())),
        ]);
        Ok(columns)
    }
}
