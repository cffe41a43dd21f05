//! Disagreements between card, registry and authority in words, and the way out of each.

use middleware::DataObject;

use super::texts::Texts;
use crate::domain::SerialNumber;
use crate::personalization::agreement::{Disagreement, Outcome, Subject, Unproven};

/// What was compared.
pub(super) fn subject(subject: Subject, texts: &Texts) -> String {
    let of_key = |name, key: middleware::KeyReference| texts.say(name, &[("key", &key.to_string())]);
    match subject {
        Subject::Card => texts.say("checked-card", &[]),
        Subject::Certificate(key) => of_key("checked-certificate", key),
        Subject::Key(key) => of_key("checked-key", key),
        Subject::OtherCertificates => texts.say("checked-other-certificates", &[]),
        Subject::ManagementKey => texts.say("checked-management-key", &[]),
        Subject::Pin => texts.say("checked-pin", &[]),
        Subject::Puk => texts.say("checked-puk", &[]),
        Subject::Chuid => texts.say("checked-chuid", &[]),
        Subject::SecurityObject => texts.say("checked-security-object", &[]),
        Subject::KeyHistory => texts.say("checked-key-history", &[]),
    }
}

/// What was found; nothing where all agree.
pub(super) fn sentence(outcome: &Outcome, texts: &Texts) -> Option<String> {
    let key = match outcome {
        Outcome::Agrees => return None,
        Outcome::Differs(disagreement) => return Some(difference(disagreement, texts)),
        Outcome::Unproven(Unproven::PinWanted) => "checked-pin-wanted",
        Outcome::Unproven(Unproven::NotTold) => "checked-not-told",
        Outcome::Unproven(Unproven::CostsATry) => "checked-costs-a-try",
        Outcome::Unproven(Unproven::NotOnACrlYet) => "checked-not-on-a-crl-yet",
        Outcome::Unproven(Unproven::HoldNotOnACrlYet) => "checked-hold-not-on-a-crl-yet",
        Outcome::Unproven(Unproven::ReleaseNotOnACrlYet) => "checked-release-not-on-a-crl-yet",
        Outcome::Unproven(Unproven::LastPinTry) => "checked-last-pin-try",
        Outcome::Unproven(Unproven::PinNotTried) => "checked-pin-not-tried",
    };
    Some(texts.say(key, &[]))
}

fn difference(disagreement: &Disagreement, texts: &Texts) -> String {
    let say = |key| texts.say(key, &[]);
    let of = |key, serial: &SerialNumber| texts.say(key, &[("serial", &serial.to_string())]);
    match disagreement {
        Disagreement::HalfMade { since } => texts.say("checked-half-made", &[("since", &since.to_string())]),
        Disagreement::OtherGuid { given, shown: Some(shown) } => {
            texts.say("checked-other-guid", &[("shown", &shown.to_string()), ("given", &given.to_string())])
        }
        Disagreement::OtherGuid { given, shown: None } => {
            texts.say("checked-no-guid", &[("given", &given.to_string())])
        }
        Disagreement::CertificateMissing(serial) => of("checked-certificate-missing", serial),
        Disagreement::Unreadable => say("checked-unreadable"),
        Disagreement::Destroyed { since } => texts.say("checked-destroyed", &[("since", &since.to_string())]),
        Disagreement::Stranger { subject, issuer } => named("checked-stranger", subject, issuer, texts),
        Disagreement::NotBlank { subject, issuer } => named("checked-not-blank", subject, issuer, texts),
        Disagreement::KeyInStock => say("checked-key-in-stock"),
        Disagreement::SignedInStock { signer } => {
            // What cannot be seen is escaped already.
            texts.say("checked-signed-in-stock", &[("signer", signer)])
        }
        Disagreement::OfAnother(serial) => of("checked-of-another", serial),
        Disagreement::OfAnotherKey(serial) => of("checked-of-another-key", serial),
        Disagreement::Altered(serial) => of("checked-altered", serial),
        Disagreement::NotSignedByUs(serial) => of("checked-not-signed-by-us", serial),
        Disagreement::Revoked { serial, since, reason } => {
            let (serial, since) = (serial.to_string(), since.to_string());
            let values = [("serial", serial.as_str()), ("since", &since), ("reason", reason.as_str())];
            texts.say("checked-revoked", &values)
        }
        Disagreement::HoldDiffers(serial) => of("checked-hold-differs", serial),
        Disagreement::NeverDelivered(serial) => of("checked-never-delivered", serial),
        Disagreement::NotOnCard(serial) => of("checked-not-on-card", serial),
        Disagreement::StillValid(serial) => of("checked-still-valid", serial),
        Disagreement::OtherKey => say("checked-other-key"),
        Disagreement::OtherManagementKey => say("checked-other-management-key"),
        Disagreement::WrongPin { tries_left } => {
            texts.say("checked-wrong-pin", &[("tries", &tries_left.to_string())])
        }
        Disagreement::PinBlocked => say("checked-pin-blocked"),
        Disagreement::PinNotBlocked => say("checked-pin-not-blocked"),
        Disagreement::PukBlocked => say("checked-puk-blocked"),
        Disagreement::ObjectMissing => say("checked-object-missing"),
        Disagreement::Malformed => say("checked-malformed"),
        Disagreement::NotSigned => say("checked-not-signed"),
        Disagreement::SignedByStranger { subject, issuer } => {
            named("checked-signed-by-stranger", subject, issuer, texts)
        }
        Disagreement::SignerUnknown => say("checked-signer-unknown"),
        Disagreement::SignatureFalse => say("checked-signature-false"),
        Disagreement::HashesDiffer(objects) => {
            let names: Vec<_> = objects.iter().map(|object| object_name(*object, texts)).collect();
            texts.say("checked-hashes-differ", &[("objects", &names.join(", "))])
        }
        Disagreement::HistoryDiffers { counted, recorded } => {
            let values = [("counted", counted.to_string()), ("recorded", recorded.to_string())];
            texts
                .say("checked-history-differs", &values.each_ref().map(|(key, value)| (*key, value.as_str())))
        }
    }
}

/// Whoever made the certificate wrote these names: what cannot be seen is escaped.
fn named(key: &str, subject: &str, issuer: &str, texts: &Texts) -> String {
    let (subject, issuer) = (subject.escape_debug().to_string(), issuer.escape_debug().to_string());
    texts.say(key, &[("subject", &subject), ("issuer", &issuer)])
}

fn object_name(object: DataObject, texts: &Texts) -> String {
    let key = match object {
        DataObject::CARD_CAPABILITY_CONTAINER => "checked-object-ccc",
        DataObject::CHUID => "checked-chuid",
        DataObject::KEY_HISTORY => "checked-key-history",
        DataObject::DISCOVERY => "checked-object-discovery",
        other => return other.to_string(),
    };
    texts.say(key, &[])
}

/// What to do; `card` and `who` as commands take them.
pub(super) fn way_out(disagreement: &Disagreement, card: &str, who: &str, texts: &Texts) -> String {
    let of = |key| texts.say(key, &[("who", who)]);
    match disagreement {
        Disagreement::HalfMade { .. } => of("checked-do-finish"),
        Disagreement::NotOnCard(serial) | Disagreement::StillValid(serial) => {
            format!("issuer revoke {serial} --reason superseded")
        }
        Disagreement::HoldDiffers(serial) => {
            texts.say("checked-do-hold", &[("card", card), ("serial", &serial.to_string())])
        }
        // That it was blocked is recorded with it.
        Disagreement::PinBlocked => format!("issuer unblock {card} --card LOCATOR"),
        Disagreement::NotBlank { .. } | Disagreement::KeyInStock | Disagreement::SignedInStock { .. } => {
            of("checked-do-reset")
        }
        Disagreement::Destroyed { .. } => of("checked-do-destroy"),
        Disagreement::WrongPin { .. } => of("checked-do-pin"),
        Disagreement::PinNotBlocked => format!("issuer mark {card} active"),
        Disagreement::Revoked { .. }
        | Disagreement::CertificateMissing(_)
        | Disagreement::NeverDelivered(_)
        | Disagreement::PukBlocked => of("checked-do-end"),
        // Cards made before there was a content signer have none, and a renewal writes what is missing.
        Disagreement::ObjectMissing | Disagreement::NotSigned | Disagreement::SignerUnknown => {
            texts.say("checked-do-renew", &[("card", card)])
        }
        Disagreement::OtherGuid { .. } => texts.say("checked-do-reissue", &[("card", card), ("who", who)]),
        Disagreement::Unreadable
        | Disagreement::Stranger { .. }
        | Disagreement::OfAnother(_)
        | Disagreement::OfAnotherKey(_)
        | Disagreement::Altered(_)
        | Disagreement::NotSignedByUs(_)
        | Disagreement::OtherKey
        | Disagreement::OtherManagementKey
        | Disagreement::Malformed
        | Disagreement::SignedByStranger { .. }
        | Disagreement::SignatureFalse
        | Disagreement::HashesDiffer(_)
        | Disagreement::HistoryDiffers { .. } => of("checked-do-not-trust"),
    }
}
