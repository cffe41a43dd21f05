//! What the desk can do, and its command line.
//!
//! - [`actions`]: what can be done with an opened home, as one table; every front end goes through it.
//! - [`cli`]: the command line: arguments, help, dispatch; what a larger command is told is in its own `cli`.
//! - [`shell`]: `desk`, the same actions typed one after the other, and a way through them for each card; [`texts`]: in which language.
//! - [`office`]: an opened home: configuration, registry, keys, clock, randomness; `bench`: what making cards takes beside it;
//!   [`observer`]: who watches that.
//! - [`configuration`]: `config`, and what becomes of an edited `config.toml`.
//! - `external_lint`: somebody else's lint, as `config.toml` names it.
//! - [`failure`]: every error as a sentence, a stable code and an exit status; `refusals`: those that are met most, translated.
//! - [`output`]: lines, tables and JSON; `views`: what JSON says of people, cards, certificates and events.
//! - one module per command: [`init`], [`staff`], [`stock`], [`issue`], [`revoke`], [`publish`], [`serve`], [`find`],
//!   [`show`], [`report`], [`expiring`], [`request`], [`audit`], [`lint`], [`certify`], [`tsa`], [`class`], [`ocsp`];
//!   [`renew`], [`replace`], [`unblock`]; [`return_card`]: `stock return`; [`life_cycle`]: `hold`, `release` and `mark`; `documents_authority`, `content_signer`: made when they are first needed (`key_file`: by whoever is first);
//!   `attestation_roots`: whose word on keys is believed;
//!   [`authority_key`]: keys of authorities wherever they live; [`ceremony`]: `init` as it was declared.
//! - [`operator`]: who may do what, [`office::Office::authorize`]; [`approval`]: what needs two.
//! - [`staff_import`]: a list of staff ([`staff_file`], [`staff_directory`]) beside who is known; [`staff_leavers`].
//! - `unfinished`: what is written beside its place until it is whole, and what killed runs left.
//! - `csv_row`: what a reader of CSV forgives, and a list of people must not.
//! - [`pin_letter`]: a transport PIN on paper, to be folded.
//! - `card_keys`: the keys of a card, and where they came from; `card_profile`: by which profile it is made.
//! - `help`: what commands say of themselves in another language than English.
//! - `holder_pin`: a PIN that its holder types at the desk; `half_done`: what was begun with a card and is not done;
//!   `invalidity_date`: since when a key was not its holder's alone; `in_use`: what is done with a card in use, and why with no other.
//! - [`which_card`]: which card somebody means; [`ways`]: what can be done with it and undone.

pub mod actions;
pub mod approval;
mod attestation_roots;
pub mod audit;
pub mod authority_key;
pub mod backup;
pub mod batch;
mod bench;
pub mod ca;
mod card_keys;
mod card_profile;
pub mod ceremony;
pub mod certify;
pub mod check;
mod check_words;
pub mod class;
pub mod cli;
pub mod clock;
pub mod configuration;
mod content_signer;
mod csv_row;
mod documents_authority;
pub mod evidence;
pub mod expiring;
mod external_lint;
pub mod failure;
pub mod find;
mod half_done;
mod help;
mod holder_pin;
mod in_use;
pub mod init;
mod invalidity_date;
pub mod issue;
mod key_file;
pub mod life_cycle;
pub mod lint;
pub mod observer;
pub mod ocsp;
pub mod office;
pub mod operator;
pub mod output;
pub mod pin_letter;
pub mod publish;
mod refusals;
pub mod renew;
pub mod replace;
pub mod report;
pub mod request;
pub mod return_card;
pub mod revoke;
pub mod serve;
pub mod shell;
pub mod show;
pub mod staff;
pub mod staff_directory;
pub mod staff_file;
pub mod staff_import;
pub mod staff_leavers;
pub mod stock;
pub mod texts;
pub mod tsa;
pub mod unblock;
mod unfinished;
mod views;
pub mod ways;
pub mod which_card;

pub use failure::Failure;
