//! What becomes of a message's header: what `send` and `protect` share.
use std::fmt;
use std::str::FromStr;

use super::context::Context;
use super::report::Failure;
use crate::message::confidentiality::ConfidentialityLevel;
use crate::message::header_protection::{self, Protecting};
use crate::message::mime::MimeError;
use crate::message::part::LONGEST_HEADER;

/// How the header travels.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(super) struct HeaderOptions {
    /// What stays readable of the header of an encrypted message: baseline hides the subject, shy also names and time zone,
    /// no-confidentiality nothing; unprotected writes the header outside only, as programs did before RFC 9788
    /// [default: as configured, else baseline]
    #[arg(long, value_name = "POLICY")]
    headers: Option<Headers>,
    /// The same as --headers unprotected, for correspondents whose programs cannot read more
    #[arg(long, conflicts_with = "headers")]
    no_header_protection: bool,
}

impl HeaderOptions {
    /// What was asked for, else what is configured.
    ///
    /// # Errors
    /// The configuration names no policy.
    pub(super) fn chosen(self, context: &Context) -> Result<Headers, Failure> {
        if self.no_header_protection {
            return Ok(Headers::Unprotected);
        }
        let configured = context.config.headers.as_deref().map(str::parse).transpose();
        let configured = configured.map_err(|problem: String| {
            Failure::new("malformed-configuration", format!("headers: {problem}"))
        })?;
        Ok(self.headers.or(configured).unwrap_or_default())
    }
}

/// What becomes of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Headers {
    /// It goes inside, and stays outside as far as the policy leaves it.
    Protected(ConfidentialityLevel),
    /// It stays outside.
    Unprotected,
}

impl Default for Headers {
    fn default() -> Self {
        Self::Protected(ConfidentialityLevel::default())
    }
}

impl Headers {
    /// Whether the subject of a message protected like this is not readable on its way.
    pub(super) fn hides_subject(self, protecting: Protecting) -> bool {
        protecting == Protecting::Encrypted
            && matches!(self, Self::Protected(ConfidentialityLevel::Baseline | ConfidentialityLevel::Shy))
    }

    /// The fields that stay outside, and the header of the entity with its empty line.
    ///
    /// # Errors
    /// The Content-Type is malformed, or the header is longer than any reader takes.
    pub(super) fn apply(
        self,
        fields: Vec<u8>,
        entity_header: Vec<u8>,
        protecting: Protecting,
    ) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let Self::Protected(level) = self else { return Ok((fields, entity_header)) };
        let content_fields = entity_header.strip_suffix(b"\r\n").unwrap_or_default();
        let protected = header_protection::protect(&fields, content_fields, protecting, &level.into())
            .map_err(|problem| Failure::new(problem.code(), problem.to_string()))?;
        let entity_header = [&protected.payload_header[..], b"\r\n"].concat();
        if entity_header.len() > LONGEST_HEADER {
            return Err(MimeError::HeaderTooLong(LONGEST_HEADER >> 10).into());
        }
        Ok((protected.outer, entity_header))
    }
}

impl fmt::Display for Headers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protected(level) => level.fmt(formatter),
            Self::Unprotected => formatter.write_str("unprotected"),
        }
    }
}

impl FromStr for Headers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "unprotected" => Ok(Self::Unprotected),
            level => level
                .parse()
                .map(Self::Protected)
                .map_err(|problem: String| format!("{problem}, unprotected")),
        }
    }
}
