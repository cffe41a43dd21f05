//! Signed receipts (RFC 2634): openssl's for our messages and ours for openssl's, and every wrong kind refused.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod forgery;
mod openssl_pki;
mod time_stamp_server;

use forgery::{CONTENT_TYPE, Hand, ID_DATA, SIGNING_TIME, Shape, SignedData, attribute, element, octets};
use jiff::{SignedDuration, Timestamp};
use mailer::certificate::DigestAlgorithm;
use mailer::clock::{Clock, SystemClock};
use mailer::protection::protect::sign_planned;
use mailer::smime::{
    ContentIdentifier, Delivery, Entity, ReceiptProblem, ReceiptRequest, ReceiptToSign, ReceiptsFrom,
    ReceivedReceipt, RsaPadding, SentRecord, SignedAttributesPlan, SignedMessage, SignedReceipt,
    SigningIdentity, receipt_entity, unsigned_time_stamp, verify,
};
use mailer::time_stamping::{MessageImprint, TimeStampClient, TimeStampServers};
use openssl_pki::{Identity, Key, Pki, bytes, content, now, openssl, try_openssl};
use time_stamp_server::OpensslAuthority;

const BODY: &[u8] = b"Content-Type: text/plain; charset=utf-8\r\n\r\nA notice.\r\n";
const ID_CT_RECEIPT: &str = "1.2.840.113549.1.9.16.1.1";
const RECEIPT_REQUEST: &str = "1.2.840.113549.1.9.16.2.1";
const ML_EXPANSION_HISTORY: &str = "1.2.840.113549.1.9.16.2.3";
const MESSAGE_SIGNATURE_DIGEST: &str = "1.2.840.113549.1.9.16.2.5";

fn identity<'a>(
    ring: &'a mut openssl_pki::FileKeyRing,
    certificate: &'a mailer::trust::Certificate,
) -> SigningIdentity<'a> {
    SigningIdentity {
        signer: ring.signer(0).unwrap(),
        certificate,
        intermediates: &[],
        rsa_padding: RsaPadding::default(),
    }
}

/// `openssl cms -sign` with a request; the object lies in `original.der`.
fn original_by_openssl(pki: &Pki, signer: &Identity, options: &[&str]) -> SignedMessage {
    pki.write("body", BODY);
    let (certificate, key) = (signer.pem(), signer.key());
    let arguments = ["cms", "-sign", "-binary", "-in", "body", "-outform", "DER", "-out", "original.der"];
    let signer = ["-signer", &certificate, "-inkey", &key, "-certfile", "People.pem"];
    openssl(pki.path(), &[&arguments[..], &signer, options].concat());
    let object = content(&pki.read("original.der"));
    let beside = content(BODY);
    verify(&object, (!options.contains(&"-nodetach")).then_some(&beside), &[]).unwrap()
}

const ASK_ALL: [&str; 3] = ["-receipt_request_all", "-receipt_request_to", "alice@example.test"];

fn receipt_by(signer: &Identity, original: &SignedMessage) -> SignedReceipt {
    let (mut ring, certificate) = (signer.ring(), signer.certificate());
    let receipt = ReceiptToSign::answering(original, SystemClock.now()).unwrap();
    receipt.sign(identity(&mut ring, &certificate)).unwrap()
}

fn openssl_accepts(pki: &Pki, receipt: &[u8]) -> bool {
    pki.write("receipt.der", receipt);
    let arguments = ["-rctform", "DER", "-inform", "DER", "-in", "original.der", "-CAfile", "Root.pem"];
    let output =
        try_openssl(pki.path(), &[&["cms", "-verify_receipt", "receipt.der"][..], &arguments].concat());
    output.status.success()
}

#[test]
fn openssl_accepts_our_receipts_for_its_messages() {
    let pki = Pki::new();
    let people = [pki.people.certificate()];
    let recipients = [pki.signer("bob", Key::Rsa2048), pki.signer("carol", Key::P256)];
    for (sender, digest) in [(Key::Rsa2048, "sha256"), (Key::P256, "sha512"), (Key::P384, "sha384")] {
        let alice = pki.signer("alice", sender);
        for form in
            [&["-nodetach", "-md", digest][..], &["-md", digest], &["-nodetach", "-keyid", "-md", digest]]
        {
            let original = original_by_openssl(&pki, &alice, &[&ASK_ALL, form].concat());
            for recipient in &recipients {
                let receipt = receipt_by(recipient, &original).to_der(&people, &[]).unwrap();
                assert!(openssl_accepts(&pki, &receipt), "{sender:?} {form:?} {}", recipient.name);
            }
        }
    }
    // A planted fault: one for another message.
    let alice = pki.signer("alice", Key::P256);
    let other = original_by_openssl(&pki, &alice, &[&ASK_ALL[..], &["-nodetach"]].concat());
    let receipt = receipt_by(&recipients[1], &other).to_der(&people, &[]).unwrap();
    assert!(openssl_accepts(&pki, &receipt));
    original_by_openssl(&pki, &alice, &[&ASK_ALL[..], &["-nodetach"]].concat());
    assert!(!openssl_accepts(&pki, &receipt));
}

#[test]
fn a_receipt_is_a_version_3_in_its_own_mime_type_and_may_be_stamped() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P384);
    let bob = pki.signer("bob", Key::P256);
    let original =
        original_by_openssl(&pki, &alice, &[&ASK_ALL[..], &["-nodetach", "-md", "sha384"]].concat());
    let receipt = receipt_by(&bob, &original);
    let authority = OpensslAuthority::new();
    let trusted = authority.pki.read("Root.pem");
    let servers = TimeStampServers::new(vec![authority.serve().0]);
    let imprint = MessageImprint::of(DigestAlgorithm::Sha256, receipt.value());
    let stamp =
        TimeStampClient::new(servers, &[], &SystemClock).stamp(&imprint, None, &mut |_| Ok(())).unwrap();
    let unsigned = [unsigned_time_stamp(&stamp.der).unwrap()];
    let stamped = receipt.to_der(&[pki.people.certificate()], &unsigned).unwrap();
    assert!(openssl_accepts(&pki, &stamped));
    let read = ReceivedReceipt::read(&content(&stamped), &[]).unwrap();
    assert_eq!(read.signature.time_stamp_tokens, std::slice::from_ref(&stamp.der));
    assert_eq!(read.signature.value, receipt.value());
    // The original's digest algorithm, not that of the receipt.
    assert_eq!((read.message_signature_digest.len(), read.signature.digest), (48, DigestAlgorithm::Sha256));
    pki.write("token.der", &stamp.der);
    pki.write("value", receipt.value());
    pki.write("stampers.pem", &trusted);
    openssl(
        pki.path(),
        &["ts", "-verify", "-data", "value", "-in", "token.der", "-token_in", "-CAfile", "stampers.pem"],
    );

    let text = openssl(pki.path(), &["cms", "-cmsout", "-print", "-inform", "DER", "-in", "receipt.der"]);
    let text = String::from_utf8(text).unwrap();
    for said in [
        "eContentType: id-smime-ct-receipt (1.2.840.113549.1.9.16.1.1)",
        "id-smime-aa-msgSigDigest",
        "signingTime",
        "id-smime-aa-signingCertificateV2",
        "id-smime-aa-timeStampToken",
    ] {
        assert!(text.contains(said), "{said} is missing in {text}");
    }
    assert!(!text.contains("S/MIME Capabilities"), "{text}");
    let entity = receipt_entity(&stamped);
    let head = String::from_utf8_lossy(&entity[..200]).into_owned();
    assert!(
        head.starts_with("Content-Type: application/pkcs7-mime; smime-type=signed-receipt;\r\n"),
        "{head}"
    );
    pki.write("receipt.eml", &[b"MIME-Version: 1.0\r\n", &entity[..]].concat());
    let out = openssl(pki.path(), &["cms", "-cmsout", "-in", "receipt.eml", "-outform", "DER"]);
    assert_eq!(out, stamped);
}

/// A message of ours, with what its sender keeps.
struct Sent {
    pki: Pki,
    record: SentRecord,
    object: Vec<u8>,
}

impl Sent {
    fn new(pki: Pki, sender: &Identity, from: ReceiptsFrom, recipients: &[&str], random: u8) -> Self {
        let at = SystemClock.now();
        let request = ReceiptRequest {
            signed_content_identifier: ContentIdentifier::new("alice@example.test", at, [random; 16]),
            receipts_from: from,
            receipts_to: vec![Entity::of("alice@example.test")],
        };
        let plan = SignedAttributesPlan::mail(at).with(request.to_attribute().unwrap());
        let (mut ring, certificate) = (sender.ring(), sender.certificate());
        let (protected, made) =
            sign_planned(&content(BODY), identity(&mut ring, &certificate), &plan, "boundary").unwrap();
        let recipients = recipients.iter().map(|&recipient| recipient.to_owned()).collect();
        let record = SentRecord::of(&made, &request, recipients, at);
        let object = made.detached(&[pki.people.certificate()], &[]).unwrap();
        pki.write("original.der", &object);
        let mail = bytes(&protected.into_content().unwrap());
        pki.write("original.eml", &[b"MIME-Version: 1.0\r\n", &mail[..]].concat());
        Self { pki, record, object }
    }

    fn message(&self) -> SignedMessage {
        verify(&content(&self.object), Some(&content(BODY)), &[]).unwrap()
    }

    fn check(&self, receipt: &[u8]) -> Result<String, ReceiptProblem> {
        self.record.check(&ReceivedReceipt::read(&content(receipt), &[])?, &[])
    }

    fn code(&self, receipt: &[u8]) -> &'static str {
        self.check(receipt).unwrap_err().code()
    }
}

fn people(addresses: &[&str]) -> ReceiptsFrom {
    ReceiptsFrom::ReceiptList(addresses.iter().map(|&address| Entity::of(address)).collect())
}

#[test]
fn we_accept_the_receipts_of_openssl_for_our_messages() {
    for sender in [Key::Rsa2048, Key::P256, Key::P384] {
        let pki = Pki::new();
        let alice = pki.signer("alice", sender);
        let recipients = [pki.signer("bob", Key::Rsa2048), pki.signer("carol", Key::P256)];
        let to = ["dave@example.test", "Bob@Example.TEST", "carol@example.test"];
        let from = people(&["bob@example.test", "carol@example.test"]);
        let sent = Sent::new(pki, &alice, from, &to, 1);
        for (recipient, address) in recipients.iter().zip(&to[1..]) {
            for original in ["original.eml", "original.der"] {
                let form = if original.ends_with("der") { "DER" } else { "SMIME" };
                let (certificate, key) = (recipient.pem(), recipient.key());
                let arguments = ["cms", "-sign_receipt", "-inform", form, "-in", original, "-outform", "DER"];
                let signer = ["-signer", &certificate, "-inkey", &key, "-out", "receipt.der"];
                openssl(sent.pki.path(), &[&arguments[..], &signer].concat());
                assert_eq!(&sent.check(&sent.pki.read("receipt.der")).unwrap(), address);
            }
            // And openssl accepts ours for ours.
            let own = receipt_by(recipient, &sent.message()).to_der(&[sent.pki.people.certificate()], &[]);
            let own = own.unwrap();
            assert!(openssl_accepts(&sent.pki, &own));
            assert_eq!(&sent.check(&own).unwrap(), address);
        }
        let printed = ["cms", "-verify", "-noverify", "-inform", "DER", "-in", "original.der", "-content"];
        sent.pki.write("body", BODY);
        let more = ["body", "-binary", "-receipt_request_print", "-out", "out"];
        let output = try_openssl(sent.pki.path(), &[&printed[..], &more].concat());
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(text.contains("email:bob@example.test"), "{text}");
        assert!(text.contains("email:alice@example.test"), "{text}");
    }
}

#[test]
fn receipts_count_once_from_those_who_were_asked_and_got_the_message() {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let [bob, carol, dave] = ["bob", "carol", "dave"].map(|name| pki.signer(name, Key::P256));
    let anonymous = pki.people.issue("anonymous", Key::P256, "keyUsage=critical,digitalSignature");
    let to = ["bob@example.test", "carol@example.test"];
    let sent = Sent::new(pki, &alice, people(&["bob@example.test", "dave@example.test"]), &to, 1);
    let receipt = |signer: &Identity| receipt_by(signer, &sent.message()).to_der(&[], &[]).unwrap();
    assert_eq!(sent.check(&receipt(&bob)).unwrap(), "bob@example.test");
    assert_eq!(sent.code(&receipt(&carol)), "receipt-from-one-not-asked");
    // Asked, but the message never went there; and nobody at all.
    assert_eq!(sent.code(&receipt(&dave)), "receipt-from-no-recipient");
    assert_eq!(sent.code(&receipt(&anonymous)), "receipt-from-no-recipient");
    let again = ReceivedReceipt::read(&content(&receipt(&bob)), &[]).unwrap();
    let problem = sent.record.check(&again, &["BOB@example.test".to_owned()]).unwrap_err();
    assert_eq!(problem.code(), "receipt-second");
    assert!(sent.record.check(&again, &["carol@example.test".to_owned()]).is_ok());
    // Without its certificate nobody knows whose it is.
    let (good, _) = forged(&sent, &Hand::of(&bob), |_, _| ());
    let bare = SignedData { certificates: Vec::new(), ..good.borrowed() };
    assert_eq!(sent.code(&bare.der()), "receipt-signature-wrong");
    assert!(ReceivedReceipt::read(&content(&bare.der()), &[bob.certificate()]).is_ok());
}

/// The content of a receipt and its SignerInfo, made by hand.
struct Forged {
    content: Vec<u8>,
    infos: Vec<Vec<u8>>,
    signer: mailer::trust::Certificate,
}

impl Forged {
    fn borrowed(&self) -> SignedData<'_> {
        let mut data = SignedData::new(Some(&self.content), &[&self.signer], &self.infos);
        data.content_type = ID_CT_RECEIPT;
        data
    }
}

/// The parts of a Receipt.
struct Parts {
    version: u8,
    content_type: &'static str,
    identifier: Vec<u8>,
    value: Vec<u8>,
    trailing: Vec<u8>,
}

/// A receipt of which something was changed before it was signed.
fn forged(sent: &Sent, hand: &Hand, change: impl FnOnce(&mut Parts, &mut Shape)) -> (Forged, Vec<u8>) {
    let record = &sent.record;
    let mut parts = Parts {
        version: 1,
        content_type: ID_DATA,
        identifier: record.signed_content_identifier.octets().to_vec(),
        value: record.signature_value.clone(),
        trailing: Vec::new(),
    };
    let mut shape = Shape::new(&hand.certificate, b"");
    shape.replace(CONTENT_TYPE, attribute(CONTENT_TYPE, &[forgery::object_identifier(ID_CT_RECEIPT)]));
    let digest = octets(&record.message_signature_digest);
    shape.replace(MESSAGE_SIGNATURE_DIGEST, attribute(MESSAGE_SIGNATURE_DIGEST, &[digest]));
    change(&mut parts, &mut shape);
    let content = forgery::sequence(&[
        &element(2, &[&[parts.version]]),
        &forgery::object_identifier(parts.content_type),
        &octets(&parts.identifier),
        &octets(&parts.value),
        &parts.trailing,
    ]);
    let digest = octets(&forgery::sha256(&content));
    shape.replace(forgery::MESSAGE_DIGEST, attribute(forgery::MESSAGE_DIGEST, &[digest]));
    let forged = Forged { content, infos: vec![shape.sign(hand)], signer: hand.certificate.clone() };
    let der = forged.borrowed().der();
    (forged, der)
}

#[test]
fn each_wrong_receipt_is_refused_by_its_own_name() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    let hand = Hand::of(&bob);
    let sent = Sent::new(pki, &alice, ReceiptsFrom::AllReceipts, &["bob@example.test"], 1);
    let code = |change: &dyn Fn(&mut Parts, &mut Shape)| sent.code(&forged(&sent, &hand, change).1);
    assert_eq!(sent.check(&forged(&sent, &hand, |_, _| ()).1).unwrap(), "bob@example.test");
    assert_eq!(code(&|parts, _| parts.identifier.push(b'x')), "receipt-for-other-message");
    assert_eq!(code(&|parts, _| parts.content_type = ID_CT_RECEIPT), "receipt-for-other-content-type");
    assert_eq!(code(&|parts, _| parts.value[5] ^= 1), "receipt-for-other-signature");
    assert_eq!(code(&|parts, _| parts.version = 2), "receipt-malformed");
    assert_eq!(code(&|parts, _| parts.identifier.clear()), "receipt-malformed");
    assert_eq!(code(&|parts, _| parts.trailing = vec![5, 0]), "receipt-malformed");
    assert_eq!(code(&|parts, _| parts.value = vec![0; 70_000]), "receipt-malformed");
    let with = |kind: &'static str, values: &[Vec<u8>]| {
        let value = attribute(kind, values);
        code(&move |_, shape| shape.replace(kind, value.clone()))
    };
    assert_eq!(with(MESSAGE_SIGNATURE_DIGEST, &[octets(&[7; 32])]), "receipt-for-other-content");
    assert_eq!(with(MESSAGE_SIGNATURE_DIGEST, &[element(2, &[&[1]])]), "receipt-malformed");
    let digest = octets(&sent.record.message_signature_digest);
    assert_eq!(with(MESSAGE_SIGNATURE_DIGEST, &[digest.clone(), digest]), "receipt-signature-wrong");
    assert_eq!(code(&|_, shape| shape.attributes.retain(|found| !contains(found, 5))), "receipt-malformed");
    assert_eq!(with(RECEIPT_REQUEST, &[vec![0x30, 0]]), "receipt-malformed");
    assert_eq!(with(ML_EXPANSION_HISTORY, &[vec![0x30, 0]]), "receipt-malformed");
    let early = element(0x17, &[b"240601120000Z"]);
    assert_eq!(with(SIGNING_TIME, &[early]), "receipt-before-message");
    let minutes_ago = |minutes: i64| {
        let moment: Timestamp = sent.record.signed - SignedDuration::from_mins(minutes);
        element(0x17, &[moment.strftime("%y%m%d%H%M%SZ").to_string().as_bytes()])
    };
    assert_eq!(with(SIGNING_TIME, &[minutes_ago(6)]), "receipt-before-message");
    let tolerated = attribute(SIGNING_TIME, &[minutes_ago(4)]);
    let tolerated = forged(&sent, &hand, |_, shape| shape.replace(SIGNING_TIME, tolerated)).1;
    assert!(sent.check(&tolerated).is_ok());
    // The signature over the digest of the receipt, and the content, changed afterwards.
    let (mut forgery, good) = forged(&sent, &hand, |_, _| ());
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    assert_eq!(sent.code(&changed), "receipt-signature-wrong");
    forgery.infos.push(forgery.infos[0].clone());
    assert_eq!(sent.code(&forgery.borrowed().der()), "receipt-malformed");
    forgery.infos.clear();
    assert_eq!(sent.code(&forgery.borrowed().der()), "receipt-malformed");
    forgery.content[6] ^= 1;
    forgery.infos = forged(&sent, &hand, |_, _| ()).0.infos;
    assert_eq!(sent.code(&forgery.borrowed().der()), "receipt-signature-wrong");
    // Other things.
    assert_eq!(sent.code(&sent.object), "not-a-receipt");
    let mail = SignedData::new(Some(BODY), &[&hand.certificate], &[hand.signer_info(BODY)]).der();
    assert_eq!(sent.code(&mail), "not-a-receipt");
    sent.pki.write("body", BODY);
    let data = openssl(sent.pki.path(), &["cms", "-data_create", "-in", "body", "-outform", "DER"]);
    assert_eq!(sent.code(&data), "not-a-receipt");
    assert_eq!(sent.code(b"nonsense"), "signature-malformed");
    assert_eq!(sent.code(&good[..good.len() - 1]), "signature-malformed");
}

/// Whether an attribute is the one of 1.2.840.113549.1.9.16.2 with this number.
fn contains(attribute: &[u8], number: u8) -> bool {
    attribute.windows(5).any(|window| window == [0x01, 0x09, 0x10, 0x02, number])
}

#[test]
fn a_receipt_for_one_message_is_none_for_another() {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    let first = Sent::new(pki, &alice, ReceiptsFrom::AllReceipts, &["bob@example.test"], 1);
    let receipt = receipt_by(&bob, &first.message()).to_der(&[], &[]).unwrap();
    let second = Sent::new(Pki::new(), &alice, ReceiptsFrom::AllReceipts, &["bob@example.test"], 2);
    assert_eq!(second.code(&receipt), "receipt-for-other-message");
    // The same identifier for another content.
    let mut record = first.record.clone();
    record.message_signature_digest = second.record.message_signature_digest.clone();
    let received = ReceivedReceipt::read(&content(&receipt), &[]).unwrap();
    assert_eq!(record.check(&received, &[]).unwrap_err().code(), "receipt-for-other-content");
    assert_eq!(first.record.check(&received, &[]).unwrap(), "bob@example.test");
}

#[test]
fn receipts_are_given_only_where_one_request_was_verified() {
    let pki = Pki::new();
    let (alice, amy) = (pki.signer("alice", Key::P256), pki.signer("amy", Key::Rsa2048));
    let answer = |message: &SignedMessage| ReceiptToSign::answering(message, now()).map(|_| ());
    let plain = original_by_openssl(&pki, &alice, &["-nodetach"]);
    assert_eq!(answer(&plain).unwrap_err().code(), "receipt-not-asked");
    let both = ["-nodetach", "-signer", &amy.pem(), "-inkey", &amy.key()];
    let same = original_by_openssl(&pki, &alice, &[&ASK_ALL[..], &both].concat());
    assert_eq!(same.signers.len(), 2);
    answer(&same).unwrap();

    // Two who ask for different things.
    let hands = [&alice, &pki.signer("ann", Key::P256)].map(Hand::of);
    let infos = [1, 2].map(|number| {
        let mut shape = Shape::new(&hands[number - 1].certificate, BODY);
        let identifier = octets(&vec![7; number]);
        let to = element(0x30, &[&element(0x30, &[&element(0x81, &[b"alice@example.test"])])]);
        let request = element(0x30, &[&identifier, &[0x80, 1, 0], &to]);
        shape.replace(RECEIPT_REQUEST, attribute(RECEIPT_REQUEST, &[request]));
        shape.sign(&hands[number - 1])
    });
    let asking = |infos: &[Vec<u8>]| {
        let certificates = [&hands[0].certificate, &hands[1].certificate];
        verify(&content(&SignedData::new(Some(BODY), &certificates, infos).der()), None, &[]).unwrap()
    };
    answer(&asking(&infos[..1])).unwrap();
    assert_eq!(answer(&asking(&infos)).unwrap_err().code(), "ess-attributes-differ");

    // And one more signer, by openssl, who does not ask.
    original_by_openssl(&pki, &alice, &[&ASK_ALL[..], &["-nodetach"]].concat());
    let more = ["cms", "-resign", "-in", "original.der", "-inform", "DER", "-outform", "DER", "-nodetach"];
    let signer = ["-signer", "amy.pem", "-inkey", "amy.key", "-out", "resigned.der"];
    openssl(pki.path(), &[&more[..], &signer].concat());
    let resigned = verify(&content(&pki.read("resigned.der")), None, &[]).unwrap();
    assert_eq!(resigned.signers.len(), 2);
    answer(&resigned).unwrap();

    // Changed content, and a receipt.
    let object = content(&pki.read("original.der"));
    let mut changed = pki.read("original.der");
    let at = changed.windows(8).position(|window| window == b"A notice").unwrap();
    changed[at] = b'B';
    let changed = verify(&content(&changed), None, &[]).unwrap();
    assert_eq!(answer(&changed).unwrap_err().code(), "receipt-not-asked");
    let original = verify(&object, None, &[]).unwrap();
    let receipt = receipt_by(&amy, &original).to_der(&[], &[]).unwrap();
    let received = ReceivedReceipt::read(&content(&receipt), &[]).unwrap();
    assert_eq!(answer(&received.message).unwrap_err().code(), "receipt-for-receipt");

    // What openssl writes is what we read.
    let list = ["-receipt_request_from", "bob@example.test", "-receipt_request_to", "alice@example.test"];
    let asked = original_by_openssl(&pki, &alice, &[&list[..], &["-nodetach"]].concat());
    let (_, request) = ReceiptRequest::of(&asked).unwrap().unwrap();
    assert_eq!(request.receipts_from, people(&["bob@example.test"]));
    assert_eq!(request.receipts_to, [Entity::of("alice@example.test")]);
    assert!(request.receipts_from.asks(&["Bob@example.test".to_owned()], Delivery::told_by([&asked])));
    let first = ["-receipt_request_first", "-receipt_request_to", "alice@example.test", "-nodetach"];
    let asked = original_by_openssl(&pki, &alice, &first);
    let (_, request) = ReceiptRequest::of(&asked).unwrap().unwrap();
    assert_eq!(request.receipts_from, ReceiptsFrom::FirstTierRecipients);
}

#[test]
fn a_mailing_list_is_told_by_its_signature() {
    let pki = Pki::new();
    let hand = Hand::of(&pki.signer("list", Key::P256));
    let message = |history: bool| {
        let mut shape = Shape::new(&hand.certificate, BODY);
        if history {
            shape.replace(ML_EXPANSION_HISTORY, attribute(ML_EXPANSION_HISTORY, &[vec![0x30, 0]]));
        }
        let object = SignedData::new(Some(BODY), &[&hand.certificate], &[shape.sign(&hand)]).der();
        verify(&content(&object), None, &[]).unwrap()
    };
    let (plain, expanded) = (message(false), message(true));
    assert_eq!(Delivery::told_by([]), Delivery::Direct);
    assert_eq!(Delivery::told_by([&plain]), Delivery::Direct);
    assert_eq!(Delivery::told_by([&plain, &expanded]), Delivery::MailingList);
}
