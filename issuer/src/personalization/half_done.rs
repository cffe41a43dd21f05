//! What was begun with a card after it was issued and is not done yet: how far it came, and what it explains.

use super::agreement::{Disagreement, Finding, Outcome, Subject};
use super::error::PersonalizationError;
use super::exercise::key_reference;
use super::renewal::{self, RenewalOrder};
use crate::domain::{CardKey, CardState};
use crate::registry::{CardRecord, Operation, OperationKind, Registry};

/// An open operation of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HalfDone {
    /// What was begun, and when.
    pub operation: Operation,
    /// What was ordered, where it is a renewal.
    pub order: Option<RenewalOrder>,
    /// The keys that it has begun with and not finished.
    in_hand: Vec<CardKey>,
}

impl HalfDone {
    /// The open operation of a card; nothing is changed. What was begun with a card that is no more is over with it.
    ///
    /// # Errors
    /// The registry cannot be read.
    pub async fn of(registry: &Registry, record: &CardRecord) -> Result<Option<Self>, PersonalizationError> {
        if matches!(record.card.state(), CardState::Destroyed { .. }) {
            return Ok(None);
        }
        let Some(operation) = registry.open_operation(record.id).await? else { return Ok(None) };
        if operation.kind != OperationKind::Renewal {
            return Ok(Some(Self { operation, order: None, in_hand: Vec::new() }));
        }
        let order = renewal::order_of(&operation)?;
        let in_hand = renewal::in_hand(&registry.steps(&operation).await?);
        Ok(Some(Self { operation, order: Some(order), in_hand }))
    }

    /// Whether nobody uses the card any more that it was begun with: then it is over, and nothing is left to finish. A wipe
    /// is for such cards, everything else for those that somebody uses.
    pub const fn is_over(&self, record: &CardRecord) -> bool {
        let is_in_use = matches!(record.card.state(), CardState::Issued { .. } | CardState::OnHold { .. });
        !is_in_use && !matches!(self.operation.kind, OperationKind::Wipe)
    }

    /// Whether a difference is what the operation leaves behind when it stops in the middle.
    pub fn explains(&self, finding: &Finding) -> bool {
        let Outcome::Differs(disagreement) = &finding.outcome else { return false };
        let is_in_hand = |reference| self.in_hand.iter().any(|key| key_reference(*key) == reference);
        match self.operation.kind {
            OperationKind::Renewal => match (finding.subject, disagreement) {
                (Subject::Key(reference), Disagreement::OtherKey)
                | (
                    Subject::Certificate(reference),
                    Disagreement::NeverDelivered(_)
                    | Disagreement::Revoked { .. }
                    | Disagreement::CertificateMissing(_),
                ) => is_in_hand(reference),
                (Subject::OtherCertificates, Disagreement::NotOnCard(_)) => !self.in_hand.is_empty(),
                // The hashes are signed anew at the end, and the journal learns of a retired key after the card.
                (Subject::SecurityObject, Disagreement::HashesDiffer(_))
                | (Subject::SecurityObject, Disagreement::SignatureFalse)
                | (Subject::KeyHistory, Disagreement::HistoryDiffers { .. }) => true,
                _ => false,
            },
            OperationKind::Unblock => {
                matches!(disagreement, Disagreement::PinBlocked | Disagreement::PinNotBlocked)
            }
            // A reset blocks PIN and PUK first, and then everything is the factory's.
            OperationKind::Wipe => matches!(
                disagreement,
                Disagreement::OtherGuid { .. } | Disagreement::OtherManagementKey | Disagreement::PukBlocked
            ),
        }
    }
}
