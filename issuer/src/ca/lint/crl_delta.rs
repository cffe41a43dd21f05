//! deltaCRLIndicator: what a delta CRL starts from.
use std::cmp::Ordering;

use super::CrlRule;
use crate::ca::crl::extensions::{DELTA_CRL_INDICATOR, FRESHEST_CRL};
use crate::ca::crl::view::CrlView;

pub(super) const RULE: CrlRule =
    CrlRule { name: "crl-delta", clause: "RFC 5280 sections 5.2.4 and 5.2.6", check };

fn check(crl: &CrlView<'_>, messages: &mut Vec<String>) {
    let Some(extension) = crl.extension(DELTA_CRL_INDICATOR) else { return };
    if !extension.critical {
        messages.push("deltaCRLIndicator is not critical: a reader could take a part for the whole".into());
    }
    if crl.extension(FRESHEST_CRL).is_some() {
        messages.push("a delta CRL has a freshestCRL".into());
    }
    let Some(base) = crl.base_number() else {
        return messages.push("BaseCRLNumber cannot be read".into());
    };
    let number = crl.number().unwrap_or_default();
    // One that is made together with its base has its number and is empty.
    if (base.len(), &base).cmp(&(number.len(), &number)) == Ordering::Greater {
        messages.push("it starts from a CRL that comes after it".into());
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{
        assert_clean_crl, assert_crl_finding, changed_extension, changed_extensions, delta, partition,
    };
    use super::*;
    use crate::ca::crl::CrlScope;
    use der::asn1::OctetString;

    #[test]
    fn ours_are_clean() {
        assert_clean_crl(&RULE);
    }

    #[test]
    fn bad_not_critical() {
        let sample = changed_extension(&delta(), DELTA_CRL_INDICATOR, |extension| extension.critical = false);
        assert_crl_finding(&RULE, "not critical", &sample);
    }

    #[test]
    fn bad_base_after_it() {
        let sample = changed_extensions(&CrlScope { base_number: Some(8), ..delta() }, |_| ());
        assert_crl_finding(&RULE, "comes after it", &sample);
    }

    #[test]
    fn bad_base_unreadable() {
        let sample = changed_extension(&delta(), DELTA_CRL_INDICATOR, |extension| {
            extension.extn_value = OctetString::new(vec![0x05, 0x00]).unwrap();
        });
        assert_crl_finding(&RULE, "cannot be read", &sample);
    }

    #[test]
    fn bad_delta_of_a_delta() {
        let sample = changed_extensions(&CrlScope { base_number: Some(6), ..partition() }, |_| ());
        assert_crl_finding(&RULE, "has a freshestCRL", &sample);
    }
}
