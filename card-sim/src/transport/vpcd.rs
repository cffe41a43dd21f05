//! The vpcd wire protocol: the card is the TCP client of the virtual reader.
//!
//! A frame is a 16-bit big-endian length and a payload. From the reader, a payload of one byte is an
//! event (00 power off, 01 power on, 02 reset, 04 give the ATR), and only 04 is answered; a longer one
//! is a command APDU, answered by one frame.

use std::io::{self, Write as _};
use std::net::TcpStream;

use zeroize::Zeroizing;

use super::CardInReader;

const POWER_OFF: u8 = 0x00;
const POWER_ON: u8 = 0x01;
const RESET: u8 = 0x02;
const GIVE_ATR: u8 = 0x04;

/// The largest frame: length field and payload.
const LARGEST_FRAME: usize = 2 + 0xFFFF;

/// Serves one connection until the reader closes it. `seen` is called when the reader first gets
/// the card's ATR: from then on it knows that the card is there.
///
/// # Errors
/// What the socket says; the card has lost its power in any case.
pub fn serve(stream: &TcpStream, card: &mut dyn CardInReader, mut seen: impl FnMut()) -> io::Result<()> {
    // Answers go out in one write, so waiting for more data before sending gains nothing.
    stream.set_nodelay(true)?;
    let result = serve_frames(stream, card, &mut seen);
    card.power_off();
    result
}

fn serve_frames(
    mut stream: &TcpStream,
    card: &mut dyn CardInReader,
    seen: &mut dyn FnMut(),
) -> io::Result<()> {
    let mut frames = Frames::new(stream, |stream| acknowledge_quickly(stream));
    while let Some(payload) = frames.next()? {
        let answer = match payload {
            [] => continue,
            [event] => match handle_event(*event, card) {
                Some(atr) => Zeroizing::new(atr),
                None => continue,
            },
            command => card.transmit(command),
        };
        let frame = encode(&answer)?;
        stream.write_all(&frame)?;
        if payload == [GIVE_ATR] {
            seen();
        }
    }
    Ok(())
}

fn handle_event(event: u8, card: &mut dyn CardInReader) -> Option<Vec<u8>> {
    match event {
        POWER_OFF => card.power_off(),
        POWER_ON => card.power_on(),
        RESET => card.reset(),
        GIVE_ATR => return Some(card.answer_to_reset()),
        unknown => tracing::warn!("the reader sent an unknown event {unknown:02X}"),
    }
    None
}

/// One frame, for one write.
fn encode(payload: &[u8]) -> io::Result<Zeroizing<Vec<u8>>> {
    let length = u16::try_from(payload.len()).map_err(io::Error::other)?;
    let mut frame = Zeroizing::new(Vec::with_capacity(2 + payload.len()));
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// Reads frames from a stream.
pub(crate) struct Frames<S> {
    stream: S,
    /// Called before and after each read.
    around_reading: fn(&S),
    buffer: Zeroizing<Vec<u8>>,
    filled: usize,
    /// Bytes at the front that belong to the frame given out last.
    used: usize,
}

impl<S: io::Read> Frames<S> {
    pub(crate) fn new(stream: S, around_reading: fn(&S)) -> Self {
        let buffer = Zeroizing::new(vec![0; LARGEST_FRAME]);
        Self { stream, around_reading, buffer, filled: 0, used: 0 }
    }

    /// The payload of the next frame, or `None` when the reader closed the connection between two.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.copy_within(self.used..self.filled, 0);
        self.filled -= self.used;
        self.used = 0;
        let length = loop {
            if let Some(length) = self.complete_frame() {
                break length;
            }
            if !self.fill()? {
                return if self.filled == 0 { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        };
        self.used = length;
        Ok(Some(self.buffer.get(2..length).unwrap_or_default()))
    }

    /// The length of the first frame, if all of it is in the buffer.
    fn complete_frame(&self) -> Option<usize> {
        let [high, low] = *self.buffer.get(..self.filled)?.first_chunk::<2>()?;
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        (length <= self.filled).then_some(length)
    }

    /// Reads once; `false` at the end of the stream.
    ///
    /// Debian's vpcd sends length and payload in two writes; its kernel holds the second one back
    /// until ours acknowledges the first, which takes 44 ms unless quick acknowledgement is on. The
    /// system turns that off again by itself, hence around every read.
    fn fill(&mut self) -> io::Result<bool> {
        (self.around_reading)(&self.stream);
        let free = self.buffer.get_mut(self.filled..).unwrap_or_default();
        let count = loop {
            match self.stream.read(free) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        (self.around_reading)(&self.stream);
        self.filled += count;
        Ok(count > 0)
    }
}

/// Turns delayed acknowledgement off until the system turns it on again. It is an optimisation:
/// where it fails, the card is slower.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn acknowledge_quickly(stream: &TcpStream) {
    let _ = socket2::SockRef::from(stream).set_tcp_quickack(true);
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn acknowledge_quickly(_stream: &TcpStream) {}
