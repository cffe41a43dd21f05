//! Application identifiers (ISO 7816-5; SP 800-73-5 Part 1 section 2.2).

/// The PIV card application with its version.
pub const PIV: [u8; 11] = [0xA0, 0x00, 0x00, 0x03, 0x08, 0x00, 0x00, 0x10, 0x00, 0x01, 0x00];

/// The registered application provider: NIST.
pub const NIST_PROVIDER: [u8; 5] = [0xA0, 0x00, 0x00, 0x03, 0x08];

/// The proprietary identifier extension of the PIV card application.
pub const PIV_EXTENSION: [u8; 6] = [0x00, 0x00, 0x10, 0x00, 0x01, 0x00];

/// The YubiKey management application.
pub const YUBIKEY_MANAGEMENT: [u8; 8] = [0xA0, 0x00, 0x00, 0x05, 0x27, 0x47, 0x11, 0x17];

/// Whether SELECT means this application: the full AID, or the AID cut from the right down to
/// the five bytes of its provider, which is all that several hosts send.
#[must_use]
pub fn names(candidate: &[u8], aid: &[u8]) -> bool {
    candidate.len() >= NIST_PROVIDER.len() && aid.starts_with(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aid_may_be_cut_down_to_its_provider() {
        for length in 5..=11 {
            assert!(names(&PIV[..length], &PIV));
        }
        assert!(!names(&PIV[..4], &PIV));
        assert!(!names(&[&PIV[..], &[0]].concat(), &PIV));
        assert_eq!([&NIST_PROVIDER[..], &PIV_EXTENSION[..]].concat(), PIV);
    }
}
