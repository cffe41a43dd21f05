//! Serial numbers: positive, at most 20 octets, and long enough to be unpredictable.
use super::{CertificateRule, Sample};

pub(super) const RULE: CertificateRule =
    CertificateRule { name: "serial-number", clause: "RFC 5280 section 4.1.2.2, S/MIME BR 7.1", check };

fn check(sample: &Sample<'_>, messages: &mut Vec<String>) {
    let octets = sample.tbs.serial_number.as_bytes();
    match octets.first() {
        Some(first) if *first >= 0x80 => messages.push("it is negative".into()),
        _ if octets.iter().all(|octet| *octet == 0) => messages.push("it is zero".into()),
        _ => (),
    }
    if octets.len() > 20 {
        messages.push(format!("it has {} octets, which is more than 20", octets.len()));
    }
    if octets.len() < 8 {
        messages.push(format!("it has {} octets, which cannot hold 64 random bits", octets.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean, assert_finding, changed};
    use super::*;
    use der::asn1::Int;

    fn with(octets: &[u8]) -> crate::ca::certificate::TbsCertificate {
        let number = Int::new(octets).unwrap();
        changed(|tbs| tbs.serial_number = number)
    }

    #[test]
    fn every_profile_is_clean() {
        assert_clean(&RULE);
    }

    #[test]
    fn bad_negative() {
        assert_finding(&RULE, "negative", &with(&[0x80, 1, 2, 3, 4, 5, 6, 7, 8]));
    }

    #[test]
    fn bad_zero() {
        assert_finding(&RULE, "zero", &with(&[0]));
    }

    #[test]
    fn bad_twenty_one_octets() {
        assert_finding(&RULE, "21 octets", &with(&[0x7F; 21]));
    }

    #[test]
    fn bad_short() {
        assert_finding(&RULE, "64 random bits", &with(&[0x7F; 7]));
    }
}
