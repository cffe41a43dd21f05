//! kill -9 at every moment of what is done to a card after it was issued, on both databases: setting the PIN anew, wiping,
//! and putting another card in its place. The same command finishes it, and card, registry and authority agree.
//!
//! What is killed is the action itself, as the command line carries it out. The moments are not listed here: a run in a
//! process of its own counts those that it passes, and ends itself with SIGKILL at the one it was told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)] // a test may panic

mod desk_support;
#[path = "desk_support/in_process.rs"]
mod in_process;
#[path = "desk_support/killed.rs"]
mod killed;
#[path = "desk_support/opened.rs"]
mod opened;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;

use desk_support::{Desk, Run, open, pin, run};
use in_process::InProcess;
use issuer::clock::{Clock, SystemClock};
use issuer::desk::observer::Observer;
use issuer::domain::{CardCommand, CardState, Guid};
use issuer::personalization::wipe;
use issuer::registry::{CardRecord, PresentedIdentity};
use killed::Order;
use middleware::{Card, LastTry};
use opened::{Opened, sqlite};
use postgres_server::Server;

/// The PINs that are set, by whom is killed and by whom goes on.
const PINS: [&str; 2] = ["40719352", "86420975"];

/// What is done to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Unblock,
    Wipe,
    /// And why.
    Replace(&'static str),
}

/// Why a card is replaced that is at the desk: it stays in use until the new one is begun.
const AT_THE_DESK: [&str; 2] = ["superseded", "damaged"];

fn is_full() -> bool {
    std::env::var_os("SEALWRIGHT_FULL").is_some()
}

/// Does nothing if nothing is ordered; otherwise it ends itself at the moment that was ordered.
#[tokio::test]
async fn the_act_that_is_killed() {
    let Some(order) = Order::received() else { return };
    let [home, passphrase, registry, words @ ..] = order.words.as_slice() else {
        panic!("{:?}", order.words)
    };
    let here = InProcess {
        home: home.into(),
        registry: Some(registry.clone()),
        passphrase_file: passphrase.clone(),
    };
    let words = words.to_vec();
    here.carry_out(&words, Observer::new(move |_| order.pass())).await.unwrap();
}

async fn record(opened: &Opened, card: &mut Card) -> CardRecord {
    let identity = card.identity().unwrap();
    let shown = PresentedIdentity { vendor_serial: identity.serial, guid: identity.guid.map(Guid::new) };
    opened.registry.card_presented(shown).await.unwrap().unwrap()
}

struct Story<'a> {
    desk: &'a Desk,
    registry: String,
    act: Act,
    /// How many moments it has at least.
    least: usize,
}

impl Story<'_> {
    fn program(&self, arguments: &[&str]) -> Run {
        run(self.desk.command(arguments).env("ISSUER_REGISTRY", &self.registry))
    }

    fn blank(&self, name: &str) -> String {
        let locator = self.desk.blank(name, &[]);
        self.program(&["stock", "add", "--card", &locator]).expect(0);
        locator
    }

    /// Kills a run at its first moment, at its second, and so on, until one gets through.
    async fn enumerate(&self) {
        for digits in PINS {
            std::fs::write(self.desk.path(digits), digits).unwrap();
        }
        let mut opened = Opened::at(&self.desk.home(), &self.registry.parse().unwrap()).await;
        let mut was_done = false;
        let mut moment = 1;
        loop {
            let mail = format!("p{moment}@example.org");
            opened.add_person(&mail).await;
            let card = self.prepared(&mut opened, moment, &mail).await;
            let gets_through = self.gets_through(&card, &mail, moment);
            assert_eq!(
                gets_through, was_done,
                "moment {moment}: one comes after the end, and it is the last"
            );
            was_done = record(&opened, &mut open(&card)).await.card.state().name() == self.act.done();
            self.nobody_is_without_a_card(&opened, &mail, moment).await;
            if !gets_through {
                self.goes_on(&card, &mail, moment, was_done);
            }
            self.is_done(&mut opened, &card, PINS[usize::from(!gets_through)], moment).await;
            if gets_through {
                break;
            }
            moment = self.next(moment);
        }
        assert!(moment > self.least, "a run passes only {moment} moments: does it count?");
        opened.registry.verify_log().await.unwrap();
    }

    /// Of a replacement the moments between are those of any other card (`desk_killed`), and one of four is taken, or fewer;
    /// all of them in the full run.
    fn next(&self, moment: usize) -> usize {
        let every = match self.act {
            Act::Replace("lost") => 4,
            Act::Replace(_) => 26,
            Act::Unblock | Act::Wipe => 1,
        };
        if (4..56).contains(&moment) && !is_full() { moment + every } else { moment + 1 }
    }

    /// Wherever a replacement stops, a card that nobody else has is in use until another one is begun: they change places in
    /// one commit.
    async fn nobody_is_without_a_card(&self, opened: &Opened, mail: &str, moment: usize) {
        let Act::Replace(why) = self.act else { return };
        let holder = opened.registry.cardholder_named(mail).await.unwrap().unwrap();
        let cards = opened.registry.cards_of(holder.id).await.unwrap();
        let is_theirs = |state: &CardState| {
            matches!(state, CardState::Issued { .. } | CardState::BeingPersonalised { .. })
        };
        let theirs = cards.iter().filter(|card| is_theirs(card.card.state())).count();
        let expected = if why == "lost" { 0..=1 } else { 1..=1 };
        assert!(expected.contains(&theirs), "moment {moment}: {cards:?}");
    }

    /// A card to which it is to be done.
    async fn prepared(&self, opened: &mut Opened, moment: usize, mail: &str) -> String {
        let card = self.blank(&format!("{moment}.card"));
        opened.issue(mail, &card, &mut |_| {}).await.unwrap();
        let record = record(opened, &mut open(&card)).await;
        let now = SystemClock.now();
        match self.act {
            Act::Unblock => {
                // The PUK is changed too: it left the desk.
                opened.registry.command_card(record.id, CardCommand::BlockPin, now).await.unwrap();
                let nonce = [u8::try_from(moment).unwrap(); 16];
                opened.registry.reveal_puk(record.id, &nonce, "called back", now).await.unwrap();
                card
            }
            Act::Wipe => card,
            Act::Replace(_) => self.blank(&format!("{moment}.new.card")),
        }
    }

    /// The command that is killed, and that goes on.
    fn command(&self, card: &str, mail: &str, digits: &str, moment: usize) -> Vec<String> {
        let whose = format!("serial={}", open(card).identity().unwrap().serial.unwrap());
        let (chosen, handed_over) = (self.desk.text(digits), self.desk.text(&format!("{moment}.pin")));
        let words: &[&str] = match self.act {
            Act::Unblock => &["unblock", &whose, "--card", card, "--new-pin", &chosen],
            Act::Wipe => &["stock", "return", &whose, "--card", card],
            Act::Replace(why) => {
                &["replace", mail, "--because", why, "--card", card, "--transport-pin-file", &handed_over]
            }
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// Starts a run and lets it end itself; answers whether it got to its end before.
    fn gets_through(&self, card: &str, mail: &str, moment: usize) -> bool {
        let (home, passphrase) = (self.desk.text("home"), self.desk.text("passphrase"));
        let command = self.command(card, mail, PINS[0], moment);
        let mut words = vec![home.as_str(), &passphrase, &self.registry];
        words.extend(command.iter().map(String::as_str));
        killed::gets_through("the_act_that_is_killed", moment, &words)
    }

    /// The same again, by the program; once it is done, that is said.
    fn goes_on(&self, card: &str, mail: &str, moment: usize, is_done: bool) {
        let command = self.command(card, mail, PINS[1], moment);
        let again = self.program(&command.iter().map(String::as_str).collect::<Vec<_>>());
        match self.act {
            Act::Wipe if is_done => again.refuses(1, &["is in stock since", "nobody has it"]),
            Act::Replace(_) if is_done => again.refuses(1, &["taken the place of", "nothing was changed"]),
            // Its holder chooses another PIN.
            _ => {
                again.expect(0);
            }
        }
    }

    async fn is_done(&self, opened: &mut Opened, card: &str, digits: &str, moment: usize) {
        let record = record(opened, &mut open(card)).await;
        assert_eq!(opened.registry.open_operation(record.id).await.unwrap(), None, "moment {moment}");
        assert_eq!(record.card.state().name(), self.act.done(), "moment {moment}");
        let opens = |digits: &str| {
            let verified =
                open(card).transaction().unwrap().verify_pin(&pin(digits), LastTry::Refuse).map(drop);
            assert!(verified.is_ok(), "moment {moment}: {verified:?}");
        };
        match self.act {
            Act::Unblock => {
                assert!(record.card.puk().exposed_since().is_none(), "moment {moment}");
                opens(digits);
            }
            Act::Wipe => {
                let left = wipe::left_behind(&mut open(card), &record).unwrap();
                assert_eq!(left, None, "moment {moment}");
            }
            Act::Replace(_) => {
                let holder = record.card.state().holder().unwrap();
                let cards = opened.registry.cards_of(holder).await.unwrap();
                let states: Vec<_> = cards.iter().map(|card| card.card.state().name()).collect();
                assert_eq!(states, ["awaiting activation", "replaced"], "moment {moment}");
                // The PIN that lies there is the card's, however often one was made.
                let handed_over = std::fs::read_to_string(self.desk.path(&format!("{moment}.pin"))).unwrap();
                opens(handed_over.trim());
            }
        }
        opened.agree(card, moment).await;
    }
}

impl Act {
    /// The state of the card once it is done.
    const fn done(self) -> &'static str {
        match self {
            Self::Unblock => "active",
            Self::Wipe => "in stock",
            Self::Replace(_) => "awaiting activation",
        }
    }
}

async fn on_sqlite(act: Act, least: usize) {
    let desk = Desk::new();
    let registry = sqlite(&desk).to_string();
    Story { desk: &desk, registry, act, least }.enumerate().await;
}

async fn on_postgres(act: Act, least: usize) {
    let server = Server::start();
    let desk = Desk::with_registry(&server.url());
    Story { desk: &desk, registry: server.url().to_owned(), act, least }.enumerate().await;
}

#[tokio::test]
async fn an_unblock_killed_at_every_moment_is_finished_on_sqlite() {
    on_sqlite(Act::Unblock, 7).await;
}

#[tokio::test]
async fn an_unblock_killed_at_every_moment_is_finished_on_postgres() {
    on_postgres(Act::Unblock, 7).await;
}

#[tokio::test]
async fn a_wipe_killed_at_every_moment_is_finished_on_sqlite() {
    on_sqlite(Act::Wipe, 5).await;
}

#[tokio::test]
async fn a_wipe_killed_at_every_moment_is_finished_on_postgres() {
    on_postgres(Act::Wipe, 5).await;
}

#[tokio::test]
async fn a_replacement_killed_at_every_moment_is_finished_on_sqlite() {
    on_sqlite(Act::Replace("lost"), 40).await;
}

#[tokio::test]
async fn a_replacement_killed_at_every_moment_is_finished_on_postgres() {
    on_postgres(Act::Replace("lost"), 40).await;
}

/// Both reasons in the full run; the first stands for both otherwise.
fn at_the_desk() -> impl Iterator<Item = Act> {
    AT_THE_DESK.into_iter().take(if is_full() { 2 } else { 1 }).map(Act::Replace)
}

#[tokio::test]
async fn a_card_at_the_desk_is_in_use_until_its_replacement_is_begun_on_sqlite() {
    for act in at_the_desk() {
        on_sqlite(act, 40).await;
    }
}

#[tokio::test]
async fn a_card_at_the_desk_is_in_use_until_its_replacement_is_begun_on_postgres() {
    for act in at_the_desk() {
        on_postgres(act, 40).await;
    }
}
