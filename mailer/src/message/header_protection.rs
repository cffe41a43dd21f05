//! Header protection (RFC 9788): the header inside the cryptographic payload, and what the outside still shows.
//!
//! Pure functions over header octets. [`protect`] moves a message's fields into the payload and says what stays outside;
//! [`reveal`] puts the header of a received message together again and says of each field how it was protected, and where
//! inside and outside disagree. Also read: a wrapped `message/rfc822` (RFC 8551 section 3.1) and the older parameter
//! `protected-headers="v1"`.
mod disagreement;

use std::collections::HashSet;

use super::address::parse_mailboxes;
use super::confidentiality::ConfidentialityPolicy;
use super::content_type_parameter;
use super::header::{Field, Fields, MediaType};
use super::outer::is_entity_field;
pub use disagreement::Disagreement;

/// The field that records inside what the author left outside (RFC 9788 section 2.2.1).
const HP_OUTER: &str = "HP-Outer";

/// How a message is about to be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protecting {
    /// Signed and not encrypted: `hp="clear"`.
    SignedOnly,
    /// Encrypted, signed or not: `hp="cipher"`.
    Encrypted,
}

/// The two headers of a message whose header is protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProtectedHeader {
    /// The fields that everybody on the way sees.
    pub outer: Vec<u8>,
    /// The header of the payload: the protected fields, HP-Outer, the `Content-*` fields. No empty line.
    pub payload_header: Vec<u8>,
}

/// Why a header cannot be protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderProtectionError {
    /// The parameter that announces the protection would not be read back.
    #[error("the Content-Type of the message is malformed, so its header cannot be protected")]
    ContentType,
}

impl HeaderProtectionError {
    /// Stable code for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::ContentType => "malformed-message",
        }
    }
}

/// Composes a protected header (RFC 9788 section 5.2): every field of the message goes into the payload, and outside
/// stays of each what the policy leaves of it. A message that is not encrypted keeps its whole header outside.
///
/// `payload_header` holds the `Content-*` fields of the payload.
///
/// # Errors
/// See [`HeaderProtectionError`].
pub fn protect(
    message_fields: &[u8],
    payload_header: &[u8],
    protecting: Protecting,
    policy: &ConfidentialityPolicy,
) -> Result<ProtectedHeader, HeaderProtectionError> {
    let (fields, _) = Fields::split(message_fields);
    let mut protected = ProtectedHeader { outer: Vec::new(), payload_header: Vec::new() };
    let mut recorded = Vec::new();
    for field in fields.iter().filter(|field| is_protectable(field)) {
        push_field(field.raw(), &mut protected.payload_header);
        match protecting {
            Protecting::SignedOnly => push_field(field.raw(), &mut protected.outer),
            Protecting::Encrypted => {
                let Some(outer) = policy.outer_field(field) else { continue };
                push_recorded(&outer, &mut recorded);
                push_field(&outer, &mut protected.outer);
            }
        }
    }
    protected.payload_header.extend_from_slice(&recorded);
    let mode = match protecting {
        Protecting::SignedOnly => "clear",
        Protecting::Encrypted => "cipher",
    };
    let content_fields =
        content_type_parameter::with(payload_header, "hp", mode).ok_or(HeaderProtectionError::ContentType)?;
    protected.payload_header.extend_from_slice(&content_fields);
    Ok(protected)
}

/// Where the protected fields of a received message stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload<'a> {
    /// The header of the innermost entity under all signatures and envelopes.
    Header(&'a [u8]),
    /// The header of a message that is the payload as a whole; see [`is_wrapped_message`].
    WrappedMessage(&'a [u8]),
}

/// What was found out about the layers around the payload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Around {
    /// One of our keys opened an envelope around it.
    pub was_encrypted: bool,
    /// A signature that is trusted covers it, and its signer is the author named inside.
    pub was_signed: bool,
}

/// How the author protected the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Not at all; fields inside the payload count for nothing.
    None,
    /// RFC 9788 with `hp="clear"`: the author encrypted nothing.
    Clear,
    /// RFC 9788 with `hp="cipher"`: the author encrypted the message.
    Cipher,
    /// A whole message as payload (RFC 8551 section 3.1).
    WrappedMessage,
    /// `protected-headers="v1"`, which came before RFC 9788.
    ProtectedHeaders,
}

impl Scheme {
    /// Stable code for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Clear => "hp-clear",
            Self::Cipher => "hp-cipher",
            Self::WrappedMessage => "wrapped-message",
            Self::ProtectedHeaders => "protected-headers",
        }
    }

    fn of(payload: Payload<'_>) -> Self {
        let header = match payload {
            Payload::WrappedMessage(_) => return Self::WrappedMessage,
            Payload::Header(header) => header,
        };
        let (fields, _) = Fields::split(header);
        let Ok(Some(content_type)) = fields.only("Content-Type") else { return Self::None };
        let Some(media_type) = MediaType::parse(content_type) else { return Self::None };
        match (media_type.parameter("hp"), media_type.parameter("protected-headers")) {
            (Some("clear"), _) => Self::Clear,
            (Some("cipher"), _) => Self::Cipher,
            (None, Some("v1")) => Self::ProtectedHeaders,
            _ => Self::None,
        }
    }
}

/// How one field was protected (RFC 9788 section 4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldProtection {
    /// Anybody on the way may have read, written or changed it.
    Unprotected,
    /// It is the author's, and was readable on the way.
    SignedOnly,
    /// It is the author's, and nobody on the way read it.
    SignedAndEncrypted,
    /// Nobody on the way read it; who wrote it is not proven.
    EncryptedOnly,
}

impl FieldProtection {
    /// Stable code for JSON.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unprotected => "unprotected",
            Self::SignedOnly => "signed-only",
            Self::SignedAndEncrypted => "signed-and-encrypted",
            Self::EncryptedOnly => "encrypted-only",
        }
    }

    /// Whether nobody on the way could read it; a reply keeps that so.
    pub fn is_confidential(self) -> bool {
        matches!(self, Self::SignedAndEncrypted | Self::EncryptedOnly)
    }

    fn new(around: Around, is_confidential: bool) -> Self {
        match (around.was_signed, around.was_encrypted && is_confidential) {
            (true, true) => Self::SignedAndEncrypted,
            (true, false) => Self::SignedOnly,
            (false, true) => Self::EncryptedOnly,
            (false, false) => Self::Unprotected,
        }
    }
}

/// One field of the header that is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevealedField {
    /// Its name as written.
    pub name: String,
    /// The whole field with its line end.
    pub raw: Vec<u8>,
    /// How it was protected.
    pub protection: FieldProtection,
}

/// The header of a received message put together again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revealed {
    /// How the author protected it.
    pub scheme: Scheme,
    /// Every field to be shown, neither `Content-*` nor HP-Outer.
    pub fields: Vec<RevealedField>,
    /// Contradictions, in words by [`std::fmt::Display`].
    pub disagreements: Vec<Disagreement>,
}

impl Revealed {
    /// The fields as header octets, each with its line end as it came.
    pub fn header(&self) -> Vec<u8> {
        self.fields.iter().flat_map(|field| field.raw.iter().copied()).collect()
    }

    /// How the first field of that name was protected.
    pub fn protection_of(&self, name: &str) -> Option<FieldProtection> {
        self.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name)).map(|field| field.protection)
    }
}

/// Whether an entity with this header says that the header of the message is protected in it (RFC 9788).
pub fn is_announced(header: &[u8]) -> bool {
    matches!(Scheme::of(Payload::Header(header)), Scheme::Clear | Scheme::Cipher)
}

/// Whether a protected `message/rfc822` is the message itself and not one that its author forwards: the parameter
/// `forwarded=no` says so, or else both name the same authors (RFC 9788 section 4.10.1).
pub fn is_wrapped_message(outer_fields: &[u8], payload_type: &MediaType, message_header: &[u8]) -> bool {
    if payload_type.essence != "message/rfc822" {
        return false;
    }
    let (outer, _) = Fields::split(outer_fields);
    let (inner, _) = Fields::split(message_header);
    match payload_type.parameter("forwarded") {
        Some(forwarded) => forwarded.eq_ignore_ascii_case("no"),
        None => outer.first("From").is_none() || same_authors(outer.first("From"), inner.first("From")),
    }
}

/// Puts the header of a received message together: protected fields count, and the outside only where it says what no
/// author could (RFC 9788 section 4). Without a signature that is trusted, the author named outside is the one shown
/// where they differ, so call it a second time without `was_signed` when the signature turns out not to be trusted. The
/// verdict is about the author whom the first call shows.
pub fn reveal(outer_fields: &[u8], payload: Payload<'_>, around: Around) -> Revealed {
    let (outer, _) = Fields::split(outer_fields);
    let outer: Vec<&Field<'_>> = outer.iter().filter(|field| is_protectable(field)).collect();
    let scheme = Scheme::of(payload);
    if scheme == Scheme::None {
        let fields = outer.iter().map(|field| shown(field, FieldProtection::Unprotected)).collect();
        return Revealed { scheme, fields, disagreements: Vec::new() };
    }
    let (Payload::Header(header) | Payload::WrappedMessage(header)) = payload;
    let (all, _) = Fields::split(header);
    let inner: Vec<&Field<'_>> = all.iter().filter(|field| is_protectable(field)).collect();
    let comparison = Comparison::new(scheme, &outer, &inner, &all);
    let mut revealed = Revealed { scheme, fields: Vec::new(), disagreements: Vec::new() };
    comparison.compare_modes(around, &mut revealed.disagreements);
    let from_is_outside = comparison.compare_authors(around, &mut revealed.disagreements);
    for field in &outer {
        let is_inside = comparison.inner_names.contains(&field.name().to_ascii_lowercase());
        if field.is("From") && (from_is_outside || !is_inside) || !is_inside && !is_only_the_authors(field) {
            revealed.fields.push(shown(field, FieldProtection::Unprotected));
        }
    }
    for field in inner.iter().filter(|field| !(from_is_outside && field.is("From"))) {
        let is_confidential = comparison.is_confidential(field);
        revealed.fields.push(shown(field, FieldProtection::new(around, is_confidential)));
    }
    comparison.compare_fields(around, &mut revealed.disagreements);
    revealed
}

/// Name in lower case and value without folding: what RFC 9788 compares.
type Normal = (String, String);

struct Comparison<'c, 'a> {
    scheme: Scheme,
    outer: &'c [&'c Field<'a>],
    inner: &'c [&'c Field<'a>],
    /// What stands outside now.
    outside: HashSet<Normal>,
    /// What the author left outside.
    left_outside: HashSet<Normal>,
    inner_names: HashSet<String>,
}

impl<'c, 'a> Comparison<'c, 'a> {
    fn new(
        scheme: Scheme,
        outer: &'c [&'c Field<'a>],
        inner: &'c [&'c Field<'a>],
        all_inner: &Fields<'_>,
    ) -> Self {
        let outside: HashSet<Normal> = outer.iter().map(|field| normal(field)).collect();
        let left_outside = match scheme {
            Scheme::Cipher => {
                all_inner.iter().filter(|field| field.is(HP_OUTER)).filter_map(recorded).collect()
            }
            Scheme::Clear => inner.iter().map(|field| normal(field)).collect(),
            Scheme::None | Scheme::ProtectedHeaders | Scheme::WrappedMessage => outside.clone(),
        };
        let inner_names = inner.iter().map(|field| field.name().to_ascii_lowercase()).collect();
        Self { scheme, outer, inner, outside, left_outside, inner_names }
    }

    /// The author's word counts only as far as the outside does not disprove it.
    fn is_confidential(&self, field: &Field<'_>) -> bool {
        let normal = normal(field);
        !self.left_outside.contains(&normal) && !self.outside.contains(&normal)
    }

    fn compare_modes(&self, around: Around, disagreements: &mut Vec<Disagreement>) {
        match self.scheme {
            Scheme::Cipher if !around.was_encrypted => disagreements.push(Disagreement::CipherInTheClear),
            Scheme::Clear if around.was_encrypted => disagreements.push(Disagreement::ClearInCipher),
            _ => {}
        }
    }

    /// Answers whether the From field outside is the one to be shown.
    fn compare_authors(&self, around: Around, disagreements: &mut Vec<Disagreement>) -> bool {
        let from = |fields: &[&'c Field<'a>]| fields.iter().find(|field| field.is("From")).copied();
        let (Some(outside), Some(inside)) = (from(self.outer), from(self.inner)) else { return false };
        let is_alone = self.outer.iter().filter(|field| field.is("From")).count() == 1;
        if is_alone && same_authors(Some(outside), Some(inside)) {
            return false;
        }
        disagreements.push(Disagreement::From {
            outside: outside.unfolded(),
            inside: inside.unfolded(),
            inside_is_shown: around.was_signed,
        });
        !around.was_signed
    }

    fn compare_fields(&self, around: Around, disagreements: &mut Vec<Disagreement>) {
        let mut told = HashSet::from(["from".to_owned()]);
        for field in self.outer {
            let (name, value) = normal(field);
            let is_known = self.left_outside.contains(&(name.clone(), value.clone()));
            let is_inside = self.inner_names.contains(&name);
            let disagreement = if is_inside && self.scheme == Scheme::Cipher && !is_known {
                let is_the_hidden_one =
                    self.inner.iter().any(|inner| normal(inner) == (name.clone(), value.clone()));
                Some(if is_the_hidden_one && around.was_encrypted {
                    Disagreement::NotHidden(field.name().to_owned())
                } else {
                    Disagreement::ChangedOutside(field.name().to_owned())
                })
            } else if is_inside && self.scheme == Scheme::Clear && !is_known {
                Some(Disagreement::ChangedOutside(field.name().to_owned()))
            } else if !is_inside && is_only_the_authors(field) && !field.is("From") {
                Some(Disagreement::OnlyOutside(field.name().to_owned()))
            } else {
                None
            };
            if let Some(disagreement) = disagreement
                && told.insert(name)
            {
                disagreements.push(disagreement);
            }
        }
        let mut seen = HashSet::new();
        for field in self.inner.iter().filter(|field| is_single(field)) {
            if !seen.insert(field.name().to_ascii_lowercase()) {
                disagreements.push(Disagreement::Repeated(field.name().to_owned()));
            }
        }
    }
}

fn shown(field: &Field<'_>, protection: FieldProtection) -> RevealedField {
    let mut raw = Vec::with_capacity(field.raw().len() + 2);
    push_field(field.raw(), &mut raw);
    RevealedField { name: field.name().to_owned(), raw, protection }
}

/// Every field but those of the MIME structure and HP-Outer itself.
fn is_protectable(field: &Field<'_>) -> bool {
    !is_entity_field(field.name()) && !field.is(HP_OUTER)
}

fn normal(field: &Field<'_>) -> Normal {
    (field.name().to_ascii_lowercase(), without_folding(&field.unfolded()))
}

fn without_folding(value: &str) -> String {
    value.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// The name and value that an HP-Outer field records.
fn recorded(field: &Field<'_>) -> Option<Normal> {
    let value = field.unfolded();
    let (name, value) = value.split_once(':')?;
    Some((name.trim().to_ascii_lowercase(), without_folding(value)))
}

fn same_authors(one: Option<&Field<'_>>, other: Option<&Field<'_>>) -> bool {
    let authors = |field: &Field<'_>| {
        let mut keys: Vec<String> =
            parse_mailboxes(&field.unfolded()).ok()?.iter().map(|mailbox| mailbox.address.key()).collect();
        keys.sort();
        keys.dedup();
        Some(keys)
    };
    let (Some(one), Some(other)) = (one, other) else { return false };
    match (authors(one), authors(other)) {
        (Some(one), Some(other)) => one == other,
        _ => normal(one) == normal(other),
    }
}

fn push_field(raw: &[u8], header: &mut Vec<u8>) {
    header.extend_from_slice(raw);
    if !raw.ends_with(b"\n") {
        header.extend_from_slice(b"\r\n");
    }
}

/// Writes `HP-Outer: name: value`; a line that would get too long (RFC 5322 section 2.1.1) is folded before the name.
fn push_recorded(raw: &[u8], header: &mut Vec<u8>) {
    let first_line = raw.iter().position(|&byte| byte == b'\n').unwrap_or(raw.len());
    let start: &[u8] = if first_line > LONGEST_RECORDED_LINE { b"HP-Outer:\r\n " } else { b"HP-Outer: " };
    header.extend_from_slice(start);
    push_field(raw, header);
}

/// Fields that nobody but the author writes: where the header is protected, one that stands outside only is forged.
fn is_only_the_authors(field: &Field<'_>) -> bool {
    AUTHORS_FIELDS.iter().any(|name| field.is(name))
}

fn is_single(field: &Field<'_>) -> bool {
    SINGLE_FIELDS.iter().any(|name| field.is(name))
}

const LONGEST_RECORDED_LINE: usize = 960;

/// RFC 9788 section 1.1.2 (user-facing fields, without those of resending), and what makes a program answer somebody.
const AUTHORS_FIELDS: [&str; 18] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Comments",
    "Keywords",
    "In-Reply-To",
    "References",
    "Followup-To",
    "Mail-Followup-To",
    "Mail-Reply-To",
    "Disposition-Notification-To",
    "Return-Receipt-To",
    "Autocrypt",
];

/// RFC 5322 section 3.6: at most once.
const SINGLE_FIELDS: [&str; 11] = [
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "Subject",
    "Date",
    "Message-ID",
    "In-Reply-To",
    "References",
];

#[cfg(test)]
mod tests;
