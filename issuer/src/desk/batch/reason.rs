//! Why a row came to what it is: for programs, and for whoever works there.

use crate::desk::failure::Failure;
use crate::desk::texts;

/// Why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable word.
    pub code: &'static str,
    /// In English.
    pub message: String,
    /// In the language of whoever works there, in one line.
    pub said: String,
}

impl From<Failure> for Reason {
    fn from(failure: Failure) -> Self {
        let said = texts::explained_failure(&failure);
        Self { code: failure.code, message: failure.message, said }
    }
}
