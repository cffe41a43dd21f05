//! A new PIN from the desk: for an operator's card it makes whoever has it that operator, so one alone does not set it.

use middleware::{Card, PinStatus};

use super::super::failure::Failure;
use super::super::office::Office;
use super::super::output;
use crate::clock::Clock;
use crate::domain::{Act, GuardedAct, Operator, Permission};
use crate::registry::CardRecord;

/// What is known of the PIN that is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::desk) enum PinStands {
    /// No try is left.
    Blocked,
    /// The card works with it.
    NotBlocked,
    /// The card is far away.
    Unknown,
}

impl PinStands {
    /// Asks the card, which costs nothing.
    ///
    /// # Errors
    /// The card does not answer.
    pub(in crate::desk) fn of(card: &mut Card) -> Result<Self, Failure> {
        Ok(match card.transaction()?.pin_status()? {
            PinStatus::Blocked => Self::Blocked,
            PinStatus::Verified | PinStatus::NotVerified { .. } => Self::NotBlocked,
        })
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::NotBlocked => "not blocked",
            Self::Unknown => "not asked, for the card is far away",
        }
    }
}

impl Office {
    /// Lets through who may give this card a new PIN: the last line before that is done. What is done to an operator's card
    /// is in the log.
    ///
    /// # Errors
    /// The card is an operator's, and there is no second operator; or, where nothing needs two, whoever asks is no
    /// administrator or its holder.
    pub(in crate::desk) async fn admit_new_pin(
        &self,
        record: &CardRecord,
        stands: PinStands,
    ) -> Result<(), Failure> {
        if !self.registry.has_operators().await? {
            return Ok(());
        }
        let who = self.operator(Permission::Unblock).await?;
        let now = self.clock.now();
        let Some(operator) = self.operator_with(record).await? else {
            return match who.judge(Permission::HolderPin, now) {
                Ok(()) => Ok(()),
                Err(refusal) => Err(self.refused_pin(&who, Permission::HolderPin, &refusal).await),
            };
        };
        let card = record.card.guid().map(|guid| guid.to_string()).unwrap_or_default();
        let whose = format!("operator {} {} ({})", operator.id.0, operator.name, operator.roles);
        output::progress(&format!(
            "The card {card} is that of {whose}: whoever has its PIN is that operator. A new one is written into the log."
        ));
        let approved = if self.registry.dual_control().await?.is_empty() {
            self.refuse_one_alone(&who, &operator, &whose).await?;
            crate::registry::Approved::default()
        } else {
            let details = format!("a new PIN for the card {card} of {whose}; the PIN is {}", stands.as_str());
            self.approve(&GuardedAct::new(Act::DualControl, &details)).await?
        };
        let recording = self.registry.record_operator_pin(operator.id, (card, stands.as_str()), now);
        Ok(self.registry.spending(approved, now, recording).await?)
    }

    /// Whether this is an operator's card.
    ///
    /// # Errors
    /// The registry.
    pub(in crate::desk) async fn operator_with(
        &self,
        record: &CardRecord,
    ) -> Result<Option<Operator>, Failure> {
        for operator in self.registry.operators().await? {
            let certificate = self.registry.certificate(&operator.serial).await?;
            let card = certificate.and_then(|certificate| certificate.card).map(|(card, _)| card);
            if card == Some(record.id) {
                return Ok(Some(operator));
            }
        }
        Ok(None)
    }

    /// Where nothing needs two operators, two are needed all the same: an administrator, and the holder.
    async fn refuse_one_alone(
        &self,
        who: &Operator,
        operator: &Operator,
        whose: &str,
    ) -> Result<(), Failure> {
        const WAY: &str = "where there is no other administrator: issuer revoke PERSON --last-administrator, then another card, then issuer operator add PERSON --role administrator --card LOCATOR --recover";
        let action = Permission::OperatorPin;
        let why = match who.judge(action, self.clock.now()) {
            Ok(()) if who.person != operator.person => return Ok(()),
            Ok(()) => format!(
                "the card is that of {whose}, who asks: its PIN is set by an administrator who is somebody else"
            ),
            Err(refusal) => format!("the card is that of {whose}: {refusal}, who is not its holder"),
        };
        Err(self.refused_pin(who, action, &why).await.and(WAY))
    }

    async fn refused_pin(
        &self,
        who: &Operator,
        action: Permission,
        why: &(impl std::fmt::Display + ?Sized),
    ) -> Failure {
        self.refused(Some(who), action.as_str(), "operator-refused", why).await
    }
}
