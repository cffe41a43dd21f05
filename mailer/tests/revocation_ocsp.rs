//! OCSP: `openssl ocsp` answers our questions, a few lines of our own carry them. What is asked, believed and kept.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod openssl_pki;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use jiff::SignedDuration;
use mailer::clock::{Clock, SystemClock};
use mailer::directory::settings::{CertificateAddresses, Network, NoncePolicy};
use mailer::directory::{Directory, Location, Settings};
use mailer::trust::{Anchor, Anchors, Judge, UnknownRevocation};
use openssl_pki::{Identity, Key, Pki, VALID, encryption, try_openssl};

const BOB: &str = "bob@example.test";
const RESPONDER: &str = "extendedKeyUsage=OCSPSigning\nkeyUsage=digitalSignature\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

/// How `openssl ocsp` answers.
#[derive(Clone)]
struct Manner {
    signer: String,
    authority: String,
    index: String,
    options: Vec<String>,
    /// What is answered to every question.
    fixed: Option<Vec<u8>>,
}

/// A responder over HTTP; `manner` may be changed while it runs.
struct Responder {
    url: String,
    manner: Arc<Mutex<Manner>>,
    asked: Arc<Mutex<Vec<String>>>,
    answered: Arc<Mutex<Vec<Vec<u8>>>>,
}

fn respond(folder: PathBuf, signer: &str) -> Responder {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/ocsp", listener.local_addr().unwrap());
    let (authority, index) = ("People.pem".to_owned(), "People/index.txt".to_owned());
    let options = vec!["-ndays".to_owned(), "1".to_owned()];
    let manner =
        Arc::new(Mutex::new(Manner { signer: signer.to_owned(), authority, index, options, fixed: None }));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let answered = Arc::new(Mutex::new(Vec::new()));
    let (current, log, last) = (Arc::clone(&manner), Arc::clone(&asked), Arc::clone(&answered));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            let (mut line, mut length) = (String::new(), 0);
            reader.read_line(&mut line).unwrap();
            let method = line.split(' ').next().unwrap().to_owned();
            loop {
                let mut header = String::new();
                reader.read_line(&mut header).unwrap();
                if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if header.trim().is_empty() {
                    break;
                }
            }
            let mut question = vec![0; length];
            reader.read_exact(&mut question).unwrap();
            if method == "GET" {
                let encoded = line.split(' ').nth(1).unwrap().rsplit('/').next().unwrap().to_owned();
                let text = percent_decode(&encoded);
                question = base64_simd::STANDARD.decode_to_vec(text).unwrap();
            }
            log.lock().unwrap().push(method);
            let manner = current.lock().unwrap().clone();
            let answer = manner.fixed.clone().unwrap_or_else(|| answer(&folder, &manner, &question));
            last.lock().unwrap().push(answer.clone());
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/ocsp-response\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                answer.len()
            );
            let _ = stream.write_all(&[head.into_bytes(), answer].concat());
        }
    });
    Responder { url, manner, asked, answered }
}

fn percent_decode(text: &str) -> Vec<u8> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::new();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
            }
            other => other,
        });
    }
    decoded
}

fn answer(folder: &Path, manner: &Manner, question: &[u8]) -> Vec<u8> {
    let work = tempfile::tempdir_in(folder).unwrap();
    let (request, response) = (work.path().join("request.der"), work.path().join("response.der"));
    std::fs::write(&request, question).unwrap();
    let (certificate, key) = (format!("{}.pem", manner.signer), format!("{}.key", manner.signer));
    let mut arguments = vec![
        "ocsp",
        "-index",
        &manner.index,
        "-CA",
        &manner.authority,
        "-rsigner",
        &certificate,
        "-rkey",
        &key,
    ];
    arguments.extend(["-reqin", request.to_str().unwrap(), "-respout", response.to_str().unwrap()]);
    arguments.extend(manner.options.iter().map(String::as_str));
    let output = try_openssl(folder, &arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(response).unwrap()
}

struct World {
    pki: Pki,
    bob: Identity,
    responder: Responder,
}

impl World {
    /// The root's CRL speaks about the issuing CA; about people only the responder does.
    fn new(extensions: &str) -> Self {
        let pki = Pki::new();
        let bob = pki.people.issue("bob", Key::P256, &format!("{}{extensions}", encryption(BOB, Key::P256)));
        pki.people.issue("responder", Key::P256, &format!("{RESPONDER}\nnoCheck=ignored"));
        let published = pki.path().join("published");
        for folder in ["ca", "crl"] {
            std::fs::create_dir_all(published.join(folder)).unwrap();
        }
        for authority in [&pki.root, &pki.people] {
            let name = hex::encode(authority.certificate().subject_key_identifier().unwrap());
            std::fs::write(published.join(format!("ca/{name}.cer")), authority.certificate().der()).unwrap();
        }
        let root = hex::encode(pki.root.certificate().subject_key_identifier().unwrap());
        let crl = pki.root.crl_with("", ("20240101000000Z", "20470101000000Z"));
        std::fs::write(published.join(format!("crl/{root}.crl")), crl.der()).unwrap();
        let responder = respond(pki.path().to_owned(), "responder");
        Self { pki, bob, responder }
    }

    fn settings(&self) -> Settings {
        Settings { responder: Some(self.responder.url.parse().unwrap()), ..Settings::default() }
    }

    fn judge(&self, settings: Settings, hours: i64, unknown_revocation: UnknownRevocation) -> String {
        let at = SystemClock.now() + SignedDuration::from_hours(hours);
        let location = Location::File(self.pki.path().join("published"));
        let cache = self.pki.path().join("cache");
        let mut directory = Directory::open_with(&location, &cache, at, settings).unwrap();
        let anchors = Anchors(vec![Anchor {
            certificate: self.pki.root.certificate(),
            domains: vec!["example.test".to_owned()],
        }]);
        let mut judge = Judge { anchors: &anchors, source: &mut directory, at, unknown_revocation };
        let checked = judge.check_recipient(&self.bob.certificate(), BOB);
        checked.map_or_else(|problem| problem.to_string(), |_| "good".to_owned())
    }

    fn ask(&self, settings: Settings) -> String {
        let _ = std::fs::remove_dir_all(self.pki.path().join("cache/ocsp"));
        self.judge(settings, 0, UnknownRevocation::Reject)
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.responder.asked.lock().unwrap())
    }

    fn manner(&self, change: impl FnOnce(&mut Manner)) {
        change(&mut self.responder.manner.lock().unwrap());
    }
}

#[test]
fn a_delegated_responder_says_good_and_later_revoked_with_its_reason() {
    let world = World::new("");
    assert_eq!(world.ask(world.settings()), "good");
    let nonce = Settings { nonce: NoncePolicy::Require, ..world.settings() };
    assert_eq!(world.ask(nonce), "good");
    let omitted = Settings { nonce: NoncePolicy::Omit, ..world.settings() };
    assert_eq!(world.ask(omitted.clone()), "good");
    let sha256 = Settings { hash: mailer::trust::ocsp::CertificateHash::Sha256, ..omitted };
    assert_eq!(world.ask(sha256), "good");
    // The root's responder would be another; about People it knows nothing, and the CRL speaks.
    let methods = world.asked();
    assert!(
        methods.iter().any(|method| method == "POST") && methods.iter().any(|method| method == "GET"),
        "{methods:?}"
    );
    world.manner(|manner| manner.signer = "People".to_owned());
    assert_eq!(world.ask(world.settings()), "good", "the CA itself may answer");
    world.manner(|manner| manner.options.push("-resp_key_id".to_owned()));
    assert_eq!(world.ask(world.settings()), "good", "named by its key");
    world.pki.people.revoke("bob", &["-crl_reason", "keyCompromise"]);
    let revoked = world.ask(world.settings());
    assert!(revoked.contains("was revoked on") && revoked.contains("key compromise"), "{revoked}");
}

#[test]
fn an_answer_that_is_not_right_says_nothing() {
    let world = World::new("");
    let refused = |change: &dyn Fn(&mut Manner), problem: &str| {
        let before = world.responder.manner.lock().unwrap().clone();
        world.manner(change);
        let words = world.ask(world.settings());
        assert!(words.contains(&format!("is unknown: {problem}")), "{problem}: {words}");
        world.manner(|manner| *manner = before);
    };
    // Nobody whom the CA authorized: another person, the root, a responder of the root.
    world.pki.people.issue("person", Key::P256, &encryption("eve@example.test", Key::P256));
    world.pki.root.issue("elsewhere", Key::P256, RESPONDER);
    world.pki.people.issue_with("past", Key::P256, RESPONDER, ("20240101000000Z", "20250101000000Z"));
    for signer in ["person", "Root", "elsewhere", "past"] {
        let problem = "the OCSP answer was signed by nobody who may speak for People";
        refused(&|manner| manner.signer = signer.to_owned(), problem);
    }
    // One without nocheck must not be revoked itself, and there is no CRL to say so.
    world.pki.people.issue("checked", Key::P256, RESPONDER);
    refused(
        &|manner| manner.signer = "checked".to_owned(),
        "whether the OCSP responder was revoked is unknown",
    );
    let unknown = "the OCSP responder does not know the certificate";
    refused(&|manner| manner.index = "Root/index.txt".to_owned(), unknown);
    refused(&|manner| manner.authority = "Root.pem".to_owned(), unknown);
    let fixed =
        |answer: &[u8], problem: &str| refused(&|manner| manner.fixed = Some(answer.to_vec()), problem);
    fixed(&[0x30, 3, 0x0A, 1, 3], "the OCSP responder answered: try again later");
    fixed(&[0x30, 3, 0x0A, 1, 6], "the OCSP responder answered: it may not answer about this certificate");
    fixed(b"nonsense", "the OCSP answer is malformed");
    // Answers made beforehand: without nonce they count, unless one is required.
    let omitted = Settings { nonce: NoncePolicy::Omit, ..world.settings() };
    let first_answer = |settings: Settings| {
        world.responder.answered.lock().unwrap().clear();
        assert_eq!(world.ask(settings), "good");
        world.responder.answered.lock().unwrap()[0].clone()
    };
    let (beforehand, to_another_question) = (first_answer(omitted), first_answer(world.settings()));
    fixed(&to_another_question, "the OCSP answer is not the one to our question");
    let mut tampered = beforehand.clone();
    let at = tampered.windows(4).position(|window| window == b"\x18\x0f20").unwrap();
    tampered[at + 6] ^= 1;
    fixed(&tampered, "the signature of the OCSP answer is wrong");
    world.manner(|manner| manner.fixed = Some(beforehand));
    assert_eq!(world.ask(world.settings()), "good");
    let required = Settings { nonce: NoncePolicy::Require, ..world.settings() };
    assert!(world.ask(required).contains("is unknown: the OCSP answer is not the one to our question"));
    let eve = world.pki.people.issue("eve", Key::P256, &encryption(BOB, Key::P256));
    let world = World { bob: eve, ..world };
    assert!(
        world.ask(world.settings()).contains("is unknown: the OCSP answer is not about this certificate")
    );
}

#[test]
fn answers_are_kept_until_they_expire_and_offline_asks_nobody() {
    let world = World::new("");
    let reject = UnknownRevocation::Reject;
    assert_eq!(world.judge(world.settings(), 0, reject), "good");
    let first = world.asked().len();
    assert!(first > 0);
    world.manner(|manner| manner.index = "Root/index.txt".to_owned());
    assert_eq!(world.judge(world.settings(), 20, reject), "good", "kept");
    let offline = || Settings { network: Network::Offline, ..world.settings() };
    world.asked();
    assert_eq!(world.judge(offline(), 20, reject), "good");
    let stale = world.judge(offline(), 30, reject);
    assert!(stale.contains("is unknown: the OCSP answer was good until"), "{stale}");
    let at_most = SignedDuration::from_hours(12);
    assert_eq!(world.judge(offline(), 30, UnknownRevocation::AcceptStale { at_most }), "good");
    assert!(world.judge(offline(), 48, UnknownRevocation::AcceptStale { at_most }).contains("is unknown"));
    assert_eq!(world.judge(offline(), 48, UnknownRevocation::Accept), "good");
    assert!(world.asked().is_empty());
}

#[test]
fn addresses_in_certificates_are_followed_only_when_allowed_and_never_to_private_computers() {
    let world = World::new("");
    let address = world.responder.url.clone();
    let extensions = format!(
        "{}\nauthorityInfoAccess=OCSP;URI:{address}\ncrlDistributionPoints=URI:{address}/crl",
        encryption(BOB, Key::P256)
    );
    let bob = world.pki.people.issue_with("bob2", Key::P256, &extensions, VALID);
    let world = World { bob, ..world };
    assert!(world.ask(Settings::default()).contains("is unknown"));
    assert!(world.asked().is_empty());
    let follow = |hosts: &[&str]| Settings {
        certificate_addresses: CertificateAddresses::Follow {
            private_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        },
        ..Settings::default()
    };
    assert!(world.ask(follow(&["elsewhere.test"])).contains("is unknown"));
    assert!(world.asked().is_empty(), "a loopback address of a certificate is not asked");
    assert_eq!(world.ask(follow(&["127.0.0.1"])), "good");
    assert_eq!(world.asked(), ["POST"]);
}
