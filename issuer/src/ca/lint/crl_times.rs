//! The times of a CRL: there is a next one, later, and each is encoded as its year demands.
use std::time::Duration;

use x509_cert::time::Time;

use super::CrlRule;
use crate::ca::crl::view::CrlView;

pub(super) const RULE: CrlRule =
    CrlRule { name: "crl-times", clause: "RFC 5280 sections 5.1.2.4 and 5.1.2.5, S/MIME BR 4.9.7", check };

/// Twelve months, the longest of them.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 60 * 60);

fn check(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    check_encoding("thisUpdate", crl.this_update, messages);
    let Some(next_update) = crl.next_update else {
        return messages.push("there is no nextUpdate".into());
    };
    check_encoding("nextUpdate", next_update, messages);
    if next_update.to_unix_duration() <= crl.this_update.to_unix_duration() {
        messages.push("nextUpdate is not after thisUpdate".into());
    }
    let lasts = next_update.to_unix_duration().saturating_sub(crl.this_update.to_unix_duration());
    if lasts > LONGEST {
        messages.push("nextUpdate is more than twelve months after thisUpdate".into());
    }
}

fn check_encoding(field: &str, time: Time, messages: &mut Vec<String>) {
    if let Time::GeneralTime(general) = time
        && general.to_date_time().year() < 2050
    {
        messages.push(format!("{field} is a GeneralizedTime before 2050"));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean_crl, assert_crl_finding, changed_crl};
    use super::*;
    use der::asn1::GeneralizedTime;

    #[test]
    fn ours_are_clean() {
        assert_clean_crl(&RULE);
    }

    #[test]
    fn bad_without_next_update() {
        assert_crl_finding(&RULE, "no nextUpdate", &changed_crl(|crl| crl.tbs_cert_list.next_update = None));
    }

    #[test]
    fn bad_reversed() {
        let sample = changed_crl(|crl| crl.tbs_cert_list.next_update = Some(crl.tbs_cert_list.this_update));
        assert_crl_finding(&RULE, "not after", &sample);
    }

    #[test]
    fn bad_for_longer_than_a_year() {
        let sample = changed_crl(|crl| {
            let made = crl.tbs_cert_list.this_update.to_unix_duration();
            let end = GeneralizedTime::from_unix_duration(made + Duration::from_secs(900 * 86_400)).unwrap();
            crl.tbs_cert_list.next_update = Some(Time::GeneralTime(end));
        });
        assert_crl_finding(&RULE, "more than twelve months", &sample);
    }

    #[test]
    fn bad_generalized_time_before_2050() {
        let sample = changed_crl(|crl| {
            let made = crl.tbs_cert_list.this_update.to_date_time();
            crl.tbs_cert_list.this_update = Time::GeneralTime(GeneralizedTime::from_date_time(made));
        });
        assert_crl_finding(&RULE, "GeneralizedTime before 2050", &sample);
    }
}
