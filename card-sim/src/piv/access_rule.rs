//! Who may do what over which interface, and the status word when they may not: the one table.
//!
//! It reads like the standard: SP 800-73-5 Part 2 table 2 (commands), Part 1 tables 2, 3 and 8 (containers), 4 (PINs
//! and the like) and 5 (keys). Columns are the contact and the contactless interface.

use std::ops::RangeInclusive;

use super::data_object::{
    BIOMETRIC_GROUP, CAPABILITY_CONTAINER, CHUID, DISCOVERY, EMULATED_MARK, FACIAL_IMAGE, FINGERPRINTS,
    IRIS_IMAGES, KEY_HISTORY, PAIRING_CODE, PRINTED_INFORMATION, RETIRED_CERTIFICATES, SECURITY_OBJECT,
    SIGNER_OF_SECURE_MESSAGING, YUBIKEY_TAGS,
};
use super::key_reference::{AsymmetricKeyReference, PasswordReference};
use super::personality::Personality;
use super::security_status::SecurityStatus;
use super::state::PinPolicy;
use crate::iso7816::{Interface, StatusWord};
use AccessCondition::{Administrator, Always, FreshPin, Never, Pin, SecureMessaging, Vci, VciAndPin};

/// A condition on the security status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccessCondition {
    /// Anyone.
    Always,
    /// "PIN": the PIN was verified, which the Global PIN is as well where it is enabled. Also "PIN or OCC": there is
    /// no on-card comparison.
    Pin,
    /// "PIN Always": the PIN was verified by the command just before.
    FreshPin,
    /// The PIV Card Application Administrator: the management key was proven.
    Administrator,
    /// The command came under secure messaging.
    SecureMessaging,
    /// Through the virtual contact interface (Part 1 section 5.5).
    Vci,
    /// Through the virtual contact interface, and what the contact column says.
    VciAndPin,
    /// Nobody.
    Never,
}

impl AccessCondition {
    /// Whether the condition holds. Without secure messaging there is no virtual contact interface either.
    fn holds(self, status: &SecurityStatus) -> bool {
        match self {
            Always => true,
            Pin => status.is_pin_verified(),
            FreshPin => status.is_pin_fresh(),
            Administrator => status.is_management_authenticated(),
            SecureMessaging | Vci | VciAndPin | Never => false,
        }
    }
}

/// An access rule: the condition over each interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AccessRule {
    /// Over the contact interface.
    pub contact: AccessCondition,
    /// Over the contactless interface.
    pub contactless: AccessCondition,
}

impl AccessRule {
    const fn new(contact: AccessCondition, contactless: AccessCondition) -> Self {
        Self { contact, contactless }
    }

    /// Fails with 6982 unless the condition of the interface in use holds.
    ///
    /// # Errors
    /// 6982.
    pub fn require(self, status: &SecurityStatus) -> Result<(), StatusWord> {
        let condition = match status.interface() {
            Interface::Contact => self.contact,
            Interface::Contactless => self.contactless,
        };
        if condition.holds(status) { Ok(()) } else { Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED) }
    }
}

/// Who may write data objects, generate or import keys and change the management key.
pub const ADMINISTRATION: AccessRule = AccessRule::new(Administrator, Never);

/// Who may, being the administrator, set the tries of PIN and PUK.
pub const SETTING_PIN_RETRIES: AccessRule = AccessRule::new(Pin, Never);

/// One row of Part 2 table 2, with the status words of the command's own table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CommandRule {
    /// INS.
    pub instruction: u8,
    /// The name of the command.
    pub name: &'static str,
    /// Whether it exists over the contactless interface; there, 6A81 answers one that does not.
    pub is_contactless: bool,
    /// Whether it may come in fragments; 6884 answers one that may not.
    pub is_chainable: bool,
    /// What it may answer; x and X stand for any digit.
    pub status_words: &'static str,
}

impl CommandRule {
    const fn new(
        instruction: u8,
        name: &'static str,
        is_contactless: bool,
        is_chainable: bool,
        status_words: &'static str,
    ) -> Self {
        Self { instruction, name, is_contactless, is_chainable, status_words }
    }

    /// Whether the command's table has this status word, or it says that the command as such was malformed.
    #[must_use]
    pub fn may_answer(&self, status: StatusWord) -> bool {
        let digits = format!("{status:?}");
        let is_of_this_form = |pattern: &str| {
            pattern
                .chars()
                .zip(digits.chars())
                .all(|(wanted, found)| "xX".contains(wanted) || wanted == found)
        };
        self.status_words.split(' ').chain(MALFORMED.split(' ')).any(is_of_this_form)
    }
}

/// What the tables leave to ISO 7816-4, for every command: memory failure; lengths, channels, secure messaging or
/// chaining that do not fit; a data field or P1-P2 that is not the command's.
pub const MALFORMED: &str = "6581 6700 6881 6882 6884 6A80 6A86";

/// Part 2 table 2: PIV Card Application card commands. (Table 2 asks VERIFY and CHANGE REFERENCE DATA to be chainable
/// only for on-card comparison; it does no harm without.)
#[rustfmt::skip]
pub const COMMANDS: [CommandRule; 9] = [
    //               INS   name                            contactless chaining  status words
    CommandRule::new(0xA4, "SELECT",                       true,       false,    "6A82 9000"),
    CommandRule::new(0xCB, "GET DATA",                     true,       false,    "61xx 6982 6A82 9000"),
    CommandRule::new(0x20, "VERIFY",                       true,       true,     "6300 63CX 6982 6983 6A80 6A81 6A86 6A88 9000"),
    CommandRule::new(0x24, "CHANGE REFERENCE DATA",        true,       true,     "63CX 6982 6983 6A80 6A81 6A88 9000"),
    CommandRule::new(0x2C, "RESET RETRY COUNTER",          false,      false,    "63CX 6983 6A80 6A81 6A88 9000"),
    CommandRule::new(0x87, "GENERAL AUTHENTICATE",         true,       true,     "61xx 6982 6A80 6A86 9000"),
    CommandRule::new(0xDB, "PUT DATA",                     false,      true,     "6982 6A81 6A84 9000"),
    CommandRule::new(0x47, "GENERATE ASYMMETRIC KEY PAIR", false,      true,     "61XX 6982 6A80 6A81 6A86 9000"),
    CommandRule::new(0xC0, "GET RESPONSE",                 true,       false,    "61xx 6A80 9000"),
];

/// A YubiKey's instructions. Without contact those that change something are missing, as in table 2.
#[rustfmt::skip]
pub const YUBIKEY_COMMANDS: [CommandRule; 9] = [
    CommandRule::new(0xFD, "GET VERSION",                  true,       false,    "61xx 9000"),
    CommandRule::new(0xF8, "GET SERIAL",                   true,       false,    "61xx 9000"),
    CommandRule::new(0xF7, "GET METADATA",                 true,       false,    "61xx 6A88 9000"),
    CommandRule::new(0xF9, "ATTEST",                       true,       false,    "61xx 6A82 6A88 9000"),
    CommandRule::new(0xFE, "IMPORT ASYMMETRIC KEY",        false,      true,     "6982 6A81 9000"),
    CommandRule::new(0xFF, "SET MANAGEMENT KEY",           false,      false,    "6982 6A81 9000"),
    CommandRule::new(0xFA, "SET PIN RETRIES",              false,      false,    "6982 6A81 9000"),
    CommandRule::new(0xFB, "RESET",                        false,      false,    "6985 6A81 9000"),
    CommandRule::new(0xF6, "MOVE KEY",                     false,      false,    "6982 6A81 6A88 6D00 9000"),
];

/// The rule of an instruction; `None` when this personality has none of this kind.
#[must_use]
pub fn command(personality: Personality, instruction: u8) -> Option<CommandRule> {
    let of_a_vendor = if personality.is_yubikey() { &YUBIKEY_COMMANDS[..] } else { &[] };
    COMMANDS.iter().chain(of_a_vendor).find(|rule| rule.instruction == instruction).copied()
}

/// A container of the data model: one row of Part 1 tables 2, 3 and 8.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Container {
    /// The tags of its data objects.
    pub tags: RangeInclusive<u32>,
    /// The container identifier of the first of them.
    pub identifier: u16,
    /// The capacity that the standard guarantees, in bytes; this card has more (see
    /// [`Personality::object_capacity`]).
    pub capacity: usize,
    /// Who may read it.
    pub read: AccessRule,
}

const fn container(
    tag: u32,
    identifier: u16,
    capacity: usize,
    contact: AccessCondition,
    contactless: AccessCondition,
) -> Container {
    Container { tags: tag..=tag, identifier, capacity, read: AccessRule::new(contact, contactless) }
}

/// Part 1 table 8: PIV data containers. Only the administrator writes them, and only over the contact interface.
#[rustfmt::skip]
pub const CONTAINERS: [Container; 17] = [
    //        tag                         identifier  bytes  contact  contactless
    container(CAPABILITY_CONTAINER,       0xDB00,       170, Always,  Vci),
    container(CHUID,                      0x3000,      2881, Always,  Always),
    container(AsymmetricKeyReference::PivAuthentication.certificate_tag(),
                                          0x0101,      1857, Always,  Vci),
    container(FINGERPRINTS,               0x6010,      4006, Pin,     VciAndPin),
    container(SECURITY_OBJECT,            0x9000,      1336, Always,  Vci),
    container(FACIAL_IMAGE,               0x6030,    12_710, Pin,     VciAndPin),
    container(AsymmetricKeyReference::CardAuthentication.certificate_tag(),
                                          0x0500,      1857, Always,  Always),
    container(AsymmetricKeyReference::DigitalSignature.certificate_tag(),
                                          0x0100,      1857, Always,  Vci),
    container(AsymmetricKeyReference::KeyManagement.certificate_tag(),
                                          0x0102,      1857, Always,  Vci),
    container(PRINTED_INFORMATION,        0x3001,       245, Pin,     VciAndPin),
    container(DISCOVERY,                  0x6050,        19, Always,  Always),
    container(KEY_HISTORY,                0x6060,       128, Always,  Vci),
    // Twenty rows of the standard: retired certificates 1 to 20, identifiers 1001 to 1014.
    Container { tags: RETIRED_CERTIFICATES, ..container(0, 0x1001, 1895, Always, Vci) },
    container(IRIS_IMAGES,                0x1015,      7106, Pin,     VciAndPin),
    container(BIOMETRIC_GROUP,            0x1016,        65, Always,  Always),
    container(SIGNER_OF_SECURE_MESSAGING, 0x1017,      2471, Always,  Always),
    container(PAIRING_CODE,               0x1018,        12, Pin,     VciAndPin),
];

/// The rules of one data object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ObjectRule {
    /// Who may read it.
    pub read: AccessRule,
    /// Who may replace it.
    pub write: AccessRule,
}

/// The rule of a data object; `None` when the card has no object of this tag.
#[must_use]
pub fn object(personality: Personality, tag: u32) -> Option<ObjectRule> {
    let standard = CONTAINERS.iter().find(|container| container.tags.contains(&tag));
    let (read, write) = match standard {
        _ if tag == EMULATED_MARK => (AccessRule::new(Always, Always), AccessRule::new(Never, Never)),
        // A YubiKey shows the pairing code to everyone, as it would any object it does not know.
        Some(_) if tag == PAIRING_CODE && personality.is_yubikey() => {
            (AccessRule::new(Always, Vci), ADMINISTRATION)
        }
        Some(container) => (container.read, ADMINISTRATION),
        None if personality.is_yubikey() && YUBIKEY_TAGS.contains(&tag) => {
            (AccessRule::new(Always, Vci), ADMINISTRATION)
        }
        None => return None,
    };
    Some(ObjectRule { read, write })
}

/// Part 1 table 4: who may present a PIN or the like.
#[must_use]
pub fn password(reference: PasswordReference) -> AccessRule {
    match reference {
        PasswordReference::GlobalPin | PasswordReference::Pin => AccessRule::new(Always, Vci),
        PasswordReference::Puk => AccessRule::new(Always, Never),
    }
}

/// Part 1 table 4: who may present the pairing code.
pub const PAIRING_CODE_SUBMISSION: AccessRule = AccessRule::new(Always, SecureMessaging);

/// Part 1 table 5: who may use a private key. The standard fixes the PIN policy of each reference
/// ([`PinPolicy::default_for`]); on a YubiKey it is the key's. Without contact only 9E works, and only without PIN.
#[must_use]
pub fn key(reference: AsymmetricKeyReference, policy: PinPolicy) -> AccessRule {
    match (policy, reference) {
        (PinPolicy::Never, AsymmetricKeyReference::CardAuthentication) => AccessRule::new(Always, Always),
        (PinPolicy::Never, _) => AccessRule::new(Always, Vci),
        (PinPolicy::Once, _) => AccessRule::new(Pin, VciAndPin),
        (PinPolicy::Always, _) => AccessRule::new(FreshPin, VciAndPin),
    }
}

/// Part 1 table 5, 9B: who may authenticate as administrator.
pub const ADMINISTRATION_KEY_USE: AccessRule = AccessRule::new(Always, Never);

/// Why a command is refused, where the standard and a YubiKey, or the standard and ISO 7816-4, say it differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refusal {
    /// GENERAL AUTHENTICATE names a key that was never made.
    NoSuchKey,
    /// A new PIN or PUK breaks the rules, and the old value was right.
    MalformedNewValue,
    /// CHANGE REFERENCE DATA with a P1 other than 00.
    WrongP1OfChangeReferenceData,
}

impl Refusal {
    /// The status word.
    #[must_use]
    pub fn status_word(self, personality: Personality) -> StatusWord {
        let (standard, yubikey) = match self {
            // Part 2 section 3.2.4; Yubico's tools recognise an empty key by 6A80.
            Self::NoSuchKey => (StatusWord::INCORRECT_P1_P2, StatusWord::INCORRECT_DATA),
            // Part 2 section 3.2.2; Yubico's tools explain it by 6985.
            Self::MalformedNewValue => {
                (StatusWord::INCORRECT_DATA, StatusWord::CONDITIONS_OF_USE_NOT_SATISFIED)
            }
            // Part 1 table 7; Yubico documents 6A88 for P1 as well.
            Self::WrongP1OfChangeReferenceData => {
                (StatusWord::INCORRECT_P1_P2, StatusWord::REFERENCE_NOT_FOUND)
            }
        };
        if personality.is_yubikey() { yubikey } else { standard }
    }
}
