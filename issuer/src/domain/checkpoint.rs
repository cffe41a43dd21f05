//! What is signed about the log in the transaction of its newest events, so that it can be kept elsewhere.
//!
//! ```text
//! issuer checkpoint
//! log <key identifier of the root certificate, hex>
//! size <number of the last event>
//! hash <its hash, hex>
//! batch <SHA-256 of the list of hashes since the checkpoint before, hex>
//! previous <SHA-256 of the document before, hex; 64 zeros for the first>
//! time <when the last event happened, RFC 3339>
//! crls <authority>=<highest CRL number>,... or -
//! key <SHA-256 of the signer's SubjectPublicKeyInfo, hex>
//!
//! <signature, base64 on one line>
//! ```
//!
//! Each line ends with a line feed; the signature is about the lines before the empty one (ECDSA with SHA-256, DER). The list
//! behind `batch` has a line for each event: its hash in lower-case hex and a line feed. So whoever is shown one event and
//! that list sees that the event is part of the log, and learns nothing of the others; and `previous` ties the
//! checkpoints to each other. `head`, `sha256sum` and `openssl dgst` check all of it.

pub mod witness;

use std::collections::BTreeMap;
use std::fmt;

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::audit::{ChainEnd, ChainHash};

/// The name of a key that signs checkpoints: the SHA-256 of its SubjectPublicKeyInfo.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditKeyId(String);

impl AuditKeyId {
    /// Of this SubjectPublicKeyInfo, DER.
    pub fn of(public_key: &[u8]) -> Self {
        Self(hex::encode(Sha256::digest(public_key)))
    }

    fn parse(text: &str) -> Option<Self> {
        is_digest(text).then(|| Self(text.to_owned()))
    }

    /// 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AuditKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Whose log: the root certificate's key identifier, hex.
    pub log: String,
    /// Where the log ended.
    pub end: ChainEnd,
    /// See [`Batch`].
    pub batch: ChainHash,
    /// The digest of the document before.
    pub previous: ChainHash,
    /// When the last event happened.
    pub at: Timestamp,
    /// The highest CRL number of each authority that has any.
    pub crls: BTreeMap<String, u64>,
    /// Who signs.
    pub key: AuditKeyId,
}

impl Checkpoint {
    /// What is signed.
    pub fn text(&self) -> String {
        let Self { log, end, batch, previous, at, crls, key } = self;
        let crls = match crls.is_empty() {
            true => "-".to_owned(),
            false => {
                crls.iter().map(|(name, number)| format!("{name}={number}")).collect::<Vec<_>>().join(",")
            }
        };
        let ChainEnd { sequence, hash } = end;
        format!(
            "issuer checkpoint\nlog {log}\nsize {sequence}\nhash {hash}\nbatch {batch}\nprevious {previous}\ntime {at}\ncrls {crls}\nkey {key}\n"
        )
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next() != Some("issuer checkpoint") {
            return None;
        }
        let mut field = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ').map(str::to_owned);
        let checkpoint = Self {
            log: field("log")?,
            end: ChainEnd { sequence: field("size")?.parse().ok()?, hash: digest(&field("hash")?)? },
            batch: digest(&field("batch")?)?,
            previous: digest(&field("previous")?)?,
            at: field("time")?.parse().ok()?,
            crls: crl_numbers(&field("crls")?)?,
            key: AuditKeyId::parse(&field("key")?)?,
        };
        // Only one text says this.
        (checkpoint.text() == text).then_some(checkpoint)
    }
}

fn crl_numbers(text: &str) -> Option<BTreeMap<String, u64>> {
    if text == "-" {
        return Some(BTreeMap::new());
    }
    text.split(',')
        .map(|pair| {
            let (name, number) = pair.split_once('=')?;
            Some((name.to_owned(), number.parse().ok()?))
        })
        .collect()
}

/// What is wrong with the checkpoints that stand beside a log; the number is that of the last event they are about.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointFault {
    /// It is about another history.
    #[error(
        "the checkpoint of event {0} is not about this log: the log was written anew since it was signed"
    )]
    OtherHistory(u64),
    /// It does not follow the one before.
    #[error(
        "the checkpoint of event {0} does not follow the one before it: a checkpoint was taken out, put in or changed"
    )]
    NotLinked(u64),
    /// Its signature is not that of a key of this log.
    #[error("the checkpoint of event {0} is not signed by the audit key")]
    NotSigned(u64),
    /// One that is about events of several changes, each of which had one of its own.
    #[error(
        "checkpoints of the events {first} to {last} were taken out: the one of event {covers} is about several changes, and every change gets its own"
    )]
    TakenOut {
        /// The first event whose change has none.
        first: u64,
        /// The last.
        last: u64,
        /// The event that the one is of that covers them now.
        covers: u64,
    },
    /// Events that no checkpoint is about.
    #[error(
        "no checkpoint is about the events after {covered}, up to {end}: they were written past this program, or checkpoints were taken out"
    )]
    Uncovered {
        /// The last event that a checkpoint is about.
        covered: u64,
        /// The last event.
        end: u64,
    },
    /// An event that lets somebody in, and that nobody signed.
    #[error(
        "event {0}, which is about who may do what, is covered by no checkpoint: it was put into the log past this program, or its checkpoint was taken out"
    )]
    UnsignedAuthority(u64),
    /// Until there others were let in than was seen before.
    #[error(
        "who may do what, up to event {0}, is not what this home has seen: an older copy of the registry was put back, or its log was written anew; whoever put one back knowingly takes log.checked out of the home"
    )]
    OtherAuthority(u64),
}

/// A checkpoint with its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedCheckpoint {
    /// What is said.
    pub checkpoint: Checkpoint,
    /// The signature over [`Checkpoint::text`].
    pub signature: Vec<u8>,
}

/// What is no checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not a checkpoint of an issuer's log")]
pub struct MalformedCheckpoint;

impl SignedCheckpoint {
    /// With what every document begins.
    pub const BEGIN: &str = "issuer checkpoint\n";

    /// Reads one document.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(document: &str) -> Result<Self, MalformedCheckpoint> {
        let read = || {
            let (text, signature) = document.split_once("\n\n")?;
            let checkpoint = Checkpoint::parse(&format!("{text}\n"))?;
            let signature = Base64::decode_vec(signature.strip_suffix('\n')?).ok()?;
            Some(Self { checkpoint, signature })
        };
        read().filter(|read| read.document() == document).ok_or(MalformedCheckpoint)
    }

    /// Reads documents that stand one after the other, a witness file; answers also the length of those that are whole.
    /// What a crash cut off at its end is no document, and no error.
    ///
    /// # Errors
    /// Something else anywhere.
    pub fn parse_all(text: &str) -> Result<(Vec<Self>, usize), MalformedCheckpoint> {
        let (mut found, mut rest) = (Vec::new(), text);
        while let Some(length) = document_length(rest) {
            let (document, after) = rest.split_at_checked(length).ok_or(MalformedCheckpoint)?;
            found.push(Self::parse(document)?);
            rest = after;
        }
        if rest.starts_with(Self::BEGIN) || Self::BEGIN.starts_with(rest) {
            return Ok((found, text.len() - rest.len()));
        }
        Err(MalformedCheckpoint)
    }

    /// The documents that can be read of a text in which something else stands too: what a damaged witness file still says.
    pub fn salvage(text: &str) -> Vec<Self> {
        let begins = text.match_indices(Self::BEGIN).map(|(at, _)| at);
        let document = |at| {
            let (_, rest) = text.split_at_checked(at)?;
            Self::parse(rest.get(..document_length(rest)?)?).ok()
        };
        begins.filter_map(document).collect()
    }

    /// As it is stored and published.
    pub fn document(&self) -> String {
        format!("{}\n{}\n", self.checkpoint.text(), Base64::encode_string(&self.signature))
    }

    /// What the next one calls `previous`.
    pub fn digest(&self) -> ChainHash {
        ChainHash::of(self.document().as_bytes())
    }
}

/// The length of the first document, if it has all its lines.
fn document_length(text: &str) -> Option<usize> {
    let (lines, after) = text.split_once("\n\n")?;
    Some(lines.len() + 2 + after.find('\n')? + 1)
}

/// The list of hashes since the checkpoint before, as it is hashed.
#[derive(Clone, Default)]
pub struct Batch(Sha256);

impl Batch {
    /// Takes the next event's hash.
    pub fn push(&mut self, hash: &ChainHash) {
        self.0.update(format!("{hash}\n"));
    }

    /// The digest of the list.
    pub fn finish(self) -> ChainHash {
        ChainHash::from_digest(self.0.finalize().into())
    }
}

/// Signs checkpoints, and brings them out of the house once they are true.
pub trait Notary: Send + Sync {
    /// The SubjectPublicKeyInfo, DER, that verifies the signatures.
    fn public_key(&self) -> Vec<u8>;
    /// Whose log it is.
    fn log(&self) -> String;
    /// Signs; the error is a sentence.
    ///
    /// # Errors
    /// The key's.
    fn sign(&self, text: &str) -> Result<Vec<u8>, String>;
    /// Its transaction is committed.
    fn committed(&self, checkpoint: &SignedCheckpoint);
}

fn digest(text: &str) -> Option<ChainHash> {
    is_digest(text).then(|| hex::decode(text).ok())?.and_then(|bytes| ChainHash::from_bytes(&bytes))
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(sequence: u64) -> SignedCheckpoint {
        let checkpoint = Checkpoint {
            log: "0102".to_owned(),
            end: ChainEnd { sequence, hash: ChainHash::of(b"event") },
            batch: ChainHash::of(b"batch"),
            previous: ChainHash::START,
            at: Timestamp::from_second(1_800_000_000).unwrap(),
            crls: BTreeMap::from([("people".to_owned(), 4), ("root".to_owned(), 1)]),
            key: AuditKeyId::of(b"key"),
        };
        SignedCheckpoint { checkpoint, signature: vec![1, 2, 3, 4] }
    }

    #[test]
    fn a_document_reads_back_and_nothing_else_is_one() {
        let document = signed(7).document();
        assert_eq!(SignedCheckpoint::parse(&document), Ok(signed(7)));
        let mut none = signed(7);
        none.checkpoint.crls.clear();
        assert_eq!(SignedCheckpoint::parse(&none.document()), Ok(none));
        for (from, to) in [
            ("size 7", "size 07"),
            ("size 7", "size +7"),
            ("people=4,root=1", "root=1,people=4"),
            ("time 2027-01-15T08:00:00Z", "time 2027-01-15T09:00:00+01:00"),
            ("\n\n", "\n"),
            ("key ", "key  "),
            ("issuer checkpoint", "issuer Checkpoint"),
            ("AQIDBA==\n", "AQIDBA=="),
        ] {
            assert!(document.contains(from), "{from:?}");
            let changed = document.replace(from, to);
            assert_eq!(SignedCheckpoint::parse(&changed), Err(MalformedCheckpoint), "{to:?}");
        }
    }

    #[test]
    fn a_witness_file_may_end_in_the_middle_and_nowhere_else() {
        let (first, second) = (signed(7), signed(9));
        let both = format!("{}{}", first.document(), second.document());
        assert_eq!(SignedCheckpoint::parse_all(&both), Ok((vec![first.clone(), second.clone()], both.len())));
        assert_eq!(SignedCheckpoint::parse_all(""), Ok((Vec::new(), 0)));
        let begin = first.document().len();
        for cut in begin..both.len() {
            assert_eq!(
                SignedCheckpoint::parse_all(both.get(..cut).unwrap()),
                Ok((vec![first.clone()], begin)),
                "cut at {cut}"
            );
        }
        for garbage in [
            format!("x{both}"),
            format!("{}x{}", first.document(), second.document()),
            both.replacen("size 7", "size x", 1),
            "a list of something\n".to_owned(),
        ] {
            assert_eq!(SignedCheckpoint::parse_all(&garbage), Err(MalformedCheckpoint), "{garbage}");
        }
    }

    #[test]
    fn a_damaged_witness_file_still_says_what_can_be_read_of_it() {
        let (first, second) = (signed(7), signed(9));
        let both = format!("{}{}", first.document(), second.document());
        for (damaged, rest) in [
            (format!("x{both}"), vec![first.clone(), second.clone()]),
            (format!("{}x\n{}", first.document(), second.document()), vec![first.clone(), second.clone()]),
            (both.replacen("size 7", "size x", 1), vec![second.clone()]),
            (both.replacen("AQIDBA==\n", "", 1), vec![second]),
            ("something else\n".to_owned(), Vec::new()),
            (String::new(), Vec::new()),
        ] {
            assert_eq!(SignedCheckpoint::salvage(&damaged), rest, "{damaged}");
        }
    }
}
