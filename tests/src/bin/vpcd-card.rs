//! Cards that stories need and `card-sim run` rightly cannot play: one that does nothing (the limit that benchmarks
//! are held against), one that is pulled out of the reader at a chosen command, one that keeps a client waiting there.
//!
//! ```text
//! vpcd-card HOST:PORT empty                     answers 90 00 to everything
//! vpcd-card HOST:PORT sign rsa2048|p256         signs whatever GENERAL AUTHENTICATE ends in, and knows nothing else
//! vpcd-card HOST:PORT pull STATE INS P2         the card of STATE, gone when INS P2 arrives (hexadecimal)
//! vpcd-card HOST:PORT hold STATE INS P2 FIFO    the card of STATE; at INS P2 it first reads FIFO to its end, once
//! ```

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use card_sim::crypto::{self, AsymmetricAlgorithm, PrivateKey, Randomness};
use socket2::SockRef;

enum Played {
    Empty,
    Signer(Box<Signer>),
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
        [address, "sign", algorithm] => (address, Played::Signer(Box::new(Signer::new(algorithm)?))),
        [address, "pull", state, instruction, p2] => (address, played(state, instruction, p2, Then::Pull)?),
        [address, "hold", state, instruction, p2, fifo] => {
            (address, played(state, instruction, p2, Then::Hold(fifo.into()))?)
        }
        _ => bail!(
            "usage: vpcd-card HOST:PORT empty | sign rsa2048|p256 | pull STATE INS P2 | hold STATE INS P2 FIFO"
        ),
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

/// A card that does nothing but sign: what ours is held against.
struct Signer {
    key: Box<dyn PrivateKey>,
    is_rsa: bool,
    randomness: Randomness,
    collected: Vec<u8>,
    waiting: Vec<u8>,
}

impl Signer {
    fn new(algorithm: &str) -> Result<Self> {
        let algorithm = match algorithm {
            "rsa2048" => AsymmetricAlgorithm::Rsa2048,
            "p256" => AsymmetricAlgorithm::P256,
            _ => bail!("rsa2048 or p256"),
        };
        let mut randomness = Randomness::from_system()?;
        let crypto = crypto::fastest();
        let key = crypto.load(&crypto.generate(algorithm, &mut randomness)?)?;
        let is_rsa = algorithm.is_rsa();
        Ok(Self { key, is_rsa, randomness, collected: Vec::new(), waiting: Vec::new() })
    }

    fn transmit(&mut self, command: &[u8]) -> Result<Vec<u8>> {
        let is_short = command.get(4) != Some(&0);
        match command {
            [_, 0xC0, ..] => return Ok([std::mem::take(&mut self.waiting), OK.to_vec()].concat()),
            [0x10, 0x87, _, _, _, data @ ..] => {
                self.collected.extend_from_slice(data);
                return Ok(OK.to_vec());
            }
            [0x00, 0x87, _, _, _, data @ .., _] if is_short => self.collected.extend_from_slice(data),
            [0x00, 0x87, _, _, _, _, _, data @ .., _, _] => self.collected.extend_from_slice(data),
            _ => return Ok(OK.to_vec()),
        }
        let collected = std::mem::take(&mut self.collected);
        let input = collected.get(collected.len().saturating_sub(if self.is_rsa { 256 } else { 32 })..);
        let input = input.unwrap_or_default();
        let mut answer = if self.is_rsa {
            let signature = self.key.rsa_private_operation(input, &mut self.randomness)?;
            [&[0x7C, 0x82, 0x01, 0x04, 0x82, 0x82, 0x01, 0x00][..], &signature].concat()
        } else {
            let signature = self.key.ecdsa_sign(input)?;
            let length = u8::try_from(signature.len())?;
            [&[0x7C, length + 2, 0x82, length][..], &signature].concat()
        };
        if is_short && answer.len() > 256 {
            self.waiting = answer.split_off(256);
            answer.extend([0x61, u8::try_from(self.waiting.len())?]);
        } else {
            answer.extend(OK);
        }
        Ok(answer)
    }
}

impl Played {
    /// Power and reset have no answer; the ATR is asked for.
    fn control(&mut self, control: u8) -> Option<Vec<u8>> {
        match (self, control) {
            (Self::Empty | Self::Signer(_), 4) => return Some(EMPTY_ATR.to_vec()),
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
        let (card, instruction, p2, then) = match self {
            Self::Empty => return Ok(Some(OK.to_vec())),
            Self::Signer(signer) => return signer.transmit(command).map(Some),
            Self::Card { card, instruction, p2, then, .. } => (card, instruction, p2, then),
        };
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
