//! The programs as a user runs them, with RSA and P-256 cards, against `openssl cms` in the form of mail.
use crate::accounts::{Office, Person};
use crate::openssl_pki::{Key, openssl, try_openssl};

const PLAIN: &[u8] = b"From: alice@example.test\nTo: bob@example.test\nSubject: Crane\nMIME-Version: 1.0\n\
    Content-Type: text/plain; charset=utf-8\n\nThe crane arrives on Tuesday.\nFrom the yard, -- \n.\n\ttabs and blanks \n";
/// What openssl takes as the content of a mail.
const ENTITY: &[u8] = b"Content-Type: text/plain\r\n\r\nThe crane arrives on Tuesday.\r\n";
/// Signature and encryption keys of the cards.
const CARDS: &[(Key, Key)] = &[(Key::P256, Key::P256), (Key::Rsa2048, Key::Rsa2048)];

struct Two {
    office: Office,
}

impl Two {
    fn new((signature, encryption): (Key, Key)) -> Self {
        let office = Office::new();
        office.person_with("alice", signature, encryption);
        office.person_with("bob", signature, encryption);
        Self { office }
    }

    /// Runs openssl in the folder of the office, words apart by blanks; what it writes comes back.
    fn openssl(&self, arguments: &str) -> Vec<u8> {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        openssl(self.office.pki.path(), &[&words[..2], &["-out", "out"], &words[2..]].concat());
        self.office.pki.read("out")
    }

    fn openssl_refuses(&self, arguments: &str) {
        let words: Vec<&str> = arguments.split_whitespace().collect();
        let output =
            try_openssl(self.office.pki.path(), &[&words[..2], &["-out", "out"], &words[2..]].concat());
        assert!(!output.status.success(), "{arguments}");
    }

    /// What bob's card and program make of a message: verdict code, what its layers are, exit code, content.
    fn opens(&self, message: &[u8]) -> (String, Vec<String>, i32, Vec<u8>) {
        let said = self.office.run("bob", &["open", "--json"], message);
        let json = said.json();
        let layers = json["layers"].as_array().cloned().unwrap_or_default();
        let layers = layers.iter().map(|layer| layer["is"].as_str().unwrap_or_default().to_owned()).collect();
        let code = json["verdict"]["code"]
            .as_str()
            .or(json["error"]["code"].as_str())
            .unwrap_or_default()
            .to_owned();
        (code, layers, said.code, said.stdout)
    }

    fn assert_trusted(&self, message: &[u8], layers: &[&str], what: &str) {
        let (code, found, exit, content) = self.opens(message);
        assert_eq!((code.as_str(), exit), ("trusted", 0), "{what}");
        assert_eq!(found, layers, "{what}");
        assert!(content.ends_with(ENTITY), "{what}: {}", String::from_utf8_lossy(&content));
    }

    fn assert_refused(&self, message: &[u8], what: &str) {
        let (code, _, exit, content) = self.opens(message);
        assert!(exit == 1 || exit == 4, "{what}: {code}, exit {exit}");
        assert!(content.is_empty(), "{what}");
    }
}

/// The message with one character of the body's last base64 line, or of its text, changed.
fn changed(message: &[u8], near: &str) -> Vec<u8> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    let at = text.find(near).unwrap_or_else(|| panic!("{near} is not in the message")) + near.len() / 2;
    let mut changed = message.to_vec();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    changed
}

/// A full line of the base64 that holds content: near the beginning of a signature object.
fn inside_the_signed(message: &[u8]) -> String {
    base64_lines(message).remove(1)
}

/// The same in an envelope: near the end.
fn inside_the_envelope(message: &[u8]) -> String {
    base64_lines(message).pop().unwrap()
}

fn base64_lines(message: &[u8]) -> Vec<String> {
    let text = String::from_utf8(message.to_vec()).unwrap();
    text.lines().filter(|line| line.len() >= 64 && line.bytes().all(is_base64)).map(str::to_owned).collect()
}

fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/'
}

#[test]
fn mail_that_openssl_signs_is_trusted_in_every_form() {
    let mut count = 0;
    for card in CARDS {
        let two = Two::new(*card);
        two.office.pki.write("entity", ENTITY);
        for form in ["", "-nodetach"] {
            for more in [
                "-binary",
                "-binary -crlfeol",
                "-binary -stream",
                "-binary -md sha512 -keyid",
                "-binary -cades",
                "-binary -noattr",
                "-crlfeol",
            ] {
                let arguments = format!(
                    "cms -sign {form} {more} -in entity -signer alice-sign.pem -inkey alice-sign.key -certfile People.pem \
                     -from alice@example.test -to bob@example.test -subject Crane"
                );
                let message = two.openssl(&arguments);
                two.assert_trusted(&message, &["signed"], &arguments);
                let near = if form.is_empty() { "The crane".to_owned() } else { inside_the_signed(&message) };
                two.assert_refused(&changed(&message, &near), &arguments);
                count += 1;
            }
        }
    }
    println!("openssl signs mail, `open` trusts: {count}");
}

#[test]
fn mail_that_openssl_encrypts_is_opened_by_the_card() {
    let mut count = 0;
    for card in CARDS {
        let two = Two::new(*card);
        two.office.pki.write("entity", ENTITY);
        let header = "-from alice@example.test -to bob@example.test -subject Crane";
        two.openssl(
            "cms -sign -binary -in entity -signer alice-sign.pem -inkey alice-sign.key -certfile People.pem",
        );
        std::fs::rename(two.office.path("out"), two.office.path("signed")).unwrap();
        for cipher in [
            "aes-128-cbc",
            "aes-192-cbc",
            "aes-256-cbc",
            "des-ede3-cbc",
            "aes-128-gcm",
            "aes-192-gcm",
            "aes-256-gcm",
        ] {
            // For triple DES openssl would wrap keys with triple DES too, which we do not read.
            let wrap = if cipher == "des-ede3-cbc" { "-aes128-wrap" } else { "" };
            for more in ["", "-stream", "-keyid"] {
                let arguments = format!(
                    "cms -encrypt -{cipher} -binary {wrap} {more} -in signed {header} alice-read.pem bob-read.pem"
                );
                let message = two.openssl(&arguments);
                two.assert_trusted(&message, &["encrypted", "signed"], &arguments);
                two.assert_refused(&changed(&message, &inside_the_envelope(&message)), &arguments);
                count += 1;
            }
            // Unsigned: only what the envelope itself proves is shown.
            let arguments = format!("cms -encrypt -{cipher} -binary {wrap} -in entity {header} bob-read.pem");
            let (code, _, exit, content) = two.opens(&two.openssl(&arguments));
            let shown = cipher.ends_with("gcm");
            assert_eq!(
                (exit, content.is_empty()),
                if shown { (0, false) } else { (4, true) },
                "{cipher} {code}"
            );
        }
    }
    println!("openssl encrypts mail, `open` opens with the card: {count}");
}

#[test]
fn openssl_reads_what_the_cards_protect() {
    let mut count = 0;
    for card in CARDS {
        let two = Two::new(*card);
        for (arguments, is_encrypted) in [
            (&["protect", "--no-encrypt"][..], false),
            (&["protect"], true),
            (&["protect", "--no-sign"], true),
        ] {
            for (message, is_seven_bit) in
                [(PLAIN.to_vec(), true), ([PLAIN, "Grüße\n".as_bytes()].concat(), false)]
            {
                let protected = two.office.run("alice", arguments, &message).expect(0).stdout;
                two.office.pki.write("mail", &protected);
                if is_encrypted {
                    let open = "cms -decrypt -binary -in mail -recip bob-read.pem -inkey bob-read.key";
                    two.office.pki.write("opened", &two.openssl(open));
                    two.office.pki.write("mail", &changed(&protected, &inside_the_envelope(&protected)));
                    // AES-CBC may hand out something else; what it must not hand out is the content.
                    let words: Vec<&str> = open.split(' ').collect();
                    let output = try_openssl(two.office.pki.path(), &words);
                    assert!(
                        !output.status.success() || !contains(&output.stdout, b"The crane"),
                        "{arguments:?}"
                    );
                    std::fs::rename(two.office.path("opened"), two.office.path("mail")).unwrap();
                }
                let content = if arguments.contains(&"--no-sign") {
                    two.office.pki.read("mail")
                } else {
                    let verify = "cms -verify -in mail -CAfile Root.pem -certfile People.pem";
                    let content = two.openssl(verify);
                    let signed = two.office.pki.read("mail");
                    let near = if is_seven_bit { "The crane".to_owned() } else { inside_the_signed(&signed) };
                    two.office.pki.write("mail", &changed(&signed, &near));
                    two.openssl_refuses(verify);
                    content
                };
                let wanted = String::from_utf8(message).unwrap().replace('\n', "\r\n");
                let body = wanted.split_once("\r\n\r\n").unwrap().1;
                assert!(
                    content.ends_with(body.as_bytes()),
                    "{arguments:?}: {}",
                    String::from_utf8_lossy(&content)
                );
                count += 1;
            }
        }
    }
    println!("`protect` with the card, openssl reads: {count}");
}

#[test]
fn a_triple_wrap_of_openssl_is_unwrapped() {
    let two = Two::new(CARDS[1]);
    two.office.pki.write("inner", ENTITY);
    let sign = "-signer alice-sign.pem -inkey alice-sign.key -certfile People.pem";
    let header = "-from alice@example.test -to bob@example.test";
    // RFC 2634 section 1.1: signed, encrypted, signed again, with mail around it once.
    for (inner, middle) in [("-nodetach", "aes-256-cbc"), ("", "aes-128-gcm")] {
        let signed = two.openssl(&format!("cms -sign -binary {inner} -in inner {sign}"));
        two.office.pki.write("signed", &signed);
        let encrypted = two.openssl(&format!("cms -encrypt -binary -{middle} -in signed bob-read.pem"));
        two.office.pki.write("encrypted", &encrypted);
        let message = two.openssl(&format!("cms -sign -in encrypted {sign} {header}"));
        two.assert_trusted(&message, &["signed", "encrypted", "signed"], middle);
        two.assert_refused(&changed(&message, &inside_the_signed(&message)), middle);
    }
}

#[test]
fn objects_of_openssl_are_verified_without_mail_around_them() {
    let two = Two::new(CARDS[0]);
    two.office.pki.write("entity", ENTITY);
    two.office.pki.write("other", b"something else");
    let sign = "cms -sign -binary -in entity -outform DER -signer alice-sign.pem -inkey alice-sign.key -certfile People.pem";
    for (more, content) in
        [("", Some("entity")), ("-nodetach", None), ("-nodetach -stream", None), ("-keyid", Some("entity"))]
    {
        let object = two.openssl(&format!("{sign} {more}"));
        two.office.pki.write("object", &object);
        let verify = |content: Option<&str>| {
            let mut arguments = vec!["verify", "--json", "--cms", "object"];
            arguments.extend(content.iter().flat_map(|content| ["--content", content]));
            two.office.run("bob", &arguments, b"")
        };
        let said = verify(content).expect(0);
        assert!(said.text().contains("\"trusted\""), "{more}: {}", said.text());
        if content.is_some() {
            verify(Some("other")).expect(4);
            verify(None).expect(4);
        }
        let mut changed = object;
        let last = changed.iter().rposition(|byte| *byte != 0).unwrap();
        changed[last] ^= 1;
        two.office.pki.write("object", &changed);
        verify(content).expect(4);
    }
    two.openssl(&format!("{} -nodetach", sign.replace("DER", "PEM")));
    let said = two.office.run("bob", &["verify", "--json", "--cms", "out"], b"").expect(0);
    assert!(said.text().contains("\"trusted\""), "{}", said.text());
}

#[test]
fn an_old_message_is_opened_with_a_retired_key() {
    let office = Office::new();
    office.person("alice", Key::P256);
    let first = office.person("bob", Key::Rsa2048);
    let message = |subject: &str| [b"Subject: ", subject.as_bytes(), b"\n", PLAIN].concat();
    let protect = |subject: &str| office.run("alice", &["protect"], &message(subject)).expect(0).stdout;
    let mut archive = vec![protect("first generation")];
    // Twice a new key takes 9D, and the one before goes to a retired slot.
    let second = office.pki.people.issue(
        "bob-second",
        Key::P256,
        &crate::openssl_pki::encryption("bob@example.test", Key::P256),
    );
    let third = office.pki.people.issue(
        "bob-third",
        Key::Rsa2048,
        &crate::openssl_pki::encryption("bob@example.test", Key::Rsa2048),
    );
    for (reader, keys) in [
        (&second, vec![("9C", &first.signer), ("9D", &second), ("82", &first.reader)]),
        (&third, vec![("9C", &first.signer), ("9D", &third), ("82", &second), ("95", &first.reader)]),
    ] {
        office.unpublish("bob");
        office.publish(&Person {
            name: "bob".to_owned(),
            signer: first.signer.clone(),
            reader: reader.clone(),
        });
        office.make_card_with("bob", &keys);
        archive.push(protect(&reader.name));
        for (age, old) in archive.iter().enumerate() {
            let said = office.run("bob", &["open", "--json"], old).expect(0);
            assert_eq!(
                said.json()["verdict"]["code"],
                "trusted",
                "message {age} with the card of {}",
                reader.name
            );
            assert!(said.text().contains("The crane arrives on Tuesday."));
        }
    }
    // Without its retired key the oldest message stays closed, by name.
    office.make_card_with("bob", &[("9C", &first.signer), ("9D", &third), ("82", &second)]);
    let said = office.run("bob", &["open", "--json"], &archive[0]).expect(1);
    assert_eq!(said.json()["error"]["code"], "not-for-us");
    assert!(said.stdout.is_empty());
    office.run("bob", &["open"], &archive[1]).expect(0);
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    crate::material::find(bytes, wanted).is_some()
}
