//! `issuer batch`: the cards of a list, one after the other and at several readers at once.
//!
//! - `rows`: the list. `queue`: who is next. `place`: where cards lie. `hand`, `worker`: who makes them.
//!   `half_made`: what somebody began before. [`display`]: how far it is; [`report`]: what came of it; [`reason`]: why;
//!   [`stop`]: who wants it to end; [`echo`]: what the terminal writes of that.
//!
//! A batch keeps no state of its own: who has a card and which is half-made stands in the registry. So it is interrupted
//! anywhere, and gone on with by the same command, whether the PINs still lie in their folder or are letters by now.

pub mod display;
pub mod echo;
pub mod half_made;
pub mod hand;
pub mod place;
pub mod queue;
pub mod reason;
pub mod report;
pub mod rows;
pub mod stop;
pub mod worker;

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use middleware::{KeyAlgorithm, Locator};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use self::display::Display;
use self::echo::QuietTerminal;
use self::hand::Hand;
use self::place::Place;
use self::queue::{Entry, Progress, Queue};
use self::rows::Row;
use self::stop::Stop;
use self::worker::Shared;
use super::bench::Keys;
use super::ca::standing::refuse_withdrawn;
use super::card_profile::{Before, Wanted};
use super::failure::{Failure, Status};
use super::issue::cli::CardKeyAlgorithm;
use super::office::{Office, Passphrase, Surroundings};
use super::output::Format;
use super::{texts, which_card};
use crate::domain::{Actor, AuthorityName, CardState, Cardholder, KeyOrigin};
use crate::personalization::plan::StoredPlan;
use crate::registry::{CardRecord, RegistryUrl};

/// What `batch` is told.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The list: CSV with the column person (mail address or identifier), and if wanted profile, or algorithm (p256, rsa2048)
    /// and keys (card, inject), and reader
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// A reader into which card after card is put (pcsc:, pcsc:READER), or one card (pcsc:serial=N, sim:FILE); several
    /// work at the same time
    #[arg(long, value_name = "LOCATOR", num_args = 1..)]
    card: Vec<String>,
    /// The folder for the transport PINs, one file (mode 0600) for each person; the same again to go on
    #[arg(long, value_name = "DIR")]
    pin_folder: PathBuf,
    /// A profile of config.toml, where the list does not say
    #[arg(long, value_name = "NAME", conflicts_with_all = ["algorithm", "inject"])]
    profile: Option<String>,
    /// Algorithm of the keys, where the list does not say; otherwise p256
    #[arg(long, value_enum)]
    algorithm: Option<CardKeyAlgorithm>,
    /// Make the keys here and write them into the cards, where the list does not say
    #[arg(long)]
    inject: bool,
    /// How long to wait for the next card; otherwise until Ctrl-C
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// How many cards that are in no reader of their own are worked on at the same time; otherwise eight for each processor,
    /// or eight at a registry that desks share
    #[arg(long, value_name = "N")]
    at_once: Option<NonZero<usize>>,
}

/// In whose name everybody works, and what opens the keys.
#[derive(Clone)]
struct BegunBy<'a> {
    surroundings: &'a Surroundings,
    actor: Option<Actor>,
    passphrase: Passphrase,
    keys: &'a Keys,
}

/// Makes the cards.
///
/// # Errors
/// The list cannot be used, or nothing could be done.
pub async fn run(office: &mut Office, arguments: &Arguments, format: Format) -> Result<Status, Failure> {
    office.time_to_sign().await?;
    refuse_withdrawn(office, AuthorityName::People).await?;
    let default = Wanted {
        profile: arguments.profile.clone(),
        algorithm: arguments.algorithm.map(KeyAlgorithm::from),
        origin: arguments.inject.then_some(KeyOrigin::Injected),
    };
    // A name that is none is one mistake, not one of every row.
    default.profile(&office.config, Before::MadeBy(None))?;
    let (rows, unusable) = rows::read(office, &arguments.file, &default).await?;
    let places = places(arguments, &rows)?;
    make_folder(&arguments.pin_folder)?;
    let queue = queue(office, &rows, &arguments.pin_folder).await?;
    let done = queue.entries().iter().filter(|entry| matches!(entry.progress, Progress::Done { .. })).count();
    let passphrase = office.passphrase()?;
    // From here on; whoever gives up at a question is let go by the system.
    let stop = Stop::on_signals()?;
    let display = Display::new(format, rows.len(), done);
    let terminal = QuietTerminal::new(display.has_bars());
    let (announce, modes) = (display.announcer(), terminal.modes());
    stop.then(move || {
        announce(&texts::say("batched-stopping", &[]));
        // The next signal ends the program at once.
        modes.restore();
    })?;
    let keys = Keys::open(office, &passphrase).await?;
    let (surroundings, actor) = (office.surroundings(), office.registry.acts_as());
    let begun_by = BegunBy { surroundings, actor, passphrase, keys: &keys };
    let shared = Shared {
        rows: &rows,
        queue: Mutex::new(queue),
        pins: &arguments.pin_folder,
        stop: stop.flag(),
        fatal: Mutex::new(None),
        watcher: &display,
    };
    if !stop.is_wanted() {
        work(begun_by, &shared, places, arguments.at_once);
    }
    display.close();
    drop(terminal);
    let mut entries = shared.queue().entries().to_vec();
    for (row, entry) in rows.iter().zip(&mut entries) {
        entry.progress = settled(office, row, entry.progress.clone()).await;
    }
    let fatal = shared.fatal.into_inner().unwrap_or_else(PoisonError::into_inner);
    report::show(&rows, &entries, &unusable, &again(arguments), fatal, format)
}

/// How many emulated or single cards are worked on at once for each processor: they wait for the disk most of their time,
/// and those who wait together share what they wait for.
const HANDS: usize = 8;
/// The same at a server, whatever the processors: each hand has up to two connections there, a server has a hundred as it
/// comes (PostgreSQL, max_connections), and other desks want theirs: four fit.
const HANDS_AT_SERVER: usize = 8;

/// Every reader has somebody of its own; emulated cards and single ones share `at_once` of them.
fn work(begun_by: BegunBy<'_>, shared: &Shared<'_>, places: Vec<Place>, at_once: Option<NonZero<usize>>) {
    let (readers, single): (Vec<_>, Vec<_>) = places.into_iter().partition(Place::is_reader);
    let unless_said = || match begun_by.surroundings.registry {
        Some(RegistryUrl::Postgres(_)) => HANDS_AT_SERVER,
        _ => HANDS * std::thread::available_parallelism().map_or(1, NonZero::get),
    };
    let hands = at_once.map_or_else(unless_said, NonZero::get).min(single.len());
    // The first of the list is taken first.
    let single: Mutex<Vec<_>> = Mutex::new(single.into_iter().rev().collect());
    let next = &|| single.lock().unwrap_or_else(PoisonError::into_inner).pop();
    std::thread::scope(|scope| {
        for reader in readers {
            let mut reader = Some(reader);
            let begun_by = begun_by.clone();
            scope.spawn(move || at_work(begun_by, shared, || reader.take()));
        }
        for _ in 0..hands {
            let begun_by = begun_by.clone();
            scope.spawn(move || at_work(begun_by, shared, next));
        }
        // Each lets go of the passphrase as soon as its keys are open.
        drop(begun_by);
    });
}

/// Works at one place after the other, with a home opened for it.
fn at_work(begun_by: BegunBy<'_>, shared: &Shared<'_>, mut next: impl FnMut() -> Option<Place>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return shared.give_up(Failure::new("io", error.to_string())),
    };
    runtime.block_on(async {
        let BegunBy { surroundings, actor, passphrase, keys } = begun_by;
        let mut hand = match Hand::open(surroundings, actor, &passphrase, keys).await {
            Ok(hand) => hand,
            Err(failure) => return shared.give_up(failure),
        };
        drop(passphrase);
        while let Some(mut place) = next() {
            shared.work(&mut hand, &mut place).await;
        }
        hand.office.registry.close().await;
    });
}

/// The places that were named, and those that only rows name.
fn places(arguments: &Arguments, rows: &[Row]) -> Result<Vec<Place>, Failure> {
    let mut names: Vec<&str> = Vec::new();
    let of_rows = rows.iter().filter_map(|row| row.place.as_deref());
    for name in arguments.card.iter().map(String::as_str).chain(of_rows) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    if names.is_empty() && !rows.is_empty() {
        return Err(Failure::usage("name a reader or card with --card, or each row's in the column reader"));
    }
    let patience = arguments.wait.map(Duration::from_secs);
    names
        .into_iter()
        .map(|name| {
            let locator: Locator = name
                .parse()
                .map_err(|error: middleware::CardError| Failure::usage(format!("{name}: {error}")))?;
            Ok(Place::new(name.to_owned(), locator, patience))
        })
        .collect()
}

/// How far each row is before anything is done: the registry knows.
async fn queue(office: &Office, rows: &[Row], pins: &Path) -> Result<Queue, Failure> {
    let mut entries = Vec::new();
    for row in rows {
        let progress = match office.registry.card_of(row.holder.id).await? {
            _ if row.holder.left.is_some() => refused(
                Failure::new(
                    "person-left",
                    "has left and gets no card; whoever left and still has one: issuer staff leavers",
                )
                .saying("failed-row-left", &[]),
            ),
            None => without_card(office, row, pins).await?,
            Some(record) => with_card(office, row, &record).await?,
        };
        entries.push(Entry { holder: row.holder.id, place: row.place.clone(), progress });
    }
    Ok(Queue::new(entries))
}

/// How far the row of somebody is who has no card: one that ended is replaced deliberately, not by a list of before.
async fn without_card(office: &Office, row: &Row, pins: &Path) -> Result<Progress, Failure> {
    let cards = office.registry.cards_of(row.holder.id).await?;
    let ended = cards.iter().find(|record| {
        matches!(
            record.card.state(),
            CardState::Lost { .. } | CardState::Damaged { .. } | CardState::Revoked { .. }
        )
    });
    let Some(record) = ended else {
        let has_pin_file = pins.join(pin_file_name(&row.holder)).exists();
        return Ok(if has_pin_file { pin_file_in_the_way(pins) } else { Progress::Waiting });
    };
    let (card, state, mail) = (which_card::name(record), record.card.state(), row.holder.mail.as_str());
    let since = state.since().map(|since| since.to_string()).unwrap_or_default();
    let message = format!(
        "had card {card}, which is {} since {since}; put another in its place with: issuer replace {mail} --card LOCATOR",
        state.name()
    );
    let said = texts::state(state.name());
    let values = [("card", card.as_str()), ("state", &said), ("since", &since), ("mail", mail)];
    Ok(refused(Failure::new("card-ended", message).saying("failed-row-ended", &values)))
}

/// A PIN of whom nobody knows which card it opens.
fn pin_file_in_the_way(pins: &Path) -> Progress {
    let folder = pins.display().to_string();
    let message = format!("has no card, but a PIN file lies in {folder} already: take it away first");
    refused(Failure::new("exists", message).saying("failed-row-pin-file", &[("folder", &folder)]))
}

/// What another desk made of a row whose person had no card when this batch began; nothing if none did.
async fn elsewhere(office: &Office, row: &Row) -> Result<Option<Progress>, Failure> {
    let Some(record) = office.registry.card_of(row.holder.id).await? else { return Ok(None) };
    Ok(Some(match record.card.state() {
        CardState::BeingPersonalised { since, .. } => {
            let (card, since) = (which_card::name(&record), since.to_string());
            let message = format!(
                "another desk has been making card {card} since {since}; this same command asks again whether it is done"
            );
            let values = [("card", card.as_str()), ("since", &since)];
            refused(Failure::new(BEING_MADE, message).saying("failed-row-being-made", &values))
        }
        _ => with_card(office, row, &record).await?,
    }))
}

/// Another desk was quicker with this person.
const BEING_MADE: &str = "being-made";

/// How far a row is at the end: what another desk was making may be done by now.
async fn settled(office: &Office, row: &Row, progress: Progress) -> Progress {
    let was_elsewhere = matches!(&progress, Progress::Refused(why) if why.code == BEING_MADE);
    if !was_elsewhere && !matches!(progress, Progress::HalfMade(_) | Progress::Waiting | Progress::Taken) {
        return progress;
    }
    match elsewhere(office, row).await {
        Ok(Some(now)) if was_elsewhere || matches!(now, Progress::Done { .. }) => now,
        // That one was given up, and nobody has begun another.
        Ok(None) if was_elsewhere => Progress::Waiting,
        // If the registry cannot be asked, it is as it was.
        _ => progress,
    }
}

/// How far the row of somebody is who has a card, or is about to get one.
async fn with_card(office: &Office, row: &Row, record: &CardRecord) -> Result<Progress, Failure> {
    let state = record.card.state();
    if let CardState::BeingPersonalised { since, .. } = state {
        return Ok(match half_made::order(office, row, record).await? {
            Ok(_) => Progress::HalfMade(interrupted(since).into()),
            Err(failure) => refused(failure),
        });
    }
    let plan = office.registry.plan(record.id, record.card.attempts()).await?;
    let is_another = plan.is_some_and(|plan| StoredPlan::makes_another(&plan, &row.profile));
    let (card, mail, said) = (which_card::name(record), row.holder.mail.as_str(), texts::state(state.name()));
    let values = [("card", card.as_str()), ("state", &said), ("mail", mail)];
    Ok(match (state, record.card.guid()) {
        (CardState::Issued { .. }, Some(guid)) if !is_another => {
            Progress::Done { guid, before: true, as_ordered: None }
        }
        (CardState::Issued { .. }, _) => {
            let message = format!(
                "has card {card} already ({}), with other keys or another profile than the list wants; put another in its place with: issuer replace {mail}",
                state.name()
            );
            refused(Failure::new("has-card", message).saying("failed-row-other-card", &values))
        }
        _ => {
            let message = format!(
                "has card {card} already ({}); see what can be done with it: issuer show {mail}",
                state.name()
            );
            refused(Failure::new("has-card", message).saying("failed-row-has-card", &values))
        }
    })
}

fn refused(failure: Failure) -> Progress {
    Progress::Refused(failure.into())
}

fn interrupted(since: &Timestamp) -> Failure {
    let since = since.to_string();
    Failure::new("interrupted", format!("interrupted; begun {since}"))
        .saying("failed-row-interrupted", &[("since", &since)])
}

/// The folder of PINs: only ours.
fn make_folder(folder: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| Failure::folder(folder, &error))
}

/// The command that goes on, for people.
fn again(arguments: &Arguments) -> String {
    let quoted = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-:=@".contains(&byte));
        if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
    };
    let cards: Vec<_> = arguments.card.iter().map(|card| quoted(card)).collect();
    let cards = if cards.is_empty() { String::new() } else { format!(" --card {}", cards.join(" ")) };
    let algorithm = match arguments.algorithm {
        None => "",
        Some(CardKeyAlgorithm::P256) => " --algorithm p256",
        Some(CardKeyAlgorithm::Rsa2048) => " --algorithm rsa2048",
    };
    let profile = arguments.profile.as_ref().map(|name| format!(" --profile {name}")).unwrap_or_default();
    format!(
        "issuer batch {}{cards} --pin-folder {}{profile}{algorithm}{}",
        quoted(&arguments.file.to_string_lossy()),
        quoted(&arguments.pin_folder.to_string_lossy()),
        if arguments.inject { " --inject" } else { "" },
    )
}

/// What may stand in a file's name beside letters and digits.
const NAMES: &AsciiSet = &NON_ALPHANUMERIC.remove(b'.').remove(b'-').remove(b'_').remove(b'@').remove(b'+');

/// The file for a person's transport PIN.
fn pin_file_name(holder: &Cardholder) -> String {
    format!("{}.pin", utf8_percent_encode(holder.mail.as_str(), NAMES))
}
