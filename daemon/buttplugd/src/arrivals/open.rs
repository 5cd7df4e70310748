//! A device that is open, and what becomes of it when the definitions or the user's rules change: nothing, if all that it was made
//! from is as it was; else it is let go, and comes back as what it is now, if it may.

use std::{path::PathBuf, sync::Arc, time::Duration};

use engine::{
    definition::{catalogue::Catalogue, entry::ProtocolEntry, indices::DeviceKey, resolved::Resolved},
    device::{ModelSetup, Motion},
    fault::Reason,
    router::DeviceEntry,
    vocabulary::DeviceIndex,
};
use tokio::{sync::watch, time::Instant};

use super::{Place, identity, memory::Indexes};
use crate::{plugin::Model, transport::Discovered};

/// A sight of a device tells for so long that it is there.
const SIGHT_HOLDS: Duration = Duration::from_secs(2);

/// A device that is open, or on its way to be.
pub(super) struct Open {
    pub(super) place: Place,
    /// The protocol that it was recognised for.
    pub(super) protocol: Arc<ProtocolEntry>,
    /// What it was made from, once it has said what it is.
    made: Option<(DeviceKey, Terms)>,
    closing: watch::Sender<Option<Reason>>,
    pub(super) let_go: LetGo,
    /// What was seen of it last, and until when that holds.
    seen: Option<(Instant, Discovered)>,
}

/// Whether the service lets a device go by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LetGo {
    /// It does not.
    No,
    /// It may not be used any more.
    Refused,
    /// It is to come back as what it is now.
    Changed,
}

/// All that a device is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Terms {
    entry: DeviceEntry,
    model: Model,
    setup: ModelSetup,
    params: Vec<(String, String)>,
    library: Option<PathBuf>,
}

impl Terms {
    pub(super) fn new(resolved: &Resolved, index: DeviceIndex, transport: &'static str) -> Self {
        Self {
            entry: identity::entry(resolved, index, transport),
            model: identity::plugin_model(resolved),
            // What it was doing when it was seen last is no part of what it is.
            setup: identity::setup(resolved, transport, Motion::AtRest),
            params: identity::params(&resolved.protocol),
            library: identity::library(&resolved.protocol),
        }
    }
}

impl Open {
    /// A device that has not said what it is. The other result is set when it is to be let go.
    pub(super) fn new(place: Place, protocol: Arc<ProtocolEntry>) -> (Self, watch::Receiver<Option<Reason>>) {
        let (closing, told) = watch::channel(None);
        (Self { place, protocol, made: None, closing, let_go: LetGo::No, seen: None }, told)
    }

    /// It has said what it is.
    pub(super) fn identified(&mut self, key: DeviceKey, terms: Terms) {
        self.made = Some((key, terms));
        // What was seen so far is what is open.
        self.seen = None;
    }

    /// Its bus sees it once more: it may have come back before its task has ended.
    pub(super) fn seen(&mut self, discovered: Discovered, now: Instant) {
        self.seen = Some((now + SIGHT_HOLDS, discovered));
    }

    /// Until when what was seen of it holds. Then it is to be forgotten, since somebody may wait at the other end of it.
    pub(super) fn seen_until(&self) -> Option<Instant> {
        self.seen.as_ref().map(|(until, _)| *until)
    }

    /// Forgets what does not hold any more.
    pub(super) fn forget_seen(&mut self, now: Instant) {
        self.seen.take_if(|(until, _)| *until <= now);
    }

    /// What was seen of it a moment ago, now that its task has ended.
    pub(super) fn back(&mut self, now: Instant) -> Option<Discovered> {
        self.forget_seen(now);
        self.seen.take().map(|(_, discovered)| discovered)
    }

    /// Its index, once it has said what it is.
    pub(super) fn index(&self) -> Option<DeviceIndex> {
        self.made.as_ref().map(|(_, terms)| terms.entry.view.index)
    }

    /// Who it is, once it has said it.
    pub(super) fn key(&self) -> Option<&DeviceKey> {
        self.made.as_ref().map(|(key, _)| key)
    }

    /// Lets it go.
    pub(super) fn close(&self, reason: Reason) {
        // The first reason is the one that is told.
        self.closing.send_if_modified(|told| {
            let is_first = told.is_none();
            if is_first {
                *told = Some(reason);
            }
            is_first
        });
    }

    /// Lets it go if it would not be made so any more. It keeps its index until it is back: its task writes down under that what
    /// it may be doing.
    pub(super) fn reconsider(&mut self, catalogue: &Catalogue, indexes: &Indexes) {
        if self.let_go != LetGo::No {
            return;
        }
        let (address, protocol) = (&self.place.1, self.protocol.id());
        let is_same = match &self.made {
            None => catalogue.admit(protocol, address).map(|()| {
                let now = catalogue.protocol(protocol);
                now.is_some_and(|now| now.definition == self.protocol.definition)
            }),
            Some((key, terms)) => {
                catalogue.resolve(&key.protocol, &key.identifier, address).map(|resolved| {
                    let index = indexes.index_to_come(key, resolved.index, &catalogue.reserved_indexes());
                    *terms == Terms::new(&resolved, index, self.place.0)
                })
            }
        };
        let (let_go, reason) = match is_same {
            Ok(true) => return,
            Ok(false) => (LetGo::Changed, Reason::DeviceLost),
            Err(refusal) => {
                tracing::info!(transport = self.place.0, %refusal, "a device is let go");
                (LetGo::Refused, Reason::NotAllowed)
            }
        };
        self.let_go = let_go;
        self.close(reason);
    }
}
