//! Blank cards to test with, and certificates for their keys.
use std::path::{Path, PathBuf};

use card_sim::crypto::{Randomness, SymmetricAlgorithm};
use card_sim::piv::blank::{BlankCard, BlankKind};
use card_sim::piv::personality::Firmware;
use card_sim::store::file::FileStore;
use card_sim::store::image;
use middleware::{
    Administration, Card, CardError, KeyAlgorithm, KeyReference, LastTry, Locator, ManagementKey,
    ManagementKeyAlgorithm, Pin, Puk,
};
use sha2::Digest as _;
use spki::SubjectPublicKeyInfoOwned;
use tempfile::TempDir;

use crate::openssl::{openssl, write_public_key};

pub(crate) const FACTORY_PIN: &str = "123456";
pub(crate) const FACTORY_PUK: &str = "12345678";

/// A blank card in a folder of its own.
pub(crate) struct TestCard {
    folder: TempDir,
    pub(crate) management_key: ManagementKey,
    management_key_hex: String,
    pub(crate) puk: String,
}

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    YubiKey57,
    YubiKey54,
    Standard,
}

impl TestCard {
    pub(crate) fn new(kind: Kind) -> Self {
        let blank = match kind {
            Kind::YubiKey57 => BlankKind::YubiKey5 { firmware: Firmware::V5_7, serial: Some(12_345_678) },
            Kind::YubiKey54 => BlankKind::YubiKey5 { firmware: Firmware::V5_4, serial: Some(5_400_000) },
            Kind::Standard => BlankKind::Standard,
        };
        let mut randomness = Randomness::from_system().unwrap();
        let (state, stock) =
            BlankCard { kind: blank, keys: Default::default(), seed: None }.manufacture(&mut randomness);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("card");
        FileStore::create(&path, &image::encode(&state, &path).unwrap()).unwrap();
        let factory = |algorithm: ManagementKeyAlgorithm| -> Vec<u8> {
            (1..=8).cycle().take(algorithm.key_length()).collect()
        };
        let (algorithm, management_key_bytes, puk) = match (kind, stock) {
            (Kind::YubiKey54, _) => {
                let algorithm = ManagementKeyAlgorithm::TripleDes;
                (algorithm, factory(algorithm), FACTORY_PUK.to_owned())
            }
            (_, None) => {
                let algorithm = ManagementKeyAlgorithm::Aes192;
                (algorithm, factory(algorithm), FACTORY_PUK.to_owned())
            }
            (_, Some(stock)) => {
                assert_eq!(stock.management_key_algorithm, SymmetricAlgorithm::Aes256);
                let key = stock.management_key.expose();
                (
                    ManagementKeyAlgorithm::Aes256,
                    key.to_vec(),
                    String::from_utf8(stock.puk.expose().to_vec()).unwrap(),
                )
            }
        };
        let management_key =
            ManagementKey::new(algorithm, &management_key_bytes).unwrap_or_else(|error| panic!("{error}"));
        let management_key_hex = hex::encode(&management_key_bytes);
        Self { folder, management_key, management_key_hex, puk }
    }

    pub(crate) fn yubikey() -> Self {
        Self::new(Kind::YubiKey57)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder().join("card")
    }

    pub(crate) fn locator(&self) -> Locator {
        Locator::Emulated(self.path())
    }

    pub(crate) fn open(&self) -> Card {
        Card::open(&self.locator()).unwrap()
    }

    pub(crate) fn management_key_hex(&self) -> &str {
        &self.management_key_hex
    }

    pub(crate) fn puk(&self) -> Puk {
        Puk::new(self.puk.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// One administration of the open card.
    pub(crate) fn administer<T>(
        &self,
        card: &mut Card,
        act: impl FnOnce(&mut Administration<'_, '_>) -> T,
    ) -> T {
        let mut transaction = card.transaction().unwrap();
        let mut administration =
            transaction.authenticate(&self.management_key).unwrap_or_else(|error| panic!("{error}"));
        act(&mut administration)
    }

    /// A key generated on the card, and a certificate for it where it belongs.
    pub(crate) fn issue(
        &self,
        card: &mut Card,
        key: KeyReference,
        algorithm: KeyAlgorithm,
    ) -> SubjectPublicKeyInfoOwned {
        let public_key =
            self.administer(card, |administration| administration.generate(key, algorithm)).unwrap();
        let certificate = certificate_for(self.folder(), &public_key);
        self.administer(card, |administration| administration.write_certificate(key, &certificate)).unwrap();
        public_key
    }
}

/// A DER certificate for any public key, made by openssl.
pub(crate) fn certificate_for(folder: &Path, public_key: &SubjectPublicKeyInfoOwned) -> Vec<u8> {
    write_public_key(folder, "subject.pem", public_key);
    let authority = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    let files = ["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Test CA"];
    openssl(folder, &[&authority[..], &files[..]].concat());
    openssl(folder, &["req", "-new", "-key", "ca.key", "-subj", "/CN=Alice/O=Test", "-out", "subject.csr"]);
    std::fs::write(folder.join("extensions"), "subjectAltName=email:alice@mail.test\n").unwrap();
    let request = ["x509", "-req", "-in", "subject.csr", "-force_pubkey", "subject.pem", "-CA", "ca.pem"];
    let options = ["-CAkey", "ca.key", "-extfile", "extensions", "-outform", "DER"];
    openssl(folder, &[&request[..], &options[..]].concat())
}

pub(crate) fn pin(text: &str) -> Pin {
    Pin::new(text).unwrap_or_else(|error| panic!("{error}"))
}

/// Verifies a PIN and forgets that it is fresh.
pub(crate) fn verify(card: &mut Card, text: &str, last_try: LastTry) -> Result<(), CardError> {
    card.transaction()?.verify_pin(&pin(text), last_try).map(drop)
}

pub(crate) fn sha256(data: &[u8]) -> Vec<u8> {
    sha2::Sha256::digest(data).to_vec()
}
