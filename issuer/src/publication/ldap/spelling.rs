//! Mail addresses of entries and certificates: two that a mail server takes for one are one, however they are written.
use crate::ca::MailAddress;
use crate::domain::unicode::search_key;

/// What addresses are compared by: without the spaces around it, which mean nothing to a directory (RFC 4518 section 2.6.1),
/// without upper case, composed, and with the domain as A-labels (RFC 5890). None of what cannot be read as an address, of
/// which therefore nobody can tell whether it is another one.
pub(super) fn comparable(address: &str) -> Option<String> {
    // In the place of octets that are no UTF-8.
    if address.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let parsed: MailAddress = search_key(address).parse().ok()?;
    Some(parsed.to_string())
}

/// The same, where something has to be compared: an address that cannot be read is like itself only.
pub(super) fn key(address: &str) -> String {
    comparable(address).unwrap_or_else(|| search_key(address))
}

/// Whether these addresses of an entry are certainly others than those that a certificate names: one that cannot be read may
/// be any.
pub(super) fn are_others(addresses: &[String], named: &[MailAddress]) -> bool {
    let named: Vec<_> = named.iter().map(|named| key(&named.to_string())).collect();
    addresses.iter().all(|address| comparable(address).is_some_and(|address| !named.contains(&address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_other(address: &str, named: &str) -> bool {
        are_others(&[address.to_owned()], &[named.parse().unwrap()])
    }

    #[test]
    fn another_spelling_is_no_other_address() {
        for (address, named) in [
            ("bob@xn--bcher-kva.example", "bob@bücher.example"),
            ("bob@bücher.example", "bob@xn--bcher-kva.example"),
            ("bob@XN--BCHER-KVA.example", "bob@bücher.example"),
            ("Bob@BU\u{308}CHER.example", "bob@bücher.example"),
            ("  bob@example.org ", "bob@example.org"),
            ("BOB@Example.ORG", "bob@example.org"),
            ("Ju\u{308}RGEN@example.org", "jürgen@example.org"),
        ] {
            assert!(!is_other(address, named), "{address:?} {named:?}");
            assert_eq!(key(address), key(named));
        }
        assert_eq!(key(" Bob@Bücher.example"), "bob@xn--bcher-kva.example");
    }

    #[test]
    fn another_address_is_one() {
        for (address, named) in [
            ("alice@example.org", "bob@example.org"),
            ("bob@example.com", "bob@example.org"),
            ("bob@bucher.example", "bob@bücher.example"),
            ("jurgen@example.org", "jürgen@example.org"),
        ] {
            assert!(is_other(address, named), "{address:?} {named:?}");
            assert_ne!(key(address), key(named));
        }
    }

    #[test]
    fn of_what_cannot_be_read_nobody_can_tell() {
        for address in [
            "",
            "bob",
            "\"bob ruiz\"@example.org",
            "smtp:bob@example.org",
            "bob@[192.0.2.1]",
            "b\u{fffd}b@example.org",
        ] {
            assert!(!is_other(address, "bob@example.org"), "{address:?}");
            let others = ["alice@example.org".to_owned(), address.to_owned()];
            assert!(!are_others(&others, &["bob@example.org".parse().unwrap()]), "{address:?}");
            assert_eq!(comparable(address), None);
        }
        assert_eq!(key("Bob "), "bob");
    }

    #[test]
    fn one_of_several_addresses_is_enough() {
        let addresses = ["bob@example.org", "robert@xn--bcher-kva.example "].map(str::to_owned);
        let named = ["carol@example.org", "robert@bücher.example"].map(|named| named.parse().unwrap());
        assert!(!are_others(&addresses, &named));
        assert!(are_others(&addresses[..1], &named));
    }
}
