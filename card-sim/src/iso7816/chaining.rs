//! Chaining in both directions: long commands in fragments, long answers by GET RESPONSE.

use zeroize::Zeroizing;

use super::apdu::{CommandApdu, ResponseApdu, ResponseData};
use super::status_word::StatusWord;

/// The largest command data field that fragments may add up to. It holds the largest data object
/// of SP 800-73-5 Part 1 table 8 (12 710 bytes) with room for its headers.
pub const LARGEST_COMMAND: usize = 16_384;

/// The longest answer given at once: a frame of 65 535 bytes, the reader's limit, less SW1-SW2.
const LARGEST_RESPONSE: usize = 65_533;

/// What a short command without Le gets at once.
const SHORT_RESPONSE: usize = 256;

/// Fragments of one command, collected (ISO 7816-4 section 5.3.3).
#[derive(Default)]
pub struct CommandChain {
    begun: Option<CommandApdu>,
}

/// What to do after a fragment or a command arrived.
pub enum Chained {
    /// A fragment was kept; answer 9000 and wait for the rest.
    More,
    /// The command is complete.
    Complete(CommandApdu),
}

impl CommandChain {
    /// Whether a fragment or its end belongs to the fragments collected so far, rather than beginning a command.
    #[must_use]
    pub fn is_continued_by(&self, apdu: &CommandApdu) -> bool {
        self.begun.as_ref().is_some_and(|begun| belongs_together(begun, apdu))
    }

    /// Adds a fragment, or completes the command.
    ///
    /// A command that differs in INS, P1 or P2 from the fragments before it discards them and is
    /// processed by itself: an interrupted chain has no effect (Part 2 section 3.2.4).
    ///
    /// # Errors
    /// 6A84 when the fragments exceed [`LARGEST_COMMAND`]; they are discarded.
    pub fn accept(&mut self, apdu: CommandApdu) -> Result<Chained, StatusWord> {
        let begun = self.begun.take().filter(|begun| belongs_together(begun, &apdu));
        let collected = begun.as_ref().map_or(0, |begun| begun.data.len());
        if collected + apdu.data.len() > LARGEST_COMMAND {
            return Err(StatusWord::NOT_ENOUGH_MEMORY);
        }
        let is_last = !apdu.is_chained();
        let command = match begun {
            Some(begun) => CommandApdu { data: appended(begun.data, &apdu.data), ..apdu },
            None if is_last => apdu,
            None => CommandApdu {
                data: appended(Zeroizing::new(Vec::with_capacity(LARGEST_COMMAND)), &apdu.data),
                ..apdu
            },
        };
        if is_last {
            return Ok(Chained::Complete(command));
        }
        self.begun = Some(command);
        Ok(Chained::More)
    }

    /// Forgets the fragments collected so far.
    pub fn discard(&mut self) {
        self.begun = None;
    }
}

/// Fragments of a private key pass here: there is room for all of them, so that growing leaves no copies behind.
fn appended(mut collected: Zeroizing<Vec<u8>>, fragment: &[u8]) -> Zeroizing<Vec<u8>> {
    collected.extend_from_slice(fragment);
    collected
}

fn belongs_together(begun: &CommandApdu, next: &CommandApdu) -> bool {
    (begun.instruction, begun.p1, begun.p2) == (next.instruction, next.p1, next.p2)
}

/// The part of an answer that the host has not fetched yet.
#[derive(Default)]
pub struct ResponseChain {
    waiting: Zeroizing<Vec<u8>>,
}

impl ResponseChain {
    /// Sends as much of an answer as Le allows and keeps the rest.
    pub fn send(&mut self, response: ResponseApdu, expected_length: Option<usize>) -> ResponseApdu {
        self.waiting = Zeroizing::default();
        if response.data.is_empty() {
            return response;
        }
        self.waiting = response.data;
        self.next_part(expected_length, response.status)
    }

    /// Answers GET RESPONSE.
    ///
    /// # Errors
    /// 6A80 when nothing is waiting, as hosts that ask once too often expect.
    pub fn fetch(&mut self, expected_length: Option<usize>) -> Result<ResponseApdu, StatusWord> {
        if self.waiting.is_empty() {
            return Err(StatusWord::INCORRECT_DATA);
        }
        Ok(self.next_part(expected_length, StatusWord::SUCCESS))
    }

    /// Forgets what was not fetched.
    pub fn discard(&mut self) {
        self.waiting = Zeroizing::default();
    }

    fn next_part(&mut self, expected_length: Option<usize>, status: StatusWord) -> ResponseApdu {
        let limit = expected_length.unwrap_or(SHORT_RESPONSE).min(LARGEST_RESPONSE);
        if self.waiting.len() <= limit {
            return ResponseApdu { data: std::mem::take(&mut self.waiting), status };
        }
        let rest = ResponseData::new(self.waiting.split_off(limit));
        let data = std::mem::replace(&mut self.waiting, rest);
        ResponseApdu { data, status: StatusWord::bytes_available(self.waiting.len()) }
    }
}
