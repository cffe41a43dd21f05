//! The only door to the middleware: the signer, the key ring, and how the PIN is asked.
use middleware::{Card, Decryptor, KeyAgreement, Pin, holder_state};
pub use middleware::{
    CardError, DigestAlgorithm, Hash, KeyAlgorithm, KeyError, KeyReference, LastTry, Locator, RsaEncryption,
    SignatureScheme, Signer, secret_source::SecretSource,
};
use zeroize::Zeroizing;

use crate::certificate::{Certificate, CertificateError};

/// Where the PIN comes from; asked only when a key operation really needs it.
pub trait PinProvider {
    /// Asks for the PIN; `prompt` says what it is for.
    ///
    /// # Errors
    /// Whatever keeps the PIN from being read, for example no terminal.
    fn pin(&mut self, prompt: &str) -> std::io::Result<Zeroizing<String>>;
}

impl PinProvider for SecretSource {
    fn pin(&mut self, prompt: &str) -> std::io::Result<Zeroizing<String>> {
        self.read(prompt)
    }
}

/// Private keys that can open envelopes, each with its certificate.
pub trait KeyRing {
    /// The certificates of the keys, in the order in which they shall be tried.
    fn certificates(&self) -> &[Certificate];

    /// RSA decryption with the key of certificate `index`.
    ///
    /// # Errors
    /// The key cannot do it, or the card refused.
    fn decrypt(
        &mut self,
        index: usize,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError>;

    /// ECDH of the key of certificate `index` with the peer's uncompressed point (X25519: 32 octets); answers the X
    /// coordinate, never zero.
    ///
    /// # Errors
    /// The key cannot do it, or the card refused.
    fn agree(&mut self, index: usize, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError>;
}

/// Why a key could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// The card or the key refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The card's PIN is still the transport PIN, as far as this computer knows.
    #[error(
        "this card still has its transport PIN; change the PIN first (card change-pin), or confirm that you did: card change-pin --already-changed"
    )]
    TransportPin,
    /// The card has no identity.
    #[error("the card has no CHUID, so it was never issued; take it to the issuance desk")]
    NotIssued,
    /// There is no certificate for the key that signs.
    #[error("the card holds no signature certificate (9C); take it to the issuance desk")]
    NoSigningCertificate,
    /// A certificate on the card cannot be read.
    #[error(
        "the certificate of key {key} on the card cannot be used: {problem}; take the card to the issuance desk"
    )]
    MalformedCertificate {
        /// The key.
        key: KeyReference,
        /// What is wrong with its certificate.
        problem: CertificateError,
    },
    /// A key was asked for that is not in the ring.
    #[error("there is no such key")]
    NoSuchKey,
}

impl From<CardError> for KeysError {
    fn from(error: CardError) -> Self {
        Self::Key(KeyError::Card(error))
    }
}

impl KeysError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Key(error) => key_error_code(error),
            Self::TransportPin => "transport-pin",
            Self::NotIssued => "not-issued",
            Self::NoSigningCertificate => "no-signing-certificate",
            Self::MalformedCertificate { .. } => "malformed-certificate",
            Self::NoSuchKey => "no-such-key",
        }
    }
}

/// The stable code of an error of a single key: the card's own where there is one.
pub(crate) fn key_error_code(error: &KeyError) -> &'static str {
    match error {
        KeyError::Card(error) => error.code(),
        KeyError::Io(_) => "pin-not-read",
        _ => "key-refused",
    }
}

/// The keys of one card: 9C signs; 9D and the retired keys that were 9D once, and no others, open envelopes.
///
/// The PIN is asked at the first operation that needs it and kept (in memory, zeroised at the end) for the following ones
/// as long as the card accepts it; the card itself is logged out after each operation.
pub struct CardKeys {
    card: Card,
    references: Vec<KeyReference>,
    certificates: Vec<Certificate>,
    signing: Option<Result<Certificate, CertificateError>>,
    guid: Option<[u8; 16]>,
    provider: Box<dyn PinProvider>,
    pin: Option<Pin>,
    last_try: LastTry,
}

impl CardKeys {
    /// Opens the card and reads its certificates (no PIN needed).
    ///
    /// # Errors
    /// Those of the card and its reader. A certificate that cannot be read is an error only when its key is needed.
    pub fn open(
        locator: &Locator,
        provider: Box<dyn PinProvider>,
        last_try: LastTry,
    ) -> Result<Self, KeysError> {
        let mut card = Card::open(locator)?;
        let guid = card.identity()?.guid;
        let mut found = card.certificates()?;
        let signing = found
            .iter()
            .find(|(key, _)| *key == KeyReference::DigitalSignature)
            .map(|(_, der)| Certificate::from_der(der));
        found.retain(|(key, _)| matches!(key, KeyReference::KeyManagement | KeyReference::Retired(_)));
        found.sort_by_key(|(key, _)| *key != KeyReference::KeyManagement);
        let readable = |(key, der): (KeyReference, Vec<u8>)| Some((key, Certificate::from_der(&der).ok()?));
        let (references, certificates) = found.into_iter().filter_map(readable).unzip();
        Ok(Self { card, references, certificates, signing, guid, provider, pin: None, last_try })
    }

    /// The certificate of 9C, if there is one.
    pub fn signing_certificate(&self) -> Option<&Certificate> {
        self.signing.as_ref()?.as_ref().ok()
    }

    /// The certificate of 9D, if there is one: for encrypting to oneself.
    pub fn encryption_certificate(&self) -> Option<&Certificate> {
        let position = self.references.iter().position(|key| *key == KeyReference::KeyManagement)?;
        self.certificates.get(position)
    }

    /// The 9C key as a signer; the PIN is asked at the signature. Refused while the PIN is the transport PIN.
    ///
    /// # Errors
    /// [`KeysError::TransportPin`], [`KeysError::NotIssued`], [`KeysError::NoSigningCertificate`],
    /// [`KeysError::MalformedCertificate`].
    pub fn signer(&mut self) -> Result<CardSigner<'_>, KeysError> {
        let guid = self.guid.ok_or(KeysError::NotIssued)?;
        if !holder_state::is_activated(&guid) {
            return Err(KeysError::TransportPin);
        }
        let malformed =
            |problem| KeysError::MalformedCertificate { key: KeyReference::DigitalSignature, problem };
        let certificate = self.signing.clone().ok_or(KeysError::NoSigningCertificate)?.map_err(malformed)?;
        Ok(CardSigner { keys: self, certificate })
    }

    /// Runs one operation with the PIN, asking for it if it is not known yet; a PIN that the card refused is forgotten.
    fn with_pin<T>(
        &mut self,
        key: KeyReference,
        operation: impl FnOnce(&mut Card, &Pin) -> Result<T, KeyError>,
    ) -> Result<T, KeyError> {
        let pin = match self.pin.take() {
            Some(pin) => pin,
            None => Pin::new(&self.provider.pin(prompt(key))?)?,
        };
        let outcome = operation(&mut self.card, &pin);
        let refused = matches!(
            outcome,
            Err(KeyError::Card(CardError::WrongPin { .. } | CardError::PinBlocked | CardError::LastPinTry))
        );
        self.pin = (!refused).then_some(pin);
        outcome
    }

    fn reference(&self, index: usize) -> Result<KeyReference, KeysError> {
        self.references.get(index).copied().ok_or(KeysError::NoSuchKey)
    }
}

fn prompt(key: KeyReference) -> &'static str {
    match key {
        KeyReference::DigitalSignature => "PIN of the card, to sign",
        _ => "PIN of the card, to decrypt",
    }
}

impl KeyRing for CardKeys {
    fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    fn decrypt(
        &mut self,
        index: usize,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let (key, last_try) = (self.reference(index)?, self.last_try);
        Ok(self.with_pin(key, |card, pin| card.key(key, pin, last_try)?.decrypt(encryption, ciphertext))?)
    }

    fn agree(&mut self, index: usize, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let (key, last_try) = (self.reference(index)?, self.last_try);
        Ok(self.with_pin(key, |card, pin| card.key(key, pin, last_try)?.agree(peer))?)
    }
}

/// The signature key of a card; see [`CardKeys::signer`].
pub struct CardSigner<'a> {
    keys: &'a mut CardKeys,
    certificate: Certificate,
}

impl CardSigner<'_> {
    /// The certificate that the signatures verify with.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

impl Signer for CardSigner<'_> {
    fn public_key(&self) -> &spki::SubjectPublicKeyInfoOwned {
        self.certificate.public_key()
    }

    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        let (key, last_try) = (KeyReference::DigitalSignature, self.keys.last_try);
        self.keys.with_pin(key, |card, pin| card.key(key, pin, last_try)?.sign(scheme, digest))
    }
}
