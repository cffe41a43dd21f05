//! Tokens as values and indirect objects (ISO 32000-2 section 7.3).
use std::ops::Range;

use super::error::PdfError;
use super::lexer::{Lexer, Token, is_white_space};
use super::object::{Dictionary, Name, Object, Reference, Stream};
use crate::content::Content;

/// How deep values may lie in one another.
const MOST_LEVELS: usize = 128;
/// How many values one indirect object may have.
const MOST_VALUES: usize = 500_000;

/// How much white space may stand between stream data and `endstream`.
const MOST_PADDING: usize = 16;

/// `N G obj … endobj` (section 7.3.10).
pub(super) struct Indirect {
    pub(super) reference: Reference,
    pub(super) object: Object,
    /// From the first digit of the object number to the end of `endobj`.
    pub(super) span: Range<u64>,
}

/// Reads values from a lexer.
pub(super) struct Parser<'l, 'c> {
    lexer: &'l mut Lexer<'c>,
    values: usize,
}

impl<'l, 'c> Parser<'l, 'c> {
    pub(super) fn new(lexer: &'l mut Lexer<'c>) -> Self {
        Self { lexer, values: 0 }
    }

    /// The next value.
    pub(super) fn value(&mut self) -> Result<Object, PdfError> {
        self.value_at(0)
    }

    fn value_at(&mut self, level: usize) -> Result<Object, PdfError> {
        self.lexer.skip_white_space()?;
        let at = self.lexer.offset();
        let token = self.lexer.token()?;
        self.value_of(token, at, level)
    }

    fn value_of(&mut self, token: Token, at: u64, level: usize) -> Result<Object, PdfError> {
        if level > MOST_LEVELS {
            return Err(PdfError::TooDeep { at, what: "a value", most: MOST_LEVELS });
        }
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(PdfError::TooMany { at, what: "values in one object", most: MOST_VALUES as u64 });
        }
        Ok(match token {
            Token::Integer(value) => match self.reference_after(value)? {
                Some(reference) => Object::Reference(reference),
                None => Object::Integer(value),
            },
            Token::Real(real) => Object::Real(real),
            Token::Name(name) => Object::Name(name),
            Token::String(octets) => Object::String(octets),
            Token::ArrayStart => Object::Array(self.array(level)?),
            Token::DictionaryStart => Object::Dictionary(self.dictionary(at, level)?),
            Token::Keyword(word) => match &word[..] {
                b"true" => Object::Boolean(true),
                b"false" => Object::Boolean(false),
                b"null" => Object::Null,
                _ => {
                    let word = String::from_utf8_lossy(&word);
                    return Err(PdfError::damaged(at, format!("{word:?} stands where a value belongs")));
                }
            },
            Token::ArrayEnd | Token::DictionaryEnd => {
                return Err(PdfError::damaged(at, "something ends that was not begun"));
            }
            Token::End => return Err(PdfError::damaged(at, "the file ends where a value belongs")),
        })
    }

    /// Whether generation number and `R` follow an object number.
    fn reference_after(&mut self, number: i64) -> Result<Option<Reference>, PdfError> {
        let Ok(number) = u32::try_from(number) else { return Ok(None) };
        let after = self.lexer.offset();
        self.lexer.skip_white_space()?;
        if self.lexer.peek()?.is_some_and(|octet| octet.is_ascii_digit())
            && let Token::Integer(generation) = self.lexer.token()?
            && let Ok(generation) = u16::try_from(generation)
        {
            self.lexer.skip_white_space()?;
            if self.lexer.peek()? == Some(b'R') && self.lexer.token()?.is("R") {
                return Ok(Some(Reference { number, generation }));
            }
        }
        self.lexer.seek(after);
        Ok(None)
    }

    fn array(&mut self, level: usize) -> Result<Vec<Object>, PdfError> {
        let mut elements = Vec::new();
        loop {
            self.lexer.skip_white_space()?;
            let at = self.lexer.offset();
            match self.lexer.token()? {
                Token::ArrayEnd => return Ok(elements),
                token => elements.push(self.value_of(token, at, level + 1)?),
            }
        }
    }

    fn dictionary(&mut self, start: u64, level: usize) -> Result<Dictionary, PdfError> {
        let mut entries = Vec::new();
        while let Some(key) = self.key()? {
            entries.push((key, self.value_at(level + 1)?));
        }
        Dictionary::from_entries(entries).map_err(|key| twice(start, &key))
    }

    /// The next key of a dictionary, or none when it ends.
    fn key(&mut self) -> Result<Option<Name>, PdfError> {
        self.lexer.skip_white_space()?;
        let at = self.lexer.offset();
        match self.lexer.token()? {
            Token::DictionaryEnd => Ok(None),
            Token::Name(name) => Ok(Some(name)),
            _ => Err(PdfError::damaged(at, "a dictionary has something that is no key")),
        }
    }

    /// The octets of the values of one key of a dictionary that begins here.
    pub(super) fn value_span(&mut self, wanted: &str) -> Result<Option<Range<u64>>, PdfError> {
        self.lexer.skip_white_space()?;
        let start = self.lexer.offset();
        if self.lexer.token()? != Token::DictionaryStart {
            return Ok(None);
        }
        let mut found = None;
        while let Some(key) = self.key()? {
            self.lexer.skip_white_space()?;
            let at = self.lexer.offset();
            let value = self.value_at(1)?;
            if !key.is(wanted) {
                continue;
            }
            if found.is_some() {
                return Err(twice(start, &key));
            }
            let is_direct = !matches!(value, Object::Reference(_) | Object::Null);
            found = Some(is_direct.then(|| at..self.lexer.offset()));
        }
        Ok(found.flatten())
    }

    /// The beginning of an indirect object; the offset is that of its first digit.
    pub(super) fn header(&mut self) -> Result<(Reference, u64), PdfError> {
        self.lexer.skip_white_space()?;
        let at = self.lexer.offset();
        let (number, generation) = (self.lexer.token()?, self.lexer.token()?);
        match (number, generation, self.lexer.token()?) {
            (Token::Integer(number), Token::Integer(generation), keyword) if keyword.is("obj") => {
                let (number, generation) = (u32::try_from(number), u16::try_from(generation));
                if let (Ok(number), Ok(generation)) = (number, generation) {
                    return Ok((Reference { number, generation }, at));
                }
                Err(PdfError::damaged(at, "an object has a number that cannot be"))
            }
            _ => Err(PdfError::damaged(at, "no object begins here")),
        }
    }

    /// An indirect object; `length` finds the number that a stream's `/Length` refers to.
    pub(super) fn indirect(
        &mut self,
        length: &dyn Fn(Reference) -> Result<Object, PdfError>,
    ) -> Result<Indirect, PdfError> {
        let (reference, start) = self.header()?;
        let value = self.value()?;
        self.lexer.skip_white_space()?;
        let at = self.lexer.offset();
        let keyword = self.lexer.token()?;
        let object = match value {
            Object::Dictionary(dictionary) if keyword.is("stream") => {
                let stream = self.stream(dictionary, length)?;
                self.expect("endobj", reference)?;
                Object::Stream(stream)
            }
            _ if !keyword.is("endobj") => {
                return Err(PdfError::damaged(at, format!("{reference} has no endobj here")));
            }
            value => value,
        };
        Ok(Indirect { reference, object, span: start..self.lexer.offset() })
    }

    /// After the keyword `stream` (section 7.3.8.1).
    fn stream(
        &mut self,
        dictionary: Dictionary,
        length: &dyn Fn(Reference) -> Result<Object, PdfError>,
    ) -> Result<Stream, PdfError> {
        let at = self.lexer.offset();
        if !self.lexer.take_end_of_line()? {
            return Err(PdfError::damaged(at, "no end of line follows the keyword stream"));
        }
        let start = self.lexer.offset();
        let octets = match dictionary.get("Length") {
            Some(Object::Reference(reference)) => length(*reference)?.as_integer(),
            value => value.and_then(Object::as_integer),
        };
        let end = octets.and_then(|octets| start.checked_add(u64::try_from(octets).ok()?));
        let Some(end) = end.filter(|end| *end <= self.lexer.content().len()) else {
            return Err(PdfError::damaged(at, "a stream has a /Length that cannot be"));
        };
        self.lexer.skip_to(end);
        // Some writers leave several line ends; a comment would be data to those who look for the keyword instead.
        for _ in 0..MOST_PADDING {
            if !self.lexer.peek()?.is_some_and(is_white_space) {
                break;
            }
            self.lexer.next()?;
        }
        if self.lexer.peek()? != Some(b'e') || !self.lexer.token()?.is("endstream") {
            return Err(PdfError::damaged(end, "a stream does not end where its /Length says"));
        }
        Ok(Stream { dictionary, data: self.lexer.content().slice(start..end) })
    }

    fn expect(&mut self, keyword: &str, of: Reference) -> Result<(), PdfError> {
        self.lexer.skip_white_space()?;
        let at = self.lexer.offset();
        if self.lexer.token()?.is(keyword) {
            return Ok(());
        }
        Err(PdfError::damaged(at, format!("{of} has no {keyword} here")))
    }
}

impl Object {
    /// A single value, as it stands in a file; a stream is none.
    ///
    /// # Errors
    /// It is damaged, or something follows it.
    pub fn parse(octets: &[u8]) -> Result<Self, PdfError> {
        let content = Content::from_vec(octets.to_vec());
        let mut lexer = Lexer::new(&content, 0);
        let value = Parser::new(&mut lexer).value()?;
        lexer.skip_white_space()?;
        let at = lexer.offset();
        match lexer.token()? {
            Token::End => Ok(value),
            _ => Err(PdfError::damaged(at, "something follows where nothing may")),
        }
    }
}

/// Two readers may take different values.
fn twice(at: u64, key: &Name) -> PdfError {
    PdfError::damaged(at, format!("a dictionary has the key {key:?} twice, so it can be read in two ways"))
}
