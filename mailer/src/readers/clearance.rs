//! Whether what somebody is cleared for suffices for a label (RFC 2634 section 3).
use crate::message::terminal_text::safe_line;
use crate::smime::{SecurityClassification, SecurityLabel};

/// Why somebody may not read something.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClearanceProblem {
    /// The clearance does not reach.
    #[error("{label} needs a clearance for {needed}, and {}", held_in_words(*.held))]
    TooLow {
        /// The label in words.
        label: String,
        /// The classification in words.
        needed: String,
        /// What there is for this policy.
        held: Option<SecurityClassification>,
    },
    /// The label has distinctions that nobody here can compare.
    #[error("{0} has categories that this program does not know, so nobody can be found cleared for it")]
    Categories(String),
}

impl ClearanceProblem {
    /// Stable code for JSON.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLow { .. } => "clearance-missing",
            Self::Categories(_) => "label-categories-unknown",
        }
    }
}

/// Whether a clearance suffices. `held` is that for the label's own policy; unmarked (0) needs none, anything else does.
///
/// # Errors
/// Why not.
pub fn suffices(label: &SecurityLabel, held: Option<SecurityClassification>) -> Result<(), ClearanceProblem> {
    if !label.categories.is_empty() {
        return Err(ClearanceProblem::Categories(in_words(label)));
    }
    let needed = label.classification.unwrap_or(SecurityClassification::UNMARKED);
    if needed == SecurityClassification::UNMARKED || held.is_some_and(|held| held >= needed) {
        return Ok(());
    }
    let (label, needed) = (in_words(label), classification_in_words(needed));
    Err(ClearanceProblem::TooLow { label, needed, held })
}

/// A label in words, safe for a terminal.
pub fn in_words(label: &SecurityLabel) -> String {
    let classification = label.classification.unwrap_or(SecurityClassification::UNMARKED);
    let mark = label.privacy_mark.as_deref().map(|mark| format!(", \"{}\"", safe_line(mark)));
    format!(
        "the label {} of policy {}{}",
        classification_in_words(classification),
        label.policy,
        mark.unwrap_or_default()
    )
}

/// A classification in words.
pub fn classification_in_words(classification: SecurityClassification) -> String {
    let number = classification.number();
    classification.basic_name().map_or_else(|| number.to_string(), |name| format!("{name} ({number})"))
}

fn held_in_words(held: Option<SecurityClassification>) -> String {
    held.map_or_else(
        || "there is none for this policy".to_owned(),
        |held| format!("there is one for {} only", classification_in_words(held)),
    )
}

#[cfg(test)]
mod tests {
    use const_oid::ObjectIdentifier;

    use super::*;

    #[test]
    fn a_clearance_must_reach_the_classification() {
        let label = |classification: Option<u16>| SecurityLabel {
            policy: ObjectIdentifier::new_unwrap("1.2.3.4"),
            classification: classification.and_then(SecurityClassification::from_number),
            privacy_mark: None,
            categories: Vec::new(),
        };
        let held = SecurityClassification::from_number;
        for (needed, holds, enough) in [
            (None, None, true),
            (Some(0), None, true),
            (Some(1), None, false),
            (Some(1), held(0), false),
            (Some(3), held(3), true),
            (Some(3), held(5), true),
            (Some(4), held(3), false),
            (Some(6), held(5), false),
        ] {
            assert_eq!(suffices(&label(needed), holds).is_ok(), enough, "{needed:?} {holds:?}");
        }
        let mut odd = label(None);
        odd.categories.push(crate::smime::SecurityCategory {
            category_type: ObjectIdentifier::new_unwrap("1.2.3"),
            value: vec![5, 0],
        });
        assert_eq!(suffices(&odd, held(5)).unwrap_err().code(), "label-categories-unknown");
        assert_eq!(
            suffices(&label(Some(4)), held(3)).unwrap_err().to_string(),
            "the label secret (4) of policy 1.2.3.4 needs a clearance for secret (4), and there is one for confidential (3) only"
        );
    }
}
