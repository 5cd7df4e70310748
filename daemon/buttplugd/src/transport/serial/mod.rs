//! Serial ports: those of USB adapters and of the machine, and those that a definition names by path.
//!
//! Ports are told of as they come and go. None is opened here for looking: only when a definition names it, by its path or by
//! the USB ids of its adapter, and then by the device's task. `port` is an open one.

pub(super) mod port;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use engine::{advertisement::Advertisement, definition::catalogue::Catalogue};
use serialport::SerialPortType;
use tokio::sync::watch;

use super::{
    Access, Discovered, Discovery, Opened, Opener, TransportFault,
    nodes::{self, Nodes, Plugged, group_of},
    visits::Visits,
};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "serial";

/// Where the kernel lists terminals. Asked first, since the listing itself ends the program where there is none.
const TERMINALS: &str = "/sys/class/tty";
/// The group of serial ports where the port itself does not tell.
const GROUP: &str = "dialout";

/// Runs the bus until nobody listens any more.
pub async fn run(discovery: Discovery, catalogue: watch::Receiver<Arc<Catalogue>>) {
    nodes::run(Ports, discovery, catalogue).await;
}

/// A port as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed {
    node: String,
    usb: Option<(u16, u16)>,
    /// The serial number of the adapter.
    number: Option<String>,
}

struct Ports;

impl Nodes for Ports {
    fn bus(&self) -> &'static str {
        NAME
    }

    fn subsystem(&self) -> &'static str {
        "tty"
    }

    fn look(&mut self, catalogue: &Catalogue, visits: &Visits) -> io::Result<Vec<Plugged>> {
        let named: BTreeSet<&str> = catalogue.serial_ports().collect();
        let mut named_nodes = BTreeMap::new();
        for name in named {
            // What a name leads to is one port, however many names it has.
            if let Ok(node) = fs::canonicalize(name) {
                named_nodes.entry(node).or_insert(name);
            }
        }
        let sights = sights(listed()?, &named_nodes);
        Ok(sights
            .into_iter()
            .map(|sight| Plugged {
                key: sight.port.clone(),
                discovered: Discovered {
                    transport: NAME,
                    opener: Box::new(PortOpener { node: sight.port.clone(), visits: visits.clone() }),
                    advertisement: Advertisement::Serial { port: sight.port, usb: sight.usb },
                    address: sight.address,
                },
            })
            .collect())
    }

    fn places(&self, catalogue: &Catalogue) -> Vec<PathBuf> {
        catalogue.serial_ports().map(PathBuf::from).collect()
    }

    fn mend(&self, node: &str) -> String {
        mend(node)
    }
}

/// What gives the user access to a port.
pub(super) fn mend(node: &str) -> String {
    let group = group_of(node).unwrap_or_else(|| GROUP.to_owned());
    format!("put yourself into the group `{group}` and log in again: `sudo usermod -aG {group} $USER`")
}

fn listed() -> io::Result<Vec<Listed>> {
    fs::metadata(TERMINALS)?;
    let ports = serialport::available_ports().map_err(io::Error::from)?;
    let listed = ports.into_iter().map(|port| match port.port_type {
        SerialPortType::UsbPort(usb) => Listed {
            node: port.port_name,
            usb: Some((usb.vid, usb.pid)),
            number: usb.serial_number.filter(|number| !number.is_empty()),
        },
        SerialPortType::PciPort | SerialPortType::BluetoothPort | SerialPortType::Unknown => {
            Listed { node: port.port_name, usb: None, number: None }
        }
    });
    let mut listed: Vec<Listed> = listed.collect();
    // Of two that look alike, the one that is named first is the first one at every start.
    listed.sort_by(|a, b| (a.node.len(), &a.node).cmp(&(b.node.len(), &b.node)));
    Ok(listed)
}

/// What is told of a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sight {
    port: String,
    usb: Option<(u16, u16)>,
    address: String,
}

/// Joins what the kernel lists and what definitions name. A named port goes by that name, for good; another by the serial number
/// of its adapter, since its own name changes with the socket that it is plugged into.
fn sights(listed: Vec<Listed>, named: &BTreeMap<PathBuf, &str>) -> Vec<Sight> {
    let mut sights = Vec::new();
    let mut usb_of: BTreeMap<PathBuf, (u16, u16)> = BTreeMap::new();
    for port in listed {
        if named.contains_key(Path::new(&port.node)) {
            if let Some(usb) = port.usb {
                usb_of.insert(PathBuf::from(port.node), usb);
            }
            continue;
        }
        let address = match (port.usb, port.number) {
            (Some((vendor, product)), Some(number)) => format!("{vendor:04x}:{product:04x}:{number}"),
            (Some(_), None) | (None, _) => port.node.clone(),
        };
        sights.push(Sight { address, port: port.node, usb: port.usb });
    }
    for (node, name) in named {
        let (port, address) = ((*name).to_owned(), (*name).to_owned());
        sights.push(Sight { port, usb: usb_of.get(node).copied(), address });
    }
    sights
}

/// The way to a port.
struct PortOpener {
    node: String,
    visits: Visits,
}

#[async_trait]
impl Opener for PortOpener {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        let settings = match access {
            Access::Serial(settings) => *settings,
            Access::Bluetooth { .. }
            | Access::Hid(_)
            | Access::WebSocket
            | Access::Gamepad
            | Access::Simulated => {
                return Err(TransportFault::Refused("a serial port is opened as nothing else".to_owned()));
            }
        };
        let visit = self.visits.begin(&self.node);
        port::open(&self.node, settings, visit).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usb(node: &str, number: &str) -> Listed {
        Listed { node: node.into(), usb: Some((0x1a86, 0x7523)), number: Some(number.into()) }
    }

    fn sight(port: &str, usb: Option<(u16, u16)>, address: &str) -> Sight {
        Sight { port: port.into(), usb, address: address.into() }
    }

    #[test]
    fn a_port_goes_by_what_stays_the_same() {
        let ids = Some((0x1a86, 0x7523));
        let listed = vec![
            usb("/dev/ttyUSB0", "77"),
            usb("/dev/ttyUSB1", "77"),
            Listed { node: "/dev/ttyS0".into(), usb: None, number: None },
            Listed { node: "/dev/ttyUSB2".into(), usb: ids, number: None },
            usb("/dev/ttyUSB3", "5"),
        ];
        let named = BTreeMap::from([
            (PathBuf::from("/dev/ttyUSB3"), "/dev/serial/by-id/osr2"),
            (PathBuf::from("/dev/pts/4"), "/run/tcode"),
        ]);
        assert_eq!(
            sights(listed, &named),
            [
                sight("/dev/ttyUSB0", ids, "1a86:7523:77"),
                sight("/dev/ttyUSB1", ids, "1a86:7523:77"),
                sight("/dev/ttyS0", None, "/dev/ttyS0"),
                sight("/dev/ttyUSB2", ids, "/dev/ttyUSB2"),
                sight("/run/tcode", None, "/run/tcode"),
                sight("/dev/serial/by-id/osr2", ids, "/dev/serial/by-id/osr2"),
            ]
        );
    }
}
