//! Header fields (RFC 5322 section 2.2) with their exact bytes.
use super::parameters::Parsed;

/// One field as it stands in the message, folding included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    name: &'a str,
    raw: &'a [u8],
    value: &'a [u8],
    start: usize,
}

impl<'a> Field<'a> {
    /// The field name as written.
    pub fn name(&self) -> &'a str {
        self.name
    }

    /// The whole field: name, colon, value, line ends.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Where the whole field stands in the entity that was split.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.raw.len()
    }

    /// The value on one line, without the blanks around it; bytes that are not UTF-8 are replaced.
    pub fn unfolded(&self) -> String {
        let text = String::from_utf8_lossy(self.value);
        text.replace(['\r', '\n'], "").trim().to_owned()
    }

    /// Whether this is the field `name`, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }
}

/// All fields of a header, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    fields: Vec<Field<'a>>,
    has_stray_lines: bool,
}

/// A header that says the same thing twice, so that two readers may see two messages.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message has more than one {0} field")]
pub struct RepeatedField(pub &'static str);

impl<'a> Fields<'a> {
    /// Splits an entity at the first empty line into fields and body. Lines that are no fields are passed over.
    pub fn split(entity: &'a [u8]) -> (Self, &'a [u8]) {
        let mut found = Self::default();
        let mut rest = entity;
        while !rest.is_empty() {
            let line = first_line(rest);
            if line == b"\r\n" || line == b"\n" {
                return (found, rest.get(line.len()..).unwrap_or_default());
            }
            let mut length = line.len();
            while let Some(next) =
                rest.get(length..).filter(|next| next.starts_with(b" ") || next.starts_with(b"\t"))
            {
                length += first_line(next).len();
            }
            let (raw, after) = rest.split_at(length);
            match parse_field(raw, entity.len() - rest.len()) {
                Some(field) => found.fields.push(field),
                None => found.has_stray_lines = true,
            }
            rest = after;
        }
        (found, &[])
    }

    /// Whether lines were passed over because they are no fields.
    pub fn has_stray_lines(&self) -> bool {
        self.has_stray_lines
    }

    /// The fields, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Field<'a>> {
        self.fields.iter()
    }

    /// The first field of that name.
    pub fn first(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.is(name))
    }

    /// The only field of that name.
    ///
    /// # Errors
    /// [`RepeatedField`] when there are several.
    pub fn only(&self, name: &'static str) -> Result<Option<&Field<'a>>, RepeatedField> {
        let mut named = self.fields.iter().filter(|field| field.is(name));
        let first = named.next();
        if named.next().is_some() { Err(RepeatedField(name)) } else { Ok(first) }
    }
}

/// A media type with its parameters (RFC 2045 section 5.1, RFC 2231).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype` in lower case.
    pub essence: String,
    parameters: Vec<(String, String)>,
    ambiguous: Option<String>,
}

impl MediaType {
    /// Reads a Content-Type or Content-Disposition field; the latter has no subtype.
    pub fn parse(field: &Field<'_>) -> Option<Self> {
        let Parsed { essence, parameters, ambiguous } = super::parameters::parse(&field.unfolded());
        (!essence.is_empty()).then_some(Self { essence, parameters, ambiguous })
    }

    /// A parameter with two values: readers differ in which of them counts.
    pub fn ambiguous_parameter(&self) -> Option<&str> {
        self.ambiguous.as_deref()
    }

    /// A parameter by its lower-case name.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Whether the type (before the slash) is this.
    pub fn is_of_type(&self, name: &str) -> bool {
        self.essence.split('/').next() == Some(name)
    }
}

fn first_line(bytes: &[u8]) -> &[u8] {
    bytes.split_inclusive(|&byte| byte == b'\n').next().unwrap_or_default()
}

fn parse_field(raw: &[u8], start: usize) -> Option<Field<'_>> {
    let colon = raw.iter().position(|&byte| byte == b':')?;
    let (name, value) = raw.split_at(colon);
    // RFC 5322 section 2.2: printable ASCII; section 4.5 allows blanks before the colon.
    let name = std::str::from_utf8(name.trim_ascii_end()).ok()?;
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic());
    is_name.then(|| Field { name, raw, value: value.get(1..).unwrap_or_default(), start })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_bytes_and_the_body_starts_after_the_empty_line() {
        let message = b"From: a\r\nSubject: one\r\n two\r\nX-Odd : x\r\nnot a field\r\n\r\nbody\r\n";
        let (fields, body) = Fields::split(message);
        assert_eq!(body, b"body\r\n");
        assert!(
            fields.has_stray_lines() && !Fields::split(b"From: a\r\n\r\nno field\r\n").0.has_stray_lines()
        );
        assert_eq!(fields.iter().map(Field::name).collect::<Vec<_>>(), ["From", "Subject", "X-Odd"]);
        let subject = fields.first("SUBJECT").unwrap();
        assert_eq!(
            (subject.raw(), subject.unfolded().as_str()),
            (&b"Subject: one\r\n two\r\n"[..], "one two")
        );
    }

    #[test]
    fn a_repeated_field_is_refused_by_name() {
        let (fields, _) = Fields::split(b"From: a\r\nfrom: b\r\n\r\n");
        assert_eq!(fields.only("From"), Err(RepeatedField("From")));
        assert_eq!(fields.only("To"), Ok(None));
    }

    #[test]
    fn media_types_have_decoded_parameters() {
        let header = b"Content-Type: Multipart/Signed; micalg=sha-256;\r\n boundary=\"a b\"; name*=utf-8''%C3%A4\r\n\r\n";
        let (fields, _) = Fields::split(header);
        let media_type = MediaType::parse(fields.first("content-type").unwrap()).unwrap();
        assert_eq!(media_type.essence, "multipart/signed");
        assert_eq!(media_type.parameter("boundary"), Some("a b"));
        assert_eq!(media_type.parameter("name"), Some("ä"));
        assert!(media_type.is_of_type("multipart"));
    }

    proptest::proptest! {
        #[test]
        fn splitting_never_panics_and_invents_nothing(bytes: Vec<u8>) {
            let (fields, body) = Fields::split(&bytes);
            assert!(bytes.ends_with(body));
            for field in fields.iter() {
                let _ = (field.unfolded(), MediaType::parse(field));
            }
        }
    }
}
