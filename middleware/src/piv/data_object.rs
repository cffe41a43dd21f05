//! Data objects by their BER tag (SP 800-73-5 Part 1 table 3).

/// A data object by its BER tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataObject(u32);

impl DataObject {
    /// 5FC107, Part 1 section 3.1.1.
    pub const CARD_CAPABILITY_CONTAINER: Self = Self(0x5F_C107);
    /// 5FC102, card holder unique identifier, Part 1 section 3.1.2.
    pub const CHUID: Self = Self(0x5F_C102);
    /// 7E, Part 1 section 3.3.2; not wrapped in `53`.
    pub const DISCOVERY: Self = Self(0x7E);
    /// 5FC10C, Part 1 section 3.3.3.
    pub const KEY_HISTORY: Self = Self(0x5F_C10C);
    /// 5FC109, Part 1 section 3.3.1; the card wants the PIN for it.
    pub const PRINTED_INFORMATION: Self = Self(0x5F_C109);
    /// 5FC106, Part 1 section 3.1.7.
    pub const SECURITY_OBJECT: Self = Self(0x5F_C106);
    /// What every emulated card of this project shows: `53 L { 80 L "card-sim" [81 01 flags] }`, read-only.
    /// Flag bit 0: made from a seed; bit 1: snapshotted or cloned.
    pub const EMULATED_MARK: Self = Self(0x5F_FF53);
    /// 5FFF01, the vendor's certificate of the attestation key F9.
    pub const ATTESTATION_CERTIFICATE: Self = Self(0x5F_FF01);
    /// 7F61, Part 1 section 3.3.6; not wrapped in `53`.
    pub const BIOMETRIC_INFORMATION_TEMPLATES: Self = Self(0x7F61);

    /// Any tag; the card decides whether it has such an object.
    pub const fn from_tag(tag: u32) -> Self {
        Self(tag)
    }

    /// The tag as a number, `0x5FC102` for the CHUID.
    pub const fn tag(self) -> u32 {
        self.0
    }

    /// Whether GET DATA answers the object itself, without `53` around it (Part 2 section 3.1.2).
    pub(crate) fn stands_alone(self) -> bool {
        self == Self::DISCOVERY || self == Self::BIOMETRIC_INFORMATION_TEMPLATES
    }

    /// The tag list of GET DATA and PUT DATA: `5C L tag`.
    pub(crate) fn tag_list(self) -> Vec<u8> {
        let tag = self.0.to_be_bytes();
        let leading = tag.iter().take_while(|&&byte| byte == 0).count().min(3);
        crate::apdu::ber_tlv::encode(0x5C, tag.get(leading..).unwrap_or_default())
    }
}

/// The whole answer to GET DATA for an object with these contents: `53 L contents`.
pub(crate) fn wrapped(contents: &[u8]) -> Vec<u8> {
    crate::apdu::ber_tlv::encode(0x53, contents)
}

impl std::fmt::Display for DataObject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:X}", self.0)
    }
}
