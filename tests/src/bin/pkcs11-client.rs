//! A PKCS#11 application (the crate `cryptoki`) that does what the lines on its standard input say, one answer each:
//! `pkcs11-client MODULE`; or works hard for a while: `pkcs11-client MODULE stress SECONDS THREADS PIN`.

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [module] => obey(Path::new(module)),
        [module, "stress", seconds, threads, pin] => {
            stress(Path::new(module), Duration::from_secs(seconds.parse()?), threads.parse()?, pin)
        }
        _ => bail!("usage: pkcs11-client MODULE [stress SECONDS THREADS PIN]"),
    }
}

fn initialize(module: &Path) -> Result<Pkcs11> {
    let module = Pkcs11::new(module)?;
    module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
    Ok(module)
}

/// Says that it is ready, and reads commands to the end of the input.
fn obey(module: &Path) -> Result<()> {
    let mut client = Client { module: Some(initialize(module)?), session: None };
    println!("ready");
    std::io::stdout().flush()?;
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let answer = match client.act(&words) {
            Ok(answer) => answer,
            Err(Error::Pkcs11(code, _)) => format!("{code:?}"),
            Err(error) => error.to_string(),
        };
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

struct Client {
    module: Option<Pkcs11>,
    session: Option<Session>,
}

impl Client {
    fn act(&mut self, words: &[&str]) -> Result<String, Error> {
        let module = self.module.as_ref().ok_or(Error::NotSupported)?;
        match words {
            ["open"] => {
                let slot = first_slot(module)?;
                self.session = Some(module.open_rw_session(slot)?);
            }
            ["login", pin] => self.session()?.login(UserType::User, Some(&secret(pin)))?,
            ["logout"] => self.session()?.logout()?,
            ["close"] => self.session = None,
            ["finalize"] => {
                self.session = None;
                if let Some(module) = self.module.take() {
                    module.finalize()?;
                }
            }
            ["sign", id] => {
                let session = self.session()?;
                let key = key(session, ObjectClass::PRIVATE_KEY, id)?;
                session.sign(&Mechanism::Ecdsa, key, &[7; 32])?;
            }
            // Answers after some signatures, and signs on until it is killed.
            ["sign-on", id] => {
                let session = self.session()?;
                let key = key(session, ObjectClass::PRIVATE_KEY, id)?;
                for count in 0.. {
                    session.sign(&Mechanism::Ecdsa, key, &[7; 32])?;
                    if count == 10 {
                        println!("ok");
                    }
                }
            }
            // Key 9C: begins, agrees, looks at the token as NSS does, signs.
            ["sign-agreed", id, pin] => {
                let session = self.session()?;
                let key = key(session, ObjectClass::PRIVATE_KEY, id)?;
                session.sign_init(&Mechanism::Ecdsa, key)?;
                session.login(UserType::ContextSpecific, Some(&secret(pin)))?;
                module.get_token_info(first_slot(module)?)?;
                session.sign_update(&[7; 32])?;
                session.sign_final()?;
            }
            ["wait"] => {
                module.wait_for_slot_event()?;
            }
            ["find"] => return Ok(self.session()?.find_objects(&[])?.len().to_string()),
            _ => return Err(Error::NotSupported),
        }
        Ok("ok".to_owned())
    }

    fn session(&self) -> Result<&Session, Error> {
        self.session.as_ref().ok_or(Error::NotSupported)
    }
}

fn first_slot(module: &Pkcs11) -> Result<cryptoki::slot::Slot, Error> {
    let slots = module.get_slots_with_token()?;
    slots
        .first()
        .copied()
        .ok_or(Error::Pkcs11(RvError::TokenNotPresent, cryptoki::context::Function::GetSlotList))
}

fn secret(pin: &str) -> AuthPin {
    AuthPin::new(pin.into())
}

fn key(session: &Session, class: ObjectClass, id: &str) -> Result<ObjectHandle, Error> {
    let id = hex::decode(id).map_err(|_| Error::InvalidValue)?;
    let found = session.find_objects(&[Attribute::Class(class), Attribute::Id(id)])?;
    found
        .first()
        .copied()
        .ok_or(Error::Pkcs11(RvError::KeyHandleInvalid, cryptoki::context::Function::FindObjects))
}

/// Many threads sign and verify as fast as they can, whatever happens to the card. Every answer must be right, or an
/// error that says what happened; neither descriptors nor memory may grow.
fn stress(module: &Path, time: Duration, threads: usize, pin: &str) -> Result<()> {
    let module = initialize(module)?;
    let end = Instant::now() + time;
    let warm = Instant::now() + time / 4;
    let counted = std::thread::scope(|scope| -> Result<_> {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| work(&module, end, pin))).collect();
        while Instant::now() < warm {
            std::thread::park_timeout(warm.saturating_duration_since(Instant::now()));
        }
        let before = usage()?;
        let mut signed = 0;
        let mut refused = 0;
        for worker in workers {
            let (more_signed, more_refused) =
                worker.join().map_err(|_| anyhow::anyhow!("a worker panicked"))??;
            signed += more_signed;
            refused += more_refused;
        }
        Ok((signed, refused, before))
    })?;
    let (signed, refused, (descriptors, kibibytes)) = counted;
    let after = usage()?;
    ensure!(after.0 <= descriptors + 4, "{descriptors} descriptors became {}", after.0);
    ensure!(after.1 <= kibibytes + 16 * 1024, "{kibibytes} KiB became {}", after.1);
    println!("signed {signed} refused {refused}");
    Ok(())
}

fn work(module: &Pkcs11, end: Instant, pin: &str) -> Result<(usize, usize)> {
    let (mut signed, mut refused) = (0, 0);
    while Instant::now() < end {
        match sign_and_verify(module, pin) {
            Ok(()) => signed += 1,
            Err(Error::Pkcs11(code, function)) => {
                ensure!(may_happen(code), "{function} answered {code:?}");
                refused += 1;
                std::thread::yield_now();
            }
            Err(error) => return Err(error).context("not from the module"),
        }
    }
    Ok((signed, refused))
}

fn sign_and_verify(module: &Pkcs11, pin: &str) -> Result<(), Error> {
    let session = module.open_ro_session(first_slot(module)?)?;
    match session.login(UserType::User, Some(&secret(pin))) {
        Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {}
        Err(error) => return Err(error),
    }
    let private = key(&session, ObjectClass::PRIVATE_KEY, "01")?;
    let public = key(&session, ObjectClass::PUBLIC_KEY, "01")?;
    let signature = session.sign(&Mechanism::Ecdsa, private, &[7; 32])?;
    session.verify(&Mechanism::Ecdsa, public, &[7; 32], &signature)
}

/// What the removal or reset of a card, the end of a login by another thread's last session, or an absent card may
/// answer. A wrong signature, a wrong PIN and a panic are not among them.
fn may_happen(code: RvError) -> bool {
    matches!(
        code,
        RvError::DeviceRemoved
            | RvError::DeviceError
            | RvError::TokenNotPresent
            | RvError::TokenNotRecognized
            | RvError::SessionHandleInvalid
            | RvError::SessionClosed
            | RvError::UserNotLoggedIn
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
    )
}

/// Open descriptors and resident memory in KiB of this process.
fn usage() -> Result<(usize, usize)> {
    let descriptors = std::fs::read_dir("/proc/self/fd")?.count();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok((descriptors, resident.trim().trim_end_matches(" kB").trim().parse()?))
}
