//! PINs that were right, kept in this process's memory for a while; off unless the user's settings ask for it.
//!
//! Nothing of it is shared with other processes or written anywhere, and each use still verifies the PIN on the card and
//! logs it out again. A key that wants the PIN for each use, 9C, is never served from here: there the PIN is consent.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::piv::Pin;

/// PINs by the GUID of their card.
#[derive(Default)]
pub struct PinCache {
    lifetime: Option<Duration>,
    pins: BTreeMap<[u8; 16], (Pin, Instant)>,
}

impl PinCache {
    /// A cache that keeps a PIN so long; `None` for one that keeps nothing.
    pub fn new(lifetime: Option<Duration>) -> Self {
        Self { lifetime, pins: BTreeMap::new() }
    }

    /// Keeps a PIN that the card has just found right.
    pub fn keep(&mut self, guid: [u8; 16], pin: &Pin, now: Instant) {
        if self.lifetime.is_some() {
            self.pins.insert(guid, (pin.clone(), now));
        }
    }

    /// The PIN of that card, unless it was kept for too long; what is too old is wiped.
    pub fn pin(&mut self, guid: &[u8; 16], now: Instant) -> Option<Pin> {
        let lifetime = self.lifetime?;
        self.pins.retain(|_, (_, since)| now.saturating_duration_since(*since) < lifetime);
        self.pins.get(guid).map(|(pin, _)| pin.clone())
    }

    /// Forgets the PIN of that card: it was wrong, was changed, or the card was taken out.
    pub fn forget(&mut self, guid: &[u8; 16]) {
        self.pins.remove(guid);
    }

    /// Forgets every PIN.
    pub fn forget_all(&mut self) {
        self.pins.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin() -> Pin {
        Pin::new("123456").unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn nothing_is_kept_unless_asked_for() {
        let now = Instant::now();
        let mut cache = PinCache::new(None);
        cache.keep([1; 16], &pin(), now);
        assert!(cache.pin(&[1; 16], now).is_none());
    }

    #[test]
    fn a_pin_is_kept_for_its_card_and_its_time() {
        let now = Instant::now();
        let mut cache = PinCache::new(Some(Duration::from_secs(10)));
        cache.keep([1; 16], &pin(), now);
        assert!(cache.pin(&[1; 16], now + Duration::from_secs(9)).unwrap().is_same_as(&pin()));
        assert!(cache.pin(&[2; 16], now).is_none());
        assert!(cache.pin(&[1; 16], now + Duration::from_secs(10)).is_none());
        assert!(cache.pins.is_empty());
        cache.keep([1; 16], &pin(), now);
        cache.forget(&[1; 16]);
        assert!(cache.pin(&[1; 16], now).is_none());
    }
}
