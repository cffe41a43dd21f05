//! What a line of a shell says.
use super::explore::Explore;
use super::pattern::Pattern;
use crate::cli::failure::ToolError;

/// One line.
pub(super) enum Line {
    /// Empty, or a remark.
    Nothing,
    Quit,
    /// One of the shell's own commands.
    Explore(Explore),
    /// A judgement on the command before.
    Expect(Expectation),
    /// A command of `card`, as on the command line.
    Tool(Vec<String>),
}

/// What the command before must have done.
pub(super) enum Expectation {
    /// Shown this text.
    Text(String),
    /// Failed, with this code or in these words.
    Failure(String),
    /// Answered so.
    Answer(Pattern),
}

impl Line {
    /// # Errors
    /// [`ToolError::BadLine`] says what to write.
    pub(super) fn parse(text: &str) -> anyhow::Result<Self> {
        let text = without_remark(text).trim();
        if text.is_empty() {
            return Ok(Self::Nothing);
        }
        if let Some(answer) = text.strip_prefix('<') {
            return Ok(Self::Expect(Expectation::Answer(answer.parse()?)));
        }
        if let Some(command) = text.strip_prefix('>') {
            return Ok(Self::Explore(Explore::frame(command)?));
        }
        let words = split(text)?;
        let (first, rest) = words.split_first().ok_or(ToolError::BadLine("nothing".to_owned()))?;
        match (first.as_str(), rest) {
            ("quit" | "exit", []) => Ok(Self::Quit),
            ("expect", []) => Err(ToolError::BadLine("expect TEXT, or expect error CODE".to_owned()).into()),
            ("expect", [error, rest @ ..]) if error == "error" => {
                Ok(Self::Expect(Expectation::Failure(rest.join(" "))))
            }
            // One word in quotes, or the rest of the line as it stands, spaces and all.
            ("expect", [word]) => Ok(Self::Expect(Expectation::Text(word.clone()))),
            ("expect", _) => {
                let rest = text.strip_prefix("expect").unwrap_or(text).trim();
                Ok(Self::Expect(Expectation::Text(rest.to_owned())))
            }
            // What transcripts call it.
            ("@", [reset]) if reset == "reset" => Ok(Self::Explore(Explore::Reset)),
            (name, rest) => match Explore::parse(name, rest)? {
                Some(command) => Ok(Self::Explore(command)),
                None => Ok(Self::Tool(words.clone())),
            },
        }
    }
}

/// Whether the line must not be remembered: an APDU that carries a PIN, a PUK, a management key or a private key,
/// contents for a data object, which may be anything, or a PIN or key that was typed where none was asked for.
pub(super) fn holds_a_secret(text: &str) -> bool {
    let text = without_remark(text).trim();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let is_hex_alone = text.chars().all(|character| character.is_ascii_hexdigit() || character == ' ');
    let bare = match text.strip_prefix('>') {
        Some(bare) => bare,
        None if first.contains("apdu") => rest,
        None if is_hex_alone && !could_be_a_secret(text) => text,
        None => return first.contains("write") || text.split_whitespace().any(could_be_a_secret),
    };
    let digits: String = bare.chars().filter(char::is_ascii_hexdigit).collect();
    let Ok(bytes) = hex::decode(digits.get(..digits.len() / 2 * 2).unwrap_or_default()) else { return true };
    match bytes.as_slice() {
        // Further fragments of a chain say nothing of what they carry.
        [class, ..] if class & 0x10 != 0 => true,
        [_, 0x20 | 0x24 | 0x2C | 0xDB | 0xFE | 0xFF, ..] => bytes.len() > 5,
        [_, 0x87, _, 0x9B, ..] => true,
        _ => false,
    }
}

/// A PIN or PUK of digits, or a management key in hex.
fn could_be_a_secret(word: &str) -> bool {
    let word = word.trim_matches(['"', '\'']);
    let is_pin = (6..=8).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    is_pin || (word.len() >= 32 && word.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A `#` at the start or after a space begins a remark, but not within quotes.
fn without_remark(text: &str) -> &str {
    let mut quoted = false;
    let mut before = ' ';
    for (position, character) in text.char_indices() {
        match character {
            '"' | '\'' => quoted = !quoted,
            '#' if !quoted && before.is_whitespace() => return text.get(..position).unwrap_or(text),
            _ => {}
        }
        before = character;
    }
    text
}

/// Words apart by spaces; quotes of either kind keep them together.
fn split(text: &str) -> anyhow::Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in text.chars() {
        match (quote, character) {
            (Some(open), character) if character == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, character) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(ToolError::BadLine("the quotes do not end".to_owned()).into());
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_words_together() {
        assert_eq!(split("request 9A --subject 'CN=Alice Archer'").unwrap()[3], "CN=Alice Archer");
        assert_eq!(split("a  \"\" b").unwrap(), ["a", "", "b"]);
        assert!(split("a 'b").is_err());
        assert_eq!(without_remark("status # who"), "status ");
        assert_eq!(without_remark("x 'a # b'"), "x 'a # b'");
        assert_eq!(without_remark("pcsc#1"), "pcsc#1");
    }

    #[test]
    fn secrets_are_not_remembered() {
        for secret in [
            "> 00 20 00 80 08 31 32 33 34 35 36 FF FF",
            ">0020008008313233343536FFFF",
            "apdu 00 2C 00 80 10 31 32",
            "> 00 24 00 81 10 31",
            "> 00 87 0A 9B 04 7C 02 81 00",
            "> 10 FE 07 9A FF 01",
            "> 00 FF FF FF 1B 0A 9B 18",
            "write 5FC109 00112233",
            // As a hand in a hurry types it.
            "apdu\t00 20 00 80 08 31 32 33 34 35 36 FF FF",
            "'apdu' 0020008008313233343536FFFF",
            "00 20 00 80 08 31 32 33 34 35 36 FF FF",
            "123456",
            "000000",
            "verify 123456",
            "verify '123456'",
            "change-pin 123456 654321",
            "authenticate 010203040506070801020304050607080102030405060708",
        ] {
            assert!(holds_a_secret(secret), "{secret}");
        }
        for open in [
            "> 00 20 00 80",
            "> 00 A4 04 00 05 A0 00 00 03 08",
            "status",
            "verify",
            "nonsense",
            "00 A4 04 00 05 A0 00 00 03 08",
            "sign 9A notice.pdf --output 2026-11-30.sig",
            "status --card pcsc:serial=12345678",
            "apdu 00 CB 3F FF 03 5C 01 7E 00",
        ] {
            assert!(!holds_a_secret(open), "{open}");
        }
    }
}
