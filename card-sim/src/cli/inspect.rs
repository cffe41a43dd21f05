//! `card-sim inspect`: the public content of a card.

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use clap::Args;
use der::Decode as _;
use der::pem::{self, LineEnding};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::passphrase::PassphraseSource;
use crate::iso7816::Interface;
use crate::iso7816::ber_tlv::Tlv;
use crate::piv::algorithm::{asymmetric_name, symmetric_name};
use crate::piv::key_reference::{ATTESTATION_KEY, AsymmetricKeyReference, RETIRED};
use crate::piv::personality::Personality;
use crate::piv::state::{CardState, Key, KeyOrigin, Password, PinPolicy, TouchPolicy};
use crate::store::image;

/// Show what is public on a card: never a PIN, a PUK or a private key
///
/// The card may be in a reader at the same time; what is shown is its last durable state.
#[derive(Args)]
#[command(after_help = "Examples:
  card-sim inspect alice.card --json
  card-sim inspect alice.card --attestation-root > alice-root.pem
  openssl verify -CAfile alice-root.pem -untrusted f9.pem attestation.pem")]
pub(super) struct Inspect {
    /// The state file
    state: PathBuf,
    #[command(flatten)]
    passphrase: PassphraseSource,
    /// One JSON object on stdout
    #[arg(long)]
    pub(super) json: bool,
    /// Only the root certificate of the card's attestations, in PEM: the anchor of whoever verifies them
    #[arg(long, conflicts_with = "json")]
    attestation_root: bool,
}

impl Inspect {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let state: CardState = image::decode(&self.passphrase.peek(&self.state)?, &self.state)?;
        if self.attestation_root {
            return print_attestation_root(&state, &self.state);
        }
        let card = Description::of(&state);
        let text = if self.json { serde_json::to_string_pretty(&card)? + "\n" } else { card.to_string() };
        super::print(text.as_bytes())
    }
}

fn print_attestation_root(state: &CardState, path: &Path) -> anyhow::Result<()> {
    let Some(root) = &state.attestation_root else {
        bail!(
            "{}: this card has no attestation root: a standard card attests nothing, and cards of older programs have none",
            path.display()
        );
    };
    let pem = pem::encode_string("CERTIFICATE", LineEnding::LF, root).map_err(|error| anyhow!("{error}"))?;
    super::print(pem.as_bytes())
}

/// The public content of a card: the JSON object of `inspect --json`.
#[derive(Serialize)]
struct Description {
    personality: &'static str,
    firmware: Option<String>,
    serial: Option<u32>,
    guid: Option<String>,
    atr: String,
    pin: Tries,
    puk: Tries,
    global_pin: Option<Tries>,
    management_key_algorithm: &'static str,
    management_key_touch_policy: &'static str,
    keys: Vec<KeyDescription>,
    certificates: Vec<CertificateDescription>,
    attestation_root: Option<RootDescription>,
    objects: Vec<ObjectDescription>,
    seeded: bool,
    cloned: bool,
}

#[derive(Serialize)]
struct Tries {
    tries_left: u8,
    tries: u8,
}

#[derive(Serialize)]
struct KeyDescription {
    reference: String,
    algorithm: &'static str,
    origin: &'static str,
    pin_policy: &'static str,
    touch_policy: &'static str,
}

#[derive(Serialize)]
struct CertificateDescription {
    reference: String,
    bytes: usize,
    compressed: bool,
    subject: Option<String>,
    sha256: String,
}

/// The certificate above the attestation certificate.
#[derive(Serialize)]
struct RootDescription {
    subject: Option<String>,
    sha256: String,
}

#[derive(Serialize)]
struct ObjectDescription {
    tag: String,
    bytes: usize,
}

impl Description {
    fn of(state: &CardState) -> Self {
        let (firmware, serial) = match state.personality {
            Personality::YubiKey5 { firmware, serial } => (Some(firmware.version()), Some(serial)),
            Personality::Standard => (None, None),
        };
        // In the order people list them.
        let references = [0x9A, 0x9C, 0x9D, 0x9E].into_iter().chain(RETIRED).chain([ATTESTATION_KEY]);
        let references = references.filter_map(AsymmetricKeyReference::from_yubikey_byte);
        Self {
            personality: state.personality.name(),
            firmware: firmware.map(|version| version.map(|number| number.to_string()).join(".")),
            serial,
            guid: state.guid().map(hex::encode),
            atr: hex::encode(state.personality.answer_to_reset(Interface::Contact)),
            pin: Tries::of(&state.pin),
            puk: Tries::of(&state.puk),
            global_pin: state.global_pin.as_ref().map(Tries::of),
            management_key_algorithm: symmetric_name(state.management_key.algorithm),
            management_key_touch_policy: touch_policy_name(state.management_key.touch_policy),
            keys: references
                .clone()
                .filter_map(|reference| Some(KeyDescription::of(reference, state.key(reference)?)))
                .collect(),
            certificates: references
                .filter_map(|reference| {
                    let contents = state.objects.get(&reference.certificate_tag())?;
                    Some(CertificateDescription::of(reference, contents.expose()))
                })
                .collect(),
            attestation_root: state.attestation_root.as_deref().map(RootDescription::of),
            objects: state
                .objects
                .iter()
                .map(|(tag, contents)| ObjectDescription {
                    tag: format!("{tag:06X}"),
                    bytes: contents.expose().len(),
                })
                .collect(),
            seeded: state.seed.is_some(),
            cloned: state.cloned,
        }
    }
}

impl Tries {
    fn of(password: &Password) -> Self {
        Self { tries_left: password.tries_left, tries: password.tries }
    }
}

impl KeyDescription {
    fn of(reference: AsymmetricKeyReference, key: &Key) -> Self {
        Self {
            reference: format!("{:02X}", reference.byte()),
            algorithm: asymmetric_name(key.material.algorithm()),
            origin: match key.origin {
                KeyOrigin::Generated => "generated",
                KeyOrigin::Imported => "imported",
            },
            pin_policy: match key.pin_policy {
                PinPolicy::Never => "never",
                PinPolicy::Once => "once",
                PinPolicy::Always => "always",
            },
            touch_policy: touch_policy_name(key.touch_policy),
        }
    }
}

fn touch_policy_name(policy: TouchPolicy) -> &'static str {
    match policy {
        TouchPolicy::Never => "never",
        TouchPolicy::Always => "always",
        TouchPolicy::Cached => "cached",
    }
}

impl RootDescription {
    fn of(certificate: &[u8]) -> Self {
        Self { subject: subject_of(certificate), sha256: hex::encode(Sha256::digest(certificate)) }
    }
}

/// The subject of a certificate, if it can be read.
fn subject_of(certificate: &[u8]) -> Option<String> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    Some(certificate.tbs_certificate().subject().to_string())
}

impl CertificateDescription {
    /// Reads a certificate object: `70` the certificate, `71` whether it is compressed.
    fn of(reference: AsymmetricKeyReference, contents: &[u8]) -> Self {
        let parts = Tlv::parse_all(contents).unwrap_or_default();
        let part = |tag| parts.iter().find(|part| part.tag == tag).map(|part| part.value);
        let certificate = part(0x70).unwrap_or_default();
        Self {
            reference: format!("{:02X}", reference.byte()),
            bytes: certificate.len(),
            compressed: part(0x71).is_some_and(|info| info != [0x00]),
            subject: subject_of(certificate),
            sha256: hex::encode(Sha256::digest(certificate)),
        }
    }
}

/// The same for people.
impl fmt::Display for Description {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "Personality     {}", self.personality)?;
        if let (Some(firmware), Some(serial)) = (&self.firmware, self.serial) {
            writeln!(out, "Firmware        {firmware}")?;
            writeln!(out, "Serial          {serial}")?;
        }
        writeln!(out, "GUID            {}", self.guid.as_deref().unwrap_or("none"))?;
        writeln!(out, "ATR             {}", self.atr)?;
        writeln!(out, "PIN             {} of {} tries left", self.pin.tries_left, self.pin.tries)?;
        writeln!(out, "PUK             {} of {} tries left", self.puk.tries_left, self.puk.tries)?;
        if let Some(global_pin) = &self.global_pin {
            writeln!(out, "Global PIN      {} of {} tries left", global_pin.tries_left, global_pin.tries)?;
        }
        let touch = self.management_key_touch_policy;
        writeln!(out, "Management key  {}, touch {touch}", self.management_key_algorithm)?;
        for KeyDescription { reference, algorithm, origin, pin_policy, touch_policy } in &self.keys {
            writeln!(
                out,
                "Key {reference}          {algorithm}, {origin}, PIN {pin_policy}, touch {touch_policy}"
            )?;
        }
        for CertificateDescription { reference, bytes, subject, .. } in &self.certificates {
            let subject = subject.as_deref().unwrap_or("not readable");
            writeln!(out, "Certificate {reference}  {bytes} bytes, subject {subject}")?;
        }
        if let Some(RootDescription { subject, .. }) = &self.attestation_root {
            let subject = subject.as_deref().unwrap_or("not readable");
            writeln!(out, "Root of F9      subject {subject}")?;
        }
        for ObjectDescription { tag, bytes } in &self.objects {
            writeln!(out, "Object {tag}   {bytes} bytes")?;
        }
        if self.seeded {
            writeln!(out, "Marked          seeded: its keys can be computed from its seed")?;
        }
        if self.cloned {
            writeln!(out, "Marked          cloned: a copy of another card")?;
        }
        Ok(())
    }
}
