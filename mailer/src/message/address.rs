//! Mailboxes as people type them (RFC 5322 section 3.4), with domains as A-labels (RFC 5891).
use std::fmt;
use std::str::FromStr;

/// A mail address: local part and A-label domain.
///
/// The local part keeps its case (RFC 5321 section 2.4); [`Address::key`] is what directories look up.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Address {
    local: String,
    domain: String,
}

/// A display name with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mailbox {
    /// The name in front of the address, if there is one.
    pub display_name: Option<String>,
    /// The address.
    pub address: Address,
}

/// Why a text is not a list of mailboxes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Nothing there.
    #[error("no address given")]
    Empty,
    /// `name: a@b, c@d;`
    #[error("{0:?} is a group; name each member's address instead")]
    Group(String),
    /// No `@`.
    #[error("{0:?} is not a mail address: it has no @")]
    NoAt(String),
    /// Something that has no place in an address.
    #[error("{text:?} is not a mail address: {problem}")]
    Malformed {
        /// What was given.
        text: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The part after the `@`.
    #[error("{0:?} is not a domain name")]
    Domain(String),
    /// RFC 5321 section 4.5.3.1.
    #[error("{0:?} is longer than mail allows (64 bytes before the @, 254 in all)")]
    TooLong(String),
}

impl Address {
    /// The part before the `@`, without quotes.
    pub fn local(&self) -> &str {
        &self.local
    }

    /// The domain: A-labels in lower case.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The address in lower case, as certificates are published and found.
    pub fn key(&self) -> String {
        format!("{}@{}", self.local.to_lowercase(), self.domain)
    }

    fn new(local: &str, domain: &str, text: &str) -> Result<Self, AddressError> {
        let malformed = |problem| AddressError::Malformed { text: text.to_owned(), problem };
        if local.is_empty() {
            return Err(malformed("there is nothing before the @"));
        }
        let domain =
            idna::domain_to_ascii_strict(domain).map_err(|_| AddressError::Domain(domain.to_owned()))?;
        if domain.is_empty() || domain.split('.').any(str::is_empty) {
            return Err(AddressError::Domain(domain));
        }
        let address = Self { local: local.to_owned(), domain };
        if local.len() > 64 || address.to_string().len() > 254 {
            return Err(AddressError::TooLong(text.to_owned()));
        }
        Ok(address)
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// Reads one address without display name.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mailboxes = parse_mailboxes(text)?.into_iter();
        match (mailboxes.next(), mailboxes.next()) {
            (Some(Mailbox { display_name: None, address }), None) => Ok(address),
            (Some(_), _) => Err(AddressError::Malformed {
                text: text.to_owned(),
                problem: "one bare address is wanted here",
            }),
            (None, _) => Err(AddressError::Empty),
        }
    }
}

impl fmt::Display for Address {
    /// `local@domain`, the local part quoted where RFC 5322 section 3.4.1 needs it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if is_dot_atom(&self.local) {
            write!(f, "{}@{}", self.local, self.domain)
        } else {
            write!(f, "\"{}\"@{}", self.local.replace('\\', "\\\\").replace('"', "\\\""), self.domain)
        }
    }
}

impl fmt::Display for Mailbox {
    /// For people, not for a header: the header's encoding is made by [`super::build`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.display_name {
            Some(name) => write!(f, "{name} <{}>", self.address),
            None => write!(f, "{}", self.address),
        }
    }
}

impl FromStr for Mailbox {
    type Err = AddressError;

    /// Reads one mailbox.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut mailboxes = parse_mailboxes(text)?.into_iter();
        match (mailboxes.next(), mailboxes.next()) {
            (Some(mailbox), None) => Ok(mailbox),
            _ => {
                Err(AddressError::Malformed { text: text.to_owned(), problem: "one address is wanted here" })
            }
        }
    }
}

/// Reads a comma-separated list of mailboxes, each with or without a display name.
///
/// # Errors
/// See [`AddressError`]; groups are refused by name.
pub fn parse_mailboxes(text: &str) -> Result<Vec<Mailbox>, AddressError> {
    let tokens = tokens(text)?;
    let mut mailboxes = Vec::new();
    for element in tokens.split(|token| *token == Token::Special(',')) {
        if !element.is_empty() {
            mailboxes.push(mailbox(element, text)?);
        }
    }
    if mailboxes.is_empty() { Err(AddressError::Empty) } else { Ok(mailboxes) }
}

fn mailbox(element: &[Token], text: &str) -> Result<Mailbox, AddressError> {
    let malformed = |problem| AddressError::Malformed { text: text.trim().to_owned(), problem };
    if let Some(colon) = element.iter().position(|token| *token == Token::Special(':')) {
        return Err(AddressError::Group(phrase(element.get(..colon).unwrap_or_default())));
    }
    let (name, address) = match element.iter().position(|token| *token == Token::Special('<')) {
        None => (None, element),
        Some(open) => {
            let (name, bracketed) = element.split_at(open);
            let [_, address @ .., Token::Special('>')] = bracketed else {
                return Err(malformed("the closing > is missing or not at the end"));
            };
            if name.iter().any(|token| matches!(token, Token::Special(_))) {
                return Err(malformed("the name needs quotes: \"Name\" <address>"));
            }
            (Some(phrase(name)).filter(|name| !name.is_empty()), address)
        }
    };
    let (local, domain) = match address {
        [Token::Atom(local), Token::Special('@'), Token::Atom(domain)] if is_dot_atom(local) => {
            (local, domain)
        }
        [Token::Quoted(local), Token::Special('@'), Token::Atom(domain)] => (local, domain),
        [Token::Atom(_), Token::Special('@'), Token::Atom(_)] => {
            return Err(malformed("the part before the @ has misplaced dots"));
        }
        _ if !address.contains(&Token::Special('@')) => {
            return Err(AddressError::NoAt(text.trim().to_owned()));
        }
        _ => return Err(malformed("something stands beside the address")),
    };
    Ok(Mailbox { display_name: name, address: Address::new(local, domain, text.trim())? })
}

fn phrase(tokens: &[Token]) -> String {
    let words: Vec<&str> = tokens
        .iter()
        .filter_map(|token| match token {
            Token::Atom(word) | Token::Quoted(word) => Some(word.as_str()),
            Token::Special(_) => None,
        })
        .collect();
    words.join(" ")
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    /// A word; dots are part of it, as in `J. Doe`.
    Atom(String),
    Quoted(String),
    Special(char),
}

/// Splits into words and specials (RFC 5322 section 3.2.3); comments and blanks are left out.
fn tokens(text: &str) -> Result<Vec<Token>, AddressError> {
    let malformed = |problem| AddressError::Malformed { text: text.trim().to_owned(), problem };
    let mut tokens = Vec::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            ' ' | '\t' => {}
            control if control.is_control() => return Err(malformed("it contains a control character")),
            '(' => skip_comment(&mut characters).ok_or_else(|| malformed("a comment is not closed"))?,
            '"' => {
                tokens.push(Token::Quoted(
                    quoted(&mut characters).ok_or_else(|| malformed("a quote is not closed"))?,
                ));
            }
            '[' => return Err(malformed("an address in brackets has no certificate; use a domain name")),
            ',' | ';' | '<' | '>' | '@' | ':' | ')' | ']' | '\\' => tokens.push(Token::Special(character)),
            first => {
                let mut word = String::from(first);
                while let Some(next) = characters.next_if(|&c| is_word_character(c)) {
                    word.push(next);
                }
                tokens.push(Token::Atom(word));
            }
        }
    }
    Ok(tokens)
}

fn skip_comment(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<()> {
    let mut depth = 1_usize;
    while depth > 0 {
        match characters.next()? {
            '(' => depth += 1,
            ')' => depth -= 1,
            '\\' => {
                characters.next()?;
            }
            _ => {}
        }
    }
    Some(())
}

fn quoted(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut content = String::new();
    loop {
        let character = match characters.next()? {
            '"' => return Some(content),
            '\\' => characters.next()?,
            other => other,
        };
        if character.is_control() {
            return None;
        }
        content.push(character);
    }
}

fn is_word_character(character: char) -> bool {
    !character.is_whitespace() && !character.is_control() && !"()<>[]:;@\\,\"".contains(character)
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_word_character))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> (Option<String>, String) {
        let mailbox: Mailbox = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
        (mailbox.display_name, mailbox.address.to_string())
    }

    #[test]
    fn people_write_addresses_in_many_ways() {
        for (text, name, address) in [
            ("alice@mail.test", None, "alice@mail.test"),
            ("<alice@mail.test>", None, "alice@mail.test"),
            ("Alice Müller <Alice@Mail.Test>", Some("Alice Müller"), "Alice@mail.test"),
            ("\"Müller, Alice\" <alice@mail.test>", Some("Müller, Alice"), "alice@mail.test"),
            ("J. Doe (sales (west)) <j.doe@mail.test>", Some("J. Doe"), "j.doe@mail.test"),
            ("alice@bücher.example", None, "alice@xn--bcher-kva.example"),
            ("\"john doe\"@mail.test", None, "\"john doe\"@mail.test"),
            ("用户@例え.テスト", None, "用户@xn--r8jz45g.xn--zckzah"),
        ] {
            assert_eq!(one(text), (name.map(str::to_owned), address.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_list_keeps_its_order_and_skips_empty_places() {
        let list = parse_mailboxes("a@x.test,, B <b@x.test> , \"c, d\" <c@x.test>").unwrap();
        assert_eq!(list.iter().map(|m| m.address.local()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(list[2].display_name.as_deref(), Some("c, d"));
    }

    #[test]
    fn a_group_is_refused_by_its_name() {
        let refusal = parse_mailboxes("Board: a@x.test, b@x.test;").unwrap_err();
        assert_eq!(refusal, AddressError::Group("Board".to_owned()));
    }

    #[test]
    fn what_is_no_address_is_refused_with_its_reason() {
        for text in [
            "",
            " , ",
            "alice",
            "alice@",
            "@mail.test",
            "a b@mail.test",
            "a..b@mail.test",
            ".a@mail.test",
            "alice@mail..test",
            "alice@-x-.te st",
            "alice@[127.0.0.1]",
            "a@b.test c@d.test",
            "A <a@b.test",
            "a@b.test>",
            "alice@mail.test\r\nBcc: x@y.test",
            "\"a\nb\"@mail.test",
            "(open a@b.test",
            "<@route.test:a@b.test>",
            "alice@exa_mple.test",
        ] {
            assert!(parse_mailboxes(text).is_err(), "{text:?}");
        }
        assert!(matches!(
            format!("{}@x.test", "a".repeat(65)).parse::<Address>(),
            Err(AddressError::TooLong(_))
        ));
    }

    #[test]
    fn the_key_ignores_case_and_the_address_does_not() {
        let address: Address = "Alice.B@MAIL.Test".parse().unwrap();
        assert_eq!((address.key().as_str(), address.local()), ("alice.b@mail.test", "Alice.B"));
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics_and_what_is_printed_is_read_back(text: String) {
            if let Ok(mailboxes) = parse_mailboxes(&text) {
                for mailbox in mailboxes {
                    assert_eq!(mailbox.address.to_string().parse::<Address>(), Ok(mailbox.address));
                }
            }
        }
    }
}
