//! Authorities of a desk, and what they certified, as others see it.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::{Path, PathBuf};

use crate::desk_support::{Desk, extract_certificates, openssl, openssl_verify};

/// A card for somebody; answers the file of its 9C certificate.
pub fn card(desk: &Desk, person: &str, name: &str) -> PathBuf {
    let locator = desk.yubikey(&format!("{name}.card"), &[]);
    desk.issue(person, &locator, &[]);
    extract_certificates(&locator, &desk.path(name));
    desk.path(name).join("9C.pem")
}

pub fn field(certificate: &Path, field: &str) -> String {
    let said = openssl(&["x509", "-in", certificate.to_str().unwrap(), "-noout", field]);
    String::from_utf8(said.stdout).unwrap().trim().to_owned()
}

/// The authorities as `ca list` tells them: name and number of each key, the current one first marked.
pub fn keys(desk: &Desk) -> Vec<(String, u64, bool)> {
    let listed = desk.json(&["ca", "list"]);
    let line = |key: &serde_json::Value| {
        let name = key["authority"].as_str().unwrap().to_owned();
        (name, key["key"].as_u64().unwrap(), key["is_current"].as_bool().unwrap())
    };
    listed.as_array().unwrap().iter().map(line).collect()
}

pub fn verifies(public: &Path, certificate: &Path) {
    let (accepted, said) = openssl_verify(public, certificate, &[]);
    assert!(accepted, "{}: {said}", certificate.display());
}

/// Another organisation's root and a certificate of its for an address.
pub fn partner(desk: &Desk, address: &str, name: &str) -> String {
    let (key, ca, leaf) = (desk.text("p.key"), desk.text("partner.pem"), desk.text(name));
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    if !Path::new(&ca).exists() {
        let subject = [
            "req",
            "-x509",
            "-days",
            "900",
            "-subj",
            "/O=Partner/CN=Partner Root",
            "-keyout",
            &key,
            "-out",
            &ca,
        ];
        assert!(openssl(&[&subject[..], &curve].concat()).status.success());
    }
    let (names, usage) = (format!("subjectAltName=email:{address}"), "extendedKeyUsage=emailProtection");
    let request = [
        "req",
        "-x509",
        "-CA",
        &ca,
        "-CAkey",
        &key,
        "-days",
        "30",
        "-subj",
        "/CN=Carol",
        "-keyout",
        "/dev/null",
    ];
    let names =
        ["-addext", &names, "-addext", usage, "-addext", "basicConstraints=critical,CA:FALSE", "-out", &leaf];
    let made = openssl(&[&request[..], &curve, &names].concat());
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    leaf
}
