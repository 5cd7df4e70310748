//! Which endpoints of a link have answered. One that has does not want a pairing; of one that has not, BlueZ does not tell that it does.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// An endpoint that is asked for the first time and does not answer for so long may wait for a pairing. Longer than it takes to notice
/// that a link is broken.
pub(super) const PAIRING_GUESS: Duration = Duration::from_secs(2);

/// What both halves of a link know of it. Calls do not overlap.
#[derive(Debug, Default)]
pub(super) struct Asked(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    answered: BTreeSet<String>,
    /// Whether the last one that was asked has not answered.
    silent: bool,
    /// Whether one has refused what it was asked for the want of a pairing, and that is being made.
    pairing: bool,
}

/// Whether an endpoint has answered before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    First,
    Later,
}

impl Asked {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An endpoint is asked for something that it has to answer.
    pub(super) fn begin(&self, endpoint: &str) -> Turn {
        let mut state = self.lock();
        state.silent = !state.answered.contains(endpoint);
        if state.silent { Turn::First } else { Turn::Later }
    }

    /// An endpoint has done for the first time what it was asked for.
    pub(super) fn answered(&self, endpoint: &str) {
        let mut state = self.lock();
        state.answered.insert(endpoint.to_owned());
        state.silent = false;
    }

    /// The device is paired, since it has refused something.
    pub(super) fn pairing_begins(&self) {
        self.lock().pairing = true;
    }

    /// It is, or it cannot be.
    pub(super) fn pairing_ends(&self) {
        self.lock().pairing = false;
    }

    /// Whether the device is being paired, since it has refused something.
    pub(super) fn is_pairing(&self) -> bool {
        self.lock().pairing
    }

    /// Whether the link ends over an endpoint that has never answered.
    pub(super) fn is_silent(&self) -> bool {
        self.lock().silent
    }
}
