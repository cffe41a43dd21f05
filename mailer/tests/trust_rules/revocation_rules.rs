//! CRLs (RFC 5280 sections 5 and 6.3).
use crate::maker::{Change, Extension, ListDraft, key_identifier, new_key, sequence, tlv, utc_time};
use crate::opinions::{
    Broken, CRL_SIGN, Chain, KEY_CERT_SIGN, Second, Second::Accepts, Second::Agrees, authority, broken,
    check, check_good, id, key_usage,
};

const REASON: &str = "2.5.29.21";
const CERTIFICATE_ISSUER: &str = "2.5.29.29";
const DELTA: &str = "2.5.29.27";
const ISSUING_POINT: &str = "2.5.29.28";
const UNKNOWN: &str = "1.3.6.1.4.1.32473.9";

/// A chain whose lists are changed before they are signed.
fn lists(
    what: &'static str,
    code: &'static str,
    second: Second,
    change: impl FnOnce(&mut ListDraft, &mut ListDraft),
) -> Broken {
    broken(what, code, second, |chain| {
        let (mut root, mut ca) = chain.list_drafts();
        change(&mut root, &mut ca);
        chain.with_lists(&root, &ca);
    })
}

/// issuingDistributionPoint with these fields.
fn issuing_point(fields: &[u8]) -> Vec<u8> {
    sequence(&[fields])
}

/// A distribution point's full name, as the contents of distributionPoint.
fn full_name(uri: &str) -> Vec<u8> {
    tlv(0xA0, &[&tlv(0xA0, &[&tlv(0x86, &[uri.as_bytes()])])])
}

#[test]
fn revoked_certificates_are_refused() {
    check(&[
        lists("6.3.3 (i) the person is revoked", "revoked", Agrees, |_, ca| {
            ca.revoke(3, &[]);
        }),
        lists("6.3.3 (i) the CA is revoked", "revoked", Agrees, |root, _| {
            root.revoke(2, &[Extension::new(REASON, false, vec![0x0A, 1, 2])]);
        }),
        lists("5.3.1 on hold", "revoked", Agrees, |_, ca| {
            ca.revoke(3, &[Extension::new(REASON, false, vec![0x0A, 1, 6])]);
        }),
    ]);
}

#[test]
fn only_a_list_of_the_issuer_speaks() {
    let unknown = "revocation-unknown";
    check(&[
        broken("6.3 the CA's list is missing", unknown, Agrees, |chain| {
            let (root, ca) = chain.list_drafts();
            chain.with_lists(&root, &ca);
            chain.lists.pop();
        }),
        broken("6.3 the root's list is missing", unknown, Agrees, |chain| {
            let (root, ca) = chain.list_drafts();
            chain.with_lists(&root, &ca);
            chain.lists.remove(0);
        }),
        lists("6.3.3 (g) the signature is changed", unknown, Agrees, |_, ca| ca.change = Change::Signature),
        broken("6.3.3 (g) signed with another key", unknown, Agrees, |chain| {
            let (root, ca) = chain.list_drafts();
            chain.with_lists(&root, &ca);
            chain.lists[1] = ca.sign(&new_key());
        }),
        lists("6.3.3 (b)(1) a list of somebody else", unknown, Agrees, |_, ca| {
            ca.issuer = crate::maker::name("Others");
        }),
        lists("5.2.1 a list of another key", unknown, Agrees, |_, ca| {
            ca.put(id::AUTHORITY_KEY, false, sequence(&[&tlv(0x80, &[&[7; 20]])]));
        }),
        broken("6.3.3 (f) the CA may not sign lists", unknown, Agrees, |chain| {
            chain.ca.put(id::KEY_USAGE, true, key_usage(KEY_CERT_SIGN));
            let (root, ca) = chain.list_drafts();
            chain.with_lists(&root, &ca);
        }),
        lists("5.1.2.5 a newer list was due", unknown, Agrees, |_, ca| {
            ca.next_update = utc_time("260601000000Z");
        }),
        lists("5.1.2.4 a list of tomorrow", unknown, Agrees, |_, ca| {
            ca.this_update = utc_time("260602120000Z")
        }),
    ]);
}

#[test]
fn lists_that_are_not_understood_do_not_speak() {
    let unknown = "revocation-unknown";
    check(&[
        lists("5.2 an unknown critical extension", unknown, Agrees, |_, ca| {
            ca.put(UNKNOWN, true, vec![5, 0]);
        }),
        lists("5.3 an unknown critical extension of an entry", unknown, Agrees, |_, ca| {
            ca.revoke(77, &[Extension::new(UNKNOWN, true, vec![5, 0])]);
        }),
        lists("5.2.4 a delta without its base", unknown, Agrees, |_, ca| {
            ca.put(DELTA, true, vec![2, 1, 1]);
        }),
        lists("5.2.5 only for CA certificates", unknown, Agrees, |_, ca| {
            ca.put(ISSUING_POINT, true, issuing_point(&[0x82, 1, 0xFF]));
        }),
        lists("5.2.5 only for users' certificates", unknown, Agrees, |root, _| {
            root.put(ISSUING_POINT, true, issuing_point(&[0x81, 1, 0xFF]));
        }),
        lists("5.2.5 only for attribute certificates", unknown, Agrees, |_, ca| {
            ca.put(ISSUING_POINT, true, issuing_point(&[0x85, 1, 0xFF]));
        }),
        lists("5.2.5 only for some reasons", unknown, Agrees, |_, ca| {
            ca.put(ISSUING_POINT, true, issuing_point(&[0x83, 2, 6, 0x40]));
        }),
        broken("6.3.3 (b)(2) of another distribution point", unknown, Agrees, |chain| {
            let point = sequence(&[&sequence(&[&full_name("http://crl.test/1")])]);
            chain.person.put(id::DISTRIBUTION_POINTS, false, point);
            let (root, mut ca) = chain.list_drafts();
            ca.put(ISSUING_POINT, true, issuing_point(&full_name("http://crl.test/2")));
            chain.with_lists(&root, &ca);
        }),
        lists(
            "5.3.3 an entry of another issuer in a list that is not indirect",
            unknown,
            Accepts("openssl heeds the critical entry extension without asking whether the list is indirect"),
            |_, ca| {
                let other = sequence(&[&tlv(0xA4, &[&crate::maker::name("Others")])]);
                ca.revoke(3, &[Extension::new(CERTIFICATE_ISSUER, true, other)]);
            },
        ),
    ]);
}

#[test]
fn lists_that_fit_speak() {
    let with = |change: &dyn Fn(&mut Chain, &mut ListDraft, &mut ListDraft)| {
        let mut chain = Chain::new();
        let (mut root, mut ca) = chain.list_drafts();
        change(&mut chain, &mut root, &mut ca);
        chain.with_lists(&root, &ca);
        chain
    };
    check_good(vec![
        ("nobody is revoked", with(&|_, _, _| {})),
        (
            "somebody else is revoked",
            with(&|_, _, ca| {
                ca.revoke(77, &[]);
            }),
        ),
        (
            "of the same distribution point",
            with(&|chain, _, ca| {
                let point = sequence(&[&sequence(&[&full_name("http://crl.test/1")])]);
                chain.person.put(id::DISTRIBUTION_POINTS, false, point);
                ca.put(ISSUING_POINT, true, issuing_point(&full_name("http://crl.test/1")));
            }),
        ),
        (
            "for users' certificates only",
            with(&|_, _, ca| {
                ca.put(ISSUING_POINT, true, issuing_point(&[0x81, 1, 0xFF]));
            }),
        ),
    ]);
}

/// The CA has a key of its own for lists, certified by the root (section 6.3.3 (f)).
#[test]
fn a_revoked_list_key_does_not_speak() {
    let with_key = |revoked: bool, usage: u8| {
        let mut chain = Chain::new();
        let key = new_key();
        let (mut root, mut ca) = chain.list_drafts();
        ca.put(id::AUTHORITY_KEY, false, sequence(&[&tlv(0x80, &[&key_identifier(&key)])]));
        if revoked {
            root.revoke(8, &[]);
        }
        let mut signer = authority(8, ("Root", &chain.root_key), ("People", &key));
        signer.put(id::KEY_USAGE, true, key_usage(usage)).remove(id::BASIC_CONSTRAINTS);
        chain.more = vec![signer.sign(&chain.root_key)];
        chain.with_lists(&root, &ca);
        chain.lists[1] = ca.sign(&key);
        chain
    };
    let unknown = "revocation-unknown";
    let rule = |what, second, chain| Broken { what, code: unknown, second, chain };
    check_good(vec![("a key for lists", with_key(false, CRL_SIGN))]);
    check(&[
        rule("6.3.3 (f) the key for lists is revoked", Agrees, with_key(true, CRL_SIGN)),
        rule(
            "6.3.3 (f) the key is not for lists",
            Accepts("openssl does not look at the key usage of a list's signer outside the path"),
            with_key(false, 0x80),
        ),
    ]);
}
