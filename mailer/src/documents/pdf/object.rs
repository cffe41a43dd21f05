//! The values that a PDF file is made of (ISO 32000-2 section 7.3).
use crate::content::Content;

/// A value (ISO 32000-2 section 7.3).
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Object {
    /// `null`; also what a reference to nothing means (section 7.3.10).
    #[default]
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// An integer.
    Integer(i64),
    /// A number with a fraction, as it is written.
    Real(Real),
    /// A string: its octets, decoded.
    String(Vec<u8>),
    /// A name.
    Name(Name),
    /// An array.
    Array(Vec<Self>),
    /// A dictionary.
    Dictionary(Dictionary),
    /// A stream: only as an indirect object.
    Stream(Stream),
    /// A reference to an indirect object.
    Reference(Reference),
}

/// A name without its solidus, `#` sequences decoded (section 7.3.5).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(pub Vec<u8>);

/// A number with a fraction: its text, which is kept as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Real(String);

/// Object number and generation number (section 7.3.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    /// Object number; never 0 for an object that exists.
    pub number: u32,
    /// Generation number.
    pub generation: u16,
}

/// Keys and values in the order in which they stand; keys are unique (section 7.3.7).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dictionary(Vec<(Name, Object)>);

/// A dictionary with octets (section 7.3.8), as they stand in the file: filters are not undone.
#[derive(Clone, Debug)]
pub struct Stream {
    /// Its dictionary; `/Length` is right when it is written, whatever stands here.
    pub dictionary: Dictionary,
    /// The encoded octets: a view, nothing is copied.
    pub data: Content,
}

impl Name {
    /// From text.
    pub fn new(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }

    /// Whether it is this text.
    pub fn is(&self, text: &str) -> bool {
        self.0 == text.as_bytes()
    }

    /// As text, what is not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0).into_owned()
    }
}

impl std::fmt::Debug for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "/{}", self.text())
    }
}

impl Real {
    /// The text of a number with a fraction: an optional sign, digits and one point (section 7.3.3); `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
        let points = digits.bytes().filter(|byte| *byte == b'.').count();
        let is_number = points == 1
            && digits.len() > 1
            && digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        is_number.then(|| Self(text.to_owned()))
    }

    /// Rounded to hundredths of a unit.
    pub fn from_hundredths(hundredths: i64) -> Self {
        let sign = if hundredths < 0 { "-" } else { "" };
        let absolute = hundredths.unsigned_abs();
        Self(format!("{sign}{}.{:02}", absolute / 100, absolute % 100))
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The number.
    pub fn value(&self) -> f64 {
        self.0.parse().unwrap_or_default()
    }
}

impl std::fmt::Display for Reference {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "object {} {}", self.number, self.generation)
    }
}

impl PartialEq for Stream {
    /// Dictionaries alone: octets are compared by whoever reads them.
    fn eq(&self, other: &Self) -> bool {
        self.dictionary == other.dictionary && self.data.len() == other.data.len()
    }
}

impl Dictionary {
    /// No keys.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key; `None` when it is absent or `null` (section 7.3.7).
    pub fn get(&self, key: &str) -> Option<&Object> {
        let found = self.0.iter().find(|(name, _)| name.is(key)).map(|(_, value)| value);
        found.filter(|value| !matches!(value, Object::Null))
    }

    /// The name that a key has as value.
    pub fn name(&self, key: &str) -> Option<&Name> {
        self.get(key).and_then(Object::as_name)
    }

    /// Whether `/Type` is this.
    pub fn is_type(&self, name: &str) -> bool {
        self.name("Type").is_some_and(|found| found.is(name))
    }

    /// Sets a key, in the place of its old value if it had one.
    pub fn set(&mut self, key: &str, value: impl Into<Object>) {
        let value = value.into();
        match self.0.iter_mut().find(|(name, _)| name.is(key)) {
            Some((_, old)) => *old = value,
            None => self.0.push((Name::new(key), value)),
        }
    }

    /// The same, to be chained.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Object>) -> Self {
        self.set(key, value);
        self
    }

    /// Adds a key as a reader found it; `false` when the key is there already.
    pub fn insert_new(&mut self, key: Name, value: Object) -> bool {
        let is_new = self.0.iter().all(|(name, _)| *name != key);
        if is_new {
            self.0.push((key, value));
        }
        is_new
    }

    /// Of what a reader found, in its order; the key that stands twice is the error.
    pub(super) fn from_entries(entries: Vec<(Name, Object)>) -> Result<Self, Name> {
        let mut keys: Vec<&Name> = entries.iter().map(|(key, _)| key).collect();
        keys.sort_unstable();
        match keys.windows(2).find_map(|pair| match pair {
            [first, second] if first == second => Some((*first).clone()),
            _ => None,
        }) {
            Some(key) => Err(key),
            None => Ok(Self(entries)),
        }
    }

    /// The same keys with other values.
    pub(super) fn map(&self, change: impl Fn(&Object) -> Object) -> Self {
        Self(self.0.iter().map(|(key, value)| (key.clone(), change(value))).collect())
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Object> {
        let position = self.0.iter().position(|(name, _)| name.is(key))?;
        Some(self.0.remove(position).1)
    }

    /// Keys and values, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&Name, &Object)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Object {
    /// A name.
    pub fn name(text: &str) -> Self {
        Self::Name(Name::new(text))
    }

    /// A text string: PDFDocEncoding where it is ASCII, otherwise UTF-16BE with its mark (section 7.9.2.2).
    pub fn text(text: &str) -> Self {
        if text.is_ascii() {
            return Self::String(text.as_bytes().to_vec());
        }
        let units = text.encode_utf16().flat_map(u16::to_be_bytes);
        Self::String([0xFE, 0xFF].into_iter().chain(units).collect())
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(*value),
            _ => None,
        }
    }

    /// The number, with or without a fraction.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            #[allow(clippy::cast_precision_loss)] // coordinates; an f64 is exact up to 2^53
            Self::Integer(value) => Some(*value as f64),
            Self::Real(value) => Some(value.value()),
            _ => None,
        }
    }

    /// The truth value, if it is one.
    pub fn as_boolean(&self) -> Option<bool> {
        match self {
            Self::Boolean(value) => Some(*value),
            _ => None,
        }
    }

    /// The octets of a string.
    pub fn as_string(&self) -> Option<&[u8]> {
        match self {
            Self::String(octets) => Some(octets),
            _ => None,
        }
    }

    /// The name, if it is one.
    pub fn as_name(&self) -> Option<&Name> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The dictionary; that of a stream too.
    pub fn as_dictionary(&self) -> Option<&Dictionary> {
        match self {
            Self::Dictionary(dictionary) => Some(dictionary),
            Self::Stream(stream) => Some(&stream.dictionary),
            _ => None,
        }
    }

    /// The stream, if it is one.
    pub fn as_stream(&self) -> Option<&Stream> {
        match self {
            Self::Stream(stream) => Some(stream),
            _ => None,
        }
    }

    /// The reference, if it is one.
    pub fn as_reference(&self) -> Option<Reference> {
        match self {
            Self::Reference(reference) => Some(*reference),
            _ => None,
        }
    }

    /// What it is, in a word for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a truth value",
            Self::Integer(_) | Self::Real(_) => "a number",
            Self::String(_) => "a string",
            Self::Name(_) => "a name",
            Self::Array(_) => "an array",
            Self::Dictionary(_) => "a dictionary",
            Self::Stream(_) => "a stream",
            Self::Reference(_) => "a reference",
        }
    }
}

macro_rules! object_from {
    ($($from:ty => $variant:ident),+) => {
        $(impl From<$from> for Object {
            fn from(value: $from) -> Self {
                Self::$variant(value)
            }
        })+
    };
}
object_from!(bool => Boolean, i64 => Integer, Real => Real, Name => Name, Vec<Object> => Array, Dictionary => Dictionary, Stream => Stream, Reference => Reference);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_strings_are_ascii_or_utf_16() {
        assert_eq!(Object::text("Seal"), Object::String(b"Seal".to_vec()));
        assert_eq!(Object::text("印"), Object::String(vec![0xFE, 0xFF, 0x53, 0x70]));
    }

    #[test]
    fn numbers_with_fractions_keep_their_text() {
        for (text, value) in [("0.5", 0.5), ("-.002", -0.002), ("+17.0", 17.0), ("4.", 4.0)] {
            let real = Real::parse(text).unwrap();
            assert!(real.text() == text && (real.value() - value).abs() < 1e-12, "{text}");
        }
        for text in ["", ".", "1", "1.2.3", "--1.0", "1e5"] {
            assert_eq!(Real::parse(text), None, "{text}");
        }
        assert_eq!(Real::from_hundredths(-1205).text(), "-12.05");
    }

    #[test]
    fn a_key_stands_once_in_a_dictionary() {
        let mut dictionary = Dictionary::new().with("A", 1_i64).with("B", Object::Null).with("A", 2_i64);
        assert_eq!(
            (dictionary.len(), dictionary.get("A"), dictionary.get("B")),
            (2, Some(&Object::Integer(2)), None)
        );
        assert!(!dictionary.insert_new(Name::new("A"), Object::Null));
        assert_eq!(dictionary.remove("A"), Some(Object::Integer(2)));
    }
}
