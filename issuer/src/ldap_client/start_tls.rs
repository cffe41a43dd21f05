//! StartTLS (RFC 4511 section 4.14): one request, one answer, before the client proper begins.

use super::LdapTrouble;

/// ```text
/// LDAPMessage { messageID 1, extendedReq [APPLICATION 23] { requestName [0] "1.3.6.1.4.1.1466.20037" } }
/// ```
pub(super) const REQUEST: &[u8] = b"\x30\x1D\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";

/// An answer is a few dozen octets, and whatever the server wants to say.
const LONGEST: usize = 4096;

/// Reads the octets of the answer so far; `None` while some are missing.
pub(crate) fn read_answer(octets: &[u8]) -> Option<Result<(), LdapTrouble>> {
    match length(octets) {
        _ if octets.first().is_some_and(|tag| *tag != 0x30) => Some(Err(LdapTrouble::Unreadable)),
        Length::Missing => None,
        Length::Is { header, contents } if header.saturating_add(contents) <= LONGEST => {
            let message = octets.get(header..)?.get(..contents)?;
            Some(judge(message).unwrap_or(Err(LdapTrouble::Unreadable)))
        }
        _ => Some(Err(LdapTrouble::Unreadable)),
    }
}

/// ```text
/// messageID MessageID (1), extendedResp [APPLICATION 24] { resultCode ENUMERATED, matchedDN, diagnosticMessage, ... }
/// ```
fn judge(message: &[u8]) -> Option<Result<(), LdapTrouble>> {
    let response = message.strip_prefix(&[0x02, 0x01, 0x01])?;
    let contents = value(response, 0x78)?.0;
    let (code, rest) = value(contents, 0x0A)?;
    let (_matched, rest) = value(rest, 0x04)?;
    let (text, _) = value(rest, 0x04)?;
    match code {
        [0] => Some(Ok(())),
        [code] => {
            let text = String::from_utf8_lossy(text);
            let text = text.chars().filter(|character| !character.is_control()).take(200);
            Some(Err(LdapTrouble::Refused { code: u32::from(*code), text: text.collect() }))
        }
        _ => None,
    }
}

/// The contents of a value with this tag, and what follows it.
fn value(octets: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let Length::Is { header, contents } = length(octets) else { return None };
    let is_tagged = octets.first() == Some(&tag);
    let (value, rest) = octets.get(header..)?.split_at_checked(contents)?;
    is_tagged.then_some((value, rest))
}

enum Length {
    Missing,
    Wrong,
    Is { header: usize, contents: usize },
}

/// The definite length after a tag of one octet, BER: up to four octets long.
fn length(octets: &[u8]) -> Length {
    match octets.get(1) {
        None => Length::Missing,
        Some(short @ 0..=0x7F) => Length::Is { header: 2, contents: usize::from(*short) },
        Some(count @ 0x81..=0x84) => {
            let count = usize::from(count & 0x7F);
            match octets.get(2..).and_then(|rest| rest.get(..count)) {
                None => Length::Missing,
                Some(long) => Length::Is {
                    header: count.saturating_add(2),
                    contents: long.iter().fold(0_usize, |value, octet| value << 8 | usize::from(*octet)),
                },
            }
        }
        Some(_) => Length::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGREED: &[u8] = b"\x30\x0C\x02\x01\x01\x78\x07\x0A\x01\x00\x04\x00\x04\x00";

    #[test]
    fn an_answer_is_read_to_its_last_octet() {
        for short in 0..AGREED.len() {
            assert_eq!(read_answer(&AGREED[..short]), None);
        }
        assert_eq!(read_answer(AGREED), Some(Ok(())));
    }

    #[test]
    fn a_refusal_says_its_code_and_text() {
        let refused = b"\x30\x84\x00\x00\x00\x11\x02\x01\x01\x78\x0C\x0A\x01\x34\x04\x00\x04\x05no\x00TL";
        let Some(Err(LdapTrouble::Refused { code: 52, text })) = read_answer(refused) else { panic!() };
        assert_eq!(text, "noTL");
    }

    #[test]
    fn what_is_no_answer_is_refused_at_once() {
        for wrong in
            [&b"\x16\x03"[..], b"\x30\x80", b"\x30\x82\xFF\xFF", b"\x30\x03\x02\x01\x02", b"\x30\x00"]
        {
            assert_eq!(read_answer(wrong), Some(Err(LdapTrouble::Unreadable)), "{wrong:?}");
        }
    }
}
