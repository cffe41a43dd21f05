//! People who may hold a card.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::unicode::{code_point, composed, hidden_character};

/// The registry's number for a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CardholderId(pub i64);

/// A person in the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cardholder {
    /// The registry's number.
    pub id: CardholderId,
    /// As it stands in certificates.
    pub name: Name,
    /// Unique in the registry, upper and lower case being the same.
    pub mail: MailAddress,
    /// The organisation's own number for the person, unique where present.
    pub staff_id: Option<StaffId>,
    /// The last day of employment, where it is known; no certificate outlives it.
    pub employed_until: Option<Date>,
    /// Since when the person is no longer there.
    pub left: Option<Timestamp>,
}

/// A person about to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewCardholder {
    /// As it will stand in certificates.
    pub name: Name,
    /// The address that the signature and encryption certificates will name.
    pub mail: MailAddress,
    /// The organisation's own number for the person.
    pub staff_id: Option<StaffId>,
    /// The last day of employment, where it is known.
    pub employed_until: Option<Date>,
}

impl Cardholder {
    /// What a list of staff says of the person.
    pub fn details(&self) -> NewCardholder {
        NewCardholder {
            name: self.name.clone(),
            mail: self.mail.clone(),
            staff_id: self.staff_id.clone(),
            employed_until: self.employed_until,
        }
    }
}

/// A text that cannot be what its field wants; the message says why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedField(pub String);

impl MalformedField {
    fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

/// A person's name: 1 to 64 characters (ub-common-name, RFC 5280 appendix A.1) that can be seen, none of `@<>`, which
/// would let a name pass for a mail address. In Normalization Form C.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Name(String);

impl Name {
    /// Takes the text without the white space around it.
    ///
    /// # Errors
    /// Empty, longer than 64 characters, or with a character that is not for names.
    pub fn new(text: &str) -> Result<Self, MalformedField> {
        let text = composed(text.trim());
        match text.chars().count() {
            0 => return Err(MalformedField::new("is empty")),
            1..=64 => {}
            length => return Err(MalformedField::new(format!("has {length} characters; 64 are allowed"))),
        }
        refuse_hidden(&text)?;
        if let Some(character) = text.chars().find(|character| "@<>".contains(*character)) {
            return Err(MalformedField::new(format!("has {character:?}, which belongs to mail addresses")));
        }
        Ok(Self(text))
    }

    /// A name as the registry has it: it was judged when it came in, perhaps by an older program.
    pub(crate) const fn recorded(text: String) -> Self {
        Self(text)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The organisation's own number for a person: 1 to 64 characters of PrintableString (X.680 section 41.4) without spaces.
/// It stands as serialNumber in the distinguished name, so that two people of one name can be told apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct StaffId(String);

impl StaffId {
    /// Takes the text without the white space around it.
    ///
    /// # Errors
    /// Empty, too long, or with other characters; `@` is kept for mail addresses.
    pub fn new(text: &str) -> Result<Self, MalformedField> {
        let text = text.trim();
        if text.is_empty() || text.len() > 64 {
            return Err(MalformedField::new("must have 1 to 64 characters"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"'()+,-./:=?".contains(&byte)) {
            return Err(MalformedField::new(format!(
                "{text:?} may hold letters, digits and '()+,-./:=? only"
            )));
        }
        Ok(Self(text.to_owned()))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A mailbox as certificates name it: `rfc822Name` (RFC 5280 section 4.2.1.6), or SmtpUTF8Mailbox (RFC 9598 section 3).
///
/// The local part is a dot-atom (RFC 5321 section 4.1.2, RFC 6531 section 3.3) in Normalization Form C and keeps its
/// case; the domain is in A-labels and lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct MailAddress(String);

impl MailAddress {
    /// Reads `local@domain`; a domain in Unicode becomes A-labels.
    ///
    /// # Errors
    /// Not exactly that shape, a character that cannot be seen, longer than RFC 5321 section 4.5.3.1 allows, or a domain of a single label.
    pub fn new(text: &str) -> Result<Self, MalformedField> {
        let text = composed(text.trim());
        refuse_hidden(&text)?;
        let Some((local, domain)) = text.rsplit_once('@') else {
            return Err(MalformedField::new(format!("{text:?} is not a mail address: it has no '@'")));
        };
        let local = Self::local_part(local)?;
        let domain = DomainName::new(domain)?;
        if !domain.as_str().contains('.') {
            return Err(MalformedField::new(format!(
                "{text:?} is not a mail address: its domain has one label only"
            )));
        }
        Ok(Self(format!("{local}@{}", domain.as_str())))
    }

    /// An address as the registry has it: it was judged when it came in, perhaps by an older program.
    pub(crate) const fn recorded(text: String) -> Self {
        Self(text)
    }

    /// The whole address.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    fn local_part(local: &str) -> Result<&str, MalformedField> {
        if local.is_empty() || local.len() > 64 {
            return Err(MalformedField::new("must have 1 to 64 characters before the '@'"));
        }
        let is_atom_text = |character: char| match character {
            _ if character.is_ascii() => {
                character.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(character)
            }
            _ => !character.is_control() && !character.is_whitespace(),
        };
        let is_dot_atom = local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atom_text));
        if is_dot_atom {
            Ok(local)
        } else {
            Err(MalformedField::new(format!("{local:?} is not a local part of a mail address")))
        }
    }
}

fn refuse_hidden(text: &str) -> Result<(), MalformedField> {
    match hidden_character(text) {
        Some(character) => Err(MalformedField::new(format!(
            "has the character {}, which cannot be seen or turns the text around",
            code_point(character)
        ))),
        None => Ok(()),
    }
}

/// A domain name in A-labels and lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct DomainName(String);

impl DomainName {
    /// Reads a domain in A-labels or in Unicode.
    ///
    /// # Errors
    /// Not a host name (RFC 5890, RFC 1123), or longer than 253 characters.
    pub fn new(text: &str) -> Result<Self, MalformedField> {
        refuse_hidden(text)?;
        let malformed = || MalformedField::new(format!("{text:?} is not a domain name"));
        let ascii = idna::domain_to_ascii_strict(text).map_err(|_| malformed())?;
        let is_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if ascii.len() > 253 || !ascii.split('.').all(is_label) {
            return Err(malformed());
        }
        Ok(Self(ascii.to_ascii_lowercase()))
    }

    /// The domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `name` is this domain or lies below it.
    pub fn covers(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        name == self.0 || name.strip_suffix(&self.0).is_some_and(|rest| rest.ends_with('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_address_is_normalised_in_its_domain_only() {
        assert_eq!(MailAddress::new(" Alice.Ng@EXAMPLE.org ").unwrap().as_str(), "Alice.Ng@example.org");
        assert_eq!(MailAddress::new("bob@bücher.example").unwrap().as_str(), "bob@xn--bcher-kva.example");
        assert_eq!(MailAddress::new("王@example.org").unwrap().as_str(), "王@example.org");
    }

    #[test]
    fn what_is_not_a_mail_address_is_refused() {
        for text in [
            "",
            "alice",
            "@example.org",
            "alice@",
            "a b@example.org",
            "a..b@example.org",
            ".a@example.org",
            "a@-x.org",
            "a@localhost",
            "a@b@c.org\n",
        ] {
            assert!(MailAddress::new(text).is_err(), "{text:?} was accepted");
        }
        assert!(MailAddress::new(&format!("{}@example.org", "a".repeat(65))).is_err());
    }

    /// Whatever a keyboard or a file system makes of an accent, it is the same person.
    #[test]
    fn an_accent_typed_in_two_ways_is_one_name_and_one_address() {
        assert_eq!(Name::new("Ju\u{308}rgen").unwrap(), Name::new("Jürgen").unwrap());
        let (one, two) = ("ju\u{308}rgen@bu\u{308}cher.example", "jürgen@bücher.example");
        assert_eq!(MailAddress::new(one).unwrap(), MailAddress::new(two).unwrap());
        assert_eq!(DomainName::new("BU\u{308}CHER.example").unwrap().as_str(), "xn--bcher-kva.example");
    }

    #[test]
    fn nothing_is_hidden_in_a_name_or_an_address() {
        for hidden in ["\u{202E}", "\u{200B}", "\u{FEFF}", "\u{2028}", "\u{E0041}", "\u{E000}", "\u{378}"] {
            let code = code_point(hidden.chars().next().unwrap());
            let name = Name::new(&format!("Alice{hidden} Ng")).unwrap_err();
            assert!(name.to_string().contains(&code), "{name}");
            for address in [format!("al{hidden}ice@example.org"), format!("alice@exam{hidden}ple.org")] {
                assert!(MailAddress::new(&address).unwrap_err().to_string().contains(&code), "{address:?}");
            }
            assert!(DomainName::new(&format!("exam{hidden}ple.org")).is_err());
        }
        for name in ["alice@example.org", "Alice <alice@example.org>", "Alice>"] {
            assert!(Name::new(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_domain_covers_itself_and_what_lies_below() {
        let domain = DomainName::new("Example.org").unwrap();
        assert!(domain.covers("example.org") && domain.covers("mail.EXAMPLE.org"));
        assert!(!domain.covers("badexample.org") && !domain.covers("org"));
    }

    #[test]
    fn names_and_staff_identifiers_have_limits() {
        assert_eq!(Name::new("  王小明 ").unwrap().as_str(), "王小明");
        assert!(
            Name::new(" ").is_err() && Name::new(&"x".repeat(65)).is_err() && Name::new("a\u{7}b").is_err()
        );
        assert!(StaffId::new("E-1001").is_ok());
        assert!(StaffId::new("a@b").is_err() && StaffId::new("a b").is_err() && StaffId::new("").is_err());
    }
}
