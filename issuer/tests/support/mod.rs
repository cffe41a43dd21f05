//! An organisation with its authorities, people and servers, and the foreign tools that judge what they are
//! given.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

pub mod test_key;

use std::convert::Infallible;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use getrandom::SysRng;
use issuer::ca::crl::{CrlHeader, RevokedCertificate};
use issuer::ca::lint::lint;
use issuer::ca::profile::{
    Assurance, Branch, CardHolder, CardUuid, MailServer, Organization, PersonName, PivExtensions, PolicyArc,
    StatusServices, Validity,
};
use issuer::ca::{Authority, CaError, Certificate, Profile, ProvenKey, SerialNumber};
use jiff::{SignedDuration, Timestamp};
use rand_core::UnwrapErr;
use test_key::TestKey;

pub type SystemRandom = UnwrapErr<SysRng>;

pub fn random() -> SystemRandom {
    UnwrapErr(SysRng)
}

/// Root, and the authorities for people, servers and documents.
pub struct World {
    pub organization: Organization,
    pub root: Authority,
    pub people: Authority,
    pub servers: Authority,
    pub documents: Authority,
    /// The day on which everything is made; the foreign tools look at the real clock.
    pub now: Timestamp,
}

impl World {
    pub fn new(new_key: fn() -> TestKey) -> Self {
        Self::of(organization(), new_key, Assurance::Production, today())
    }

    pub fn of(
        organization: Organization,
        new_key: fn() -> TestKey,
        assurance: Assurance,
        now: Timestamp,
    ) -> Self {
        let forever = Validity::for_days(now, 10_000);
        let serial_number = SerialNumber::random(&mut random());
        let mut root =
            Authority::create_root(&organization, Box::new(new_key()), serial_number, forever).unwrap();
        let mut issuing = |branch| {
            let mut key = new_key();
            let proof = ProvenKey::of_signer(&mut key, &mut random()).unwrap();
            let profile = Profile::IssuingAuthority(branch);
            let serial_number = SerialNumber::random(&mut random());
            let unsigned =
                root.prepare(&organization, &profile, assurance, &proof, serial_number, forever).unwrap();
            let certificate = root.sign(lint(unsigned).unwrap()).unwrap();
            Authority::open(certificate, Box::new(key)).unwrap()
        };
        let (people, servers) = (issuing(Branch::People), issuing(Branch::Servers));
        let documents = issuing(Branch::Documents);
        Self { organization, root, people, servers, documents, now }
    }

    /// Certifies a key of somebody's.
    pub fn certify(&mut self, profile: &Profile, key: &mut TestKey) -> Certificate {
        self.try_certify(profile, Assurance::Production, key, Validity::for_days(self.now, 700)).unwrap()
    }

    pub fn try_certify(
        &mut self,
        profile: &Profile,
        assurance: Assurance,
        key: &mut TestKey,
        validity: Validity,
    ) -> Result<Certificate, CaError> {
        let proof = ProvenKey::of_signer(key, &mut random())?;
        let serial_number = SerialNumber::random(&mut random());
        let authority = match profile {
            Profile::MailServer(_) => &mut self.servers,
            Profile::TimeStamping | Profile::DocumentSigning => &mut self.documents,
            _ => &mut self.people,
        };
        let unsigned =
            authority.prepare(&self.organization, profile, assurance, &proof, serial_number, validity)?;
        authority.sign(lint(unsigned)?)
    }

    pub fn authorities(&self) -> Vec<Certificate> {
        [&self.root, &self.people, &self.servers].map(|authority| authority.certificate().clone()).to_vec()
    }

    /// The people's CRL.
    pub fn crl(&mut self, number: u64, revoked: &[RevokedCertificate]) -> Vec<u8> {
        let header = self.crl_header(number);
        sign_crl(&mut self.people, header, revoked)
    }

    pub fn root_crl(&mut self, number: u64, revoked: &[RevokedCertificate]) -> Vec<u8> {
        let header = self.crl_header(number);
        sign_crl(&mut self.root, header, revoked)
    }

    pub fn servers_crl(&mut self, number: u64) -> Vec<u8> {
        let header = self.crl_header(number);
        sign_crl(&mut self.servers, header, &[])
    }

    pub fn crl_header(&self, number: u64) -> CrlHeader {
        CrlHeader {
            number,
            this_update: self.now,
            next_update: self.now + SignedDuration::from_hours(7 * 24),
        }
    }

    /// `root.pem`, `chain.pem` (the issuing authorities) and `crl.pem` (of all) in a directory.
    pub fn write_chain(&mut self, directory: &Path, revoked: &[RevokedCertificate]) {
        let pem = |authority: &Authority| authority.certificate().to_pem();
        write(directory, "root.pem", pem(&self.root));
        write(directory, "people.pem", pem(&self.people));
        write(directory, "servers.pem", pem(&self.servers));
        write(directory, "documents.pem", pem(&self.documents));
        write(directory, "chain.pem", pem(&self.people) + &pem(&self.servers) + &pem(&self.documents));
        let header = self.crl_header(1);
        let documents = sign_crl(&mut self.documents, header, &[]);
        let crls = [self.crl(1, revoked), self.root_crl(1, &[]), self.servers_crl(1), documents];
        write(directory, "crl.pem", crls.iter().map(|crl| crl_pem(crl)).collect::<String>());
    }
}

pub fn sign_crl(authority: &mut Authority, header: CrlHeader, revoked: &[RevokedCertificate]) -> Vec<u8> {
    let mut sorted = revoked.to_vec();
    sorted.sort_by(|one, other| one.serial_number.cmp(&other.serial_number));
    let mut crl = Vec::new();
    authority.sign_crl(header, sorted.into_iter().map(Ok::<_, Infallible>), &mut crl).unwrap();
    crl
}

pub fn organization() -> Organization {
    Organization {
        name: "Example Works".into(),
        identifier: None,
        base_url: "http://pki.example.com".into(),
        policies: PolicyArc::default(),
        piv_extensions: PivExtensions::Omitted,
        status_services: StatusServices::default(),
    }
}

pub fn holder(name: &str, mail: &str) -> CardHolder {
    CardHolder {
        name: PersonName::whole(name),
        identifier: Some("1001".into()),
        mail: vec![mail.parse().unwrap()],
        card: CardUuid([0x11; 16]),
    }
}

pub fn alice() -> CardHolder {
    holder("Alice Example", "alice@example.com")
}

pub fn mail_server() -> Profile {
    Profile::MailServer(MailServer {
        dns_names: vec!["mail.example.com".into()],
        ip_addresses: vec!["192.0.2.25".parse().unwrap()],
    })
}

/// An hour ago, in whole seconds: valid by the real clock that openssl and pkilint look at.
#[allow(clippy::disallowed_methods)]
pub fn today() -> Timestamp {
    let now = Timestamp::try_from(std::time::SystemTime::now()).unwrap();
    Timestamp::from_second(now.as_second() - 3600).unwrap()
}

pub fn write(directory: &Path, name: &str, contents: impl AsRef<[u8]>) -> PathBuf {
    let path = directory.join(name);
    std::fs::write(&path, contents).unwrap();
    path
}

pub fn crl_pem(der: &[u8]) -> String {
    der::pem::encode_string("X509 CRL", der::pem::LineEnding::LF, der).unwrap()
}

pub fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Runs openssl and answers what it said; it must succeed.
pub fn openssl<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(arguments: I) -> String {
    let output = Command::new("openssl").args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    text(&output)
}

/// `openssl verify` of a certificate against what [`World::write_chain`] wrote.
pub fn openssl_verify(directory: &Path, certificate: &Path, options: &[&str]) -> Output {
    let in_directory = |name| directory.join(name);
    Command::new("openssl")
        .args(["verify", "-x509_strict", "-crl_check_all"])
        .arg("-CAfile")
        .arg(in_directory("root.pem"))
        .arg("-untrusted")
        .arg(in_directory("chain.pem"))
        .arg("-CRLfile")
        .arg(in_directory("crl.pem"))
        .args(options)
        .arg(certificate)
        .output()
        .unwrap()
}

/// Runs a linter of pkilint over a file.
pub fn pkilint(linter: &str, options: &[&str], file: &Path) -> Output {
    let program = venv().join("bin").join(linter);
    assert!(
        program.exists(),
        "{} is not there: scripts/setup installs pkilint; or name a virtual environment that has it in SEALWRIGHT_VENV",
        program.display()
    );
    Command::new(program).args(["lint", "-s", "WARNING"]).args(options).arg(file).output().unwrap()
}

/// Fails with what the linter found.
pub fn assert_pkilint_clean(linter: &str, options: &[&str], file: &Path) {
    let output = pkilint(linter, options, file);
    assert!(output.status.success(), "{linter} {options:?} {}:\n{}", file.display(), text(&output));
}

/// Fails unless the linter finds exactly these, as `code: message`; an exception that stops applying fails too.
pub fn assert_pkilint_finds(linter: &str, file: &Path, expected: &[&str]) {
    let output = pkilint(linter, &["-f", "JSON"], file);
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output)));
    let results = report["results"].as_array().unwrap().iter();
    let findings = results.flat_map(|result| result["finding_descriptions"].as_array().unwrap());
    let field =
        |finding: &serde_json::Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let found: Vec<String> = findings
        .map(|finding| format!("{}: {}", field(finding, "code"), field(finding, "message")))
        .collect();
    assert_eq!(found, expected, "{}", file.display());
}

fn venv() -> PathBuf {
    match std::env::var_os("SEALWRIGHT_VENV") {
        Some(path) => path.into(),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../.venv"),
    }
}
