//! The security object: hashes of the data objects, signed (SP 800-73-5 Part 1 section 3.1.7, ICAO Doc 9303 Part 10
//! section 4.6.2.3).
//!
//! Covered are the objects that the desk writes and that are no certificates. The hash of an object is that of its
//! contents, without the tag `53` around them (of the discovery object, which has none, all of `7E`).

use const_oid::ObjectIdentifier;
use der::asn1::OctetString;
use der::{Decode, Encode, Sequence};
use middleware::piv::objects::SecurityObject;
use middleware::{DataObject, Transaction};
use spki::AlgorithmIdentifierOwned;

use super::ContentSigner;
use crate::ca::algorithm::{self, Digester};
use crate::ca::signed_data::{Certificates, Content, unverified_content, verify_for_card};
use crate::ca::{CaError, Certificate};
use crate::personalization::PersonalizationError;

/// What is covered where it is there, in the order of the data groups from 1.
const COVERED: [DataObject; 4] = [
    DataObject::CARD_CAPABILITY_CONTAINER,
    DataObject::CHUID,
    DataObject::KEY_HISTORY,
    DataObject::DISCOVERY,
];

/// id-icao-mrtd-security-ldsSecurityObject.
const LDS_SECURITY_OBJECT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.23.136.1.1.1");

/// ```text
/// LDSSecurityObject ::= SEQUENCE {
///   version LDSSecurityObjectVersion,
///   hashAlgorithm DigestAlgorithmIdentifier,
///   dataGroupHashValues SEQUENCE SIZE (2..ub-DataGroups) OF DataGroupHash }
/// ```
#[derive(Sequence)]
struct LdsSecurityObject {
    version: u8,
    hash_algorithm: AlgorithmIdentifierOwned,
    data_group_hash_values: Vec<DataGroupHash>,
}

/// ```text
/// DataGroupHash ::= SEQUENCE {
///   dataGroupNumber DataGroupNumber,
///   dataGroupHashValue OCTET STRING }
/// ```
#[derive(Sequence)]
struct DataGroupHash {
    data_group_number: u8,
    data_group_hash_value: OctetString,
}

/// The contents of the security object over what the card holds now.
///
/// # Errors
/// The card's or the signer's.
pub fn over_card(
    signer: &mut ContentSigner,
    transaction: &mut Transaction<'_>,
) -> Result<Vec<u8>, PersonalizationError> {
    Ok(signed(signer, &covered(transaction)?)?)
}

/// Whether the hashes in the card's security object are those of its data objects.
///
/// # Errors
/// The card's, or a security object that cannot be read.
pub fn fits_card(transaction: &mut Transaction<'_>) -> Result<bool, PersonalizationError> {
    let contents = transaction.read_object(DataObject::SECURITY_OBJECT)?;
    Ok(changed(&contents, &covered(transaction)?)?.is_empty())
}

/// The data objects of a card whose hash the contents of its security object does not have, and those that it lists and the
/// card does not have.
///
/// # Errors
/// It cannot be read, or lists what nobody of this desk writes.
pub fn changed(contents: &[u8], present: &[(DataObject, Vec<u8>)]) -> Result<Vec<DataObject>, CaError> {
    let object = parsed(contents)?;
    let list = LdsSecurityObject::from_der(&unverified_content(&object.signed)?)
        .map_err(|error| CaError::malformed("list of hashes", error))?;
    let digest = algorithm::digest_named(&list.hash_algorithm)?;
    let mut changed = Vec::new();
    for hash in &list.data_group_hash_values {
        let container = object.containers.iter().find(|(group, _)| *group == hash.data_group_number);
        let listed = container.and_then(|(_, container)| {
            COVERED.into_iter().find(|object| object.container() == Some(*container))
        });
        let listed = listed.ok_or_else(|| CaError::malformed("list of hashes", "an unknown data group"))?;
        let contents = present.iter().find(|(object, _)| *object == listed);
        let is_same = contents.is_some_and(|(_, contents)| {
            hash.data_group_hash_value.as_bytes() == Digester::digest(digest, contents)
        });
        if !is_same {
            changed.push(listed);
        }
    }
    let is_listed = |of: &DataObject| {
        let mut groups = object.containers.iter().filter(|(_, container)| of.container() == Some(*container));
        groups
            .any(|(group, _)| list.data_group_hash_values.iter().any(|hash| hash.data_group_number == *group))
    };
    changed.extend(present.iter().map(|(object, _)| *object).filter(|object| !is_listed(object)));
    Ok(changed)
}

/// Verifies the signature of a security object by the certificate of whoever is said to have signed it.
///
/// # Errors
/// [`CaError::NotProven`], or one that cannot be read.
pub fn verify(contents: &[u8], signer: &Certificate) -> Result<(), CaError> {
    verify_for_card(&parsed(contents)?.signed, LDS_SECURITY_OBJECT, None, signer)
}

fn parsed(contents: &[u8]) -> Result<SecurityObject, CaError> {
    SecurityObject::from_bytes(contents).map_err(|error| CaError::malformed("security object", error))
}

/// What the card has of what is covered.
pub(in crate::personalization) fn covered(
    transaction: &mut Transaction<'_>,
) -> Result<Vec<(DataObject, Vec<u8>)>, PersonalizationError> {
    let mut objects = Vec::new();
    for object in COVERED {
        if let Some(contents) = transaction.read_if_present(object)? {
            objects.push((object, contents.to_vec()));
        }
    }
    Ok(objects)
}

/// The contents of the security object over these objects.
///
/// # Errors
/// The signer's.
pub fn signed(signer: &mut ContentSigner, objects: &[(DataObject, Vec<u8>)]) -> Result<Vec<u8>, CaError> {
    let unencodable = |error: der::Error| CaError::Unsupported(format!("a security object: {error}"));
    let mut containers = Vec::new();
    let mut hashes = Vec::new();
    for (object, contents) in objects {
        let Some(container) = object.container() else { continue };
        let group = u8::try_from(containers.len() + 1).unwrap_or(u8::MAX);
        containers.push((group, container));
        hashes.push(DataGroupHash {
            data_group_number: group,
            data_group_hash_value: OctetString::new(signer.identity.digest(contents)).map_err(unencodable)?,
        });
    }
    let list = LdsSecurityObject {
        version: 0,
        hash_algorithm: signer.identity.digest_algorithm(),
        data_group_hash_values: hashes,
    };
    let content = list.to_der().map_err(unencodable)?;
    let signed = signer.identity.sign_for_card(
        signer.key.as_mut(),
        LDS_SECURITY_OBJECT,
        (&content, Content::Inside),
        // The certificate is in the CHUID.
        Certificates::Omitted,
    )?;
    Ok(SecurityObject { containers, signed }.to_bytes())
}
