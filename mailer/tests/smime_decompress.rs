//! CompressedData (RFC 3274): what zlib packs is unpacked, and what would fill the disk is not.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test may fail this way")]
mod accounts;
mod forgery;
mod openssl_pki;

use std::io::Write;

use accounts::Office;
use flate2::Compression;
use flate2::write::ZlibEncoder;
use forgery::{
    Hand, ID_DATA, ID_SIGNED_DATA, SignedData, algorithm, content_info, element, message, object_identifier,
    octets, pkcs7_mime, sequence,
};
use mailer::smime::{DecompressError, decompress};
use openssl_pki::{Key, bytes};

const TEXT: &[u8] = b"Content-Type: text/plain\r\n\r\nHello.\r\n";
/// [`TEXT`] as Python's zlib packs it.
const PACKED: &str =
    "78da73cecf2b49cd2bd10da92c48b5522849ad28d12fc849cccce3e5e2e5f248cdc9c9d7e3e50200eb250b74";
const ID_COMPRESSED_DATA: &str = "1.2.840.113549.1.9.16.1.9";
const ZLIB: &str = "1.2.840.113549.1.9.16.3.8";

fn packed(content: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn compressed_as(zlib: &str, content_type: &str, packed: &[u8]) -> Vec<u8> {
    let inside = sequence(&[&object_identifier(content_type), &element(0xA0, &[&octets(packed)])]);
    content_info(ID_COMPRESSED_DATA, &sequence(&[&[2, 1, 0], &algorithm(zlib), &inside]))
}

fn compressed(packed: &[u8]) -> Vec<u8> {
    compressed_as(ZLIB, ID_DATA, packed)
}

#[test]
fn content_of_every_length_comes_back() {
    assert_eq!(bytes(&decompress(&compressed(&hex::decode(PACKED).unwrap())).unwrap()), TEXT);
    for length in [0, 1, 65_535, 65_536, 65_537, 1_000_000] {
        let content: Vec<u8> = (0..length).map(|at: usize| (at * at / 7).to_le_bytes()[0]).collect();
        let unpacked = decompress(&compressed(&packed(&content))).unwrap();
        assert!(bytes(&unpacked) == content, "{length}");
    }
}

#[test]
fn damage_is_noticed_wherever_it_is() {
    let packed = hex::decode(PACKED).unwrap();
    let whole = compressed(&packed);
    for end in 0..whole.len() {
        assert!(matches!(decompress(&&whole[..end]), Err(DecompressError::Malformed(_))), "{end}");
    }
    for end in 0..packed.len() {
        assert!(
            matches!(decompress(&compressed(&packed[..end])), Err(DecompressError::Malformed(_))),
            "{end}"
        );
    }
    for at in 2..packed.len() {
        let mut changed = packed.clone();
        changed[at] ^= 0x10;
        match decompress(&compressed(&changed)) {
            // Bits that fill up the last octet mean nothing; the checksum after it does.
            Ok(content) if at == packed.len() - 5 => assert_eq!(bytes(&content), TEXT),
            Ok(_) => panic!("a change at {at} was not noticed"),
            Err(error) => assert_eq!(error.code(), "compressed-malformed"),
        }
    }
    let longer = [&packed[..], b"more"].concat();
    assert!(matches!(decompress(&compressed(&longer)), Err(DecompressError::Malformed(_))));
}

#[test]
fn a_bomb_is_stopped() {
    // As dense as mail may be below the limit, and a thousand times denser than anything.
    let harmless = packed(&vec![b' '; 16 << 20]);
    assert_eq!(decompress(&compressed(&harmless)).unwrap().len(), 16 << 20);
    let bomb = packed(&vec![b' '; 64 << 20]);
    assert!(
        matches!(decompress(&compressed(&bomb)), Err(DecompressError::Bomb(length)) if length < 17 << 20)
    );
}

#[test]
fn what_is_no_compressed_mail_is_named() {
    let packed = hex::decode(PACKED).unwrap();
    let other = decompress(&compressed_as("1.2.3", ID_DATA, &packed)).unwrap_err();
    assert_eq!(other.code(), "unsupported-algorithm");
    let other = decompress(&compressed_as(ZLIB, ID_SIGNED_DATA, &packed)).unwrap_err();
    assert_eq!(other.code(), "compressed-other-content");
    let other = decompress(&content_info(ID_DATA, &octets(TEXT))).unwrap_err();
    assert_eq!(other.code(), "not-compressed");
}

#[test]
fn compressed_mail_is_opened_whether_signed_or_not() {
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    let from = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: memo\r\n";
    let entity = pkcs7_mime(&compressed(&hex::decode(PACKED).unwrap()));
    let said = office.run("bob", &["open", "--json"], message(from, &entity).as_bytes()).expect(0);
    assert!(said.text().ends_with("\r\n\r\nHello.\r\n"), "{}", said.text());
    assert_eq!(said.json()["verdict"]["code"], "unsigned");

    let protected = office
        .run("alice", &["protect", "--from", "alice@example.test", "--no-encrypt"], TEXT_MAIL)
        .expect(0);
    let body = protected.stdout;
    let entity = pkcs7_mime(&compressed(&packed(&entity_of(&body))));
    let said = office.run("bob", &["open", "--json"], message(from, &entity).as_bytes()).expect(0);
    assert_eq!(said.json()["verdict"]["code"], "trusted", "{}", said.stderr);

    let bomb = pkcs7_mime(&compressed(&packed(&vec![b' '; 32 << 20])));
    let said = office.run("bob", &["open", "--json"], message(from, &bomb).as_bytes()).expect(4);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["error"]["code"], "decompression-bomb");
}

const TEXT_MAIL: &[u8] =
    b"From: alice@example.test\r\nTo: bob@example.test\r\nSubject: memo\r\nContent-Type: text/plain\r\n\r\nHello.\r\n";

/// The MIME entity of a message: from its content type on.
fn entity_of(message: &[u8]) -> Vec<u8> {
    let at = memchr::memmem::find(message, b"Content-Type: multipart/signed").unwrap();
    message[at..].to_vec()
}

#[test]
fn a_signature_inside_the_compression_is_one_over_other_content() {
    // Signed, then changed, then compressed: the signature is still looked at.
    let office = Office::new();
    office.person("alice", Key::P256);
    office.person("bob", Key::P256);
    let pki = openssl_pki::Pki::new();
    let eve = Hand::of(&pki.signer("eve", Key::P256));
    let signed = SignedData::new(Some(b"other"), &[&eve.certificate], &[eve.signer_info(TEXT)]).der();
    let entity = pkcs7_mime(&compressed(&packed(pkcs7_mime(&signed).as_bytes())));
    let from = "From: alice@example.test\r\nTo: bob@example.test\r\nSubject: memo\r\n";
    let said = office.run("bob", &["open", "--json"], message(from, &entity).as_bytes()).expect(4);
    assert!(said.stdout.is_empty());
    assert_eq!(said.json()["verdict"]["code"], "content-changed");
}
