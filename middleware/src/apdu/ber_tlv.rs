//! BER-TLV data objects (ISO 7816-4 section 5.2.2), read in place.
//!
//! A reader of our own, because what PIV wraps is not always BER inside: data objects carry one-byte GSC-IS tags
//! that only look constructed (`30` FASC-N, `70` certificate, `F0` card identifier), which the crate `iso7816-tlv`
//! descends into and then refuses; it copies values into buffers that nobody wipes, decrypted keys among them; and
//! version 0.4.4 writes a value of 127 bytes with a length field that the enclosing template does not count. Here
//! values are borrowed and never interpreted. A test compares both on true BER.

/// One data object: its tag as the number on the wire (`0x7F49`), and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: u32,
    pub(crate) value: &'a [u8],
}

/// The bytes are not a sequence of data objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a sequence of BER-TLV data objects")]
pub(crate) struct MalformedTlv;

/// The data objects of a template, one after the other; stops after the first malformed one.
pub(crate) fn elements(bytes: &[u8]) -> impl Iterator<Item = Result<Element<'_>, MalformedTlv>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match split_first(rest) {
            Some((element, remaining)) => {
                rest = remaining;
                Some(Ok(element))
            }
            None => {
                rest = &[];
                Some(Err(MalformedTlv))
            }
        }
    })
}

/// The value of the first data object with that tag. What follows it is not looked at: cards pad.
pub(crate) fn find(bytes: &[u8], tag: u32) -> Result<Option<&[u8]>, MalformedTlv> {
    for element in elements(bytes) {
        let element = element?;
        if element.tag == tag {
            return Ok(Some(element.value));
        }
    }
    Ok(None)
}

/// Appends one data object with the shortest length field.
pub(crate) fn append(to: &mut Vec<u8>, tag: u32, value: &[u8]) {
    let tag = tag.to_be_bytes();
    let leading = tag.iter().take_while(|&&byte| byte == 0).count().min(3);
    to.extend_from_slice(tag.get(leading..).unwrap_or_default());
    let length = u32::try_from(value.len()).expect("a data object is far shorter than 4 GiB").to_be_bytes();
    match length {
        [0, 0, 0, short @ 0..=0x7F] => to.push(short),
        [0, 0, 0, low] => to.extend_from_slice(&[0x81, low]),
        [0, 0, high, low] => to.extend_from_slice(&[0x82, high, low]),
        [0, high, middle, low] => to.extend_from_slice(&[0x83, high, middle, low]),
        [high, third, second, low] => to.extend_from_slice(&[0x84, high, third, second, low]),
    }
    to.extend_from_slice(value);
}

/// One data object.
pub(crate) fn encode(tag: u32, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(value.len() + 9);
    append(&mut bytes, tag, value);
    bytes
}

fn split_first(bytes: &[u8]) -> Option<(Element<'_>, &[u8])> {
    let (tag, rest) = split_tag(bytes)?;
    let (length, rest) = split_length(rest)?;
    let (value, rest) = rest.split_at_checked(length)?;
    Some((Element { tag, value }, rest))
}

/// Tags of up to three bytes (ISO 7816-4 section 5.2.2.1).
fn split_tag(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (&first, mut rest) = bytes.split_first()?;
    let mut tag = u32::from(first);
    if first & 0x1F == 0x1F {
        for _ in 0..2 {
            let (&next, remaining) = rest.split_first()?;
            tag = tag << 8 | u32::from(next);
            rest = remaining;
            // PIV's 5FC1xx tags have b8 of their second byte set: a third byte follows.
            if next & 0x80 == 0 {
                return Some((tag, rest));
            }
        }
        // The third byte ends the tag whatever its b8 says (5FFF53).
    }
    Some((tag, rest))
}

fn split_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (&first, rest) = bytes.split_first()?;
    if first < 0x80 {
        return Some((usize::from(first), rest));
    }
    let count = usize::from(first & 0x7F);
    if count == 0 || count > 4 {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(count)?;
    Some((digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back_at_every_length_form() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let value = vec![0x5A; length];
            for tag in [0x53, 0x7E, 0x7F49, 0x5F_C102] {
                let bytes = encode(tag, &value);
                assert_eq!(find(&bytes, tag).unwrap(), Some(value.as_slice()), "{tag:X} {length}");
            }
        }
    }

    #[test]
    fn every_truncation_is_refused_without_a_panic() {
        let bytes = encode(0x7F49, &encode(0x86, &[4; 200]));
        for length in 1..bytes.len() {
            assert_eq!(elements(&bytes[..length]).next().unwrap(), Err(MalformedTlv), "{length}");
        }
        for bytes in [&[0x53, 0x80][..], &[0x53, 0x85, 1, 0, 0, 0, 0], &[0x53, 0x84, 0xFF, 0xFF, 0xFF, 0xFF]]
        {
            assert!(find(bytes, 0x53).is_err());
        }
    }

    /// The independent judge for what is true BER.
    #[test]
    fn agrees_with_the_crate_iso7816_tlv() {
        use iso7816_tlv::ber::{Tag, Tlv, Value};
        for length in [0_usize, 5, 126, 128, 300] {
            let judge = Tlv::new(Tag::try_from(0x86_u8).unwrap(), Value::Primitive(vec![7; length])).unwrap();
            let judge =
                Tlv::new(Tag::try_from(0x7F49_u16).unwrap(), Value::Constructed(vec![judge])).unwrap();
            let ours = encode(0x7F49, &encode(0x86, &vec![7; length]));
            assert_eq!(ours, judge.to_vec());
            let template = find(&ours, 0x7F49).unwrap().unwrap();
            assert_eq!(find(template, 0x86).unwrap().unwrap().len(), length);
        }
    }

    /// The reason for a reader of our own: a FASC-N is no SEQUENCE.
    #[test]
    fn inner_values_that_only_look_constructed_are_left_alone() {
        let bytes = encode(0x53, &encode(0x30, &[0xD4, 0xE7, 0x39, 0xDA]));
        let contents = find(&bytes, 0x53).unwrap().unwrap();
        assert_eq!(find(contents, 0x30).unwrap(), Some(&[0xD4, 0xE7, 0x39, 0xDA][..]));
        assert!(iso7816_tlv::ber::Tlv::from_bytes(contents).is_err());
    }
}
