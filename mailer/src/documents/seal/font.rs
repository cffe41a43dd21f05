//! Fonts for seals: TrueType and OpenType files and collections, read and looked for.
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ttf_parser::{Face, GlyphId, Permissions, name_id};

use super::characters;
use super::error::SealError;

/// The longest font file that is read.
pub const LARGEST_FILE: u64 = 64 * 1024 * 1024;
/// The most fonts of one collection.
const MOST_IN_COLLECTION: u32 = 64;
/// The most files and the deepest folders that are looked at.
const MOST_FILES: usize = 4_000;
const DEEPEST: usize = 6;

/// A font that may be embedded.
#[derive(Clone)]
pub struct SealFont {
    octets: Arc<Vec<u8>>,
    index: u32,
    name: String,
}

impl SealFont {
    /// Reads a TrueType or OpenType font; of a collection the one at `index_in_collection`, which is 0 otherwise.
    ///
    /// # Errors
    /// [`SealError::Font`], [`SealError::NotEmbeddable`].
    pub fn read(octets: Vec<u8>, index_in_collection: u32) -> Result<Self, SealError> {
        Self::from_shared(Arc::new(octets), index_in_collection)
    }

    fn from_shared(octets: Arc<Vec<u8>>, index: u32) -> Result<Self, SealError> {
        if octets.len() as u64 > LARGEST_FILE {
            return Err(SealError::Font(format!("its file has more than {LARGEST_FILE} octets")));
        }
        let count = ttf_parser::fonts_in_collection(&octets);
        if index >= count.unwrap_or(1).min(MOST_IN_COLLECTION) {
            let count = count.unwrap_or(1);
            return Err(SealError::Font(format!("its file has {count} fonts, and none at index {index}")));
        }
        let face = parse(&octets, index)?;
        let name = postscript_name(&face);
        if face.tables().glyf.is_none() && face.tables().cff.is_none() {
            return Err(SealError::Font(format!("{name} has neither TrueType nor CFF outlines")));
        }
        // OpenType, OS/2 table, fsType. Editable and print-and-preview embedding are enough for a document.
        let allowed = !matches!(face.permissions(), Some(Permissions::Restricted))
            && face.is_subsetting_allowed()
            && face.is_outline_embedding_allowed();
        if !allowed {
            return Err(SealError::NotEmbeddable(name));
        }
        Ok(Self { octets, index, name })
    }

    /// Looks through folders of font files, and the folders in them, for one that has every character of the texts.
    ///
    /// Upright fonts of ordinary weight come first, so that the answer is the same on every computer with the same fonts.
    ///
    /// # Errors
    /// [`SealError::NoFontFound`], which says what is lacking; the refusals of text of [`super::appearance`].
    pub fn find_for(text: &[&str], folders: &[PathBuf]) -> Result<Self, SealError> {
        let lines = text.iter().map(|line| characters::shown(line)).collect::<Result<Vec<_>, _>>()?;
        let wanted = distinct(&lines);
        let mut fewest: Option<Vec<char>> = None;
        let mut slanted_or_bold = None;
        for file in font_files(folders, &wanted) {
            let Ok(octets) = std::fs::read(&file) else { continue };
            for font in Self::of_file(octets, &wanted) {
                let missing = font.missing(&wanted);
                if missing.is_empty() && font.face().is_ok_and(|face| is_plain(&face)) {
                    return Ok(font);
                }
                if missing.is_empty() {
                    slanted_or_bold = slanted_or_bold.or(Some(font));
                    continue;
                }
                if fewest.as_ref().is_none_or(|fewest| missing.len() < fewest.len()) {
                    fewest = Some(missing);
                }
            }
        }
        if let Some(font) = slanted_or_bold {
            return Ok(font);
        }
        Err(SealError::NoFontFound { characters: fewest.unwrap_or(wanted), folders: folders.to_vec() })
    }

    /// All fonts of a file, those of one width last; for Chinese those with Chinese forms first.
    fn of_file(octets: Vec<u8>, wanted: &[char]) -> Vec<Self> {
        let octets = Arc::new(octets);
        let count = ttf_parser::fonts_in_collection(&octets).unwrap_or(1).min(MOST_IN_COLLECTION);
        let mut fonts: Vec<Self> =
            (0..count).filter_map(|index| Self::from_shared(Arc::clone(&octets), index).ok()).collect();
        let chinese = is_chinese(wanted);
        fonts.sort_by_key(|font| {
            let one_width = font.face().is_ok_and(|face| face.is_monospaced()) || font.name.contains("Mono");
            let other_forms = chinese && !["SC", "CN", "GB"].iter().any(|form| font.name.contains(form));
            (one_width, other_forms, font.index)
        });
        fonts
    }

    /// Its PostScript name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The characters that it cannot show.
    pub(super) fn missing(&self, wanted: &[char]) -> Vec<char> {
        let Ok(face) = self.face() else { return wanted.to_vec() };
        wanted.iter().copied().filter(|character| glyph(&face, *character).is_none()).collect()
    }

    pub(super) fn face(&self) -> Result<Face<'_>, SealError> {
        parse(&self.octets, self.index)
    }

    /// The font cut down to these glyphs.
    pub(super) fn subset(&self, glyphs: &subsetter::GlyphRemapper) -> Result<Vec<u8>, SealError> {
        subsetter::subset(&self.octets, self.index, glyphs)
            .map_err(|problem| SealError::Font(format!("{} cannot be cut down: {problem}", self.name)))
    }
}

impl std::fmt::Debug for SealFont {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SealFont({})", self.name)
    }
}

/// The folders in which systems keep font files; `home` is the user's own folder.
pub fn system_folders(home: Option<&Path>) -> Vec<PathBuf> {
    let own = [".local/share/fonts", ".fonts", "Library/Fonts"];
    let common = [
        "/usr/share/fonts",
        "/usr/local/share/fonts",
        "/System/Library/Fonts",
        "/Library/Fonts",
        "C:\\Windows\\Fonts",
    ];
    let own = home.into_iter().flat_map(|home| own.map(|folder| home.join(folder)));
    common.iter().map(PathBuf::from).chain(own).filter(|folder| folder.is_dir()).collect()
}

/// The glyph of a character, if it shows something; spaces show nothing.
pub(super) fn glyph(face: &Face<'_>, character: char) -> Option<GlyphId> {
    let glyph = face.glyph_index(character).filter(|glyph| glyph.0 != 0)?;
    (character.is_whitespace() || face.glyph_bounding_box(glyph).is_some()).then_some(glyph)
}

/// Every character once, in the order of their numbers.
pub(super) fn distinct(lines: &[String]) -> Vec<char> {
    let set: std::collections::BTreeSet<char> = lines.iter().flat_map(|line| line.trim().chars()).collect();
    set.into_iter().collect()
}

fn parse(octets: &[u8], index: u32) -> Result<Face<'_>, SealError> {
    Face::parse(octets, index).map_err(|problem| SealError::Font(format!("its file is damaged ({problem})")))
}

/// The name in letters and digits; names in files may hold anything.
fn postscript_name(face: &Face<'_>) -> String {
    let of = |wanted: u16| {
        let name = face.names().into_iter().find(|name| name.name_id == wanted && name.is_unicode())?;
        let kept: String = name
            .to_string()?
            .chars()
            .filter(|character| character.is_ascii_alphanumeric() || *character == '-')
            .take(63)
            .collect();
        Some(kept).filter(|kept| !kept.is_empty())
    };
    of(name_id::POST_SCRIPT_NAME).or_else(|| of(name_id::FAMILY)).unwrap_or_else(|| "Unnamed".to_owned())
}

/// Ideographs without kana and hangul.
fn is_chinese(wanted: &[char]) -> bool {
    let has = |first: char, last: char| wanted.iter().any(|character| (first..=last).contains(character));
    has('\u{4E00}', '\u{9FFF}') && !has('\u{3041}', '\u{30FF}') && !has('\u{AC00}', '\u{D7A3}')
}

/// The font files below the folders, the best guesses first.
fn font_files(folders: &[PathBuf], wanted: &[char]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in folders {
        collect(folder, 0, &mut found);
    }
    let wide = wanted.iter().any(|character| *character >= '\u{2E80}');
    found.sort_by_cached_key(|path| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
        (penalty(&name, wide), name, path.clone())
    });
    found
}

/// Upright, and neither bold nor light.
fn is_plain(face: &Face<'_>) -> bool {
    !face.is_italic() && !face.is_oblique() && (300..=500).contains(&face.weight().to_number())
}

/// How little a file's name promises an upright sans serif of ordinary weight.
fn penalty(name: &str, wide: bool) -> u32 {
    const ODD: &[&str] = &[
        "bold",
        "italic",
        "oblique",
        "light",
        "thin",
        "black",
        "heavy",
        "mono",
        "condensed",
        "narrow",
        "serif",
        "display",
        "emoji",
        "symbol",
        "math",
        "icon",
    ];
    const EAST_ASIAN: &[&str] = &["cjk", "hei", "han", "song", "ming", "kai", "wqy", "fallback", "gothic"];
    let odd = ODD.iter().filter(|word| name.replace("sans-serif", "").contains(**word)).count();
    let odd = odd + usize::from(!wide && !name.contains("sans"));
    let fits = !wide || EAST_ASIAN.iter().any(|word| name.contains(word));
    u32::try_from(odd).unwrap_or(u32::MAX) + if fits { 0 } else { 100 }
}

fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut entries: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        if found.len() >= MOST_FILES {
            return;
        }
        let Ok(metadata) = std::fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() && depth < DEEPEST {
            collect(&path, depth + 1, found);
        }
        let extension = path.extension().map(|extension| extension.to_ascii_lowercase());
        let is_font = extension
            .is_some_and(|extension| ["ttf", "otf", "ttc", "otc"].iter().any(|known| extension == *known));
        // What a link points to, but no folder: there is no going round in circles.
        let is_file = std::fs::metadata(&path)
            .is_ok_and(|metadata| metadata.is_file() && metadata.len() <= LARGEST_FILE);
        if is_font && is_file {
            found.push(path);
        }
    }
}
