//! Key management (PKCS#11 Base 3.0 section 5.18).
use std::ffi::c_ulong;

use middleware::{KeyAlgorithm, KeyReference};
use spki::SubjectPublicKeyInfoOwned;
use zeroize::Zeroizing;

use super::sign::{key_object, private_key};
use crate::attribute::{self, Attributes};
use crate::mechanism::{self, Derivation, Encryption, Request};
use crate::module::Call;
use crate::object::{Kind, Object, class, key_of_id, secret_length};
use crate::output::{Output, Room, fits};
use crate::public_key::{Curve, PublicKey, unwrapped_point};
use crate::return_value::ReturnValue;
use crate::token::{Handle, Login, Operation};
use middleware::Hash;

/// The longest secret that is derived.
const LONGEST_SECRET: usize = 1024;

/// C_GenerateKeyPair, on the card. CKA_ID says which key; one that was there before is gone, and its certificate with it.
pub(crate) fn generate_pair(
    session: Handle,
    request: &Request,
    public: &Attributes,
    private: &Attributes,
) -> Result<(Handle, Handle), ReturnValue> {
    let call = Call::on(session)?;
    let algorithm = algorithm_of(request.kind, public)?;
    if !call.session.read_write {
        return Err(ReturnValue::SESSION_READ_ONLY);
    }
    for template in [public, private] {
        if template.flag(attribute::TOKEN)? == Some(false) {
            return Err(ReturnValue::TEMPLATE_INCONSISTENT);
        }
    }
    let key = key_of_templates(public, private)?;
    call.with_token(|token| {
        if !matches!(token.login(), Login::Management(_)) {
            return Err(ReturnValue::USER_NOT_LOGGED_IN);
        }
        let has_certificate = token.contents()?.key(key).is_some_and(|entry| entry.certificate.is_some());
        let public_key: SubjectPublicKeyInfoOwned = token.administer(|administration| {
            let public_key = administration.generate(key, algorithm)?;
            if has_certificate {
                administration.write_object(key.certificate_object(), &[])?;
            }
            Ok(public_key)
        })?;
        token.remember_generated(key, public_key);
        let id = [crate::object::id(key)];
        let is = |object: &Object, class: c_ulong| {
            object.attributes.get(attribute::ID) == Some(&id)
                && object.attributes.get(attribute::CLASS) == Some(&class.to_ne_bytes())
        };
        Ok((
            token.handle_of(|object| is(object, class::PUBLIC_KEY))?,
            token.handle_of(|object| is(object, class::PRIVATE_KEY))?,
        ))
    })
}

fn algorithm_of(kind: c_ulong, public: &Attributes) -> Result<KeyAlgorithm, ReturnValue> {
    let curve = || {
        let parameters = public.get(attribute::EC_PARAMS).ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
        Curve::of_parameters(parameters).ok_or(ReturnValue::ATTRIBUTE_VALUE_INVALID)
    };
    match kind {
        mechanism::RSA_PKCS_KEY_PAIR_GEN => {
            if public.get(attribute::PUBLIC_EXPONENT).is_some_and(|exponent| exponent != [1, 0, 1]) {
                return Err(ReturnValue::ATTRIBUTE_VALUE_INVALID);
            }
            match public.number(attribute::MODULUS_BITS)? {
                Some(2048) => Ok(KeyAlgorithm::Rsa2048),
                Some(3072) => Ok(KeyAlgorithm::Rsa3072),
                Some(4096) => Ok(KeyAlgorithm::Rsa4096),
                Some(_) => Err(ReturnValue::KEY_SIZE_RANGE),
                None => Err(ReturnValue::TEMPLATE_INCOMPLETE),
            }
        }
        mechanism::EC_KEY_PAIR_GEN => match curve()? {
            Curve::P256 => Ok(KeyAlgorithm::P256),
            Curve::P384 => Ok(KeyAlgorithm::P384),
            _ => Err(ReturnValue::ATTRIBUTE_VALUE_INVALID),
        },
        mechanism::EC_EDWARDS_KEY_PAIR_GEN if curve()? == Curve::Ed25519 => Ok(KeyAlgorithm::Ed25519),
        mechanism::EC_MONTGOMERY_KEY_PAIR_GEN if curve()? == Curve::X25519 => Ok(KeyAlgorithm::X25519),
        mechanism::EC_EDWARDS_KEY_PAIR_GEN | mechanism::EC_MONTGOMERY_KEY_PAIR_GEN => {
            Err(ReturnValue::ATTRIBUTE_VALUE_INVALID)
        }
        _ => Err(ReturnValue::MECHANISM_INVALID),
    }
}

/// Both templates may name it, and then the same.
fn key_of_templates(public: &Attributes, private: &Attributes) -> Result<KeyReference, ReturnValue> {
    let id = |template: &Attributes| -> Result<Option<KeyReference>, ReturnValue> {
        let id = template.get(attribute::ID).filter(|id| !id.is_empty());
        id.map(|id| key_of_id(id).ok_or(ReturnValue::ATTRIBUTE_VALUE_INVALID)).transpose()
    };
    match (id(public)?, id(private)?) {
        (Some(one), Some(other)) if one != other => Err(ReturnValue::TEMPLATE_INCONSISTENT),
        (Some(key), _) | (None, Some(key)) => Ok(key),
        (None, None) => Err(ReturnValue::TEMPLATE_INCOMPLETE),
    }
}

/// C_DeriveKey: ECDH, into a secret key of the session.
pub(crate) fn derive(
    session: Handle,
    request: &Request,
    base: Handle,
    template: &Attributes,
) -> Result<Handle, ReturnValue> {
    let call = Call::on(session)?;
    let derivation = Derivation::of(request)?;
    call.with_token(|token| {
        let key = private_key(token, base, attribute::DERIVE)?;
        let Kind::PrivateKey { reference, algorithm, public_key } = &key.kind else {
            return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
        };
        let peer = unwrapped_point(&derivation.public);
        let length = match public_key {
            PublicKey::X25519(_) => 32,
            _ => 2 * public_key.length() + 1,
        };
        if peer.len() != length {
            return Err(ReturnValue::MECHANISM_PARAM_INVALID);
        }
        // Judged before the card works: what could not be kept is not asked for.
        let wanted = wanted_length(template)?;
        Object::secret_key(template, &vec![1; wanted.unwrap_or(public_key.length())])?;
        let secret = token.operate(*reference, *algorithm, None, &Operation::Agree(peer))?;
        let value = derive_value(&derivation, &secret, wanted)?;
        let object = Object::secret_key(template, &value)?;
        token.add(session, object)
    })
}

/// How long the application wants the secret to be, by CKA_VALUE_LEN or its type.
fn wanted_length(template: &Attributes) -> Result<Option<usize>, ReturnValue> {
    let by_type = template.number(attribute::KEY_TYPE)?.and_then(secret_length);
    let length = match (template.number(attribute::VALUE_LEN)?, by_type) {
        (Some(length), _) => Some(usize::try_from(length).map_err(|_| ReturnValue::ATTRIBUTE_VALUE_INVALID)?),
        (None, Some([only])) => Some(*only),
        (None, _) => None,
    };
    match length {
        Some(length) if length == 0 || length > LONGEST_SECRET => Err(ReturnValue::ATTRIBUTE_VALUE_INVALID),
        length => Ok(length),
    }
}

/// The bare secret loses bytes at its beginning where it is too long (Current Mechanisms 3.0 section 2.3.8); the
/// function of ANSI X9.63 section 5.6.3 gives as many as are wanted.
fn derive_value(
    derivation: &Derivation,
    secret: &[u8],
    wanted: Option<usize>,
) -> Result<Zeroizing<Vec<u8>>, ReturnValue> {
    let Some(hash) = derivation.function else {
        let start = secret.len().checked_sub(wanted.unwrap_or(secret.len()));
        let start = start.ok_or(ReturnValue::TEMPLATE_INCONSISTENT)?;
        return Ok(Zeroizing::new(secret.get(start..).unwrap_or_default().to_vec()));
    };
    let wanted = wanted.ok_or(ReturnValue::TEMPLATE_INCOMPLETE)?;
    Ok(x9_63(hash, secret, &derivation.shared, wanted))
}

fn x9_63(hash: Hash, secret: &[u8], shared: &[u8], length: usize) -> Zeroizing<Vec<u8>> {
    let mut value = Zeroizing::new(Vec::with_capacity(length + hash.length()));
    for counter in 1_u32.. {
        if value.len() >= length {
            break;
        }
        value.extend_from_slice(&hash.of(&[secret, &counter.to_be_bytes(), shared]));
    }
    value.truncate(length);
    value
}

/// C_UnwrapKey: what is encrypted to an RSA key of the card, into a secret key of the session.
pub(crate) fn unwrap(
    session: Handle,
    request: &Request,
    unwrapping: Handle,
    wrapped: &[u8],
    template: &Attributes,
) -> Result<Handle, ReturnValue> {
    let call = Call::on(session)?;
    let encryption = Encryption::of(request)?;
    call.with_token(|token| {
        let key = private_key(token, unwrapping, attribute::UNWRAP)?;
        let wanted = wanted_length(template)?;
        Object::secret_key(template, &vec![1; wanted.unwrap_or(16)])?;
        let block = super::decrypt::raise(token, &key, None, wrapped).map_err(|error| match error {
            ReturnValue::ENCRYPTED_DATA_LEN_RANGE => ReturnValue::WRAPPED_KEY_LEN_RANGE,
            ReturnValue::ENCRYPTED_DATA_INVALID => ReturnValue::WRAPPED_KEY_INVALID,
            error => error,
        })?;
        let value = super::decrypt::open_key(&encryption, block, wanted)?;
        let object = Object::secret_key(template, &value).map_err(|error| match error {
            ReturnValue::ATTRIBUTE_VALUE_INVALID | ReturnValue::TEMPLATE_INCONSISTENT => {
                ReturnValue::WRAPPED_KEY_INVALID
            }
            error => error,
        })?;
        token.add(session, object)
    })
}

/// C_WrapKey: a secret key of the session, encrypted to an RSA key.
pub(crate) fn wrap(
    session: Handle,
    request: &Request,
    wrapping: Handle,
    key: Handle,
    room: Room,
) -> Result<Output, ReturnValue> {
    let call = Call::on(session)?;
    let encryption = Encryption::of(request)?;
    call.with_token(|token| {
        let wrapping = key_object(token, wrapping)?;
        let Kind::PublicKey(public_key @ PublicKey::Rsa(_)) = &wrapping.kind else {
            return Err(ReturnValue::KEY_TYPE_INCONSISTENT);
        };
        if !wrapping.attributes.is_set(attribute::WRAP) {
            return Err(ReturnValue::KEY_FUNCTION_NOT_PERMITTED);
        }
        let key = key_object(token, key)?;
        let value = key.secret().ok_or(ReturnValue::KEY_NOT_WRAPPABLE)?;
        if !key.attributes.is_set(attribute::EXTRACTABLE) {
            return Err(ReturnValue::KEY_UNEXTRACTABLE);
        }
        let needed = public_key.length();
        if !fits(room, needed) {
            return Ok(Output::Needs(needed));
        }
        public_key.encrypt(&encryption, &value).map(Output::Bytes)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::key_type;

    /// ANSI X9.63 KDF vector with SHA-256 (NIST CAVS 12.0, ansx963_2001): 192-bit Z, no shared info, 16 bytes.
    #[test]
    fn the_key_derivation_function_gives_what_nist_published() {
        let secret = hex::decode("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08").unwrap();
        let value = x9_63(Hash::Sha256, &secret, &[], 16);
        assert_eq!(hex::encode(&*value), "443024c3dae66b95e6f5670601558f71");
    }

    #[test]
    fn a_bare_secret_is_cut_at_its_beginning() {
        let derivation = Derivation { function: None, shared: Vec::new(), public: Vec::new() };
        let value = |wanted| derive_value(&derivation, &[1, 2, 3, 4], wanted);
        assert_eq!(*value(None).unwrap(), [1, 2, 3, 4]);
        assert_eq!(*value(Some(3)).unwrap(), [2, 3, 4]);
        assert_eq!(value(Some(5)), Err(ReturnValue::TEMPLATE_INCONSISTENT));
        let hashed = Derivation { function: Some(Hash::Sha1), ..derivation };
        assert_eq!(derive_value(&hashed, &[1], None), Err(ReturnValue::TEMPLATE_INCOMPLETE));
        assert_eq!(derive_value(&hashed, &[1], Some(50)).unwrap().len(), 50);
    }

    #[test]
    fn unneeded_key_types_take_no_length() {
        let mut template = Attributes::default();
        assert_eq!(wanted_length(&template), Ok(None));
        template.set_number(attribute::KEY_TYPE, key_type::DES3);
        assert_eq!(wanted_length(&template), Ok(Some(24)));
        template.set_number(attribute::KEY_TYPE, key_type::AES);
        assert_eq!(wanted_length(&template), Ok(None));
        template.set_number(attribute::VALUE_LEN, c_ulong::MAX);
        assert_eq!(wanted_length(&template), Err(ReturnValue::ATTRIBUTE_VALUE_INVALID));
    }
}
