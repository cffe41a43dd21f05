//! OCSP and certificate search over HTTP on loopback.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use getrandom::SysRng;
use issuer::ca::lint::lint;
use issuer::ca::ocsp::{CertificateState, Responder, StateAt};
use issuer::ca::profile::{Assurance, CardHolder, CardUuid, PersonName, Validity};
use issuer::ca::{Certificate, Profile, ProvenKey, SerialNumber};
use issuer::publication::ocsp_answers::Prepared;
use issuer::publication::{NewAnswers, Publication, PublishedDirectory, layout};
use jiff::SignedDuration;
use middleware::{FileKey, KeyAlgorithm};
use rand_core::UnwrapErr;
use sealwright_tests::measure::{Row, medians};
use sealwright_tests::process::{Run, Server};
use sealwright_tests::programs;

use super::office::Office;
use crate::http_client::{by_many, once};
use crate::microseconds;

/// Connections that ask at a time.
const CLIENTS: usize = 16;

const ROUNDS: usize = 3;
const REQUESTS_EACH: usize = 500;
const PEER_REQUESTS: u32 = 20;
/// How many certificates there are answers about, or are published.
const ANSWERS: [(u32, &str); 2] = [(1_000, "1,000"), (20_000, "20,000")];
const CERTIFICATES: [(u32, &str); 2] = [(100_000, "100,000"), (1_000_000, "1,000,000")];

/// The limits are 10,000 prepared answers and 5,000 searches a second; the clients run on the same machine.
pub(crate) fn rows(small: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (count, size) in ANSWERS {
        rows.extend(ocsp(count, size)?);
    }
    for (count, size) in CERTIFICATES {
        if !small || count <= 100_000 {
            rows.push(search(count, size)?);
        }
    }
    Ok(rows)
}

/// Somebody's certificate, and the folder where everything is published.
struct Published {
    folder: tempfile::TempDir,
    office: Office,
    certificate: Certificate,
}

impl Published {
    fn new() -> Result<Self> {
        let mut office = Office::new()?;
        let proven =
            ProvenKey::of_signer(&mut FileKey::generate(KeyAlgorithm::P256)?, &mut UnwrapErr(SysRng))?;
        let certificate = certify(&mut office, &holder("alice@example.org")?, &proven)?;
        Ok(Self { folder: tempfile::tempdir()?, office, certificate })
    }

    fn public(&self) -> std::path::PathBuf {
        self.folder.path().join("public")
    }

    fn write(&self, answers: &NewAnswers) -> Result<()> {
        let key = self.office.people.certificate().subject_key_identifier().to_vec();
        PublishedDirectory::open(&self.public())?.write(&Publication {
            accepted: None,
            now: self.office.now,
            authorities: vec![self.office.root.clone(), self.office.people.certificate().clone()],
            certificates: vec![self.certificate.clone()],
            crls: Vec::new(),
            registered: BTreeMap::new(),
            judged: BTreeMap::new(),
            bases: Vec::new(),
            further_authorities: Vec::new(),
            answers: BTreeMap::from([(key, Cow::Borrowed(answers))]),
            overdue: Vec::new(),
            not_after: &|_, _| None,
        })?;
        Ok(())
    }

    /// Our server, and its address.
    fn serve(&self) -> Result<(Server, String)> {
        let log = self.folder.path().join("serve.log");
        let mut server = Run::new(programs::program("issuer")?)
            .args(["serve", "--from"])
            .arg(self.public())
            .serve(&log)?;
        let address = |log: String| Some(log.split_once("http://")?.1.lines().next()?.trim().to_owned());
        server
            .wait_until("the server says its address", || Ok(address(fs::read_to_string(&log)?).is_some()))?;
        let address = address(server.log()).context("an address")?;
        Ok((server, address))
    }
}

/// Somebody with this mail address, who signs.
pub(super) fn holder(address: &str) -> Result<Profile> {
    Ok(Profile::DigitalSignature(CardHolder {
        name: PersonName::whole("Alice Archer"),
        identifier: None,
        mail: vec![address.parse()?],
        card: CardUuid([0x5A; 16]),
    }))
}

pub(super) fn certify(office: &mut Office, profile: &Profile, key: &ProvenKey) -> Result<Certificate> {
    let validity = Validity::for_days(office.now, 700);
    let serial_number = SerialNumber::random(&mut UnwrapErr(SysRng));
    let unsigned = office.people.prepare(
        &office.organization,
        profile,
        Assurance::Production,
        key,
        serial_number,
        validity,
    )?;
    Ok(office.people.sign(lint(unsigned)?)?)
}

fn ocsp(count: u32, size: &'static str) -> Result<Vec<Row>> {
    let mut published = Published::new()?;
    let mut key = FileKey::generate(KeyAlgorithm::P256)?;
    let proven = ProvenKey::of_signer(&mut key, &mut UnwrapErr(SysRng))?;
    let own = certify(&mut published.office, &Profile::OcspResponder, &proven)?;
    let responder = Responder::new(published.office.people.certificate(), own)?;
    let now = published.office.now;
    let next_update = now.saturating_add(SignedDuration::from_hours(24))?;
    let state = StateAt { state: CertificateState::Good, this_update: now, next_update };
    let mut answers = NewAnswers::default();
    let mut serials = vec![published.certificate.serial_number().clone()];
    serials.extend((1..count).map(|_| SerialNumber::random(&mut UnwrapErr(SysRng))));
    for serial in &serials {
        let responses = responder.prepare(&mut key, serial, state, now)?.concat();
        answers.insert(serial, Prepared { this_update: now, next_update, responses });
    }
    published.write(&answers)?;
    let folder = published.folder.path();
    fs::write(folder.join("issuer.pem"), published.office.people.certificate().to_pem())?;
    fs::write(folder.join("root.pem"), published.office.root.to_pem())?;
    // Requests about a hundred of them, by GET.
    let some: Vec<_> = serials.iter().step_by(serials.len().div_ceil(100)).collect();
    let requests = some.iter().map(|serial| request(folder, serial)).collect::<Result<Vec<_>>>()?;
    let (server, address) = published.serve()?;
    let peer = Peer::start(folder)?;
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let both = (by_many(&address, CLIENTS, &requests, REQUESTS_EACH)?, peer.answers()?);
        if round > 0 {
            times.push(both);
        }
    }
    // What was measured were answers that openssl believes.
    let answer = once(&address, requests.first().context("a request")?)?;
    fs::write(folder.join("answer.der"), answer)?;
    let judged =
        Run::new("openssl").folder(folder).args(["ocsp", "-respin", "answer.der", "-issuer", "issuer.pem"]);
    let serial = format!("0x{}", serials.first().context("a serial number")?);
    let judged =
        judged.args(["-serial", &serial, "-CAfile", "root.pem", "-verify_other", "issuer.pem"]).ok()?;
    ensure!(judged.text().contains("good"), "openssl says {}", judged.text());
    drop(server);
    let (ours, theirs) = medians(times);
    Ok(vec![Row {
        area: "issuer",
        name: "a prepared OCSP answer, 16 clients at a time",
        size,
        ours: microseconds(ours),
        peer: microseconds(theirs),
        peer_name: "openssl ocsp -port, a connection each",
        limit: 100.0,
        unit: "us",
    }])
}

/// A GET with the request in its path.
fn request(folder: &Path, serial: &SerialNumber) -> Result<Vec<u8>> {
    let serial = format!("0x{serial}");
    let arguments =
        ["ocsp", "-issuer", "issuer.pem", "-serial", &serial, "-no_nonce", "-reqout", "request.der"];
    Run::new("openssl").folder(folder).args(arguments).ok()?;
    let request =
        <base64ct::Base64 as base64ct::Encoding>::encode_string(&fs::read(folder.join("request.der"))?);
    let path = request.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    Ok(format!("GET /ocsp/{path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes())
}

/// `openssl ocsp -port`: signs each answer, and takes one connection after the other.
struct Peer {
    _server: Server,
    address: String,
    request: Vec<u8>,
}

impl Peer {
    fn start(folder: &Path) -> Result<Self> {
        let openssl = || Run::new("openssl").folder(folder);
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        let files = ["-subj", "/CN=Peer", "-keyout", "peer.key", "-out", "peer.pem"];
        openssl().args(["req", "-x509"]).args(curve).args(files).ok()?;
        fs::write(folder.join("peer.txt"), "V\t391231235959Z\t\t41\tunknown\t/CN=x\n")?;
        openssl()
            .args(["ocsp", "-issuer", "peer.pem", "-serial", "0x41", "-no_nonce", "-reqout", "peer.der"])
            .ok()?;
        let body = fs::read(folder.join("peer.der"))?;
        let head = format!(
            "POST / HTTP/1.0\r\nContent-Type: application/ocsp-request\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let port = sealwright_tests::ports::free_port()?;
        let arguments =
            ["ocsp", "-index", "peer.txt", "-rsigner", "peer.pem", "-rkey", "peer.key", "-CA", "peer.pem"];
        let log = folder.join("peer.log");
        let mut server = openssl().args(arguments).args(["-port", &port.to_string()]).serve(&log)?;
        let address = format!("127.0.0.1:{port}");
        // Not by a connection that asks nothing: openssl would wait for its request for ever.
        let is_waiting = || Ok(fs::read_to_string(&log)?.contains("waiting for OCSP client connections"));
        server.wait_until("openssl listens", is_waiting)?;
        Ok(Self { _server: server, address, request: [head.into_bytes(), body].concat() })
    }

    fn answers(&self) -> Result<std::time::Duration> {
        use std::io::{Read, Write};
        let start = std::time::Instant::now();
        for _ in 0..PEER_REQUESTS {
            let mut stream = std::net::TcpStream::connect(&self.address)?;
            stream.write_all(&self.request)?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer)?;
            ensure!(
                answer.starts_with(b"HTTP/1.0 200"),
                "openssl answered {}",
                String::from_utf8_lossy(&answer)
            );
        }
        Ok(start.elapsed() / PEER_REQUESTS)
    }
}

/// Exact addresses among many. Every folder of an address holds the same certificate: what is searched for is the folder.
fn search(count: u32, size: &'static str) -> Result<Row> {
    let published = Published::new()?;
    published.write(&NewAnswers::default())?;
    let by_email = published.public().join(layout::BY_EMAIL);
    let first =
        by_email.join("alice@example.org").join(format!("{}.cer", published.certificate.serial_number()));
    // As many links as a file may have are fewer than there are people.
    let mut original = first;
    for number in 1..count {
        let folder = by_email.join(format!("person{number}@example.org"));
        fs::create_dir(&folder)?;
        let file = folder.join("01.cer");
        if number % 30_000 == 0 {
            fs::copy(&original, &file)?;
            original = file;
        } else {
            fs::hard_link(&original, &file)?;
        }
    }
    let requests: Vec<_> = (1..count)
        .step_by(usize::try_from(count / 1000)?)
        .map(|number| {
            let path = format!("/certificates/search.cgi?email=person{number}%40example.org");
            format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").into_bytes()
        })
        .collect();
    let (server, address) = published.serve()?;
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let time = by_many(&address, CLIENTS, &requests, REQUESTS_EACH)?;
        if round > 0 {
            times.push((time, time));
        }
    }
    ensure!(once(&address, requests.first().context("a request")?)? == published.certificate.as_der());
    drop(server);
    let (ours, _) = medians(times);
    Ok(Row {
        area: "issuer",
        name: "a certificate found by address over HTTP",
        size,
        ours: microseconds(ours),
        peer: f64::NAN,
        peer_name: "none",
        limit: 200.0,
        unit: "us",
    })
}
