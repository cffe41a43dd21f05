//! kill -9 at every step of a card's personalisation, on both databases: whatever was going on, the next run finishes the
//! card or takes everything back, and card, registry and authority agree.
//!
//! The steps are not listed here: a run in a process of its own counts the moments that it passes, and ends itself with
//! SIGKILL at the one it was told. The test tells it the first, the second and so on, until one gets through.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice, clippy::panic)] // a test may panic

mod desk_support;
#[path = "desk_support/opened.rs"]
mod opened;
#[path = "registry/postgres_server.rs"]
#[allow(dead_code)]
mod postgres_server;

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use desk_support::{Desk, run};
use issuer::clock::{Clock, SystemClock};
use issuer::domain::{CardState, RevocationReason};
use issuer::personalization::plan::{CommandSet, KeyChoice, KeyOrigin, plan};
use issuer::personalization::run::Progress;
use issuer::registry::RegistryUrl;
use middleware::KeyAlgorithm;
use opened::{Opened, sqlite};
use postgres_server::Server;

/// What the run in a process of its own works on: home, registry, card, person, moment.
const ORDER: &str = "SEALWRIGHT_TEST_RUN_TO_KILL";

/// Runs to its end if nothing is ordered, and counts the moments; otherwise it ends itself at the one that was ordered.
#[tokio::test]
async fn the_run_that_is_killed() {
    if let Ok(order) = std::env::var(ORDER) {
        let order: Vec<_> = order.split('\n').collect();
        let moment: usize = order[4].parse().unwrap();
        let mut opened = Opened::at(Path::new(order[0]), &order[1].parse().unwrap()).await;
        let mut passed = 0;
        let mut watch = |_| {
            passed += 1;
            if passed == moment {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                    .unwrap();
            }
        };
        opened.issue(order[3], order[2], &mut watch).await.unwrap();
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

/// Starts a run and lets it end itself; answers whether it got to its end before.
fn killed_run(desk: &Desk, registry: &str, card: &str, person: &str, moment: usize) -> bool {
    let order = format!("{}\n{registry}\n{card}\n{person}\n{moment}", desk.home().display());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_run_that_is_killed", "--nocapture"])
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
    fn blank(&self, name: &str) -> String {
        let locator = self.desk.blank(name, &["--personality", self.personality]);
        let stock = format!("{name}.stock.toml");
        let how = if self.personality == "standard" { ["--file", &stock] } else { ["--card", &locator] };
        run(self.desk.command(&["stock", "add", how[0], how[1]]).env("ISSUER_REGISTRY", &self.registry))
            .expect(0);
        locator
    }

    /// Kills a run at its first moment, at its second, and so on; after each the desk does what it does then.
    async fn enumerate(&self) {
        let url: RegistryUrl = self.registry.parse().unwrap();
        let mut opened = Opened::at(&self.desk.home(), &url).await;
        let mut moment = 1;
        loop {
            let card = self.blank(&format!("{moment}.card"));
            let mail = format!("p{moment}@example.org");
            opened.add_person(&mail).await;
            let got_through = killed_run(self.desk, &self.registry, &card, &mail, moment);
            let holder = opened.registry.cardholder_named(&mail).await.unwrap().unwrap();
            if !got_through {
                let state = opened.registry.card_of(holder.id).await.unwrap().unwrap();
                assert!(
                    matches!(state.card.state(), CardState::BeingPersonalised { .. }),
                    "killed at moment {moment}: {:?}",
                    state.card.state()
                );
                self.afterwards(&mut opened, &card, &mail, moment).await;
            }
            opened.agree(&card, moment).await;
            if got_through {
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
        let program =
            |arguments: &[&str]| run(self.desk.command(arguments).env("ISSUER_REGISTRY", &self.registry));
        let half_made = program(&["check", "--card", card]);
        half_made.expect(4);
        assert!(half_made.stdout.contains(&format!("issuer issue {mail}")), "{}", half_made.stdout);
        let pin = format!("{moment}.pin");
        program(&["issue", mail, "--card", card, "--transport-pin-file", &pin]).expect(0);
        let checked = program(&["check", "--card", card, "--pin-file", &pin]);
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
    let desk = Desk::empty();
    let init = ["init", "--allow-emulated", "--organization", "Example Org", "--domain", "example.org"];
    let base = ["--base-url", "http://pki.example.org"];
    run(desk.command(&[&init[..], &base].concat()).env("ISSUER_REGISTRY", server.url())).expect(0);
    let registry = server.url().to_owned();
    Story { desk: &desk, registry, personality: "yubikey5", then: Then::GoOn }.enumerate().await;
}
