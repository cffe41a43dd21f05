//! The unencrypted wrapper (ISO 32000-2 section 7.6.7).
use super::cipher::random;
use super::draft::{self, Draft};
use super::error::SealedError;
use super::page::Explanation;
use crate::documents::pdf::{Dictionary, Object};

/// The payload's name; the document's own is not for everybody.
const NAME: &str = "sealed document.pdf";
/// The value of `/AFRelationship`, and the type of the dictionary under `/EP` (sections 7.6.7 and 7.11.3).
pub(super) const ENCRYPTED_PAYLOAD: &str = "EncryptedPayload";

/// What stands before and after the payload.
pub(super) struct Wrapper {
    pub(super) before: Vec<u8>,
    pub(super) after: Vec<u8>,
}

impl Wrapper {
    pub(super) fn new(payload_length: u64, explanation: &Explanation) -> Result<Self, SealedError> {
        let mut draft = Draft::new();
        let (catalog, specification, payload) = (draft.allocate(), draft.allocate(), draft.allocate());
        let name = Object::text(NAME);
        let pages = explanation.add_to(&mut draft)?;
        let of_catalog = Dictionary::new()
            .with("Type", Object::name("Catalog"))
            .with("Pages", pages)
            .with("Collection", draft::collection(&name))
            .with("Names", draft::embedded_files(&name, specification))
            .with("AF", vec![specification.into()]);
        draft.set(catalog, of_catalog)?;
        let encrypted = Dictionary::new()
            .with("Type", Object::name(ENCRYPTED_PAYLOAD))
            .with("Subtype", Object::name("Adobe.PubSec"));
        let of_specification = Dictionary::new()
            .with("Type", Object::name("Filespec"))
            .with("F", name.clone())
            .with("UF", name)
            .with("Desc", Object::text("The document, encrypted to its readers"))
            .with("AFRelationship", Object::name(ENCRYPTED_PAYLOAD))
            .with("EP", encrypted)
            .with("EF", Dictionary::new().with("F", payload).with("UF", payload));
        draft.set(specification, of_specification)?;
        let ending = draft.end(payload, draft::embedded_file(payload_length), payload_length);
        let mut after = ending.after.clone();
        ending.trailer(catalog, random()?).write(&mut after);
        after.extend(ending.last_lines());
        Ok(Self { before: ending.before, after })
    }
}
