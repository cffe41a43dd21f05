//! RunLengthDecode and LZWDecode (ISO 32000-2 sections 7.4.4 and 7.4.5).
use std::io;

use super::{Source, Step, invalid};

pub(super) struct RunLength;

impl Step for RunLength {
    fn step(&mut self, source: &mut dyn Source, out: &mut Vec<u8>) -> io::Result<bool> {
        let mut octet = || source.octet()?.ok_or_else(|| invalid("a run has no end"));
        match octet() {
            // Writers leave the end-of-data marker out.
            Err(problem) if problem.kind() == io::ErrorKind::InvalidData => Ok(false),
            Err(problem) => Err(problem),
            Ok(128) => Ok(false),
            Ok(length @ 0..=127) => {
                for _ in 0..=length {
                    out.push(octet()?);
                }
                Ok(true)
            }
            Ok(length) => {
                let repeated = octet()?;
                out.extend(std::iter::repeat_n(repeated, 257 - usize::from(length)));
                Ok(true)
            }
        }
    }
}

const CLEAR: usize = 256;
const END: usize = 257;
const MOST_CODES: usize = 4096;

/// Each code stands for that of all octets but the last, and the last.
pub(super) struct Lzw {
    early: bool,
    codes: Vec<(u16, u8)>,
    previous: Option<usize>,
    bits: u32,
    held: u32,
}

impl Lzw {
    pub(super) fn new(early: bool) -> Self {
        Self { early, codes: Vec::new(), previous: None, bits: 0, held: 0 }
    }

    fn width(&self) -> u32 {
        let next = CLEAR + 2 + self.codes.len() + usize::from(self.early);
        match next {
            ..512 => 9,
            512..1024 => 10,
            1024..2048 => 11,
            _ => 12,
        }
    }

    fn code(&mut self, source: &mut dyn Source) -> io::Result<Option<usize>> {
        let width = self.width();
        while self.held < width {
            let Some(octet) = source.octet()? else { return Ok(None) };
            self.bits = self.bits << 8 | u32::from(octet);
            self.held += 8;
        }
        self.held -= width;
        let code = self.bits >> self.held & ((1 << width) - 1);
        Ok(usize::try_from(code).ok())
    }

    /// Appends what a code stands for; its first octet.
    fn expand(&self, code: usize, out: &mut Vec<u8>) -> io::Result<u8> {
        let (start, mut code) = (out.len(), code);
        loop {
            if let Ok(octet) = u8::try_from(code) {
                out.push(octet);
                out.get_mut(start..).unwrap_or_default().reverse();
                return Ok(octet);
            }
            let entry = code.checked_sub(CLEAR + 2).and_then(|code| self.codes.get(code));
            let (prefix, last) = entry.ok_or_else(|| invalid("an LZW code means nothing yet"))?;
            out.push(*last);
            code = usize::from(*prefix);
        }
    }
}

impl Step for Lzw {
    fn step(&mut self, source: &mut dyn Source, out: &mut Vec<u8>) -> io::Result<bool> {
        let code = match self.code(source)? {
            None | Some(END) => return Ok(false),
            Some(CLEAR) => {
                self.codes.clear();
                self.previous = None;
                return Ok(true);
            }
            Some(code) => code,
        };
        let next = CLEAR + 2 + self.codes.len();
        let first = match self.previous {
            // The code that is being made: the previous octets and their first once more.
            Some(previous) if code == next => {
                let first = self.expand(previous, out)?;
                out.push(first);
                first
            }
            _ => self.expand(code, out)?,
        };
        if let Some(previous) = self.previous
            && next < MOST_CODES
        {
            let prefix = u16::try_from(previous).map_err(|_| invalid("an LZW code is too large"))?;
            self.codes.push((prefix, first));
        }
        self.previous = Some(code);
        Ok(true)
    }
}
