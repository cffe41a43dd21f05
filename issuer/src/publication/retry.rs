//! When a target that was not reached is tried again.
use jiff::{SignedDuration, Timestamp};

/// A minute after the first failure, twice as long after each further one, an hour at most.
pub fn retry_at(now: Timestamp, failures_before: u32) -> Timestamp {
    let minutes = 1_i64.checked_shl(failures_before.min(6)).unwrap_or(64).min(60);
    now.saturating_add(SignedDuration::from_mins(minutes)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_grows_to_an_hour_and_no_further() {
        let now = Timestamp::UNIX_EPOCH;
        let minutes = |failures| (retry_at(now, failures).as_second() - now.as_second()) / 60;
        assert_eq!([0, 1, 2, 5, 6, 7, u32::MAX].map(minutes), [1, 2, 4, 32, 60, 60, 60]);
        assert_eq!(retry_at(Timestamp::MAX, 3), Timestamp::MAX);
    }
}
