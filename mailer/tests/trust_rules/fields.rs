//! The fields of a certificate (RFC 5280 section 4.1 and 4.2).
use crate::maker::{
    Change, EMAIL, Extension, attribute, ecdsa_with_sha256, name, oid, sequence, tlv, utc_time,
};
use crate::opinions::{Broken, Second::Accepts, Second::Agrees, broken, check, id, key_usage, names};

const LENIENT: &str = "openssl reads it all the same: RFC 5280 demands DER of CAs, and openssl of nobody";

#[test]
fn signatures_are_those_of_the_issuer() {
    check(&[
        broken("4.1.1.3 the person's signature is changed", "certificate-signature-wrong", Agrees, |chain| {
            chain.person.change = Change::Signature;
        }),
        broken("4.1.1.3 the CA's signature is changed", "certificate-signature-wrong", Agrees, |chain| {
            chain.ca.change = Change::Signature;
        }),
        broken("4.1.1.3 signed with another key", "certificate-signature-wrong", Agrees, |chain| {
            chain.other_signer = Some(crate::maker::new_key());
        }),
        broken("4.1.1.3 a signature of a part of an octet", "certificate-signature-wrong", Agrees, |chain| {
            chain.person.change = Change::UnusedBits;
        }),
        broken("4.1.1.2 inside another algorithm than outside", "certificate-malformed", Agrees, |chain| {
            chain.person.algorithm = sequence(&[&oid("1.2.840.10045.4.3.3")]);
        }),
        broken("4.1.1.2 an unknown algorithm", "unsupported-algorithm", Agrees, |chain| {
            chain.person.algorithm = sequence(&[&oid("1.3.6.1.4.1.32473.1")]);
            chain.person.outer_algorithm = chain.person.algorithm.clone();
        }),
        broken(
            "4.1.1.2 an RSA algorithm with an elliptic key",
            "certificate-signature-wrong",
            Agrees,
            |chain| {
                chain.person.algorithm = sequence(&[&oid("1.2.840.113549.1.1.11"), &[5, 0]]);
                chain.person.outer_algorithm = chain.person.algorithm.clone();
            },
        ),
        broken("4.1 something follows the certificate", "certificate-malformed", Accepts(LENIENT), |chain| {
            chain.person.change = Change::Trailing;
        }),
    ]);
}

#[test]
fn version_and_serial_number_are_well_formed() {
    check(&[
        broken("4.1.2.1 extensions in version 1", "certificate-malformed", Agrees, |chain| {
            chain.person.version = Vec::new();
        }),
        broken("4.1.2.1 extensions in version 2", "certificate-malformed", Agrees, |chain| {
            chain.person.version = tlv(0xA0, &[&[2, 1, 1]]);
        }),
        broken("4.1.2.1 version 4", "certificate-malformed", Accepts(LENIENT), |chain| {
            chain.person.version = tlv(0xA0, &[&[2, 1, 3]]);
        }),
        broken(
            "4.1.2.1 the default version is written",
            "certificate-malformed",
            Accepts(LENIENT),
            |chain| {
                chain.person.version = tlv(0xA0, &[&[2, 1, 0]]);
                chain.person.extensions.clear();
            },
        ),
        broken("6.1.4 (k) a CA of version 1", "not-an-authority", Agrees, |chain| {
            chain.ca.version = Vec::new();
            chain.ca.extensions.clear();
        }),
        broken("4.1.2.2 a serial number of 22 octets", "certificate-malformed", Accepts(LENIENT), |chain| {
            chain.person.serial_number = tlv(2, &[&[0x55; 22]]);
        }),
        broken("4.1.2.2 a serial number with needless octets", "certificate-malformed", Agrees, |chain| {
            chain.person.serial_number = vec![2, 2, 0, 3];
        }),
        broken("4.1.2.2 an empty serial number", "certificate-malformed", Agrees, |chain| {
            chain.person.serial_number = vec![2, 0];
        }),
        broken(
            "4.1.2.8 a unique identifier in version 1",
            "certificate-malformed",
            Accepts(LENIENT),
            |chain| {
                chain.person.version = Vec::new();
                chain.person.extensions.clear();
                chain.person.unique_identifiers = vec![0x81, 2, 0, 0xAA];
            },
        ),
        broken("4.1.2.7 a public key that is none", "certificate-signature-wrong", Agrees, |chain| {
            let algorithm = sequence(&[&oid("1.2.840.10045.2.1"), &oid("1.2.840.10045.3.1.7")]);
            chain.ca.public_key = sequence(&[&algorithm, &[3, 3, 0, 4, 1]]);
        }),
        broken("4.1.2.7 a public key of an unknown algorithm", "unsupported-algorithm", Agrees, |chain| {
            chain.ca.public_key = sequence(&[&sequence(&[&oid("1.3.6.1.4.1.32473.1")]), &[3, 3, 0, 4, 1]]);
        }),
    ]);
}

#[test]
fn subject_and_issuer_have_names() {
    check(&[
        broken("4.1.2.4 no issuer is named", "certificate-malformed", Agrees, |chain| {
            chain.person.issuer = sequence(&[]);
        }),
        broken("4.1.2.6 neither subject nor subjectAltName", "certificate-malformed", Agrees, |chain| {
            chain.person.subject = sequence(&[]);
            chain.person.remove(id::ALTERNATIVE_NAME);
        }),
        broken("4.1.2.4 a name that is no name", "certificate-malformed", Agrees, |chain| {
            chain.person.subject = sequence(&[&sequence(&[&oid("2.5.4.3")])]);
        }),
        broken("6.1.3 (a)(4) another issuer is named", "unknown-issuer", Agrees, |chain| {
            chain.person.issuer = name("Others");
        }),
        broken("6.1.3 (a)(4) the issuer's name in another order", "unknown-issuer", Agrees, |chain| {
            chain.person.issuer =
                sequence(&[&attribute("2.5.4.3", "People"), &attribute("2.5.4.10", "Rules")]);
        }),
        broken("7.1 a text that differs in an accent", "unknown-issuer", Agrees, |chain| {
            chain.person.issuer =
                sequence(&[&attribute("2.5.4.10", "Rules"), &attribute("2.5.4.3", "Péople")]);
        }),
        broken("4.2.1.1 another key of the issuer is named", "unknown-issuer", Agrees, |chain| {
            chain.person.put(id::AUTHORITY_KEY, false, sequence(&[&tlv(0x80, &[&[7; 20]])]));
        }),
    ]);
}

#[test]
fn validity_is_written_and_kept() {
    let date =
        |what, code, second, date: Vec<u8>| broken(what, code, second, |chain| chain.person.not_after = date);
    let malformed = "certificate-malformed";
    check(&[
        date("4.1.2.5 expired", "expired", Agrees, utc_time("260601115959Z")),
        broken("4.1.2.5 not yet valid", "not-yet-valid", Agrees, |chain| {
            chain.person.not_before = utc_time("260601120001Z");
        }),
        broken("6.1.3 (a)(2) an expired CA", "expired", Agrees, |chain| {
            chain.ca.not_after = utc_time("260101000000Z");
        }),
        broken("6.1.3 (a)(2) a CA not yet valid", "not-yet-valid", Agrees, |chain| {
            chain.ca.not_before = utc_time("270101000000Z");
        }),
        broken("an expired anchor", "expired", Agrees, |chain| {
            chain.root.not_after = utc_time("260101000000Z");
        }),
        date("4.1.2.5.1 a month that is none", malformed, Agrees, utc_time("351301000000Z")),
        date("4.1.2.5.1 29 February in a common year", malformed, Agrees, utc_time("350229000000Z")),
        date("4.1.2.5.1 without seconds", malformed, Agrees, utc_time("3501010000Z")),
        date("4.1.2.5.1 with a time zone", malformed, Agrees, utc_time("350101000000+0100")),
        date("4.1.2.5.2 with a fraction", malformed, Agrees, tlv(0x18, &[b"20350101000000.5Z"])),
        date("4.1.2.5.2 without a zone", malformed, Agrees, tlv(0x18, &[b"20350101000000"])),
        date("4.1.2.5 no date at all", malformed, Agrees, vec![5, 0]),
        date("4.1.2.5.1 expired in 1950", "expired", Agrees, utc_time("500101000000Z")),
    ]);
}

#[test]
fn extensions_are_well_formed_and_understood() {
    let unknown = "1.3.6.1.4.1.32473.9";
    let raw = |value: &[&[u8]]| Some(tlv(0xA3, &[&sequence(value)]));
    let malformed = "certificate-malformed";
    check(&[
        broken("4.2 an unknown critical extension", "unknown-critical-extension", Agrees, |chain| {
            chain.person.put(unknown, true, vec![5, 0]);
        }),
        broken("4.2 an unknown critical extension of a CA", "unknown-critical-extension", Agrees, |chain| {
            chain.ca.put(unknown, true, vec![5, 0]);
        }),
        broken("4.2 an extension twice", malformed, Agrees, |chain| {
            let twice = chain.person.extensions[0].clone();
            chain.person.extensions.push(twice);
        }),
        broken("4.1.2.9 an empty list of extensions", malformed, Agrees, |chain| {
            chain.person.extensions_der = raw(&[]);
        }),
        broken("4.1 criticality by default, and written", malformed, Accepts(LENIENT), |chain| {
            chain.person.extensions[0].critical = vec![1, 1, 0];
        }),
        broken("4.1 criticality other than FF", malformed, Accepts(LENIENT), |chain| {
            chain.person.extensions[0].critical = vec![1, 1, 1];
        }),
        broken("4.2.1.1 an authorityKeyIdentifier that is none", malformed, Agrees, |chain| {
            chain.person.put(id::AUTHORITY_KEY, false, vec![4, 1, 7]);
        }),
        broken("4.2.1.2 a subjectKeyIdentifier that is none", malformed, Agrees, |chain| {
            chain.person.put(id::SUBJECT_KEY, false, vec![5, 0]);
        }),
        broken("4.2.1.3 a key usage without any bit", malformed, Agrees, |chain| {
            chain.person.put(id::KEY_USAGE, true, vec![3, 1, 0]);
        }),
        broken("4.2.1.3 a key usage with zeros at its end", malformed, Accepts(LENIENT), |chain| {
            chain.person.put(id::KEY_USAGE, true, vec![3, 2, 0, 0x80]);
        }),
        broken("4.2.1.6 an empty subjectAltName", malformed, Agrees, |chain| {
            chain.person.put(id::ALTERNATIVE_NAME, false, sequence(&[]));
        }),
        broken("4.2.1.6 a mail address beyond ASCII", malformed, Accepts(LENIENT), |chain| {
            let address = "älice@example.test".as_bytes();
            chain.person.put(id::ALTERNATIVE_NAME, false, names(&[(0x81, address)]));
        }),
        broken("4.2.1.9 a path length below zero", malformed, Agrees, |chain| {
            chain.ca.put(id::BASIC_CONSTRAINTS, true, sequence(&[&[1, 1, 0xFF], &[2, 1, 0xFF]]));
        }),
        broken("4.2.1.12 an empty list of purposes", malformed, Accepts(LENIENT), |chain| {
            chain.person.put(id::EXTENDED_KEY_USAGE, false, sequence(&[]));
        }),
        broken("4.2.1.13 distribution points that are none", malformed, Agrees, |chain| {
            chain.person.put(id::DISTRIBUTION_POINTS, false, vec![5, 0]);
        }),
        broken("4.2 an extension with more than it may have", malformed, Accepts(LENIENT), |chain| {
            let value = [key_usage(0x80), vec![0]].concat();
            chain.person.put(id::KEY_USAGE, true, value);
        }),
        broken("4.1.2.9 an extension that is no sequence", malformed, Agrees, |chain| {
            chain.person.extensions_der = raw(&[&[5, 0]]);
        }),
        many_extensions(),
    ]);
}

/// Each another one, all unknown and harmless.
fn many_extensions() -> Broken {
    let what = "more extensions than any certificate has";
    broken(what, "certificate-malformed", Accepts("openssl has no limit"), |chain| {
        let list: Vec<Vec<u8>> = (0..=100_u8)
            .map(|number| {
                let kind = tlv(6, &[&[0x2B, 6, 1, 4, 1, 0x81, 0xFD, 0x59, number]]);
                sequence(&[&kind, &tlv(4, &[&[5, 0]])])
            })
            .collect();
        let mut all: Vec<Vec<u8>> = chain.person.extensions.iter().map(Extension::der).collect();
        all.extend(list);
        let all: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
        chain.person.extensions_der = Some(tlv(0xA3, &[&sequence(&all)]));
    })
}

#[test]
fn what_is_odd_but_right_is_accepted() {
    let good = |change: &dyn Fn(&mut crate::opinions::Chain)| {
        let mut chain = crate::opinions::Chain::new();
        change(&mut chain);
        chain
    };
    crate::opinions::check_good(vec![
        ("nothing is changed", good(&|_| {})),
        ("4.1.2.2 a negative serial number", good(&|chain| chain.person.serial_number = vec![2, 1, 0xFF])),
        ("4.1.2.5.1 valid since 1950", good(&|chain| chain.person.not_before = utc_time("500101000000Z"))),
        ("4.1.2.5 valid for ever", good(&|chain| chain.person.not_after = tlv(0x18, &[b"99991231235959Z"]))),
        (
            "7.1 the issuer in other letters and spaces",
            good(&|chain| {
                let issuer = [attribute("2.5.4.10", " rules"), attribute("2.5.4.3", "PEOPLE ")];
                chain.person.issuer = sequence(&[&issuer[0], &issuer[1]]);
            }),
        ),
        (
            "4.2 an unknown extension that is not critical",
            good(&|chain| {
                chain.person.put("1.3.6.1.4.1.32473.9", false, vec![5, 0]);
            }),
        ),
        (
            "a mail address in the subject",
            good(&|chain| {
                chain.person.subject = sequence(&[&attribute(EMAIL, "alice@example.test")]);
            }),
        ),
        ("the algorithm as it is", good(&|chain| chain.person.algorithm = ecdsa_with_sha256())),
    ]);
}

#[test]
fn validity_includes_its_last_second() {
    let mut chain = crate::opinions::Chain::new();
    chain.person.not_after = utc_time("260601120000Z");
    // RFC 5280 section 4.1.2.5: "through notAfter, inclusive"; openssl takes the last second for too late.
    assert_eq!(chain.opinions(), ("good".to_owned(), false));
}
