//! A device that is open, and what becomes of it when the definitions or the user's rules change: nothing, if all that it was made
//! from is as it was; else it is let go, and comes back as what it is now, if it may.

use std::{path::PathBuf, sync::Arc};

use engine::{
    definition::{
        catalogue::{Catalogue, ProtocolEntry},
        indices::DeviceKey,
        resolved::Resolved,
    },
    device::{ModelSetup, Motion},
    fault::Reason,
    router::DeviceEntry,
    vocabulary::DeviceIndex,
};
use tokio::sync::watch;

use super::{Place, identity, memory::Indexes};
use crate::plugin::Model;

/// A device that is open, or on its way to be.
pub(super) struct Open {
    pub(super) place: Place,
    /// The protocol that it was recognised for.
    pub(super) protocol: Arc<ProtocolEntry>,
    /// What it was made from, once it has said what it is.
    made: Option<(DeviceKey, Terms)>,
    closing: watch::Sender<Option<Reason>>,
    pub(super) let_go: LetGo,
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
        (Self { place, protocol, made: None, closing, let_go: LetGo::No }, told)
    }

    /// It has said what it is.
    pub(super) fn identified(&mut self, key: DeviceKey, terms: Terms) {
        self.made = Some((key, terms));
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

    /// Lets it go if it would not be made so any more.
    pub(super) fn reconsider(&mut self, catalogue: &Catalogue, indexes: &mut Indexes) {
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
                    let index = indexes.index(key, resolved.index, &catalogue.reserved_indexes());
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
