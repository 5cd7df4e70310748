//! Adapters and devices as BlueZ has them: their state, their properties, and the objects of a device's services.
//!
//! What happens to them, and who is told, is the business of `world`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use uuid::Uuid;
use zbus::{Message, OwnedObjectPath, Variant};

use super::{
    fault::{Faults, Step},
    operation::{Action, Outcome, Record, Write},
    spec::{DeviceSpec, Flag, Presence, Security},
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
    pub(super) answers: BTreeMap<Uuid, Answers>,
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
    pub(super) fn lets_through(&self, device: &DeviceSpec) -> bool {
        let service =
            self.services.is_empty() || device.advertised.iter().any(|uuid| self.services.contains(uuid));
        let pattern = self.pattern.as_ref().is_none_or(|pattern| {
            device.address.starts_with(pattern)
                || device.name.as_ref().is_some_and(|name| name.starts_with(pattern))
        });
        service && pattern && self.transport != "bredr"
    }
}

/// What a characteristic says when it is read.
#[derive(Debug, Default)]
pub(super) struct Answers {
    queued: VecDeque<Vec<u8>>,
    /// What was said last, and stays until something is queued, as a device's value does.
    said: Vec<u8>,
}

impl Answers {
    pub(super) fn queue(&mut self, data: &[u8]) {
        self.queued.push_back(data.to_vec());
    }

    pub(super) fn take(&mut self) -> Vec<u8> {
        if let Some(next) = self.queued.pop_front() {
            self.said = next;
        }
        self.said.clone()
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

    /// Whether the device refuses this to whoever is not paired with it, and nobody is.
    pub(super) fn is_closed_to(&self, step: Step) -> bool {
        let guarded = match step {
            Step::Read | Step::Write | Step::StartNotify => true,
            Step::Connect | Step::ResolveServices | Step::Disconnect | Step::Pair | Step::StopNotify => false,
        };
        guarded && self.spec.security == Security::Paired && self.pairing == Pairing::Unpaired
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
pub(super) fn nodes(device: &str, spec: &DeviceSpec) -> Vec<Node> {
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
