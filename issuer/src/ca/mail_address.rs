//! Mail addresses as certificates carry them, RFC 5280 section 4.2.1.6 and RFC 9598.
use std::fmt;
use std::str::FromStr;

use super::error::CaError;

/// A mail address: the local part as given, the domain in lower case and as A-labels.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailAddress {
    local: String,
    domain: String,
}

impl MailAddress {
    /// The part before the last `@`.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain, in lower case, as A-labels.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether the local part needs SmtpUTF8Mailbox instead of rfc822Name (RFC 9598 section 3).
    pub fn is_internationalized(&self) -> bool {
        !self.local.is_ascii()
    }
}

impl fmt::Display for MailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.local, self.domain)
    }
}

impl FromStr for MailAddress {
    type Err = CaError;

    /// # Errors
    /// Anything but `local@domain` with a dot-atom local part (RFC 5321 section 4.1.2, RFC 6531) and a
    /// domain of two labels or more. Quoted local parts and address literals are refused.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = |reason: &str| CaError::Field {
            field: "mail address",
            value: text.to_owned(),
            reason: reason.to_owned(),
        };
        let (local, domain) = text.rsplit_once('@').ok_or_else(|| refuse("it has no @"))?;
        if local.len() > 64 {
            return Err(refuse("the part before the @ is longer than 64 octets"));
        }
        if local.split('.').any(|atom| atom.is_empty() || !atom.chars().all(is_atom_character)) {
            return Err(refuse("the part before the @ is not letters, digits and single dots"));
        }
        let domain = ascii_domain(domain)
            .filter(|domain| domain.contains('.'))
            .ok_or_else(|| refuse("the part after the @ is not a domain"))?;
        Ok(Self { local: local.to_owned(), domain })
    }
}

/// A domain name in lower case, as A-labels (RFC 5890); not an IP address in digits.
pub(crate) fn ascii_domain(domain: &str) -> Option<String> {
    let ascii = idna::domain_to_ascii_strict(domain).ok()?;
    let last = ascii.rsplit('.').next().filter(|label| !label.is_empty())?;
    (!last.bytes().all(|octet| octet.is_ascii_digit())).then_some(ascii)
}

/// `atext` of RFC 5322 section 3.2.3, and UTF-8 as RFC 6531 section 3.3 adds it.
fn is_atom_character(character: char) -> bool {
    match character {
        '!' | '#'..='\'' | '*' | '+' | '-' | '/' | '=' | '?' | '^' | '_' | '`' | '{'..='~' => true,
        ascii if ascii.is_ascii() => ascii.is_ascii_alphanumeric(),
        other => !other.is_control() && !other.is_whitespace(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ordinary_address_is_kept_and_its_domain_folded() {
        let address: MailAddress = "Alice.Example+x@Mail.Example.ORG".parse().unwrap();
        assert_eq!(address.to_string(), "Alice.Example+x@mail.example.org");
        assert!(!address.is_internationalized());
    }

    #[test]
    fn a_domain_becomes_a_labels_and_a_local_part_does_not() {
        let address: MailAddress = "jürgen@bücher.example".parse().unwrap();
        assert_eq!((address.local(), address.domain()), ("jürgen", "xn--bcher-kva.example"));
        assert!(address.is_internationalized());
    }

    #[test]
    fn what_is_not_an_address_is_refused() {
        let long = format!("{}@example.org", "a".repeat(65));
        for text in [
            "",
            "alice",
            "@example.org",
            "a..b@example.org",
            ".a@example.org",
            "a b@example.org",
            "a@b",
            "a@",
            long.as_str(),
        ] {
            assert!(text.parse::<MailAddress>().is_err(), "{text:?}");
        }
        for text in [
            "a@example.org.",
            "a\n@example.org",
            "\"a b\"@example.org",
            "a@[192.0.2.1]",
            "a@192.0.2.1",
            "a@exa_mple.org",
            "<a@example.org>",
        ] {
            assert!(text.parse::<MailAddress>().is_err(), "{text:?}");
        }
    }
}
