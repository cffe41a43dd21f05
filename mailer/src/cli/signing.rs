//! Signing with the card, and the recipients that encryption needs: what `send` and `protect` share.
use serde_json::{Value, json};

use super::algorithms::AlgorithmOptions;
use super::context::Context;
use super::report::{Failure, tell};
use crate::certificate::Certificate;
use crate::content::Content;
use crate::correspondents::Correspondents;
use crate::directory::Directory;
use crate::documents::validation_data::ValidationData;
use crate::keys::{CardKeys, KeysError};
use crate::message::address::Address;
use crate::protection::protect::{self, ProtectedEntity};
use crate::protection::recipients::{RecipientCheck, Refusal};
use crate::smime::{MadeSignature, Recipient, SignedAttributesPlan, SigningAlgorithm, SigningIdentity};
use crate::trust::{Anchors, CertificateProblem, CheckedRecipient, Judge, Purpose};

/// The account's card, anchors and directory, opened once for one command.
pub(super) struct Desk<'c> {
    context: &'c Context,
    anchors: Anchors,
    directory: Directory,
    card: CardKeys,
    algorithms: AlgorithmOptions,
    remembered: Option<Correspondents>,
}

impl<'c> Desk<'c> {
    pub(super) fn new(
        context: &'c Context,
        card: CardKeys,
        algorithms: AlgorithmOptions,
    ) -> Result<Self, Failure> {
        let (anchors, directory) = (context.anchors()?, context.directory()?);
        Ok(Self { context, anchors, directory, card, algorithms, remembered: None })
    }

    /// The algorithm of the signatures.
    pub(super) fn signing_algorithm(&self) -> Result<SigningAlgorithm, Failure> {
        let certificate = self.card.signing_certificate().ok_or(KeysError::NoSigningCertificate)?;
        Ok(SigningAlgorithm::of(certificate.public_key(), self.algorithms.rsa_padding())?)
    }

    /// Checks every recipient; answers their certificates in the order of `addresses`, one's own last.
    pub(super) fn recipients(&mut self, addresses: &[Address]) -> Result<Vec<Recipient>, Failure> {
        self.recipients_if(addresses, "sent", &mut |_| Ok(()))
    }

    /// The same where more is asked of those who were checked; `deed` is what is not done otherwise: `sealed`, for example.
    pub(super) fn recipients_if(
        &mut self,
        addresses: &[Address],
        deed: &str,
        condition: &mut dyn FnMut(&[CheckedRecipient]) -> Result<(), Failure>,
    ) -> Result<Vec<Recipient>, Failure> {
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
                return Err(refused(&refusals.collect::<Vec<_>>(), deed));
            }
        };
        condition(&checked)?;
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
        if let Some(certificate) = self.card.signing_certificate() {
            check_address(certificate, author)?;
        }
        let at = self.context.now;
        self.with_identity(|identity| Ok(protect::sign(entity, identity, at, boundary)?))
    }

    /// The same with signed attributes of the caller's choice; answers the signature too.
    pub(super) fn sign_planned(
        &mut self,
        entity: &Content,
        author: &Address,
        plan: &SignedAttributesPlan,
        boundary: &str,
    ) -> Result<(ProtectedEntity, MadeSignature), Failure> {
        if let Some(certificate) = self.card.signing_certificate() {
            check_address(certificate, author)?;
        }
        self.with_identity(|identity| Ok(protect::sign_planned(entity, identity, plan, boundary)?))
    }

    /// One's own encryption certificate, checked.
    pub(super) fn oneself(&mut self) -> Result<Recipient, Failure> {
        let address = self.context.address()?;
        let own: Vec<Certificate> = self.card.encryption_certificate().cloned().into_iter().collect();
        let chosen = self.recipient_check().choose(&address, &own);
        let chosen = chosen
            .map_err(|refusal| Failure::new(refusal.code, format!("your own card: {}", refusal.message)))?;
        Ok(chosen.recipient().clone().counted_as_ours(true))
    }

    /// One recipient's certificate, found and checked; or why not.
    pub(super) fn one_recipient(&mut self, address: &Address) -> Result<Result<Recipient, Refusal>, Failure> {
        let own_address = self.context.address()?;
        let found = match self.recipient_check().find(address) {
            Ok(found) => found.recipient().clone(),
            Err(refusal) => return Ok(Err(refusal)),
        };
        if self.remembered.is_none() {
            self.remembered = Some(Correspondents::load(&self.context.home.correspondents_file())?);
        }
        let capabilities =
            self.remembered.as_ref().and_then(|remembered| remembered.capabilities(&address.key()));
        let is_ours = self.is_one_of_us(&own_address, address);
        Ok(Ok(found.counted_as_ours(is_ours).with_capabilities(capabilities)))
    }

    /// The card's keys, to open what was encrypted to oneself.
    pub(super) fn keys(&mut self) -> &mut CardKeys {
        &mut self.card
    }

    fn recipient_check(&mut self) -> RecipientCheck<'_> {
        RecipientCheck {
            directory: &mut self.directory,
            anchors: &self.anchors,
            at: self.context.now,
            unknown_revocation: self.context.unknown_revocation(),
        }
    }

    /// The certificate of the key that signs.
    pub(super) fn signing_certificate(&self) -> Result<Certificate, Failure> {
        Ok(self.card.signing_certificate().ok_or(KeysError::NoSigningCertificate)?.clone())
    }

    /// That one's own signature certificate is neither expired nor revoked, as far as can be known.
    pub(super) fn check_signer(&mut self) -> Result<(), Failure> {
        let certificate = self.signing_certificate()?;
        check_own(&mut self.judge(), &certificate)
    }

    /// Lends the key that signs, with its certificate and those above it; the PIN is asked when the key is used.
    pub(super) fn with_identity<T>(
        &mut self,
        sign: impl FnOnce(SigningIdentity<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let certificate = self.card.signing_certificate().cloned();
        let mut judge = self.judge();
        if let Some(certificate) = &certificate {
            check_own(&mut judge, certificate)?;
        }
        let intermediates = certificate.as_ref().map(|own| judge.intermediates(own)).unwrap_or_default();
        let rsa_padding = self.algorithms.rsa_padding();
        let mut signer = self.card.signer()?;
        let certificate = signer.certificate().clone();
        sign(SigningIdentity {
            signer: &mut signer,
            certificate: &certificate,
            intermediates: &intermediates,
            rsa_padding,
        })
    }

    /// What proves one's own signatures for a long time: path, CRLs, OCSP answers.
    pub(super) fn proof_of_signer(&mut self) -> Result<ValidationData, Failure> {
        let certificate = self.signing_certificate()?;
        self.proof_or_refusal(&certificate, Purpose::SigningDocuments, &[], "your signature certificate")
    }

    /// The same for a time-stamping authority; `along` came with its time stamp.
    pub(super) fn proof_of_authority(
        &mut self,
        authority: &Certificate,
        along: &[Certificate],
    ) -> Result<ValidationData, Failure> {
        let whose = "the certificate of the time-stamping authority";
        self.proof_or_refusal(authority, Purpose::TimeStamping, along, whose)
    }

    fn proof_or_refusal(
        &mut self,
        certificate: &Certificate,
        purpose: Purpose,
        along: &[Certificate],
        whose: &str,
    ) -> Result<ValidationData, Failure> {
        self.proof(certificate, purpose, along).map_err(|problem| {
            let message = format!(
                "{}, so the document cannot be proven for long; --level b-b signs without",
                problem.in_words(whose)
            );
            Failure::new(problem.code(), message)
        })
    }

    /// What proves a certificate, if it is good now.
    pub(super) fn proof(
        &mut self,
        certificate: &Certificate,
        purpose: Purpose,
        along: &[Certificate],
    ) -> Result<ValidationData, CertificateProblem> {
        let proven = self.judge().proof_of(certificate, purpose, along)?;
        Ok(ValidationData::from_enclosed(&proven))
    }

    fn judge(&mut self) -> Judge<'_> {
        Judge {
            anchors: &self.anchors,
            source: &mut self.directory,
            at: self.context.now,
            unknown_revocation: self.context.unknown_revocation(),
        }
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

pub(super) fn refused(refusals: &[Refusal], deed: &str) -> Failure {
    let lines: Vec<String> = refusals.iter().map(|refusal| format!("  {}", refusal.message)).collect();
    let recipients: Vec<Value> = refusals
        .iter()
        .map(
            |refusal| json!({ "address": refusal.address, "code": refusal.code, "message": refusal.message }),
        )
        .collect();
    Failure::new(
        "recipients-refused",
        format!("nothing was {deed}, because of these recipients:\n{}", lines.join("\n")),
    )
    .with_details(json!({ "recipients": recipients }))
}
