//! Command and response APDUs, short and extended (ISO 7816-4 section 5.1).

use zeroize::Zeroizing;

use super::status_word::StatusWord;

/// The bit of CLA that says more fragments of this command follow.
const CHAINING_BIT: u8 = 0x10;

/// A command APDU, its lengths already checked.
pub struct CommandApdu {
    /// CLA.
    pub class: u8,
    /// INS.
    pub instruction: u8,
    /// P1.
    pub p1: u8,
    /// P2.
    pub p2: u8,
    /// The command data field; it may hold a PIN.
    pub data: Zeroizing<Vec<u8>>,
    /// Le in bytes: the longest answer the host takes at once. `None` when Le is absent.
    pub expected_length: Option<usize>,
}

impl CommandApdu {
    /// Parses any of the seven ISO cases.
    ///
    /// # Errors
    /// 6700 when Lc and Le disagree with the number of bytes received.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatusWord> {
        let Some(([class, instruction, p1, p2], body)) = bytes.split_first_chunk::<4>() else {
            return Err(StatusWord::WRONG_LENGTH);
        };
        let (data, expected_length) = split_body(body)?;
        Ok(Self {
            class: *class,
            instruction: *instruction,
            p1: *p1,
            p2: *p2,
            data: Zeroizing::new(data.to_vec()),
            expected_length,
        })
    }

    /// Whether more fragments of this command follow.
    #[must_use]
    pub fn is_chained(&self) -> bool {
        self.class & CHAINING_BIT != 0
    }
}

/// Splits what follows the header into the data field and Le.
fn split_body(body: &[u8]) -> Result<(&[u8], Option<usize>), StatusWord> {
    match body {
        [] => Ok((&[], None)),
        [le] => Ok((&[], Some(short_length(*le)))),
        [0, high, low] => Ok((&[], Some(extended_length(*high, *low)))),
        [0, high, low, rest @ ..] => split_extended(usize::from(u16::from_be_bytes([*high, *low])), rest),
        [lc, rest @ ..] if *lc != 0 => split_short(usize::from(*lc), rest),
        _ => Err(StatusWord::WRONG_LENGTH),
    }
}

fn split_short(lc: usize, rest: &[u8]) -> Result<(&[u8], Option<usize>), StatusWord> {
    match rest.split_at_checked(lc) {
        Some((data, [])) => Ok((data, None)),
        Some((data, [le])) => Ok((data, Some(short_length(*le)))),
        _ => Err(StatusWord::WRONG_LENGTH),
    }
}

fn split_extended(lc: usize, rest: &[u8]) -> Result<(&[u8], Option<usize>), StatusWord> {
    if lc == 0 {
        return Err(StatusWord::WRONG_LENGTH);
    }
    match rest.split_at_checked(lc) {
        Some((data, [])) => Ok((data, None)),
        Some((data, [high, low])) => Ok((data, Some(extended_length(*high, *low)))),
        _ => Err(StatusWord::WRONG_LENGTH),
    }
}

fn short_length(le: u8) -> usize {
    if le == 0 { 256 } else { usize::from(le) }
}

fn extended_length(high: u8, low: u8) -> usize {
    match u16::from_be_bytes([high, low]) {
        0 => 65_536,
        length => usize::from(length),
    }
}

/// What a command handler answers when it succeeds: the response data field.
pub type ResponseData = Zeroizing<Vec<u8>>;

/// A response APDU on its way out.
pub struct ResponseApdu {
    /// The response data field; it may hold a decrypted key.
    pub data: ResponseData,
    /// SW1-SW2.
    pub status: StatusWord,
}

impl ResponseApdu {
    /// The bytes for the reader: data, then SW1-SW2.
    #[must_use]
    pub fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(self.data.len() + 2));
        bytes.extend_from_slice(&self.data);
        bytes.extend_from_slice(&self.status.to_bytes());
        bytes
    }
}

impl From<StatusWord> for ResponseApdu {
    fn from(status: StatusWord) -> Self {
        Self { data: Zeroizing::default(), status }
    }
}

impl From<Result<ResponseData, StatusWord>> for ResponseApdu {
    fn from(result: Result<ResponseData, StatusWord>) -> Self {
        match result {
            Ok(data) => Self { data, status: StatusWord::SUCCESS },
            Err(status) => status.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(bytes: &[u8]) -> Option<(Vec<u8>, Option<usize>)> {
        CommandApdu::parse(bytes).ok().map(|apdu| (apdu.data.to_vec(), apdu.expected_length))
    }

    #[test]
    fn each_of_the_seven_cases_is_recognised() {
        let header = [0x00, 0xCB, 0x3F, 0xFF];
        let with = |body: &[u8]| [&header[..], body].concat();
        assert_eq!(parts(&with(&[])), Some((vec![], None)));
        assert_eq!(parts(&with(&[0])), Some((vec![], Some(256))));
        assert_eq!(parts(&with(&[2, 7, 8])), Some((vec![7, 8], None)));
        assert_eq!(parts(&with(&[2, 7, 8, 9])), Some((vec![7, 8], Some(9))));
        assert_eq!(parts(&with(&[0, 0, 0])), Some((vec![], Some(65_536))));
        assert_eq!(parts(&with(&[0, 0, 2, 7, 8])), Some((vec![7, 8], None)));
        assert_eq!(parts(&with(&[0, 0, 2, 7, 8, 1, 0])), Some((vec![7, 8], Some(256))));
    }

    #[test]
    fn lengths_that_disagree_are_refused() {
        for body in
            [&[3u8, 1, 2][..], &[1, 2, 3, 4], &[0, 0], &[0, 0, 0, 1], &[0, 0, 3, 1, 2], &[0, 0, 1, 2, 3]]
        {
            let bytes = [&[0x00, 0xCB, 0x3F, 0xFF][..], body].concat();
            assert!(CommandApdu::parse(&bytes).is_err(), "{bytes:02X?}");
        }
        assert!(CommandApdu::parse(&[0, 0xA4, 4]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_parser_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = CommandApdu::parse(&bytes);
        }

        #[test]
        fn what_was_put_in_comes_out(data in proptest::collection::vec(any::<u8>(), 1..2000), le in 0u16..) {
            let mut bytes = vec![0x00, 0x87, 0x07, 0x9A, 0x00];
            bytes.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            bytes.extend(&data);
            bytes.extend(le.to_be_bytes());
            let apdu = CommandApdu::parse(&bytes).unwrap();
            prop_assert_eq!(&*apdu.data, &data);
            prop_assert_eq!(apdu.expected_length, Some(if le == 0 { 65_536 } else { usize::from(le) }));
        }
    }
}
