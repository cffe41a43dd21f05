//! Certificate objects: `70 certificate 71 CertInfo FE` (SP 800-73-5 Part 1 appendix A, table 12 and following).
use std::io::{Read, Write};

use der::{Decode, Encode};
use spki::SubjectPublicKeyInfoOwned;

use crate::apdu::ber_tlv::{append, find};
use crate::piv::CardError;

/// What a compressed certificate may unpack to; a card's largest object is 12 710 bytes.
const LONGEST_CERTIFICATE: u64 = 0x1_0000;

/// The DER certificate in a certificate object, unpacked where CertInfo says so; `None` for an empty `70`.
///
/// Hosts disagree on the compression flag (01 and 80 are both in use) and a few write zlib instead of gzip.
pub(crate) fn certificate_from_bytes(contents: &[u8]) -> Result<Option<Vec<u8>>, CardError> {
    let Some(certificate) = find(contents, 0x70)?.filter(|certificate| !certificate.is_empty()) else {
        return Ok(None);
    };
    // An object that stops after its certificate is an uncompressed one.
    let info = find(contents, 0x71).ok().flatten().and_then(<[u8]>::first).copied().unwrap_or(0);
    if info & 0x81 == 0 {
        return Ok(Some(certificate.to_vec()));
    }
    let mut unpacked = Vec::new();
    let read = if certificate.starts_with(&[0x1F, 0x8B]) {
        flate2::read::GzDecoder::new(certificate).take(LONGEST_CERTIFICATE + 1).read_to_end(&mut unpacked)
    } else {
        flate2::read::ZlibDecoder::new(certificate).take(LONGEST_CERTIFICATE + 1).read_to_end(&mut unpacked)
    };
    match read {
        Ok(length) if length as u64 <= LONGEST_CERTIFICATE => Ok(Some(unpacked)),
        Ok(_) => Err(CardError::MalformedAnswer("a compressed certificate of more than 64 KiB".to_owned())),
        Err(error) => Err(CardError::MalformedAnswer(format!("a certificate that does not unpack: {error}"))),
    }
}

/// The contents of a certificate object, uncompressed.
pub(crate) fn certificate_to_bytes(certificate: &[u8]) -> Vec<u8> {
    let mut contents = Vec::with_capacity(certificate.len() + 12);
    append(&mut contents, 0x70, certificate);
    append(&mut contents, 0x71, &[0x00]);
    append(&mut contents, 0xFE, &[]);
    contents
}

/// The contents of a certificate object, packed with gzip.
pub(crate) fn packed_certificate_to_bytes(certificate: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(certificate).expect("memory takes everything");
    let packed = packer.finish().expect("memory takes everything");
    let mut contents = Vec::with_capacity(packed.len() + 12);
    append(&mut contents, 0x70, &packed);
    append(&mut contents, 0x71, &[0x01]);
    append(&mut contents, 0xFE, &[]);
    contents
}

/// The subject's public key.
pub(crate) fn public_key_of_certificate(certificate: &[u8]) -> Result<SubjectPublicKeyInfoOwned, CardError> {
    let malformed =
        |error: der::Error| CardError::MalformedAnswer(format!("a certificate that is none: {error}"));
    let certificate = x509_cert::Certificate::from_der(certificate).map_err(malformed)?;
    let public_key = certificate.tbs_certificate().subject_public_key_info().to_der().map_err(malformed)?;
    SubjectPublicKeyInfoOwned::from_der(&public_key).map_err(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(certificate: &[u8], info: &[u8]) -> Vec<u8> {
        let mut contents = Vec::new();
        append(&mut contents, 0x70, certificate);
        append(&mut contents, 0x71, info);
        append(&mut contents, 0xFE, &[]);
        contents
    }

    #[test]
    fn what_is_written_reads_back() {
        let certificate = vec![0x30; 900];
        let contents = certificate_to_bytes(&certificate);
        assert_eq!(certificate_from_bytes(&contents).unwrap(), Some(certificate.clone()));
        let packed = packed_certificate_to_bytes(&certificate);
        assert!(packed.len() < contents.len());
        assert_eq!(certificate_from_bytes(&packed).unwrap(), Some(certificate));
    }

    #[test]
    fn gzip_and_zlib_are_unpacked_under_either_flag() {
        let certificate = b"a certificate that repeats itself, itself, itself".repeat(20);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&certificate).unwrap();
        let gzip = gzip.finish().unwrap();
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(&certificate).unwrap();
        let zlib = zlib.finish().unwrap();
        for packed in [gzip, zlib] {
            for flag in [0x01, 0x80] {
                let unpacked = certificate_from_bytes(&object(&packed, &[flag])).unwrap().unwrap();
                assert_eq!(unpacked, certificate);
            }
            let cut = &packed[..packed.len() / 2];
            assert!(matches!(certificate_from_bytes(&object(cut, &[1])), Err(CardError::MalformedAnswer(_))));
        }
    }

    #[test]
    fn a_certificate_that_unpacks_without_end_is_refused() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&vec![0; 1_000_000]).unwrap();
        let bomb = gzip.finish().unwrap();
        assert!(matches!(certificate_from_bytes(&object(&bomb, &[1])), Err(CardError::MalformedAnswer(_))));
    }

    #[test]
    fn odd_objects_are_read_or_refused_never_guessed() {
        assert_eq!(certificate_from_bytes(&object(&[], &[0])).unwrap(), None);
        assert_eq!(certificate_from_bytes(&[0x70, 0x01, 0x30]).unwrap(), Some(vec![0x30]));
        assert_eq!(certificate_from_bytes(&[]).unwrap(), None);
        assert!(certificate_from_bytes(&[0x70, 0x05, 0x30]).is_err());
        assert!(public_key_of_certificate(&[0x30, 0x00]).is_err());
    }
}
