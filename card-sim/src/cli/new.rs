//! `card-sim new`: make a blank card.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use zeroize::Zeroizing;

use super::passphrase::PassphraseSource;
use super::{Usage, key_file};
use crate::crypto::{AsymmetricAlgorithm, Randomness, SymmetricAlgorithm};
use crate::piv::algorithm::{asymmetric_algorithms, asymmetric_name};
use crate::piv::blank::{BlankCard, BlankKind, StockRecord, add_global_pin, replace_management_key};
use crate::piv::key_reference::AsymmetricKeyReference;
use crate::piv::personality::{Firmware, Personality};
use crate::piv::state::{CardState, Key, KeyOrigin, PinPolicy, TouchPolicy};
use crate::secret::SecretBytes;
use crate::store::file::{FileStore, write_new_file};
use crate::store::{StoreError, image};

/// Make a blank card in a new state file
///
/// A yubikey5 card has the factory values: PIN 123456, PUK 12345678, management key 0102..08 three
/// times. A standard card has PIN 123456 and a PUK and management key of its own, which are written
/// to a stock file of mode 0600, as a manufacturer would deliver them.
#[derive(Args)]
#[command(after_help = "Examples:
  card-sim new alice.card
  card-sim new alice.card --personality standard --stock alice.stock.toml
  card-sim new alice.card --personality standard --global-pin
  card-sim new alice.card --key 9D=old-key.pem")]
pub(super) struct New {
    /// The state file to make; it must not exist
    state: PathBuf,
    /// Encrypt the state file under a passphrase
    #[arg(long)]
    encrypt: bool,
    #[command(flatten)]
    passphrase: PassphraseSource,
    /// The kind of card
    #[arg(long, value_enum, default_value = "yubikey5")]
    personality: PersonalityName,
    /// The firmware a yubikey5 reports; it decides the management key: 5.4 3DES, 5.7 AES-192
    #[arg(long, value_enum)]
    firmware: Option<FirmwareName>,
    /// The serial number of a yubikey5 [default: random]
    #[arg(long, value_parser = parse_serial)]
    serial: Option<u32>,
    /// Put a private key in: key reference (9A 9C 9D 9E, 82 to 95) and an unencrypted key file
    #[arg(long = "key", value_name = "REF=FILE", value_parser = KeyArgument::parse)]
    keys: Vec<KeyArgument>,
    /// Make a repeatable card from these bytes; it is marked as such for good
    #[arg(long, value_name = "HEX", value_parser = parse_seed)]
    seed: Option<SecretBytes>,
    /// Give a standard card a Global PIN, also 123456, and a discovery object that enables it
    #[arg(long)]
    global_pin: bool,
    /// The algorithm of a standard card's management key [default: aes256]; a yubikey5 changes its own
    #[arg(long, value_enum)]
    management_key_algorithm: Option<ManagementKeyAlgorithm>,
    /// Where to write the stock file of a standard card [default: STATE.stock.toml]
    #[arg(long, value_name = "FILE")]
    stock: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum PersonalityName {
    #[value(name = "yubikey5")]
    YubiKey5,
    Standard,
}

#[derive(Clone, Copy, ValueEnum)]
enum FirmwareName {
    #[value(name = "5.4")]
    V5_4,
    #[value(name = "5.7")]
    V5_7,
}

#[derive(Clone, Copy, ValueEnum)]
enum ManagementKeyAlgorithm {
    #[value(name = "3des")]
    TripleDes,
    Aes128,
    Aes192,
    Aes256,
}

impl From<ManagementKeyAlgorithm> for SymmetricAlgorithm {
    fn from(name: ManagementKeyAlgorithm) -> Self {
        match name {
            ManagementKeyAlgorithm::TripleDes => Self::TripleDes,
            ManagementKeyAlgorithm::Aes128 => Self::Aes128,
            ManagementKeyAlgorithm::Aes192 => Self::Aes192,
            ManagementKeyAlgorithm::Aes256 => Self::Aes256,
        }
    }
}

#[derive(Clone)]
struct KeyArgument {
    reference: AsymmetricKeyReference,
    file: PathBuf,
}

impl KeyArgument {
    fn parse(text: &str) -> Result<Self, String> {
        let (reference, file) = text.split_once('=').ok_or("write it as REF=FILE, for example 9D=key.pem")?;
        let reference = u8::from_str_radix(reference, 16).ok().and_then(AsymmetricKeyReference::from_byte);
        let reference = reference.ok_or("the key reference is one of 9A 9C 9D 9E and 82 to 95")?;
        Ok(Self { reference, file: file.into() })
    }
}

fn parse_serial(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("a serial number is a number from 0 to {}", u32::MAX))
}

fn parse_seed(text: &str) -> Result<SecretBytes, String> {
    match hex::decode(text) {
        Ok(bytes) if !bytes.is_empty() => Ok(SecretBytes::new(bytes)),
        _ => Err("write the seed as hexadecimal digits, two a byte".to_owned()),
    }
}

impl New {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let kind = self.kind()?;
        if self.passphrase.is_given() && !self.encrypt {
            return Err(Usage::of("--passphrase-file is for encrypted cards; add --encrypt"));
        }
        let stock_path = self.stock.clone().unwrap_or_else(|| stock_beside(&self.state));
        refuse_existing(&self.state)?;
        if matches!(kind, BlankKind::Standard) {
            refuse_existing(&stock_path)?;
        }
        let passphrase = if self.encrypt { Some(self.passphrase.read_new(&self.state)?) } else { None };
        let mut randomness = match &self.seed {
            // Generation 0 belongs to the card's own stream.
            Some(seed) => Randomness::from_seed(seed.expose(), u64::MAX),
            None => Randomness::from_system().context("cannot get randomness from the system")?,
        };
        let keys = read_keys(&self.keys, &kind)?;
        let blank = BlankCard { kind, keys, seed: self.seed };
        let (mut state, mut stock) = blank.manufacture(&mut randomness);
        if self.global_pin {
            add_global_pin(&mut state);
        }
        if let (Some(stock), Some(algorithm)) = (&mut stock, self.management_key_algorithm) {
            replace_management_key(&mut state, stock, algorithm.into(), &mut randomness);
        }
        if let Some(stock) = &stock {
            write_new_file(&stock_path, stock_text(stock).as_bytes())
                .with_context(|| format!("{}: cannot write the stock file", stock_path.display()))?;
        }
        let created = image::encode(&state, &self.state).and_then(|image| match &passphrase {
            Some(passphrase) => FileStore::create_encrypted(&self.state, &image, passphrase.as_bytes()),
            None => FileStore::create(&self.state, &image),
        });
        if let Err(error) = created {
            if stock.is_some() {
                // Made just now, for a card that does not exist.
                let _ = std::fs::remove_file(&stock_path);
            }
            return Err(error.into());
        }
        announce(&self.state, &state, stock.is_some().then_some(&stock_path));
        Ok(())
    }

    fn kind(&self) -> anyhow::Result<BlankKind> {
        match self.personality {
            PersonalityName::YubiKey5 => {
                if self.management_key_algorithm.is_some() {
                    return Err(Usage::of(
                        "--management-key-algorithm is for standard cards: a yubikey5 has its factory key until a host sets another",
                    ));
                }
                if self.global_pin {
                    return Err(Usage::of(
                        "--global-pin is for standard cards: a yubikey5 has no Global PIN; add --personality standard",
                    ));
                }
                if self.stock.is_some() {
                    return Err(Usage::of(
                        "--stock is for standard cards: a yubikey5 has the factory values, its serial number is its identity",
                    ));
                }
                let firmware = match self.firmware {
                    Some(FirmwareName::V5_4) => Firmware::V5_4,
                    Some(FirmwareName::V5_7) | None => Firmware::V5_7,
                };
                Ok(BlankKind::YubiKey5 { firmware, serial: self.serial })
            }
            PersonalityName::Standard if self.firmware.is_some() || self.serial.is_some() => Err(Usage::of(
                "--firmware and --serial are for yubikey5 cards: a standard card has neither, its GUID is its identity",
            )),
            PersonalityName::Standard => Ok(BlankKind::Standard),
        }
    }
}

fn stock_beside(state: &Path) -> PathBuf {
    let mut name: OsString = state.as_os_str().to_owned();
    name.push(".stock.toml");
    name.into()
}

fn refuse_existing(path: &Path) -> Result<(), StoreError> {
    match path.symlink_metadata() {
        Ok(_) => Err(StoreError::AlreadyExists { path: path.to_owned() }),
        Err(_) => Ok(()),
    }
}

fn read_keys(arguments: &[KeyArgument], kind: &BlankKind) -> anyhow::Result<BTreeMap<u8, Key>> {
    let personality = match *kind {
        BlankKind::Standard => Personality::Standard,
        BlankKind::YubiKey5 { firmware, serial } => {
            Personality::YubiKey5 { firmware, serial: serial.unwrap_or_default() }
        }
    };
    let mut keys = BTreeMap::new();
    for KeyArgument { reference, file } in arguments {
        let material = key_file::read(file)?;
        require_algorithm(personality, material.algorithm(), file)?;
        let key = Key {
            material,
            origin: KeyOrigin::Imported,
            pin_policy: PinPolicy::default_for(*reference),
            touch_policy: TouchPolicy::Never,
        };
        if keys.insert(reference.byte(), key).is_some() {
            return Err(Usage::of(format!("--key names the key reference {:02X} twice", reference.byte())));
        }
    }
    Ok(keys)
}

/// A card holds no key that its commands could not use.
fn require_algorithm(
    personality: Personality,
    algorithm: AsymmetricAlgorithm,
    file: &Path,
) -> anyhow::Result<()> {
    let allowed = asymmetric_algorithms(personality);
    if allowed.contains(&algorithm) {
        return Ok(());
    }
    let names: Vec<_> = allowed.iter().copied().map(asymmetric_name).collect();
    bail!(
        "{}: such a card has no keys of {}; it has {}",
        file.display(),
        asymmetric_name(algorithm),
        names.join(", ")
    )
}

/// The stock file: what `issuer stock add` reads.
fn stock_text(stock: &StockRecord) -> Zeroizing<String> {
    let algorithm = match stock.management_key_algorithm {
        SymmetricAlgorithm::TripleDes => "3des",
        SymmetricAlgorithm::Aes128 => "aes128",
        SymmetricAlgorithm::Aes192 => "aes192",
        SymmetricAlgorithm::Aes256 => "aes256",
    };
    let puk = Zeroizing::new(String::from_utf8_lossy(stock.puk.expose()).into_owned());
    let management_key = Zeroizing::new(hex::encode(stock.management_key.expose()));
    Zeroizing::new(format!(
        "guid = \"{}\"\npuk = \"{}\"\nmanagement_key = \"{}\"\nmanagement_key_algorithm = \"{algorithm}\"\npersonality = \"standard\"\n",
        hex::encode(stock.guid),
        *puk,
        *management_key,
    ))
}

fn announce(path: &Path, state: &CardState, stock: Option<&PathBuf>) {
    let identity = match state.personality {
        Personality::YubiKey5 { serial, .. } => format!("serial {serial}"),
        Personality::Standard => format!("GUID {}", hex::encode(state.guid().unwrap_or_default())),
    };
    let mut out = std::io::stdout();
    let name = state.personality.name();
    let _ = writeln!(out, "{}: blank {name} card, {identity}", path.display());
    if let Some(stock) = stock {
        let _ = writeln!(out, "{}: its PUK and management key; keep it secret", stock.display());
    }
    if state.seed.is_some() {
        let _ =
            writeln!(out, "The card is repeatable from its seed: for tests only, and marked so for good.");
    }
}
