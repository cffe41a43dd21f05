//! Validity: in order, encoded as the year demands, and not too long.
use x509_cert::time::Time;

use super::{CertificateRule, Sample};
use crate::ca::profile::extension::{PIV_CONTENT_SIGNING, TIME_STAMPING};

pub(super) const RULE: CertificateRule =
    CertificateRule { name: "validity", clause: "RFC 5280 section 4.1.2.5, S/MIME BR 6.3.2", check };

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let validity = sample.tbs.validity;
    for (field, time) in [("notBefore", validity.not_before), ("notAfter", validity.not_after)] {
        if let Time::GeneralTime(general) = time
            && general.to_date_time().year() < 2050
        {
            messages.push(format!("{field} is a GeneralizedTime before 2050"));
        }
    }
    let (begin, end) = (validity.not_before.to_unix_duration(), validity.not_after.to_unix_duration());
    let Some(length) = end.checked_sub(begin) else {
        return messages.push("it ends before it begins".into());
    };
    // Both ends are inclusive: 824 days end one second before the begin of day 825.
    let days = (length.as_secs() + 1).div_ceil(86_400);
    // A time stamp outlives its maker's certificate only with the help of another; so that one lives long.
    // So does whoever signed a card's objects: not shorter than the card (SP 800-73-5 Part 1 section 3.1.2.1).
    let longest = match *sample.purposes() {
        [TIME_STAMPING | PIV_CONTENT_SIGNING] => LONGEST_OF_LASTING_SIGNATURES,
        _ => LONGEST,
    };
    if !sample.is_authority() && days > longest {
        messages.push(format!("it is {days} days long, which is more than {longest}"));
    }
}

/// Days; S/MIME Baseline Requirements 6.3.2 allow one more, counted inclusively.
const LONGEST: u64 = 824;
/// Days; 135 months, as the Baseline Requirements for code signing (6.3.2) allow time-stamping certificates.
const LONGEST_OF_LASTING_SIGNATURES: u64 = 4_108;

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed};
    use super::*;
    use crate::ca::certificate::{time, timestamp};
    use der::asn1::GeneralizedTime;

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_reversed() {
        let reverse = |tbs: &mut crate::ca::certificate::TbsCertificate| {
            let validity = &mut tbs.validity;
            std::mem::swap(&mut validity.not_before, &mut validity.not_after);
        };
        assert_finding(&RULE, "ends before", &changed(reverse));
    }

    #[test]
    fn bad_one_second_too_long() {
        let longer = |tbs: &mut crate::ca::certificate::TbsCertificate| {
            let end = timestamp(tbs.validity.not_before) + jiff::SignedDuration::from_secs(824 * 86_400);
            tbs.validity.not_after = time(end).unwrap();
        };
        assert_finding(&RULE, "825 days", &changed(longer));
    }

    #[test]
    fn bad_time_stamping_for_twelve_years() {
        let mut tbs = super::super::samples::good(&crate::ca::Profile::TimeStamping);
        let end = timestamp(tbs.validity.not_before) + jiff::SignedDuration::from_secs(12 * 366 * 86_400);
        tbs.validity.not_after = time(end).unwrap();
        assert_finding(&RULE, "more than 4108", &tbs);
    }

    #[test]
    fn bad_generalized_time_before_2050() {
        let general = |tbs: &mut crate::ca::certificate::TbsCertificate| {
            let begin = tbs.validity.not_before.to_date_time();
            tbs.validity.not_before = Time::GeneralTime(GeneralizedTime::from_date_time(begin));
        };
        assert_finding(&RULE, "GeneralizedTime before 2050", &changed(general));
    }
}
