//! NSS across a roll-over of the root and of the authority for people: whoever trusts either root reaches every certificate,
//! by cross-certificates and CRLs that were published.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::string_slice)] // a test may panic

mod authority_support;
mod desk_support;

use std::path::{Path, PathBuf};
use std::process::Command;

use authority_support::{card, field};
use desk_support::{Desk, files_below, run};

/// Each block of a PEM file in a file of its own.
fn blocks(desk: &Desk, file: &Path, prefix: &str) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(file).unwrap();
    let blocks = text.split_inclusive("-----END CERTIFICATE-----\n");
    let one = |(number, block): (usize, &str)| {
        let path = desk.path(&format!("{prefix}-{number}.pem"));
        std::fs::write(&path, block).unwrap();
        path
    };
    blocks.enumerate().map(one).collect()
}

/// A database of NSS that trusts one root; everything else in it was published.
struct Database {
    folder: PathBuf,
}

impl Database {
    fn trusting(desk: &Desk, name: &str, root: &Path, public: &Path) -> Self {
        let database = Self { folder: desk.path(name) };
        std::fs::create_dir(&database.folder).unwrap();
        database.tool("certutil", &["-N", "--empty-password"]);
        database.tool("certutil", &["-A", "-n", "root", "-t", ",C,", "-a", "-i", root.to_str().unwrap()]);
        for (number, file) in blocks(desk, &public.join("ca-chain.pem"), name).iter().enumerate() {
            let name = format!("ca {number}");
            database.tool("certutil", &["-A", "-n", &name, "-t", ",,", "-a", "-i", file.to_str().unwrap()]);
        }
        database.take_lists(public);
        database
    }

    fn take_lists(&self, public: &Path) {
        for file in files_below(&public.join("crl")) {
            self.tool("crlutil", &["-I", "-t", "1", "-i", file.to_str().unwrap()]);
        }
    }

    fn tool(&self, program: &str, arguments: &[&str]) {
        run(self.command(program).args(arguments)).expect(0);
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.arg("-d").arg(format!("sql:{}", self.folder.display()));
        command
    }

    /// What vfychain says of a signer of mail (-u 4); no CRL for an issuer is a failure.
    fn judges(&self, leaf: &Path) -> String {
        let options =
            ["-pp", "-g", "leaf", "-m", "crl", "-s", "failIfNoInfo", "-g", "chain", "-m", "crl", "-s"];
        let options = [&options[..], &["failIfNoInfo", "-u", "4", "-a"]].concat();
        let done = run(self.command("vfychain").args(options).arg(leaf));
        done.stdout + &done.stderr
    }
}

fn wait_for_the_next_second() {
    let second = || std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let this = second();
    while second() == this {
        std::thread::yield_now();
    }
}

#[test]
fn nss_reaches_every_certificate_from_either_root() {
    let desk = Desk::new();
    let alice = card(&desk, "alice@example.org", "alice");
    let first = blocks(&desk, &desk.publish().join("anchor.pem"), "first").remove(0);
    desk.issuer(&["ca", "rollover", "root"]).expect(0);
    desk.issuer(&["ca", "rollover", "people"]).expect(0);
    let bob = card(&desk, "bob@example.org", "bob");
    let public = desk.publish();
    let roots = blocks(&desk, &public.join("anchor.pem"), "anchor");
    let second = roots.iter().find(|root| field(root, "-subject").ends_with("Root CA G2")).unwrap();
    let databases = [("by-first", &first), ("by-second", second)]
        .map(|(name, root)| Database::trusting(&desk, name, root, &public));
    for database in &databases {
        for leaf in [&alice, &bob] {
            let said = database.judges(leaf);
            assert!(said.contains("Chain is good!"), "{}: {said}", database.folder.display());
        }
    }
    // Each key speaks of its own certificates. NSS takes no CRL of the second that the one it has is of.
    wait_for_the_next_second();
    desk.issuer(&["revoke", "alice@example.org", "--reason", "key-compromise"]).expect(0);
    let public = desk.publish();
    for database in &databases {
        database.take_lists(&public);
        assert!(database.judges(&alice).contains("revoked"), "{}", database.judges(&alice));
        assert!(database.judges(&bob).contains("Chain is good!"), "{}", database.judges(&bob));
    }
}
