//! Base64 as mail carries it (RFC 2045 section 6.8): written in lines, read whatever stands between them; both as a stream.
use std::io::{self, Read, Write};

use base64_simd::{AsOut, STANDARD, STANDARD_NO_PAD};
use zeroize::Zeroizing;

use super::transfer_encoding::TransferEncodingError;

/// A line of 76 characters holds 57 octets.
const OCTETS_PER_LINE: usize = 57;
const LINE: usize = 76;
/// What is encoded at once: whole lines.
const BLOCK: usize = OCTETS_PER_LINE * 512;
/// What is read at once.
const WINDOW: usize = 64 * 1024;

/// Writes base64 in lines of 76 characters, each with CRLF. [`Base64Writer::finish`] writes the last one.
pub struct Base64Writer<W: Write> {
    out: W,
    pending: Zeroizing<Vec<u8>>,
    encoded: Zeroizing<Vec<u8>>,
    lines: Zeroizing<Vec<u8>>,
}

impl<W: Write> Base64Writer<W> {
    /// Encodes into `out`.
    pub fn new(out: W) -> Self {
        Self {
            out,
            pending: Zeroizing::new(Vec::with_capacity(BLOCK)),
            encoded: Zeroizing::new(vec![0; STANDARD.encoded_length(BLOCK)]),
            lines: Zeroizing::new(Vec::with_capacity(BLOCK / OCTETS_PER_LINE * (LINE + 2))),
        }
    }

    /// Writes what is left, and the padding.
    ///
    /// # Errors
    /// Those of the writer below.
    pub fn finish(mut self) -> io::Result<W> {
        let pending = std::mem::take(&mut *self.pending);
        self.write_block(&Zeroizing::new(pending))?;
        Ok(self.out)
    }

    /// A block is at most [`BLOCK`] octets long; only the last one has a line that is not full.
    fn write_block(&mut self, block: &[u8]) -> io::Result<()> {
        let encoded = STANDARD.encode(block, self.encoded.as_mut_slice().as_out());
        self.lines.clear();
        let (full, rest) = encoded.as_chunks::<LINE>();
        for line in full {
            self.lines.extend_from_slice(line);
            self.lines.extend_from_slice(b"\r\n");
        }
        if !rest.is_empty() {
            self.lines.extend_from_slice(rest);
            self.lines.extend_from_slice(b"\r\n");
        }
        self.out.write_all(&self.lines)
    }
}

impl<W: Write> Write for Base64Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.pending.is_empty()
            && let Some(block) = bytes.get(..BLOCK)
        {
            self.write_block(block)?;
            return Ok(BLOCK);
        }
        let taken = bytes.len().min(BLOCK - self.pending.len());
        self.pending.extend_from_slice(bytes.get(..taken).unwrap_or_default());
        if self.pending.len() == BLOCK {
            let mut block = std::mem::take(&mut self.pending);
            self.write_block(&block)?;
            block.clear();
            self.pending = block;
        }
        Ok(taken)
    }

    /// Only whole blocks go out before the end.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Reads base64: what RFC 2045 section 6.8 tells decoders to ignore is passed over, the padding ends it.
pub struct Base64Reader<R: Read> {
    source: R,
    window: Zeroizing<Vec<u8>>,
    /// Characters of the alphabet that are still to be decoded: fewer than four between two windows.
    characters: Zeroizing<Vec<u8>>,
    decoded: Zeroizing<Vec<u8>>,
    given: usize,
    has_ended: bool,
}

impl<R: Read> Base64Reader<R> {
    /// Decodes what `source` has.
    pub fn new(source: R) -> Self {
        Self {
            source,
            window: Zeroizing::new(vec![0; WINDOW]),
            characters: Zeroizing::new(Vec::with_capacity(WINDOW + 4)),
            decoded: Zeroizing::new(Vec::with_capacity(WINDOW)),
            given: 0,
            has_ended: false,
        }
    }

    fn decode_window(&mut self) -> io::Result<()> {
        let mut window = std::mem::take(&mut self.window);
        let read = self.source.read(&mut window);
        let decoded = read.and_then(|read| self.decode(window.get(..read).unwrap_or_default()));
        self.window = window;
        decoded
    }

    /// Decodes the next octets of the source; none mean that there are no more.
    fn decode(&mut self, window: &[u8]) -> io::Result<()> {
        let left = self.characters.len();
        push_lines(window, &mut self.characters);
        self.has_ended = window.is_empty();
        // Well-formed lines need one look; anything else is sorted out character by character.
        if self.decode_characters().is_err() {
            self.characters.truncate(left);
            let characters = window.split(|&byte| byte == b'=').next().unwrap_or_default();
            self.has_ended |= characters.len() < window.len();
            self.characters.extend(characters.iter().filter(|&&byte| is_of_alphabet(byte)));
            self.decode_characters().map_err(|()| damaged())?;
        }
        Ok(())
    }

    /// Decodes whole groups of four, at the end also the last incomplete one.
    fn decode_characters(&mut self) -> Result<(), ()> {
        let whole = match self.has_ended {
            true => self.characters.len(),
            false => self.characters.len() / 4 * 4,
        };
        let (groups, left) = self.characters.split_at(whole);
        if !left.iter().all(|&byte| is_of_alphabet(byte)) {
            return Err(());
        }
        self.given = 0;
        self.decoded.clear();
        self.decoded.resize(STANDARD_NO_PAD.estimated_decoded_length(groups.len()), 0);
        let length = STANDARD_NO_PAD
            .decode(groups, self.decoded.as_mut_slice().as_out())
            .map_or(Err(()), |decoded| Ok(decoded.len()));
        self.decoded.truncate(length.unwrap_or(0));
        length?;
        self.characters.drain(..whole);
        Ok(())
    }
}

impl<R: Read> Read for Base64Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.decoded.len() {
            if self.has_ended || buffer.is_empty() {
                return Ok(0);
            }
            self.decode_window()?;
        }
        let rest = self.decoded.get(self.given..).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        let (given, _) = rest.split_at(length);
        buffer.get_mut(..length).unwrap_or_default().copy_from_slice(given);
        self.given += length;
        Ok(length)
    }
}

/// Everything but the line ends.
fn push_lines(window: &[u8], characters: &mut Vec<u8>) {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', window) {
        let line = window.get(start..end).unwrap_or_default();
        characters.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
        start = end + 1;
    }
    let line = window.get(start..).unwrap_or_default();
    characters.extend_from_slice(line.strip_suffix(b"\r").unwrap_or(line));
}

fn is_of_alphabet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, TransferEncodingError::Base64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its octets in pieces of a few sizes.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = self.1 * 5 % 97 + 1;
            let length = self.1.min(self.0.len()).min(buffer.len());
            let (given, rest) = self.0.split_at(length);
            buffer[..length].copy_from_slice(given);
            self.0 = rest;
            Ok(length)
        }
    }

    fn encoded(content: &[u8], piece: usize) -> Vec<u8> {
        let mut writer = Base64Writer::new(Vec::new());
        content.chunks(piece).for_each(|piece| writer.write_all(piece).unwrap());
        writer.finish().unwrap()
    }

    fn decoded(text: &[u8]) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        Base64Reader::new(Pieces(text, 3)).read_to_end(&mut content).map(|_| content)
    }

    #[test]
    fn lines_have_76_characters_however_they_are_written() {
        let content: Vec<u8> = (0..100_000_u32).map(|n| u8::try_from(n * 31 % 251).unwrap()).collect();
        for length in [0, 1, 56, 57, 58, BLOCK - 1, BLOCK, BLOCK + 1, content.len()] {
            let content = &content[..length];
            let whole = encoded(content, content.len().max(1));
            assert_eq!(encoded(content, 1_000), whole, "{length}");
            let lines: Vec<&str> = std::str::from_utf8(&whole).unwrap().split_terminator("\r\n").collect();
            assert!(lines.iter().rev().skip(1).all(|line| line.len() == LINE), "{length}");
            assert!(lines.iter().all(|line| (1..=LINE).contains(&line.len())), "{length}");
            assert_eq!(decoded(&whole).unwrap(), content, "{length}");
        }
    }

    #[test]
    fn what_does_not_belong_is_passed_over_wherever_it_stands() {
        let content: Vec<u8> = (0..=255).cycle().take(10_000).collect();
        let clean = encoded(&content, 10_000);
        for foreign in [&b"\n"[..], b"\r", b" \t", b"-", b"\x00\xFF", b"!!\r\n\r\n"] {
            let mut text = Vec::new();
            for piece in clean.chunks(37) {
                text.extend_from_slice(piece);
                text.extend_from_slice(foreign);
            }
            assert_eq!(decoded(&text).unwrap(), content, "{foreign:?}");
        }
        assert_eq!(decoded(b"SGVsbG8=\r\nSGVsbG8=\r\n-- footer").unwrap(), b"Hello");
        assert_eq!(decoded(b"SGVsbG8").unwrap(), b"Hello");
    }

    #[test]
    fn half_an_octet_is_damage() {
        for text in [&b"A"[..], b"SGVsA", b"SGVsA=\r\n", b"SGVsbG9="] {
            let problem = decoded(text).unwrap_err();
            assert_eq!(problem.kind(), io::ErrorKind::InvalidData, "{text:?}");
        }
    }
}
