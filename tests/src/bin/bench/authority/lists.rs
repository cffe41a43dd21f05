//! CRLs: our encoder alone, from the revocations to the checked and published file, and the whole way from the registry.
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use der::Encode;
use der::asn1::OctetString;
use issuer::ca::crl::name::CrlName;
use issuer::ca::crl::partition::Partitions;
use issuer::ca::crl::{CrlScope, RevokedCertificate};
use issuer::publication::{Publication, PublishedDirectory, RegisteredRevocations};
use p256::ecdsa::{DerSignature, SigningKey};
use sealwright_tests::measure::Row;
use sealwright_tests::process::Run;
use x509_cert::builder::{Builder, CrlBuilder};
use x509_cert::certificate::Rfc5280;
use x509_cert::crl::RevokedCert;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlNumber;
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::Time;

use super::office::{Office, revocations};
use super::whole_way::WholeWay;
use crate::usage::{self, Usage};

const ROUNDS: usize = 3;
const WHOLE_WAY: &str = "issuer publish: registry, log, CRL before, file";
/// Entries, how they are written, and the limits: CPU seconds and MB of the encoder, seconds to the published file.
type Size = (u64, &'static str, f64, f64, f64);
const SIZES: [Size; 2] =
    [(100_000, "100,000", f64::INFINITY, 75.0, f64::INFINITY), (1_000_000, "1,000,000", 0.3, 75.0, 2.0)];

/// What each limit stands for is measured in a process of its own. The machine's share of the process's own start is in
/// the figures.
pub(crate) fn rows(small: bool) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (count, size, cpu, memory, wall) in SIZES {
        if small && count > 100_000 {
            continue;
        }
        let folder = tempfile::tempdir()?;
        let peers = Peers::new(folder.path(), count)?;
        let mut whole_way = WholeWay::new(count)?;
        let [mut encoder, mut builder, mut published, mut parts, mut delta, mut whole] =
            [const { Vec::new() }; 6];
        for round in 0..ROUNDS {
            encoder.push(child(folder.path(), "encode", count, &format!("ours{round}.crl"))?);
            builder.push(child(folder.path(), "builder", count, &format!("builder{round}.crl"))?);
            published.push(child(folder.path(), "publish", count, &format!("published{round}"))?);
            parts.push(child(folder.path(), "partitions", count, &format!("parts{round}"))?);
            delta.push(child(folder.path(), "delta", count, &format!("delta{round}.crl"))?);
            whole.push(whole_way.again()?);
        }
        let [encoder, builder, published, parts, delta, whole] =
            [encoder, builder, published, parts, delta, whole].map(|used| Usage::median(&used));
        let (openssl, python) = (peers.openssl()?, peers.python()?);
        let row = |name, ours, peer, peer_name, limit, unit| Row {
            area: "issuer",
            name,
            size,
            ours,
            peer,
            peer_name,
            limit,
            unit,
        };
        let crates = "x509-cert CrlBuilder";
        rows.extend([
            row("CRL, encoder alone", encoder.cpu, builder.cpu, crates, cpu, "s CPU"),
            row("CRL, encoder alone: memory", encoder.memory, builder.memory, crates, memory, "MB"),
            row(WHOLE_WAY, whole.wall, openssl.wall, "openssl ca -gencrl, no check", wall, "s"),
            row(WHOLE_WAY, whole.wall, python.wall, "python cryptography, no check", wall, "s"),
            row("the same: memory", whole.memory, python.memory, "python cryptography", f64::INFINITY, "MB"),
            row(
                "CRL, signed, checked, published, no registry",
                published.wall,
                openssl.wall,
                "openssl ca -gencrl, no check",
                f64::INFINITY,
                "s",
            ),
            row(
                "16 partitions and the complete CRL",
                parts.wall,
                published.wall,
                "the complete CRL alone",
                f64::INFINITY,
                "s",
            ),
            row(
                "delta of a hundredth to a CRL",
                delta.cpu,
                encoder.cpu,
                "the complete CRL",
                f64::INFINITY,
                "s CPU",
            ),
        ]);
    }
    Ok(rows)
}

fn child(folder: &Path, what: &str, count: u64, place: &str) -> Result<Usage> {
    let program = std::env::current_exe()?;
    let count = count.to_string();
    usage::of_program(&program, &["client", "authority", what, &count, place], |run| run.folder(folder))
}

/// What a child process does.
pub(crate) fn client(what: &str, count: u64, place: &Path) -> Result<()> {
    match what {
        "encode" => encode(count, place),
        "builder" => builder(count, place),
        "publish" => publish(count, place, None),
        "partitions" => publish(count, place, Partitions::new(16)),
        "delta" => delta(count, place),
        _ => bail!("what is {what}?"),
    }
}

fn encode(count: u64, place: &Path) -> Result<()> {
    let mut office = Office::new()?;
    let entries = revocations(count, office.now).map(Ok::<_, Infallible>);
    let mut out = BufWriter::new(File::create(place)?);
    office.people.sign_crl(office.header(1), entries, &mut out)?;
    Ok(out.flush()?)
}

/// The same list by the builder of x509-cert.
fn builder(count: u64, place: &Path) -> Result<()> {
    let office = Office::new()?;
    let issuer = <x509_cert::Certificate as der::Decode>::from_der(office.people.certificate().as_der())?;
    let reason = Extension {
        extn_id: "2.5.29.21".parse()?,
        critical: false,
        extn_value: OctetString::new([0x0A, 1, 1])?,
    };
    let entries = revocations(count, office.now).filter_map(|entry| {
        let seconds = u64::try_from(entry.revocation_date.as_second()).ok()?;
        let date = der::DateTime::from_unix_duration(Duration::from_secs(seconds)).ok()?;
        Some(RevokedCert::<Rfc5280> {
            serial_number: SerialNumber::new(entry.serial_number.as_bytes()).ok()?,
            revocation_date: Time::from(date),
            crl_entry_extensions: Some(vec![reason.clone()]),
        })
    });
    let number = CrlNumber::try_from(1_u64)?;
    let signer = SigningKey::from_slice(&[0x42; 32]).ok().context("a P-256 key")?;
    let crl = CrlBuilder::<Rfc5280>::new(&issuer, number)?
        .with_certificates(entries)
        .build::<_, DerSignature>(&signer)?;
    Ok(std::fs::write(place, crl.to_der()?)?)
}

/// Signed, compared with what the registry holds, linted, written durably.
fn publish(count: u64, place: &Path, partitions: Option<Partitions>) -> Result<()> {
    let mut office = Office::new()?;
    let revoked: Vec<RevokedCertificate> = revocations(count, office.now).collect();
    let key = office.people.certificate().subject_key_identifier().to_vec();
    let mut crls = vec![Vec::new()];
    let header = office.header(1);
    if let Some(crl) = crls.first_mut() {
        office.people.sign_crl(header, revoked.iter().map(Ok::<_, Infallible>), crl)?;
    }
    for (partition, part) in partitions.map(|set| set.divide(&revoked)).unwrap_or_default() {
        let url = CrlName::complete(&key, Some(partition)).url(&office.organization.base_url);
        let scope = CrlScope { distribution_point: Some(url), ..CrlScope::default() };
        let mut crl = Vec::new();
        office.people.sign_scoped_crl(header, &scope, part.into_iter().map(Ok::<_, Infallible>), &mut crl)?;
        crls.push(crl);
    }
    PublishedDirectory::open(place)?.write(&Publication {
        accepted: None,
        now: office.now,
        authorities: vec![office.root, office.people.certificate().clone()],
        certificates: Vec::new(),
        crls: crls.into_iter().map(Cow::Owned).collect(),
        registered: BTreeMap::from([(key, RegisteredRevocations { number: 1, revoked })]),
        judged: BTreeMap::new(),
        bases: Vec::new(),
        further_authorities: Vec::new(),
        answers: BTreeMap::new(),
        overdue: Vec::new(),
        not_after: &|_, _| None,
    })?;
    Ok(())
}

/// A hundredth of the entries.
fn delta(count: u64, place: &Path) -> Result<()> {
    let mut office = Office::new()?;
    let entries = revocations(count / 100, office.now).map(Ok::<_, Infallible>);
    let scope = CrlScope { base_number: Some(1), ..CrlScope::default() };
    let mut out = BufWriter::new(File::create(place)?);
    office.people.sign_scoped_crl(office.header(2), &scope, entries, &mut out)?;
    Ok(out.flush()?)
}

/// What others make of as many revocations, once each: they take long.
struct Peers<'a> {
    folder: &'a Path,
    count: u64,
}

impl<'a> Peers<'a> {
    /// An authority of openssl's with its database of revoked certificates.
    fn new(folder: &'a Path, count: u64) -> Result<Self> {
        let openssl = || Run::new("openssl").folder(folder);
        let subject = ["-subj", "/CN=Peer", "-keyout", "ca.key", "-out", "ca.pem"];
        let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        openssl().args(["req", "-x509"]).args(curve).args(subject).ok()?;
        let mut index = BufWriter::new(File::create(folder.join("index.txt"))?);
        for number in 0..count {
            let serial = 0x4000_0000_0000_0000_0000_0000_0000_0000_u128 + (u128::from(number) << 64);
            writeln!(index, "R\t391231235959Z\t260101000000Z,keyCompromise\t{serial:032X}\tunknown\t/CN=x")?;
        }
        index.flush()?;
        std::fs::write(folder.join("crlnumber"), "01\n")?;
        let settings = "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ncrlnumber=crlnumber\ndefault_md=sha256\ndefault_crl_days=7\n";
        std::fs::write(folder.join("ca.cnf"), settings)?;
        Ok(Self { folder, count })
    }

    fn openssl(&self) -> Result<Usage> {
        let line = "openssl ca -config ca.cnf -gencrl -cert ca.pem -keyfile ca.key -out openssl.crl";
        usage::of_shell(line, |run| run.folder(self.folder))
    }

    fn python(&self) -> Result<Usage> {
        let interpreter = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv/bin/python");
        let count = self.count.to_string();
        usage::of_program(&interpreter, &["-c", PYTHON, &count], |run| run.folder(self.folder))
    }
}

/// The list is handed over at once: `add_revoked_certificate` copies all entries each time.
const PYTHON: &str = r#"
import datetime, sys
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
key = serialization.load_pem_private_key(open("ca.key", "rb").read(), None)
issuer = x509.load_pem_x509_certificate(open("ca.pem", "rb").read())
now = datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)
reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
entry = lambda n: (x509.RevokedCertificateBuilder().serial_number((0x40 << 120) + (n << 64))
    .revocation_date(now - datetime.timedelta(seconds=n % 10_000_000)).add_extension(reason, False).build())
builder = (x509.CertificateRevocationListBuilder().issuer_name(issuer.subject).last_update(now)
    .next_update(now + datetime.timedelta(days=7)).add_extension(x509.CRLNumber(1), False))
builder._revoked_certificates = [entry(n) for n in range(int(sys.argv[1]))]
open("python.crl", "wb").write(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER))
"#;
