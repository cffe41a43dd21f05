//! Making a blank card, as a manufacturer does.

use std::collections::BTreeMap;

use super::data_object;
use super::extension::attestation_authority::AttestationAuthority;
use super::key_reference::{ATTESTATION_KEY, AsymmetricKeyReference, PasswordReference};
use super::personality::{Firmware, Personality};
use super::pin;
use super::pin_usage_policy::PinUsagePolicy;
use super::state::{CardState, Key, KeyOrigin, ManagementKey, Password, PinPolicy, TouchPolicy};
use crate::crypto::{Randomness, RustCrypto, SymmetricAlgorithm};
use crate::secret::SecretBytes;

const FACTORY_PIN: &[u8] = b"123456";
const FACTORY_PUK: &[u8] = b"12345678";
const FACTORY_TRIES: u8 = 3;

/// The factory management key of every YubiKey: 01 to 08, three times.
const YUBIKEY_MANAGEMENT_KEY: [u8; 24] =
    [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8];

/// What the buyer of a blank card chooses.
pub struct BlankCard {
    /// The kind of card.
    pub kind: BlankKind,
    /// Keys to put in at the factory, by key reference.
    pub keys: BTreeMap<u8, Key>,
    /// The seed of a repeatable card.
    pub seed: Option<SecretBytes>,
}

/// The kind of a blank card.
pub enum BlankKind {
    /// A neutral card with random PUK and management key.
    Standard,
    /// A YubiKey with its factory values.
    YubiKey5 {
        /// The firmware line.
        firmware: Firmware,
        /// The serial number; random when absent.
        serial: Option<u32>,
    },
}

/// What a manufacturer writes on the delivery note of a standard card.
pub struct StockRecord {
    /// The card's GUID: its serial number.
    pub guid: [u8; 16],
    /// Its PUK, eight digits.
    pub puk: SecretBytes,
    /// Its management key.
    pub management_key: SecretBytes,
    /// The algorithm of the management key.
    pub management_key_algorithm: SymmetricAlgorithm,
}

impl BlankCard {
    /// Makes the card: CHUID with a random GUID, capability container, factory PIN. A standard card
    /// also gets its own PUK and management key, and a record of them; a YubiKey gets an attestation authority.
    #[must_use]
    pub fn manufacture(self, randomness: &mut Randomness) -> (CardState, Option<StockRecord>) {
        let guid = random_guid(randomness);
        let identifier = randomness.array();
        let (personality, puk, management_key) = match self.kind {
            BlankKind::Standard => {
                let puk = random_digits(randomness);
                let key = random_management_key(SymmetricAlgorithm::Aes256, randomness);
                (Personality::Standard, puk, key)
            }
            BlankKind::YubiKey5 { firmware, serial } => {
                let serial = serial.unwrap_or_else(|| 10_000_000 + randomness.below(90_000_000));
                (
                    Personality::YubiKey5 { firmware, serial },
                    SecretBytes::from(FACTORY_PUK),
                    factory_management_key(firmware),
                )
            }
        };
        let stock = (personality == Personality::Standard).then(|| StockRecord {
            guid,
            puk: puk.clone(),
            management_key: management_key.key.clone(),
            management_key_algorithm: management_key.algorithm,
        });
        let attestation = self.attestation_authority(personality, randomness);
        let mut state = CardState {
            generation: 0,
            personality,
            seed: self.seed,
            cloned: false,
            pin: password(FACTORY_PIN),
            puk: password(puk.expose()),
            global_pin: None,
            management_key,
            keys: self.keys,
            objects: blank_objects(&guid, &identifier),
            attestation_root: None,
        };
        if let Some(authority) = attestation {
            install(authority, &mut state);
        }
        (state, stock)
    }
}

/// Gives a card a Global PIN, with the same factory value as the application PIN, and the discovery object that makes
/// it count (SP 800-73-5 Part 1 section 3.3.2). Without either, reference 00 does not exist.
pub fn add_global_pin(state: &mut CardState) {
    state.global_pin = Some(password(FACTORY_PIN));
    let discovery = SecretBytes::new(PinUsagePolicy::BOTH_PINS.discovery());
    state.objects.insert(data_object::DISCOVERY, discovery);
}

impl BlankCard {
    fn attestation_authority(
        &self,
        personality: Personality,
        randomness: &mut Randomness,
    ) -> Option<AttestationAuthority> {
        let Personality::YubiKey5 { serial, .. } = personality else { return None };
        let authority = AttestationAuthority::make(serial, self.seed.is_some(), &RustCrypto, randomness);
        Some(authority.expect("keys on P-256 can always be made, and sign"))
    }
}

/// What PIV resets to on a YubiKey (its instruction FB): the factory's PIN, PUK and management key, and a GUID and
/// card identifier that are new, because hosts remember cards by them. The attestation key with its certificates,
/// the serial number and what marks the card for good stay.
pub fn reset(state: &mut CardState, firmware: Firmware, guid: [u8; 16], identifier: [u8; 14]) {
    state.pin = factory_password(PasswordReference::Pin, FACTORY_TRIES);
    state.puk = factory_password(PasswordReference::Puk, FACTORY_TRIES);
    state.management_key = factory_management_key(firmware);
    state.keys.retain(|reference, _| *reference == ATTESTATION_KEY);
    let attestation_certificate = AsymmetricKeyReference::Attestation.certificate_tag();
    state.objects.retain(|tag, _| *tag == attestation_certificate);
    state.objects.append(&mut blank_objects(&guid, &identifier));
}

/// The data objects that a card comes with.
fn blank_objects(guid: &[u8; 16], identifier: &[u8; 14]) -> BTreeMap<u32, SecretBytes> {
    BTreeMap::from([
        (data_object::CHUID, SecretBytes::new(data_object::blank_chuid(guid))),
        (
            data_object::CAPABILITY_CONTAINER,
            SecretBytes::new(data_object::blank_capability_container(identifier)),
        ),
    ])
}

/// Puts the attestation key and its certificates on the card.
fn install(authority: AttestationAuthority, state: &mut CardState) {
    let AttestationAuthority { root, key, certificate } = authority;
    // The policies and the origin that a YubiKey reports of its own.
    let key = Key {
        material: key,
        origin: KeyOrigin::Imported,
        pin_policy: PinPolicy::Once,
        touch_policy: TouchPolicy::Never,
    };
    let contents = data_object::certificate(&certificate);
    state.keys.insert(ATTESTATION_KEY, key);
    state.objects.insert(AsymmetricKeyReference::Attestation.certificate_tag(), SecretBytes::new(contents));
    state.attestation_root = Some(root);
}

fn password(value: &[u8]) -> Password {
    Password { value: pin::padded(value), tries_left: FACTORY_TRIES, tries: FACTORY_TRIES }
}

/// The factory's PIN or PUK, with this many tries.
#[must_use]
pub fn factory_password(reference: PasswordReference, tries: u8) -> Password {
    Password { value: pin::padded(factory_value(reference)), tries_left: tries, tries }
}

fn factory_value(reference: PasswordReference) -> &'static [u8] {
    match reference {
        PasswordReference::Pin | PasswordReference::GlobalPin => FACTORY_PIN,
        PasswordReference::Puk => FACTORY_PUK,
    }
}

/// The management key a YubiKey leaves the factory with.
fn factory_management_key(firmware: Firmware) -> ManagementKey {
    ManagementKey {
        algorithm: firmware.factory_management_algorithm(),
        key: SecretBytes::from(&YUBIKEY_MANAGEMENT_KEY[..]),
        touch_policy: TouchPolicy::Never,
    }
}

/// Gives a standard card a management key of another algorithm, and writes it on the delivery note.
pub fn replace_management_key(
    state: &mut CardState,
    stock: &mut StockRecord,
    algorithm: SymmetricAlgorithm,
    randomness: &mut Randomness,
) {
    state.management_key = random_management_key(algorithm, randomness);
    stock.management_key = state.management_key.key.clone();
    stock.management_key_algorithm = algorithm;
}

fn random_management_key(algorithm: SymmetricAlgorithm, randomness: &mut Randomness) -> ManagementKey {
    let key = SecretBytes::new(randomness.bytes(algorithm.key_length()));
    ManagementKey { algorithm, key, touch_policy: TouchPolicy::Never }
}

/// Whether a key is the one every YubiKey leaves the factory with.
#[must_use]
pub fn is_factory_management_key(firmware: Firmware, key: &ManagementKey) -> bool {
    key.algorithm == firmware.factory_management_algorithm() && key.key.matches(&YUBIKEY_MANAGEMENT_KEY)
}

/// Whether a PIN or PUK is the factory's.
#[must_use]
pub fn is_factory_password(reference: PasswordReference, password: &Password) -> bool {
    password.value.matches(pin::padded(factory_value(reference)).expose())
}

/// A version 4 UUID (RFC 9562 section 5.4), as the card UUID must be (Part 1 section 3.4.1).
pub(super) fn random_guid(randomness: &mut Randomness) -> [u8; 16] {
    let number = u128::from_be_bytes(randomness.array());
    let version = 0x0000_0000_0000_4000_0000_0000_0000_0000;
    let variant = 0x0000_0000_0000_0000_8000_0000_0000_0000;
    let fixed_bits = 0x0000_0000_0000_F000_C000_0000_0000_0000;
    (number & !fixed_bits | version | variant).to_be_bytes()
}

/// Eight decimal digits, written where they stay: no copy of them is left in freed memory.
fn random_digits(randomness: &mut Randomness) -> SecretBytes {
    let mut number = randomness.below(100_000_000);
    let mut digits = vec![b'0'; pin::LENGTH];
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789".get((number % 10) as usize).copied().unwrap_or(b'0');
        number /= 10;
    }
    SecretBytes::new(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blank(kind: BlankKind) -> (CardState, Option<StockRecord>) {
        let mut randomness = Randomness::from_seed(b"blank", 0);
        BlankCard { kind, keys: BTreeMap::new(), seed: None }.manufacture(&mut randomness)
    }

    #[test]
    fn a_guid_is_a_version_4_uuid() {
        let (state, stock) = blank(BlankKind::Standard);
        let guid = state.guid().unwrap();
        assert_eq!((guid[6] >> 4, guid[8] >> 6), (4, 2));
        assert_eq!(stock.unwrap().guid, guid);
    }

    #[test]
    fn a_standard_card_has_no_factory_value_but_the_pin() {
        let (state, stock) = blank(BlankKind::Standard);
        let stock = stock.unwrap();
        assert!(state.puk.value.matches(stock.puk.expose()));
        assert!(stock.puk.expose().iter().all(u8::is_ascii_digit));
        assert_eq!(stock.management_key.expose().len(), 32);
        assert!(!state.management_key.key.matches(&YUBIKEY_MANAGEMENT_KEY));
    }

    #[test]
    fn a_yubikey_has_its_factory_values_and_no_record() {
        let (state, stock) = blank(BlankKind::YubiKey5 { firmware: Firmware::V5_4, serial: Some(7) });
        assert!(stock.is_none());
        assert!(is_factory_management_key(Firmware::V5_4, &state.management_key));
        assert_eq!(state.management_key.algorithm, SymmetricAlgorithm::TripleDes);
    }
}
