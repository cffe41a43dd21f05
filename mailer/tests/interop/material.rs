//! Keys of every kind with certificates, contents of every shape, and ways to spoil a message.
use std::collections::BTreeSet;

use crate::openssl_pki::Key;
use crate::openssl_pki::{Identity, Pki, encryption, openssl, signing};

/// What is signed and encrypted: canonical, and easy to find again.
pub(crate) const CONTENT: &[u8] =
    b"Content-Type: text/plain\r\n\r\nThe crane arrives on Tuesday, not on Wednesday.\r\n";
/// Where [`CONTENT`] is changed.
const MARK: &[u8] = b"The crane";

/// The kinds of keys that openssl makes, by the options of `openssl genpkey`.
pub(crate) const KEY_KINDS: &[(&str, &[&str])] = &[
    ("rsa2048", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("rsa3072", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:3072"]),
    ("rsa1024", &["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:1024"]),
    ("rsa-pss", &["-algorithm", "RSA-PSS", "-pkeyopt", "rsa_keygen_bits:2048"]),
    ("p256", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]),
    ("p384", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"]),
    ("p521", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-521"]),
    ("secp256k1", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:secp256k1"]),
    ("brainpool", &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"]),
    ("ed25519", &["-algorithm", "ED25519"]),
    ("ed448", &["-algorithm", "ED448"]),
    ("x25519", &["-algorithm", "X25519"]),
    ("dsa", &["-paramfile", "dsa.parameters"]),
];

/// A person of the people's CA with a key of any kind, valid around the computer's clock.
pub(crate) fn issue(pki: &Pki, kind: &str, name: &str, extensions: &str) -> Identity {
    let (_, options) = KEY_KINDS.iter().find(|(known, _)| *known == kind).unwrap();
    let (key, public, pem, extension_file) =
        (format!("{name}.key"), format!("{name}.pub"), format!("{name}.pem"), format!("{name}.ext"));
    if kind == "dsa" {
        let parameters = "genpkey -genparam -algorithm DSA -pkeyopt dsa_paramgen_bits:2048 -pkeyopt dsa_paramgen_q_bits:256 \
                          -out dsa.parameters";
        openssl(pki.path(), &parameters.split_whitespace().collect::<Vec<_>>());
    }
    openssl(pki.path(), &[&["genpkey", "-out", &key][..], options].concat());
    openssl(pki.path(), &["pkey", "-in", &key, "-pubout", "-out", &public]);
    pki.write(&extension_file, extensions.as_bytes());
    let subject = format!("/CN={name}");
    let certify = [
        "x509",
        "-new",
        "-force_pubkey",
        &public,
        "-subj",
        &subject,
        "-CA",
        "People.pem",
        "-CAkey",
        "People.key",
        "-extfile",
        &extension_file,
        "-days",
        "30",
        "-sha256",
        "-out",
        &pem,
    ];
    openssl(pki.path(), &certify);
    Identity { folder: pki.path().to_owned(), name: name.to_owned() }
}

pub(crate) fn signer(pki: &Pki, kind: &str) -> Identity {
    let name = format!("{kind}-sign");
    issue(pki, kind, &name, &signing(&format!("{name}@example.test")))
}

pub(crate) fn reader(pki: &Pki, kind: &str) -> Identity {
    let name = format!("{kind}-read");
    let usage = if kind.starts_with("rsa") { Key::Rsa2048 } else { Key::P256 };
    issue(pki, kind, &name, &encryption(&format!("{name}@example.test"), usage))
}

/// The same bytes with the content changed.
pub(crate) fn with_other_content(bytes: &[u8]) -> Vec<u8> {
    let at = find(bytes, MARK).expect("the content must be readable in the message");
    let mut changed = bytes.to_vec();
    changed[at + 4] ^= 0x20;
    changed
}

/// The same bytes with the last bit changed that is not part of the padding of an indefinite form.
pub(crate) fn with_other_end(bytes: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let last = changed.iter().rposition(|byte| *byte != 0).unwrap();
    changed[last] ^= 1;
    changed
}

pub(crate) fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// What the providers of openssl offer, each thing once, by a name that its command takes.
pub(crate) fn openssl_algorithms(pki: &Pki, list: &str) -> BTreeSet<String> {
    let printed = openssl(pki.path(), &["list", list, "-provider", "legacy", "-provider", "default"]);
    let usable = |name: &&str| {
        !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && !name.contains('/')
    };
    String::from_utf8(printed)
        .unwrap()
        .lines()
        .filter_map(|line| line.split_once(" @ "))
        .filter_map(|(names, _)| names.split([' ', '{', '}', ',']).find(usable).map(str::to_lowercase))
        .collect()
}
