//! The CHUID with its issuer's signature (SP 800-73-5 Part 1 section 3.1.2).

use const_oid::ObjectIdentifier;
use jiff::{Span, Timestamp};
use middleware::piv::objects::Chuid;

use super::ContentSigner;
use crate::ca::signed_data::{Certificates, Content, verify_for_card};
use crate::ca::{CaError, Certificate};
use crate::domain::Guid;

/// id-PIV-CHUIDSecurityObject, FIPS 201-3 appendix B.
const ID_PIV_CHUID_SECURITY_OBJECT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.6.1");
/// A card is good for six years at most (FIPS 201-3 section 2.8), its certificates for less: they are renewed on it.
const MOST_YEARS: i64 = 6;

/// The contents of the CHUID, signed.
///
/// # Errors
/// The signer's.
pub fn signed(signer: &mut ContentSigner, guid: Guid, expiration: [u8; 8]) -> Result<Vec<u8>, CaError> {
    let chuid = Chuid { guid: *guid.as_bytes(), expiration };
    let signature = signer.identity.sign_for_card(
        signer.key.as_mut(),
        ID_PIV_CHUID_SECURITY_OBJECT,
        (&chuid.to_be_signed(), Content::Elsewhere),
        Certificates::SignerAlone,
    )?;
    Ok(chuid.to_bytes_signed(&signature))
}

/// Verifies the signature in the contents of a CHUID, by the certificate that it names; whether that is believed is another
/// question.
///
/// # Errors
/// [`CaError::NotProven`], or a signature that cannot be read.
pub fn verify(contents: &[u8], signature: &[u8], signer: &Certificate) -> Result<(), CaError> {
    let malformed = |error: middleware::CardError| CaError::malformed("CHUID", error);
    let chuid = Chuid::from_bytes(contents).map_err(malformed)?;
    // An element more than these would not be covered.
    if chuid.to_bytes_signed(signature) != contents {
        return Err(CaError::NotProven("there is more in the CHUID than was signed"));
    }
    verify_for_card(signature, ID_PIV_CHUID_SECURITY_OBJECT, Some(&chuid.to_be_signed()), signer)
}

/// Until when a card made now can be used, `YYYYMMDD`: six years, but not beyond `latest` (the authority's end, or the
/// holder's last day), and in any case a day longer than the certificates on it.
pub fn expiration(now: Timestamp, not_after: Timestamp, latest: Timestamp) -> [u8; 8] {
    let day = |time: Timestamp| time.to_zoned(jiff::tz::TimeZone::UTC).date();
    let six_years = day(now).checked_add(Span::new().years(MOST_YEARS)).unwrap_or(jiff::civil::Date::MAX);
    let after_certificates = day(not_after).tomorrow().unwrap_or(jiff::civil::Date::MAX);
    let text = six_years.min(day(latest)).max(after_certificates).strftime("%Y%m%d").to_string();
    <[u8; 8]>::try_from(text.as_bytes()).unwrap_or(*b"99991231")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_card_lasts_six_years_and_never_less_than_its_certificates() {
        let now = at("2026-11-30T10:00:00Z");
        let far = at("2050-01-01T00:00:00Z");
        assert_eq!(&expiration(now, at("2029-03-03T09:59:59Z"), far), b"20321130");
        assert_eq!(&expiration(now, at("2029-03-03T09:59:59Z"), at("2030-06-30T12:00:00Z")), b"20300630");
        assert_eq!(&expiration(now, at("2028-02-28T23:59:59Z"), at("2028-02-28T23:59:59Z")), b"20280229");
    }
}
