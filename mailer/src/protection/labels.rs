//! Labels of the layers of a message, and whether the reader may see what they are on (RFC 2634 section 3).
//!
//! A label restricts whoever signed it; it permits nothing. Where several layers are labelled, they say the same.
use super::open::OpenError;
use crate::certificate::Certificate;
use crate::keys::KeysError;
use crate::readers::clearance::suffices;
use crate::smime::{SecurityClassification, SecurityLabel, SignedMessage};

/// What is asked about the reader's own clearance.
pub struct ClearanceQuestion<'q> {
    /// The label; the clearance for its policy is wanted.
    pub label: &'q SecurityLabel,
    /// Whether somebody trusted signed the label: a stranger's shall cause no question to any network.
    pub signer_is_trusted: bool,
    /// The certificates of the reader's own keys, which no PIN guards.
    pub certificates: &'q mut dyn FnMut() -> Result<Vec<Certificate>, KeysError>,
}

/// Says what the reader is cleared for; asked only for a labelled message.
pub type ClearanceSource<'a> =
    dyn FnMut(&mut ClearanceQuestion<'_>) -> Result<Option<SecurityClassification>, OpenError> + 'a;

/// The one label of these layers, from the outside in; `None` where none is labelled.
///
/// # Errors
/// Labels that are malformed, or differ within a layer or between layers.
pub(super) fn common_label<'m>(
    layers: impl Iterator<Item = &'m SignedMessage>,
) -> Result<Option<SecurityLabel>, OpenError> {
    let mut common: Option<SecurityLabel> = None;
    for layer in layers {
        let Some(label) = SecurityLabel::of(layer)? else { continue };
        match &common {
            Some(known) if *known != label => return Err(OpenError::LabelsDiffer),
            _ => common = Some(label),
        }
    }
    Ok(common)
}

/// Whether the reader may see what the label is on.
///
/// # Errors
/// The clearance does not reach, or cannot be found out.
pub(super) fn check(
    question: &mut ClearanceQuestion<'_>,
    clearance: &mut ClearanceSource<'_>,
) -> Result<(), OpenError> {
    // What nobody needs a clearance for needs no card either; what nobody can be cleared for does not either.
    match suffices(question.label, None) {
        Ok(()) => return Ok(()),
        Err(problem) if suffices(question.label, Some(SecurityClassification::TOP_SECRET)).is_err() => {
            return Err(problem.into());
        }
        Err(_) => {}
    }
    let held = clearance(question)?;
    Ok(suffices(question.label, held)?)
}
