//! Octets of a file as tokens (ISO 32000-2 section 7.2), read through a small window from any offset.
use std::io::Read;

use super::error::PdfError;
use super::object::{Name, Real};
use crate::content::Content;

/// How much is read at once, at first and at most.
const FIRST_WINDOW: u64 = 512;
const MOST_WINDOW: u64 = 16 << 10;
/// The most octets that one indirect object may have before its stream data.
const MOST_TEXT: u64 = 32 << 20;
/// The longest number or keyword.
const MOST_REGULAR: usize = 64;
/// The longest name; Annex C has 127.
const MOST_NAME: usize = 4096;

/// A token (section 7.2.3); names and strings are decoded.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Integer(i64),
    Real(Real),
    Name(Name),
    String(Vec<u8>),
    ArrayStart,
    ArrayEnd,
    DictionaryStart,
    DictionaryEnd,
    /// Any other run of regular characters: `obj`, `true`, `R`.
    Keyword(Vec<u8>),
    /// There is nothing more.
    End,
}

impl Token {
    /// Whether it is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Keyword(found) if found == keyword.as_bytes())
    }
}

/// Reads tokens from an offset onwards.
pub(super) struct Lexer<'c> {
    content: &'c Content,
    window: Vec<u8>,
    /// Offset of the window's first octet.
    start: u64,
    position: usize,
    /// Offset from which nothing more is read: a bound for comments, strings and holes.
    limit: u64,
}

impl<'c> Lexer<'c> {
    pub(super) fn new(content: &'c Content, offset: u64) -> Self {
        let limit = offset.saturating_add(MOST_TEXT);
        Self { content, window: Vec::new(), start: offset, position: 0, limit }
    }

    /// The file that is read.
    pub(super) fn content(&self) -> &'c Content {
        self.content
    }

    /// Offset of the next octet.
    pub(super) fn offset(&self) -> u64 {
        self.start + self.position as u64
    }

    /// Goes on at another offset.
    pub(super) fn seek(&mut self, offset: u64) {
        let inside = offset.checked_sub(self.start).and_then(|inside| usize::try_from(inside).ok());
        match inside.filter(|inside| *inside <= self.window.len()) {
            Some(inside) => self.position = inside,
            None => {
                self.window.clear();
                (self.start, self.position) = (offset, 0);
            }
        }
    }

    /// The same, past stream data: what follows has its own bound.
    pub(super) fn skip_to(&mut self, offset: u64) {
        self.seek(offset);
        self.limit = offset.saturating_add(MOST_TEXT);
    }

    /// The next octet, which stays the next.
    #[inline]
    pub(super) fn peek(&mut self) -> Result<Option<u8>, PdfError> {
        match self.window.get(self.position) {
            Some(octet) => Ok(Some(*octet)),
            None => self.refill(),
        }
    }

    /// Reads a window from here, longer each time: most objects are short.
    #[cold]
    fn refill(&mut self) -> Result<Option<u8>, PdfError> {
        let offset = self.offset();
        if offset >= self.limit {
            let (what, most) = ("an object without its stream", MOST_TEXT);
            return Err(PdfError::TooLarge { at: offset, what, most });
        }
        let length = (2 * self.window.len() as u64).clamp(FIRST_WINDOW, MOST_WINDOW);
        let end = offset.saturating_add(length).min(self.limit).min(self.content.len());
        let length = usize::try_from(end.saturating_sub(offset)).unwrap_or_default();
        self.window.resize(length, 0);
        (self.start, self.position) = (offset, 0);
        self.content.slice(offset..end).reader().read_exact(&mut self.window)?;
        Ok(self.window.first().copied())
    }

    /// The next octet, which is gone then.
    pub(super) fn next(&mut self) -> Result<Option<u8>, PdfError> {
        let octet = self.peek()?;
        self.position += usize::from(octet.is_some());
        Ok(octet)
    }

    /// Takes the next octet if it is this one.
    pub(super) fn take(&mut self, wanted: u8) -> Result<bool, PdfError> {
        let found = self.peek()? == Some(wanted);
        self.position += usize::from(found);
        Ok(found)
    }

    /// Takes these octets if they come next.
    pub(super) fn take_all(&mut self, wanted: &[u8]) -> Result<bool, PdfError> {
        let offset = self.offset();
        for octet in wanted {
            if !self.take(*octet)? {
                self.seek(offset);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes one end-of-line marker, if there is one: CR LF, LF or CR.
    pub(super) fn take_end_of_line(&mut self) -> Result<bool, PdfError> {
        let carriage_return = self.take(b'\r')?;
        Ok(self.take(b'\n')? || carriage_return)
    }

    /// Passes white space and comments (sections 7.2.3, 7.2.4).
    pub(super) fn skip_white_space(&mut self) -> Result<(), PdfError> {
        while let Some(octet) = self.peek()? {
            match octet {
                b'%' => {
                    while !matches!(self.peek()?, None | Some(b'\r' | b'\n')) {
                        self.position += 1;
                    }
                }
                octet if is_white_space(octet) => self.position += 1,
                _ => break,
            }
        }
        Ok(())
    }

    /// The next token, white space before it passed.
    pub(super) fn token(&mut self) -> Result<Token, PdfError> {
        self.skip_white_space()?;
        let at = self.offset();
        let Some(octet) = self.peek()? else { return Ok(Token::End) };
        if is_regular(octet) {
            return self.number_or_keyword(at);
        }
        self.position += 1;
        Ok(match octet {
            b'/' => Token::Name(self.name(at)?),
            b'(' => Token::String(self.literal_string(at)?),
            b'<' if self.take(b'<')? => Token::DictionaryStart,
            b'<' => Token::String(self.hexadecimal_string(at)?),
            b'>' if self.take(b'>')? => Token::DictionaryEnd,
            b'[' => Token::ArrayStart,
            b']' => Token::ArrayEnd,
            other => {
                return Err(PdfError::damaged(at, format!("{:?} has no meaning here", char::from(other))));
            }
        })
    }

    fn number_or_keyword(&mut self, at: u64) -> Result<Token, PdfError> {
        let (mut run, mut length) = ([0; MOST_REGULAR], 0);
        while let Some(octet) = self.peek()?.filter(|octet| is_regular(*octet)) {
            let Some(place) = run.get_mut(length) else {
                return Err(PdfError::damaged(at, "a number or keyword has no end"));
            };
            *place = octet;
            length += 1;
            self.position += 1;
        }
        let run = run.get(..length).unwrap_or_default();
        if !run.first().is_some_and(|first| b"+-.0123456789".contains(first)) {
            return Ok(Token::Keyword(run.to_vec()));
        }
        let text = std::str::from_utf8(run).unwrap_or_default();
        text.parse()
            .map(Token::Integer)
            .ok()
            .or_else(|| Real::parse(text).map(Token::Real))
            .ok_or_else(|| PdfError::damaged(at, format!("{:?} is no number", String::from_utf8_lossy(run))))
    }

    /// After the solidus (section 7.3.5).
    fn name(&mut self, at: u64) -> Result<Name, PdfError> {
        let mut name = Vec::new();
        while let Some(octet) = self.peek()?.filter(|octet| is_regular(*octet)) {
            if name.len() == MOST_NAME {
                return Err(PdfError::TooLarge { at, what: "a name", most: MOST_NAME as u64 });
            }
            self.position += 1;
            if octet != b'#' {
                name.push(octet);
                continue;
            }
            let high = self.next()?.and_then(hexadecimal_digit);
            let low = self.next()?.and_then(hexadecimal_digit);
            match high.zip(low).map(|(high, low)| high << 4 | low) {
                Some(decoded) if decoded != 0 => name.push(decoded),
                _ => {
                    return Err(PdfError::damaged(
                        at,
                        "a name has # without two digits that mean a character",
                    ));
                }
            }
        }
        Ok(Name(name))
    }

    /// After the opening parenthesis (section 7.3.4.2).
    fn literal_string(&mut self, at: u64) -> Result<Vec<u8>, PdfError> {
        let (mut string, mut depth) = (Vec::new(), 1_u32);
        loop {
            let Some(octet) = self.next()? else {
                return Err(PdfError::damaged(at, "a string has no end"));
            };
            match octet {
                b'(' => depth += 1,
                b')' if depth == 1 => return Ok(string),
                b')' => depth -= 1,
                b'\\' => {
                    self.escape(&mut string)?;
                    continue;
                }
                // An end of line, however it is written, is one line feed.
                b'\r' => {
                    self.take(b'\n')?;
                    string.push(b'\n');
                    continue;
                }
                _ => {}
            }
            string.push(octet);
        }
    }

    /// After a reverse solidus in a string (Table 3).
    fn escape(&mut self, string: &mut Vec<u8>) -> Result<(), PdfError> {
        let Some(octet) = self.next()? else { return Ok(()) };
        match octet {
            b'n' => string.push(b'\n'),
            b'r' => string.push(b'\r'),
            b't' => string.push(b'\t'),
            b'b' => string.push(0x08),
            b'f' => string.push(0x0C),
            b'0'..=b'7' => {
                let mut code = u16::from(octet - b'0');
                for _ in 0..2 {
                    let Some(digit) = self.peek()?.filter(|octet| (b'0'..=b'7').contains(octet)) else {
                        break;
                    };
                    self.position += 1;
                    code = code << 3 | u16::from(digit - b'0');
                }
                // High-order overflow is ignored.
                string.push(code.to_le_bytes()[0]);
            }
            b'\n' => {}
            b'\r' => {
                self.take(b'\n')?;
            }
            other => string.push(other),
        }
        Ok(())
    }

    /// After `<` (section 7.3.4.3).
    fn hexadecimal_string(&mut self, at: u64) -> Result<Vec<u8>, PdfError> {
        let (mut string, mut half) = (Vec::new(), None);
        loop {
            match self.next()? {
                Some(b'>') => {
                    string.extend(half.map(|high: u8| high << 4));
                    return Ok(string);
                }
                Some(octet) if is_white_space(octet) => {}
                octet => {
                    let Some(digit) = octet.and_then(hexadecimal_digit) else {
                        return Err(PdfError::damaged(
                            at,
                            "a hexadecimal string has something that is no digit",
                        ));
                    };
                    half = match half {
                        None => Some(digit),
                        Some(high) => {
                            string.push(high << 4 | digit);
                            None
                        }
                    };
                }
            }
        }
    }
}

/// Table 1.
pub(super) fn is_white_space(octet: u8) -> bool {
    matches!(octet, 0 | b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

/// Neither white space nor a delimiter (Table 2).
pub(super) fn is_regular(octet: u8) -> bool {
    !is_white_space(octet) && !b"()<>[]{}/%".contains(&octet)
}

pub(super) fn hexadecimal_digit(octet: u8) -> Option<u8> {
    char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &[u8]) -> Result<Vec<Token>, PdfError> {
        let content = Content::from_vec(text.to_vec());
        let mut lexer = Lexer::new(&content, 0);
        let mut found = Vec::new();
        loop {
            match lexer.token()? {
                Token::End => return Ok(found),
                token => found.push(token),
            }
        }
    }

    #[test]
    fn strings_are_decoded_as_the_standard_says() {
        for (written, wanted) in [
            (&b"(a(b)c)"[..], &b"a(b)c"[..]),
            (b"(\\n\\r\\t\\b\\f\\(\\)\\\\\\x)", b"\n\r\t\x08\x0C()\\x"),
            (b"(\\0533\\53\\7\\400)", b"+3+\x07\x00"),
            (b"(one\\\r\ntwo\r\nthree\rfour)", b"onetwo\nthree\nfour"),
            (b"<901FA>", b"\x90\x1F\xA0"),
            (b"< 4 1\r\n42 >", b"AB"),
            (b"<>", b""),
        ] {
            assert_eq!(tokens(written).unwrap(), [Token::String(wanted.to_vec())], "{written:?}");
        }
    }

    #[test]
    fn tokens_end_at_delimiters_and_comments_are_white_space() {
        let found = tokens(b"<</A#42/C%x\r1 -2.5]>>[true<41>+7").unwrap();
        let wanted = [
            Token::DictionaryStart,
            Token::Name(Name::new("AB")),
            Token::Name(Name::new("C")),
            Token::Integer(1),
            Token::Real(Real::parse("-2.5").unwrap()),
            Token::ArrayEnd,
            Token::DictionaryEnd,
            Token::ArrayStart,
            Token::Keyword(b"true".to_vec()),
            Token::String(b"A".to_vec()),
            Token::Integer(7),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn what_has_no_meaning_is_refused_with_its_offset() {
        for (text, at) in [
            (&b"  --5"[..], 2),
            (b"1 99999999999999999999", 2),
            (b" /A#0g", 1),
            (b"/A#00", 0),
            (b"(never ends", 0),
            (b"<4Z>", 0),
            (b"<41", 0),
            (b"1 )", 2),
            (b"{", 0),
            (b" >", 1),
        ] {
            match tokens(text) {
                Err(PdfError::Damaged { at: found, .. }) => assert_eq!(found, at, "{text:?}"),
                other => panic!("{text:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn a_comment_without_end_is_not_followed_for_ever() {
        let file = tempfile::tempfile().unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, b"%", 0).unwrap();
        file.set_len(5 << 30).unwrap();
        let content = Content::from_file(file).unwrap();
        assert!(matches!(Lexer::new(&content, 0).token(), Err(PdfError::TooLarge { .. })));
    }
}
