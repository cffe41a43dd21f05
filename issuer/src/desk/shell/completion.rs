//! What a begun word can become: commands and options from the command line's own definition, people, cards and
//! certificates from the registry.

use super::line;
use crate::desk::office::Office;
use crate::domain::RevocationReason;
use crate::registry::{SearchFor, SearchHits};

/// What is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typing {
    /// A command.
    Command,
    /// A person.
    Person,
    /// Why something is revoked.
    Reason,
    /// Anything else.
    Answer,
}

/// Where the begun word starts, in bytes, and what it can become.
pub(super) type Completed = (usize, Vec<String>);

/// More than this nobody reads.
const MOST: usize = 50;

/// Completes what stands before the cursor.
pub(super) async fn complete(office: &Office, typing: Typing, before: &str) -> Completed {
    let start = match typing {
        Typing::Command => before.rfind(char::is_whitespace).map_or(0, |space| space.saturating_add(1)),
        _ => 0,
    };
    let begun = before.get(start..).unwrap_or_default();
    let wanted = match typing {
        Typing::Command => wanted(before.get(..start).unwrap_or_default(), begun),
        Typing::Person => Wanted::Found(Found::Person),
        Typing::Reason => {
            Wanted::Words(RevocationReason::of_people().map(|reason| reason.as_str().to_owned()).collect())
        }
        Typing::Answer => Wanted::Words(Vec::new()),
    };
    let mut candidates = match wanted {
        Wanted::Words(mut words) => {
            words.retain(|word| word.starts_with(begun));
            words
        }
        Wanted::Found(found) => match office.registry.search(begun, SearchFor::Beginnings).await {
            Ok(hits) if !begun.is_empty() => names(&hits, found),
            _ => Vec::new(),
        },
    };
    candidates.truncate(MOST);
    if let (Typing::Command, [only]) = (typing, candidates.as_mut_slice()) {
        // The word is whole: the next can follow.
        only.push(' ');
    }
    (start, candidates)
}

enum Wanted {
    Words(Vec<String>),
    Found(Found),
}

#[derive(Clone, Copy)]
enum Found {
    Person,
    Card,
    PersonOrCertificate,
    Anything,
}

/// What can stand after these words.
fn wanted(before: &str, begun: &str) -> Wanted {
    let root = line::commands();
    let mut command = &root;
    let words: Vec<_> = before.split_whitespace().collect();
    let mut given = 0_usize;
    let mut last = "";
    for word in words {
        match command.find_subcommand(word) {
            Some(inner) => command = inner,
            None if word.starts_with('-') => {}
            None => given = given.saturating_add(1),
        }
        last = word;
    }
    let option = command.get_arguments().find(|argument| {
        argument.get_action().takes_values()
            && argument.get_long().is_some_and(|long| last.strip_prefix("--") == Some(long))
    });
    if let Some(option) = option {
        return values(option);
    }
    if begun.starts_with('-') {
        let options = command.get_arguments().filter_map(clap::Arg::get_long);
        return Wanted::Words(options.map(|option| format!("--{option}")).collect());
    }
    if command.has_subcommands() {
        return Wanted::Words(command.get_subcommands().map(|inner| inner.get_name().to_owned()).collect());
    }
    match command.get_positionals().nth(given) {
        Some(positional) => values(positional),
        None => Wanted::Words(Vec::new()),
    }
}

/// What this argument takes.
fn values(argument: &clap::Arg) -> Wanted {
    let possible = argument.get_possible_values();
    if !possible.is_empty() {
        return Wanted::Words(possible.iter().map(|value| value.get_name().to_owned()).collect());
    }
    let name = argument.get_value_names().and_then(<[_]>::first).map(|name| name.to_string());
    match name.unwrap_or_default().to_ascii_uppercase().as_str() {
        "PERSON" => Wanted::Found(Found::Person),
        "CARD" => Wanted::Found(Found::Card),
        "PERSON|SERIAL" => Wanted::Found(Found::PersonOrCertificate),
        "TEXT" => Wanted::Found(Found::Anything),
        "LOCATOR" => Wanted::Words(readers()),
        _ => Wanted::Words(Vec::new()),
    }
}

/// Every reader, as a locator that the shell's quoting takes for one word.
fn readers() -> Vec<String> {
    let readers = middleware::list_readers().unwrap_or_default();
    let named = readers.into_iter().filter_map(|reader| {
        let locator = format!("pcsc:{}", reader.name);
        shlex::try_quote(&locator).ok().map(|quoted| quoted.into_owned())
    });
    std::iter::once("pcsc:".to_owned()).chain(named).collect()
}

/// What a command takes to name what was found.
fn names(hits: &SearchHits, found: Found) -> Vec<String> {
    let people = hits.people.iter().map(|person| person.mail.as_str().to_owned());
    let cards = hits.cards.iter().map(crate::desk::which_card::argument);
    let certificates = hits.certificates.iter().map(|certificate| certificate.serial.to_string());
    match found {
        Found::Person => people.collect(),
        // People first: their cards come with them.
        Found::Card if !hits.people.is_empty() => people.collect(),
        Found::Card => cards.collect(),
        Found::PersonOrCertificate => people.chain(certificates).collect(),
        Found::Anything => people.chain(cards).chain(certificates).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(before: &str, begun: &str) -> Vec<String> {
        match wanted(before, begun) {
            Wanted::Words(words) => words.into_iter().filter(|word| word.starts_with(begun)).collect(),
            Wanted::Found(_) => panic!("{before:?} takes something of the registry"),
        }
    }

    #[test]
    fn commands_options_and_values_are_completed() {
        assert_eq!(words("", "iss"), ["issue"]);
        assert!(words("", "").contains(&"undo".to_owned()));
        assert_eq!(words("stock ", "a"), ["add"]);
        assert!(words("issue alice ", "--inj").contains(&"--inject".to_owned()));
        assert_eq!(words("issue alice --algorithm ", "rsa"), ["rsa2048"]);
        assert_eq!(words("revoke alice --reason ", "key"), ["key-compromise"]);
        assert_eq!(words("mark serial=12 ", "st"), ["stolen"]);
        assert!(words("stock add --card ", "pcsc:").contains(&"pcsc:".to_owned()));
        assert!(words("lock ", "x").is_empty());
    }

    #[test]
    fn people_and_cards_come_from_the_registry() {
        assert!(matches!(wanted("issue ", "ali"), Wanted::Found(Found::Person)));
        assert!(matches!(wanted("hold ", "ali"), Wanted::Found(Found::Card)));
        assert!(matches!(wanted("undo ", "ali"), Wanted::Found(Found::Card)));
        assert!(matches!(wanted("revoke ", "4f"), Wanted::Found(Found::PersonOrCertificate)));
        assert!(matches!(wanted("find ", "4f"), Wanted::Found(Found::Anything)));
    }
}
