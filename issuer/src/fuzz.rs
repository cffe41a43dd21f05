//! Plain functions over bytes of strangers, for fuzzing; no command calls them.
//!
//! Each takes whatever it is given: bad input ends in an answer, never in a panic.
use const_oid::ObjectIdentifier;
use der::Encode;
use jiff::Timestamp;

use crate::ca::SerialNumber;
use crate::ca::ocsp::StatusRequest;
use crate::publication::serve;
use crate::time_stamp::request::TimeStampRequest;
use crate::time_stamp::serial_log::line::Line;
use crate::time_stamp::token::{Accuracy, Stamp};

/// A time-stamp request, and what would be signed for it; whether it is one that gets a stamp.
///
/// # Panics
/// A stamp that does not hold imprint and nonce octet by octet, or a refusal that cannot be said.
pub fn time_stamp_request(input: &[u8]) -> bool {
    let request = match TimeStampRequest::parse(input) {
        Ok(request) => request,
        Err(rejection) => {
            assert!(rejection.to_der().is_ok(), "a refusal that cannot be said");
            return false;
        }
    };
    let stamp = Stamp {
        policy: ObjectIdentifier::new_unwrap("1.2.3"),
        serial_number: SerialNumber::from_bytes(&[0x42; 16]).expect("16 octets are a serial number"),
        time: Timestamp::UNIX_EPOCH,
        accuracy: Accuracy::from_milliseconds(1).expect("a millisecond is an accuracy"),
    };
    let info = stamp.to_tst_info(&request).expect("what was parsed can be encoded");
    let holds = |part: Vec<u8>| !part.is_empty() && info.windows(part.len()).any(|window| window == part);
    assert!(holds(request.message_imprint.to_der().unwrap_or_default()), "another imprint");
    if let Some(nonce) = &request.nonce {
        assert!(holds(nonce.to_der().unwrap_or_default()), "another nonce");
    }
    true
}

/// A line of the log of serial numbers; whether it is of the form of one.
pub fn serial_log_line(input: &[u8]) -> bool {
    std::str::from_utf8(input).is_ok_and(|text| Line::parse(text).is_some())
}

/// An OCSP request as it is posted; whether it can be answered.
///
/// # Panics
/// A request without a certificate, or a number of a certificate that is not one.
pub fn ocsp_request(input: &[u8]) -> bool {
    let Ok(request) = StatusRequest::parse(input) else { return false };
    assert!(!request.certificates.is_empty(), "a request about nothing");
    for certificate in &request.certificates {
        if let Some(number) = certificate.serial_number() {
            assert!((1..=20).contains(&number.as_bytes().len()), "a number of no certificate");
        }
    }
    true
}

/// Path and query of an HTTP request; whether they name something of the published directory.
///
/// # Panics
/// A file outside the layout.
pub fn http_query(input: &[u8]) -> bool {
    std::str::from_utf8(input).is_ok_and(serve::names_something)
}

/// What a directory answers to a search for people, whole; whether it is an answer. The panic of the decoder, behind its
/// wall, is none.
pub fn directory_answer(input: &[u8]) -> bool {
    let Ok((ours, mut theirs)) = std::os::unix::net::UnixStream::pair() else { return false };
    let written = std::io::Write::write_all(&mut theirs, input)
        .and_then(|()| theirs.shutdown(std::net::Shutdown::Write));
    written.is_ok() && crate::publication::ldap::reads_answer(ours)
}

/// What a server answers to StartTLS, octet by octet; whether it agrees.
pub fn start_tls_answer(input: &[u8]) -> bool {
    (0..=input.len()).find_map(|end| crate::ldap_client::start_tls::read_answer(input.get(..end)?))
        == Some(Ok(()))
}

/// A ceremony's declaration; whether it is one.
pub fn ceremony(input: &[u8]) -> bool {
    crate::desk::ceremony::plan(input).is_ok()
}
