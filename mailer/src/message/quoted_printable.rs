//! Quoted-printable (RFC 2045 section 6.7), both ways; reading is a stream, and always succeeds.
use std::io::{self, Read};

use zeroize::Zeroizing;

/// What is decoded at once.
const WINDOW: usize = 64 * 1024;

/// Reads quoted-printable (RFC 2045 section 6.7, robustness notes: what is no escape stands for itself).
pub struct QuotedPrintableReader<R: Read> {
    source: R,
    window: Zeroizing<Vec<u8>>,
    decoded: Zeroizing<Vec<u8>>,
    given: usize,
    has_ended: bool,
}

impl<R: Read> QuotedPrintableReader<R> {
    /// Decodes what `source` has.
    pub fn new(source: R) -> Self {
        Self {
            source,
            window: Zeroizing::new(Vec::with_capacity(WINDOW)),
            decoded: Zeroizing::new(Vec::with_capacity(WINDOW)),
            given: 0,
            has_ended: false,
        }
    }

    fn decode_window(&mut self) -> io::Result<()> {
        let room = (WINDOW - self.window.len()) as u64;
        let read = self.source.by_ref().take(room).read_to_end(&mut self.window)?;
        self.has_ended = (read as u64) < room;
        self.given = 0;
        self.decoded.clear();
        let taken = if self.has_ended {
            decode_lines(&self.window, &mut self.decoded);
            self.window.len()
        } else if let Some(end) = memchr::memrchr(b'\n', &self.window) {
            decode_lines(self.window.get(..=end).unwrap_or_default(), &mut self.decoded);
            end + 1
        } else {
            let end = safe_cut(&self.window);
            decode_line(self.window.get(..end).unwrap_or_default(), &mut self.decoded);
            end
        };
        self.window.drain(..taken);
        Ok(())
    }
}

impl<R: Read> Read for QuotedPrintableReader<R> {
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

/// Where an endless line may be cut: not inside an escape, nor among blanks that may turn out to end the line.
fn safe_cut(line: &[u8]) -> usize {
    let text = line.trim_ascii_end();
    let escape = text.iter().rev().take(2).position(|&byte| byte == b'=').map_or(0, |back| back + 1);
    match text.len() - escape {
        // Blanks without end do not end the line.
        0 => line.len(),
        end => end,
    }
}

fn decode_lines(body: &[u8], decoded: &mut Vec<u8>) {
    for line in body.split_inclusive(|&byte| byte == b'\n') {
        let content = line.trim_ascii_end();
        if !line.ends_with(b"\n") {
            decode_line(content, decoded);
        } else if let Some(soft) = content.strip_suffix(b"=") {
            decode_line(soft, decoded);
        } else {
            decode_line(content, decoded);
            decoded.extend_from_slice(if line.ends_with(b"\r\n") { b"\r\n" } else { b"\n" });
        }
    }
}

fn decode_line(mut line: &[u8], decoded: &mut Vec<u8>) {
    while let Some((&byte, rest)) = line.split_first() {
        line = rest;
        if byte == b'='
            && let Some((&[high, low], rest)) = line.split_first_chunk::<2>()
            && let (Some(high), Some(low)) = (hexadecimal(high), hexadecimal(low))
        {
            decoded.push(high << 4 | low);
            line = rest;
        } else {
            decoded.push(byte);
        }
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// Quoted-printable of canonical text (RFC 2045 section 6.7): CRLF stays a line end, `From ` and a lone dot are hidden.
pub fn encode_quoted_printable(text: &[u8]) -> Vec<u8> {
    let mut encoded = Vec::with_capacity(text.len() + text.len() / 8);
    let mut lines = text.split(|&byte| byte == b'\n').peekable();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        let line = if is_last { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
        encode_line(line, &mut encoded);
        if !is_last {
            encoded.extend_from_slice(b"\r\n");
        }
    }
    encoded
}

fn encode_line(line: &[u8], encoded: &mut Vec<u8>) {
    const LONGEST_LINE: usize = 76;
    let hide_first = line.starts_with(b"From ") || line.starts_with(b".");
    let last = line.len().wrapping_sub(1);
    let mut column = 0;
    for (position, &byte) in line.iter().enumerate() {
        let plain = match byte {
            b'=' => false,
            b' ' | b'\t' => position != last,
            0x21..=0x7E => !(position == 0 && hide_first),
            _ => false,
        };
        let width = if plain { 1 } else { 3 };
        // One column stays free for the "=" of a soft line break.
        if column + width > LONGEST_LINE - 1 {
            encoded.extend_from_slice(b"=\r\n");
            column = 0;
        }
        if plain {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(format!("={byte:02X}").as_bytes());
        }
        column += width;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(body: &[u8]) -> Vec<u8> {
        let mut decoded = Vec::new();
        QuotedPrintableReader::new(body).read_to_end(&mut decoded).unwrap();
        decoded
    }

    #[test]
    fn the_example_of_rfc_2045_is_decoded() {
        let body =
            b"Now's the time =\r\nfor all folk to come=\r\n to the aid of their country.  \r\n=E4=f6=zz=";
        assert_eq!(
            decoded(body),
            b"Now's the time for all folk to come to the aid of their country.\r\n\xE4\xF6=zz="
        );
    }

    #[test]
    fn an_endless_line_is_decoded_in_pieces() {
        for filling in ["x", "=41", "=\r\n", " y", "=4"] {
            let body = filling.repeat(WINDOW);
            let mut whole = Vec::new();
            decode_lines(body.as_bytes(), &mut whole);
            assert!(decoded(body.as_bytes()) == whole, "{filling}");
        }
        let blanks = " ".repeat(WINDOW * 2);
        assert_eq!(decoded(format!("a{blanks}b\n").as_bytes()).len(), WINDOW * 2 + 3);
    }
}
