//! How often one client may ask: a bucket of tokens for each, filled evenly.
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::guarded_listener::whole_network;

/// How often a client may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateLimit {
    /// This often a second, on the average over ten seconds; clients on the same computer (a proxy, which limits its own)
    /// as often as they like.
    Strangers(u32),
    /// Everybody.
    Everybody(u32),
    /// As often as they like.
    None,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self::Strangers(200)
    }
}

/// The buckets.
pub(super) struct Buckets {
    limit: RateLimit,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

struct Bucket {
    /// Requests that may still come at once.
    tokens: f64,
    /// Since the server began.
    at: Duration,
}

/// Seconds of requests that may come at once.
const BURST: f64 = 10.0;
/// Clients that are remembered; a full bucket is the same as none.
const MOST_CLIENTS: usize = 65_536;

impl Buckets {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self { limit, buckets: Mutex::default() }
    }

    /// Whether a request that comes so long after the server began is answered.
    pub(super) fn admits(&self, client: IpAddr, at: Duration) -> bool {
        let rate = match self.limit {
            RateLimit::None => return true,
            RateLimit::Strangers(_) if client.is_loopback() => return true,
            RateLimit::Strangers(rate) | RateLimit::Everybody(rate) => f64::from(rate),
        };
        let capacity = rate * BURST;
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let client = whole_network(client);
        if buckets.len() >= MOST_CLIENTS && !buckets.contains_key(&client) {
            buckets.retain(|_, bucket| bucket.filled(rate, capacity, at) < capacity);
            if buckets.len() >= MOST_CLIENTS {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(client).or_insert(Bucket { tokens: capacity, at });
        bucket.tokens = bucket.filled(rate, capacity, at);
        bucket.at = at;
        let is_admitted = bucket.tokens >= 1.0;
        if is_admitted {
            bucket.tokens -= 1.0;
        }
        is_admitted
    }
}

impl Bucket {
    fn filled(&self, rate: f64, capacity: f64, at: Duration) -> f64 {
        let since = at.saturating_sub(self.at).as_secs_f64();
        (self.tokens + since * rate).min(capacity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn who_asks_too_often_waits_and_nobody_else_does() {
        let buckets = Buckets::new(RateLimit::Strangers(2));
        let (greedy, modest) = (address("192.0.2.1"), address("192.0.2.2"));
        let admitted = (0..100).filter(|_| buckets.admits(greedy, SECOND)).count();
        assert_eq!(admitted, 20, "ten seconds' worth at once");
        assert!(buckets.admits(modest, SECOND));
        assert!(!buckets.admits(greedy, SECOND));
        assert_eq!((0..9).filter(|_| buckets.admits(greedy, 3 * SECOND)).count(), 4);
        // A clock that stands still or goes back gives nothing.
        assert!(!buckets.admits(greedy, SECOND));
    }

    #[test]
    fn one_network_is_one_client_and_a_proxy_is_none() {
        let buckets = Buckets::new(RateLimit::Strangers(1));
        let admitted =
            (0..100).filter(|last| buckets.admits(address(&format!("2001:db8::{last:x}")), SECOND));
        assert_eq!(admitted.count(), 10);
        assert!((0..100).all(|_| buckets.admits(address("127.0.0.1"), SECOND)));
        let strict = Buckets::new(RateLimit::Everybody(1));
        assert_eq!((0..100).filter(|_| strict.admits(address("127.0.0.1"), SECOND)).count(), 10);
        assert!((0..100).all(|_| Buckets::new(RateLimit::None).admits(address("192.0.2.1"), SECOND)));
    }

    #[test]
    fn many_clients_take_no_more_room_than_some() {
        let buckets = Buckets::new(RateLimit::Everybody(1));
        for number in 0..200_000_u32 {
            assert!(buckets.admits(IpAddr::V4(number.into()), SECOND));
        }
        assert!(buckets.buckets.lock().unwrap().len() <= MOST_CLIENTS);
    }
}
