//! Object identifiers of CMS and S/MIME, by the RFC that defines them.
use const_oid::ObjectIdentifier;

macro_rules! object_identifiers {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {
        $($(#[$doc])* pub(crate) const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($text);)+
    };
}

object_identifiers! {
    // RFC 5652: content types and attributes.
    ID_DATA = "1.2.840.113549.1.7.1";
    ID_SIGNED_DATA = "1.2.840.113549.1.7.2";
    ID_ENVELOPED_DATA = "1.2.840.113549.1.7.3";
    CONTENT_TYPE = "1.2.840.113549.1.9.3";
    MESSAGE_DIGEST = "1.2.840.113549.1.9.4";
    SIGNING_TIME = "1.2.840.113549.1.9.5";
    // RFC 5083.
    ID_CT_AUTH_ENVELOPED_DATA = "1.2.840.113549.1.9.16.1.23";
    // RFC 3274.
    ID_CT_COMPRESSED_DATA = "1.2.840.113549.1.9.16.1.9";
    ZLIB_COMPRESS = "1.2.840.113549.1.9.16.3.8";
    // RFC 8551.
    SMIME_CAPABILITIES = "1.2.840.113549.1.9.15";
    // RFC 2634: receipts and labels.
    ID_CT_RECEIPT = "1.2.840.113549.1.9.16.1.1";
    RECEIPT_REQUEST = "1.2.840.113549.1.9.16.2.1";
    SECURITY_LABEL = "1.2.840.113549.1.9.16.2.2";
    ML_EXPANSION_HISTORY = "1.2.840.113549.1.9.16.2.3";
    MESSAGE_SIGNATURE_DIGEST = "1.2.840.113549.1.9.16.2.5";
    CONTENT_IDENTIFIER = "1.2.840.113549.1.9.16.2.7";
    // RFC 2634 and RFC 5035.
    SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12";
    SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47";
    // RFC 3161 appendix A.
    TIME_STAMP_TOKEN = "1.2.840.113549.1.9.16.2.14";
    // RFC 6211.
    CMS_ALGORITHM_PROTECTION = "1.2.840.113549.1.9.52";
    // FIPS 180-4.
    SHA1 = "1.3.14.3.2.26";
    SHA256 = "2.16.840.1.101.3.4.2.1";
    // RFC 8017.
    RSAES_OAEP = "1.2.840.113549.1.1.7";
    MGF1 = "1.2.840.113549.1.1.8";
    P_SPECIFIED = "1.2.840.113549.1.1.9";
    // RFC 3565 and RFC 5084.
    AES_128_CBC = "2.16.840.1.101.3.4.1.2";
    AES_128_WRAP = "2.16.840.1.101.3.4.1.5";
    AES_128_GCM = "2.16.840.1.101.3.4.1.6";
    AES_192_CBC = "2.16.840.1.101.3.4.1.22";
    AES_192_WRAP = "2.16.840.1.101.3.4.1.25";
    AES_192_GCM = "2.16.840.1.101.3.4.1.26";
    AES_256_CBC = "2.16.840.1.101.3.4.1.42";
    AES_256_WRAP = "2.16.840.1.101.3.4.1.45";
    AES_256_GCM = "2.16.840.1.101.3.4.1.46";
    // RFC 3370 and RFC 8103.
    DES_EDE3_CBC = "1.2.840.113549.3.7";
    CHACHA20_POLY1305 = "1.2.840.113549.1.9.16.3.18";
    // RFC 5753: ephemeral-static ECDH with the X9.63 key derivation function.
    STD_DH_SHA224_KDF = "1.3.132.1.11.0";
    STD_DH_SHA1_KDF = "1.3.133.16.840.63.0.2";
    STD_DH_SHA256_KDF = "1.3.132.1.11.1";
    STD_DH_SHA384_KDF = "1.3.132.1.11.2";
    STD_DH_SHA512_KDF = "1.3.132.1.11.3";
    COFACTOR_DH_SHA1_KDF = "1.3.133.16.840.63.0.3";
    COFACTOR_DH_SHA224_KDF = "1.3.132.1.14.0";
    COFACTOR_DH_SHA256_KDF = "1.3.132.1.14.1";
    COFACTOR_DH_SHA384_KDF = "1.3.132.1.14.2";
    COFACTOR_DH_SHA512_KDF = "1.3.132.1.14.3";
    // RFC 8418: the same with HKDF.
    STD_DH_HKDF_SHA256 = "1.2.840.113549.1.9.16.3.19";
    STD_DH_HKDF_SHA384 = "1.2.840.113549.1.9.16.3.20";
    STD_DH_HKDF_SHA512 = "1.2.840.113549.1.9.16.3.21";
}
