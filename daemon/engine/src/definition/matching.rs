//! Which protocols an advertisement may belong to, found through one index however many models there are.
//!
//! Candidates come best first, and the shell takes the first whose services the device really has (a name alone can be
//! claimed by two makers). Better is:
//!
//! 1. the later layer: a match that the user wrote beats one of the distribution;
//! 2. then an exact name, an advertised service that no other protocol's devices have, a longer beginning of the name, a shorter
//!    one, manufacturer data with bytes, a company alone, any other advertised service; on a serial line the port before the USB
//!    ids;
//! 3. then the protocol whose id comes first in the alphabet, so that the order is always the same.
//!
//! Two protocols of one layer may claim the same thing only if their services have none in common; else the check reports it.
//! A protocol is a candidate once, for the best thing that speaks for it.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    sync::Arc,
};

use uuid::Uuid;

use super::{
    layer::Layer,
    model::{BluetoothMatch, GamepadMatch, HidMatch, NameMatch, SerialMatch, UsbId},
};
use crate::advertisement::Advertisement;

/// Services of a device, and in each the characteristic of every endpoint.
pub type Services = BTreeMap<Uuid, BTreeMap<String, Uuid>>;

/// Battery and device information, which devices of every maker have: they tell nobody apart.
const COMMON_SERVICES: [Uuid; 2] = [
    Uuid::from_u128(0x0000_180f_0000_1000_8000_0080_5f9b_34fb),
    Uuid::from_u128(0x0000_180a_0000_1000_8000_0080_5f9b_34fb),
];

/// Whether a device that has the services `present` can be what a match with the services `wanted` means: it has one of them, and not only one
/// that every device has, unless the match knows no other.
#[must_use]
pub fn services_fit(wanted: &[Uuid], present: &[Uuid]) -> bool {
    let telling = |service: &&Uuid| !COMMON_SERVICES.contains(service);
    let only_common = !wanted.iter().any(|service| telling(&service));
    wanted.iter().filter(|service| only_common || telling(service)).any(|service| present.contains(service))
}

/// How a candidate is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// Through these characteristics, of which the device must have those of at least one service.
    Bluetooth(Arc<Services>),
    /// Through a serial port with these settings.
    Serial(Arc<SerialMatch>),
    /// Through HID reports, of the interface or usage that this names.
    Hid(Arc<HidMatch>),
    /// Through the WebSocket that it dialled in with.
    WebSocket,
    /// Through the force feedback of a game controller.
    Gamepad,
    /// It is simulated.
    Simulated,
}

/// What speaks for a candidate. The order is that of preference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sign {
    /// Its port is this.
    Port(String),
    /// Its name is this.
    Name(String),
    /// It advertises this service, which devices of no other protocol have: more than a beginning of a name, which makers copy.
    OwnService(Uuid),
    /// Its name begins so; the longer the better.
    Prefix(Reverse<usize>, String),
    /// Its USB or HID ids are these.
    Usb(UsbId),
    /// Its manufacturer data has these bytes.
    ManufacturerData(u16, Vec<u8>),
    /// Its manufacturer data is of this company.
    Company(u16),
    /// It advertises this service.
    Service(Uuid),
    /// It is a game controller.
    Gamepad,
}

impl fmt::Display for Sign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Port(port) => write!(f, "the port is `{port}`"),
            Self::Name(name) => write!(f, "the name is `{name}`"),
            Self::Prefix(_, prefix) => write!(f, "the name matches `{prefix}*`"),
            Self::Usb(UsbId { vendor, product }) => write!(f, "the ids are {vendor:04x}:{product:04x}"),
            Self::ManufacturerData(company, data) => {
                write!(f, "the manufacturer data of company {company} matches")?;
                data.iter().try_for_each(|byte| write!(f, " {byte:02x}"))
            }
            Self::Company(company) => write!(f, "there is manufacturer data of company {company}"),
            Self::OwnService(service) | Self::Service(service) => {
                write!(f, "the service {service} is advertised")
            }
            Self::Gamepad => f.write_str("it is a game controller"),
        }
    }
}

/// The number of a protocol in the catalogue.
pub(super) type ProtocolNumber = usize;

/// Where a match is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) layer: Layer,
    pub(super) file: Arc<str>,
}

/// A candidate, before the catalogue adds the protocol.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) origin: Origin,
    pub(super) protocol: ProtocolNumber,
    pub(super) sign: Sign,
    pub(super) way: Way,
}

/// A thing that two protocols of one layer claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clash {
    pub(super) sign: Sign,
    pub(super) protocols: (ProtocolNumber, ProtocolNumber),
}

#[derive(Debug, Clone)]
struct Target {
    origin: Origin,
    protocol: ProtocolNumber,
    way: Way,
}

type TargetNumber = usize;
type Targets = Vec<TargetNumber>;
/// Bytes that the manufacturer data must have, if any, and what they lead to.
type OfCompany = (Option<Vec<u8>>, TargetNumber);

/// Whose devices have a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// Those of one protocol.
    One(ProtocolNumber),
    Several,
}

/// Everything that can be recognised, by what it is recognised by.
#[derive(Debug, Clone, Default)]
pub(super) struct MatchIndex {
    targets: Vec<Target>,
    bluetooth: Names,
    websocket: Names,
    simulated: Names,
    gamepads: Names,
    /// Those that take every game controller.
    all_gamepads: Targets,
    manufacturer_data: HashMap<u16, Vec<OfCompany>>,
    services: HashMap<Uuid, Targets>,
    /// Whose devices have a service.
    owners: HashMap<Uuid, Owner>,
    ports: HashMap<String, Targets>,
    serial_usb: HashMap<UsbId, Targets>,
    hid: HashMap<UsbId, Targets>,
}

/// Names and beginnings of names. A look-up costs one step for every length that a beginning has.
#[derive(Debug, Clone, Default)]
struct Names {
    exact: HashMap<String, Targets>,
    prefixes: HashMap<String, Targets>,
    lengths: BTreeSet<usize>,
}

impl Names {
    fn add(&mut self, names: &[String], target: TargetNumber) {
        for name in names {
            match name.strip_suffix('*') {
                Some(prefix) => {
                    self.lengths.insert(prefix.len());
                    self.prefixes.entry(prefix.to_owned()).or_default().push(target);
                }
                None => self.exact.entry(name.clone()).or_default().push(target),
            }
        }
    }

    fn find(&self, name: &str, found: &mut impl FnMut(TargetNumber, Sign)) {
        for target in self.exact.get(name).into_iter().flatten() {
            found(*target, Sign::Name(name.to_owned()));
        }
        for length in self.lengths.range(..=name.len()) {
            let Some(prefix) = name.get(..*length) else { continue };
            for target in self.prefixes.get(prefix).into_iter().flatten() {
                found(*target, Sign::Prefix(Reverse(*length), prefix.to_owned()));
            }
        }
    }

    fn claims(&self) -> impl Iterator<Item = (Sign, &[TargetNumber])> {
        let exact = self.exact.iter().map(|(name, targets)| (Sign::Name(name.clone()), targets.as_slice()));
        let prefixes = self.prefixes.iter();
        exact.chain(prefixes.map(|(prefix, targets)| {
            (Sign::Prefix(Reverse(prefix.len()), prefix.clone()), targets.as_slice())
        }))
    }
}

impl MatchIndex {
    fn target(&mut self, origin: &Origin, protocol: ProtocolNumber, way: Way) -> TargetNumber {
        self.targets.push(Target { origin: origin.clone(), protocol, way });
        self.targets.len() - 1
    }

    /// `services` are those to reach the device by, where the match has none of its own.
    pub(super) fn add_bluetooth(
        &mut self,
        origin: &Origin,
        protocol: ProtocolNumber,
        one: &BluetoothMatch,
        services: &Arc<Services>,
    ) {
        let services =
            if one.services.is_empty() { Arc::clone(services) } else { Arc::new(one.services.clone()) };
        for service in services.keys() {
            let owner = self.owners.entry(*service).or_insert(Owner::One(protocol));
            if *owner != Owner::One(protocol) {
                *owner = Owner::Several;
            }
        }
        let target = self.target(origin, protocol, Way::Bluetooth(services));
        self.bluetooth.add(&one.names, target);
        for data in &one.manufacturer_data {
            self.manufacturer_data.entry(data.company).or_default().push((data.data.clone(), target));
        }
        for service in &one.advertised_services {
            self.services.entry(*service).or_default().push(target);
        }
    }

    pub(super) fn add_serial(&mut self, origin: &Origin, protocol: ProtocolNumber, one: &SerialMatch) {
        let target = self.target(origin, protocol, Way::Serial(Arc::new(one.clone())));
        if one.port != "default" {
            self.ports.entry(one.port.clone()).or_default().push(target);
        }
        for id in &one.usb {
            self.serial_usb.entry(*id).or_default().push(target);
        }
    }

    /// The serial ports that are named by path.
    pub(super) fn serial_ports(&self) -> impl Iterator<Item = &str> {
        self.ports.keys().map(String::as_str)
    }

    pub(super) fn add_hid(&mut self, origin: &Origin, protocol: ProtocolNumber, one: &HidMatch) {
        let target = self.target(origin, protocol, Way::Hid(Arc::new(one.clone())));
        for id in &one.ids {
            self.hid.entry(*id).or_default().push(target);
        }
    }

    pub(super) fn add_websocket(&mut self, origin: &Origin, protocol: ProtocolNumber, one: &NameMatch) {
        let target = self.target(origin, protocol, Way::WebSocket);
        self.websocket.add(&one.names, target);
    }

    pub(super) fn add_gamepad(&mut self, origin: &Origin, protocol: ProtocolNumber, one: &GamepadMatch) {
        let target = self.target(origin, protocol, Way::Gamepad);
        if one.names.is_empty() {
            self.all_gamepads.push(target);
        }
        self.gamepads.add(&one.names, target);
    }

    pub(super) fn add_simulated(&mut self, origin: &Origin, protocol: ProtocolNumber, one: &NameMatch) {
        let target = self.target(origin, protocol, Way::Simulated);
        self.simulated.add(&one.names, target);
    }

    /// Everything that may be meant, best first; of a protocol only the best. `id` gives the id of a protocol.
    pub(super) fn find<'a>(
        &self,
        advertisement: &Advertisement,
        id: impl Fn(ProtocolNumber) -> &'a str,
    ) -> Vec<Found> {
        let mut all = Vec::new();
        let mut found = |target: TargetNumber, sign: Sign| {
            if let Some(Target { origin, protocol, way }) = self.targets.get(target) {
                all.push(Found { origin: origin.clone(), protocol: *protocol, sign, way: way.clone() });
            }
        };
        match advertisement {
            Advertisement::Bluetooth { name, manufacturer_data, services } => {
                if let Some(name) = name {
                    self.bluetooth.find(name, &mut found);
                }
                for (company, seen) in manufacturer_data {
                    for (data, target) in self.manufacturer_data.get(company).into_iter().flatten() {
                        match data {
                            None => found(*target, Sign::Company(*company)),
                            Some(data) if contains(seen, data) || contains(data, seen) => {
                                found(*target, Sign::ManufacturerData(*company, data.clone()));
                            }
                            Some(_) => {}
                        }
                    }
                }
                for service in services {
                    for target in self.services.get(service).into_iter().flatten() {
                        let protocol = self.targets.get(*target).map(|target| Owner::One(target.protocol));
                        let is_own = self.owners.get(service).is_none_or(|owner| Some(*owner) == protocol);
                        let sign = if is_own { Sign::OwnService } else { Sign::Service };
                        found(*target, sign(*service));
                    }
                }
            }
            Advertisement::Serial { port, usb } => {
                for target in self.ports.get(port).into_iter().flatten() {
                    found(*target, Sign::Port(port.clone()));
                }
                if let Some((vendor, product)) = *usb {
                    let usb = UsbId { vendor, product };
                    for target in self.serial_usb.get(&usb).into_iter().flatten() {
                        found(*target, Sign::Usb(usb));
                    }
                }
            }
            Advertisement::Hid { vendor, product, name: _ } => {
                let usb = UsbId { vendor: *vendor, product: *product };
                for target in self.hid.get(&usb).into_iter().flatten() {
                    found(*target, Sign::Usb(usb));
                }
            }
            Advertisement::WebSocket { name } => self.websocket.find(name, &mut found),
            Advertisement::Gamepad { name } => {
                self.gamepads.find(name, &mut found);
                for target in &self.all_gamepads {
                    found(*target, Sign::Gamepad);
                }
            }
            Advertisement::Simulated { name } => self.simulated.find(name, &mut found),
        }
        all.sort_by(|a, b| {
            (Reverse(a.origin.layer), &a.sign, id(a.protocol)).cmp(&(
                Reverse(b.origin.layer),
                &b.sign,
                id(b.protocol),
            ))
        });
        // Ways of one protocol that differ in their services are both kept: the device may have only those of the second.
        let mut best: Vec<Found> = Vec::new();
        for one in all {
            if !best.iter().any(|other| other.protocol == one.protocol && other.way == one.way) {
                best.push(one);
            }
        }
        best
    }

    /// What two protocols of one layer claim without services that tell them apart, in a fixed order.
    pub(super) fn clashes(&self) -> Vec<Clash> {
        let names = [&self.bluetooth, &self.websocket, &self.gamepads, &self.simulated];
        let named = names.into_iter().flat_map(Names::claims);
        let gamepads = [(Sign::Gamepad, self.all_gamepads.as_slice())];
        let services =
            self.services.iter().map(|(service, targets)| (Sign::Service(*service), targets.as_slice()));
        let ports = self.ports.iter().map(|(port, targets)| (Sign::Port(port.clone()), targets.as_slice()));
        let usb =
            self.serial_usb.iter().chain(&self.hid).map(|(id, targets)| (Sign::Usb(*id), targets.as_slice()));
        let mut clashes = Vec::new();
        for (sign, targets) in named.chain(services).chain(ports).chain(usb).chain(gamepads) {
            self.clashing(&sign, targets, &mut clashes);
        }
        for (company, entries) in &self.manufacturer_data {
            let mut same: BTreeMap<Sign, Targets> = BTreeMap::new();
            for (data, target) in entries {
                let sign = data
                    .clone()
                    .map_or(Sign::Company(*company), |data| Sign::ManufacturerData(*company, data));
                same.entry(sign).or_default().push(*target);
            }
            for (sign, targets) in &same {
                self.clashing(sign, targets, &mut clashes);
            }
        }
        clashes.sort_by(|a, b| (&a.sign, a.protocols).cmp(&(&b.sign, b.protocols)));
        clashes.dedup();
        clashes
    }

    fn clashing(&self, sign: &Sign, targets: &[TargetNumber], clashes: &mut Vec<Clash>) {
        for (number, second) in targets.iter().enumerate() {
            for first in targets.iter().take(number) {
                let (Some(first), Some(second)) = (self.targets.get(*first), self.targets.get(*second))
                else {
                    continue;
                };
                if first.origin.layer == second.origin.layer
                    && first.protocol != second.protocol
                    && alike(&first.way, &second.way)
                {
                    clashes.push(Clash { sign: sign.clone(), protocols: (first.protocol, second.protocol) });
                }
            }
        }
    }
}

/// Whether a device could be reached both ways.
fn alike(a: &Way, b: &Way) -> bool {
    match (a, b) {
        (Way::Bluetooth(a), Way::Bluetooth(b)) => a.keys().any(|service| b.contains_key(service)),
        (Way::Serial(_), Way::Serial(_))
        | (Way::Hid(_), Way::Hid(_))
        | (Way::WebSocket, Way::WebSocket)
        | (Way::Gamepad, Way::Gamepad)
        | (Way::Simulated, Way::Simulated) => true,
        (
            Way::Bluetooth(_) | Way::Serial(_) | Way::Hid(_) | Way::WebSocket | Way::Gamepad | Way::Simulated,
            _,
        ) => false,
    }
}

fn contains(all: &[u8], part: &[u8]) -> bool {
    !part.is_empty() && all.windows(part.len()).any(|window| window == part)
}
