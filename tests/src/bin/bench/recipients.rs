//! Many recipients: the content is encrypted once, whoever may read it.
use std::io;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use mailer::certificate::Certificate;
use mailer::content::Content;
use mailer::smime::{Enveloping, Recipient, encrypt};
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

const RECIPIENTS: usize = 1000;
const SIZES: [(&str, usize); 2] = [("10 MB", 10_000_000), ("100 MB", 100_000_000)];

/// What a message costs beyond the wraps of its content key, and the wraps themselves.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let world = World::empty()?;
    let recipients = certificates(&world)?;
    let wraps = once(&Content::from_vec(vec![0; 16]), &recipients)?;
    let peers_wraps = peer(&world, 16)?;
    let row = |name, size, ours: Duration, peer: Duration, limit| Row {
        area: "mail",
        name,
        size,
        ours: ours.as_secs_f64() * 1e3,
        peer: peer.as_secs_f64() * 1e3,
        peer_name: "openssl cms, one process",
        limit,
        unit: "ms",
    };
    let mut rows = vec![row(
        "1,000 P-256 recipients: the wraps",
        "16 B",
        wraps,
        peers_wraps,
        peers_wraps.as_secs_f64() * 1e3,
    )];
    for (size, octets) in SIZES {
        let content =
            Content::from_vec(b"All work and no play makes Jack a dull boy.\r\n".repeat(octets / 45));
        let ours = once(&content, &recipients)?.saturating_sub(wraps);
        let peers = peer(&world, octets)?.saturating_sub(peers_wraps);
        rows.push(row("1,000 P-256 recipients: beyond the wraps", size, ours, peers, 1000.0));
    }
    Ok(rows)
}

/// A thousand people, each with a key and a certificate of their own.
fn certificates(world: &World) -> Result<Vec<Recipient>> {
    let script = format!(
        "set -e
         for number in $(seq 0 {last}); do
           openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -days 2 \
             -subj /CN=person$number -out $number.pem 2>/dev/null
         done",
        last = RECIPIENTS - 1
    );
    Run::new("sh").args(["-c", &script]).folder(world.folder()).ok()?;
    (0..RECIPIENTS)
        .map(|number| {
            let pem = std::fs::read(world.path(&format!("{number}.pem")))?;
            let mut found = Certificate::from_file_contents(&pem)?;
            ensure!(found.len() == 1, "one certificate a file");
            Ok(Recipient::unchecked(found.remove(0), true))
        })
        .collect()
}

/// The median of five.
fn once(content: &Content, recipients: &[Recipient]) -> Result<Duration> {
    let ours = || -> Result<()> {
        let encrypted = encrypt(content, recipients, Enveloping::Authenticated)?;
        Ok(encrypted.write_to(&mut io::sink())?)
    };
    Ok(by_turns(5, ours, || Ok(()))?.0)
}

fn peer(world: &World, octets: usize) -> Result<Duration> {
    let line = format!(
        "head -c {octets} /dev/zero > content; \
         openssl cms -encrypt -aes-256-gcm -binary -outform DER -in content -out /dev/null $(seq -f %g.pem 0 {})",
        RECIPIENTS - 1
    );
    let mut times = Vec::new();
    for _ in 0..3 {
        let start = Instant::now();
        Run::new("sh").args(["-c", &line]).folder(world.folder()).ok()?;
        times.push((start.elapsed(), Duration::ZERO));
    }
    Ok(sealwright_tests::measure::medians(times).0)
}
