//! Unblocking a PIN far from the desk: the card's PUK reaches its holder's program sealed, is used once, and changed in
//! the same transaction.
//!
//! ```text
//! holder  request = 01 | card GUID (16) | nonce (16) | P (33)            P, D: P-256 points, compressed (SEC 1)
//! desk    answer  = 01 | D (33) | AES-256-GCM(key, nonce 0, aad = request, secrets)
//!         key     = HKDF-SHA-256(ikm = ECDH(p, D), salt = nonce, info = "sealwright remote unblock 1" | request | D)
//!         secrets = n (1) | n PUKs that the card may have (8 each) | its next PUK (8) | confirmation (16)
//! holder  confirmation = nonce (16) | confirmation (16)
//! ```
//!
//! Each is shown as one word: `unblock-request:`, `unblock-answer:` or `unblock-done:` and base64url. The private half of P lives
//! in the memory of one run of `card unblock --request`, for ten minutes: an answer fits that run, that card and nothing
//! else. A key is used for one answer, so its nonce may be zero. That desk and holder speak of the same request is for
//! their voices: both see its check digits.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use aes_gcm::aead::{Aead, Payload};
use aes_gcm::{Aes256Gcm, KeyInit, Nonce};
use base64ct::{Base64UrlUnpadded, Encoding};
use hkdf::Hkdf;
use p256::elliptic_curve::Generate;
use p256::elliptic_curve::sec1::ToSec1Point;
use p256::{PublicKey, SecretKey, ecdh};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::piv::{CardError, Pin, Puk, Transaction};

/// How long a request can be answered.
pub const LIFETIME: Duration = Duration::from_secs(600);

const VERSION: u8 = 1;
const GUID: usize = 16;
const NONCE: usize = 16;
const POINT: usize = 33;
const PUK: usize = 8;
const CONFIRMATION: usize = 16;
const REQUEST: usize = 1 + GUID + NONCE + POINT;
const INFO: &[u8] = b"sealwright remote unblock 1";

/// Why a remote unblock does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteUnblockError {
    /// Not a request, an answer or a confirmation.
    #[error("this is no {0}, or it was not copied whole")]
    Malformed(&'static str),
    /// It does not open: for another run, another card, or changed on its way.
    #[error(
        "the answer does not belong to this request: ask the desk to answer the request that this run shows"
    )]
    NotForThisRequest,
    /// Nobody waits for it any more.
    #[error("the request is older than ten minutes; make a new one: card unblock --request")]
    Expired,
    /// Another card is in the reader now.
    #[error("another card is in the reader than the one that the request was made for")]
    AnotherCard,
    /// None of the PUKs is the card's.
    #[error("the card accepts none of the desk's PUKs; it must be brought to the desk")]
    NoPukFits,
    /// One more wrong PUK would block it for good.
    #[error("the card's PUK has one try left, and it was not spent; bring the card to the desk")]
    LastPukTry,
    /// The PUK was changed, the PIN not.
    #[error("the PUK was changed, but the PIN was not set: {0}; tell the desk, and make a new request")]
    PinNotSet(CardError),
    /// The card.
    #[error(transparent)]
    Card(#[from] CardError),
    /// A primitive refused its parameters.
    #[error("{0}")]
    Unusable(&'static str),
}

/// A request, as the desk gets it; nothing of it is secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnblockRequest([u8; REQUEST]);

/// A request that waits for its answer, in the run that made it. No `Debug`.
pub struct PendingUnblock {
    request: UnblockRequest,
    secret: SecretKey,
}

/// What the desk gives out. No `Debug`; zeroised on drop.
pub struct UnblockSecrets {
    /// The PUKs that the card may have, the likeliest first.
    pub candidates: Vec<Puk>,
    /// The one that takes their place.
    pub next: Puk,
    /// What only who has opened the answer can say.
    pub confirmation: Zeroizing<[u8; CONFIRMATION]>,
}

/// That the PUK was changed and the PIN set: what the holder gives back to the desk.
#[derive(Clone, PartialEq, Eq)]
pub struct UnblockConfirmation([u8; NONCE + CONFIRMATION]);

impl PendingUnblock {
    /// A new request for a card.
    pub fn begin<R: CryptoRng + ?Sized>(guid: [u8; GUID], random: &mut R) -> Self {
        let secret = SecretKey::generate_from_rng(random);
        let mut nonce = [0; NONCE];
        random.fill_bytes(&mut nonce);
        let request = [&[VERSION], &guid[..], &nonce, &compressed(&secret.public_key())].concat();
        let mut bytes = [0; REQUEST];
        bytes.copy_from_slice(&request);
        Self { request: UnblockRequest(bytes), secret }
    }

    /// What the desk gets.
    pub const fn request(&self) -> &UnblockRequest {
        &self.request
    }

    /// Opens the desk's answer, which came after `waited`.
    ///
    /// # Errors
    /// [`RemoteUnblockError::Expired`], [`RemoteUnblockError::NotForThisRequest`], [`RemoteUnblockError::Malformed`].
    pub fn open(&self, answer: &str, waited: Duration) -> Result<UnblockSecrets, RemoteUnblockError> {
        if waited > LIFETIME {
            return Err(RemoteUnblockError::Expired);
        }
        let malformed = || RemoteUnblockError::Malformed("answer of the desk");
        let bytes = decode(answer, ANSWER).ok_or_else(malformed)?;
        let (point, sealed) = match bytes.split_first() {
            Some((&VERSION, rest)) => rest.split_at_checked(POINT).ok_or_else(malformed)?,
            _ => return Err(malformed()),
        };
        let desk = PublicKey::from_sec1_bytes(point).map_err(|_| malformed())?;
        let cipher = cipher(&self.secret, &desk, &self.request, point)?;
        let payload = Payload { msg: sealed, aad: &self.request.0 };
        let opened = cipher.decrypt(&Nonce::default(), payload);
        let opened = Zeroizing::new(opened.map_err(|_| RemoteUnblockError::NotForThisRequest)?);
        UnblockSecrets::from_bytes(&opened).ok_or_else(malformed)
    }

    /// What the holder gives back once everything is done.
    pub fn confirmation(&self, secrets: &UnblockSecrets) -> UnblockConfirmation {
        UnblockConfirmation::new(&self.request.nonce(), &secrets.confirmation)
    }
}

impl UnblockRequest {
    /// The card's GUID.
    pub fn guid(&self) -> [u8; GUID] {
        self.part(1)
    }

    /// What tells this request from every other.
    pub fn nonce(&self) -> [u8; NONCE] {
        self.part(1 + GUID)
    }

    fn part<const N: usize>(&self, from: usize) -> [u8; N] {
        let mut part = [0; N];
        for (to, byte) in part.iter_mut().zip(self.0.iter().skip(from)) {
            *to = *byte;
        }
        part
    }

    /// Eight digits that desk and holder compare by voice: a request that was exchanged on its way has others.
    pub fn check_digits(&self) -> String {
        let digest: [u8; 32] = Sha256::digest(self.0).into();
        let number = digest.iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        let digits = format!("{:08}", number % 100_000_000);
        let (left, right) = digits.split_at(4);
        format!("{left} {right}")
    }

    /// Seals the secrets for the run that made this request: the answer, as it is sent.
    ///
    /// # Errors
    /// [`RemoteUnblockError::Malformed`]: its point lies on no curve.
    pub fn seal<R: CryptoRng + ?Sized>(
        &self,
        secrets: &UnblockSecrets,
        random: &mut R,
    ) -> Result<String, RemoteUnblockError> {
        let point: [u8; POINT] = self.part(1 + GUID + NONCE);
        let holder = PublicKey::from_sec1_bytes(&point)
            .map_err(|_| RemoteUnblockError::Malformed("request for an unblock"))?;
        let own = SecretKey::generate_from_rng(random);
        let point = compressed(&own.public_key());
        let cipher = cipher(&own, &holder, self, &point)?;
        let plaintext = secrets.to_bytes();
        let sealed = cipher
            .encrypt(&Nonce::default(), Payload { msg: &plaintext, aad: &self.0 })
            .map_err(|_| RemoteUnblockError::Unusable("encryption failed"))?;
        Ok(encode(ANSWER, &[&[VERSION], &point[..], &sealed].concat()))
    }
}

impl UnblockSecrets {
    /// Changes the PUK, then sets the PIN, in one transaction: whoever heard the PUK has nothing of it.
    ///
    /// # Errors
    /// [`RemoteUnblockError::NoPukFits`], [`RemoteUnblockError::LastPukTry`], [`RemoteUnblockError::PinNotSet`], the
    /// card's refusal.
    pub fn carry_out(
        &self,
        transaction: &mut Transaction<'_>,
        new_pin: &Pin,
    ) -> Result<(), RemoteUnblockError> {
        let mut tries_left = transaction.puk_tries_left()?;
        let mut changed = false;
        for candidate in &self.candidates {
            match tries_left {
                Some(0) => return Err(CardError::PukBlocked.into()),
                Some(1) => return Err(RemoteUnblockError::LastPukTry),
                _ => {}
            }
            match transaction.change_puk(candidate, &self.next) {
                Ok(()) => {
                    changed = true;
                    break;
                }
                Err(CardError::WrongPuk { tries_left: left }) => tries_left = Some(left),
                Err(error) => return Err(error.into()),
            }
        }
        if !changed {
            return Err(RemoteUnblockError::NoPukFits);
        }
        transaction.unblock(&self.next, new_pin).map_err(RemoteUnblockError::PinNotSet)
    }

    fn to_bytes(&self) -> Zeroizing<Vec<u8>> {
        let mut bytes =
            Zeroizing::new(Vec::with_capacity(1 + (self.candidates.len() + 1) * PUK + CONFIRMATION));
        bytes.push(u8::try_from(self.candidates.len()).unwrap_or(u8::MAX));
        for puk in self.candidates.iter().chain([&self.next]) {
            bytes.extend_from_slice(puk.bytes());
        }
        bytes.extend_from_slice(self.confirmation.as_slice());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&count, rest) = bytes.split_first()?;
        let (puks, confirmation) = rest.split_at_checked((usize::from(count) + 1) * PUK)?;
        let (puks, _) = puks.as_chunks::<PUK>();
        let mut candidates = puks.iter().map(|puk| Puk::new(puk).ok()).collect::<Option<Vec<_>>>()?;
        let next = candidates.pop()?;
        Some(Self { candidates, next, confirmation: Zeroizing::new(confirmation.try_into().ok()?) })
    }
}

impl UnblockConfirmation {
    /// The confirmation of a request.
    pub fn new(nonce: &[u8; NONCE], confirmation: &[u8; CONFIRMATION]) -> Self {
        let mut bytes = [0; NONCE + CONFIRMATION];
        for (to, from) in bytes.iter_mut().zip(nonce.iter().chain(confirmation)) {
            *to = *from;
        }
        Self(bytes)
    }

    /// Of which request.
    pub fn nonce(&self) -> [u8; NONCE] {
        let mut nonce = [0; NONCE];
        for (to, from) in nonce.iter_mut().zip(&self.0) {
            *to = *from;
        }
        nonce
    }

    /// Whether it is this one; in constant time.
    pub fn is(&self, expected: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.ct_eq(&expected.0).into()
    }
}

impl fmt::Display for UnblockRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(REQUEST_PREFIX, &self.0))
    }
}

impl FromStr for UnblockRequest {
    type Err = RemoteUnblockError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = decode(text, REQUEST_PREFIX).and_then(|bytes| <[u8; REQUEST]>::try_from(bytes).ok());
        match bytes {
            Some(bytes) if bytes.first() == Some(&VERSION) => Ok(Self(bytes)),
            _ => Err(RemoteUnblockError::Malformed("request for an unblock")),
        }
    }
}

impl fmt::Debug for UnblockConfirmation {
    /// Only which request it is for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnblockConfirmation").field(&self.nonce()).finish_non_exhaustive()
    }
}

impl fmt::Display for UnblockConfirmation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&encode(DONE, &self.0))
    }
}

impl FromStr for UnblockConfirmation {
    type Err = RemoteUnblockError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        decode(text, DONE)
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or(RemoteUnblockError::Malformed("confirmation of an unblock"))
    }
}

const REQUEST_PREFIX: &str = "unblock-request:";
const ANSWER: &str = "unblock-answer:";
const DONE: &str = "unblock-done:";

fn encode(prefix: &str, bytes: &[u8]) -> String {
    format!("{prefix}{}", Base64UrlUnpadded::encode_string(bytes))
}

/// What mail programs add on the way, spaces and line ends, is passed over.
fn decode(text: &str, prefix: &str) -> Option<Vec<u8>> {
    let word: String = text.split_whitespace().collect();
    Base64UrlUnpadded::decode_vec(word.strip_prefix(prefix)?).ok()
}

fn compressed(key: &PublicKey) -> [u8; POINT] {
    let mut bytes = [0; POINT];
    for (to, from) in bytes.iter_mut().zip(key.to_sec1_point(true).as_bytes()) {
        *to = *from;
    }
    bytes
}

fn cipher(
    own: &SecretKey,
    peer: &PublicKey,
    request: &UnblockRequest,
    desk_point: &[u8],
) -> Result<Aes256Gcm, RemoteUnblockError> {
    let shared = ecdh::diffie_hellman(own.to_nonzero_scalar(), peer.as_affine());
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(Some(&request.nonce()), shared.raw_secret_bytes())
        .expand_multi_info(&[INFO, &request.0, desk_point], key.as_mut_slice())
        .map_err(|_| RemoteUnblockError::Unusable("HKDF gives at most 255 blocks"))?;
    Aes256Gcm::new_from_slice(key.as_slice())
        .map_err(|_| RemoteUnblockError::Unusable("an AES-256 key has 32 bytes"))
}

#[cfg(test)]
#[allow(clippy::string_slice)] // all of it is ASCII
mod tests {
    use getrandom::SysRng;
    use rand_core::UnwrapErr;

    use super::*;

    fn secrets() -> UnblockSecrets {
        let puk = |text: &[u8]| Puk::new(text).unwrap();
        UnblockSecrets {
            candidates: vec![puk(b"11111111"), puk(b"22222222")],
            next: puk(b"33333333"),
            confirmation: Zeroizing::new([9; CONFIRMATION]),
        }
    }

    #[test]
    fn an_answer_opens_in_the_run_that_asked_and_nowhere_else() {
        let random = &mut UnwrapErr(SysRng);
        let pending = PendingUnblock::begin([7; GUID], random);
        let request: UnblockRequest = pending.request().to_string().parse().unwrap();
        assert_eq!((request.guid(), request.check_digits()), ([7; GUID], pending.request().check_digits()));
        let answer = request.seal(&secrets(), random).unwrap();
        let wrapped = format!(" {}\n{}", &answer[..40], &answer[40..]);
        let opened = pending.open(&wrapped, LIFETIME).unwrap();
        assert_eq!(opened.candidates.len(), 2);
        assert!(opened.next.bytes() == b"33333333" && opened.candidates[0].bytes() == b"11111111");
        let confirmation: UnblockConfirmation = pending.confirmation(&opened).to_string().parse().unwrap();
        assert_eq!(confirmation.nonce(), request.nonce());
        assert!(confirmation.is(&UnblockConfirmation::new(&request.nonce(), &[9; CONFIRMATION])));
        assert!(!confirmation.is(&UnblockConfirmation::new(&request.nonce(), &[8; CONFIRMATION])));

        let late = pending.open(&answer, LIFETIME + Duration::from_millis(1));
        assert!(matches!(late, Err(RemoteUnblockError::Expired)));
        let other = PendingUnblock::begin([7; GUID], random).open(&answer, LIFETIME);
        assert!(matches!(other, Err(RemoteUnblockError::NotForThisRequest)));
    }

    #[test]
    fn what_was_changed_on_its_way_is_refused() {
        let random = &mut UnwrapErr(SysRng);
        let pending = PendingUnblock::begin([7; GUID], random);
        let answer = pending.request().seal(&secrets(), random).unwrap();
        for position in (ANSWER.len()..answer.len()).step_by(5) {
            let mut changed = answer.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert!(pending.open(std::str::from_utf8(&changed).unwrap(), LIFETIME).is_err(), "{position}");
        }
        assert!(pending.open(&answer[..answer.len() - 4], LIFETIME).is_err());
        for text in ["", "unblock-request:", "unblock-request:AAAA", "unblock-answer:AQ", &answer] {
            assert!(text.parse::<UnblockRequest>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_words_differ_where_the_requests_do() {
        let random = &mut UnwrapErr(SysRng);
        let (one, two) = (PendingUnblock::begin([7; GUID], random), PendingUnblock::begin([7; GUID], random));
        assert_ne!(one.request().to_string(), two.request().to_string());
        assert_ne!(one.request().check_digits(), two.request().check_digits());
        let digits = one.request().check_digits();
        assert!(digits.len() == 9 && digits.bytes().all(|byte| byte == b' ' || byte.is_ascii_digit()));
    }
}
