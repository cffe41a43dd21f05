//! Text that people read: what two of them see as one is one, and nothing in it is hidden.

use icu_normalizer::ComposingNormalizerBorrowed;
use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// Normalization Form C (Unicode Standard Annex 15): a letter with its accent is one character, however it was typed.
pub fn composed(text: &str) -> String {
    ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

/// What a search compares: composed, without upper case and without white space around it.
pub fn search_key(text: &str) -> String {
    composed(&composed(text.trim()).to_lowercase())
}

/// The first character that nobody sees, that changes how the others are read, or that nobody has given a meaning:
/// controls, format characters (directions, zero width, tags), line and paragraph separators, private use, unassigned.
pub fn hidden_character(text: &str) -> Option<char> {
    let categories = CodePointMapData::<GeneralCategory>::new();
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>();
    text.chars().find(|character| {
        ignorable.contains(*character)
            || matches!(
                categories.get(*character),
                GeneralCategory::Control
                    | GeneralCategory::Format
                    | GeneralCategory::LineSeparator
                    | GeneralCategory::ParagraphSeparator
                    | GeneralCategory::PrivateUse
                    | GeneralCategory::Surrogate
                    | GeneralCategory::Unassigned
            )
    })
}

/// How a message names a character that cannot be shown.
pub fn code_point(character: char) -> String {
    format!("U+{:04X}", u32::from(character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accent_is_one_with_its_letter() {
        assert_eq!(composed("Ju\u{308}rgen"), "Jürgen");
        assert_eq!(composed("Jürgen 王小明"), "Jürgen 王小明");
    }

    #[test]
    fn hidden_characters_are_found_and_letters_are_not() {
        for character in [
            '\u{7}',
            '\u{AD}',
            '\u{61C}',
            '\u{200B}',
            '\u{200E}',
            '\u{202E}',
            '\u{2028}',
            '\u{2029}',
            '\u{2060}',
            '\u{2066}',
            '\u{3164}',
            '\u{FEFF}',
            '\u{E000}',
            '\u{E0041}',
            '\u{10FFFF}',
            '\u{378}',
        ] {
            assert_eq!(
                hidden_character(&format!("Alice{character} Ng")),
                Some(character),
                "{}",
                code_point(character)
            );
        }
        for name in
            ["Alice O'Neil-Ng", "Jürgen", "王小明", "محمد", "नेहा शर्मा", "Ελένη", "Þórður", "山田　太郎"]
        {
            assert_eq!(hidden_character(name), None, "{name}");
        }
    }
}
