//! A certificate of the card: linted, stored as it will be signed, signed, stored, written.

use middleware::Administration;

use super::super::attempt::{Attempt, Written};
use super::super::domain_serial;
use super::super::error::PersonalizationError;
use super::super::exercise::key_reference;
use super::super::plan::Step;
use super::super::run::{Desk, Point, Progress};
use crate::ca::lint::lint;
use crate::ca::profile::{Assurance, CardHolder, CardUuid, PersonName, Validity};
use crate::ca::{LintedCertificate, Profile, ProvenKey, SerialNumber};
use crate::domain::{AuthorityName, CardId, CardKey, Cardholder, CardholderId, Guid};
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
            desk.registry.adopt_certificate(&written.serial, card, number, desk.clock.now()).await?;
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
    let subject = Subject {
        holder: attempt.holder,
        guid: attempt.guid,
        on_card: (attempt.holder.id, attempt.record.id, attempt.number, key),
        assurance: attempt.assurance,
        validity: attempt.validity,
    };
    let (linted, reserved) = prepare(desk, &subject, attempt.proven(key)?)?;
    desk.registry.reserve_certificate(&reserved, desk.clock.now()).await?;
    desk.reached(step, Point::Reserved);
    let certificate = desk.authority.sign(linted)?.as_der().to_vec();
    desk.registry.record_signature(&reserved.serial, &certificate, desk.clock.now()).await?;
    desk.reached(step, Point::Signed);
    Ok(Written { key, serial: reserved.serial, certificate })
}

/// Whose key is certified, and as what.
pub(in super::super) struct Subject<'a> {
    pub(in super::super) holder: &'a Cardholder,
    pub(in super::super) guid: Guid,
    /// Whose card, which one, in which attempt, and which key.
    pub(in super::super) on_card: (CardholderId, CardId, u32, CardKey),
    pub(in super::super) assurance: Assurance,
    pub(in super::super) validity: Validity,
}

/// What will be signed, linted, and as it is stored before that.
pub(in super::super) fn prepare(
    desk: &mut Desk<'_>,
    subject: &Subject<'_>,
    proven: &ProvenKey,
) -> Result<(LintedCertificate, NewCertificate), PersonalizationError> {
    let (.., key) = subject.on_card;
    let profile = profile(key, subject.holder, subject.guid);
    let number = SerialNumber::random(desk.random);
    let unsigned = desk.authority.prepare(
        desk.organization,
        &profile,
        subject.assurance,
        proven,
        number.clone(),
        subject.validity,
    )?;
    let linted = lint(unsigned)?;
    let names_person = key != CardKey::CardAuthentication;
    let carries_mail = matches!(key, CardKey::DigitalSignature | CardKey::KeyManagement);
    let reserved = NewCertificate {
        serial: domain_serial(&number)?,
        authority: AuthorityName::People,
        profile: profile.name().to_owned(),
        subject: if names_person {
            subject.holder.name.as_str().to_owned()
        } else {
            format!("card {}", subject.guid)
        },
        mail: carries_mail.then(|| subject.holder.mail.as_str().to_owned()),
        on_card: Some(subject.on_card),
        not_before: subject.validity.not_before,
        not_after: subject.validity.not_after,
        to_be_signed: linted.as_der().to_vec(),
    };
    Ok((linted, reserved))
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
