//! Name constraints (RFC 5280 section 4.2.1.10, RFC 9598 section 6).
use crate::maker::{COMMON_NAME, EMAIL, ORGANISATION, attribute, name, oid, sequence, tlv};
use crate::opinions::{
    Broken, Chain, Second, Second::Accepts, Second::Agrees, broken, broken_longer, check, check_good, id,
    names,
};

const MAIL: u8 = 0x81;
const DNS: u8 = 0x82;
const DIRECTORY: u8 = 0xA4;
const URI: u8 = 0x86;
const IP: u8 = 0x87;
const OTHER: u8 = 0xA0;
const REGISTERED: u8 = 0x88;

const PERMITTED: u8 = 0xA0;
const EXCLUDED: u8 = 0xA1;

/// nameConstraints with one subtree.
fn constraint(sign: u8, form: u8, base: &[u8]) -> Vec<u8> {
    sequence(&[&tlv(sign, &[&sequence(&[&tlv(form, &[base])])])])
}

/// A CA that is constrained, and a person with this name.
fn constrained(chain: &mut Chain, (sign, form, base): (u8, u8, &[u8]), person: (u8, &[u8])) {
    chain.ca.put(id::NAME_CONSTRAINTS, true, constraint(sign, form, base));
    chain.person.put(id::ALTERNATIVE_NAME, false, names(&[person]));
}

fn refused(
    what: &'static str,
    second: Second,
    constraint: (u8, u8, &'static [u8]),
    person: (u8, &'static [u8]),
) -> Broken {
    broken(what, "name-not-permitted", second, |chain| constrained(chain, constraint, person))
}

/// An SmtpUTF8Mailbox as the contents of otherName.
fn international(address: &str) -> Vec<u8> {
    let value = tlv(0xA0, &[&tlv(0x0C, &[address.as_bytes()])]);
    [oid("1.3.6.1.5.5.7.8.9"), value].concat()
}

/// An otherName of our own type.
fn other_name(text: &str) -> Vec<u8> {
    [oid("1.3.6.1.4.1.32473.5"), tlv(0xA0, &[&tlv(0x0C, &[text.as_bytes()])])].concat()
}

#[test]
fn mail_addresses_are_constrained() {
    const ALICE: (u8, &[u8]) = (MAIL, b"alice@example.test");
    check(&[
        refused("another host", Agrees, (PERMITTED, MAIL, b"other.test"), ALICE),
        refused("a host below the permitted one", Agrees, (PERMITTED, MAIL, b"test"), ALICE),
        refused(
            "the domain itself, where those below are permitted",
            Agrees,
            (PERMITTED, MAIL, b".example.test"),
            ALICE,
        ),
        refused("another mailbox", Agrees, (PERMITTED, MAIL, b"bob@example.test"), ALICE),
        refused("a mailbox that differs in case", Agrees, (PERMITTED, MAIL, b"Alice@example.test"), ALICE),
        refused("an excluded host", Agrees, (EXCLUDED, MAIL, b"EXAMPLE.test"), ALICE),
        refused("an excluded domain", Agrees, (EXCLUDED, MAIL, b".test"), ALICE),
        refused("an excluded mailbox", Agrees, (EXCLUDED, MAIL, b"alice@example.test"), ALICE),
        refused("what is no address", Agrees, (PERMITTED, MAIL, b"example.test"), (MAIL, b"example.test")),
        refused(
            "what is no address, beside an exclusion",
            Agrees,
            (EXCLUDED, MAIL, b"other.test"),
            (MAIL, b"alice"),
        ),
        broken(
            "RFC 9598 6: an international mailbox at another host",
            "name-not-permitted",
            Agrees,
            |chain| {
                constrained(
                    chain,
                    (PERMITTED, MAIL, b"other.test"),
                    (OTHER, &international("李@example.test")),
                );
            },
        ),
        broken(
            "RFC 9598 6: an international mailbox at an excluded host",
            "name-not-permitted",
            Agrees,
            |chain| {
                constrained(
                    chain,
                    (EXCLUDED, MAIL, b"example.test"),
                    (OTHER, &international("李@example.test")),
                );
            },
        ),
        broken("4.2.1.10 the subject's emailAddress", "name-not-permitted", Agrees, |chain| {
            chain.ca.put(id::NAME_CONSTRAINTS, true, constraint(PERMITTED, MAIL, b"other.test"));
            chain.person.subject = sequence(&[&attribute(EMAIL, "alice@example.test")]);
            chain.person.remove(id::ALTERNATIVE_NAME);
        }),
        broken("one address of two", "name-not-permitted", Agrees, |chain| {
            chain.ca.put(id::NAME_CONSTRAINTS, true, constraint(PERMITTED, MAIL, b"example.test"));
            let two: [(u8, &[u8]); 2] = [ALICE, (MAIL, b"alice@other.test")];
            chain.person.put(id::ALTERNATIVE_NAME, false, names(&two));
        }),
        broken("6.1.4 (g) by the anchor", "name-not-permitted", Agrees, |chain| {
            chain.root.put(id::NAME_CONSTRAINTS, true, constraint(PERMITTED, MAIL, b"other.test"));
        }),
        broken("not critical, and yet a constraint", "name-not-permitted", Agrees, |chain| {
            chain.ca.put(id::NAME_CONSTRAINTS, false, constraint(PERMITTED, MAIL, b"other.test"));
        }),
        broken_longer(
            "6.1.4 (g) two CAs that permit nothing in common",
            "name-not-permitted",
            Agrees,
            |chain| {
                chain.ca.put(id::NAME_CONSTRAINTS, true, constraint(PERMITTED, MAIL, b"other.test"));
                chain.second().put(id::NAME_CONSTRAINTS, true, constraint(PERMITTED, MAIL, b"example.test"));
            },
        ),
    ]);
}

#[test]
fn other_forms_are_constrained() {
    const WWW: (u8, &[u8]) = (DNS, b"www.example.test");
    const PAGE: (u8, &[u8]) = (URI, b"http://www.example.test/page");
    const ADDRESS: (u8, &[u8]) = (IP, &[10, 1, 2, 3]);
    check(&[
        refused("4.2.1.10 another host", Agrees, (PERMITTED, DNS, b"other.test"), WWW),
        refused("4.2.1.10 a host that only ends alike", Agrees, (PERMITTED, DNS, b"ample.test"), WWW),
        refused("4.2.1.10 an excluded host", Agrees, (EXCLUDED, DNS, b"example.test"), WWW),
        refused("4.2.1.10 every host excluded", Agrees, (EXCLUDED, DNS, b""), WWW),
        refused("4.2.1.10 a page of another host", Agrees, (PERMITTED, URI, b"example.test"), PAGE),
        refused("4.2.1.10 a page of an excluded domain", Agrees, (EXCLUDED, URI, b".example.test"), PAGE),
        refused(
            "4.2.1.10 a URI without a host",
            Agrees,
            (PERMITTED, URI, b"example.test"),
            (URI, b"urn:isbn:1"),
        ),
        refused(
            "4.2.1.10 a URI without a host, excluded",
            Agrees,
            (EXCLUDED, URI, b"example.test"),
            (URI, b"urn:isbn:1"),
        ),
        refused("4.2.1.10 another network", Agrees, (PERMITTED, IP, &[11, 0, 0, 0, 255, 0, 0, 0]), ADDRESS),
        refused(
            "4.2.1.10 an excluded network",
            Agrees,
            (EXCLUDED, IP, &[10, 0, 0, 0, 255, 0, 0, 0]),
            ADDRESS,
        ),
        refused(
            "4.2.1.10 IPv6 where only IPv4 is permitted",
            Agrees,
            (PERMITTED, IP, &[10, 0, 0, 0, 255, 0, 0, 0]),
            (IP, &[0xFD; 16]),
        ),
        refused(
            "4.2.1.10 a mask with holes",
            Accepts("openssl applies any mask; RFC 4632 knows only prefixes, and what it means is a guess"),
            (PERMITTED, IP, &[10, 0, 0, 3, 255, 0, 0, 255]),
            ADDRESS,
        ),
        broken("4.2.1.10 a kind that nobody can compare", "name-not-permitted", Agrees, |chain| {
            constrained(chain, (PERMITTED, OTHER, &other_name("x")), (OTHER, &other_name("x")));
        }),
        refused(
            "4.2.1.10 a registered identifier",
            Agrees,
            (PERMITTED, REGISTERED, &[0x2A, 3]),
            (REGISTERED, &[0x2A, 3]),
        ),
    ]);
}

#[test]
fn directory_names_are_constrained() {
    let organisation = |text: &str| sequence(&[&attribute(ORGANISATION, text)]);
    let ca = |chain: &mut Chain, sign, base: &[u8]| {
        chain.ca.put(id::NAME_CONSTRAINTS, true, constraint(sign, DIRECTORY, base));
    };
    check(&[
        broken("4.2.1.10 another organisation", "name-not-permitted", Agrees, |chain| {
            ca(chain, PERMITTED, &organisation("Others"));
        }),
        broken(
            "4.2.1.10 an excluded organisation, in other letters",
            "name-not-permitted",
            Agrees,
            |chain| {
                ca(chain, EXCLUDED, &organisation("RULES"));
            },
        ),
        broken("4.2.1.10 a longer name is permitted", "name-not-permitted", Agrees, |chain| {
            let base = [
                attribute(ORGANISATION, "Rules"),
                attribute(COMMON_NAME, "Alice"),
                attribute(COMMON_NAME, "x"),
            ];
            ca(chain, PERMITTED, &sequence(&[&base[0], &base[1], &base[2]]));
        }),
        broken("4.2.1.10 a subtree that begins elsewhere", "name-not-permitted", Agrees, |chain| {
            ca(chain, PERMITTED, &sequence(&[&attribute(COMMON_NAME, "Alice")]));
        }),
        broken(
            "4.2.1.10 a directory name among the alternative ones",
            "name-not-permitted",
            Agrees,
            |chain| {
                ca(chain, PERMITTED, &organisation("Rules"));
                let other = sequence(&[&attribute(ORGANISATION, "Others")]);
                chain.person.put(id::ALTERNATIVE_NAME, false, names(&[(DIRECTORY, &other)]));
            },
        ),
        broken_longer("6.1.3 (b) the CA below has another name", "name-not-permitted", Agrees, |chain| {
            ca(chain, PERMITTED, &organisation("Rules"));
            let others = sequence(&[&attribute(ORGANISATION, "Others"), &attribute(COMMON_NAME, "Team")]);
            chain.second().subject = others.clone();
            chain.person.issuer = others;
        }),
    ]);
}

#[test]
fn constraints_are_well_formed() {
    let malformed = "certificate-malformed";
    let distance = |number: u8| {
        sequence(&[&tlv(PERMITTED, &[&sequence(&[&tlv(MAIL, &[b"example.test"]), &[0x80 | number, 1, 1]])])])
    };
    check(&[
        broken(
            "4.2.1.10 no constraint at all",
            malformed,
            Accepts("openssl takes it for no constraint"),
            |chain| {
                chain.ca.put(id::NAME_CONSTRAINTS, true, sequence(&[]));
            },
        ),
        broken("4.2.1.10 an empty list", malformed, Accepts("openssl takes it for no constraint"), |chain| {
            chain.ca.put(id::NAME_CONSTRAINTS, true, sequence(&[&tlv(PERMITTED, &[])]));
        }),
        broken("4.2.1.10 a minimum", malformed, Agrees, |chain| {
            chain.ca.put(id::NAME_CONSTRAINTS, true, distance(0));
        }),
        broken("4.2.1.10 a maximum", malformed, Agrees, |chain| {
            chain.ca.put(id::NAME_CONSTRAINTS, true, distance(1));
        }),
    ]);
}

#[test]
fn what_is_permitted_is_accepted() {
    let good = |what, constraint: (u8, u8, &[u8]), person: (u8, &[u8])| {
        let mut chain = Chain::new();
        constrained(&mut chain, constraint, person);
        (what, chain)
    };
    let mut exempt = Chain::new();
    // A self-issued CA certificate need not satisfy constraints, the last certificate must.
    exempt.ca.put(id::NAME_CONSTRAINTS, true, constraint(EXCLUDED, DIRECTORY, &name("People")));
    check_good(vec![
        good("a mailbox", (PERMITTED, MAIL, b"alice@EXAMPLE.test"), (MAIL, b"alice@example.test")),
        good("a host", (PERMITTED, MAIL, b"example.test"), (MAIL, b"alice@Example.test")),
        good("a domain", (PERMITTED, MAIL, b".test"), (MAIL, b"alice@example.test")),
        good("another form", (PERMITTED, DNS, b"other.test"), (MAIL, b"alice@example.test")),
        good(
            "an international mailbox",
            (PERMITTED, MAIL, b"example.test"),
            (OTHER, &international("李@example.test")),
        ),
        good("a host below", (PERMITTED, DNS, b"test"), (DNS, b"www.example.test")),
        good("a page", (PERMITTED, URI, b".example.test"), (URI, b"https://www.example.test:8443/x?y")),
        good("a network", (PERMITTED, IP, &[10, 0, 0, 0, 255, 0, 0, 0]), (IP, &[10, 1, 2, 3])),
        good("not excluded", (EXCLUDED, MAIL, b"other.test"), (MAIL, b"alice@example.test")),
        ("an excluded CA name", exempt),
    ]);
}
