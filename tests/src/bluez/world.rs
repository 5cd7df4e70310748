//! The state of the fake as a whole, and the signals that its changes make.
//!
//! All of it sits behind one lock. A change and the order to send what it makes happen under that lock, so messages leave
//! in the order of the changes. Answering calls is the business of `serve`.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, watch};
use uuid::Uuid;
use zbus::{Message, Variant};

use super::{
    operation::Delivery,
    parts::{
        ADAPTER, Adapter, CHARACTERISTIC, DEVICE, Device, Heard, Interfaces, Link, Object, Pairing, Power,
        Properties, nodes, object_path,
    },
    spec::Presence,
};

/// What the thread that holds the connection is to do, in this order.
#[derive(Debug)]
pub(super) enum Order {
    Send(Message),
    Leave,
    Return,
    End,
}

pub(super) struct World {
    pub(super) adapters: BTreeMap<String, Adapter>,
    pub(super) devices: BTreeMap<String, Device>,
    pub(super) orders: mpsc::Sender<Order>,
    /// Counts changes, for those who wait for one.
    pub(super) changes: watch::Sender<u64>,
    /// Whether the name is on the bus.
    pub(super) on_bus: Presence,
}

impl World {
    pub(super) fn send(&self, message: zbus::Result<Message>) {
        let message = message.expect("the fake builds only valid messages");
        self.order(Order::Send(message));
    }

    pub(super) fn order(&self, order: Order) {
        match self.orders.try_send(order) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                panic!("the fake BlueZ has more to send than its queue takes")
            }
            // The thread has ended with the test.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }

    /// Tells those who wait that something changed.
    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    pub(super) fn properties_changed(
        &self,
        path: &str,
        interface: &str,
        properties: Properties,
        gone: &[&str],
    ) {
        self.send(
            Message::signal(path, "org.freedesktop.DBus.Properties", "PropertiesChanged")
                .build(&(interface, properties, gone)),
        );
    }

    pub(super) fn interfaces_added(&self, path: &str, interfaces: Interfaces) {
        self.send(
            Message::signal("/", "org.freedesktop.DBus.ObjectManager", "InterfacesAdded")
                .build(&(object_path(path), interfaces)),
        );
    }

    pub(super) fn interfaces_removed(&self, path: &str, interfaces: &[&str]) {
        self.send(
            Message::signal("/", "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved")
                .build(&(object_path(path), interfaces)),
        );
    }

    pub(super) fn device(&mut self, path: &str) -> &mut Device {
        self.devices.get_mut(path).expect("a handle names a device that exists")
    }

    pub(super) fn adapter(&mut self, path: &str) -> &mut Adapter {
        self.adapters.get_mut(path).expect("a handle names an adapter that exists")
    }

    pub(super) fn devices_of(&self, adapter: &str) -> Vec<String> {
        self.devices
            .iter()
            .filter(|(_, device)| device.adapter == adapter)
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// An advertisement of the device reaches the radio: BlueZ shows the device if anyone looks for it, or what changed.
    pub(super) fn heard(&mut self, path: &str) {
        let Some(device) = self.devices.get(path) else { return };
        let Some(adapter) = self.adapters.get(&device.adapter) else { return };
        let listens = adapter.presence == Presence::Near && adapter.power == Power::On;
        let wanted = adapter
            .discovering
            .iter()
            .any(|client| adapter.filters.get(client).is_none_or(|filter| filter.lets_through(&device.spec)));
        if !listens || !wanted || device.spec.presence == Presence::Away || device.link != Link::Down {
            return;
        }
        let device = self.device(path);
        device.heard = Heard::Recently;
        if device.object == Object::Unknown {
            device.object = Object::Shown;
            let properties = device.properties();
            self.interfaces_added(path, BTreeMap::from([(DEVICE, properties)]));
        } else {
            let mut properties = Properties::from([("RSSI", Variant::from(device.spec.rssi))]);
            if !device.spec.manufacturer_data.is_empty() {
                properties.insert("ManufacturerData", device.manufacturer_data());
            }
            if !device.spec.service_data.is_empty() {
                properties.insert("ServiceData", device.service_data());
            }
            self.properties_changed(path, DEVICE, properties, &[]);
        }
        self.changed();
    }

    /// Looking for devices begins for a client.
    pub(super) fn start_discovery(&mut self, adapter: &str, client: &str) {
        let first = self.adapter(adapter).discovering.is_empty();
        self.adapter(adapter).discovering.insert(client.into());
        if first {
            self.properties_changed(adapter, ADAPTER, Properties::from([("Discovering", true.into())]), &[]);
        }
        self.changed();
    }

    /// Looking for devices ends for a client.
    pub(super) fn end_discovery(&mut self, adapter: &str, client: &str) {
        let state = self.adapter(adapter);
        if !state.discovering.remove(client) || !state.discovering.is_empty() {
            return;
        }
        self.properties_changed(adapter, ADAPTER, Properties::from([("Discovering", false.into())]), &[]);
        // BlueZ forgets the signal strength of all that it saw.
        for path in self.devices_of(adapter) {
            let device = self.device(&path);
            if device.heard == Heard::Recently && device.object == Object::Shown {
                device.heard = Heard::NotLately;
                self.properties_changed(&path, DEVICE, Properties::new(), &["RSSI"]);
            }
        }
        self.changed();
    }

    /// The radio is switched. Off ends all searches and breaks all links.
    pub(super) fn set_power(&mut self, adapter: &str, power: Power) {
        let before = std::mem::replace(&mut self.adapter(adapter).power, power);
        if (before == Power::On) == (power == Power::On) {
            return;
        }
        if power != Power::On {
            let clients: Vec<_> = self.adapter(adapter).discovering.iter().cloned().collect();
            for client in clients {
                self.end_discovery(adapter, &client);
            }
            for device in self.devices_of(adapter) {
                self.disconnect(&device);
            }
        }
        let powered = Properties::from([("Powered", (power == Power::On).into())]);
        self.properties_changed(adapter, ADAPTER, powered, &[]);
        self.changed();
    }

    /// A device sends bytes to those who subscribed.
    pub(super) fn notify(&mut self, path: &str, characteristic: Uuid, data: &[u8]) -> Delivery {
        let device = self.device(path);
        let node = device.gatt.iter().find(|node| {
            node.uuid == characteristic
                && device.subscribers.get(&node.path).is_some_and(|clients| !clients.is_empty())
        });
        let Some(node) = node.map(|node| node.path.clone()) else { return Delivery::NotSubscribed };
        if let Some(left) = device.lost_notifications.checked_sub(1) {
            device.lost_notifications = left;
            return Delivery::Lost;
        }
        let value = Properties::from([("Value", data.to_vec().into())]);
        self.properties_changed(&node, CHARACTERISTIC, value, &[]);
        Delivery::Sent
    }

    /// The link to a device comes up.
    pub(super) fn connect(&mut self, path: &str) {
        self.device(path).link = Link::Connected;
        self.properties_changed(path, DEVICE, Properties::from([("Connected", true.into())]), &[]);
        self.changed();
    }

    /// The services of a connected device are found.
    pub(super) fn resolve(&mut self, path: &str) {
        let device = self.device(path);
        if device.link != Link::Connected {
            return;
        }
        device.link = Link::Resolved;
        device.gatt = nodes(path, &device.spec);
        let uuids = device.uuids();
        let added: Vec<_> =
            device.gatt.iter().map(|node| (node.path.clone(), device.node_interfaces(node))).collect();
        for (path, interfaces) in added {
            self.interfaces_added(&path, interfaces);
        }
        let properties = Properties::from([("UUIDs", uuids), ("ServicesResolved", true.into())]);
        self.properties_changed(path, DEVICE, properties, &[]);
        self.changed();
    }

    /// The link to a device goes down, whoever wanted it. Its objects stay, as they do for a while with BlueZ.
    pub(super) fn disconnect(&mut self, path: &str) {
        let device = self.device(path);
        let before = device.link;
        device.link = Link::Down;
        device.subscribers.clear();
        device.held.clear();
        if before == Link::Down {
            return;
        }
        let mut properties = Properties::from([("Connected", false.into())]);
        if before == Link::Resolved {
            properties.insert("ServicesResolved", false.into());
        }
        self.properties_changed(path, DEVICE, properties, &[]);
        self.changed();
    }

    /// BlueZ forgets a device.
    pub(super) fn forget(&mut self, path: &str) {
        self.disconnect(path);
        let device = self.device(path);
        device.gatt.clear();
        device.pairing = Pairing::Unpaired;
        if device.object == Object::Shown {
            device.object = Object::Unknown;
            self.interfaces_removed(path, &["org.freedesktop.DBus.Properties", DEVICE]);
        }
        self.changed();
    }

    /// A client has left the bus: what it asked for ends, its links stay.
    pub(super) fn client_gone(&mut self, client: &str) {
        let adapters: Vec<_> = self.adapters.keys().cloned().collect();
        for adapter in adapters {
            self.end_discovery(&adapter, client);
            self.adapter(&adapter).filters.remove(client);
        }
        for device in self.devices.values_mut() {
            for clients in device.subscribers.values_mut() {
                clients.remove(client);
            }
        }
    }

    /// The BlueZ process ends: nothing of what it knew is left, and no signal says so.
    pub(super) fn reset(&mut self) {
        for adapter in self.adapters.values_mut() {
            adapter.discovering.clear();
            adapter.filters.clear();
        }
        for device in self.devices.values_mut() {
            device.object = Object::Unknown;
            device.link = Link::Down;
            device.heard = Heard::NotLately;
            device.gatt.clear();
            device.subscribers.clear();
            device.held.clear();
        }
        self.changed();
    }
}
