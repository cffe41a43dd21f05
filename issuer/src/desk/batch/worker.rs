//! Whoever makes cards at one place: takes the card that lies there, finds its row, makes it, takes the next.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use middleware::{Card, CardError, KeyError};

use super::half_made::{self, HalfMade};
use super::hand::Hand;
use super::place::Place;
use super::queue::{Lying, Progress, Queue};
use super::reason::Reason;
use super::rows::Row;
use crate::desk::bench::Participants;
use crate::desk::failure::Failure;
use crate::desk::issue::{self, pin_place::PinPlace};
use crate::desk::texts;
use crate::domain::{CardProfile, CardState, Guid};
use crate::personalization::PersonalizationError;
use crate::personalization::run::{Personalized, Progress as Step};
use crate::registry::{CardRecord, PresentedIdentity, RegistryError};

/// What all who make cards share.
pub struct Shared<'a> {
    /// The rows.
    pub rows: &'a [Row],
    /// How far they are.
    pub queue: Mutex<Queue>,
    /// Where the transport PINs go.
    pub pins: &'a Path,
    /// Set when everybody shall stop after the step in hand.
    pub stop: &'a AtomicBool,
    /// Why everybody stopped, if it is nobody's wish.
    pub fatal: Mutex<Option<Failure>>,
    /// Who watches.
    pub watcher: &'a dyn Watcher,
}

/// Who watches a batch.
pub trait Watcher: Sync {
    /// A row's card is begun at a place.
    fn begun(&self, place: &str, row: &Row);
    /// It is a step further.
    fn step(&self, place: &str, step: &Step);
    /// A row has come to what it is now.
    fn ended(&self, place: &str, row: &Row, progress: &Progress);
    /// Somebody at the place has to do something.
    fn wanted(&self, place: &str, what: &str);
    /// Nobody works there any more.
    fn left(&self, place: &str);
}

/// What came of the card that lies at a place.
enum Outcome {
    /// Its row is done, or will never be.
    Ended,
    /// It stays: the row was not for anybody, and the card is as it was.
    CardUnused,
    /// This card is for nobody here.
    OtherCard(String),
}

impl Shared<'_> {
    /// Makes cards at a place until nothing is left for it, or everybody stops.
    pub async fn work(&self, hand: &mut Hand, place: &mut Place) {
        self.make_all(hand, place).await;
        self.watcher.left(place.name());
    }

    async fn make_all(&self, hand: &mut Hand, place: &mut Place) {
        let mut refused: Option<String> = None;
        while self.goes_on() && self.queue().has_work_for(place.name()) {
            // The clock may have been set since the batch began.
            if let Err(failure) = hand.office.time_to_record().await {
                self.give_up(failure);
                return;
            }
            let card = match place.next_card(refused.as_deref(), self) {
                Ok(Some(card)) => card,
                Ok(None) => return,
                Err(failure) => {
                    self.watcher.wanted(place.name(), &Reason::from(failure).said);
                    return;
                }
            };
            refused = match self.use_card(hand, place, card).await {
                Ok(reason) => reason,
                Err(failure) => {
                    self.give_up(failure);
                    return;
                }
            };
        }
    }

    /// Uses a card until it is somebody's or turns out to be for nobody here; answers why it is for nobody.
    async fn use_card(
        &self,
        hand: &mut Hand,
        place: &Place,
        mut card: Card,
    ) -> Result<Option<String>, Failure> {
        loop {
            match self.make_one(hand, place, &mut card).await? {
                Outcome::Ended => return Ok(None),
                Outcome::OtherCard(why) => return Ok(Some(why)),
                Outcome::CardUnused if self.goes_on() => {}
                Outcome::CardUnused => return Ok(None),
            }
        }
    }

    async fn make_one(&self, hand: &mut Hand, place: &Place, card: &mut Card) -> Result<Outcome, Failure> {
        let record = match present(hand, card).await? {
            Ok(record) => record,
            Err(why) => return Ok(Outcome::OtherCard(why)),
        };
        let lying = match record.card.state() {
            CardState::InStock { .. } => Lying::Blank,
            CardState::BeingPersonalised { holder, .. } => Lying::HalfMadeFor(*holder),
            // Of this batch, and done.
            CardState::Issued { holder, .. } if self.rows.iter().any(|row| row.holder.id == *holder) => {
                return Ok(Outcome::Ended);
            }
            state => {
                let values = [("state", texts::state(state.name()))];
                let values = values.each_ref().map(|(key, value)| (*key, value.as_str()));
                return Ok(Outcome::OtherCard(texts::say("batched-not-blank", &values)));
            }
        };
        let Some(index) = self.queue().take(lying, place.name()) else {
            let why = match lying {
                Lying::Blank => "batched-bound-elsewhere",
                Lying::HalfMadeFor(_) => "batched-not-of-this",
            };
            return Ok(Outcome::OtherCard(texts::say(why, &[])));
        };
        let Some(row) = self.rows.get(index) else { return Ok(Outcome::Ended) };
        let order = match self.order(hand, row, lying, &record).await? {
            Ok(order) => order,
            Err(failure) => {
                let said = texts::failure(&failure);
                let progress = Progress::Refused(failure.into());
                self.watcher.ended(place.name(), row, &progress);
                self.queue().set(index, progress);
                return Ok(Outcome::OtherCard(said));
            }
        };
        if lying == Lying::Blank
            && let Some(progress) = super::elsewhere(&hand.office, row).await?
        {
            self.watcher.ended(place.name(), row, &progress);
            self.queue().set(index, progress);
            return Ok(Outcome::CardUnused);
        }
        self.watcher.begun(place.name(), row);
        let HalfMade { profile, as_ordered } = order;
        let made = self.personalize(hand, place, card, (row, profile), lying).await;
        let (progress, outcome) = match made {
            Ok(made) => (Progress::Done { guid: made.guid, before: false, as_ordered }, Ok(Outcome::Ended)),
            Err(error) => match other_desk_was_quicker(hand, row, lying, &error).await {
                Some(progress) => (progress, Ok(Outcome::CardUnused)),
                None => self.judge(hand, row, error).await,
            },
        };
        self.watcher.ended(place.name(), row, &progress);
        self.queue().set(index, progress);
        outcome
    }

    /// What the card becomes: as the list says, or as it was ordered before.
    async fn order(
        &self,
        hand: &Hand,
        row: &Row,
        lying: Lying,
        record: &CardRecord,
    ) -> Result<Result<HalfMade, Failure>, Failure> {
        match lying {
            Lying::Blank => Ok(Ok(HalfMade { profile: row.profile.clone(), as_ordered: None })),
            Lying::HalfMadeFor(_) => half_made::order(&hand.office, row, record).await,
        }
    }

    async fn personalize(
        &self,
        hand: &mut Hand,
        place: &Place,
        card: &mut Card,
        (row, profile): (&Row, CardProfile),
        lying: Lying,
    ) -> Result<Personalized, PersonalizationError> {
        let file = self.pins.join(super::pin_file_name(&row.holder));
        // What an interrupted run left there is the PIN of nothing any more: the card gets another.
        let mut pin_place = match lying {
            Lying::HalfMadeFor(_) => PinPlace::replacing(&file),
            Lying::Blank => PinPlace::file(&file),
        }
        .map_err(|failure| PersonalizationError::TransportPin(std::io::Error::other(failure.message)))?;
        let Hand { office, bench } = hand;
        let participants = Participants {
            progress: &mut |step| self.watcher.step(place.name(), &step),
            hand_over_pin: &mut |pin| pin_place.deliver(pin),
            stop: &|| self.stop.load(Ordering::SeqCst),
        };
        let mut desk = bench.desk(office, participants);
        desk.personalize(card, &row.holder, profile).await
    }

    /// What an error means for the row, and for whoever works here.
    async fn judge(
        &self,
        hand: &Hand,
        row: &Row,
        error: PersonalizationError,
    ) -> (Progress, Result<Outcome, Failure>) {
        let kind = Kind::of(&error);
        let half_made = match hand.office.registry.card_of(row.holder.id).await {
            Ok(Some(record)) => matches!(record.card.state(), CardState::BeingPersonalised { .. }),
            // If the registry cannot be asked, it is half-made as far as anybody knows.
            Ok(None) | Err(_) => !matches!(kind, Kind::Person),
        };
        let failure = issue::explain(&hand.office, &row.holder, error).await;
        let why = Reason::from(failure.clone());
        let other_card = Outcome::OtherCard(why.said.clone());
        match (kind, half_made) {
            (Kind::Person, _) => (Progress::Refused(why), Ok(Outcome::CardUnused)),
            (Kind::Everybody, true) => (Progress::HalfMade(why), Err(failure)),
            (Kind::Everybody, false) => (Progress::Waiting, Err(failure)),
            (Kind::Card, _) => (Progress::Refused(why), Ok(Outcome::Ended)),
            (Kind::Moment, true) => (Progress::HalfMade(why), Ok(other_card)),
            (Kind::Moment, false) => (Progress::Waiting, Ok(other_card)),
        }
    }

    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::SeqCst)
    }

    /// Everybody stops: it would be the same for all.
    pub fn give_up(&self, failure: Failure) {
        self.stop.store(true, Ordering::SeqCst);
        let mut fatal = self.fatal.lock().unwrap_or_else(PoisonError::into_inner);
        fatal.get_or_insert(failure);
    }

    /// The rows; whoever panicked while holding them left them whole.
    pub fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What another desk made of the row after it was looked at here: its card, or the PIN of that.
async fn other_desk_was_quicker(
    hand: &Hand,
    row: &Row,
    lying: Lying,
    error: &PersonalizationError,
) -> Option<Progress> {
    let is_sign = match error {
        PersonalizationError::Registry(RegistryError::HasCard { .. }) => true,
        PersonalizationError::TransportPin(_) => lying == Lying::Blank,
        _ => false,
    };
    if !is_sign {
        return None;
    }
    super::elsewhere(&hand.office, row).await.ok().flatten()
}

/// The registry's record of the card that lies there, or why there is none.
async fn present(hand: &Hand, card: &mut Card) -> Result<Result<CardRecord, String>, Failure> {
    let identity = match card.identity() {
        Ok(identity) => identity,
        Err(error) => return Ok(Err(Reason::from(Failure::from(error)).said)),
    };
    let presented = PresentedIdentity { vendor_serial: identity.serial, guid: identity.guid.map(Guid::new) };
    let record = hand.office.registry.card_presented(presented).await?;
    Ok(record.ok_or_else(|| {
        let unknown = PersonalizationError::UnknownCard(crate::personalization::describe(presented));
        Reason::from(Failure::from(unknown)).said
    }))
}

/// Whose error it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The person's: the card is as it was.
    Person,
    /// The card's, for good.
    Card,
    /// It would be the same for every row: registry, disk, authority.
    Everybody,
    /// Bad luck, or somebody's wish to stop.
    Moment,
}

impl Kind {
    fn of(error: &PersonalizationError) -> Self {
        if error.fault().is_some() {
            return Self::Card;
        }
        match error {
            PersonalizationError::Interrupted { source, .. } => match Self::of(source) {
                Self::Person => Self::Moment,
                kind => kind,
            },
            PersonalizationError::EmploymentOver(_) => Self::Person,
            PersonalizationError::Registry(error) => match error {
                RegistryError::HasCard { .. }
                | RegistryError::PersonRefused(_)
                | RegistryError::UnknownPerson(_) => Self::Person,
                // Another desk was quicker with this card or this person.
                RegistryError::CardRefused(_) => Self::Moment,
                _ => Self::Everybody,
            },
            PersonalizationError::TransportPin(_) | PersonalizationError::Custody(_) => Self::Everybody,
            PersonalizationError::Key(KeyError::Card(error)) | PersonalizationError::Card(error) => {
                Self::of_card(error)
            }
            PersonalizationError::Stopped => Self::Moment,
            PersonalizationError::Ca(_) | PersonalizationError::Key(_) => Self::Everybody,
            _ => Self::Card,
        }
    }

    const fn of_card(error: &CardError) -> Self {
        match error {
            CardError::CardRemoved
            | CardError::CardReset
            | CardError::NoCard
            | CardError::InUse(_)
            | CardError::Transport(_) => Self::Moment,
            _ => Self::Card,
        }
    }
}
