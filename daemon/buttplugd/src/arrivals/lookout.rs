//! Which devices are looked for although no client scans, and when. The only place that decides it.
//!
//! BlueZ forgets a device half a minute after it was lost, so looking means scanning, and a scan takes time from the devices that are
//! connected. So scans are short, and the pauses between them double: up to a minute while a device is likely to return, later up
//! to five. Pure; time comes in as an argument.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokio::time::Instant;

/// How long one scan lasts. Devices advertise at least once a second or two.
const SCAN: Duration = Duration::from_secs(8);
/// The first pause between two scans.
const PAUSE_FIRST: Duration = Duration::from_secs(2);
/// The longest while a device is likely to return.
const PAUSE_LONGEST: Duration = Duration::from_secs(60);
/// The longest when none is.
const PAUSE_LATE: Duration = Duration::from_secs(5 * 60);
/// The longest that a new client waits for the first.
const PAUSE_FOR_CLIENT: Duration = Duration::from_secs(10);
/// A device that was lost is likely to return for so long. Later it was put away, or has run down.
const LIKELY: Duration = Duration::from_secs(30 * 60);
/// A device that was not there when a client came is likely to be switched on within this time.
const LIKELY_EXPECTED: Duration = Duration::from_secs(5 * 60);

/// When known devices are looked for by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// Never: a scan that a client wants finds them. Those that may be running are looked for all the same.
    Off,
    /// While a client is connected.
    WhileClientConnected,
    /// Whenever the service runs.
    Always,
}

/// Why a device is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Why {
    /// It is known, and was not there when the service began or a client came.
    Expected,
    /// It was there, and is lost.
    Lost,
    /// The service has let it go so that it comes back as what it is now.
    Changed,
    /// It may be running.
    MayRun,
}

/// Whether anybody is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clients {
    Some,
    None,
}

#[derive(Debug)]
struct Absent {
    why: Why,
    since: Instant,
    trace: Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trace {
    Lost,
    /// It was seen, and is being opened.
    Seen,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Scanning { until: Instant },
    Resting { until: Instant },
    Idle,
}

/// The devices that are looked for, by their addresses.
#[derive(Debug)]
pub(super) struct Lookout {
    reconnect: Reconnect,
    clients: Clients,
    absent: BTreeMap<String, Absent>,
    phase: Phase,
    pause: Duration,
}

impl Lookout {
    pub(super) fn new(reconnect: Reconnect) -> Self {
        Self {
            reconnect,
            clients: Clients::None,
            absent: BTreeMap::new(),
            phase: Phase::Idle,
            pause: PAUSE_FIRST,
        }
    }

    /// A device is not there: it is looked for at once, if it is to be looked for at all.
    pub(super) fn miss(&mut self, address: &str, why: Why, now: Instant) {
        if !self.is_wanted(why) {
            return;
        }
        self.insert(address, why, now);
        self.pause = PAUSE_FIRST;
        self.phase = Phase::Scanning { until: now + SCAN };
    }

    /// A device was seen and is being opened: it is not looked for meanwhile.
    pub(super) fn seen(&mut self, address: &str) {
        if let Some(absent) = self.absent.get_mut(address) {
            absent.trace = Trace::Seen;
        }
    }

    /// A device that was seen did not come to be used: it is looked for as before, if it was.
    pub(super) fn failed(&mut self, address: &str, now: Instant) {
        let Some(absent) = self.absent.get_mut(address) else { return };
        absent.trace = Trace::Lost;
        if self.phase == Phase::Idle {
            self.phase = Phase::Resting { until: now + self.pause };
        }
    }

    /// Whether a device is looked for, or would be if it were not being opened.
    pub(super) fn misses(&self, address: &str) -> bool {
        self.absent.contains_key(address)
    }

    /// Whether a device is waited for because it may be running.
    pub(super) fn may_run(&self, address: &str) -> bool {
        self.absent.get(address).is_some_and(|absent| absent.why == Why::MayRun)
    }

    /// A device was used, or is not to be used any more.
    pub(super) fn forget(&mut self, address: &str) {
        self.absent.remove(address);
    }

    /// Whether there are clients, as far as this was told.
    pub(super) const fn clients(&self) -> Clients {
        self.clients
    }

    /// There are clients now. `known` are the devices that could be there and are not.
    pub(super) fn clients_came(&mut self, known: impl IntoIterator<Item = String>, now: Instant) {
        self.clients = Clients::Some;
        self.expect(known, now);
    }

    /// There are no clients any more.
    pub(super) fn clients_left(&mut self, now: Instant) {
        self.clients = Clients::None;
        if self.reconnect != Reconnect::Always {
            self.absent.retain(|_, absent| !matches!(absent.why, Why::Expected | Why::Lost));
        }
        self.advance(now);
    }

    /// The service has begun, or clients have come: these are known and not there. Whoever comes and goes does not make the
    /// scans any more frequent.
    pub(super) fn expect(&mut self, known: impl IntoIterator<Item = String>, now: Instant) {
        if !self.is_wanted(Why::Expected) {
            return;
        }
        for address in known {
            self.insert(&address, Why::Expected, now);
        }
        self.pause = self.pause.min(PAUSE_LONGEST);
        match self.phase {
            Phase::Resting { until } if until > now => {
                self.phase = Phase::Resting { until: until.min(now + PAUSE_FOR_CLIENT) };
            }
            Phase::Resting { .. } | Phase::Idle if self.is_looking() => {
                self.pause = PAUSE_FIRST;
                self.phase = Phase::Scanning { until: now + SCAN };
            }
            Phase::Scanning { .. } | Phase::Resting { .. } | Phase::Idle => {}
        }
    }

    /// The devices that are looked for now.
    pub(super) fn sought(&self) -> BTreeSet<String> {
        let lost = self.absent.iter().filter(|(_, absent)| absent.trace == Trace::Lost);
        lost.map(|(address, _)| address.clone()).collect()
    }

    /// Whether there shall be a scan now.
    pub(super) fn wants_scan(&self) -> bool {
        matches!(self.phase, Phase::Scanning { .. }) && self.is_looking()
    }

    /// When [`Lookout::advance`] has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Scanning { until } | Phase::Resting { until } if !self.absent.is_empty() => Some(until),
            Phase::Scanning { .. } | Phase::Resting { .. } | Phase::Idle => None,
        }
    }

    /// Time has passed.
    pub(super) fn advance(&mut self, now: Instant) {
        // The service has let it go, and may not see it again for a reason of its own.
        self.absent.retain(|_, absent| absent.why != Why::Changed || absent.is_likely(now));
        match self.phase {
            Phase::Scanning { until } if until <= now || !self.is_looking() => {
                self.phase = Phase::Resting { until: now + self.pause };
                let likely =
                    self.absent.is_empty() || self.absent.values().any(|absent| absent.is_likely(now));
                self.pause = (self.pause * 2).min(if likely { PAUSE_LONGEST } else { PAUSE_LATE });
            }
            Phase::Resting { until } if until <= now => {
                self.phase =
                    if self.is_looking() { Phase::Scanning { until: now + SCAN } } else { Phase::Idle };
            }
            Phase::Scanning { .. } | Phase::Resting { .. } | Phase::Idle => {}
        }
    }

    fn insert(&mut self, address: &str, why: Why, now: Instant) {
        let absent =
            self.absent.entry(address.to_owned()).or_insert(Absent { why, since: now, trace: Trace::Lost });
        // One that may be running stays so until it is forgotten.
        *absent = Absent { why: absent.why.max(why), since: now, trace: Trace::Lost };
    }

    fn is_wanted(&self, why: Why) -> bool {
        match (why, self.reconnect) {
            (Why::MayRun | Why::Changed, _) | (Why::Expected | Why::Lost, Reconnect::Always) => true,
            (Why::Expected | Why::Lost, Reconnect::Off) => false,
            (Why::Expected | Why::Lost, Reconnect::WhileClientConnected) => self.clients == Clients::Some,
        }
    }

    fn is_looking(&self) -> bool {
        self.absent.values().any(|absent| absent.trace == Trace::Lost)
    }
}

impl Absent {
    /// Whether it is likely to return.
    fn is_likely(&self, now: Instant) -> bool {
        let likely = match self.why {
            Why::Expected => LIKELY_EXPECTED,
            Why::Lost | Why::Changed | Why::MayRun => LIKELY,
        };
        now.duration_since(self.since) < likely
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 2] = ["a", "b"];

    fn known() -> impl Iterator<Item = String> {
        KNOWN.into_iter().map(str::to_owned)
    }

    const HOURS: Duration = Duration::from_secs(6 * 3600);

    /// The pauses between scans, each with the time at which it began, for six hours.
    fn pauses(lookout: &mut Lookout, start: Instant) -> Vec<(Duration, Duration)> {
        let (mut now, mut pauses) = (start, Vec::new());
        while let Some(next) = lookout.deadline().filter(|next| *next < start + HOURS) {
            if !lookout.wants_scan() {
                pauses.push((now - start, next - now));
            }
            now = next;
            lookout.advance(now);
        }
        pauses
    }

    fn first(pauses: &[(Duration, Duration)]) -> Vec<u64> {
        pauses.iter().take(7).map(|(_, pause)| pause.as_secs()).collect()
    }

    #[test]
    fn pauses_grow_to_a_minute_and_to_five_when_a_device_is_not_likely_to_return() {
        let start = Instant::now();
        for (expected, likely) in [(false, LIKELY), (true, LIKELY_EXPECTED)] {
            let mut lookout = Lookout::new(Reconnect::Always);
            if expected {
                lookout.expect(known(), start);
            } else {
                lookout.miss("a", Why::Lost, start);
            }
            assert!(lookout.wants_scan());
            let pauses = pauses(&mut lookout, start);
            assert_eq!(first(&pauses), [2, 4, 8, 16, 32, 60, 60]);
            assert!(pauses.iter().all(|(at, pause)| *pause <= PAUSE_LONGEST || *at >= likely));
            assert_eq!(pauses.last().map(|(_, pause)| *pause), Some(PAUSE_LATE));
            assert!(pauses.len() < 120, "{} scans in six hours", pauses.len());
        }
    }

    #[test]
    fn a_device_that_may_be_running_is_looked_for_whatever_the_user_set_until_it_is_found() {
        let start = Instant::now();
        let mut lookout = Lookout::new(Reconnect::Off);
        lookout.miss("b", Why::Lost, start);
        assert_eq!((lookout.sought().len(), lookout.deadline()), (0, None));
        lookout.miss("a", Why::MayRun, start);
        assert_eq!(first(&pauses(&mut lookout, start)), [2, 4, 8, 16, 32, 60, 60]);
        assert!(lookout.may_run("a") && lookout.deadline().is_some());
        lookout.seen("a");
        lookout.forget("a");
        assert_eq!((lookout.sought().len(), lookout.deadline()), (0, None));
    }

    #[test]
    fn a_device_that_was_let_go_and_does_not_return_is_given_up() {
        let start = Instant::now();
        let mut lookout = Lookout::new(Reconnect::Off);
        lookout.miss("a", Why::Changed, start);
        let pauses = pauses(&mut lookout, start);
        assert!(pauses.last().is_some_and(|(at, _)| *at < LIKELY));
        assert!(lookout.sought().is_empty() && !lookout.wants_scan());
    }

    #[test]
    fn known_devices_are_looked_for_while_a_client_is_there() {
        let start = Instant::now();
        let mut lookout = Lookout::new(Reconnect::WhileClientConnected);
        lookout.expect(known(), start);
        lookout.miss("c", Why::Lost, start);
        assert!(lookout.sought().is_empty() && !lookout.wants_scan());

        lookout.clients_came(known(), start);
        assert_eq!(lookout.sought(), known().collect());
        assert!(lookout.wants_scan());
        lookout.clients_left(start + Duration::from_secs(1));
        assert!(lookout.sought().is_empty() && !lookout.wants_scan());

        // Clients that come and go make the scans no more frequent.
        lookout.clients_came(known(), start + Duration::from_secs(2));
        assert!(!lookout.wants_scan());
        let next = lookout.deadline().unwrap();
        assert_eq!(next, start + Duration::from_secs(1) + PAUSE_FIRST);
        lookout.advance(next);
        assert!(lookout.wants_scan());

        // Nor does a new one wait long because an old one did.
        let mut now = next;
        while now < start + HOURS {
            now = lookout.deadline().unwrap();
            lookout.advance(now);
        }
        lookout.clients_left(now);
        lookout.clients_came(known(), now);
        assert!(lookout.wants_scan() || lookout.deadline().is_some_and(|due| due <= now + PAUSE_FOR_CLIENT));
    }

    #[test]
    fn without_a_client_only_those_are_looked_for_that_may_be_running() {
        let now = Instant::now();
        let mut lookout = Lookout::new(Reconnect::WhileClientConnected);
        lookout.clients_came(known(), now);
        lookout.miss("a", Why::MayRun, now);
        lookout.clients_left(now);
        assert_eq!(lookout.sought(), BTreeSet::from(["a".to_owned()]));
        assert!(lookout.wants_scan());
    }

    #[test]
    fn there_is_no_scan_while_a_device_is_opened_and_one_if_that_fails() {
        let now = Instant::now();
        let mut lookout = Lookout::new(Reconnect::Always);
        lookout.expect(known(), now);
        lookout.seen("a");
        assert!(lookout.wants_scan(), "for the other");
        lookout.seen("b");
        assert!(!lookout.wants_scan());
        for _ in 0..4 {
            if let Some(next) = lookout.deadline() {
                lookout.advance(next);
            }
        }
        assert_eq!(lookout.deadline(), None, "nothing wakes for what is being opened");
        let later = now + Duration::from_secs(120);
        lookout.failed("b", later);
        assert_eq!(lookout.sought(), BTreeSet::from(["b".to_owned()]));
        lookout.advance(lookout.deadline().unwrap());
        assert!(lookout.wants_scan());
        // One that was never looked for is none that failed.
        lookout.failed("c", later);
        assert_eq!(lookout.sought().len(), 1);
    }
}
