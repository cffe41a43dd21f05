//! Whom a message names as its authors, beyond doubt (RFC 5322 section 3.6.2): a signature is compared with them.
//!
//! Programs differ in how they read a header that breaks the rules. Who is shown as the author must not depend on that, so
//! such a header names nobody.
use mail_parser::HeaderName;

use super::address::{AddressError, parse_mailboxes};
use super::header::{Field, Fields};
use super::outer::is_entity_field;
use super::parse::addresses;

/// The most authors that a message may have.
pub const MOST_AUTHORS: usize = 16;

/// Why nobody can say who the authors are.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthorProblem {
    /// No From field.
    #[error("the message names no author (it has no From field)")]
    Missing,
    /// Several From fields.
    #[error("the message has more than one From field")]
    Repeated,
    /// A From field that is no list of addresses.
    #[error("the From field does not name its author clearly ({0})")]
    Unreadable(#[from] AddressError),
    /// A From field that two readers read differently.
    #[error("the From field can be read in two ways")]
    Ambiguous,
    /// More than [`MOST_AUTHORS`].
    #[error("the message names more than {MOST_AUTHORS} authors")]
    TooMany,
    /// A header that breaks RFC 5322 section 2.2.
    #[error("the header is malformed ({0})")]
    Header(&'static str),
}

/// The addresses of the one From field; empty only for a bare MIME entity, which is no message and has no author.
///
/// # Errors
/// See [`AuthorProblem`].
pub fn authors(message: &[u8]) -> Result<Vec<String>, AuthorProblem> {
    let (fields, body) = Fields::split(message);
    let header = message.get(..message.len() - body.len()).unwrap_or_default();
    if has_control_character(header) {
        return Err(AuthorProblem::Header("it contains a control character"));
    }
    if fields.has_stray_lines() {
        return Err(AuthorProblem::Header("it has a line that is no field"));
    }
    if fields.iter().all(|field| is_entity_field(field.name())) {
        return Ok(Vec::new());
    }
    let from = fields.only("From").map_err(|_| AuthorProblem::Repeated)?.ok_or(AuthorProblem::Missing)?;
    if !has_colon_at_once(from) {
        return Err(AuthorProblem::Header("there is a blank before the colon of From"));
    }
    let mailboxes = parse_mailboxes(&from.unfolded())?;
    if mailboxes.len() > MOST_AUTHORS {
        return Err(AuthorProblem::TooMany);
    }
    let mut authors: Vec<String> = mailboxes.iter().map(|mailbox| mailbox.address.to_string()).collect();
    // Those whom our own reader shows must be the same.
    let shown: Vec<_> = addresses(message, &[HeaderName::From])
        .iter()
        .map(|shown| shown.address.parse::<super::address::Address>().map(|address| address.to_string()))
        .collect();
    if shown.len() != authors.len()
        || shown.iter().zip(&authors).any(|(shown, author)| shown.as_ref() != Ok(author))
    {
        return Err(AuthorProblem::Ambiguous);
    }
    authors.sort();
    authors.dedup();
    Ok(authors)
}

/// The addresses of the Sender field: who sent the message for its authors (RFC 5322 section 3.6.2). Some programs show
/// them first, so a reader must hear that no signature speaks for them.
pub fn senders(message: &[u8]) -> Vec<String> {
    addresses(message, &[HeaderName::Sender]).into_iter().map(|sender| sender.address).collect()
}

/// A CR or LF of a line end, and a tab, are none.
fn has_control_character(header: &[u8]) -> bool {
    header.split_inclusive(|&byte| byte == b'\n').any(|line| {
        let line = line.strip_suffix(b"\n").map_or(line, |line| line.strip_suffix(b"\r").unwrap_or(line));
        line.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t')
    })
}

fn has_colon_at_once(field: &Field<'_>) -> bool {
    field.raw().get(field.name().len()) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authors_of(header: &str) -> Result<Vec<String>, AuthorProblem> {
        authors(format!("{header}\r\n\r\nFrom: body@x.test\r\n").as_bytes())
    }

    #[test]
    fn one_clear_from_field_names_the_authors() {
        for (header, wanted) in [
            ("From: Alice <alice@x.test>\r\nSubject: x", &["alice@x.test"][..]),
            ("Subject: x\r\nfrom: b@x.test,\r\n \"A, B\" <a@x.test>", &["a@x.test", "b@x.test"]),
            ("From: =?utf-8?Q?M=C3=BCller?= (Sales) <a@B\u{fc}cher.example>", &["a@xn--bcher-kva.example"]),
            ("From: a@x.test, A@X.test, a@x.test", &["A@x.test", "a@x.test"]),
            // What looks like another address in a name or comment is none.
            ("From: \"boss@x.test\" <a@x.test> (boss@x.test)", &["a@x.test"]),
            ("From: =?utf-8?Q?boss=40x.test=2C?= <a@x.test>", &["a@x.test"]),
            ("From: =?utf-8?Q?=3Cboss=40x.test=3E=0D=0AFrom=3A_boss=40x.test?= <a@x.test>", &["a@x.test"]),
            (
                "From: \u{7528}\u{6237}@\u{4f8b}\u{3048}.\u{30c6}\u{30b9}\u{30c8}",
                &["\u{7528}\u{6237}@xn--r8jz45g.xn--zckzah"],
            ),
        ] {
            assert_eq!(authors_of(header).unwrap(), wanted, "{header}");
        }
    }

    #[test]
    fn only_a_bare_entity_has_no_author() {
        assert_eq!(authors_of("MIME-Version: 1.0\r\nContent-Type: text/plain").unwrap(), [""; 0]);
        assert_eq!(authors(b"\r\nbody").unwrap(), [""; 0]);
        for header in
            ["Subject: x", "Sender: boss@x.test", "Resent-From: boss@x.test\r\nContent-Type: text/plain"]
        {
            assert_eq!(authors_of(header), Err(AuthorProblem::Missing), "{header}");
        }
    }

    #[test]
    fn a_header_that_programs_read_differently_names_nobody() {
        for header in [
            "From: Boss:;\r\nFrom: a@x.test",
            "From: \"Boss <boss@x.test>\":;\r\nFrom: a@x.test",
            "From: a@x.test\r\nX: y\r\nfROM : boss@x.test",
            "From : a@x.test",
            "From: Team: a@x.test;",
            "From: undisclosed",
            "From:",
            "From: \"Boss\r\n",
            "From: <boss@x.test> <a@x.test>",
            "From: boss@x.test a@x.test",
            "From: a@x.test\r\nSubject: y\rFrom: boss@x.test",
            "From: a@x.test\r\nSubject: y\0",
            "From: a@x.test\r\nSubject: y\u{b}From: boss@x.test",
            "From: a@x.test\r\nno field",
            "From \u{441}ontent: x\r\nFrom: a@x.test",
            // Encoded words have no place in an address (RFC 2047 section 5), wherever a reader might decode them.
            "From: =?utf-8?Q?boss=40x.test?=",
            "From: =?utf-8?Q?=3Cboss=40x.test=3E?=",
            "From: =?utf-8?B?PGJvc3NAeC50ZXN0Pg==?= <>",
            "From: <=?utf-8?Q?boss=40x.test?=>",
            "From: =?utf-8?Q?boss?=@x.test, a@x.test",
            "From: boss@=?utf-8?Q?x.test?=",
            "From: a@x.test (comment <boss@x.test>",
            "From: \"a@x.test\" boss@x.test",
            "From: a@x.test\\",
            "From: <@boss.x.test:a@x.test>",
            "From: a@x.test; boss@x.test",
            "From: a@[127.0.0.1]",
            "From: a@x.test\r\n\u{1b}[2K",
        ] {
            assert!(authors_of(header).is_err(), "{header:?}");
        }
        let many: Vec<String> = (0..=MOST_AUTHORS).map(|number| format!("a{number}@x.test")).collect();
        assert_eq!(authors_of(&format!("From: {}", many.join(", "))), Err(AuthorProblem::TooMany));
    }

    #[test]
    fn no_length_hides_a_from_field() {
        let filling = "X-Filling: y\r\n".repeat(30_000);
        assert_eq!(
            authors_of(&format!("From: a@x.test\r\n{filling}From: boss@x.test")),
            Err(AuthorProblem::Repeated)
        );
        assert!(authors_of(&format!("{filling}From: a@x.test")).is_err());
    }

    proptest::proptest! {
        #[test]
        fn reading_never_panics(bytes: Vec<u8>, text: String) {
            let _ = authors(&bytes);
            let _ = authors_of(&format!("From: {text}"));
        }
    }
}
