//! HID devices, over USB and Bluetooth, through the hidraw nodes of the kernel.
//!
//! Nodes are told of as they come and go, with their ids; one is opened only when a definition names the ids. What its reports
//! mean is the protocol's business. `node` is an open one.

pub(super) mod node;

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use engine::{advertisement::Advertisement, definition::catalogue::Catalogue};
use hidapi::{DeviceInfo, HidApi};
use tokio::sync::watch;

use super::{
    Access, Discovered, Discovery, HidPart, Opened, Opener, TransportFault,
    nodes::{self, Nodes, Plugged},
    visits::Visits,
};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "hid";

/// Where the kernel lists the nodes.
const NODES: &str = "/sys/class/hidraw";

/// Runs the bus until nobody listens any more.
pub async fn run(discovery: Discovery, catalogue: watch::Receiver<Arc<Catalogue>>) {
    nodes::run(HidNodes { api: None, ids: BTreeMap::new() }, discovery, catalogue).await;
}

/// A node as the system lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    /// `/dev/hidraw3`.
    pub(super) node: String,
    pub(super) vendor: u16,
    pub(super) product: u16,
    name: Option<String>,
    /// The serial number; over Bluetooth, the address.
    number: Option<String>,
    /// The number of the USB interface; over Bluetooth there is none.
    interface: Option<u8>,
    /// Usage page and usage of each collection of reports.
    usages: Vec<(u16, u16)>,
    /// What is plugged in or paired as one: the folder of the USB device, else of the node.
    unit: PathBuf,
}

impl Listed {
    fn of(info: &DeviceInfo) -> Self {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        let node = info.path().to_string_lossy().into_owned();
        Self {
            unit: unit(&node),
            interface: u8::try_from(info.interface_number()).ok(),
            usages: vec![(info.usage_page(), info.usage())],
            node,
            vendor: info.vendor_id(),
            product: info.product_id(),
            name: text(info.product_string()),
            number: text(info.serial_number()),
        }
    }

    /// Whether its reports are those that are meant.
    fn fits(&self, part: HidPart) -> bool {
        let is = |wanted: Option<u16>, has: u16| wanted.is_none_or(|wanted| wanted == has);
        part.interface.is_none_or(|wanted| self.interface == Some(wanted))
            && ((part.usage_page, part.usage) == (None, None)
                || self
                    .usages
                    .iter()
                    .any(|(page, usage)| is(part.usage_page, *page) && is(part.usage, *usage)))
    }

    /// What stays the same when the device is plugged in elsewhere.
    pub(super) fn address(&self) -> String {
        let Self { vendor, product, .. } = self;
        match &self.number {
            Some(number) => format!("{vendor:04x}:{product:04x}:{number}"),
            None => format!("{vendor:04x}:{product:04x}"),
        }
    }
}

/// Lists the nodes, each once, in the order of their names.
pub(super) fn list(api: &mut Option<HidApi>) -> io::Result<Vec<Listed>> {
    let api = match api {
        Some(api) => {
            api.refresh_devices().map_err(io::Error::other)?;
            api
        }
        None => api.insert(HidApi::new().map_err(io::Error::other)?),
    };
    let mut nodes: Vec<Listed> = api.device_list().map(Listed::of).collect();
    // A node is listed once for each usage that it has.
    nodes.sort_by(|a, b| (a.node.len(), &a.node).cmp(&(b.node.len(), &b.node)));
    nodes.dedup_by(|again, first| {
        let is_same = again.node == first.node;
        if is_same {
            first.usages.append(&mut again.usages);
        }
        is_same
    });
    Ok(nodes)
}

/// The folder of what is plugged in or paired as one. A USB device has a node for each of its HID interfaces, whose folders are named
/// after port, configuration and interface, as in `1-4:1.0`.
fn unit(node: &str) -> PathBuf {
    let name = Path::new(node).file_name().unwrap_or_default();
    let Ok(folder) = fs::canonicalize(Path::new(NODES).join(name).join("device")) else {
        return PathBuf::from(node);
    };
    let is_interface = |folder: &&Path| {
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        let halves = name.split_once(':').and_then(|(port, rest)| Some((port, rest.split_once('.')?)));
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        halves.is_some_and(|(port, (one, two))| port.contains('-') && is_number(one) && is_number(two))
    };
    let above = folder.ancestors().find(is_interface).and_then(Path::parent);
    above.map_or_else(|| folder.clone(), Path::to_owned)
}

/// The nodes of each device, its lowest interface first.
pub(super) fn units(nodes: Vec<Listed>) -> Vec<Vec<Listed>> {
    let mut units: Vec<Vec<Listed>> = Vec::new();
    for node in nodes {
        match units.iter_mut().find(|unit| unit.iter().any(|first| first.unit == node.unit)) {
            Some(unit) => unit.push(node),
            None => units.push(vec![node]),
        }
    }
    for unit in &mut units {
        // The sort is stable: nodes of one interface stay in the order of their names.
        unit.sort_by_key(|node| node.interface);
    }
    units
}

struct HidNodes {
    api: Option<HidApi>,
    /// Vendor and product of the nodes that there are.
    ids: BTreeMap<String, (u16, u16)>,
}

impl Nodes for HidNodes {
    fn bus(&self) -> &'static str {
        NAME
    }

    fn subsystem(&self) -> &'static str {
        "hidraw"
    }

    fn look(&mut self, _: &Catalogue, visits: &Visits) -> io::Result<Vec<Plugged>> {
        let nodes = list(&mut self.api)?;
        self.ids = nodes.iter().map(|node| (node.node.clone(), (node.vendor, node.product))).collect();
        Ok(plugged(nodes, visits))
    }

    fn mend(&self, node: &str) -> String {
        node::mend(self.ids.get(node).copied().unwrap_or_default())
    }
}

fn plugged(nodes: Vec<Listed>, visits: &Visits) -> Vec<Plugged> {
    let tell = |unit: Vec<Listed>| {
        let first = unit.first()?;
        Some(Plugged {
            key: first.unit.to_string_lossy().into_owned(),
            discovered: Discovered {
                transport: NAME,
                address: first.address(),
                advertisement: Advertisement::Hid {
                    vendor: first.vendor,
                    product: first.product,
                    name: first.name.clone(),
                },
                opener: Box::new(UnitOpener { nodes: unit, visits: visits.clone() }),
            },
        })
    };
    units(nodes).into_iter().filter_map(tell).collect()
}

/// The way to a device, through one of its nodes.
struct UnitOpener {
    nodes: Vec<Listed>,
    visits: Visits,
}

#[async_trait]
impl Opener for UnitOpener {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        let part = match access {
            Access::Hid(part) => *part,
            Access::Bluetooth { .. }
            | Access::Serial(_)
            | Access::WebSocket
            | Access::Gamepad
            | Access::Simulated => {
                return Err(TransportFault::Refused("a HID device is opened as nothing else".to_owned()));
            }
        };
        let mut first_fault = None;
        for node in self.nodes.iter().filter(|node| node.fits(part)) {
            let visit = self.visits.begin(&node.node);
            match node::open(node, visit).await {
                Ok(opened) => return Ok(opened),
                Err(fault) => {
                    tracing::debug!(node = node.node, %fault, "a HID node is not opened");
                    first_fault.get_or_insert(fault);
                }
            }
        }
        if let Some(fault) = first_fault {
            return Err(fault);
        }
        // No node was touched. The bus looks again all the same, since another definition may mean the device.
        drop(self.nodes.first().map(|node| self.visits.begin(&node.node)));
        Err(TransportFault::NoEndpoint(part.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::visits::Visited, *};

    fn listed(node: &str, number: Option<&str>) -> Listed {
        Listed {
            node: node.into(),
            vendor: 0x057e,
            product: 0x2006,
            name: Some("Joy-Con (L)".into()),
            number: number.map(Into::into),
            interface: None,
            usages: Vec::new(),
            unit: node.into(),
        }
    }

    #[test]
    fn a_node_goes_by_its_ids_and_number() {
        let (visits, _visited) = Visits::new();
        let nodes = vec![listed("/dev/hidraw0", Some("98:b6:e9:01:02:03")), listed("/dev/hidraw1", None)];
        let told = plugged(nodes, &visits);
        let addresses: Vec<_> = told.iter().map(|one| one.discovered.address.as_str()).collect();
        assert_eq!(addresses, ["057e:2006:98:b6:e9:01:02:03", "057e:2006"]);
        let ids = Advertisement::Hid { vendor: 0x057e, product: 0x2006, name: Some("Joy-Con (L)".into()) };
        assert!(told.iter().all(|one| one.discovered.advertisement == ids));
    }

    fn interface(node: &str, unit: &str, number: u8, usage: (u16, u16)) -> Listed {
        Listed { interface: Some(number), usages: vec![usage], unit: unit.into(), ..listed(node, None) }
    }

    #[test]
    fn a_device_with_several_interfaces_is_told_once_and_its_lowest_comes_first() {
        let (visits, _visited) = Visits::new();
        let nodes = || {
            vec![
                interface("/dev/hidraw0", "/sys/1-1", 2, (1, 6)),
                interface("/dev/hidraw1", "/sys/1-2", 0, (1, 6)),
                interface("/dev/hidraw2", "/sys/1-1", 0, (0xff00, 1)),
            ]
        };
        let told = plugged(nodes(), &visits);
        let keys: Vec<_> = told.iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["/sys/1-1", "/sys/1-2"]);
        let names: Vec<Vec<String>> =
            units(nodes()).into_iter().map(|unit| unit.into_iter().map(|node| node.node).collect()).collect();
        assert_eq!(names, [vec!["/dev/hidraw2", "/dev/hidraw0"], vec!["/dev/hidraw1"]]);
    }

    #[test]
    fn a_definition_may_name_the_part_that_it_means() {
        let node = interface("/dev/hidraw0", "/sys/1-1", 2, (0xff00, 1));
        let part = |interface, usage_page, usage| HidPart { interface, usage_page, usage };
        assert!(node.fits(HidPart::default()));
        assert!(node.fits(part(Some(2), Some(0xff00), Some(1))));
        assert!(!node.fits(part(Some(0), None, None)));
        assert!(!node.fits(part(None, Some(1), None)));
        assert!(!node.fits(part(None, Some(0xff00), Some(2))));
        assert!(!listed("/dev/hidraw1", None).fits(part(Some(0), None, None)), "it says no interface");
    }

    #[tokio::test]
    async fn a_device_without_the_part_that_is_meant_is_refused_and_none_of_its_nodes_touched() {
        let (visits, mut visited) = Visits::new();
        let opener = |nodes| Box::new(UnitOpener { nodes, visits: visits.clone() });
        let part = HidPart { interface: Some(7), ..HidPart::default() };
        let none = opener(vec![listed("/dev/null", None)]).open(&Access::Hid(part)).await.err();
        assert_eq!(none, Some(TransportFault::NoEndpoint("interface 7".into())));
        assert_eq!(visited.try_recv(), Ok(Visited::Ended("/dev/null".into())), "the bus looks again");
        assert!(visited.try_recv().is_err(), "no node was touched");
    }
}
