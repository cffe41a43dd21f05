//! Speed, ours and a peer by turns: `bench [card|middleware|issuer|mail] [--json]`, run in release by `scripts/bench`.
//!
//! PC/SC clients find their pcscd by an environment variable, so what talks to a reader is this program once more:
//! `bench client AREA ...` with that variable set.

use std::ffi::CString;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use mailer::certificate::Certificate;
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::keys::{CardKeys, LastTry, Locator, PinProvider, SecretSource};
use mailer::protection::protect;
use mailer::smime::{Enveloping, Recipient, RsaPadding, SigningIdentity};
use pcsc::{Protocols, Scope, ShareMode};
use sealwright_tests::card::CardFile;
use sealwright_tests::measure::{Row, by_turns, table};
use sealwright_tests::openssl::{certify_public_key, stranger_certificate};
use sealwright_tests::pcscd::Pcscd;
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::programs::program;
use sealwright_tests::world::World;

const AREAS: [&str; 4] = ["card", "middleware", "issuer", "mail"];
/// Any AID prefix selects PIV; VERIFY without data asks for the tries left.
const ASK_FOR_TRIES: [u8; 4] = [0x00, 0x20, 0x00, 0x80];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["client", "card", ours, peer] => short_apdus(ours, peer),
        ["client", "mail", folder, card, pin] => protect_by_turns(Path::new(folder), card, pin),
        given => bench(given),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(arguments: &[&str]) -> Result<()> {
    let (flags, areas): (Vec<&str>, Vec<&str>) = arguments.iter().partition(|word| word.starts_with("--"));
    ensure!(flags.iter().all(|flag| *flag == "--json"), "usage: bench [{}] [--json]", AREAS.join("|"));
    let areas = if areas.is_empty() { AREAS.to_vec() } else { areas };
    let mut rows = Vec::new();
    for area in areas {
        rows.extend(match area {
            "card" => card()?,
            "middleware" => middleware()?,
            "issuer" => issuer()?,
            "mail" => mail()?,
            _ => bail!("{area} is not one of {}", AREAS.join(", ")),
        });
    }
    if flags.is_empty() {
        print!("{}", table(&rows));
    } else {
        rows.iter().for_each(|row| println!("{}", row.json()));
    }
    Ok(())
}

/// A short APDU through pcscd and vpcd: our card beside one that answers 90 00 to everything.
fn card() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench card")? else { return Ok(Vec::new()) };
    let world = World::empty()?;
    let pcscd = Pcscd::start(root, &world.servers_folder().join("pcscd"), 2)?;
    let _ours = pcscd.insert(0, &world.blank_card("ours")?.state)?;
    let empty = pcscd.in_network(program("vpcd-card")?).args([&Pcscd::vpcd_address(1)?, "empty"]);
    let _peer = pcscd.insert_program(1, empty)?;
    let client = Run::new(std::env::current_exe()?).args(["client", "card"]).envs([&pcscd.environment()]);
    let measured = client.args([pcscd.reader_name(0), pcscd.reader_name(1)]).ok()?.out();
    let [ours, peer] = numbers(&measured)?;
    Ok(vec![Row {
        area: "card",
        name: "short APDU through pcscd and vpcd",
        size: "4 B",
        ours,
        peer,
        peer_name: "an empty card",
        limit: 1.3 * peer,
        unit: "us",
    }])
}

fn short_apdus(ours: &str, peer: &str) -> Result<()> {
    let context = pcsc::Context::establish(Scope::User)?;
    let connect = |reader: &str| -> Result<pcsc::Card> {
        Ok(context.connect(&CString::new(reader)?, ShareMode::Shared, Protocols::ANY)?)
    };
    let (ours, peer) = (connect(ours)?, connect(peer)?);
    let ask = |card: &pcsc::Card| -> Result<()> {
        let mut buffer = [0; 258];
        let answer = card.transmit(&ASK_FOR_TRIES, &mut buffer)?;
        ensure!(answer.len() == 2, "a status word was expected, not {answer:02X?}");
        Ok(())
    };
    let (ours, peer) = by_turns(2000, || ask(&ours), || ask(&peer))?;
    println!("{} {}", microseconds(ours), microseconds(peer));
    Ok(())
}

/// One card with four P-256 keys through pcscd, beside Yubico's tool that makes four keys and certificates by itself.
fn issuer() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench issuer")? else { return Ok(Vec::new()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let mut issued = Vec::new();
    for (round, name) in ["alice", "bob", "carol", "dave"].into_iter().enumerate() {
        let card = world.blank_card(name)?;
        world.desk.stock(&card)?.ok()?;
        let ours = pcscd.insert(0, &card.state)?;
        let folder = world.path(&format!("peer{round}"));
        std::fs::create_dir_all(&folder)?;
        let peers = CardFile::yubikey(&folder, "peer", "5.4", 5_400_000 + u32::try_from(round)?)?;
        let theirs = pcscd.insert(1, &peers.state)?;
        let locator = format!("pcsc:{}", pcscd.reader_name(0));
        let address = format!("{name}@example.org");
        let issue = world.desk.issue(&address, &locator)?.args(["--algorithm", "p256"]);
        let mut issue = Some(issue);
        let once = sealwright_tests::measure::once_each(
            || issue.take().context("issued once")?.ok().map(drop),
            || peer_issues(&pcscd, &folder),
        )?;
        issued.push(once);
        drop((ours, theirs));
        pcscd.wait_until_empty(0)?;
        pcscd.wait_until_empty(1)?;
    }
    let (ours, peer) = sealwright_tests::measure::medians(issued);
    Ok(vec![Row {
        area: "issuer",
        name: "issue a card with four P-256 keys",
        size: "-",
        ours: microseconds(ours) / 1000.0,
        peer: microseconds(peer) / 1000.0,
        peer_name: "yubico-piv-tool and openssl",
        limit: 1000.0,
        unit: "ms",
    }])
}

/// Generate, certify and store for each of the four keys, then CHUID and CCC.
fn peer_issues(pcscd: &Pcscd, folder: &Path) -> Result<()> {
    let reader = pcscd.reader_name(1);
    let tool =
        || Run::new("yubico-piv-tool").args(["-r", &reader]).envs([&pcscd.environment()]).folder(folder);
    for slot in ["9a", "9c", "9d", "9e"] {
        tool().args(["-a", "generate", "-s", slot, "-A", "ECCP256", "-o", "key.pub"]).ok()?;
        certify_public_key(folder, "key.pub", "key.pem")?;
        tool().args(["-a", "import-certificate", "-s", slot, "-i", "key.pem"]).ok()?;
    }
    tool().args(["-a", "set-chuid", "-a", "set-ccc"]).ok()?;
    Ok(())
}

/// All certificates of an issued card, listed by a program through pcscd.
fn middleware() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench middleware")? else { return Ok(Vec::new()) };
    let mut world = World::new()?;
    let pcscd = world.pcscd(root, 2)?;
    let (alice, _, _inserted) = world.person_at_reader(&pcscd, 0, "alice", "p256")?;
    let (ours, peer) = by_turns(
        20,
        || alice.card("certificates")?.ok().map(drop),
        || Run::new("pkcs15-tool").arg("--list-certificates").envs([&pcscd.environment()]).ok().map(drop),
    )?;
    let (ours, peer) = (microseconds(ours) / 1000.0, microseconds(peer) / 1000.0);
    Ok(vec![Row {
        area: "middleware",
        name: "list the certificates of a card",
        size: "-",
        ours,
        peer,
        peer_name: "pkcs15-tool",
        limit: peer,
        unit: "ms",
    }])
}

/// Sign on an in-process card and encrypt to two people, beside `openssl cms` with keys in files.
fn mail() -> Result<Vec<Row>> {
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
        let [ours, peer] = numbers(&measured)?;
        rows.push(Row {
            area: "mail",
            name,
            size: "10 KB",
            ours: ours / 1000.0,
            peer: peer / 1000.0,
            peer_name: "openssl cms, two processes, soft key",
            limit: 5.0,
            unit: "ms",
        });
    }
    Ok(rows)
}

fn protect_by_turns(folder: &Path, card: &str, pin: &str) -> Result<()> {
    let pin: Box<dyn PinProvider> = Box::new(SecretSource::File(pin.into()));
    let mut keys = CardKeys::open(&Locator::Emulated(card.into()), pin, LastTry::Refuse)?;
    let own = keys.encryption_certificate().context("the card is issued")?.clone();
    let bobs = Certificate::from_der(&std::fs::read(folder.join("bob.cer"))?)?;
    let recipients = [Recipient::unchecked(bobs, true), Recipient::unchecked(own, true)];
    let letter = std::fs::read(folder.join("letter"))?;
    let entity = Content::from_vec([b"Content-Type: text/plain\r\n\r\n".as_slice(), &letter].concat());
    let at = SystemClock.now();
    let ours = || -> Result<()> {
        let mut signer = keys.signer()?;
        let certificate = signer.certificate().clone();
        let identity = SigningIdentity {
            signer: &mut signer,
            certificate: &certificate,
            intermediates: &[],
            rsa_padding: RsaPadding::Pkcs1v15,
        };
        let signed = protect::sign(&entity, identity, at, "boundary")?.into_content()?;
        let encrypted = protect::encrypt(&signed, &recipients, Enveloping::Authenticated)?.into_content()?;
        ensure!(encrypted.len() > entity.len(), "something was written");
        Ok(())
    };
    let pipe = "openssl cms -sign -md sha256 -in letter -signer soft.pem -inkey soft.key |
        openssl cms -encrypt -aes-256-gcm -outform SMIME -out protected soft.pem";
    let peer = || Run::new("sh").args(["-c", pipe]).folder(folder).ok().map(drop);
    let (ours, peer) = by_turns(200, ours, peer)?;
    println!("{} {}", microseconds(ours), microseconds(peer));
    Ok(())
}

fn numbers(text: &str) -> Result<[f64; 2]> {
    let numbers: Vec<f64> = text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
    numbers.try_into().ok().context("two numbers were expected")
}

fn microseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
