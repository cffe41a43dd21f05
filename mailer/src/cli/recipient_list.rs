//! To whom: addresses on the command line, a list in a file, or a class of readers.
use std::path::Path;

use super::classes::Classes;
use super::context::Context;
use super::report::Failure;
use crate::message::address::{Address, parse_mailboxes};

/// The most people of one list.
const MOST: usize = 100_000;

/// What a list begins with that is the name of a class of readers.
const CLASS: &str = "class:";

/// Everybody once, in the order of the lists. Each of `lists` is the name of a file, `class:NAME`, or addresses with commas.
pub(super) fn recipients(context: &Context, lists: &[String]) -> Result<Vec<Address>, Failure> {
    recipients_and_classes(context, lists, &[])
}

/// The same, and everybody of these classes of readers.
pub(super) fn recipients_and_classes(
    context: &Context,
    lists: &[String],
    classes: &[String],
) -> Result<Vec<Address>, Failure> {
    let mut source = Classes::new(context);
    let classes = classes.iter().map(|name| format!("{CLASS}{name}"));
    let lists: Vec<String> = lists.iter().cloned().chain(classes).collect();
    expanded(&lists, &mut |name| source.addresses(name))
}

fn expanded(
    lists: &[String],
    class: &mut dyn FnMut(&str) -> Result<Vec<Address>, Failure>,
) -> Result<Vec<Address>, Failure> {
    let mut found: Vec<Address> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for list in lists {
        let path = Path::new(list);
        let addresses = match list.strip_prefix(CLASS) {
            Some(name) => class(name)?,
            None if path.is_file() => from_file(path)?,
            None => from_words(list)?,
        };
        found.extend(addresses.into_iter().filter(|address| known.insert(address.key())));
    }
    match found.len() {
        0 => Err(Failure::usage("the list has no address; name recipients or a file with --to")),
        length if length > MOST => Err(Failure::usage(format!("the list has more than {MOST} addresses"))),
        _ => Ok(found),
    }
}

fn from_words(list: &str) -> Result<Vec<Address>, Failure> {
    let mailboxes = parse_mailboxes(list).map_err(|error| {
        let looks_like_file = !list.contains('@');
        let hint = if looks_like_file { "; there is no such file either" } else { "" };
        Failure::usage(format!("{error}{hint}"))
    })?;
    Ok(mailboxes.into_iter().map(|mailbox| mailbox.address).collect())
}

/// A line each: an address alone or with a name; empty lines and those that begin with `#` say nothing. Or a table with
/// commas whose first line names the columns, one of them `mail`.
fn from_file(path: &Path) -> Result<Vec<Address>, Failure> {
    let octets = std::fs::read(path).map_err(|problem| Failure::file(path, &problem))?;
    let text = String::from_utf8(octets).map_err(|_| {
        Failure::usage(format!("{} is no text in UTF-8; save it as UTF-8 and try again", path.display()))
    })?;
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(&text);
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
    let is_mail = |name: &str| name.eq_ignore_ascii_case("mail");
    let column = table.headers().ok().and_then(|names| names.iter().position(is_mail));
    let Some(column) = column else {
        let lines = text.lines().enumerate().map(|(number, line)| (number + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        return lines.map(|(number, line)| one_address(path, number as u64, line)).collect();
    };
    let rows = table.records().map(|row| {
        let row = row.map_err(|problem| unreadable_row(path, &problem))?;
        let number = row.position().map_or(0, csv::Position::line);
        one_address(path, number, row.get(column).unwrap_or_default())
    });
    rows.collect()
}

fn unreadable_row(path: &Path, problem: &csv::Error) -> Failure {
    let line = problem.position().map_or(0, csv::Position::line);
    Failure::usage(match problem.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => format!(
            "{}, line {line}: {len} columns where the first line names {expected_len}; put quotation marks around commas",
            path.display()
        ),
        _ => format!("{}, line {line}: the row cannot be read", path.display()),
    })
}

fn one_address(path: &Path, line: u64, text: &str) -> Result<Address, Failure> {
    match parse_mailboxes(text).as_deref() {
        Ok([one]) => Ok(one.address.clone()),
        _ => Err(Failure::usage(format!("{}, line {line}: {text:?} is no address", path.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn local(list: &[Address]) -> Vec<&str> {
        list.iter().map(|address| address.local()).collect()
    }

    #[test]
    fn lists_are_addresses_or_tables_and_everybody_stands_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let mut board = |name: &str| match name {
            "board" => from_words("frank@x.test, bob@x.test"),
            _ => Err(Failure::usage("no such class")),
        };
        let plain = write("plain", "# staff\nBob <bob@x.test>\n\ncarol@x.test\n");
        let table = write("table", "name,mail\nDave,dave@x.test\n\"Bob\",\"bob@x.test\"\n");
        let found = expanded(
            &[plain, table, "class:board".to_owned(), "erin@x.test, BOB@x.test".to_owned()],
            &mut board,
        )
        .unwrap();
        assert_eq!(local(&found), ["bob", "carol", "dave", "frank", "erin"]);
        let broken = write("broken", "mail\nx@x.test\nnobody\n");
        let problem = expanded(&[broken], &mut board).unwrap_err();
        assert!(problem.message.contains("line 3"), "{}", problem.message);
        assert!(
            expanded(&["absent.csv".to_owned()], &mut board).unwrap_err().message.contains("no such file")
        );
        assert!(expanded(&[], &mut board).is_err());
    }
}
