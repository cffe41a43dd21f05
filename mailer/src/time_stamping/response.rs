//! TimeStampResp, strictly read (RFC 3161 section 2.4.2).
use super::error::AnswerProblem;
use crate::certificate::names;
use crate::certificate::tlv::{Element, Malformed, tag};

/// The largest response that is read, in octets.
pub const LARGEST_RESPONSE: usize = 256 * 1024;
/// How much of the authority's own words is told, in characters.
const LONGEST_TEXT: usize = 200;
/// `PKIFreeText ::= SEQUENCE SIZE (1..MAX) OF UTF8String`: more of them say nothing more.
const MOST_TEXTS: usize = 16;

/// Why an authority refuses (PKIFailureInfo).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureInfo {
    /// badAlg (0)
    BadAlgorithm,
    /// badRequest (2)
    BadRequest,
    /// badDataFormat (5)
    BadDataFormat,
    /// timeNotAvailable (14)
    TimeNotAvailable,
    /// unacceptedPolicy (15)
    UnacceptedPolicy,
    /// unacceptedExtension (16)
    UnacceptedExtension,
    /// addInfoNotAvailable (17)
    AdditionalInformationNotAvailable,
    /// systemFailure (25)
    SystemFailure,
    /// A bit that RFC 3161 does not know.
    Other(u8),
}

impl FailureInfo {
    fn from_bit(bit: u8) -> Self {
        match bit {
            0 => Self::BadAlgorithm,
            2 => Self::BadRequest,
            5 => Self::BadDataFormat,
            14 => Self::TimeNotAvailable,
            15 => Self::UnacceptedPolicy,
            16 => Self::UnacceptedExtension,
            17 => Self::AdditionalInformationNotAvailable,
            25 => Self::SystemFailure,
            other => Self::Other(other),
        }
    }

    /// In words.
    pub fn in_words(self) -> &'static str {
        match self {
            Self::BadAlgorithm => "it does not take this digest algorithm",
            Self::BadRequest => "it does not do what was asked for",
            Self::BadDataFormat => "it cannot read the request",
            Self::TimeNotAvailable => "its clock is not available",
            Self::UnacceptedPolicy => "it does not stamp under this policy",
            Self::UnacceptedExtension => "it does not know an extension of the request",
            Self::AdditionalInformationNotAvailable => {
                "something that was asked for besides is not available"
            }
            Self::SystemFailure => "it has a fault",
            Self::Other(_) => "for a reason that the standard does not name",
        }
    }
}

/// The time-stamp token (DER of its ContentInfo) in a response that grants one.
///
/// ```text
/// TimeStampResp ::= SEQUENCE { status PKIStatusInfo, timeStampToken TimeStampToken OPTIONAL }
/// PKIStatusInfo ::= SEQUENCE { status PKIStatus, statusString PKIFreeText OPTIONAL, failInfo PKIFailureInfo OPTIONAL }
/// ```
///
/// # Errors
/// [`AnswerProblem::Malformed`] and [`AnswerProblem::Refused`].
pub fn token(response: &[u8]) -> Result<&[u8], AnswerProblem> {
    if response.len() > LARGEST_RESPONSE {
        return Err(AnswerProblem::Malformed("it is too long".to_owned()));
    }
    let malformed = |problem: Malformed| AnswerProblem::Malformed(problem.to_string());
    let (status, token) = parts(response).map_err(malformed)?;
    let read = PkiStatusInfo::read(status).map_err(malformed)?;
    match (read.status, token) {
        (0 | 1, Some(token)) => Ok(token.bytes),
        (0 | 1, None) => Err(AnswerProblem::Malformed("it grants a time stamp but holds none".to_owned())),
        (2..=5, None) => Err(AnswerProblem::Refused { failures: read.failures, text: read.text }),
        (2..=5, Some(_)) => {
            Err(AnswerProblem::Malformed("it refuses, and holds a time stamp all the same".to_owned()))
        }
        (other, _) => Err(AnswerProblem::Malformed(format!("its status {other} is not known"))),
    }
}

fn parts(response: &[u8]) -> Result<(Element<'_>, Option<Element<'_>>), Malformed> {
    let mut fields = Element::only(response, tag::SEQUENCE)?.elements();
    let status = fields.expect(tag::SEQUENCE)?;
    let token = fields.optional(tag::SEQUENCE)?;
    fields.finish()?;
    Ok((status, token))
}

struct PkiStatusInfo {
    status: u8,
    text: String,
    failures: Vec<FailureInfo>,
}

impl PkiStatusInfo {
    fn read(element: Element<'_>) -> Result<Self, Malformed> {
        let mut fields = element.elements();
        let status = match fields.expect(tag::INTEGER)?.integer()? {
            [status @ 0..0x80] => *status,
            _ => return Err(Malformed::Integer),
        };
        let text = fields.optional(tag::SEQUENCE)?.map(free_text).transpose()?.unwrap_or_default();
        let failures = fields.optional(tag::BIT_STRING)?.map(failure_info).transpose()?.unwrap_or_default();
        fields.finish()?;
        Ok(Self { status, text, failures })
    }
}

fn free_text(texts: Element<'_>) -> Result<String, Malformed> {
    let mut elements = texts.elements();
    let mut found = Vec::new();
    while elements.peek().is_some() {
        let text = elements.expect(tag::UTF8_STRING)?.contents;
        if found.len() < MOST_TEXTS {
            found.push(std::str::from_utf8(text).map_err(|_| Malformed::Text)?);
        }
    }
    let text = names::harmless(&found.join(" "));
    Ok(text.trim().chars().take(LONGEST_TEXT).collect())
}

/// The bits that are set; of an empty string none is.
fn failure_info(element: Element<'_>) -> Result<Vec<FailureInfo>, Malformed> {
    let (unused, octets) = element.contents.split_first().ok_or(Malformed::Bits)?;
    if *unused > 7 || octets.len() > 4 || (octets.is_empty() && *unused != 0) {
        return Err(Malformed::Bits);
    }
    let octets = octets.iter().zip(0_u8..);
    let bits = octets.flat_map(|(octet, index)| {
        (0..8_u8).filter(move |bit| octet & (0x80 >> bit) != 0).map(move |bit| 8 * index + bit)
    });
    Ok(bits.map(FailureInfo::from_bit).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::tlv::element;

    fn response(status: &[&[u8]], token: &[u8]) -> Vec<u8> {
        element(tag::SEQUENCE, &[&element(tag::SEQUENCE, status), token])
    }

    const GRANTED: [u8; 3] = [2, 1, 0];
    const REJECTED: [u8; 3] = [2, 1, 2];

    #[test]
    fn a_token_comes_with_status_0_or_1_and_never_otherwise() {
        let token_der = [0x30, 2, 5, 0];
        for status in 0..=1 {
            assert_eq!(token(&response(&[&[2, 1, status]], &token_der)).unwrap(), token_der);
        }
        for (status, held) in
            [(0, &[][..]), (1, &[]), (2, &token_der), (5, &token_der), (6, &token_der), (6, &[])]
        {
            let problem = token(&response(&[&[2, 1, status]], held)).unwrap_err();
            assert_eq!(problem.code(), "time-stamp-response-malformed", "{status}");
        }
    }

    #[test]
    fn refusals_are_told_in_words() {
        let text = element(tag::SEQUENCE, &[&element(tag::UTF8_STRING, &["so\u{202E}rry\n".as_bytes()])]);
        // Bits 0, 15 and 25, and one that is not known.
        let bits = [tag::BIT_STRING, 5, 6, 0x81, 0x01, 0, 0x40];
        let problem = token(&response(&[&REJECTED, &text, &bits], &[])).unwrap_err();
        let AnswerProblem::Refused { failures, text } = &problem else { panic!("{problem}") };
        let expected = [
            FailureInfo::BadAlgorithm,
            FailureInfo::Other(7),
            FailureInfo::UnacceptedPolicy,
            FailureInfo::SystemFailure,
        ];
        assert_eq!((failures.as_slice(), text.as_str()), (&expected[..], "so\u{FFFD}rry\u{FFFD}"));
        assert!(problem.to_string().contains("it does not take this digest algorithm"), "{problem}");
        assert!(token(&response(&[&REJECTED], &[])).unwrap_err().to_string().contains("does not say why"));
    }

    #[test]
    fn what_is_no_response_is_refused() {
        let trailing = [response(&[&GRANTED], &[0x30, 0]), vec![0]].concat();
        let bad_text = element(tag::SEQUENCE, &[&element(tag::UTF8_STRING, &[&[0xFF]])]);
        for bytes in [
            b"".to_vec(),
            b"<html>".to_vec(),
            trailing,
            response(&[&[2, 2, 0, 0]], &[0x30, 0]),
            response(&[&[2, 1, 0x80]], &[0x30, 0]),
            response(&[&GRANTED, &[5, 0]], &[0x30, 0]),
            response(&[&REJECTED, &bad_text], &[]),
            response(&[&REJECTED, &[tag::BIT_STRING, 0]], &[]),
            response(&[&REJECTED, &[tag::BIT_STRING, 6, 0, 0, 0, 0, 0, 1]], &[]),
            element(tag::SEQUENCE, &[&vec![0; LARGEST_RESPONSE]]),
        ] {
            assert_eq!(token(&bytes).unwrap_err().code(), "time-stamp-response-malformed", "{bytes:02X?}");
        }
    }
}
