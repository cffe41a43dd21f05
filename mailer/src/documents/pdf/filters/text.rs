//! ASCIIHexDecode and ASCII85Decode (ISO 32000-2 sections 7.4.2 and 7.4.3).
use std::io;

use super::super::lexer::{hexadecimal_digit, is_white_space};
use super::{Source, Step, invalid};

pub(super) struct Hexadecimal;

pub(super) struct Base85;

fn next(source: &mut dyn Source) -> io::Result<Option<u8>> {
    loop {
        match source.octet()? {
            Some(octet) if is_white_space(octet) => {}
            octet => return Ok(octet),
        }
    }
}

impl Step for Hexadecimal {
    fn step(&mut self, source: &mut dyn Source, out: &mut Vec<u8>) -> io::Result<bool> {
        let digit =
            |octet| hexadecimal_digit(octet).ok_or_else(|| invalid("a character is no hexadecimal digit"));
        let high = match next(source)? {
            None | Some(b'>') => return Ok(false),
            Some(octet) => digit(octet)?,
        };
        let (low, more) = match next(source)? {
            None | Some(b'>') => (0, false),
            Some(octet) => (digit(octet)?, true),
        };
        out.push(high << 4 | low);
        Ok(more)
    }
}

impl Step for Base85 {
    fn step(&mut self, source: &mut dyn Source, out: &mut Vec<u8>) -> io::Result<bool> {
        let (mut group, mut digits) = (0_u32, 0);
        let wrong = || invalid("a group of base 85 cannot be");
        loop {
            match next(source)? {
                Some(b'z') if digits == 0 => {
                    out.extend([0; 4]);
                    return Ok(true);
                }
                Some(octet @ b'!'..=b'u') => {
                    let digit = u32::from(octet - b'!');
                    group =
                        group.checked_mul(85).and_then(|group| group.checked_add(digit)).ok_or_else(wrong)?;
                    digits += 1;
                    if digits == 5 {
                        out.extend(group.to_be_bytes());
                        return Ok(true);
                    }
                }
                None | Some(b'~') => break,
                Some(_) => return Err(wrong()),
            }
        }
        if digits == 0 {
            return Ok(false);
        }
        let whole = (digits..5).try_fold(u64::from(group), |group, _| Some(group * 85 + 84));
        let whole = whole.and_then(|group| u32::try_from(group).ok()).ok_or_else(wrong)?;
        let octets = whole.to_be_bytes();
        out.extend(octets.get(..digits - 1).filter(|octets| !octets.is_empty()).ok_or_else(wrong)?);
        Ok(false)
    }
}
