//! Visible seals on a page, judged by qpdf and poppler: fonts embedded, text that comes back, pixels where they belong.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test may fail this way")]
mod foreign_pdf;

use std::io::Write;
use std::path::{Path, PathBuf};

use foreign_pdf::run;
use mailer::documents::pdf::{Dictionary, Object, Reference};
use mailer::documents::seal::{Appearance, Frame, Seal, SealError, SealFont, SealImage, appearance, font};

/// TrueType, a TrueType collection with Chinese, CFF: the packages fonts-dejavu-core, fonts-wqy-microhei, fonts-inconsolata.
const DEJAVU: &str = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf";
const MICRO_HEI: &str = "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc";
const INCONSOLATA: &str = "/usr/share/fonts/truetype/inconsolata/Inconsolata.otf";

const PAGE_HEIGHT: f64 = 240.0;
const MEDIA_BOX: [i64; 4] = [0, 0, 400, 240];
const CORNER: (f64, f64) = (60.0, 70.0);

fn font_file(path: &str) -> SealFont {
    SealFont::read(std::fs::read(path).unwrap(), 0).unwrap()
}

fn seal(lines: &[&str], font: Option<SealFont>) -> Seal {
    let lines = lines.iter().map(|line| (*line).to_owned()).collect();
    Seal { lines, image: None, frame: Frame::Thin, width: 240.0, height: 96.0, font }
}

fn appearance_of(seal: &Seal) -> Result<Appearance, SealError> {
    let mut next = 4;
    appearance(seal, &mut || {
        next += 1;
        Reference { number: next, generation: 0 }
    })
}

/// A page with the form at [`CORNER`], as a file in the folder.
fn page(folder: &Path, appearance: &Appearance) -> PathBuf {
    let reference = |number| Object::Reference(Reference { number, generation: 0 });
    let kids = vec![reference(3)];
    let forms = Dictionary::new().with("Seal", appearance.form);
    let place = format!("q 1 0 0 1 {} {} cm /Seal Do Q", CORNER.0, CORNER.1);
    let page = Dictionary::new()
        .with("Type", Object::name("Page"))
        .with("Parent", reference(2))
        .with("MediaBox", MEDIA_BOX.map(Object::Integer).to_vec())
        .with("Resources", Dictionary::new().with("XObject", forms))
        .with("Contents", reference(4));
    let pages = Dictionary::new().with("Type", Object::name("Pages")).with("Kids", kids).with("Count", 1_i64);
    let catalog = Dictionary::new().with("Type", Object::name("Catalog")).with("Pages", reference(2));
    let mut file = b"%PDF-1.7\n".to_vec();
    let mut offsets = Vec::new();
    let mut add = |number: u32, object: &Object, file: &mut Vec<u8>| {
        offsets.push((number, file.len()));
        writeln!(file, "{number} 0 obj").unwrap();
        match object {
            Object::Stream(stream) => {
                let data = stream.data.to_vec(usize::MAX).unwrap().unwrap();
                Object::from(stream.dictionary.clone().with("Length", data.len() as i64)).write(file);
                file.extend(b"\nstream\n");
                file.extend_from_slice(&data);
                file.extend(b"\nendstream");
            }
            other => other.write(file),
        }
        file.extend(b"\nendobj\n");
    };
    add(1, &catalog.into(), &mut file);
    add(2, &pages.into(), &mut file);
    add(3, &page.into(), &mut file);
    let stream = mailer::documents::pdf::Stream {
        dictionary: Dictionary::new(),
        data: mailer::content::Content::from_vec(place.into_bytes()),
    };
    add(4, &stream.into(), &mut file);
    for (reference, object) in &appearance.objects {
        add(reference.number, object, &mut file);
    }
    offsets.sort_unstable();
    let count = offsets.len() + 1;
    let start = file.len();
    write!(file, "xref\n0 {count}\n0000000000 65535 f \n").unwrap();
    for (at, (number, offset)) in offsets.iter().enumerate() {
        assert_eq!(*number as usize, at + 1, "numbers without gaps");
        writeln!(file, "{offset:010} 00000 n ").unwrap();
    }
    write!(file, "trailer\n<</Size {count}/Root 1 0 R>>\nstartxref\n{start}\n%%EOF\n").unwrap();
    let path = folder.join("seal.pdf");
    std::fs::write(&path, file).unwrap();
    path
}

/// What qpdf, pdffonts and pdftotext say of a sealed page; the text without white space.
struct Judged {
    folder: tempfile::TempDir,
    file: PathBuf,
    fonts: Vec<String>,
    text: String,
}

fn judge(seal: &Seal) -> Judged {
    let folder = tempfile::tempdir().unwrap();
    let file = page(folder.path(), &appearance_of(seal).unwrap());
    let path = file.to_str().unwrap();
    let checked = run("qpdf", &["--check", path]);
    assert!(checked.contains("No syntax or stream encoding errors"), "{checked}");
    let fonts = run("pdffonts", &[path]).lines().skip(2).map(str::to_owned).collect();
    let text = without_spaces(&run("pdftotext", &["-enc", "UTF-8", path, "-"]));
    Judged { folder, file, fonts, text }
}

fn without_spaces(text: &str) -> String {
    text.chars().filter(|character| !character.is_whitespace()).collect()
}

/// A rendered page: RGB at one pixel per point and zoom.
struct Picture {
    width: usize,
    height: usize,
    samples: Vec<u8>,
}

const ZOOM: f64 = 2.0;

impl Judged {
    fn render(&self) -> Picture {
        let stem = self.folder.path().join("rendered");
        let resolution = (72.0 * ZOOM).to_string();
        run(
            "pdftoppm",
            &["-r", &resolution, "-singlefile", self.file.to_str().unwrap(), stem.to_str().unwrap()],
        );
        let ppm = std::fs::read(stem.with_extension("ppm")).unwrap();
        if let Some(folder) = std::env::var_os("SEAL_PICTURES") {
            let name = std::thread::current().name().unwrap().to_owned();
            std::fs::copy(&self.file, Path::new(&folder).join(format!("{name}.pdf"))).unwrap();
        }
        let end = ppm.iter().enumerate().filter(|(_, octet)| **octet == b'\n').nth(2).unwrap().0 + 1;
        let header = std::str::from_utf8(&ppm[..end]).unwrap();
        let mut words = header.split_whitespace().skip(1).map(|word| word.parse().unwrap());
        Picture { width: words.next().unwrap(), height: words.next().unwrap(), samples: ppm[end..].to_vec() }
    }
}

impl Picture {
    /// How many pixels of the rectangle (in points, from the lower left) are not white.
    fn inked(&self, x: f64, y: f64, width: f64, height: f64) -> usize {
        self.pixels(|px, py| px >= x && px <= x + width && py >= y && py <= y + height)
    }

    fn pixels(&self, inside: impl Fn(f64, f64) -> bool) -> usize {
        (0..self.height)
            .flat_map(|row| (0..self.width).map(move |column| (row, column)))
            .filter(|(row, column)| {
                let (x, y) = ((*column as f64 + 0.5) / ZOOM, PAGE_HEIGHT - (*row as f64 + 0.5) / ZOOM);
                let at = 3 * (row * self.width + column);
                inside(x, y) && self.samples[at..at + 3].iter().any(|sample| *sample < 250)
            })
            .count()
    }

    /// Nothing outside of the seal, something inside.
    fn check(&self, seal: &Seal) {
        let inside = self.inked(CORNER.0, CORNER.1, seal.width, seal.height);
        let all = self.pixels(|_, _| true);
        assert!(inside > 200, "the seal is blank");
        assert_eq!(all, inside, "something stands outside of the seal");
    }
}

/// A round red emblem on nothing, as PNG with an alpha channel.
fn emblem(side: u32) -> Vec<u8> {
    let mut samples = Vec::new();
    let middle = f64::from(side) / 2.0;
    for y in 0..side {
        for x in 0..side {
            let distance = (f64::from(x) + 0.5 - middle).hypot(f64::from(y) + 0.5 - middle) / middle;
            let angle = (f64::from(y) - middle).atan2(f64::from(x) - middle);
            let ring = (0.86..0.98).contains(&distance);
            let star = distance < 0.28 + 0.22 * (5.0 * angle + std::f64::consts::FRAC_PI_2).sin().powi(3);
            samples.extend([190, 20, 30, if ring || star { 255 } else { 0 }]);
        }
    }
    png(side, side, png::ColorType::Rgba, &samples)
}

fn png(width: u32, height: u32, colour: png::ColorType, samples: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut encoder = png::Encoder::new(&mut octets, width, height);
    encoder.set_color(colour);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(samples).unwrap();
    writer.finish().unwrap();
    octets
}

const NOTICE: &[&str] =
    &["Ministry of Examples", "Signed by Zoë Müller", "2026-06-01 12:00:00 +02:00", "Certificate 4F:2A:77"];
const CHINESE: &[&str] = &["示例市公安局", "签署人：张伟", "2026年6月1日 12:00", "公文专用章（电子签名）"];

#[test]
fn text_comes_back_from_every_kind_of_font() {
    for (file, lines, name) in [
        (DEJAVU, NOTICE, "DejaVuSans"),
        (MICRO_HEI, CHINESE, "WenQuanYiMicroHei"),
        (INCONSOLATA, NOTICE, "Inconsolata"),
    ] {
        let seal = seal(lines, Some(font_file(file)));
        let judged = judge(&seal);
        assert_eq!(judged.text, without_spaces(&lines.concat()), "{file}");
        assert_eq!(judged.fonts.len(), 1);
        let font = &judged.fonts[0];
        assert!(font.contains(&format!("+{name}")) && font.contains("Identity-H"), "{font}");
        let kind = if file == INCONSOLATA { "CID Type 0C" } else { "CID TrueType" };
        assert!(font.contains(kind) && font.contains("yes yes yes"), "{font}");
        judged.render().check(&seal);
        let size = std::fs::metadata(&judged.file).unwrap().len();
        assert!(size < 40_000, "{file}: the font was not cut down, {size} octets");
    }
}

#[test]
fn a_picture_stands_left_of_the_text() {
    let image = SealImage::read(&emblem(240)).unwrap();
    let seal = Seal { image: Some(image), ..seal(CHINESE, Some(font_file(MICRO_HEI))) };
    let judged = judge(&seal);
    assert_eq!(judged.text, without_spaces(&CHINESE.concat()));
    let picture = judged.render();
    picture.check(&seal);
    let (x, y) = CORNER;
    assert!(picture.inked(x + 8.0, y + 8.0, 78.0, 80.0) > 500, "no emblem");
    // Where the emblem lets the page shine through there is no ink: the alpha channel became a soft mask.
    assert_eq!(picture.inked(x + 11.0, y + 11.0, 8.0, 8.0), 0);
    assert!(picture.inked(x + 95.0, y + 8.0, 135.0, 80.0) > 500, "no text");
}

#[test]
fn a_high_seal_has_the_picture_above_and_one_without_text_has_it_alone() {
    let image = SealImage::read(&emblem(120)).unwrap();
    let high = Seal {
        image: Some(image.clone()),
        width: 110.0,
        height: 150.0,
        ..seal(CHINESE, Some(font_file(MICRO_HEI)))
    };
    let judged = judge(&high);
    assert_eq!(judged.text, without_spaces(&CHINESE.concat()));
    judged.render().check(&high);
    let alone = Seal { image: Some(image), frame: Frame::None, width: 90.0, height: 90.0, ..seal(&[], None) };
    let judged = judge(&alone);
    assert!(judged.fonts.is_empty() && judged.text.is_empty());
    judged.render().check(&alone);
}

#[test]
fn jpeg_pictures_are_embedded_as_they_are() {
    let source = judge(&seal(NOTICE, Some(font_file(DEJAVU))));
    let stem = source.folder.path().join("photo");
    for options in
        [&["-jpeg"][..], &["-jpeg", "-jpegopt", "progressive=y"], &["-jpeg", "-gray"], &["-jpegcmyk"]]
    {
        let file = source.file.to_str().unwrap();
        run("pdftoppm", &[options, &["-singlefile", file, stem.to_str().unwrap()]].concat());
        let jpeg = std::fs::read(stem.with_extension("jpg")).unwrap();
        let image = SealImage::read(&jpeg).unwrap();
        assert_eq!((image.width(), image.height()), (834, 500));
        let seal = Seal { image: Some(image), ..seal(&[], None) };
        let judged = judge(&seal);
        let whole = std::fs::read(&judged.file).unwrap();
        assert!(whole.windows(jpeg.len()).any(|window| window == jpeg), "{options:?}");
        let picture = judged.render();
        picture.check(&seal);
        // The photographed page is white at its edge.
        assert!(picture.inked(CORNER.0 + 60.0, CORNER.1 + 10.0, 10.0, 10.0) < 5, "{options:?}: inverted?");
        // Cut anywhere it is refused.
        for cut in [3, 20, 200, jpeg.len() / 2, jpeg.len() - 40] {
            let problem = SealImage::read(&jpeg[..cut]).unwrap_err();
            assert!(matches!(problem, SealError::DamagedImage(_)), "{options:?} {cut}: {problem}");
        }
    }
}

#[test]
fn every_kind_of_png_is_shown() {
    let gray: Vec<u8> = (0..=255).collect();
    let doubled: Vec<u8> = gray.iter().flat_map(|octet| [*octet, 255]).collect();
    let rgb: Vec<u8> = gray.iter().flat_map(|octet| [*octet, 0, 0]).collect();
    let files = [
        png(16, 16, png::ColorType::Grayscale, &gray),
        png(16, 16, png::ColorType::GrayscaleAlpha, &doubled),
        png(16, 16, png::ColorType::Rgb, &rgb),
    ];
    for file in files {
        let seal = Seal { image: Some(SealImage::read(&file).unwrap()), ..seal(&[], None) };
        judge(&seal).render().check(&seal);
        for cut in [9, 30, file.len() / 2, file.len() - 14] {
            let problem = SealImage::read(&file[..cut]).unwrap_err();
            assert!(matches!(problem, SealError::DamagedImage(_)), "{cut}: {problem}");
        }
    }
}

#[test]
fn long_text_is_made_smaller_and_broken_but_never_clipped() {
    let long = "This document was issued under section 12 of the Examples Act and is valid without a handwritten signature";
    let chinese = "本文件由示例市人民政府依照有关规定签发，电子签名与手写签名或者盖章具有同等的法律效力，任何人不得伪造、变造。";
    for (text, file) in [(long, DEJAVU), (chinese, MICRO_HEI)] {
        let seal = seal(
            &["Notice 通知".trim_end_matches(if file == DEJAVU { " 通知" } else { "" }), "", text, text],
            Some(font_file(file)),
        );
        let judged = judge(&seal);
        assert_eq!(judged.text, without_spaces(&seal.lines.concat()));
        judged.render().check(&seal);
    }
    let too_long = seal(&[&long.repeat(25)], Some(font_file(DEJAVU)));
    let problem = appearance_of(&too_long).unwrap_err();
    assert!(matches!(problem, SealError::DoesNotFit { .. }), "{problem}");
    let one_word = seal(&[&"x".repeat(200)], Some(font_file(DEJAVU)));
    assert!(matches!(appearance_of(&one_word), Err(SealError::DoesNotFit { .. })));
}

/// Two characters with one glyph: the font's map to Unicode can name one of them only.
#[test]
fn characters_that_share_a_glyph_come_back_as_they_were() {
    let font = font_file(DEJAVU);
    let lines = ["Km \u{212A}m", "Ω \u{2126}"];
    let judged = judge(&seal(&lines, Some(font)));
    assert_eq!(judged.text, without_spaces(&lines.concat()));
}

#[test]
fn what_a_font_lacks_is_named() {
    let problem = appearance_of(&seal(CHINESE, Some(font_file(DEJAVU)))).unwrap_err();
    assert_eq!(problem.code(), "seal-font-lacks-characters");
    assert!(problem.to_string().starts_with("the font DejaVuSans has no "), "{problem}");
    assert!(
        problem.to_string().contains("'专' (U+4E13)") && problem.to_string().contains("more"),
        "{problem}"
    );
    assert!(matches!(appearance_of(&seal(NOTICE, None)), Err(SealError::NoFont)));
    assert!(matches!(appearance_of(&seal(&["", " "], Some(font_file(DEJAVU)))), Err(SealError::Empty)));
    for (width, height) in [(0.0, 10.0), (f64::NAN, 50.0), (50.0, f64::INFINITY), (20_000.0, 50.0)] {
        let seal = Seal { width, height, ..seal(NOTICE, Some(font_file(DEJAVU))) };
        assert!(matches!(appearance_of(&seal), Err(SealError::Size { .. })));
    }
    let arabic = appearance_of(&seal(&["مرحبا"], Some(font_file(DEJAVU)))).unwrap_err();
    assert!(arabic.to_string().contains("Arabic"), "{arabic}");
}

#[test]
fn a_font_is_found_that_has_every_character() {
    let folders = font::system_folders(None);
    let latin = SealFont::find_for(NOTICE, &folders).unwrap();
    let chinese = SealFont::find_for(CHINESE, &folders).unwrap();
    for (lines, font) in [(NOTICE, latin), (CHINESE, chinese)] {
        assert_eq!(judge(&seal(lines, Some(font))).text, without_spaces(&lines.concat()));
    }
    let only_dejavu = [Path::new(DEJAVU).parent().unwrap().to_owned()];
    let problem = SealFont::find_for(CHINESE, &only_dejavu).unwrap_err();
    assert!(problem.to_string().contains("fonts-wqy-microhei"), "{problem}");
    assert!(problem.to_string().contains("dejavu"), "{problem}");
    assert!(matches!(SealFont::find_for(NOTICE, &[]), Err(SealError::NoFontFound { .. })));
}

#[test]
fn bad_fonts_are_refused() {
    let font = std::fs::read(DEJAVU).unwrap();
    assert!(matches!(SealFont::read(font.clone(), 1), Err(SealError::Font(_))));
    assert!(matches!(SealFont::read(std::fs::read(MICRO_HEI).unwrap(), 2), Err(SealError::Font(_))));
    for cut in [0, 3, 100, 400] {
        assert!(matches!(SealFont::read(font[..cut].to_vec(), 0), Err(SealError::Font(_))), "{cut}");
    }
    // Cut later, the tables are there in part: text is refused or comes out whole.
    for cut in (10_000..font.len()).step_by(50_000) {
        let Ok(font) = SealFont::read(font[..cut].to_vec(), 0) else { continue };
        let _ = appearance_of(&seal(NOTICE, Some(font)));
    }
    let mut restricted = font;
    let os2 = (0..20).map(|at| 12 + 16 * at).find(|at| restricted[*at..].starts_with(b"OS/2")).unwrap();
    let offset = u32::from_be_bytes(restricted[os2 + 8..os2 + 12].try_into().unwrap()) as usize;
    restricted[offset + 9] = 2;
    let problem = SealFont::read(restricted, 0).unwrap_err();
    assert!(matches!(problem, SealError::NotEmbeddable(_)), "{problem}");
}

#[test]
fn bombs_are_refused_before_they_unpack() {
    let mut huge = png(1, 1, png::ColorType::Grayscale, &[0]);
    huge[16..20].copy_from_slice(&100_000_u32.to_be_bytes());
    huge[20..24].copy_from_slice(&100_000_u32.to_be_bytes());
    let crc = crc32(&huge[12..29]);
    huge[29..33].copy_from_slice(&crc.to_be_bytes());
    let problem = SealImage::read(&huge).unwrap_err();
    assert!(matches!(problem, SealError::LargeImage(_)), "{problem}");
    let mut jpeg =
        vec![0xFF, 0xD8, 0xFF, 0xC0, 0, 17, 8, 0xFF, 0xFF, 0xFF, 0xFF, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0];
    jpeg.extend([0xFF, 0xDA, 0, 12, 3, 1, 0, 2, 0x11, 3, 0x11, 0, 63, 0]);
    assert!(matches!(SealImage::read(&jpeg), Err(SealError::LargeImage(_))));
    assert!(matches!(SealImage::read(b"GIF89a"), Err(SealError::UnknownImage)));
    assert!(matches!(SealImage::read(&vec![0; 9 * 1024 * 1024]), Err(SealError::LargeImage(_))));
}

fn crc32(octets: &[u8]) -> u32 {
    let mut hash = flate2::Crc::new();
    hash.update(octets);
    hash.sum()
}
