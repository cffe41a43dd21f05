//! Anchors, paths, revocation, verdicts (RFC 5280).
pub mod anchors;
pub mod crl;
mod crl_entry;
pub(crate) mod crl_index;
mod crl_record;
mod crl_scope;
mod crl_stream;
pub mod examination;
mod inquiry;
pub mod judge;
mod name_constraints;
pub mod ocsp;
mod ocsp_structures;
mod path;
pub mod policies;
pub mod problem;
pub mod recipient;
pub mod revocation;
pub mod time_stamp;
mod usage;
mod validate;
pub mod verdict;

pub use anchors::{Anchor, Anchors};
pub use crl::{CertificateList, Revocation, RevocationReason};
pub use judge::{DocumentVerdict, Enclosed, Judge, Source};
pub use ocsp::OcspAnswer;
pub use policies::PolicyInputs;
pub use problem::{CertificateProblem, Whose};
pub use recipient::{CheckedRecipient, RecipientProblem};
pub use revocation::{Evidence, EvidenceKind, UnknownRevocation};
pub use usage::Purpose;
pub use verdict::Verdict;

pub use crate::certificate::extensions::ANY_POLICY;
pub use crate::certificate::{Acceptance, Certificate, CertificateError};

/// How long something lasted, in words.
pub fn age_in_words(age: jiff::SignedDuration) -> String {
    let (number, unit) = match age.as_mins().max(0) {
        0 => return "less than a minute".to_owned(),
        minutes @ 1..120 => (minutes, "minute"),
        minutes @ 120..4320 => (minutes / 60, "hour"),
        minutes => (minutes / 1440, "day"),
    };
    format!("{number} {unit}{}", if number == 1 { "" } else { "s" })
}

/// A moment in words: to the minute, in UTC.
pub fn in_words(moment: jiff::Timestamp) -> String {
    moment.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    #[test]
    fn ages_are_told_in_the_unit_that_fits() {
        for (minutes, words) in [
            (-5, "less than a minute"),
            (0, "less than a minute"),
            (1, "1 minute"),
            (119, "119 minutes"),
            (120, "2 hours"),
            (4_319, "71 hours"),
            (4_320, "3 days"),
        ] {
            assert_eq!(super::age_in_words(SignedDuration::from_mins(minutes)), words);
        }
    }
}
