//! Mechanisms (PKCS#11 Current Mechanisms 3.0): what they are called, what they can do, what their parameters mean.
use std::ffi::c_ulong;

use crate::return_value::ReturnValue;
use crate::structures::MechanismInfo;
use middleware::Hash;
use middleware::keys::rsa_padding::{Oaep, Pss};

/// `CK_MECHANISM_TYPE`.
pub(crate) type MechanismType = c_ulong;

pub(crate) const RSA_PKCS_KEY_PAIR_GEN: MechanismType = 0x0000;
const RSA_PKCS: MechanismType = 0x0001;
const RSA_X_509: MechanismType = 0x0003;
const SHA1_RSA_PKCS: MechanismType = 0x0006;
const RSA_PKCS_OAEP: MechanismType = 0x0009;
const RSA_PKCS_PSS: MechanismType = 0x000D;
const SHA1_RSA_PKCS_PSS: MechanismType = 0x000E;
const SHA256_RSA_PKCS: MechanismType = 0x0040;
const SHA384_RSA_PKCS: MechanismType = 0x0041;
const SHA512_RSA_PKCS: MechanismType = 0x0042;
const SHA256_RSA_PKCS_PSS: MechanismType = 0x0043;
const SHA384_RSA_PKCS_PSS: MechanismType = 0x0044;
const SHA512_RSA_PKCS_PSS: MechanismType = 0x0045;
const SHA224_RSA_PKCS: MechanismType = 0x0046;
const SHA224_RSA_PKCS_PSS: MechanismType = 0x0047;
const SHA_1: MechanismType = 0x0220;
const SHA256: MechanismType = 0x0250;
const SHA224: MechanismType = 0x0255;
const SHA384: MechanismType = 0x0260;
const SHA512: MechanismType = 0x0270;
pub(crate) const EC_KEY_PAIR_GEN: MechanismType = 0x1040;
const ECDSA: MechanismType = 0x1041;
const ECDSA_SHA1: MechanismType = 0x1042;
const ECDSA_SHA224: MechanismType = 0x1043;
const ECDSA_SHA256: MechanismType = 0x1044;
const ECDSA_SHA384: MechanismType = 0x1045;
const ECDSA_SHA512: MechanismType = 0x1046;
const ECDH1_DERIVE: MechanismType = 0x1050;
const ECDH1_COFACTOR_DERIVE: MechanismType = 0x1051;
pub(crate) const EC_EDWARDS_KEY_PAIR_GEN: MechanismType = 0x1055;
pub(crate) const EC_MONTGOMERY_KEY_PAIR_GEN: MechanismType = 0x1056;
const EDDSA: MechanismType = 0x1057;

/// Bits of `CK_MECHANISM_INFO.flags`.
mod flag {
    use std::ffi::c_ulong;
    pub(super) const HW: c_ulong = 0x0000_0001;
    pub(super) const ENCRYPT: c_ulong = 0x0000_0100;
    pub(super) const DECRYPT: c_ulong = 0x0000_0200;
    pub(super) const DIGEST: c_ulong = 0x0000_0400;
    pub(super) const SIGN: c_ulong = 0x0000_0800;
    pub(super) const VERIFY: c_ulong = 0x0000_2000;
    pub(super) const GENERATE_KEY_PAIR: c_ulong = 0x0001_0000;
    pub(super) const WRAP: c_ulong = 0x0002_0000;
    pub(super) const UNWRAP: c_ulong = 0x0004_0000;
    pub(super) const DERIVE: c_ulong = 0x0008_0000;
    const EC_F_P: c_ulong = 0x0010_0000;
    const EC_NAMEDCURVE: c_ulong = 0x0080_0000;
    const EC_UNCOMPRESS: c_ulong = 0x0100_0000;
    pub(super) const EC: c_ulong = HW | EC_F_P | EC_NAMEDCURVE | EC_UNCOMPRESS;
}

/// A mechanism as the application names it, its parameter read but not judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) kind: MechanismType,
    pub(crate) parameter: Parameter,
}

/// A mechanism's parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Parameter {
    None,
    /// `CK_RSA_PKCS_PSS_PARAMS`: hash, mask generation function, salt length.
    Pss([c_ulong; 3]),
    /// `CK_RSA_PKCS_OAEP_PARAMS`.
    Oaep {
        hash: c_ulong,
        mask: c_ulong,
        source: c_ulong,
        label: Vec<u8>,
    },
    /// `CK_ECDH1_DERIVE_PARAMS`.
    Ecdh {
        function: c_ulong,
        shared: Vec<u8>,
        public: Vec<u8>,
    },
    /// `CK_EDDSA_PARAMS`.
    Eddsa {
        prehash: bool,
        context: Vec<u8>,
    },
}

/// Which structure a mechanism's parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterForm {
    None,
    Pss,
    Oaep,
    Ecdh,
    /// May also be left out.
    Eddsa,
}

impl ParameterForm {
    pub(crate) fn of(kind: MechanismType) -> Self {
        match kind {
            RSA_PKCS_PSS | SHA1_RSA_PKCS_PSS | SHA224_RSA_PKCS_PSS | SHA256_RSA_PKCS_PSS
            | SHA384_RSA_PKCS_PSS | SHA512_RSA_PKCS_PSS => Self::Pss,
            RSA_PKCS_OAEP => Self::Oaep,
            ECDH1_DERIVE | ECDH1_COFACTOR_DERIVE => Self::Ecdh,
            EDDSA => Self::Eddsa,
            _ => Self::None,
        }
    }
}

/// How a signature is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SignatureMechanism {
    pub(crate) scheme: Scheme,
    /// What the data are hashed with first; `None` where the application has done that, or nothing is hashed.
    pub(crate) hash: Option<Hash>,
}

/// How what is left after hashing becomes a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// RSASSA-PKCS1-v1_5 over a DigestInfo that the application made.
    RsaPkcs,
    /// RSASSA-PKCS1-v1_5 over a digest.
    RsaPkcsDigest(Hash),
    RsaX509,
    RsaPss(Pss),
    Ecdsa,
    Eddsa,
}

impl SignatureMechanism {
    /// # Errors
    /// `CKR_MECHANISM_INVALID`, `CKR_MECHANISM_PARAM_INVALID`.
    pub(crate) fn of(request: &Request) -> Result<Self, ReturnValue> {
        let hashed = |hash| Ok(Self { scheme: Scheme::RsaPkcsDigest(hash), hash: Some(hash) });
        let pss = |hash: Option<Hash>| {
            let pss = pss(&request.parameter)?;
            if hash.is_some_and(|hash| hash != pss.hash) {
                return Err(ReturnValue::MECHANISM_PARAM_INVALID);
            }
            Ok(Self { scheme: Scheme::RsaPss(pss), hash })
        };
        let ecdsa = |hash| Ok(Self { scheme: Scheme::Ecdsa, hash });
        match request.kind {
            RSA_PKCS => Ok(Self { scheme: Scheme::RsaPkcs, hash: None }),
            RSA_X_509 => Ok(Self { scheme: Scheme::RsaX509, hash: None }),
            SHA1_RSA_PKCS => hashed(Hash::Sha1),
            SHA224_RSA_PKCS => hashed(Hash::Sha224),
            SHA256_RSA_PKCS => hashed(Hash::Sha256),
            SHA384_RSA_PKCS => hashed(Hash::Sha384),
            SHA512_RSA_PKCS => hashed(Hash::Sha512),
            RSA_PKCS_PSS => pss(None),
            SHA1_RSA_PKCS_PSS => pss(Some(Hash::Sha1)),
            SHA224_RSA_PKCS_PSS => pss(Some(Hash::Sha224)),
            SHA256_RSA_PKCS_PSS => pss(Some(Hash::Sha256)),
            SHA384_RSA_PKCS_PSS => pss(Some(Hash::Sha384)),
            SHA512_RSA_PKCS_PSS => pss(Some(Hash::Sha512)),
            ECDSA => ecdsa(None),
            ECDSA_SHA1 => ecdsa(Some(Hash::Sha1)),
            ECDSA_SHA224 => ecdsa(Some(Hash::Sha224)),
            ECDSA_SHA256 => ecdsa(Some(Hash::Sha256)),
            ECDSA_SHA384 => ecdsa(Some(Hash::Sha384)),
            ECDSA_SHA512 => ecdsa(Some(Hash::Sha512)),
            EDDSA => match &request.parameter {
                // Ed25519ph and Ed25519ctx are other schemes, which no card has.
                Parameter::Eddsa { prehash: true, .. } => Err(ReturnValue::MECHANISM_PARAM_INVALID),
                Parameter::Eddsa { context, .. } if !context.is_empty() => {
                    Err(ReturnValue::MECHANISM_PARAM_INVALID)
                }
                _ => Ok(Self { scheme: Scheme::Eddsa, hash: None }),
            },
            _ => Err(ReturnValue::MECHANISM_INVALID),
        }
    }
}

/// How something is encrypted to an RSA key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Encryption {
    RsaPkcs,
    RsaOaep(Oaep),
    RsaX509,
}

impl Encryption {
    /// # Errors
    /// `CKR_MECHANISM_INVALID`, `CKR_MECHANISM_PARAM_INVALID`.
    pub(crate) fn of(request: &Request) -> Result<Self, ReturnValue> {
        match (request.kind, &request.parameter) {
            (RSA_PKCS, _) => Ok(Self::RsaPkcs),
            (RSA_X_509, _) => Ok(Self::RsaX509),
            (RSA_PKCS_OAEP, Parameter::Oaep { hash, mask, source, label }) => {
                // CKZ_DATA_SPECIFIED is 1; without a label, 0 is seen too.
                if *source != 1 && !(*source == 0 && label.is_empty()) {
                    return Err(ReturnValue::MECHANISM_PARAM_INVALID);
                }
                let (hash, mask) = (digest_of(*hash)?, mask_of(*mask)?);
                Ok(Self::RsaOaep(Oaep { hash, mask, label: label.clone() }))
            }
            (RSA_PKCS_OAEP, _) => Err(ReturnValue::MECHANISM_PARAM_INVALID),
            _ => Err(ReturnValue::MECHANISM_INVALID),
        }
    }
}

/// How a secret is agreed on. The cofactor of every curve of PIV is 1, or the card multiplies it in (X25519).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Derivation {
    /// The hash of the key derivation function of ANSI X9.63; `None` for the bare secret.
    pub(crate) function: Option<Hash>,
    pub(crate) shared: Vec<u8>,
    pub(crate) public: Vec<u8>,
}

impl Derivation {
    /// # Errors
    /// `CKR_MECHANISM_INVALID`, `CKR_MECHANISM_PARAM_INVALID`.
    pub(crate) fn of(request: &Request) -> Result<Self, ReturnValue> {
        let (ECDH1_DERIVE | ECDH1_COFACTOR_DERIVE) = request.kind else {
            return Err(ReturnValue::MECHANISM_INVALID);
        };
        let Parameter::Ecdh { function, shared, public } = &request.parameter else {
            return Err(ReturnValue::MECHANISM_PARAM_INVALID);
        };
        let function = match *function {
            // CKD_NULL takes no shared data.
            1 if shared.is_empty() => None,
            2 => Some(Hash::Sha1),
            5 => Some(Hash::Sha224),
            6 => Some(Hash::Sha256),
            7 => Some(Hash::Sha384),
            8 => Some(Hash::Sha512),
            _ => return Err(ReturnValue::MECHANISM_PARAM_INVALID),
        };
        Ok(Self { function, shared: shared.clone(), public: public.clone() })
    }
}

/// The hash of a digest mechanism.
pub(crate) fn digest(kind: MechanismType) -> Option<Hash> {
    match kind {
        SHA_1 => Some(Hash::Sha1),
        SHA224 => Some(Hash::Sha224),
        SHA256 => Some(Hash::Sha256),
        SHA384 => Some(Hash::Sha384),
        SHA512 => Some(Hash::Sha512),
        _ => None,
    }
}

fn digest_of(kind: c_ulong) -> Result<Hash, ReturnValue> {
    digest(kind).ok_or(ReturnValue::MECHANISM_PARAM_INVALID)
}

/// `CK_RSA_PKCS_MGF_TYPE`.
fn mask_of(kind: c_ulong) -> Result<Hash, ReturnValue> {
    match kind {
        1 => Ok(Hash::Sha1),
        2 => Ok(Hash::Sha256),
        3 => Ok(Hash::Sha384),
        4 => Ok(Hash::Sha512),
        5 => Ok(Hash::Sha224),
        _ => Err(ReturnValue::MECHANISM_PARAM_INVALID),
    }
}

fn pss(parameter: &Parameter) -> Result<Pss, ReturnValue> {
    let Parameter::Pss([hash, mask, salt_length]) = parameter else {
        return Err(ReturnValue::MECHANISM_PARAM_INVALID);
    };
    // No modulus of a card has room for more.
    let salt_length = usize::try_from(*salt_length).ok().filter(|&length| length <= 512);
    Ok(Pss {
        hash: digest_of(*hash)?,
        mask: mask_of(*mask)?,
        salt_length: salt_length.ok_or(ReturnValue::MECHANISM_PARAM_INVALID)?,
    })
}

/// Every mechanism with what it can do.
pub(crate) fn all() -> Vec<(MechanismType, MechanismInfo)> {
    const SIGNS: c_ulong = flag::HW | flag::SIGN | flag::VERIFY;
    const ENCRYPTS: c_ulong = flag::HW | flag::ENCRYPT | flag::DECRYPT | flag::WRAP | flag::UNWRAP;
    let rsa = |flags| MechanismInfo { min_key_size: 1024, max_key_size: 4096, flags };
    let ec = |flags| MechanismInfo { min_key_size: 256, max_key_size: 384, flags: flags | flag::EC };
    let curve_25519 = |flags| MechanismInfo { min_key_size: 255, max_key_size: 255, flags: flags | flag::HW };
    let hash = MechanismInfo { min_key_size: 0, max_key_size: 0, flags: flag::DIGEST };
    let mut all = vec![
        (
            RSA_PKCS_KEY_PAIR_GEN,
            MechanismInfo { min_key_size: 2048, ..rsa(flag::HW | flag::GENERATE_KEY_PAIR) },
        ),
        (RSA_PKCS, rsa(SIGNS | ENCRYPTS)),
        (RSA_X_509, rsa(SIGNS | ENCRYPTS)),
        (RSA_PKCS_OAEP, rsa(ENCRYPTS)),
        (EC_KEY_PAIR_GEN, ec(flag::GENERATE_KEY_PAIR)),
        (ECDH1_DERIVE, ec(flag::DERIVE)),
        (ECDH1_COFACTOR_DERIVE, ec(flag::DERIVE)),
        (EC_EDWARDS_KEY_PAIR_GEN, curve_25519(flag::GENERATE_KEY_PAIR)),
        (EC_MONTGOMERY_KEY_PAIR_GEN, curve_25519(flag::GENERATE_KEY_PAIR)),
        (EDDSA, curve_25519(SIGNS)),
    ];
    let rsa_signatures = [
        SHA1_RSA_PKCS,
        SHA224_RSA_PKCS,
        SHA256_RSA_PKCS,
        SHA384_RSA_PKCS,
        SHA512_RSA_PKCS,
        RSA_PKCS_PSS,
        SHA1_RSA_PKCS_PSS,
        SHA224_RSA_PKCS_PSS,
        SHA256_RSA_PKCS_PSS,
        SHA384_RSA_PKCS_PSS,
        SHA512_RSA_PKCS_PSS,
    ];
    all.extend(rsa_signatures.map(|kind| (kind, rsa(SIGNS))));
    let ec_signatures = [ECDSA, ECDSA_SHA1, ECDSA_SHA224, ECDSA_SHA256, ECDSA_SHA384, ECDSA_SHA512];
    all.extend(ec_signatures.map(|kind| (kind, ec(SIGNS))));
    all.extend([SHA_1, SHA224, SHA256, SHA384, SHA512].map(|kind| (kind, hash)));
    all.sort_by_key(|(kind, _)| *kind);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(kind: MechanismType, parameter: Parameter) -> Request {
        Request { kind, parameter }
    }

    #[test]
    fn every_mechanism_that_signs_is_read_and_no_other() {
        for (kind, info) in all() {
            let parameter = match ParameterForm::of(kind) {
                ParameterForm::Pss => {
                    let hash = match kind {
                        SHA1_RSA_PKCS_PSS => SHA_1,
                        SHA224_RSA_PKCS_PSS => SHA224,
                        SHA384_RSA_PKCS_PSS => SHA384,
                        SHA512_RSA_PKCS_PSS => SHA512,
                        _ => SHA256,
                    };
                    Parameter::Pss([hash, 2, 32])
                }
                _ => Parameter::None,
            };
            let signs = SignatureMechanism::of(&request(kind, parameter)).is_ok();
            assert_eq!(signs, info.flags & flag::SIGN != 0, "{kind:04X}");
        }
    }

    #[test]
    fn parameters_that_say_another_hash_or_none_are_refused() {
        let invalid = Err(ReturnValue::MECHANISM_PARAM_INVALID);
        let signature = |kind, parameter| SignatureMechanism::of(&request(kind, parameter)).map(|_| ());
        assert_eq!(signature(SHA256_RSA_PKCS_PSS, Parameter::Pss([SHA384, 2, 32])), invalid);
        assert_eq!(signature(RSA_PKCS_PSS, Parameter::Pss([SHA256, 9, 32])), invalid);
        assert_eq!(signature(RSA_PKCS_PSS, Parameter::Pss([SHA256, 2, c_ulong::MAX])), invalid);
        assert_eq!(signature(RSA_PKCS_PSS, Parameter::None), invalid);
        assert_eq!(signature(EDDSA, Parameter::Eddsa { prehash: true, context: Vec::new() }), invalid);
        let derivation = |function, shared: &[u8]| {
            let parameter = Parameter::Ecdh { function, shared: shared.to_vec(), public: vec![4] };
            Derivation::of(&request(ECDH1_DERIVE, parameter)).map(|derivation| derivation.function)
        };
        assert_eq!(derivation(1, &[]), Ok(None));
        assert_eq!(derivation(1, &[1]), Err(ReturnValue::MECHANISM_PARAM_INVALID));
        assert_eq!(derivation(6, &[1]), Ok(Some(Hash::Sha256)));
        assert_eq!(derivation(3, &[]), Err(ReturnValue::MECHANISM_PARAM_INVALID));
    }
}
