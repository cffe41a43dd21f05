//! The signed list of classes: CMS SignedData (RFC 5652) with JSON inside, by a key that is for documents (RFC 9336).
//!
//! ```json
//! { "version": 1, "number": 7, "organization": "Example",
//!   "issued": "2026-11-30T06:28:00Z", "expires": "2026-12-30T06:28:00Z",
//!   "classes": [
//!     { "name": "board", "description": "Members of the board", "policy": "1.3.6.1.4.1.32473.1.6",
//!       "members": [ { "address": "alice@example.org", "clearance": 3 } ] } ] }
//! ```
use std::collections::HashSet;
use std::path::{Path, PathBuf};

use const_oid::ObjectIdentifier;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::ReadersError;
use crate::certificate::Certificate;
use crate::content::Content;
use crate::durable_file::{create_private_folder, replace};
use crate::message::address::Address;
use crate::message::terminal_text::{is_invisible, is_steering, safe_line};
use crate::smime::{self, SecurityClassification, SignerReport, VerifyError};
use crate::trust::{CertificateList, Enclosed, Judge};

/// The most octets of a list.
pub const LARGEST_LIST: u64 = 16 << 20;
const MOST_CLASSES: usize = 10_000;
const MOST_MEMBERS: usize = 100_000;
const LONGEST_NAME: usize = 64;
const LONGEST_DESCRIPTION: usize = 200;
/// How far ahead the issuer's clock may be.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);
/// RFC 9336.
const DOCUMENT_SIGNING: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.36");

/// A list that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassList {
    /// Grows with every list.
    pub number: u64,
    /// Whose classes they are.
    pub organization: String,
    /// When it was made.
    pub issued: Timestamp,
    /// Until when it counts.
    pub expires: Timestamp,
    /// The classes.
    pub classes: Vec<ReaderClass>,
}

/// A class and who is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReaderClass {
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: String,
    /// The security policy that says what the members' clearances mean.
    pub policy: Option<ObjectIdentifier>,
    /// Everybody once.
    pub members: Vec<Member>,
}

/// Somebody in a class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Where mail reaches them.
    pub address: Address,
    /// The highest classification of the class's policy that they may read.
    pub clearance: Option<SecurityClassification>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    version: u64,
    number: u64,
    organization: String,
    issued: Timestamp,
    expires: Timestamp,
    classes: Vec<WrittenClass>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenClass {
    name: String,
    description: String,
    policy: Option<String>,
    members: Vec<WrittenMember>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMember {
    address: String,
    clearance: Option<u16>,
}

impl ClassList {
    /// Reads a list and judges who signed it. The judge's anchors are those that may speak for the user's own organisation.
    ///
    /// # Errors
    /// See [`ReadersError`].
    pub fn judged(octets: &[u8], judge: &mut Judge<'_>) -> Result<Self, ReadersError> {
        let (signer, content, enclosed) = signed(octets)?;
        let signature = match &signer.outcome {
            Ok(signature) => signature,
            Err(fault) if fault.breaks_integrity() => return Err(ReadersError::Tampered),
            Err(fault) => return Err(ReadersError::Untrusted(fault.to_string())),
        };
        if !is_for_lists(&signature.certificate) {
            return Err(ReadersError::WrongSigner(safe_line(&signature.certificate.subject())));
        }
        let found = judge.document_signature(signature, &enclosed);
        if !found.verdict.is_trusted() || found.as_of.is_some() {
            return Err(ReadersError::Untrusted(safe_line(&found.verdict.to_string())));
        }
        let list = Self::from_json(&content)?;
        if list.expires <= judge.at {
            return Err(ReadersError::Expired(list.expires));
        }
        if list.issued > judge.at.saturating_add(CLOCK_TOLERANCE).unwrap_or(judge.at) {
            return Err(ReadersError::FromTheFuture(list.issued));
        }
        Ok(list)
    }

    /// Reads what is signed; nothing is said about who did.
    ///
    /// # Errors
    /// [`ReadersError::Malformed`].
    pub fn from_json(json: &[u8]) -> Result<Self, ReadersError> {
        let malformed = |problem: String| ReadersError::Malformed(safe_line(&problem));
        let written: Written = serde_json::from_slice(json).map_err(|error| malformed(error.to_string()))?;
        if written.version != 1 {
            return Err(malformed(format!("its version is {}, and only 1 is known", written.version)));
        }
        if written.classes.len() > MOST_CLASSES {
            return Err(malformed(format!("it has more than {MOST_CLASSES} classes")));
        }
        if written.classes.iter().map(|class| class.members.len()).sum::<usize>() > MOST_MEMBERS {
            return Err(malformed(format!("it has more than {MOST_MEMBERS} members")));
        }
        let classes = written.classes.into_iter().map(ReaderClass::read);
        let classes = classes.collect::<Result<Vec<_>, String>>().map_err(malformed)?;
        let names: HashSet<&str> = classes.iter().map(|class| class.name.as_str()).collect();
        if names.len() != classes.len() {
            return Err(malformed("two classes have one name".to_owned()));
        }
        let Written { number, organization, issued, expires, .. } = written;
        Ok(Self { number, organization: safe_line(&organization), issued, expires, classes })
    }

    /// The class of that name.
    ///
    /// # Errors
    /// There is none, or nobody is in it.
    pub fn class(&self, name: &str) -> Result<&ReaderClass, ReadersError> {
        match self.classes.iter().find(|class| class.name == name) {
            Some(class) if class.members.is_empty() => Err(ReadersError::Empty(name.to_owned())),
            Some(class) => Ok(class),
            None => Err(ReadersError::UnknownClass {
                name: name.to_owned(),
                known: self.classes.iter().map(|class| class.name.clone()).collect(),
            }),
        }
    }

    /// The highest clearance that an address has for a policy.
    pub fn clearance(&self, address: &Address, policy: ObjectIdentifier) -> Option<SecurityClassification> {
        let key = address.key();
        let classes = self.classes.iter().filter(|class| class.policy == Some(policy));
        let members = classes.flat_map(|class| &class.members);
        members.filter(|member| member.address.key() == key).filter_map(|member| member.clearance).max()
    }
}

impl ReaderClass {
    fn read(written: WrittenClass) -> Result<Self, String> {
        let name = written.name;
        let is_seen =
            |text: &str| !text.chars().any(|character| is_steering(character) || is_invisible(character));
        let length = name.chars().count();
        if length == 0 || length > LONGEST_NAME || !is_seen(&name) || name.trim() != name {
            return Err(format!("{name:?} is not the name of a class"));
        }
        let about = |problem: &str| format!("class {name:?}: {problem}");
        if written.description.chars().count() > LONGEST_DESCRIPTION || !is_seen(&written.description) {
            return Err(about("its description is too long, or hides something"));
        }
        let policy = written.policy.as_deref().map(ObjectIdentifier::new).transpose();
        let policy = policy.map_err(|_| about("its policy is no object identifier"))?;
        let mut known = HashSet::new();
        let mut members = Vec::with_capacity(written.members.len());
        for member in written.members {
            let address: Address = member.address.parse().map_err(|_| about("a member's address is none"))?;
            if !known.insert(address.key()) {
                return Err(about("somebody stands in it twice"));
            }
            let clearance = match member.clearance {
                None => None,
                Some(number @ 0..=5) => SecurityClassification::from_number(number),
                Some(_) => return Err(about("a clearance is not one of 0 to 5")),
            };
            members.push(Member { address, clearance });
        }
        Ok(Self { name, description: written.description, policy, members })
    }
}

/// The one signer, what is signed, and what came along.
fn signed(octets: &[u8]) -> Result<(SignerReport, Vec<u8>, Enclosed), ReadersError> {
    let malformed = |problem: &str| ReadersError::Malformed(problem.to_owned());
    if octets.len() as u64 > LARGEST_LIST {
        return Err(malformed("it is too large"));
    }
    let mut message = smime::verify(&Content::from_vec(octets.to_vec()), None, &[]).map_err(|error| {
        ReadersError::Malformed(match error {
            VerifyError::Io(problem) => format!("it cannot be kept while it is read ({problem})"),
            other => safe_line(&other.to_string()),
        })
    })?;
    let content = message.content.take().ok_or_else(|| malformed("it signs nothing inside"))?;
    let most = usize::try_from(LARGEST_LIST).unwrap_or(usize::MAX);
    let content =
        content.to_vec(most).ok().flatten().ok_or_else(|| malformed("it cannot be kept while it is read"))?;
    let signer = match (message.signers.pop(), message.signers.is_empty()) {
        (Some(signer), true) => signer,
        _ => return Err(malformed("it must have one signer")),
    };
    let lists = message.revocation_lists.iter().filter_map(|der| CertificateList::from_der(der).ok());
    let enclosed =
        Enclosed { lists: lists.collect(), certificates: message.certificates, answers: Vec::new() };
    Ok((signer, content.to_vec(), enclosed))
}

/// Whether a certificate is for documents and nothing else: whoever may sign mail may not say who reads.
fn is_for_lists(certificate: &Certificate) -> bool {
    certificate.extended_key_usages().ok().flatten().is_some_and(|usages| usages == [DOCUMENT_SIGNING])
}

/// What is remembered of lists, so that nobody brings an older one back.
#[derive(Debug)]
pub struct NewestList {
    folder: PathBuf,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    number: u64,
}

impl NewestList {
    /// Remembers in this folder, which is made when there is something to remember.
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Takes a judged list, unless a newer one was seen before.
    ///
    /// # Errors
    /// [`ReadersError::Older`]; what is remembered cannot be read or written.
    pub fn accept(&self, list: &ClassList, octets: &[u8]) -> Result<(), ReadersError> {
        let seen = self.number()?;
        let number = list.number;
        match seen {
            Some(seen) if number < seen => return Err(ReadersError::Older { number, seen }),
            Some(seen) if number == seen && self.kept()?.is_some_and(|kept| kept == octets) => return Ok(()),
            _ => {}
        }
        let json = serde_json::to_vec(&Seen { number }).map_err(|error| self.storage(&error.to_string()))?;
        let written = create_private_folder(&self.folder)
            .and_then(|()| replace(&self.copy(), octets))
            .and_then(|()| replace(&self.number_file(), &json));
        written.map_err(|problem| self.storage(&problem.to_string()))
    }

    /// The last list that was accepted, for when the directory cannot be asked; it is judged anew.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn kept(&self) -> Result<Option<Vec<u8>>, ReadersError> {
        self.read(&self.copy())
    }

    fn number(&self) -> Result<Option<u64>, ReadersError> {
        let Some(json) = self.read(&self.number_file())? else { return Ok(None) };
        let seen: Seen = serde_json::from_slice(&json).map_err(|error| self.storage(&error.to_string()))?;
        Ok(Some(seen.number))
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, ReadersError> {
        match std::fs::read(path) {
            Ok(octets) => Ok(Some(octets)),
            Err(problem) if problem.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(problem) => Err(self.storage(&problem.to_string())),
        }
    }

    fn copy(&self) -> PathBuf {
        self.folder.join("classes.p7m")
    }

    fn number_file(&self) -> PathBuf {
        self.folder.join("newest.json")
    }

    fn storage(&self, problem: &str) -> ReadersError {
        ReadersError::Storage { path: self.folder.display().to_string(), problem: problem.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(classes: &str) -> String {
        format!(
            r#"{{"version":1,"number":7,"organization":"Example","issued":"2026-05-01T00:00:00Z","expires":"2026-07-01T00:00:00Z","classes":[{classes}]}}"#
        )
    }

    const BOARD: &str = r#"{"name":"board","description":"Members","policy":"1.2.3.4","members":[{"address":"Alice@x.test","clearance":3},{"address":"bob@x.test","clearance":null}]}"#;

    #[test]
    fn lists_are_read_and_name_everybody_once() {
        let list = ClassList::from_json(json(BOARD).as_bytes()).unwrap();
        let policy = ObjectIdentifier::new_unwrap("1.2.3.4");
        let alice: Address = "alice@x.test".parse().unwrap();
        assert_eq!(list.clearance(&alice, policy), Some(SecurityClassification::CONFIDENTIAL));
        assert_eq!(list.clearance(&alice, ObjectIdentifier::new_unwrap("1.2.3.5")), None);
        assert_eq!(list.clearance(&"bob@x.test".parse().unwrap(), policy), None);
        assert_eq!(list.class("board").unwrap().members.len(), 2);
        assert!(list.class("Board").unwrap_err().to_string().contains("there are: board"));
    }

    #[test]
    fn anything_else_is_refused() {
        let good = json(BOARD);
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"number\":7,", "\"number\":7,\"extra\":1,"),
            ("\"number\":7", "\"number\":-7"),
            ("\"number\":7,", "\"number\":7,\"number\":8,"),
            ("\"name\":\"board\"", "\"name\":\"\""),
            ("\"name\":\"board\"", "\"name\":\"bo\\u202eard\""),
            ("\"name\":\"board\"", "\"name\":\" board\""),
            ("1.2.3.4", "9.9"),
            ("\"clearance\":3", "\"clearance\":6"),
            ("bob@x.test", "alice@X.test"),
            ("bob@x.test", "bob"),
            ("2026-05-01T00:00:00Z", "yesterday"),
            ("\"description\":\"Members\",", ""),
        ] {
            let changed = good.replacen(from, to, 1);
            assert_ne!(changed, good, "{from}");
            let refused = ClassList::from_json(changed.as_bytes()).unwrap_err();
            assert_eq!(refused.code(), "class-list-malformed", "{to}: {refused}");
        }
        let twice = json(&format!("{BOARD},{BOARD}"));
        assert!(ClassList::from_json(twice.as_bytes()).is_err());
        assert!(ClassList::from_json(format!("{good} x").as_bytes()).is_err());
    }

    #[test]
    fn an_older_list_never_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let newest = NewestList::new(&folder.path().join("classes"));
        let list = |number| ClassList { number, ..ClassList::from_json(json(BOARD).as_bytes()).unwrap() };
        assert_eq!(newest.kept().unwrap(), None);
        newest.accept(&list(7), b"seven").unwrap();
        newest.accept(&list(7), b"seven").unwrap();
        newest.accept(&list(9), b"nine").unwrap();
        assert_eq!(newest.accept(&list(8), b"eight").unwrap_err().code(), "class-list-older");
        assert_eq!(newest.kept().unwrap().unwrap(), b"nine");
        std::fs::write(folder.path().join("classes/newest.json"), "x").unwrap();
        assert_eq!(newest.accept(&list(10), b"ten").unwrap_err().code(), "class-list-storage");
    }
}
