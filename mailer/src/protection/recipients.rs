//! Every recipient's certificate is found and checked before anything leaves; all problems are named together.
use jiff::Timestamp;

use crate::certificate::Certificate;
use crate::directory::Directory;
use crate::message::address::Address;
use crate::trust::{Anchors, CheckedRecipient, Judge, UnknownRevocation};

/// Why somebody cannot be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// To whom.
    pub address: String,
    /// Stable code for JSON.
    pub code: &'static str,
    /// What is wrong, beginning with the address.
    pub message: String,
}

/// What recipients are checked against.
pub struct RecipientCheck<'a> {
    /// Where certificates come from.
    pub directory: &'a mut Directory,
    /// The configured anchors.
    pub anchors: &'a Anchors,
    /// The moment.
    pub at: Timestamp,
    /// What to think of unknown revocation.
    pub unknown_revocation: UnknownRevocation,
}

impl RecipientCheck<'_> {
    /// Finds and checks the certificate of each address.
    ///
    /// # Errors
    /// The problems of all addresses that have one.
    pub fn find_all(&mut self, addresses: &[Address]) -> Result<Vec<CheckedRecipient>, Vec<Refusal>> {
        let mut found = Vec::new();
        let mut refusals = Vec::new();
        for address in addresses {
            match self.find(address) {
                Ok(recipient) => found.push(recipient),
                Err(refusal) => refusals.push(refusal),
            }
        }
        if refusals.is_empty() { Ok(found) } else { Err(refusals) }
    }

    /// Finds and checks the certificate of one address.
    ///
    /// # Errors
    /// Why there is none that may be used.
    pub fn find(&mut self, address: &Address) -> Result<CheckedRecipient, Refusal> {
        let candidates = self.directory.certificates_for(&address.key()).map_err(|error| Refusal {
            address: address.to_string(),
            code: error.code(),
            message: format!("{address}: {error}"),
        })?;
        self.choose(address, &candidates)
    }

    /// Checks certificates that are already at hand, as those on one's own card.
    ///
    /// # Errors
    /// None of them is good.
    pub fn choose(
        &mut self,
        address: &Address,
        candidates: &[Certificate],
    ) -> Result<CheckedRecipient, Refusal> {
        let mut judge = Judge {
            anchors: self.anchors,
            source: self.directory,
            at: self.at,
            unknown_revocation: self.unknown_revocation,
        };
        let chosen = judge.choose_recipient(&address.key(), candidates);
        // A directory that could not be asked for the CRL is the better explanation of an unknown revocation.
        let hint =
            self.directory.take_problems().first().map(|problem| format!(" ({problem})")).unwrap_or_default();
        chosen.map_err(|problem| Refusal {
            address: address.to_string(),
            code: problem.code(),
            message: format!("{problem}{hint}"),
        })
    }
}
