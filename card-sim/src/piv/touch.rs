//! Touch: the finger that some keys wait for. The world outside the card hands in the finger and the clock.

use std::time::Duration;

use super::state::TouchPolicy;
use crate::iso7816::StatusWord;

/// How long one touch serves keys with the policy "cached".
pub const CACHE_TIME: Duration = Duration::from_secs(15);

/// Whoever may touch the card, and a clock.
pub trait Finger: Send {
    /// A key waits for a touch; says, after a bounded time, whether it came.
    fn touches(&mut self, key_reference: u8) -> bool;

    /// The time since some fixed moment; it never goes back.
    fn elapsed(&self) -> Duration;
}

/// Touches at once whenever a key waits for it. It needs no clock, because it comes every time.
#[derive(Clone, Copy, Default)]
pub struct AlwaysTouches;

impl Finger for AlwaysTouches {
    fn touches(&mut self, _key_reference: u8) -> bool {
        true
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// Never touches; who waits for it is refused at once.
#[derive(Clone, Copy, Default)]
pub struct NeverTouches;

impl Finger for NeverTouches {
    fn touches(&mut self, _key_reference: u8) -> bool {
        false
    }

    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}

/// The card's side: the finger, and when it came last.
pub(super) struct TouchSensor {
    finger: Box<dyn Finger>,
    touched_at: Option<Duration>,
}

impl TouchSensor {
    pub(super) fn new(finger: Box<dyn Finger>) -> Self {
        Self { finger, touched_at: None }
    }

    /// The power is gone, and with it the memory of the last touch.
    pub(super) fn forget(&mut self) {
        self.touched_at = None;
    }

    /// Waits for the touch that a policy asks for.
    ///
    /// # Errors
    /// 6982 when it does not come.
    pub(super) fn require(&mut self, policy: TouchPolicy, key_reference: u8) -> Result<(), StatusWord> {
        let is_needed = match policy {
            TouchPolicy::Never => false,
            TouchPolicy::Always => true,
            TouchPolicy::Cached => !self.is_cached(),
        };
        if is_needed {
            if !self.finger.touches(key_reference) {
                return Err(StatusWord::SECURITY_STATUS_NOT_SATISFIED);
            }
            self.touched_at = Some(self.finger.elapsed());
        }
        Ok(())
    }

    fn is_cached(&self) -> bool {
        let since = self.touched_at.and_then(|then| self.finger.elapsed().checked_sub(then));
        since.is_some_and(|since| since < CACHE_TIME)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Says what it is told to, and counts how often it was asked.
    #[derive(Clone, Default)]
    struct Scripted {
        answers: Arc<Mutex<Vec<bool>>>,
        seconds: Arc<AtomicU64>,
    }

    impl Finger for Scripted {
        fn touches(&mut self, _key_reference: u8) -> bool {
            self.answers.lock().unwrap().pop().expect("nobody expected this question")
        }

        fn elapsed(&self) -> Duration {
            Duration::from_secs(self.seconds.load(Ordering::Relaxed))
        }
    }

    fn scripted(answers: &[bool]) -> (TouchSensor, Scripted) {
        let finger = Scripted::default();
        finger.answers.lock().unwrap().extend(answers.iter().rev());
        (TouchSensor::new(Box::new(finger.clone())), finger)
    }

    #[test]
    fn a_cached_touch_serves_for_fifteen_seconds_and_not_longer() {
        let (mut sensor, finger) = scripted(&[true, true, false]);
        for (seconds, questions_left) in [(100, 2), (101, 2), (114, 2), (115, 1), (129, 1)] {
            finger.seconds.store(seconds, Ordering::Relaxed);
            assert_eq!(sensor.require(TouchPolicy::Cached, 0x9A), Ok(()), "{seconds}");
            assert_eq!(finger.answers.lock().unwrap().len(), questions_left, "{seconds}");
        }
        finger.seconds.store(130, Ordering::Relaxed);
        assert!(sensor.require(TouchPolicy::Cached, 0x9A).is_err());
    }

    #[test]
    fn always_asks_every_time_and_never_does_not_ask() {
        let (mut sensor, _) = scripted(&[true, false]);
        assert_eq!(sensor.require(TouchPolicy::Never, 0x9A), Ok(()));
        assert_eq!(sensor.require(TouchPolicy::Always, 0x9A), Ok(()));
        assert!(sensor.require(TouchPolicy::Always, 0x9A).is_err());
    }

    #[test]
    fn a_touch_does_not_outlive_the_power() {
        let (mut sensor, _) = scripted(&[true, false]);
        assert_eq!(sensor.require(TouchPolicy::Cached, 0x9A), Ok(()));
        sensor.forget();
        assert!(sensor.require(TouchPolicy::Cached, 0x9A).is_err());
    }
}
