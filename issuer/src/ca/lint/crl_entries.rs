//! The entries of a CRL: each certificate once, with readable extensions, and no reason where there is none.
use std::collections::HashSet;

use const_oid::db::rfc5280::{ID_CE_CRL_REASONS, ID_CE_INVALIDITY_DATE};
use der::Decode;
use der::asn1::GeneralizedTime;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::CrlReason;
use x509_cert::time::Time;

use super::CrlRule;
use crate::ca::crl::entry_view::EntryView;
use crate::ca::crl::view::CrlView;

pub(super) const RULE: CrlRule =
    CrlRule { name: "crl-entries", clause: "RFC 5280 sections 5.1.2.6 and 5.3, S/MIME BR 7.2.2", check };

fn check(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    // Entries of one kind have the same extensions, octet by octet.
    let mut clean: Option<&[u8]> = None;
    // And revocations come in groups of one date.
    let mut clean_date: Option<&[u8]> = None;
    let mut previous: Option<&[u8]> = None;
    let mut is_ascending = true;
    for entry in crl.entries() {
        if messages.len() >= MOST_MESSAGES {
            return;
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return messages.push(error.to_string()),
        };
        is_ascending &= previous.is_none_or(|previous| entry.cmp_serial_number(previous).is_gt());
        previous = Some(entry.magnitude());
        let before = messages.len();
        if clean_date != Some(entry.date) {
            check_date(&entry, messages);
            clean_date = (messages.len() == before).then_some(entry.date);
        }
        if entry.raw_extensions().is_some() && entry.raw_extensions() != clean {
            check_extensions(&entry, crl.is_delta(), messages);
            clean = entry.raw_extensions().filter(|_| messages.len() == before);
        }
    }
    if !is_ascending {
        check_twice(crl, messages);
    }
}

/// In an ascending list nothing can be twice.
fn check_twice(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    let mut seen: HashSet<&[u8]> = HashSet::new();
    for entry in crl.entries().map_while(Result::ok) {
        if messages.len() >= MOST_MESSAGES {
            return;
        }
        if !seen.insert(entry.serial_number) {
            messages.push(format!("{} is there twice", hex::encode(entry.serial_number)));
        }
    }
}

fn check_date(entry: &EntryView<'_>, messages: &mut Vec<String>) {
    let problem = match entry.revocation_date() {
        Ok(Time::GeneralTime(general)) if general.to_date_time().year() < 2050 => {
            "is a GeneralizedTime before 2050"
        }
        Ok(_) => return,
        Err(_) => "cannot be read",
    };
    messages.push(format!("the date of {} {problem}", hex::encode(entry.serial_number)));
}

fn check_extensions(entry: &EntryView<'_>, is_delta: bool, messages: &mut Vec<String>) {
    let serial_number = hex::encode(entry.serial_number);
    let extensions = match entry.extensions() {
        Ok(extensions) => extensions,
        Err(error) => return messages.push(format!("the extensions of {serial_number}: {error}")),
    };
    if extensions.is_empty() {
        messages.push(format!("the extensions of {serial_number} are there but empty"));
    }
    for extension in &extensions {
        if let Some(problem) = problem(extension, is_delta) {
            messages.push(format!("{problem}: {serial_number}"));
        }
    }
}

fn problem(extension: &Extension, is_delta: bool) -> Option<&'static str> {
    let octets = extension.extn_value.as_bytes();
    match extension.extn_id {
        _ if extension.critical => Some("an extension of an entry is critical"),
        ID_CE_CRL_REASONS => match CrlReason::from_der(octets) {
            Err(_) => Some("reasonCode cannot be read"),
            Ok(CrlReason::Unspecified) => Some("reasonCode is 0, which is said by leaving it out"),
            // Section 5.3.1: only a delta CRL can take an entry back.
            Ok(CrlReason::RemoveFromCRL) if !is_delta => {
                Some("reasonCode is removeFromCRL outside a delta CRL")
            }
            Ok(_) => None,
        },
        ID_CE_INVALIDITY_DATE => {
            GeneralizedTime::from_der(octets).err().map(|_| "invalidityDate cannot be read")
        }
        _ => None,
    }
}

/// A broken list of a million entries needs no million messages.
const MOST_MESSAGES: usize = 100;

#[cfg(test)]
mod tests {
    use super::super::samples::{assert_clean_crl, assert_crl_finding, changed_crl};
    use super::*;
    use der::asn1::OctetString;
    use x509_cert::crl::{CertificateList, RevokedCert};

    fn first(crl: &mut CertificateList) -> &mut RevokedCert {
        &mut crl.tbs_cert_list.revoked_certificates.as_mut().unwrap()[0]
    }

    fn with_extension(extn_id: const_oid::ObjectIdentifier, critical: bool, value: &[u8]) -> Vec<u8> {
        let extn_value = OctetString::new(value).unwrap();
        let extension = Extension { extn_id, critical, extn_value };
        changed_crl(|crl| first(crl).crl_entry_extensions = Some(vec![extension]))
    }

    #[test]
    fn ours_are_clean() {
        assert_clean_crl(&RULE);
    }

    #[test]
    fn bad_reason_unspecified() {
        assert_crl_finding(
            &RULE,
            "reasonCode is 0",
            &with_extension(ID_CE_CRL_REASONS, false, &[0x0A, 1, 0]),
        );
    }

    #[test]
    fn bad_date() {
        let mut crl = changed_crl(|_| {});
        // After thisUpdate and nextUpdate comes the date of the first entry; its month becomes the thirteenth.
        let mut dates = (0..crl.len() - 1).filter(|place| crl[*place..place + 2] == [0x17, 13]);
        let date = dates.nth(2).unwrap();
        crl[date + 4..date + 6].copy_from_slice(b"13");
        assert_crl_finding(&RULE, "cannot be read", &crl);
    }

    #[test]
    fn bad_reason_unknown() {
        assert_crl_finding(&RULE, "cannot be read", &with_extension(ID_CE_CRL_REASONS, false, &[0x0A, 1, 7]));
    }

    #[test]
    fn bad_reason_critical() {
        assert_crl_finding(&RULE, "critical", &with_extension(ID_CE_CRL_REASONS, true, &[0x0A, 1, 1]));
    }

    #[test]
    fn bad_removal_outside_a_delta() {
        let sample = with_extension(ID_CE_CRL_REASONS, false, &[0x0A, 1, 8]);
        assert_crl_finding(&RULE, "removeFromCRL", &sample);
    }

    #[test]
    fn bad_invalidity_date() {
        let utc_time = b"\x17\x0D300101000000Z";
        assert_crl_finding(&RULE, "invalidityDate", &with_extension(ID_CE_INVALIDITY_DATE, false, utc_time));
    }

    #[test]
    fn bad_empty_extensions() {
        let sample = changed_crl(|crl| first(crl).crl_entry_extensions = Some(Vec::new()));
        assert_crl_finding(&RULE, "there but empty", &sample);
    }

    #[test]
    fn bad_twice() {
        let sample = changed_crl(|crl| {
            let entry = first(crl).clone();
            crl.tbs_cert_list.revoked_certificates.as_mut().unwrap().push(entry);
        });
        assert_crl_finding(&RULE, "there twice", &sample);
    }
}
