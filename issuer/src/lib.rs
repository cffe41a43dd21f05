//! Certification authority and issuance desk. Map of the crate:
//!
//! - [`domain`]: people, cards, certificates and their life cycle; pure.
//! - [`ca`]: profiles, lint, signing, CRLs.
//! - [`registry`]: what is stored, and how.
//! - [`personalization`]: the steps that turn a blank card into somebody's card.
//! - [`publication`]: certificates and CRLs for everybody, as files and over HTTP.
//! - [`time_stamp`]: the time-stamp service (RFC 3161), with a key and a log of its own.
//! - [`desk`]: what the desk can do, and its command line.
//! - [`fuzz`]: readers of strangers' bytes as plain functions.
//! - [`config`]: the home directory and `config.toml`; [`clock`]: what time it is; `system_error`: what the operating system says;
//!   `toml_place`: what is wrong with a file, and in which line.
//!
//! Arrows point inward: `desk → personalization → registry, ca → domain`. `domain` knows none of the others; `ca` and
//! `registry` do not know each other; `publication` and `time_stamp` know `ca` only, so that what serves strangers holds no CA key and no
//! registry; both take connections through `guarded_listener`; directories are asked through `ldap_client`.

pub mod ca;
pub mod clock;
pub mod config;
pub mod desk;
pub mod domain;
pub mod fuzz;
mod guarded_listener;
mod ldap_client;
pub mod personalization;
pub mod publication;
pub mod registry;
mod system_error;
pub mod time_stamp;
mod toml_place;
