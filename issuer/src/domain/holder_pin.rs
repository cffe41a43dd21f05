//! A PIN that somebody chooses for a card: what it must be, and what it must not be.
//!
//! 6 to 8 digits (SP 800-73-5 Part 2 section 2.4.3). Repetitive and sequential digits, which everybody tries first, are
//! refused (SP 800-63B section 5.1.1.2), and so is the number that identifies its holder.

/// Why a PIN is refused; never what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinRefusal {
    /// Too short, too long, or something else than digits.
    #[error("a PIN is 6 to 8 digits")]
    NotDigits,
    /// One digit, or two or three of them, again and again.
    #[error("this PIN repeats itself, as 111111 or 121212 do; everybody tries such ones first")]
    Repeats,
    /// Each digit is the one before and one more, or one less.
    #[error("this PIN counts up or down, as 123456 or 987654 do; everybody tries such ones first")]
    Counts,
    /// The holder's own number.
    #[error("this PIN is the number by which its holder is known")]
    OwnNumber,
}

/// Refuses a PIN that is none, or one that is tried first; `known` are numbers that belong to its holder.
///
/// # Errors
/// [`PinRefusal`].
pub fn judge(pin: &str, known: &[&str]) -> Result<(), PinRefusal> {
    let digits = pin.as_bytes();
    if !(6..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return Err(PinRefusal::NotDigits);
    }
    let repeats =
        |period: usize| digits.iter().zip(digits.iter().skip(period)).all(|(one, next)| one == next);
    if (1..=3).any(repeats) {
        return Err(PinRefusal::Repeats);
    }
    // 0 follows 9, as on a keyboard.
    let steps = |by: u8| {
        digits.iter().zip(digits.iter().skip(1)).all(|(one, next)| (one - b'0' + by) % 10 == next - b'0')
    };
    if steps(1) || steps(9) {
        return Err(PinRefusal::Counts);
    }

    if known.iter().any(|text| text.bytes().filter(u8::is_ascii_digit).eq(digits.iter().copied())) {
        return Err(PinRefusal::OwnNumber);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_everybody_tries_first_is_refused_by_name() {
        for pin in ["000000", "11111111", "121212", "123123", "5757575", "12312312"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::Repeats), "{pin}");
        }
        for pin in ["123456", "12345678", "654321", "98765432", "890123", "210987"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::Counts), "{pin}");
        }
        for pin in ["", "12345", "135792468", "13579a", "\u{661}35792", " 135792"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::NotDigits), "{pin:?}");
        }
        assert_eq!(judge("100284", &["E", "10-02-84"]), Err(PinRefusal::OwnNumber));
        for pin in ["135792", "100284", "123455", "75310864", "112233"] {
            assert_eq!(judge(pin, &["1001"]), Ok(()), "{pin}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in ".{0,12}") {
            prop_assert!(judge(&text, &[&text]).is_err());
        }
    }
}
