//! The page that explains: what readers see who cannot open the payload.
use std::fmt::Write;
use std::path::PathBuf;

use super::draft::Draft;
use super::error::SealedError;
use crate::content::Content;
use crate::documents::pdf::{Dictionary, Object, Reference, Stream};
use crate::documents::seal::{Frame, Seal, SealFont, appearance};

/// A4 in points.
const PAPER: [i64; 4] = [0, 0, 595, 842];
/// The text in an embedded font: left, bottom, width, height.
const BLOCK: (f64, f64, f64, f64) = (72.0, 560.0, 451.0, 200.0);

const ENGLISH: [&str; 5] = [
    "This document is sealed to its readers",
    "The document is attached to this page, encrypted.",
    "Only those to whom it was sealed can open it, with their smart card:",
    "mailer document decrypt FILE",
    "or with a PDF reader that opens files encrypted to certificates.",
];
const CHINESE: [&str; 4] = [
    "本文件已加密，仅供指定的接收人阅读",
    "原文件以加密附件的形式附于本页。",
    "只有指定的接收人可以使用其智能卡打开：mailer document decrypt 文件名",
    "或使用支持证书加密的 PDF 阅读器打开。",
];

/// The text of the wrapper's page; the first line is its heading.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// The lines.
    pub lines: Vec<String>,
    /// Needed where the lines are not in ASCII; embedded.
    pub font: Option<SealFont>,
}

impl Explanation {
    /// In English, set in Helvetica, which every PDF reader has.
    pub fn english() -> Self {
        Self { lines: ENGLISH.map(str::to_owned).to_vec(), font: None }
    }

    /// In English and Chinese if the folders have a font for both, otherwise in English.
    pub fn standard(font_folders: &[PathBuf]) -> Self {
        let lines: Vec<&str> = ENGLISH.iter().copied().chain([""]).chain(CHINESE).collect();
        match SealFont::find_for(&lines, font_folders) {
            Ok(font) => Self { lines: lines.into_iter().map(str::to_owned).collect(), font: Some(font) },
            Err(_) => Self::english(),
        }
    }

    /// Adds a page tree with this page to a draft.
    pub(super) fn add_to(&self, draft: &mut Draft) -> Result<Reference, SealedError> {
        let (resources, content) = match &self.font {
            None => self.in_helvetica()?,
            Some(font) => self.in_font(font, draft)?,
        };
        add_page(draft, resources, content)
    }

    fn in_font(&self, font: &SealFont, draft: &mut Draft) -> Result<(Dictionary, Vec<u8>), SealedError> {
        let (left, bottom, width, height) = BLOCK;
        let seal = Seal {
            lines: self.lines.clone(),
            image: None,
            frame: Frame::Thin,
            width,
            height,
            font: Some(font.clone()),
        };
        let drawn = appearance(&seal, &mut || draft.allocate())?;
        for (reference, object) in drawn.objects {
            draft.set(reference, object)?;
        }
        let content = format!("q 1 0 0 1 {left:.0} {bottom:.0} cm /Text Do Q\n");
        let forms = Dictionary::new().with("Text", drawn.form);
        Ok((Dictionary::new().with("XObject", forms), content.into_bytes()))
    }

    fn in_helvetica(&self) -> Result<(Dictionary, Vec<u8>), SealedError> {
        let is_plain = |line: &String| line.bytes().all(|octet| (0x20..0x7F).contains(&octet));
        if !self.lines.iter().all(is_plain) {
            return Err(SealedError::ExplanationFont);
        }
        let lines: Vec<&str> = self.lines.iter().map(String::as_str).collect();
        Ok(helvetica(&lines))
    }
}

/// Resources and content of a page with lines in ASCII; the first is larger.
pub(super) fn helvetica(lines: &[&str]) -> (Dictionary, Vec<u8>) {
    let font = |name| {
        Dictionary::new()
            .with("Type", Object::name("Font"))
            .with("Subtype", Object::name("Type1"))
            .with("BaseFont", Object::name(name))
            .with("Encoding", Object::name("WinAnsiEncoding"))
    };
    let fonts = Dictionary::new().with("F1", font("Helvetica-Bold")).with("F2", font("Helvetica"));
    let mut content = String::from("BT 0.13 g /F1 16 Tf 72 730 Td 20 TL\n");
    for (at, line) in lines.iter().enumerate() {
        let mut text = Vec::new();
        Object::String(line.as_bytes().to_vec()).write(&mut text);
        let next = if at == 0 { "T* /F2 11 Tf 17 TL" } else { "T*" };
        writeln!(content, "{} Tj {next}", String::from_utf8_lossy(&text)).expect("a string takes everything");
    }
    content.push_str("ET\n");
    (Dictionary::new().with("Font", fonts), content.into_bytes())
}

/// The page tree with one page.
pub(super) fn add_page(
    draft: &mut Draft,
    resources: Dictionary,
    content: Vec<u8>,
) -> Result<Reference, SealedError> {
    let (pages, page) = (draft.allocate(), draft.allocate());
    let stream = Stream { dictionary: Dictionary::new(), data: Content::from_vec(content) };
    let contents = draft.add(stream)?;
    let of_page = Dictionary::new()
        .with("Type", Object::name("Page"))
        .with("Parent", pages)
        .with("MediaBox", PAPER.map(Object::Integer).to_vec())
        .with("Resources", resources)
        .with("Contents", contents);
    draft.set(page, of_page)?;
    let kids = vec![page.into()];
    let of_pages =
        Dictionary::new().with("Type", Object::name("Pages")).with("Kids", kids).with("Count", 1_i64);
    draft.set(pages, of_pages)?;
    Ok(pages)
}
