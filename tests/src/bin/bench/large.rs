//! Large messages: CPU time and memory, two sizes each so that growth shows, beside `openssl cms`.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Result;
use sealwright_tests::mail::Person;
use sealwright_tests::measure::Row;
use sealwright_tests::openssl::stranger_certificate;
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

use crate::usage::{Usage, of_shell};

const LINE: &[u8] = b"All work and no play makes Jack a dull boy. Tuesday, a little past noon....\r\n";
const MEGABYTE: u64 = 1_000_000;

struct Size {
    name: &'static str,
    octets: u64,
    /// The limits of the issue, in seconds of CPU: they are for 1 GB and shrink with the size.
    share: f64,
}

const SIZES: [Size; 3] = [
    Size { name: "10 MB", octets: 10 * MEGABYTE, share: 0.01 },
    Size { name: "100 MB", octets: 100 * MEGABYTE, share: 0.1 },
    Size { name: "1 GB", octets: 1000 * MEGABYTE, share: 1.0 },
];
/// What a program needs before it reads the first octet (start, card, directory), in seconds of CPU.
const START: f64 = 0.1;
const MEMORY_LIMIT: f64 = 32.0;

/// Sign and encrypt, decrypt, verify: each with CPU time and memory.
pub(crate) fn rows(small: bool) -> Result<Vec<Row>> {
    let world = World::new()?;
    let (alice, bob) = (world.person("alice", "p256")?, world.person("bob", "p256")?);
    for person in [&alice, &bob] {
        person.set_up(&world.maildir_account())?.ok()?;
    }
    prepare(&world, &bob)?;
    let sizes = if small { &SIZES[..1] } else { &SIZES[1..] };
    let mut rows = Vec::new();
    for size in sizes {
        letter(&world.path("letter"), size.octets)?;
        let tasks = Tasks { folder: world.folder(), alice: &alice, bob: &bob };
        rows.extend(rows_of(size, "sign and encrypt", 4.0, tasks.protect()?));
        rows.extend(rows_of(size, "decrypt AES-256-GCM", 5.0, tasks.decrypt()?));
        rows.extend(rows_of(size, "verify multipart/signed", 3.0, tasks.verify()?));
    }
    Ok(rows)
}

/// A text of CRLF lines with the header of a message.
fn letter(path: &Path, octets: u64) -> Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(
        b"From: alice@example.org\r\nTo: bob@example.org\r\nSubject: large\r\nMIME-Version: 1.0\r\n\
          Content-Type: text/plain; charset=us-ascii\r\n\r\n",
    )?;
    for _ in 0..octets / LINE.len() as u64 {
        file.write_all(LINE)?;
    }
    Ok(file.flush()?)
}

/// OpenSSL's keys, and Bob's certificate for it.
fn prepare(world: &World, bob: &Person) -> Result<()> {
    stranger_certificate(world.folder(), "soft", "example.org")?;
    let pem = bob.card("certificates")?.args(["9D", "--pem"]).ok()?;
    std::fs::write(world.path("bob.pem"), pem.stdout)?;
    let published = world.desk.published();
    for name in ["anchor.pem", "ca-chain.pem"] {
        std::fs::copy(published.join(name), world.path(name))?;
    }
    Ok(())
}

struct Tasks<'a> {
    folder: &'a Path,
    alice: &'a Person,
    bob: &'a Person,
}

impl Tasks<'_> {
    fn ours(&self, person: &Person, command: &str, redirection: &str) -> Result<Usage> {
        let program = sealwright_tests::programs::program("mailer")?;
        let line = format!(
            "exec {} --home {} {command} {redirection}",
            Path::new(&program).display(),
            person.home().join("mail").display()
        );
        of_shell(&line, |run| run.folder(self.folder).env("HOME", person.home()))
    }

    fn keyed(&self, person: &Person, command: &str, redirection: &str) -> Result<Usage> {
        self.ours(person, &format!("{command} --pin-file {}", person.pin_file().display()), redirection)
    }

    fn openssl(&self, line: &str) -> Result<Usage> {
        of_shell(line, |run| run.folder(self.folder))
    }

    fn protect(&self) -> Result<[Usage; 2]> {
        let ours = self.keyed(self.alice, "protect --to bob@example.org", "< letter > /dev/null")?;
        let peer = self.openssl(
            "openssl cms -sign -md sha256 -binary -stream -in letter -signer soft.pem -inkey soft.key |
             openssl cms -encrypt -aes-256-gcm -binary -stream -out /dev/null soft.pem",
        )?;
        Ok([ours, peer])
    }

    /// Both open the same message.
    fn decrypt(&self) -> Result<[Usage; 2]> {
        Run::new("openssl")
            .args([
                "cms",
                "-encrypt",
                "-aes-256-gcm",
                "-binary",
                "-stream",
                "-in",
                "letter",
                "-out",
                "encrypted",
            ])
            .args(["bob.pem", "soft.pem"])
            .folder(self.folder)
            .ok()?;
        let ours = self.keyed(self.bob, "open", "< encrypted > /dev/null")?;
        let peer = self.openssl(
            "openssl cms -decrypt -binary -in encrypted -recip soft.pem -inkey soft.key -out /dev/null",
        )?;
        std::fs::remove_file(self.folder.join("encrypted"))?;
        Ok([ours, peer])
    }

    /// Both verify the same message.
    fn verify(&self) -> Result<[Usage; 2]> {
        self.keyed(self.alice, "protect --no-encrypt", "< letter > signed")?;
        let ours = self.ours(self.bob, "verify --json signed", "> /dev/null")?;
        let peer =
            self.openssl("openssl cms -verify -in signed -CAfile anchor.pem -purpose any -out /dev/null")?;
        std::fs::remove_file(self.folder.join("signed"))?;
        Ok([ours, peer])
    }
}

fn rows_of(size: &Size, name: &'static str, seconds: f64, [ours, peer]: [Usage; 2]) -> [Row; 2] {
    let row = |name, ours, peer, limit, unit| Row {
        area: "mail",
        name,
        size: size.name,
        ours,
        peer,
        peer_name: "openssl cms, soft key",
        limit,
        unit,
    };
    let limit = if size.share < 1.0 { seconds * size.share + START } else { seconds };
    [row(name, ours.cpu, peer.cpu, limit, "s CPU"), row(name, ours.memory, peer.memory, MEMORY_LIMIT, "MB")]
}
