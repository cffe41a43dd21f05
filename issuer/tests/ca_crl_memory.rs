//! A CRL of any length is made in constant memory. Alone in its file, so that nothing else runs in the process.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::convert::Infallible;
use std::fs::File;
use std::io::{BufWriter, Write};

use issuer::ca::SerialNumber;
use issuer::ca::crl::{RevocationReason, RevokedCertificate};
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

const ENTRIES: u64 = 400_000;

#[test]
fn a_list_of_twenty_megabytes_takes_four() {
    let mut world = World::new(TestKey::p256);
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("large.crl");
    let now = world.now;
    let entries = (1..=ENTRIES).map(|number| {
        let octets = (0x4000_0000_0000_0000_0000_0000_0000_0000_u128 + u128::from(number)).to_be_bytes();
        Ok::<_, Infallible>(RevokedCertificate {
            serial_number: SerialNumber::from_bytes(&octets).unwrap(),
            revocation_date: now,
            reason: RevocationReason::KeyCompromise,
            invalidity_date: None,
        })
    });
    // The first list warms up whatever is allocated once.
    world.crl(1, &[]);
    let before = peak_memory();
    let mut out = BufWriter::new(File::create(&path).unwrap());
    let header = world.crl_header(2);
    world.people.sign_crl(header, entries, &mut out).unwrap();
    out.flush().unwrap();
    let grown = peak_memory() - before;
    let size = std::fs::metadata(&path).unwrap().len() / 1024;
    assert!(size > 16 * 1024, "{size} KiB");
    assert!(grown < 4 * 1024, "the peak grew by {grown} KiB for a list of {size} KiB");

    world.write_chain(directory.path(), &[]);
    let people = directory.path().join("people.pem");
    let arguments = [
        "crl",
        "-inform",
        "DER",
        "-noout",
        "-in",
        path.to_str().unwrap(),
        "-CAfile",
        people.to_str().unwrap(),
    ];
    assert!(openssl(arguments).contains("verify OK"));
}

/// Peak resident set size in KiB.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}
