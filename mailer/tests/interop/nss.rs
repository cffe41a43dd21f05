//! NSS `cmsutil`, the engine of Thunderbird, both directions: signatures, and AES-CBC with RSA PKCS #1 v1.5.
use std::process::Command;

use mailer::smime::{Enveloping, Form};

use crate::engine;
use crate::foreign::{run, try_run};
use crate::material::{CONTENT, with_other_content, with_other_end};
use crate::openssl_pki::{Identity, Key, Pki, openssl};

const PACKAGE: &str = "libnss3-tools";

/// An NSS database with a person's key and our CA certificates.
struct Database {
    pki: Pki,
    alice: Identity,
}

impl Database {
    fn new(key: Key) -> Self {
        let pki = Pki::new();
        let usage = "subjectAltName=email:alice@example.test\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\n\
                     authorityKeyIdentifier=keyid\nkeyUsage=critical,digitalSignature,keyEncipherment,keyAgreement";
        let alice = pki.people.issue("alice", key, usage);
        std::fs::create_dir(pki.path().join("database")).unwrap();
        let database = Self { pki, alice };
        database.tool("certutil", &["-N", "--empty-password"]);
        database.tool("certutil", &["-A", "-n", "Root", "-t", "CT,CT,CT", "-i", "Root.pem"]);
        database.tool("certutil", &["-A", "-n", "People", "-t", ",,", "-i", "People.pem"]);
        let export =
            "pkcs12 -export -in alice.pem -inkey alice.key -name alice -passout pass:x -out alice.p12";
        openssl(database.pki.path(), &export.split(' ').collect::<Vec<_>>());
        database.tool("pk12util", &["-i", "alice.p12", "-W", "x", "-K", ""]);
        database
    }

    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.pki.path()).args(["-d", "sql:database"]).args(arguments);
        command
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> Vec<u8> {
        run(&mut self.command(program, arguments), PACKAGE).0
    }

    /// The content of a signed message, if NSS calls its one signature good.
    fn reads(&self, cms: &[u8], detached: Option<&[u8]>) -> Option<Vec<u8>> {
        self.pki.write("in.der", cms);
        let mut arguments = vec!["-D", "-h", "0", "-i", "in.der", "-o", "read"];
        if let Some(content) = detached {
            self.pki.write("beside", content);
            arguments.extend(["-c", "beside"]);
        }
        let (_, _, succeeded) = try_run(&mut self.command("cmsutil", &arguments), PACKAGE);
        if !succeeded {
            return None;
        }
        let printed = self.pki.read("read");
        let text = String::from_utf8_lossy(&printed);
        let is_good = text.contains("nsigners=1") && text.contains("status=GoodSignature");
        // The report stands before the content.
        is_good.then(|| printed[printed.len() - CONTENT.len()..].to_vec())
    }
}

#[test]
fn signatures_go_both_ways_with_nss() {
    let mut count = 0;
    for key in [Key::Rsa2048, Key::P256] {
        let database = Database::new(key);
        database.pki.write("content", CONTENT);
        for digest in ["SHA256", "SHA384", "SHA512"] {
            for (form, more) in [("inside", &[][..]), ("beside", &["-T"])] {
                let arguments =
                    ["-S", "-N", "alice", "-i", "content", "-o", "signed.der", "-H", digest, "-G", "-P"];
                database.tool("cmsutil", &[&arguments[..], more].concat());
                let cms = database.pki.read("signed.der");
                let detached = (form == "beside").then_some(CONTENT);
                let signed = engine::verify(&cms, detached, &[])
                    .unwrap_or_else(|code| panic!("{key:?} {digest} {form}: {code}"));
                assert_eq!(signed.signers, [database.alice.certificate()]);
                let other = with_other_content(CONTENT);
                let changed = match detached {
                    Some(_) => engine::verify(&cms, Some(&other), &[]),
                    None => engine::verify(&with_other_content(&cms), None, &[]),
                };
                assert_eq!(changed, Err("content-changed".to_owned()));
                count += 1;
            }
        }
        for form in [Form::Opaque, Form::Detached] {
            let cms = engine::sign_as(&database.alice, form);
            let beside = (form == Form::Detached).then_some(CONTENT);
            assert_eq!(database.reads(&cms, beside).as_deref(), Some(CONTENT), "{key:?} {form:?}");
            assert_eq!(database.reads(&with_other_end(&cms), beside), None, "{key:?} {form:?}");
            if form == Form::Detached {
                assert_eq!(database.reads(&cms, Some(&with_other_content(CONTENT))), None);
            }
            count += 1;
        }
    }
    println!("signatures with NSS, both ways: {count}");
}

#[test]
fn envelopes_go_both_ways_with_nss() {
    let database = Database::new(Key::Rsa2048);
    database.pki.write("content", CONTENT);
    database.tool("cmsutil", &["-E", "-r", "alice@example.test", "-i", "content", "-o", "theirs.der"]);
    let theirs = database.pki.read("theirs.der");
    assert_eq!(engine::decrypt(&theirs, &mut database.alice.ring()), Ok((CONTENT.to_vec(), false)));
    database.pki.write("ours.der", &engine::encrypt(CONTENT, &[&database.alice], Enveloping::Compatible));
    database.tool("cmsutil", &["-D", "-i", "ours.der", "-o", "opened"]);
    assert_eq!(database.pki.read("opened"), CONTENT);
    // What NSS does not know it must not seem to read.
    database.pki.write("ours.der", &engine::encrypt(CONTENT, &[&database.alice], Enveloping::Authenticated));
    assert!(!try_run(&mut database.command("cmsutil", &["-D", "-i", "ours.der", "-o", "opened"]), PACKAGE).2);
}
