//! Contents of data objects (SP 800-73-5 Part 1 section 3 and appendix A).
mod capability_container;
mod certificate;
mod chuid;
mod discovery;
mod key_history;
mod security_object;

pub use capability_container::capability_container;
pub(crate) use certificate::{
    certificate_from_bytes, certificate_to_bytes, packed_certificate_to_bytes, public_key_of_certificate,
};
pub use chuid::Chuid;
pub use discovery::discovery_object;
pub use key_history::key_history_to_bytes;
pub(crate) use key_history::{key_history, retired_on_card};
pub use security_object::SecurityObject;
