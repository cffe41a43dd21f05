//! What lies on a card beside keys and certificates: who signed it, and whether it is still true.

use middleware::piv::objects::Chuid;
use middleware::{Card, CardError, DataObject, Transaction};

use super::super::error::PersonalizationError;
use super::super::objects::{chuid, security_object};
use super::super::renewal::retired_in_journal;
use super::super::{blank, domain_serial};
use super::{Comparison, Disagreement, Finding, Outcome, Subject};
use crate::ca::signed_data::enclosed_certificates;
use crate::ca::{CaError, Certificate, Profile};
use crate::domain::CardState;
use crate::registry::CardRecord;

/// CHUID, security object and key history of a card that somebody has; of one in stock, whether somebody signed who it is.
pub(super) async fn compare(
    comparison: &Comparison<'_>,
    record: &CardRecord,
    card: &mut Card,
) -> Result<Vec<Finding>, PersonalizationError> {
    if matches!(record.card.state(), CardState::InStock { .. }) && !blank::was_begun(record) {
        let signer = blank::signer_of_chuid(card)?;
        let outcome = signer.map(|signer| Outcome::Differs(Disagreement::SignedInStock { signer }));
        return Ok(outcome.map(|outcome| Finding { subject: Subject::Chuid, outcome }).into_iter().collect());
    }
    if !record.card.state().is_live() {
        return Ok(Vec::new());
    }
    let read = Read::from(&mut card.transaction()?)?;
    let (signer, of_chuid) = match judged_chuid(comparison, &read).await? {
        Ok(signer) => (Some(signer), Outcome::Agrees),
        Err(disagreement) => (None, Outcome::Differs(disagreement)),
    };
    let of_hashes = match judged_hashes(&read, signer.as_ref()) {
        Ok(()) => Outcome::Agrees,
        Err(disagreement) => Outcome::Differs(disagreement),
    };
    let of_history = judged_history(comparison, record, &read).await?;
    Ok(vec![
        Finding { subject: Subject::Chuid, outcome: of_chuid },
        Finding { subject: Subject::SecurityObject, outcome: of_hashes },
        Finding { subject: Subject::KeyHistory, outcome: of_history },
    ])
}

/// What the card gave, at one time.
struct Read {
    chuid: Option<Vec<u8>>,
    security_object: Option<Vec<u8>>,
    covered: Vec<(DataObject, Vec<u8>)>,
    /// How many retired keys it counts; nothing where that cannot be read.
    retired: Option<u8>,
}

impl Read {
    fn from(transaction: &mut Transaction<'_>) -> Result<Self, PersonalizationError> {
        let mut contents = |object| -> Result<Option<Vec<u8>>, CardError> {
            Ok(transaction.read_if_present(object)?.map(|contents| contents.to_vec()))
        };
        let (chuid, security_object) = (contents(DataObject::CHUID)?, contents(DataObject::SECURITY_OBJECT)?);
        let covered = security_object::covered(transaction)?;
        let retired = match transaction.retired_with_certificates() {
            Ok(count) => Some(count),
            Err(CardError::MalformedAnswer(_)) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Self { chuid, security_object, covered, retired })
    }
}

/// Who signed the CHUID, if that is one of our content signers and the signature is true.
async fn judged_chuid(
    comparison: &Comparison<'_>,
    read: &Read,
) -> Result<Result<Certificate, Disagreement>, PersonalizationError> {
    let Some(contents) = &read.chuid else { return Ok(Err(Disagreement::ObjectMissing)) };
    let parts = Chuid::from_bytes(contents).and_then(|_| Chuid::signature(contents));
    let signature = match parts {
        Ok(Some(signature)) => signature,
        Ok(None) => return Ok(Err(Disagreement::NotSigned)),
        Err(_) => return Ok(Err(Disagreement::Malformed)),
    };
    let signer = enclosed_certificates(signature).ok().and_then(|all| all.into_iter().next());
    let Some(Ok(signer)) = signer.map(Certificate::from_der) else {
        return Ok(Err(Disagreement::Malformed));
    };
    if !is_content_signer(comparison, &signer).await? {
        return Ok(Err(Disagreement::SignedByStranger {
            subject: signer.subject(),
            issuer: signer.issuer(),
        }));
    }
    Ok(match chuid::verify(contents, signature, &signer) {
        Ok(()) => Ok(signer),
        Err(_) => Err(Disagreement::SignatureFalse),
    })
}

/// Whether the registry certified it for signing what is on cards, and the authority's signature is on it.
async fn is_content_signer(
    comparison: &Comparison<'_>,
    signer: &Certificate,
) -> Result<bool, PersonalizationError> {
    let Ok(serial) = domain_serial(signer.serial_number()) else { return Ok(false) };
    let known = comparison.registry.certificate(&serial).await?.is_some_and(|known| {
        known.certificate.as_deref() == Some(signer.as_der())
            && known.profile == Profile::ContentSigning.name()
    });
    Ok(known && comparison.is_signed_by_us(signer).await?)
}

/// The signature of the security object, by whoever signed the CHUID, and each hash in it.
fn judged_hashes(read: &Read, signer: Option<&Certificate>) -> Result<(), Disagreement> {
    let contents = read.security_object.as_ref().ok_or(Disagreement::ObjectMissing)?;
    let changed = security_object::changed(contents, &read.covered).map_err(|_| Disagreement::Malformed)?;
    if !changed.is_empty() {
        return Err(Disagreement::HashesDiffer(changed));
    }
    // Its signer's certificate is in the CHUID (SP 800-73-5 Part 1 section 3.1.7).
    let signer = signer.ok_or(Disagreement::SignerUnknown)?;
    match security_object::verify(contents, signer) {
        Ok(()) => Ok(()),
        Err(CaError::Malformed { .. }) => Err(Disagreement::Malformed),
        Err(_) => Err(Disagreement::SignatureFalse),
    }
}

/// How many keys 9D were retired on this card since it is its holder's, and how many it counts.
async fn judged_history(
    comparison: &Comparison<'_>,
    record: &CardRecord,
    read: &Read,
) -> Result<Outcome, PersonalizationError> {
    let recorded = retired_in_journal(comparison.registry, record).await?;
    Ok(match read.retired {
        None => Outcome::Differs(Disagreement::Malformed),
        Some(counted) if counted == recorded => Outcome::Agrees,
        Some(counted) => Outcome::Differs(Disagreement::HistoryDiffers { counted, recorded }),
    })
}
