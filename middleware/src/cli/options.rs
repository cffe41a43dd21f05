//! Where secrets come from, in every command alike.
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use clap::Args;
use middleware::pin_cache::PinCache;
use middleware::secret_source::SecretSource;
use middleware::{
    Card, CardError, KeyReference, LastTry, ManagementKey, Pin, PinPolicy, PinStatus, TouchPolicy,
};

use super::failure::ToolError;

/// Where the PIN comes from and how many tries it may cost.
#[derive(Args)]
pub(super) struct PinOptions {
    /// Read the PINs from fd:N or a file, one a line, instead of asking; pinentry asks through that program
    #[arg(long, value_name = "fd:N|PATH|pinentry")]
    pub(super) pin_file: Option<SecretSource>,
    /// Spend the last try if only one is left
    #[arg(long)]
    pub(super) last_try: bool,
}

impl PinOptions {
    pub(super) fn source(&self) -> SecretSource {
        self.pin_file.clone().unwrap_or(SecretSource::Terminal)
    }

    pub(super) fn last_try(&self) -> LastTry {
        if self.last_try { LastTry::Spend } else { LastTry::Refuse }
    }

    /// Asks for the PIN, if the card can take one.
    pub(super) fn pin(&self, card: &mut Card) -> anyhow::Result<Pin> {
        let prompt = pin_prompt("PIN", card.transaction()?.pin_status()?, self.last_try())?;
        Ok(Pin::new(&self.source().read(&prompt)?)?)
    }

    /// The PIN for a key; `None` where the card wants none for it.
    pub(super) fn pin_for(&self, card: &mut Card, key: KeyReference) -> anyhow::Result<Option<Pin>> {
        let metadata = card.transaction()?.key_metadata(key)?;
        let policy = metadata.map_or_else(|| PinPolicy::standard(key), |metadata| metadata.pin_policy);
        // The digital signature key gets its PIN in any case: it is the holder's consent.
        if policy == PinPolicy::Never && key != KeyReference::DigitalSignature {
            return Ok(None);
        }
        if policy != PinPolicy::Once || self.pin_file.is_some() {
            return self.pin(card).map(Some);
        }
        let guid = card.identity()?.guid;
        let kept = guid.and_then(|guid| pins().cache.as_mut()?.pin(&guid, Instant::now()));
        if kept.is_some() {
            return Ok(kept);
        }
        let pin = self.pin(card)?;
        pins().unproven = guid.map(|guid| (guid, pin.clone()));
        Ok(Some(pin))
    }
}

/// The PINs of this process, kept where the user's settings ask for it; that matters to the shell alone.
static PINS: Mutex<Pins> = Mutex::new(Pins { cache: None, unproven: None });

struct Pins {
    /// Not before [`keep_pins`].
    cache: Option<PinCache>,
    /// Entered for the command that runs now: only its success proves it right.
    unproven: Option<([u8; 16], Pin)>,
}

/// Keeps PINs from now on for so long.
pub(super) fn keep_pins(lifetime: Option<Duration>) {
    pins().cache = Some(PinCache::new(lifetime));
}

/// A command has ended. Its success proves the PIN that was entered for it; after a failure nothing is kept.
pub(super) fn settle_pins(succeeded: bool) {
    let mut pins = pins();
    let unproven = pins.unproven.take();
    match (&mut pins.cache, unproven) {
        (Some(cache), Some((guid, pin))) if succeeded => cache.keep(guid, &pin, Instant::now()),
        (Some(cache), _) if !succeeded => cache.forget_all(),
        _ => {}
    }
}

fn pins() -> MutexGuard<'static, Pins> {
    PINS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The question for a PIN with the tries that are left. Nothing is asked of the holder that the card would refuse anyway.
pub(super) fn pin_prompt(name: &str, status: PinStatus, last_try: LastTry) -> Result<String, CardError> {
    match (status, last_try) {
        (PinStatus::Blocked, _) => Err(CardError::PinBlocked),
        (PinStatus::NotVerified { tries_left: 1 }, LastTry::Refuse) => Err(CardError::LastPinTry),
        (PinStatus::NotVerified { tries_left: 1 }, LastTry::Spend) => Ok(format!("{name} (last try)")),
        (PinStatus::NotVerified { tries_left }, _) => Ok(format!("{name} ({tries_left} tries left)")),
        (PinStatus::Verified, _) => Ok(name.to_owned()),
    }
}

/// Where the management key comes from.
#[derive(Args)]
pub(super) struct ManagementOptions {
    /// Read the management key, in hex, from fd:N or a file, instead of asking for it; an empty line is the factory's
    #[arg(long, value_name = "fd:N|PATH|pinentry")]
    management_key_file: Option<SecretSource>,
}

impl ManagementOptions {
    /// Asks for the management key that the card has now.
    pub(super) fn key(&self, card: &mut Card) -> anyhow::Result<ManagementKey> {
        let algorithm = card.transaction()?.management_key_algorithm()?;
        let source = self.management_key_file.clone().unwrap_or(SecretSource::Terminal);
        let digits = 2 * algorithm.key_length();
        let prompt = format!("Management key ({digits} hex digits; nothing for the factory's)");
        let text = source.read(&prompt)?;
        if text.trim().is_empty() {
            return Ok(ManagementKey::factory_default(algorithm));
        }
        let bytes =
            zeroize::Zeroizing::new(hex::decode(text.trim()).map_err(|_| ToolError::ManagementKeyNotHex)?);
        Ok(ManagementKey::new(algorithm, &bytes)?)
    }
}

/// When a new key shall want PIN and touch (a vendor's extension).
#[derive(Args)]
pub(super) struct PolicyOptions {
    /// When the card wants the PIN for the key; only vendors' cards let it be chosen
    #[arg(long, value_parser = pin_policy, value_name = "never|once|always")]
    pin_policy: Option<PinPolicy>,
    /// When the card wants a touch for the key; only vendors' cards have it
    #[arg(long, value_parser = touch_policy, value_name = "never|always|cached")]
    touch_policy: Option<TouchPolicy>,
}

impl PolicyOptions {
    pub(super) fn policies(&self) -> middleware::KeyPolicies {
        middleware::KeyPolicies { pin: self.pin_policy, touch: self.touch_policy }
    }
}

fn pin_policy(text: &str) -> Result<PinPolicy, String> {
    [PinPolicy::Never, PinPolicy::Once, PinPolicy::Always, PinPolicy::MatchOnce, PinPolicy::MatchAlways]
        .into_iter()
        .find(|policy| policy.to_string() == text)
        .ok_or_else(|| "write never, once or always".to_owned())
}

fn touch_policy(text: &str) -> Result<TouchPolicy, String> {
    [TouchPolicy::Never, TouchPolicy::Always, TouchPolicy::Cached]
        .into_iter()
        .find(|policy| policy.to_string() == text)
        .ok_or_else(|| "write never, always or cached".to_owned())
}

/// `p256`, `P-256`, `rsa2048`, `RSA-2048`: what the card's maker and the standard call it.
pub(super) fn algorithm(text: &str) -> Result<middleware::KeyAlgorithm, String> {
    use middleware::KeyAlgorithm as Algorithm;
    let plain = |text: &str| text.to_lowercase().replace('-', "");
    let makeable = [
        Algorithm::Rsa2048,
        Algorithm::Rsa3072,
        Algorithm::Rsa4096,
        Algorithm::P256,
        Algorithm::P384,
        Algorithm::Ed25519,
        Algorithm::X25519,
    ];
    makeable
        .into_iter()
        .find(|algorithm| plain(&algorithm.to_string()) == plain(text))
        .ok_or_else(|| "write rsa2048, rsa3072, rsa4096, p256, p384, ed25519 or x25519".to_owned())
}
