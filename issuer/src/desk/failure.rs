//! Every error as a sentence, a stable code and an exit status.

use std::fmt;
use std::path::Path;

use middleware::{CardError, KeyError};

use super::refusals::{self, Refusal};
use super::texts;
use crate::ca::CaError;
use crate::config::ConfigError;
use crate::domain::{CardRefusal, CertificateRefusal, PersonRefusal};
use crate::personalization::PersonalizationError;
use crate::personalization::custody::CustodyError;
use crate::publication::PublicationError;
use crate::registry::RegistryError;
use crate::system_error::{in_words, without_numbers};
use crate::time_stamp::TimeStampError;
use crate::time_stamp::server::ServeError;

/// How a command ends: 0 done, 1 refused or failed, 2 usage, 3 partly done, 4 not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything was done.
    Done,
    /// Nothing, or not everything, was done; the message says what.
    Failed,
    /// The command was not understood.
    Usage,
    /// A batch in which some items failed.
    Partly,
    /// What was looked at is not to be trusted.
    NotTrusted,
}

impl Status {
    /// The exit code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partly => 3,
            Self::NotTrusted => 4,
        }
    }
}

/// Why a command did not end well: what happened, to what, and what to do next.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit status.
    pub status: Status,
    /// A stable word for programs.
    pub code: &'static str,
    /// One or two lines, in English.
    pub message: String,
    /// The same in the language of whoever works there, where that is another.
    pub said: Option<String>,
}

impl Failure {
    /// A refusal or failure.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: Status::Failed, code, message: without_numbers(&message.into()), said: None }
    }

    /// A command that was not understood.
    pub fn usage(message: impl Into<String>) -> Self {
        let message = without_numbers(&message.into());
        Self { status: Status::Usage, code: "usage", message, said: None }
    }

    /// A file that cannot be read or written.
    pub fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::new("io", format!("{}: {}", path.display(), in_words(error)))
    }

    /// A folder that cannot be made.
    pub fn folder(path: &Path, error: &std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                Self::new("io", format!("{} is a file; name a folder", path.display()))
            }
            _ => Self::file(path, error),
        }
    }

    /// Deep inside it is known what is wrong with the registry, but not which file that is: here it is named.
    #[must_use]
    pub fn of_registry(mut self, file: &str) -> Self {
        if self.code.starts_with("registry") && !self.message.contains(file) {
            self.message = format!("{file}: {}", self.message);
        }
        self
    }

    /// The same, and what it is about before it.
    #[must_use]
    pub fn before(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self.said = self.said.map(|said| format!("{what}: {said}"));
        self
    }

    /// The same, where that is a refusal which the texts have.
    #[must_use]
    fn refusing(self, refusal: Option<Refusal>) -> Self {
        let Some(Refusal { key, values }) = refusal else { return self };
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.saying(key, &values)
    }

    /// The same, in the language of whoever works there; programs and logs keep the English.
    #[must_use]
    pub fn saying(mut self, key: &str, values: &[(&str, &str)]) -> Self {
        self.said = texts::translated(key, values);
        self
    }

    /// The same with more to say at the end, in the language of whoever works there too.
    #[must_use]
    pub fn and_saying(mut self, more: &str, key: &str, values: &[(&str, &str)]) -> Self {
        let translated = texts::translated(key, values);
        self.message = format!("{}; {more}", self.message.trim_end_matches('.'));
        self.said = self.said.zip(translated).map(|(said, more)| format!("{said}\n{more}"));
        self
    }

    /// The same with more to say at the end.
    #[must_use]
    pub fn and(mut self, more: &str) -> Self {
        self.message = format!("{}; {more}", self.message.trim_end_matches('.'));
        // What is added is English.
        self.said = self.said.map(|said| format!("{said}\n{more}"));
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::File { .. } => Self::new("io", error.to_string()),
            _ => Self::new("config", error.to_string()),
        }
    }
}

impl From<RegistryError> for Failure {
    fn from(error: RegistryError) -> Self {
        let refusal = refusals::of_registry(&error);
        let code = match &error {
            RegistryError::AlreadyExists(_) => "exists",
            RegistryError::Missing(_) => "no-registry",
            RegistryError::MailTaken { .. }
            | RegistryError::StaffIdTaken { .. }
            | RegistryError::CardTaken(_) => "duplicate",
            RegistryError::HasCard { .. } => "has-card",
            RegistryError::UnknownPerson(_) => "unknown-person",
            RegistryError::UnknownCard(_) => "unknown-card",
            RegistryError::UnknownCertificate(_) => "unknown-certificate",
            RegistryError::UnknownRequest(_) => "unknown-request",
            RegistryError::AlreadyRequested(_) => "already-requested",
            RegistryError::PersonRefused(PersonRefusal::HasLeft(_)) => "person-left",
            RegistryError::PersonRefused(PersonRefusal::ChangedMeanwhile) => "changed-meanwhile",
            RegistryError::PersonRefused(_) => "person-state",
            RegistryError::RequestRefused(_) => "request-state",
            RegistryError::OperationOpen(_) => "unfinished",
            RegistryError::OperationOvertaken(_) => "overtaken",
            RegistryError::AnsweredBefore => "duplicate",
            RegistryError::NotAnswered => "unknown-request",
            RegistryError::NobodyActs => "operator-needed",
            RegistryError::OperatorTaken(_) => "duplicate",
            RegistryError::LastAdministrator(_) => "no-administrator",
            RegistryError::LastApprover(_) => "no-approver",
            RegistryError::UnknownOperator(_) => "unknown-operator",
            RegistryError::UnknownApproval(_) => "unknown-approval",
            RegistryError::ApprovalRefused(_) => "approval-refused",
            RegistryError::Notary(_) => "key",
            RegistryError::LogBroken(_)
            | RegistryError::CheckpointBroken(_)
            | RegistryError::TablesDiffer { .. } => "log-broken",
            RegistryError::Unreachable(_) => "registry-unreachable",
            RegistryError::NotAdmitted(_) => "registry-not-admitted",
            RegistryError::NotBuiltIn => "unsupported",
            RegistryError::CardRefused(refusal) => card_code(refusal),
            RegistryError::CertificateRefused(CertificateRefusal::AlreadyRevoked { .. }) => "already-revoked",
            RegistryError::CertificateRefused(_) => "certificate-state",
            RegistryError::Unfinished(_) => "registry-unfinished",
            RegistryError::Foreign(_) => "registry-foreign",
            RegistryError::Newer => "registry-newer",
            RegistryError::Meddled { .. } => "registry-meddled",
            RegistryError::Damaged(_) => "registry-damaged",
            RegistryError::DiskFull => "registry-full",
            RegistryError::InUse => "registry-in-use",
            RegistryError::NoConnectionFree => "registry-no-connection",
            RegistryError::NotCommitted => "registry-not-committed",
            RegistryError::NotWritable => "registry-not-writable",
            RegistryError::InputOutput => "registry-io",
            RegistryError::File { .. } => "io",
            _ => "registry",
        };
        let message = match error {
            RegistryError::Missing(path) => {
                format!(
                    "there is no registry at {}; make one with issuer init, or name another with --home or --registry",
                    path
                )
            }
            // Nothing was signed over it: what is there was written past this program.
            RegistryError::CheckpointBroken(_) => format!(
                "{error}; nothing was done. Look with: issuer audit verify; then restore a backup that is whole (issuer restore)"
            ),
            error => error.to_string(),
        };
        let status = if code == "registry-meddled" { Status::NotTrusted } else { Status::Failed };
        Self { status, ..Self::new(code, message) }.refusing(refusal)
    }
}

const fn card_code(refusal: &CardRefusal) -> &'static str {
    match refusal {
        CardRefusal::Unknown => "unknown-card",
        CardRefusal::AlreadyReceived(_) => "duplicate",
        CardRefusal::BeingPersonalisedFor { .. } => "card-half-made",
        CardRefusal::AlreadyIssued { .. } => "card-issued",
        CardRefusal::Revoked { .. } => "card-revoked",
        CardRefusal::Unusable { .. } => "card-unusable",
        CardRefusal::Overtaken { .. } => "overtaken",
        _ => "card-state",
    }
}

impl From<CardError> for Failure {
    fn from(error: CardError) -> Self {
        let message = match error {
            // No command of the desk spends it; the card's own says how.
            CardError::LastPinTry => "this is the last PIN try, and the desk never spends it: set the PIN anew with issuer unblock CARD --card LOCATOR, or prove the PIN with card change-pin --last-try".to_owned(),
            ref error => error.to_string(),
        };
        Self::new(error.code(), message).refusing(refusals::of_card(&error))
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Card(error) => error.into(),
            KeyError::WrongPassphrase => Self::new("wrong-passphrase", error.to_string()),
            KeyError::TokenRemoved => Self::new("token-removed", error.to_string()),
            error => Self::new("key", error.to_string()),
        }
    }
}

impl From<CaError> for Failure {
    fn from(error: CaError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<PublicationError> for Failure {
    fn from(error: PublicationError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<TimeStampError> for Failure {
    fn from(error: TimeStampError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<ServeError> for Failure {
    fn from(error: ServeError) -> Self {
        match error {
            ServeError::Service(error) => error.into(),
            error => Self::new("serve", error.to_string()),
        }
    }
}

impl From<CustodyError> for Failure {
    fn from(error: CustodyError) -> Self {
        let code = match error {
            CustodyError::WrongPassphrase => "wrong-passphrase",
            CustodyError::MalformedFile(_) => "malformed",
            _ => "custody",
        };
        Self::new(code, error.to_string())
    }
}

impl From<PersonalizationError> for Failure {
    fn from(error: PersonalizationError) -> Self {
        let (message, refusal) = (error.to_string(), refusals::of_personalization(&error));
        let code = match error {
            PersonalizationError::Registry(error) => return error.into(),
            PersonalizationError::Card(error) | PersonalizationError::Key(KeyError::Card(error)) => {
                return error.into();
            }
            PersonalizationError::Interrupted { source, .. } => Self::from(*source).code,
            PersonalizationError::Key(error) => Self::from(error).code,
            PersonalizationError::Ca(error) => error.code(),
            PersonalizationError::Custody(error) => Self::from(error).code,
            PersonalizationError::UnknownCard(_) => "unknown-card",
            PersonalizationError::EmulatedCard => "emulated-card",
            PersonalizationError::NotBlank(_) => "not-blank",
            PersonalizationError::EmploymentOver(_) => "person-left",
            PersonalizationError::Plan(_) => "unsupported",
            PersonalizationError::ManagementKeyUnknown => "wrong-management-key",
            PersonalizationError::PukUnknown { .. } => "wrong-puk",
            PersonalizationError::LastPukTry => "last-puk-try",
            PersonalizationError::StockSecretsMissing => "no-stock-secrets",
            PersonalizationError::CardSwapped { .. } => "card-swapped",
            PersonalizationError::Stopped => "stopped",
            PersonalizationError::NotProven(_) => "not-proven",
            PersonalizationError::GuidMissing => "registry-damaged",
            PersonalizationError::CertificateMismatch { .. } => "certificate-mismatch",
            PersonalizationError::Attestation(_) => "attestation",
            PersonalizationError::AnotherCard { .. } => "another-card",
            PersonalizationError::NothingToRenew(_) => "nothing-to-renew",
            PersonalizationError::RenewalOpen(_) => "unfinished",
            PersonalizationError::OutOfUse { .. } => "card-state",
            PersonalizationError::CannotRetire => "unsupported",
            PersonalizationError::RetiredInTheWay(_) => "key-in-the-way",
            PersonalizationError::NoRoomForRetired => "no-room",
            PersonalizationError::CannotWipe => "unsupported",
            PersonalizationError::NotWiped(_) => "not-wiped",
            PersonalizationError::OldKeyGone => "key-not-found",
            PersonalizationError::ReadBackDiffers { .. } => "read-back",
            PersonalizationError::TransportPin(_) => "io",
        };
        Self::new(code, message).refusing(refusal)
    }
}
