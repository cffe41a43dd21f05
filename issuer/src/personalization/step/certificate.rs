//! The certificates of the card: linted, stored as they will be signed, signed, stored, written.

use middleware::Administration;

use super::super::attempt::{Attempt, Signed};
use super::super::domain_serial;
use super::super::error::PersonalizationError;
use super::super::exercise::key_reference;
use super::super::plan::Step;
use super::super::run::{Desk, Point, Progress, interrupted};
use crate::ca::lint::lint;
use crate::ca::profile::{Assurance, CardHolder, CardUuid, PersonName, Validity};
use crate::ca::{LintedCertificate, Profile, ProvenKey, SerialNumber};
use crate::domain::{AuthorityName, CardId, CardKey, Cardholder, CardholderId, Guid};
use crate::registry::NewCertificate;

/// Certifies the keys of the card, in two commits: what was made so far and what will be signed, and what was signed. What
/// an interrupted attempt signed for the same key is taken over.
pub(in super::super) async fn certify(
    desk: &mut Desk<'_>,
    attempt: &mut Attempt<'_>,
    intended: Vec<String>,
) -> Result<(), PersonalizationError> {
    let mut prepared = Vec::new();
    for key in CardKey::ALL {
        let step = Step::WriteCertificate(key);
        let public_key = attempt.proven(key)?.public_key().clone();
        match attempt.take_left(key, &public_key) {
            Some(kept) => {
                attempt.progress.adopted.push(kept.serial.clone());
                attempt.certificates.push(kept);
            }
            None => {
                let (linted, reserved) = prepare(desk, &attempt.subject(key), attempt.proven(key)?)
                    .map_err(|source| interrupted(step, source))?;
                prepared.push((key, linted, reserved.serial.clone()));
                attempt.progress.reserved.push(reserved);
            }
        }
    }
    attempt.progress.intended = intended;
    desk.record(attempt).await?;
    for (key, linted, serial) in prepared {
        let step = Step::WriteCertificate(key);
        desk.reached(step, Point::Reserved);
        let signed = desk.authority.sign(linted).map_err(|error| interrupted(step, error.into()))?;
        let certificate = signed.as_der().to_vec();
        attempt.progress.signed.push((serial.clone(), certificate.clone()));
        attempt.certificates.push(Signed { key, serial, certificate, is_kept: false });
    }
    let signed: Vec<_> =
        attempt.certificates.iter().filter(|signed| !signed.is_kept).map(|signed| signed.key).collect();
    if !signed.is_empty() {
        desk.record(attempt).await?;
    }
    signed.into_iter().for_each(|key| desk.reached(Step::WriteCertificate(key), Point::Signed));
    Ok(())
}

/// Writes a certificate, which is stored, to the card. Answers the serial number for the journal.
pub(super) fn write(
    desk: &mut Desk<'_>,
    administration: &mut Administration<'_, '_>,
    key: CardKey,
    attempt: &Attempt<'_>,
) -> Result<String, PersonalizationError> {
    let Signed { serial, certificate, is_kept, .. } = attempt.certificate(key)?;
    let reference = key_reference(key);
    // What an interrupted write left may be no certificate at all.
    let present = administration.transaction().certificate(reference).ok().flatten();
    if present.as_ref() != Some(certificate) {
        administration.write_certificate(reference, certificate)?;
    }
    (desk.progress)(if *is_kept {
        Progress::CertificateKept(key, serial.clone())
    } else {
        Progress::Certified(key, serial.clone())
    });
    Ok(serial.to_string())
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

impl Attempt<'_> {
    fn subject(&self, key: CardKey) -> Subject<'_> {
        Subject {
            holder: self.holder,
            guid: self.guid,
            on_card: (self.holder.id, self.record.id, self.number, key),
            assurance: self.assurance,
            validity: self.validity,
        }
    }
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
