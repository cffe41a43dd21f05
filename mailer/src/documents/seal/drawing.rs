//! The content stream of a seal (ISO 32000-2 sections 8.5, 8.8 and 9.4).
use std::fmt::Write;

use super::font_objects::ShownFont;
use super::layout::{Block, Place};

/// The font's name among the resources.
pub(super) const FONT_NAME: &str = "F1";
/// The picture's.
pub(super) const IMAGE_NAME: &str = "Im1";
/// A dark grey: printers and eyes take it for black, but it does not shout.
const INK: &str = "0.13";
/// How much the strokes of a heading are thickened, in ems.
const BOLDER: f64 = 0.022;

/// Graphics operators, one after another.
#[derive(Default)]
pub(super) struct Drawing(String);

impl Drawing {
    /// A stronger line outside, a hair line inside.
    pub(super) fn frame(&mut self, width: f64, height: f64) {
        for (inset, line) in [(0.5, 1.0), (2.4, 0.35)] {
            let (wide, high) = (width - 2.0 * inset, height - 2.0 * inset);
            self.add(format_args!("q {INK} G {line:.2} w {inset:.2} {inset:.2} {wide:.2} {high:.2} re S Q"));
        }
    }

    pub(super) fn image(&mut self, place: Place) {
        let Place { x, y, width, height, .. } = place;
        self.add(format_args!("q {width:.3} 0 0 {height:.3} {x:.3} {y:.3} cm /{IMAGE_NAME} Do Q"));
    }

    pub(super) fn text(&mut self, block: &Block, font: &mut ShownFont<'_>) {
        for line in &block.lines {
            let size = line.size;
            let (glyphs, is_exact) = font.show(&line.text);
            self.add(format_args!("q {INK} g {INK} G BT /{FONT_NAME} {size:.2} Tf"));
            if line.is_heading {
                self.add(format_args!("2 Tr {:.3} w", size * BOLDER));
            }
            // Where one glyph stands for two characters, the text itself is given (section 14.9.4).
            if !is_exact {
                let text: String = line.text.encode_utf16().map(|unit| format!("{unit:04X}")).collect();
                self.add(format_args!("/Span <</ActualText <FEFF{text}>>> BDC"));
            }
            self.add(format_args!("1 0 0 1 {:.3} {:.3} Tm <{glyphs}> Tj", line.x, line.y));
            self.add(format_args!("{}ET Q", if is_exact { "" } else { "EMC " }));
        }
    }

    pub(super) fn finish(self) -> String {
        self.0
    }

    fn add(&mut self, operators: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{operators}").expect("a string takes everything");
    }
}
