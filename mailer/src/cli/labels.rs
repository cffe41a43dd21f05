//! Security labels on the command line: written, checked against clearances, shown.
use const_oid::ObjectIdentifier;
use serde_json::{Value, json};

use super::classes::Classes;
use super::context::Context;
use super::report::{Failure, plain_words};
use super::signing::refused;
use crate::certificate::Certificate;
use crate::directory::settings::Network;
use crate::message::address::Address;
use crate::message::terminal_text::safe_line;
use crate::protection::labels::ClearanceQuestion;
use crate::protection::open::OpenError;
use crate::protection::recipients::{RecipientCheck, Refusal};
use crate::readers::clearance::{in_words, suffices};
use crate::smime::{SecurityClassification, SecurityLabel};
use crate::trust::CheckedRecipient;

/// Reads `POLICY:CLASSIFICATION[:MARK]`.
pub(super) fn label(text: &str) -> Result<SecurityLabel, String> {
    let mut parts = text.splitn(3, ':');
    let policy = parts.next().unwrap_or_default();
    let policy = ObjectIdentifier::new(policy).map_err(|_| {
        format!("{policy:?} is no object identifier of a policy, such as 1.3.6.1.4.1.32473.1.6")
    })?;
    let classification = parts.next().unwrap_or_default();
    let classification = classification_of(classification).ok_or_else(|| {
        format!(
            "{classification:?} is no classification: 0 to 5, or unmarked, unclassified, restricted, confidential, secret, top-secret"
        )
    })?;
    let privacy_mark = parts.next().map(str::to_owned);
    let label =
        SecurityLabel { policy, classification: Some(classification), privacy_mark, categories: Vec::new() };
    match label.to_attribute() {
        Ok(_) => Ok(label),
        Err(_) => Err("the privacy mark must have 1 to 4096 octets".to_owned()),
    }
}

fn classification_of(text: &str) -> Option<SecurityClassification> {
    let mut basic = (0..=5).filter_map(SecurityClassification::from_number);
    basic.find(|known| {
        known.basic_name().is_some_and(|name| name.eq_ignore_ascii_case(text))
            || known.number().to_string() == text
    })
}

/// Every recipient's clearance must reach; all who lack it are named together. The last of `recipients` is oneself.
pub(super) fn check_recipients(
    context: &Context,
    label: &SecurityLabel,
    addresses: &[Address],
    recipients: &[CheckedRecipient],
) -> Result<(), Failure> {
    let own = context.address()?;
    let mut classes = Classes::new(context);
    let mut refusals: Vec<Refusal> = Vec::new();
    for (address, recipient) in addresses.iter().chain([&own]).zip(recipients) {
        if refusals.iter().any(|known| known.address == address.to_string()) {
            continue;
        }
        let certified = certified(recipient, label.policy);
        if suffices(label, certified).is_ok() {
            continue;
        }
        let (listed, hint) = match classes.list(Network::Online) {
            Ok(list) => (list.clearance(address, label.policy), String::new()),
            Err(failure) if failure.code == "no-class-list" => (None, String::new()),
            Err(failure) => (None, format!(" ({})", plain_words(&failure.message))),
        };
        if let Err(problem) = suffices(label, certified.max(listed)) {
            refusals.push(Refusal {
                address: address.to_string(),
                code: problem.code(),
                message: format!("{address}: {problem}{hint}"),
            });
        }
    }
    if refusals.is_empty() { Ok(()) } else { Err(refused(&refusals, "sent")) }
}

/// What a certificate says about a policy.
fn certified(recipient: &CheckedRecipient, policy: ObjectIdentifier) -> Option<SecurityClassification> {
    let clearance = recipient.clearance().filter(|clearance| clearance.policy == policy)?;
    clearance.highest().and_then(SecurityClassification::from_number)
}

/// One's own clearance: by the certificate on the card, if it is believed, or by the signed list of classes. For a signer who
/// is not believed nobody is asked: what was answered before must do.
pub(super) fn own_clearance(
    context: &Context,
    question: &mut ClearanceQuestion<'_>,
) -> Result<Option<SecurityClassification>, OpenError> {
    let network = if question.signer_is_trusted { Network::Online } else { Network::Offline };
    let certificates = (question.certificates)()?;
    let certified = oneself(context, network, &certificates)
        .and_then(|oneself| certified(&oneself, question.label.policy));
    if suffices(question.label, certified).is_ok() {
        return Ok(certified);
    }
    let Ok(own) = context.address() else { return Ok(certified) };
    let listed =
        Classes::new(context).list(network).ok().and_then(|list| list.clearance(&own, question.label.policy));
    Ok(certified.max(listed))
}

fn oneself(context: &Context, network: Network, certificates: &[Certificate]) -> Option<CheckedRecipient> {
    let (own, anchors) = (context.address().ok()?, context.anchors().ok()?);
    let mut directory = context.directory_on(network).ok()?;
    let mut check = RecipientCheck {
        directory: &mut directory,
        anchors: &anchors,
        at: context.now,
        unknown_revocation: context.unknown_revocation(),
    };
    check.choose(&own, certificates).ok()
}

/// A label in words, as a sentence of its own.
pub(super) fn sentence(label: &SecurityLabel) -> String {
    format!("It carries {}.", in_words(label))
}

/// A label for JSON.
pub(super) fn label_json(label: &SecurityLabel) -> Value {
    json!({
        "policy": label.policy.to_string(),
        "classification": label.classification.map(SecurityClassification::number),
        "name": label.classification.and_then(SecurityClassification::basic_name),
        "privacy_mark": label.privacy_mark.as_deref().map(safe_line),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_by_word_and_by_number() {
        let known = label("1.2.3.4:confidential:Nur: für uns").unwrap();
        assert_eq!(known.classification, Some(SecurityClassification::CONFIDENTIAL));
        assert_eq!(known.privacy_mark.as_deref(), Some("Nur: für uns"));
        assert_eq!(label("1.2.3.4:5").unwrap().classification, Some(SecurityClassification::TOP_SECRET));
        for text in
            ["", "1.2.3.4", "1.2.3.4:", "1.2.3.4:6", "1.2.3.4:-1", "x:1", "1.2.3.4:secrets", "1.2.3.4:1:"]
        {
            assert!(label(text).is_err(), "{text}");
        }
    }
}
