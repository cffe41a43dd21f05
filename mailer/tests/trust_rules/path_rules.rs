//! CAs, their depth, and what keys may be used for (RFC 5280 section 6.1.4 (k) to (o), 6.1.5).
use mailer::trust::Purpose;

use crate::maker::{name, new_key, oid, sequence};
use crate::opinions::{
    CRL_SIGN, Chain, DIGITAL_SIGNATURE, KEY_AGREEMENT, KEY_CERT_SIGN, Second::Accepts, Second::Agrees,
    authority, broken, broken_longer, check, check_good, id, key_usage,
};

/// basicConstraints of a CA with a path length.
fn path_length(length: u8) -> Vec<u8> {
    sequence(&[&[1, 1, 0xFF], &[2, 1, length]])
}

#[test]
fn authorities_are_authorities() {
    check(&[
        broken("6.1.4 (k) no basicConstraints", "not-an-authority", Agrees, |chain| {
            chain.ca.remove(id::BASIC_CONSTRAINTS);
        }),
        broken("6.1.4 (k) cA is false", "not-an-authority", Agrees, |chain| {
            chain.ca.put(id::BASIC_CONSTRAINTS, true, sequence(&[]));
        }),
        broken("6.1.4 (k) cA is false, and that is written", "certificate-malformed", Agrees, |chain| {
            chain.ca.put(id::BASIC_CONSTRAINTS, true, sequence(&[&[1, 1, 0]]));
        }),
        broken("6.1.4 (n) keyCertSign is missing", "not-an-authority", Agrees, |chain| {
            chain.ca.put(id::KEY_USAGE, true, key_usage(CRL_SIGN));
        }),
        broken("6.1.4 (n) keyCertSign is missing, not critical", "not-an-authority", Agrees, |chain| {
            chain.ca.put(id::KEY_USAGE, false, key_usage(DIGITAL_SIGNATURE));
        }),
        broken_longer("6.1.4 (l) deeper than a CA allows", "not-an-authority", Agrees, |chain| {
            chain.ca.put(id::BASIC_CONSTRAINTS, true, path_length(0));
        }),
        broken_longer("6.1.4 (l) deeper than the anchor allows", "not-an-authority", Agrees, |chain| {
            chain.root.put(id::BASIC_CONSTRAINTS, true, path_length(1));
        }),
        broken_longer("6.1.4 (m) a CA below allows more", "not-an-authority", Agrees, |chain| {
            chain.root.put(id::BASIC_CONSTRAINTS, true, path_length(0));
            chain.ca.put(id::BASIC_CONSTRAINTS, true, path_length(9));
        }),
        broken("6.1 a person as a CA", "not-an-authority", Agrees, |chain| {
            let key = new_key();
            let mut alice = authority(9, ("People", &chain.ca_key), ("Alice", &key));
            alice.put(id::KEY_USAGE, true, key_usage(DIGITAL_SIGNATURE)).remove(id::BASIC_CONSTRAINTS);
            chain.person.issuer = name("Alice");
            chain.person.remove(id::AUTHORITY_KEY);
            chain.below = Some((alice, key));
        }),
    ]);
}

#[test]
fn depth_is_counted_as_the_standard_says() {
    let mut exactly = Chain::longer();
    exactly.ca.put(id::BASIC_CONSTRAINTS, true, path_length(1));
    exactly.second().put(id::BASIC_CONSTRAINTS, true, path_length(0));
    let mut large = Chain::new();
    large.ca.put(id::BASIC_CONSTRAINTS, true, sequence(&[&[1, 1, 0xFF], &[2, 5, 1, 0, 0, 0, 0]]));
    // A CA that certifies a new key of its own does not go deeper.
    let mut rollover = Chain::new();
    let key = new_key();
    rollover.ca.put(id::BASIC_CONSTRAINTS, true, path_length(0));
    let renewed = authority(8, ("People", &rollover.ca_key), ("People", &key));
    rollover.person.remove(id::AUTHORITY_KEY);
    rollover.person.put(
        id::AUTHORITY_KEY,
        false,
        sequence(&[&crate::maker::tlv(0x80, &[&crate::maker::key_identifier(&key)])]),
    );
    rollover.below = Some((renewed, key));
    check_good(vec![("exactly as deep as allowed", exactly), ("a self-issued certificate", rollover)]);
    let huge = "openssl keeps path lengths in a long, and takes larger ones for an error";
    let (ours, openssl) = large.opinions();
    assert_eq!((ours.as_str(), openssl), ("good", true), "{huge}");
}

#[test]
fn keys_are_used_for_what_they_are() {
    let for_signing = |chain: &mut Chain| {
        chain.purpose = Purpose::Signing;
        chain.openssl = vec!["-purpose", "smimesign"];
    };
    let server = || sequence(&[&oid("1.3.6.1.5.5.7.3.1")]);
    check(&[
        broken("4.2.1.3 signing without digitalSignature", "wrong-usage", Agrees, |chain| {
            for_signing(chain);
            chain.person.put(id::KEY_USAGE, true, key_usage(KEY_AGREEMENT));
        }),
        broken("4.2.1.12 a server's key signs mail", "wrong-usage", Agrees, |chain| {
            for_signing(chain);
            chain.person.put(id::EXTENDED_KEY_USAGE, false, server());
        }),
        broken("RFC 8550 4.4.4 a servers' CA certifies for mail", "wrong-usage", Agrees, |chain| {
            for_signing(chain);
            chain.ca.put(id::EXTENDED_KEY_USAGE, false, server());
        }),
        broken("4.2.1.3 encrypting to a key that only signs", "wrong-usage", Agrees, |chain| {
            chain.purpose = Purpose::Encryption;
            chain.openssl = vec!["-purpose", "smimeencrypt"];
        }),
        broken("4.2.1.3 encrypting to a key that only certifies", "wrong-usage", Agrees, |chain| {
            chain.purpose = Purpose::Encryption;
            chain.openssl = vec!["-purpose", "smimeencrypt"];
            chain.person.put(id::KEY_USAGE, true, key_usage(KEY_CERT_SIGN));
        }),
        broken(
            "5.2 a CRL signer without cRLSign",
            "wrong-usage",
            Accepts("openssl was not asked for a purpose"),
            |chain| {
                chain.purpose = Purpose::CrlSigning;
            },
        ),
    ]);
    let mut signing = Chain::new();
    for_signing(&mut signing);
    check_good(vec![("a signer for mail", signing)]);
}
