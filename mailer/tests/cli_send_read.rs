//! Send and read, from outside: two cards, a folder of Maildirs, and OpenSSL as the judge.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod openssl_pki;

use accounts::{Office, is_written_below};
use openssl_pki::{Key, openssl, try_openssl};

const SECRET: &[u8] = b"the eagle lands at noon";

fn send_to_bob(office: &Office) {
    std::fs::write(office.path("report ä.bin"), [0, 1, 2, 255].repeat(500)).unwrap();
    let arguments =
        ["send", "--to", "Bob Ü <bob@example.test>", "--subject", "Grüße", "--attach", "report ä.bin"];
    let said = office.run("alice", &arguments, SECRET).expect(0);
    assert_eq!(said.text(), "Sent to bob@example.test.\n");
}

#[test]
fn what_alice_sends_bob_reads_and_nobody_else_sees() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::Rsa2048);
    send_to_bob(&office);
    assert_eq!(office.run("bob", &["fetch"], b"").expect(0).text(), "1 new message.\n");
    assert_eq!(office.run("bob", &["fetch"], b"").expect(0).text(), "No new messages.\n");
    let list = office.run("bob", &["list"], b"").expect(0).text();
    assert!(list.contains("alice Ümläut <alice@example.test>") && list.contains("encrypted, new"), "{list}");

    let read = office.run("bob", &["read", "1", "--save-attachments", "."], b"").expect(0);
    assert!(read.stderr.starts_with("Signed by alice-sign <alice@example.test>"), "{}", read.stderr);
    let text = read.text();
    assert!(text.contains("Subject: Grüße\n") && text.contains("the eagle lands at noon"), "{text}");
    assert_eq!(std::fs::read(office.path("report ä (2).bin")).unwrap(), [0, 1, 2, 255].repeat(500));
    assert!(!office.run("bob", &["list"], b"").text().contains("new"));

    // Nothing readable was left anywhere, on either side or between them.
    for place in ["spool", "home-alice", "home-bob"] {
        assert!(!is_written_below(&office.path(place), SECRET), "{place}");
    }
    // The sender reads the own copy.
    let sent = office.run("alice", &["read", "--sent", "1"], b"").expect(0);
    assert!(sent.text().contains("the eagle lands at noon"));
    assert!(office.run("alice", &["outbox"], b"").expect(0).text().contains("empty"));
}

#[test]
fn openssl_opens_and_verifies_what_was_sent() {
    for key in [Key::Rsa2048, Key::P256] {
        let office = Office::new();
        office.person("alice", Key::P256);
        let bob = office.person("bob", key);
        send_to_bob(&office);
        office.pki.write("sent.eml", &office.last_in_spool("bob"));
        let (certificate, private_key) = (bob.reader.pem(), bob.reader.key());
        let folder = office.pki.path();
        openssl(
            folder,
            &[
                "cms",
                "-decrypt",
                "-in",
                "sent.eml",
                "-recip",
                &certificate,
                "-inkey",
                &private_key,
                "-out",
                "signed.eml",
            ],
        );
        let verify = [
            "cms",
            "-verify",
            "-in",
            "signed.eml",
            "-CAfile",
            "Root.pem",
            "-purpose",
            "smimesign",
            "-out",
            "content",
        ];
        openssl(folder, &verify);
        let content = String::from_utf8(office.pki.read("content")).unwrap();
        assert!(
            content.contains("the eagle lands at noon")
                && content.contains("filename*=UTF-8''report%20%C3%A4.bin"),
            "{content}"
        );
    }
}

#[test]
fn what_openssl_made_is_read() {
    let office = Office::new();
    let alice = office.person("alice", Key::P256);
    let bob = office.person("bob", Key::Rsa2048);
    let folder = office.pki.path();
    office.pki.write("text", b"Content-Type: text/plain\r\n\r\nfrom openssl\r\n");
    let (signer, key, recipient) = (alice.signer.pem(), alice.signer.key(), bob.reader.pem());
    openssl(
        folder,
        &[
            "cms",
            "-sign",
            "-md",
            "sha256",
            "-in",
            "text",
            "-signer",
            &signer,
            "-inkey",
            &key,
            "-certfile",
            "People.pem",
            "-out",
            "signed",
        ],
    );
    openssl(
        folder,
        &[
            "cms",
            "-sign",
            "-nodetach",
            "-md",
            "sha256",
            "-in",
            "text",
            "-signer",
            &signer,
            "-inkey",
            &key,
            "-certfile",
            "People.pem",
            "-out",
            "opaque",
        ],
    );
    for (number, (form, cipher)) in
        [("signed", "-aes-256-cbc"), ("opaque", "-aes-256-cbc"), ("signed", "-aes-256-gcm")]
            .into_iter()
            .enumerate()
    {
        let header = ["-from", "alice@example.test", "-to", "bob@example.test", "-subject", "foreign"];
        let encrypt =
            [&["cms", "-encrypt", cipher, "-in", form, "-out", "encrypted"][..], &header, &[&recipient]]
                .concat();
        openssl(folder, &encrypt);
        let inbox = office.path("spool/bob@example.test");
        for part in ["tmp", "new", "cur"] {
            std::fs::create_dir_all(inbox.join(part)).unwrap();
        }
        std::fs::rename(office.path("encrypted"), inbox.join(format!("new/{number}.foreign"))).unwrap();
        office.run("bob", &["fetch"], b"").expect(0);
        let read = office.run("bob", &["read", &(number + 1).to_string()], b"").expect(0);
        assert!(read.text().contains("from openssl"), "{form} {cipher}: {}", read.text());
        assert!(read.stderr.starts_with("Signed by alice-sign"), "{form} {cipher}: {}", read.stderr);
    }
}

#[test]
fn hidden_recipients_are_in_nobody_elses_message() {
    let office = Office::new();
    let alice = office.person("alice", Key::P256);
    let bob = office.person("bob", Key::P256);
    let carol = office.person("carol", Key::P256);
    let arguments = ["send", "--to", "bob@example.test", "--bcc", "carol@example.test", "--subject", "x"];
    office.run("alice", &arguments, b"hi").expect(0);
    let recipients_of = |name: &str| {
        office.pki.write("m.eml", &office.last_in_spool(name));
        String::from_utf8_lossy(&openssl(office.pki.path(), &["cms", "-cmsout", "-print", "-in", "m.eml"]))
            .into_owned()
    };
    // openssl prints long serial numbers in hexadecimal or decimal, depending on their length.
    let is_named = |printed: &str, identity: &openssl_pki::Identity| {
        let hexadecimal = identity.certificate().serial_number();
        let decimal = openssl(office.pki.path(), &["x509", "-in", &identity.pem(), "-noout", "-text"]);
        let decimal = String::from_utf8_lossy(&decimal).into_owned();
        let own = decimal
            .lines()
            .find(|line| line.contains("Serial Number: "))
            .map(|line| line.trim().split(' ').nth(2).unwrap().to_owned());
        printed.to_lowercase().contains(&hexadecimal)
            || own.is_some_and(|own| printed.contains(&own))
            || contains_decimal(printed, &hexadecimal)
    };
    let for_bob = recipients_of("bob");
    assert!(is_named(&for_bob, &bob.reader) && is_named(&for_bob, &alice.reader), "{for_bob}");
    assert!(!is_named(&for_bob, &carol.reader), "{for_bob}");
    let for_carol = recipients_of("carol");
    assert!(is_named(&for_carol, &carol.reader) && !is_named(&for_carol, &bob.reader), "{for_carol}");
    for name in ["bob", "carol"] {
        let message = String::from_utf8(office.last_in_spool(name)).unwrap().to_lowercase();
        let (header, _) = message.split_once("\r\n\r\n").unwrap();
        // A field of that name: a random Message-ID may hold these letters.
        let has_bcc = header.lines().any(|line| line.starts_with("bcc"));
        assert!(!has_bcc && !header.contains("carol"), "{header}");
        office.run(name, &["fetch"], b"").expect(0);
        assert!(office.run(name, &["read", "1"], b"").expect(0).text().contains("hi"));
    }
}

/// Whether a printed number is this hexadecimal one.
fn contains_decimal(printed: &str, hexadecimal: &str) -> bool {
    let mut decimal = vec![0_u8];
    for digit in hexadecimal.chars().map(|digit| digit.to_digit(16).unwrap()) {
        let mut carry = digit;
        for place in decimal.iter_mut() {
            let value = u32::from(*place) * 16 + carry;
            *place = u8::try_from(value % 10).unwrap();
            carry = value / 10;
        }
        while carry > 0 {
            decimal.push(u8::try_from(carry % 10).unwrap());
            carry /= 10;
        }
    }
    let decimal: String = decimal.iter().rev().map(|digit| char::from(b'0' + digit)).collect();
    printed.contains(&decimal)
}

#[test]
fn all_recipients_with_problems_are_named_and_nothing_leaves() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    let revoked = office.issue("revoked", Key::P256);
    office.publish(&revoked);
    office.revoke(&revoked.reader);
    let mut expired = office.issue("expired", Key::P256);
    let extensions = openssl_pki::encryption("expired@example.test", Key::P256);
    expired.reader = office.pki.people.issue_with(
        "expired-read",
        Key::P256,
        &extensions,
        ("20240101000000Z", "20240201000000Z"),
    );
    office.publish(&expired);
    let stranger = office.issue("stranger", Key::P256);
    let other = openssl_pki::Authority::root(office.pki.path(), "Other", openssl_pki::CA);
    let stranger_extensions = openssl_pki::encryption("stranger@example.test", Key::P256);
    let stranger = accounts::Person {
        reader: other.issue("stranger-read", Key::P256, &stranger_extensions),
        ..stranger
    };
    office.publish(&stranger);

    let everybody = "bob@example.test, revoked@example.test, expired@example.test, stranger@example.test, nobody@example.test";
    // The PIN is wrong on purpose: it must not even be asked.
    let arguments = ["send", "--to", everybody, "--subject", "x", "--json"];
    let said = office.run_with_pin("alice", "999999", &arguments, b"hi").expect(1);
    let error = &said.json()["error"];
    assert_eq!(error["code"], "recipients-refused");
    let named: Vec<(&str, &str)> = error["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["address"].as_str().unwrap(), one["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            ("revoked@example.test", "revoked"),
            ("expired@example.test", "expired"),
            ("stranger@example.test", "unknown-issuer"),
            ("nobody@example.test", "no-certificate"),
        ]
    );
    assert_eq!(std::fs::read_dir(office.path("spool")).unwrap().count(), 0);
    assert!(office.run("alice", &["outbox"], b"").text().contains("empty"));
    // No try was spent.
    office.run("alice", &["send", "--to", "bob@example.test", "--subject", "x"], b"hi").expect(0);
}

#[test]
fn after_revocation_the_signer_is_named_and_content_withheld() {
    let office = Office::new();
    let alice = office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    send_to_bob(&office);
    office.run("bob", &["fetch"], b"").expect(0);
    office.revoke(&alice.signer);
    let read = office.run("bob", &["read", "1"], b"").expect(4);
    assert!(read.stdout.is_empty(), "{}", read.text());
    assert!(read.stderr.contains("revoked") && read.stderr.contains("alice"), "{}", read.stderr);
    let read = office.run("bob", &["read", "1", "--json", "--show-untrusted"], b"").expect(4);
    assert!(read.text().contains("the eagle lands at noon"));
    assert_eq!(read.json()["verdict"]["code"], "revoked");
    assert_eq!(read.json()["exit"], 4);
}

#[test]
fn a_wrong_pin_says_how_many_tries_are_left_and_sends_nothing() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    let arguments = ["send", "--to", "bob@example.test", "--subject", "x"];
    let said = office.run_with_pin("alice", "000000", &arguments, b"hi").expect(1);
    assert!(said.stderr.contains("wrong PIN, 2 tries left"), "{}", said.stderr);
    let said =
        office.run_with_pin("alice", "000000", &[&arguments[..], &["--json"]].concat(), b"hi").expect(1);
    assert_eq!(said.json()["error"]["code"], "wrong-pin");
    // The last try is not spent without being told to.
    let said = office.run_with_pin("alice", "000000", &arguments, b"hi").expect(1);
    assert!(said.stderr.contains("--last-try"), "{}", said.stderr);
    assert_eq!(std::fs::read_dir(office.path("spool")).unwrap().count(), 0);
    assert!(office.run("alice", &["outbox"], b"").text().contains("empty"));
    office.run("alice", &[&arguments[..], &["--last-try"]].concat(), b"hi").expect(0);
}

#[test]
fn a_card_with_its_transport_pin_does_not_sign() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    std::fs::remove_dir_all(office.path("state")).unwrap();
    let said = office.run("alice", &["send", "--to", "bob@example.test", "--subject", "x"], b"hi").expect(1);
    assert!(said.stderr.contains("card change-pin --already-changed"), "{}", said.stderr);
    assert_eq!(std::fs::read_dir(office.path("spool")).unwrap().count(), 0);
}

#[test]
fn signed_only_mail_is_readable_for_everybody_and_verified_by_openssl() {
    let office = Office::new();
    office.person("alice", Key::P256);
    let arguments = ["send", "--to", "nobody@elsewhere.test", "--subject", "public", "--no-encrypt"];
    office.run("alice", &arguments, "Öffentlich\n".as_bytes()).expect(0);
    let folder = office.path("spool/nobody@elsewhere.test/new");
    let message = std::fs::read(std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path()).unwrap();
    office.pki.write("m.eml", &message);
    openssl(office.pki.path(), &["cms", "-verify", "-in", "m.eml", "-CAfile", "Root.pem", "-out", "content"]);
    assert!(String::from_utf8(message.clone()).unwrap().contains("=C3=96ffentlich"));
    let changed = String::from_utf8(message).unwrap().replace("ffentlich", "ffentlicH");
    office.pki.write("m.eml", changed.as_bytes());
    assert!(
        !try_openssl(office.pki.path(), &["cms", "-verify", "-in", "m.eml", "-CAfile", "Root.pem"])
            .status
            .success()
    );
    office.run("alice", &["open"], changed.as_bytes()).expect(4);
}

#[test]
fn nothing_in_a_message_steers_the_readers_terminal() {
    let office = Office::new();
    office.person("bob", Key::P256);
    let inbox = office.path("spool/bob@example.test");
    for part in ["tmp", "new", "cur"] {
        std::fs::create_dir_all(inbox.join(part)).unwrap();
    }
    let hostile = "From: =?utf-8?B?G10wO3B3bmVkBw==?= <eve@evil.test>\nSubject: =?utf-8?Q?=1B[2J=C2=9B31m?=\nContent-Type: multipart/mixed; boundary=b\n\n\
                   --b\n\n\u{1b}]52;c;ZXZpbA==\u{7}text\u{202e}\n--b\nContent-Disposition: attachment; filename*=utf-8''..%2F%1B%5B2Jx%0A.sh\n\nx\n--b--\n";
    std::fs::write(inbox.join("new/1.evil"), hostile).unwrap();
    office.run("bob", &["fetch"], b"").expect(0);
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["read", "1", "--save-attachments", "."],
        &["read", "1", "--json"],
    ] {
        let said = office.run("bob", arguments, b"").expect(0);
        for text in [said.text(), said.stderr] {
            assert!(
                !text.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'),
                "{arguments:?}: {text:?}"
            );
        }
    }
    assert!(office.path("[2Jx.sh").exists());
}
