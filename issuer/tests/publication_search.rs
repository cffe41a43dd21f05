//! Searches after RFC 4387 over HTTP, asked by curl.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod serve_support;
#[path = "desk_support/server.rs"]
mod server;
mod support;

use base64ct::{Base64Unpadded, Encoding};
use issuer::ca::{Certificate, Profile};
use serve_support::Site;
use sha1::{Digest, Sha1};
use support::test_key::TestKey;
use support::*;
use tempfile::TempDir;

/// The search key of RFC 4387 section 2.1, form-encoded.
fn key(octets: &[u8]) -> String {
    let key = Base64Unpadded::encode_string(&Sha1::digest(octets));
    assert_eq!(key.len(), 27);
    key.replace('+', "%2B").replace('/', "%2F")
}

/// A field of a certificate as openssl cuts it out.
fn field(certificate: &Certificate, name: &str) -> Vec<u8> {
    let directory = TempDir::new().unwrap();
    let file = write(directory.path(), "certificate.der", certificate.as_der());
    let described = openssl(["asn1parse", "-inform", "DER", "-in", file.to_str().unwrap()]);
    // The fields at depth 2: version, serial number, algorithm, issuer, validity, subject...
    let at_depth_2 = described.lines().filter(|line| line.contains(":d=2 "));
    let line = at_depth_2.clone().nth(match name {
        "serial number" => 1,
        "issuer" => 3,
        "subject" => 5,
        other => panic!("{other}"),
    });
    let (offset, rest) = line.unwrap().trim_start().split_once(":d=2  hl=").unwrap();
    let (header, rest) = rest.split_once(" l=").unwrap();
    let offset: usize = offset.parse().unwrap();
    let header: usize = header.trim().parse().unwrap();
    let length: usize = rest.split_whitespace().next().unwrap().parse().unwrap();
    certificate.as_der()[offset..offset + header + length].to_vec()
}

#[test]
fn a_mail_address_finds_every_certificate_of_it() {
    let site = Site::new();
    let [sign, encrypt, bob] = site.published.certificates.as_slice() else { panic!() };
    for attribute in ["email", "uri"] {
        site.search(attribute, "bob%40example.com").is("application/pkix-cert", bob.as_der());
    }
    let several = site.search("email", "Alice%40Example.com");
    assert_eq!(several.status, 200);
    let boundary =
        several.header("content-type").unwrap().strip_prefix("multipart/mixed; boundary=").unwrap();
    let mut certificates = [sign, encrypt];
    certificates.sort_by_key(|certificate| certificate.serial_number().clone());
    let mut expected = Vec::new();
    for certificate in certificates {
        expected.extend(format!("--{boundary}\r\nContent-Type: application/pkix-cert\r\n\r\n").bytes());
        expected.extend(certificate.as_der());
        expected.extend(b"\r\n");
    }
    expected.extend(format!("--{boundary}--\r\n").bytes());
    assert!(several.body == expected);
    assert_eq!(several.header("transfer-encoding"), None, "RFC 4387 section 2: no chunks");
}

#[test]
fn a_search_is_exact() {
    let site = Site::new();
    for (attribute, value) in [
        ("email", "ali%40example.com"),
        ("email", "*%40example.com"),
        ("email", "xalice%40example.com"),
        ("email", "alice%40example.co"),
        ("name", "Alice"),
        ("name", "alice+example"),
        ("name", "*"),
        ("name", ""),
    ] {
        assert_eq!(site.search(attribute, value).status, 404, "{attribute}={value}");
    }
}

#[test]
fn every_attribute_of_rfc_4387_finds_certificates() {
    let site = Site::new();
    let bob = &site.published.certificates[2];
    let found = |attribute: &str, value: &str| {
        site.search(attribute, value).is("application/pkix-cert", bob.as_der())
    };
    found("certHash", &key(bob.as_der()));
    found("sHash", &key(&field(bob, "subject")));
    found("sKIDHash", &key(bob.subject_key_identifier()));
    found("name", "%E6%9D%8E%20Bob");
    found("name", "%E6%9D%8E+Bob");
    let mut both = [field(bob, "issuer"), field(bob, "serial number")].concat();
    both.splice(0..0, [0x30, u8::try_from(both.len()).unwrap()]);
    found("iAndSHash", &key(&both));
    let by_issuer = site.search("iHash", &key(&field(bob, "issuer")));
    assert_eq!(by_issuer.status, 200);
    let marker = b"Content-Type: application/pkix-cert";
    assert_eq!(by_issuer.body.windows(marker.len()).filter(|octets| octets == marker).count(), 3);
}

#[test]
fn authorities_and_their_crls_are_found_by_name_and_key() {
    let site = Site::new();
    let leaf = &site.published.certificates[0];
    let people = site.published.world.people.certificate();
    site.search("sKIDHash", &key(leaf.authority_key_identifier()))
        .is("application/pkix-cert", people.as_der());
    site.search("sHash", &key(&field(leaf, "issuer"))).is("application/pkix-cert", people.as_der());
    for (attribute, value) in
        [("iHash", key(&field(leaf, "issuer"))), ("sKIDHash", key(leaf.authority_key_identifier()))]
    {
        let path = format!("/crls/search.cgi?{attribute}={value}");
        site.get(&path).is("application/pkix-crl", &site.published.crls[1]);
    }
    let unknown = key(b"nobody");
    assert_eq!(site.get(&format!("/crls/search.cgi?iHash={unknown}")).status, 404);
    assert_eq!(site.get(&format!("/crls/search.cgi?certHash={unknown}")).status, 400);
}

#[test]
fn malformed_queries_are_refused_and_unknown_attributes_ignored() {
    let site = Site::new();
    for query in [
        "",
        "email=",
        "email=alice",
        "colour=green",
        "sHash=abc",
        "sHash=lkxwxB7JCOXKRSUQ1sgoOhrB3+I",
        "name=%ZZ",
    ] {
        assert_eq!(site.get(&format!("/certificates/search.cgi?{query}")).status, 400, "{query}");
    }
    assert_eq!(site.get("/certificates/search.cgi").status, 400);
    let path = "/certificates/search.cgi?colour=green&email=bob%40example.com&format=der";
    site.get(path).is("application/pkix-cert", site.published.certificates[2].as_der());
}

#[test]
fn what_is_published_later_is_found_at_once() {
    let mut site = Site::new();
    let carol = Profile::DigitalSignature(holder("Carol", "carol@example.com"));
    let carol = site.published.world.certify(&carol, &mut TestKey::p256());
    assert_eq!(site.search("name", "Carol").status, 404);
    assert_eq!(site.search("email", "carol@example.com").status, 404);
    site.published.certificates.push(carol.clone());
    site.published.crls[1] = site.published.world.crl(2, &[]);
    site.published.publish();
    site.search("name", "Carol").is("application/pkix-cert", carol.as_der());
    site.search("email", "carol@example.com").is("application/pkix-cert", carol.as_der());
    let issuer = key(carol.authority_key_identifier());
    site.get(&format!("/crls/search.cgi?sKIDHash={issuer}"))
        .is("application/pkix-crl", &site.published.crls[1]);
}

#[test]
fn a_directory_that_no_publisher_of_ours_marked_is_searched_too() {
    let site = Site::new();
    std::fs::remove_file(site.published.path(".revision")).unwrap();
    let bob = &site.published.certificates[2];
    site.search("certHash", &key(bob.as_der())).is("application/pkix-cert", bob.as_der());
    let file = format!("certificates/by-email/bob@example.com/{}.cer", bob.serial_number());
    std::fs::remove_file(site.published.path(&file)).unwrap();
    assert_eq!(site.search("certHash", &key(bob.as_der())).status, 404);
}

#[test]
fn a_certificate_with_two_addresses_is_one_certificate() {
    let mut site = Site::new();
    let mut dave = holder("Dave", "dave@example.com");
    dave.mail.push("david@example.com".parse().unwrap());
    let dave = site.published.world.certify(&Profile::DigitalSignature(dave), &mut TestKey::p256());
    site.published.certificates.push(dave.clone());
    site.published.publish();
    for (attribute, value) in
        [("name", "Dave"), ("email", "dave@example.com"), ("email", "david@example.com")]
    {
        site.search(attribute, value).is("application/pkix-cert", dave.as_der());
    }
}
