//! Why no seal was made.
use std::path::PathBuf;

/// Why no seal was made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// Its sides are no lengths that a seal can have.
    #[error("a seal of {width} x {height} points cannot be shown; each side must have {} to {}", super::SIDES.start(), super::SIDES.end())]
    Size {
        /// Width in points.
        width: f64,
        /// Height in points.
        height: f64,
    },
    /// Neither text nor picture.
    #[error("the seal would be empty: give it text or a picture")]
    Empty,
    /// More text than a seal may have.
    #[error(
        "the seal's text is too long: {lines} lines with {characters} characters, of at most {} and {}",
        super::MOST_LINES,
        super::MOST_CHARACTERS
    )]
    TooMuchText {
        /// Lines.
        lines: usize,
        /// Characters in all lines.
        characters: usize,
    },
    /// Not even in the smallest letters.
    #[error(
        "the seal's text does not fit into {width} x {height} points even in letters of {smallest} points; make the seal larger or the text shorter"
    )]
    DoesNotFit {
        /// The width that there is for text.
        width: f64,
        /// The height.
        height: f64,
        /// The smallest letters, in points.
        smallest: f64,
    },
    /// A character that controls something instead of being shown.
    #[error("the seal's text holds the character U+{:04X}, which cannot be shown", u32::from(*.0))]
    ControlCharacter(char),
    /// A script whose letters change with their neighbours or run from right to left.
    #[error(
        "the seal's text holds {script} ({character:?}), which this program cannot set correctly; use a picture of that text instead"
    )]
    UnsupportedScript {
        /// The script, in words.
        script: &'static str,
        /// The character.
        character: char,
    },
    /// There is text, but no font.
    #[error("the seal has text but no font to show it with; name a font file, or let one be looked for")]
    NoFont,
    /// The font does not have all characters.
    #[error("the font {font} has no {}; name another font file", listed(.characters))]
    MissingCharacters {
        /// The font's name.
        font: String,
        /// What it lacks, each once.
        characters: Vec<char>,
    },
    /// No font file has all characters.
    #[error("no font in {} shows {}; install one (for Chinese the packages fonts-wqy-microhei or fonts-noto-cjk) or name a font file",
        .folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", "), listed(.characters))]
    NoFontFound {
        /// What the best of the fonts lacks; all characters where there is no font at all.
        characters: Vec<char>,
        /// Where was looked.
        folders: Vec<PathBuf>,
    },
    /// Its maker does not allow that it is embedded (the fsType field of its OS/2 table).
    #[error("the licence bits of the font {0} forbid embedding it in documents; name another font file")]
    NotEmbeddable(String),
    /// The font file is damaged or of a kind that cannot be embedded.
    #[error("the font cannot be used: {0}; name another font file")]
    Font(String),
    /// Neither PNG nor JPEG.
    #[error("the picture is neither PNG nor JPEG")]
    UnknownImage,
    /// The picture is damaged.
    #[error("the picture is damaged: {0}")]
    DamagedImage(String),
    /// Too many pixels or octets.
    #[error("the picture is too large: {0}; make it smaller")]
    LargeImage(String),
    /// A kind of PNG or JPEG that PDF does not have.
    #[error("the picture cannot be embedded: {0}; save it as PNG or as baseline JPEG")]
    UnsupportedImage(String),
}

impl SealError {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Size { .. } => "seal-size",
            Self::Empty => "seal-empty",
            Self::TooMuchText { .. } => "seal-text-too-long",
            Self::DoesNotFit { .. } => "seal-text-does-not-fit",
            Self::ControlCharacter(_) => "seal-control-character",
            Self::UnsupportedScript { .. } => "seal-script-unsupported",
            Self::NoFont => "seal-without-font",
            Self::MissingCharacters { .. } => "seal-font-lacks-characters",
            Self::NoFontFound { .. } => "seal-no-font-found",
            Self::NotEmbeddable(_) => "seal-font-not-embeddable",
            Self::Font(_) => "seal-font-unusable",
            Self::UnknownImage => "seal-image-unknown",
            Self::DamagedImage(_) => "seal-image-damaged",
            Self::LargeImage(_) => "seal-image-too-large",
            Self::UnsupportedImage(_) => "seal-image-unsupported",
        }
    }
}

/// Up to eight characters with their numbers.
fn listed(characters: &[char]) -> String {
    const SHOWN: usize = 8;
    let mut words: Vec<String> = characters
        .iter()
        .take(SHOWN)
        .map(|character| format!("{character:?} (U+{:04X})", u32::from(*character)))
        .collect();
    if characters.len() > SHOWN {
        words.push(format!("and {} more", characters.len() - SHOWN));
    }
    words.join(", ")
}
