//! Return values (PKCS#11 Base 2.40 section 5.1): the only place that makes a `CK_RV`.
use std::ffi::c_ulong;

use middleware::CardError;

/// A `CK_RV` other than `CKR_OK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReturnValue(c_ulong);

impl ReturnValue {
    pub(crate) const SLOT_ID_INVALID: Self = Self(0x0000_0003);
    pub(crate) const GENERAL_ERROR: Self = Self(0x0000_0005);
    pub(crate) const ARGUMENTS_BAD: Self = Self(0x0000_0007);
    pub(crate) const CANT_LOCK: Self = Self(0x0000_000A);
    pub(crate) const DEVICE_ERROR: Self = Self(0x0000_0030);
    pub(crate) const DEVICE_REMOVED: Self = Self(0x0000_0032);
    pub(crate) const FUNCTION_NOT_PARALLEL: Self = Self(0x0000_0051);
    pub(crate) const FUNCTION_NOT_SUPPORTED: Self = Self(0x0000_0054);
    pub(crate) const TOKEN_NOT_PRESENT: Self = Self(0x0000_00E0);
    pub(crate) const TOKEN_NOT_RECOGNIZED: Self = Self(0x0000_00E1);
    pub(crate) const BUFFER_TOO_SMALL: Self = Self(0x0000_0150);
    pub(crate) const CRYPTOKI_NOT_INITIALIZED: Self = Self(0x0000_0190);
    pub(crate) const CRYPTOKI_ALREADY_INITIALIZED: Self = Self(0x0000_0191);

    /// What the application sees: `CKR_OK` for success.
    pub(crate) fn of(result: Result<(), Self>) -> c_ulong {
        result.map_or_else(|error| error.0, |()| 0)
    }
}

impl From<CardError> for ReturnValue {
    fn from(error: CardError) -> Self {
        match error {
            CardError::NoCard | CardError::NoSuchReader { .. } => Self::TOKEN_NOT_PRESENT,
            CardError::NotPiv(_) => Self::TOKEN_NOT_RECOGNIZED,
            CardError::CardRemoved => Self::DEVICE_REMOVED,
            _ => Self::DEVICE_ERROR,
        }
    }
}
