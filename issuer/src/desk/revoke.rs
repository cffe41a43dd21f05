//! `issuer revoke`: a card is lost, a person leaves.

pub mod cli;

use jiff::Timestamp;
use serde::Serialize;

use super::ca::succession::CROSS;
use super::failure::{Failure, Status};
use super::invalidity_date::refuse_before_there_was_a_key;
use super::office::Office;
use super::output::{self, Format};
use super::texts;
use crate::domain::{Act, Cardholder, GuardedAct, Permission, RevocationReason, SerialNumber};
use crate::registry::{Approved, CertificateRecord};

/// What `revoke` was told.
pub struct Order {
    /// Mail address, staff identifier, or a certificate's serial number.
    pub whom: String,
    /// Why.
    pub reason: RevocationReason,
    /// Since when the key was not its holder's alone, where known.
    pub invalid_since: Option<Timestamp>,
    /// What of the card without which the desk stands still.
    pub last: LastOne,
}

/// Whether a desk may be left without anybody who administers it, or who approves what needs two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastOne {
    /// It may not.
    Stays,
    /// The approver's card is lost or stolen: that counts more.
    ApproverMayGo,
    /// The administrator's card is.
    AdministratorMayGo,
}

#[derive(Serialize)]
struct Summary {
    revoked: Vec<String>,
    explained: Vec<String>,
    cards_ended: usize,
    cards_back_to_stock: usize,
    cards_set_aside: usize,
    reason: &'static str,
}

/// Revokes; committed before anything is published.
///
/// # Errors
/// Nobody and nothing of that name, or everything is revoked already.
pub async fn run(office: &Office, order: &Order, format: Format) -> Result<Status, Failure> {
    match order.last {
        LastOne::Stays => revoke(office, order, Approved::default(), format).await,
        LastOne::ApproverMayGo => {
            office.master_key(&office.passphrase()?).await?;
            office.registry.letting_last_approver_go(revoke(office, order, Approved::default(), format)).await
        }
        LastOne::AdministratorMayGo => {
            let approved = if can_be_approved(office, order).await? {
                let details = format!("revoke {} although nobody else administers the desk", order.whom);
                office.approve(&GuardedAct::new(Act::DualControl, &details)).await?
            } else {
                office.master_key(&office.passphrase()?).await?;
                Approved::default()
            };
            office.registry.letting_last_administrator_go(revoke(office, order, approved, format)).await
        }
    }
}

/// Whether nothing needs two, or somebody is left who can approve: another one than whose card it is about.
async fn can_be_approved(office: &Office, order: &Order) -> Result<bool, Failure> {
    if office.registry.dual_control().await?.is_empty() {
        return Ok(true);
    }
    let holder = office.registry.cardholder_named(&order.whom).await?.map(|holder| holder.id);
    let serial = SerialNumber::from_hex(&order.whom);
    // By a clock that is far ahead nobody could.
    let now = office.time_in_log().await?;
    let operators = office.registry.operators().await?;
    Ok(operators.iter().any(|operator| {
        let is_meant = Some(operator.person) == holder || Some(&operator.serial) == serial.as_ref();
        !is_meant && operator.judge(Permission::Approve, now).is_ok()
    }))
}

async fn revoke(
    office: &Office,
    order: &Order,
    mut approved: Approved,
    format: Format,
) -> Result<Status, Failure> {
    if let Some(holder) = office.registry.cardholder_named(&order.whom).await? {
        let now = office.time_to_revoke().await?;
        return revoke_person(office, order, &holder, (approved, now), format).await;
    }
    let certificate = match SerialNumber::from_hex(&order.whom) {
        Some(serial) => office.registry.certificate(&serial).await?,
        None => None,
    };
    let Some(certificate) = certificate else {
        let message = format!(
            "nobody has the mail address or identifier {0:?}, and no certificate has that serial number; look with: issuer find {0}",
            order.whom
        );
        return Err(Failure::new("unknown-person", message));
    };
    let of_key = certificates_of_key(office, &certificate).await?;
    refuse_before_there_was_a_key(&of_key, order.invalid_since)?;
    let serial = certificate.serial;
    let is_of_authority = certificate.profile.starts_with("issuing-authority")
        || ["root", CROSS].contains(&certificate.profile.as_str());
    if !is_of_authority {
        refuse_reason_of_authorities(order)?;
    }
    if certificate.profile.starts_with("issuing-authority") || certificate.profile == "root" {
        let details = format!("{serial} {}", order.reason.as_str());
        approved = approved.and(office.approve(&GuardedAct::new(Act::RevokeAuthority, &details)).await?);
    }
    let (registry, now) = (&office.registry, office.time_to_revoke().await?);
    let revoking = registry.revoke_certificate(&serial, order.reason, order.invalid_since, now);
    registry.spending(approved, now, revoking).await?;
    let summary = Summary {
        revoked: vec![serial.to_string()],
        explained: Vec::new(),
        cards_ended: 0,
        cards_back_to_stock: 0,
        cards_set_aside: 0,
        reason: order.reason.as_str(),
    };
    let number = serial.to_string();
    let values =
        [("serial", number.as_str()), ("subject", &certificate.subject), ("reason", order.reason.as_str())];
    let sentence = texts::say("revoke-one", &values);
    report(&summary, &sentence, format)
}

/// A certificate, and those of before for the same key of its card: the key may be older than its newest certificate.
async fn certificates_of_key(
    office: &Office,
    certificate: &CertificateRecord,
) -> Result<Vec<CertificateRecord>, Failure> {
    let mut all = vec![certificate.clone()];
    if let Some((card, _)) = certificate.card {
        let others = office.registry.certificates_of_card(card).await?.into_iter();
        all.extend(
            others.filter(|other| (other.card, other.card_key) == (certificate.card, certificate.card_key)),
        );
    }
    Ok(all)
}

/// RFC 5280 section 5.3.1: cACompromise says that nothing of an authority is to be trusted any more.
fn refuse_reason_of_authorities(order: &Order) -> Result<(), Failure> {
    if order.reason != RevocationReason::CaCompromise {
        return Ok(());
    }
    let message = format!(
        "ca-compromise is for the certificate of an authority, and {} is none; say key-compromise",
        order.whom
    );
    Err(Failure::new("reason-of-authorities", message))
}

async fn revoke_person(
    office: &Office,
    order: &Order,
    holder: &Cardholder,
    (approved, now): (Approved, Timestamp),
    format: Format,
) -> Result<Status, Failure> {
    refuse_reason_of_authorities(order)?;
    let registry = &office.registry;
    let certificates = registry.certificates_of(holder.id).await?;
    refuse_before_there_was_a_key(&certificates, order.invalid_since)?;
    let revoking = registry.revoke_cardholder(holder.id, order.reason, order.invalid_since, now);
    let done = registry.spending(approved, now, revoking).await?;
    let mail = holder.mail.as_str();
    if done.changed_nothing() {
        return Err(match done.earlier {
            Some((at, reason)) => Failure::new(
                "already-revoked",
                format!("everything of {mail} was revoked already, at {at} ({reason}); nothing was changed"),
            ),
            None => Failure::new(
                "nothing-to-revoke",
                format!("{mail} has no card and no certificates; nothing was changed"),
            ),
        });
    }
    let summary = Summary {
        revoked: done.certificates.iter().map(ToString::to_string).collect(),
        explained: done.explained.iter().map(ToString::to_string).collect(),
        cards_ended: done.cards.len(),
        cards_back_to_stock: done.abandoned.len(),
        cards_set_aside: done.set_aside.len(),
        reason: order.reason.as_str(),
    };
    let reason = order.reason.as_str();
    let mut sentence = format!("{} <{mail}>:", holder.name.as_str());
    let mut add = |said: String| {
        sentence.push(' ');
        sentence.push_str(&said);
    };
    match done.certificates.len() {
        0 => {}
        1 => add(texts::say("revoke-certificate", &[("reason", reason)])),
        count => add(texts::say("revoke-certificates", &[("count", &count.to_string()), ("reason", reason)])),
    }
    match done.explained.len() {
        0 => {}
        1 => add(texts::say("revoke-explained", &[("reason", reason)])),
        count => {
            add(texts::say("revoke-explained-several", &[("count", &count.to_string()), ("reason", reason)]));
        }
    }
    match (done.cards.is_empty(), done.abandoned.is_empty(), done.set_aside.is_empty()) {
        (false, ..) => add(texts::say("revoke-card-ended", &[])),
        (_, false, _) => add(texts::say("revoke-card-in-stock", &[])),
        (_, _, false) => add(texts::say("revoke-card-set-aside", &[])),
        _ => {}
    }
    report(&summary, &sentence, format)
}

fn report(summary: &Summary, sentence: &str, format: Format) -> Result<Status, Failure> {
    match format {
        Format::Json => output::json(summary)?,
        Format::Text if summary.revoked.is_empty() && summary.explained.is_empty() => {
            output::line(sentence)?;
        }
        Format::Text => output::line(&format!("{sentence} {}", texts::say("changed-publish", &[])))?,
    }
    Ok(Status::Done)
}
