//! The certificates on a card beside those of the registry, and the keys beside their certificates.

use jiff::Timestamp;
use middleware::{Card, CardError, KeyReference};
use rand_core::CryptoRng;

use super::super::error::PersonalizationError;
use super::super::exercise::{exercise, key_reference};
use super::super::{blank, domain_serial};
use super::{Comparison, Disagreement, Finding, Outcome, Subject, Unproven};
use crate::ca::Certificate;
use crate::ca::crl::view::CrlView;
use crate::domain::{AuthorityName, CardKey, CardState, CertificateState, Reach, SerialNumber};
use crate::registry::{CardRecord, CertificateRecord};

/// Every key that has a certificate or should have one, then what the registry has beside.
pub(super) async fn compare(
    comparison: &Comparison<'_>,
    record: &CardRecord,
    card: &mut Card,
    random: &mut dyn CryptoRng,
) -> Result<Vec<Finding>, PersonalizationError> {
    let registered = comparison.registry.certificates_of_card(record.id).await?;
    let mut findings = Vec::new();
    let mut on_card = Vec::new();
    for reference in KeyReference::PRIMARY.into_iter().chain(KeyReference::retired()) {
        let key = CardKey::ALL.into_iter().find(|key| key_reference(*key) == reference);
        let stored = match card.certificate(reference) {
            Ok(stored) => stored,
            Err(CardError::MalformedAnswer(_)) => {
                findings.push(differs(Subject::Certificate(reference), Disagreement::Unreadable));
                continue;
            }
            // A card may not know the containers of retired keys.
            Err(CardError::Refused { .. }) if key.is_none() => continue,
            Err(error) => return Err(error.into()),
        };
        let Some(der) = stored else {
            findings.extend(missing(reference, key, record, &registered, comparison.now));
            findings.extend(alone_in_stock(card, reference, record)?);
            continue;
        };
        let Ok(certificate) = Certificate::from_der(der) else {
            findings.push(differs(Subject::Certificate(reference), Disagreement::Unreadable));
            continue;
        };
        let outcome = judge(comparison, record, key, &certificate, &registered).await?;
        findings.push(Finding { subject: Subject::Certificate(reference), outcome });
        findings.push(of_key(comparison, card, reference, key, &certificate, random)?);
        on_card.push(domain_serial(certificate.serial_number())?);
    }
    findings.extend(beside(record, &registered, &on_card, comparison.now));
    Ok(findings)
}

/// A primary key of somebody's card without a certificate, although the registry has one for it.
fn missing(
    reference: KeyReference,
    key: Option<CardKey>,
    record: &CardRecord,
    registered: &[CertificateRecord],
    now: Timestamp,
) -> Option<Finding> {
    let wanted = registered.iter().find(|certificate| {
        key.is_some() && certificate.card_key == key && is_valid(certificate, now) && is_out(certificate)
    })?;
    record.card.state().is_live().then(|| {
        let disagreement = Disagreement::CertificateMissing(wanted.serial.clone());
        differs(Subject::Certificate(reference), disagreement)
    })
}

/// A key without certificate on a card in stock, which no attempt of this desk left there.
fn alone_in_stock(
    card: &mut Card,
    reference: KeyReference,
    record: &CardRecord,
) -> Result<Option<Finding>, PersonalizationError> {
    let is_ours = blank::was_begun(record) && KeyReference::PRIMARY.contains(&reference);
    if is_ours || !matches!(record.card.state(), CardState::InStock { .. }) {
        return Ok(None);
    }
    let key = card.transaction()?.key_metadata(reference)?;
    Ok(key.map(|_| differs(Subject::Key(reference), Disagreement::KeyInStock)))
}

/// What registry and authority say of a certificate that lies on the card.
async fn judge(
    comparison: &Comparison<'_>,
    record: &CardRecord,
    key: Option<CardKey>,
    certificate: &Certificate,
    registered: &[CertificateRecord],
) -> Result<Outcome, PersonalizationError> {
    let serial = domain_serial(certificate.serial_number())?;
    let Some(known) = registered.iter().find(|known| known.serial == serial) else {
        let elsewhere = comparison.registry.certificate(&serial).await?;
        let is_ours =
            elsewhere.is_some_and(|known| known.certificate.as_deref() == Some(certificate.as_der()));
        let (subject, issuer) = (certificate.subject(), certificate.issuer());
        return Ok(match record.card.state() {
            _ if is_ours => Outcome::Differs(Disagreement::OfAnother(serial)),
            CardState::InStock { .. } => Outcome::Differs(Disagreement::NotBlank { subject, issuer }),
            state if state.is_live() => Outcome::Differs(Disagreement::Stranger { subject, issuer }),
            // Nobody has the card, and nobody gets it with what is on it.
            _ => Outcome::Agrees,
        });
    };
    if known.certificate.as_deref() != Some(certificate.as_der()) {
        return Ok(Outcome::Differs(Disagreement::Altered(serial)));
    }
    if known.card_key != key && !(key.is_none() && known.card_key == Some(CardKey::KeyManagement)) {
        return Ok(Outcome::Differs(Disagreement::OfAnotherKey(serial)));
    }
    if !comparison.is_signed_by_us(certificate).await? {
        return Ok(Outcome::Differs(Disagreement::NotSignedByUs(serial)));
    }
    revocation(comparison, record, key, known).await
}

/// Whether the state of a certificate fits that of its card.
async fn revocation(
    comparison: &Comparison<'_>,
    record: &CardRecord,
    key: Option<CardKey>,
    known: &CertificateRecord,
) -> Result<Outcome, PersonalizationError> {
    let serial = known.serial.clone();
    let (is_held, is_live) =
        (matches!(record.card.state(), CardState::OnHold { .. }), record.card.state().is_live());
    Ok(match known.state.state() {
        CertificateState::Revoked { since, reason, .. } if is_live && key.is_some() => {
            Outcome::Differs(Disagreement::Revoked { serial, since: *since, reason: *reason })
        }
        CertificateState::Revoked { since, .. } => match newest_crl(comparison).await? {
            Some(made) if made >= *since => Outcome::Agrees,
            _ => Outcome::Unproven(Unproven::NotOnACrlYet),
        },
        // A retired key's certificate may have ended with its time; and an expired one needs no revocation.
        _ if known.not_after <= comparison.now => Outcome::Agrees,
        _ if !is_live => Outcome::Differs(Disagreement::StillValid(serial)),
        CertificateState::OnHold { since, .. } if is_held => match listed(comparison, &serial).await? {
            Some(newest) if newest.has_it || newest.made > *since => Outcome::Agrees,
            _ => Outcome::Unproven(Unproven::HoldNotOnACrlYet),
        },
        CertificateState::Delivered { .. } if !is_held => match listed(comparison, &serial).await? {
            Some(newest) if newest.has_it => Outcome::Unproven(Unproven::ReleaseNotOnACrlYet),
            _ => Outcome::Agrees,
        },
        CertificateState::OnHold { .. } | CertificateState::Delivered { .. } => {
            Outcome::Differs(Disagreement::HoldDiffers(serial))
        }
        _ => Outcome::Differs(Disagreement::NeverDelivered(serial)),
    })
}

/// When the newest CRL for people's certificates was made.
async fn newest_crl(comparison: &Comparison<'_>) -> Result<Option<Timestamp>, PersonalizationError> {
    let newest = comparison.registry.newest_crl(AuthorityName::People).await?;
    Ok(newest.map(|crl| CrlView::from_der(&crl.crl).map(|view| view.made())).transpose()?)
}

/// What the newest CRL says of one certificate.
struct Listed {
    made: Timestamp,
    has_it: bool,
}

async fn listed(
    comparison: &Comparison<'_>,
    serial: &SerialNumber,
) -> Result<Option<Listed>, PersonalizationError> {
    let Some(newest) = comparison.registry.newest_crl(AuthorityName::People).await? else { return Ok(None) };
    let view = CrlView::from_der(&newest.crl)?;
    let mut has_it = false;
    for entry in view.entries() {
        has_it |= entry?.cmp_serial_number(serial.as_bytes()).is_eq();
    }
    Ok(Some(Listed { made: view.made(), has_it }))
}

/// Whether the private key is that of the certificate beside it.
fn of_key(
    comparison: &Comparison<'_>,
    card: &mut Card,
    reference: KeyReference,
    key: Option<CardKey>,
    certificate: &Certificate,
    random: &mut dyn CryptoRng,
) -> Result<Finding, PersonalizationError> {
    let subject = Subject::Key(reference);
    let told = card.transaction()?.key_metadata(reference)?.and_then(|metadata| metadata.public_key);
    if told.as_ref().is_some_and(|told| told != certificate.public_key()) {
        return Ok(differs(subject, Disagreement::OtherKey));
    }
    let outcome = match (key, comparison.pin) {
        (Some(CardKey::CardAuthentication), _) => {
            // 9E wants no PIN: the one that is given here is never sent.
            let unused = middleware::Pin::new("000000")?;
            exercised(exercise(card, CardKey::CardAuthentication, certificate.as_der(), &unused, random))?
        }
        (Some(key), Some(pin)) => exercised(exercise(card, key, certificate.as_der(), pin, random))?,
        _ if told.is_some() => Outcome::Agrees,
        (Some(_), None) => Outcome::Unproven(Unproven::PinWanted),
        (None, _) => Outcome::Unproven(Unproven::NotTold),
    };
    Ok(Finding { subject, outcome })
}

fn exercised(result: Result<(), PersonalizationError>) -> Result<Outcome, PersonalizationError> {
    match result {
        Ok(()) => Ok(Outcome::Agrees),
        Err(
            PersonalizationError::CertificateMismatch { .. }
            | PersonalizationError::Card(CardError::KeyNotFound(_)),
        ) => Ok(Outcome::Differs(Disagreement::OtherKey)),
        Err(error) => Err(error),
    }
}

/// Valid certificates that are not on the card.
fn beside(
    record: &CardRecord,
    registered: &[CertificateRecord],
    on_card: &[SerialNumber],
    now: Timestamp,
) -> Vec<Finding> {
    let is_live = record.card.state().is_live();
    let stray = registered
        .iter()
        .filter(|certificate| is_valid(certificate, now) && !on_card.contains(&certificate.serial));
    // What should lie beside a primary key is missed there already.
    let stray = stray.filter(|certificate| !(is_live && is_out(certificate)));
    let mut findings: Vec<_> = stray
        .map(|certificate| {
            let serial = certificate.serial.clone();
            let disagreement =
                if is_live { Disagreement::NotOnCard(serial) } else { Disagreement::StillValid(serial) };
            differs(Subject::OtherCertificates, disagreement)
        })
        .collect();
    if findings.is_empty() {
        findings.push(Finding { subject: Subject::OtherCertificates, outcome: Outcome::Agrees });
    }
    findings
}

fn is_valid(certificate: &CertificateRecord, now: Timestamp) -> bool {
    certificate.not_after > now && !matches!(certificate.state.state(), CertificateState::Revoked { .. })
}

/// Whether it is known to have reached the card.
fn is_out(certificate: &CertificateRecord) -> bool {
    matches!(
        certificate.state.state(),
        CertificateState::Delivered { .. } | CertificateState::OnHold { reach: Reach::Delivered, .. }
    )
}

fn differs(subject: Subject, disagreement: Disagreement) -> Finding {
    Finding { subject, outcome: Outcome::Differs(disagreement) }
}
