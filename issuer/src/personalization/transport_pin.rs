//! The PIN that a card leaves the desk with.
use rand_core::CryptoRng;
use zeroize::Zeroizing;

/// Of the PIN: as many as a PIN may have (SP 800-73-5 Part 2 section 2.4.3).
const DIGITS: usize = 8;

/// The bytes below give every digit the same chance.
const FAIR: u8 = 250;

/// 8 random digits. Each is drawn by itself: formatting a number would leave its digits on the stack.
#[must_use]
pub fn transport_pin(random: &mut dyn CryptoRng) -> Zeroizing<String> {
    let mut digits = Zeroizing::new(String::with_capacity(DIGITS));
    let mut byte = Zeroizing::new([0]);
    while digits.len() < DIGITS {
        random.fill_bytes(byte.as_mut_slice());
        let [drawn] = *byte;
        if drawn < FAIR {
            digits.push(char::from(b'0' + drawn % 10));
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    #[test]
    fn eight_digits_each_as_likely_as_the_others() {
        let mut random = UnwrapErr(SysRng);
        let mut seen = [0_u32; 10];
        for _ in 0..10_000 {
            let pin = transport_pin(&mut random);
            assert_eq!(pin.len(), DIGITS);
            for digit in pin.bytes() {
                seen[usize::from(digit - b'0')] += 1;
            }
        }
        // 8,000 of each are expected; six standard deviations are 509, so that chance fails this once in 10^8 runs.
        assert!(seen.iter().all(|count| (7_491..=8_509).contains(count)), "{seen:?}");
    }
}
