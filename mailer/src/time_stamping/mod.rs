//! Time stamps (RFC 3161, RFC 5816): asked for, read, checked. Whether their authority is trusted is decided elsewhere.
//!
//! - [`request`] and [`response`]: the two messages of the protocol, bytes in and bytes out.
//! - [`info`] and [`token`]: what an authority signs, and its signature.
//! - [`check`]: whether a token is the answer to a request.
//! - [`client`]: several servers asked in turn; `http` is its edge.
pub mod check;
pub mod client;
pub mod error;
mod http;
pub mod info;
pub mod request;
pub mod response;
pub mod token;

pub use check::{ClockTolerance, TimeStamp};
pub use client::{Exchange, Rehearsal, TimeStampClient, TimeStampServers};
pub use error::{AnswerProblem, NoTimeStamp, ServerFailure, ServerProblem, TokenProblem};
pub use info::TimeStampInfo;
pub use request::{MessageImprint, Nonce, TimeStampRequest};
pub use response::{FailureInfo, LARGEST_RESPONSE};
pub use token::Token;
