//! Who answers for an authority: a key of its own with a short-lived certificate (RFC 6960 section 4.2.2.2).
use der::asn1::{AnyRef, BitString, OctetString, OctetStringRef};
use der::{Decode, Encode};
use jiff::Timestamp;
use middleware::Signer;

use super::basic_response::{BasicOcspResponse, ResponderId, ResponseData};
#[cfg(doc)]
use super::cert_id::NAMED_BY;
use super::cert_id::{AuthorityIdentity, CertId};
use super::nonce::Nonce;
use super::response::{ID_PKIX_OCSP_BASIC, OcspResponse, ResponseBytes, ResponseStatus};
use super::single_response::{SingleResponse, StateAt, generalized_time};
use crate::ca::algorithm::{self, Digester, KeyKind};
use crate::ca::authority::checked_signature;
use crate::ca::certificate::{Certificate, key_identifier};
use crate::ca::error::CaError;
use crate::ca::profile::extension::OCSP_SIGNING;
use crate::ca::serial_number::SerialNumber;
use x509_cert::ext::pkix::ExtendedKeyUsage;

/// A responder's certificate, of one authority, and whose it is.
#[derive(Clone, Debug)]
pub struct Responder {
    authority: AuthorityIdentity,
    certificate: Certificate,
    key_identifier: OctetString,
    key: KeyKind,
}

impl Responder {
    /// Takes a certificate that `authority` gave to a responder.
    ///
    /// # Errors
    /// It is not for OCSP signing, or of another authority.
    pub fn new(authority: &Certificate, certificate: Certificate) -> Result<Self, CaError> {
        certificate.verify_issuer(authority)?;
        let purposes = certificate.tbs().extension::<ExtendedKeyUsage>()?.map(|(_, purposes)| purposes.0);
        if !purposes.is_some_and(|purposes| purposes.contains(&OCSP_SIGNING)) {
            return Err(CaError::malformed("OCSP responder's certificate", "it is not for OCSP signing"));
        }
        Ok(Self {
            authority: AuthorityIdentity::of(authority)?,
            key_identifier: key_identifier(certificate.public_key()),
            key: KeyKind::of(certificate.public_key())?,
            certificate,
        })
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// Signs what anybody may be told who asks for a certificate without a nonce: for each name that most requests use, in the
    /// order of `NAMED_BY`, an answer with nothing else in it. (Section 2.2.1 of RFC 5019 lets prepared answers hold more
    /// than was asked for, but there are clients that refuse more than one SingleResponse.)
    ///
    /// # Errors
    /// The key.
    pub fn prepare(
        &self,
        signer: &mut dyn Signer,
        serial_number: &SerialNumber,
        state: StateAt,
        produced_at: Timestamp,
    ) -> Result<Vec<Vec<u8>>, CaError> {
        let ids = self.authority.cert_ids(serial_number)?;
        ids.into_iter()
            .map(|id| self.sign(signer, vec![SingleResponse::new(id, state)?], produced_at, None))
            .collect()
    }

    /// Answers a request: each certificate as it was named, and the nonce.
    ///
    /// # Errors
    /// The key.
    pub fn answer(
        &self,
        signer: &mut dyn Signer,
        certificates: Vec<(CertId, StateAt)>,
        nonce: Option<&Nonce>,
        produced_at: Timestamp,
    ) -> Result<Vec<u8>, CaError> {
        let singles = certificates
            .into_iter()
            .map(|(id, state)| SingleResponse::new(id, state))
            .collect::<Result<_, _>>()?;
        self.sign(signer, singles, produced_at, nonce)
    }

    fn sign(
        &self,
        signer: &mut dyn Signer,
        responses: Vec<SingleResponse>,
        produced_at: Timestamp,
        nonce: Option<&Nonce>,
    ) -> Result<Vec<u8>, CaError> {
        let data = ResponseData {
            version: 0,
            responder_id: ResponderId::ByKey(self.key_identifier.clone()),
            produced_at: generalized_time(produced_at)?,
            responses,
            response_extensions: nonce
                .map(|nonce| nonce.extension().map(|one| vec![one]))
                .transpose()
                .map_err(malformed)?,
        };
        let data = data.to_der().map_err(malformed)?;
        let scheme = self.key.scheme();
        let digest = Digester::digest(algorithm::digest_of(scheme)?, &data);
        let signature = checked_signature(signer, scheme, &digest)?;
        let basic = BasicOcspResponse {
            tbs_response_data: AnyRef::from_der(&data).map_err(malformed)?,
            signature_algorithm: algorithm::identifier(scheme)?,
            signature: BitString::from_bytes(&signature).map_err(malformed)?,
            certs: Some(vec![AnyRef::from_der(self.certificate.as_der()).map_err(malformed)?]),
        };
        let basic = basic.to_der().map_err(malformed)?;
        let response = OctetStringRef::new(&basic).map_err(malformed)?;
        let response_bytes = Some(ResponseBytes { response_type: ID_PKIX_OCSP_BASIC, response });
        OcspResponse { response_status: ResponseStatus::Successful, response_bytes }
            .to_der()
            .map_err(malformed)
    }
}

/// What a prepared answer says, and who signed it; its signature is not looked at.
pub(crate) fn prepared_state(response: &[u8]) -> Result<(StateAt, Vec<u8>), CaError> {
    let response = OcspResponse::from_der(response).map_err(malformed)?;
    let bytes =
        response.response_bytes.ok_or_else(|| CaError::malformed("OCSP response", "there is no answer"))?;
    let basic = BasicOcspResponse::from_der(bytes.response.as_bytes()).map_err(malformed)?;
    let data =
        ResponseData::from_der(&basic.tbs_response_data.to_der().map_err(malformed)?).map_err(malformed)?;
    let state = data.responses.first().and_then(SingleResponse::state);
    let state =
        state.ok_or_else(|| CaError::malformed("OCSP response", "there is no state of ours in it"))?;
    let certificate =
        basic.certs.unwrap_or_default().first().map(Encode::to_der).transpose().map_err(malformed)?;
    Ok((state, certificate.unwrap_or_default()))
}

fn malformed(error: der::Error) -> CaError {
    CaError::malformed("OCSP response", error)
}
