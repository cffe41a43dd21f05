//! Security labels (RFC 2634 section 3): refused before sending, and before the card decrypts.
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mailer::content::Content;
use mailer::message::outer::assemble;
use mailer::protection::protect;
use mailer::smime::{
    Enveloping, Recipient, RsaPadding, SecurityClassification, SecurityLabel, SignedAttributesPlan,
    SigningIdentity,
};

use crate::accounts::{Office, Person};
use crate::material::{FAR, POLICY, card_state, class, class_list, clearance, cleared, publish_list};
use crate::openssl_pki::{CA, Identity, Key, Pki, content, encryption, now, openssl, signing};

const CONFIDENTIAL: u8 = 0b0001_0000;
const SECRET: u8 = 0b0000_1000;
const WORDS: &str = "For cleared eyes.";

fn send(office: &Office, to: &str, label: &str) -> crate::accounts::Said {
    let arguments = ["send", "--to", to, "--subject", "Plans", "--label", label, "--json"];
    office.run("alice", &arguments, format!("{WORDS}\n").as_bytes())
}

#[test]
fn everybody_must_be_cleared_before_anything_leaves() {
    let office = Office::new();
    cleared(&office, "alice", SECRET, false);
    cleared(&office, "bob", CONFIDENTIAL, false);
    cleared(&office, "erin", SECRET, true);
    office.person("carol", Key::P256);
    office.person("dave", Key::P256);
    publish_list(&office, &class_list(1, FAR, &class("board", &[("carol", Some(4)), ("dave", Some(1))])));
    let all = "bob@example.test, carol@example.test, dave@example.test, erin@example.test";
    let error = send(&office, all, &format!("{POLICY}:secret")).expect(1).json()["error"].clone();
    assert_eq!(error["code"], "recipients-refused");
    let refused: Vec<(&str, &str)> = error["recipients"]
        .as_array()
        .unwrap()
        .iter()
        .map(|found| (found["address"].as_str().unwrap(), found["code"].as_str().unwrap()))
        .collect();
    let missing = "clearance-missing";
    assert_eq!(
        refused,
        [("bob@example.test", missing), ("dave@example.test", missing), ("erin@example.test", missing)]
    );
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("bob@example.test: the label secret (4) of policy 1.2.3.4 needs a clearance for secret (4), and there is one for confidential (3) only"), "{message}");
    assert!(message.contains("erin@example.test") && message.contains("there is none for this policy"));
    // Oneself keeps a copy, and must be able to read it.
    let error = send(&office, "carol@example.test", &format!("{POLICY}:5")).expect(1).json();
    assert!(error["error"]["message"].as_str().unwrap().contains("alice@example.test"), "{error}");
    let error = send(&office, "alice@example.test", &format!("{POLICY}:5")).expect(1).json();
    assert_eq!(error["error"]["recipients"].as_array().unwrap().len(), 1, "{error}");
    assert!(std::fs::read_dir(office.path("spool")).unwrap().next().is_none());
    send(&office, "bob@example.test", "1.2.3.4:unheard-of").expect(2);
    send(&office, "bob@example.test", "nonsense:1").expect(2);
    // What is unmarked is for everybody.
    send(&office, all, &format!("{POLICY}:unmarked")).expect(0);
    send(&office, "bob@example.test, carol@example.test", &format!("{POLICY}:confidential")).expect(0);
}

#[test]
fn a_labelled_message_is_wrapped_three_times_and_shows_its_label() {
    let office = Office::new();
    cleared(&office, "alice", SECRET, false);
    let bob = cleared(&office, "bob", CONFIDENTIAL, false);
    send(&office, "bob@example.test", &format!("{POLICY}:confidential:Staff only\u{1b}[2J")).expect(0);
    let mail = office.last_in_spool("bob");
    let said = office.run("bob", &["open", "--json"], &mail).expect(0);
    assert!(said.text().contains(WORDS));
    let found = said.json();
    let kinds: Vec<&str> =
        found["layers"].as_array().unwrap().iter().map(|layer| layer["is"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["signed", "encrypted", "signed"]);
    assert_eq!(found["label"]["policy"], POLICY);
    assert_eq!(
        (&found["label"]["classification"], &found["label"]["name"]),
        (&3.into(), &"confidential".into())
    );
    let said = office.run("bob", &["open"], &mail).expect(0);
    assert!(
        said.stderr.contains("It carries the label confidential (3) of policy 1.2.3.4, \"Staff only"),
        "{}",
        said.stderr
    );
    assert!(!said.stderr.contains('\u{1b}'));
    let said = office.run("bob", &["verify"], &mail).expect(0);
    assert!(said.text().contains("It carries the label confidential (3)"), "{}", said.text());
    // openssl verifies the outer signature, opens the envelope, and verifies the inner one; both carry the label.
    office.pki.write("labelled.eml", &mail);
    let folder = office.pki.path();
    for (file, result) in [("labelled.eml", "envelope.eml"), ("inner.eml", "content.eml")] {
        let printed = openssl(folder, &["cms", "-cmsout", "-print", "-in", file]);
        assert!(String::from_utf8_lossy(&printed).contains("id-smime-aa-securityLabel"), "{file}");
        openssl(folder, &["cms", "-verify", "-in", file, "-CAfile", "Root.pem", "-out", result]);
        if result == "envelope.eml" {
            let (key, certificate) = (bob.reader.key(), bob.reader.pem());
            let opened = [
                "cms",
                "-decrypt",
                "-in",
                result,
                "-inkey",
                &key,
                "-recip",
                &certificate,
                "-out",
                "inner.eml",
            ];
            openssl(folder, &opened);
        }
    }
    assert!(String::from_utf8(office.pki.read("content.eml")).unwrap().contains(WORDS));
}

/// A message signed, encrypted to one reader, and signed again: who signs, with which label, inside and outside.
fn wrapped(
    reader: &Identity,
    inner: (&Identity, Option<u16>),
    outer: Option<(&Identity, Option<u16>)>,
) -> Vec<u8> {
    let sign = |entity: &Content, (signer, number): (&Identity, Option<u16>), boundary: &str| {
        let mut plan = SignedAttributesPlan::mail(now());
        if let Some(classification) = number.and_then(SecurityClassification::from_number) {
            let label = SecurityLabel {
                policy: POLICY.parse().unwrap(),
                classification: Some(classification),
                privacy_mark: None,
                categories: Vec::new(),
            };
            plan = plan.with(label.to_attribute().unwrap());
        }
        let (mut ring, certificate) = (signer.ring(), signer.certificate());
        let people = Identity { folder: signer.folder.clone(), name: "People".to_owned() }.certificate();
        let identity = SigningIdentity {
            signer: ring.signer(0).unwrap(),
            certificate: &certificate,
            intermediates: &[people],
            rsa_padding: RsaPadding::default(),
        };
        protect::sign_planned(entity, identity, &plan, boundary).unwrap().0.into_content().unwrap()
    };
    let plain = content(format!("Content-Type: text/plain\r\n\r\n{WORDS}\r\n").as_bytes());
    let signed = sign(&plain, inner, "inside");
    let recipients = [Recipient::unchecked(reader.certificate(), true)];
    let mut whole =
        protect::encrypt(&signed, &recipients, Enveloping::Authenticated).unwrap().into_content().unwrap();
    if let Some(outer) = outer {
        whole = sign(&whole, outer, "outside");
    }
    let fields = b"From: alice@example.test\r\nTo: dave@example.test\r\nSubject: x\r\nDate: Mon, 01 Jun 2026 12:00:00 +0000\r\n";
    assemble(fields, &crate::openssl_pki::bytes(&whole))
}

#[test]
fn without_clearance_the_card_is_not_asked() {
    let office = Office::new();
    let alice = cleared(&office, "alice", SECRET, false).signer;
    let dave = office.person("dave", Key::P256).reader;
    let bob = cleared(&office, "bob", CONFIDENTIAL, false).reader;
    let erin = cleared(&office, "erin", SECRET, true).reader;
    let stranger = Pki::new();
    let mallory = stranger.signer("mallory", Key::P256);
    for (name, reader, outer) in [
        ("dave", &dave, (&alice, Some(3))),
        ("bob", &bob, (&alice, Some(4))),
        // Another policy's clearance is none.
        ("erin", &erin, (&alice, Some(1))),
        // Who is not trusted restricts too.
        ("bob", &bob, (&mallory, Some(4))),
    ] {
        let mail = wrapped(reader, (&alice, outer.1), Some(outer));
        let before = card_state(&office, name);
        for command in ["open", "verify"] {
            // Even the wrong PIN is not spent.
            let said = office.run_with_pin(name, "999999", &[command, "--json"], &mail).expect(4);
            let found = said.json();
            assert_eq!(found["error"]["code"], "clearance-missing", "{found}");
            assert_eq!((&found["verdict"]["trusted"], &found["exit"]), (&false.into(), &4.into()));
            assert!(said.stdout.is_empty());
        }
        assert_eq!(card_state(&office, name), before, "{name}");
    }
    // The same card is asked, and shows it, where the clearance suffices.
    let mail = wrapped(&bob, (&alice, Some(3)), Some((&alice, Some(3))));
    let before = card_state(&office, "bob");
    let said = office.run_with_pin("bob", "999999", &["open", "--json"], &mail).expect(1);
    assert_eq!(said.json()["error"]["code"], "wrong-pin");
    assert_ne!(card_state(&office, "bob"), before);
    assert!(office.run("bob", &["open"], &mail).expect(0).text().contains(WORDS));
}

#[test]
fn labels_inside_count_too_and_must_be_the_same() {
    let office = Office::new();
    let alice = cleared(&office, "alice", SECRET, false).signer;
    let bob = cleared(&office, "bob", SECRET, false).reader;
    let dave = office.person("dave", Key::P256).reader;
    let differ = wrapped(&bob, (&alice, Some(2)), Some((&alice, Some(3))));
    let said = office.run("bob", &["open", "--json"], &differ).expect(4);
    assert_eq!(said.json()["error"]["code"], "labels-differ");
    assert!(said.stdout.is_empty());
    // Labelled inside alone: the card had to open it, and nothing is shown all the same.
    for outer in [None, Some((&alice, None))] {
        let inside = wrapped(&dave, (&alice, Some(2)), outer);
        let said = office.run("dave", &["open", "--show-untrusted", "--json"], &inside).expect(4);
        assert_eq!(said.json()["error"]["code"], "clearance-missing");
        assert!(said.stdout.is_empty());
        let inside = wrapped(&bob, (&alice, Some(2)), outer);
        let found = office.run("bob", &["open", "--json"], &inside).expect(0).json();
        assert_eq!(found["label"]["name"], "restricted");
    }
    // A good label outside permits nothing that a stranger says inside.
    let stranger = Pki::new();
    let mallory = stranger.signer("mallory", Key::P256);
    let mail = wrapped(&bob, (&mallory, Some(3)), Some((&alice, Some(3))));
    let said = office.run("bob", &["open", "--json"], &mail).expect(4);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["content"], "withheld");
}

#[test]
fn the_signed_list_clears_its_members_and_a_new_one_takes_it_away() {
    let office = Office::new();
    cleared(&office, "alice", SECRET, false);
    office.person("carol", Key::P256);
    publish_list(&office, &class_list(1, FAR, &class("board", &[("carol", Some(3))])));
    send(&office, "carol@example.test", &format!("{POLICY}:3")).expect(0);
    let mail = office.last_in_spool("carol");
    assert!(office.run("carol", &["open"], &mail).expect(0).text().contains(WORDS));
    publish_list(&office, &class_list(2, FAR, &class("board", &[("carol", Some(2))])));
    let said = office.run("carol", &["open", "--json"], &mail).expect(4);
    assert_eq!(said.json()["error"]["code"], "clearance-missing");
    // A list that is not believed clears nobody.
    office.pki.write("published/classes.p7m", b"nonsense");
    office.run("carol", &["open", "--json"], &mail).expect(4);
    let error = send(&office, "carol@example.test", &format!("{POLICY}:2")).expect(1).json();
    assert!(error["error"]["message"].as_str().unwrap().contains("malformed"), "{error}");
}

/// How often somebody connects.
fn counter() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let location = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(stream);
        }
    });
    (location, count)
}

#[test]
fn a_label_of_a_stranger_causes_no_question_to_any_network() {
    let office = Office::new();
    let alice = cleared(&office, "alice", SECRET, false).signer;
    let bob = cleared(&office, "bob", SECRET, false).reader;
    let stranger = Pki::new();
    let mallory = stranger.signer("mallory", Key::P256);
    let (location, count) = counter();
    let config = office.path("home-bob/config.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let published = text.lines().find(|line| line.starts_with("directory")).unwrap().to_owned();
    std::fs::write(&config, text.replace(&published, &format!("directory = \"{location}\""))).unwrap();
    let from = |signer| wrapped(&bob, (signer, Some(2)), Some((signer, Some(2))));
    let said = office.run("bob", &["open", "--json"], &from(&mallory)).expect(4);
    assert_eq!(said.json()["error"]["code"], "clearance-missing");
    assert_eq!(count.load(Ordering::SeqCst), 0);
    office.run("bob", &["open", "--json"], &from(&alice)).expect(4);
    assert!(count.load(Ordering::SeqCst) > 0);
}

#[test]
fn an_authority_clears_no_higher_than_it_may() {
    let office = Office::new();
    cleared(&office, "alice", SECRET, false);
    // RFC 5913 section 3: at most confidential of this policy.
    let constraints = "1.3.6.1.5.5.7.1.21=DER:300b300906032a0304030202f0";
    let branch = office.pki.root.subordinate("Branch", &format!("{CA}\n{constraints}"));
    let key_identifier = hex::encode(branch.certificate().subject_key_identifier().unwrap());
    std::fs::write(office.path(&format!("published/ca/{key_identifier}.cer")), branch.certificate().der())
        .unwrap();
    let list = branch.crl_with("", ("20240101000000Z", "20480101000000Z"));
    std::fs::write(office.path(&format!("published/crl/{key_identifier}.crl")), list.der()).unwrap();
    for (name, bits) in [("bob", 0b0001_1000), ("carol", 0b0000_1000)] {
        let address = format!("{name}@example.test");
        let extensions = format!("{}\n{}", encryption(&address, Key::P256), clearance(bits, false));
        let reader = branch.issue(&format!("{name}-read"), Key::P256, &extensions);
        let signer = office.pki.people.issue(&format!("{name}-sign"), Key::P256, &signing(&address));
        office.publish(&Person { name: name.to_owned(), signer, reader });
    }
    send(&office, "bob@example.test", &format!("{POLICY}:confidential")).expect(0);
    let error = send(&office, "bob@example.test", &format!("{POLICY}:secret")).expect(1).json();
    assert!(
        error["error"]["message"].as_str().unwrap().contains("there is one for confidential (3) only"),
        "{error}"
    );
    let error = send(&office, "carol@example.test", &format!("{POLICY}:unclassified")).expect(1).json();
    assert!(error["error"]["message"].as_str().unwrap().contains("there is none for this policy"), "{error}");
}

#[test]
fn a_labelled_part_below_the_footer_of_a_list_is_not_shown_either() {
    let office = Office::new();
    let alice = cleared(&office, "alice", SECRET, false).signer;
    let bob = cleared(&office, "bob", CONFIDENTIAL, false).reader;
    let footed = |number| {
        let letter = wrapped(&bob, (&alice, Some(number)), None);
        // What bob's card would show, inside a list's frame.
        office.pki.write("letter.eml", &letter);
        let opened = openssl(
            office.pki.path(),
            &["cms", "-decrypt", "-in", "letter.eml", "-inkey", &bob.key(), "-recip", &bob.pem()],
        );
        let part = String::from_utf8(opened).unwrap();
        format!(
            "From: list@example.test\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=list\r\n\r\n\
             --list\r\n{part}\r\n--list\r\nContent-Type: text/plain\r\n\r\nFooter\r\n--list--\r\n"
        )
    };
    let said = office.run("bob", &["open", "--json"], footed(4).as_bytes()).expect(4);
    assert_eq!(said.json()["error"]["code"], "clearance-missing");
    assert!(said.stdout.is_empty());
    let said = office.run("bob", &["open", "--json"], footed(3).as_bytes()).expect(0);
    assert!(said.text().contains(WORDS));
    assert_eq!(said.json()["parts"][0]["is"], "signed");
}
