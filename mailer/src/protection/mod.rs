//! Messages protected and opened: [`crate::message`], [`crate::smime`], [`crate::trust`] and [`crate::directory`] put together.
//!
//! - [`protect`]: an entity becomes a signed, then an encrypted one.
//! - [`open`]: a received message becomes its content and a verdict; content is handed out only as the policy allows.
//!   Its layers come off in `unwrapping`.
//! - [`inner_parts`]: parts that carry protection of their own, which speaks for nothing else; one of them alone.
//! - [`labels`]: whether the reader may see what a label is on, before anything is decrypted.
//! - [`quotation`]: what may be quoted in a reply.
//! - [`recipients`]: every recipient's certificate found and checked before anything leaves.
pub mod inner_parts;
pub mod labels;
pub mod open;
pub mod protect;
pub mod quotation;
pub mod recipients;
mod unwrapping;
