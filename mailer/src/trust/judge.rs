//! Judges signers and recipients: path, revocation, purpose and address put together.
use jiff::Timestamp;

use super::path;
use super::problem::{CertificateProblem, Whose};
use super::revocation::{self, RevocationStatus, UnknownRevocation};
use super::validate::{Purpose, ValidPath};
use super::{Anchors, CertificateList, CheckedRecipient, RecipientProblem, Verdict};
use crate::certificate::{Certificate, mail_address};
use crate::smime::{Signature, SignedMessage, SignerReport};

/// Where CA certificates and CRLs come from.
pub trait Source {
    /// CA certificates with this subject key identifier; never asks a network.
    fn issuers_at_hand(&mut self, key_identifier: &[u8]) -> Vec<Certificate>;
    /// CA certificates with this subject key identifier; may ask the configured directory.
    fn issuers(&mut self, key_identifier: &[u8]) -> Vec<Certificate>;
    /// CRLs of the CA with this key identifier; asked only when the path to it ends in an anchor.
    fn revocation_lists(&mut self, key_identifier: &[u8]) -> Vec<CertificateList>;
}

/// Judges certificates by the configured anchors, the directory and the time.
pub struct Judge<'a> {
    /// The configured anchors.
    pub anchors: &'a Anchors,
    /// CA certificates and CRLs.
    pub source: &'a mut dyn Source,
    /// The time for which is judged.
    pub at: Timestamp,
    /// What to think of unknown revocation.
    pub unknown_revocation: UnknownRevocation,
}

/// How far CA certificates are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// For messages: a stranger's message must not cause a question to any network.
    AtHand,
    /// For recipients whom our own user names.
    Directory,
}

/// A certificate that was found good.
pub(super) struct Approval {
    pub(super) path: ValidPath,
    pub(super) revocation: RevocationKnowledge,
}

/// What is known about revocation of a certificate that was found good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RevocationKnowledge {
    /// A CRL of this moment does not list it.
    Good { this_update: Timestamp },
    /// Nothing, and the policy accepts that.
    Unknown { why: String },
}

impl Judge<'_> {
    /// Judges a signed message. `from` are the addresses of its From header; one of them must be the signer's.
    /// An empty `from` (a bare MIME entity) is judged by the signer's own addresses.
    ///
    /// With several signers, one trusted signer suffices; a signature that shows a change of the content outweighs all.
    pub fn signed_message(&mut self, message: &SignedMessage, from: &[String]) -> Verdict {
        let verdicts: Vec<Verdict> =
            message.signers.iter().map(|report| self.signer(report, message, from)).collect();
        Verdict::of_signers(verdicts)
    }

    fn signer(&mut self, report: &SignerReport, message: &SignedMessage, from: &[String]) -> Verdict {
        let signature = match &report.outcome {
            Ok(signature) => signature,
            Err(fault) => return Verdict::faulty(&report.identifier, fault),
        };
        match self.signature(signature, message, from) {
            Ok((address, approval)) => Verdict::trusted(signature, &address, &approval),
            Err(problem) => Verdict::untrusted(signature, &problem),
        }
    }

    fn signature(
        &mut self,
        signature: &Signature,
        message: &SignedMessage,
        from: &[String],
    ) -> Result<(String, Approval), CertificateProblem> {
        let lists: Vec<CertificateList> =
            message.revocation_lists.iter().filter_map(|der| CertificateList::from_der(der).ok()).collect();
        let certificate = &signature.certificate;
        let approval =
            self.approve(certificate, &message.certificates, &lists, Purpose::Signing, Reach::AtHand)?;
        let certified = certificate.mail_addresses();
        let address = match from.first() {
            None => certified.first().cloned(),
            Some(_) => certified
                .iter()
                .find(|own| from.iter().any(|sender| mail_address::same_mailbox(own, sender)))
                .cloned(),
        };
        let Some(address) = address else {
            return Err(CertificateProblem::AddressMismatch { address: from.join(", "), certified });
        };
        check_domain(&approval, &address)?;
        Ok((address, approval))
    }

    /// Checks one certificate for encrypting to `address`.
    ///
    /// # Errors
    /// See [`RecipientProblem`].
    pub fn check_recipient(
        &mut self,
        certificate: &Certificate,
        address: &str,
    ) -> Result<CheckedRecipient, RecipientProblem> {
        let problem = |problem| RecipientProblem::Certificate { address: address.to_owned(), problem };
        let certified = certificate.mail_addresses();
        if !certified.iter().any(|own| mail_address::same_mailbox(own, address)) {
            return Err(problem(CertificateProblem::AddressMismatch {
                address: address.to_owned(),
                certified,
            }));
        }
        let approval =
            self.approve(certificate, &[], &[], Purpose::Encryption, Reach::Directory).map_err(problem)?;
        check_domain(&approval, address).map_err(problem)?;
        Ok(CheckedRecipient::new(certificate.clone(), &approval))
    }

    /// The best of the certificates that the directory holds for `address`: the newest that passes every check.
    ///
    /// # Errors
    /// See [`RecipientProblem`]: the problem of the newest candidate made for encryption, if there is one.
    pub fn choose_recipient(
        &mut self,
        address: &str,
        candidates: &[Certificate],
    ) -> Result<CheckedRecipient, RecipientProblem> {
        let mut candidates: Vec<&Certificate> = candidates.iter().collect();
        candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.not_before()));
        let mut first_problem = None;
        for candidate in candidates {
            match self.check_recipient(candidate, address) {
                Ok(recipient) => return Ok(recipient),
                // The directory holds signature certificates too: that one of them is not for encryption is no news.
                Err(problem) if problem.is_wrong_usage() => first_problem = first_problem.or(Some(problem)),
                Err(problem) => match &first_problem {
                    Some(earlier) if !RecipientProblem::is_wrong_usage(earlier) => {}
                    _ => first_problem = Some(problem),
                },
            }
        }
        Err(first_problem.unwrap_or_else(|| RecipientProblem::NoCertificate { address: address.to_owned() }))
    }

    /// The CA certificates between this certificate and its anchor (without the anchor), to send along.
    pub fn intermediates(&mut self, certificate: &Certificate) -> Vec<Certificate> {
        let built = self.build_path(certificate, &[], Purpose::Signing, Reach::Directory);
        built.map(|path| path.intermediates().to_vec()).unwrap_or_default()
    }

    fn build_path(
        &mut self,
        certificate: &Certificate,
        found: &[Certificate],
        purpose: Purpose,
        reach: Reach,
    ) -> Result<ValidPath, CertificateProblem> {
        let source = &mut *self.source;
        let mut issuers = |identifier: &[u8]| match reach {
            Reach::AtHand => source.issuers_at_hand(identifier),
            Reach::Directory => source.issuers(identifier),
        };
        path::build(certificate, self.anchors, found, &mut issuers, purpose, self.at)
    }

    /// Path and revocation of a certificate and of every CA certificate above it.
    fn approve(
        &mut self,
        certificate: &Certificate,
        found: &[Certificate],
        lists: &[CertificateList],
        purpose: Purpose,
        reach: Reach,
    ) -> Result<Approval, CertificateProblem> {
        let path = self.build_path(certificate, found, purpose, reach)?;
        let mut knowledge = None;
        for (position, (checked, issuer)) in path.pairs().enumerate() {
            let whose = if position == 0 { Whose::EndEntity } else { Whose::Authority(checked.subject()) };
            let known = self.revocation(checked, issuer, lists, whose)?;
            knowledge = match (knowledge, known) {
                (Some(RevocationKnowledge::Good { this_update }), RevocationKnowledge::Good { .. }) => {
                    Some(RevocationKnowledge::Good { this_update })
                }
                (Some(unknown @ RevocationKnowledge::Unknown { .. }), _) => Some(unknown),
                (_, known) => Some(known),
            };
        }
        let revocation =
            knowledge.unwrap_or(RevocationKnowledge::Unknown { why: "nothing was checked".to_owned() });
        Ok(Approval { path, revocation })
    }

    fn revocation(
        &mut self,
        certificate: &Certificate,
        issuer: &Certificate,
        lists: &[CertificateList],
        whose: Whose,
    ) -> Result<RevocationKnowledge, CertificateProblem> {
        let identifier = issuer.subject_key_identifier().or_else(|| certificate.authority_key_identifier());
        let mut lists = lists.to_vec();
        lists.extend(
            identifier.map(|identifier| self.source.revocation_lists(&identifier)).unwrap_or_default(),
        );
        match (revocation::status(certificate, issuer, &lists, self.at), self.unknown_revocation) {
            (RevocationStatus::Good { this_update }, _) => Ok(RevocationKnowledge::Good { this_update }),
            (RevocationStatus::Revoked(revocation), _) => {
                Err(CertificateProblem::Revoked { whose, revocation })
            }
            (RevocationStatus::Unknown(why), UnknownRevocation::Reject) => {
                Err(CertificateProblem::RevocationUnknown { whose, why })
            }
            (RevocationStatus::Unknown(why), UnknownRevocation::Accept) => {
                Ok(RevocationKnowledge::Unknown { why })
            }
        }
    }
}

fn check_domain(approval: &Approval, address: &str) -> Result<(), CertificateProblem> {
    let anchor = approval.path.anchor();
    if anchor.covers(address) {
        return Ok(());
    }
    Err(CertificateProblem::OutsideDomain {
        address: address.to_owned(),
        anchor: anchor.certificate.subject(),
    })
}
