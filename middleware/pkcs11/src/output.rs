//! Output of any length (PKCS#11 Base 3.0 section 5.2): what is asked for, and what is answered.
use zeroize::Zeroizing;

/// Bytes that the application has room for; `None` where it asks only how many there will be.
pub(crate) type Room = Option<usize>;

/// What a function gives that fills a buffer.
#[derive(Debug)]
pub(crate) enum Output {
    /// There is no room, or none was meant to be: so many bytes are needed, at the most. The operation goes on.
    Needs(usize),
    Bytes(Zeroizing<Vec<u8>>),
}

/// Whether so many bytes fit.
pub(crate) fn fits(room: Room, needed: usize) -> bool {
    room.is_some_and(|room| room >= needed)
}
