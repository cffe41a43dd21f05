//! Disagreements between card, registry and authority in words, and the way out of each.

use crate::domain::SerialNumber;
use crate::personalization::agreement::{Disagreement, Outcome, Unproven};

/// What was found; nothing where all agree.
pub(super) fn sentence(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Agrees => None,
        Outcome::Unproven(why) => Some(
            match why {
                Unproven::PinWanted => {
                    "the card does not tell its public keys and wants the PIN to use them: --pin-file"
                }
                Unproven::NotTold => "the card does not tell the public half of a retired key",
                Unproven::CostsATry => "no card tells its PUK, and a wrong one costs a try",
                Unproven::NotOnACrlYet => {
                    "revoked since the newest CRL; make it known with: issuer publish --to DIR"
                }
            }
            .to_owned(),
        ),
        Outcome::Differs(disagreement) => Some(difference(disagreement)),
    }
}

fn difference(disagreement: &Disagreement) -> String {
    match disagreement {
        Disagreement::HalfMade { since } => {
            format!("the card is half-made since {since}: what is on it may be anything")
        }
        Disagreement::OtherGuid { given, shown: Some(shown) } => {
            format!("the card shows the GUID {shown}, but was given {given}")
        }
        Disagreement::OtherGuid { given, shown: None } => {
            format!("the card shows no GUID, but was given {given}")
        }
        Disagreement::CertificateMissing(serial) => {
            format!("certificate {serial} is valid and should be there; there is none")
        }
        Disagreement::Unreadable => "what is stored there is no certificate".to_owned(),
        Disagreement::Stranger { subject, issuer } => {
            format!("a stranger's certificate: {subject:?}, signed by {issuer:?}; this registry never saw it")
        }
        Disagreement::OfAnother(serial) => format!("certificate {serial} belongs to another card"),
        Disagreement::OfAnotherKey(serial) => {
            format!("certificate {serial} belongs to another key of this card")
        }
        Disagreement::Altered(serial) => {
            format!("certificate {serial} is not, byte for byte, what was signed")
        }
        Disagreement::NotSignedByUs(serial) => {
            format!("certificate {serial} does not carry the signature of the authority for people")
        }
        Disagreement::Revoked { serial, since, reason } => {
            format!("certificate {serial} is revoked since {since} ({reason}), but the card is in use")
        }
        Disagreement::HoldDiffers(serial) => {
            format!("only one of card and certificate {serial} is on hold")
        }
        Disagreement::NeverDelivered(serial) => {
            format!("certificate {serial} is on the card, but was never confirmed to be")
        }
        Disagreement::NotOnCard(serial) => {
            format!("certificate {serial} of this card is valid, but not on it")
        }
        Disagreement::StillValid(serial) => {
            format!("certificate {serial} is valid, but nobody has the card")
        }
        Disagreement::OtherKey => "the private key is not that of the certificate beside it".to_owned(),
        Disagreement::OtherManagementKey => {
            "the card accepts neither the desk's management key nor the one it came with".to_owned()
        }
        Disagreement::PinBlocked => "the PIN is blocked, and the registry does not know".to_owned(),
        Disagreement::PinNotBlocked => "the registry says the PIN is blocked, and it is not".to_owned(),
        Disagreement::PukBlocked => {
            "no PUK is accepted any more: a blocked PIN would stay blocked".to_owned()
        }
    }
}

/// What to do; `card` and `who` as commands take them.
pub(super) fn way_out(disagreement: &Disagreement, card: &str, who: &str) -> String {
    let revoke = |serial: &SerialNumber| format!("issuer revoke {serial} --reason superseded");
    match disagreement {
        Disagreement::HalfMade { .. } => format!(
            "finish it (issuer issue {who} --card LOCATOR) or give it up (issuer revoke {who} --reason cessation-of-operation)"
        ),
        Disagreement::NotOnCard(serial) | Disagreement::StillValid(serial) => revoke(serial),
        Disagreement::HoldDiffers(serial) => format!(
            "put both on hold (issuer hold {card}), end it for both (issuer release {card}), or revoke {serial}"
        ),
        Disagreement::PinBlocked => format!("issuer mark {card} pin-blocked"),
        Disagreement::PinNotBlocked => format!("issuer mark {card} active"),
        Disagreement::Revoked { .. }
        | Disagreement::CertificateMissing(_)
        | Disagreement::NeverDelivered(_)
        | Disagreement::PukBlocked => {
            format!("take the card back, end it (issuer revoke {who} --reason superseded) and issue another")
        }
        Disagreement::OtherGuid { .. }
        | Disagreement::Unreadable
        | Disagreement::Stranger { .. }
        | Disagreement::OfAnother(_)
        | Disagreement::OfAnotherKey(_)
        | Disagreement::Altered(_)
        | Disagreement::NotSignedByUs(_)
        | Disagreement::OtherKey
        | Disagreement::OtherManagementKey => format!(
            "somebody changed the card past this desk: do not hand it out; end it (issuer revoke {who} --reason key-compromise) and issue another"
        ),
    }
}
