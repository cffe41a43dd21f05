//! PUK and management key of a card: which it has now, and the desk's in their place.

use middleware::{CardError, ManagementKey, Puk, Transaction};
use rand_core::CryptoRng;

use super::custody::{MasterKey, StockSecrets};
use super::error::PersonalizationError;
use super::plan::Step;
use crate::registry::{CardRecord, JournalEntry, JournalPhase, Registry};

/// What the desk gives a card.
pub(super) struct OwnSecrets {
    pub(super) puk: Puk,
    pub(super) management_key: ManagementKey,
}

/// The PUK of a card from the factory of a vendor without stock files.
const FACTORY_PUK: &[u8] = b"12345678";

/// What the card came with, if the registry was told.
pub(super) async fn of_stock(
    registry: &Registry,
    master_key: &MasterKey,
    record: &CardRecord,
) -> Result<Option<StockSecrets>, PersonalizationError> {
    let sealed = registry.sealed_secrets(record.id).await?;
    Ok(sealed.map(|sealed| master_key.unseal(&record.identity, &sealed)).transpose()?)
}

/// The management key that the card accepts now: the one it came with, or after an interrupted attempt the desk's.
/// A wrong one costs nothing: key 9B has no retry counter.
pub(super) fn find_management_key(
    transaction: &mut Transaction<'_>,
    stock: Option<&StockSecrets>,
    own: &OwnSecrets,
) -> Result<ManagementKey, PersonalizationError> {
    let came_with = match stock {
        Some(stock) => stock.management_key()?,
        None => ManagementKey::factory_default(own.management_key.algorithm()),
    };
    for candidate in [came_with, own.management_key.clone()] {
        if candidate.algorithm() != own.management_key.algorithm() {
            continue;
        }
        match transaction.authenticate(&candidate) {
            Ok(_) => return Ok(candidate),
            Err(CardError::WrongManagementKey) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(PersonalizationError::ManagementKeyUnknown)
}

/// What the journal tells about the PUK that the card has.
///
/// A change whose answer never came may have been carried out or not, and no card tells which PUK it has except by
/// spending a try on a wrong one. So what a refusal taught is written down at once: then a wrong guess is made only after
/// the card has changed meanwhile, and a change sets the counter back. The last try is never spent on a guess; only on a
/// card that does not tell its counter can three answers lost in a row to the same guess block the PUK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct PukKnowledge {
    likelier: PukOwner,
    /// Whether a change was ever begun, so that the other one is possible at all.
    was_begun: bool,
    /// Whether both were refused once.
    fits_nobody: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PukOwner {
    Manufacturer,
    Desk,
}

/// Journal lines beside those of [`Step::Puk`].
const STILL_THE_MANUFACTURERS: &str = "PUK is the manufacturer's";
const FITS_NOBODY: &str = "PUK is unknown";

/// The journal without what was found out about a PUK that the registry has another for by now: a card whose PUK was
/// unknown comes back into stock only by being taken in anew.
pub(super) fn since_stock(mut journal: Vec<JournalEntry>, from_stock: u32) -> Vec<JournalEntry> {
    journal.retain(|entry| entry.step != FITS_NOBODY || entry.attempt >= from_stock);
    journal
}

impl PukKnowledge {
    fn of(journal: &[JournalEntry]) -> Self {
        let step = Step::Puk.to_string();
        let mut knowledge = Self { likelier: PukOwner::Manufacturer, was_begun: false, fits_nobody: false };
        for entry in journal {
            match (entry.step.as_str(), entry.phase) {
                (STILL_THE_MANUFACTURERS, _) => knowledge.likelier = PukOwner::Manufacturer,
                (FITS_NOBODY, _) => knowledge.fits_nobody = true,
                (name, JournalPhase::Confirmed) if name == step => knowledge.likelier = PukOwner::Desk,
                (name, JournalPhase::Intended) if name == step => knowledge.was_begun = true,
                _ => {}
            }
        }
        knowledge
    }

    fn guesses(self) -> &'static [PukOwner] {
        match (self.was_begun, self.likelier) {
            (false, _) => &[PukOwner::Manufacturer],
            (true, PukOwner::Manufacturer) => &[PukOwner::Manufacturer, PukOwner::Desk],
            (true, PukOwner::Desk) => &[PukOwner::Desk, PukOwner::Manufacturer],
        }
    }
}

/// Puts the desk's PUK in the place of the one the card has. `journal` is what was written before this attempt; `note`
/// writes a line.
pub(super) async fn change_puk(
    transaction: &mut Transaction<'_>,
    stock: Option<&StockSecrets>,
    own: &OwnSecrets,
    journal: &[JournalEntry],
    mut note: impl AsyncFnMut(&str, JournalPhase) -> Result<(), PersonalizationError>,
) -> Result<(), PersonalizationError> {
    let knowledge = PukKnowledge::of(journal);
    let mut tries_left = transaction.puk_tries_left()?;
    if knowledge.fits_nobody && tries_left.is_none() {
        // Only a card that says how many tries are left is tried again: it may have been reset meanwhile.
        return Err(PersonalizationError::PukUnknown { tries_left });
    }
    let manufacturers = match stock {
        Some(stock) => stock.puk()?,
        None => Some(Puk::new(FACTORY_PUK)?),
    };
    for guess in knowledge.guesses() {
        let candidate = match (guess, &manufacturers) {
            (PukOwner::Desk, _) => &own.puk,
            (PukOwner::Manufacturer, Some(puk)) => puk,
            (PukOwner::Manufacturer, None) => continue,
        };
        match tries_left {
            Some(0) => return Err(CardError::PukBlocked.into()),
            Some(1) => return Err(PersonalizationError::LastPukTry),
            _ => {}
        }
        match transaction.change_puk(candidate, &own.puk) {
            Ok(()) => return Ok(()),
            Err(CardError::WrongPuk { tries_left: left }) => tries_left = Some(left),
            Err(error) => return Err(error.into()),
        }
        match guess {
            PukOwner::Desk => note(STILL_THE_MANUFACTURERS, JournalPhase::Confirmed).await?,
            PukOwner::Manufacturer if knowledge.was_begun => {
                note(&Step::Puk.to_string(), JournalPhase::Confirmed).await?
            }
            PukOwner::Manufacturer => {}
        }
    }
    note(FITS_NOBODY, JournalPhase::Confirmed).await?;
    Err(PersonalizationError::PukUnknown { tries_left })
}

/// What the registry keeps of a card's stock secrets once the manufacturer's PUK is not the card's any more.
pub(super) fn without_stock_puk<R: CryptoRng + ?Sized>(
    master_key: &MasterKey,
    record: &CardRecord,
    stock: StockSecrets,
    random: &mut R,
) -> Result<Vec<u8>, PersonalizationError> {
    Ok(master_key.seal(&record.identity, &stock.without_puk(), random)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(attempt: u32, step: &str, phase: JournalPhase) -> JournalEntry {
        JournalEntry { attempt, step: step.to_owned(), phase, detail: None }
    }

    #[test]
    fn a_puk_that_was_unknown_before_the_card_was_stocked_anew_is_tried() {
        let journal = vec![entry(3, FITS_NOBODY, JournalPhase::Confirmed)];
        assert!(PukKnowledge::of(&since_stock(journal.clone(), 3)).fits_nobody);
        assert!(!PukKnowledge::of(&since_stock(journal, 4)).fits_nobody);
    }

    #[test]
    fn the_journal_tells_which_puk_is_tried_first() {
        let intended = |attempt| entry(attempt, "PUK", JournalPhase::Intended);
        let confirmed = |attempt| entry(attempt, "PUK", JournalPhase::Confirmed);
        let still = |attempt| entry(attempt, STILL_THE_MANUFACTURERS, JournalPhase::Confirmed);
        let guesses = |journal: &[JournalEntry]| PukKnowledge::of(journal).guesses();
        assert_eq!(guesses(&[]), [PukOwner::Manufacturer]);
        assert_eq!(guesses(&[intended(1)]), [PukOwner::Manufacturer, PukOwner::Desk]);
        assert_eq!(guesses(&[intended(1), confirmed(1)]), [PukOwner::Desk, PukOwner::Manufacturer]);
        assert_eq!(
            guesses(&[intended(1), confirmed(1), intended(2)]),
            [PukOwner::Desk, PukOwner::Manufacturer]
        );
        assert_eq!(guesses(&[intended(1), confirmed(1), still(2)]), [PukOwner::Manufacturer, PukOwner::Desk]);
    }
}
