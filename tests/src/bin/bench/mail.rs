//! Small mail: what a letter costs.
use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use mailer::certificate::Certificate;
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::keys::{CardKeys, LastTry, Locator, PinProvider, SecretSource};
use mailer::protection::protect;
use mailer::smime::{Enveloping, Recipient, RsaPadding, SigningIdentity};
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::openssl::stranger_certificate;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

use crate::milliseconds;
use crate::response_times::Timed;

/// Sign on an in-process card and encrypt to two people, beside `openssl cms` with keys in files.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let world = World::new()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "p256")?);
    let bobs = bob.card("certificates")?.args(["9D", "--pem"]).ok()?;
    let to_der = Run::new("openssl").args(["x509", "-outform", "DER", "-out"]).arg(world.path("bob.cer"));
    to_der.input(bobs.stdout).ok()?;
    std::fs::write(
        world.path("letter"),
        "All work and no play makes Jack a dull boy. Tuesday, noon.\r\n".repeat(164),
    )?;
    stranger_certificate(world.folder(), "soft", "example.org")?;
    let on_disk = Path::new(alice.locator.trim_start_matches("sim:")).to_owned();
    // A card spends and gives back a PIN try durably for each signature; in memory that costs nothing.
    let memory = tempfile::Builder::new().prefix("sw").tempdir_in("/dev/shm")?;
    let in_memory = memory.path().join("alice.card");
    std::fs::copy(&on_disk, &in_memory)?;
    let mut rows = Vec::new();
    for (name, card) in [
        ("sign and encrypt, P-256 card in memory", &in_memory),
        ("sign and encrypt, P-256 card on disk", &on_disk),
    ] {
        let client =
            Run::new(std::env::current_exe()?).args(["client", "mail"]).arg(world.folder()).arg(card);
        let measured = client.arg(alice.pin_file()).env("HOME", alice.home()).ok()?.out();
        let measured: Vec<f64> = measured.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [ours, beyond, peer] = measured[..] else { bail!("three numbers were expected") };
        let row = |name, ours, limit| Row {
            area: "mail",
            name,
            size: "10 KB",
            ours,
            peer,
            peer_name: "openssl cms, two processes, soft key",
            limit,
            unit: "ms",
        };
        rows.push(row(name, ours, 5.0));
        rows.push(row("  of it beyond the card's own operation", beyond, 1.0));
    }
    Ok(rows)
}

/// What the client process does: the letter protected by both by turns.
pub(crate) fn protect_by_turns(folder: &Path, card: &str, pin: &str) -> Result<()> {
    let pin: Box<dyn PinProvider> = Box::new(SecretSource::File(pin.into()));
    let mut keys = CardKeys::open(&Locator::Emulated(card.into()), pin, LastTry::Refuse)?;
    let own = keys.encryption_certificate().context("the card is issued")?.clone();
    let bobs = Certificate::from_der(&std::fs::read(folder.join("bob.cer"))?)?;
    let recipients = [Recipient::unchecked(bobs, true), Recipient::unchecked(own, true)];
    let letter = std::fs::read(folder.join("letter"))?;
    let entity = Content::from_vec([b"Content-Type: text/plain\r\n\r\n".as_slice(), &letter].concat());
    let at = SystemClock.now();
    let card = Rc::new(Cell::new(Duration::ZERO));
    let mut beyond = Vec::new();
    let ours = || -> Result<()> {
        let (start, before) = (Instant::now(), card.get());
        let signer = keys.signer()?;
        let certificate = signer.certificate().clone();
        let mut signer = Timed { inner: signer, spent: Rc::clone(&card) };
        let identity = SigningIdentity {
            signer: &mut signer,
            certificate: &certificate,
            intermediates: &[],
            rsa_padding: RsaPadding::Pkcs1v15,
        };
        let signed = protect::sign(&entity, identity, at, "boundary")?.into_content()?;
        let encrypted = protect::encrypt(&signed, &recipients, Enveloping::Authenticated)?.into_content()?;
        ensure!(encrypted.len() > entity.len(), "something was written");
        beyond.push(start.elapsed().saturating_sub(card.get() - before));
        Ok(())
    };
    let pipe = "openssl cms -sign -md sha256 -in letter -signer soft.pem -inkey soft.key |
        openssl cms -encrypt -aes-256-gcm -outform SMIME -out protected soft.pem";
    let peer = || Run::new("sh").args(["-c", pipe]).folder(folder).ok().map(drop);
    let (ours, peer) = by_turns(200, ours, peer)?;
    beyond.sort();
    let beyond = beyond.get(beyond.len() / 2).copied().unwrap_or_default();
    println!("{} {} {}", milliseconds(ours), milliseconds(beyond), milliseconds(peer));
    Ok(())
}
