//! A document signed as it is issued by default: certified, stamped, proven, without a seal.
use super::super::context::{Context, new_identifier};
use super::super::report::Failure;
use super::super::signing::Desk;
use super::time::Stamps;
use crate::content::Content;
use crate::documents::Permission;
use crate::documents::pdf::Document;
use crate::documents::preparation::SigningRequest;
use crate::documents::sign::{TimeStamper, sign_document};

/// Signs, at the level that the configured servers allow. A time stamp that fails after the signature is an error here: what
/// goes to many shall be whole.
pub(super) fn issue(
    context: &Context,
    desk: &mut Desk<'_>,
    document: &Document,
    mut stamps: Option<Stamps>,
) -> Result<Content, Failure> {
    let rehearsed = stamps.as_mut().map(|stamps| stamps.rehearse(desk)).transpose()?;
    let proof = match &rehearsed {
        Some(rehearsed) => {
            let mut proof = desk.proof_of_signer()?;
            proof.merge(rehearsed.proof.clone());
            Some(proof)
        }
        None => None,
    };
    let request = SigningRequest {
        certify: Some(Permission::NoChanges),
        name: Some(desk.signing_certificate()?.subject()),
        validation_data: proof,
        ..SigningRequest::default()
    };
    let identifier = new_identifier()?;
    let signed = desk.with_identity(|identity| {
        let stamper = stamps.as_mut().zip(rehearsed.as_ref());
        let stamper = stamper.map(|(stamps, rehearsed)| (stamps as &mut dyn TimeStamper, rehearsed.longest));
        sign_document(document, &request, identity, stamper, context.now, identifier)
            .map_err(|error| Failure::new(error.code(), error.to_string()))
    })?;
    match signed.stamped {
        Some(Err(error)) => Err(Failure::new(error.code(), format!("nothing was sent: {error}"))),
        _ => Ok(signed.content),
    }
}
