//! What the radio remembers of devices that it sees: when to look at one again, and what was told of it.
//!
//! BlueZ repeats an advertisement several times a second, each time with another signal strength. Looking means asking
//! BlueZ for all properties, so it is done no more often than [`LOOK_GAP`]. Pure; time comes in as an argument.

use std::{collections::HashMap, hash::Hash, time::Duration};

use engine::advertisement::Advertisement;
use tokio::time::Instant;

/// At most one look at a device in this time. A device that appears is looked at at once.
pub(super) const LOOK_GAP: Duration = Duration::from_millis(500);

/// A device that shows nothing new is told again after this, for whoever failed to open it.
pub(super) const TELL_AGAIN: Duration = Duration::from_secs(2);

/// A name that comes with the scan response makes no event. So a device without one is looked at this often more, with a
/// pause that doubles from [`LOOK_GAP`]: for the first half minute.
const NAMELESS_LOOKS: u32 = 6;

/// So many devices are remembered. A scan in a crowd sees more, since phones change their addresses; then those that were
/// not seen for longest are forgotten.
const REMEMBERED: usize = 1024;

/// Devices that were seen, by id.
#[derive(Debug)]
pub(super) struct Sightings<Id> {
    seen: HashMap<Id, Sighting>,
}

#[derive(Debug)]
struct Sighting {
    last_event: Instant,
    last_look: Option<Instant>,
    next_look: Option<Instant>,
    told: Option<(Instant, Advertisement)>,
    untold: Untold,
    nameless_looks: u32,
}

/// Whether BlueZ said something of a device since it was last told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Untold {
    Event,
    Nothing,
}

impl<Id: Clone + Eq + Hash> Default for Sightings<Id> {
    fn default() -> Self {
        Self { seen: HashMap::new() }
    }
}

impl<Id: Clone + Eq + Hash> Sightings<Id> {
    /// BlueZ said something about a device: a look is due, now or when the gap has passed.
    pub(super) fn event(&mut self, id: &Id, now: Instant) {
        self.make_room(id);
        let sighting = self.seen.entry(id.clone()).or_insert(Sighting {
            last_event: now,
            last_look: None,
            next_look: None,
            told: None,
            untold: Untold::Nothing,
            nameless_looks: 0,
        });
        sighting.last_event = now;
        sighting.untold = Untold::Event;
        let due = sighting.last_look.map_or(now, |last| (last + LOOK_GAP).max(now));
        sighting.next_look = Some(sighting.next_look.map_or(due, |planned| planned.min(due)));
    }

    /// When the next look is due.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.seen.values().filter_map(|sighting| sighting.next_look).min()
    }

    /// The devices that are to be looked at now.
    pub(super) fn take_due(&mut self, now: Instant) -> Vec<Id> {
        let mut due = Vec::new();
        for (id, sighting) in &mut self.seen {
            if sighting.next_look.is_some_and(|next| next <= now) {
                sighting.next_look = None;
                sighting.last_look = Some(now);
                due.push(id.clone());
            }
        }
        due
    }

    /// What a look showed. Gives whether it is to be told.
    pub(super) fn shows(&mut self, id: &Id, now: Instant, advertisement: &Advertisement) -> bool {
        let Some(sighting) = self.seen.get_mut(id) else { return true };
        if advertisement.name().is_none() && sighting.nameless_looks < NAMELESS_LOOKS {
            let pause = LOOK_GAP * 2_u32.saturating_pow(sighting.nameless_looks);
            sighting.nameless_looks += 1;
            sighting.next_look.get_or_insert(now + pause);
        }
        let news = match &sighting.told {
            None => true,
            Some((_, told)) if told != advertisement => true,
            Some((when, _)) if sighting.untold == Untold::Event => {
                let again = *when + TELL_AGAIN;
                if again > now {
                    // Every event is told in the end, at the latest then.
                    sighting.next_look = Some(sighting.next_look.map_or(again, |planned| planned.min(again)));
                }
                again <= now
            }
            Some(_) => false,
        };
        if news {
            sighting.told = Some((now, advertisement.clone()));
            sighting.untold = Untold::Nothing;
        }
        news
    }

    /// A look found a device away: when BlueZ says something of it again, it has returned, and is looked at at once.
    pub(super) fn away(&mut self, id: &Id) {
        if let Some(sighting) = self.seen.get_mut(id) {
            sighting.told = None;
            sighting.last_look = None;
        }
    }

    /// What was told of a device is void: the next event of it is told at once.
    pub(super) fn renew(&mut self, id: &Id, now: Instant) {
        if let Some(sighting) = self.seen.get_mut(id) {
            sighting.told = None;
            sighting.last_look = None;
            if sighting.next_look.is_some() {
                sighting.next_look = Some(now);
            }
        }
    }

    /// Forgets a device that BlueZ has forgotten.
    pub(super) fn forget(&mut self, id: &Id) {
        self.seen.remove(id);
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.seen.clear();
    }

    fn make_room(&mut self, id: &Id) {
        if self.seen.len() < REMEMBERED || self.seen.contains_key(id) {
            return;
        }
        let oldest =
            self.seen.iter().min_by_key(|(_, sighting)| sighting.last_event).map(|(id, _)| id.clone());
        if let Some(oldest) = oldest {
            self.seen.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: Option<&str>) -> Advertisement {
        Advertisement::Bluetooth {
            name: name.map(Into::into),
            manufacturer_data: Vec::new(),
            services: Vec::new(),
        }
    }

    #[test]
    fn a_flood_of_events_is_one_look_in_a_gap() {
        let start = Instant::now();
        let mut sightings = Sightings::default();
        let mut looks = 0;
        for step in 0..200 {
            let now = start + Duration::from_millis(10) * step;
            sightings.event(&1, now);
            looks += sightings.take_due(now).len();
        }
        assert_eq!(looks, 4);
    }

    #[test]
    fn what_is_new_is_told_at_once_and_the_rest_now_and_then() {
        let start = Instant::now();
        let mut sightings = Sightings::default();
        sightings.event(&1, start);
        assert!(sightings.shows(&1, start, &shown(Some("a"))));
        sightings.event(&1, start + LOOK_GAP);
        assert!(!sightings.shows(&1, start + LOOK_GAP, &shown(Some("a"))));
        assert!(sightings.shows(&1, start + LOOK_GAP, &shown(Some("b"))));
        assert!(!sightings.shows(&1, start + LOOK_GAP + TELL_AGAIN, &shown(Some("b"))));
        sightings.event(&1, start + LOOK_GAP + TELL_AGAIN);
        assert!(sightings.shows(&1, start + LOOK_GAP + TELL_AGAIN, &shown(Some("b"))));
    }

    #[test]
    fn the_last_event_is_told_in_the_end() {
        let start = Instant::now();
        let mut sightings = Sightings::default();
        sightings.event(&1, start);
        assert_eq!(sightings.take_due(start), [1]);
        assert!(sightings.shows(&1, start, &shown(Some("a"))));
        sightings.event(&1, start + LOOK_GAP);
        assert_eq!(sightings.take_due(start + LOOK_GAP), [1]);
        assert!(!sightings.shows(&1, start + LOOK_GAP, &shown(Some("a"))));

        let later = sightings.deadline().unwrap();
        assert_eq!(later, start + TELL_AGAIN);
        assert_eq!(sightings.take_due(later), [1]);
        assert!(sightings.shows(&1, later, &shown(Some("a"))));
        assert_eq!(sightings.deadline(), None);
    }

    #[test]
    fn a_device_that_was_away_a_moment_ago_is_looked_at_and_told_as_soon_as_it_is_heard() {
        let start = Instant::now();
        let mut sightings = Sightings::default();
        sightings.event(&1, start);
        assert_eq!(sightings.take_due(start), [1]);
        assert!(sightings.shows(&1, start, &shown(Some("a"))));
        // Its link is lost, and BlueZ says so.
        sightings.renew(&1, start + LOOK_GAP);
        sightings.event(&1, start + LOOK_GAP);
        assert_eq!(sightings.take_due(start + LOOK_GAP), [1]);
        sightings.away(&1);
        let soon = start + LOOK_GAP + Duration::from_millis(10);
        sightings.event(&1, soon);
        assert_eq!(sightings.take_due(soon), [1]);
        assert!(sightings.shows(&1, soon, &shown(Some("a"))));
    }

    #[test]
    fn a_device_without_a_name_is_looked_at_again_and_not_for_ever() {
        let mut now = Instant::now();
        let start = now;
        let mut sightings = Sightings::default();
        sightings.event(&1, now);
        let mut looks = 0;
        while let Some(next) = sightings.deadline() {
            now = next;
            looks += sightings.take_due(now).len();
            sightings.shows(&1, now, &shown(None));
        }
        assert_eq!(looks, 7);
        assert!(now - start > Duration::from_secs(30));
    }

    #[test]
    fn a_crowd_does_not_fill_the_memory() {
        let start = Instant::now();
        let mut sightings = Sightings::default();
        for id in 0..5000_u32 {
            sightings.event(&id, start + Duration::from_millis(u64::from(id)));
        }
        assert_eq!(sightings.seen.len(), REMEMBERED);
        assert!(sightings.seen.contains_key(&4999));
        assert!(!sightings.seen.contains_key(&0));
    }
}
