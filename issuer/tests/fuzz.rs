//! The readers of strangers' bytes fed with changed inputs: none may panic, whatever comes.
//!
//! The corpus is made by openssl when the test begins; the changes are the same in each run. For long runs: `scripts/fuzz
//! [TARGET] [--seconds N]`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test may fail this way"
)]
mod mutation;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::{Duration, Instant};

use base64ct::Encoding;
use issuer::fuzz;
use mutation::{Chance, mutated};

/// Inputs of a run in CI; a long run has a time instead.
const INPUTS: usize = 20_000;

/// Feeds changed seeds to a target: a number of them, or as long as `FUZZ_SECONDS` says.
///
/// The first inputs are the seeds themselves, all of which must be taken: else nothing deep is reached.
fn run(target: &str, seeds: &[Vec<u8>], mut feed: impl FnMut(&[u8]) -> bool) {
    assert!(seeds.iter().all(|seed| feed(seed)), "{target}: a seed is not read");
    let seconds = std::env::var("FUZZ_SECONDS").ok().map(|text| Duration::from_secs(text.parse().unwrap()));
    let seed = std::env::var("FUZZ_SEED").map_or(0x5EED, |text| text.parse().unwrap());
    let (started, mut chance) = (Instant::now(), Chance::new(seed));
    let (mut executions, mut accepted) = (0_usize, 0_usize);
    while seconds.map_or(executions < INPUTS, |limit| started.elapsed() < limit) {
        let input = mutated(&seeds[chance.below(seeds.len())], seeds, &mut chance);
        match catch_unwind(AssertUnwindSafe(|| feed(&input))) {
            Ok(took) => accepted += usize::from(took),
            Err(_) => {
                let file = std::env::temp_dir().join(format!("fuzz-{target}-{seed}-{executions}"));
                std::fs::write(&file, &input).unwrap();
                panic!("{target}: input {executions} of seed {seed} panics; it is in {}", file.display());
            }
        }
        executions += 1;
    }
    assert!(accepted > 0 && accepted < executions, "{target}: {accepted} of {executions} inputs are taken");
    println!(
        "fuzz {target}: {executions} inputs in {:.0} s, {accepted} taken",
        started.elapsed().as_secs_f64()
    );
}

/// Requests as openssl writes them.
fn queries() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data"), "data").unwrap();
    let shapes: [&[&str]; 5] = [
        &["-sha256", "-no_nonce"],
        &["-sha256", "-cert"],
        &["-sha384", "-cert", "-tspolicy", "1.2.3.4"],
        &["-sha512", "-tspolicy", "1.3.6.1.4.1.32473.1.4"],
        &["-sha512"],
    ];
    let query = |shape: &&[&str]| {
        let done = Command::new("openssl")
            .args(["ts", "-query", "-data", "data", "-out", "query"])
            .args(*shape)
            .current_dir(folder.path())
            .output()
            .expect("openssl is installed");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        std::fs::read(folder.path().join("query")).unwrap()
    };
    shapes.iter().map(query).collect()
}

#[test]
fn time_stamp_request() {
    run("time_stamp_request", &queries(), fuzz::time_stamp_request);
}

#[test]
fn serial_log_line() {
    let imprint = "ab".repeat(32);
    let chain = "cd".repeat(32);
    let line = format!(
        "12 10 7edbb989057a3279 2026-11-30T06:57:41.494Z sha256 {imprint} 1.3.6.1.4.1.32473.1.4 {chain}"
    );
    run("serial_log_line", &[line.into_bytes()], fuzz::serial_log_line);
}

/// Requests that openssl makes: with a nonce, by SHA-256, about two certificates.
fn ocsp_requests() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &[&str]| {
        let done = Command::new("openssl").current_dir(folder.path()).args(arguments).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=CA"];
    openssl(&[&["req", "-x509", "-keyout", "key", "-out", "ca"][..], &curve].concat());
    let shapes: [&[&str]; 4] = [
        &["-serial", "0x4142", "-no_nonce"],
        &["-serial", "0x4142"],
        &["-sha256", "-serial", "0xFF"],
        &["-serial", "1", "-serial", "2"],
    ];
    let request = |shape: &&[&str]| {
        openssl(&[&["ocsp", "-issuer", "ca", "-reqout", "request"][..], shape].concat());
        std::fs::read(folder.path().join("request")).unwrap()
    };
    shapes.iter().map(request).collect()
}

#[test]
fn ocsp_request() {
    run("ocsp_request", &ocsp_requests(), fuzz::ocsp_request);
}

#[test]
fn http_query() {
    let request =
        base64ct::Base64::encode_string(&ocsp_requests()[0]).replace('+', "%2B").replace('/', "%2F");
    let seeds = [
        "/anchor.pem",
        "/ca/00ff.cer",
        "/crl/00ff-16-3-delta.crl",
        "/certificates/by-email/%25C3%25BC@x.org/01.cer",
        "/certificates/search.cgi?email=a%40example.org&colour=x",
        "/certificates/search.cgi?sHash=lkxwxB7JCOXKRSUQ1sgoOhrB3%2BI",
        "/crls/search.cgi?iHash=lkxwxB7JCOXKRSUQ1sgoOhrB3%2BI",
        &format!("/ocsp/{request}"),
    ]
    .map(|seed| seed.as_bytes().to_vec());
    run("http_query", &seeds, fuzz::http_query);
}

#[test]
fn ceremony() {
    let seed = "organization = \"Example\"\ndomains = [\"example.org\"]\nbase_url = \"http://pki.example.org\"\n\
        crl_partitions = 16\nwitnesses = [\"Ada\"]\n[keys]\nroot = \"pkcs11:token=CA;object=root?module-path=/x.so\"\n\
        people = \"card:9A:sim:/x.card\"\n";
    run("ceremony", &[seed.as_bytes().to_vec()], fuzz::ceremony);
}

/// A value with a short length.
fn tagged(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let contents = contents.concat();
    [&[tag, u8::try_from(contents.len()).unwrap()], &contents[..]].concat()
}

#[test]
fn directory_answer() {
    let attribute = |name: &str, value: &[u8]| {
        tagged(0x30, &[&tagged(4, &[name.as_bytes()]), &tagged(0x31, &[&tagged(4, &[value])])])
    };
    let attributes =
        [attribute("mail", b"alice@example.org"), attribute("userCertificate;binary", &[0x30, 0])];
    let entry = tagged(0x64, &[&tagged(4, &[b"uid=a,dc=example"]), &tagged(0x30, &[&attributes.concat()])]);
    let done = tagged(0x65, &[b"\x0A\x01\x00\x04\x00\x04\x00"]);
    let seed = [entry, done].map(|operation| tagged(0x30, &[&[2, 1, 1], &operation])).concat();
    run("directory_answer", &[seed], fuzz::directory_answer);
}

#[test]
fn start_tls_answer() {
    let agreed = b"\x30\x0C\x02\x01\x01\x78\x07\x0A\x01\x00\x04\x00\x04\x00";
    let long = b"\x30\x84\x00\x00\x00\x0E\x02\x01\x01\x78\x09\x0A\x01\x00\x04\x00\x04\x02ok";
    run("start_tls_answer", &[agreed.to_vec(), long.to_vec()], fuzz::start_tls_answer);
}

/// A runner that finds nothing is shown to find a planted fault.
#[test]
fn a_planted_panic_is_found() {
    let seeds = queries();
    let found = catch_unwind(|| {
        run("planted", &seeds, |input| {
            // certReq without a nonce before it: to be reached by taking the nonce out.
            assert!(!(input.len() < 70 && input.ends_with(&[1, 1, 0xFF]) && fuzz::time_stamp_request(input)));
            fuzz::time_stamp_request(input)
        });
    });
    assert!(found.is_err(), "taking out one element of the request was never tried");
}
