//! A sealed document opened with a card.
//!
//! Opened is our own wrapper, an encrypted file that holds one document (as other programs write it, with only the embedded
//! file encrypted or everything), and the same inside an unencrypted wrapper.
use std::io::{self, Read, Write};

use flate2::read::ZlibDecoder;
use zeroize::Zeroizing;

use super::authentication;
use super::cipher::{self, CHUNK};
use super::error::SealedError;
use super::file_key::{self, CODE_MAY_BE_MISSING, Unlocked};
use super::file_name::FileName;
use super::finding::{Embedded, embedded_files, filters, text};
use super::wrapper::ENCRYPTED_PAYLOAD;
use crate::content::{Content, ContentReader, Spool};
use crate::documents::pdf::{Dictionary, Document, Object, Stream};
use crate::keys::KeyRing;

/// The most octets that a packed document may unpack to.
const MOST_UNPACKED: u64 = 4 << 30;
/// The crypt filter that leaves everything as it is.
const IDENTITY: &str = "Identity";

/// What was sealed.
#[derive(Debug)]
pub struct Opened {
    /// The document, octet by octet.
    pub document: Content,
    /// Its name, made harmless.
    pub file_name: FileName,
    /// What is proven about it; who sealed it never is. The signature inside says who wrote it.
    pub integrity: Integrity,
}

/// What the encryption proves about the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integrity {
    /// It is as it was sealed; anybody may have sealed it (ISO/TS 32004).
    Authenticated,
    /// Nothing: AES-CBC alone can be changed by strangers. Believe only the signature inside.
    Unproven,
}

/// Opens a sealed document. Nothing is released before padding and authentication code are known to be right.
///
/// # Errors
/// See [`SealedError`].
pub fn open(wrapper: &Content, keys: &mut dyn KeyRing) -> Result<Opened, SealedError> {
    let outer = Document::open(wrapper)?;
    if outer.is_encrypted() {
        return open_payload(&outer, keys);
    }
    let (_, catalog) = outer.catalog()?;
    let embedded = embedded_files(&outer, &catalog)?;
    let mut payloads = embedded.iter().filter(|embedded| embedded.is_related_as(ENCRYPTED_PAYLOAD));
    let payload = payloads.next().ok_or(SealedError::NotSealed)?;
    if payloads.next().is_some() {
        return Err(SealedError::Unsupported("a file with several sealed documents".to_owned()));
    }
    let stream = payload.stream(&outer)?;
    let content = match filters(&outer, &stream)?.as_slice() {
        [] => stream.data.clone(),
        [(name, parameters)] if name == "FlateDecode" && parameters.is_empty() => {
            unpack(&stream.data, MOST_UNPACKED)?
        }
        _ => return Err(SealedError::Unsupported("the filter of the payload".to_owned())),
    };
    let payload = Document::open(&content)?;
    if payload.is_encrypted() { open_payload(&payload, keys) } else { Err(SealedError::NotSealed) }
}

/// Whether a document is but the wrapper of a sealed one.
pub fn is_wrapper(document: &Document) -> bool {
    let embedded = document.catalog().map(|(_, catalog)| embedded_files(document, &catalog));
    matches!(embedded, Ok(Ok(embedded)) if embedded.iter().any(|file| file.is_related_as(ENCRYPTED_PAYLOAD)))
}

fn open_payload(file: &Document, keys: &mut dyn KeyRing) -> Result<Opened, SealedError> {
    let mut encryption = Encryption::read(file, keys)?;
    let (_, catalog) = file.catalog()?;
    let embedded = embedded_files(file, &catalog)?;
    if embedded.is_empty() {
        return Err(SealedError::NotSealed);
    }
    // The code first: nothing is decrypted of a file that was changed.
    let is_authenticated = encryption.authenticate(file)?;
    let meant = encryption.meant(file, &catalog, &embedded)?;
    let stream = meant.stream(file)?;
    let mut filters = filters(file, &stream)?;
    let filter = match filters.first() {
        Some((name, parameters)) if name == "Crypt" => {
            let filter = parameters.name("Name").map_or_else(|| IDENTITY.to_owned(), |name| name.text());
            filters.remove(0);
            filter
        }
        _ => encryption.of_files.clone(),
    };
    let unlocked = encryption.unlocked(&filter)?.ok_or(SealedError::NotSealed)?;
    let must_have_code = unlocked.permissions.is_some_and(|bits| bits & CODE_MAY_BE_MISSING == 0);
    if must_have_code && !is_authenticated {
        return Err(SealedError::CodeMissing);
    }
    let decrypted = cipher::decrypt(&unlocked.key, &stream.data)?;
    let said = said_length(file, &stream)?;
    let document = match filters.as_slice() {
        [] => decrypted,
        [(name, parameters)] if name == "FlateDecode" && parameters.is_empty() => {
            unpack(&decrypted, said.unwrap_or(MOST_UNPACKED).min(MOST_UNPACKED))?
        }
        _ => return Err(SealedError::Unsupported("a filter of the document".to_owned())),
    };
    if said.is_some_and(|said| said != document.len()) {
        return Err(SealedError::Damaged);
    }
    let name = encryption.name(file, &meant.specification)?;
    let integrity = if is_authenticated { Integrity::Authenticated } else { Integrity::Unproven };
    Ok(Opened { document, file_name: FileName::from_stranger(&name), integrity })
}

/// The encryption dictionary (Tables 20 and 23), and what the card gave for its crypt filters.
struct Encryption<'k> {
    dictionary: Dictionary,
    crypt_filters: Dictionary,
    of_streams: String,
    of_strings: String,
    of_files: String,
    keys: &'k mut dyn KeyRing,
    known: Vec<(String, Unlocked)>,
}

impl<'k> Encryption<'k> {
    fn read(file: &Document, keys: &'k mut dyn KeyRing) -> Result<Self, SealedError> {
        let reference = file.trailer().get("Encrypt").unwrap_or(&Object::Null);
        let Object::Dictionary(dictionary) = file.resolve(reference)? else {
            return Err(SealedError::Malformed("its encryption dictionary (/Encrypt)".to_owned()));
        };
        let name = |key: &str| dictionary.name(key).map(|name| name.text()).unwrap_or_default();
        match (
            name("Filter").as_str(),
            name("SubFilter").as_str(),
            dictionary.get("V").and_then(Object::as_integer),
        ) {
            ("Adobe.PubSec", "adbe.pkcs7.s5", Some(5)) => {}
            ("Adobe.PubSec", _, _) => {
                return Err(SealedError::Unsupported(
                    "encryption to certificates older than AES-256".to_owned(),
                ));
            }
            ("Standard", _, _) => {
                return Err(SealedError::Unsupported("encryption with a password".to_owned()));
            }
            _ => return Err(SealedError::Unsupported("the security handler of the file".to_owned())),
        }
        let Some(Object::Dictionary(crypt_filters)) = file.get(&dictionary, "CF")? else {
            return Err(SealedError::Malformed("it has no crypt filters (/CF)".to_owned()));
        };
        let or = |key: &str, other: &str| {
            dictionary.name(key).map_or_else(|| other.to_owned(), |name| name.text())
        };
        let (of_streams, of_strings) = (or("StmF", IDENTITY), or("StrF", IDENTITY));
        let of_files = or("EFF", &of_streams);
        Ok(Self { crypt_filters, of_streams, of_strings, of_files, dictionary, keys, known: Vec::new() })
    }

    /// Asks the card, once for each crypt filter; `None` for the one that does nothing.
    fn unlocked(&mut self, name: &str) -> Result<Option<Unlocked>, SealedError> {
        if name == IDENTITY {
            return Ok(None);
        }
        if let Some((_, unlocked)) = self.known.iter().find(|(known, _)| known == name) {
            return Ok(Some(unlocked.clone()));
        }
        let Some(Object::Dictionary(filter)) = self.crypt_filters.get(name) else {
            return Err(SealedError::Malformed("a crypt filter that is not there".to_owned()));
        };
        if !filter.name("CFM").is_some_and(|method| method.is("AESV3")) {
            return Err(SealedError::Unsupported("a cipher other than AES-256-CBC (AESV3)".to_owned()));
        }
        let is_default = name == self.of_streams || name == self.of_strings;
        let unlocked = file_key::unlock(filter, is_default, self.keys)?;
        self.known.push((name.to_owned(), unlocked.clone()));
        Ok(Some(unlocked))
    }

    /// Checks the authentication code, if there is one.
    fn authenticate(&mut self, file: &Document) -> Result<bool, SealedError> {
        if !authentication::has_code(file) {
            return Ok(false);
        }
        let of_streams = self.of_streams.clone();
        let Some(unlocked) = self.unlocked(&of_streams)? else {
            return Err(SealedError::Unsupported(
                "an authentication code without a key of the file".to_owned(),
            ));
        };
        authentication::check(file, &self.dictionary, &unlocked.key)?;
        Ok(true)
    }

    /// A string of the file as it was before it was encrypted.
    fn string(&mut self, octets: &[u8]) -> Result<Vec<u8>, SealedError> {
        let of_strings = self.of_strings.clone();
        match self.unlocked(&of_strings)? {
            None => Ok(octets.to_vec()),
            Some(unlocked) => cipher::decrypt_string(&unlocked.key, octets),
        }
    }

    /// The document that a reader would open at once; the only one where nothing is said.
    fn meant<'e>(
        &mut self,
        file: &Document,
        catalog: &Dictionary,
        embedded: &'e [Embedded],
    ) -> Result<&'e Embedded, SealedError> {
        if let [only] = embedded {
            return Ok(only);
        }
        let several = || SealedError::Unsupported("a file with several documents".to_owned());
        let Some(Object::Dictionary(collection)) = file.get(catalog, "Collection")? else {
            return Err(several());
        };
        let Some(Object::String(initial)) = file.get(&collection, "D")? else { return Err(several()) };
        let initial = self.string(&initial)?;
        for embedded in embedded {
            if self.string(&embedded.key)? == initial {
                return Ok(embedded);
            }
        }
        Err(several())
    }

    fn name(&mut self, file: &Document, specification: &Dictionary) -> Result<String, SealedError> {
        for key in ["UF", "F"] {
            if let Some(Object::String(octets)) = file.get(specification, key)? {
                return Ok(text(&self.string(&octets)?));
            }
        }
        Ok(String::new())
    }
}

/// `/Params/Size`.
fn said_length(file: &Document, stream: &Stream) -> Result<Option<u64>, SealedError> {
    let Some(Object::Dictionary(parameters)) = file.get(&stream.dictionary, "Params")? else {
        return Ok(None);
    };
    let size = file.get(&parameters, "Size")?;
    Ok(size.and_then(|size| size.as_integer()).and_then(|size| u64::try_from(size).ok()))
}

/// FlateDecode without a predictor; everything that is there must belong to it.
fn unpack(packed: &Content, most: u64) -> Result<Content, SealedError> {
    let mut decoder = ZlibDecoder::new(packed.reader());
    let mut spool = Spool::new();
    let mut buffer = Zeroizing::new(vec![0; CHUNK]);
    let mut length = 0;
    loop {
        let read = match decoder.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if is_damage(&error) => return Err(SealedError::Damaged),
            Err(error) => return Err(error.into()),
        };
        length += read as u64;
        if length > most {
            return Err(if most == MOST_UNPACKED {
                SealedError::TooLarge(most)
            } else {
                SealedError::Damaged
            });
        }
        spool.write_all(buffer.get(..read).unwrap_or_default())?;
    }
    let _: ContentReader<'_> = decoder.into_inner();
    Ok(spool.finish()?)
}

fn is_damage(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
    )
}
