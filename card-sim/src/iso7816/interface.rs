//! The communication interface that a card is used over.

/// Which interface the reader uses. A card knows it from the moment it gets power, and it stays (SP 800-73-5
/// Part 2 section 2.1: the platform tells its applications).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Interface {
    /// ISO 7816-3: contacts.
    #[default]
    Contact,
    /// ISO 14443: without contact, where others may listen.
    Contactless,
}
