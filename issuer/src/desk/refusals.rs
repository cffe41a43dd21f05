//! The refusals that a desk meets most, for whoever works there in another language than English: what the domain and the
//! card say, with the same values. English is said where each is known, and needs nothing here.

use middleware::{CardError, KeyError};

use super::texts;
use crate::domain::{CardAction, CardFault, CardRefusal, PersonRefusal};
use crate::personalization::PersonalizationError;
use crate::registry::{OperationKind, RegistryError};

/// A message and what is filled in.
pub(super) struct Refusal {
    pub(super) key: &'static str,
    pub(super) values: Vec<(&'static str, String)>,
}

fn plain(key: &'static str) -> Refusal {
    Refusal { key, values: Vec::new() }
}

fn with(key: &'static str, values: &[(&'static str, String)]) -> Refusal {
    Refusal { key, values: values.to_vec() }
}

/// What the life cycle of cards forbids.
pub(super) fn of_life_cycle(refusal: &CardRefusal) -> Option<Refusal> {
    let since = |since: &jiff::Timestamp| ("since", since.to_string());
    let state = |name: &str| ("state", texts::state(name));
    Some(match refusal {
        CardRefusal::Unknown => plain("failed-not-in-stock"),
        CardRefusal::AlreadyReceived(name) => with("failed-received", &[state(name)]),
        CardRefusal::BeingPersonalisedFor { since: at, .. } => {
            with("failed-anothers-half-made", &[since(at)])
        }
        CardRefusal::AlreadyIssued { since: at, .. } => with("failed-issued", &[since(at)]),
        CardRefusal::Unusable { since: at, fault } => {
            with("failed-unusable", &[since(at), ("fault", texts::say(of_fault(*fault), &[]))])
        }
        CardRefusal::NotBeingPersonalised(name) => with("failed-not-being-made", &[state(name)]),
        CardRefusal::Overtaken { attempt, present } => {
            with("failed-overtaken", &[("attempt", attempt.to_string()), ("present", present.to_string())])
        }
        CardRefusal::Revoked { since: at, reason } => {
            with("failed-revoked", &[since(at), ("reason", reason.as_str().to_owned())])
        }
        CardRefusal::NotIssued(name) => with("failed-not-issued", &[state(name)]),
        CardRefusal::PukUncertain => plain("failed-puk-uncertain"),
        CardRefusal::NotNow { action, state: name, since: at } => {
            with("failed-not-now", &[state(name), since(at), ("action", texts::say(of_action(*action), &[]))])
        }
    })
}

/// What a card says, or its reader.
pub(super) fn of_card(error: &CardError) -> Option<Refusal> {
    let tries = |left: &u8| ("tries", left.to_string());
    Some(match error {
        CardError::NoCard => plain("failed-no-card"),
        CardError::SeveralCards(readers) => with("failed-several-cards", &[("readers", readers.join("、"))]),
        CardError::CardRemoved => plain("failed-card-removed"),
        CardError::CardReset => plain("failed-card-reset"),
        CardError::NotPiv(reader) => with("failed-not-piv", &[("reader", reader.clone())]),
        CardError::WrongPin { tries_left } => with("failed-wrong-pin", &[tries(tries_left)]),
        CardError::WrongPuk { tries_left } => with("failed-wrong-puk", &[tries(tries_left)]),
        CardError::PinBlocked => plain("failed-pin-blocked"),
        CardError::PukBlocked => plain("failed-puk-blocked"),
        CardError::LastPinTry => plain("failed-last-pin-try"),
        CardError::MalformedPin => plain("failed-malformed-pin"),
        CardError::WrongManagementKey => plain("failed-wrong-management-key"),
        CardError::InUse(_) => plain("failed-card-in-use"),
        _ => return None,
    })
}

/// What personalisation and everything after it refuse.
pub(super) fn of_personalization(error: &PersonalizationError) -> Option<Refusal> {
    Some(match error {
        PersonalizationError::UnknownCard(card) => with("failed-unknown-card", &[("card", card.clone())]),
        PersonalizationError::EmulatedCard => plain("failed-emulated-card"),
        PersonalizationError::NotBlank(things) => with("failed-not-blank", &[("things", things.clone())]),
        PersonalizationError::EmploymentOver(day) => {
            with("failed-employment-over", &[("day", day.to_string())])
        }
        PersonalizationError::ManagementKeyUnknown => plain("failed-management-key-unknown"),
        PersonalizationError::StockSecretsMissing => plain("failed-stock-secrets-missing"),
        PersonalizationError::CardSwapped { expected, found } => {
            with("failed-card-swapped", &[("expected", expected.clone()), ("found", found.clone())])
        }
        PersonalizationError::AnotherCard { expected, found } => {
            with("failed-another-card", &[("expected", expected.clone()), ("found", found.clone())])
        }
        PersonalizationError::Registry(error) => return of_registry(error),
        PersonalizationError::Card(error) | PersonalizationError::Key(KeyError::Card(error)) => {
            return of_card(error);
        }
        PersonalizationError::Interrupted { source, .. } => return of_personalization(source),
        PersonalizationError::CannotWipe => plain("failed-cannot-wipe"),
        PersonalizationError::Stopped => plain("failed-stopped"),
        _ => return None,
    })
}

/// What the registry refuses.
pub(super) fn of_registry(error: &RegistryError) -> Option<Refusal> {
    Some(match error {
        RegistryError::CardRefused(refusal) => return of_life_cycle(refusal),
        RegistryError::HasCard { .. } => plain("failed-has-card"),
        RegistryError::CardTaken(card) => with("failed-card-taken", &[("card", card.to_string())]),
        RegistryError::MailTaken { name } => with("failed-mail-taken", &[("name", name.clone())]),
        RegistryError::StaffIdTaken { name } => with("failed-id-taken", &[("name", name.clone())]),
        RegistryError::PersonRefused(PersonRefusal::HasLeft(at)) => {
            with("failed-has-left", &[("since", at.to_string())])
        }
        RegistryError::PersonRefused(PersonRefusal::ChangedMeanwhile) => plain("failed-changed-meanwhile"),
        RegistryError::OperationOpen(kind) => {
            with("failed-unfinished", &[("what", texts::say(of_operation(*kind), &[]))])
        }
        _ => return None,
    })
}

const fn of_operation(kind: OperationKind) -> &'static str {
    match kind {
        OperationKind::Renewal => "failed-of-renewal",
        OperationKind::Unblock => "failed-of-unblock",
        OperationKind::Wipe => "failed-of-wipe",
    }
}

const fn of_fault(fault: CardFault) -> &'static str {
    match fault {
        CardFault::PukBlocked => "failed-for-puk-blocked",
        CardFault::PukLastTry => "failed-for-puk-last-try",
        CardFault::PukUnknown => "failed-for-puk-unknown",
        CardFault::ManagementKeyUnknown => "failed-for-management-key",
    }
}

const fn of_action(action: CardAction) -> &'static str {
    match action {
        CardAction::Receive => "failed-to-receive",
        CardAction::Personalise => "failed-to-personalise",
        CardAction::HandOver => "failed-to-hand-over",
        CardAction::RecordFault => "failed-to-record-fault",
        CardAction::Abandon => "failed-to-abandon",
        CardAction::Activate => "failed-to-activate",
        CardAction::BlockPin => "failed-to-block-pin",
        CardAction::UnblockPin => "failed-to-unblock",
        CardAction::Hold => "failed-to-hold",
        CardAction::Release => "failed-to-release",
        CardAction::ReportLoss => "failed-to-report-loss",
        CardAction::ReportDamage => "failed-to-report-damage",
        CardAction::Replace => "failed-to-replace",
        CardAction::Revoke => "failed-to-revoke",
        CardAction::Return => "failed-to-return",
        CardAction::Restock => "failed-to-restock",
        CardAction::Destroy => "failed-to-destroy",
    }
}
