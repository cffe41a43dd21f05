//! What is wrong with a TOML file that people write, and in which line.

use toml::de::Error;

/// The parser's words after the line that they are about, which it tells by octets of `text`.
pub(crate) fn said(error: &Error, text: &str) -> String {
    match error.span().and_then(|span| text.get(..span.start)) {
        Some(before) => format!("line {}: {}", before.matches('\n').count() + 1, error.message()),
        None => error.message().to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of<T: serde::de::DeserializeOwned>(text: &str) -> String {
        match toml::from_str::<T>(text) {
            Ok(_) => "nothing".to_owned(),
            Err(error) => said(&error, text),
        }
    }

    #[test]
    fn the_line_is_named() {
        type Days = std::collections::BTreeMap<String, u32>;
        assert_eq!(of::<Days>("first = 1\n\nsecond = 2\n"), "nothing");
        assert!(of::<Days>("first = 1\n\n# é\nsecond = \"2\"\n").starts_with("line 4: invalid type: string"));
        assert!(of::<Days>("first = 1\nfirst = 2\n").starts_with("line 2: duplicate key"));
        assert!(of::<Days>("first").starts_with("line 1: "));
    }
}
