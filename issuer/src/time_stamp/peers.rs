//! How often one peer may ask.
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A rate for each peer, with a burst of two seconds' worth. A peer is an IPv4 address or an IPv6 network of 64 bits.
pub struct Peers {
    per_second: f64,
    buckets: Mutex<HashMap<IpAddr, Bucket>>,
}

/// What a peer may still ask, and when that was so.
#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Peers {
    /// So many requests a second from each peer.
    pub fn new(per_second: u32) -> Self {
        Self { per_second: f64::from(per_second.max(1)), buckets: Mutex::default() }
    }

    /// Counts a request.
    ///
    /// # Errors
    /// It is one too many; the next is taken after this time.
    pub fn admit(&self, peer: IpAddr, now: Instant) -> Result<(), Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let burst = self.per_second * BURST.as_secs_f64();
        if buckets.len() >= MOST_PEERS {
            // Whoever has been silent for a burst's time is as good as new.
            buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at) < BURST);
            if buckets.len() >= MOST_PEERS {
                buckets.clear();
            }
        }
        let bucket = buckets.entry(network(peer)).or_insert(Bucket { left: burst, at: now });
        let elapsed = now.saturating_duration_since(bucket.at).as_secs_f64();
        let left = (bucket.left + elapsed * self.per_second).min(burst);
        if left < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - left) / self.per_second));
        }
        *bucket = Bucket { left: left - 1.0, at: now };
        Ok(())
    }
}

/// Who has a network of IPv6 has all its addresses.
fn network(peer: IpAddr) -> IpAddr {
    match peer.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        address => address,
    }
}

const BURST: Duration = Duration::from_secs(2);
/// Peers that are remembered at a time.
const MOST_PEERS: usize = 65_536;

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_burst_is_taken_and_then_the_rate() {
        let (peers, now, peer) = (Peers::new(10), Instant::now(), address("192.0.2.1"));
        assert!((0..20).all(|_| peers.admit(peer, now).is_ok()));
        assert_eq!(peers.admit(peer, now), Err(Duration::from_millis(100)));
        let later = now + Duration::from_millis(100);
        assert!(peers.admit(peer, later).is_ok());
        assert!(peers.admit(peer, later).is_err());
        // A peer that pauses has its burst back, and no more than that.
        let much_later = now + Duration::from_secs(3600);
        assert_eq!((0..40).filter(|_| peers.admit(peer, much_later).is_ok()).count(), 20);
    }

    #[test]
    fn one_peer_does_not_pay_for_another() {
        let (peers, now) = (Peers::new(1), Instant::now());
        assert!((0..3).any(|_| peers.admit(address("192.0.2.1"), now).is_err()));
        assert!(peers.admit(address("192.0.2.2"), now).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_peer_and_a_mapped_address_the_ipv4_one() {
        assert_eq!(network(address("2001:db8:1:2:3::4")), network(address("2001:db8:1:2:ffff::1")));
        assert_ne!(network(address("2001:db8:1:2::1")), network(address("2001:db8:1:3::1")));
        assert_eq!(network(address("::ffff:192.0.2.1")), address("192.0.2.1"));
    }

    #[test]
    fn the_number_of_peers_that_are_remembered_has_an_end() {
        let (peers, now) = (Peers::new(1), Instant::now());
        for number in 0..u32::try_from(MOST_PEERS).unwrap() + 10 {
            assert!(peers.admit(IpAddr::V4(number.into()), now).is_ok());
        }
        assert!(peers.buckets.lock().unwrap().len() <= MOST_PEERS);
    }
}
