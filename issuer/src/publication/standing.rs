//! What a reader learns from a published directory: its complete CRL with the delta, and the OCSP answers beside them, which
//! must say the same.

use super::directory::PublishedDirectory;
use super::error::PublicationError;
use super::layout::CrlName;
use crate::ca::crl::entry_view::EntryView;
use crate::ca::crl::view::CrlView;
use crate::ca::ocsp::CertificateState;
use crate::ca::{CaError, SerialNumber};

/// The entries of a CRL, found by serial number.
pub struct ListedEntries<'a>(Vec<EntryView<'a>>);

impl<'a> ListedEntries<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// It is no CRL.
    pub fn of(crl: &'a [u8]) -> Result<Self, CaError> {
        let mut entries = CrlView::from_der(crl)?.entries().collect::<Result<Vec<_>, _>>()?;
        entries.sort_by(|one, other| one.cmp_serial_number(other.magnitude()));
        Ok(Self(entries))
    }

    /// Whether a certificate is on it, whatever is said of it.
    pub fn names(&self, magnitude: &[u8]) -> bool {
        self.find(magnitude).is_some()
    }

    fn find(&self, magnitude: &[u8]) -> Option<&EntryView<'a>> {
        let place = self.0.binary_search_by(|entry| entry.cmp_serial_number(magnitude)).ok()?;
        self.0.get(place)
    }
}

impl PublishedDirectory {
    /// The first certificate of which the prepared answers of an authority say something else than its CRLs, with what the
    /// answer says. None where they agree, or there are none.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn contradiction(
        &self,
        subject_key_identifier: &[u8],
    ) -> Result<Option<(SerialNumber, &'static str)>, PublicationError> {
        let complete = CrlName::complete(subject_key_identifier, None);
        let Some(answers) = self.answers(subject_key_identifier) else { return Ok(None) };
        let Some(base) = self.crl(&complete)? else { return Ok(None) };
        let delta = self.crl(&complete.delta())?;
        let malformed = |error: CaError| PublicationError::Malformed(error.to_string());
        // That a CRL is damaged is said elsewhere.
        let Ok(base) = ListedEntries::of(&base) else { return Ok(None) };
        let Ok(delta) = delta.as_deref().map(ListedEntries::of).transpose() else { return Ok(None) };
        for answer in answers.states() {
            let (serial, state) =
                answer.map_err(|error| PublicationError::Malformed(format!("an OCSP answer: {error}")))?;
            // RFC 5280 section 6.3.3 (i), (j): the delta wins.
            let changed = delta.as_ref().and_then(|delta| delta.find(serial.as_bytes()));
            let is_revoked = match changed {
                Some(entry) => !entry.removes().map_err(malformed)?,
                None => base.names(serial.as_bytes()),
            };
            match (state, is_revoked) {
                (CertificateState::Good, true) => return Ok(Some((serial, "good"))),
                (CertificateState::Revoked { .. }, false) => return Ok(Some((serial, "revoked"))),
                _ => {}
            }
        }
        Ok(None)
    }
}
