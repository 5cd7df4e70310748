//! Byte paths to devices, and the looking for devices, one module a bus.
//!
//! A transport knows nothing of protocols, sessions or clients. The definition that matched an advertisement says how the
//! device is to be opened ([`Access`]); the device's own task is the only one that uses the open [`Transport`].

pub mod ble;
pub mod dongle;
pub mod gamepad;
pub mod hid;
pub mod record;
pub mod recording;
pub mod replay;
pub mod serial;
pub mod simulated;
pub mod websocket;

mod nodes;
mod places;
mod ready;
mod thread;
mod uevent;
mod visits;

use std::{collections::BTreeSet, fmt};

use async_trait::async_trait;
pub use engine::monitor::{Finds, ScanWish, TransportState, TransportStatus};
use engine::{
    advertisement::Advertisement,
    protocol::{Endpoint, WriteKind},
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

/// An open byte path to one device.
///
/// Calls never overlap. Every call has a time limit of its own; one that passes is [`TransportFault::TimedOut`].
#[async_trait]
pub trait Transport: Send {
    /// The endpoints that the device has, of those that [`Access`] names.
    fn endpoints(&self) -> Vec<Endpoint>;

    /// Which of the candidates of [`Access::Bluetooth`] it was opened as, counted from 0. A transport around another asks that one.
    fn candidate(&self) -> usize {
        0
    }

    /// The address on the air of a device that its bus calls something else. It may be in packets, so that recordings hide it.
    fn radio_address(&self) -> Option<String> {
        None
    }

    /// Sends a packet. `Ok` means that the bus accepted it.
    async fn write(&mut self, endpoint: &str, data: &[u8], kind: WriteKind) -> Result<(), TransportFault>;

    /// Asks for the bytes of an endpoint, at most `max_len` of them.
    async fn read(&mut self, endpoint: &str, max_len: u32) -> Result<Vec<u8>, TransportFault>;

    /// Has what is new at an endpoint delivered as [`TransportEvent::Notified`].
    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault>;

    /// The opposite.
    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault>;

    /// Closes the path. Failing to is logged by the transport and not the caller's concern.
    async fn close(self: Box<Self>);
}

/// What a device sends unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransportEvent {
    /// Bytes at a subscribed endpoint.
    Notified {
        /// Where.
        endpoint: Endpoint,
        /// The bytes.
        data: Vec<u8>,
    },
    /// The radio heard the device with this strength, in dBm; of a device that was seen before it was opened, that comes first.
    Rssi(i16),
    /// The path is gone; nothing follows.
    Lost(TransportFault),
}

/// Why a transport could not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportFault {
    /// The device is no longer there.
    #[error("the device is no longer connected: {0}")]
    Disconnected(String),
    /// The bus did not answer in time.
    #[error("no answer within {0} ms")]
    TimedOut(u64),
    /// The device has no such endpoint. When a path is opened: it is not such as the protocol needs.
    #[error("the device has no endpoint `{0}`")]
    NoEndpoint(String),
    /// The user may not open it; the text names the rule, group or service that would mend it.
    #[error("not allowed: {0}")]
    NotAllowed(String),
    /// The device wants to be paired first, and the service could not; the text says what the user can do.
    #[error("{0}")]
    NotPaired(String),
    /// The bus refused, in its own words.
    #[error("{0}")]
    Refused(String),
}

/// Characteristics by endpoint name, for each service that a model of a protocol may have.
pub type NamedServices = Vec<(Uuid, Vec<(Endpoint, Uuid)>)>;

/// How a device is to be opened, from the definition that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    /// Bluetooth LE. A name may be claimed by several protocols; the device tells by its services which of them it speaks, on the
    /// one connection, and [`Transport::candidate`] says it.
    Bluetooth {
        /// What each of the protocols names, best first.
        candidates: Vec<NamedServices>,
    },
    /// A serial port.
    Serial(SerialSettings),
    /// A HID device, or the part of it that is named: one endpoint `tx` for output reports, one `rx` for input reports.
    Hid(HidPart),
    /// A device that dialled in over WebSocket: endpoints `tx` and `rx`.
    WebSocket,
    /// A game controller: `tx` for the strength of its motors, `rx` for its battery if it has one.
    Gamepad,
    /// A simulated device: the endpoints named.
    Simulated,
}

/// Which part of a HID device is meant; what is not named is any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HidPart {
    /// The number of the USB interface.
    pub interface: Option<u8>,
    /// The usage page of its reports.
    pub usage_page: Option<u16>,
    /// The usage on that page.
    pub usage: Option<u16>,
}

impl fmt::Display for HidPart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interface = self.interface.map(|number| format!("interface {number}"));
        let page = self.usage_page.map(|page| format!("usage page {page:04x}"));
        let usage = self.usage.map(|usage| format!("usage {usage:04x}"));
        f.write_str(&[interface, page, usage].into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

/// How a serial port is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SerialSettings {
    /// Bits a second.
    pub baud_rate: u32,
    /// 5 to 8.
    pub data_bits: u8,
    /// `N`, `E` or `O`.
    pub parity: char,
    /// 1 or 2.
    pub stop_bits: u8,
}

/// An open path and what it sends unasked.
pub struct Opened {
    /// The path.
    pub transport: Box<dyn Transport>,
    /// What the device sends. Ends with [`TransportEvent::Lost`], or by being closed, which means the same.
    pub events: mpsc::Receiver<TransportEvent>,
}

/// Something that can be opened, once.
#[async_trait]
pub trait Opener: Send + Sync {
    /// The protocol that the device is known to speak, where that is known before it is opened.
    fn protocol(&self) -> Option<&str> {
        None
    }

    /// Whether the bus tells of the device only when that shows itself. Others tell of all that is plugged in whenever they look, open or
    /// not, and look again when a path has ended.
    fn shows_itself(&self) -> bool {
        false
    }

    /// Opens the path. Has a time limit of its own.
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault>;
}

/// A device that a bus has seen.
pub struct Discovered {
    /// The bus: `bluetooth`, `serial`, `hid`, `simulated`, ...
    pub transport: &'static str,
    /// What it shows of itself.
    pub advertisement: Advertisement,
    /// What tells it apart on its bus for life: a Bluetooth address, a serial number, a port name.
    pub address: String,
    /// The way to open it.
    pub opener: Box<dyn Opener>,
}

/// What a bus tells.
pub enum FromTransport {
    /// How it is doing; sent at the start and at every change.
    Status(TransportStatus),
    /// A device is there. May be said again while it is: a device that is already open is not opened again.
    Discovered(Discovered),
    /// A device is not there any more. Only buses say it whose devices are opened by a name that another may have next.
    Gone {
        /// The bus.
        transport: &'static str,
        /// The address of the device.
        address: String,
    },
    /// A scan ended by itself; the bus has nothing more to find.
    ScanEnded(&'static str),
}

/// What Bluetooth is to look for, which can tell devices apart by their addresses before it opens them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Search {
    /// Whether there is to be a scan.
    pub scan: ScanWish,
    /// Of which devices it is to tell, scan or not.
    pub whom: Whom,
}

impl Search {
    /// Nobody looks for anything.
    #[must_use]
    pub const fn rest() -> Self {
        Self { scan: ScanWish::Rest, whom: Whom::These(BTreeSet::new()) }
    }
}

/// Of which devices Bluetooth is to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// Of all.
    Anyone,
    /// Of those with these addresses: they are looked for, and no client scans.
    These(BTreeSet<String>),
}

/// What every bus runs on: the wish to scan, and where to tell.
///
/// Each bus is one task, `run(self, settings...)`, that ends when `tell` is closed.
#[derive(Clone)]
pub struct Discovery {
    /// The wish; watched.
    pub wish: watch::Receiver<ScanWish>,
    /// Where to tell. Bounded: a bus waits rather than floods.
    pub tell: mpsc::Sender<FromTransport>,
}

/// Says once that the user has switched a bus off, so that nobody wonders why it finds nothing. `key` is the setting.
pub async fn off(discovery: Discovery, transport: &'static str, key: &'static str) {
    let status = TransportStatus {
        transport,
        // Where it is off, it does not count, however it would find.
        finds: Finds::Unasked,
        state: TransportState::Off,
        reason: "it is switched off in the configuration".to_owned(),
        hint: format!("set `{key}` in buttplugd.toml, then `systemctl --user restart buttplugd`"),
    };
    if discovery.tell.send(FromTransport::Status(status)).await.is_err() {
        tracing::debug!(transport, "nobody hears that a bus is off");
    }
}
