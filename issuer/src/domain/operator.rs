//! Who does something at the desk: a person, by one key of one card.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::ChainHash;
use super::cardholder::CardholderId;
use super::certificate::{Certificate, SerialNumber};
use super::role::{Permission, Role, Roles};

/// The registry's number for an operator; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperatorId(pub i64);

/// An operator of the desk.
#[derive(Clone, Debug)]
pub struct Operator {
    /// Which.
    pub id: OperatorId,
    /// Who it is.
    pub person: CardholderId,
    /// The person's name.
    pub name: String,
    /// The certificate of the card's key 9A.
    pub serial: SerialNumber,
    /// The SHA-256 of that key's SubjectPublicKeyInfo.
    pub key: ChainHash,
    /// What the operator may do.
    pub roles: Roles,
    /// Where the certificate stands.
    pub certificate: Certificate,
    /// Start of its validity.
    pub not_before: Timestamp,
    /// End of its validity.
    pub not_after: Timestamp,
}

/// Why an operator may not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorRefusal {
    /// The role is another's.
    #[error("{name} ({roles}) may not {action}: that is for {needed}")]
    Role {
        /// Who.
        name: String,
        /// The roles there are.
        roles: String,
        /// What.
        action: Permission,
        /// The roles that may.
        needed: String,
    },
    /// The certificate of the card is not good.
    #[error("the certificate {serial} of {name}'s card is {state}; the card of an operator must be good")]
    Certificate {
        /// Who.
        name: String,
        /// Which certificate.
        serial: String,
        /// What is the matter.
        state: String,
    },
}

impl Operator {
    /// Judges whether the operator may do it now.
    ///
    /// # Errors
    /// [`OperatorRefusal`].
    pub fn judge(&self, action: Permission, now: Timestamp) -> Result<(), OperatorRefusal> {
        self.judge_certificate(now)?;
        if self.roles.may(action) {
            return Ok(());
        }
        let (name, roles) = (self.name.clone(), self.roles.to_string());
        Err(OperatorRefusal::Role { name, roles, action, needed: action.roles() })
    }

    /// Judges whether the card's certificate is good now.
    ///
    /// # Errors
    /// [`OperatorRefusal::Certificate`].
    pub fn judge_certificate(&self, now: Timestamp) -> Result<(), OperatorRefusal> {
        let state = match self.certificate.state().name() {
            "delivered" if now > self.not_after => format!("expired since {}", self.not_after),
            "delivered" if now < self.not_before => format!("not valid before {}", self.not_before),
            "delivered" => return Ok(()),
            other => other.to_owned(),
        };
        Err(OperatorRefusal::Certificate { name: self.name.clone(), serial: self.serial.to_string(), state })
    }
}

/// Whether what needs two can be done: an administrator and, as another person, an approver have good cards.
pub fn can_approve_each_other<'a>(
    operators: impl Iterator<Item = &'a Operator> + Clone,
    now: Timestamp,
) -> bool {
    let good = operators.filter(|operator| operator.judge_certificate(now).is_ok());
    let mut administrators = good.clone().filter(|operator| operator.roles.has(Role::Administrator));
    administrators
        .any(|one| good.clone().any(|other| other.id != one.id && other.roles.may(Permission::Approve)))
}

/// What happened to an operator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum OperatorEvent {
    /// Somebody became one.
    OperatorAdded {
        /// Who.
        person: CardholderId,
        /// By which certificate, hex.
        certificate: String,
        /// By which key, SHA-256 in hex.
        key: String,
        /// For what.
        roles: String,
    },
    /// The card has another certificate, and perhaps another key.
    OperatorRenewed {
        /// By which certificate, hex.
        certificate: String,
        /// By which key, SHA-256 in hex.
        key: String,
    },
    /// The card gets a new PIN from the desk; written before it does.
    OperatorPinSet {
        /// Which card: its GUID, hex.
        card: String,
        /// Where the PIN stood, in words.
        stood: String,
    },
    /// Somebody is one no longer.
    OperatorRemoved {
        /// Why, where it was said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// Somebody tried what was not allowed.
    OperatorRefused {
        /// What.
        action: String,
        /// Why not.
        why: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::certificate::{CertificateCommand, RevocationReason};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn certificate(commands: &[CertificateCommand]) -> Certificate {
        commands.iter().fold(Certificate::default(), |state, command| {
            let event = state.decide(*command, at(1)).unwrap();
            state.apply(event)
        })
    }

    fn operator(commands: &[CertificateCommand]) -> Operator {
        Operator {
            id: OperatorId(1),
            person: CardholderId(1),
            name: "Alice Ng".to_owned(),
            serial: SerialNumber::from_hex("0102").unwrap(),
            key: ChainHash::of(b"key"),
            roles: "registrar".parse().unwrap(),
            certificate: certificate(commands),
            not_before: at(10),
            not_after: at(20),
        }
    }

    #[test]
    fn nobody_approves_what_he_asks_for() {
        let delivered = [
            CertificateCommand::Reserve,
            CertificateCommand::RecordSignature,
            CertificateCommand::ConfirmDelivery,
        ];
        let with = |id, roles: &str, last: &[CertificateCommand]| Operator {
            id: OperatorId(id),
            roles: roles.parse().unwrap(),
            ..operator(&[&delivered[..], last].concat())
        };
        let can = |operators: &[Operator]| can_approve_each_other(operators.iter(), at(15));
        assert!(can(&[with(1, "administrator", &[]), with(2, "approver", &[])]));
        assert!(can(&[with(1, "administrator,approver", &[]), with(2, "approver", &[])]));
        assert!(!can(&[with(1, "administrator,approver", &[]), with(2, "registrar,auditor", &[])]));
        assert!(!can(&[with(1, "administrator", &[]), with(2, "approver", &[CertificateCommand::Hold])]));
        assert!(!can(&[with(1, "administrator", &[CertificateCommand::Hold]), with(2, "approver", &[])]));
    }

    #[test]
    fn only_a_good_card_of_the_right_role_is_let_through() {
        let delivered = [
            CertificateCommand::Reserve,
            CertificateCommand::RecordSignature,
            CertificateCommand::ConfirmDelivery,
        ];
        let good = operator(&delivered);
        assert_eq!(good.judge(Permission::Issue, at(15)), Ok(()));
        assert!(matches!(good.judge(Permission::Approve, at(15)), Err(OperatorRefusal::Role { .. })));
        for (time, word) in [(9, "not valid before"), (21, "expired since")] {
            let refused = good.judge(Permission::Issue, at(time)).unwrap_err().to_string();
            assert!(refused.contains(word), "{refused}");
        }
        let revoke =
            CertificateCommand::Revoke { reason: RevocationReason::Unspecified, invalid_since: None };
        for (last, word) in [(CertificateCommand::Hold, "on hold"), (revoke, "revoked")] {
            let bad = operator(&[&delivered[..], &[last]].concat());
            let refused = bad.judge(Permission::Read, at(15)).unwrap_err().to_string();
            assert!(refused.contains(word), "{refused}");
        }
    }
}
