//! What the desk can do, and its command line.
//!
//! - [`cli`]: the command line: arguments, help, dispatch.
//! - [`office`]: an opened home: configuration, registry, keys, clock, randomness.
//! - [`failure`]: every error as a sentence, a stable code and an exit status.
//! - [`output`]: lines, tables and JSON.
//! - one module per command: [`init`], [`staff`], [`stock`], [`issue`], [`revoke`], [`publish`], [`serve`], [`find`],
//!   [`lint`], [`certify`], [`tsa`], [`class`], [`ocsp`]; `documents_authority`: made when it is first needed; `revocation_lists`: new CRLs;
//!   [`authority_key`]: keys of authorities wherever they live; [`ceremony`]: `init` as it was declared.

pub mod authority_key;
pub mod ceremony;
pub mod certify;
pub mod class;
pub mod cli;
mod documents_authority;
pub mod failure;
pub mod find;
pub mod init;
pub mod issue;
pub mod lint;
pub mod ocsp;
pub mod office;
pub mod output;
pub mod publish;
mod revocation_lists;
pub mod revoke;
pub mod serve;
pub mod staff;
pub mod staff_file;
pub mod stock;
pub mod tsa;

pub use failure::Failure;
