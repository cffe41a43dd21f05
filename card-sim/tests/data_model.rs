//! The data model: every container with its access rule over both interfaces and the capacity that it is guaranteed
//! (SP 800-73-5 Part 1, tables of containers and of PIV data containers).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    reason = "a test fails by panicking"
)]

mod support;

use card_sim::iso7816::Interface;
use support::{Hand, PIN, length, tlv};

/// The columns of the standard's tables.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Read {
    Always,
    /// "PIN", and "PIN or OCC" on a card without on-card comparison.
    Pin,
    /// "VCI", and "VCI and PIN".
    Vci,
}

struct Container {
    name: String,
    tag: u32,
    capacity: usize,
    contact: Read,
    contactless: Read,
}

fn container(name: &str, tag: u32, capacity: usize, contact: Read, contactless: Read) -> Container {
    Container { name: name.to_owned(), tag, capacity, contact, contactless }
}

/// The rows of the tables, in their order.
#[rustfmt::skip]
fn containers() -> Vec<Container> {
    use Read::{Always, Pin, Vci};
    let mut rows = vec![
        container("Card Capability Container",                   0x5F_C107,    170, Always, Vci),
        container("Card Holder Unique Identifier",               0x5F_C102,   2881, Always, Always),
        container("X.509 Cert. for PIV Authentication",          0x5F_C105,   1857, Always, Vci),
        container("Cardholder Fingerprints",                     0x5F_C103,   4006, Pin,    Vci),
        container("Security Object",                             0x5F_C106,   1336, Always, Vci),
        container("Cardholder Facial Image",                     0x5F_C108, 12_710, Pin,    Vci),
        container("X.509 Cert. for Card Authentication",         0x5F_C101,   1857, Always, Always),
        container("X.509 Cert. for Digital Signature",           0x5F_C10A,   1857, Always, Vci),
        container("X.509 Cert. for Key Mgmt.",                   0x5F_C10B,   1857, Always, Vci),
        container("Printed Information",                         0x5F_C109,    245, Pin,    Vci),
        container("Key History Object",                          0x5F_C10C,    128, Always, Vci),
        container("Cardholder Iris Images",                      0x5F_C121,   7106, Pin,    Vci),
        container("Biometric Information Templates Group",            0x7F61,   65, Always, Always),
        container("Secure Messaging Cert. Signer",               0x5F_C122,   2471, Always, Always),
        container("Pairing Code Ref. Data Container",            0x5F_C123,     12, Pin,    Vci),
    ];
    rows.extend((1..=20).map(|number| {
        container(&format!("Retired X.509 Cert. for Key Mgmt. {number}"), 0x5F_C10C + number, 1895, Always, Vci)
    }));
    rows
}

/// The data object as GET DATA returns it: with 53 around it, or its own tag.
fn object(tag: u32, contents: &[u8]) -> Vec<u8> {
    match tag {
        0x7F61 => [&[0x7F, 0x61], &length(contents.len())[..], contents].concat(),
        _ => tlv(0x53, contents),
    }
}

fn put(hand: &mut Hand, tag: u32, contents: &[u8]) -> u16 {
    let object = object(tag, contents);
    let data = if tag == 0x7F61 { object } else { [tag_list(tag), object].concat() };
    hand.command(0xDB, 0x3F, 0xFF, &data).1
}

fn get(hand: &mut Hand, tag: u32) -> (Vec<u8>, u16) {
    hand.command(0xCB, 0x3F, 0xFF, &tag_list(tag))
}

fn tag_list(tag: u32) -> Vec<u8> {
    let bytes: Vec<u8> = tag.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    tlv(0x5C, &bytes)
}

/// Contents that differ from container to container.
fn contents(tag: u32, length: usize) -> Vec<u8> {
    let first = tag.to_be_bytes()[3];
    (0..length).map(|index| first.wrapping_add(u8::try_from(index % 251).unwrap())).collect()
}

#[test]
fn there_are_as_many_containers_as_the_standard_has_with_the_discovery_object() {
    assert_eq!(containers().len() + 1, 36);
}

#[test]
fn every_container_of_the_standard_card_obeys_its_row() {
    let mut hand = Hand::blank("standard");
    for row in containers() {
        assert_eq!(put(&mut hand, row.tag, &[1]), 0x6982, "{}: only the administrator writes", row.name);
    }
    hand.authenticate();
    for row in containers() {
        assert_eq!(put(&mut hand, row.tag, &contents(row.tag, row.capacity)), 0x9000, "{}", row.name);
    }
    hand.card.reset();
    for row in containers() {
        let (answer, status) = get(&mut hand, row.tag);
        match row.contact {
            Read::Pin => assert_eq!((answer, status), (vec![], 0x6982), "{}", row.name),
            _ => assert_eq!(answer, object(row.tag, &contents(row.tag, row.capacity)), "{}", row.name),
        }
    }
    assert_eq!(hand.verify(PIN), 0x9000);
    for row in containers() {
        let whole = object(row.tag, &contents(row.tag, row.capacity));
        assert_eq!(get(&mut hand, row.tag), (whole, 0x9000), "{} with the PIN", row.name);
    }
    let mut hand = hand.over(Interface::Contactless);
    for row in containers() {
        let whole = object(row.tag, &contents(row.tag, row.capacity));
        let expected = if row.contactless == Read::Always { (whole, 0x9000) } else { (vec![], 0x6982) };
        assert_eq!(get(&mut hand, row.tag), expected, "{} without contact", row.name);
        assert_eq!(put(&mut hand, row.tag, &[1]), 0x6A81, "{} without contact", row.name);
    }
}

/// Absent ones: 6A82, or 6982 where the condition does not hold. Nothing is leaked, and nothing is success.
#[test]
fn an_absent_object_is_not_found_once_its_condition_holds() {
    let mut hand = Hand::blank("standard");
    let absent = |row: &Container| ![0x5F_C102, 0x5F_C107].contains(&row.tag);
    for row in containers().iter().filter(|row| absent(row)) {
        let expected = if row.contact == Read::Pin { 0x6982 } else { 0x6A82 };
        assert_eq!(get(&mut hand, row.tag), (vec![], expected), "{}", row.name);
    }
    assert_eq!(hand.verify(PIN), 0x9000);
    for row in containers().iter().filter(|row| absent(row)) {
        assert_eq!(get(&mut hand, row.tag), (vec![], 0x6A82), "{} with the PIN", row.name);
    }
    let mut hand = hand.over(Interface::Contactless);
    for row in containers().iter().filter(|row| absent(row)) {
        let expected = if row.contactless == Read::Always { 0x6A82 } else { 0x6982 };
        assert_eq!(get(&mut hand, row.tag), (vec![], expected), "{} without contact", row.name);
    }
}

/// The discovery object is the 36th container: 20 bytes, free to all over both interfaces.
#[test]
fn the_discovery_object_is_free_to_all() {
    let mut hand = Hand::blank("standard");
    let (discovery, status) = get(&mut hand, 0x7E);
    assert_eq!((discovery.len(), status), (20, 0x9000));
    let mut hand = hand.over(Interface::Contactless);
    assert_eq!(get(&mut hand, 0x7E), (discovery, 0x9000));
}

/// A YubiKey has the same objects in buffers of 3072 bytes; it protects four of them, and has no group template.
#[test]
fn a_yubikey_keeps_what_fits_into_its_buffers() {
    for kind in ["yubikey5 5.4", "yubikey5 5.7"] {
        let mut hand = Hand::blank(kind);
        hand.authenticate();
        for row in containers().iter().filter(|row| row.tag != 0x7F61) {
            let expected = if row.capacity <= 3063 { 0x9000 } else { 0x6A84 };
            assert_eq!(put(&mut hand, row.tag, &contents(row.tag, row.capacity)), expected, "{}", row.name);
            let is_protected = [0x5F_C103, 0x5F_C108, 0x5F_C109, 0x5F_C121].contains(&row.tag);
            let status = get(&mut hand, row.tag).1;
            assert_eq!(status == 0x6982, is_protected, "{kind} {}: {status:04X}", row.name);
        }
    }
}

/// Every tag there is: those of the table, and a YubiKey's own range, are objects; all others are not, for reading or
/// writing.
#[test]
fn no_other_tag_is_an_object() {
    let mut hand = Hand::blank("standard");
    hand.authenticate();
    assert_eq!(hand.verify(PIN), 0x9000);
    let known: Vec<u32> = containers().iter().map(|row| row.tag).collect();
    let others = (0x5F_C0F0..0x5F_C140).chain(0x5F_FF00..0x5F_FF20).chain([0x5F_0000, 0x5F_FFFF, 0xFF_C102]);
    for tag in others.filter(|tag| !known.contains(tag)) {
        assert_eq!(get(&mut hand, tag), (vec![], 0x6A82), "{tag:06X}");
        assert_eq!(put(&mut hand, tag, &[1]), 0x6A80, "{tag:06X}");
    }
    for tag in 1..=0xFF {
        let expected = if tag == 0x7E { 0x9000 } else { 0x6A82 };
        assert_eq!(get(&mut hand, tag).1, expected, "{tag:02X}");
    }
}
