//! A PIN that somebody chooses for a card: what it must be, and what it must not be.
//!
//! 6 to 8 digits (SP 800-73-5 Part 2 section 2.4.3). Repetitive and sequential digits, which everybody tries first, are
//! refused (SP 800-63B section 5.1.1.2), and so is the number that identifies its holder. Refused is a PIN that
//!
//! | Rule | For example |
//! |---|---|
//! | is one digit or group of digits again and again | 111111, 121212, 123123, 19841984 |
//! | has each digit twice | 112233, 445511 |
//! | reads the same backwards | 123321, 5678765 |
//! | counts by equal steps, but for one digit at an end | 123456, 987654, 135790, 123455 |
//! | counts by equal steps in pairs | 102030, 111213 |
//! | counts by equal steps in each half | 147258, 123789, 24681357 |
//!
//! Digits count around (0 follows 9), pairs from 99 to 00. About one in forty PINs of six digits is refused so.

use zeroize::Zeroizing;

/// Why a PIN is refused; never what it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PinRefusal {
    /// Too short, too long, or something else than digits.
    #[error("a PIN is 6 to 8 digits")]
    NotDigits,
    /// A group of digits again and again, each digit twice, or the same backwards.
    #[error(
        "this PIN repeats itself, as 111111, 121212, 112233 or 123321 do; everybody tries such ones first"
    )]
    Repeats,
    /// Digits, pairs or halves by equal steps.
    #[error(
        "this PIN counts up or down, as 123456, 135790, 102030 or 147258 do; everybody tries such ones first"
    )]
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
    if !(6..=8).contains(&pin.len()) || !pin.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(PinRefusal::NotDigits);
    }
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(pin.bytes().map(|byte| byte - b'0').collect());
    if repeats(&digits) {
        return Err(PinRefusal::Repeats);
    }
    if counts(&digits) {
        return Err(PinRefusal::Counts);
    }
    if known.iter().any(|text| text.bytes().filter(u8::is_ascii_digit).eq(pin.bytes())) {
        return Err(PinRefusal::OwnNumber);
    }
    Ok(())
}

fn repeats(digits: &[u8]) -> bool {
    let every = |period: usize| digits.iter().zip(digits.iter().skip(period)).all(|(one, next)| one == next);
    let (pairs, rest) = digits.as_chunks::<2>();
    (1..=digits.len() / 2).any(every)
        || (rest.is_empty() && pairs.iter().all(|[one, two]| one == two))
        || digits.iter().eq(digits.iter().rev())
}

fn counts(digits: &[u8]) -> bool {
    let (but_last, but_first) = (digits.split_last(), digits.split_first());
    let (first_half, second_half) = digits.split_at(digits.len() / 2);
    let (pairs, rest) = digits.as_chunks::<2>();
    let pairs: Zeroizing<Vec<u8>> =
        Zeroizing::new(pairs.iter().map(|[tens, ones]| tens * 10 + ones).collect());
    but_last.is_some_and(|(_, run)| by_equal_steps(run, 10))
        || but_first.is_some_and(|(_, run)| by_equal_steps(run, 10))
        || (rest.is_empty() && by_equal_steps(&pairs, 100))
        || (by_equal_steps(first_half, 10) && by_equal_steps(second_half, 10))
}

/// Whether each number is the one before and always the same more, where `modulus` is 0 again.
fn by_equal_steps(numbers: &[u8], modulus: u8) -> bool {
    let mut steps =
        numbers.iter().zip(numbers.iter().skip(1)).map(|(one, next)| (modulus + next - one) % modulus);
    let first = steps.next();
    steps.all(|step| Some(step) == first)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_everybody_tries_first_is_refused_by_name() {
        for pin in ["000000", "11111111", "121212", "123123", "5757575", "12312312", "19841984"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::Repeats), "{pin}");
        }
        for pin in ["112233", "445511", "11223344", "123321", "12344321", "5678765", "100001"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::Repeats), "{pin}");
        }
        for pin in ["123456", "12345678", "654321", "98765432", "890123", "210987"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::Counts), "{pin}");
        }
        for pin in ["135790", "135792", "975310", "123455", "864201", "102030", "111213", "80706050"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::Counts), "{pin}");
        }
        for pin in ["147258", "258147", "123789", "159753", "24681357", "75310864"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::Counts), "{pin}");
        }
        for pin in ["", "12345", "135792468", "13579a", "\u{661}35792", " 135792"] {
            assert_eq!(judge(pin, &[]), Err(PinRefusal::NotDigits), "{pin:?}");
        }
        assert_eq!(judge("100284", &["E", "10-02-84"]), Err(PinRefusal::OwnNumber));
        for pin in ["100284", "271828", "3141592", "75310824", "112234", "864219", "123443"] {
            assert_eq!(judge(pin, &["1001"]), Ok(()), "{pin}");
        }
    }

    #[test]
    fn few_of_all_pins_are_refused() {
        let pins = (0..1_000_000).step_by(7).map(|number| format!("{number:06}"));
        let refused = pins.filter(|pin| judge(pin, &[]).is_err()).count();
        assert!((2_500..4_500).contains(&refused), "{refused} of 142858");
    }

    proptest! {
        #[test]
        fn no_text_makes_it_fail(text in ".{0,12}") {
            prop_assert!(judge(&text, &[&text]).is_err());
        }
    }
}
