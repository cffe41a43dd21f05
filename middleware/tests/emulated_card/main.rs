//! The whole client against the emulated card, in both personalities; openssl is the judge of its cryptography.
mod administration;
mod card_tool;
mod keys;
mod left_behind;
mod objects;
#[path = "../judge/openssl.rs"]
mod openssl;
mod pin;
mod support;
