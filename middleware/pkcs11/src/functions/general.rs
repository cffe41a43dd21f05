//! General-purpose functions (PKCS#11 Base 3.0 section 5.4).
use crate::module::Module;
use crate::return_value::ReturnValue;
use crate::structures::{Info, Version, padded};

/// The edition of the standard that the module follows.
pub(crate) const CRYPTOKI_VERSION: Version = Version { major: 3, minor: 0 };
/// The edition whose function list every application knows.
pub(crate) const EARLIER_VERSION: Version = Version { major: 2, minor: 40 };

const MANUFACTURER: &str = "Sealwright";

/// How an application wants concurrent calls kept apart, from `CK_C_INITIALIZE_ARGS`.
pub(crate) struct Locking {
    /// How many of the four functions it gave.
    pub(crate) functions: usize,
    /// `CKF_OS_LOCKING_OK`.
    pub(crate) system_is_allowed: bool,
    /// Not `CKF_LIBRARY_CANT_CREATE_OS_THREADS`.
    pub(crate) threads_are_allowed: bool,
}

/// C_Initialize. We lock with the system's own means; an application that insists on its own functions is refused.
pub(crate) fn initialize(locking: Option<&Locking>) -> Result<(), ReturnValue> {
    match locking {
        Some(Locking { functions: 1..=3, .. }) => Err(ReturnValue::ARGUMENTS_BAD),
        Some(Locking { functions: 4, system_is_allowed: false, .. }) => Err(ReturnValue::CANT_LOCK),
        locking => Module::initialize(locking.is_none_or(|locking| locking.threads_are_allowed)),
    }
}

/// C_GetInfo.
pub(crate) fn info() -> Result<Info, ReturnValue> {
    Module::current()?;
    Ok(Info {
        cryptoki_version: CRYPTOKI_VERSION,
        manufacturer_id: padded(MANUFACTURER),
        flags: 0,
        library_description: padded("PIV cards"),
        library_version: library_version(),
    })
}

fn library_version() -> Version {
    let part = |text: &str| text.parse().unwrap_or(0);
    Version { major: part(env!("CARGO_PKG_VERSION_MAJOR")), minor: part(env!("CARGO_PKG_VERSION_MINOR")) }
}
