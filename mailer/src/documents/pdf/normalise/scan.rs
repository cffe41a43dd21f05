//! Where objects and trailers may begin, found by looking at every octet.
use super::super::error::PdfError;
use super::super::lexer::{is_regular, is_white_space};
use super::super::object::Reference;
use crate::content::Content;

/// How much is looked at at once.
const CHUNK: u64 = 256 << 10;
/// The longest `4294967295 65535 obj`, with some white space, and a character after it.
const MARGIN: u64 = 40;
/// The most places.
const MOST_PLACES: usize = 2_000_000;

/// What may begin at an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    /// None for a trailer.
    pub(super) reference: Option<Reference>,
}

/// Every place in the order of the file; some are inside streams or comments and only look like one.
pub(super) fn places(content: &Content) -> Result<Vec<Place>, PdfError> {
    let mut places = Vec::new();
    let mut start = 0;
    while start < content.len() {
        // Octets before the chunk are looked at for numbers, octets after it for the end of the keyword.
        let before = start.saturating_sub(MARGIN);
        let chunk = content.slice(before..start + CHUNK + MARGIN);
        let octets = chunk.head(usize::try_from(CHUNK + 2 * MARGIN).unwrap_or(usize::MAX))?;
        let inside = |at: &usize| (start - before..start - before + CHUNK).contains(&(*at as u64));
        for at in memchr::memmem::find_iter(&octets, b"obj").filter(inside) {
            let ends = octets.get(at + 3).is_none_or(|next| !is_regular(*next));
            if let (true, Some((reference, length))) =
                (ends, numbers_before(octets.get(..at).unwrap_or_default()))
            {
                places.push(Place { offset: before + (at - length) as u64, reference: Some(reference) });
            }
        }
        for at in memchr::memmem::find_iter(&octets, b"trailer").filter(inside) {
            places.push(Place { offset: before + at as u64, reference: None });
        }
        if places.len() > MOST_PLACES {
            let (what, most) = ("objects", MOST_PLACES as u64);
            return Err(PdfError::TooMany { at: start, what, most });
        }
        start += CHUNK;
    }
    places.sort_unstable_by_key(|place| place.offset);
    Ok(places)
}

/// Object and generation number that end here, and how many octets they and the white space have.
fn numbers_before(octets: &[u8]) -> Option<(Reference, usize)> {
    let (rest, generation) = number_before(octets)?;
    let (rest, number) = number_before(rest)?;
    if rest.last().is_some_and(|octet| is_regular(*octet)) || number == 0 {
        return None;
    }
    let reference = Reference { number, generation: u16::try_from(generation).ok()? };
    Some((reference, octets.len() - rest.len()))
}

/// A number with white space after it, and what is before it.
fn number_before(octets: &[u8]) -> Option<(&[u8], u32)> {
    let text = octets.get(..=octets.iter().rposition(|octet| !is_white_space(*octet))?)?;
    let start = text.iter().rposition(|octet| !octet.is_ascii_digit()).map_or(0, |before| before + 1);
    let (rest, digits) = text.split_at_checked(start)?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (text.len() < octets.len()).then_some((rest, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(octets: &[u8]) -> Vec<(u64, Option<(u32, u16)>)> {
        let places = places(&Content::from_vec(octets.to_vec())).unwrap();
        let numbers = |place: &Place| place.reference.map(|found| (found.number, found.generation));
        places.iter().map(|place| (place.offset, numbers(place))).collect()
    }

    #[test]
    fn objects_and_trailers_are_found_wherever_they_stand() {
        let text =
            b"1 0 obj<<>>endobj 12\r\n7 \tobj[]endobj x3 0 obj 4 0 object 0 0 obj 5 70000 obj trailer<<>>";
        let trailer = text.len() as u64 - 11;
        assert_eq!(found(text), [(0, Some((1, 0))), (18, Some((12, 7))), (trailer, None)]);
    }

    #[test]
    fn nothing_is_missed_or_found_twice_where_pieces_meet() {
        for offset in CHUNK - 50..CHUNK + 10 {
            let mut octets = vec![b' '; usize::try_from(CHUNK).unwrap() * 2];
            let text = b"4294967295 65535 obj";
            octets[usize::try_from(offset).unwrap()..][..text.len()].copy_from_slice(text);
            assert_eq!(found(&octets), [(offset, Some((u32::MAX, u16::MAX)))]);
        }
    }
}
