//! Encrypted PKCS#8 files that openssl reads and writes (RFC 5958, RFC 8018).
use middleware::{
    Decryptor as _, DigestAlgorithm, FileKey, KeyAgreement as _, KeyAlgorithm, KeyError, RsaEncryption,
    SignatureScheme, Signer,
};
use sha2::Digest as _;
use spki::SubjectPublicKeyInfoOwned;

use crate::openssl::{openssl, openssl_verifies, openssl_verifies_pss, point_of, write_public_key};

const PASSPHRASE: &str = "correct horse";

fn public_key(key: &FileKey) -> SubjectPublicKeyInfoOwned {
    Signer::public_key(key).clone()
}

fn failure(pem: &str, passphrase: &str) -> KeyError {
    FileKey::from_encrypted_pkcs8_pem(pem, passphrase).err().expect("it is refused")
}

#[test]
fn our_files_open_in_openssl_and_sign_there() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::P256, KeyAlgorithm::P384] {
        let key = FileKey::generate(algorithm).unwrap();
        assert_eq!(key.algorithm(), algorithm);
        let pem = key.to_encrypted_pkcs8_pem(PASSPHRASE).unwrap();
        std::fs::write(folder.path().join("key.pem"), pem.as_bytes()).unwrap();
        let pass = format!("pass:{PASSPHRASE}");
        let ours = write_public_key(folder.path(), "ours.pem", &public_key(&key));
        let theirs = openssl(folder.path(), &["pkey", "-in", "key.pem", "-passin", &pass, "-pubout"]);
        assert_eq!(std::fs::read(ours).unwrap(), theirs, "{algorithm}");
        // RFC 8018 and RFC 7914: PBES2 with scrypt and AES-256-CBC.
        let structure = openssl(folder.path(), &["asn1parse", "-in", "key.pem"]);
        let structure = String::from_utf8(structure).unwrap();
        for word in ["PBES2", "scrypt", "aes-256-cbc"] {
            assert!(structure.contains(word), "{word} is not in\n{structure}");
        }
        let again = FileKey::from_encrypted_pkcs8_pem(&pem, PASSPHRASE).unwrap();
        assert_eq!(public_key(&again), public_key(&key));
    }
}

#[test]
fn openssls_files_open_here_whatever_their_key_derivation() {
    let folder = tempfile::tempdir().unwrap();
    let keys = [
        (KeyAlgorithm::Rsa2048, vec!["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
        (KeyAlgorithm::Rsa3072, vec!["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]),
        (KeyAlgorithm::Rsa4096, vec!["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:4096"]),
        (KeyAlgorithm::P256, vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
        (KeyAlgorithm::P384, vec!["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ];
    for (algorithm, options) in keys {
        openssl(folder.path(), &[&["genpkey"][..], &options, &["-out", "plain.pem"]].concat());
        for derivation in [&["-v2", "aes-256-cbc"][..], &["-scrypt"]] {
            let command = ["pkcs8", "-topk8", "-in", "plain.pem", "-passout", "pass:correct horse"];
            let pem = openssl(folder.path(), &[&command[..], derivation].concat());
            let mut key =
                FileKey::from_encrypted_pkcs8_pem(&String::from_utf8(pem).unwrap(), PASSPHRASE).unwrap();
            assert_eq!(key.algorithm(), algorithm);
            let digest = sha2::Sha384::digest(b"text").to_vec();
            let scheme = match algorithm {
                KeyAlgorithm::P256 | KeyAlgorithm::P384 => SignatureScheme::Ecdsa(DigestAlgorithm::Sha384),
                _ => SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha384),
            };
            let signature = key.sign(scheme, &digest).unwrap();
            assert!(openssl_verifies(folder.path(), &public_key(&key), &digest, &signature), "{algorithm}");
            if let SignatureScheme::RsaPkcs1(hash) = scheme {
                let signature = key.sign(SignatureScheme::RsaPss(hash), &digest).unwrap();
                assert!(openssl_verifies_pss(folder.path(), &public_key(&key), &digest, &signature));
            }
        }
    }
}

#[test]
fn a_wrong_passphrase_and_a_wrong_file_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let pem = FileKey::generate(KeyAlgorithm::P256).unwrap().to_encrypted_pkcs8_pem(PASSPHRASE).unwrap();
    for wrong in ["", "correct hors", "Correct horse"] {
        assert!(matches!(failure(&pem, wrong), KeyError::WrongPassphrase), "{wrong:?}");
    }
    openssl(
        folder.path(),
        &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "plain.pem"],
    );
    let plain = std::fs::read_to_string(folder.path().join("plain.pem")).unwrap();
    for other in [plain.as_str(), "", "not PEM", &pem[..pem.len() / 2]] {
        let error = failure(other, PASSPHRASE);
        assert!(matches!(error, KeyError::MalformedKeyFile(_)), "{error}");
    }
    openssl(folder.path(), &["genpkey", "-algorithm", "ED448", "-out", "other.pem"]);
    let command = ["pkcs8", "-topk8", "-in", "other.pem", "-passout", "pass:correct horse"];
    let other = String::from_utf8(openssl(folder.path(), &command)).unwrap();
    assert!(matches!(failure(&other, PASSPHRASE), KeyError::Unsupported(_)));
}

#[test]
fn unencrypted_pkcs8_is_what_openssl_reads() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in [KeyAlgorithm::Rsa2048, KeyAlgorithm::P256] {
        let key = FileKey::generate(algorithm).unwrap();
        std::fs::write(folder.path().join("key.der"), &*key.to_pkcs8_der().unwrap()).unwrap();
        let check = openssl(folder.path(), &["pkey", "-inform", "DER", "-in", "key.der", "-check", "-noout"]);
        assert!(String::from_utf8(check).unwrap().contains("valid"));
        let again = FileKey::from_pkcs8_der(&key.to_pkcs8_der().unwrap()).unwrap();
        assert_eq!(public_key(&again), public_key(&key));
    }
}

#[test]
fn a_file_key_decrypts_what_openssl_encrypted() {
    let folder = tempfile::tempdir().unwrap();
    let mut key = FileKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    write_public_key(folder.path(), "recipient.pem", &public_key(&key));
    std::fs::write(folder.path().join("key"), [0x5A; 32]).unwrap();
    let command = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "recipient.pem", "-in", "key"];
    let pkcs1 = openssl(folder.path(), &command);
    assert_eq!(*key.decrypt(RsaEncryption::Pkcs1v15 { length: 32 }, &pkcs1).unwrap(), [0x5A; 32]);
    assert_ne!(*key.decrypt(RsaEncryption::Pkcs1v15 { length: 24 }, &pkcs1).unwrap(), [0x5A; 24]);

    let oaep = [
        "-pkeyopt",
        "rsa_padding_mode:oaep",
        "-pkeyopt",
        "rsa_oaep_md:sha256",
        "-pkeyopt",
        "rsa_mgf1_md:sha256",
    ];
    let mut oaep = openssl(folder.path(), &[&command[..], &oaep[..]].concat());
    let encryption = RsaEncryption::oaep(DigestAlgorithm::Sha256);
    assert_eq!(*key.decrypt(encryption, &oaep).unwrap(), [0x5A; 32]);
    oaep[200] ^= 1;
    assert!(matches!(key.decrypt(encryption, &oaep), Err(KeyError::DecryptionFailed)));
    assert!(matches!(key.decrypt(encryption, &oaep[1..]), Err(KeyError::DecryptionFailed)));
    assert!(matches!(key.decrypt(encryption, &[0xFF; 256]), Err(KeyError::DecryptionFailed)));
}

#[test]
fn a_file_key_agrees_with_openssl_and_refuses_other_points() {
    let folder = tempfile::tempdir().unwrap();
    let mut key = FileKey::generate(KeyAlgorithm::P256).unwrap();
    write_public_key(folder.path(), "ours.pem", &public_key(&key));
    openssl(folder.path(), &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "peer.key"]);
    let peer = point_of(&openssl(folder.path(), &["ec", "-in", "peer.key", "-pubout", "-outform", "DER"]));
    let expected =
        openssl(folder.path(), &["pkeyutl", "-derive", "-inkey", "peer.key", "-peerkey", "ours.pem"]);
    assert_eq!(*key.agree(&peer).unwrap(), expected);
    let mut off_curve = peer.clone();
    off_curve[40] ^= 1;
    for point in [off_curve.as_slice(), &peer[..64], &[]] {
        assert!(matches!(key.agree(point), Err(KeyError::MalformedPeerKey)));
    }
    let mut rsa = FileKey::generate(KeyAlgorithm::Rsa2048).unwrap();
    assert!(matches!(rsa.agree(&peer), Err(KeyError::Unsupported(_))));
    assert!(matches!(
        key.decrypt(RsaEncryption::Pkcs1v15 { length: 16 }, &[0; 256]),
        Err(KeyError::Unsupported(_))
    ));
}

#[test]
fn schemes_that_do_not_fit_the_key_are_refused() {
    let mut key = FileKey::generate(KeyAlgorithm::P256).unwrap();
    let digest = [7; 32];
    for (scheme, digest) in [
        (SignatureScheme::RsaPkcs1(DigestAlgorithm::Sha256), &digest[..]),
        (SignatureScheme::Ecdsa(DigestAlgorithm::Sha256), &digest[1..]),
        (SignatureScheme::Ecdsa(DigestAlgorithm::Sha384), &digest[..]),
    ] {
        assert!(matches!(key.sign(scheme, digest), Err(KeyError::Unsupported(_))));
    }
}

/// SP 800-78-5 table 6-2: what 1024 bits signed or encrypted long ago is read, and no more.
#[test]
fn keys_of_1024_bits_only_verify() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    openssl(
        at,
        &[
            "genpkey",
            "-algorithm",
            "RSA",
            "-pkeyopt",
            "rsa_keygen_bits:1024",
            "-outform",
            "DER",
            "-out",
            "short",
        ],
    );
    let error = FileKey::from_pkcs8_der(&std::fs::read(at.join("short")).unwrap()).err().unwrap();
    assert!(matches!(error, KeyError::Unsupported(_)), "{error}");
    assert!(matches!(FileKey::generate(KeyAlgorithm::Rsa1024), Err(KeyError::Unsupported(_))));
    let public = openssl(at, &["pkey", "-inform", "DER", "-in", "short", "-pubout", "-outform", "DER"]);
    let public = <SubjectPublicKeyInfoOwned as der::Decode>::from_der(&public).unwrap();
    assert_eq!(KeyAlgorithm::of(&public), Some(KeyAlgorithm::Rsa1024));
}

/// RFC 8410: written and read by openssl, signing and agreeing as it does.
#[test]
fn keys_of_curve25519_are_those_of_openssl() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (algorithm, name) in [(KeyAlgorithm::Ed25519, "ED25519"), (KeyAlgorithm::X25519, "X25519")] {
        openssl(at, &["genpkey", "-algorithm", name, "-out", "plain.pem"]);
        let command = ["pkcs8", "-topk8", "-in", "plain.pem", "-passout", "pass:correct horse"];
        let pem = String::from_utf8(openssl(at, &command)).unwrap();
        let theirs = FileKey::from_encrypted_pkcs8_pem(&pem, PASSPHRASE).unwrap();
        assert_eq!(theirs.algorithm(), algorithm);
        write_public_key(at, "theirs.pem", &public_key(&theirs));
        let expected = openssl(at, &["pkey", "-in", "plain.pem", "-pubout"]);
        assert_eq!(std::fs::read(at.join("theirs.pem")).unwrap(), expected);

        let ours = FileKey::generate(algorithm).unwrap();
        std::fs::write(at.join("ours.pem"), ours.to_encrypted_pkcs8_pem(PASSPHRASE).unwrap().as_bytes())
            .unwrap();
        let read = openssl(at, &["pkey", "-in", "ours.pem", "-passin", "pass:correct horse", "-pubout"]);
        write_public_key(at, "ours.pub", &public_key(&ours));
        assert_eq!(std::fs::read(at.join("ours.pub")).unwrap(), read);
    }
    let mut signer = FileKey::generate(KeyAlgorithm::Ed25519).unwrap();
    std::fs::write(at.join("text"), "what is signed").unwrap();
    let signature = signer.sign(SignatureScheme::Ed25519, b"what is signed").unwrap();
    std::fs::write(at.join("signature"), signature).unwrap();
    write_public_key(at, "signer.pem", &public_key(&signer));
    let verify = ["pkeyutl", "-verify", "-pubin", "-inkey", "signer.pem", "-rawin", "-in", "text"];
    openssl(at, &[&verify[..], &["-sigfile", "signature"]].concat());

    let mut key = FileKey::generate(KeyAlgorithm::X25519).unwrap();
    write_public_key(at, "ours.pub", &public_key(&key));
    openssl(at, &["genpkey", "-algorithm", "X25519", "-out", "peer.pem"]);
    let peer = openssl(at, &["pkey", "-in", "peer.pem", "-pubout", "-outform", "DER"]);
    let expected = openssl(at, &["pkeyutl", "-derive", "-inkey", "peer.pem", "-peerkey", "ours.pub"]);
    assert_eq!(*key.agree(&peer[peer.len() - 32..]).unwrap(), expected);
    // RFC 7748 section 6.1: a point of small order.
    assert!(matches!(key.agree(&[0; 32]), Err(KeyError::MalformedPeerKey)));
    assert!(matches!(signer.agree(&[9; 32]), Err(KeyError::Unsupported(_))));
}
