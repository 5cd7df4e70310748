//! What the status says of the devices that the service knows and that take no commands now: who they are, whether they may be used,
//! and why they are not here. What a device that takes commands does is the router's to say.

use engine::{
    definition::{access::Refusal, catalogue::Catalogue, indices::DeviceKey, resolved::Resolved},
    fault::Fault,
    monitor::{DeviceState, DeviceStatus},
    vocabulary::DeviceIndex,
};

use super::{Arrivals, Open};

impl Arrivals {
    /// Tells of every known device that is not open.
    pub(super) async fn tell_known(&mut self) {
        let catalogue = self.catalogue.borrow().clone();
        let is_open = |index| self.open.values().any(|open| open.index() == Some(index));
        let known: Vec<_> = self
            .indexes
            .devices()
            .filter(|(_, index)| !is_open(*index))
            .map(|(key, index)| of_known(&catalogue, key, index))
            .collect();
        for status in known {
            self.hub.device_status(status).await;
        }
    }

    /// Tells why a device that was open, or was to be, is not. One that never said what it is has no place in the list unless it is
    /// known from before; the log has it.
    pub(super) async fn tell_why_not(&mut self, open: &Open, why: &Fault) {
        let devices: Vec<_> = match (open.key(), open.index()) {
            (Some(key), Some(index)) => vec![(key.clone(), index)],
            (_, None) | (None, _) => {
                let known = self.indexes.devices().filter(|(key, _)| key.address == open.place.1);
                known.map(|(key, index)| (key.clone(), index)).collect()
            }
        };
        let catalogue = self.catalogue.borrow().clone();
        for (key, index) in devices {
            let mut status = of_known(&catalogue, &key, index);
            if status.reason.is_empty() {
                status.reason.clone_from(&why.text);
            }
            self.hub.device_status(status).await;
        }
    }
}

/// A device that has said what it is and is being prepared.
pub(super) fn connecting(resolved: &Resolved, index: DeviceIndex, transport: &str) -> DeviceStatus {
    DeviceStatus {
        index,
        name: resolved.name.clone(),
        display_name: resolved.display_name.clone(),
        transport: transport.into(),
        protocol: resolved.protocol.id().into(),
        state: DeviceState::Connecting,
        reason: String::new(),
        battery: None,
    }
}

/// A device that was prepared once, in this run or an earlier one. Its bus is not known before it is seen.
pub(super) fn of_known(catalogue: &Catalogue, key: &DeviceKey, index: DeviceIndex) -> DeviceStatus {
    let (name, display_name, state, reason) =
        match catalogue.resolve(&key.protocol, &key.identifier, &key.address) {
            Ok(Resolved { name, display_name, .. }) => {
                (name, display_name, DeviceState::Absent, String::new())
            }
            Err(refusal) => {
                let name = catalogue.model_name(&key.protocol, &key.identifier);
                let state = match refusal {
                    // The user has not forbidden it: its definition or its plugin is not there any more.
                    Refusal::UnknownProtocol { .. } => DeviceState::Absent,
                    Refusal::Denied { .. } | Refusal::NotAllowed { .. } | Refusal::Quarantined { .. } => {
                        DeviceState::Denied
                    }
                };
                (name.unwrap_or(&key.identifier).to_owned(), None, state, refusal.to_string())
            }
        };
    DeviceStatus {
        index,
        name,
        display_name,
        transport: "".into(),
        protocol: key.protocol.as_str().into(),
        state,
        reason,
        battery: None,
    }
}
