//! kill -9 at every step of a card's personalisation, on both databases: whatever was going on, the next run finishes the
//! card or takes everything back, and card, registry and authority agree.
//!
//! The steps are not listed here: a run in a process of its own counts the moments that it passes, and ends itself with
//! SIGKILL at the one it was told. The test tells it the first, the second and so on, until one gets through.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)] // a test may panic

mod desk_support;
#[path = "desk_support/killed.rs"]
mod killed;
#[path = "desk_support/opened.rs"]
mod opened;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;

use std::path::{Path, PathBuf};

use desk_support::{Desk, Run, run};
use issuer::clock::{Clock, SystemClock};
use issuer::domain::{CardState, RevocationReason};
use issuer::personalization::plan::{CommandSet, KeyChoice, KeyOrigin, plan};
use issuer::personalization::run::Progress;
use issuer::registry::RegistryUrl;
use killed::Order;
use middleware::KeyAlgorithm;
use opened::{Opened, sqlite};
use postgres_server::Server;

/// Runs to its end if nothing is ordered, and counts the moments; otherwise it ends itself at the one that was ordered.
#[tokio::test]
async fn the_run_that_is_killed() {
    if let Some(order) = Order::received() {
        let [home, registry, card, person] = order.words.as_slice() else { panic!("{:?}", order.words) };
        let mut opened = Opened::at(Path::new(home), &registry.parse().unwrap()).await;
        opened.issue(person, card, &mut |_| order.pass()).await.unwrap();
        return;
    }
    let desk = Desk::new();
    let card = desk.yubikey("alice.card", &[]);
    let mut opened = Opened::at(&desk.home(), &sqlite(&desk)).await;
    let mut steps = Vec::new();
    let mut watch = |progress| {
        if let Progress::Step { step, .. } = progress
            && !steps.contains(&step)
        {
            steps.push(step);
        }
    };
    opened.issue("alice@example.org", &card, &mut watch).await.unwrap();
    let keys = KeyChoice { algorithm: KeyAlgorithm::P256, origin: KeyOrigin::GeneratedOnCard };
    assert_eq!(
        steps,
        plan(CommandSet::YubiKey, keys).unwrap(),
        "a step of the plan has no moment at which it can be killed"
    );
}

/// What the desk does after a run was killed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The same again.
    GoOn,
    /// Give the card up; then it is somebody else's.
    GiveUp,
}

struct Story<'a> {
    desk: &'a Desk,
    registry: String,
    personality: &'static str,
    then: Then,
}

impl Story<'_> {
    fn program(&self, arguments: &[&str]) -> Run {
        run(self.desk.command(arguments).env("ISSUER_REGISTRY", &self.registry))
    }

    fn blank(&self, name: &str) -> String {
        let locator = self.desk.blank(name, &["--personality", self.personality]);
        let stock = format!("{name}.stock.toml");
        let how = if self.personality == "standard" { ["--file", &stock] } else { ["--card", &locator] };
        self.program(&["stock", "add", how[0], how[1]]).expect(0);
        locator
    }

    /// Kills a run at its first moment, at its second, and so on; after each the desk does what it does then.
    async fn enumerate(&self) {
        let url: RegistryUrl = self.registry.parse().unwrap();
        let mut opened = Opened::at(&self.desk.home(), &url).await;
        let mut was_done = false;
        let mut moment = 1;
        loop {
            let card = self.blank(&format!("{moment}.card"));
            let mail = format!("p{moment}@example.org");
            opened.add_person(&mail).await;
            let home = self.desk.text("home");
            let words = [home.as_str(), &self.registry, &card, &mail];
            let gets_through = killed::gets_through("the_run_that_is_killed", moment, &words);
            assert_eq!(
                gets_through, was_done,
                "moment {moment}: one comes after the end, and it is the last"
            );
            let holder = opened.registry.cardholder_named(&mail).await.unwrap().unwrap();
            let record = opened.registry.card_of(holder.id).await.unwrap().unwrap();
            was_done = matches!(record.card.state(), CardState::Issued { .. });
            match record.card.state() {
                CardState::BeingPersonalised { .. } => {
                    self.afterwards(&mut opened, &card, &mail, moment).await;
                }
                // Only the last word was not said any more.
                CardState::Issued { .. } => {
                    let again = ["issue", &mail, "--card", &card, "--transport-pin-file", "again.pin"];
                    self.program(&again).refuses(1, &["was issued to", "not issued twice"]);
                }
                state => panic!("killed at moment {moment}: {state:?}"),
            }
            opened.agree(&card, moment).await;
            if gets_through {
                break;
            }
            std::fs::remove_file(PathBuf::from(card.trim_start_matches("sim:"))).unwrap();
            moment += 1;
        }
        assert!(moment > 40, "a run passes only {moment} moments: does it count?");
        opened.registry.verify_log().await.unwrap();
    }

    async fn afterwards(&self, opened: &mut Opened, card: &str, mail: &str, moment: usize) {
        let holder = opened.registry.cardholder_named(mail).await.unwrap().unwrap();
        if self.then == Then::GiveUp {
            let reason = RevocationReason::CessationOfOperation;
            opened.registry.revoke_cardholder(holder.id, reason, None, SystemClock.now()).await.unwrap();
            opened.agree(card, moment).await;
            let other = format!("other{moment}@example.org");
            opened.add_person(&other).await;
            opened.issue(&other, card, &mut |_| {}).await.unwrap();
            return;
        }
        // The program itself, at every seventh moment; the same code, opened once, at the others.
        if !moment.is_multiple_of(7) && std::env::var_os("SEALWRIGHT_FULL").is_none() {
            opened.issue(mail, card, &mut |_| {}).await.unwrap();
            return;
        }
        let half_made = self.program(&["check", "--card", card]);
        half_made.expect(4);
        assert!(half_made.stdout.contains(&format!("issuer issue {mail}")), "{}", half_made.stdout);
        let pin = format!("{moment}.pin");
        self.program(&["issue", mail, "--card", card, "--transport-pin-file", &pin]).expect(0);
        let checked = self.program(&["check", "--card", card, "--pin-file", &pin]);
        checked.expect(0);
        assert!(checked.stdout.contains("agree."), "{}", checked.stdout);
    }
}

#[tokio::test]
async fn a_yubikey_killed_at_every_moment_is_finished_on_sqlite() {
    let desk = Desk::new();
    let registry = sqlite(&desk).to_string();
    Story { desk: &desk, registry, personality: "yubikey5", then: Then::GoOn }.enumerate().await;
}

#[tokio::test]
async fn a_standard_card_killed_at_every_moment_is_finished_on_sqlite() {
    let desk = Desk::new();
    let registry = sqlite(&desk).to_string();
    Story { desk: &desk, registry, personality: "standard", then: Then::GoOn }.enumerate().await;
}

#[tokio::test]
async fn a_card_killed_at_every_moment_can_be_given_up_on_sqlite() {
    let desk = Desk::new();
    let registry = sqlite(&desk).to_string();
    Story { desk: &desk, registry, personality: "yubikey5", then: Then::GiveUp }.enumerate().await;
}

#[tokio::test]
async fn a_yubikey_killed_at_every_moment_is_finished_on_postgres() {
    let server = Server::start();
    let desk = Desk::with_registry(&server.url());
    let registry = server.url().to_owned();
    Story { desk: &desk, registry, personality: "yubikey5", then: Then::GoOn }.enumerate().await;
}
