//! Return values (PKCS#11 Base 3.0 section 5.1): the only place that makes a `CK_RV`.
use std::ffi::c_ulong;

use middleware::keys::rsa_padding::PaddingError;
use middleware::{CardError, KeyError};

/// A `CK_RV` other than `CKR_OK`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ReturnValue(c_ulong);

impl ReturnValue {
    pub(crate) const SLOT_ID_INVALID: Self = Self(0x0000_0003);
    pub(crate) const GENERAL_ERROR: Self = Self(0x0000_0005);
    pub(crate) const FUNCTION_FAILED: Self = Self(0x0000_0006);
    pub(crate) const ARGUMENTS_BAD: Self = Self(0x0000_0007);
    pub(crate) const NO_EVENT: Self = Self(0x0000_0008);
    pub(crate) const CANT_LOCK: Self = Self(0x0000_000A);
    pub(crate) const ATTRIBUTE_READ_ONLY: Self = Self(0x0000_0010);
    pub(crate) const ATTRIBUTE_SENSITIVE: Self = Self(0x0000_0011);
    pub(crate) const ATTRIBUTE_TYPE_INVALID: Self = Self(0x0000_0012);
    pub(crate) const ATTRIBUTE_VALUE_INVALID: Self = Self(0x0000_0013);
    pub(crate) const ACTION_PROHIBITED: Self = Self(0x0000_001B);
    pub(crate) const DATA_INVALID: Self = Self(0x0000_0020);
    pub(crate) const DATA_LEN_RANGE: Self = Self(0x0000_0021);
    pub(crate) const DEVICE_ERROR: Self = Self(0x0000_0030);
    pub(crate) const DEVICE_MEMORY: Self = Self(0x0000_0031);
    pub(crate) const DEVICE_REMOVED: Self = Self(0x0000_0032);
    pub(crate) const ENCRYPTED_DATA_INVALID: Self = Self(0x0000_0040);
    pub(crate) const ENCRYPTED_DATA_LEN_RANGE: Self = Self(0x0000_0041);
    pub(crate) const FUNCTION_CANCELED: Self = Self(0x0000_0050);
    pub(crate) const FUNCTION_NOT_PARALLEL: Self = Self(0x0000_0051);
    pub(crate) const FUNCTION_NOT_SUPPORTED: Self = Self(0x0000_0054);
    pub(crate) const KEY_HANDLE_INVALID: Self = Self(0x0000_0060);
    pub(crate) const KEY_SIZE_RANGE: Self = Self(0x0000_0062);
    pub(crate) const KEY_TYPE_INCONSISTENT: Self = Self(0x0000_0063);
    pub(crate) const KEY_INDIGESTIBLE: Self = Self(0x0000_0067);
    pub(crate) const KEY_FUNCTION_NOT_PERMITTED: Self = Self(0x0000_0068);
    pub(crate) const KEY_NOT_WRAPPABLE: Self = Self(0x0000_0069);
    pub(crate) const KEY_UNEXTRACTABLE: Self = Self(0x0000_006A);
    pub(crate) const MECHANISM_INVALID: Self = Self(0x0000_0070);
    pub(crate) const MECHANISM_PARAM_INVALID: Self = Self(0x0000_0071);
    pub(crate) const OBJECT_HANDLE_INVALID: Self = Self(0x0000_0082);
    pub(crate) const OPERATION_ACTIVE: Self = Self(0x0000_0090);
    pub(crate) const OPERATION_NOT_INITIALIZED: Self = Self(0x0000_0091);
    pub(crate) const PIN_INCORRECT: Self = Self(0x0000_00A0);
    pub(crate) const PIN_INVALID: Self = Self(0x0000_00A1);
    pub(crate) const PIN_LEN_RANGE: Self = Self(0x0000_00A2);
    pub(crate) const PIN_LOCKED: Self = Self(0x0000_00A4);
    pub(crate) const SESSION_HANDLE_INVALID: Self = Self(0x0000_00B3);
    pub(crate) const SESSION_PARALLEL_NOT_SUPPORTED: Self = Self(0x0000_00B4);
    pub(crate) const SESSION_READ_ONLY: Self = Self(0x0000_00B5);
    pub(crate) const SESSION_READ_ONLY_EXISTS: Self = Self(0x0000_00B7);
    pub(crate) const SESSION_READ_WRITE_SO_EXISTS: Self = Self(0x0000_00B8);
    pub(crate) const SIGNATURE_INVALID: Self = Self(0x0000_00C0);
    pub(crate) const SIGNATURE_LEN_RANGE: Self = Self(0x0000_00C1);
    pub(crate) const TEMPLATE_INCOMPLETE: Self = Self(0x0000_00D0);
    pub(crate) const TEMPLATE_INCONSISTENT: Self = Self(0x0000_00D1);
    pub(crate) const TOKEN_NOT_PRESENT: Self = Self(0x0000_00E0);
    pub(crate) const TOKEN_NOT_RECOGNIZED: Self = Self(0x0000_00E1);
    pub(crate) const USER_ALREADY_LOGGED_IN: Self = Self(0x0000_0100);
    pub(crate) const USER_NOT_LOGGED_IN: Self = Self(0x0000_0101);
    pub(crate) const USER_TYPE_INVALID: Self = Self(0x0000_0103);
    pub(crate) const USER_ANOTHER_ALREADY_LOGGED_IN: Self = Self(0x0000_0104);
    pub(crate) const WRAPPED_KEY_INVALID: Self = Self(0x0000_0110);
    pub(crate) const WRAPPED_KEY_LEN_RANGE: Self = Self(0x0000_0112);
    pub(crate) const RANDOM_SEED_NOT_SUPPORTED: Self = Self(0x0000_0120);
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
            CardError::WrongPin { .. } | CardError::WrongPuk { .. } | CardError::WrongManagementKey => {
                Self::PIN_INCORRECT
            }
            CardError::MalformedPin | CardError::MalformedPuk => Self::PIN_INCORRECT,
            CardError::PinBlocked | CardError::PukBlocked => Self::PIN_LOCKED,
            CardError::NewPinRefused => Self::PIN_INVALID,
            CardError::LastPinTry | CardError::PinRequired => Self::USER_NOT_LOGGED_IN,
            CardError::KeyNotFound(_) => Self::KEY_HANDLE_INVALID,
            CardError::ObjectNotFound(_) => Self::OBJECT_HANDLE_INVALID,
            CardError::CardFull(_) => Self::DEVICE_MEMORY,
            CardError::InputRejected => Self::DATA_INVALID,
            CardError::InUse(_) => Self::FUNCTION_FAILED,
            CardError::Unsupported(_) => Self::FUNCTION_NOT_SUPPORTED,
            _ => Self::DEVICE_ERROR,
        }
    }
}

impl From<KeyError> for ReturnValue {
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::Card(error) => error.into(),
            KeyError::MalformedPeerKey => Self::MECHANISM_PARAM_INVALID,
            KeyError::DecryptionFailed => Self::ENCRYPTED_DATA_INVALID,
            KeyError::Unsupported(_) => Self::KEY_TYPE_INCONSISTENT,
            _ => Self::FUNCTION_FAILED,
        }
    }
}

impl From<PaddingError> for ReturnValue {
    fn from(error: PaddingError) -> Self {
        match error {
            PaddingError::WrongLength { .. } => Self::DATA_LEN_RANGE,
            PaddingError::KeyTooShort { .. } => Self::KEY_SIZE_RANGE,
            _ => Self::FUNCTION_FAILED,
        }
    }
}
