//! A CRL of a million entries: what a look-up and a whole path validation cost, beside `openssl verify`.
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use mailer::certificate::Certificate;
use mailer::clock::{Clock, SystemClock};
use mailer::directory::Directory;
use mailer::trust::{Anchor, Anchors, Judge, UnknownRevocation};
use sealwright_tests::measure::{Row, by_turns};
use sealwright_tests::process::Run;
use sealwright_tests::world::World;

use crate::{milliseconds, numbers};

const SIZES: [(&str, u64); 2] = [("100,000", 100_000), ("1,000,000", 1_000_000)];

/// The arrival of a list, the first look-up of a new process, and the look-ups after it.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (size, entries) in SIZES {
        let world = World::empty()?;
        let folder = world.folder();
        authority_and_person(folder)?;
        write_list(folder, entries)?;
        for part in ["crl", "ca"] {
            std::fs::create_dir_all(folder.join("published").join(part))?;
        }
        let name = KEY_IDENTIFIER.to_lowercase();
        std::fs::rename(folder.join("large.crl"), folder.join(format!("published/crl/{name}.crl")))?;
        let client = || Run::new(std::env::current_exe()?).args(["client", "revocation"]).arg(folder).ok();
        let [arrival, _] = numbers(&client()?.out())?;
        let (mut first, mut later) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let [one, other] = numbers(&client()?.out())?;
            first.push(one);
            later.push(other);
        }
        let peer = peer(folder, &name)?;
        let row = |name, ours, limit| Row {
            area: "mail",
            name,
            size,
            ours,
            peer,
            peer_name: "openssl verify -crl_check",
            limit,
            unit: "ms",
        };
        rows.push(row("a CRL arrives: verified and indexed", arrival, peer));
        rows.push(row("path validation, cached CRL, new process", median(first), 6.0));
        rows.push(row("path validation, cached CRL, same process", median(later), 1.0));
    }
    Ok(rows)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The same question, once: OpenSSL reads CRLs as PEM.
fn peer(folder: &Path, name: &str) -> Result<f64> {
    let list = format!("published/crl/{name}.crl");
    let convert = Run::new("openssl").args(["crl", "-inform", "DER", "-in", &list, "-out", "crl.pem"]);
    convert.folder(folder).ok()?;
    let start = Instant::now();
    let verify = ["verify", "-crl_check", "-CAfile", "ca.pem", "-CRLfile", "crl.pem", "person.pem"];
    Run::new("openssl").args(verify).folder(folder).ok()?;
    Ok(milliseconds(start.elapsed()))
}

/// What the client process does: the first validation, and the median of those after it, in milliseconds.
pub(crate) fn client(folder: &Path) -> Result<()> {
    let certificate = |name: &str| -> Result<Certificate> {
        let found = Certificate::from_file_contents(&std::fs::read(folder.join(name))?)?;
        found.into_iter().next().context("one certificate a file")
    };
    let (authority, person) = (certificate("ca.pem")?, certificate("person.pem")?);
    let anchors = Anchors(vec![Anchor { certificate: authority, domains: vec!["example.org".to_owned()] }]);
    let location = format!("file:{}", folder.join("published").display()).parse()?;
    let at = SystemClock.now();
    let start = Instant::now();
    let mut directory = Directory::open(&location, &folder.join("cache"), at)?;
    let mut check = || {
        let unknown_revocation = UnknownRevocation::Reject;
        let mut judge = Judge { anchors: &anchors, source: &mut directory, at, unknown_revocation };
        judge.check_signer(&person).map_err(|problem| anyhow!("{}", problem.in_words("Person")))
    };
    check()?;
    let first = milliseconds(start.elapsed());
    let (later, _) = by_turns(50, check, || Ok(()))?;
    println!("{first} {}", milliseconds(later));
    Ok(())
}

/// What is signed, in the order of RFC 5280 section 5.1, with entries of 49 octets: serial, date, reason.
pub(crate) fn write_list(folder: &Path, entries: u64) -> Result<()> {
    let head = head();
    let extensions = element(0xA0, &element(0x30, &[authority()?, crl_number()].concat()));
    let revoked = entries * entry(0).len() as u64;
    let revoked_head = header(0x30, revoked);
    let length = head.len() as u64 + revoked_head.len() as u64 + revoked + extensions.len() as u64;
    let to_be_signed = folder.join("tbs");
    let mut out = BufWriter::with_capacity(1 << 20, File::create(&to_be_signed)?);
    out.write_all(&header(0x30, length))?;
    out.write_all(&head)?;
    out.write_all(&revoked_head)?;
    for number in 0..entries {
        out.write_all(&entry(number))?;
    }
    out.write_all(&extensions)?;
    out.flush()?;
    drop(out);
    let sign = Run::new("openssl").args(["dgst", "-sha256", "-sign", "ca.key", "-out", "signature", "tbs"]);
    sign.folder(folder).ok()?;
    let signature = std::fs::read(folder.join("signature"))?;
    let tail = [ECDSA_WITH_SHA256.to_vec(), element(0x03, &[&[0], &signature[..]].concat())].concat();
    let whole = std::fs::metadata(&to_be_signed)?.len() + tail.len() as u64;
    let mut out = BufWriter::with_capacity(1 << 20, File::create(folder.join("large.crl"))?);
    out.write_all(&header(0x30, whole))?;
    std::io::copy(&mut File::open(&to_be_signed)?, &mut out)?;
    out.write_all(&tail)?;
    Ok(out.flush()?)
}

const ECDSA_WITH_SHA256: [u8; 12] = [0x30, 0x0A, 0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
const VERSION_2: [u8; 3] = [0x02, 0x01, 0x01];

fn entry(number: u64) -> Vec<u8> {
    // Serial numbers as a CA draws them: sixteen octets, in no order.
    let scattered = u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    let serial = (scattered >> 1 | 1 << 126).to_be_bytes();
    let key_compromise = [0x30, 0x0A, 0x06, 0x03, 0x55, 0x1D, 0x15, 0x04, 0x03, 0x0A, 0x01, 0x01];
    let reason = element(0x30, &key_compromise);
    element(0x30, &[element(0x02, &serial), element(0x17, b"260101000000Z"), reason].concat())
}

fn crl_number() -> Vec<u8> {
    vec![0x30, 0x0A, 0x06, 0x03, 0x55, 0x1D, 0x14, 0x04, 0x03, 0x02, 0x01, 0x07]
}

/// The subject key identifier of the CA that signs the list.
const KEY_IDENTIFIER: &str = "A1A2A3A4A5A6A7A8A9AAABACADAEAFB0B1B2B3B4";

fn authority() -> Result<Vec<u8>> {
    let identifier = element(0x80, &hex::decode(KEY_IDENTIFIER)?);
    let value = element(0x04, &element(0x30, &identifier));
    Ok(element(0x30, &[vec![0x06, 0x03, 0x55, 0x1D, 0x23], value].concat()))
}

/// Version, algorithm, issuer `CN=Large`, thisUpdate, nextUpdate.
fn head() -> Vec<u8> {
    let name = [&[0x06, 0x03, 0x55, 0x04, 0x03][..], &element(0x0C, b"Large")].concat();
    let issuer = element(0x30, &element(0x31, &element(0x30, &name)));
    let times = [element(0x17, b"260101000000Z"), element(0x17, b"491231235959Z")].concat();
    [&VERSION_2[..], &ECDSA_WITH_SHA256, &issuer, &times].concat()
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    [header(tag, contents.len() as u64), contents.to_vec()].concat()
}

fn header(tag: u8, length: u64) -> Vec<u8> {
    let octets = length.to_be_bytes();
    let significant = octets.iter().copied().skip_while(|octet| *octet == 0).collect::<Vec<u8>>();
    match (length, u8::try_from(significant.len())) {
        (0..0x80, _) => vec![tag, significant.last().copied().unwrap_or_default()],
        (_, Ok(count)) => [vec![tag, 0x80 | count], significant].concat(),
        (_, Err(_)) => vec![tag],
    }
}

/// A CA and somebody whom it certified: `ca.key`, `ca.pem`, `person.pem`.
fn authority_and_person(folder: &Path) -> Result<()> {
    let script = format!(
        "set -e
         printf '[req]\\ndistinguished_name=dn\\n[dn]\\n' > bare.cnf
         openssl req -config bare.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 900 \
           -subj /CN=Large -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign \
           -addext subjectKeyIdentifier={KEY_IDENTIFIER}
         openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout person.key -out person.csr -subj /CN=Person
         printf 'authorityKeyIdentifier=keyid\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n' > ext
         printf 'subjectAltName=email:person@example.org\n' >> ext
         openssl x509 -req -in person.csr -CA ca.pem -CAkey ca.key -set_serial 0x5A5A5A5A5A5A5A5A5A5A -days 300 \
           -extfile ext -out person.pem"
    );
    Run::new("sh").args(["-c", &script]).folder(folder).ok()?;
    Ok(())
}
