//! How each step is carried out and read back: the only places that know every [`Step`].
//!
//! A step is taken the same way the first time and when a run resumes. Its function looks at what an earlier attempt
//! confirmed (`Attempt::confirmed_before`), asks the card whether that still holds, and only otherwise does it. So a step
//! needs no second way for resuming, and being taken twice does no harm. What it answers is the detail of the journal's
//! confirmation: what whoever resumes must know, never a secret.
//!
//! A new step is a variant of [`Step`] with its name in the journal, its place in [`plan`](super::plan::plan), a file
//! here, and an arm below.

pub(super) mod certificate;
mod identity;
pub(super) mod key;

use middleware::{Administration, Transaction};

use super::attempt::Attempt;
use super::error::PersonalizationError;
use super::exercise::{self, Verification};
use super::plan::{Part, Step};
use super::run::{Desk, Progress};
use super::secrets::{self, OwnSecrets};
use crate::registry::{JournalLine, JournalPhase};

impl Step {
    /// Whether it is one of those that [`carry_out`] does, in the transaction that changes the card.
    pub(super) const fn writes(&self) -> bool {
        // The management key is changed while that transaction opens.
        !matches!(self, Self::ManagementKey | Self::ReadBack(_) | Self::HandOver)
    }
}

/// Takes one step; answers what the journal keeps of it.
pub(super) async fn carry_out(
    desk: &mut Desk<'_>,
    step: Step,
    administration: &mut Administration<'_, '_>,
    attempt: &mut Attempt<'_>,
    own: &OwnSecrets,
) -> Result<Option<String>, PersonalizationError> {
    match step {
        Step::Puk => change_puk(desk, administration, attempt, own).await?,
        Step::TransportPin => {
            administration.transaction().unblock(&own.puk, &attempt.pin)?;
            (desk.progress)(Progress::SecretsSet);
        }
        Step::Identity => identity::write(desk, administration, attempt)?,
        Step::SecurityObject => identity::write_security_object(desk, administration)?,
        Step::MakeKey(key) => return key::make(desk, administration, key, attempt).map(Some),
        Step::WriteCertificate(key) => {
            return certificate::write(desk, administration, key, attempt).map(Some);
        }
        Step::ManagementKey | Step::ReadBack(_) | Step::HandOver => {}
    }
    Ok(None)
}

/// Reads back what was written, and compares.
pub(super) fn read_back(
    desk: &mut Desk<'_>,
    part: Part,
    transaction: &mut Transaction<'_>,
    pin: &mut Verification<'_>,
    attempt: &Attempt<'_>,
) -> Result<(), PersonalizationError> {
    match part {
        Part::Identity => identity::read_back(transaction, attempt),
        Part::SecurityObject => identity::read_back_security_object(transaction),
        Part::Key(key) => {
            let expected = &attempt.certificate(key)?.certificate;
            exercise::read_back(transaction, key, expected, pin, desk.random)?;
            (desk.progress)(Progress::Verified(key));
            Ok(())
        }
    }
}

async fn change_puk(
    desk: &Desk<'_>,
    administration: &mut Administration<'_, '_>,
    attempt: &Attempt<'_>,
    own: &OwnSecrets,
) -> Result<(), PersonalizationError> {
    let note = async |step: &str, phase: JournalPhase| {
        let line =
            JournalLine { card: attempt.record.id, attempt: attempt.number, step, phase, detail: None };
        Ok(desk.registry.write_journal(&[line], desk.clock.now()).await?)
    };
    let transaction = administration.transaction();
    secrets::change_puk(transaction, attempt.stock.as_ref(), own, &attempt.earlier, note).await
}
