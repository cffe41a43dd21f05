//! The public key: strong enough, well-formed, its parameters exactly as written down.
use const_oid::db::rfc5912;
use der::asn1::Null;
use rsa::RsaPublicKey;
use rsa::traits::PublicKeyParts;
use spki::SubjectPublicKeyInfoOwned;

use super::{CertificateRule, Sample};
use crate::ca::algorithm::KeyKind;

pub(super) const RULE: CertificateRule = CertificateRule {
    name: "public-key",
    clause: "RFC 3279 section 2.3.1, RFC 5480, SP 800-78-5 section 3.1",
    check,
};

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let key = &sample.tbs.subject_public_key_info;
    match KeyKind::of(key) {
        Ok(KeyKind::Rsa) => check_rsa(key, messages),
        Ok(KeyKind::P256) => {
            check_point(
                key,
                p256::PublicKey::from_sec1_bytes(key.subject_public_key.raw_bytes()).is_ok(),
                messages,
            );
        }
        Ok(KeyKind::P384) => {
            check_point(
                key,
                p384::PublicKey::from_sec1_bytes(key.subject_public_key.raw_bytes()).is_ok(),
                messages,
            );
        }
        Err(error) => messages.push(error.to_string()),
    }
}

fn check_rsa(key: &SubjectPublicKeyInfoOwned, messages: &mut Vec<String>) {
    if key.algorithm.parameters.as_ref().is_none_or(|any| any.decode_as::<Null>().is_err()) {
        messages.push(format!("the parameters of {} are not NULL", rfc5912::RSA_ENCRYPTION));
    }
    use der::referenced::OwnedToRef;
    let Ok(key) = RsaPublicKey::try_from(key.owned_to_ref()) else {
        return messages.push("it is not a well-formed RSA key".into());
    };
    let bits = key.n().bits();
    if bits < 2048 || bits % 8 != 0 {
        messages.push(format!("the modulus has {bits} bits, not 2048 or more in whole octets"));
    }
    let exponent = key.e_bytes();
    let value = exponent.iter().fold(0_u128, |value, octet| value << 8 | u128::from(*octet));
    if exponent.len() > 8 || value < 65_537 || value % 2 == 0 {
        messages.push("the public exponent is not an odd number from 65537 to 2^64".into());
    }
}

fn check_point(key: &SubjectPublicKeyInfoOwned, on_curve: bool, messages: &mut Vec<String>) {
    if key.subject_public_key.raw_bytes().first() != Some(&0x04) {
        messages.push("the point is not in uncompressed form".into());
    }
    if !on_curve {
        messages.push("the point is not on the curve".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed, openssl_public_key};
    use super::*;
    use der::asn1::BitString;

    fn with(key: SubjectPublicKeyInfoOwned) -> crate::ca::certificate::TbsCertificate {
        changed(|tbs| tbs.subject_public_key_info = key)
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn good_rsa_2048_and_p384() {
        for options in
            [&["RSA", "-pkeyopt", "rsa_keygen_bits:2048"][..], &["EC", "-pkeyopt", "ec_paramgen_curve:P-384"]]
        {
            let sample = with(openssl_public_key(options));
            let found =
                super::super::samples::messages(&RULE, &Sample { tbs: &sample, outer_algorithm: None });
            assert_eq!(found, [""; 0], "{options:?}");
        }
    }

    #[test]
    fn bad_rsa_1024() {
        let key = openssl_public_key(&["RSA", "-pkeyopt", "rsa_keygen_bits:1024"]);
        assert_finding(&RULE, "1024 bits", &with(key));
    }

    #[test]
    fn bad_exponent_3() {
        let key = openssl_public_key(&[
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:2048",
            "-pkeyopt",
            "rsa_keygen_pubexp:3",
        ]);
        assert_finding(&RULE, "exponent", &with(key));
    }

    #[test]
    fn bad_rsa_without_null() {
        let mut key = openssl_public_key(&["RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
        key.algorithm.parameters = None;
        assert_finding(&RULE, "not NULL", &with(key));
    }

    #[test]
    fn bad_p521() {
        let key = openssl_public_key(&["EC", "-pkeyopt", "ec_paramgen_curve:P-521"]);
        assert_finding(&RULE, "curve other than", &with(key));
    }

    #[test]
    fn bad_ed25519() {
        assert_finding(&RULE, "Ed25519", &with(openssl_public_key(&["ED25519"])));
    }

    #[test]
    fn bad_point_off_the_curve() {
        let mut key = openssl_public_key(&["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let mut point = key.subject_public_key.raw_bytes().to_vec();
        point[64] ^= 1;
        key.subject_public_key = BitString::from_bytes(&point).unwrap();
        assert_finding(&RULE, "not on the curve", &with(key));
    }

    #[test]
    fn bad_compressed_point() {
        let mut key = openssl_public_key(&["EC", "-pkeyopt", "ec_paramgen_curve:P-256"]);
        let mut point = key.subject_public_key.raw_bytes()[..33].to_vec();
        point[0] = 0x02;
        key.subject_public_key = BitString::from_bytes(&point).unwrap();
        assert_finding(&RULE, "uncompressed", &with(key));
    }
}
