//! A key of the card: made there or here, and proven before it is certified.

use der::{Decode, Encode};
use middleware::{Administration, FileKey, Signer};
use spki::SubjectPublicKeyInfoOwned;

use super::super::attempt::Attempt;
use super::super::attestation;
use super::super::error::PersonalizationError;
use super::super::exercise::{key_reference, prove_possession};
use super::super::plan::{KeyOrigin, Step};
use super::super::run::{Desk, Progress};
use crate::ca::CaError;
use crate::domain::CardKey;

/// Makes a key, lets it prove itself, and records where it came from, as far as that is believed; one that an interrupted attempt confirmed is kept if it proves itself again.
/// Answers its public half for the journal.
pub(super) async fn make(
    desk: &mut Desk<'_>,
    administration: &mut Administration<'_, '_>,
    key: CardKey,
    attempt: &mut Attempt<'_>,
) -> Result<String, PersonalizationError> {
    if let Some(public_key) = attempt.confirmed_before(Step::MakeKey(key)).and_then(from_journal)
        // A card that cannot prove it, for whatever reason, gets a new key; if it is gone, making that says so.
        && let Ok(proven) =
            prove_possession(administration.transaction(), key, &public_key, &attempt.pin, desk.random)
    {
        record_origin(desk, administration, key, &public_key, attempt).await?;
        attempt.proven.push((key, proven));
        (desk.progress)(Progress::KeyKept(key));
        return for_journal(&public_key);
    }
    let reference = key_reference(key);
    let public_key = match attempt.choice.origin {
        KeyOrigin::GeneratedOnCard => administration.generate(reference, attempt.choice.algorithm)?,
        KeyOrigin::Injected => {
            let made = FileKey::generate(attempt.choice.algorithm)?;
            administration.import(reference, &made.to_private_key())?;
            Signer::public_key(&made).clone()
        }
    };
    let proven = prove_possession(administration.transaction(), key, &public_key, &attempt.pin, desk.random)?;
    record_origin(desk, administration, key, &public_key, attempt).await?;
    attempt.proven.push((key, proven));
    (desk.progress)(Progress::KeyMade(key));
    for_journal(&public_key)
}

/// Before the key is certified: what is not believed of a card gets no certificate.
async fn record_origin(
    desk: &Desk<'_>,
    administration: &mut Administration<'_, '_>,
    key: CardKey,
    public_key: &SubjectPublicKeyInfoOwned,
    attempt: &Attempt<'_>,
) -> Result<(), PersonalizationError> {
    let (reference, source) = (key_reference(key), (attempt.choice.origin, desk.attestation_roots));
    let origin = attestation::origin_of(
        administration.transaction(),
        reference,
        public_key,
        &attempt.identity,
        source,
    )?;
    let (hash, card) = (attestation::hash_of(public_key)?, (attempt.record.id, key));
    Ok(desk.registry.record_key_origin(&hash, card, &origin, desk.clock.now()).await?)
}

fn for_journal(public_key: &SubjectPublicKeyInfoOwned) -> Result<String, PersonalizationError> {
    let der = public_key
        .to_der()
        .map_err(|error| CaError::Unsupported(format!("a public key that cannot be encoded: {error}")))?;
    Ok(hex::encode(der))
}

fn from_journal(text: &str) -> Option<SubjectPublicKeyInfoOwned> {
    SubjectPublicKeyInfoOwned::from_der(&hex::decode(text).ok()?).ok()
}
