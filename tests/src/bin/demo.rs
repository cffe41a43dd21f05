//! The whole life of a staff card, shown: every command as a user types it, with its real output.
//!
//! `demo [--keep DIR]`. As root: pcscd with vpcd readers, Postfix and Dovecot. As an ordinary user: cards in-process
//! and mail through a folder; what is left out is said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use sealwright_tests::card::CardFile;
use sealwright_tests::disk::Needle;
use sealwright_tests::mail::{Account, Person};
use sealwright_tests::openssl::{CardEngine, OPENSC_MODULE, verify_signed};
use sealwright_tests::paper::page;
use sealwright_tests::pcscd::{Inserted, Pcscd};
use sealwright_tests::privilege::Root;
use sealwright_tests::process::{Run, wait_until};
use sealwright_tests::programs::program;
use sealwright_tests::show::{Show, say};
use sealwright_tests::world::{BASE_URL, DOMAIN, MailServers, World, staff};

const LETTER: &str = "Dear Bob,\n\nthe crane arrives on Tuesday. Grüße\n\nAlice\n";
const SECRET: &str = "the crane arrives on Tuesday";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let keep = match arguments.as_slice() {
        [] => None,
        ["--keep", folder] => Some(PathBuf::from(folder)),
        _ => {
            eprintln!("usage: demo [--keep DIR]");
            return ExitCode::from(2);
        }
    };
    match circle(keep.as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ndemo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A card in the story: its blank state file and where it is found.
struct Blank {
    card: CardFile,
    locator: String,
}

fn circle(keep: Option<&Path>) -> Result<()> {
    let started = Instant::now();
    let root = if rustix::process::geteuid().is_root() {
        Root::or_skip("the demo with real servers")?
    } else {
        None
    };
    let mut world = match keep {
        Some(folder) => {
            let empty = !folder.exists() || fs::read_dir(folder)?.next().is_none();
            ensure!(empty, "{} is not empty; name a new folder", folder.display());
            World::kept(folder)?
        }
        None => World::empty()?,
    };
    let show = Show::relative_to(world.folder());
    let [alice, bob] = make_cards(&show, &world)?;
    let pcscd = root.map(|root| world.pcscd(root, 2)).transpose()?;
    let (inserted, [alice, bob]) = insert(&show, pcscd.as_ref(), [alice, bob])?;
    open_desk(&show, &world)?;
    let alice = issue(&show, &world, "alice", &alice, "p256")?;
    let bob = issue(&show, &world, "bob", &bob, "rsa2048")?;
    publish(&show, &world)?;
    if let Some(pcscd) = &pcscd {
        opensc_looks(&show, &world, pcscd, &alice)?;
    }
    let servers = root.map(|root| start_servers(&show, &world, root)).transpose()?;
    set_up(&show, &world, servers.as_ref(), [&alice, &bob])?;
    send_and_read(&show, &world, servers.as_ref(), &alice, &bob)?;
    openssl_reads(&show, &world, pcscd.as_ref(), &bob)?;
    official_document(&show, &world, servers.as_ref(), &alice, &bob)?;
    lose_the_card(&show, &world, &alice, &bob)?;
    close(&show, &world, keep, root, started)?;
    drop(inserted);
    Ok(())
}

fn make_cards(show: &Show, world: &World) -> Result<[Blank; 2]> {
    show.chapter(
        "Two blank cards",
        "card-sim makes cards in files; they behave as a YubiKey 5 does, and say that they are emulated.",
    );
    let mut blanks = Vec::new();
    for (name, serial) in [("alice", 10_000_001), ("bob", 10_000_002)] {
        let card = CardFile { state: world.path(&format!("{name}.card")), stock: None, serial: Some(serial) };
        let new = Run::new(program("card-sim")?).arg("new").arg(&card.state);
        show.run(new.args(["--serial", &serial.to_string()]))?;
        blanks.push(Blank { locator: card.locator(), card });
    }
    let inspect = Run::new(program("card-sim")?).arg("inspect").arg(world.path("alice.card"));
    show.run(inspect)?;
    blanks.try_into().ok().context("two were made")
}

fn insert(show: &Show, pcscd: Option<&Pcscd>, mut blanks: [Blank; 2]) -> Result<(Vec<Inserted>, [Blank; 2])> {
    let mut inserted = Vec::new();
    let Some(pcscd) = pcscd else {
        show.remark(
            "(Not root: the cards are used in-process, without pcscd, and OpenSC does not get to see them.)",
        );
        return Ok((inserted, blanks));
    };
    show.chapter(
        "Into the reader",
        "A real pcscd runs in a namespace of its own; its reader is Debian's vpcd, and card-sim run is the card in it.",
    );
    show.remark(&format!("$ export PCSCLITE_CSOCK_NAME={}", pcscd.socket().display()));
    for (reader, blank) in blanks.iter_mut().enumerate() {
        let address = Pcscd::vpcd_address(reader)?;
        show.remark(&format!("$ card-sim run {} --vpcd {address} &", file_name(&blank.card.state)));
        inserted.push(pcscd.insert(reader, &blank.card.state)?);
        blank.locator = format!("pcsc:{}", pcscd.reader_name(reader));
    }
    show.run(Run::new(program("card")?).arg("list").envs([&pcscd.environment()]))?;
    Ok((inserted, blanks))
}

fn open_desk(show: &Show, world: &World) -> Result<()> {
    show.chapter(
        "The issuance desk",
        "A root, an issuing CA for people and one for servers; the registry takes emulated cards because we say so.",
    );
    show.run(world.desk.init(DOMAIN, BASE_URL)?)?;
    let people = [staff("alice")?, staff("bob")?];
    show.run(world.desk.import_staff(&people)?)?;
    show.run(world.desk.command(&["staff", "list"])?)?;
    Ok(())
}

fn issue(show: &Show, world: &World, name: &str, blank: &Blank, algorithm: &str) -> Result<Person> {
    let (full_name, address) = staff(name)?;
    show.chapter(
        &format!("A card for {full_name}"),
        "Four keys made on the card, each proves itself; certificates are linted, written, read back and exercised. \
         Then the holder changes the transport PIN.",
    );
    show.run(world.desk.stock(&blank.card)?)?;
    show.run(world.desk.issue(address, &blank.locator)?.args(["--algorithm", algorithm]))?;
    let mut person = Person::new(world.folder(), full_name, address, &blank.locator)?;
    person.use_readers(world.desk.readers());
    show.run(person.change_pin(&world.desk.transport_pin_file(address))?)?;
    show.run(person.card("status")?)?;
    Ok(person)
}

fn publish(show: &Show, world: &World) -> Result<()> {
    show.chapter(
        "Publication",
        "Certificates by mail address, CA certificates and CRLs: plain files for any web server.",
    );
    show.run(world.desk.publish()?)?;
    for certificate in world.desk.certificates_of("alice@example.org")? {
        let verify = Run::new("openssl").args(["verify", "-x509_strict", "-crl_check_all", "-CAfile"]);
        let verify = verify
            .arg(world.desk.anchor())
            .arg("-untrusted")
            .arg(world.desk.published().join("ca-chain.pem"));
        let verify = verify.arg("-CRLfile").arg(world.desk.published().join("crl.pem"));
        show.run(verify.arg(certificate))?;
    }
    Ok(())
}

fn opensc_looks(show: &Show, world: &World, pcscd: &Pcscd, alice: &Person) -> Result<()> {
    show.chapter(
        "Other people's tools",
        "OpenSC reads and uses Alice's card through the same pcscd; OpenSSL checks the signature.",
    );
    let reader = pcscd.reader_name(0);
    let tool = |name: &str| Run::new(name).envs([&pcscd.environment()]);
    show.run(tool("opensc-tool").args(["--reader", &reader, "--name"]))?;
    show.run(tool("pkcs15-tool").args(["--reader", &reader, "--list-certificates"]))?;
    let pkcs11 = || tool("pkcs11-tool").args(["--module", OPENSC_MODULE, "--slot-index", "0"]);
    let (signature, key) = (world.path("letter.sig"), world.path("alice-9c.pub"));
    let sign = pkcs11().args([
        "--login",
        "--pin",
        &alice.pin,
        "--sign",
        "--id",
        "02",
        "--mechanism",
        "ECDSA-SHA256",
    ]);
    let sign = sign.args(["--signature-format", "openssl", "--input-file"]).arg(letter(world)?);
    show.run(sign.arg("--output-file").arg(&signature))?;
    let export =
        tool("pkcs15-tool").args(["--reader", &reader, "--read-public-key", "02", "--output"]).arg(&key);
    show.run(export)?;
    let verify =
        Run::new("openssl").args(["dgst", "-sha256", "-verify"]).arg(&key).arg("-signature").arg(&signature);
    show.run(verify.arg(letter(world)?))?;
    Ok(())
}

fn start_servers(show: &Show, world: &World, root: Root) -> Result<MailServers> {
    show.chapter(
        "Mail servers",
        "Postfix and Dovecot start on free loopback ports, with a server certificate from our issuer.",
    );
    let (certify, tls) = world.desk.certify_server("post.example.org")?;
    show.run(certify)?;
    world.start_servers(root, &tls)
}

fn set_up(show: &Show, world: &World, servers: Option<&MailServers>, people: [&Person; 2]) -> Result<()> {
    let how = match servers {
        Some(_) => "SMTP with STARTTLS to Postfix, IMAP with STARTTLS to Dovecot.",
        None => {
            "Not root, so no Postfix and no Dovecot: mail goes through a folder with a maildir for each address."
        }
    };
    show.chapter("Accounts", how);
    for person in people {
        let account: Account = match servers {
            Some(servers) => world.server_account(servers, person)?,
            None => world.maildir_account(),
        };
        show.run(person.set_up(&account)?)?;
    }
    Ok(())
}

fn send_and_read(
    show: &Show,
    world: &World,
    servers: Option<&MailServers>,
    alice: &Person,
    bob: &Person,
) -> Result<()> {
    show.chapter("Alice writes, Bob reads", "Signed by 9C on Alice's card, encrypted to Bob; his 9D opens it. Who signed is said in one sentence.");
    let send =
        alice.keyed("send")?.args(["--to", "bob@example.org", "--subject", "Grüße vom Hafen", "--body"]);
    show.run(send.arg(letter(world)?).arg("--attach").arg(world.desk.anchor()))?;
    if let Some(servers) = servers {
        wait_until("the mail is in Dovecot", || {
            Ok(!servers.dovecot.messages("bob@example.org")?.is_empty())
        })?;
    }
    show.run(bob.fetch()?)?;
    show.run(bob.mailer()?.arg("list"))?;
    let read = show.run(bob.read(1)?)?;
    ensure!(read.out().contains(SECRET), "the letter is not there");
    if let Some(servers) = servers {
        let needle = Needle::new(SECRET);
        let wire = needle.is_in(&servers.smtp_tap.seen()) || needle.is_in(&servers.imap_tap.seen());
        let disk = needle.files_in(world.servers_folder())?;
        ensure!(!wire && disk.is_empty(), "plaintext on the way: {disk:?}");
        let bytes = servers.smtp_tap.seen().len() + servers.imap_tap.seen().len();
        show.remark(&format!(
            "(The harness listened on both connections, {bytes} bytes, and searched the servers' files: no plaintext.)"
        ));
    }
    Ok(())
}

fn openssl_reads(show: &Show, world: &World, pcscd: Option<&Pcscd>, bob: &Person) -> Result<()> {
    let Some(pcscd) = pcscd else { return Ok(()) };
    show.chapter(
        "The same mail by OpenSSL",
        "No program of ours: openssl cms with Bob's card through libengine-pkcs11-openssl and OpenSC's module.",
    );
    let message = bob.only_stored()?;
    let certificate = world.path("bob-9d.pem");
    let export = Run::new("pkcs15-tool").args([
        "--reader",
        &pcscd.reader_name(1),
        "--read-certificate",
        "03",
        "--output",
    ]);
    show.run(export.arg(&certificate).envs([&pcscd.environment()]))?;
    let engine = CardEngine::new(world.folder(), pcscd.environment(), &bob.pin)?;
    let (signed, plain) = (world.path("signed.eml"), world.path("plain.eml"));
    show.remark(&format!("$ export OPENSSL_CONF={}", file_name(engine.configuration())));
    show.run(engine.decrypt(&bob.name, &message, &certificate, &signed))?;
    show.remark("$ (cd desk/published; cat anchor.pem ca-chain.pem crl.pem) > desk/trust.pem");
    show.run(verify_signed(world.desk.published(), &signed, &plain)?)?;
    let letter = fs::read_to_string(&plain)?;
    ensure!(letter.contains("the crane arrives"), "OpenSSL read something else");
    Ok(())
}

fn official_document(
    show: &Show,
    world: &World,
    servers: Option<&MailServers>,
    alice: &Person,
    bob: &Person,
) -> Result<()> {
    show.chapter(
        "An official document",
        "A PDF file is signed on Alice's card with a seal and a trusted time stamp, sent to a list, and confirmed by signed \
         receipts; what proves all of it goes into a folder for anybody who has openssl.",
    );
    show.run(world.desk.make_time_stamp_service()?)?;
    show.run(world.desk.publish()?)?;
    let (_tsa, url) = world.desk.serve_time_stamps(&world.path("tsa.log"))?;
    show.remark("$ issuer tsa --listen 127.0.0.1:0 &");
    for person in [alice, bob] {
        let account = match servers {
            Some(servers) => world.server_account(servers, person)?,
            None => world.maildir_account(),
        };
        show.run(person.set_up(&account.with("--time-stamp-server", &url))?)?;
    }
    let (notice, signed) = (world.path("notice.pdf"), world.path("notice-signed.pdf"));
    fs::write(&notice, page(&["Notice", "The harbour fee is 100 from January on."]))?;
    let sign = alice.keyed_words(&["document", "sign"])?.arg(&notice).arg("--output").arg(&signed);
    show.run(sign.args(["--reason", "Issued", "--seal", "--at", "340,60"]))?;
    show.run(bob.mailer()?.args(["document", "verify"]).arg(&signed))?;
    if servers.is_some() {
        show.remark("(poppler says the same; it does not know our authority, and is told not to look.)");
        show.run(Run::new("pdfsig").arg("-nocert").arg(&signed))?;
    }
    let distribute = alice.keyed_words(&["document", "distribute"])?.arg(&signed);
    show.run(distribute.args(["--to", &bob.address, "--subject", "Fees from January"]))?;
    arrived(servers, bob, 2)?;
    show.run(bob.fetch()?)?;
    show.run(bob.read(2)?)?;
    show.run(bob.keyed_words(&["receipts", "give", "2"])?)?;
    arrived(servers, alice, 1)?;
    show.run(alice.fetch()?)?;
    let taken = show.run(alice.mailer()?.arg("receipts"))?.out();
    let case = taken.split(':').next().unwrap_or_default().to_owned();
    let status = show.run(alice.mailer()?.args(["document", "status", &case]))?;
    ensure!(status.out().contains("by a trusted time stamp"), "the receipt does not count");
    prove(show, world, alice, &case)
}

fn arrived(servers: Option<&MailServers>, person: &Person, count: usize) -> Result<()> {
    let Some(servers) = servers else { return Ok(()) };
    wait_until("the mail is in Dovecot", || Ok(servers.dovecot.messages(&person.address)?.len() == count))
}

/// The evidence, and the commands of its README.md.
fn prove(show: &Show, world: &World, alice: &Person, case: &str) -> Result<()> {
    let folder = world.path("evidence");
    show.run(alice.keyed_words(&["document", "evidence", case])?.arg("--to").arg(&folder))?;
    let readme = fs::read_to_string(folder.join("README.md"))?;
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or_default());
    show.remark("$ cd evidence    (and every command of its README.md)");
    for command in blocks {
        let mut words = command.split(' ');
        let program = words.next().unwrap_or_default();
        let run = match command.contains(" | ") {
            true => Run::new("sh").args(["-c", command]),
            false => Run::new(program).args(words),
        };
        show.run(run.folder(&folder))?;
    }
    Ok(())
}

fn lose_the_card(show: &Show, world: &World, alice: &Person, bob: &Person) -> Result<()> {
    show.chapter(
        "Alice loses her card",
        "The desk revokes; the next CRL says so; her signature is no longer trusted.",
    );
    show.run(world.desk.revoke(&alice.address, "key-compromise")?)?;
    show.run(world.desk.publish()?)?;
    let send =
        bob.keyed("send")?.args(["--to", &alice.address, "--subject", "Re: Grüße vom Hafen", "--body"]);
    let refused = show.run_expecting(1, send.arg(letter(world)?))?;
    ensure!(refused.out().contains("revoked"), "the refusal does not say why");
    let read = show.run_expecting(4, bob.read(1)?)?;
    let named = read.out().contains("revoked") && read.out().contains(&alice.address);
    ensure!(named, "the verdict does not name the revoked signer");
    Ok(())
}

fn close(
    show: &Show,
    world: &World,
    keep: Option<&Path>,
    root: Option<Root>,
    started: Instant,
) -> Result<()> {
    say("");
    if root.is_none() {
        show.remark("Left out, because they need root: pcscd with OpenSC and OpenSSL at the card, Postfix and Dovecot.");
    }
    if let Some(folder) = keep {
        show.remark(&format!("Everything is in {}.", folder.display()));
    }
    if let (Some(folder), Some(_)) = (keep, root) {
        Run::new("cp").arg("-a").arg(world.servers_folder()).arg(folder.join("servers")).ok()?;
        show.remark("What Postfix, Dovecot and pcscd wrote is in servers/ there.");
    }
    say(&format!(
        "The circle is closed: {} commands in {:.1} s.",
        show.commands(),
        started.elapsed().as_secs_f32()
    ));
    Ok(())
}

fn letter(world: &World) -> Result<PathBuf> {
    let letter = world.path("letter.txt");
    if !letter.exists() {
        fs::write(&letter, LETTER)?;
    }
    Ok(letter)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}
