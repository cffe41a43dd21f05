//! New certificates published into an LDAP directory, OpenLDAP's slapd as Debian sets it up: each change is on its disk
//! before it answers.
use std::fmt::Write;
use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64ct::{Base64, Encoding};
use getrandom::SysRng;
use issuer::ca::ProvenKey;
use issuer::publication::ldap::{
    Access, AddressEntry, LdapTarget, LdapUrl, Ours, Outcome, publish_addresses,
};
use middleware::{FileKey, KeyAlgorithm};
use rand_core::UnwrapErr;
use sealwright_tests::measure::{Row, medians};
use sealwright_tests::process::{Run, Server};
use zeroize::Zeroizing;

use super::office::Office;
use super::serving::{certify, holder};

const BASE: &str = "dc=example,dc=org";
const WRITER: &str = "cn=issuer,dc=example,dc=org";
const PASSWORD: &str = "let me write";

/// How many certificates, and how often each side publishes them.
const SIZES: [(usize, &str, usize); 2] = [(1_000, "1,000", 3), (10_000, "10,000", 1)];

/// Milliseconds a certificate.
pub(crate) fn rows(small: bool) -> Result<Vec<Row>> {
    let sizes = SIZES.into_iter().filter(|(count, ..)| !small || *count <= 1_000);
    let mut rows = Vec::new();
    for (count, size, rounds) in sizes {
        rows.extend(of_size(count, size, rounds)?);
    }
    Ok(rows)
}

fn of_size(count: usize, size: &'static str, rounds: usize) -> Result<[Row; 2]> {
    let mut office = Office::new()?;
    let proven = ProvenKey::of_signer(&mut FileKey::generate(KeyAlgorithm::P256)?, &mut UnwrapErr(SysRng))?;
    let mut entries = Vec::new();
    for number in 0..count {
        let address = format!("person{number}@example.org");
        let certificate = certify(&mut office, &holder(&address)?, &proven)?;
        entries.push(AddressEntry { address, certificates: vec![certificate.as_der().to_vec()] });
    }
    let ours = Arc::new(Ours::new([office.people.certificate().clone()]));
    let mut beside_adding = Vec::new();
    let mut beside_modifying = Vec::new();
    for _ in 0..rounds {
        let published = published(&ours, &entries)?;
        beside_adding.push((published, added(&entries)?));
        beside_modifying.push((published, modified(&entries)?));
    }
    let row = |times, peer_name| {
        let (ours, theirs) = medians(times);
        let each = |time: Duration| time.as_secs_f64() * 1e3 / count as f64;
        Row {
            area: "issuer",
            name: "a new certificate into slapd, and read back",
            size,
            ours: each(ours),
            peer: each(theirs),
            peer_name,
            limit: f64::INFINITY,
            unit: "ms",
        }
    };
    Ok([
        row(beside_adding, "ldapadd of new entries, not read back"),
        row(beside_modifying, "ldapmodify of the same entries, not read back"),
    ])
}

/// Ours: the people are there, their certificates are new.
fn published(ours: &Arc<Ours>, entries: &[AddressEntry]) -> Result<Duration> {
    let directory = Directory::start(&people(entries, false)?)?;
    let place = LdapUrl::parse(&format!("{}/{BASE}", directory.url)).map_err(anyhow::Error::msg)?;
    let login = Some((WRITER.to_owned(), Zeroizing::new(PASSWORD.to_owned())));
    let access = Access { trusted: None, start_tls: false, login, authorities: None };
    let target = LdapTarget::new(place.context("an LDAP URL")?, access).map_err(anyhow::Error::msg)?;
    let start = Instant::now();
    let outcomes = publish_addresses(&target, Arc::clone(ours), entries.to_vec())?;
    let time = start.elapsed();
    if let Some(other) =
        outcomes.iter().find(|outcome| **outcome != Outcome::Done { changed: true, mended: Vec::new() })
    {
        bail!("not every certificate was published: {other:?}");
    }
    ensure!(directory.count()? == entries.len(), "slapd holds {} certificates", directory.count()?);
    Ok(time)
}

/// The peer: people and certificates are new.
fn added(entries: &[AddressEntry]) -> Result<Duration> {
    let directory = Directory::start("")?;
    let file = directory.folder.path().join("new.ldif");
    fs::write(&file, people(entries, true)?)?;
    let run = Run::new("ldapadd").args(["-x", "-H", &directory.url, "-D", WRITER, "-w", PASSWORD, "-f"]);
    let start = Instant::now();
    run.arg(&file).ok()?;
    let time = start.elapsed();
    ensure!(directory.count()? == entries.len(), "slapd holds {} certificates", directory.count()?);
    Ok(time)
}

/// The other peer: the people are there, as for ours; each certificate is added to its entry.
fn modified(entries: &[AddressEntry]) -> Result<Duration> {
    let directory = Directory::start(&people(entries, false)?)?;
    let file = directory.folder.path().join("changes.ldif");
    let mut changes = String::new();
    for AddressEntry { address, certificates } in entries {
        let uid = address.split('@').next().context("an address")?;
        writeln!(changes, "dn: uid={uid},{BASE}\nchangetype: modify\nadd: userCertificate;binary")?;
        for certificate in certificates {
            writeln!(changes, "userCertificate;binary:: {}", Base64::encode_string(certificate))?;
        }
        changes.push_str("-\n\n");
    }
    fs::write(&file, changes)?;
    let run = Run::new("ldapmodify").args(["-x", "-H", &directory.url, "-D", WRITER, "-w", PASSWORD, "-f"]);
    let start = Instant::now();
    run.arg(&file).ok()?;
    let time = start.elapsed();
    ensure!(directory.count()? == entries.len(), "slapd holds {} certificates", directory.count()?);
    Ok(time)
}

fn people(entries: &[AddressEntry], with_certificates: bool) -> Result<String> {
    let mut ldif = String::new();
    for AddressEntry { address, certificates } in entries {
        let uid = address.split('@').next().context("an address")?;
        writeln!(
            ldif,
            "dn: uid={uid},{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {uid}\nsn: {uid}\nmail: {address}"
        )?;
        for certificate in certificates.iter().filter(|_| with_certificates) {
            writeln!(ldif, "userCertificate;binary:: {}", Base64::encode_string(certificate))?;
        }
        ldif.push('\n');
    }
    Ok(ldif)
}

/// A server of its own.
struct Directory {
    folder: tempfile::TempDir,
    url: String,
    _server: Server,
}

impl Directory {
    fn start(people: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        fs::create_dir(folder.path().join("db"))?;
        let at = |name: &str| folder.path().join(name).display().to_string();
        let mut config = String::new();
        for schema in ["core", "cosine", "inetorgperson"] {
            writeln!(config, "include /etc/ldap/schema/{schema}.schema")?;
        }
        writeln!(config, "modulepath /usr/lib/ldap\nmoduleload back_mdb\npidfile {}", at("slapd.pid"))?;
        writeln!(
            config,
            "sizelimit unlimited\ndatabase mdb\nsuffix \"{BASE}\"\nrootdn \"{WRITER}\"\nrootpw \"{PASSWORD}\""
        )?;
        writeln!(
            config,
            "directory {}\nmaxsize 1073741824\nindex objectClass,mail eq\naccess to * by * read",
            at("db")
        )?;
        fs::write(folder.path().join("slapd.conf"), config)?;
        let root = format!(
            "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: example\no: Example\n\n"
        );
        fs::write(folder.path().join("people.ldif"), root + people)?;
        let load =
            Run::new("/usr/sbin/slapadd").args(["-q", "-f", &at("slapd.conf"), "-l", &at("people.ldif")]);
        load.ok()?;
        let url = format!("ldap://127.0.0.1:{}", sealwright_tests::ports::free_port()?);
        let run = Run::new("/usr/sbin/slapd").args(["-d", "0", "-f", &at("slapd.conf"), "-h", &url]);
        let mut server = run.serve(&folder.path().join("slapd.log"))?;
        let answers =
            || Ok(Run::new("ldapwhoami").args(["-x", "-H", &url]).outcome()?.expect_code(0).is_ok());
        server.wait_until("slapd answers", answers)?;
        Ok(Self { folder, url, _server: server })
    }

    /// How many people have a certificate, as `ldapsearch` sees it.
    fn count(&self) -> Result<usize> {
        let arguments = ["-x", "-LLL", "-H", &self.url, "-b", BASE, "(userCertificate=*)", "1.1"];
        Ok(Run::new("ldapsearch").args(arguments).ok()?.out().matches("dn: ").count())
    }
}
