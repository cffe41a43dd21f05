//! The name that a document has for its readers.
use super::error::SealedError;

/// The most characters.
pub(super) const LONGEST: usize = 200;
/// Where a stranger's name cannot be used at all.
const FALLBACK: &str = "document.pdf";

/// A file name without folders, control characters and characters that change directions: safe to show and to create.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName(String);

impl FileName {
    /// Takes a name that is in order.
    ///
    /// # Errors
    /// [`SealedError::FileName`].
    pub fn new(name: &str) -> Result<Self, SealedError> {
        let found = Self::from_stranger(name);
        if found.0 == name {
            Ok(found)
        } else {
            Err(SealedError::FileName(name.chars().take(LONGEST).collect()))
        }
    }

    /// Makes a usable name of anything: the last part of a path, without what may not be in it.
    pub(super) fn from_stranger(name: &str) -> Self {
        let last = name.rsplit(['/', '\\', ':']).next().unwrap_or_default();
        let kept: String = last.chars().filter(|character| !is_refused(*character)).take(LONGEST).collect();
        // A name that begins with a point is hidden; one of points alone is a folder; blanks at the ends mislead.
        let kept = kept.trim().trim_start_matches('.').trim();
        Self(if kept.is_empty() { FALLBACK.to_owned() } else { kept.to_owned() })
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Control characters, those that join or turn text, and those that mean something to some system.
fn is_refused(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{AD}' | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
        || matches!(character, '<' | '>' | '"' | '|' | '?' | '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_strangers_become_harmless() {
        for (given, kept) in [
            ("notice.pdf", "notice.pdf"),
            ("通知 2026.pdf", "通知 2026.pdf"),
            ("../../.ssh/authorized_keys", "authorized_keys"),
            ("C:\\Windows\\x.pdf", "x.pdf"),
            ("a\u{202E}fdp.exe", "afdp.exe"),
            ("..", FALLBACK),
            (".hidden", "hidden"),
            ("", FALLBACK),
            ("a\n\u{1b}[31mb", "a[31mb"),
        ] {
            assert_eq!(FileName::from_stranger(given).as_str(), kept, "{given:?}");
            assert_eq!(FileName::new(given).is_ok(), given == kept, "{given:?}");
        }
        assert_eq!(FileName::from_stranger(&"x".repeat(500)).as_str().len(), LONGEST);
    }
}
