//! What a reader of CSV (RFC 4180) forgives, and a list of people must not: fields beyond the header, and a quote that is
//! never closed and swallows every row after it.

use csv::StringRecord;

/// What is wrong with a row as a whole. `text` is all that was read.
pub(super) fn fault(record: &StringRecord, columns: usize, text: &[u8]) -> Option<String> {
    let start = record.position().and_then(|position| usize::try_from(position.byte()).ok());
    if start.and_then(|start| text.get(start..)).is_some_and(has_open_quote) {
        return Some(
            "a quote (\") is opened and never closed: all that follows it is in this row".to_owned(),
        );
    }
    // Spreadsheets write empty fields as far as any row goes.
    let is_longer = record.iter().skip(columns).any(|field| !field.is_empty());
    is_longer.then(|| format!("has {} fields, and the header has {columns}", record.len()))
}

/// Where a byte stands.
#[derive(Clone, Copy)]
enum Place {
    FieldStart,
    Bare,
    Quoted,
    /// After a quote in a quoted field: its end, or the first of two.
    Quote,
}

/// Whether the row at the beginning of this text ends within quotes.
fn has_open_quote(text: &[u8]) -> bool {
    let mut place = Place::FieldStart;
    for byte in text.iter().skip_while(|byte| b"\r\n".contains(byte)) {
        place = match (place, byte) {
            (Place::Quoted, b'"') => Place::Quote,
            (Place::Quoted, _) | (Place::Quote | Place::FieldStart, b'"') => Place::Quoted,
            (_, b',') => Place::FieldStart,
            (_, b'\r' | b'\n') => return false,
            _ => Place::Bare,
        };
    }
    matches!(place, Place::Quoted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_quote_that_is_never_closed_is_open() {
        for closed in ["", "a,b\n\"c", "\"a\"", "\"a\"\"b\"", "a\"b", "a\",b", "\r\n\"a\nb\",c\n", "\"a\"b\""]
        {
            assert!(!has_open_quote(closed.as_bytes()), "{closed:?}");
        }
        for open in ["\"", "\"a\nb", "a,\"b\"\"", "\n\"a,b\n"] {
            assert!(has_open_quote(open.as_bytes()), "{open:?}");
        }
    }
}
