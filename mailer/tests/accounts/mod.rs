//! People with cards, accounts and a published directory: everything that the program `mailer` meets, made fresh by
//! openssl and `card-sim`, and driven from outside.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "each test program uses its part"
)]
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mailer::keys::{KeyReference, Locator};
use middleware::{Card, ManagementKey, ManagementKeyAlgorithm};

use crate::openssl_pki::{Identity, Key, Pki, encryption, openssl, signing};

/// The PIN of every card here.
pub(crate) const PIN: &str = "123456";
/// A CRL validity that holds at any time at which the tests may run.
const CRL_VALID: (&str, &str) = ("20240101000000Z", "20480101000000Z");

/// A certification authority, its published directory, a folder of Maildirs, and people.
pub(crate) struct Office {
    pub(crate) pki: Pki,
}

/// A person with a card and an account.
pub(crate) struct Person {
    pub(crate) name: String,
    pub(crate) signer: Identity,
    pub(crate) reader: Identity,
}

/// What a run of the program said.
pub(crate) struct Said {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Said {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// The JSON object that stands alone on the last line of stderr.
    pub(crate) fn json(&self) -> serde_json::Value {
        let last = self.stderr.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {}", self.stderr))
    }

    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.text(), self.stderr);
        self
    }
}

impl Office {
    pub(crate) fn new() -> Self {
        let office = Self { pki: Pki::new() };
        std::fs::create_dir(office.path("spool")).unwrap();
        office.publish_authorities();
        office
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.pki.path().join(name)
    }

    /// Issues a card with a P-256 signature key and this encryption key, publishes, sets the account up.
    pub(crate) fn person(&self, name: &str, encryption_key: Key) -> Person {
        let person = self.issue(name, encryption_key);
        self.publish(&person);
        self.make_card(&person);
        self.setup(name, &["--maildir", "spool"]).expect(0);
        person
    }

    /// The same with a signature key of this kind.
    pub(crate) fn person_with(&self, name: &str, signature_key: Key, encryption_key: Key) -> Person {
        let person = self.issue_with(name, signature_key, encryption_key);
        self.publish(&person);
        self.make_card(&person);
        self.setup(name, &["--maildir", "spool"]).expect(0);
        person
    }

    /// Only certificates, no card, nothing published.
    pub(crate) fn issue(&self, name: &str, encryption_key: Key) -> Person {
        self.issue_with(name, Key::P256, encryption_key)
    }

    fn issue_with(&self, name: &str, signature_key: Key, encryption_key: Key) -> Person {
        let address = format!("{name}@example.test");
        let people = &self.pki.people;
        Person {
            name: name.to_owned(),
            signer: people.issue(&format!("{name}-sign"), signature_key, &signing(&address)),
            reader: people.issue(
                &format!("{name}-read"),
                encryption_key,
                &encryption(&address, encryption_key),
            ),
        }
    }

    pub(crate) fn publish(&self, person: &Person) {
        self.publish_for(person, &format!("{}@example.test", person.name));
    }

    /// Publishes somebody's certificates under one of their addresses.
    pub(crate) fn publish_for(&self, person: &Person, address: &str) {
        let folder = self.path("published/certificates/by-email").join(address);
        std::fs::create_dir_all(&folder).unwrap();
        for identity in [&person.signer, &person.reader] {
            let certificate = identity.certificate();
            std::fs::write(folder.join(format!("{}.cer", certificate.serial_number())), certificate.der())
                .unwrap();
        }
    }

    /// Takes somebody's certificates out of the directory, and out of what accounts remember of it.
    pub(crate) fn unpublish(&self, name: &str) {
        let folder = self.path("published/certificates/by-email").join(format!("{name}@example.test"));
        std::fs::remove_dir_all(folder).unwrap();
        for home in std::fs::read_dir(self.pki.path()).unwrap().flatten() {
            let _ = std::fs::remove_dir_all(home.path().join("cache"));
        }
    }

    /// CA certificates and CRLs, as they are now.
    pub(crate) fn publish_authorities(&self) {
        for folder in ["published/ca", "published/crl", "published/certificates/by-email"] {
            std::fs::create_dir_all(self.path(folder)).unwrap();
        }
        for authority in [&self.pki.root, &self.pki.people] {
            let certificate = authority.certificate();
            let identifier = hex::encode(certificate.subject_key_identifier().unwrap());
            std::fs::write(self.path(&format!("published/ca/{identifier}.cer")), certificate.der()).unwrap();
            authority.crl_with("", CRL_VALID);
            let arguments = ["crl", "-in", &format!("{}.crl", authority.name), "-outform", "DER"];
            let list = openssl(self.pki.path(), &arguments);
            std::fs::write(self.path(&format!("published/crl/{identifier}.crl")), list).unwrap();
        }
    }

    pub(crate) fn revoke(&self, identity: &Identity) {
        self.pki.people.revoke(&identity.name, &["-crl_compromise", "20250501000000Z"]);
        self.publish_authorities();
        // What an account remembers of the directory would outlive the revocation until it grows old.
        for home in std::fs::read_dir(self.pki.path()).unwrap().flatten() {
            let _ = std::fs::remove_dir_all(home.path().join("cache"));
        }
    }

    pub(crate) fn make_card(&self, person: &Person) {
        self.make_card_with(&person.name, &[("9C", &person.signer), ("9D", &person.reader)]);
    }

    /// A card with these keys and their certificates, whose PIN its holder has changed; any card of that name goes away.
    pub(crate) fn make_card_with(&self, name: &str, keys: &[(&str, &Identity)]) {
        let state = self.path(&format!("{name}.card"));
        let _ = std::fs::remove_file(&state);
        let mut new = Command::new(card_sim());
        new.current_dir(self.pki.path()).arg("new").arg(&state).args(["--firmware", "5.4"]);
        for (reference, identity) in keys {
            new.arg("--key").arg(format!("{reference}={}", identity.key()));
        }
        let made = new.output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut card = Card::open(&Locator::Emulated(state)).unwrap();
        let guid = card.identity().unwrap().guid.unwrap();
        let mut transaction = card.transaction().unwrap();
        let management_key = ManagementKey::factory_default(ManagementKeyAlgorithm::TripleDes);
        let mut administration = transaction.authenticate(&management_key).unwrap();
        for (reference, identity) in keys {
            let key: KeyReference = reference.parse().unwrap();
            administration.write_certificate(key, identity.certificate().der()).unwrap();
        }
        // As `card change-pin --already-changed` records it.
        let record = self.path("state/sealwright/cards");
        std::fs::create_dir_all(&record).unwrap();
        std::fs::write(record.join(hex::encode(guid)), "changed").unwrap();
    }

    pub(crate) fn setup(&self, name: &str, more: &[&str]) -> Said {
        let (address, card) = (format!("{name}@example.test"), format!("sim:{name}.card"));
        let display_name = format!("{name} Ümläut");
        let mut arguments = vec!["setup", "--address", &address, "--name", &display_name, "--card", &card];
        arguments.extend([
            "--anchor",
            "Root.pem",
            "--anchor-domain",
            "example.test",
            "--directory",
            "file:published",
        ]);
        arguments.extend(more);
        self.run(name, &arguments, b"")
    }

    /// Runs the program with somebody's account and PIN.
    pub(crate) fn run(&self, name: &str, arguments: &[&str], stdin: &[u8]) -> Said {
        self.run_with_pin(name, PIN, arguments, stdin)
    }

    pub(crate) fn run_with_pin(&self, name: &str, pin: &str, arguments: &[&str], stdin: &[u8]) -> Said {
        run(&mut self.command(name, pin, arguments), stdin)
    }

    /// The program with somebody's account and PIN.
    pub(crate) fn command(&self, name: &str, pin: &str, arguments: &[&str]) -> Command {
        let pin_file = self.path(&format!("{name}.pin"));
        std::fs::write(&pin_file, format!("{pin}\n")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_mailer"));
        command
            .current_dir(self.pki.path())
            .env("XDG_STATE_HOME", self.path("state"))
            .arg("--home")
            .arg(self.path(&format!("home-{name}")))
            .args(arguments);
        let needs_pin = matches!(
            arguments,
            ["send" | "read" | "open" | "verify" | "protect", ..]
                | ["document", "sign" | "decrypt" | "distribute" | "evidence", ..]
                | ["receipts", "give", ..]
        );
        if needs_pin {
            command.arg("--pin-file").arg(&pin_file);
        }
        command
    }

    /// The one message in somebody's Maildir in the spool that came last.
    pub(crate) fn last_in_spool(&self, name: &str) -> Vec<u8> {
        let folder = self.path("spool").join(format!("{name}@example.test/new"));
        let mut files: Vec<PathBuf> =
            std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        files.sort();
        std::fs::read(files.last().unwrap()).unwrap()
    }
}

/// Runs a program, feeding it from a thread so that neither side waits for the other.
pub(crate) fn run(command: &mut Command, stdin: &[u8]) -> Said {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = stdin.to_vec();
    // A program that refuses early does not read its input.
    let feeder = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Said {
        code: output.status.code().unwrap(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Every file below a folder.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            files.extend(files_below(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

/// Whether any file below a folder contains these bytes.
pub(crate) fn is_written_below(folder: &Path, bytes: &[u8]) -> bool {
    files_below(folder)
        .iter()
        .any(|file| std::fs::read(file).unwrap().windows(bytes.len()).any(|window| window == bytes))
}

/// The program that makes cards; built if it is not there, for it belongs to another package of the workspace.
fn card_sim() -> PathBuf {
    let folder = std::env::var_os("SEALWRIGHT_BINARIES").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_BIN_EXE_mailer")).with_file_name("card-sim");
    let program = folder.map_or(beside, |folder| folder.join("card-sim"));
    if !program.is_file() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--package", "card-sim", "--bin", "card-sim"])
            .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
            .output()
            .unwrap();
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    }
    program
}
