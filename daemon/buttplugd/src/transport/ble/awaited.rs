//! Lost devices that are waited for: when to scan for them, and when to give up.
//!
//! BlueZ forgets a lost device after half a minute, so waiting means scanning. The scans are short, the pauses between
//! them double, and after [`GIVE_UP`] a device is found by a scan that a session wants, or not at all. Pure.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

/// How long a scan for lost devices lasts. Devices advertise at least once a second or two.
const SCAN: Duration = Duration::from_secs(8);

/// The first pause between two such scans.
const PAUSE_FIRST: Duration = Duration::from_secs(2);

/// The longest.
const PAUSE_LONGEST: Duration = Duration::from_secs(60);

/// A device that does not return within this time was put away.
const GIVE_UP: Duration = Duration::from_secs(30 * 60);

/// The devices that are waited for.
#[derive(Debug)]
pub(super) struct Awaited {
    /// Addresses, and since when.
    devices: HashMap<String, Instant>,
    phase: Phase,
    pause: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Scanning { until: Instant },
    Resting { until: Instant },
    Idle,
}

impl Default for Awaited {
    fn default() -> Self {
        Self { devices: HashMap::new(), phase: Phase::Idle, pause: PAUSE_FIRST }
    }
}

impl Awaited {
    /// A device was lost: it is looked for at once.
    pub(super) fn add(&mut self, address: String, now: Instant) {
        self.devices.insert(address, now);
        self.pause = PAUSE_FIRST;
        self.phase = Phase::Scanning { until: now + SCAN };
    }

    /// Whether a device is waited for.
    pub(super) fn contains(&self, address: &str) -> bool {
        self.devices.contains_key(address)
    }

    /// Whether there shall be a scan now.
    pub(super) fn wants_scan(&self) -> bool {
        matches!(self.phase, Phase::Scanning { .. })
    }

    /// When [`Awaited::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Scanning { until } | Phase::Resting { until } => Some(until),
            Phase::Idle => None,
        }
    }

    /// Time has passed, or devices have returned: those for which `returned` holds are no longer waited for.
    pub(super) fn advance(&mut self, now: Instant, returned: impl Fn(&String) -> bool) {
        self.devices.retain(|address, since| now.duration_since(*since) < GIVE_UP && !returned(address));
        if self.devices.is_empty() {
            self.phase = Phase::Idle;
            return;
        }
        match self.phase {
            Phase::Scanning { until } if until <= now => {
                self.phase = Phase::Resting { until: now + self.pause };
                self.pause = (self.pause * 2).min(PAUSE_LONGEST);
            }
            Phase::Resting { until } if until <= now => self.phase = Phase::Scanning { until: now + SCAN },
            Phase::Scanning { .. } | Phase::Resting { .. } | Phase::Idle => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scans_alternate_with_growing_pauses_and_end() {
        let start = Instant::now();
        let mut awaited = Awaited::default();
        awaited.add("a".into(), start);
        let mut pauses = Vec::new();
        let mut now = start;
        while let Some(next) = awaited.deadline() {
            if !awaited.wants_scan() {
                pauses.push(next - now);
            }
            now = next;
            awaited.advance(now, |_| false);
        }
        assert_eq!(pauses.iter().take(6).map(Duration::as_secs).collect::<Vec<_>>(), [2, 4, 8, 16, 32, 60]);
        assert!(pauses.iter().all(|pause| *pause <= PAUSE_LONGEST));
        assert!(now >= start + GIVE_UP && now < start + GIVE_UP + PAUSE_LONGEST + SCAN);
        assert!(!awaited.contains("a") && !awaited.wants_scan());
    }

    #[test]
    fn a_device_that_returned_ends_the_scan() {
        let now = Instant::now();
        let mut awaited = Awaited::default();
        awaited.add("a".into(), now);
        awaited.add("b".into(), now);
        awaited.advance(now, |address| address == "a");
        assert!(awaited.wants_scan());
        awaited.advance(now, |address| address == "b");
        assert_eq!((awaited.wants_scan(), awaited.deadline()), (false, None));
    }
}
