//! Canonical line ends (RFC 8551 section 3.1.1): what is signed has CRLF everywhere.
use std::borrow::Cow;

/// Makes every line end CRLF: a bare LF and a bare CR become CRLF, a CRLF stays.
pub fn to_crlf(bytes: &[u8]) -> Cow<'_, [u8]> {
    if is_canonical(bytes) {
        return Cow::Borrowed(bytes);
    }
    let mut canonical = Vec::with_capacity(bytes.len() + bytes.len() / 32);
    let mut rest = bytes.iter().copied().peekable();
    while let Some(byte) = rest.next() {
        match byte {
            b'\r' => {
                rest.next_if_eq(&b'\n');
                canonical.extend_from_slice(b"\r\n");
            }
            b'\n' => canonical.extend_from_slice(b"\r\n"),
            other => canonical.push(other),
        }
    }
    Cow::Owned(canonical)
}

/// Whether CR and LF occur only as the pair CRLF.
pub fn is_canonical(bytes: &[u8]) -> bool {
    let mut previous = 0;
    for &byte in bytes {
        if (byte == b'\n') != (previous == b'\r') {
            return false;
        }
        previous = byte;
    }
    previous != b'\r'
}

/// A received message with the line ends in which it was signed.
///
/// A message without a single CRLF went through a program or a Maildir that keeps LF, so all its line ends become CRLF.
/// Any other message stays byte for byte as it is: a signature may cover a lone LF.
pub fn received(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.windows(2).any(|pair| pair == b"\r\n") { Cow::Borrowed(bytes) } else { to_crlf(bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_end_becomes_crlf_exactly_once() {
        for (given, wanted) in [
            (&b"a\nb"[..], &b"a\r\nb"[..]),
            (b"a\r\nb\r\n", b"a\r\nb\r\n"),
            (b"a\rb\n\r\n\r", b"a\r\nb\r\n\r\n\r\n"),
            (b"\n\n", b"\r\n\r\n"),
            (b"", b""),
        ] {
            let canonical = to_crlf(given);
            assert_eq!(&*canonical, wanted);
            assert!(is_canonical(&canonical));
            assert_eq!(to_crlf(&canonical), canonical);
        }
        assert!(!is_canonical(b"a\r"));
        assert!(!is_canonical(b"a\rb"));
    }

    #[test]
    fn only_a_message_without_any_crlf_is_touched_on_receipt() {
        assert_eq!(&*received(b"a: b\n\nc\n"), b"a: b\r\n\r\nc\r\n");
        assert_eq!(&*received(b"a: b\r\n\r\nc\n"), b"a: b\r\n\r\nc\n");
    }
}
