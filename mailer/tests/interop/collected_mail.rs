//! The collected mail of the world (`scripts/test --data DIR`): through the filters with a card, and back unchanged.
//!
//! **Unchanged** means: every field of the header stands in the opened message with the same octets in the same order, and
//! the body is the same octets, after the one thing that S/MIME always changes: every line end is CRLF (RFC 8551 section
//! 3.1.1). The white space that ends a field is not compared, nor MIME-Version, which every protected message has. Where a
//! part is binary its encoding changes too (RFC 8551 section 3.1.2), and what it decodes to is compared.
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use mailer::message::canonical::to_crlf;

use crate::accounts::{Office, Person};
use crate::openssl_pki::{Key, encryption, mail};
use crate::outside_data;

/// The address of whoever protects what names no author.
const ALICE: &str = "alice@example.test";
/// Every message that does not come back as the same octets: what becomes of it instead, and why.
const OTHERWISE: &[(&str, &str, &str)] = &[
    (
        "malformed/007.eml",
        "refused: malformed-message",
        "two Content-Type fields: readers would choose differently",
    ),
    ("malformed/020.eml", "refused: malformed-message", "two Content-Type fields"),
    ("malformed/021.eml", "refused: malformed-message", "two Content-Type fields"),
    ("rfc/001.eml", "refused: author-unclear", "From: Whomever, which is no address"),
    ("rfc/004.eml", "refused: author-unclear", "From: Moderator-Address, which is no address"),
    (
        "legacy/049.eml",
        AS_BASE64,
        "it ends with a lone CR, which mail cannot carry as it is (RFC 2045 section 2.8)",
    ),
    (
        "malformed/010.eml",
        INSIDE,
        "a message/rfc822 alone would be taken for the message itself with its header protected",
    ),
];
const UNCHANGED: &str = "unchanged";
const AS_BASE64: &str = "unchanged, as base64";
const INSIDE: &str = "unchanged, as the one part of a multipart";

struct Collection {
    folder: PathBuf,
    names: Vec<String>,
}

impl Collection {
    fn open() -> Option<Self> {
        let folder = outside_data("data/mail")?;
        let mut names: Vec<String> = crate::accounts::files_below(&folder)
            .iter()
            .filter(|file| file.extension().is_some_and(|extension| extension == "eml"))
            .map(|file| file.strip_prefix(&folder).unwrap().display().to_string())
            .collect();
        names.sort();
        assert_eq!(names.len(), 87, "the collection is complete");
        Some(Self { folder, names })
    }

    fn message(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.folder.join(name)).unwrap()
    }

    /// Every address that a From field names.
    fn authors(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::from([ALICE.to_owned()]);
        for name in &self.names {
            found.extend(author(&self.message(name)));
        }
        found
    }
}

/// The address in a message's From field, by a reading of our own that is only good for this collection.
fn author(message: &[u8]) -> Option<String> {
    let (header, _) = halves(&to_crlf(message));
    let field = header.iter().find(|field| is(field, "from"))?;
    let text = String::from_utf8_lossy(field).into_owned();
    let value = text.split_once(':')?.1;
    let address = value.split_once('<').map_or(value, |(_, rest)| rest.split('>').next().unwrap_or_default());
    let address = address.trim();
    (address.contains('@') && !address.contains(char::is_whitespace)).then(|| address.to_lowercase())
}

/// An office whose alice may write for every author of the collection.
fn office(authors: &BTreeSet<String>) -> Office {
    let office = Office::new();
    let names: Vec<String> = authors.iter().map(|address| format!("email:{address}")).collect();
    let extensions = format!("{}\nkeyUsage=critical,digitalSignature,nonRepudiation", mail(ALICE))
        .replace(&format!("email:{ALICE}"), &names.join(","));
    let signer = office.pki.people.issue("alice-sign", Key::P256, &extensions);
    let extensions = encryption(ALICE, Key::P256).replace(&format!("email:{ALICE}"), &names.join(","));
    let reader = office.pki.people.issue("alice-read", Key::P256, &extensions);
    let alice = Person { name: "alice".to_owned(), signer, reader };
    for address in authors {
        office.publish_for(&alice, address);
    }
    office.make_card(&alice);
    office.person("bob", Key::P256);
    // One anchor for the domains of all of them; the reader believes it for each.
    let domains: BTreeSet<&str> =
        authors.iter().filter_map(|address| address.split_once('@')).map(|(_, domain)| domain).collect();
    let domains: Vec<&str> = domains.into_iter().flat_map(|domain| ["--anchor-domain", domain]).collect();
    let accounts = authors.iter().map(|address| (home(address), address.as_str(), "sim:alice.card"));
    for (account, address, card) in
        accounts.chain([("reader".to_owned(), "bob@example.test", "sim:bob.card")])
    {
        let mut arguments = vec!["setup", "--address", address, "--card", card, "--anchor", "Root.pem"];
        arguments.extend(["--directory", "file:published", "--maildir", "spool"]);
        arguments.extend(&domains);
        office.run(&account, &arguments, b"").expect(0);
    }
    office
}

/// The account for an address.
fn home(address: &str) -> String {
    address.replace('@', "-at-")
}

#[test]
fn outside_data_collected_mail_passes_unchanged() {
    let Some(collection) = Collection::open() else { return };
    let office = office(&collection.authors());
    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut problems = Vec::new();
    for name in &collection.names {
        let message = collection.message(name);
        let named = author(&message);
        let account = home(named.as_deref().unwrap_or(ALICE));
        for (way, options) in
            [("sign, verify", &["--no-encrypt"][..]), ("protect, open", &["--to", "bob@example.test"])]
        {
            let outcome = pass(&office, &account, options, &message);
            let outcome = outcome.map_or_else(|problem| problem, str::to_owned);
            let expected =
                OTHERWISE.iter().find(|(other, ..)| other == name).map_or(UNCHANGED, |(_, wanted, _)| wanted);
            if outcome != expected {
                problems.push(format!("{name} ({way}): {outcome}, not {expected}"));
            }
            outcomes.entry(outcome).or_default().push(format!("{name} ({way})"));
        }
    }
    for (outcome, messages) in &outcomes {
        println!("{outcome}: {}", messages.len());
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

/// Through `protect` and `open`, and compared; where the message names no author, `--from` does.
fn pass(office: &Office, account: &str, options: &[&str], message: &[u8]) -> Result<&'static str, String> {
    let mut arguments = [&["protect", "--json"][..], options].concat();
    if author(message).is_none() {
        arguments.extend(["--from", ALICE]);
    }
    let protected = office.run(account, &arguments, message);
    if protected.code != 0 {
        assert!(protected.stdout.is_empty(), "a refusal with half a message");
        return Err(format!("refused: {}", protected.json()["error"]["code"].as_str().unwrap_or_default()));
    }
    let opened = office.run("reader", &["open", "--json"], &protected.stdout);
    if opened.code != 0 {
        let json = opened.json();
        return Err(format!("not opened: {} {}", json["verdict"]["code"], json["error"]["code"]));
    }
    compare(message, &opened.stdout)
}

/// The fields of a header, each with its continuation lines, and the body.
fn halves(message: &[u8]) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (mut fields, mut rest): (Vec<Vec<u8>>, &[u8]) = (Vec::new(), message);
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let (line, after) = rest.split_at(end + 2);
        rest = after;
        match (line.first(), fields.last_mut()) {
            (Some(b'\r'), _) => break,
            (Some(b' ' | b'\t'), Some(field)) => field.extend_from_slice(line),
            _ => fields.push(line.to_vec()),
        }
    }
    (fields, rest.to_vec())
}

fn is(field: &[u8], name: &str) -> bool {
    let end = field.iter().position(|byte| *byte == b':').unwrap_or(0);
    field[..end].trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
}

fn starts(field: &[u8], name: &str) -> bool {
    field.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
}

/// Says what differs.
fn compare(before: &[u8], after: &[u8]) -> Result<&'static str, String> {
    let ((fields, body), (opened_fields, opened_body)) = (halves(&to_crlf(before)), halves(after));
    same_fields(&fields, &opened_fields, false)?;
    if opened_body == body {
        return same_fields(&fields, &opened_fields, true).map(|()| UNCHANGED);
    }
    // From here on the body has another form; what it says must be the same.
    let encoded: Vec<u8> = opened_body.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let (_, exact) = halves_at_any_line_end(before);
    if base64_simd::STANDARD.decode_to_vec(&encoded).is_ok_and(|decoded| decoded == exact || decoded == body)
    {
        return Ok(AS_BASE64);
    }
    let entity = [content_fields(&fields), b"\r\n".to_vec(), body.clone()].concat();
    if crate::material::find(&opened_body, &entity).is_some() {
        return Ok(INSIDE);
    }
    Err(format!("changed: the body, from {} to {} octets", body.len(), opened_body.len()))
}

/// The fields of the content are protected with it, and stand after the others when they come back: each kind in its order.
fn same_fields(fields: &[Vec<u8>], opened: &[Vec<u8>], of_content: bool) -> Result<(), String> {
    let mut left = opened.iter().map(|field| field.trim_ascii_end());
    let wanted = fields.iter().filter(|field| !is(field, "mime-version"));
    for field in wanted.filter(|field| starts(field, "content-") == of_content) {
        if !left.by_ref().any(|opened| opened == field.trim_ascii_end()) {
            return Err(format!("changed: the field {:?}", String::from_utf8_lossy(field)));
        }
    }
    Ok(())
}

fn content_fields(fields: &[Vec<u8>]) -> Vec<u8> {
    fields.iter().filter(|field| starts(field, "content-")).flatten().copied().collect()
}

/// Header and body without any change to line ends.
fn halves_at_any_line_end(message: &[u8]) -> (&[u8], &[u8]) {
    let crlf = crate::material::find(message, b"\r\n\r\n").map(|at| at + 4);
    let lf = crate::material::find(message, b"\n\n").map(|at| at + 2);
    message.split_at(crlf.into_iter().chain(lf).min().unwrap_or(message.len()))
}

#[test]
fn a_change_would_be_seen() {
    let message = b"From: a\nSubject: b\n c\n\nline\nend \n";
    assert_eq!(compare(message, &to_crlf(message)), Ok(UNCHANGED));
    for changed in [
        &b"From: a\r\nSubject: b c\r\n\r\nline\r\nend \r\n"[..],
        b"Subject: b\r\n c\r\nFrom: a\r\n\r\nline\r\nend \r\n",
        b"From: a\r\nSubject: b\r\n c\r\n\r\nline\r\nend\r\n",
        b"From: a\r\nSubject: b\r\n c\r\n\r\nline\r\nend \r\n\r\n",
    ] {
        assert!(compare(message, changed).is_err(), "{}", String::from_utf8_lossy(changed));
    }
    assert!(Path::new(&home("a@b")).is_relative());
}
