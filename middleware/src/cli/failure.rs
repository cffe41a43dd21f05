//! How an error reads: one or two lines for people, one line `{"error":{"code","message"}}` for programs.
use middleware::remote_unblock::RemoteUnblockError;
use middleware::{AttestationError, CardError, KeyAlgorithm, KeyError, KeyReference};
use serde_json::json;

/// What goes wrong in the tool itself, beyond the card's own errors.
#[derive(Debug, thiserror::Error)]
pub(super) enum ToolError {
    #[error("the two new PINs differ; nothing was changed")]
    NewPinsDiffer,
    #[error("the new PIN is the old one; choose another; nothing was changed")]
    SamePin,
    #[error(
        "this is the last PUK try, after which the issuance desk must replace the card; repeat with --last-try to spend it"
    )]
    LastPukTry,
    #[error("the two new PUKs differ; nothing was changed")]
    NewPuksDiffer,
    #[error("the new PUK is the old one; choose another; nothing was changed")]
    SamePuk,
    #[error("the two new management keys differ; nothing was changed")]
    NewManagementKeysDiffer,
    #[error("a management key is written in hexadecimal digits")]
    ManagementKeyNotHex,
    #[error("the card has no certificate for key {0}")]
    NoCertificate(KeyReference),
    #[error("the card has a key {0} already, which would be lost; repeat with --replace if it may be")]
    KeyIsThere(KeyReference),
    #[error(
        "the card does not tell the public half of key {0} and has no certificate for it; give it with --public-key FILE"
    )]
    NoPublicKey(KeyReference),
    #[error("the key in the certificate of {0} is of a kind that a PIV card does not have")]
    UnknownAlgorithm(KeyReference),
    #[error("{0} keys do not sign; they agree on secrets: card decrypt --peer")]
    DoesNotSign(KeyAlgorithm),
    #[error("--pss is for RSA keys; this one is {0}")]
    PssWithoutRsa(KeyAlgorithm),
    #[error("an Ed25519 key signs the message itself, and the card takes at most {0} bytes")]
    MessageTooLong(u64),
    #[error("{0} is no public key in PEM")]
    NotAPublicKey(String),
    #[error("{0} is no PEM file with certificates")]
    NotCertificates(String),
    #[error("{0} is no PEM file; of a PKCS#12 file make one with: openssl pkcs12 -in FILE.p12 -out FILE.pem")]
    NotPem(String),
    #[error("{0} holds neither a certificate nor a private key")]
    NothingToImport(String),
    #[error("an old form, {0:?}; convert it with: openssl pkcs8 -topk8 -in OLD.pem -out NEW.pem")]
    OldPrivateKey(String),
    #[error("the private key does not belong to the certificate beside it; nothing was written")]
    KeyAndCertificateDiffer,
    #[error("the certificate is for another key than the one that the card has in {0}; nothing was written")]
    StrangersCertificate(KeyReference),
    #[error("{0} is too long for a card")]
    TooLong(String),
    #[error("the result is no text; name a file with --output, or let --json write it in hex")]
    BinaryAtTerminal,
    #[error("nothing was destroyed: it was not confirmed; --yes confirms without a question")]
    NotConfirmed,
    #[error(
        "the transport PIN of this card was not changed, as far as is known here; change it first: card change-pin\n(or confirm that you did: card change-pin --already-changed)"
    )]
    TransportPin,
    #[error("{0}")]
    Usage(String),
    #[error("{0}; help shows the commands")]
    BadLine(String),
    #[error("this command does not run within the shell")]
    ShellInShell,
    #[error("stopped after a failure that was told")]
    Stopped,
    #[error("expected it to fail, and it did not")]
    DidNotFail,
    #[error("there is no answer of the card to compare with: < comes after > or apdu")]
    NoAnswer,
    #[error("not as expected\nexpected {0}, got {1}")]
    NotAsExpected(String, String),
    #[error("{name}, line {line}: {error}")]
    InScript { name: String, line: usize, error: anyhow::Error },
    #[error("{0}: {1}")]
    NoModule(String, String),
    #[error("{0} is neither beside this program nor in the system's folders; name it with --module FILE")]
    ModuleNotFound(&'static str),
    #[error(
        "the card has no CHUID, so it was never issued and there is nothing to record; take it to the issuance desk"
    )]
    NotIssued,
    #[error(
        "the PIN was changed, but that could not be recorded: {0}\nRepeat: card change-pin --already-changed"
    )]
    ChangedButNotRecorded(std::io::Error),
}

impl ToolError {
    fn code(&self) -> &'static str {
        match self {
            Self::NewPinsDiffer => "new-pins-differ",
            Self::SamePin => "same-pin",
            Self::LastPukTry => "last-puk-try",
            Self::NewPuksDiffer => "new-puks-differ",
            Self::SamePuk => "same-puk",
            Self::NewManagementKeysDiffer => "new-management-keys-differ",
            Self::ManagementKeyNotHex => "management-key-not-hex",
            Self::NoCertificate(_) => "no-certificate",
            Self::KeyIsThere(_) => "key-is-there",
            Self::NoPublicKey(_) => "no-public-key",
            Self::UnknownAlgorithm(_) => "unknown-algorithm",
            Self::DoesNotSign(_) => "does-not-sign",
            Self::PssWithoutRsa(_) => "pss-without-rsa",
            Self::MessageTooLong(_) => "message-too-long",
            Self::NotAPublicKey(_) => "not-a-public-key",
            Self::NotCertificates(_) => "not-certificates",
            Self::NotPem(_) => "not-pem",
            Self::NothingToImport(_) => "nothing-to-import",
            Self::OldPrivateKey(_) => "old-private-key",
            Self::KeyAndCertificateDiffer => "key-and-certificate-differ",
            Self::StrangersCertificate(_) => "strangers-certificate",
            Self::TooLong(_) => "too-long",
            Self::BinaryAtTerminal => "binary-at-terminal",
            Self::NotConfirmed => "not-confirmed",
            Self::TransportPin => "transport-pin",
            Self::Usage(_) | Self::BadLine(_) => "usage",
            Self::ShellInShell => "shell-in-shell",
            Self::Stopped => "stopped",
            Self::DidNotFail => "did-not-fail",
            Self::NoAnswer => "no-answer",
            Self::NotAsExpected(..) => "not-as-expected",
            Self::InScript { error, .. } => code(error),
            Self::NoModule(..) => "no-module",
            Self::ModuleNotFound(_) => "module-not-found",
            Self::NotIssued => "not-issued",
            Self::ChangedButNotRecorded(_) => "changed-but-not-recorded",
        }
    }
}

/// The line for stderr.
pub(super) fn describe(error: &anyhow::Error, as_json: bool) -> String {
    if !as_json {
        return format!("card: {error}");
    }
    let mut object = json!({ "code": code(error), "message": error.to_string() });
    if let (Some(object), Some(details)) = (object.as_object_mut(), details(error)) {
        object.extend(details);
    }
    json!({ "error": object }).to_string()
}

/// The same for a command line that makes no sense: its first paragraph, which says what is wrong.
pub(super) fn describe_usage(error: &clap::Error) -> String {
    json!({ "error": { "code": "usage", "message": problem(error) } }).to_string()
}

/// What is wrong with a command line, in one line.
pub(super) fn problem(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let problem = text.split("\n\n").next().unwrap_or_default();
    let problem = problem.strip_prefix("error: ").unwrap_or(problem);
    problem.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn code(error: &anyhow::Error) -> &'static str {
    if let Some(error) = error.downcast_ref::<CardError>() {
        error.code()
    } else if let Some(error) = error.downcast_ref::<ToolError>() {
        error.code()
    } else if let Some(error) = error.downcast_ref::<KeyError>() {
        key_error_code(error)
    } else if let Some(error) = error.downcast_ref::<RemoteUnblockError>() {
        remote_unblock_code(error)
    } else if error.is::<AttestationError>() {
        "not-trusted"
    } else if error.is::<std::io::Error>() {
        "io"
    } else {
        "failed"
    }
}

fn remote_unblock_code(error: &RemoteUnblockError) -> &'static str {
    match error {
        RemoteUnblockError::Malformed(_) => "malformed",
        RemoteUnblockError::NotForThisRequest => "not-for-this-request",
        RemoteUnblockError::Expired => "expired",
        RemoteUnblockError::AnotherCard => "another-card",
        RemoteUnblockError::NoPukFits => "wrong-puk",
        RemoteUnblockError::LastPukTry => "last-puk-try",
        RemoteUnblockError::PinNotSet(_) => "pin-not-set",
        RemoteUnblockError::Card(error) => error.code(),
        _ => "failed",
    }
}

fn key_error_code(error: &KeyError) -> &'static str {
    match error {
        KeyError::Card(error) => error.code(),
        KeyError::Unsupported(_) => "unsupported",
        KeyError::WrongPassphrase => "wrong-passphrase",
        KeyError::MalformedKeyFile(_) => "malformed-key-file",
        KeyError::DecryptionFailed => "decryption-failed",
        KeyError::MalformedPeerKey => "malformed-peer-key",
        KeyError::NoSuchKey(_) => "no-such-key",
        KeyError::TokenRemoved => "token-removed",
        KeyError::Module { .. } => "module",
        KeyError::Io(_) => "io",
        _ => "failed",
    }
}

/// Whether the user knows it already.
pub(super) fn was_told(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ToolError::Stopped))
}

/// 4 where something is not trusted, 1 for every other failure.
pub(super) fn exit_code(error: &anyhow::Error) -> u8 {
    if code(error) == "not-trusted" { 4 } else { 1 }
}

fn details(error: &anyhow::Error) -> Option<serde_json::Map<String, serde_json::Value>> {
    let card_error = match error.downcast_ref::<KeyError>() {
        Some(KeyError::Card(error)) => error,
        _ => error.downcast_ref::<CardError>()?,
    };
    let details = match card_error {
        CardError::WrongPin { tries_left } | CardError::WrongPuk { tries_left } => {
            json!({ "tries_left": tries_left })
        }
        CardError::SeveralCards(readers) => json!({ "readers": readers }),
        CardError::Refused { command, status } => {
            json!({ "command": command, "status": format!("{status:04X}") })
        }
        _ => return None,
    };
    details.as_object().cloned()
}
