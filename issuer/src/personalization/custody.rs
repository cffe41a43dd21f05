//! Custody: the master key, what derives from it, and what is sealed under it.
//!
//! PUK and management key of a card are derived, never stored:
//! `HKDF-SHA-256(ikm = master key, salt = GUID, info = label with version)` (RFC 5869). A card that cannot change its
//! management key keeps the manufacturer's; that one is stored, sealed with AES-256-GCM under a key that derives from the
//! master key too. The master key itself is a file, encrypted with AES-256-GCM under a key that scrypt (RFC 7914) makes
//! of the passphrase.

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use hkdf::Hkdf;
use middleware::{CardError, ManagementKey, ManagementKeyAlgorithm, Puk};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::domain::{Guid, StockIdentity};

/// 32 random bytes from which every card's secrets derive. No `Debug`; zeroised on drop.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct MasterKey([u8; 32]);

/// What a card came with from its manufacturer. No `Debug`; zeroised on drop.
#[derive(Zeroize, ZeroizeOnDrop, Serialize, Deserialize)]
pub struct StockSecrets {
    /// 8 bytes; absent once the card has another.
    puk: Option<Vec<u8>>,
    management_key: Vec<u8>,
    #[zeroize(skip)]
    management_key_algorithm: String,
}

/// Why custody did not give a secret out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CustodyError {
    /// The passphrase is wrong, or the file was changed.
    #[error("wrong passphrase, or the master key file is damaged")]
    WrongPassphrase,
    /// The file is not a master key file.
    #[error("not a master key file: {0}")]
    MalformedFile(String),
    /// What is sealed does not open: another master key sealed it, or it was changed.
    #[error("the sealed secrets of the card do not open with this master key")]
    SealedByAnother,
    /// A key or PUK of the wrong shape.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A primitive refused its parameters.
    #[error("{0}")]
    Unusable(&'static str),
}

/// The master key file; every field but the ciphertext is authenticated with it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MasterKeyFile {
    format: String,
    /// Key identifier of the root certificate of the issuer whose master key this is, hex; older files have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root: Option<String>,
    scrypt_log_n: u8,
    scrypt_r: u32,
    scrypt_p: u32,
    salt: String,
    nonce: String,
    ciphertext: String,
}

const FORMAT: &str = "sealwright-master-key-1";
const SCRYPT_LOG_N: u8 = 16;
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
const NONCE_LENGTH: usize = 12;
/// Room for [`StockSecrets`] as JSON: a PUK of 8 bytes and a key of 32, each byte up to four characters.
const LONGEST_JSON: usize = 512;

impl MasterKey {
    /// A new master key.
    pub fn generate<R: CryptoRng + ?Sized>(random: &mut R) -> Self {
        let mut bytes = [0; 32];
        random.fill_bytes(&mut bytes);
        Self(bytes)
    }

    /// The contents of the master key file of the issuer with this root (key identifier of its certificate).
    ///
    /// # Errors
    /// [`CustodyError::Unusable`].
    pub fn to_file<R: CryptoRng + ?Sized>(
        &self,
        passphrase: &str,
        root: &[u8],
        random: &mut R,
    ) -> Result<String, CustodyError> {
        let (mut salt, mut nonce) = ([0; 16], [0; NONCE_LENGTH]);
        random.fill_bytes(&mut salt);
        random.fill_bytes(&mut nonce);
        let mut file = MasterKeyFile {
            format: FORMAT.to_owned(),
            root: Some(hex::encode(root)),
            scrypt_log_n: SCRYPT_LOG_N,
            scrypt_r: SCRYPT_R,
            scrypt_p: SCRYPT_P,
            salt: hex::encode(salt),
            nonce: hex::encode(nonce),
            ciphertext: String::new(),
        };
        let (cipher, header) = (file.cipher(passphrase, &salt)?, file.header());
        let payload = Payload { msg: &self.0, aad: header.as_bytes() };
        let ciphertext = cipher
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| CustodyError::Unusable("encryption failed"))?;
        file.ciphertext = hex::encode(ciphertext);
        toml::to_string(&file).map_err(|error| CustodyError::MalformedFile(error.to_string()))
    }

    /// Opens the contents of a master key file.
    ///
    /// # Errors
    /// [`CustodyError::WrongPassphrase`], [`CustodyError::MalformedFile`].
    pub fn from_file(text: &str, passphrase: &str) -> Result<Self, CustodyError> {
        let malformed = |reason: &str| CustodyError::MalformedFile(reason.to_owned());
        let file = MasterKeyFile::read(text)?;
        let salt = hex::decode(&file.salt).map_err(|_| malformed("the salt is not hex"))?;
        let mut nonce = [0; NONCE_LENGTH];
        hex::decode_to_slice(&file.nonce, &mut nonce)
            .map_err(|_| malformed("the nonce is not 12 bytes of hex"))?;
        let ciphertext = hex::decode(&file.ciphertext).map_err(|_| malformed("the ciphertext is not hex"))?;
        let header = file.header();
        let payload = Payload { msg: &ciphertext, aad: header.as_bytes() };
        let plaintext = file.cipher(passphrase, &salt)?.decrypt(&Nonce::from(nonce), payload);
        let plaintext = Zeroizing::new(plaintext.map_err(|_| CustodyError::WrongPassphrase)?);
        let bytes =
            <[u8; 32]>::try_from(plaintext.as_slice()).map_err(|_| malformed("the key is not 32 bytes"))?;
        Ok(Self(bytes))
    }

    /// Whose master key a file holds: the key identifier of the root, hex; none in an older file. It is authenticated
    /// only by [`Self::from_file`].
    ///
    /// # Errors
    /// [`CustodyError::MalformedFile`].
    pub fn root_of(text: &str) -> Result<Option<String>, CustodyError> {
        Ok(MasterKeyFile::read(text)?.root)
    }

    /// The PUK of a card: 8 decimal digits.
    ///
    /// # Errors
    /// [`CustodyError::Unusable`].
    pub fn puk(&self, guid: Guid, version: u32) -> Result<Puk, CustodyError> {
        let mut material = Zeroizing::new([0; 16]);
        self.derive(guid.as_bytes(), &format!("card PUK, version {version}"), material.as_mut_slice())?;
        // 128 bits reduced to 8 digits: no digit is measurably likelier than another.
        let digits = Zeroizing::new(format!("{:08}", u128::from_be_bytes(*material) % 100_000_000));
        Ok(Puk::new(digits.as_bytes())?)
    }

    /// What the holder's program says once a remote unblock of this nonce is done.
    ///
    /// # Errors
    /// [`CustodyError::Unusable`].
    pub fn unblock_confirmation(
        &self,
        guid: Guid,
        nonce: &[u8; 16],
    ) -> Result<Zeroizing<[u8; 16]>, CustodyError> {
        let mut confirmation = Zeroizing::new([0; 16]);
        let label = format!("remote unblock {}, version 1", hex::encode(nonce));
        self.derive(guid.as_bytes(), &label, confirmation.as_mut_slice())?;
        Ok(confirmation)
    }

    /// The management key of a card, for the algorithm that its key 9B has.
    ///
    /// # Errors
    /// [`CustodyError::Unusable`].
    pub fn management_key(
        &self,
        guid: Guid,
        version: u32,
        algorithm: ManagementKeyAlgorithm,
    ) -> Result<ManagementKey, CustodyError> {
        let (name, length) = (algorithm_name(algorithm), algorithm_length(algorithm));
        let mut bytes = Zeroizing::new(vec![0; length]);
        self.derive(guid.as_bytes(), &format!("card management key {name}, version {version}"), &mut bytes)?;
        Ok(ManagementKey::new(algorithm, &bytes)?)
    }

    /// Seals what a card came with; only a record of the same card opens it.
    ///
    /// # Errors
    /// [`CustodyError::Unusable`].
    pub fn seal<R: CryptoRng + ?Sized>(
        &self,
        card: &StockIdentity,
        secrets: &StockSecrets,
        random: &mut R,
    ) -> Result<Vec<u8>, CustodyError> {
        let mut nonce = [0; NONCE_LENGTH];
        random.fill_bytes(&mut nonce);
        let plaintext = secrets.to_json()?;
        let identity = card.to_string();
        let payload = Payload { msg: &plaintext, aad: identity.as_bytes() };
        let sealed = self.sealing_cipher()?.encrypt(&Nonce::from(nonce), payload);
        let sealed = sealed.map_err(|_| CustodyError::Unusable("encryption failed"))?;
        Ok([nonce.as_slice(), &sealed].concat())
    }

    /// Opens what [`Self::seal`] sealed for the same card.
    ///
    /// # Errors
    /// [`CustodyError::SealedByAnother`].
    pub fn unseal(&self, card: &StockIdentity, sealed: &[u8]) -> Result<StockSecrets, CustodyError> {
        let Some((nonce, ciphertext)) = sealed.split_first_chunk::<NONCE_LENGTH>() else {
            return Err(CustodyError::SealedByAnother);
        };
        let identity = card.to_string();
        let payload = Payload { msg: ciphertext, aad: identity.as_bytes() };
        let plaintext = self.sealing_cipher()?.decrypt(&Nonce::from(*nonce), payload);
        let plaintext = Zeroizing::new(plaintext.map_err(|_| CustodyError::SealedByAnother)?);
        serde_json::from_slice(&plaintext).map_err(|_| CustodyError::SealedByAnother)
    }

    fn sealing_cipher(&self) -> Result<Aes256Gcm, CustodyError> {
        let mut key = Zeroizing::new([0; 32]);
        self.derive(b"registry", "sealed card secrets, version 1", key.as_mut_slice())?;
        Aes256Gcm::new_from_slice(key.as_slice())
            .map_err(|_| CustodyError::Unusable("an AES-256 key has 32 bytes"))
    }

    fn derive(&self, salt: &[u8], label: &str, output: &mut [u8]) -> Result<(), CustodyError> {
        let info = format!("sealwright: {label}");
        Hkdf::<Sha256>::new(Some(salt), &self.0)
            .expand(info.as_bytes(), output)
            .map_err(|_| CustodyError::Unusable("HKDF gives at most 255 blocks"))
    }
}

impl StockSecrets {
    /// Written into a buffer that never moves, so that no copy is left in freed memory.
    fn to_json(&self) -> Result<Zeroizing<Vec<u8>>, CustodyError> {
        let mut json = Zeroizing::new(vec![0; LONGEST_JSON]);
        let mut rest = json.as_mut_slice();
        serde_json::to_writer(&mut rest, self)
            .map_err(|_| CustodyError::Unusable("secrets cannot be written"))?;
        let used = LONGEST_JSON - rest.len();
        json.truncate(used);
        Ok(json)
    }

    /// Takes the manufacturer's secrets.
    ///
    /// # Errors
    /// A PUK that is not 6 to 8 bytes, or a key that does not fit its algorithm.
    pub fn new(
        puk: &[u8],
        algorithm: ManagementKeyAlgorithm,
        management_key: &[u8],
    ) -> Result<Self, CustodyError> {
        Puk::new(puk)?;
        ManagementKey::new(algorithm, management_key)?;
        Ok(Self {
            puk: Some(puk.to_vec()),
            management_key: management_key.to_vec(),
            management_key_algorithm: algorithm_name(algorithm).to_owned(),
        })
    }

    /// The same without the PUK, once the card has another.
    #[must_use]
    pub fn without_puk(mut self) -> Self {
        self.puk.zeroize();
        self.puk = None;
        self
    }

    /// The manufacturer's PUK, as long as it is the card's.
    ///
    /// # Errors
    /// [`CustodyError::Card`].
    pub fn puk(&self) -> Result<Option<Puk>, CustodyError> {
        Ok(self.puk.as_deref().map(Puk::new).transpose()?)
    }

    /// The manufacturer's management key.
    ///
    /// # Errors
    /// [`CustodyError::Card`].
    pub fn management_key(&self) -> Result<ManagementKey, CustodyError> {
        let algorithm =
            algorithm_named(&self.management_key_algorithm).ok_or(CustodyError::SealedByAnother)?;
        Ok(ManagementKey::new(algorithm, &self.management_key)?)
    }
}

impl MasterKeyFile {
    fn read(text: &str) -> Result<Self, CustodyError> {
        let file: Self =
            toml::from_str(text).map_err(|error| CustodyError::MalformedFile(error.message().to_owned()))?;
        if file.format != FORMAT {
            return Err(CustodyError::MalformedFile("unknown format".to_owned()));
        }
        Ok(file)
    }

    fn header(&self) -> String {
        let header = format!(
            "{} {} {} {} {} {}",
            self.format, self.scrypt_log_n, self.scrypt_r, self.scrypt_p, self.salt, self.nonce
        );
        match &self.root {
            Some(root) => format!("{header} {root}"),
            None => header,
        }
    }

    fn cipher(&self, passphrase: &str, salt: &[u8]) -> Result<Aes256Gcm, CustodyError> {
        // Somebody who can change the file must not make us take all memory (128 * r * 2^log_n bytes).
        if self.scrypt_log_n > 20 || self.scrypt_r > 16 || self.scrypt_p > 8 {
            return Err(CustodyError::MalformedFile("its scrypt parameters are too large".to_owned()));
        }
        let parameters = scrypt::Params::new(self.scrypt_log_n, self.scrypt_r, self.scrypt_p)
            .map_err(|_| CustodyError::MalformedFile("its scrypt parameters are not valid".to_owned()))?;
        let mut key = Zeroizing::new([0; 32]);
        scrypt::scrypt(passphrase.as_bytes(), salt, &parameters, key.as_mut_slice())
            .map_err(|_| CustodyError::Unusable("scrypt refused its output length"))?;
        Aes256Gcm::new_from_slice(key.as_slice())
            .map_err(|_| CustodyError::Unusable("an AES-256 key has 32 bytes"))
    }
}

/// The name of a management key's algorithm in stock files: `3des`, `aes128`, `aes192`, `aes256`.
pub const fn algorithm_name(algorithm: ManagementKeyAlgorithm) -> &'static str {
    match algorithm {
        ManagementKeyAlgorithm::TripleDes => "3des",
        ManagementKeyAlgorithm::Aes128 => "aes128",
        ManagementKeyAlgorithm::Aes192 => "aes192",
        ManagementKeyAlgorithm::Aes256 => "aes256",
    }
}

/// Reads [`algorithm_name`] back.
pub fn algorithm_named(name: &str) -> Option<ManagementKeyAlgorithm> {
    [
        ManagementKeyAlgorithm::TripleDes,
        ManagementKeyAlgorithm::Aes128,
        ManagementKeyAlgorithm::Aes192,
        ManagementKeyAlgorithm::Aes256,
    ]
    .into_iter()
    .find(|algorithm| algorithm_name(*algorithm) == name)
}

const fn algorithm_length(algorithm: ManagementKeyAlgorithm) -> usize {
    match algorithm {
        ManagementKeyAlgorithm::Aes128 => 16,
        ManagementKeyAlgorithm::TripleDes | ManagementKeyAlgorithm::Aes192 => 24,
        ManagementKeyAlgorithm::Aes256 => 32,
    }
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    const CARD: StockIdentity = StockIdentity::Guid(Guid::new([7; 16]));

    #[test]
    fn the_file_opens_with_its_passphrase_only() {
        let mut random = UnwrapErr(SysRng);
        let key = MasterKey::generate(&mut random);
        let text = key.to_file("correct horse", &[0xAB; 20], &mut random).unwrap();
        assert_eq!(MasterKey::root_of(&text).unwrap(), Some("ab".repeat(20)));
        let of_another = text.replace(&"ab".repeat(20), &"cd".repeat(20));
        assert!(matches!(
            MasterKey::from_file(&of_another, "correct horse"),
            Err(CustodyError::WrongPassphrase)
        ));
        assert!(!text.contains(&hex::encode(key.0)));
        assert!(MasterKey::from_file(&text, "correct horse").unwrap().0 == key.0);
        assert!(matches!(MasterKey::from_file(&text, "wrong horse"), Err(CustodyError::WrongPassphrase)));
        let other_parameters = text.replace("scrypt_p = 1", "scrypt_p = 2");
        assert!(matches!(
            MasterKey::from_file(&other_parameters, "correct horse"),
            Err(CustodyError::WrongPassphrase)
        ));
        let greedy = text.replace("scrypt_log_n = 16", "scrypt_log_n = 40");
        assert!(matches!(
            MasterKey::from_file(&greedy, "correct horse"),
            Err(CustodyError::MalformedFile(_))
        ));
        assert!(matches!(MasterKey::from_file("nonsense", "x"), Err(CustodyError::MalformedFile(_))));
    }

    #[test]
    fn derived_material_differs_by_card_label_and_version() {
        let key = MasterKey([1; 32]);
        let material = |salt: &[u8], label: &str| {
            let mut output = [0; 16];
            key.derive(salt, label, &mut output).unwrap();
            output
        };
        let all = [
            material(b"a", "PUK, version 1"),
            material(b"b", "PUK, version 1"),
            material(b"a", "PUK, version 2"),
        ];
        assert!(all[0] != all[1] && all[0] != all[2] && all[1] != all[2]);
    }

    /// HKDF as openssl does it, so that an organisation can recover its cards without this program.
    #[test]
    fn derivation_is_hkdf_as_openssl_computes_it() {
        let key = MasterKey([0x42; 32]);
        let mut ours = [0; 32];
        key.derive(&[9; 16], "card management key aes256, version 1", &mut ours).unwrap();
        let output = std::process::Command::new("openssl")
            .args(["kdf", "-keylen", "32", "-binary", "-kdfopt", "digest:SHA256"])
            .args(["-kdfopt", &format!("hexkey:{}", "42".repeat(32))])
            .args(["-kdfopt", &format!("hexsalt:{}", "09".repeat(16))])
            .args(["-kdfopt", "info:sealwright: card management key aes256, version 1", "HKDF"])
            .output()
            .expect("openssl is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.stdout, ours);
    }

    #[test]
    fn sealed_secrets_open_for_the_same_card_and_master_key_only() {
        let mut random = UnwrapErr(SysRng);
        let key = MasterKey::generate(&mut random);
        let secrets = StockSecrets {
            puk: Some(b"87654321".to_vec()),
            management_key: vec![5; 32],
            management_key_algorithm: "aes256".to_owned(),
        };
        let sealed = key.seal(&CARD, &secrets, &mut random).unwrap();
        assert!(!sealed.windows(8).any(|window| window == b"87654321"));
        let opened = key.unseal(&CARD, &sealed).unwrap();
        assert!(
            opened.puk.as_deref() == Some(b"87654321".as_slice()) && opened.management_key == vec![5; 32]
        );
        assert!(opened.without_puk().puk.is_none());
        let largest = StockSecrets::new(&[0xFF; 8], ManagementKeyAlgorithm::Aes256, &[0xFF; 32]).unwrap();
        assert_eq!(largest.to_json().unwrap().capacity(), LONGEST_JSON, "the buffer has moved");
        let other_card = StockIdentity::Guid(Guid::new([8; 16]));
        assert!(matches!(key.unseal(&other_card, &sealed), Err(CustodyError::SealedByAnother)));
        let other_key = MasterKey::generate(&mut random);
        assert!(matches!(other_key.unseal(&CARD, &sealed), Err(CustodyError::SealedByAnother)));
        assert!(matches!(key.unseal(&CARD, b"short"), Err(CustodyError::SealedByAnother)));
    }
}
