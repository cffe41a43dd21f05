//! BER-TLV data objects (ISO 7816-4 section 5.2.2).

use zeroize::Zeroizing;

/// Why bytes are not a sequence of data objects.
#[derive(Debug, PartialEq, Eq)]
pub struct MalformedTlv;

/// One data object: its tag as written (up to three bytes) and its value.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub struct Tlv<'a> {
    /// The tag bytes as one number, e.g. `0x7F49`.
    pub tag: u32,
    /// The value field.
    pub value: &'a [u8],
}

impl<'a> Tlv<'a> {
    /// Reads the first data object of `bytes` and returns what follows it.
    ///
    /// Tags have one to three bytes, lengths one to four (definite form).
    ///
    /// # Errors
    /// [`MalformedTlv`] when tag, length or value is cut short or longer than that.
    pub fn parse_first(bytes: &'a [u8]) -> Result<(Self, &'a [u8]), MalformedTlv> {
        let (tag, rest) = parse_tag(bytes)?;
        let (length, rest) = parse_length(rest)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(MalformedTlv)?;
        Ok((Self { tag, value }, rest))
    }

    /// Reads bytes that are exactly one data object.
    ///
    /// # Errors
    /// [`MalformedTlv`], also when something follows it.
    pub fn parse_only(bytes: &'a [u8]) -> Result<Self, MalformedTlv> {
        match Self::parse_first(bytes)? {
            (tlv, []) => Ok(tlv),
            _ => Err(MalformedTlv),
        }
    }

    /// Reads bytes that are a sequence of data objects, possibly empty.
    ///
    /// # Errors
    /// [`MalformedTlv`] when any of them is.
    pub fn parse_all(mut bytes: &'a [u8]) -> Result<Vec<Self>, MalformedTlv> {
        let mut objects = Vec::new();
        while !bytes.is_empty() {
            let (tlv, rest) = Self::parse_first(bytes)?;
            objects.push(tlv);
            bytes = rest;
        }
        Ok(objects)
    }
}

fn parse_tag(bytes: &[u8]) -> Result<(u32, &[u8]), MalformedTlv> {
    match bytes {
        [first, rest @ ..] if first & 0x1F != 0x1F => Ok((u32::from(*first), rest)),
        [first, second, rest @ ..] if second & 0x80 == 0 => {
            Ok((u32::from(u16::from_be_bytes([*first, *second])), rest))
        }
        [first, second, third, rest @ ..] if third & 0x80 == 0 => {
            Ok((u32::from_be_bytes([0, *first, *second, *third]), rest))
        }
        _ => Err(MalformedTlv),
    }
}

fn parse_length(bytes: &[u8]) -> Result<(usize, &[u8]), MalformedTlv> {
    match bytes {
        [length @ 0..=0x7F, rest @ ..] => Ok((usize::from(*length), rest)),
        [0x81, length, rest @ ..] => Ok((usize::from(*length), rest)),
        [0x82, high, low, rest @ ..] => Ok((usize::from(u16::from_be_bytes([*high, *low])), rest)),
        [0x83, high, middle, low, rest @ ..] => {
            let length = u32::from_be_bytes([0, *high, *middle, *low]);
            Ok((usize::try_from(length).map_err(|_| MalformedTlv)?, rest))
        }
        _ => Err(MalformedTlv),
    }
}

/// Encodes one data object with the shortest length field.
#[must_use]
pub fn encode(tag: u32, value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::with_capacity(value.len() + 7));
    out.extend(tag.to_be_bytes().into_iter().skip_while(|byte| *byte == 0));
    let length = u32::try_from(value.len()).unwrap_or(u32::MAX).to_be_bytes();
    match length {
        [0, 0, 0, short @ 0..=0x7F] => out.push(short),
        [0, 0, 0, one] => out.extend([0x81, one]),
        [0, 0, high, low] => out.extend([0x82, high, low]),
        [_, high, middle, low] => out.extend([0x83, high, middle, low]),
    }
    out.extend_from_slice(value);
    out
}

/// Encodes a constructed data object from encoded parts.
#[must_use]
pub fn encode_constructed(tag: u32, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    encode(tag, &Zeroizing::new(parts.concat()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_public_key_template_has_the_lengths_hosts_expect() {
        let key = encode_constructed(0x7F49, &[&encode(0x81, &[0; 256]), &encode(0x82, &[1, 0, 1])]);
        assert_eq!(&key[..9], [0x7F, 0x49, 0x82, 0x01, 0x09, 0x81, 0x82, 0x01, 0x00]);
        assert_eq!(Tlv::parse_only(&key).unwrap().tag, 0x7F49);
    }

    #[test]
    fn cut_or_endless_objects_are_refused() {
        for bytes in
            [&[0x5C][..], &[0x5C, 2, 1], &[0x5F], &[0x5F, 0xC1], &[0x53, 0x80], &[0x53, 0x84, 0, 0, 0, 1, 1]]
        {
            assert_eq!(Tlv::parse_first(bytes), Err(MalformedTlv), "{bytes:02X?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Tlv::parse_all(&bytes);
        }

        #[test]
        fn decoding_an_encoded_object_gives_it_back(
            tag in prop_oneof![Just(0x53u32), Just(0x7F49), Just(0x5F_C102), Just(0x01)],
            value in proptest::collection::vec(any::<u8>(), 0..70_000),
        ) {
            let encoded = encode(tag, &value);
            prop_assert_eq!(Tlv::parse_only(&encoded), Ok(Tlv { tag, value: &value }));
        }
    }
}
