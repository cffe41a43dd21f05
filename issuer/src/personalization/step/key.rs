//! A key of the card: made there or here, and proven before it is certified.

use der::{Decode, Encode};
use middleware::{Administration, FileKey, Signer, Transaction};
use spki::SubjectPublicKeyInfoOwned;

use super::super::attempt::Attempt;
use super::super::attestation;
use super::super::error::PersonalizationError;
use super::super::exercise::{Verification, key_reference, prove_possession};
use super::super::plan::{AS_EXERCISED, KeyChoice, KeyOrigin, Step};
use super::super::run::{Desk, Progress, interrupted};
use crate::ca::CaError;
use crate::domain::CardKey;

/// Makes a key; one that an interrupted attempt confirmed is kept if it proves itself again. Answers its public half for the
/// journal.
pub(super) fn make(
    desk: &mut Desk<'_>,
    administration: &mut Administration<'_, '_>,
    key: CardKey,
    attempt: &mut Attempt<'_>,
) -> Result<String, PersonalizationError> {
    if let Some(public_key) = attempt.confirmed_before(Step::MakeKey(key)).and_then(from_journal) {
        let pin = &mut Verification::with(&attempt.pin);
        // A card that cannot prove it, for whatever reason, gets a new key; if it is gone, making that says so.
        let proof = prove_possession(administration.transaction(), key, &public_key, pin, desk.random);
        if let Ok(proven) = proof {
            note_origin(desk, administration.transaction(), key, &public_key, attempt)?;
            attempt.proven.push((key, proven));
            (desk.progress)(Progress::KeyKept(key));
            return for_journal(&public_key);
        }
    }
    let reference = key_reference(key);
    let KeyChoice { algorithm, origin } = attempt.profile.keys.of(key);
    let public_key = match origin {
        KeyOrigin::GeneratedOnCard => administration.generate(reference, algorithm)?,
        KeyOrigin::Injected => {
            let made = FileKey::generate(algorithm)?;
            administration.import(reference, &made.to_private_key())?;
            Signer::public_key(&made).clone()
        }
    };
    let detail = for_journal(&public_key)?;
    attempt.unproven.push((key, public_key));
    Ok(detail)
}

/// Lets every new key prove itself, and notes where it came from, as far as that is believed.
pub(in super::super) fn prove(
    desk: &mut Desk<'_>,
    transaction: &mut Transaction<'_>,
    attempt: &mut Attempt<'_>,
) -> Result<(), PersonalizationError> {
    let new = std::mem::take(&mut attempt.unproven);
    let (holders, mut proven) = (attempt.pin.clone(), Vec::new());
    let pin = &mut Verification::with(&holders);
    for (key, public_key) in in_order(&new) {
        let proof = prove_possession(transaction, *key, public_key, pin, desk.random)
            .and_then(|proof| note_origin(desk, transaction, *key, public_key, attempt).map(|()| proof));
        proven.push((*key, proof.map_err(|source| interrupted(Step::MakeKey(*key), source))?));
    }
    for (key, _) in &new {
        (desk.progress)(Progress::KeyMade(*key));
    }
    attempt.proven.extend(proven);
    Ok(())
}

/// As few VERIFYs as the keys allow.
fn in_order<K>(keys: &[(CardKey, K)]) -> impl Iterator<Item = &(CardKey, K)> {
    AS_EXERCISED.iter().filter_map(|wanted| keys.iter().find(|(key, _)| key == wanted))
}

/// Before the key is certified: what is not believed of a card gets no certificate.
fn note_origin(
    desk: &Desk<'_>,
    transaction: &mut Transaction<'_>,
    key: CardKey,
    public_key: &SubjectPublicKeyInfoOwned,
    attempt: &mut Attempt<'_>,
) -> Result<(), PersonalizationError> {
    let (reference, source) =
        (key_reference(key), (attempt.profile.keys.of(key).origin, desk.attestation_roots));
    let origin = attestation::origin_of(transaction, reference, public_key, &attempt.identity, source)?;
    attempt.progress.key_origins.push((attestation::hash_of(public_key)?, key, origin));
    Ok(())
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
