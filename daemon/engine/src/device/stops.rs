//! Stops that wait to be carried out, and the one that has failed and will be repeated.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    command::{DeviceTicket, StopCause, StopScope},
    outputs::{Outputs, Place},
    setup::Limits,
};

/// Stops that wait at the same time and keep their own ticket. More are carried out all the same, as one stop of everything.
const MOST_WAITING: usize = 256;

/// A stop that waits. It is resolved to outputs when it is carried out, since what is known of them changes until then.
#[derive(Debug)]
pub(super) struct StopRequest {
    pub(super) ticket: Option<DeviceTicket>,
    pub(super) scope: StopScope,
    pub(super) cause: StopCause,
}

/// A stop that failed.
#[derive(Debug)]
struct Retry {
    places: BTreeSet<Place>,
    attempt: u32,
    at: Instant,
}

/// What is to be stopped.
#[derive(Debug, Default)]
pub(super) struct Stops {
    waiting: Vec<StopRequest>,
    retry: Option<Retry>,
}

/// A stop that is being carried out.
#[derive(Debug)]
pub(super) struct StopRun {
    /// Whose answer it is.
    pub(super) tickets: Vec<DeviceTicket>,
    /// The outputs.
    pub(super) places: BTreeSet<Place>,
    /// How many attempts have failed before.
    pub(super) attempt: u32,
}

impl Stops {
    /// Has a stop wait. `Err` if too many do: this one is carried out, but its ticket is for the caller to answer.
    pub(super) fn add(&mut self, request: StopRequest, now: Instant) -> Result<(), Option<DeviceTicket>> {
        self.hurry(now);
        if self.waiting.len() < MOST_WAITING {
            self.waiting.push(request);
            return Ok(());
        }
        if let Some(last) = self.waiting.last_mut() {
            last.scope = StopScope::All;
            last.cause = StopCause::Global;
        }
        Err(request.ticket)
    }

    /// Has a stop wait that nobody asked for.
    pub(super) fn add_silently(&mut self, scope: StopScope, cause: StopCause, now: Instant) {
        // Refused would be its ticket only, and it has none.
        self.add(StopRequest { ticket: None, scope, cause }, now).unwrap_or_default();
    }

    /// A stop that failed is tried again now: something waits for it.
    pub(super) fn hurry(&mut self, now: Instant) {
        if let Some(retry) = &mut self.retry {
            retry.at = retry.at.min(now);
        }
    }

    /// Whether a stop is to be carried out now.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.waiting.is_empty() || self.retry.as_ref().is_some_and(|retry| retry.at <= now)
    }

    /// Whether a stop waits or has to be repeated. Nothing else may set outputs until then.
    pub(super) fn is_pending(&self) -> bool {
        !self.waiting.is_empty() || self.retry.is_some()
    }

    /// When the failed stop is to be repeated.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.retry.as_ref().map(|retry| retry.at)
    }

    /// All that waits, as one stop. What it leaves alone counts as unknown from then on.
    pub(super) fn take(&mut self, outputs: &mut Outputs) -> StopRun {
        let retry = self.retry.take();
        let attempt = retry.as_ref().map_or(0, |retry| retry.attempt);
        let mut places = retry.map(|retry| retry.places).unwrap_or_default();
        let mut tickets = Vec::new();
        for request in self.waiting.drain(..) {
            places.extend(outputs.to_stop(&request.scope, request.cause));
            outputs.forget_left(&request.scope);
            tickets.extend(request.ticket);
        }
        StopRun { tickets, places, attempt }
    }

    /// The tickets of stops that will not be carried out any more.
    pub(super) fn abandon(&mut self) -> Vec<DeviceTicket> {
        self.retry = None;
        self.waiting.drain(..).filter_map(|request| request.ticket).collect()
    }

    /// A stop failed; it is repeated later, however often it takes.
    pub(super) fn repeat(&mut self, run: StopRun, limits: &Limits, now: Instant) {
        let doubled = 1_u32.checked_shl(run.attempt).unwrap_or(u32::MAX);
        let pause: Duration = limits.stop_retry.saturating_mul(doubled).min(limits.stop_retry_most);
        self.retry =
            Some(Retry { places: run.places, attempt: run.attempt.saturating_add(1), at: now + pause });
    }
}
