//! Values as octets (ISO 32000-2 section 7.3), always in the same way.
use super::object::{Dictionary, Name, Object};

impl Object {
    /// Appends the value as octets. A stream's dictionary alone is written: its octets go where they are not copied.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend(b"null"),
            Self::Boolean(value) => out.extend(if *value { &b"true"[..] } else { b"false" }),
            Self::Integer(value) => out.extend(value.to_string().as_bytes()),
            Self::Real(value) => out.extend(value.text().as_bytes()),
            Self::String(octets) => write_string(octets, out),
            Self::Name(name) => name.write(out),
            Self::Array(elements) => {
                out.push(b'[');
                for (position, element) in elements.iter().enumerate() {
                    if position > 0 {
                        out.push(b' ');
                    }
                    element.write(out);
                }
                out.push(b']');
            }
            Self::Dictionary(dictionary) => dictionary.write(out),
            Self::Stream(stream) => stream.dictionary.write(out),
            Self::Reference(reference) => {
                out.extend(format!("{} {} R", reference.number, reference.generation).as_bytes());
            }
        }
    }
}

impl Dictionary {
    /// Appends the dictionary as octets.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend(b"<<");
        for (key, value) in self.iter() {
            key.write(out);
            out.push(b' ');
            value.write(out);
        }
        out.extend(b">>");
    }
}

impl Name {
    /// Appends the name with its solidus; what is not a regular character is escaped (section 7.3.5).
    pub fn write(&self, out: &mut Vec<u8>) {
        out.push(b'/');
        for octet in &self.0 {
            if octet.is_ascii_graphic() && !b"#()<>[]{}/%".contains(octet) {
                out.push(*octet);
            } else {
                out.extend(format!("#{octet:02X}").as_bytes());
            }
        }
    }
}

/// Printable text in parentheses, anything else in hexadecimal (section 7.3.4).
fn write_string(octets: &[u8], out: &mut Vec<u8>) {
    if octets.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ') {
        out.push(b'(');
        for octet in octets {
            if b"()\\".contains(octet) {
                out.push(b'\\');
            }
            out.push(*octet);
        }
        out.push(b')');
        return;
    }
    out.push(b'<');
    out.extend(hex::encode_upper(octets).as_bytes());
    out.push(b'>');
}

#[cfg(test)]
mod tests {
    use super::super::object::{Dictionary, Name, Object, Reference};

    #[test]
    fn values_are_written_as_the_standard_has_them() {
        let dictionary = Dictionary::new()
            .with("Type", Object::name("Sig"))
            .with("A b", vec![Object::Integer(1), Object::Boolean(true), Object::Null])
            .with("S", Object::String(b"a(b)\\".to_vec()))
            .with("H", Object::String(vec![0xFE, 0xFF]))
            .with("R", Reference { number: 12, generation: 0 });
        let mut out = Vec::new();
        Object::Dictionary(dictionary).write(&mut out);
        let wanted = "<</Type /Sig/A#20b [1 true null]/S (a\\(b\\)\\\\)/H <FEFF>/R 12 0 R>>";
        assert_eq!(String::from_utf8(out).unwrap(), wanted);
        let mut out = Vec::new();
        Name(b"\xE9#/".to_vec()).write(&mut out);
        assert_eq!(out, b"/#E9#23#2F");
    }
}
