//! Certification authority and issuance desk. Map of the crate:
//!
//! - [`domain`]: people, cards, certificates and their life cycle; pure.
//! - [`ca`]: profiles, lint, signing, CRLs.
//! - [`registry`]: what is stored, and how.
//! - [`personalization`]: the steps that turn a blank card into somebody's card.
//! - [`publication`]: certificates and CRLs for everybody, as files and over HTTP.
//! - [`desk`]: what the desk can do, and its command line.
pub mod ca;
pub mod clock;
pub mod config;
pub mod desk;
pub mod domain;
pub mod personalization;
pub mod publication;
pub mod registry;
