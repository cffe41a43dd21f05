//! A token's line to its card, and the transaction that is kept open on it between two uses of its keys.
//!
//! Beginning a transaction, VERIFY, logging out and sealing cost more than a signature of a fast card. So after a use
//! with the PIN the transaction stays as it is, PIN verified, for [`IDLE`]: a use that comes within that time is one
//! command. Nobody else can use the card meanwhile, so others are made to wait no longer than that; and when uses keep
//! coming, the line is given back after [`LONGEST`] and left free for [`REST`], in which those who wait get it.
//!
//! Who waits does so in no queue: everybody looks now and then, and whoever looks first has it. With many who keep the
//! line there is hardly a moment to find it free, and a program that passes by waits a minute. So whoever had to wait
//! itself keeps nothing for [`CROWDED`], and leaves the line free after each use for as long as the use took.
use std::time::{Duration, Instant};

use middleware::{Card, CardError, KeyError, Transaction};
use self_cell::{MutBorrow, self_cell};

/// How long a transaction is kept for a use that may come.
const IDLE: Duration = Duration::from_millis(60);
/// How long a transaction is kept in all, while uses keep coming.
const LONGEST: Duration = Duration::from_secs(1);
/// How long the line is left to others then: those who wait for it look every 100 ms (pcsc-lite, SCardBeginTransaction
/// and SCardConnect).
const REST: Duration = Duration::from_millis(110);
/// Beginning a transaction takes so long only where somebody else had the line: looking again comes after 100 ms.
const WAITED: Duration = Duration::from_millis(90);
/// How long nothing is kept after others were noticed.
const CROWDED: Duration = Duration::from_secs(5);

self_cell!(
    /// A card with its open transaction.
    struct OpenCard {
        owner: MutBorrow<Card>,

        #[not_covariant]
        dependent: Transaction,
    }
);

impl OpenCard {
    /// Ends the transaction: logged out, sealed, given back.
    fn close(self) -> Card {
        self.into_owner().into_inner()
    }
}

/// The card, or the card with a transaction.
pub(crate) struct Line {
    card: Option<Card>,
    kept: Option<Kept>,
    /// Until when the line is left to others.
    rests_until: Option<Instant>,
    /// Until when nothing is kept, for others want the line, too.
    crowded_until: Option<Instant>,
    idle: Duration,
    longest: Duration,
    waited: Duration,
}

struct Kept {
    card: OpenCard,
    since: Instant,
    used: Instant,
}

impl Line {
    pub(crate) fn new(card: Card) -> Self {
        Self {
            card: Some(card),
            kept: None,
            rests_until: None,
            crowded_until: None,
            idle: IDLE,
            longest: LONGEST,
            waited: WAITED,
        }
    }

    /// With a transaction kept for what is read first: who opens a card wants to see it.
    ///
    /// # Errors
    /// Those of the line; [`CardError::NotPiv`].
    pub(crate) fn open(card: Card) -> Result<Self, KeyError> {
        let mut line = Self::new(card);
        line.keep(|_| Ok(()))?;
        Ok(line)
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// How long the transaction that is kept may stay; `None` where none is kept.
    pub(crate) fn may_stay(&self) -> Option<Duration> {
        let kept = self.kept.as_ref()?;
        let of_idle = self.idle.saturating_sub(kept.used.elapsed());
        Some(of_idle.min(self.longest.saturating_sub(kept.since.elapsed())))
    }

    /// Ends the transaction that is kept, if one is.
    pub(crate) fn end(&mut self) {
        let Some(Kept { card, since, .. }) = self.kept.take() else { return };
        self.card = Some(card.close());
        self.leave(since);
    }

    /// Leaves the line to others for a while, if need be, after having had it since then.
    fn leave(&mut self, since: Instant) {
        let now = Instant::now();
        let had = now.duration_since(since);
        self.rests_until = if had >= self.longest {
            Some(now + REST)
        } else {
            self.is_crowded(now).then(|| now + had.min(REST))
        };
    }

    fn is_crowded(&self, now: Instant) -> bool {
        self.crowded_until.is_some_and(|until| now < until)
    }

    /// Waits until others have had their chance; when that was.
    fn rest(&mut self) -> Instant {
        if let Some(until) = self.rests_until.take() {
            std::thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        Instant::now()
    }

    /// Notes how long it took to get the line; since when it is ours.
    fn begin(&mut self, asked: Instant) -> Instant {
        let now = Instant::now();
        if now.duration_since(asked) >= self.waited {
            self.crowded_until = Some(now + CROWDED);
        }
        now
    }

    /// Acts in a transaction of its own.
    ///
    /// # Errors
    /// Those of the line and of the act; [`CardError::CardRemoved`] where a panic took the card away.
    pub(crate) fn once<T>(
        &mut self,
        act: impl FnOnce(&mut Transaction<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        self.end();
        let asked = self.rest();
        let mut card = self.card.take().ok_or(CardError::CardRemoved)?;
        let (since, result) = match card.transaction() {
            Ok(mut transaction) => {
                let since = self.begin(asked);
                (since, act(&mut transaction))
            }
            Err(error) => (asked, Err(error.into())),
        };
        self.card = Some(card);
        self.leave(since);
        result
    }

    /// Acts in the transaction that is kept; `None` where there is none. What fails ends it.
    pub(crate) fn again<T>(
        &mut self,
        act: impl FnOnce(&mut Transaction<'_>) -> Result<T, KeyError>,
    ) -> Option<Result<T, KeyError>> {
        if self.may_stay().is_some_and(|time| time.is_zero()) {
            self.end();
        }
        let mut kept = self.kept.take()?;
        let result = kept.card.with_dependent_mut(|_, transaction| act(transaction));
        kept.used = Instant::now();
        self.kept = Some(kept);
        if result.is_err() {
            self.end();
        }
        Some(result)
    }

    /// Acts in a new transaction, which is kept if that succeeds and nobody else was noticed.
    ///
    /// # Errors
    /// Those of the line and of the act.
    pub(crate) fn keep<T>(
        &mut self,
        act: impl FnOnce(&mut Transaction<'_>) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        self.end();
        let asked = self.rest();
        let card = self.card.take().ok_or(CardError::CardRemoved)?;
        let begun =
            OpenCard::try_new_or_recover(MutBorrow::new(card), |card| card.borrow_mut().transaction());
        let mut card = match begun {
            Ok(card) => card,
            Err((card, error)) => {
                self.card = Some(card.into_inner());
                return Err(error.into());
            }
        };
        let since = self.begin(asked);
        let result = card.with_dependent_mut(|_, transaction| act(transaction));
        let used = Instant::now();
        self.kept = Some(Kept { card, since, used });
        if result.is_err() || self.is_crowded(used) {
            self.end();
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use middleware::transport::transcript::{Progress, Transcript};
    use middleware::{KeyAlgorithm, KeyReference, LastTry, Pin};

    use super::*;

    const SELECT: &str = "> 00 A4 04 00 ..\n< 90 00\n";
    const VERIFY: &str = "> 00 20 00 80\n< 63 C3\n> 00 20 00 80 ..\n< 90 00\n";
    const USE: &str = "> 00 87 11 9A ..\n< 7C 04 82 02 AB CD 90 00\n";
    const LOG_OUT: &str = "> 00 20 FF 80\n< 90 00\n";
    const FOREVER: Duration = Duration::from_secs(86_400);

    fn line(script: &[&str], idle: Duration, longest: Duration) -> (Line, Progress) {
        let transcript = Transcript::parse(&[&[SELECT], script].concat().concat()).unwrap();
        let progress = transcript.progress();
        let card = Card::over(Box::new(transcript)).unwrap_or_else(|error| panic!("{error}"));
        (Line { idle, longest, waited: FOREVER, ..Line::new(card) }, progress)
    }

    fn act(transaction: &mut Transaction<'_>) -> Result<usize, KeyError> {
        let key = KeyReference::Authentication;
        Ok(transaction.use_private_key(key, KeyAlgorithm::P256, &[7; 32])?.len())
    }

    fn first(line: &mut Line) -> Result<usize, KeyError> {
        let pin = Pin::new("123456")?;
        line.keep(|transaction| {
            let _fresh = transaction.verify_pin(&pin, LastTry::Refuse)?;
            act(transaction)
        })
    }

    #[test]
    fn the_next_use_is_one_command_and_the_end_logs_out() {
        let (mut line, progress) = line(&[SELECT, VERIFY, USE, USE, USE, LOG_OUT], FOREVER, FOREVER);
        assert!(line.again(act).is_none());
        assert!(first(&mut line).is_ok() && line.is_kept());
        for _ in 0..2 {
            assert!(line.again(act).unwrap().is_ok());
        }
        assert!(line.may_stay().is_some());
        line.end();
        assert!(!line.is_kept() && line.may_stay().is_none());
        assert_eq!(progress.finish(), Ok(()));
    }

    #[test]
    fn dropping_the_line_logs_out() {
        let (mut line, progress) = line(&[SELECT, VERIFY, USE, LOG_OUT], FOREVER, FOREVER);
        assert!(first(&mut line).is_ok());
        drop(line);
        assert_eq!(progress.finish(), Ok(()));
    }

    #[test]
    fn anything_else_with_the_card_ends_it_first() {
        let (mut line, progress) = line(&[SELECT, VERIFY, USE, LOG_OUT, SELECT], FOREVER, FOREVER);
        assert!(first(&mut line).is_ok());
        line.once(|_| Ok(())).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(progress.finish(), Ok(()));
    }

    #[test]
    fn a_use_that_comes_late_finds_nothing_kept() {
        for (idle, longest) in [(Duration::ZERO, FOREVER), (FOREVER, Duration::ZERO)] {
            let (mut line, progress) = line(&[SELECT, VERIFY, USE, LOG_OUT], idle, longest);
            assert!(first(&mut line).is_ok());
            assert!(line.again(act).is_none());
            // Whoever has had the line for so long leaves it to others.
            assert_eq!(line.rests_until.is_some(), longest.is_zero());
            assert_eq!(progress.finish(), Ok(()));
        }
    }

    #[test]
    fn who_had_to_wait_for_others_keeps_nothing() {
        let (mut line, progress) = line(&[SELECT, VERIFY, USE, LOG_OUT], FOREVER, FOREVER);
        line.waited = Duration::ZERO;
        assert!(first(&mut line).is_ok() && !line.is_kept());
        assert!(line.rests_until.is_some());
        assert_eq!(progress.finish(), Ok(()));
    }

    #[test]
    fn a_use_that_fails_ends_it() {
        let refused = "> 00 87 11 9A ..\n< 69 82\n";
        let (mut line, progress) = line(&[SELECT, VERIFY, USE, refused, LOG_OUT], FOREVER, FOREVER);
        assert!(first(&mut line).is_ok());
        assert!(matches!(line.again(act), Some(Err(KeyError::Card(CardError::PinRequired)))));
        assert!(!line.is_kept());
        assert_eq!(progress.finish(), Ok(()));
    }

    #[test]
    fn a_first_use_that_fails_leaves_nothing() {
        let wrong = "> 00 20 00 80\n< 63 C3\n> 00 20 00 80 ..\n< 63 C2\n";
        let (mut line, progress) = line(&[SELECT, wrong, LOG_OUT], FOREVER, FOREVER);
        let refused = first(&mut line);
        assert!(matches!(refused, Err(KeyError::Card(CardError::WrongPin { tries_left: 2 }))));
        assert!(!line.is_kept());
        assert_eq!(progress.finish(), Ok(()));
    }
}
