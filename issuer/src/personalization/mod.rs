//! The steps that turn a blank card into somebody's card.
//!
//! - [`custody`]: the master key; PUK and management key of each card.
//! - [`stock_file`]: what a manufacturer tells about a card.
//! - [`plan`]: which steps a card needs; pure.
//! - [`run`]: opens an attempt, and goes on where one before was interrupted; `stages` carries the steps out, and says what
//!   is committed between them.
//! - `step`: how each step is done and read back; how to add one is said there. `attempt`: what steps leave for each other.
//! - [`agreement`]: whether card, registry and authority say the same.
//! - [`blank`]: whether a card that nobody has carries somebody's certificates.
//! - [`half_done`]: what was begun with a card after it was issued and is not done.
//! - [`exercise`]: keys prove themselves, before they are certified and after.
//! - [`attestation`]: where a key came from, and whether the card's word on it is believed.
//! - [`renewal`]: new certificates on a card that somebody has, for the same keys or new ones.
//! - [`unblock`]: a new PIN at the desk; [`wipe`]: a card that came back becomes blank.
//! - [`objects`]: what else is written on a card, signed by the content signer.
//!
//! # How a card is made, and why nothing can end half-way
//!
//! ```text
//! refuse what can be refused ──> attempt N opens (event), plan and intents of the first stage stored, one commit
//!   in one transaction with the card:   the steps of a stage ──> their confirmations and the intents of the next stage, one commit
//!   in a transaction of its own:        read back: the same card (serial number, GUID), the same bytes, each key exercised
//!   transport PIN to its place ──> one commit: card issued, its certificates delivered, all others of the card revoked
//! ```
//!
//! Wherever this stops, the card is "being personalised" for that holder and nobody else's. `issuer issue` for the same
//! holder opens attempt N + 1 with the same plan, and takes every step again: a key that the journal confirms and that
//! proves itself is kept, a certificate that was signed for it is taken over, everything else is made anew. `issuer revoke`
//! rolls back instead: the certificates are revoked and the card goes to stock. A desk that was overtaken is refused at its
//! next line of the journal.
//!
//! Invariants: a key proves itself before it is certified; the bytes to be signed are stored before they are signed; a
//! card counts as issued only after every key was exercised against the certificate read back; when it does, every
//! certificate that was ever made for it is either on it or revoked.

pub mod agreement;
mod attempt;
pub mod attestation;
pub mod blank;
pub mod custody;
pub mod error;
pub mod exercise;
pub mod half_done;
pub mod objects;
pub mod plan;
mod present;
pub mod renewal;
pub mod run;
mod secrets;
mod stages;
mod step;
pub mod stock_file;
pub mod transport_pin;
pub mod unblock;
pub mod wipe;

pub use error::PersonalizationError;

/// What a card shows of itself, as the registry looks for it.
fn presented(identity: &middleware::CardIdentity) -> crate::registry::PresentedIdentity {
    let guid = identity.guid.map(crate::domain::Guid::new);
    crate::registry::PresentedIdentity { vendor_serial: identity.serial, guid }
}

/// What a card calls itself, in words.
pub(crate) fn describe(presented: crate::registry::PresentedIdentity) -> String {
    match (presented.vendor_serial, presented.guid) {
        (Some(serial), _) => format!("serial {serial}"),
        (None, Some(guid)) => format!("GUID {guid}"),
        (None, None) => "without serial number and GUID".to_owned(),
    }
}

/// A certificate's serial number as the registry has it.
pub(crate) fn domain_serial(
    serial: &crate::ca::SerialNumber,
) -> Result<crate::domain::SerialNumber, crate::ca::CaError> {
    crate::domain::SerialNumber::from_bytes(serial.as_bytes())
        .ok_or(crate::ca::CaError::Unsupported("a serial number of more than 20 octets".to_owned()))
}
