//! Who is next: the rows of a batch, shared by everybody who makes cards. Pure.

use super::reason::Reason;
use crate::domain::{CardholderId, Guid};

/// What became of a row so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nobody has begun.
    Waiting,
    /// Somebody makes the card.
    Taken,
    /// The person has the card.
    Done {
        /// Which.
        guid: Guid,
        /// By a run before this one.
        before: bool,
        /// What was said when it was begun, where that is not what the list says.
        as_ordered: Option<Reason>,
    },
    /// It was interrupted: the card is half-made and will be gone on with.
    HalfMade(Reason),
    /// It cannot be.
    Refused(Reason),
}

/// One row in the queue.
#[derive(Clone, Debug)]
pub struct Entry {
    /// For whom.
    pub holder: CardholderId,
    /// The place that it is bound to.
    pub place: Option<String>,
    /// How far it is.
    pub progress: Progress,
}

/// What kind of card lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lying {
    /// Blank: anybody's.
    Blank,
    /// Half-made for this person.
    HalfMadeFor(CardholderId),
}

/// All rows, in the order of the file.
#[derive(Debug)]
pub struct Queue(Vec<Entry>);

impl Queue {
    /// A queue of these.
    pub const fn new(entries: Vec<Entry>) -> Self {
        Self(entries)
    }

    /// Takes the row for a card that lies at `place`; rows that are bound to a place wait for it. A half-made card is for
    /// its own row only, and its row is for it only.
    pub fn take(&mut self, lying: Lying, place: &str) -> Option<usize> {
        let index = self.0.iter().position(|entry| match lying {
            Lying::HalfMadeFor(holder) => entry.holder == holder && entry.progress.is_open(),
            Lying::Blank => {
                let is_here = entry.place.as_deref().is_none_or(|bound| bound == place);
                is_here && entry.progress == Progress::Waiting
            }
        })?;
        self.set(index, Progress::Taken);
        Some(index)
    }

    /// Notes how far a row is.
    pub fn set(&mut self, index: usize, progress: Progress) {
        if let Some(entry) = self.0.get_mut(index) {
            entry.progress = progress;
        }
    }

    /// Whether whoever works at `place` may still get something to do.
    pub fn has_work_for(&self, place: &str) -> bool {
        self.0.iter().any(|entry| {
            let is_here = entry.place.as_deref().is_none_or(|bound| bound == place);
            // What another one makes now may be interrupted, and come here.
            is_here && (entry.progress.is_open() || entry.progress == Progress::Taken)
        })
    }

    /// How far each row is.
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }
}

impl Progress {
    /// Whether it can be taken.
    const fn is_open(&self) -> bool {
        matches!(self, Self::Waiting | Self::HalfMade(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desk::failure::Failure;

    fn queue(rows: &[(i64, Option<&str>, Progress)]) -> Queue {
        let entry = |(holder, place, progress): &(i64, Option<&str>, Progress)| Entry {
            holder: CardholderId(*holder),
            place: place.map(str::to_owned),
            progress: progress.clone(),
        };
        Queue::new(rows.iter().map(entry).collect())
    }

    fn half_made() -> Progress {
        Progress::HalfMade(Failure::new("card-removed", "pulled").into())
    }

    #[test]
    fn a_blank_card_is_for_the_first_that_waits_and_is_not_bound_elsewhere() {
        let mut rows =
            queue(&[(1, Some("B"), Progress::Waiting), (2, None, half_made()), (3, None, Progress::Waiting)]);
        assert_eq!(rows.take(Lying::Blank, "A"), Some(2));
        assert_eq!(rows.take(Lying::Blank, "A"), None, "one is bound to B, the other waits for its own card");
        assert_eq!(rows.take(Lying::Blank, "B"), Some(0));
    }

    #[test]
    fn a_half_made_card_is_for_its_own_row_wherever_it_lies() {
        let mut rows =
            queue(&[(1, Some("B"), half_made()), (2, None, Progress::Waiting), (3, None, Progress::Taken)]);
        assert_eq!(rows.take(Lying::HalfMadeFor(CardholderId(1)), "A"), Some(0));
        assert_eq!(rows.take(Lying::HalfMadeFor(CardholderId(3)), "A"), None, "somebody has it in hand");
        assert_eq!(rows.take(Lying::HalfMadeFor(CardholderId(9)), "A"), None, "not of this batch");
    }

    #[test]
    fn nobody_goes_home_while_somebody_may_be_interrupted() {
        let mut rows = queue(&[(1, None, Progress::Waiting)]);
        let taken = rows.take(Lying::Blank, "A").unwrap();
        assert!(rows.has_work_for("B"));
        rows.set(taken, Progress::Done { guid: Guid::new([1; 16]), before: false, as_ordered: None });
        assert!(!rows.has_work_for("B"));
    }
}
