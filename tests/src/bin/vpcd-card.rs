//! Cards that stories need and `card-sim run` rightly cannot play: one that does nothing (the limit that benchmarks
//! are held against), one that is pulled out of the reader at a chosen command, one that keeps a client waiting there.
//!
//! ```text
//! vpcd-card HOST:PORT empty                     answers 90 00 to everything
//! vpcd-card HOST:PORT pull STATE INS P2         the card of STATE, gone when INS P2 arrives (hexadecimal)
//! vpcd-card HOST:PORT hold STATE INS P2 FIFO    the card of STATE; at INS P2 it first reads FIFO to its end, once
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use socket2::SockRef;

enum Played {
    Empty,
    Card { card: Box<card_sim::Card>, atr: Vec<u8>, instruction: u8, p2: u8, then: Then },
}

/// What happens at the chosen command.
enum Then {
    Pull,
    Hold(PathBuf),
    Answer,
}

/// The shortest answer to reset that offers T=1.
const EMPTY_ATR: [u8; 4] = [0x3B, 0x80, 0x01, 0x81];
const OK: [u8; 2] = [0x90, 0x00];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (address, mut played) = match arguments.as_slice() {
        [address, "empty"] => (address, Played::Empty),
        [address, "pull", state, instruction, p2] => (address, played(state, instruction, p2, Then::Pull)?),
        [address, "hold", state, instruction, p2, fifo] => {
            (address, played(state, instruction, p2, Then::Hold(fifo.into()))?)
        }
        _ => bail!("usage: vpcd-card HOST:PORT empty | pull STATE INS P2 | hold STATE INS P2 FIFO"),
    };
    let connected = TcpStream::connect(address);
    let mut reader = connected.with_context(|| format!("connecting to vpcd at {address}"))?;
    serve(&mut reader, &mut played)
}

fn played(state: &str, instruction: &str, p2: &str, then: Then) -> Result<Played> {
    let mut card = Box::new(card_sim::Card::open(Path::new(state))?);
    let atr = card.power_on();
    let [instruction, p2] = [instruction, p2].map(|byte| u8::from_str_radix(byte, 16));
    Ok(Played::Card { card, atr, instruction: instruction?, p2: p2?, then })
}

/// Until the reader goes away or the card is pulled.
fn serve(reader: &mut TcpStream, played: &mut Played) -> Result<()> {
    loop {
        let Some(length) = read(reader, 2)? else { return Ok(()) };
        let [high, low] = length.as_slice() else { bail!("a length is two bytes") };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let Some(message) = read(reader, length)? else { return Ok(()) };
        let answer = match message.as_slice() {
            [] => bail!("vpcd sent an empty message"),
            [control] => played.control(*control),
            command => match played.transmit(command)? {
                Some(answer) => Some(answer),
                None => return Ok(()),
            },
        };
        if let Some(answer) = answer {
            let mut frame = u16::try_from(answer.len())?.to_be_bytes().to_vec();
            frame.extend(answer);
            reader.write_all(&frame)?;
        }
    }
}

/// Exactly so many bytes; `None` where the reader has gone. The quick acknowledgement is not sticky.
fn read(reader: &mut TcpStream, length: usize) -> Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; length];
    SockRef::from(&*reader).set_tcp_quickack(true)?;
    match reader.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(gone) if matches!(gone.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Played {
    /// Power and reset have no answer; the ATR is asked for.
    fn control(&mut self, control: u8) -> Option<Vec<u8>> {
        match (self, control) {
            (Self::Empty, 4) => return Some(EMPTY_ATR.to_vec()),
            (Self::Card { atr, .. }, 4) => return Some(atr.clone()),
            (Self::Card { card, .. }, 0) => card.power_off(),
            (Self::Card { card, .. }, 1) => drop(card.power_on()),
            (Self::Card { card, .. }, 2) => card.reset(),
            _ => {}
        }
        None
    }

    /// `None`: the card was pulled.
    fn transmit(&mut self, command: &[u8]) -> Result<Option<Vec<u8>>> {
        let Self::Card { card, instruction, p2, then, .. } = self else { return Ok(Some(OK.to_vec())) };
        if command.get(1) == Some(instruction) && command.get(3) == Some(p2) {
            match then {
                Then::Pull => return Ok(None),
                Then::Hold(fifo) => drop(std::fs::read(fifo)?),
                Then::Answer => {}
            }
            *then = Then::Answer;
        }
        Ok(Some(card.transmit(command)))
    }
}
