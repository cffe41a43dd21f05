//! The PIV card application (SP 800-73-5).
//!
//! An APDU becomes a [`command::Command`] (all syntax), is authorised by [`access_rule`] (all
//! rights), and handled by one file of [`commands`] or [`extension`].

pub mod access_rule;
pub mod algorithm;
pub mod applet;
pub mod blank;
pub mod command;
pub mod commands;
pub mod data_object;
pub mod extension;
pub mod key_reference;
pub mod persistent;
pub mod personality;
pub mod pin;
pub mod pin_usage_policy;
pub mod security_status;
pub mod state;
pub mod touch;
