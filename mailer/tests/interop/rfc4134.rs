//! The examples of RFC 4134, from its text (`scripts/test --data DIR`): what becomes of each, and why.
use std::collections::BTreeMap;

use mailer::certificate::Certificate;
use mailer::keys::{KeyError, KeyRing, KeysError, RsaEncryption};
use rsa::pkcs8::DecodePrivateKey;
use zeroize::Zeroizing;

use crate::accounts::Office;
use crate::engine;
use crate::openssl_pki::Key;
use crate::outside_data;

/// What `ExContent.bin` holds (RFC 4134 section 2.1).
const EXAMPLE_CONTENT: &[u8] = b"This is some sample content.";

/// The binaries of appendix A: base64 between `|>name` and `|<name`.
fn examples() -> Option<BTreeMap<String, Vec<u8>>> {
    let text = std::fs::read_to_string(outside_data("rfc/rfc4134.txt")?).unwrap();
    let (mut examples, mut base64) = (BTreeMap::new(), String::new());
    for line in text.lines().filter_map(|line| line.trim_start().strip_prefix('|')) {
        match line.split_at_checked(1) {
            Some((">", _)) => base64.clear(),
            Some(("<", name)) => {
                let decoded = base64_simd::STANDARD.decode_to_vec(&base64).unwrap();
                examples.insert(name.trim().to_owned(), decoded);
            }
            Some(("*", _)) | None => {}
            _ => base64.push_str(line.trim()),
        }
    }
    Some(examples)
}

/// Every example that is or might be signed: its outcome, how many signatures it has, and what it shows.
///
/// All are of the year 2005 or before, so all digests are SHA-1, which is broken: no signature over one is believed,
/// whatever else is right or wrong about it. They are read all the same: content and signers are there.
const SIGNED: &[(&str, &str, usize, &str)] = &[
    ("3.1.bin", NO_SIGNED_DATA, 0, "id-data alone, BER"),
    ("3.2.bin", NO_SIGNED_DATA, 0, "id-data alone, DER"),
    ("4.1.bin", SHA_1, 1, "DSA, no signed attributes"),
    ("4.2.bin", SHA_1, 1, "RSA of 1024 bits"),
    ("4.3.bin", SHA_1, 1, "detached content"),
    ("4.4.bin", SHA_1, 1, "many attributes, signed and unsigned, and a CRL"),
    ("4.5.bin", SHA_1, 1, "RSA throughout"),
    (
        "4.6.bin",
        SHA_1,
        2,
        "two signers, one of whose keys inherits its DSA parameters; openssl refuses it too",
    ),
    ("4.7.bin", SHA_1, 1, "the signer named by subject key identifier"),
    ("4.10.bin", SHA_1, 1, "attributes of RFC 2634, unknown ones among them"),
    ("4.11.bin", "good", 0, "certificates only: legal, and no signature"),
    ("5.1.bin", NO_SIGNED_DATA, 0, "EnvelopedData"),
    ("6.0.bin", NO_SIGNED_DATA, 0, "DigestedData"),
    ("7.1.bin", NO_SIGNED_DATA, 0, "EncryptedData"),
    ("7.2.bin", NO_SIGNED_DATA, 0, "EncryptedData with unprotected attributes"),
];
const SHA_1: &str = "unsupported-algorithm";
const NO_SIGNED_DATA: &str = "not-signed-data";

#[test]
fn outside_data_signed_examples_have_their_outcomes() {
    let Some(examples) = examples() else { return };
    let known: Vec<Certificate> = examples
        .iter()
        .filter(|(name, _)| name.ends_with(".cer"))
        .map(|(name, der)| Certificate::from_der(der).unwrap_or_else(|error| panic!("{name}: {error}")))
        .collect();
    assert_eq!(known.len(), 7, "every certificate of section 2.3 is read");
    assert_eq!(examples["ExContent.bin"], EXAMPLE_CONTENT);
    let mut differences = Vec::new();
    for (name, wanted, signatures, why) in SIGNED {
        let detached = (*name == "4.3.bin").then_some(EXAMPLE_CONTENT);
        let outcome = engine::verify(&examples[*name], detached, &known);
        let found = outcome.map_or_else(|code| code, |_| "good".to_owned());
        println!("RFC 4134 {name}: {found} ({why})");
        if found != *wanted {
            differences.push(format!("{name}: {found}, not {wanted} ({why})"));
        }
        if *wanted == SHA_1 {
            let (content, found) = engine::contents(&examples[*name], detached);
            assert_eq!(
                (content.as_deref(), found),
                (detached.xor(Some(EXAMPLE_CONTENT)), *signatures),
                "{name}"
            );
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The keys of the examples: RSA of 1024 bits, which no key of ours can be.
struct Old {
    certificates: Vec<Certificate>,
    key: rsa::RsaPrivateKey,
}

impl KeyRing for Old {
    fn certificates(&self) -> &[Certificate] {
        &self.certificates
    }

    fn decrypt(
        &mut self,
        _: usize,
        encryption: RsaEncryption,
        encrypted: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let RsaEncryption::Pkcs1v15 { length } = encryption else {
            return Err(KeyError::Unsupported("OAEP".to_owned()).into());
        };
        let opened = self.key.decrypt(rsa::Pkcs1v15Encrypt, encrypted).unwrap_or_default();
        Ok(Zeroizing::new(if opened.len() == length { opened } else { vec![0; length] }))
    }

    fn agree(&mut self, _: usize, _: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        Err(KeysError::NoSuchKey)
    }
}

#[test]
fn outside_data_enveloped_examples_have_their_outcomes() {
    let Some(examples) = examples() else { return };
    let mut bob = Old {
        certificates: vec![Certificate::from_der(&examples["BobRSASignByCarl.cer"]).unwrap()],
        key: rsa::RsaPrivateKey::from_pkcs8_der(&examples["BobPrivRSAEncrypt.pri"]).unwrap(),
    };
    let mail = String::from_utf8(examples["5.3.eml"].clone()).unwrap().replace('\r', "");
    let base64: String = mail.split_once("\n\n").unwrap().1.split_whitespace().collect();
    let from_mail = base64_simd::STANDARD.decode_to_vec(base64).unwrap();
    for (name, cms, wanted, why) in [
        ("5.1", &examples["5.1.bin"], Ok(EXAMPLE_CONTENT), "triple DES, which is read only"),
        ("5.2", &examples["5.2.bin"], Err("unsupported-algorithm"), "RC2"),
        ("5.3", &from_mail, Ok(EXAMPLE_CONTENT), "triple DES in a mail"),
        ("4.1", &examples["4.1.bin"], Err("not-enveloped"), "SignedData"),
        ("7.1", &examples["7.1.bin"], Err("not-enveloped"), "EncryptedData"),
    ] {
        let outcome = engine::decrypt(cms, &mut bob);
        let found = outcome.as_ref().map(|(content, authenticated)| (content.as_slice(), *authenticated));
        assert_eq!(found.map_err(String::as_str), wanted.map(|content| (content, false)), "{name} ({why})");
        println!("RFC 4134 {name}: as expected ({why})");
    }
    // Somebody else's key: nothing of it is told apart.
    let mut diane = Old {
        certificates: vec![Certificate::from_der(&examples["DianeRSASignByCarl.cer"]).unwrap()],
        key: bob.key.clone(),
    };
    assert_eq!(engine::decrypt(&examples["5.1.bin"], &mut diane).map(|_| ()), Err("not-for-us".to_owned()));
}

/// The mails of sections 4.8, 4.9 and 5.3 through the program; their signatures are like that of 4.1.
#[test]
fn outside_data_mails_have_their_outcomes() {
    let Some(examples) = examples() else { return };
    let office = Office::new();
    office.person("bob", Key::P256);
    for (name, exit, wanted) in [("4.8.eml", 4, SHA_1), ("4.9.eml", 4, SHA_1), ("5.3.eml", 1, "not-for-us")] {
        let said = office.run("bob", &["open", "--json"], &examples[name]).expect(exit);
        let json = said.json();
        let code = json["verdict"]["code"].as_str().or(json["error"]["code"].as_str());
        assert_eq!(code, Some(wanted), "{name}: {}", said.stderr);
        assert!(said.stdout.is_empty(), "{name}");
    }
}
