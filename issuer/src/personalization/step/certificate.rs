//! A certificate of the card: linted, stored as it will be signed, signed, stored, written.

use middleware::Administration;

use super::super::attempt::{Attempt, Written};
use super::super::domain_serial;
use super::super::error::PersonalizationError;
use super::super::exercise::key_reference;
use super::super::plan::Step;
use super::super::run::{Desk, Point, Progress};
use crate::ca::lint::lint;
use crate::ca::profile::{CardHolder, CardUuid, PersonName};
use crate::ca::{Profile, SerialNumber};
use crate::domain::{AuthorityName, CardKey, Cardholder, Guid};
use crate::registry::NewCertificate;

/// Certifies a proven key and writes the certificate to the card; what an interrupted attempt signed for the same key is
/// taken over. Answers the serial number for the journal.
pub(super) async fn write(
    desk: &mut Desk<'_>,
    administration: &mut Administration<'_, '_>,
    key: CardKey,
    attempt: &mut Attempt<'_>,
) -> Result<String, PersonalizationError> {
    let public_key = attempt.proven(key)?.public_key().clone();
    let (written, is_kept) = match attempt.take_left(key, &public_key) {
        Some(written) => {
            let (card, number) = (attempt.record.id, attempt.number);
            desk.registry.adopt_certificate(&written.serial, card, number).await?;
            (written, true)
        }
        None => (certify(desk, key, attempt).await?, false),
    };
    let reference = key_reference(key);
    // What an interrupted write left may be no certificate at all.
    let present = administration.transaction().certificate(reference).ok().flatten();
    if present.as_ref() != Some(&written.certificate) {
        administration.write_certificate(reference, &written.certificate)?;
    }
    let serial = written.serial.clone();
    attempt.written.push(written);
    (desk.progress)(if is_kept {
        Progress::CertificateKept(key, serial.clone())
    } else {
        Progress::Certified(key, serial.clone())
    });
    Ok(serial.to_string())
}

/// Lints, stores what will be signed, signs, and stores what was signed.
async fn certify(
    desk: &mut Desk<'_>,
    key: CardKey,
    attempt: &Attempt<'_>,
) -> Result<Written, PersonalizationError> {
    let step = Step::WriteCertificate(key);
    let profile = profile(key, attempt.holder, attempt.guid);
    let number = SerialNumber::random(desk.random);
    let unsigned = desk.authority.prepare(
        desk.organization,
        &profile,
        attempt.assurance,
        attempt.proven(key)?,
        number.clone(),
        attempt.validity,
    )?;
    let linted = lint(unsigned)?;
    let serial = domain_serial(&number)?;
    let names_person = key != CardKey::CardAuthentication;
    let carries_mail = matches!(key, CardKey::DigitalSignature | CardKey::KeyManagement);
    let reserved = NewCertificate {
        serial: serial.clone(),
        authority: AuthorityName::People,
        profile: profile.name().to_owned(),
        subject: if names_person {
            attempt.holder.name.as_str().to_owned()
        } else {
            format!("card {}", attempt.guid)
        },
        mail: carries_mail.then(|| attempt.holder.mail.as_str().to_owned()),
        on_card: Some((attempt.holder.id, attempt.record.id, attempt.number, key)),
        not_before: attempt.validity.not_before,
        not_after: attempt.validity.not_after,
        to_be_signed: linted.as_der().to_vec(),
    };
    desk.registry.reserve_certificate(&reserved, desk.clock.now()).await?;
    desk.reached(step, Point::Reserved);
    let certificate = desk.authority.sign(linted)?.as_der().to_vec();
    desk.registry.record_signature(&serial, &certificate, desk.clock.now()).await?;
    desk.reached(step, Point::Signed);
    Ok(Written { key, serial, certificate })
}

/// What a key of this holder's card is certified for.
pub(in super::super) fn profile(key: CardKey, holder: &Cardholder, guid: Guid) -> Profile {
    let card = CardUuid(*guid.as_bytes());
    let holder = || CardHolder {
        name: PersonName { full: holder.name.as_str().to_owned(), parts: None },
        identifier: holder.staff_id.as_ref().map(|id| id.as_str().to_owned()),
        mail: holder.mail.as_str().parse().into_iter().collect(),
        card,
    };
    match key {
        CardKey::Authentication => Profile::PivAuthentication(holder()),
        CardKey::DigitalSignature => Profile::DigitalSignature(holder()),
        CardKey::KeyManagement => Profile::KeyManagement(holder()),
        CardKey::CardAuthentication => Profile::CardAuthentication(card),
    }
}
