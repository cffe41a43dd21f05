//! Certification authorities and people made with the openssl command line, fresh for each test.
#![allow(
    dead_code,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "each test program uses its part"
)]
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use der::{Decode, Encode};
use jiff::Timestamp;
use mailer::content::Content;
use mailer::keys::{KeyRing, KeysError, RsaEncryption, Signer};
use mailer::smime::{Enveloping, Recipient, encrypt};
use mailer::trust::{Certificate, CertificateList};
use middleware::{Decryptor, FileKey, KeyAgreement, KeyError};
use zeroize::Zeroizing;

/// The moment for which tests judge.
pub(crate) fn now() -> Timestamp {
    "2026-06-01T12:00:00Z".parse().unwrap()
}

/// Bytes as content.
pub(crate) fn content(bytes: &[u8]) -> Content {
    Content::from_vec(bytes.to_vec())
}

/// Content as bytes.
pub(crate) fn bytes(content: &Content) -> Vec<u8> {
    content.to_vec(usize::MAX).unwrap().unwrap().to_vec()
}

/// An envelope as bytes, as long as it said before it was written.
pub(crate) fn envelope(plain: &[u8], recipients: &[Recipient], enveloping: Enveloping) -> Vec<u8> {
    let encrypted = encrypt(&content(plain), recipients, enveloping).unwrap();
    let mut der = Vec::new();
    encrypted.write_to(&mut der).unwrap();
    assert_eq!(der.len() as u64, encrypted.len());
    der
}

/// A validity that holds for the tests' moment and for the computer's clock.
pub(crate) const VALID: (&str, &str) = ("20240101000000Z", "20480101000000Z");

/// Runs openssl and answers what it said.
pub(crate) fn try_openssl(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new("openssl");
    command.args(arguments).current_dir(folder).stdin(Stdio::null()).env("OPENSSL_CONF", "/dev/null");
    command.output().expect("openssl must be installed")
}

/// Runs openssl, which must succeed, and answers its standard output.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = try_openssl(folder, arguments);
    assert!(output.status.success(), "openssl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The kinds of keys that tests use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Rsa1024,
    Rsa2048,
    Rsa3072,
    Rsa4096,
    P256,
    P384,
    P521,
    Ed25519,
    X25519,
    Dsa1024,
}

impl Key {
    fn generate(self, folder: &Path, file: &str) {
        let options: &[&str] = match self {
            Self::Rsa2048 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
            Self::P256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            Self::P384 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"],
            Self::P521 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"],
            Self::Rsa3072 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"],
            Self::Rsa4096 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"],
            Self::Ed25519 => &["-algorithm", "ED25519"],
            Self::Rsa1024 => &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"],
            Self::Dsa1024 => {
                openssl(folder, &["dsaparam", "-genkey", "-noout", "-out", file, "1024"]);
                return;
            }
            Self::X25519 => &["-algorithm", "X25519"],
        };
        openssl(folder, &[&["genpkey", "-out", file][..], options].concat());
    }

    /// The key usage that belongs to an encryption certificate of this kind.
    pub(crate) fn encryption_usage(self) -> &'static str {
        match self {
            Self::Rsa1024 | Self::Rsa2048 | Self::Rsa3072 | Self::Rsa4096 => {
                "keyUsage=critical,keyEncipherment"
            }
            _ => "keyUsage=critical,keyAgreement",
        }
    }
}

/// A person's key and certificate; the files lie in `folder` under `name.key` and `name.pem`.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
}

impl Identity {
    pub(crate) fn certificate(&self) -> Certificate {
        let pem = std::fs::read(self.folder.join(format!("{}.pem", self.name))).unwrap();
        Certificate::from_file_contents(&pem).unwrap().remove(0)
    }

    pub(crate) fn pkcs8(&self) -> Vec<u8> {
        openssl(
            &self.folder,
            &["pkcs8", "-topk8", "-nocrypt", "-in", &format!("{}.key", self.name), "-outform", "DER"],
        )
    }

    pub(crate) fn ring(&self) -> FileKeyRing {
        let mut ring = FileKeyRing::default();
        ring.add(&self.pkcs8(), self.certificate()).unwrap();
        ring
    }

    pub(crate) fn pem(&self) -> String {
        format!("{}.pem", self.name)
    }

    pub(crate) fn key(&self) -> String {
        format!("{}.key", self.name)
    }
}

/// A certification authority with its database.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    pub(crate) folder: PathBuf,
    pub(crate) name: String,
}

pub(crate) const CA: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

/// Extensions of a signature certificate.
pub(crate) fn signing(address: &str) -> String {
    format!("{}\nkeyUsage=critical,digitalSignature,nonRepudiation", mail(address))
}

/// Extensions of an encryption certificate.
pub(crate) fn encryption(address: &str, key: Key) -> String {
    format!("{}\n{}", mail(address), key.encryption_usage())
}

/// Extensions that every mail certificate has.
pub(crate) fn mail(address: &str) -> String {
    format!(
        "subjectAltName=email:{address}\nextendedKeyUsage=emailProtection\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid"
    )
}

impl Authority {
    /// A self-signed one.
    pub(crate) fn root(folder: &Path, name: &str, extensions: &str) -> Self {
        let authority = Self::prepare(folder, name);
        Key::P256.generate(folder, &format!("{name}.key"));
        authority.request(name);
        authority.sign_with(&["-selfsign"], name, extensions, VALID);
        authority
    }

    /// One below this.
    pub(crate) fn subordinate(&self, name: &str, extensions: &str) -> Self {
        self.subordinate_with(name, extensions, VALID)
    }

    pub(crate) fn subordinate_with(&self, name: &str, extensions: &str, validity: (&str, &str)) -> Self {
        let authority = Self::prepare(&self.folder, name);
        Key::P256.generate(&self.folder, &format!("{name}.key"));
        self.request(name);
        self.sign_with(&[], name, extensions, validity);
        authority
    }

    /// A person's certificate.
    pub(crate) fn issue(&self, name: &str, key: Key, extensions: &str) -> Identity {
        self.issue_with(name, key, extensions, VALID)
    }

    pub(crate) fn issue_with(
        &self,
        name: &str,
        key: Key,
        extensions: &str,
        validity: (&str, &str),
    ) -> Identity {
        let identity = Identity { folder: self.folder.clone(), name: name.to_owned() };
        if key == Key::X25519 {
            // No request: the key cannot sign one.
            Key::P256.generate(&self.folder, &format!("{name}.key"));
            self.request(name);
            self.sign_with(&[], name, extensions, validity);
            key.generate(&self.folder, &format!("{name}.key"));
            let public_key =
                openssl(&self.folder, &["pkey", "-in", &identity.key(), "-pubout", "-outform", "DER"]);
            self.certify_key_instead(&identity, &public_key);
            return identity;
        }
        key.generate(&self.folder, &format!("{name}.key"));
        self.request(name);
        self.sign_with(&[], name, extensions, validity);
        identity
    }

    /// Puts another public key (DER of a SubjectPublicKeyInfo) into a certificate of this authority and signs it again.
    pub(crate) fn certify_key_instead(&self, identity: &Identity, public_key: &[u8]) {
        let certificate = identity.certificate();
        let parsed = x509_cert::Certificate::from_der(certificate.der()).unwrap();
        let tbs = parsed.tbs_certificate().to_der().unwrap();
        let old = parsed.tbs_certificate().subject_public_key_info().to_der().unwrap();
        let at = tbs.windows(old.len()).position(|window| window == old).unwrap();
        let (_, contents) = header_and_contents(&tbs);
        let at = at - (tbs.len() - contents.len());
        let tbs = sequence(&[&contents[..at], public_key, &contents[at + old.len()..]].concat());
        std::fs::write(self.folder.join("tbs.der"), &tbs).unwrap();
        let key = format!("{}.key", self.name);
        let signature = openssl(&self.folder, &["dgst", "-sha256", "-sign", &key, "tbs.der"]);
        let signature = der::asn1::BitString::from_bytes(&signature).unwrap().to_der().unwrap();
        let algorithm = parsed.signature_algorithm().to_der().unwrap();
        let der = sequence(&[tbs, algorithm, signature].concat());
        std::fs::write(self.folder.join("certificate.der"), der).unwrap();
        let pem = identity.pem();
        openssl(&self.folder, &["x509", "-inform", "DER", "-in", "certificate.der", "-out", &pem]);
    }

    /// Certifies the key of `name` once more, under another file name.
    pub(crate) fn certify_again(
        &self,
        name: &str,
        file: &str,
        extensions: &str,
        validity: (&str, &str),
    ) -> Identity {
        std::fs::copy(self.folder.join(format!("{name}.key")), self.folder.join(format!("{file}.key")))
            .unwrap();
        std::fs::copy(self.folder.join(format!("{name}.csr")), self.folder.join(format!("{file}.csr")))
            .unwrap();
        self.sign_with(&[], file, extensions, validity);
        Identity { folder: self.folder.clone(), name: file.to_owned() }
    }

    pub(crate) fn certificate(&self) -> Certificate {
        Identity { folder: self.folder.clone(), name: self.name.clone() }.certificate()
    }

    /// Revokes; `options` are those of `openssl ca`, for example `-crl_compromise 20260501000000Z`.
    pub(crate) fn revoke(&self, identity: &str, options: &[&str]) {
        let file = format!("{identity}.pem");
        self.ca(&[&["-revoke", &file][..], options].concat());
    }

    /// A CRL good around the tests' moment.
    pub(crate) fn crl(&self) -> CertificateList {
        self.crl_with("", ("20260525000000Z", "20260610000000Z"))
    }

    pub(crate) fn crl_with(&self, extensions: &str, validity: (&str, &str)) -> CertificateList {
        let file = format!("{}.crl", self.name);
        let config = self.folder.join(format!("{}.cnf", self.name));
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("{text}\n{extensions}\n")).unwrap();
        self.ca(&["-gencrl", "-out", &file, "-crl_lastupdate", validity.0, "-crl_nextupdate", validity.1]);
        std::fs::write(&config, text).unwrap();
        CertificateList::from_der(&openssl(&self.folder, &["crl", "-in", &file, "-outform", "DER"])).unwrap()
    }

    fn prepare(folder: &Path, name: &str) -> Self {
        std::fs::create_dir_all(folder.join(name)).unwrap();
        std::fs::write(folder.join(name).join("index.txt"), "").unwrap();
        std::fs::write(folder.join(name).join("crlnumber"), "01\n").unwrap();
        let config = format!(
            "[ca]\ndefault_ca=this\n[this]\ndatabase={name}/index.txt\nnew_certs_dir={name}\ncrlnumber={name}/crlnumber\n\
             certificate={name}.pem\nprivate_key={name}.key\ndefault_md=sha256\npolicy=any\nunique_subject=no\nrand_serial=yes\n\
             crl_extensions=crl\n[any]\ncommonName=supplied\n[crl]\nauthorityKeyIdentifier=keyid\n"
        );
        std::fs::write(folder.join(format!("{name}.cnf")), config).unwrap();
        Self { folder: folder.to_owned(), name: name.to_owned() }
    }

    fn request(&self, name: &str) {
        let request = "[req]\ndistinguished_name=dn\n[dn]\n";
        std::fs::write(self.folder.join("req.cnf"), request).unwrap();
        let (key, file, subject) = (format!("{name}.key"), format!("{name}.csr"), format!("/CN={name}"));
        openssl(
            &self.folder,
            &["req", "-new", "-config", "req.cnf", "-key", &key, "-out", &file, "-subj", &subject],
        );
    }

    fn sign_with(&self, options: &[&str], name: &str, extensions: &str, validity: (&str, &str)) {
        let (request, file, extension_file) =
            (format!("{name}.csr"), format!("{name}.pem"), format!("{name}.ext"));
        std::fs::write(self.folder.join(&extension_file), format!("{extensions}\n")).unwrap();
        let arguments = [
            "-notext",
            "-in",
            &request,
            "-out",
            &file,
            "-extfile",
            &extension_file,
            "-startdate",
            validity.0,
            "-enddate",
            validity.1,
        ];
        self.ca(&[&arguments[..], options].concat());
    }

    fn ca(&self, arguments: &[&str]) {
        let config = format!("{}.cnf", self.name);
        openssl(&self.folder, &[&["ca", "-batch", "-config", &config][..], arguments].concat());
    }
}

fn header_and_contents(der: &[u8]) -> (der::Header, &[u8]) {
    let mut reader = der::SliceReader::new(der).unwrap();
    let header = der::Header::decode(&mut reader).unwrap();
    (header, &der[der.len() - usize::try_from(header.length()).unwrap()..])
}

fn sequence(contents: &[u8]) -> Vec<u8> {
    der::Any::new(der::Tag::Sequence, contents).unwrap().to_der().unwrap()
}

/// A root, an issuing CA below it, and a folder that goes away with the test.
pub(crate) struct Pki {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) root: Authority,
    pub(crate) people: Authority,
}

impl Pki {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = Authority::root(folder.path(), "Root", CA);
        let people = root.subordinate("People", CA);
        let chain = [
            std::fs::read(folder.path().join("Root.pem")).unwrap(),
            std::fs::read(folder.path().join("People.pem")).unwrap(),
        ]
        .concat();
        std::fs::write(folder.path().join("chain.pem"), chain).unwrap();
        Self { folder, root, people }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn write(&self, file: &str, content: &[u8]) {
        std::fs::write(self.path().join(file), content).unwrap();
    }

    pub(crate) fn read(&self, file: &str) -> Vec<u8> {
        std::fs::read(self.path().join(file)).unwrap()
    }

    /// A person who signs.
    pub(crate) fn signer(&self, name: &str, key: Key) -> Identity {
        self.people.issue(name, key, &signing(&format!("{name}@example.test")))
    }

    /// A person to whom is encrypted.
    pub(crate) fn reader(&self, name: &str, key: Key) -> Identity {
        self.people.issue(name, key, &encryption(&format!("{name}@example.test"), key))
    }
}

/// Keys held in memory, each with its certificate.
#[derive(Default)]
pub(crate) struct FileKeyRing {
    keys: Vec<FileKey>,
    certificates: Vec<Certificate>,
}

impl FileKeyRing {
    /// Adds a key (unencrypted PKCS #8 DER) with its certificate.
    pub(crate) fn add(&mut self, pkcs8: &[u8], certificate: Certificate) -> Result<(), KeyError> {
        self.keys.push(FileKey::from_pkcs8_der(pkcs8)?);
        self.certificates.push(certificate);
        Ok(())
    }

    /// The key of certificate `index` as a signer.
    pub(crate) fn signer(&mut self, index: usize) -> Option<&mut dyn Signer> {
        self.keys.get_mut(index).map(|key| key as &mut dyn Signer)
    }
}

impl KeyRing for FileKeyRing {
    fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    fn decrypt(
        &mut self,
        index: usize,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        Ok(Decryptor::decrypt(self.keys.get_mut(index).ok_or(KeysError::NoSuchKey)?, encryption, ciphertext)?)
    }

    fn agree(&mut self, index: usize, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        Ok(KeyAgreement::agree(self.keys.get_mut(index).ok_or(KeysError::NoSuchKey)?, peer)?)
    }
}
