//! Where documents are signed: Alice with a card in memory, an account, and a time-stamp service of our own on loopback.
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use sealwright_tests::desk::Desk;
use sealwright_tests::mail::{Account, Person};
use sealwright_tests::process::{Run, Server};
use sealwright_tests::programs::program;
use sealwright_tests::world::World;
use tempfile::TempDir;

use crate::usage::{Usage, of_program};

/// See the module.
pub(super) struct Office {
    pub(super) world: World,
    pub(super) alice: Person,
    pub(super) time_stamps: TimeStampService,
    // A card spends and gives back a PIN try durably for each signature; in memory that costs nothing.
    _memory: TempDir,
}

impl Office {
    /// Nothing is configured for Alice yet: [`Self::set_up`].
    pub(super) fn open() -> Result<Self> {
        let world = World::new()?;
        let time_stamps = TimeStampService::start(&world.desk, world.folder())?;
        let mut alice = world.person("alice", "p256")?;
        let memory = tempfile::Builder::new().prefix("sw").tempdir_in("/dev/shm")?;
        let card = memory.path().join("alice.card");
        fs::copy(alice.locator.trim_start_matches("sim:"), &card)?;
        alice.locator = format!("sim:{}", card.display());
        Ok(Self { world, alice, time_stamps, _memory: memory })
    }

    /// Alice's account, which knows the time-stamp service.
    pub(super) fn set_up(&self, account: Account) -> Result<()> {
        let account = account.with("--time-stamp-server", &self.time_stamps.url);
        self.alice.set_up(&account)?.ok().map(drop)
    }

    /// What a command of `mailer` used.
    pub(super) fn mailer(&self, arguments: &[&str]) -> Result<Usage> {
        let home = self.alice.home().join("mail");
        let home = home.to_str().context("paths of the world are text")?;
        let arguments = [&["--home", home][..], arguments].concat();
        let mailer = program("mailer")?;
        of_program(Path::new(&mailer), &arguments, |run| {
            run.folder(self.world.folder()).env("HOME", self.alice.home())
        })
    }

    /// The same for a command that uses the card.
    pub(super) fn keyed(&self, arguments: &[&str]) -> Result<Usage> {
        let pin = self.alice.pin_file();
        let pin = pin.to_str().context("paths of the world are text")?;
        self.mailer(&[arguments, &["--pin-file", pin]].concat())
    }
}

/// `issuer tsa` with a P-256 key.
pub(super) struct TimeStampService {
    /// Where it is asked.
    pub(super) url: String,
    _server: Server,
}

impl TimeStampService {
    /// Makes the key, publishes the certificate, and starts.
    pub(super) fn start(desk: &Desk, folder: &Path) -> Result<Self> {
        let passphrase = folder.join("service-passphrase");
        fs::write(&passphrase, "of the service alone\n")?;
        let tsa = folder.join("tsa");
        desk.keyed(&["tsa", "init", "--rate", "1000000"])?
            .arg("--folder")
            .arg(&tsa)
            .arg("--service-passphrase-file")
            .arg(&passphrase)
            .ok()?;
        desk.publish()?.ok()?;
        let log: PathBuf = folder.join("tsa-log");
        let run = Run::new(program("issuer")?).args(["tsa", "--folder"]).arg(&tsa);
        let mut server = run.arg("--service-passphrase-file").arg(&passphrase).serve(&log)?;
        let mut url = String::new();
        server.wait_until("it prints its URL", || {
            let said = fs::read_to_string(&log)?;
            let found = said.lines().find(|line| line.starts_with("http://"));
            url = found.unwrap_or_default().to_owned();
            Ok(found.is_some() && said.ends_with('\n'))
        })?;
        Ok(Self { url, _server: server })
    }

    /// Host and port.
    pub(super) fn address(&self) -> &str {
        self.url.trim_start_matches("http://").trim_end_matches('/')
    }
}
