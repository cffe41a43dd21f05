//! A desk in a temporary directory: the real program, real files, emulated cards.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use card_sim::cli::Arguments;
use clap::Parser;
use issuer::ca::profile::{Assurance, Validity};
use issuer::ca::signed_data::SignerIdentity;
use issuer::ca::{Organization, ProvenKey};
use issuer::clock::{Clock, SystemClock};
use issuer::domain::{AuthorityName, Guid};
use issuer::personalization::custody::MasterKey;
use issuer::personalization::objects::ContentSigner;
use issuer::registry::{NewCertificate, Registry};
use middleware::{Card, FileKey, KeyAlgorithm, KeyReference, Locator, Pin};
use rand_core::UnwrapErr;
use serde_json::Value;

pub const PASSPHRASE: &str = "correct horse battery staple";

pub struct Desk {
    pub directory: tempfile::TempDir,
    /// Where the registry is, unless it lies in the home.
    pub registry: Option<String>,
}

#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Desk {
    /// A home for tests with two people: Alice Ng (id 1001) and Bob Ruiz.
    pub fn new() -> Self {
        Self::with_services(&[])
    }

    /// The same with what `init` is told of services.
    pub fn with_services(services: &[&str]) -> Self {
        let desk = Self::empty();
        let organization = ["--organization", "Example Org", "--domain", "example.org"];
        let base = ["--base-url", "http://pki.example.org"];
        desk.issuer(&[&["init", "--allow-emulated"][..], &organization, &base, services].concat()).expect(0);
        desk.import_staff("name,mail,id\nAlice Ng,alice@example.org,1001\nBob Ruiz,bob@example.org,\n")
            .expect(0);
        desk
    }

    /// A desk with OCSP whose directory `public` is published, with Alice's card and its certificates in `alice`.
    pub fn with_ocsp() -> Self {
        let desk = Self::with_services(&["--ocsp"]);
        desk.issue_and_extract("alice");
        desk.publish();
        desk
    }

    /// Issues a card to this person of `example.org`, and puts its certificates into a folder called so.
    pub fn issue_and_extract(&self, person: &str) {
        let locator = self.yubikey(&format!("{person}.card"), &[]);
        self.issue(&format!("{person}@example.org"), &locator, &[]);
        extract_certificates(&locator, &self.path(person));
    }

    /// A home for tests whose registry is elsewhere; nobody is in it yet.
    pub fn with_registry(url: &str) -> Self {
        let desk = Self { registry: Some(url.to_owned()), ..Self::empty() };
        let organization = ["--organization", "Example Org", "--domain", "example.org"];
        let base = ["--base-url", "http://pki.example.org"];
        desk.issuer(&[&["init", "--allow-emulated"][..], &organization, &base].concat()).expect(0);
        desk
    }

    /// A directory with a passphrase file and nothing else.
    pub fn empty() -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("passphrase"), format!("{PASSPHRASE}\n")).unwrap();
        Self { directory, registry: None }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_issuer"));
        command.env_remove("ISSUER_HOME").current_dir(self.directory.path()).stdin(Stdio::null());
        command
            .arg("--home")
            .arg(self.home())
            .arg("--passphrase-file")
            .arg(self.path("passphrase"))
            .args(arguments);
        if let Some(registry) = &self.registry {
            command.env("ISSUER_REGISTRY", registry);
        }
        command
    }

    pub fn issuer(&self, arguments: &[&str]) -> Run {
        run(&mut self.command(arguments))
    }

    /// The same on another day (libfaketime): `-m` for programs with threads, and only the clock of the day. The wrapper refuses
    /// to start anything where a killed one that had its process number left its semaphore: the next one has another number.
    pub fn on_another_day(&self, later: &str, arguments: &[&str]) -> Run {
        let issuer = self.command(arguments);
        let mut command = Command::new("faketime");
        command.args(["-m", "-f", later]).arg(issuer.get_program()).args(issuer.get_args());
        command
            .current_dir(self.directory.path())
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .stdin(Stdio::null());
        let is_started = |run: &Run| !run.stderr.starts_with("faketime: ");
        let mut tries = std::iter::repeat_with(|| run(&mut command)).take(9);
        tries.find(is_started).expect("faketime starts the program")
    }

    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut with_json = vec!["--json"];
        with_json.extend(arguments);
        let done = self.issuer(&with_json);
        done.expect(0);
        serde_json::from_str(&done.stdout).unwrap()
    }

    pub fn import_staff(&self, text: &str) -> Run {
        std::fs::write(self.path("staff.csv"), text).unwrap();
        self.issuer(&["staff", "import", "staff.csv"])
    }

    /// A blank card; answers its locator.
    pub fn blank(&self, name: &str, arguments: &[&str]) -> String {
        let state = self.text(name);
        let mut all = vec!["card-sim", "new", &state];
        all.extend(arguments);
        let _ = card_sim::cli::run(Arguments::try_parse_from(all).unwrap());
        assert!(Path::new(&state).exists(), "card-sim new made no card");
        format!("sim:{state}")
    }

    /// A blank `yubikey5` card in stock; answers its locator.
    pub fn yubikey(&self, name: &str, arguments: &[&str]) -> String {
        let locator = self.blank(name, arguments);
        self.issuer(&["stock", "add", "--card", &locator]).expect(0);
        locator
    }

    /// A blank `standard` card in stock; answers its locator.
    pub fn standard(&self, name: &str) -> String {
        let locator = self.blank(name, &["--personality", "standard"]);
        self.issuer(&["stock", "add", "--file", &format!("{name}.stock.toml")]).expect(0);
        locator
    }

    /// Issues a card and answers the transport PIN.
    pub fn issue(&self, person: &str, locator: &str, arguments: &[&str]) -> String {
        let file = self.text(&format!("{}.pin", person.replace('@', "-")));
        let mut all = vec!["issue", person, "--card", locator, "--transport-pin-file", &file];
        all.extend(arguments);
        self.issuer(&all).expect(0);
        std::fs::read_to_string(file).unwrap().trim().to_owned()
    }

    /// Publishes and answers the directory.
    pub fn publish(&self) -> PathBuf {
        self.issuer(&["publish", "--to", "public"]).expect(0);
        self.path("public")
    }

    pub fn master_key(&self) -> MasterKey {
        let text = std::fs::read_to_string(self.home().join("master.key")).unwrap();
        MasterKey::from_file(&text, PASSPHRASE).unwrap()
    }

    /// The private key of an authority as openssl sees it, DER of PKCS#8.
    pub fn authority_key(&self, name: AuthorityName) -> Vec<u8> {
        let file = self.home().join(format!("keys/{name}.pem"));
        let pass = format!("pass:{PASSPHRASE}");
        let output = openssl(&[
            "pkcs8",
            "-in",
            file.to_str().unwrap(),
            "-passin",
            &pass,
            "-nocrypt",
            "-topk8",
            "-outform",
            "DER",
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }
}

/// A content signer of its own, certified by an authority for people.
pub async fn content_signer(
    registry: &Registry,
    authority: &mut issuer::ca::Authority,
    organization: &Organization,
) -> ContentSigner {
    let mut random = UnwrapErr(getrandom::SysRng);
    let mut key = FileKey::generate(KeyAlgorithm::P256).unwrap();
    let proven = ProvenKey::of_signer(&mut key, &mut random).unwrap();
    let number = issuer::ca::SerialNumber::random(&mut random);
    let validity = Validity::for_days(authority.certificate().not_before(), 900);
    let profile = issuer::ca::Profile::ContentSigning;
    let linted = issuer::ca::lint::lint(
        authority
            .prepare(organization, &profile, Assurance::Production, &proven, number.clone(), validity)
            .unwrap(),
    )
    .unwrap();
    let reserved = NewCertificate {
        serial: issuer::domain::SerialNumber::from_bytes(number.as_bytes()).unwrap(),
        authority: AuthorityName::People,
        profile: profile.name().to_owned(),
        subject: "content signer of a test".to_owned(),
        mail: None,
        on_card: None,
        not_before: validity.not_before,
        not_after: validity.not_after,
        to_be_signed: linted.as_der().to_vec(),
    };
    let now = SystemClock.now();
    registry.reserve_certificate(&reserved, now).await.unwrap();
    let certificate = authority.sign(linted).unwrap();
    registry.record_signature(&reserved.serial, certificate.as_der(), now).await.unwrap();
    registry.confirm_delivery(&reserved.serial, now).await.unwrap();
    ContentSigner::new(Box::new(key), SignerIdentity::new(certificate, &[]).unwrap())
}

impl Run {
    #[track_caller]
    pub fn expect(&self, status: i32) -> &Self {
        assert_eq!(self.status, status, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// A refusal: this status, and one or two lines on standard error that say all of `words`.
    #[track_caller]
    pub fn refuses(&self, status: i32, words: &[&str]) {
        self.expect(status);
        let message: Vec<_> = self.stderr.lines().filter(|line| line.starts_with("issuer: ")).collect();
        assert_eq!(message.len(), 1, "stderr: {}", self.stderr);
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        for type_name in ["Error", "Some(", "Os {", "panicked", "::"] {
            assert!(!self.stderr.contains(type_name), "{type_name:?} is in: {}", self.stderr);
        }
    }
}

pub fn run(command: &mut Command) -> Run {
    let output = command.output().unwrap();
    Run {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

pub fn openssl(arguments: &[&str]) -> Output {
    Command::new("openssl").args(arguments).output().expect("openssl is installed")
}

/// What `openssl verify` says of a certificate against the published files.
pub fn openssl_verify(public: &Path, certificate: &Path, arguments: &[&str]) -> (bool, String) {
    let file = |name: &str| public.join(name).to_str().unwrap().to_owned();
    let (anchor, chain, crl) = (file("anchor.pem"), file("ca-chain.pem"), file("crl.pem"));
    let mut all = vec![
        "verify",
        "-x509_strict",
        "-crl_check_all",
        "-CAfile",
        &anchor,
        "-untrusted",
        &chain,
        "-CRLfile",
        &crl,
    ];
    all.extend(arguments);
    let certificate = certificate.to_str().unwrap();
    all.push(certificate);
    let output = openssl(&all);
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8(text).unwrap())
}

pub const KEYS: [(&str, KeyReference); 4] = [
    ("9A", KeyReference::Authentication),
    ("9C", KeyReference::DigitalSignature),
    ("9D", KeyReference::KeyManagement),
    ("9E", KeyReference::CardAuthentication),
];

pub fn open(locator: &str) -> Card {
    Card::open(&locator.parse::<Locator>().unwrap()).unwrap()
}

/// When its first certificates begin, as commands take it.
pub fn begin_of(locator: &str) -> String {
    let der = open(locator).certificate(KeyReference::DigitalSignature).unwrap().unwrap();
    issuer::ca::Certificate::from_der(der).unwrap().not_before().to_string()
}

pub fn guid_of(locator: &str) -> Guid {
    Guid::new(open(locator).identity().unwrap().guid.unwrap())
}

pub fn pin(digits: &str) -> Pin {
    Pin::new(digits).unwrap()
}

/// Writes the certificates of a card as PEM files `KEY.pem` into a directory.
pub fn extract_certificates(locator: &str, directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    let mut card = open(locator);
    for (name, key) in KEYS {
        let der = card.certificate(key).unwrap().expect("the key has a certificate");
        let pem = issuer::ca::Certificate::from_der(der).unwrap().to_pem();
        std::fs::write(directory.join(format!("{name}.pem")), pem).unwrap();
    }
}

/// Every file below a directory.
pub fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files.extend(files_below(&path)) } else { files.push(path) }
    }
    files
}
