//! Documents and people for these tests.
use std::path::Path;

use crate::accounts::{Office, Person};
use crate::openssl_pki::{Key, encryption, openssl, signing};

/// A small PDF file; `words` stand in it readable.
pub(crate) fn pdf(words: &str) -> Vec<u8> {
    let stream = format!("BT /F1 12 Tf 72 700 Td ({words}) Tj ET");
    let objects = [
        "<</Type /Catalog /Pages 2 0 R>>".to_owned(),
        "<</Type /Pages /Count 1 /Kids [3 0 R]>>".to_owned(),
        "<</Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources <</Font <</F1 5 0 R>>>>>>"
            .to_owned(),
        format!("<</Length {}>>\nstream\n{stream}\nendstream", stream.len()),
        "<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>".to_owned(),
    ];
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in objects.iter().enumerate() {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.extend(format!("{} 0 obj\n{object}\nendobj\n", number + 1).into_bytes());
    }
    let start = file.len();
    let trailer =
        format!("trailer\n<</Size {} /Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n", objects.len() + 1);
    file.extend(table.into_bytes());
    file.extend(trailer.into_bytes());
    file
}

/// An office with these people.
pub(crate) fn office(people: &[&str]) -> Office {
    let office = Office::new();
    for name in people {
        office.person(name, Key::P256);
    }
    office
}

/// The octets of a card's state: they change whenever the card is asked for a key.
pub(crate) fn card_state(office: &Office, name: &str) -> Vec<u8> {
    std::fs::read(office.path(&format!("{name}.card"))).unwrap()
}

/// The names in a folder.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The DER of a policy's object identifier: 1.2.3.4.
pub(crate) const POLICY: &str = "1.2.3.4";

/// subjectDirectoryAttributes with a clearance for [`POLICY`], or for 1.2.3.5 if `other` (RFC 5913), as openssl takes it.
pub(crate) fn clearance(bits: u8, other: bool) -> String {
    let last = if other { "05" } else { "04" };
    format!("2.5.29.9=DER:301430120603550437310b300906032a03{last}030202{bits:02x}")
}

/// A person whose encryption certificate carries a clearance: the bits from unmarked (80) to topSecret (04).
pub(crate) fn cleared(office: &Office, name: &str, bits: u8, other: bool) -> Person {
    let address = format!("{name}@example.test");
    let people = &office.pki.people;
    let extensions = format!("{}\n{}", encryption(&address, Key::P256), clearance(bits, other));
    let person = Person {
        name: name.to_owned(),
        signer: people.issue(&format!("{name}-sign"), Key::P256, &signing(&address)),
        reader: people.issue(&format!("{name}-read"), Key::P256, &extensions),
    };
    office.publish(&person);
    office.make_card(&person);
    office.setup(name, &["--maildir", "spool"]).expect(0);
    person
}

/// A certificate for signing lists of classes (RFC 9336).
pub(crate) const FOR_LISTS: &str = "keyUsage=critical,digitalSignature\nextendedKeyUsage=1.3.6.1.5.5.7.3.36\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid";

/// A list of classes: `classes` is JSON.
pub(crate) fn class_list(number: u64, expires: &str, classes: &str) -> String {
    format!(
        r#"{{"version":1,"number":{number},"organization":"Example","issued":"2026-01-01T00:00:00Z","expires":"{expires}","classes":[{classes}]}}"#
    )
}

/// A class as JSON, its members with their clearance.
pub(crate) fn class(name: &str, members: &[(&str, Option<u8>)]) -> String {
    let members: Vec<String> = members
        .iter()
        .map(|(name, clearance)| {
            let clearance = clearance.map_or("null".to_owned(), |clearance| clearance.to_string());
            format!(r#"{{"address":"{name}@example.test","clearance":{clearance}}}"#)
        })
        .collect();
    format!(r#"{{"name":"{name}","description":"","policy":"{POLICY}","members":[{}]}}"#, members.join(","))
}

/// Signs a list with openssl; answers its octets.
pub(crate) fn sign_list(folder: &Path, signer: &str, authority: &str, json: &str) -> Vec<u8> {
    std::fs::write(folder.join("list.json"), json).unwrap();
    let (certificate, key, chain) =
        (format!("{signer}.pem"), format!("{signer}.key"), format!("{authority}.pem"));
    openssl(
        folder,
        &[
            "cms",
            "-sign",
            "-binary",
            "-nodetach",
            "-md",
            "sha256",
            "-in",
            "list.json",
            "-signer",
            &certificate,
            "-inkey",
            &key,
            "-certfile",
            &chain,
            "-outform",
            "DER",
        ],
    )
}

/// Makes the key for lists once, and publishes a list.
pub(crate) fn publish_list(office: &Office, json: &str) {
    if !office.path("lists.pem").exists() {
        office.pki.people.issue("lists", Key::P256, FOR_LISTS);
    }
    office.pki.write("published/classes.p7m", &sign_list(office.pki.path(), "lists", "People", json));
}

/// A moment at which tests do not run any more.
pub(crate) const FAR: &str = "2047-01-01T00:00:00Z";
