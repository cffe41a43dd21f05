//! Whether checkpoints that come from elsewhere are signed by keys that the registry knows: whoever can write a witness or a
//! published directory cannot make one up.

use super::notary::is_signed;
use crate::domain::SignedCheckpoint;
use crate::registry::AuditKey;

/// A checkpoint, and where it was found.
pub(super) struct Seen {
    pub(super) place: String,
    pub(super) checkpoint: SignedCheckpoint,
}

/// Whether one of these keys signed it.
pub(in crate::desk) fn is_ours(keys: &[AuditKey], signed: &SignedCheckpoint) -> bool {
    let SignedCheckpoint { checkpoint, signature } = signed;
    let key = keys.iter().find(|key| key.id == checkpoint.key);
    key.is_some_and(|key| is_signed(&key.public_key, &checkpoint.text(), signature))
}

/// In words, those that none of these keys signed.
pub(super) fn forged(keys: &[AuditKey], seen: &[Seen]) -> Vec<String> {
    let others = seen.iter().filter(|seen| !is_ours(keys, &seen.checkpoint));
    others
        .map(|Seen { place, checkpoint }| {
            format!(
                "the checkpoint of event {} in {place} is not signed by an audit key of this registry: it was made up or damaged, or the registry is older than that key",
                checkpoint.checkpoint.end.sequence
            )
        })
        .collect()
}
