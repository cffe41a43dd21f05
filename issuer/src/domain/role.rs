//! Which role may do what at the desk: one table.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// What an operator is there for; one may have several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// People and their cards.
    Registrar,
    /// The second of two, for what one alone must not do.
    Approver,
    /// Looks, takes evidence along, keeps the witness of the log; changes nothing else.
    Auditor,
    /// Operators, authorities, services, backups.
    Administrator,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Registrar, Self::Approver, Self::Auditor, Self::Administrator];

    /// The word on the command line and in the registry.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Registrar => "registrar",
            Self::Approver => "approver",
            Self::Auditor => "auditor",
            Self::Administrator => "administrator",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The roles of one operator: one or more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles(BTreeSet<Role>);

impl Roles {
    /// These; none is nothing.
    pub fn new(roles: impl IntoIterator<Item = Role>) -> Option<Self> {
        let roles: BTreeSet<Role> = roles.into_iter().collect();
        (!roles.is_empty()).then_some(Self(roles))
    }

    /// Whether one of them may do it.
    pub fn may(&self, action: Permission) -> bool {
        self.0.iter().any(|role| action.is_for(*role))
    }

    /// Whether it is one of them.
    pub fn has(&self, role: Role) -> bool {
        self.0.contains(&role)
    }
}

impl fmt::Display for Roles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<_> = self.0.iter().map(|role| role.as_str()).collect();
        f.write_str(&words.join(","))
    }
}

impl FromStr for Roles {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = |word: &str| format!("{word:?} is not registrar, approver, auditor or administrator");
        let role = |word: &str| Role::ALL.into_iter().find(|role| role.as_str() == word);
        let roles = text.split(',').map(|word| role(word.trim()).ok_or_else(|| unknown(word)));
        Self::new(roles.collect::<Result<Vec<_>, _>>()?).ok_or_else(|| unknown(text))
    }
}

/// What is done at a desk, as far as somebody must be allowed to do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Look: find, show, list, report, card check.
    Read,
    /// People join, change, leave.
    Staff,
    /// Cards come into stock and go back.
    Stock,
    /// Cards are made for people: issue, batch, renew, replace.
    Issue,
    /// What becomes of a card: hold, release, mark.
    LifeCycle,
    /// PINs are unblocked; of whose card, decides who may.
    Unblock,
    /// A new PIN for the card of somebody who is no operator.
    HolderPin,
    /// A new PIN for an operator's card: whoever has it is that operator.
    OperatorPin,
    /// Certificates are revoked.
    Revoke,
    /// What the desk is asked to do.
    Request,
    /// Classes of readers.
    Classes,
    /// Certificates of servers.
    Certify,
    /// What is public is made so; says nothing new, and may run unattended: so it is refused to nobody.
    Publish,
    /// Time stamps, OCSP, their keys and certificates.
    Services,
    /// Authorities: renewal, roll-over, cross-certificates, where they publish.
    Authority,
    /// Another configuration counts: the organisation, its domains, what profiles say.
    Configuration,
    /// Who is an operator, and what needs two.
    Operators,
    /// A desk without a good administrator gets one again; by the passphrase of its keys, and an approver's card where
    /// anything needs two.
    Recover,
    /// The clock is right after all.
    Clock,
    /// A copy of the registry is taken.
    Backup,
    /// The log is checked; tells numbers only, and may run unattended.
    VerifyLog,
    /// A witness file is begun anew in the place of one that is gone: whoever could do that alone could hide a rollback.
    NewWitness,
    /// What a third party is given about somebody.
    Evidence,
    /// A second operator is asked.
    AskApproval,
    /// The second operator answers.
    Approve,
}

impl Permission {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Read,
        Self::Staff,
        Self::Stock,
        Self::Issue,
        Self::LifeCycle,
        Self::Unblock,
        Self::HolderPin,
        Self::OperatorPin,
        Self::Revoke,
        Self::Request,
        Self::Classes,
        Self::Certify,
        Self::Publish,
        Self::Services,
        Self::Authority,
        Self::Configuration,
        Self::Operators,
        Self::Recover,
        Self::Clock,
        Self::Backup,
        Self::VerifyLog,
        Self::NewWitness,
        Self::Evidence,
        Self::AskApproval,
        Self::Approve,
    ];

    /// Its name, in the log and in messages.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "look into the registry",
            Self::Staff => "change staff",
            Self::Stock => "change the stock of cards",
            Self::Issue => "issue cards",
            Self::LifeCycle => "change the state of cards",
            Self::Unblock => "unblock PINs",
            Self::HolderPin => "set the PIN of a holder's card",
            Self::OperatorPin => "set the PIN of an operator's card",
            Self::Revoke => "revoke",
            Self::Request => "handle requests",
            Self::Classes => "change classes of readers",
            Self::Certify => "certify servers",
            Self::Publish => "publish",
            Self::Services => "set up services",
            Self::Authority => "change authorities",
            Self::Configuration => "accept a configuration",
            Self::Operators => "change operators",
            Self::Recover => "make a new administrator",
            Self::Clock => "accept the clock",
            Self::Backup => "take a backup",
            Self::VerifyLog => "check the log",
            Self::NewWitness => "begin a new witness",
            Self::Evidence => "take evidence",
            Self::AskApproval => "ask for an approval",
            Self::Approve => "approve",
        }
    }

    /// Whether this role may do it.
    pub const fn is_for(self, role: Role) -> bool {
        use Role::{Administrator, Approver, Auditor, Registrar};
        match self {
            Self::Read | Self::VerifyLog | Self::Publish => true,
            Self::Staff
            | Self::Stock
            | Self::Issue
            | Self::LifeCycle
            | Self::HolderPin
            | Self::Request
            | Self::Classes => matches!(role, Registrar),
            Self::Revoke | Self::Unblock => matches!(role, Registrar | Administrator),
            Self::Certify
            | Self::Services
            | Self::Authority
            | Self::Configuration
            | Self::Operators
            | Self::OperatorPin
            | Self::Recover
            | Self::Clock
            | Self::Backup => matches!(role, Administrator),
            Self::NewWitness | Self::Evidence => matches!(role, Auditor),
            Self::AskApproval => matches!(role, Registrar | Auditor | Administrator),
            Self::Approve => matches!(role, Approver),
        }
    }

    /// The roles that may do it, for messages.
    pub fn roles(self) -> String {
        let words: Vec<_> =
            Role::ALL.into_iter().filter(|role| self.is_for(*role)).map(Role::as_str).collect();
        words.join(" or ")
    }

    /// Whether it may be done without anybody at the desk: what makes known or checks what others decided.
    pub const fn is_unattended(self) -> bool {
        matches!(self, Self::Publish | Self::VerifyLog)
    }

    /// Whether it makes something of what config.toml says of certificates. The rest, above all revocation and its
    /// publication, waits for no configuration to be accepted.
    pub const fn makes_certificates(self) -> bool {
        matches!(
            self,
            Self::Staff | Self::Issue | Self::Classes | Self::Certify | Self::Services | Self::Authority
        )
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_for_somebody_and_only_what_decides_nothing_is_for_all() {
        for action in Permission::ALL {
            let roles = Role::ALL.into_iter().filter(|role| action.is_for(*role)).count();
            assert!(roles > 0, "{action} is for nobody");
            let decides_nothing =
                matches!(action, Permission::Read | Permission::VerifyLog | Permission::Publish);
            assert_eq!(roles == 4, decides_nothing, "{action}");
            assert!(decides_nothing || !action.is_unattended(), "{action}");
        }
    }

    /// An approver who also asks could be both of two; an auditor who changes something would audit himself.
    #[test]
    fn approvers_and_auditors_change_nothing_alone() {
        for role in [Role::Approver, Role::Auditor] {
            let may: Vec<_> = Permission::ALL.into_iter().filter(|action| action.is_for(role)).collect();
            let expected = match role {
                Role::Approver => {
                    vec![Permission::Read, Permission::Publish, Permission::VerifyLog, Permission::Approve]
                }
                _ => vec![
                    Permission::Read,
                    Permission::Publish,
                    Permission::VerifyLog,
                    Permission::NewWitness,
                    Permission::Evidence,
                    Permission::AskApproval,
                ],
            };
            assert_eq!(may, expected, "{role}");
        }
    }

    #[test]
    fn roles_read_back() {
        let roles: Roles = "administrator,registrar".parse().unwrap();
        assert_eq!(roles.to_string(), "registrar,administrator");
        assert_eq!(roles.to_string().parse::<Roles>().unwrap(), roles);
        assert!(
            roles.may(Permission::Issue)
                && roles.may(Permission::Operators)
                && !roles.may(Permission::Approve)
        );
        for text in ["", "king", "registrar,,", "registrar;auditor"] {
            assert!(text.parse::<Roles>().is_err(), "{text:?}");
        }
    }
}
