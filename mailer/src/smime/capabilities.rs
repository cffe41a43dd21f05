//! SMIMECapabilities: what a mail program can read (RFC 8551 section 2.5.2), most wanted first. Ours are written into every
//! signature; those of others are obeyed, from their signatures and from their certificates (RFC 4262).
//!
//! ```text
//! SMIMECapability ::= SEQUENCE { capabilityID OBJECT IDENTIFIER, parameters ANY DEFINED BY capabilityID OPTIONAL }
//! SMIMECapabilities ::= SEQUENCE OF SMIMECapability
//! ```
use super::content_cipher::ContentEncryption;
use super::content_info::{algorithm, object_identifier};
use super::key_transport::{is_oaep_sha256, oaep_sha256_parameters};
use super::object_identifiers::{
    AES_256_WRAP, RSAES_OAEP, SMIME_CAPABILITIES, STD_DH_HKDF_SHA256, STD_DH_SHA256_KDF, STD_DH_SHA384_KDF,
};
use crate::certificate::Certificate;
use crate::certificate::tlv::{Element, Malformed, element, tag};

/// More of them than any program has, and longer.
const MOST_CAPABILITIES: usize = 128;
/// The longest SMIMECapabilities that are read, in octets.
pub const LONGEST_CAPABILITIES: usize = 4096;

/// What a correspondent's program can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    content: Vec<ContentEncryption>,
    /// RSAES-OAEP with SHA-256, the only one that we write.
    oaep: bool,
}

impl Capabilities {
    /// Reads SMIMECapabilities in DER. What we do not know is passed over.
    ///
    /// # Errors
    /// It is malformed, or longer than anybody needs; the text says which.
    pub fn from_der(der: &[u8]) -> Result<Self, String> {
        if der.len() > LONGEST_CAPABILITIES {
            return Err(format!("it has more than {LONGEST_CAPABILITIES} octets"));
        }
        Self::read(der).map_err(|problem| problem.to_string())
    }

    fn read(der: &[u8]) -> Result<Self, Malformed> {
        let mut capabilities = Self { content: Vec::new(), oaep: false };
        let mut rest = Element::only(der, tag::SEQUENCE)?.elements();
        for _ in 0..MOST_CAPABILITIES {
            let Some(capability) = rest.next()? else { return Ok(capabilities) };
            let mut fields = Element::only(capability.bytes, tag::SEQUENCE)?.elements();
            let identifier = object_identifier(fields.expect(tag::OBJECT_IDENTIFIER)?)?;
            let parameters = fields.next()?.map(|parameters| parameters.bytes).unwrap_or_default();
            fields.finish()?;
            if identifier == RSAES_OAEP {
                capabilities.oaep |= is_oaep_sha256(parameters);
            }
            capabilities.content.extend(ContentEncryption::from_identifier(identifier));
        }
        Err(Malformed::Trailing)
    }

    /// What the extension of a certificate says (RFC 4262 section 2), if it has one that can be read.
    pub fn of_certificate(certificate: &Certificate) -> Option<Self> {
        let extension =
            certificate.extensions().iter().find(|extension| extension.extn_id == SMIME_CAPABILITIES)?;
        Self::from_der(extension.extn_value.as_bytes()).ok()
    }

    /// What our own users can read.
    pub(super) fn among_ourselves() -> Self {
        Self { content: CONTENT_OF_OURS.to_vec(), oaep: true }
    }

    /// What every program reads: AES-CBC (RFC 8551 section 2.7) and RSAES-PKCS1-v1_5.
    pub(super) fn of_strangers() -> Self {
        Self { content: vec![ContentEncryption::Aes256Cbc, ContentEncryption::Aes128Cbc], oaep: false }
    }

    pub(super) fn reads(&self, content: ContentEncryption) -> bool {
        self.content.contains(&content)
    }

    pub(super) fn reads_oaep(&self) -> bool {
        self.oaep
    }
}

const CONTENT_OF_OURS: [ContentEncryption; 5] = [
    ContentEncryption::Aes256Gcm,
    ContentEncryption::Aes128Gcm,
    ContentEncryption::ChaCha20Poly1305,
    ContentEncryption::Aes256Cbc,
    ContentEncryption::Aes128Cbc,
];

/// Our capabilities, as the value of the attribute.
pub(crate) fn ours() -> der::Result<Vec<u8>> {
    let wrap = algorithm(AES_256_WRAP, &[])?;
    let mut capabilities = Vec::new();
    for content in CONTENT_OF_OURS {
        capabilities.push(algorithm(content.identifier(), &[])?);
    }
    // RFC 5753 section 6, RFC 8418 section 8.
    for agreement in [STD_DH_SHA256_KDF, STD_DH_SHA384_KDF, STD_DH_HKDF_SHA256] {
        capabilities.push(algorithm(agreement, &wrap)?);
    }
    capabilities.push(algorithm(RSAES_OAEP, &oaep_sha256_parameters()?)?);
    let parts: Vec<&[u8]> = capabilities.iter().map(Vec::as_slice).collect();
    Ok(element(tag::SEQUENCE, &parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_are_understood() {
        let capabilities = Capabilities::from_der(&ours().unwrap()).unwrap();
        assert_eq!(capabilities, Capabilities::among_ourselves());
    }

    /// RFC 3560 section 4 writes the parameters without the tags that RFC 4055 gives them; programs write either.
    #[test]
    fn oaep_is_known_in_both_forms_and_only_with_sha256() {
        let oaep = |capability: &str| {
            let der = element(tag::SEQUENCE, &[&hex::decode(capability).unwrap()]);
            Capabilities::from_der(&der).unwrap().reads_oaep()
        };
        let untagged = "303806092a864886f70d010107302b300d06096086480165030402010500301a06092a864886f70d010108\
                        300d06096086480165030402010500";
        assert!(oaep(&untagged.replace(' ', "")));
        assert!(oaep(&hex::encode(algorithm(RSAES_OAEP, &oaep_sha256_parameters().unwrap()).unwrap())));
        // The default: SHA-1.
        assert!(!oaep("300d06092a864886f70d0101073000"));
        assert!(!oaep("300b06092a864886f70d010107"));
    }

    #[test]
    fn the_unknown_is_passed_over_and_the_malformed_refused() {
        // RC2 with a key length, as old programs list it, between two that we know.
        let der =
            hex::decode("3026300b060960864801650304012a300e06082a864886f70d030202020080300706052b0e030207")
                .unwrap();
        let capabilities = Capabilities::from_der(&der).unwrap();
        assert!(capabilities.reads(ContentEncryption::Aes256Cbc));
        assert!(!capabilities.reads(ContentEncryption::Aes256Gcm));
        for malformed in [&b""[..], b"\x30\x02\x30\x00", b"\x31\x00", b"\x30\x01\x00", &der[..20]] {
            assert!(Capabilities::from_der(malformed).is_err(), "{malformed:?}");
        }
        let many = element(tag::SEQUENCE, &[&hex::decode("300706052b0e030207").unwrap().repeat(129)]);
        assert!(Capabilities::from_der(&many).is_err());
        assert!(Capabilities::from_der(&element(tag::SEQUENCE, &[&[0x05, 0x00].repeat(4000)])).is_err());
    }
}
