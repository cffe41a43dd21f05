//! Where picture and text stand, and how large the letters are.
use super::characters::{is_space, may_break};
use super::error::SealError;
use super::font_objects::ShownFont;
use super::{Frame, Seal};

/// The largest letters: beyond, a seal shouts.
const LARGEST: f64 = 36.0;
/// The smallest: below, nobody can read print.
const SMALLEST: f64 = 4.5;
/// Letters of this size are not made larger by breaking lines.
const COMFORTABLE: f64 = 8.0;
/// Between sizes that are tried.
const STEP: f64 = 0.25;
/// The heading against the other lines.
const HEADING: f64 = 1.2;
/// From baseline to baseline against the size.
const LEADING: f64 = 1.32;
/// What an empty line takes.
const DISTANCE: f64 = 0.5;

/// A rectangle: its lower left corner, width and height.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
    /// Whether what stands in it begins at the left edge, or is in the middle.
    pub(super) flush_left: bool,
}

/// How the seal is divided.
#[derive(Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) image: Option<Place>,
    pub(super) text: Option<Place>,
}

impl Plan {
    pub(super) fn new(seal: &Seal, has_text: bool) -> Self {
        let (width, height) = (seal.width, seal.height);
        let framed = if seal.frame == Frame::Thin { FRAME_WIDTH } else { 0.0 };
        let margin = framed + (width.min(height) * 0.06).clamp(1.0, 9.0);
        let inner = Place {
            x: margin,
            y: margin,
            width: width - 2.0 * margin,
            height: height - 2.0 * margin,
            flush_left: false,
        };
        let Some(image) = &seal.image else { return Self { image: None, text: Some(inner) } };
        let (pixels_wide, pixels_high) = (f64::from(image.width()), f64::from(image.height()));
        let ratio = pixels_wide / pixels_high;
        if !has_text {
            return Self { image: Some(inner.around(ratio)), text: None };
        }
        let gap = (margin * 1.2).max(4.0);
        if height > width {
            let upper = Place { height: (inner.height * 0.45).min(inner.width / ratio), ..inner };
            let upper = Place { y: inner.y + inner.height - upper.height, ..upper };
            let lower = Place { height: inner.height - upper.height - gap, ..inner };
            return Self { image: Some(upper.around(ratio)), text: Some(lower) };
        }
        let left = Place { width: (inner.width * 0.36).min(inner.height * ratio), ..inner };
        let right = Place {
            x: left.x + left.width + gap,
            width: inner.width - left.width - gap,
            flush_left: true,
            ..inner
        };
        Self { image: Some(left.around(ratio)), text: Some(right) }
    }
}

/// What the frame takes at each side.
pub(super) const FRAME_WIDTH: f64 = 3.0;

impl Place {
    /// The largest place of these proportions in the middle of this one.
    fn around(self, ratio: f64) -> Self {
        let width = self.width.min(self.height * ratio);
        let height = width / ratio;
        let (x, y) = (self.x + (self.width - width) / 2.0, self.y + (self.height - height) / 2.0);
        Self { x, y, width, height, ..self }
    }
}

/// Text with its places.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) lines: Vec<SetLine>,
}

/// One line as it is set.
#[derive(Debug)]
pub(super) struct SetLine {
    pub(super) text: String,
    pub(super) size: f64,
    pub(super) x: f64,
    /// The baseline.
    pub(super) y: f64,
    pub(super) is_heading: bool,
}

/// A line with the advance of each character, in ems.
struct Measured {
    characters: Vec<(char, f64)>,
    scale: f64,
}

impl Block {
    /// The largest letters with which everything stands in its place.
    pub(super) fn fit(lines: &[String], font: &ShownFont<'_>, place: Place) -> Result<Self, SealError> {
        let has_heading = lines.iter().filter(|line| !line.trim().is_empty()).count() > 1;
        let first = lines.iter().position(|line| !line.trim().is_empty());
        let is_heading = |index: usize| has_heading && first == Some(index);
        let measured: Vec<Measured> = lines
            .iter()
            .enumerate()
            .map(|(index, line)| Measured {
                characters: line
                    .trim()
                    .chars()
                    .map(|character| (character, font.advance(character)))
                    .collect(),
                scale: if is_heading(index) { HEADING } else { 1.0 },
            })
            .collect();
        let whole = sizes().find(|size| {
            let widest = measured.iter().map(|line| line.width() * line.scale * size).fold(0.0, f64::max);
            widest <= place.width && height(measured.iter(), *size) <= place.height
        });
        let comfortable = whole.filter(|size| *size >= COMFORTABLE);
        let (size, broken) = match comfortable {
            Some(size) => (size, broken(&measured, size, place)),
            None => sizes()
                .map(|size| (size, broken(&measured, size, place)))
                .find(|(_, lines)| lines.is_some())
                .unwrap_or((SMALLEST, None)),
        };
        let Some(broken) = broken else {
            return Err(SealError::DoesNotFit {
                width: place.width,
                height: place.height,
                smallest: SMALLEST,
            });
        };
        Ok(Self::set(&broken, size, font, place, has_heading))
    }

    fn set(lines: &[Measured], size: f64, font: &ShownFont<'_>, place: Place, has_heading: bool) -> Self {
        let above = (place.height - height(lines.iter(), size)) / 2.0;
        let mut top = place.y + place.height - above;
        let mut set = Vec::with_capacity(lines.len());
        for line in lines {
            let own_size = size * line.scale;
            if line.characters.is_empty() {
                top -= size * DISTANCE;
                continue;
            }
            let free = place.width - line.width() * own_size;
            let x = if place.flush_left { place.x } else { place.x + free / 2.0 };
            // The letters stand in the middle of what is between the lines.
            let y = top - own_size * (LEADING + font.height_of_letters()) / 2.0;
            top -= own_size * LEADING;
            let text = line.characters.iter().map(|(character, _)| character).collect();
            let is_heading = has_heading && line.scale > 1.0;
            set.push(SetLine { text, size: own_size, x, y, is_heading });
        }
        Self { lines: set }
    }
}

fn sizes() -> impl Iterator<Item = f64> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // 126
    let steps = ((LARGEST - SMALLEST) / STEP) as u32;
    (0..=steps).map(|step| LARGEST - f64::from(step) * STEP)
}

fn height<'a>(lines: impl Iterator<Item = &'a Measured>, size: f64) -> f64 {
    lines.map(|line| size * if line.characters.is_empty() { DISTANCE } else { line.scale * LEADING }).sum()
}

/// The lines broken so that they are not wider than the place; `None` where a word is, or all are higher than it.
fn broken(lines: &[Measured], size: f64, place: Place) -> Option<Vec<Measured>> {
    let mut all = Vec::with_capacity(lines.len());
    for line in lines {
        line.break_at(place.width / (size * line.scale), &mut all)?;
    }
    (height(all.iter(), size) <= place.height).then_some(all)
}

impl Measured {
    fn width(&self) -> f64 {
        self.characters.iter().map(|(_, advance)| advance).sum()
    }

    /// Breaks after as many characters as fit; spaces at the break are left out.
    fn break_at(&self, most: f64, out: &mut Vec<Self>) -> Option<()> {
        let mut rest = self.characters.as_slice();
        loop {
            let (mut width, mut end, mut last_break) = (0.0, rest.len(), None);
            for (at, (character, advance)) in rest.iter().enumerate() {
                let before = at.checked_sub(1).and_then(|before| rest.get(before));
                if before.is_some_and(|(before, _)| may_break(*before, *character)) {
                    last_break = Some(at);
                }
                width += advance;
                // A space may stand out: it is not seen.
                if width > most + 1e-9 && !is_space(*character) {
                    end = last_break?;
                    break;
                }
            }
            let (now, later) = rest.split_at_checked(end)?;
            let seen =
                now.iter().rposition(|(character, _)| !is_space(*character)).map_or(0, |last| last + 1);
            out.push(Self { characters: now.get(..seen)?.to_vec(), scale: self.scale });
            if later.is_empty() {
                return Some(());
            }
            rest = later;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Measured {
        Measured { characters: text.chars().map(|character| (character, 1.0)).collect(), scale: 1.0 }
    }

    fn lines_of(text: &str, most: f64) -> Option<Vec<String>> {
        let mut out = Vec::new();
        line(text).break_at(most, &mut out)?;
        Some(
            out.iter().map(|line| line.characters.iter().map(|(character, _)| character).collect()).collect(),
        )
    }

    #[test]
    fn lines_are_broken_where_it_is_allowed() {
        assert_eq!(lines_of("one two three", 7.0).unwrap(), ["one two", "three"]);
        assert_eq!(lines_of("one two three", 6.5).unwrap(), ["one", "two", "three"]);
        assert_eq!(lines_of("one two three", 4.0), None);
        assert_eq!(lines_of("中华人民共和国", 3.0).unwrap(), ["中华人", "民共和", "国"]);
        assert_eq!(lines_of("中华人。民共", 3.0).unwrap(), ["中华", "人。民", "共"]);
        assert_eq!(lines_of("", 3.0).unwrap(), [""]);
    }
}
