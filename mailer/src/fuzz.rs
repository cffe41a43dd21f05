//! Plain functions over bytes, for published test vectors and for fuzzing; no command calls them.
//!
//! Each takes whatever it is given: bad input ends in an answer, never in a panic.
pub mod pdf;

use const_oid::ObjectIdentifier;
use der::Decode;
use jiff::Timestamp;
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use zeroize::Zeroizing;

use crate::certificate::signature::{SignatureProblem, verify_signed};
use crate::certificate::tlv::Elements;
use crate::certificate::{Acceptance, Certificate};
use crate::content::Content;
use crate::documents::pdf::{Document, Reference};
use crate::documents::seal::{Frame, Seal, SealFont, SealImage, appearance};
use crate::documents::sealed;
use crate::documents::{changes, signature};
use crate::keys::{KeyRing, KeysError};
use crate::message::parse;
use crate::protection::open::{ReleasePolicy, open};
use crate::readers::ldap::message as ldap;
use crate::readers::{ClassList, ReadersError};
use crate::smime::{
    self, ContentIdentifier, Delivery, Receipt, ReceiptRequest, ReceiptToSign, ReceivedReceipt,
    SecurityLabel, SentRecord, vectors,
};
use crate::time_stamping::{ClockTolerance, TimeStampInfo, TimeStampRequest, Token};
use crate::trust::examination::Examination;
use crate::trust::{Anchors, CertificateList, Judge, PolicyInputs, Purpose};

/// The most certificates of one input that a path is looked for in.
const MOST_CERTIFICATES: usize = 64;

/// What became of one published vector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Accepted,
    /// It was refused as wrong.
    Refused,
    /// Its algorithm or key is not supported, and why.
    Unsupported(String),
}

/// Verifies a signature as that of a certificate, CRL or response: SubjectPublicKeyInfo and AlgorithmIdentifier in DER.
pub fn signature(
    public_key: &[u8],
    algorithm: &[u8],
    message: &[u8],
    signature: &[u8],
    acceptance: Acceptance,
) -> Answer {
    let key = SubjectPublicKeyInfoOwned::from_der(public_key);
    let algorithm = AlgorithmIdentifierOwned::from_der(algorithm);
    let (Ok(key), Ok(algorithm)) = (key, algorithm) else { return Answer::Refused };
    match verify_signed(&key, &algorithm, message, signature, acceptance) {
        Ok(()) => Answer::Accepted,
        Err(SignatureProblem::Invalid) => Answer::Refused,
        Err(SignatureProblem::Unsupported(what)) => Answer::Unsupported(what),
    }
}

/// Opens content with the cipher of an envelope. `None` where key or nonce have a length that is not used; the inner one
/// where tag or padding are wrong.
pub fn content(
    algorithm: ObjectIdentifier,
    key: &[u8],
    iv: &[u8],
    associated_data: &[u8],
    encrypted: &[u8],
    tag: &[u8],
) -> Option<Option<Zeroizing<Vec<u8>>>> {
    vectors::open_content(algorithm, key, iv, associated_data, encrypted, tag)
}

/// Unwraps a content key with AES key wrap; `None` where it does not unwrap.
pub fn content_key(algorithm: ObjectIdentifier, key: &[u8], wrapped: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    vectors::unwrap_key(algorithm, key, wrapped)
}

/// What certificates, CRLs and OCSP answers are judged by.
pub struct World {
    /// The CAs that are trusted.
    pub anchors: Anchors,
    /// CA certificates at hand.
    pub intermediates: Vec<Certificate>,
    /// CRLs at hand.
    pub lists: Vec<CertificateList>,
    /// A certificate whose revocation is asked for.
    pub subject: Certificate,
    /// The moment.
    pub at: Timestamp,
}

impl World {
    fn examine(
        &self,
        subject: &Certificate,
        more: &[Certificate],
        lists: &[CertificateList],
        responses: &[Vec<u8>],
    ) -> bool {
        let intermediates: Vec<Certificate> = self.intermediates.iter().chain(more).cloned().collect();
        let examination = Examination {
            anchors: &self.anchors,
            intermediates: &intermediates,
            lists,
            responses,
            purpose: Purpose::Any,
            at: self.at,
            acceptance: Acceptance::Current,
            policies: PolicyInputs::default(),
        };
        examination.of(subject).is_ok()
    }
}

/// CMS: verified with and without content beside it, decrypted, decompressed. Whether any of them succeeded.
pub fn cms(input: &[u8], ring: &mut dyn KeyRing) -> bool {
    let object = Content::from_vec(input.to_vec());
    let beside = Content::from_vec(b"content beside the signature".to_vec());
    let signed = [smime::verify(&object, None, &[]), smime::verify(&object, Some(&beside), &[])];
    let verified = signed.iter().flatten().any(|signed| {
        signed.signers.iter().any(|signer| {
            // What is said of a signer may reach a terminal or a log.
            let _ = signer.identifier.len();
            signer.outcome.is_ok()
        })
    });
    let decrypted = smime::decrypt(&object, ring).is_ok();
    let decompressed = smime::decompress(&object).is_ok();
    verified || decrypted || decompressed
}

/// A message opened without keys, judged, released in full, and read. Whether it could be opened.
pub fn message(input: &[u8], judge: &mut Judge<'_>) -> bool {
    let policy = ReleasePolicy { require_signed: false, show_untrusted: true };
    let _ = parse::read_header(input);
    let mut keys = || Err(KeysError::NoSuchKey);
    let Ok(opened) = open(&Content::from_vec(input.to_vec()), &mut keys, judge) else { return false };
    let _ = opened.verdict().to_string();
    let reading = opened.reading();
    if let Some(content) = opened.release(policy) {
        let _ = parse::read(&content, reading);
    }
    true
}

/// A certificate or a file of them, with everything that can be asked of it. Whether it could be read.
pub fn certificate(input: &[u8], world: &World) -> bool {
    let _ = Certificate::from_file_contents(input);
    let Ok(read) = Certificate::from_der(input) else { return false };
    let words = [read.subject(), read.issuer(), read.serial_number(), read.mail_addresses_in_words()];
    let _ = (words, read.not_before(), read.not_after(), read.subject_key_identifier());
    let _ = (read.clearance().map(|found| found.map(|found| found.highest())), read.clearance_constraints());
    world.examine(&read, &[], &[], &[]);
    true
}

/// A CRL, and the world's certificate judged by it. Whether it could be read.
pub fn revocation_list(input: &[u8], world: &World) -> bool {
    let Ok(list) = CertificateList::from_der(input) else { return false };
    let _ = (list.this_update(), list.next_update());
    let lists: Vec<CertificateList> = world.lists.iter().cloned().chain([list]).collect();
    world.examine(&world.subject, &[], &lists, &[]);
    true
}

/// An OCSP answer, and the world's certificate judged by it. Whether the certificate was found good.
pub fn ocsp(input: &[u8], world: &World) -> bool {
    world.examine(&world.subject, &[], &world.lists, &[input.to_vec()])
}

/// Certificates one after another: a path is looked for from the first, through the others. Whether there is one.
pub fn path(input: &[u8], world: &World) -> bool {
    let mut elements = Elements::new(input);
    let mut found = Vec::new();
    while let Ok(Some(element)) = elements.next() {
        found.extend(Certificate::from_der(element.bytes).ok());
        if found.len() >= MOST_CERTIFICATES {
            break;
        }
    }
    match found.split_first() {
        Some((subject, others)) => world.examine(subject, others, &[], &[]),
        None => false,
    }
}

/// A signed document: its signatures, and what changed since each. How many signatures could be read.
pub fn signed_document(input: &[u8]) -> usize {
    let Ok(document) = Document::open(&Content::from_vec(input.to_vec())) else { return 0 };
    let Ok(found) = signature::signatures(&document) else { return 0 };
    let readable = found.iter().filter_map(|found| found.signature.as_ref().ok());
    for signed in readable.clone().filter_map(|signature| signature.signed_document(&document).ok()) {
        let mut changes = changes::between(&signed, &document).unwrap_or_default();
        changes.extend(changes::for_a_while(&signed, &document).unwrap_or_default());
        let _ = changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    }
    readable.count()
}

/// A picture of a seal. Whether it could be embedded.
pub fn seal_image(input: &[u8]) -> bool {
    let Ok(image) = SealImage::read(input) else { return false };
    is_sealed(Seal { image: Some(image), ..seal(None) })
}

/// The font of a seal, the first in its file. Whether it could be embedded.
pub fn seal_font(input: &[u8]) -> bool {
    let Ok(font) = SealFont::read(input.to_vec(), 0) else { return false };
    is_sealed(Seal { lines: vec!["Sealed".to_owned(), "by (ABC) 123".to_owned()], ..seal(Some(font)) })
}

/// A document that is sealed to its readers. Whether it was opened.
pub fn sealed_document(input: &[u8], ring: &mut dyn KeyRing) -> bool {
    sealed::open(&Content::from_vec(input.to_vec()), ring).is_ok()
}

fn seal(font: Option<SealFont>) -> Seal {
    Seal { lines: Vec::new(), image: None, frame: Frame::Thin, width: 200.0, height: 80.0, font }
}

fn is_sealed(seal: Seal) -> bool {
    let mut number = 0;
    let allocate = &mut || {
        number += 1;
        Reference { number, generation: 0 }
    };
    appearance(&seal, allocate).is_ok()
}

/// A time-stamp response, checked against what was asked for. Whether it is the answer.
pub fn time_stamp_response(input: &[u8], request: &TimeStampRequest, at: Timestamp) -> bool {
    match request.check(input, at, ClockTolerance::default()) {
        Ok(stamp) => stamp.token.info.at_latest() >= stamp.token.info.made,
        Err(problem) => {
            let _ = (problem.code(), problem.to_string());
            false
        }
    }
}

/// A time-stamp token with everything that is read of it. Whether its signature is right.
pub fn time_stamp_token(input: &[u8]) -> bool {
    let _ = TimeStampInfo::from_der(input);
    let Ok(token) = Token::read(input, &[]) else { return false };
    let _ = (token.authority.subject(), token.info.at_latest(), token.info.has_nonce_of(&[1]));
    true
}

/// A signed receipt with everything in it, matched with a message that was sent. Whether it is one for that message.
pub fn receipt(input: &[u8], sent: &SentRecord) -> bool {
    let _ = (Receipt::from_der(input).is_ok(), ReceiptRequest::from_der(input).is_ok());
    let _ = SecurityLabel::from_der(input).map(|label| label.to_attribute());
    let received = match ReceivedReceipt::read(&Content::from_vec(input.to_vec()), &[]) {
        Ok(received) => received,
        Err(problem) => {
            let _ = (problem.code(), problem.to_string());
            return false;
        }
    };
    let _ = ReceiptToSign::answering(&received.message, sent.signed).is_ok();
    match sent.check(&received, &[]) {
        Ok(_) => true,
        Err(problem) => {
            let _ = (problem.code(), problem.to_string());
            false
        }
    }
}

/// A signed message that may ask for a receipt and carry a label. Whether a receipt would be given.
pub fn receipt_request(input: &[u8], at: Timestamp) -> bool {
    let Ok(signed) = smime::verify(&Content::from_vec(input.to_vec()), None, &[]) else { return false };
    let _ = (SecurityLabel::of(&signed).is_ok(), Delivery::told_by([&signed]));
    let first = signed.signers.iter().find_map(|signer| signer.outcome.as_ref().ok());
    let _ = first.map(ContentIdentifier::of);
    ReceiptToSign::answering(&signed, at).is_ok()
}

/// A signed list of classes of readers, judged; and the same octets as what such a list signs. Whether it was believed.
pub fn class_list(input: &[u8], judge: &mut Judge<'_>) -> bool {
    let told = |error: ReadersError| (error.code(), error.to_string());
    let _ = ClassList::from_json(input).map_err(told);
    ClassList::judged(input, judge).map_err(told).is_ok()
}

/// What a signed list of classes of readers says, without its signature. Whether it could be read.
pub fn class_list_content(input: &[u8]) -> bool {
    ClassList::from_json(input).is_ok()
}

/// An answer of an LDAP server. Whether it could be read.
pub fn ldap_answer(input: &[u8]) -> bool {
    let _ = ldap::length(input);
    ldap::read(input).is_ok()
}
