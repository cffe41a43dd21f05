//! The payload: a PDF file encrypted to certificates that holds the document (ISO 32000-2 section 7.6.5, ISO/TS 32004).
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::authentication::{self, CodeKey, SALT};
use super::cipher::{self, CHUNK, VECTOR, encrypt_strings, random};
use super::draft::{self, Draft};
use super::error::SealedError;
use super::file_key::{self, FileKey};
use super::file_name::FileName;
use super::page;
use crate::content::Content;
use crate::documents::pdf::{Dictionary, Object};
use crate::smime::Recipient;

/// The crypt filter's name, as ISO 32000-2 section 7.6.5.1 gives it.
const FILTER: &str = "DefaultCryptFilter";
/// For readers that know the encryption, but not how to open the document at once.
const PAGE: [&str; 2] = ["The document is attached to this page", "Open it from the list of attachments."];
/// Octets that `/ByteRange` takes: four numbers of 64 bits, and what is around them.
const BYTE_RANGE: usize = 96;

/// The payload as it will be written.
pub(super) struct Payload {
    key: FileKey,
    vector: [u8; VECTOR],
    document: Content,
    code_key: CodeKey,
    /// Before the encrypted document.
    before: Vec<u8>,
    /// From there to the authentication code.
    between: Vec<u8>,
    /// After the authentication code.
    after: Vec<u8>,
}

impl Payload {
    pub(super) fn new(
        document: &Content,
        name: &FileName,
        recipients: &[Recipient],
    ) -> Result<Self, SealedError> {
        let (key, envelopes) = file_key::generate(recipients)?;
        let salt = random::<SALT>()?;
        let code_key = CodeKey::generate(&key, &salt)?;
        let mut draft = Draft::new();
        let [catalog, specification, encryption, file] = std::array::from_fn(|_| draft.allocate());
        let (resources, content) = page::helvetica(&PAGE);
        let pages = page::add_page(&mut draft, resources, cipher::encrypt(&key, &content)?)?;
        let text = Object::text(name.as_str());
        // ISO/TS 32004 section 4: the extension is named, and may stand beside others.
        let extension = Dictionary::new()
            .with("Type", Object::name("DeveloperExtensions"))
            .with("BaseVersion", Object::name("2.0"))
            .with("ExtensionLevel", 32004_i64)
            .with("ExtensionRevision", Object::text(":2024"));
        let of_catalog = Dictionary::new()
            .with("Type", Object::name("Catalog"))
            .with("Pages", pages)
            .with("Collection", draft::collection(&text))
            .with("Names", draft::embedded_files(&text, specification))
            .with("Extensions", Dictionary::new().with("ISO_", vec![extension.into()]));
        draft.set(catalog, encrypt_strings(&key, of_catalog.into())?)?;
        let of_specification = Dictionary::new()
            .with("Type", Object::name("Filespec"))
            .with("F", text.clone())
            .with("UF", text)
            .with("EF", Dictionary::new().with("F", file).with("UF", file));
        draft.set(specification, encrypt_strings(&key, of_specification.into())?)?;
        draft.set(encryption, encryption_dictionary(envelopes, &salt))?;
        let length = cipher::encrypted_length(document.len());
        let ending = draft.end(file, draft::embedded_file(document.len()), length);
        let trailer = ending.trailer(catalog, random()?).with("Encrypt", encryption);
        let mut between = ending.after.clone();
        between.extend(b"<</AuthCode <</MACLocation /Standalone/MAC ");
        let mut after = b"/ByteRange ".to_vec();
        let code_at = ending.before.len() as u64 + length + between.len() as u64;
        let mut rest = b">>".to_vec();
        let mut written = Vec::new();
        trailer.write(&mut written);
        rest.extend(written.get(2..).unwrap_or_default());
        rest.extend(ending.last_lines());
        let code_end = code_at + authentication::CODE_IN_HEXADECIMAL as u64;
        let last = (after.len() + BYTE_RANGE + rest.len()) as u64;
        let range = format!("[0 {code_at} {code_end} {last}]");
        after.extend(format!("{range:<BYTE_RANGE$}").into_bytes());
        after.extend(rest);
        Ok(Self {
            key,
            vector: random()?,
            document: document.clone(),
            code_key,
            before: ending.before,
            between,
            after,
        })
    }

    /// How many octets [`Self::write_to`] writes.
    pub(super) fn len(&self) -> u64 {
        let known =
            self.before.len() + self.between.len() + authentication::CODE_IN_HEXADECIMAL + self.after.len();
        known as u64 + cipher::encrypted_length(self.document.len())
    }

    /// Encrypts in one pass; the authentication code stands after everything that is long.
    pub(super) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut sealing = cipher::sealing(&self.key, &self.vector).map_err(io::Error::other)?;
        let mut hashed = Hashed { out, hash: Sha256::new() };
        hashed.write_all(&self.before)?;
        hashed.write_all(&self.vector)?;
        let mut buffer = Zeroizing::new(vec![0; CHUNK]);
        let mut encrypted = Vec::with_capacity(CHUNK + VECTOR);
        let mut reader = self.document.reader();
        loop {
            let read = reader.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            let plain = buffer.get(..read).unwrap_or_default();
            sealing
                .update(plain, &mut encrypted)
                .map_err(|_| io::Error::other("the document is too long"))?;
            hashed.write_all(&encrypted)?;
            encrypted.clear();
        }
        sealing.finish(&mut encrypted);
        hashed.write_all(&encrypted)?;
        hashed.write_all(&self.between)?;
        let Hashed { out, mut hash } = hashed;
        hash.update(&self.after);
        let code = self.code_key.code(&hash.finalize()).map_err(io::Error::other)?;
        out.write_all(&code)?;
        out.write_all(&self.after)
    }
}

/// Table 20 and Table 23; its strings are not encrypted.
fn encryption_dictionary(envelopes: Vec<Vec<u8>>, salt: &[u8]) -> Dictionary {
    let recipients: Vec<Object> = envelopes.into_iter().map(Object::String).collect();
    let filter = Dictionary::new()
        .with("Type", Object::name("CryptFilter"))
        .with("CFM", Object::name("AESV3"))
        .with("AuthEvent", Object::name("DocOpen"))
        .with("Length", 256_i64)
        .with("EncryptMetadata", true)
        .with("Recipients", recipients);
    Dictionary::new()
        .with("Filter", Object::name("Adobe.PubSec"))
        .with("SubFilter", Object::name("adbe.pkcs7.s5"))
        .with("V", 5_i64)
        .with("Length", 256_i64)
        .with("KDFSalt", Object::String(salt.to_vec()))
        .with("StmF", Object::name(FILTER))
        .with("StrF", Object::name(FILTER))
        .with("CF", Dictionary::new().with(FILTER, filter))
}

/// Hands on and hashes.
struct Hashed<'a> {
    out: &'a mut dyn Write,
    hash: Sha256,
}

impl Write for Hashed<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.out.write_all(octets)?;
        self.hash.update(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
