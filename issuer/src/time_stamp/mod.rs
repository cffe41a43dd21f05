//! The time-stamp service: RFC 3161 over HTTP.
//!
//! - [`request`]: what is asked; [`response`]: what is answered; [`token`]: what is signed;
//! - [`serial_log`]: every stamp, on the disk before its answer leaves;
//! - [`service`]: request in, response out; it looks at the clock, the policy and the certificate's validity;
//! - [`peers`]: how often one may ask; [`server`]: HTTP;
//! - [`folder`]: where a service keeps what it needs. It needs nothing else: no CA key, no registry.
pub mod error;
pub mod folder;
pub mod peers;
pub mod request;
pub mod response;
pub mod serial_log;
pub mod server;
pub mod service;
pub mod token;

pub use error::TimeStampError;
pub use folder::{Folder, Settings};
pub use server::serve;
pub use service::Service;
