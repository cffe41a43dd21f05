//! What a script expects for an answer: `< 7C 22 82 20 .. 90 00`.
use crate::cli::failure::ToolError;

/// Bytes, some of which may be any.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Byte(u8),
    /// `??`
    AnyByte,
    /// `..`
    AnyBytes,
}

impl std::str::FromStr for Pattern {
    type Err = ToolError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = Vec::new();
        for word in text.split_whitespace() {
            match word {
                ".." => parts.push(Part::AnyBytes),
                "??" => parts.push(Part::AnyByte),
                word => {
                    let bytes = hex::decode(word).map_err(|_| {
                        ToolError::BadLine(format!(
                            "{word:?} is not hex; write bytes, ?? for one and .. for any"
                        ))
                    })?;
                    parts.extend(bytes.into_iter().map(Part::Byte));
                }
            }
        }
        Ok(Self(parts))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (number, part) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str(" ")?;
            }
            match part {
                Part::Byte(byte) => write!(f, "{byte:02X}")?,
                Part::AnyByte => f.write_str("??")?,
                Part::AnyBytes => f.write_str("..")?,
            }
        }
        Ok(())
    }
}

impl Pattern {
    pub(super) fn matches(&self, answer: &[u8]) -> bool {
        // For each part, which lengths of the answer the parts up to it can cover.
        let mut reachable = vec![false; answer.len() + 1];
        if let Some(start) = reachable.first_mut() {
            *start = true;
        }
        for part in &self.0 {
            let mut next = vec![false; answer.len() + 1];
            let mut any = false;
            for (position, slot) in next.iter_mut().enumerate() {
                let before = |position: usize| reachable.get(position).copied().unwrap_or(false);
                *slot = match part {
                    Part::AnyBytes => {
                        any |= before(position);
                        any
                    }
                    Part::AnyByte => position > 0 && before(position - 1),
                    Part::Byte(byte) => {
                        position > 0 && before(position - 1) && answer.get(position - 1) == Some(byte)
                    }
                };
            }
            reachable = next;
        }
        reachable.last().copied().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_one_byte_and_any_bytes_are_told_apart() {
        let matches = |pattern: &str, answer: &[u8]| pattern.parse::<Pattern>().unwrap().matches(answer);
        assert!(matches("90 00", &[0x90, 0x00]) && matches("9000", &[0x90, 0x00]));
        assert!(!matches("90 00", &[0x90]) && !matches("90 00", &[1, 0x90, 0x00]));
        assert!(matches(".. 90 00", &[0x90, 0x00]) && matches(".. 90 00", &[1, 2, 0x90, 0x90, 0x00]));
        assert!(matches("63 ??", &[0x63, 0xC3]) && !matches("63 ??", &[0x63]));
        assert!(matches("61 .. 4F .. 90 00", &[0x61, 9, 0x4F, 0x90, 0x00]));
        assert!(matches("", &[]) && !matches("", &[0]));
        assert!("9 0".parse::<Pattern>().is_err() && "xx".parse::<Pattern>().is_err());
        assert_eq!("7C .. ?? 9000".parse::<Pattern>().unwrap().to_string(), "7C .. ?? 90 00");
    }
}
