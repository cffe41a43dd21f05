//! A key behind somebody's PKCS#11 module: a network HSM, a software token, another card (PKCS#11 Base 3.0).
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5912::{SECP_256_R_1, SECP_384_R_1};
use const_oid::db::rfc8410::ID_ED_25519;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::eddsa::{EddsaParams, EddsaSignatureScheme};
use cryptoki::mechanism::elliptic_curve::{EcKdf, Ecdh1DeriveParams};
use cryptoki::mechanism::rsa::{PkcsMgfType, PkcsPssParams};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use der::asn1::OctetStringRef;
use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::pkcs11_uri::Pkcs11Uri;
use super::public_key::{PublicKey, pkcs1_v15, point_algorithm};
use super::rsa_padding;
use super::{Decryptor, DigestAlgorithm, KeyAgreement, KeyError, RsaEncryption, SignatureScheme, Signer};
use crate::piv::KeyAlgorithm;

/// Modules are loaded once, initialised once, and stay: other parts of the program may be using them.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// The curve of Ed25519 by name, as PKCS#11 3.0 lets modules write it.
const EDWARDS_25519: &[u8] = b"\x13\x0cedwards25519";

/// A private key behind a PKCS#11 module, logged in to its token.
pub struct Pkcs11Key {
    session: Session,
    private_key: ObjectHandle,
    public_key: SubjectPublicKeyInfoOwned,
    algorithm: KeyAlgorithm,
    pin: AuthPin,
    always_authenticates: bool,
    does_raw_rsa: bool,
}

impl Pkcs11Key {
    /// Loads the module that the URI names, finds the one token and the one private key that it leads to, and logs in.
    /// The session is read-only and ends with this value.
    ///
    /// # Errors
    /// [`KeyError::NoSuchKey`] when the URI leads to no key or several; [`KeyError::Module`] with the module's own code,
    /// PinIncorrect for a wrong PIN, which is tried once; [`KeyError::Unsupported`] for a kind of key that PIV does
    /// not have.
    pub fn open(uri: &Pkcs11Uri, pin: &str) -> Result<Self, KeyError> {
        let path = uri.module.as_deref().ok_or_else(|| {
            KeyError::NoSuchKey("the pkcs11: URI names no module; add ?module-path=FILE".to_owned())
        })?;
        let module = load(path)?;
        let slot = the_token(&module, uri)?;
        let session = module.open_ro_session(slot)?;
        let pin = AuthPin::new(pin.into());
        match session.login(UserType::User, Some(&pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
            Err(error) => return Err(error.into()),
        }
        let private_key = the_private_key(&session, uri)?;
        let (algorithm, public_key) = public_half(&session, private_key)?;
        let always = session.get_attributes(private_key, &[AttributeType::AlwaysAuthenticate])?;
        let mechanisms = module.get_mechanism_list(slot)?;
        Ok(Self {
            always_authenticates: always.contains(&Attribute::AlwaysAuthenticate(true)),
            does_raw_rsa: mechanisms.contains(&MechanismType::RSA_X_509),
            session,
            private_key,
            public_key,
            algorithm,
            pin,
        })
    }

    /// What kind of key it is.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.algorithm
    }

    fn use_to_sign(&self, mechanism: &Mechanism<'_>, data: &[u8]) -> Result<Vec<u8>, KeyError> {
        if !self.always_authenticates {
            return Ok(self.session.sign(mechanism, self.private_key, data)?);
        }
        // PKCS#11 Base 3.0 section 5.6.8: the login comes between the beginning and the end.
        self.session.sign_init(mechanism, self.private_key)?;
        self.session.login(UserType::ContextSpecific, Some(&self.pin))?;
        self.session.sign_update(data)?;
        Ok(self.session.sign_final()?)
    }

    fn use_to_decrypt(&self, mechanism: &Mechanism<'_>, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        Ok(Zeroizing::new(self.session.decrypt(mechanism, self.private_key, data)?))
    }

    fn unsupported(&self, what: &str) -> KeyError {
        KeyError::Unsupported(format!("{what} with {}", self.algorithm))
    }
}

impl Signer for Pkcs11Key {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn sign(&mut self, scheme: SignatureScheme, digest: &[u8]) -> Result<Vec<u8>, KeyError> {
        if let Some(hash) = scheme.digest()
            && digest.len() != hash.length()
        {
            return Err(KeyError::Unsupported(format!("sign {} bytes as a digest of {hash}", digest.len())));
        }
        let signature = match scheme {
            SignatureScheme::RsaPkcs1(hash) if self.algorithm.is_rsa() => {
                let digest_info = [&pkcs1_v15(hash).prefix, digest].concat();
                self.use_to_sign(&Mechanism::RsaPkcs, &digest_info)?
            }
            SignatureScheme::RsaPss(hash) if self.algorithm.is_rsa() => {
                self.use_to_sign(&Mechanism::RsaPkcsPss(pss_parameters(hash)?), digest)?
            }
            SignatureScheme::Ecdsa(_) if self.algorithm.is_weierstrass() => {
                let cut = digest.get(..self.algorithm.length()).unwrap_or(digest);
                self.ecdsa_to_der(&self.use_to_sign(&Mechanism::Ecdsa, cut)?)?
            }
            SignatureScheme::Ed25519 if self.algorithm == KeyAlgorithm::Ed25519 => {
                let parameters = EddsaParams::new(EddsaSignatureScheme::Pure);
                self.use_to_sign(&Mechanism::Eddsa(parameters), digest)?
            }
            _ => return Err(self.unsupported("sign in this scheme")),
        };
        let verifier = PublicKey::try_from(&self.public_key).map_err(|_| self.unsupported("verify"))?;
        if verifier.verifies(scheme, digest, &signature) {
            Ok(signature)
        } else {
            Err(KeyError::Module {
                function: "C_Sign".to_owned(),
                code: "the signature does not verify with the public key beside it".to_owned(),
            })
        }
    }
}

impl Pkcs11Key {
    /// PKCS#11 writes r and s one after the other; X.509 a DER `Ecdsa-Sig-Value`.
    fn ecdsa_to_der(&self, signature: &[u8]) -> Result<Vec<u8>, KeyError> {
        let malformed = |_| self.unsupported("read the ECDSA signature that the module made");
        Ok(match self.algorithm {
            KeyAlgorithm::P256 => {
                p256::ecdsa::Signature::from_slice(signature).map_err(malformed)?.to_der().as_bytes().to_vec()
            }
            _ => {
                p384::ecdsa::Signature::from_slice(signature).map_err(malformed)?.to_der().as_bytes().to_vec()
            }
        })
    }
}

impl Decryptor for Pkcs11Key {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn decrypt(
        &mut self,
        encryption: RsaEncryption,
        ciphertext: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if !self.algorithm.is_rsa() {
            return Err(self.unsupported("decrypt"));
        }
        let length = self.algorithm.length();
        rsa_padding::check(encryption, length)?;
        if ciphertext.len() != length {
            return Err(KeyError::DecryptionFailed);
        }
        if !self.does_raw_rsa {
            // The module's answer to bad PKCS #1 v1.5 padding would be an oracle (RFC 3218).
            return Err(KeyError::Unsupported("decrypt: the module has no CKM_RSA_X_509".to_owned()));
        }
        let block = self.use_to_decrypt(&Mechanism::RsaX509, ciphertext).map_err(|error| match error {
            KeyError::Module { code, .. } if code.contains("EncryptedData") => KeyError::DecryptionFailed,
            error => error,
        })?;
        // Some modules leave leading zeros out.
        let mut whole = Zeroizing::new(vec![0; length.saturating_sub(block.len())]);
        whole.reserve_exact(block.len());
        whole.extend_from_slice(&block);
        rsa_padding::open(encryption, &whole)
    }
}

impl KeyAgreement for Pkcs11Key {
    fn public_key(&self) -> &SubjectPublicKeyInfoOwned {
        &self.public_key
    }

    fn agree(&mut self, peer: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        if !self.algorithm.is_weierstrass() {
            return Err(self.unsupported("agree"));
        }
        if point_algorithm(peer) != Some(self.algorithm) {
            return Err(KeyError::MalformedPeerKey);
        }
        let mechanism = Mechanism::Ecdh1Derive(Ecdh1DeriveParams::new(EcKdf::null(), peer));
        let length = cryptoki::types::Ulong::try_from(self.algorithm.length())
            .map_err(|_| self.unsupported("agree"))?;
        let template = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::Token(false),
            Attribute::Sensitive(false),
            Attribute::Extractable(true),
            Attribute::ValueLen(length),
        ];
        let secret = self.session.derive_key(&mechanism, self.private_key, &template)?;
        let value = self.session.get_attributes(secret, &[AttributeType::Value]);
        self.session.destroy_object(secret)?;
        match value?.pop() {
            Some(Attribute::Value(value)) if value.len() == self.algorithm.length() => {
                Ok(Zeroizing::new(value))
            }
            _ => Err(self.unsupported("read the secret agreed")),
        }
    }
}

fn load(path: &Path) -> Result<Pkcs11, KeyError> {
    let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(module) = modules.get(path) {
        return Ok(module.clone());
    }
    let module = Pkcs11::new(path).map_err(|error| match error {
        Error::LibraryLoading(error) => KeyError::NoSuchKey(format!("{}: {error}", path.display())),
        error => error.into(),
    })?;
    match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
        Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
        Err(error) => return Err(error.into()),
    }
    modules.insert(path.to_owned(), module.clone());
    Ok(module)
}

fn the_token(module: &Pkcs11, uri: &Pkcs11Uri) -> Result<Slot, KeyError> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_token()? {
        let token = module.get_token_info(slot)?;
        let fits = |wanted: &Option<String>, is: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == is.trim_end())
        };
        if fits(&uri.token, token.label()) && fits(&uri.serial, token.serial_number()) {
            found.push(slot);
        }
    }
    match found.as_slice() {
        [only] => Ok(*only),
        [] => Err(KeyError::NoSuchKey(
            "no token of the module is the one that the pkcs11: URI names".to_owned(),
        )),
        _ => Err(KeyError::NoSuchKey("several tokens fit the pkcs11: URI; add token= or serial=".to_owned())),
    }
}

fn the_private_key(session: &Session, uri: &Pkcs11Uri) -> Result<ObjectHandle, KeyError> {
    let mut template = vec![Attribute::Class(ObjectClass::PRIVATE_KEY)];
    template.extend(uri.object.clone().map(|label| Attribute::Label(label.into_bytes())));
    template.extend(uri.id.clone().map(Attribute::Id));
    match session.find_objects(&template)?.as_slice() {
        [only] => Ok(*only),
        [] => Err(KeyError::NoSuchKey("the token has no private key that the pkcs11: URI names".to_owned())),
        _ => Err(KeyError::NoSuchKey(
            "several private keys fit the pkcs11: URI; add id= or object=".to_owned(),
        )),
    }
}

/// From the public key object of the same CKA_ID, or the certificate.
fn public_half(
    session: &Session,
    private_key: ObjectHandle,
) -> Result<(KeyAlgorithm, SubjectPublicKeyInfoOwned), KeyError> {
    let missing =
        || KeyError::NoSuchKey("the token shows no public key or certificate with the key's id".to_owned());
    let id = session.get_attributes(private_key, &[AttributeType::Id])?.pop().ok_or_else(missing)?;
    let with_id = |class| session.find_objects(&[Attribute::Class(class), id.clone()]);
    let public_key = match with_id(ObjectClass::PUBLIC_KEY)?.first() {
        Some(object) => public_key_object(session, *object)?,
        None => {
            let certificate = with_id(ObjectClass::CERTIFICATE)?.first().copied().ok_or_else(missing)?;
            match session.get_attributes(certificate, &[AttributeType::Value])?.pop() {
                Some(Attribute::Value(der)) => subject_key(&der),
                _ => None,
            }
        }
    };
    let public_key = public_key.ok_or_else(|| KeyError::Unsupported("use a key of this kind".to_owned()))?;
    let algorithm = KeyAlgorithm::of(&public_key)
        .ok_or_else(|| KeyError::Unsupported("use a key of this kind".to_owned()))?;
    Ok((algorithm, public_key))
}

fn public_key_object(
    session: &Session,
    object: ObjectHandle,
) -> Result<Option<SubjectPublicKeyInfoOwned>, KeyError> {
    let wanted = [
        AttributeType::Modulus,
        AttributeType::PublicExponent,
        AttributeType::EcParams,
        AttributeType::EcPoint,
    ];
    let (mut modulus, mut exponent, mut parameters, mut point) = (None, None, None, None);
    for attribute in session.get_attributes(object, &wanted)? {
        match attribute {
            Attribute::Modulus(value) => modulus = Some(value),
            Attribute::PublicExponent(value) => exponent = Some(value),
            Attribute::EcParams(value) => parameters = Some(value),
            Attribute::EcPoint(value) => point = Some(value),
            _ => {}
        }
    }
    Ok(match (modulus, exponent, parameters, point) {
        (Some(modulus), Some(exponent), _, _) => {
            let sizes = [KeyAlgorithm::Rsa2048, KeyAlgorithm::Rsa3072, KeyAlgorithm::Rsa4096];
            sizes.iter().find_map(|algorithm| algorithm.public_key_of_rsa(&modulus, &exponent))
        }
        (_, _, Some(parameters), Some(point)) => curve(&parameters).and_then(|algorithm| {
            // The standard wants the point in an OCTET STRING; some modules give it bare.
            let inner =
                <&OctetStringRef>::from_der(&point).map_or(point.as_slice(), OctetStringRef::as_bytes);
            algorithm.public_key_of_point(inner)
        }),
        _ => None,
    })
}

fn curve(parameters: &[u8]) -> Option<KeyAlgorithm> {
    match ObjectIdentifier::from_der(parameters) {
        Ok(SECP_256_R_1) => Some(KeyAlgorithm::P256),
        Ok(SECP_384_R_1) => Some(KeyAlgorithm::P384),
        Ok(ID_ED_25519) => Some(KeyAlgorithm::Ed25519),
        _ => (parameters == EDWARDS_25519).then_some(KeyAlgorithm::Ed25519),
    }
}

fn subject_key(der: &[u8]) -> Option<SubjectPublicKeyInfoOwned> {
    let certificate = x509_cert::Certificate::from_der(der).ok()?;
    let public_key = certificate.tbs_certificate().subject_public_key_info().to_der().ok()?;
    SubjectPublicKeyInfoOwned::from_der(&public_key).ok()
}

/// A salt as long as the digest, as everywhere here.
fn pss_parameters(hash: DigestAlgorithm) -> Result<PkcsPssParams, KeyError> {
    let (hash_alg, mgf) = match hash {
        DigestAlgorithm::Sha384 => (MechanismType::SHA384, PkcsMgfType::MGF1_SHA384),
        DigestAlgorithm::Sha512 => (MechanismType::SHA512, PkcsMgfType::MGF1_SHA512),
        _ => (MechanismType::SHA256, PkcsMgfType::MGF1_SHA256),
    };
    let s_len = cryptoki::types::Ulong::try_from(hash.length())
        .map_err(|_| KeyError::Unsupported("a salt of this length".to_owned()))?;
    Ok(PkcsPssParams { hash_alg, mgf, s_len })
}

impl From<Error> for KeyError {
    fn from(error: Error) -> Self {
        match error {
            Error::Pkcs11(RvError::DeviceRemoved | RvError::TokenNotPresent, _) => Self::TokenRemoved,
            Error::Pkcs11(code, function) => {
                let function = function.to_string();
                let function = format!("C_{}", function.trim_start_matches("Function::"));
                Self::Module { function, code: format!("{code:?}") }
            }
            error => Self::Module { function: "the module".to_owned(), code: error.to_string() },
        }
    }
}
