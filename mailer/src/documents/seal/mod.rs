//! The visible seal: what a signature field shows (ISO 32000-2 sections 8.10 and 12.5.5).
//!
//! Text of any script that is written letter by letter from left to right, Chinese among them, and a picture. Fonts are always
//! embedded, cut down to what is shown, and say which characters they show, so that text can be copied and searched.
//!
//! - `characters`: what text may hold; `layout`: where it stands and how large; `drawing`: the content stream.
//! - [`mod@font`]: fonts read and looked for; `font_objects`: as a Type 0 font.
//! - [`mod@image`]: PNG and JPEG pictures, as image XObjects.
mod characters;
mod drawing;
mod error;
pub mod font;
mod font_objects;
pub mod image;
mod layout;

pub use error::SealError;
pub use font::SealFont;
pub use image::SealImage;

use self::drawing::{Drawing, IMAGE_NAME};
use self::font_objects::ShownFont;
use self::layout::{Block, Plan};
use super::pdf::{Dictionary, Object, Reference, Stream};
use crate::content::Content;

/// The most lines of text.
pub const MOST_LINES: usize = 64;
/// The most characters in all lines together.
pub const MOST_CHARACTERS: usize = 4_000;
/// The sides of a seal, in points: below, nothing can be read; above, no page is as large (ISO 32000-2 annex C).
pub const SIDES: std::ops::RangeInclusive<f64> = 16.0..=14_400.0;

/// What a seal shows, and how large it is.
#[derive(Clone, Debug)]
pub struct Seal {
    /// The text; the first of several lines is the heading. An empty line is a distance.
    pub lines: Vec<String>,
    /// A picture: left of the text, or above it where the seal is higher than wide.
    pub image: Option<SealImage>,
    /// The line around it.
    pub frame: Frame,
    /// Width in points.
    pub width: f64,
    /// Height in points.
    pub height: f64,
    /// The font of the text; needed as soon as there is text.
    pub font: Option<SealFont>,
}

/// The line around a seal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Frame {
    /// None.
    None,
    /// A thin double line.
    #[default]
    Thin,
}

/// A form XObject and all that it needs, ready to be written.
#[derive(Debug)]
pub struct Appearance {
    /// The form, for the `/N` entry of an appearance dictionary.
    pub form: Reference,
    /// The form, fonts and images.
    pub objects: Vec<(Reference, Object)>,
}

/// Lays a seal out; `allocate` hands out a new object number at every call.
///
/// # Errors
/// See [`SealError`]; nothing is ever clipped, left out or shown as an empty box.
pub fn appearance(seal: &Seal, allocate: &mut dyn FnMut() -> Reference) -> Result<Appearance, SealError> {
    let lines = check(seal)?;
    let mut objects = Vec::new();
    let mut resources = Dictionary::new();
    let is_written = lines.iter().any(|line| !line.trim().is_empty());
    let mut font = match (&seal.font, is_written) {
        (Some(font), true) => Some(ShownFont::new(font, &lines)?),
        (None, true) => return Err(SealError::NoFont),
        (_, false) => None,
    };
    if font.is_none() && seal.image.is_none() {
        return Err(SealError::Empty);
    }
    let plan = Plan::new(seal, font.is_some());
    let mut drawing = Drawing::default();
    if seal.frame == Frame::Thin {
        drawing.frame(seal.width, seal.height);
    }
    if let (Some(image), Some(place)) = (&seal.image, plan.image) {
        drawing.image(place);
        let reference = image.write(allocate, &mut objects);
        resources.set("XObject", Dictionary::new().with(IMAGE_NAME, reference));
    }
    if let (Some(font), Some(place)) = (&mut font, plan.text) {
        let block = Block::fit(&lines, font, place)?;
        drawing.text(&block, font);
        let reference = font.write(allocate, &mut objects)?;
        resources.set("Font", Dictionary::new().with(drawing::FONT_NAME, reference));
    }
    let form = allocate();
    let dictionary = Dictionary::new()
        .with("Type", Object::name("XObject"))
        .with("Subtype", Object::name("Form"))
        .with("BBox", vec![0_i64.into(), 0_i64.into(), number(seal.width), number(seal.height)])
        .with("Resources", resources);
    objects.push((form, compressed(dictionary, drawing.finish().as_bytes()).into()));
    Ok(Appearance { form, objects })
}

/// The lines as they will be shown.
fn check(seal: &Seal) -> Result<Vec<String>, SealError> {
    let (width, height) = (seal.width, seal.height);
    if !SIDES.contains(&width) || !SIDES.contains(&height) {
        return Err(SealError::Size { width, height });
    }
    let characters = seal.lines.iter().map(|line| line.chars().count()).sum::<usize>();
    if seal.lines.len() > MOST_LINES || characters > MOST_CHARACTERS {
        return Err(SealError::TooMuchText { lines: seal.lines.len(), characters });
    }
    seal.lines.iter().map(|line| characters::shown(line)).collect()
}

/// A number with at most two decimals.
fn number(value: f64) -> Object {
    #[allow(clippy::cast_possible_truncation)] // at most 1 440 000 hundredths; a float's cast saturates
    let hundredths = (value * 100.0).round() as i64;
    match hundredths % 100 {
        0 => Object::Integer(hundredths / 100),
        _ => super::pdf::object::Real::from_hundredths(hundredths).into(),
    }
}

/// A stream with FlateDecode (ISO 32000-2 section 7.4.4).
fn compressed(dictionary: Dictionary, octets: &[u8]) -> Stream {
    let data = flate(octets);
    let dictionary = dictionary.with("Filter", Object::name("FlateDecode"));
    Stream { dictionary, data: Content::from_vec(data) }
}

/// The zlib form of the octets.
fn flate(octets: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(octets).expect("a vector takes everything");
    encoder.finish().expect("a vector takes everything")
}
