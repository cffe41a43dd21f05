//! The PKCS#11 module: its signatures beside SoftHSM2's and bare APDUs, its listing beside the bare APDUs, what it adds
//! to a program's start beside OpenSC's and Yubico's modules.
use std::ffi::CString;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;
use sealwright_tests::card::{CardFile, FACTORY_PIN};
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::openssl::OPENSC_MODULE;
use sealwright_tests::pkcs11::{Clients, module};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

use crate::{milliseconds, numbers};

const SOFTHSM: &str = "/usr/lib/softhsm/libsofthsm2.so";
const YKCS11: &str = "/usr/lib/x86_64-linux-gnu/libykcs11.so";
const SIGNATURES: usize = 200;
const LISTINGS: usize = 20;
/// SELECT of the PIV application (SP 800-73-5 Part 2 section 3.1.1).
const SELECT: &[u8] = &[0x00, 0xA4, 0x04, 0x00, 0x0B, 0xA0, 0, 0, 3, 8, 0, 0, 0x10, 0, 1, 0, 0];
/// VERIFY of the factory PIN (section 3.2.1).
const VERIFY: &[u8] = &[0x00, 0x20, 0x00, 0x80, 8, b'1', b'2', b'3', b'4', b'5', b'6', 0xFF, 0xFF];

pub(crate) fn rows() -> Result<Vec<Row>> {
    let Some(root) = Root::or_skip("bench middleware")? else { return Ok(Vec::new()) };
    let mut world = World::empty()?;
    let pcscd = world.pcscd(root, 2)?;
    // A card is durable at every step, each VERIFY included; in memory that costs no disk, as on a card of plastic.
    let memory = tempfile::tempdir_in("/dev/shm")?;
    let card = CardFile::yubikey(memory.path(), "blank", "5.7", 5_700_003)?;
    let inserted = pcscd.insert(0, &card.state)?;
    let clients = Clients::new(&pcscd, world.folder())?;
    clients.personalise("01", "rsa:2048", "rsa")?;
    let der = clients.path("rsa.der");
    for id in 2..=24 {
        let id = format!("{id:02x}");
        let write =
            clients.officer(sealwright_tests::pkcs11::FACTORY_MANAGEMENT_KEY).arg("--write-object").arg(&der);
        write.args(["--type", "cert", "--id", &id]).ok()?;
    }
    let mut rows = through_the_reader(&clients, &pcscd.reader_name(0))?;
    rows.extend(starts(&clients)?);
    inserted.remove()?;
    pcscd.wait_until_empty(0)?;
    rows.extend(in_process(&clients, &card.state)?);
    Ok(rows)
}

/// This program once more, with the reader's or the card's variable set.
fn client(clients: &Clients<'_>, arguments: &[&str]) -> Result<Run> {
    let own = std::env::current_exe()?.display().to_string();
    Ok(clients.run(&own).args(["client", "pkcs11"]).args(arguments))
}

fn row(
    name: &'static str,
    ours: f64,
    peer: f64,
    peer_name: &'static str,
    limit: f64,
    unit: &'static str,
) -> Row {
    Row { area: "middleware", name, size: "-", ours, peer, peer_name, limit, unit }
}

fn through_the_reader(clients: &Clients<'_>, reader: &str) -> Result<Vec<Row>> {
    let module = clients.module().display().to_string();
    let [ours, bare] = numbers(&client(clients, &["sign-beside", &module, reader])?.ok()?.out())?;
    let [extended, _] = numbers(&client(clients, &["sign-extended", reader])?.ok()?.out())?;
    let [cold, apdus] = numbers(&client(clients, &["list-cold", &module, reader])?.ok()?.out())?;
    let [cached, _] = numbers(&client(clients, &["list-cached", &module])?.ok()?.out())?;
    let list = "list 24 certificates and their keys, cold";
    Ok(vec![
        row(
            "C_Sign RSA-2048 through pcscd",
            ours,
            bare,
            "the bare APDUs, chained, PIN verified once",
            bare * 1.15,
            "us",
        ),
        // vpcd does not say that it takes longer ones (SCARD_ATTR_MAXINPUT), so nobody may count on it.
        row("C_Sign RSA-2048 through pcscd", ours, extended, "one extended APDU", f64::INFINITY, "us"),
        row(list, cold / 1000.0, apdus / 1000.0, "the bare APDUs", apdus / 1000.0 * 1.3, "ms"),
        row("the same, cached", cached / 1000.0, apdus / 1000.0, "the bare APDUs", 1.0, "ms"),
    ])
}

fn in_process(clients: &Clients<'_>, card: &Path) -> Result<Vec<Row>> {
    let with_card = module()?.with_file_name("with-sim").join("libmiddleware_pkcs11.so");
    ensure!(with_card.exists(), "{}: run scripts/bench, which builds it", with_card.display());
    let tokens = clients.path("tokens");
    std::fs::create_dir_all(&tokens)?;
    let configuration = clients.path("softhsm2.conf");
    std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display()))?;
    let softhsm = |program: &str| clients.run(program).env("SOFTHSM2_CONF", &configuration);
    let initialise =
        ["--init-token", "--free", "--label", "peer", "--so-pin", "12345678", "--pin", FACTORY_PIN];
    softhsm("softhsm2-util").args(initialise).ok()?;
    let generate = softhsm("pkcs11-tool").args(["--module", SOFTHSM, "--login", "--pin", FACTORY_PIN]);
    generate.args(["--keypairgen", "--key-type", "rsa:2048", "--id", "01"]).ok()?;

    let ours = client(clients, &["sign", &with_card.display().to_string()])?;
    let [ours, _] = numbers(&ours.env("MIDDLEWARE_PKCS11_EMULATED", card).ok()?.out())?;
    let peer = client(clients, &["sign", SOFTHSM])?.env("SOFTHSM2_CONF", &configuration).ok()?;
    let [peer, _] = numbers(&peer.out())?;
    Ok(vec![row("C_Sign RSA-2048, card in-process", ours, peer, "SoftHSM2", peer, "us")])
}

/// What the module adds to the start of a program, and what the others add.
fn starts(clients: &Clients<'_>) -> Result<Vec<Row>> {
    let keygen = |module: &str| clients.run("ssh-keygen").args(["-D", module]).ok().map(drop);
    let without = || clients.run("ssh-keygen").args(["-l", "-f", "public"]).ok().map(drop);
    let listed = clients.run("ssh-keygen").arg("-D").arg(clients.module()).ok()?;
    std::fs::write(clients.path("public"), listed.out().lines().next().unwrap_or_default())?;
    let ours = clients.module().display().to_string();
    let (with, bare) = by_turns(LISTINGS, || keygen(&ours), without)?;
    let (opensc, ykcs11) = by_turns(LISTINGS / 4, || keygen(OPENSC_MODULE), || keygen(YKCS11))?;
    let over = |time: Duration| milliseconds(time) - milliseconds(bare);
    let openssl = |module: &str| {
        let run =
            clients.run("openssl").env("PKCS11_MODULE_PATH", module).args(["pkey", "-engine", "pkcs11"]);
        run.args(["-inform", "engine", "-pubin", "-in", "pkcs11:id=%01;type=public", "-noout"]).ok().map(drop)
    };
    let plain = || clients.run("openssl").args(["pkey", "-pubin", "-in", "rsa.pub", "-noout"]).ok().map(drop);
    let (engine, openssl_bare) = by_turns(LISTINGS, || openssl(&ours), plain)?;
    let (engine_opensc, _) = by_turns(LISTINGS / 4, || openssl(OPENSC_MODULE), plain)?;
    let over_plain = |time: Duration| milliseconds(time) - milliseconds(openssl_bare);
    Ok(vec![
        row("ssh-keygen -D, beyond ssh-keygen", over(with), over(opensc), "OpenSC's module", 30.0, "ms"),
        row("ssh-keygen -D, beyond ssh-keygen", over(with), over(ykcs11), "ykcs11", 30.0, "ms"),
        row(
            "openssl with the engine, beyond openssl",
            over_plain(engine),
            over_plain(engine_opensc),
            "OpenSC's module",
            30.0,
            "ms",
        ),
    ])
}

/// `bench client pkcs11 ...`: prints two medians in microseconds.
pub(crate) fn run(arguments: &[&str]) -> Result<()> {
    let medians = match arguments {
        ["sign", module] => [median(sign(Path::new(module))?), 0.0],
        ["sign-beside", module, reader] => {
            let bare = median(bare_signatures(reader, &chained())?);
            [median(sign(Path::new(module))?), bare]
        }
        ["sign-extended", reader] => [median(bare_signatures(reader, &extended())?), 0.0],
        ["list-cold", module, reader] => list_cold(Path::new(module), reader)?,
        ["list-cached", module] => [median(list_cached(Path::new(module))?), 0.0],
        _ => anyhow::bail!(
            "bench client pkcs11 sign|sign-beside|list-cold|list-cached MODULE [READER], sign-extended READER"
        ),
    };
    println!("{} {}", medians[0], medians[1]);
    Ok(())
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(f64::INFINITY, |time| time.as_secs_f64() * 1e6)
}

fn initialized(module: &Path) -> Result<Pkcs11> {
    let module = Pkcs11::new(module)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    Ok(module)
}

fn sign(module: &Path) -> Result<Vec<Duration>> {
    let module = initialized(module)?;
    let slot = *module.get_slots_with_initialized_token()?.first().context("no token")?;
    let session = module.open_ro_session(slot)?;
    session.login(UserType::User, Some(&AuthPin::new(FACTORY_PIN.into())))?;
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Id(vec![1])];
    let key = *session.find_objects(&template)?.first().context("no key")?;
    let signature = || -> Result<Duration> {
        let started = Instant::now();
        session.sign(&Mechanism::Sha256RsaPkcs, key, b"what is signed")?;
        Ok(started.elapsed())
    };
    signature()?;
    (0..SIGNATURES).map(|_| signature()).collect()
}

/// The APDUs that sign, sent by nothing but PC/SC.
fn bare_signatures(reader: &str, commands: &[Vec<u8>]) -> Result<Vec<Duration>> {
    let context = pcsc::Context::establish(pcsc::Scope::User)?;
    let mut card = context.connect(&CString::new(reader)?, pcsc::ShareMode::Shared, pcsc::Protocols::ANY)?;
    let transaction = card.transaction()?;
    let mut buffer = vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
    for command in [SELECT, VERIFY] {
        ensure!(transaction.transmit(command, &mut buffer)?.ends_with(&[0x90, 0x00]), "refused");
    }
    (0..SIGNATURES)
        .map(|_| {
            let started = Instant::now();
            let mut end = None;
            for command in commands {
                end = transaction.transmit(command, &mut buffer)?.last_chunk::<2>().copied();
            }
            ensure!(end == Some([0x90, 0x00]), "refused: {end:02X?}");
            Ok(started.elapsed())
        })
        .collect()
}

/// 7C { 82 00, 81 challenge } for GENERAL AUTHENTICATE (SP 800-73-5 Part 2 section 3.2.4).
fn template() -> Vec<u8> {
    let start = [0x7C, 0x82, 0x01, 0x06, 0x82, 0x00, 0x81, 0x82, 0x01, 0x00, 0x00, 0x01];
    [&start[..], &[0xFF; 253], &[0x00]].concat()
}

/// In short APDUs, and the rest of the answer fetched, as the module does it with this reader.
fn chained() -> Vec<Vec<u8>> {
    let template = template();
    let (first, second) = template.split_at(255);
    let second_length = u8::try_from(second.len()).unwrap_or_default();
    vec![
        [&[0x10, 0x87, 0x07, 0x9A, 0xFF], first].concat(),
        [&[0x00, 0x87, 0x07, 0x9A, second_length], second, &[0x00]].concat(),
        vec![0x00, 0xC0, 0x00, 0x00, 0x08],
    ]
}

/// In one.
fn extended() -> Vec<Vec<u8>> {
    vec![[&[0x00, 0x87, 0x07, 0x9A, 0x00, 0x01, 0x0A], &template()[..], &[0x00, 0x00]].concat()]
}

/// From C_GetSlotList to the last object, in a fresh module each time; and the same objects by GET DATA alone.
fn list_cold(path: &Path, reader: &str) -> Result<[f64; 2]> {
    let (mut ours, mut bare) = (Vec::new(), Vec::new());
    for _ in 0..LISTINGS {
        bare.push(bare_listing(reader)?);
        let module = initialized(path)?;
        let started = Instant::now();
        list(&module)?;
        ours.push(started.elapsed());
        module.finalize()?;
    }
    Ok([median(ours), median(bare)])
}

fn list_cached(path: &Path) -> Result<Vec<Duration>> {
    let module = initialized(path)?;
    // The first card is kept, and the line to it.
    let slot = *module.get_slots_with_initialized_token()?.first().context("no token")?;
    let session = module.open_ro_session(slot)?;
    session.find_objects(&[])?;
    (0..LISTINGS)
        .map(|_| {
            let started = Instant::now();
            module.get_slots_with_token()?;
            let found = session.find_objects(&[])?;
            ensure!(found.len() >= 48, "{} objects", found.len());
            Ok(started.elapsed())
        })
        .collect()
}

fn list(module: &Pkcs11) -> Result<()> {
    let slot = *module.get_slots_with_token()?.first().context("no token")?;
    let session = module.open_ro_session(slot)?;
    let found = session.find_objects(&[])?;
    ensure!(found.len() >= 48, "{} objects", found.len());
    Ok(())
}

/// CHUID and the 24 certificates, with nothing but PC/SC; the connection counts, as it does for the module.
fn bare_listing(reader: &str) -> Result<Duration> {
    let started = Instant::now();
    let context = pcsc::Context::establish(pcsc::Scope::User)?;
    let mut card = context.connect(&CString::new(reader)?, pcsc::ShareMode::Shared, pcsc::Protocols::ANY)?;
    let transaction = card.transaction()?;
    let mut buffer = vec![0; pcsc::MAX_BUFFER_SIZE_EXTENDED];
    transaction.transmit(SELECT, &mut buffer)?;
    for tag in [0x02, 0x0C, 0x05, 0x0A, 0x0B, 0x01].into_iter().chain(0x0D..=0x20) {
        let get_data = [0x00, 0xCB, 0x3F, 0xFF, 5, 0x5C, 3, 0x5F, 0xC1, tag, 0];
        let mut end = transaction.transmit(&get_data, &mut buffer)?.last_chunk::<2>().copied();
        while let Some([0x61, rest]) = end {
            end = transaction
                .transmit(&[0x00, 0xC0, 0x00, 0x00, rest], &mut buffer)?
                .last_chunk::<2>()
                .copied();
        }
    }
    drop(transaction);
    Ok(started.elapsed())
}
