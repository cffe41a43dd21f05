//! Mail addresses as certificates carry and compare them (RFC 8550 section 3, RFC 9598 section 5).

/// An address taken apart: local part and domain, the domain as lower-case A-labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MailAddress {
    local_part: String,
    domain: String,
}

impl MailAddress {
    /// Takes `local@domain` apart; `None` when it is not an address.
    pub(crate) fn parse(address: &str) -> Option<Self> {
        let (local_part, domain) = address.rsplit_once('@')?;
        if local_part.is_empty() || domain.is_empty() {
            return None;
        }
        Some(Self { local_part: local_part.to_owned(), domain: a_labels(domain)? })
    }

    /// The domain, in lower-case A-labels.
    pub(crate) fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether both name one mailbox: domains by A-label; ASCII local parts without regard to case
    /// (RFC 8550 section 3), others octet by octet (RFC 9598 section 5).
    pub(crate) fn same_mailbox(&self, other: &Self) -> bool {
        let local_part = if self.local_part.is_ascii() && other.local_part.is_ascii() {
            self.local_part.eq_ignore_ascii_case(&other.local_part)
        } else {
            self.local_part == other.local_part
        };
        local_part && self.domain == other.domain
    }

    /// Whether both are one mailbox where the local part counts letter by letter (RFC 5280 section 7.5).
    pub(crate) fn equals_exactly(&self, other: &Self) -> bool {
        self == other
    }
}

/// A domain as lower-case A-labels; `None` when it is none.
pub(crate) fn a_labels(domain: &str) -> Option<String> {
    idna::domain_to_ascii(domain).ok().filter(|labels| !labels.is_empty())
}

/// Whether two addresses name one mailbox; what is no address matches nothing.
pub(crate) fn same_mailbox(left: &str, right: &str) -> bool {
    match (MailAddress::parse(left), MailAddress::parse(right)) {
        (Some(one), Some(other)) => one.same_mailbox(&other),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_compared_by_rule() {
        assert!(same_mailbox("Alice@Example.TEST", "alice@example.test"));
        assert!(same_mailbox("alice@bücher.example", "alice@xn--bcher-kva.example"));
        assert!(same_mailbox("李@example.test", "李@EXAMPLE.test"));
        assert!(!same_mailbox("Ärger@example.test", "ärger@example.test"));
        assert!(!same_mailbox("alice@example.test", "alice@example.test.evil.test"));
        assert!(!same_mailbox("alice@", "alice@"));
        assert!(!same_mailbox("alice@example.test", " alice@example.test"));
        assert!(!same_mailbox("alice@example.test", "alice@example.test\0"));
        assert!(!same_mailbox("", ""));
    }
}
