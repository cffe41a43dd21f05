//! The secrets of a desk and its cards, and the search for them.
#![allow(dead_code, unreachable_pub, missing_docs)]

use std::path::Path;

use issuer::domain::{AuthorityName, Guid};
use middleware::Puk;

use crate::desk_support::{self, Desk, guid_of, open, openssl};

/// A secret with what it is.
pub type Secret = (String, Vec<u8>);

/// What opens the home: the passphrase, and the authorities' keys.
pub fn of_home(desk: &Desk) -> Vec<Secret> {
    let mut secrets: Vec<Secret> = vec![("passphrase".to_owned(), desk_support::PASSPHRASE.into())];
    for name in [AuthorityName::Root, AuthorityName::People, AuthorityName::Servers] {
        // The private scalar of a P-256 key stands in its own OCTET STRING of 32 bytes (RFC 5915 section 3).
        let der = desk.authority_key(name);
        let start = der.windows(2).position(|window| window == [0x04, 0x20]).expect("an EC private key") + 2;
        secrets.push((format!("key of {name}"), der[start..start + 32].to_vec()));
    }
    secrets
}

/// What a manufacturer told of a card.
pub fn of_stock_file(desk: &Desk, name: &str) -> Vec<Secret> {
    let stock: toml::Table = std::fs::read_to_string(desk.path(name)).unwrap().parse().unwrap();
    let management_key = hex::decode(stock["management_key"].as_str().unwrap()).unwrap();
    vec![
        ("manufacturer's PUK".to_owned(), stock["puk"].as_str().unwrap().into()),
        ("manufacturer's management key".to_owned(), management_key),
    ]
}

/// PUK and management key of a card, and the master key, derived by openssl from the opened master key file.
pub fn derived(desk: &Desk, locator: &str) -> Vec<Secret> {
    let guid = guid_of(locator);
    let master_key = master_key(desk);
    let puk = u128::from_be_bytes(derive(&master_key, guid, "16", "card PUK, version 1").try_into().unwrap());
    let puk = format!("{:08}", puk % 100_000_000);
    // The card accepts it: this is the PUK, and whoever has the master key needs no program of ours.
    let own = desk.master_key().puk(guid, 1).unwrap();
    let same = Puk::new(puk.as_bytes()).unwrap();
    open(locator).transaction().unwrap().change_puk(&same, &own).unwrap();
    vec![
        (format!("PUK of {guid}"), puk.into_bytes()),
        (
            format!("management key of {guid}"),
            derive(&master_key, guid, "24", "card management key aes192, version 1"),
        ),
        ("master key".to_owned(), master_key),
    ]
}

fn master_key(desk: &Desk) -> Vec<u8> {
    let file: toml::Table = std::fs::read_to_string(desk.home().join("master.key")).unwrap().parse().unwrap();
    let number = |name: &str| file[name].as_integer().unwrap();
    let hex_of = |name: &str| file[name].as_str().unwrap().to_owned();
    let parameters = scrypt::Params::new(
        u8::try_from(number("scrypt_log_n")).unwrap(),
        u32::try_from(number("scrypt_r")).unwrap(),
        u32::try_from(number("scrypt_p")).unwrap(),
    )
    .unwrap();
    let mut key = [0; 32];
    let salt = hex::decode(hex_of("salt")).unwrap();
    scrypt::scrypt(desk_support::PASSPHRASE.as_bytes(), &salt, &parameters, &mut key).unwrap();
    // GCM with a 12-byte nonce is counter mode from block 2 (SP 800-38D section 7.1); openssl enc knows CTR.
    let input = desk.path("ciphertext");
    std::fs::write(&input, &hex::decode(hex_of("ciphertext")).unwrap()[..32]).unwrap();
    let counter = format!("{}00000002", hex_of("nonce"));
    let key = hex::encode(key);
    let opened =
        openssl(&["enc", "-d", "-aes-256-ctr", "-K", &key, "-iv", &counter, "-in", input.to_str().unwrap()]);
    std::fs::remove_file(&input).unwrap();
    opened.stdout
}

fn derive(master_key: &[u8], guid: Guid, length: &str, label: &str) -> Vec<u8> {
    let (key, salt) = (format!("hexkey:{}", hex::encode(master_key)), format!("hexsalt:{guid}"));
    let info = format!("info:sealwright: {label}");
    let output = openssl(&[
        "kdf",
        "-keylen",
        length,
        "-binary",
        "-kdfopt",
        "digest:SHA256",
        "-kdfopt",
        &key,
        "-kdfopt",
        &salt,
        "-kdfopt",
        &info,
        "HKDF",
    ]);
    assert!(output.status.success());
    output.stdout
}

/// A secret as bytes, as hex in both cases, and as base64.
pub fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms =
        vec![secret.to_vec(), hex::encode(secret).into_bytes(), hex::encode_upper(secret).into_bytes()];
    let base64 = <base64ct::Base64 as base64ct::Encoding>::encode_string(secret);
    forms.push(base64.into_bytes());
    forms.dedup();
    forms
}

/// Every secret in every file below a directory.
pub fn found(directory: &Path, secrets: &[Secret]) -> Vec<String> {
    let files = desk_support::files_below(directory);
    assert!(files.len() > 4, "there is nothing to search in {}", directory.display());
    let files = files.iter().filter(|file| file.is_file());
    files.flat_map(|file| found_in(file, secrets)).collect()
}

/// Every secret in a file.
pub fn found_in(file: &Path, secrets: &[Secret]) -> Vec<String> {
    let content = std::fs::read(file).unwrap();
    let is_there =
        |secret: &[u8]| forms(secret).iter().any(|form| memchr::memmem::find(&content, form).is_some());
    let here = secrets.iter().filter(|(_, secret)| is_there(secret));
    here.map(|(name, _)| format!("{name} in {}", file.display())).collect()
}
