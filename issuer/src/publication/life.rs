//! How long a CRL or an OCSP answer stands, and when its successor should have been published.
use jiff::{SignedDuration, Timestamp};

/// From thisUpdate to nextUpdate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Life {
    /// When it was made.
    pub this_update: Timestamp,
    /// From then on readers must not use it any more.
    pub next_update: Timestamp,
}

/// Before the end of what stands for months, such as the CRL of a root whose key is carried somewhere else.
pub const LONGEST_NOTICE: SignedDuration = SignedDuration::from_hours(14 * 24);

impl Life {
    /// From when on its successor is overdue: in the last quarter of its life, at most [`LONGEST_NOTICE`] before its end.
    /// Whoever publishes in time never comes there; whoever cannot sign has that long until readers notice.
    pub fn successor_is_overdue_at(self) -> Timestamp {
        let life = self.next_update.duration_since(self.this_update);
        let notice = (life / 4).clamp(SignedDuration::ZERO, LONGEST_NOTICE);
        self.next_update.saturating_sub(notice).unwrap_or(self.next_update)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_quarter_is_too_late_but_two_weeks_are_enough_notice() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let this_update = at("2030-01-01T00:00:00Z");
        for (next_update, overdue_at) in [
            ("2030-01-02T00:00:00Z", "2030-01-01T18:00:00Z"),
            ("2030-01-08T00:00:00Z", "2030-01-06T06:00:00Z"),
            ("2030-04-01T00:00:00Z", "2030-03-18T00:00:00Z"),
            // One that ends before it begins.
            ("2029-12-31T00:00:00Z", "2029-12-31T00:00:00Z"),
        ] {
            let life = Life { this_update, next_update: at(next_update) };
            assert_eq!(life.successor_is_overdue_at(), at(overdue_at), "{next_update}");
        }
    }
}
