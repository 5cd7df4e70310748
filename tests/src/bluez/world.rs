//! The state of the fake: adapters, devices, links and subscriptions, and the signals that its changes make.
//!
//! All of it sits behind one lock. A change and the order to send what it makes happen under that lock, so messages leave
//! in the order of the changes. Answering calls is the business of `serve`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tokio::sync::{mpsc, watch};
use uuid::Uuid;
use zbus::{Message, OwnedObjectPath, Variant};

use super::{
    device::Delivery,
    fault::Faults,
    operation::{Action, Outcome, Record, Write},
    spec::{DeviceSpec, Flag, Presence},
};

pub(super) const ADAPTER: &str = "org.bluez.Adapter1";
pub(super) const DEVICE: &str = "org.bluez.Device1";
pub(super) const SERVICE: &str = "org.bluez.GattService1";
pub(super) const CHARACTERISTIC: &str = "org.bluez.GattCharacteristic1";
pub(super) const DESCRIPTOR: &str = "org.bluez.GattDescriptor1";

/// The handle of the first service, as real devices have it after the two standard ones.
const FIRST_HANDLE: u16 = 0x0010;

pub(super) type Properties = BTreeMap<&'static str, Variant<'static>>;
pub(super) type Interfaces = BTreeMap<&'static str, Properties>;

/// What a device sends by itself after a write; see [`super::FakeDevice::respond_with`].
pub(super) type Responder = Box<dyn FnMut(&Write) -> Vec<(Uuid, Vec<u8>)> + Send>;

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

pub(super) struct Adapter {
    pub(super) address: String,
    pub(super) presence: Presence,
    pub(super) power: Power,
    /// The filters that clients have set, by bus name.
    pub(super) filters: BTreeMap<String, Filter>,
    /// The clients that look for devices.
    pub(super) discovering: BTreeSet<String>,
    pub(super) record: Record,
}

/// The state of a radio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It works.
    On,
    /// It is switched off, and can be switched on by anyone.
    Off,
    /// It is switched off by rfkill: BlueZ cannot switch it on.
    Blocked,
}

/// Which devices a client wants to hear of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those that advertise one of these, if there are any.
    pub services: Vec<Uuid>,
    /// `auto`, `le` or `bredr`.
    pub transport: String,
    /// Only those whose address or name starts so.
    pub pattern: Option<String>,
}

pub(super) struct Device {
    pub(super) adapter: String,
    pub(super) spec: DeviceSpec,
    pub(super) object: Object,
    pub(super) link: Link,
    pub(super) pairing: Pairing,
    /// Whether BlueZ has a signal strength for it: only while it is being seen.
    pub(super) heard: Heard,
    pub(super) gatt: Vec<Node>,
    /// Who subscribed to which characteristic, by object path.
    pub(super) subscribers: BTreeMap<String, BTreeSet<String>>,
    pub(super) answers: BTreeMap<Uuid, VecDeque<Vec<u8>>>,
    pub(super) faults: Faults,
    pub(super) held: Vec<Message>,
    pub(super) lost_notifications: usize,
    pub(super) responder: Option<Responder>,
    pub(super) record: Record,
}

/// Whether BlueZ shows an object for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Object {
    Shown,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    Recently,
    NotLately,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pairing {
    Unpaired,
    Paired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Down,
    Connected,
    Resolved,
}

/// An object of a device's services.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) path: String,
    pub(super) parent: String,
    pub(super) uuid: Uuid,
    pub(super) kind: NodeKind,
}

#[derive(Debug, Clone)]
pub(super) enum NodeKind {
    Service,
    Characteristic(Vec<Flag>),
    Descriptor,
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

impl Adapter {
    pub(super) fn properties(&self) -> Properties {
        Properties::from([
            ("Address", self.address.clone().into()),
            ("AddressType", "public".into()),
            ("Name", "fake".into()),
            ("Alias", "fake".into()),
            ("Class", 0u32.into()),
            ("Powered", (self.power == Power::On).into()),
            ("Discoverable", false.into()),
            ("Pairable", false.into()),
            ("Discovering", (!self.discovering.is_empty()).into()),
            ("UUIDs", Vec::<String>::new().into()),
            ("Modalias", "usb:v1D6Bp0246d0542".into()),
        ])
    }
}

impl Filter {
    fn lets_through(&self, device: &DeviceSpec) -> bool {
        let service =
            self.services.is_empty() || device.advertised.iter().any(|uuid| self.services.contains(uuid));
        let pattern = self.pattern.as_ref().is_none_or(|pattern| {
            device.address.starts_with(pattern)
                || device.name.as_ref().is_some_and(|name| name.starts_with(pattern))
        });
        service && pattern && self.transport != "bredr"
    }
}

impl Device {
    pub(super) fn new(adapter: &str, spec: DeviceSpec) -> Self {
        Self {
            adapter: adapter.into(),
            spec,
            object: Object::Unknown,
            link: Link::Down,
            pairing: Pairing::Unpaired,
            heard: Heard::NotLately,
            gatt: Vec::new(),
            subscribers: BTreeMap::new(),
            answers: BTreeMap::new(),
            faults: Faults::default(),
            held: Vec::new(),
            lost_notifications: 0,
            responder: None,
            record: Record::default(),
        }
    }

    pub(super) fn record(&mut self, action: Action, outcome: Outcome) {
        self.record.push(action, outcome);
    }

    pub(super) fn properties(&self) -> Properties {
        let alias = self.spec.name.clone().unwrap_or_else(|| self.spec.address.replace(':', "-"));
        let mut properties = Properties::from([
            ("Address", Variant::from(self.spec.address.clone())),
            ("AddressType", "random".into()),
            ("Alias", alias.into()),
            ("Paired", (self.pairing == Pairing::Paired).into()),
            ("Trusted", false.into()),
            ("Blocked", false.into()),
            ("LegacyPairing", false.into()),
            ("Connected", (self.link != Link::Down).into()),
            ("ServicesResolved", (self.link == Link::Resolved).into()),
            ("UUIDs", self.uuids()),
            ("Adapter", object_path(&self.adapter).into()),
        ]);
        if let Some(name) = &self.spec.name {
            properties.insert("Name", name.clone().into());
        }
        if self.heard == Heard::Recently {
            properties.insert("RSSI", self.spec.rssi.into());
        }
        if !self.spec.manufacturer_data.is_empty() {
            properties.insert("ManufacturerData", self.manufacturer_data());
        }
        if !self.spec.service_data.is_empty() {
            properties.insert("ServiceData", self.service_data());
        }
        properties
    }

    pub(super) fn uuids(&self) -> Variant<'static> {
        let mut all: BTreeSet<Uuid> = self.spec.advertised.iter().copied().collect();
        if self.link == Link::Resolved {
            all.extend(self.spec.services.iter().map(|service| service.uuid));
        }
        all.iter().map(Uuid::to_string).collect::<Vec<_>>().into()
    }

    pub(super) fn manufacturer_data(&self) -> Variant<'static> {
        let data: BTreeMap<u16, Variant<'static>> = self
            .spec
            .manufacturer_data
            .iter()
            .map(|(company, bytes)| (*company, bytes.clone().into()))
            .collect();
        data.into()
    }

    pub(super) fn service_data(&self) -> Variant<'static> {
        let data: BTreeMap<String, Variant<'static>> = self
            .spec
            .service_data
            .iter()
            .map(|(uuid, bytes)| (uuid.to_string(), bytes.clone().into()))
            .collect();
        data.into()
    }

    pub(super) fn node_interfaces(&self, node: &Node) -> Interfaces {
        let uuid = ("UUID", Variant::from(node.uuid.to_string()));
        match &node.kind {
            NodeKind::Service => BTreeMap::from([(
                SERVICE,
                Properties::from([
                    uuid,
                    ("Primary", true.into()),
                    ("Device", object_path(&node.parent).into()),
                ]),
            )]),
            NodeKind::Characteristic(flags) => {
                let notifying = self.subscribers.get(&node.path).is_some_and(|clients| !clients.is_empty());
                let flags: Vec<&'static str> = flags.iter().map(|flag| flag.as_str()).collect();
                BTreeMap::from([(
                    CHARACTERISTIC,
                    Properties::from([
                        uuid,
                        ("Service", object_path(&node.parent).into()),
                        ("Flags", flags.into()),
                        ("Value", Vec::<u8>::new().into()),
                        ("Notifying", notifying.into()),
                        ("MTU", self.spec.mtu.into()),
                    ]),
                )])
            }
            NodeKind::Descriptor => BTreeMap::from([(
                DESCRIPTOR,
                Properties::from([uuid, ("Characteristic", object_path(&node.parent).into())]),
            )]),
        }
    }
}

pub(super) fn object_path(path: &str) -> OwnedObjectPath {
    OwnedObjectPath::try_from(path).expect("the fake makes only valid paths")
}

/// The path that BlueZ gives a device.
pub(super) fn device_path(adapter: &str, address: &str) -> String {
    format!("{adapter}/dev_{}", address.replace(':', "_"))
}

/// The objects of a device's services, with handles counted as a device counts them.
fn nodes(device: &str, spec: &DeviceSpec) -> Vec<Node> {
    let mut nodes = Vec::new();
    let mut handle = FIRST_HANDLE;
    let mut next = || {
        let this = handle;
        handle += 1;
        this
    };
    for service in &spec.services {
        let service_path = format!("{device}/service{:04x}", next());
        nodes.push(Node {
            path: service_path.clone(),
            parent: device.into(),
            uuid: service.uuid,
            kind: NodeKind::Service,
        });
        for characteristic in &service.characteristics {
            let path = format!("{service_path}/char{:04x}", next());
            // The value has a handle of its own.
            next();
            nodes.push(Node {
                path: path.clone(),
                parent: service_path.clone(),
                uuid: characteristic.uuid,
                kind: NodeKind::Characteristic(characteristic.flags.clone()),
            });
            for uuid in characteristic.all_descriptors() {
                nodes.push(Node {
                    path: format!("{path}/desc{:04x}", next()),
                    parent: path.clone(),
                    uuid,
                    kind: NodeKind::Descriptor,
                });
            }
        }
    }
    nodes
}
