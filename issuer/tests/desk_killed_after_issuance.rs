//! kill -9 at every journalled moment of what is done to a card after it was issued, on both databases: setting the PIN anew,
//! wiping, and putting another card in its place. The next run finishes it, and card, registry and authority agree.
//!
//! The moments are not listed here: a run in a process of its own counts those that it passes, and ends itself with SIGKILL
//! at the one it was told.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)] // a test may panic

mod desk_support;
#[path = "desk_support/opened.rs"]
mod opened;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use desk_support::{Desk, open, pin, run};
use issuer::clock::{Clock, SystemClock};
use issuer::domain::{CardCommand, CardState, Guid, InitialPin, Loss};
use issuer::personalization::plan::Commission;
use issuer::personalization::run::Progress;
use issuer::personalization::unblock::Unblocking;
use issuer::personalization::wipe;
use issuer::registry::{CardRecord, PresentedIdentity};
use middleware::{Card, LastTry, Locator};
use opened::{Opened, keys, sqlite};
use postgres_server::Server;

/// What the run in a process of its own works on: home, registry, act, card, person, moment.
const ORDER: &str = "SEALWRIGHT_TEST_ACT_TO_KILL";
/// The PINs that are set, by whom is killed and by whom goes on.
const PINS: [&str; 2] = ["75310864", "86420975"];

/// What is done to a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Unblock,
    Wipe,
    Replace,
}

impl Act {
    const ALL: [Self; 3] = [Self::Unblock, Self::Wipe, Self::Replace];

    fn name(self) -> String {
        format!("{self:?}")
    }

    /// Does it; `watch` sees every moment.
    async fn carry_out(
        self,
        opened: &mut Opened,
        card: &str,
        person: &str,
        digits: &str,
        watch: &mut dyn FnMut(Progress),
    ) {
        let mut card = Card::open(&card.parse::<Locator>().unwrap()).unwrap();
        let record = record(opened, &mut card).await;
        match self {
            Self::Unblock => {
                let mut unblocking = Unblocking {
                    registry: &opened.registry,
                    master_key: &opened.master_key,
                    clock: &SystemClock,
                    last_try: LastTry::Refuse,
                    progress: watch,
                };
                let pin = (&pin(digits), InitialPin::Transport);
                unblocking.unblock(&mut card, &record, pin, || Ok(())).await.unwrap();
            }
            Self::Wipe => {
                wipe::wipe(&opened.registry, &SystemClock, &mut card, &record, watch).await.unwrap();
            }
            Self::Replace => {
                let holder = opened.registry.cardholder_named(person).await.unwrap().unwrap();
                let old = opened.registry.cards_of(holder.id).await.unwrap().into_iter();
                let old = old.map(|old| (old.id, old.card)).find(|(_, card)| is_lost(card.state())).unwrap();
                let commission = Commission { replaces: Some(old.0), ..keys().into() };
                opened.personalize(&mut card, &holder, commission, watch).await.unwrap();
            }
        }
    }
}

fn is_lost(state: &CardState) -> bool {
    matches!(state, CardState::Lost { .. })
}

async fn record(opened: &Opened, card: &mut Card) -> CardRecord {
    let identity = card.identity().unwrap();
    let shown = PresentedIdentity { vendor_serial: identity.serial, guid: identity.guid.map(Guid::new) };
    opened.registry.card_presented(shown).await.unwrap().unwrap()
}

/// Does nothing if nothing is ordered; otherwise it ends itself at the moment that was ordered.
#[tokio::test]
async fn the_act_that_is_killed() {
    let Ok(order) = std::env::var(ORDER) else { return };
    let order: Vec<_> = order.split('\n').collect();
    let act = Act::ALL.into_iter().find(|act| act.name() == order[2]).unwrap();
    let moment: usize = order[5].parse().unwrap();
    let mut opened = Opened::at(Path::new(order[0]), &order[1].parse().unwrap()).await;
    let mut passed = 0;
    let mut watch = |_| {
        passed += 1;
        if passed == moment {
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap();
        }
    };
    act.carry_out(&mut opened, order[3], order[4], PINS[0], &mut watch).await;
}

struct Story<'a> {
    desk: &'a Desk,
    registry: String,
    act: Act,
    /// How many moments it has at least.
    least: usize,
}

impl Story<'_> {
    fn program(&self, arguments: &[&str]) -> desk_support::Run {
        run(self.desk.command(arguments).env("ISSUER_REGISTRY", &self.registry))
    }

    fn blank(&self, name: &str) -> String {
        let locator = self.desk.blank(name, &[]);
        self.program(&["stock", "add", "--card", &locator]).expect(0);
        locator
    }

    /// Kills a run at its first moment, at its second, and so on, until one gets through.
    async fn enumerate(&self) {
        let mut opened = Opened::at(&self.desk.home(), &self.registry.parse().unwrap()).await;
        let mut moment = 1;
        loop {
            let mail = format!("p{moment}@example.org");
            opened.add_person(&mail).await;
            let card = self.prepared(&mut opened, moment, &mail).await;
            let got_through = self.killed(&card, &mail, moment);
            if !got_through {
                self.afterwards(&mut opened, &card, &mail, moment).await;
            }
            self.is_done(&mut opened, &card, PINS[usize::from(!got_through)], moment).await;
            if got_through {
                break;
            }
            moment = self.next(moment);
        }
        assert!(moment > self.least, "a run passes only {moment} moments: does it count?");
        opened.registry.verify_log().await.unwrap();
    }

    /// Of a replacement the moments between are those of any other card (`desk_killed`), and one of four is taken; all of them
    /// in the full run.
    fn next(&self, moment: usize) -> usize {
        let is_between = self.act == Act::Replace && (4..44).contains(&moment);
        let is_full = std::env::var_os("SEALWRIGHT_FULL").is_some();
        if is_between && !is_full { moment + 4 } else { moment + 1 }
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
            }
            Act::Wipe => {
                opened.registry.command_card(record.id, CardCommand::Return, now).await.unwrap();
            }
            Act::Replace => {
                let lost = CardCommand::ReportLoss { loss: Loss::Lost };
                opened.registry.command_card(record.id, lost, now).await.unwrap();
                return self.blank(&format!("{moment}.new.card"));
            }
        }
        card
    }

    /// Starts a run and lets it end itself; answers whether it got to its end before.
    fn killed(&self, card: &str, person: &str, moment: usize) -> bool {
        let (home, act) = (self.desk.home(), self.act.name());
        let order = format!("{}\n{}\n{act}\n{card}\n{person}\n{moment}", home.display(), self.registry);
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_act_that_is_killed", "--nocapture"])
            .env(ORDER, order)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        match (output.status.signal(), output.status.success()) {
            (Some(9), _) => false,
            (None, true) => true,
            _ => panic!("moment {moment}: {}", String::from_utf8_lossy(&output.stdout)),
        }
    }

    /// The same again: by the program at the second moment, and by the same code, opened once, at the others.
    async fn afterwards(&self, opened: &mut Opened, card: &str, mail: &str, moment: usize) {
        if moment != 2 {
            return self.act.carry_out(opened, card, mail, PINS[1], &mut |_| {}).await;
        }
        let whose = format!("serial={}", open(card).identity().unwrap().serial.unwrap());
        std::fs::write(self.desk.path("chosen"), PINS[1]).unwrap();
        match self.act {
            Act::Unblock => {
                self.program(&["unblock", &whose, "--card", card, "--new-pin", "chosen"]).expect(0);
            }
            Act::Wipe => {
                self.program(&["stock", "return", &whose, "--card", card]).expect(0);
            }
            Act::Replace => {
                let replace = ["replace", mail, "--card", card, "--transport-pin-file", "new.pin"];
                self.program(&replace).expect(0);
                self.program(&replace).refuses(1, &["taken the place of", "nothing was changed"]);
            }
        }
    }

    async fn is_done(&self, opened: &mut Opened, card: &str, digits: &str, moment: usize) {
        let record = record(opened, &mut open(card)).await;
        assert_eq!(opened.registry.open_operation(record.id).await.unwrap(), None, "moment {moment}");
        match self.act {
            Act::Unblock => {
                assert!(record.card.puk().exposed_since().is_none(), "moment {moment}");
                let verified =
                    open(card).transaction().unwrap().verify_pin(&pin(digits), LastTry::Refuse).map(drop);
                assert!(verified.is_ok(), "moment {moment}: {verified:?}");
            }
            Act::Wipe => {
                let left = wipe::left_behind(&mut open(card), &record).unwrap();
                assert_eq!((left, record.card.state().name()), (None, "in stock"), "moment {moment}");
            }
            Act::Replace => {
                let holder = record.card.state().holder().unwrap();
                let cards = opened.registry.cards_of(holder).await.unwrap();
                let states: Vec<_> = cards.iter().map(|card| card.card.state().name()).collect();
                assert_eq!(states, ["awaiting activation", "replaced"], "moment {moment}");
            }
        }
        opened.agree(card, moment).await;
    }
}

async fn on_sqlite(act: Act, least: usize) {
    let desk = Desk::new();
    let registry = sqlite(&desk).to_string();
    Story { desk: &desk, registry, act, least }.enumerate().await;
}

async fn on_postgres(act: Act, least: usize) {
    let server = Server::start();
    let desk = Desk::empty();
    let init = ["init", "--allow-emulated", "--organization", "Example Org", "--domain", "example.org"];
    let base = ["--base-url", "http://pki.example.org"];
    run(desk.command(&[&init[..], &base].concat()).env("ISSUER_REGISTRY", server.url())).expect(0);
    Story { desk: &desk, registry: server.url().to_owned(), act, least }.enumerate().await;
}

#[tokio::test]
async fn an_unblock_killed_at_every_moment_is_finished_on_sqlite() {
    on_sqlite(Act::Unblock, 6).await;
}

#[tokio::test]
async fn an_unblock_killed_at_every_moment_is_finished_on_postgres() {
    on_postgres(Act::Unblock, 6).await;
}

#[tokio::test]
async fn a_wipe_killed_at_every_moment_is_finished_on_sqlite() {
    on_sqlite(Act::Wipe, 3).await;
}

#[tokio::test]
async fn a_wipe_killed_at_every_moment_is_finished_on_postgres() {
    on_postgres(Act::Wipe, 3).await;
}

#[tokio::test]
async fn a_replacement_killed_at_every_moment_is_finished_on_sqlite() {
    on_sqlite(Act::Replace, 30).await;
}

#[tokio::test]
async fn a_replacement_killed_at_every_moment_is_finished_on_postgres() {
    on_postgres(Act::Replace, 30).await;
}
