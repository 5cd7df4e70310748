//! HID devices, over USB and Bluetooth, through the hidraw nodes of the kernel.
//!
//! Nodes are told of as they come and go, with their ids; one is opened only when a definition names the ids. What its reports
//! mean is the protocol's business. `node` is an open one.

pub(super) mod node;

use std::{collections::BTreeSet, io, sync::Arc};

use async_trait::async_trait;
use engine::{advertisement::Advertisement, definition::catalogue::Catalogue};
use hidapi::{DeviceInfo, HidApi};
use tokio::sync::watch;

use super::{
    Access, Discovered, Discovery, Opened, Opener, TransportFault,
    nodes::{self, Nodes, distinct},
    visits::Visits,
};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "hid";

/// Runs the bus until nobody listens any more.
pub async fn run(discovery: Discovery, catalogue: watch::Receiver<Arc<Catalogue>>) {
    nodes::run(HidNodes { api: None }, discovery, catalogue).await;
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
}

impl Listed {
    fn of(info: &DeviceInfo) -> Self {
        let text = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Self {
            node: info.path().to_string_lossy().into_owned(),
            vendor: info.vendor_id(),
            product: info.product_id(),
            name: text(info.product_string()),
            number: text(info.serial_number()),
        }
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
    nodes.dedup_by(|a, b| a.node == b.node);
    Ok(nodes)
}

struct HidNodes {
    api: Option<HidApi>,
}

impl Nodes for HidNodes {
    fn bus(&self) -> &'static str {
        NAME
    }

    fn subsystem(&self) -> &'static str {
        "hidraw"
    }

    fn look(&mut self, _: &Catalogue, visits: &Visits) -> io::Result<Vec<Discovered>> {
        let nodes = list(&mut self.api)?;
        Ok(discovered(nodes, visits))
    }

    fn mend(&self, _: &str) -> String {
        node::mend()
    }
}

fn discovered(nodes: Vec<Listed>, visits: &Visits) -> Vec<Discovered> {
    let mut taken = BTreeSet::new();
    let tell = |listed: Listed| Discovered {
        transport: NAME,
        address: distinct(listed.address(), &mut taken),
        advertisement: Advertisement::Hid {
            vendor: listed.vendor,
            product: listed.product,
            name: listed.name,
        },
        opener: Box::new(NodeOpener { node: listed.node, visits: visits.clone() }),
    };
    nodes.into_iter().map(tell).collect()
}

/// The way to a node.
struct NodeOpener {
    node: String,
    visits: Visits,
}

#[async_trait]
impl Opener for NodeOpener {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        match access {
            Access::Hid => {}
            Access::Bluetooth { .. }
            | Access::Serial(_)
            | Access::WebSocket
            | Access::Gamepad
            | Access::Simulated => {
                return Err(TransportFault::Refused("a HID device is opened as nothing else".to_owned()));
            }
        }
        let visit = self.visits.begin(&self.node);
        node::open(&self.node, visit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(node: &str, number: Option<&str>) -> Listed {
        Listed {
            node: node.into(),
            vendor: 0x057e,
            product: 0x2006,
            name: Some("Joy-Con (L)".into()),
            number: number.map(Into::into),
        }
    }

    #[test]
    fn a_node_goes_by_its_ids_and_number_and_two_that_look_alike_are_two() {
        let (visits, _visited) = Visits::new();
        let nodes = vec![
            listed("/dev/hidraw0", Some("98:b6:e9:01:02:03")),
            listed("/dev/hidraw1", None),
            listed("/dev/hidraw2", None),
        ];
        let told = discovered(nodes, &visits);
        let addresses: Vec<_> = told.iter().map(|one| one.address.as_str()).collect();
        assert_eq!(addresses, ["057e:2006:98:b6:e9:01:02:03", "057e:2006", "057e:2006#2"]);
        let ids = Advertisement::Hid { vendor: 0x057e, product: 0x2006, name: Some("Joy-Con (L)".into()) };
        assert!(told.iter().all(|one| one.advertisement == ids));
    }
}
