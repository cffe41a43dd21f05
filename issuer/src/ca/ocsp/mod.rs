//! The Online Certificate Status Protocol, RFC 6960, in the profile of RFC 5019, with the nonces of RFC 9654.
//!
//! - [`request`]: what is asked; [`cert_id`]: about which certificate; [`nonce`];
//! - [`response`]: the answer and its errors; `basic_response`: what is signed; [`single_response`]: one certificate's state;
//! - [`responder`]: who signs.
mod basic_response;
pub mod cert_id;
pub mod nonce;
pub mod request;
pub mod responder;
pub mod response;
pub mod single_response;

pub use cert_id::{AuthorityIdentity, CertId};
pub use nonce::Nonce;
pub use request::StatusRequest;
pub use responder::Responder;
pub use response::ResponseStatus;
pub use single_response::{CertificateState, StateAt};
