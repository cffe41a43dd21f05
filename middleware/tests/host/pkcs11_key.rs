//! Keys behind another PKCS#11 module: SoftHSM2 holds the same keys as our files, so both must do the same.
use std::path::Path;
use std::process::Command;

use middleware::{
    Decryptor as _, DigestAlgorithm, FileKey, KeyAgreement as _, KeyAlgorithm, KeyError, Pkcs11Key,
    Pkcs11Uri, RsaEncryption, SignatureScheme, Signer,
};

use crate::openssl::{openssl, openssl_verifies, openssl_verifies_pss, write_public_key};

const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";
const PIN: &str = "a long PIN";
/// Set for the child in which the test runs: SoftHSM finds its tokens by the environment alone.
const FOLDER: &str = "SEALWRIGHT_TEST_FOLDER";

/// Runs the rest of the test that calls it in a child that has SoftHSM's configuration in its environment.
fn in_a_child_with_a_token(test: &str) -> Option<std::path::PathBuf> {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return Some(folder.into());
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    std::fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    softhsm(
        &configuration,
        &["--init-token", "--free", "--label", "Test", "--so-pin", "12345678", "--pin", PIN],
    );
    for (id, name, algorithm) in KEYS {
        let key = FileKey::generate(algorithm).unwrap();
        let pem = key.to_encrypted_pkcs8_pem("secret").unwrap();
        std::fs::write(folder.path().join(format!("{name}.pem")), pem.as_bytes()).unwrap();
        let plain = ["pkcs8", "-in", &format!("{name}.pem"), "-passin", "pass:secret", "-topk8", "-nocrypt"];
        openssl(folder.path(), &[&plain[..], &["-out", "plain.pem"]].concat());
        let plain = folder.path().join("plain.pem").display().to_string();
        softhsm(
            &configuration,
            &["--import", &plain, "--token", "Test", "--label", name, "--id", id, "--pin", PIN],
        );
        if !algorithm.is_rsa() {
            // SoftHSM's own tool imports keys that may not derive.
            write_deriving(&configuration, &plain, id, name);
        }
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env("SOFTHSM2_CONF", &configuration)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    None
}

const KEYS: [(&str, &str, KeyAlgorithm); 3] = [
    ("01", "rsa", KeyAlgorithm::Rsa2048),
    ("02", "p256", KeyAlgorithm::P256),
    ("03", "p384", KeyAlgorithm::P384),
];

/// OpenSC's tool writes both halves once more, under another id, and lets the private one derive.
fn write_deriving(configuration: &Path, plain: &str, id: &str, name: &str) {
    let public = format!("{plain}.pub");
    openssl(Path::new("/"), &["pkey", "-in", plain, "-pubout", "-out", &public]);
    let (id, label) = (format!("1{}", &id[1..]), format!("{name}-derive"));
    for (kind, file) in [("privkey", plain), ("pubkey", public.as_str())] {
        let output = Command::new("pkcs11-tool")
            .args([
                "--module",
                MODULE,
                "--token-label",
                "Test",
                "--login",
                "--pin",
                PIN,
                "--write-object",
                file,
            ])
            .args(["--type", kind, "--id", &id, "--label", &label, "--usage-derive"])
            .env("SOFTHSM2_CONF", configuration)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

fn softhsm(configuration: &Path, arguments: &[&str]) {
    let output =
        Command::new("softhsm2-util").args(arguments).env("SOFTHSM2_CONF", configuration).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn open(attributes: &str) -> Result<Pkcs11Key, KeyError> {
    let uri: Pkcs11Uri = format!("pkcs11:token=Test;{attributes}?module-path={MODULE}").parse().unwrap();
    Pkcs11Key::open(&uri, PIN)
}

fn file_key(folder: &Path, name: &str) -> FileKey {
    let pem = std::fs::read_to_string(folder.join(format!("{name}.pem"))).unwrap();
    FileKey::from_encrypted_pkcs8_pem(&pem, "secret").unwrap()
}

#[test]
fn keys_in_softhsm_do_what_the_same_keys_in_files_do() {
    let test = "pkcs11_key::keys_in_softhsm_do_what_the_same_keys_in_files_do";
    let Some(folder) = in_a_child_with_a_token(test) else { return };
    for (id, name, algorithm) in KEYS {
        let mut key = open(&format!("object={name};id=%{id};type=private")).unwrap();
        let mut same = file_key(&folder, name);
        let public_key = Signer::public_key(&key).clone();
        assert_eq!((key.algorithm(), &public_key), (algorithm, Signer::public_key(&same)));
        for hash in [DigestAlgorithm::Sha256, DigestAlgorithm::Sha384, DigestAlgorithm::Sha512] {
            let digest = vec![0x5A; hash.length()];
            if algorithm.is_rsa() {
                let signature = key.sign(SignatureScheme::RsaPkcs1(hash), &digest).unwrap();
                assert_eq!(signature, same.sign(SignatureScheme::RsaPkcs1(hash), &digest).unwrap());
                let signature = key.sign(SignatureScheme::RsaPss(hash), &digest).unwrap();
                assert!(openssl_verifies_pss(&folder, &public_key, &digest, &signature));
                let error = key.sign(SignatureScheme::Ecdsa(hash), &digest).unwrap_err();
                assert!(matches!(error, KeyError::Unsupported(_)), "{error}");
            } else {
                let signature = key.sign(SignatureScheme::Ecdsa(hash), &digest).unwrap();
                assert!(openssl_verifies(&folder, &public_key, &digest, &signature), "{algorithm} {hash}");
            }
        }
        if algorithm.is_rsa() {
            decrypts_as(&folder, &mut key, &mut same);
        } else {
            let peer = FileKey::generate(algorithm).unwrap();
            let mut key = open(&format!("object={name}-derive")).unwrap();
            let point = Signer::public_key(&peer).subject_public_key.raw_bytes().to_vec();
            assert_eq!(key.agree(&point).unwrap(), same.agree(&point).unwrap());
            assert!(matches!(key.agree(&point[1..]), Err(KeyError::MalformedPeerKey)));
        }
    }
}

fn decrypts_as(folder: &Path, key: &mut Pkcs11Key, same: &mut FileKey) {
    write_public_key(folder, "recipient.pem", Signer::public_key(same));
    std::fs::write(folder.join("content-key"), [0x5A; 32]).unwrap();
    let encrypt = ["pkeyutl", "-encrypt", "-pubin", "-inkey", "recipient.pem", "-in", "content-key"];
    let ciphertext = openssl(folder, &encrypt);
    let pkcs1 = RsaEncryption::Pkcs1v15 { length: 32 };
    assert_eq!(*key.decrypt(pkcs1, &ciphertext).unwrap(), [0x5A; 32]);
    // No oracle: another length is bad padding, and gives a random key.
    assert_ne!(*key.decrypt(RsaEncryption::Pkcs1v15 { length: 24 }, &ciphertext).unwrap(), [0x5A; 24]);
    let oaep = ["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", "rsa_oaep_md:sha256"];
    let mut ciphertext = openssl(folder, &[&encrypt[..], &oaep].concat());
    let encryption = RsaEncryption::oaep(DigestAlgorithm::Sha256);
    assert_eq!(*key.decrypt(encryption, &ciphertext).unwrap(), [0x5A; 32]);
    ciphertext[100] ^= 1;
    assert!(matches!(key.decrypt(encryption, &ciphertext), Err(KeyError::DecryptionFailed)));
    assert!(matches!(key.decrypt(encryption, &ciphertext[1..]), Err(KeyError::DecryptionFailed)));
    assert!(key.agree(&[4; 65]).is_err());
}

#[test]
fn what_the_uri_does_not_lead_to_is_told() {
    let test = "pkcs11_key::what_the_uri_does_not_lead_to_is_told";
    if in_a_child_with_a_token(test).is_none() {
        return;
    }
    for (attributes, word) in
        [("object=none", "no private key"), ("", "several private keys"), ("serial=1", "no token")]
    {
        let error = open(attributes).err().unwrap();
        assert!(matches!(&error, KeyError::NoSuchKey(what) if what.contains(word)), "{error}");
    }
    let uri: Pkcs11Uri = "pkcs11:token=Test?module-path=/nonexistent/module.so".parse().unwrap();
    let error = Pkcs11Key::open(&uri, PIN).err().unwrap();
    assert!(
        matches!(&error, KeyError::NoSuchKey(what) if what.contains("/nonexistent/module.so")),
        "{error}"
    );
    let uri: Pkcs11Uri = "pkcs11:token=Test".parse().unwrap();
    assert!(Pkcs11Key::open(&uri, PIN).err().unwrap().to_string().contains("module-path"));
    let uri: Pkcs11Uri = format!("pkcs11:token=Test;object=rsa?module-path={MODULE}").parse().unwrap();
    let error = Pkcs11Key::open(&uri, "wrong").err().unwrap();
    assert!(matches!(&error, KeyError::Module { code, .. } if code == "PinIncorrect"), "{error}");
}
