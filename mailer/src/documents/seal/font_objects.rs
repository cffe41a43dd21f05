//! A font as a Type 0 font with the glyphs that are shown and no others (ISO 32000-2 section 9.7).
use std::collections::BTreeMap;

use sha2::{Digest, Sha256};
use subsetter::GlyphRemapper;
use ttf_parser::{Face, GlyphId, RawFace, Tag};

use super::font::{SealFont, distinct, glyph};
use super::{SealError, compressed};
use crate::documents::pdf::{Dictionary, Object, Reference};

/// The flag Symbolic: the font has an encoding of its own (section 9.8.2).
const SYMBOLIC: i64 = 4;
/// The flag FixedPitch.
const FIXED_PITCH: i64 = 1;
/// The flag Italic.
const ITALIC: i64 = 64;

/// A font and what a text needs of it.
pub(super) struct ShownFont<'a> {
    font: &'a SealFont,
    face: Face<'a>,
    remapper: GlyphRemapper,
    glyphs: BTreeMap<char, GlyphId>,
    /// Which character each new glyph stands for.
    characters: BTreeMap<u16, char>,
}

impl<'a> ShownFont<'a> {
    /// # Errors
    /// [`SealError::MissingCharacters`].
    pub(super) fn new(font: &'a SealFont, lines: &[String]) -> Result<Self, SealError> {
        let wanted = distinct(lines);
        let face = font.face()?;
        let missing = font.missing(&wanted);
        if !missing.is_empty() {
            return Err(SealError::MissingCharacters { font: font.name().to_owned(), characters: missing });
        }
        let glyphs = wanted.iter().filter_map(|wanted| Some((*wanted, glyph(&face, *wanted)?))).collect();
        Ok(Self { font, face, remapper: GlyphRemapper::new(), glyphs, characters: BTreeMap::new() })
    }

    /// How far a character goes, in ems.
    pub(super) fn advance(&self, character: char) -> f64 {
        let glyph = self.glyphs.get(&character);
        glyph.map_or(0.0, |glyph| f64::from(self.thousandths(*glyph)) / 1000.0)
    }

    /// The height of capital letters, in ems; for fonts that do not tell, what is usual.
    pub(super) fn height_of_letters(&self) -> f64 {
        let height = self.face.capital_height().map(|height| f64::from(height) / self.em());
        height.filter(|height| (0.3..1.0).contains(height)).unwrap_or(0.7)
    }

    /// The glyphs of a text as hexadecimal character codes, and whether each stands for this one character everywhere.
    pub(super) fn show(&mut self, text: &str) -> (String, bool) {
        let (mut codes, mut is_exact) = (String::new(), true);
        for character in text.chars() {
            let Some(glyph) = self.glyphs.get(&character) else { continue };
            let new = self.remapper.remap(glyph.0);
            is_exact &= *self.characters.entry(new).or_insert(character) == character;
            codes.push_str(&format!("{new:04X}"));
        }
        (codes, is_exact)
    }

    /// The Type 0 font with its descendant, descriptor, program and map to Unicode.
    pub(super) fn write(
        &self,
        allocate: &mut dyn FnMut() -> Reference,
        objects: &mut Vec<(Reference, Object)>,
    ) -> Result<Reference, SealError> {
        let program = self.font.subset(&self.remapper)?;
        let name = Object::name(&format!("{}+{}", subset_tag(&program), self.font.name()));
        let (stream, key, subtype) = if self.face.tables().cff.is_some() {
            let bare = RawFace::parse(&program, 0).ok().and_then(|face| face.table(Tag::from_bytes(b"CFF ")));
            let bare = bare.ok_or_else(|| SealError::Font("it came out without outlines".to_owned()))?;
            let dictionary = Dictionary::new().with("Subtype", Object::name("CIDFontType0C"));
            (compressed(dictionary, bare), "FontFile3", "CIDFontType0")
        } else {
            let length = i64::try_from(program.len()).unwrap_or(i64::MAX);
            (compressed(Dictionary::new().with("Length1", length), &program), "FontFile2", "CIDFontType2")
        };
        let [file, descriptor, descendant, unicode, font] = std::array::from_fn(|_| allocate());
        let system = Dictionary::new()
            .with("Registry", Object::String(b"Adobe".to_vec()))
            .with("Ordering", Object::String(b"Identity".to_vec()))
            .with("Supplement", 0_i64);
        let mut cid_font = Dictionary::new()
            .with("Type", Object::name("Font"))
            .with("Subtype", Object::name(subtype))
            .with("BaseFont", name.clone())
            .with("CIDSystemInfo", system)
            .with("FontDescriptor", descriptor)
            .with("DW", 1000_i64)
            .with("W", vec![0_i64.into(), self.widths()]);
        if subtype == "CIDFontType2" {
            cid_font.set("CIDToGIDMap", Object::name("Identity"));
        }
        let type0 = Dictionary::new()
            .with("Type", Object::name("Font"))
            .with("Subtype", Object::name("Type0"))
            .with("BaseFont", name.clone())
            .with("Encoding", Object::name("Identity-H"))
            .with("DescendantFonts", vec![descendant.into()])
            .with("ToUnicode", unicode);
        objects.push((file, stream.into()));
        objects.push((descriptor, self.descriptor(name).with(key, file).into()));
        objects.push((descendant, cid_font.into()));
        objects.push((unicode, compressed(Dictionary::new(), self.to_unicode().as_bytes()).into()));
        objects.push((font, type0.into()));
        Ok(font)
    }

    /// Section 9.8.
    fn descriptor(&self, name: Object) -> Dictionary {
        let scale = |units: i16| self.scaled(f64::from(units));
        let bounds = self.face.global_bounding_box();
        let bounds =
            [bounds.x_min, bounds.y_min, bounds.x_max, bounds.y_max].map(|side| Object::Integer(scale(side)));
        let italic = self.face.italic_angle();
        #[allow(clippy::cast_possible_truncation)] // degrees; a float's cast saturates
        let angle = italic.round() as i64;
        let flags = SYMBOLIC
            | if self.face.is_monospaced() { FIXED_PITCH } else { 0 }
            | if italic == 0.0 { 0 } else { ITALIC };
        #[allow(clippy::cast_possible_truncation)] // some hundreds
        let capital = (self.height_of_letters() * 1000.0).round() as i64;
        // No font tells the width of its stems; from its weight it can be guessed.
        let stem = 10 + 220 * (i64::from(self.face.weight().to_number()) - 50) / 900;
        Dictionary::new()
            .with("Type", Object::name("FontDescriptor"))
            .with("FontName", name)
            .with("Flags", flags)
            .with("FontBBox", bounds.to_vec())
            .with("ItalicAngle", angle)
            .with("Ascent", scale(self.face.ascender()))
            .with("Descent", scale(self.face.descender()))
            .with("CapHeight", capital)
            .with("StemV", stem.clamp(20, 250))
    }

    fn widths(&self) -> Object {
        let widths =
            self.remapper.remapped_gids().map(|old| Object::Integer(self.thousandths(GlyphId(old)).into()));
        Object::Array(widths.collect())
    }

    /// Section 9.10.3: which character each code stands for.
    fn to_unicode(&self) -> String {
        let mut map = String::from(
            "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n\
             /CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n/CMapName /Adobe-Identity-UCS def\n\
             /CMapType 2 def\n1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n",
        );
        let lines: Vec<String> = self
            .characters
            .iter()
            .map(|(code, character)| {
                let mut units = [0; 2];
                let units: String =
                    character.encode_utf16(&mut units).iter().map(|unit| format!("{unit:04X}")).collect();
                format!("<{code:04X}> <{units}>\n")
            })
            .collect();
        // At most a hundred in a row.
        for lines in lines.chunks(100) {
            map.push_str(&format!("{} beginbfchar\n{}endbfchar\n", lines.len(), lines.concat()));
        }
        map.push_str("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n");
        map
    }

    fn em(&self) -> f64 {
        f64::from(self.face.units_per_em().max(1))
    }

    /// In thousandths of an em, as PDF measures glyphs.
    fn scaled(&self, units: f64) -> i64 {
        #[allow(clippy::cast_possible_truncation)] // 16 bits of 1000 to the em; a float's cast saturates
        let scaled = (units * 1000.0 / self.em()).round() as i64;
        scaled
    }

    fn thousandths(&self, glyph: GlyphId) -> u32 {
        let advance = self.face.glyph_hor_advance(glyph).unwrap_or_default();
        u32::try_from(self.scaled(f64::from(advance))).unwrap_or_default()
    }
}

/// Six capital letters that differ from subset to subset (section 9.9.2).
fn subset_tag(program: &[u8]) -> String {
    Sha256::digest(program).iter().take(6).map(|octet| char::from(b'A' + octet % 26)).collect()
}
