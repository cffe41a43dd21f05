//! How a command of any length crosses a line that takes 255 bytes at a time, and its answer comes back.
use zeroize::Zeroizing;

use super::{CommandApdu, MalformedResponse, ResponseApdu, StatusWord};

/// Longest data field of a short command APDU (ISO 7816-4 section 5.1).
const SHORT: usize = 255;
/// Header, three-byte Lc and two-byte Le of an extended command APDU.
const EXTENDED_OVERHEAD: usize = 9;
/// Far above any data object (12 710 bytes); what a card sends beyond it is not collected.
const LONGEST_ANSWER: usize = 0x2_0000;
const GET_RESPONSE: u8 = 0xC0;
const CHAIN: u8 = 0x10;

/// What carries one frame to the card and its response back.
pub(crate) type Line<'a, E> = dyn FnMut(&[u8]) -> Result<Vec<u8>, E> + 'a;

/// What the line and the card allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Framing {
    /// Longest extended command; `None` where extended length is not to be used.
    pub(crate) extended: Option<usize>,
    /// T=0: a command with data carries no Le; the answer is fetched with GET RESPONSE.
    pub(crate) t0: bool,
}

impl Framing {
    /// Extended length is used only where the card announces it in its historical bytes and the reader says that
    /// it passes it on. Command chaining always works (SP 800-73-5 Part 2 section 3.1.2).
    pub(crate) fn of(atr: &[u8], longest_command: Option<usize>, t0: bool) -> Self {
        let extended = longest_command.filter(|&length| length > SHORT + EXTENDED_OVERHEAD && !t0);
        Self { extended: extended.filter(|_| announces_extended_length(atr)), t0 }
    }

    fn carries_le(self, command: &CommandApdu) -> bool {
        command.expects_data && (!self.t0 || command.data.is_empty())
    }

    fn frames(self, command: &CommandApdu) -> Vec<Zeroizing<Vec<u8>>> {
        let header = [0x00, command.instruction, command.p1, command.p2];
        if (command.data.len() > SHORT || command.expects_long_data)
            && !command.data.is_empty()
            && self.extended.is_some_and(|longest| command.data.len() + EXTENDED_OVERHEAD <= longest)
            && let Ok(length) = u16::try_from(command.data.len())
        {
            let mut frame = Zeroizing::new(Vec::with_capacity(command.data.len() + EXTENDED_OVERHEAD));
            frame.extend_from_slice(&header);
            frame.push(0);
            frame.extend_from_slice(&length.to_be_bytes());
            frame.extend_from_slice(&command.data);
            if command.expects_data {
                frame.extend_from_slice(&[0, 0]);
            }
            return vec![frame];
        }
        let mut frames: Vec<_> = command.data.chunks(SHORT).map(|chunk| short_frame(header, chunk)).collect();
        if frames.is_empty() {
            frames.push(Zeroizing::new(header.to_vec()));
        }
        let last = frames.len() - 1;
        for (number, frame) in frames.iter_mut().enumerate() {
            if number < last {
                if let Some(class) = frame.first_mut() {
                    *class |= CHAIN;
                }
            } else if self.carries_le(command) {
                frame.push(0);
            }
        }
        frames
    }
}

fn short_frame(header: [u8; 4], chunk: &[u8]) -> Zeroizing<Vec<u8>> {
    // One spare byte for Le, so that the buffer does not move and leave a copy behind.
    let mut frame = Zeroizing::new(Vec::with_capacity(header.len() + chunk.len() + 2));
    frame.extend_from_slice(&header);
    frame.push(u8::try_from(chunk.len()).expect("a chunk has at most 255 bytes"));
    frame.extend_from_slice(chunk);
    frame
}

/// Sends a command through `line` (one frame in, one response out), in fragments where needed, and collects its whole
/// answer.
pub(crate) fn exchange<E: From<MalformedResponse>>(
    line: &mut Line<'_, E>,
    framing: Framing,
    command: &CommandApdu,
) -> Result<ResponseApdu, E> {
    let frames = framing.frames(command);
    let mut response = ResponseApdu { data: Zeroizing::new(Vec::new()), status: StatusWord::OK };
    for frame in &frames {
        if !response.status.is_ok() {
            return Ok(response);
        }
        response = transmit(line, frame)?;
    }
    if let (Some(length), Some(last)) = (response.status.corrected_length(), frames.last()) {
        let mut corrected = last.clone();
        if framing.carries_le(command) {
            corrected.pop();
        }
        corrected.push(length);
        response = transmit(line, &corrected)?;
    }
    collect(line, response)
}

/// GET RESPONSE until the answer is whole (SP 800-73-5 Part 2 section 3.1.3).
fn collect<E: From<MalformedResponse>>(
    line: &mut Line<'_, E>,
    first: ResponseApdu,
) -> Result<ResponseApdu, E> {
    let mut whole = first;
    while let Some(waiting) = whole.status.more_data() {
        let next = transmit(line, &[0x00, GET_RESPONSE, 0x00, 0x00, waiting])?;
        if next.data.is_empty() && next.status.more_data().is_some() {
            return Err(
                MalformedResponse("GET RESPONSE gives nothing but says there is more".to_owned()).into()
            );
        }
        if whole.data.len() + next.data.len() > LONGEST_ANSWER {
            return Err(MalformedResponse("the answer does not end".to_owned()).into());
        }
        let mut joined = Zeroizing::new(Vec::with_capacity(whole.data.len() + next.data.len()));
        joined.extend_from_slice(&whole.data);
        joined.extend_from_slice(&next.data);
        whole = ResponseApdu { data: joined, status: next.status };
    }
    Ok(whole)
}

fn transmit<E: From<MalformedResponse>>(line: &mut Line<'_, E>, frame: &[u8]) -> Result<ResponseApdu, E> {
    let response = ResponseApdu::parse(line(frame)?)?;
    // Headers and lengths only: data fields carry PINs and keys.
    tracing::trace!(
        header = %hex::encode(frame.get(..4).unwrap_or_default()),
        sent = frame.len(),
        received = response.data.len(),
        status = %format_args!("{:04X}", response.status.0),
        "APDU"
    );
    Ok(response)
}

/// Whether the card capabilities in the historical bytes announce extended Lc and Le (ISO 7816-4 section 8.1.1).
fn announces_extended_length(atr: &[u8]) -> bool {
    let Some(historical) = historical_bytes(atr) else { return false };
    let mut objects = match historical.split_first() {
        Some((0x80, objects)) => objects,
        // Category 00 ends with three status bytes.
        Some((0x00, objects)) => objects.split_last_chunk::<3>().map_or(&[][..], |(objects, _)| objects),
        _ => return false,
    };
    while let Some((&header, rest)) = objects.split_first() {
        let length = usize::from(header & 0x0F);
        let Some((value, rest)) = rest.split_at_checked(length) else { return false };
        if header >> 4 == 7 {
            // Third software function table: b7 is "extended Lc and Le fields".
            return value.get(2).is_some_and(|byte| byte & 0x40 != 0);
        }
        objects = rest;
    }
    false
}

/// The historical bytes of an answer to reset (ISO 7816-3 section 8.2).
fn historical_bytes(atr: &[u8]) -> Option<&[u8]> {
    let format = *atr.get(1)?;
    let mut position = 1;
    let mut indicator = format >> 4;
    loop {
        // TA, TB, TC follow for bits 1 to 3 of the indicator; TD, for bit 4, carries the next indicator.
        position += (indicator & 0x07).count_ones() as usize;
        if indicator & 0x08 == 0 {
            break;
        }
        position += 1;
        indicator = *atr.get(position)? >> 4;
    }
    atr.get(position + 1..position + 1 + usize::from(format & 0x0F))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAINING_ONLY: Framing = Framing { extended: None, t0: false };

    /// Plays `> command` and `< answer` lines; `..` stands for any rest of a command.
    fn run(script: &str, framing: Framing, command: &CommandApdu) -> Result<ResponseApdu, MalformedResponse> {
        let mut lines = script.lines();
        let bytes = |text: &str| hex::decode(text.replace(' ', "")).unwrap();
        let response = exchange::<MalformedResponse>(
            &mut |frame| {
                let expected = lines.next().unwrap().trim().strip_prefix("> ").unwrap();
                match expected.strip_suffix("..") {
                    Some(start) => assert!(frame.starts_with(&bytes(start)), "{}", hex::encode(frame)),
                    None => assert_eq!(hex::encode(frame), hex::encode(bytes(expected))),
                }
                Ok(bytes(lines.next().unwrap().trim().strip_prefix("< ").unwrap()))
            },
            framing,
            command,
        );
        assert_eq!(lines.next(), None, "the script was not played to its end");
        response
    }

    /// SP 800-73-5 Part 2 section 3.1.2.
    #[test]
    fn long_data_goes_in_fragments_of_255_bytes() {
        let data = vec![0xAA; 300];
        let first = hex::encode(&data[..255]);
        let second = hex::encode(&data[255..]);
        let text = format!("> 10 87 07 9A FF {first}\n< 90 00\n> 00 87 07 9A 2D {second} 00\n< 01 02 90 00");
        let command =
            CommandApdu::new("GENERAL AUTHENTICATE", 0x87, 0x07, 0x9A).with_data(data).expecting_data();
        let response = run(&text, CHAINING_ONLY, &command).unwrap();
        assert_eq!(*response.data, [1, 2]);
        assert!(response.status.is_ok());
    }

    #[test]
    fn a_refused_fragment_ends_the_chain() {
        let text = "> 10 DB 3F FF ..\n< 69 82";
        let command = CommandApdu::new("PUT DATA", 0xDB, 0x3F, 0xFF).with_data(vec![0; 600]);
        let response = run(text, CHAINING_ONLY, &command).unwrap();
        assert_eq!(response.status, StatusWord::SECURITY_STATUS_NOT_SATISFIED);
    }

    /// SP 800-73-5 Part 2 section 3.1.3.
    #[test]
    fn a_long_answer_is_collected_with_get_response() {
        let text = "> 00 CB 3F FF 05 5C 03 5F C1 05 00\n< 01 02 61 02\n> 00 C0 00 00 02\n< 03 61 00\n\
                    > 00 C0 00 00 00\n< 04 90 00";
        let command = CommandApdu::new("GET DATA", 0xCB, 0x3F, 0xFF)
            .with_data(vec![0x5C, 0x03, 0x5F, 0xC1, 0x05])
            .expecting_data();
        let response = run(text, CHAINING_ONLY, &command).unwrap();
        assert_eq!(*response.data, [1, 2, 3, 4]);
    }

    #[test]
    fn an_answer_that_never_ends_is_refused() {
        let text = "> 00 FD 00 00 00\n< 01 61 01\n> 00 C0 00 00 01\n< 61 01";
        let command = CommandApdu::new("GET VERSION", 0xFD, 0, 0).expecting_data();
        assert!(run(text, CHAINING_ONLY, &command).is_err());
    }

    #[test]
    fn t0_sends_no_le_with_data_and_follows_6c() {
        let text = "> 00 A4 04 00 02 AA BB\n< 61 01\n> 00 C0 00 00 01\n< 07 90 00";
        let command = CommandApdu::new("SELECT", 0xA4, 4, 0).with_data(vec![0xAA, 0xBB]).expecting_data();
        let framing = Framing::of(&[0x3B, 0x00], None, true);
        assert_eq!(*run(text, framing, &command).unwrap().data, [7]);

        let text = "> 00 FD 00 00 00\n< 6C 03\n> 00 FD 00 00 03\n< 05 07 01 90 00";
        let command = CommandApdu::new("GET VERSION", 0xFD, 0, 0).expecting_data();
        assert_eq!(*run(text, framing, &command).unwrap().data, [5, 7, 1]);
    }

    /// A card with `73 C0 21 C0` in its historical bytes takes extended length (ISO 7816-4 section 8.1.1.2.7).
    #[test]
    fn extended_length_needs_both_the_card_and_the_reader() {
        let announcing = hex::decode("3bfd1300008131fe158073c021c057597562694b657940").unwrap();
        let silent = hex::decode("3b00").unwrap();
        assert_eq!(Framing::of(&announcing, Some(65_544), false).extended, Some(65_544));
        assert_eq!(Framing::of(&announcing, None, false).extended, None);
        assert_eq!(Framing::of(&announcing, Some(261), false).extended, None);
        assert_eq!(Framing::of(&announcing, Some(65_544), true).extended, None);
        assert_eq!(Framing::of(&silent, Some(65_544), false).extended, None);

        let data = vec![0xAA; 300];
        let text = format!("> 00 87 07 9A 00 01 2C {} 00 00\n< 90 00", hex::encode(&data));
        let command =
            CommandApdu::new("GENERAL AUTHENTICATE", 0x87, 0x07, 0x9A).with_data(data).expecting_data();
        run(&text, Framing::of(&announcing, Some(65_544), false), &command).unwrap();

        // One long answer at once, where the line takes it.
        let command = CommandApdu::new("GET DATA", 0xCB, 0x3F, 0xFF)
            .with_data(vec![0x5C, 0x01, 0x7E])
            .expecting_long_data();
        let text = "> 00 CB 3F FF 00 00 03 5C 01 7E 00 00\n< 7E 00 90 00";
        run(text, Framing::of(&announcing, Some(65_544), false), &command).unwrap();
        let text = "> 00 CB 3F FF 03 5C 01 7E 00\n< 7E 00 90 00";
        run(text, Framing::of(&silent, Some(65_544), false), &command).unwrap();
    }

    #[test]
    fn a_cut_off_atr_announces_nothing() {
        let atr = hex::decode("3bfd1300008131fe158073c021c057597562694b657940").unwrap();
        for length in 0..12 {
            assert!(!announces_extended_length(&atr[..length]), "{length}");
        }
    }
}
