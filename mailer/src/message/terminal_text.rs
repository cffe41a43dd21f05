//! Text from strangers made safe for a terminal: no escape sequence, no control character, no reordering.

/// Several lines: line feeds and tabs stay, line and paragraph separators become line feeds, every other control or
/// reordering character becomes U+FFFD.
pub fn safe_text(text: &str) -> String {
    let shown = |character| match character {
        '\n' | '\t' => character,
        '\u{2028}' | '\u{2029}' => '\n',
        other => visible(other),
    };
    text.replace("\r\n", "\n").chars().map(shown).collect()
}

/// One line: as [`safe_text`], and line ends, separators and tabs become blanks.
pub fn safe_line(text: &str) -> String {
    let line: String = text
        .chars()
        .map(|c| if matches!(c, '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}') { ' ' } else { visible(c) })
        .collect();
    line.trim().to_owned()
}

/// Whether a character steers the terminal or the direction of writing instead of being seen.
pub fn is_steering(character: char) -> bool {
    character.is_control()
        // Bidirectional marks, embeddings, overrides and isolates; line and paragraph separators; byte-order mark; tags.
        || matches!(character,
            '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}'
            | '\u{FEFF}' | '\u{FFF9}'..='\u{FFFB}' | '\u{E0000}'..='\u{E007F}')
}

/// Whether a character is not seen at all: in a file name it only deceives.
pub fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{AD}' | '\u{34F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180E}'
        | '\u{200B}'..='\u{200D}' | '\u{2060}'..='\u{2064}' | '\u{206A}'..='\u{206F}' | '\u{3164}' | '\u{FFA0}'
        | '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}')
}

fn visible(character: char) -> char {
    if is_steering(character) { char::REPLACEMENT_CHARACTER } else { character }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_overrides_never_pass() {
        let hostile = "a\u{1b}[2J\u{9b}31m\u{7}\u{8}b\r\nc\rd\te\u{202e}fdp.exe\0";
        let text = safe_text(hostile);
        assert!(!text.chars().any(|c| c != '\n' && c != '\t' && is_steering(c)), "{text:?}");
        assert!(text.contains("b\nc"), "{text:?}");
        let line = safe_line("Subject\r\nFrom: boss\u{1b}]0;x\u{7}");
        assert!(!line.chars().any(is_steering) && line.starts_with("Subject  From: boss"), "{line:?}");
    }

    #[test]
    fn separators_of_unicode_end_lines() {
        assert_eq!(safe_text("one\u{2028}two\u{2029}three"), "one\ntwo\nthree");
        assert_eq!(safe_line("one\u{2028}two\u{2029}"), "one two");
    }

    #[test]
    fn ordinary_text_of_any_script_stays() {
        for text in ["Grüße, 你好, שלום, مرحبا", "👩‍💻 zero-width joiner", "tab\tand\nline"]
        {
            assert_eq!(safe_text(text), text);
        }
    }
}
