//! Where inside and outside of a message contradict each other, in words and codes.

/// Where inside and outside of a message contradict each other.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disagreement {
    /// The authors inside are not those outside (RFC 9788 section 4.4).
    From {
        /// As the outside names them.
        outside: String,
        /// As the inside names them.
        inside: String,
        /// Whether the inside is what is shown, because a signature proves it.
        inside_is_shown: bool,
    },
    /// The field was changed outside, or put there, on the way.
    ChangedOutside(String),
    /// The field stands outside only, where its author would have protected it; it is left out.
    OnlyOutside(String),
    /// HP-Outer says that the field was hidden, but it stood outside for everybody.
    NotHidden(String),
    /// A field that must be alone stands inside several times.
    Repeated(String),
    /// `hp="cipher"` in a message that did not come encrypted: somebody passed it on.
    CipherInTheClear,
    /// `hp="clear"` in a message that came encrypted: its author did not encrypt it.
    ClearInCipher,
}

impl Disagreement {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::From { .. } => "from-differs",
            Self::ChangedOutside(_) => "changed-outside",
            Self::OnlyOutside(_) => "only-outside",
            Self::NotHidden(_) => "not-hidden",
            Self::Repeated(_) => "repeated-inside",
            Self::CipherInTheClear => "cipher-in-the-clear",
            Self::ClearInCipher => "clear-in-cipher",
        }
    }

    /// Whether a reader must hear of it beside the verdict, not only where details are asked for.
    pub fn is_alarming(&self) -> bool {
        matches!(self, Self::From { .. } | Self::NotHidden(_) | Self::CipherInTheClear)
    }
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::From { outside, inside, inside_is_shown: true } => {
                write!(
                    f,
                    "On its way the message named {outside} as its author; the signed author is {inside}."
                )
            }
            Self::From { outside, inside, inside_is_shown: false } => write!(
                f,
                "The message names {inside} as its author inside, which no trusted signature proves; outside it names {outside}."
            ),
            Self::ChangedOutside(name) => {
                write!(f, "{name} was changed outside on its way; shown is the one inside.")
            }
            Self::OnlyOutside(name) => {
                write!(f, "{name} was added outside on its way and is left out.")
            }
            Self::NotHidden(name) => {
                write!(f, "{name} was readable on its way, although its author meant to hide it.")
            }
            Self::Repeated(name) => write!(f, "{name} stands inside more than once."),
            Self::CipherInTheClear => {
                f.write_str("Its author encrypted the message; somebody passed it on in the clear.")
            }
            Self::ClearInCipher => {
                f.write_str("Its author did not encrypt the message; somebody on its way did.")
            }
        }
    }
}
