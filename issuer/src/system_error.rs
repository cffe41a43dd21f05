//! What the operating system says, for people: without its numbers, and with what can be done where that is known.

use std::io::{Error, ErrorKind};

/// The system's words, and what to do.
pub(crate) fn in_words(error: &Error) -> String {
    let words = without_numbers(&error.to_string());
    match advice(error.kind()) {
        Some(advice) => format!("{words}; {advice}"),
        None => words,
    }
}

const fn advice(kind: ErrorKind) -> Option<&'static str> {
    Some(match kind {
        ErrorKind::AlreadyExists => "it is not overwritten: name another, or take this one away first",
        ErrorKind::NotFound => "look whether the name is right",
        ErrorKind::PermissionDenied => {
            "this user may not do that there: let whom it belongs to do it, or name another place"
        }
        ErrorKind::IsADirectory => "name a file",
        ErrorKind::NotADirectory => "a part of that path is a file: name a folder that is there",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
            "make room there, and run the same command again"
        }
        ErrorKind::ReadOnlyFilesystem => "let it be written again, or name another place",
        _ => return None,
    })
}

/// A text without the numbers that the system has for its errors: they tell nobody anything.
pub(crate) fn without_numbers(text: &str) -> String {
    let mut rest = text;
    let mut words = String::with_capacity(text.len());
    while let Some((before, after)) = rest.split_once(OPENED) {
        words.push_str(before);
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        match after.split_at_checked(digits).and_then(|(_, after)| after.strip_prefix(')')) {
            Some(after) if digits > 0 => rest = after,
            _ => {
                words.push_str(OPENED);
                rest = after;
            }
        }
    }
    words.push_str(rest);
    words
}

const OPENED: &str = " (os error ";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_there_is_said_with_what_to_do() {
        let directory = tempfile::tempdir().unwrap();
        let error = std::fs::File::create_new(directory.path()).unwrap_err();
        assert_eq!(
            in_words(&error),
            "File exists; it is not overwritten: name another, or take this one away first"
        );
        let error = std::fs::File::open(directory.path().join("nothing")).unwrap_err();
        assert_eq!(in_words(&error), "No such file or directory; look whether the name is right");
        assert_eq!(in_words(&Error::other("torn")), "torn");
    }

    #[test]
    fn numbers_are_taken_out_and_nothing_else() {
        assert_eq!(
            without_numbers("a: No space (os error 28); b: Busy (os error 16)."),
            "a: No space; b: Busy."
        );
        for text in
            ["", "x (os error", "x (os error )", "x (os error 5", "x (os error 5a)", "x (os error -1)"]
        {
            assert_eq!(without_numbers(text), text);
        }
    }
}
