//! Request in, response out.
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use middleware::Signer;
use rand_core::CryptoRng;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::error::TimeStampError;
use super::folder::{Folder, Settings, check_validity};
use super::request::TimeStampRequest;
use super::response::{self, Failure, Rejection};
use super::serial_log::{Durable, Entry, Refused, SerialLog, Summary};
use super::token::Stamp;
use crate::ca::SerialNumber;
use crate::ca::signed_data::SignerIdentity;
use crate::clock::Clock;

/// How far the clock may lie behind the newest stamp.
const CLOCK_TOLERANCE_SECONDS: i64 = 60;

/// A time-stamp service at work.
pub struct Service {
    settings: Settings,
    identity: SignerIdentity,
    log: SerialLog,
    keys: Keys,
    clock: Box<dyn Clock + Send + Sync>,
    random: Mutex<Box<dyn CryptoRng + Send>>,
}

/// Copies of the key: as many stamps are signed at a time as there are.
struct Keys {
    idle: Mutex<Vec<Box<dyn Signer + Send>>>,
    places: Arc<Semaphore>,
}

impl Service {
    /// Opens the service of a folder. With `copies` of the key, so many stamps are signed at a time.
    ///
    /// # Errors
    /// [`TimeStampError`]: nothing is served then.
    pub fn open(
        folder: &Folder,
        passphrase: &str,
        copies: usize,
        clock: Box<dyn Clock + Send + Sync>,
        random: Box<dyn CryptoRng + Send>,
    ) -> Result<Self, TimeStampError> {
        let settings = folder.settings()?;
        let identity = folder.identity()?;
        let certificate = identity.certificate();
        let keys = folder.keys(passphrase, certificate, copies)?;
        check_validity(certificate, clock.now())?;
        let log = SerialLog::open(&folder.log_file(), certificate)?;
        let keys = Keys { places: Arc::new(Semaphore::new(keys.len())), idle: Mutex::new(keys) };
        Ok(Self { settings, identity, log, keys, clock, random: Mutex::new(random) })
    }

    /// What was in the log when it was opened.
    pub fn summary(&self) -> &Summary {
        self.log.summary()
    }

    /// Its settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Completes when no stamp can be given any more, and says why.
    pub async fn broken(&self) -> TimeStampError {
        TimeStampError::LogFailed(self.log.broken().await)
    }

    /// Answers a request with a `TimeStampResp` in DER, whatever it is.
    ///
    /// # Errors
    /// The answer cannot be encoded.
    pub async fn answer(self: &Arc<Self>, query: &[u8]) -> der::Result<Vec<u8>> {
        match self.stamp(query).await {
            Ok(token) => response::granted(&token),
            Err(rejection) => rejection.to_der(),
        }
    }

    async fn stamp(self: &Arc<Self>, query: &[u8]) -> Result<Vec<u8>, Rejection> {
        let request = TimeStampRequest::parse(query)?;
        if request.policy.is_some_and(|policy| policy != self.settings.policy) {
            let reason = format!("stamps are given under policy {} alone", self.settings.policy);
            return Err(Rejection::new(Failure::UnacceptedPolicy, reason));
        }
        // A place first: a stamp's time is that of its signature.
        let places = Arc::clone(&self.keys.places);
        let place = places.acquire_owned().await.map_err(|_| out_of_order())?;
        let (entry, durable) = self.enter(&request)?;
        let service = Arc::clone(self);
        // Signed while the disk is at work. The place goes with it: a client that leaves does not take it away.
        let signed = spawn_blocking(move || {
            let token = service.sign(&request, entry);
            drop(place);
            token
        });
        let token = signed.await.map_err(|_| out_of_order())??;
        self.keep(durable).await?;
        Ok(token)
    }

    /// Takes time and serial number, and gives the line to the log.
    fn enter(&self, request: &TimeStampRequest) -> Result<(Entry, Durable), Rejection> {
        let make = |newest: Option<Timestamp>| {
            let now = self.time(newest)?;
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            Ok(Entry {
                serial_number: SerialNumber::random(random.as_mut()),
                time: now,
                algorithm: request.algorithm,
                imprint: request.imprint().to_vec(),
                policy: self.settings.policy,
            })
        };
        self.log.append(make).map_err(|refused| match refused {
            Refused::Made(rejection) => rejection,
            Refused::Broken => out_of_order(),
        })
    }

    /// The time in whole milliseconds, if the clock can be believed.
    fn time(&self, newest: Option<Timestamp>) -> Result<Timestamp, Rejection> {
        let unavailable = |reason: &'static str| Rejection::new(Failure::TimeNotAvailable, reason);
        let now = self.clock.now();
        if newest.is_some_and(|newest| newest.as_second() - now.as_second() > CLOCK_TOLERANCE_SECONDS) {
            return Err(unavailable("the service's clock is behind the newest stamp"));
        }
        check_validity(self.identity.certificate(), now)
            .map_err(|_| unavailable("the service's certificate is not valid at the time of its clock"))?;
        Timestamp::from_millisecond(now.as_millisecond())
            .map_err(|_| unavailable("the service's clock has no time"))
    }

    fn sign(&self, request: &TimeStampRequest, entry: Entry) -> Result<Vec<u8>, Rejection> {
        let stamp = Stamp {
            policy: entry.policy,
            serial_number: entry.serial_number,
            time: entry.time,
            accuracy: self.settings.accuracy,
        };
        let idle = || self.keys.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = idle().pop().ok_or_else(out_of_order)?;
        let token = stamp.sign(request, &self.identity, key.as_mut());
        idle().push(key);
        token.map_err(|_| Rejection::new(Failure::SystemFailure, "the stamp could not be signed"))
    }

    async fn keep(&self, durable: Durable) -> Result<(), Rejection> {
        let lost = || Rejection::new(Failure::SystemFailure, "the stamp could not be entered in the log");
        if durable.wait().await { Ok(()) } else { Err(lost()) }
    }
}

fn out_of_order() -> Rejection {
    Rejection::new(Failure::SystemFailure, "the service is out of order")
}
