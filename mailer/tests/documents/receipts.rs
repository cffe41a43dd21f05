//! Receipts through the commands: given, taken in, and every wrong kind refused, kept and shown.
use std::fs;

use jiff::{SignedDuration, Timestamp};
use mailer::certificate::DigestAlgorithm;
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::ledger::matching::take;
use mailer::ledger::{DocumentFacts, Ledger, Record};
use mailer::protection::protect::sign_planned;
use mailer::smime::{
    ContentIdentifier, Entity, ReceiptRequest, ReceiptToSign, ReceiptsFrom, ReceivedReceipt, RsaPadding,
    SentRecord, SignedAttributesPlan, SigningIdentity, receipt_entity, verify,
};
use mailer::trust::{Anchor, Anchors, Judge, UnknownRevocation};
use serde_json::Value;

use crate::accounts::{Office, Said, files_below};
use crate::material::{CRL_VALID, HOUR, Lists};
use crate::openssl_pki::{FileKeyRing, Identity, Key, Pki, bytes, openssl};

fn address(name: &str) -> String {
    format!("{name}@example.test")
}

/// Alice and Bob have cards; what others do, openssl does.
struct Chancery {
    office: Office,
    others: Vec<(&'static str, Identity)>,
}

impl Chancery {
    fn new() -> Self {
        let office = Office::new();
        office.person("alice", Key::P256);
        office.person("bob", Key::P256);
        let others = ["carol", "dave"].map(|name| {
            let person = office.issue(name, Key::P256);
            office.publish(&person);
            (name, person.signer)
        });
        office.pki.write("notice.txt", b"The fee is 100.\n");
        Self { office, others: others.into() }
    }

    fn run(&self, name: &str, arguments: &[&str]) -> Said {
        self.office.run(name, arguments, b"")
    }

    fn distribute(&self, to: &str) -> String {
        let arguments =
            ["document", "distribute", "notice.txt", "--as-it-is", "--subject", "Fees", "--to", to];
        let said = self.run("alice", &[&arguments[..], &["--json"]].concat()).expect(0);
        json(&said)["case"].as_str().unwrap().to_owned()
    }

    /// Puts a message where somebody fetches it, and fetches it; answers its number.
    fn deliver(&self, name: &str, message: &[u8]) -> String {
        let folder = self.office.path(&format!("spool/{}/new", address(name)));
        for part in ["new", "cur", "tmp"] {
            fs::create_dir_all(folder.with_file_name(part)).unwrap();
        }
        let count = fs::read_dir(&folder).unwrap().count();
        fs::write(folder.join(format!("9999999999.{count}.test")), message).unwrap();
        self.fetch(name)
    }

    /// Fetches; answers the number of the newest message.
    fn fetch(&self, name: &str) -> String {
        self.run(name, &["fetch"]).expect(0);
        let list = json(&self.run(name, &["list", "--json"]).expect(0));
        list["messages"].as_array().unwrap().len().to_string()
    }

    /// Takes in what came; answers each receipt's address and code, `counts` where it does.
    fn take(&self, exit: i32) -> Vec<(String, String)> {
        self.run("alice", &["fetch"]).expect(0);
        let taken = json(&self.run("alice", &["receipts", "--json"]).expect(exit));
        let code = |receipt: &Value| match receipt["counts"].as_bool().unwrap() {
            true => "counts".to_owned(),
            false => receipt["problem"]["code"].as_str().unwrap().to_owned(),
        };
        let receipts = taken["receipts"].as_array().unwrap().iter();
        let mut found: Vec<_> =
            receipts.map(|receipt| (receipt["from"].as_str().unwrap().to_owned(), code(receipt))).collect();
        found.sort();
        found
    }

    fn status(&self, case: &str) -> Value {
        json(&self.run("alice", &["document", "status", case, "--json"]).expect(0))
    }

    fn signer(&self, name: &str) -> Identity {
        Identity { folder: self.office.pki.path().to_owned(), name: format!("{name}-sign") }
    }

    /// The signed message of a case, as every recipient has it.
    fn message_of(&self, case: &str) -> String {
        self.run("alice", &["document", "evidence", case, "--to", &format!("evidence-{case}")]).expect(0);
        format!("evidence-{case}/message.eml")
    }

    /// A receipt by `openssl cms -sign_receipt`.
    fn openssl_receipt(&self, original: &str, signer: &Identity) -> Vec<u8> {
        let (certificate, key) = (
            signer.folder.join(signer.pem()).display().to_string(),
            signer.folder.join(signer.key()).display().to_string(),
        );
        let arguments = ["cms", "-sign_receipt", "-in", original, "-signer", &certificate, "-inkey", &key];
        let more = ["-certfile", "People.pem", "-outform", "DER", "-out", "receipt.der"];
        openssl(self.office.pki.path(), &[&arguments[..], &more].concat());
        mail("somebody", &receipt_entity(&self.office.pki.read("receipt.der")))
    }
}

fn json(said: &Said) -> Value {
    serde_json::from_slice(&said.stdout).unwrap_or_else(|error| panic!("{error}: {}", said.text()))
}

/// A message to Alice or Bob around an entity.
fn mail(from: &str, entity: &[u8]) -> Vec<u8> {
    let head = format!(
        "From: {}\r\nTo: alice@example.test, bob@example.test\r\nSubject: x\r\nDate: Mon, 30 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n",
        address(from)
    );
    [head.as_bytes(), entity].concat()
}

fn identity<'a>(
    ring: &'a mut FileKeyRing,
    certificate: &'a mailer::trust::Certificate,
    above: &'a [mailer::trust::Certificate],
) -> SigningIdentity<'a> {
    SigningIdentity {
        signer: ring.signer(0).unwrap(),
        certificate,
        intermediates: above,
        rsa_padding: RsaPadding::default(),
    }
}

const BODY: &[u8] = b"Content-Type: text/plain\r\n\r\nAnother notice.\r\n";

/// A message with a request of one's own choice, and what its sender keeps.
fn signed_asking(
    pki: &Pki,
    signer: &Identity,
    (identifier, receipts_to): (&[u8], &str),
    to: &[&str],
) -> (Vec<u8>, SentRecord) {
    let (mut ring, certificate) = (signer.ring(), signer.certificate());
    let request = ReceiptRequest {
        signed_content_identifier: ContentIdentifier::from_octets(identifier.to_vec()).unwrap(),
        receipts_from: ReceiptsFrom::AllReceipts,
        receipts_to: vec![Entity::of(receipts_to)],
    };
    let at = SystemClock.now();
    let plan = SignedAttributesPlan::mail(at).with(request.to_attribute().unwrap());
    let above = [pki.people.certificate()];
    let identity = identity(&mut ring, &certificate, &above);
    let body = Content::from_vec(BODY.to_vec());
    let (entity, made) = sign_planned(&body, identity, &plan, "=_boundary").unwrap();
    let to = to.iter().map(ToString::to_string).collect();
    (bytes(&entity.into_content().unwrap()), SentRecord::of(&made, &request, to, at))
}

/// The same; receipts go to Alice.
fn signed(pki: &Pki, signer: &Identity, identifier: &[u8], to: &[&str]) -> (Vec<u8>, SentRecord) {
    signed_asking(pki, signer, (identifier, "alice@example.test"), to)
}

/// A receipt by the library for a multipart/signed entity.
fn receipt_for(pki: &Pki, entity: &[u8], signer: &Identity) -> Vec<u8> {
    pki.write("asked.eml", &mail("alice", entity));
    openssl(pki.path(), &["cms", "-cmsout", "-in", "asked.eml", "-outform", "DER", "-out", "asked.der"]);
    let beside = Content::from_vec(BODY.to_vec());
    let original = verify(&Content::from_vec(pki.read("asked.der")), Some(&beside), &[]).unwrap();
    let (mut ring, certificate) = (signer.ring(), signer.certificate());
    let receipt = ReceiptToSign::answering(&original, SystemClock.now()).unwrap();
    let signed = receipt.sign(identity(&mut ring, &certificate, &[])).unwrap();
    receipt_entity(&signed.to_der(&[pki.people.certificate()], &[]).unwrap())
}

#[test]
fn every_wrong_receipt_is_refused_kept_and_shown_and_the_good_ones_count() {
    let chancery = Chancery::new();
    let case = chancery.distribute("bob@example.test,dave@example.test");
    let number = chancery.fetch("bob");
    let said = chancery.run("bob", &["read", &number]).expect(0);
    assert!(said.stderr.contains(&format!("A receipt is asked for: mailer receipts give {number}")));
    chancery.run("bob", &["receipts", "give", &number]).expect(0);
    let good = chancery.office.last_in_spool("alice");
    let said = chancery.run("bob", &["receipts", "give", &number, "--json"]).expect(1);
    assert_eq!(said.json()["error"]["code"], "receipt-given");
    let found = chancery.run("bob", &["read", &number, "--json"]).expect(0).json();
    assert_eq!(found["receipt"], serde_json::json!({ "asked": true, "given": true }));
    assert_eq!(chancery.take(0), [("bob@example.test".to_owned(), "counts".to_owned())]);

    // The second one, one that was changed on its way, strangers, and other messages.
    chancery.run("bob", &["receipts", "give", &number, "--again"]).expect(0);
    let message = chancery.message_of(&case);
    let mut tampered = good.clone();
    let at = tampered.windows(4).position(|end| end == b"\r\n\r\n").unwrap() + 4;
    let at = (at..tampered.len() - 8).rfind(|at| tampered[*at].is_ascii_lowercase()).unwrap();
    tampered[at] = if tampered[at] == b'q' { b'r' } else { b'q' };
    let stranger = Pki::new();
    let strange_dave = stranger.signer("dave", Key::P256);
    let carol = &chancery.others[0].1;
    let record = fs::read(chancery.office.path(&format!("home-alice/ledger/{case}/record.json"))).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let identifier = hex::decode(record["content_identifier"].as_str().unwrap()).unwrap();
    let pki = &chancery.office.pki;
    let alice = chancery.signer("alice");
    let (imitation, _) = signed(pki, &alice, &identifier, &[]);
    let (of_no_case, _) = signed(pki, &alice, b"nobody knows this one", &[]);
    let bob = chancery.signer("bob");
    for receipt in [
        tampered,
        chancery.openssl_receipt(&message, carol),
        chancery.openssl_receipt(&message, &strange_dave),
        mail("bob", &receipt_for(pki, &imitation, &bob)),
        mail("bob", &receipt_for(pki, &of_no_case, &bob)),
    ] {
        chancery.deliver("alice", &receipt);
    }
    let found = chancery.take(3);
    let pair = |from: &str, code: &str| (from.to_owned(), code.to_owned());
    assert_eq!(
        found,
        [
            pair("", "receipt-signature-wrong"),
            pair("bob@example.test", "receipt-for-other-signature"),
            pair("bob@example.test", "receipt-second"),
            pair("carol@example.test", "receipt-from-no-recipient"),
            pair("dave@example.test", "receipt-untrusted"),
        ]
    );
    // Dave has other software; what it signs counts, by his clock.
    chancery.deliver("alice", &chancery.openssl_receipt(&message, &chancery.others[1].1));
    let said = chancery.run("alice", &["receipts"]).expect(0);
    assert!(
        said.text().contains("receipt of dave@example.test, given")
            && said.text().contains("by the recipient's clock"),
        "{}",
        said.text()
    );
    assert!(said.stderr.contains("belong to no case"), "{}", said.stderr);

    let status = chancery.status(&case);
    let recipients = status["recipients"].as_array().unwrap();
    assert!(recipients.iter().all(|recipient| recipient["receipt"].is_object()), "{status}");
    let refused: Vec<usize> =
        recipients.iter().map(|recipient| recipient["refused_receipts"].as_array().unwrap().len()).collect();
    assert_eq!(refused, [2, 1]);
    assert_eq!(status["refused_receipts_of_others"].as_array().unwrap().len(), 2);
    let text = chancery.run("alice", &["document", "status", &case]).expect(0).text();
    for words in
        ["has given a receipt for this message already", "carol@example.test", "signature of the receipt"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let kept = files_below(&chancery.office.path(&format!("home-alice/ledger/{case}/refused")));
    assert_eq!(kept.len(), 5);
    // Nothing is taken in twice.
    assert_eq!(chancery.take(0), []);
}

#[test]
fn a_receipt_belongs_to_its_own_message() {
    let chancery = Chancery::new();
    let first = chancery.distribute("bob@example.test");
    let second = chancery.distribute("bob@example.test");
    let number = chancery.fetch("bob");
    chancery.run("bob", &["receipts", "give", &number]).expect(0);
    assert_eq!(chancery.take(0).len(), 1);
    let given = [first, second].map(|case| chancery.status(&case)["recipients"][0]["receipt"].is_object());
    assert_eq!(given.iter().filter(|given| **given).count(), 1);
}

#[test]
fn no_receipt_is_given_where_it_would_confirm_something_else() {
    let chancery = Chancery::new();
    let give = |name: &str, number: &str, exit: i32| {
        let said = chancery.run(name, &["receipts", "give", number, "--json"]).expect(exit);
        said.json()["error"]["code"].as_str().unwrap().to_owned()
    };
    // The document is another one than the request names.
    let identifier = format!("sha256:{} alice", "ab".repeat(32));
    let (entity, _) = signed(&chancery.office.pki, &chancery.signer("alice"), identifier.as_bytes(), &[]);
    let exchanged = chancery.deliver("bob", &mail("alice", &entity));
    assert_eq!(give("bob", &exchanged, 4), "receipt-document-missing");
    // Nobody asks.
    chancery
        .run("alice", &["send", "--to", "bob@example.test", "--subject", "x", "--body", "notice.txt"])
        .expect(0);
    assert_eq!(give("bob", &chancery.fetch("bob"), 1), "receipt-not-asked");
    // Others are asked.
    let arguments = ["send", "--to", "carol@example.test", "--bcc", "bob@example.test", "--request-receipt"];
    chancery.run("alice", &[&arguments[..], &["--subject", "x", "--body", "notice.txt"]].concat()).expect(0);
    let number = chancery.fetch("bob");
    let said = chancery.run("bob", &["read", &number]).expect(0);
    assert!(!said.stderr.contains("receipt"), "{}", said.stderr);
    assert_eq!(give("bob", &number, 1), "receipt-not-asked");
    // There is none for a receipt.
    let case = chancery.distribute("bob@example.test");
    let number = chancery.fetch("bob");
    chancery.run("bob", &["receipts", "give", &number]).expect(0);
    let receipt = chancery.fetch("alice");
    let said = chancery.run("alice", &["receipts", "give", &receipt, "--json"]);
    assert_ne!(said.code, 0, "{case}: {}", said.text());
    // Whoever signed it is not believed any more.
    let again = chancery.distribute("bob@example.test");
    let number = chancery.fetch("bob");
    chancery.office.revoke(&chancery.signer("alice"));
    assert_eq!(give("bob", &number, 4), "not-trusted", "{again}");
    let said = chancery.run("bob", &["read", &number, "--show-untrusted"]).expect(4);
    assert!(!said.stderr.contains("A receipt is asked for"), "{}", said.stderr);
}

#[test]
fn a_receipt_is_given_by_itself_or_not_told_of_as_configured() {
    let chancery = Chancery::new();
    let configured = |when: &str| {
        chancery.office.setup("bob", &["--maildir", "spool", "--receipts", when]).expect(0);
    };
    let case = chancery.distribute("bob@example.test");
    let number = chancery.fetch("bob");
    configured("never");
    let found = chancery.run("bob", &["read", &number, "--json"]).expect(0).json();
    assert_eq!(found["receipt"], Value::Null);
    assert!(chancery.status(&case)["recipients"][0]["receipt"].is_null());
    configured("automatic");
    let said = chancery.run("bob", &["read", &number]).expect(0);
    assert!(said.stderr.contains("The receipt was sent to alice@example.test."), "{}", said.stderr);
    assert_eq!(chancery.take(0).len(), 1);
    let found = chancery.run("bob", &["read", &number, "--json"]).expect(0).json();
    assert_eq!(found["receipt"]["given"], true);
    assert_eq!(chancery.take(0).len(), 0, "once");
    // Not where it would tell others than the author that the message was read.
    let identity = chancery.signer("alice");
    let request = |to: &str| {
        let (entity, _) = signed_asking(&chancery.office.pki, &identity, (to.as_bytes(), to), &[]);
        chancery.deliver("bob", &mail("alice", &entity))
    };
    let number = request("spy@example.test");
    let said = chancery.run("bob", &["read", &number]).expect(0);
    // It was not encrypted, so no PIN is known either; both keep it from being given.
    assert!(said.stderr.contains("A receipt is asked for"), "{}", said.stderr);
    // Nor for a message that did not need the PIN.
    let number = request("alice@example.test");
    let said = chancery.run("bob", &["read", &number]).expect(0);
    assert!(said.stderr.contains("A receipt is asked for"), "{}", said.stderr);
}

#[test]
fn a_letter_asks_its_visible_recipients_and_its_receipts_are_counted() {
    let chancery = Chancery::new();
    let arguments =
        ["send", "--to", "bob@example.test", "--cc", "dave@example.test", "--request-receipt", "--json"];
    let said =
        chancery.run("alice", &[&arguments[..], &["--subject", "Minutes", "--body", "notice.txt"]].concat());
    let case = json(&said.expect(0))["case"].as_str().unwrap().to_owned();
    let number = chancery.fetch("bob");
    chancery.run("bob", &["receipts", "give", &number]).expect(0);
    assert_eq!(chancery.take(0), [("bob@example.test".to_owned(), "counts".to_owned())]);
    let status = chancery.status(&case);
    for (position, has_confirmed) in [true, false].into_iter().enumerate() {
        let recipient = &status["recipients"][position];
        assert_eq!(recipient["delivery"], "submitted", "{status}");
        assert_eq!(recipient["receipt"].is_object(), has_confirmed, "{status}");
    }
    let said = chancery.run("alice", &["outbox", "list"]).expect(0);
    assert_eq!(said.text(), "The outbox is empty.\n");
    chancery.run("alice", &["document", "distribute", "--resume", &case]);
    assert_eq!(chancery.fetch("bob"), number, "nobody gets it twice");
    chancery.run("alice", &["read", "--sent", "1"]).expect(0);
    let hidden =
        ["send", "--bcc", "bob@example.test", "--request-receipt", "--subject", "x", "--body", "notice.txt"];
    chancery.run("alice", &hidden).expect(2);
}

#[test]
fn a_late_receipt_does_not_count() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    let lists = [pki.root.crl_with("", CRL_VALID), pki.people.crl_with("", CRL_VALID)];
    let (entity, sent) = signed(&pki, &alice, b"the notice", &["bob@example.test"]);
    let receipt = mail("bob", &receipt_for(&pki, &entity, &bob));
    let der = {
        pki.write("receipt.eml", &receipt);
        openssl(pki.path(), &["cms", "-cmsout", "-in", "receipt.eml", "-outform", "DER"])
    };
    let anchors = Anchors(vec![Anchor {
        certificate: pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let until = sent.signed + 24 * HOUR;
    let counts = |at: Timestamp| {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(folder.path()).unwrap();
        let facts = DocumentFacts {
            name: "notice.txt".to_owned(),
            octets: 1,
            sha256: hex::encode(DigestAlgorithm::Sha256.digest(b"x")),
        };
        let about = ("alice@example.test".to_owned(), "Fees".to_owned());
        let record = Record::new("case".to_owned(), about, Some(facts), &sent, Some(until));
        let case = ledger.create(record, b"message").unwrap();
        let received = ReceivedReceipt::read(&Content::from_vec(der.clone()), &[]).unwrap();
        let mut source = Lists(&lists);
        let mut judge = Judge {
            anchors: &anchors,
            source: &mut source,
            at,
            unknown_revocation: UnknownRevocation::Reject,
        };
        let matched = take(std::slice::from_ref(&case), &received, &receipt, &mut judge).unwrap().unwrap();
        let kept = case.states().unwrap().remove(0);
        let is_counted = matched.outcome.is_ok();
        assert_eq!((kept.receipt.is_some(), kept.refused.len()), (is_counted, usize::from(!is_counted)));
        matched.outcome.map(drop).map_err(|problem| problem.code())
    };
    assert_eq!(counts(until - SignedDuration::from_secs(1)), Ok(()));
    assert_eq!(counts(until + SignedDuration::from_secs(1)), Err("receipt-late"));
}
