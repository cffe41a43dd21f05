//! Pictures for seals: PNG decoded and packed anew, JPEG kept as it is (ISO 32000-2 sections 7.4.8 and 8.9).
use std::io::Cursor;

use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

use super::error::SealError;
use super::flate;
use crate::content::Content;
use crate::documents::pdf::{Dictionary, Object, Reference, Stream};

/// The longest picture file that is read.
pub const LARGEST_FILE: usize = 8 * 1024 * 1024;
/// The most pixels: a seal of 8 x 5 cm in 600 dots per inch has half of that.
pub const MOST_PIXELS: u64 = 4_000_000;
const LONGEST_SIDE: u32 = 8_000;
/// The most scans of a progressive JPEG: each costs a pass over all pixels.
const MOST_SCANS: usize = 64;

/// A picture that can be embedded.
#[derive(Clone)]
pub struct SealImage {
    width: u32,
    height: u32,
    colours: Colours,
    encoded: Encoded,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Colours {
    Gray,
    Rgb,
    Cmyk,
    /// As Adobe's programs write it: 255 is no ink.
    InvertedCmyk,
}

#[derive(Clone)]
enum Encoded {
    /// The file itself.
    Jpeg(Vec<u8>),
    /// Samples in zlib form, and the opacity of each pixel where it is not full everywhere.
    Samples { colours: Vec<u8>, opacity: Option<Vec<u8>> },
}

impl SealImage {
    /// Reads a PNG or JPEG file to its end: what is damaged anywhere is refused.
    ///
    /// # Errors
    /// [`SealError::UnknownImage`], [`SealError::DamagedImage`], [`SealError::LargeImage`],
    /// [`SealError::UnsupportedImage`].
    pub fn read(octets: &[u8]) -> Result<Self, SealError> {
        if octets.len() > LARGEST_FILE {
            return Err(SealError::LargeImage(format!("its file has more than {LARGEST_FILE} octets")));
        }
        if octets.starts_with(b"\x89PNG\r\n\x1a\n") {
            read_png(octets)
        } else if octets.starts_with(&[0xFF, 0xD8]) {
            read_jpeg(octets)
        } else {
            Err(SealError::UnknownImage)
        }
    }

    /// Width in pixels; never 0.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels; never 0.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The image XObject, and its soft mask.
    pub(super) fn write(
        &self,
        allocate: &mut dyn FnMut() -> Reference,
        objects: &mut Vec<(Reference, Object)>,
    ) -> Reference {
        let mut dictionary = self.dictionary(self.colours);
        let image = allocate();
        let data = match &self.encoded {
            Encoded::Jpeg(octets) => {
                dictionary.set("Filter", Object::name("DCTDecode"));
                octets
            }
            Encoded::Samples { colours, opacity } => {
                dictionary.set("Filter", Object::name("FlateDecode"));
                if let Some(opacity) = opacity {
                    let mask = allocate();
                    let of_mask = self.dictionary(Colours::Gray).with("Filter", Object::name("FlateDecode"));
                    let data = Content::from_vec(opacity.clone());
                    objects.push((mask, Stream { dictionary: of_mask, data }.into()));
                    dictionary.set("SMask", mask);
                }
                colours
            }
        };
        objects.push((image, Stream { dictionary, data: Content::from_vec(data.clone()) }.into()));
        image
    }

    fn dictionary(&self, colours: Colours) -> Dictionary {
        let space = match colours {
            Colours::Gray => "DeviceGray",
            Colours::Rgb => "DeviceRGB",
            Colours::Cmyk | Colours::InvertedCmyk => "DeviceCMYK",
        };
        let mut dictionary = Dictionary::new()
            .with("Type", Object::name("XObject"))
            .with("Subtype", Object::name("Image"))
            .with("Width", i64::from(self.width))
            .with("Height", i64::from(self.height))
            .with("ColorSpace", Object::name(space))
            .with("BitsPerComponent", 8_i64);
        if colours == Colours::InvertedCmyk {
            let inverted = (0..8).map(|at| Object::Integer(1 - at % 2));
            dictionary.set("Decode", Object::Array(inverted.collect()));
        }
        dictionary
    }
}

impl std::fmt::Debug for SealImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SealImage({} x {} pixels)", self.width, self.height)
    }
}

/// Before anything is decoded.
fn check_size(width: u32, height: u32) -> Result<(), SealError> {
    if width == 0 || height == 0 {
        return Err(SealError::DamagedImage("it has no pixels".to_owned()));
    }
    if u64::from(width) * u64::from(height) > MOST_PIXELS || width.max(height) > LONGEST_SIDE {
        return Err(SealError::LargeImage(format!(
            "{width} x {height} pixels, of at most {MOST_PIXELS} in all and {LONGEST_SIDE} at a side"
        )));
    }
    Ok(())
}

fn read_png(octets: &[u8]) -> Result<SealImage, SealError> {
    let damaged = |problem: png::DecodingError| match problem {
        png::DecodingError::LimitsExceeded => {
            SealError::LargeImage("it unpacks to too many octets".to_owned())
        }
        other => SealError::DamagedImage(other.to_string()),
    };
    let limits = png::Limits { bytes: 2 * LARGEST_FILE };
    let mut decoder = png::Decoder::new_with_limits(Cursor::new(octets), limits);
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let info = decoder.read_header_info().map_err(damaged)?;
    let (width, height) = info.size();
    check_size(width, height)?;
    let mut reader = decoder.read_info().map_err(damaged)?;
    let length = reader.output_buffer_size().filter(|length| *length as u64 <= 4 * MOST_PIXELS);
    let mut samples = vec![0; length.ok_or_else(|| SealError::LargeImage("too many octets".to_owned()))?];
    let frame = reader.next_frame(&mut samples).map_err(damaged)?;
    if (frame.width, frame.height) != (width, height) {
        return Err(SealError::UnsupportedImage("its first frame is only a part of it".to_owned()));
    }
    reader.finish().map_err(damaged)?;
    let (colours, of_colour, has_opacity) = match frame.color_type {
        png::ColorType::Grayscale => (Colours::Gray, 1, false),
        png::ColorType::GrayscaleAlpha => (Colours::Gray, 1, true),
        png::ColorType::Rgb => (Colours::Rgb, 3, false),
        png::ColorType::Rgba => (Colours::Rgb, 3, true),
        png::ColorType::Indexed => {
            return Err(SealError::UnsupportedImage("its palette was not resolved".to_owned()));
        }
    };
    let encoded = if has_opacity {
        let pixels = samples.chunks_exact(of_colour + 1);
        let opacity: Vec<u8> = pixels.clone().filter_map(|pixel| pixel.last()).copied().collect();
        let only_colours: Vec<u8> =
            pixels.filter_map(|pixel| pixel.get(..of_colour)).flatten().copied().collect();
        let is_opaque = opacity.iter().all(|octet| *octet == 255);
        Encoded::Samples { colours: flate(&only_colours), opacity: (!is_opaque).then(|| flate(&opacity)) }
    } else {
        Encoded::Samples { colours: flate(&samples), opacity: None }
    };
    Ok(SealImage { width, height, colours, encoded })
}

fn read_jpeg(octets: &[u8]) -> Result<SealImage, SealError> {
    let header = JpegHeader::read(octets)?;
    let (width, height) = (u32::from(header.width), u32::from(header.height));
    check_size(width, height)?;
    let colours = match (header.components, header.is_adobe) {
        (1, _) => Colours::Gray,
        (3, _) => Colours::Rgb,
        (4, false) => Colours::Cmyk,
        (4, true) => Colours::InvertedCmyk,
        (other, _) => return Err(SealError::UnsupportedImage(format!("it has {other} colour components"))),
    };
    // Nothing is taken from the decoder: it shows that the picture can be shown, to its end.
    let options = DecoderOptions::new_safe().set_strict_mode(true).jpeg_set_max_scans(MOST_SCANS);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(octets), options);
    decoder.decode().map_err(|problem| SealError::DamagedImage(problem.to_string()))?;
    Ok(SealImage { width, height, colours, encoded: Encoded::Jpeg(octets.to_vec()) })
}

/// What the frame header says (ITU-T T.81 annex B).
struct JpegHeader {
    width: u16,
    height: u16,
    components: u8,
    /// Whether there is Adobe's APP14 segment.
    is_adobe: bool,
}

impl JpegHeader {
    fn read(octets: &[u8]) -> Result<Self, SealError> {
        let damaged = || SealError::DamagedImage("its headers break off".to_owned());
        let mut rest = octets.get(2..).unwrap_or_default();
        let (mut frame, mut is_adobe) = (None, false);
        loop {
            let (marker, after) = match rest {
                [0xFF, 0xFF, ..] => {
                    rest = rest.get(1..).unwrap_or_default();
                    continue;
                }
                [0xFF, marker, after @ ..] => (*marker, after),
                _ => return Err(damaged()),
            };
            let length = match after {
                [high, low, ..] => usize::from(u16::from_be_bytes([*high, *low])),
                _ => return Err(damaged()),
            };
            let (segment, next) = after.split_at_checked(length).ok_or_else(damaged)?;
            match (marker, segment) {
                (0xC0..=0xC2, [_, _, precision, h1, h0, w1, w0, components, ..]) => {
                    if *precision != 8 {
                        return Err(SealError::UnsupportedImage(format!(
                            "it has {precision} bits to a sample"
                        )));
                    }
                    let (width, height) = (u16::from_be_bytes([*w1, *w0]), u16::from_be_bytes([*h1, *h0]));
                    frame = Some((width, height, *components));
                }
                (0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF, _) => {
                    return Err(SealError::UnsupportedImage(
                        "it is neither baseline nor progressive".to_owned(),
                    ));
                }
                (0xEE, [_, _, name @ ..]) => is_adobe |= name.starts_with(b"Adobe"),
                // The picture begins: nothing more is said about it.
                (0xDA, _) => {
                    let (width, height, components) = frame.ok_or_else(damaged)?;
                    return Ok(Self { width, height, components, is_adobe });
                }
                (0xC0..=0xC2 | 0xD8 | 0xD9, _) => return Err(damaged()),
                _ => {}
            }
            rest = next;
        }
    }
}
