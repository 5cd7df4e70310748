//! The least time between two packets, for devices that lose the first of two that follow each other too closely.
//!
//! This is not pacing, which is between sets: a stop does not wait for that. It waits here only where its own packets, or one
//! before it that means something else, would be lost.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    call::{Call, Cause},
    outputs::Place,
};

/// When the next packet may be written.
#[derive(Debug, Default)]
pub(super) struct Spacing {
    gap: Duration,
    last: Option<Last>,
}

/// The last packet that was written, or tried.
#[derive(Debug)]
struct Last {
    at: Instant,
    /// The outputs that it was for, where that is known.
    places: Option<BTreeSet<Place>>,
}

impl Spacing {
    /// The model is known.
    pub(super) fn set_up(&mut self, gap: Duration) {
        self.gap = gap;
    }

    /// A packet of this call was written, or tried.
    pub(super) fn written(&mut self, call: Option<&Call>, now: Instant) {
        if self.gap.is_zero() {
            return;
        }
        let places = match call.map(|call| &call.cause) {
            Some(Cause::Output(sent)) => Some(sent.iter().map(|sent| sent.place).collect()),
            Some(Cause::Stop(run)) => Some(run.places.clone()),
            // They say nothing new.
            Some(Cause::KeepAlive | Cause::Repeat) => Some(BTreeSet::new()),
            Some(
                Cause::Identify
                | Cause::Start
                | Cause::Input(_)
                | Cause::Event
                | Cause::Timer(_)
                | Cause::Rescue
                | Cause::LastRest { .. },
            )
            | None => None,
        };
        self.last = Some(Last { at: now, places });
    }

    /// When the next packet of this call may be written; `None` is at once.
    ///
    /// The first packet of a stop does not wait for one that it makes meaningless.
    pub(super) fn due(&self, call: &Call) -> Option<Instant> {
        let last = self.last.as_ref()?;
        if let (Cause::Stop(run), Some(places)) = (&call.cause, &last.places)
            && call.packets.is_empty()
            && call.fault.is_none()
            && places.is_subset(&run.places)
        {
            return None;
        }
        Some(last.at + self.gap)
    }
}
