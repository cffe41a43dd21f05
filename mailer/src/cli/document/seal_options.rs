//! What the signature looks like on the page.
use std::path::PathBuf;

use jiff::Timestamp;

use super::super::input::read_file;
use super::super::report::Failure;
use crate::certificate::Certificate;
use crate::documents::preparation::Placement;
use crate::documents::seal::font::system_folders;
use crate::documents::seal::{Frame, Seal, SealFont, SealImage};
use crate::trust::in_words;

/// Where and how the signature is shown.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct SealOptions {
    /// Show the signature on the page: who signed and when
    #[arg(long)]
    seal: bool,
    /// A picture in the seal, PNG or JPEG
    #[arg(long, value_name = "FILE", requires = "seal")]
    image: Option<PathBuf>,
    /// A line of the seal, instead of who and when; repeat for several
    #[arg(long, value_name = "TEXT", requires = "seal")]
    text: Vec<String>,
    /// The font of the seal (TrueType or OpenType) [default: one of the system's that has every character]
    #[arg(long, value_name = "FILE", requires = "seal")]
    font: Option<PathBuf>,
    /// The page of the seal
    #[arg(long, value_name = "NUMBER", default_value_t = 1, requires = "seal")]
    page: u32,
    /// The seal's lower left corner, in points from that of the page
    #[arg(long, value_name = "X,Y", default_value = "36,36", value_parser = pair, requires = "seal")]
    at: Pair,
    /// The seal's width and height in points
    #[arg(long, value_name = "W,H", default_value = "220,72", value_parser = pair, requires = "seal")]
    size: Pair,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Pair([f64; 2]);

fn pair(text: &str) -> Result<Pair, String> {
    const FARTHEST: f64 = 14_400.0;
    let numbers: Option<Vec<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    match numbers.as_deref() {
        Some([x, y]) if [x, y].iter().all(|number| (0.0..=FARTHEST).contains(*number)) => Ok(Pair([*x, *y])),
        _ => Err(format!("two numbers from 0 to {FARTHEST} with a comma are wanted, for example 340,60")),
    }
}

impl SealOptions {
    /// The seal on its page; `None` when none is wanted.
    pub(super) fn placement(
        &self,
        signer: &Certificate,
        reason: Option<&str>,
        at: Timestamp,
    ) -> Result<Option<Placement>, Failure> {
        if !self.seal {
            return Ok(None);
        }
        let failure =
            |error: crate::documents::seal::SealError| Failure::new(error.code(), error.to_string());
        let lines = if self.text.is_empty() { who_and_when(signer, reason, at) } else { self.text.clone() };
        let image = match &self.image {
            Some(path) => Some(SealImage::read(&read_file(path)?).map_err(failure)?),
            None => None,
        };
        let font = match &self.font {
            Some(path) => Some(SealFont::read(read_file(path)?, 0).map_err(failure)?),
            None if lines.is_empty() => None,
            None => {
                let home = directories::BaseDirs::new().map(|folders| folders.home_dir().to_owned());
                let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
                Some(SealFont::find_for(&texts, &system_folders(home.as_deref())).map_err(failure)?)
            }
        };
        let [width, height] = self.size.0;
        let seal = Seal { lines, image, frame: Frame::Thin, width, height, font };
        Ok(Some(Placement { page: self.page, corner: self.at.0, seal }))
    }
}

fn who_and_when(signer: &Certificate, reason: Option<&str>, at: Timestamp) -> Vec<String> {
    let name = signer.subject();
    let mut lines = vec![format!("Signed by {name}")];
    lines.extend(signer.mail_addresses().into_iter().next());
    lines.push(in_words(at));
    lines.extend(reason.map(str::to_owned));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_two_numbers() {
        assert_eq!(pair("340, 60.5"), Ok(Pair([340.0, 60.5])));
        for text in ["", "1", "1,2,3", "-1,0", "x,1", "nan,1", "1e9,1"] {
            assert!(pair(text).is_err(), "{text}");
        }
    }
}
