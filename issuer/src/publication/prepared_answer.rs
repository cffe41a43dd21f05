//! What is answered about one certificate, prepared: the same to everybody who names it in the same way.
use der::{Reader, SliceReader};
use jiff::Timestamp;

use crate::ca::error::CaError;
use crate::ca::ocsp::responder::prepared_state;
use crate::ca::ocsp::{CertId, CertificateState};

/// What is answered about a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// thisUpdate.
    pub this_update: Timestamp,
    /// nextUpdate: from then on it is no answer any more.
    pub next_update: Timestamp,
    /// DER of one OCSPResponse after the other: what is answered to each way of naming the certificate (`NAMED_BY`).
    pub responses: Vec<u8>,
}

impl Prepared {
    /// The answer to a request that names the certificate so; the last where there are fewer.
    pub(super) fn to(&self, request: &CertId) -> &[u8] {
        let place = request.named_by().unwrap_or_default();
        self.each().take(place + 1).last().unwrap_or_default()
    }

    /// The first answer; the others say the same.
    pub(crate) fn to_anybody(&self) -> &[u8] {
        self.each().next().unwrap_or_default()
    }

    /// What each answer says; there is at least one, and nothing else.
    pub(super) fn states(&self) -> Result<Vec<CertificateState>, CaError> {
        let said = self.each().map(|response| prepared_state(response).map(|(said, _)| said.state));
        let said = said.collect::<Result<Vec<_>, _>>()?;
        if said.is_empty() || self.each().map(<[u8]>::len).sum::<usize>() != self.responses.len() {
            return Err(CaError::malformed("OCSP response", "it is not one answer after the other"));
        }
        Ok(said)
    }

    /// Every answer.
    pub(crate) fn each(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = self.responses.as_slice();
        std::iter::from_fn(move || {
            let mut reader = SliceReader::new(rest).ok()?;
            let answer = reader.tlv_bytes().ok()?;
            rest = rest.get(answer.len()..)?;
            Some(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_of_naming_gets_its_answer_and_one_for_all_is_taken_too() {
        let by = |oid: &str| {
            let hash = der::asn1::OctetString::new([1; 20]).unwrap();
            CertId {
                hash_algorithm: spki::AlgorithmIdentifierOwned {
                    oid: oid.parse().unwrap(),
                    parameters: None,
                },
                issuer_name_hash: hash.clone(),
                issuer_key_hash: hash,
                serial_number: der::asn1::Int::new(&[1]).unwrap(),
            }
        };
        let (sha1, sha256) = (by("1.3.14.3.2.26"), by("2.16.840.1.101.3.4.2.1"));
        let prepared = |responses: &[u8]| Prepared {
            this_update: Timestamp::UNIX_EPOCH,
            next_update: Timestamp::UNIX_EPOCH,
            responses: responses.to_vec(),
        };
        let both = prepared(&[0x30, 0x01, 0x01, 0x30, 0x02, 0x02, 0x02]);
        assert_eq!(both.to(&sha1), [0x30, 0x01, 0x01]);
        assert_eq!(both.to(&sha256), [0x30, 0x02, 0x02, 0x02]);
        let earlier = prepared(&[0x30, 0x01, 0x01]);
        assert_eq!((earlier.to(&sha1), earlier.to(&sha256)), (&[0x30, 1, 1][..], &[0x30, 1, 1][..]));
        for broken in [&[][..], &[0x30], &[0x30, 0x02, 0x01]] {
            assert!(prepared(broken).to(&sha1).is_empty());
            assert!(prepared(broken).states().is_err());
        }
    }
}
