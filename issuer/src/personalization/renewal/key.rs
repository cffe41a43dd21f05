//! One key of a renewal: made if it shall be a new one, certified, written, read back, delivered.

use middleware::{Administration, Card, FileKey, Signer};
use spki::SubjectPublicKeyInfoOwned;

use super::{Run, confirmed, renewed};
use crate::ca::profile::Validity;
use crate::ca::{Certificate, ProvenKey};
use crate::domain::{CardKey, CertificateState, SerialNumber};
use crate::personalization::attestation;
use crate::personalization::error::PersonalizationError;
use crate::personalization::exercise::{Verification, key_reference, prove_possession, read_back};
use crate::personalization::plan::{KeyChoice, KeyOrigin};
use crate::personalization::run::{Desk, Progress};
use crate::personalization::secrets;
use crate::personalization::step::certificate;
use crate::registry::{CardRecord, CertificateRecord, JournalPhase};

impl Desk<'_> {
    /// One key: made if it shall be a new one, proven, certified, written, read back, delivered.
    pub(super) async fn renew_key(
        &mut self,
        card: &mut Card,
        run: &mut Run<'_>,
        key: CardKey,
    ) -> Result<SerialNumber, PersonalizationError> {
        let step = renewed(key);
        if let Some(serial) = confirmed(&run.steps, &step).and_then(SerialNumber::from_hex) {
            return Ok(serial);
        }
        let before = self.delivered(run.record, key).await?;
        if key == CardKey::KeyManagement && run.new_keys.is_some() {
            self.retire(card, run, &before).await?;
        }
        self.note(run, &step, JournalPhase::Intended, None).await?;
        let (serial, der) = {
            let mut transaction = card.transaction()?;
            let opening = secrets::find_management_key(&mut transaction, run.stock.as_ref(), &run.own)?;
            let mut administration = transaction.authenticate(&opening)?;
            let pin = &mut Verification::with(run.pin);
            let new_key = run.new_keys.map(|keys| keys.of(key));
            let public_key = match new_key {
                Some(choice) => make(&mut administration, key, choice)?,
                None => public_key_of(&before)?,
            };
            let proven = prove_possession(administration.transaction(), key, &public_key, pin, self.random)?;
            if let Some(choice) = new_key {
                let source = (choice.origin, self.attestation_roots);
                let transaction = administration.transaction();
                let origin = attestation::origin_of(
                    transaction,
                    key_reference(key),
                    &public_key,
                    &run.identity,
                    source,
                )?;
                let hash = attestation::hash_of(&public_key)?;
                self.registry
                    .record_key_origin(&hash, (run.record.id, key), &origin, self.clock.now())
                    .await?;
                (self.progress)(Progress::KeyMade(key));
            }
            let (serial, der) = self.certify_renewal(run, key, &proven).await?;
            administration.write_certificate(key_reference(key), &der)?;
            (self.progress)(Progress::Certified(key, serial.clone()));
            (serial, der)
        };
        read_back(&mut card.transaction()?, key, &der, &mut Verification::with(run.pin), self.random)?;
        self.registry.deliver_renewal(&run.operation, &serial, self.clock.now()).await?;
        if run.new_keys.is_some() && key != CardKey::DigitalSignature {
            self.registry.supersede(&run.operation, &before.serial, self.clock.now()).await?;
        }
        (self.progress)(Progress::Verified(key));
        self.note(run, &step, JournalPhase::Confirmed, Some(&serial.to_string())).await?;
        Ok(serial)
    }

    /// The newest certificate of a key that reached the card and is not revoked.
    async fn delivered(
        &self,
        record: &CardRecord,
        key: CardKey,
    ) -> Result<CertificateRecord, PersonalizationError> {
        let all = self.registry.certificates_of_card(record.id).await?;
        let is_of_now = |certificate: &CertificateRecord| {
            certificate.card_key == Some(key)
                && certificate.card.is_some_and(|(_, attempt)| attempt == record.card.attempts())
                && matches!(certificate.state.state(), CertificateState::Delivered { .. })
        };
        let newest = all.into_iter().filter(is_of_now).max_by_key(|certificate| certificate.not_before);
        newest.ok_or(PersonalizationError::NothingToRenew(key))
    }

    async fn certify_renewal(
        &mut self,
        run: &Run<'_>,
        key: CardKey,
        proven: &ProvenKey,
    ) -> Result<(SerialNumber, Vec<u8>), PersonalizationError> {
        let subject = certificate::Subject {
            holder: run.holder,
            guid: run.guid,
            on_card: (run.holder.id, run.record.id, run.record.card.attempts(), key),
            assurance: run.assurance,
            validity: Validity { not_before: run.plan.not_before, not_after: run.plan.not_after },
        };
        let (linted, reserved) = certificate::prepare(self, &subject, proven)?;
        self.registry.reserve_renewal(&run.operation, &reserved, self.clock.now()).await?;
        let signed = self.authority.sign(linted)?.as_der().to_vec();
        self.registry.record_signature(&reserved.serial, &signed, self.clock.now()).await?;
        Ok((reserved.serial, signed))
    }
}

fn make(
    administration: &mut Administration<'_, '_>,
    key: CardKey,
    choice: KeyChoice,
) -> Result<SubjectPublicKeyInfoOwned, PersonalizationError> {
    let reference = key_reference(key);
    match choice.origin {
        KeyOrigin::GeneratedOnCard => Ok(administration.generate(reference, choice.algorithm)?),
        KeyOrigin::Injected => {
            let made = FileKey::generate(choice.algorithm)?;
            administration.import(reference, &made.to_private_key())?;
            Ok(Signer::public_key(&made).clone())
        }
    }
}

pub(super) fn public_key_of(
    record: &CertificateRecord,
) -> Result<SubjectPublicKeyInfoOwned, PersonalizationError> {
    let der = record.certificate.clone().unwrap_or_default();
    Ok(Certificate::from_der(der)?.public_key().clone())
}
