//! Care for a card that is not a copy: its tries, and what it holds.

use zeroize::Zeroizing;

use super::bench::{Bench, BenchError};
use super::line::{Line, Numbered, Word};
use super::management::ManagementKey;
use super::wording;
use crate::iso7816::Interface;
use crate::iso7816::ber_tlv::Tlv;

const CHAINING_BIT: u8 = 0x10;

/// The first line whose command may change what a card holds, and that command in words. Tries of PIN and PUK do not
/// count here: see [`TryGuard`].
#[must_use]
pub fn first_change(lines: &[Numbered]) -> Option<(usize, String)> {
    lines.iter().find_map(|Numbered { number, line }| {
        let Line::Command(words) = line else { return None };
        let Some(Word::Bytes(begin)) = words.first() else { return Some((*number, "a command".to_owned())) };
        let is_harmless = matches!(
            begin.get(1),
            // VERIFY, GENERAL AUTHENTICATE, SELECT, GET RESPONSE, GET DATA; READ CONFIG, GET METADATA, GET SERIAL, ATTEST,
            // GET VERSION.
            None | Some(0x20 | 0x87 | 0xA4 | 0xC0 | 0xCB | 0x1D | 0xF7..=0xF9 | 0xFD)
        );
        (!is_harmless).then(|| (*number, wording::command(begin)))
    })
}

/// Asks how many tries are left before a command could spend one, and does not send it where it is the last.
pub struct TryGuard<'a> {
    bench: &'a mut dyn Bench,
    /// INS, P1 and P2 of a command that is coming in fragments: nothing may come between them.
    chain: Option<[u8; 3]>,
}

/// A value with a retry counter.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Counted(u8);

impl<'a> TryGuard<'a> {
    /// Guards a bench.
    pub fn new(bench: &'a mut dyn Bench) -> Self {
        Self { bench, chain: None }
    }

    fn require_tries(&mut self, command: &[u8], counted: Counted) -> Result<(), BenchError> {
        let left = self.tries_left(counted)?;
        let name = counted.name();
        let refused = match left {
            Some(1) => format!("it might spend the last try of the {name}"),
            None => format!("the card does not say how many tries of the {name} are left"),
            Some(_) => return Ok(()),
        };
        let command = wording::command(command);
        Err(BenchError::LastTry {
            what: format!("{command} was not sent: {refused}; play with --last-try if that is meant"),
        })
    }

    /// The tries left, if the card tells; 0 when it is blocked. A value that is verified has all its tries.
    fn tries_left(&mut self, counted: Counted) -> Result<Option<u8>, BenchError> {
        let metadata = self.bench.transmit(&[0x00, 0xF7, 0x00, counted.0, 0x00])?;
        if let [data @ .., 0x90, 0x00] = metadata.as_slice() {
            let parts = Tlv::parse_all(data).unwrap_or_default();
            let tries = parts.iter().find(|part| part.tag == 0x06).map(|part| part.value);
            if let Some([_, left]) = tries {
                return Ok(Some(*left));
            }
        }
        // VERIFY has no question about the PUK.
        if counted == Counted::PUK {
            return Ok(None);
        }
        let status = self.bench.transmit(&[0x00, 0x20, 0x00, counted.0])?;
        Ok(match status.as_slice() {
            [0x63, low @ 0xC0..=0xCF] => Some(low & 0x0F),
            [0x69, 0x83] => Some(0),
            [0x90, 0x00] => Some(u8::MAX),
            // There is no such value: nothing can be spent.
            [0x6A, _] => Some(u8::MAX),
            _ => None,
        })
    }
}

impl Counted {
    const PUK: Self = Self(0x81);

    /// What a command may spend a try of.
    fn of(command: &[u8]) -> Option<Self> {
        match command {
            [_, 0x20, 0x00, reference, _, _, ..] | [_, 0x24, _, reference, ..] => Some(Self(*reference)),
            [_, 0x2C, ..] => Some(Self::PUK),
            _ => None,
        }
    }

    fn name(self) -> String {
        match self.0 {
            0x00 => "Global PIN".to_owned(),
            0x80 => "PIN".to_owned(),
            0x81 => "PUK".to_owned(),
            other => format!("reference {other:02X}"),
        }
    }
}

impl Bench for TryGuard<'_> {
    fn power_on(&mut self) -> Result<(), BenchError> {
        self.bench.power_on()
    }

    fn power_off(&mut self) -> Result<(), BenchError> {
        self.bench.power_off()
    }

    fn reset(&mut self) -> Result<(), BenchError> {
        self.bench.reset()
    }

    fn over(&mut self, interface: Interface) -> Result<(), BenchError> {
        self.bench.over(interface)
    }

    fn touch(&mut self, comes: bool) -> Result<(), BenchError> {
        self.bench.touch(comes)
    }

    fn pass(&mut self, seconds: u32) -> Result<(), BenchError> {
        self.bench.pass(seconds)
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Zeroizing<Vec<u8>>, BenchError> {
        let header = match command {
            [_, ins, p1, p2, ..] => Some([*ins, *p1, *p2]),
            _ => None,
        };
        let goes_on = self.chain.is_some() && self.chain == header;
        if let Some(counted) = Counted::of(command).filter(|_| !goes_on) {
            self.require_tries(command, counted)?;
        }
        self.chain = header.filter(|_| command.first().is_some_and(|class| class & CHAINING_BIT != 0));
        self.bench.transmit(command)
    }

    fn fresh_card(&mut self, kind: &str) -> Result<ManagementKey, BenchError> {
        self.bench.fresh_card(kind)
    }
}
