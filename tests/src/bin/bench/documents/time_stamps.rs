//! The time-stamp service: stamps by many clients at a time, beside a process of openssl for each stamp.
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;
use sealwright_tests::desk::Desk;
use sealwright_tests::measure::{Row, medians};
use sealwright_tests::process::Run;

use super::office::TimeStampService;
use crate::http_client::{by_many, once};
use crate::microseconds;

/// Connections that ask at a time, each for its next stamp when it has the last.
const CLIENTS: usize = 32;
const STAMPS_EACH: usize = 100;
const PEER_STAMPS: u32 = 20;
const ROUNDS: usize = 3;

/// Wall time for each stamp with a P-256 key, over HTTP on loopback; every stamp is in the log and on the disk. The limit,
/// 1000 us, is 1,000 stamps a second.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let folder = tempfile::tempdir()?;
    let desk = Desk::at(&folder.path().join("desk"))?;
    desk.init("example.org", "http://pki.example.org")?.ok()?;
    let service = TimeStampService::start(&desk, folder.path())?;
    let peer = Peer::make(folder.path(), &desk)?;
    let request = request(&fs::read(&peer.query)?);
    let requests = std::slice::from_ref(&request);
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        let measured = (by_many(service.address(), CLIENTS, requests, STAMPS_EACH)?, peer.stamps()?);
        // The first does not count.
        if round > 0 {
            times.push(measured);
        }
    }
    verify(folder.path(), &desk, &once(service.address(), &request)?)?;
    drop(service);
    let (ours, peer) = medians(times);
    Ok(vec![Row {
        area: "documents",
        name: "a time stamp, P-256, 32 clients at a time",
        size: "-",
        ours: microseconds(ours),
        peer: microseconds(peer),
        peer_name: "openssl ts -reply, a process each, no HTTP, no log",
        limit: 1000.0,
        unit: "us",
    }])
}

/// The query as it is posted.
fn request(query: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: tsa\r\nContent-Type: application/timestamp-query\r\nContent-Length: {}\r\n\r\n",
        query.len()
    );
    [head.as_bytes(), query].concat()
}

/// What was measured were stamps.
fn verify(folder: &Path, desk: &Desk, stamp: &[u8]) -> Result<()> {
    let reply = folder.join("reply.tsr");
    fs::write(&reply, stamp)?;
    let run = Run::new("openssl").args(["ts", "-verify", "-queryfile", "query.tsq", "-in"]).arg(&reply);
    run.arg("-CAfile").arg(desk.anchor()).folder(folder).ok().map(drop)
}

/// `openssl ts -reply` with a P-256 key of its own.
struct Peer {
    folder: PathBuf,
    query: PathBuf,
}

impl Peer {
    fn make(folder: &Path, desk: &Desk) -> Result<Self> {
        let openssl = || Run::new("openssl").folder(folder);
        let query = folder.join("query.tsq");
        openssl()
            .args(["ts", "-query", "-sha256", "-cert", "-out", "query.tsq", "-data"])
            .arg(desk.anchor())
            .ok()?;
        openssl()
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                "/CN=Peer",
            ])
            .args([
                "-addext",
                "extendedKeyUsage=critical,timeStamping",
                "-addext",
                "keyUsage=digitalSignature",
            ])
            .args(["-keyout", "peer.key", "-out", "peer.pem"])
            .ok()?;
        let settings = "[tsa]\ndefault_tsa=t\n[t]\nserial=serial\nsigner_cert=peer.pem\nsigner_key=peer.key\ncerts=peer.pem\n\
            signer_digest=sha256\ndefault_policy=1.2.3.4\ndigests=sha256\naccuracy=secs:1\ness_cert_id_alg=sha256\n";
        fs::write(folder.join("peer.cnf"), settings)?;
        fs::write(folder.join("serial"), "01\n")?;
        Ok(Self { folder: folder.to_owned(), query })
    }

    fn stamps(&self) -> Result<Duration> {
        let start = Instant::now();
        for _ in 0..PEER_STAMPS {
            let run = Run::new("openssl").args(["ts", "-reply", "-config", "peer.cnf", "-section", "t"]);
            run.args(["-queryfile", "query.tsq", "-out", "peer.tsr"]).folder(&self.folder).ok()?;
        }
        Ok(start.elapsed() / PEER_STAMPS)
    }
}
