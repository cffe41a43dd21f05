//! Every reader of strangers' bytes fed with changed inputs: none may panic, whatever comes.
//!
//! The corpus is made by openssl and by our own writers when the test begins; the changes are the same in each run. For long
//! runs: `scripts/fuzz [TARGET] [--seconds N]`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail this way"
)]
mod foreign_pdf;
mod forgery;
mod mutation;
mod openssl_pki;
#[path = "pdf_files/maker.rs"]
mod pdf_maker;
mod time_stamp_server;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use forgery::{Hand, SignedData, message, multipart_signed, pkcs7_mime};
use mailer::certificate::DigestAlgorithm;
use mailer::clock::{Clock, SystemClock};
use mailer::content::Content;
use mailer::documents::pdf::Document;
use mailer::documents::preparation::SigningRequest;
use mailer::documents::sealed::{Explanation, FileName, seal};
use mailer::documents::sign::sign_document;
use mailer::fuzz::{self, World};
use mailer::smime::{self, ReceiptRequest, ReceiptToSign, Recipient, SentRecord};
use mailer::time_stamping::{MessageImprint, Nonce, TimeStampRequest};
use mailer::trust::{Anchor, Anchors, Certificate, CertificateList, Judge, Source, UnknownRevocation};
use mutation::{Chance, mutated};
use openssl_pki::{CA, Identity, Key, Pki, VALID, now, openssl, try_openssl};
use time_stamp_server::OpensslAuthority;

/// Inputs of a run in CI; a long run has a time instead.
const INPUTS: usize = 600;

struct Corpus {
    world: World,
    authority: Certificate,
    readers: Vec<Identity>,
    cms: Vec<Vec<u8>>,
    messages: Vec<Vec<u8>>,
    certificates: Vec<Vec<u8>>,
    lists: Vec<Vec<u8>>,
    answers: Vec<Vec<u8>>,
    paths: Vec<Vec<u8>>,
    _pki: Pki,
}

fn corpus() -> &'static Corpus {
    static CORPUS: OnceLock<Corpus> = OnceLock::new();
    CORPUS.get_or_init(make)
}

fn make() -> Corpus {
    let pki = Pki::new();
    let alice = pki.signer("alice", Key::P256);
    let readers = vec![pki.reader("rsa", Key::Rsa2048), pki.reader("elliptic", Key::P256)];
    let hand = Hand::of(&alice);
    let cms = cms_objects(&pki, &hand);
    let messages = messages(&cms, &hand);
    let rich = pki.people.issue(
        "rich",
        Key::P256,
        "subjectAltName=email:a@example.test,URI:http://x.test,otherName:1.3.6.1.5.5.7.8.9;UTF8:\u{fc}@x.test\n\
         keyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\n\
         authorityKeyIdentifier=keyid,issuer\ncertificatePolicies=1.2.3.4,1.2.3.5\n\
         crlDistributionPoints=URI:http://x.test/a.crl\nauthorityInfoAccess=OCSP;URI:http://x.test/",
    );
    let constrained = pki.root.subordinate(
        "constrained",
        &format!(
            "{CA}\nnameConstraints=critical,permitted;email:example.test,excluded;email:bad.example.test\n\
             policyConstraints=requireExplicitPolicy:3,inhibitPolicyMapping:1\ninhibitAnyPolicy=2\ncertificatePolicies=1.2.3.4"
        ),
    );
    let (root, people) = (pki.root.certificate(), pki.people.certificate());
    let certificates: Vec<Vec<u8>> = [
        root.clone(),
        people.clone(),
        alice.certificate(),
        rich.certificate(),
        constrained.certificate(),
        readers[0].certificate(),
        readers[1].certificate(),
    ]
    .iter()
    .map(|certificate| certificate.der().to_vec())
    .collect();
    pki.people.revoke("rich", &["-crl_compromise", "20250501000000Z"]);
    let lists = vec![
        pki.root.crl().der().to_vec(),
        pki.people.crl().der().to_vec(),
        pki.people
            .crl_with(
                "issuingDistributionPoint=critical,@idp\n[idp]\nonlyuser=TRUE",
                ("20260525000000Z", "20260610000000Z"),
            )
            .der()
            .to_vec(),
    ];
    let chain = [hand.certificate.der(), people.der(), constrained.certificate().der(), root.der()].concat();
    let reversed = [people.der(), hand.certificate.der()].concat();
    let answers = answers(&pki, &alice);
    let anchors = Anchors(vec![Anchor { certificate: root, domains: vec!["example.test".to_owned()] }]);
    let world = World {
        anchors,
        intermediates: vec![people.clone()],
        lists: vec![pki.root.crl_with("", VALID)],
        subject: alice.certificate(),
        // OCSP answers are of the moment at which openssl makes them.
        at: SystemClock.now(),
    };
    Corpus {
        world,
        authority: people,
        readers,
        cms,
        messages,
        certificates,
        lists,
        answers,
        paths: vec![chain, reversed],
        _pki: pki,
    }
}

fn cms_objects(pki: &Pki, hand: &Hand) -> Vec<Vec<u8>> {
    let text = b"Content-Type: text/plain\r\n\r\nHello.\r\n";
    pki.write("text", text);
    let infos = [hand.signer_info(text)];
    let beside = [hand.signer_info(b"content beside the signature")];
    let mut found = vec![
        SignedData::new(Some(text), &[&hand.certificate], &infos).der(),
        SignedData::new(None, &[&hand.certificate], &beside).der(),
    ];
    let sign = [
        "cms",
        "-sign",
        "-in",
        "text",
        "-signer",
        "alice.pem",
        "-inkey",
        "alice.key",
        "-certfile",
        "chain.pem",
    ];
    let encrypt = ["cms", "-encrypt", "-in", "text"];
    let variants: [(&[&str], &[&str], &[&str]); 8] = [
        (&sign, &["-nodetach", "-cades", "-binary"], &[]),
        (&sign, &["-nodetach", "-stream", "-indef", "-binary"], &[]),
        (&sign, &["-nodetach", "-keyid", "-md", "sha512"], &[]),
        (&encrypt, &["-aes-256-cbc"], &["rsa.pem", "elliptic.pem"]),
        (&encrypt, &["-aes-256-gcm", "-stream", "-indef"], &["rsa.pem", "elliptic.pem"]),
        (&encrypt, &["-aes-128-gcm"], &["elliptic.pem"]),
        (&encrypt, &["-des3", "-keyid"], &["rsa.pem"]),
        (&["cms", "-data_create", "-in", "text"], &[], &[]),
    ];
    for (command, options, people) in variants {
        let arguments = [command, options, &["-outform", "DER", "-out", "object.der"], people].concat();
        openssl(pki.path(), &arguments);
        found.push(pki.read("object.der"));
    }
    // Not every openssl compresses.
    let compress = ["cms", "-compress", "-in", "text", "-outform", "DER", "-out", "object.der"];
    if try_openssl(pki.path(), &compress).status.success() {
        found.push(pki.read("object.der"));
    }
    found
}

fn messages(cms: &[Vec<u8>], hand: &Hand) -> Vec<Vec<u8>> {
    let fields = "From: Alice <alice@example.test>\r\nTo: bob@example.test, =?utf-8?Q?B=C3=B6b?= <b@x.test>\r\nSubject: x\r\n";
    let text = "Content-Type: text/plain; charset=utf-8; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na =\r\nb=C3=BC\r\n";
    let html = "Content-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: base64\r\n\r\nPGI+aGk8L2I+PGltZyBzcmM9eD4=\r\n";
    let signature = SignedData::new(None, &[&hand.certificate], &[hand.signer_info(text.as_bytes())]).der();
    let signed = multipart_signed(text, &signature);
    let attached = "Content-Type: application/pdf; name*=utf-8''%e4%b8%ad.pdf\r\nContent-Disposition: attachment; filename*0=a; filename*1=b\r\n\r\n%PDF\r\n";
    let mixed = |parts: &[&str]| {
        let parts: String = parts.iter().map(|part| format!("--mb\r\n{part}\r\n")).collect();
        format!("Content-Type: multipart/mixed; boundary=mb\r\n\r\n{parts}--mb--\r\n")
    };
    let forwarded = format!("Content-Type: message/rfc822\r\n\r\n{}", message(fields, &signed));
    let protected = "Content-Type: text/plain; hp=\"cipher\"\r\nFrom: alice@example.test\r\nSubject: secret\r\nHP-Outer: Subject: [...]\r\n\r\nx\r\n";
    let infos = [hand.signer_info(protected.as_bytes())];
    let hidden = SignedData::new(Some(protected.as_bytes()), &[&hand.certificate], &infos).der();
    let mut found: Vec<String> = vec![
        message(fields, text),
        message(fields, &mixed(&[text, html, attached, &forwarded])),
        message(fields, &signed),
        message(fields, &mixed(&[&signed, attached])),
        message(fields, &pkcs7_mime(&hidden)),
    ];
    found.extend(cms.iter().map(|object| message(fields, &pkcs7_mime(object))));
    found.into_iter().map(String::into_bytes).collect()
}

fn answers(pki: &Pki, alice: &Identity) -> Vec<Vec<u8>> {
    let responder = pki.people.issue(
        "responder",
        Key::P256,
        "extendedKeyUsage=OCSPSigning\nnoCheck=ignored\nkeyUsage=critical,digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid",
    );
    let subject = alice.pem();
    ["People", &responder.name]
        .iter()
        .map(|signer| {
            let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
            let arguments = [
                "ocsp",
                "-index",
                "People/index.txt",
                "-rsigner",
                &certificate,
                "-rkey",
                &key,
                "-CA",
                "People.pem",
                "-issuer",
                "People.pem",
                "-cert",
                &subject,
                "-ndays",
                "7",
                "-respout",
                "answer.der",
                "-noverify",
            ];
            openssl(pki.path(), &arguments);
            pki.read("answer.der")
        })
        .collect()
}

#[derive(Clone)]
struct Authorities(Certificate, Vec<CertificateList>);

impl Source for Authorities {
    fn issuers_at_hand(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        vec![self.0.clone()]
    }
    fn issuers(&mut self, _key_identifier: &[u8]) -> Vec<Certificate> {
        vec![self.0.clone()]
    }
    fn revocation_lists(&mut self, _key_identifier: &[u8]) -> Vec<CertificateList> {
        self.1.clone()
    }
}

/// Feeds changed seeds to a target: a number of them, or as long as `FUZZ_SECONDS` says.
///
/// The first inputs are the seeds themselves, of which at least `least` must be taken: else nothing deep is reached.
fn run(target: &str, seeds: &[Vec<u8>], least: usize, mut feed: impl FnMut(&[u8]) -> bool) {
    let taken = seeds.iter().filter(|seed| feed(seed)).count();
    assert!(taken >= least, "{target}: only {taken} of {} seeds are read", seeds.len());
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let seed = std::env::var("FUZZ_SEED").map_or(0x5EED, |text| text.parse().unwrap());
    let (started, mut chance) = (Instant::now(), Chance::new(seed));
    let (mut executions, mut accepted, mut slowest) = (0_usize, 0_usize, (Duration::ZERO, Vec::new()));
    while seconds.map_or(executions < INPUTS, |limit| started.elapsed() < limit) {
        let input = mutated(&seeds[chance.below(seeds.len())], seeds, &mut chance);
        let before = Instant::now();
        match catch_unwind(AssertUnwindSafe(|| feed(&input))) {
            Ok(took) => accepted += usize::from(took),
            Err(_) => {
                let file = std::env::temp_dir().join(format!("fuzz-{target}-{seed}-{executions}"));
                std::fs::write(&file, &input).unwrap();
                panic!("{target}: input {executions} of seed {seed} panics; it is in {}", file.display());
            }
        }
        if before.elapsed() > slowest.0 {
            slowest = (before.elapsed(), input);
        }
        executions += 1;
    }
    println!(
        "fuzz {target}: {executions} inputs in {:.0} s, {accepted} taken; the slowest, of {} octets, took {:?}",
        started.elapsed().as_secs_f64(),
        slowest.1.len(),
        slowest.0
    );
    if let Some(folder) = std::env::var_os("FUZZ_KEEP") {
        std::fs::write(std::path::Path::new(&folder).join(format!("slowest-{target}")), &slowest.1).unwrap();
    }
}

#[test]
fn cms() {
    let corpus = corpus();
    let mut ring = openssl_pki::FileKeyRing::default();
    for reader in &corpus.readers {
        ring.add(&reader.pkcs8(), reader.certificate()).unwrap();
    }
    run("cms", &corpus.cms, 8, |input| fuzz::cms(input, &mut ring));
}

#[test]
fn message_entry() {
    let corpus = corpus();
    let lists = corpus.lists.iter().map(|list| CertificateList::from_der(list).unwrap()).collect();
    let mut source = Authorities(corpus.authority.clone(), lists);
    let mut judge = Judge {
        anchors: &corpus.world.anchors,
        source: &mut source,
        at: now(),
        unknown_revocation: UnknownRevocation::Reject,
    };
    run("message_entry", &corpus.messages, 5, |input| fuzz::message(input, &mut judge));
}

#[test]
fn certificate() {
    let corpus = corpus();
    run("certificate", &corpus.certificates, 7, |input| fuzz::certificate(input, &corpus.world));
}

#[test]
fn revocation_list() {
    let corpus = corpus();
    run("revocation_list", &corpus.lists, 3, |input| fuzz::revocation_list(input, &corpus.world));
}

#[test]
fn ocsp() {
    let corpus = corpus();
    run("ocsp", &corpus.answers, 2, |input| fuzz::ocsp(input, &corpus.world));
}

#[test]
fn path() {
    let corpus = corpus();
    run("path", &corpus.paths, 1, |input| fuzz::path(input, &corpus.world));
}

#[test]
fn seal_image() {
    let mut gray = Vec::new();
    let mut encoder = png::Encoder::new(&mut gray, 12, 7);
    encoder.set_color(png::ColorType::GrayscaleAlpha);
    let samples: Vec<u8> = (0..12 * 7 * 2).collect();
    encoder.write_header().unwrap().write_image_data(&samples).unwrap();
    let mut palette = Vec::new();
    let mut encoder = png::Encoder::new(&mut palette, 16, 3);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Four);
    encoder.set_palette((0..48).collect::<Vec<u8>>());
    encoder.set_trns(vec![0, 128]);
    encoder.write_header().unwrap().write_image_data(&samples[..24]).unwrap();
    let mut seeds = vec![gray, palette];
    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("page.pdf");
    std::fs::write(&document, PAGE).unwrap();
    for options in
        [&["-jpeg"][..], &["-jpeg", "-jpegopt", "progressive=y"], &["-jpegcmyk"], &["-jpeg", "-gray"]]
    {
        let stem = folder.path().join("page");
        let mut render = std::process::Command::new("pdftoppm");
        let status =
            render.args(options).args(["-r", "72", "-singlefile"]).arg(&document).arg(&stem).status();
        assert!(status.expect("poppler-utils must be installed").success());
        seeds.push(std::fs::read(stem.with_extension("jpg")).unwrap());
    }
    run("seal_image", &seeds, 6, fuzz::seal_image);
}

/// A page with a line, without a cross-reference table.
const PAGE: &str = "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
    3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 33 21]/Contents 4 0 R>>endobj\n\
    4 0 obj<</Length 30>>stream\n1 0 0 RG 4 w 3 3 m 30 18 l S  \nendstream endobj\ntrailer<</Root 1 0 R>>\n";

#[test]
fn seal_font() {
    let files = ["dejavu/DejaVuSansMono-Bold.ttf", "inconsolata/Inconsolata.otf"];
    let seeds = files.map(|file| {
        std::fs::read(format!("/usr/share/fonts/truetype/{file}"))
            .expect("fonts-dejavu-core and fonts-inconsolata must be installed")
    });
    run("seal_font", &seeds, 2, fuzz::seal_font);
}

/// A request, and responses to it with and without a stamp.
fn stamps() -> (TimeStampRequest, Vec<Vec<u8>>) {
    let authority = OpensslAuthority::new();
    let imprint = MessageImprint::of(DigestAlgorithm::Sha256, b"stamped");
    let request = TimeStampRequest::new(imprint, None, Nonce::from_random([7; Nonce::OCTETS])).unwrap();
    let der = request.to_der().unwrap();
    let responses = ["sha256", "sha256", "sha512"].map(|digests| authority.reply(&der, digests));
    (request, responses.to_vec())
}

#[test]
fn time_stamp_response() {
    let (request, responses) = stamps();
    let at = SystemClock.now();
    run("time_stamp_response", &responses, 2, |input| fuzz::time_stamp_response(input, &request, at));
}

#[test]
fn time_stamp_token() {
    let (_, responses) = stamps();
    let token = |response: &Vec<u8>| mailer::time_stamping::response::token(response).unwrap().to_vec();
    let tokens: Vec<Vec<u8>> = responses[..2].iter().map(token).collect();
    run("time_stamp_token", &tokens, 2, fuzz::time_stamp_token);
}

/// A message that asks, by openssl, and receipts for it.
fn asked_and_receipted() -> (Vec<u8>, SentRecord, Vec<Vec<u8>>) {
    let pki = Pki::new();
    let (alice, bob) = (pki.signer("alice", Key::P256), pki.signer("bob", Key::P256));
    pki.write("text", b"Content-Type: text/plain\r\n\r\nHello.\r\n");
    let sign = "cms -sign -nodetach -binary -in text -signer alice.pem -inkey alice.key -outform DER -out asked.der \
                -receipt_request_from bob@example.test -receipt_request_to alice@example.test";
    openssl(pki.path(), &sign.split_whitespace().collect::<Vec<_>>());
    let asked = pki.read("asked.der");
    let message = smime::verify(&openssl_pki::content(&asked), None, &[]).unwrap();
    let (signature, request) = ReceiptRequest::of(&message).unwrap().unwrap();
    let attributes = signature.signed_attributes.as_ref().unwrap();
    let sent = SentRecord {
        content_type: message.content_type,
        signed_content_identifier: request.signed_content_identifier,
        signature_value: signature.value.clone(),
        message_signature_digest: signature.digest.digest(attributes),
        receipts_from: request.receipts_from,
        recipients: vec!["bob@example.test".to_owned()],
        signed: signature.signing_time.unwrap(),
    };
    let receipt = "cms -sign_receipt -inform DER -in asked.der -signer bob.pem -inkey bob.key -outform DER";
    let by_openssl = openssl(pki.path(), &receipt.split_whitespace().collect::<Vec<_>>());
    let (mut ring, certificate) = (bob.ring(), bob.certificate());
    let identity = smime::SigningIdentity {
        signer: ring.signer(0).unwrap(),
        certificate: &certificate,
        intermediates: &[],
        rsa_padding: smime::RsaPadding::default(),
    };
    let ours = ReceiptToSign::answering(&message, sent.signed).unwrap().sign(identity).unwrap();
    let ours = ours.to_der(&[alice.certificate()], &[]).unwrap();
    (asked, sent, vec![by_openssl, ours])
}

#[test]
fn receipt() {
    let (_, sent, receipts) = asked_and_receipted();
    run("receipt", &receipts, 2, |input| fuzz::receipt(input, &sent));
}

#[test]
fn receipt_request() {
    let (asked, _, _) = asked_and_receipted();
    run("receipt_request", &[asked], 1, |input| fuzz::receipt_request(input, now()));
}

#[test]
fn pdf_value() {
    let seeds = [
        "<</Type/Page/Kids[1 0 R 22 65535 R]/A#42 (a(b)\\)\\053\\n)/B<901FA>/C -.5/D +17/E true/F null>>",
        "[/Name (text) <00FF> 1 2 3 0 R [[[<<>>]]] % comment\n false]",
        "[[[[[[[[[[[[[[<</A<</A<</A[]>>>>>>]]]]]]]]]]]]]]",
    ];
    let seeds: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.as_bytes().to_vec()).collect();
    run("pdf_value", &seeds, 3, fuzz::pdf::value);
}

/// Every shape of file, written by hand.
fn pdf_files() -> Vec<Vec<u8>> {
    let octets = |maker: pdf_maker::Maker| maker.octets;
    vec![
        pdf_maker::plain(),
        pdf_maker::packed(),
        pdf_maker::hybrid(),
        octets(pdf_maker::updated(3)),
        [b"moved", &pdf_maker::plain()[..]].concat(),
    ]
}

#[test]
fn pdf_reader() {
    run("pdf_reader", &pdf_files(), 5, fuzz::pdf::reader);
}

#[test]
fn pdf_update() {
    run("pdf_update", &pdf_files(), 5, fuzz::pdf::update);
}

#[test]
fn sealed_document() {
    let pki = Pki::new();
    let reader = pki.reader("reader", Key::P256);
    let document = b"%PDF-1.7 a short document";
    let name = FileName::new("x.pdf").unwrap();
    let recipients = [Recipient::unchecked(reader.certificate(), false)];
    let content = Content::from_vec(document.to_vec());
    let ours = seal(&content, &name, &recipients, &Explanation::english()).unwrap().into_content().unwrap();
    pki.write("document.pdf", document);
    let commands: [&[&str]; 2] = [
        &["wrap", "document.pdf", "wrap.pdf", "x.pdf", "reader.pem"],
        &["encrypt", "document.pdf", "encrypt.pdf", "x.pdf", "reader.pem"],
    ];
    foreign_pdf::pyhanko(pki.path(), &commands).into_iter().for_each(|answer| drop(answer.unwrap()));
    let seeds = [openssl_pki::bytes(&ours), pki.read("wrap.pdf"), pki.read("encrypt.pdf")];
    let mut ring = reader.ring();
    run("sealed_document", &seeds, 3, |input| fuzz::sealed_document(input, &mut ring));
}

#[test]
fn signed_document() {
    let pki = Pki::new();
    let signer = pki.signer("signer", Key::P256);
    let (mut ring, certificate) = (signer.ring(), signer.certificate());
    let mut sign = |file: Vec<u8>| {
        let document = Document::open(&Content::from_vec(file)).unwrap();
        let identity = smime::SigningIdentity {
            signer: ring.signer(0).unwrap(),
            certificate: &certificate,
            intermediates: &[],
            rsa_padding: smime::RsaPadding::default(),
        };
        let signed =
            sign_document(&document, &SigningRequest::default(), identity, None, now(), [7; 16]).unwrap();
        signed.content.to_vec(usize::MAX).unwrap().unwrap().to_vec()
    };
    let once = sign(pdf_maker::plain());
    let twice = sign(once.clone());
    assert_eq!(fuzz::signed_document(&twice), 2);
    run("signed_document", &[once, twice], 1, |input| fuzz::signed_document(input) > 0);
}

/// A runner that finds nothing is shown to find a planted fault.
#[test]
fn a_planted_panic_is_found() {
    let seeds = [b"0\x06\x02\x01\x01\x02\x01\x02".to_vec()];
    let found = catch_unwind(|| {
        run("planted", &seeds, 1, |input| {
            assert!(!input.starts_with(b"0\x03\x02\x01"), "planted");
            true
        });
    });
    assert!(found.is_err(), "removing one element of the two was never tried");
}

const CLASSES: &str = r#"{"version":1,"number":7,"organization":"Example","issued":"2026-05-01T00:00:00Z","expires":"2047-01-01T00:00:00Z","classes":[{"name":"board","description":"Members","policy":"1.2.3.4","members":[{"address":"alice@example.test","clearance":3},{"address":"bob@example.test","clearance":null}]}]}"#;

#[test]
fn class_list() {
    let pki = Pki::new();
    let extensions = "keyUsage=critical,digitalSignature\nextendedKeyUsage=1.3.6.1.5.5.7.3.36\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";
    pki.people.issue("lists", Key::P256, extensions);
    pki.write("list.json", CLASSES.as_bytes());
    let sign = "cms -sign -binary -nodetach -in list.json -signer lists.pem -inkey lists.key -certfile People.pem -outform DER";
    let seeds: Vec<Vec<u8>> = ["", " -cades", " -stream -indef"]
        .iter()
        .map(|more| openssl(pki.path(), &format!("{sign}{more}").split_whitespace().collect::<Vec<_>>()))
        .collect();
    let anchors = Anchors(vec![Anchor {
        certificate: pki.root.certificate(),
        domains: vec!["example.test".to_owned()],
    }]);
    let mut source = Authorities(pki.people.certificate(), vec![pki.root.crl(), pki.people.crl()]);
    let mut judge = Judge {
        anchors: &anchors,
        source: &mut source,
        at: now(),
        unknown_revocation: UnknownRevocation::Reject,
    };
    run("class_list", &seeds, 3, |input| fuzz::class_list(input, &mut judge));
}

#[test]
fn class_list_content() {
    run("class_list_content", &[CLASSES.as_bytes().to_vec()], 1, fuzz::class_list_content);
}

#[test]
fn ldap_answer() {
    let seeds = [
        "30250201026420040463 6e3d61301830160406 6d656d6265723 10c04047569643d61 04047569643d62",
        "300c02010165070a012004000400",
        "3084000000100201056184000000070a010004000400",
    ];
    let seeds = seeds.map(|seed| hex::decode(seed.replace(' ', "")).unwrap());
    run("ldap_answer", &seeds, 2, fuzz::ldap_answer);
}
