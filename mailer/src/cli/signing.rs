//! Signing with the card, and the recipients that encryption needs: what `send` and `protect` share.
use serde_json::{Value, json};

use super::algorithms::AlgorithmOptions;
use super::context::Context;
use super::report::{Failure, tell};
use crate::certificate::Certificate;
use crate::content::Content;
use crate::correspondents::Correspondents;
use crate::directory::Directory;
use crate::keys::{CardKeys, KeysError};
use crate::message::address::Address;
use crate::protection::protect::{self, ProtectedEntity};
use crate::protection::recipients::{RecipientCheck, Refusal};
use crate::smime::{Recipient, SigningAlgorithm, SigningIdentity};
use crate::trust::{Anchors, CertificateProblem, CheckedRecipient, Judge};

/// The account's card, anchors and directory, opened once for one command.
pub(super) struct Desk<'c> {
    context: &'c Context,
    anchors: Anchors,
    directory: Directory,
    card: CardKeys,
    algorithms: AlgorithmOptions,
}

impl<'c> Desk<'c> {
    pub(super) fn new(
        context: &'c Context,
        card: CardKeys,
        algorithms: AlgorithmOptions,
    ) -> Result<Self, Failure> {
        Ok(Self { context, anchors: context.anchors()?, directory: context.directory()?, card, algorithms })
    }

    /// The algorithm of the signatures.
    pub(super) fn signing_algorithm(&self) -> Result<SigningAlgorithm, Failure> {
        let certificate = self.card.signing_certificate().ok_or(KeysError::NoSigningCertificate)?;
        Ok(SigningAlgorithm::of(certificate.public_key(), self.algorithms.rsa_padding())?)
    }

    /// Checks every recipient; answers their certificates in the order of `addresses`, one's own last.
    pub(super) fn recipients(&mut self, addresses: &[Address]) -> Result<Vec<Recipient>, Failure> {
        let own_address = self.context.address()?;
        let own: Vec<Certificate> = self.card.encryption_certificate().cloned().into_iter().collect();
        let mut check = RecipientCheck {
            directory: &mut self.directory,
            anchors: &self.anchors,
            at: self.context.now,
            unknown_revocation: self.context.unknown_revocation(),
        };
        let others = check.find_all(addresses);
        let oneself = check
            .choose(&own_address, &own)
            .map_err(|refusal| Refusal { message: format!("your own card: {}", refusal.message), ..refusal });
        let checked: Vec<CheckedRecipient> = match (others, oneself) {
            (Ok(mut others), Ok(oneself)) => {
                others.push(oneself);
                others
            }
            (others, oneself) => {
                let refusals = others.err().into_iter().flatten().chain(oneself.err());
                return Err(refused(&refusals.collect::<Vec<_>>()));
            }
        };
        for recipient in &checked {
            if let Some(note) = recipient.note() {
                tell(&format!("mailer: {}", crate::message::terminal_text::safe_line(note)));
            }
        }
        let remembered = Correspondents::load(&self.context.home.correspondents_file())?;
        let recipient = |(position, checked): (usize, &CheckedRecipient)| {
            let recipient = checked.recipient().clone();
            match addresses.get(position) {
                Some(address) => recipient
                    .counted_as_ours(self.is_one_of_us(&own_address, address))
                    .with_capabilities(remembered.capabilities(&address.key())),
                None => recipient.counted_as_ours(true),
            }
        };
        Ok(checked.iter().enumerate().map(recipient).collect())
    }

    /// Whether one anchor speaks for both addresses: who is certified by our own authority has our program.
    fn is_one_of_us(&self, own: &Address, other: &Address) -> bool {
        let (own, other) = (own.to_string(), other.to_string());
        self.anchors.0.iter().any(|anchor| anchor.covers(&own) && anchor.covers(&other))
    }

    /// Signs an entity on the card; the PIN is asked here. `author` is the address that readers will see in From.
    pub(super) fn sign(
        &mut self,
        entity: &Content,
        author: &Address,
        boundary: &str,
    ) -> Result<ProtectedEntity, Failure> {
        let certificate = self.card.signing_certificate().cloned();
        if let Some(certificate) = &certificate {
            check_address(certificate, author)?;
        }
        let mut judge = Judge {
            anchors: &self.anchors,
            source: &mut self.directory,
            at: self.context.now,
            unknown_revocation: self.context.unknown_revocation(),
        };
        if let Some(certificate) = &certificate {
            check_own(&mut judge, certificate)?;
        }
        let intermediates = certificate.as_ref().map(|own| judge.intermediates(own)).unwrap_or_default();
        let mut signer = self.card.signer()?;
        let certificate = signer.certificate().clone();
        let identity = SigningIdentity {
            signer: &mut signer,
            certificate: &certificate,
            intermediates: &intermediates,
            rsa_padding: self.algorithms.rsa_padding(),
        };
        Ok(protect::sign(entity, identity, self.context.now, boundary)?)
    }
}

/// A signature that no reader would believe is not made. What cannot be found out now is left to the readers.
fn check_own(judge: &mut Judge<'_>, certificate: &Certificate) -> Result<(), Failure> {
    let Err(problem) = judge.check_signer(certificate) else { return Ok(()) };
    let code = match &problem {
        CertificateProblem::Expired { .. } => "own-certificate-expired",
        CertificateProblem::NotYetValid { .. } => "own-certificate-not-yet-valid",
        CertificateProblem::Revoked { .. } => "own-certificate-revoked",
        _ => return Ok(()),
    };
    let problem = problem.in_words("your signature certificate");
    Err(Failure::new(
        code,
        format!("{problem}, so nobody would believe the signature; the issuance desk has a new card"),
    ))
}

fn check_address(certificate: &Certificate, author: &Address) -> Result<(), Failure> {
    let addresses = certificate.mail_addresses();
    let is_own =
        addresses.iter().any(|address| address.parse::<Address>().is_ok_and(|own| own.key() == author.key()));
    if is_own {
        return Ok(());
    }
    let message = format!(
        "the card in use signs for {}, not for {author}; use the other card, or the other account",
        if addresses.is_empty() {
            "no mail address".to_owned()
        } else {
            certificate.mail_addresses_in_words()
        }
    );
    Err(Failure::new("not-your-address", message))
}

fn refused(refusals: &[Refusal]) -> Failure {
    let lines: Vec<String> = refusals.iter().map(|refusal| format!("  {}", refusal.message)).collect();
    let recipients: Vec<Value> = refusals
        .iter()
        .map(
            |refusal| json!({ "address": refusal.address, "code": refusal.code, "message": refusal.message }),
        )
        .collect();
    Failure::new(
        "recipients-refused",
        format!("nothing was sent, because of these recipients:\n{}", lines.join("\n")),
    )
    .with_details(json!({ "recipients": recipients }))
}
