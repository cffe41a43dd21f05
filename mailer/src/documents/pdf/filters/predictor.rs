//! Predictors of FlateDecode and LZWDecode (ISO 32000-2 section 7.4.4.4): TIFF 6.0 and PNG.
use std::io::{self, Read};

use super::super::error::PdfError;
use super::super::object::{Dictionary, Object};
use super::{Resolve, invalid};

/// The longest row.
const MOST_ROW: usize = 4 << 20;
/// The most colours of one sample: Annex C's limit of DeviceN.
const MOST_COLORS: usize = 32;

/// The octets as they were before prediction; none when the parameters cannot be.
pub(super) fn reader(
    source: Box<dyn Read>,
    parameters: &Dictionary,
    resolve: &Resolve<'_>,
) -> Result<Option<Box<dyn Read>>, PdfError> {
    let number = |key, absent| -> Result<Option<usize>, PdfError> {
        Ok(match resolve(parameters.get(key).unwrap_or(&Object::Null))? {
            Object::Null => Some(absent),
            value => value.as_integer().and_then(|value| usize::try_from(value).ok()),
        })
    };
    let predictor = number("Predictor", 1)?;
    if predictor == Some(1) {
        return Ok(Some(source));
    }
    let numbers = (number("Colors", 1)?, number("BitsPerComponent", 8)?, number("Columns", 1)?);
    let (Some(predictor), (Some(colors), Some(bits), Some(columns))) = (predictor, numbers) else {
        return Ok(None);
    };
    let kind = match predictor {
        2 => Kind::Tiff,
        10..=15 => Kind::Png,
        _ => return Ok(None),
    };
    let row_bits = colors.checked_mul(bits).and_then(|sample| sample.checked_mul(columns));
    let row = row_bits.map(|bits| bits.div_ceil(8)).filter(|row| (1..=MOST_ROW).contains(row));
    let (Some(row), true) = (row, colors <= MOST_COLORS && [1, 2, 4, 8, 16].contains(&bits)) else {
        return Ok(None);
    };
    let sample = (colors * bits).div_ceil(8);
    let (current, previous) = (vec![0; row], vec![0; row]);
    Ok(Some(Box::new(Rows { source, kind, colors, columns, bits, sample, current, previous, given: row })))
}

#[derive(Clone, Copy)]
enum Kind {
    Tiff,
    Png,
}

struct Rows {
    source: Box<dyn Read>,
    kind: Kind,
    colors: usize,
    columns: usize,
    bits: usize,
    /// Octets of one sample of all colours.
    sample: usize,
    current: Vec<u8>,
    previous: Vec<u8>,
    given: usize,
}

impl Read for Rows {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.given == self.current.len() && !self.next_row()? {
            return Ok(0);
        }
        let read = self.current.get(self.given..).unwrap_or_default().read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

impl Rows {
    fn next_row(&mut self) -> io::Result<bool> {
        std::mem::swap(&mut self.current, &mut self.previous);
        let mut algorithm = [0];
        if matches!(self.kind, Kind::Png) && self.source.read(&mut algorithm)? == 0 {
            return Ok(false);
        }
        let read = read_full(&mut self.source, &mut self.current)?;
        match (read == self.current.len(), self.kind) {
            (true, _) => {}
            (false, Kind::Tiff) if read == 0 => return Ok(false),
            (false, _) => return Err(invalid("the last row is not complete")),
        }
        self.given = 0;
        match self.kind {
            Kind::Tiff => self.undo_tiff(),
            Kind::Png => self.undo_png(algorithm[0])?,
        }
        Ok(true)
    }

    /// Each sample was written as the difference to the one before it, of the same colour.
    fn undo_tiff(&mut self) {
        let mut before = vec![0_u16; self.colors];
        let mask = u16::MAX >> (16 - self.bits);
        for index in 0..self.colors * self.columns {
            let (octet, shift) = (index * self.bits / 8, 8 - self.bits.min(8) - index * self.bits % 8);
            let color = index % self.colors;
            let (Some(last), Some(octets)) = (before.get_mut(color), self.current.get_mut(octet..)) else {
                return;
            };
            match (self.bits, octets) {
                (16, [high, low, ..]) => {
                    *last = last.wrapping_add(u16::from_be_bytes([*high, *low]));
                    [*high, *low] = last.to_be_bytes();
                }
                (_, [octet, ..]) => {
                    *last = last.wrapping_add(u16::from(*octet) >> shift) & mask;
                    let [_, value] = (*last << shift).to_be_bytes();
                    let [_, mask] = (mask << shift).to_be_bytes();
                    *octet = *octet & !mask | value;
                }
                _ => return,
            }
        }
    }

    /// PNG filters of the row (RFC 2083 section 6).
    fn undo_png(&mut self, algorithm: u8) -> io::Result<()> {
        if algorithm > 4 {
            return Err(invalid("a row has a PNG filter that does not exist"));
        }
        for index in 0..self.current.len() {
            let left = index.checked_sub(self.sample);
            let at = |row: &[u8], index: Option<usize>| index.and_then(|i| row.get(i)).copied().unwrap_or(0);
            let (a, b, c) =
                (at(&self.current, left), at(&self.previous, Some(index)), at(&self.previous, left));
            let predicted = match algorithm {
                0 => 0,
                1 => a,
                2 => b,
                3 => u8::midpoint(a, b),
                _ => paeth(a, b, c),
            };
            if let Some(octet) = self.current.get_mut(index) {
                *octet = octet.wrapping_add(predicted);
            }
        }
        Ok(())
    }
}

fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let estimate = i16::from(left) + i16::from(above) - i16::from(corner);
    let distance = |octet: u8| (estimate - i16::from(octet)).abs();
    let (a, b, c) = (distance(left), distance(above), distance(corner));
    if a <= b && a <= c {
        left
    } else if b <= c {
        above
    } else {
        corner
    }
}

fn read_full(source: &mut dyn Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while let Some(rest) = buffer.get_mut(read..).filter(|rest| !rest.is_empty()) {
        match source.read(rest)? {
            0 => break,
            more => read += more,
        }
    }
    Ok(read)
}
