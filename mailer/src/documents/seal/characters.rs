//! What a seal's text may hold.
//!
//! Glyphs are set one after the other, left to right. Where that would be wrong (right-to-left scripts, letters that join
//! or move, marks that stand above others), the text is refused: a wrong word under a seal is worse than none.
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::error::SealError;

/// The line with marks joined to their letters (normalization form C, where there are marks).
pub(super) fn shown(line: &str) -> Result<String, SealError> {
    let line: String =
        if line.chars().any(is_combining_mark) { line.nfc().collect() } else { line.to_owned() };
    match line.chars().find_map(refusal) {
        Some(problem) => Err(problem),
        None => Ok(line),
    }
}

/// Whether a line may end before this character, seen from the one before it.
///
/// Between ideographs anywhere, except that no line begins with a closing mark or ends with an opening one.
pub(super) fn may_break(before: char, after: char) -> bool {
    if is_space(before) {
        return !is_space(after);
    }
    let wide = is_wide(before) || is_wide(after);
    wide && !is_space(after) && !OPENING.contains(before) && !CLOSING.contains(after)
}

/// A space at which lines break.
pub(super) fn is_space(character: char) -> bool {
    character == ' ' || character == '\u{3000}'
}

const OPENING: &str = "([{（［｛「『【《〈〔“‘";
const CLOSING: &str = ")]}）］｝」』】》〉〕”’、。，．：；？！…,.:;?!%％ー々";

/// Ideographs, kana and full-width forms. Hangul words are kept whole.
fn is_wide(character: char) -> bool {
    matches!(u32::from(character), 0x2E80..=0x33FF | 0x3400..=0x9FFF | 0xF900..=0xFAFF | 0xFE30..=0xFE4F | 0xFF00..=0xFF60 | 0x20000..=0x3FFFF)
}

fn refusal(character: char) -> Option<SealError> {
    if is_control(character) {
        return Some(SealError::ControlCharacter(character));
    }
    let found = SCRIPTS.iter().find(|(first, last, _)| (*first..=*last).contains(&u32::from(character)));
    let script = match found {
        Some((_, _, script)) => script,
        None if is_combining_mark(character) => "a mark that stands above or below another letter",
        None => return None,
    };
    Some(SealError::UnsupportedScript { script, character })
}

/// Control characters; format characters such as joiners and direction marks; what is no character.
fn is_control(character: char) -> bool {
    let number = u32::from(character);
    character.is_control()
        || matches!(number, 0xAD | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0xFEFF | 0xFFF0..=0xFFFB | 0xE0000..=0xE007F)
        || matches!(number, 0xE000..=0xF8FF | 0xFDD0..=0xFDEF | 0xF_0000..=0x10_FFFF)
        || number & 0xFFFE == 0xFFFE
}

/// Blocks whose text would come out wrong.
const SCRIPTS: &[(u32, u32, &str)] = &[
    (0x0590, 0x05FF, "Hebrew"),
    (0x0600, 0x06FF, "Arabic"),
    (0x0700, 0x074F, "Syriac"),
    (0x0750, 0x077F, "Arabic"),
    (0x0780, 0x08FF, "a script that runs from right to left"),
    (0x0900, 0x0DFF, "an Indic script"),
    (0x0E00, 0x0EFF, "Thai or Lao"),
    (0x0F00, 0x0FFF, "Tibetan"),
    (0x1000, 0x109F, "Myanmar"),
    (0x1100, 0x11FF, "Hangul in single letters"),
    (0x1700, 0x18AF, "a script of South-East Asia, or Mongolian"),
    (0x1900, 0x1C7F, "a script of South or South-East Asia"),
    (0x1CC0, 0x1CFF, "an Indic script"),
    (0xA800, 0xA82F, "an Indic script"),
    (0xA840, 0xA8FF, "an Indic script"),
    (0xA930, 0xA95F, "a script of South-East Asia"),
    (0xA960, 0xA97F, "Hangul in single letters"),
    (0xA980, 0xAAFF, "a script of South or South-East Asia"),
    (0xABC0, 0xABFF, "an Indic script"),
    (0xD7B0, 0xD7FF, "Hangul in single letters"),
    (0xFB1D, 0xFB4F, "Hebrew"),
    (0xFB50, 0xFDCF, "Arabic"),
    (0xFDF0, 0xFDFF, "Arabic"),
    (0xFE00, 0xFE0F, "a variation selector"),
    (0xFE70, 0xFEFE, "Arabic"),
    (0x10800, 0x10FFF, "a script that runs from right to left"),
    (0x11000, 0x11FFF, "an Indic or other script whose letters combine"),
    (0x1E800, 0x1EFFF, "a script that runs from right to left"),
    (0x1F1E6, 0x1F1FF, "a flag"),
    (0x1F3FB, 0x1F3FF, "a skin tone"),
    (0xE0100, 0xE01EF, "a variation selector"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_set_letter_by_letter_is_kept() {
        for line in [
            "Signed by Zoë Müller",
            "中华人民共和国 公章（测试）",
            "Ελληνικά Кириллица 한국어 ひらがな",
            "№ 7 · 50 %",
            "ａ㊞𠮷",
        ] {
            assert_eq!(shown(line).unwrap(), line);
        }
        // Marks join their letter where Unicode has such a letter.
        assert_eq!(shown("Zoe\u{308}").unwrap(), "Zo\u{EB}");
        assert_eq!(shown("か\u{3099}").unwrap(), "が");
    }

    #[test]
    fn what_would_come_out_wrong_is_refused_with_its_name() {
        for (line, script) in [
            ("שלום", "Hebrew"),
            ("a مرحبا", "Arabic"),
            ("नमस्ते", "Indic"),
            ("สวัสดี", "Thai"),
            ("x\u{323}\u{320}", "mark"),
            ("\u{1112}\u{1161}\u{11AB}\u{1112}", "Hangul"),
        ] {
            let problem = shown(line).unwrap_err();
            assert!(matches!(problem, SealError::UnsupportedScript { .. }), "{line}");
            assert!(problem.to_string().contains(script), "{line}: {problem}");
        }
        for line in ["a\tb", "a\u{202E}b", "\u{FEFF}", "\u{E000}", "x\u{200D}y"] {
            assert!(matches!(shown(line), Err(SealError::ControlCharacter(_))), "{line:?}");
        }
    }

    #[test]
    fn lines_break_at_spaces_and_between_ideographs() {
        let breaks = |line: &str| -> Vec<usize> {
            let characters: Vec<char> = line.chars().collect();
            (1..characters.len()).filter(|at| may_break(characters[at - 1], characters[*at])).collect()
        };
        assert_eq!(breaks("ab  cd"), [4]);
        assert_eq!(breaks("中文"), [1]);
        assert_eq!(breaks("（中）。"), Vec::<usize>::new());
        assert_eq!(breaks("第12号"), [1, 3]);
    }
}
