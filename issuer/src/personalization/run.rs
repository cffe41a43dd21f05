//! Carries the plan out, step by journalled step: intent, act, confirm.
//!
//! A run that is interrupted leaves the card "being personalised"; the next run for the same person starts over with the
//! same GUID, so that the secrets already set still derive, makes new keys, and revokes what the attempt before certified.

use jiff::Timestamp;
use middleware::piv::objects::{Chuid, capability_container};
use middleware::{Administration, Card, DataObject, FileKey, Pin, Signer, Transaction};
use rand_core::CryptoRng;
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::custody::{MasterKey, StockSecrets};
use super::error::PersonalizationError;
use super::exercise::{key_reference, prove_possession, read_back};
use super::plan::{CommandSet, KeyChoice, KeyOrigin, Step, plan};
use super::secrets;
use crate::ca::lint::lint;
use crate::ca::profile::{Assurance, CardHolder, CardUuid, PersonName, Validity};
use crate::ca::{Authority, Organization, Profile, ProvenKey, SerialNumber};
use crate::clock::Clock;
use crate::domain::{AuthorityName, CardCommand, CardId, CardKey, Cardholder, Guid, InitialPin};
use crate::registry::{
    CardRecord, EmulatedCards, JournalLine, JournalPhase, NewCertificate, PresentedIdentity, Registry,
};

/// What the desk watches while a card is made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// The registry knows that this card is being made; `attempt` above 1 starts over.
    Begun {
        /// The card's GUID.
        guid: Guid,
        /// 1, 2, ...
        attempt: u32,
    },
    /// The desk's management key, PUK and transport PIN are set.
    SecretsSet,
    /// A key was made and has proven itself.
    KeyMade(CardKey),
    /// Its certificate was signed and written.
    Certified(CardKey, crate::domain::SerialNumber),
    /// It was read back, and the key exercised against it.
    Verified(CardKey),
}

/// Everything a run works with.
pub struct Desk<'a> {
    /// Where everything is recorded.
    pub registry: &'a Registry,
    /// Who signs.
    pub authority: &'a mut Authority,
    /// For whom.
    pub organization: &'a Organization,
    /// From which the card's secrets derive.
    pub master_key: &'a MasterKey,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Where randomness comes from.
    pub random: &'a mut dyn CryptoRng,
    /// Who watches.
    pub progress: &'a mut dyn FnMut(Progress),
    /// Hands the transport PIN over, once, after every check and before the card counts as issued.
    pub hand_over_pin: &'a mut dyn FnMut(&str) -> std::io::Result<()>,
}

/// A card that is somebody's now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Personalized {
    /// The registry's number.
    pub card: CardId,
    /// Its GUID.
    pub guid: Guid,
    /// End of its certificates.
    pub not_after: Timestamp,
    /// Its certificates' serial numbers, in the order 9A 9C 9D 9E.
    pub serials: Vec<crate::domain::SerialNumber>,
}

/// One attempt at one card.
struct Attempt<'p> {
    record: CardRecord,
    holder: &'p Cardholder,
    guid: Guid,
    number: u32,
    assurance: Assurance,
    choice: KeyChoice,
    validity: Validity,
    pin: Pin,
    /// Serial number and DER of what was written.
    written: Vec<(CardKey, crate::domain::SerialNumber, Vec<u8>)>,
}

impl Desk<'_> {
    /// Makes a card in stock into `holder`'s card.
    ///
    /// # Errors
    /// Refusals change nothing. [`PersonalizationError::Interrupted`]: the card is half-made; run again for the same holder.
    pub async fn personalize(
        &mut self,
        card: &mut Card,
        holder: &Cardholder,
        choice: KeyChoice,
    ) -> Result<Personalized, PersonalizationError> {
        let identity = card.identity()?;
        let assurance = match (identity.emulated, self.registry.emulated_cards().await?) {
            (Some(_), EmulatedCards::Refused) => return Err(PersonalizationError::EmulatedCard),
            (Some(_), EmulatedCards::Allowed) => Assurance::Emulated,
            (None, _) => Assurance::Production,
        };
        let presented =
            PresentedIdentity { vendor_serial: identity.serial, guid: identity.guid.map(Guid::new) };
        let Some(record) = self.registry.card_presented(presented).await? else {
            return Err(PersonalizationError::UnknownCard(describe(presented)));
        };
        let commands = if identity.version.is_some() { CommandSet::YubiKey } else { CommandSet::Standard };
        let steps = plan(commands, choice)?;
        let stock = secrets::of_stock(self.registry, self.master_key, &record).await?;
        if commands == CommandSet::Standard && stock.is_none() {
            return Err(PersonalizationError::StockSecretsMissing);
        }

        let last_moment = holder.employed_until.and_then(end_of_day);
        if let (Some(day), Some(end)) = (holder.employed_until, last_moment)
            && end <= self.clock.now()
        {
            return Err(PersonalizationError::EmploymentOver(day));
        }
        let digits = self.transport_pin();
        let pin = Pin::new(&digits)?;
        let mut attempt = self.begin(record, holder, choice, assurance, pin).await?;
        if let Some(end) = last_moment {
            attempt.validity.not_after = attempt.validity.not_after.min(end);
        }
        self.registry.store_plan(attempt.record.id, attempt.number, &describe_plan(&steps, choice)).await?;
        let written = self.write(card, &steps, &mut attempt, stock).await;
        if let Some(fault) = written.as_ref().err().and_then(PersonalizationError::fault) {
            let record = CardCommand::RecordFault { attempt: attempt.number, fault };
            self.registry.command_card(attempt.record.id, record, self.clock.now()).await?;
        }
        written?;
        self.verify(card, &steps, &attempt).await?;
        (self.hand_over_pin)(&digits).map_err(PersonalizationError::TransportPin)?;
        self.registry
            .command_card(
                attempt.record.id,
                CardCommand::CompletePersonalisation { attempt: attempt.number, pin: InitialPin::Transport },
                self.clock.now(),
            )
            .await?;
        Ok(Personalized {
            card: attempt.record.id,
            guid: attempt.guid,
            not_after: attempt.validity.not_after,
            serials: attempt.written.into_iter().map(|(_, serial, _)| serial).collect(),
        })
    }

    /// 8 random digits.
    fn transport_pin(&mut self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; 16]);
        self.random.fill_bytes(bytes.as_mut_slice());
        Zeroizing::new(format!("{:08}", u128::from_be_bytes(*bytes) % 100_000_000))
    }

    async fn begin<'p>(
        &mut self,
        record: CardRecord,
        holder: &'p Cardholder,
        choice: KeyChoice,
        assurance: Assurance,
        pin: Pin,
    ) -> Result<Attempt<'p>, PersonalizationError> {
        let mut guid = [0; 16];
        self.random.fill_bytes(&mut guid);
        let now = self.clock.now();
        let command =
            CardCommand::BeginPersonalisation { holder: holder.id, fresh_guid: Guid::from_random(guid) };
        let card = self.registry.command_card(record.id, command, now).await?;
        let guid = card.guid().unwrap_or(Guid::from_random(guid));
        let number = card.attempts();
        (self.progress)(Progress::Begun { guid, attempt: number });
        let validity = self.validity(&profile(CardKey::DigitalSignature, holder, guid), now);
        Ok(Attempt { record, holder, guid, number, assurance, choice, validity, pin, written: Vec::new() })
    }

    /// As long as the profile allows, and not longer than the authority itself.
    fn validity(&self, profile: &Profile, now: Timestamp) -> Validity {
        let now = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let validity = Validity::for_days(now, profile.maximum_days());
        let not_after = validity.not_after.min(self.authority.certificate().not_after());
        Validity { not_after, ..validity }
    }

    /// Everything that changes the card, in one transaction with it.
    async fn write(
        &mut self,
        card: &mut Card,
        steps: &[Step],
        attempt: &mut Attempt<'_>,
        stock: Option<StockSecrets>,
    ) -> Result<(), PersonalizationError> {
        let mut proven = None;
        let mut transaction = card.transaction()?;
        let own = self.own_secrets(&mut transaction, attempt)?;
        let journal = self.registry.journal(attempt.record.id).await?;
        let mut opening = secrets::find_management_key(&mut transaction, stock.as_ref(), &own)?;
        if steps.contains(&Step::ManagementKey) {
            self.journal(attempt, Step::ManagementKey, JournalPhase::Intended).await?;
            transaction
                .authenticate(&opening)
                .and_then(|mut administration| administration.set_management_key(&own.management_key))
                .map_err(|error| interrupted(Step::ManagementKey, error.into()))?;
            opening = own.management_key.clone();
        }
        let mut administration = transaction.authenticate(&opening)?;
        for step in steps {
            if !matches!(step, Step::ManagementKey | Step::ReadBack(_)) {
                self.journal(attempt, *step, JournalPhase::Intended).await?;
            }
            let outcome = match *step {
                // The authentication above, with the new key, is the confirmation.
                Step::ManagementKey => Ok(()),
                Step::Puk => {
                    let note = async |line: &str, phase| self.write_journal(attempt, line, phase).await;
                    secrets::change_puk(administration.transaction(), stock.as_ref(), &own, &journal, note)
                        .await
                }
                Step::TransportPin => {
                    administration.transaction().unblock(&own.puk, &attempt.pin).map_err(Into::into)
                }
                Step::Identity => self.write_identity(&mut administration, attempt),
                Step::MakeKey(key) => {
                    self.make_key(&mut administration, key, attempt).map(|key| proven = Some(key))
                }
                Step::WriteCertificate(key) => match proven.take() {
                    Some(proven) => self.certify(&mut administration, key, &proven, attempt).await,
                    None => Ok(()),
                },
                Step::ReadBack(_) => continue,
            };
            outcome.map_err(|source| interrupted(*step, source))?;
            self.journal(attempt, *step, JournalPhase::Confirmed).await?;
            if *step == Step::TransportPin {
                (self.progress)(Progress::SecretsSet);
            }
        }
        if let Some(stock) = stock {
            secrets::forget_stock_puk(self.registry, self.master_key, &attempt.record, stock, self.random)
                .await?;
        }
        Ok(())
    }

    /// Everything read back in new transactions, and every key exercised.
    async fn verify(
        &mut self,
        card: &mut Card,
        steps: &[Step],
        attempt: &Attempt<'_>,
    ) -> Result<(), PersonalizationError> {
        let chuid = card.transaction()?.read_object(DataObject::CHUID)?;
        if Chuid::from_bytes(&chuid)?.guid != *attempt.guid.as_bytes() {
            return Err(PersonalizationError::ReadBackDiffers { what: "CHUID".to_owned() });
        }
        for step in steps {
            let Step::ReadBack(key) = *step else { continue };
            let Some((_, serial, certificate)) = attempt.written.iter().find(|(written, ..)| *written == key)
            else {
                continue;
            };
            self.journal(attempt, *step, JournalPhase::Intended).await?;
            read_back(card, key, certificate, &attempt.pin, self.random)
                .map_err(|source| interrupted(*step, source))?;
            self.journal(attempt, *step, JournalPhase::Confirmed).await?;
            self.registry.confirm_delivery(serial, self.clock.now()).await?;
            (self.progress)(Progress::Verified(key));
        }
        Ok(())
    }

    fn own_secrets(
        &self,
        transaction: &mut Transaction<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<secrets::OwnSecrets, PersonalizationError> {
        let algorithm = transaction.management_key_algorithm()?;
        let version = attempt.record.secrets_version;
        Ok(secrets::OwnSecrets {
            puk: self.master_key.puk(attempt.guid, version)?,
            management_key: self.master_key.management_key(attempt.guid, version, algorithm)?,
        })
    }

    async fn journal(
        &self,
        attempt: &Attempt<'_>,
        step: Step,
        phase: JournalPhase,
    ) -> Result<(), PersonalizationError> {
        self.write_journal(attempt, &step.to_string(), phase).await
    }

    async fn write_journal(
        &self,
        attempt: &Attempt<'_>,
        line: &str,
        phase: JournalPhase,
    ) -> Result<(), PersonalizationError> {
        let (card, attempt) = (attempt.record.id, attempt.number);
        let line = JournalLine { card, attempt, step: line, phase, detail: None };
        Ok(self.registry.write_journal(line, self.clock.now()).await?)
    }

    fn write_identity(
        &mut self,
        administration: &mut Administration<'_, '_>,
        attempt: &Attempt<'_>,
    ) -> Result<(), PersonalizationError> {
        let mut card_identifier = [0; 14];
        self.random.fill_bytes(&mut card_identifier);
        administration
            .write_object(DataObject::CARD_CAPABILITY_CONTAINER, &capability_container(&card_identifier))?;
        let chuid =
            Chuid { guid: *attempt.guid.as_bytes(), expiration: expiration(attempt.validity.not_after) };
        Ok(administration.write_object(DataObject::CHUID, &chuid.to_bytes())?)
    }

    fn make_key(
        &mut self,
        administration: &mut Administration<'_, '_>,
        key: CardKey,
        attempt: &Attempt<'_>,
    ) -> Result<ProvenKey, PersonalizationError> {
        let reference = key_reference(key);
        let public_key: SubjectPublicKeyInfoOwned = match attempt.choice.origin {
            KeyOrigin::GeneratedOnCard => administration.generate(reference, attempt.choice.algorithm)?,
            KeyOrigin::Injected => {
                let made = FileKey::generate(attempt.choice.algorithm)?;
                administration.import(reference, &made.to_private_key())?;
                Signer::public_key(&made).clone()
            }
        };
        let proven =
            prove_possession(administration.transaction(), key, &public_key, &attempt.pin, self.random)?;
        (self.progress)(Progress::KeyMade(key));
        Ok(proven)
    }

    /// Lints, stores what will be signed, signs, stores what was signed, and only then writes to the card.
    async fn certify(
        &mut self,
        administration: &mut Administration<'_, '_>,
        key: CardKey,
        proven: &ProvenKey,
        attempt: &mut Attempt<'_>,
    ) -> Result<(), PersonalizationError> {
        let profile = profile(key, attempt.holder, attempt.guid);
        let number = SerialNumber::random(self.random);
        let unsigned = self.authority.prepare(
            self.organization,
            &profile,
            attempt.assurance,
            proven,
            number.clone(),
            attempt.validity,
        )?;
        let linted = lint(unsigned)?;
        let serial = super::domain_serial(&number)?;
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
        self.registry.reserve_certificate(&reserved, self.clock.now()).await?;
        let certificate = self.authority.sign(linted)?;
        self.registry.record_signature(&serial, certificate.as_der(), self.clock.now()).await?;
        administration.write_certificate(key_reference(key), certificate.as_der())?;
        (self.progress)(Progress::Certified(key, serial.clone()));
        attempt.written.push((key, serial, certificate.as_der().to_vec()));
        Ok(())
    }
}

fn profile(key: CardKey, holder: &Cardholder, guid: Guid) -> Profile {
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

/// The day after the certificates end, `YYYYMMDD`: no certificate outlives the CHUID.
fn expiration(not_after: Timestamp) -> [u8; 8] {
    let date = not_after.to_zoned(jiff::tz::TimeZone::UTC).date();
    let text = date.tomorrow().unwrap_or(date).strftime("%Y%m%d").to_string();
    <[u8; 8]>::try_from(text.as_bytes()).unwrap_or(*b"99991231")
}

fn describe(presented: PresentedIdentity) -> String {
    match (presented.vendor_serial, presented.guid) {
        (Some(serial), _) => format!("serial {serial}"),
        (None, Some(guid)) => format!("GUID {guid}"),
        (None, None) => "without serial number and GUID".to_owned(),
    }
}

/// The last second of a day.
fn end_of_day(day: jiff::civil::Date) -> Option<Timestamp> {
    Some(day.at(23, 59, 59, 0).to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
}

/// The plan as the registry keeps it: what keys, and the steps by the names that the journal has.
fn describe_plan(steps: &[Step], choice: KeyChoice) -> String {
    let keys = match choice.origin {
        KeyOrigin::GeneratedOnCard => "generated on the card",
        KeyOrigin::Injected => "injected",
    };
    let steps: Vec<_> = steps.iter().map(ToString::to_string).collect();
    serde_json::json!({ "algorithm": choice.algorithm.to_string(), "keys": keys, "steps": steps }).to_string()
}

fn interrupted(step: Step, source: PersonalizationError) -> PersonalizationError {
    PersonalizationError::Interrupted { step, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chuid_outlives_the_certificates() {
        assert_eq!(&expiration("2028-02-28T23:59:59Z".parse().unwrap()), b"20280229");
        assert_eq!(&expiration("2027-12-31T00:00:00Z".parse().unwrap()), b"20280101");
    }
}
