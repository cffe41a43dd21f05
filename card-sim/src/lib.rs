//! A PIV smart card in software, with durable state (SP 800-73-5).

pub mod card;
pub mod store;

pub use card::Card;
pub use store::StoreError;
