//! Structures that functions fill in (PKCS#11 Base 3.0 sections 3 and 5). Windows packs them.
use std::ffi::c_ulong;

/// `CK_VERSION`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) major: u8,
    pub(crate) minor: u8,
}

/// `CK_INFO`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
pub(crate) struct Info {
    pub(crate) cryptoki_version: Version,
    pub(crate) manufacturer_id: [u8; 32],
    pub(crate) flags: c_ulong,
    pub(crate) library_description: [u8; 32],
    pub(crate) library_version: Version,
}

/// `CK_SLOT_INFO`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
pub(crate) struct SlotInfo {
    pub(crate) slot_description: [u8; 64],
    pub(crate) manufacturer_id: [u8; 32],
    pub(crate) flags: c_ulong,
    pub(crate) hardware_version: Version,
    pub(crate) firmware_version: Version,
}

/// Bits of `CK_SLOT_INFO.flags`.
pub(crate) mod slot_flag {
    use std::ffi::c_ulong;
    pub(crate) const TOKEN_PRESENT: c_ulong = 0x0000_0001;
    pub(crate) const REMOVABLE_DEVICE: c_ulong = 0x0000_0002;
    pub(crate) const HW_SLOT: c_ulong = 0x0000_0004;
}

/// `CK_TOKEN_INFO`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
pub(crate) struct TokenInfo {
    pub(crate) label: [u8; 32],
    pub(crate) manufacturer_id: [u8; 32],
    pub(crate) model: [u8; 16],
    pub(crate) serial_number: [u8; 16],
    pub(crate) flags: c_ulong,
    pub(crate) max_session_count: c_ulong,
    pub(crate) session_count: c_ulong,
    pub(crate) max_rw_session_count: c_ulong,
    pub(crate) rw_session_count: c_ulong,
    pub(crate) max_pin_len: c_ulong,
    pub(crate) min_pin_len: c_ulong,
    pub(crate) total_public_memory: c_ulong,
    pub(crate) free_public_memory: c_ulong,
    pub(crate) total_private_memory: c_ulong,
    pub(crate) free_private_memory: c_ulong,
    pub(crate) hardware_version: Version,
    pub(crate) firmware_version: Version,
    pub(crate) utc_time: [u8; 16],
}

/// Bits of `CK_TOKEN_INFO.flags`.
pub(crate) mod token_flag {
    use std::ffi::c_ulong;
    pub(crate) const RNG: c_ulong = 0x0000_0001;
    pub(crate) const LOGIN_REQUIRED: c_ulong = 0x0000_0004;
    pub(crate) const USER_PIN_INITIALIZED: c_ulong = 0x0000_0008;
    pub(crate) const PROTECTED_AUTHENTICATION_PATH: c_ulong = 0x0000_0100;
    pub(crate) const TOKEN_INITIALIZED: c_ulong = 0x0000_0400;
    pub(crate) const USER_PIN_COUNT_LOW: c_ulong = 0x0001_0000;
    pub(crate) const USER_PIN_FINAL_TRY: c_ulong = 0x0002_0000;
    pub(crate) const USER_PIN_LOCKED: c_ulong = 0x0004_0000;
    pub(crate) const SO_PIN_FINAL_TRY: c_ulong = 0x0020_0000;
    pub(crate) const SO_PIN_LOCKED: c_ulong = 0x0040_0000;
}

/// `CK_SESSION_INFO`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
pub(crate) struct SessionInfo {
    pub(crate) slot_id: c_ulong,
    pub(crate) state: c_ulong,
    pub(crate) flags: c_ulong,
    pub(crate) device_error: c_ulong,
}

/// Bits of `CK_SESSION_INFO.flags`.
pub(crate) mod session_flag {
    use std::ffi::c_ulong;
    pub(crate) const RW_SESSION: c_ulong = 0x0000_0002;
    pub(crate) const SERIAL_SESSION: c_ulong = 0x0000_0004;
}

/// `CK_MECHANISM_INFO`.
#[cfg_attr(not(windows), repr(C))]
#[cfg_attr(windows, repr(C, packed))]
#[derive(Clone, Copy)]
pub(crate) struct MechanismInfo {
    pub(crate) min_key_size: c_ulong,
    pub(crate) max_key_size: c_ulong,
    pub(crate) flags: c_ulong,
}

/// Text in a field: UTF-8 filled with blanks, cut between characters where it is too long (section 3.1).
pub(crate) fn padded<const N: usize>(text: &str) -> [u8; N] {
    let mut field = [b' '; N];
    let end = (0..=text.len().min(N)).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    for (to, from) in field.iter_mut().zip(text.bytes().take(end)) {
        *to = from;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_filled_with_blanks_and_never_cut_within_a_character() {
        assert_eq!(&padded::<8>("PIV"), b"PIV     ");
        assert_eq!(&padded::<4>("PIV card"), b"PIV ");
        assert_eq!(&padded::<4>("aé€"), "aé ".as_bytes());
        assert_eq!(&padded::<2>("€"), b"  ");
    }

    /// The layout that C compilers give the structures on 64-bit Unix.
    #[test]
    #[cfg(all(unix, target_pointer_width = "64"))]
    fn the_structures_are_laid_out_as_in_c() {
        use std::mem::{offset_of, size_of};
        assert_eq!(size_of::<Info>(), 88);
        assert_eq!((offset_of!(Info, flags), offset_of!(Info, library_description)), (40, 48));
        assert_eq!(size_of::<SlotInfo>(), 112);
        assert_eq!((offset_of!(SlotInfo, flags), offset_of!(SlotInfo, hardware_version)), (96, 104));
        assert_eq!(size_of::<TokenInfo>(), 208);
        assert_eq!((offset_of!(TokenInfo, flags), offset_of!(TokenInfo, utc_time)), (96, 188));
    }
}
