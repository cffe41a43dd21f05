//! `gpgsm` of GnuPG 2.2, both directions: signatures, and AES-CBC with RSA PKCS #1 v1.5.
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use mailer::smime::{Enveloping, Form};

use crate::engine;
use crate::foreign::{run, try_run};
use crate::material::{CONTENT, with_other_content, with_other_end};
use crate::openssl_pki::{Identity, Key, Pki, openssl};

const PACKAGE: &str = "gpgsm and gpg-agent";

/// A home of GnuPG with a person's key, our CA certificates, and an agent that ends with it.
struct Home {
    pki: Pki,
    alice: Identity,
}

impl Home {
    fn new() -> Self {
        let pki = Pki::new();
        let usage = "subjectAltName=email:alice@example.test\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\n\
                     authorityKeyIdentifier=keyid\nkeyUsage=critical,digitalSignature,keyEncipherment";
        let alice = pki.people.issue("alice", Key::Rsa2048, usage);
        let folder = pki.path().join("gnupg");
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        let fingerprint =
            openssl(pki.path(), &["x509", "-in", "Root.pem", "-noout", "-fingerprint", "-sha1"]);
        let fingerprint = String::from_utf8(fingerprint).unwrap();
        let fingerprint = fingerprint.trim().split('=').nth(1).unwrap();
        pki.write("gnupg/trustlist.txt", format!("{fingerprint} S relax\n").as_bytes());
        pki.write("gnupg/gpgsm.conf", b"disable-crl-checks\ndisable-dirmngr\n");
        pki.write("gnupg/gpg-agent.conf", b"allow-loopback-pinentry\n");
        pki.write("passphrase", b"x\n");
        let export = "pkcs12 -legacy -export -in alice.pem -inkey alice.key -certfile chain.pem -passout pass:x -out alice.p12";
        openssl(pki.path(), &export.split(' ').collect::<Vec<_>>());
        let home = Self { pki, alice };
        run(&mut home.command(&["--import", "Root.pem", "People.pem"]), PACKAGE);
        // Its exit status speaks of the CA certificates that it has already; what counts is whether the key is there.
        try_run(&mut home.command(&["--import", "alice.p12"]), PACKAGE);
        let (keys, _) = run(&mut home.command(&["--list-secret-keys"]), PACKAGE);
        assert!(String::from_utf8_lossy(&keys).contains("alice@example.test"), "the key was not imported");
        home
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("gpgsm");
        command.current_dir(self.pki.path()).env("GNUPGHOME", self.pki.path().join("gnupg"));
        command.args(["--batch", "--yes", "--pinentry-mode", "loopback", "--passphrase-fd", "0"]);
        command.stdin(std::fs::File::open(self.pki.path().join("passphrase")).unwrap());
        command.args(arguments);
        command
    }

    fn verifies(&self, cms: &[u8], detached: Option<&[u8]>) -> bool {
        self.pki.write("in.der", cms);
        let mut arguments = vec!["--verify", "in.der"];
        if let Some(content) = detached {
            self.pki.write("beside", content);
            arguments.push("beside");
        }
        try_run(&mut self.command(&arguments), PACKAGE).2
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let mut end = Command::new("gpgconf");
        end.env("GNUPGHOME", self.pki.path().join("gnupg")).args(["--kill", "all"]);
        let _ = end.status();
    }
}

#[test]
fn signatures_and_envelopes_go_both_ways_with_gpgsm() {
    let home = Home::new();
    home.pki.write("content", CONTENT);
    let mut count = 0;
    for digest in ["SHA256", "SHA512"] {
        for (form, kind) in [("inside", "--sign"), ("beside", "--detach-sign")] {
            let arguments = [
                "--digest-algo",
                digest,
                "--local-user",
                "alice@example.test",
                "-o",
                "signed.der",
                kind,
                "content",
            ];
            run(&mut home.command(&arguments), PACKAGE);
            let cms = home.pki.read("signed.der");
            let detached = (form == "beside").then_some(CONTENT);
            let signed =
                engine::verify(&cms, detached, &[]).unwrap_or_else(|code| panic!("{digest} {form}: {code}"));
            assert_eq!(signed.signers, [home.alice.certificate()]);
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
        let cms = engine::sign_as(&home.alice, form);
        let beside = (form == Form::Detached).then_some(CONTENT);
        assert!(home.verifies(&cms, beside), "{form:?}");
        assert!(!home.verifies(&with_other_end(&cms), beside), "{form:?}");
        if form == Form::Detached {
            assert!(!home.verifies(&cms, Some(&with_other_content(CONTENT))));
        }
        count += 1;
    }
    for cipher in ["AES", "AES256", "3DES"] {
        let arguments =
            ["--cipher-algo", cipher, "-r", "alice@example.test", "-o", "theirs.der", "--encrypt", "content"];
        run(&mut home.command(&arguments), PACKAGE);
        let opened = engine::decrypt(&home.pki.read("theirs.der"), &mut home.alice.ring());
        assert_eq!(opened, Ok((CONTENT.to_vec(), false)), "{cipher}");
        count += 1;
    }
    home.pki.write("ours.der", &engine::encrypt(CONTENT, &[&home.alice], Enveloping::Compatible));
    run(&mut home.command(&["-o", "opened", "--decrypt", "ours.der"]), PACKAGE);
    assert_eq!(home.pki.read("opened"), CONTENT);
    println!("signatures and envelopes with gpgsm, both ways: {}", count + 1);
}
