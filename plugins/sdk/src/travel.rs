//! Where a device is on its way to a place, for those that can only be halted by being sent to where they are.

/// One timed movement. The device reports nothing: what is known is when it was sent, and where to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Travel {
    from: Option<i32>,
    to: i32,
    begun_ms: u64,
    duration_ms: u32,
}

impl Travel {
    /// A movement to `to` that begins now. `from` is the place now, if it is known.
    #[must_use]
    pub const fn new(from: Option<i32>, to: i32, now_ms: u64, duration_ms: u32) -> Self {
        Self { from, to, begun_ms: now_ms, duration_ms }
    }

    /// Where it goes.
    #[must_use]
    pub const fn goal(&self) -> i32 {
        self.to
    }

    /// Whether it is still under way.
    #[must_use]
    pub fn is_under_way(&self, now_ms: u64) -> bool {
        now_ms < self.begun_ms.saturating_add(u64::from(self.duration_ms))
    }

    /// The place now, as if the speed were even; `None` on the way from a place that is not known.
    #[must_use]
    pub fn place(&self, now_ms: u64) -> Option<i32> {
        if !self.is_under_way(now_ms) {
            return Some(self.to);
        }
        let from = self.from?;
        let way = i64::from(self.to) - i64::from(from);
        let elapsed = i64::try_from(now_ms.saturating_sub(self.begun_ms)).ok()?;
        i32::try_from(i64::from(from) + way * elapsed / i64::from(self.duration_ms.max(1))).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_between_start_and_goal() {
        let travel = Travel::new(Some(80), 20, 1000, 600);
        let places = [999, 1000, 1300, 1599, 1600, 9000].map(|now| travel.place(now));
        assert_eq!(places, [80, 80, 50, 21, 20, 20].map(Some));
        assert!(travel.is_under_way(1599));
        assert!(!travel.is_under_way(1600));
    }

    #[test]
    fn from_nowhere_the_place_is_known_at_the_end() {
        let travel = Travel::new(None, 20, 1000, 600);
        assert_eq!((travel.place(1599), travel.place(1600)), (None, Some(20)));
    }

    #[test]
    fn a_movement_without_a_duration_is_over_at_once() {
        let travel = Travel::new(Some(0), 20, 1000, 0);
        assert_eq!((travel.place(1000), travel.is_under_way(1000)), (Some(20), false));
    }
}
