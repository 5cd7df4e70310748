//! What the service tells people about itself: extension `monitor` on the wire, properties on D-Bus.
//!
//! A [`Status`] is a snapshot that anyone may keep. Outputs are not in it, neither their values nor who drives them, since both
//! may change with every command; see [`OutputState`].

use std::{sync::Arc, time::Instant};

use crate::{
    client::{Introduction, Peer},
    view::DeviceList,
    vocabulary::{DeviceIndex, FeatureIndex, OutputKind, SessionId},
};

/// Asked of the service by a session with extension `monitor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MonitorRequest {
    /// How are the service, its buses and its devices?
    Status,
    /// Who is connected?
    Clients,
    /// What is the value of every output?
    Outputs,
    /// Tell this session of every change of an output.
    WatchOutputs,
    /// The opposite.
    UnwatchOutputs,
    /// End a session; what it set is stopped.
    Disconnect(SessionId),
    /// Read configuration, definitions and plugin folders again.
    Reload,
    /// Tell this session of every transfer of a device, which one session may have at a time.
    Record(DeviceIndex, Anonymity),
    /// The opposite.
    EndRecording(DeviceIndex),
}

/// What a recording may say of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymity {
    /// Neither the address of the device, also where it is part of a packet, nor the name that the user gave it.
    Kept,
    /// Both: the user asked for it.
    Waived,
}

/// Whether a device's transfers are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// They are.
    On(Anonymity),
    /// They are not.
    Off,
}

/// Lines of a recording, as they stand in its file. The engine hands them on and does not look into them.
pub type RecordedLines = Arc<[String]>;

/// The answer to a [`MonitorRequest`] that asked for something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MonitorAnswer {
    /// How things are.
    Status {
        /// How.
        status: Arc<Status>,
        /// When.
        at: Instant,
    },
    /// Who is connected: the clients of the status.
    Clients {
        /// Who.
        status: Arc<Status>,
        /// Every output, for what each drives.
        outputs: Arc<[OutputState]>,
        /// When.
        at: Instant,
        /// The session that asked.
        asker: SessionId,
    },
    /// Every output of every connected device.
    Outputs(Arc<[OutputState]>),
}

/// Everything but the outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// When the service was ready.
    pub since: Instant,
    /// What the shell says of itself.
    pub facts: Arc<ServiceFacts>,
    /// The connected devices, as clients are shown them.
    pub list: DeviceList,
    /// Every device that the service knows, by index.
    pub devices: Vec<DeviceStatus>,
    /// The sessions, oldest first. Those before their handshake are there too.
    pub clients: Vec<ClientStatus>,
    /// The buses, in the order of their names.
    pub transports: Vec<TransportStatus>,
    /// Whether devices are looked for.
    pub scan: ScanWish,
}

/// What only the shell knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ServiceFacts {
    /// The version of the service.
    pub version: String,
    /// How many device models the loaded definitions describe.
    pub definitions: u32,
    /// What the definition files and plugins have wrong with them, one line each.
    pub warnings: Vec<String>,
}

/// One device that the service knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceStatus {
    /// Its index for life.
    pub index: DeviceIndex,
    /// The name of the model.
    pub name: String,
    /// The name that the user gave it.
    pub display_name: Option<String>,
    /// The bus on which it was seen last; empty if it was not seen since the service started.
    pub transport: Arc<str>,
    /// The protocol that it speaks.
    pub protocol: Arc<str>,
    /// What it is doing.
    pub state: DeviceState,
    /// Why it is not connected although it could be, for people; empty when there is nothing to say.
    pub reason: String,
    /// Charge of its battery in percent, when that was last read.
    pub battery: Option<i32>,
}

/// What a device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It takes commands.
    Connected,
    /// It was found and is being prepared.
    Connecting,
    /// It is out of reach or switched off.
    Absent,
    /// The user does not want it to be used.
    Denied,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStatus {
    /// The session.
    pub session: SessionId,
    /// Where it comes from.
    pub peer: Arc<Peer>,
    /// What it said of itself, and when; absent before its handshake.
    pub introduction: Option<(Introduction, Instant)>,
    /// What it keeps for itself.
    pub reserves: Vec<Reservation>,
    /// Whether it wants devices to be looked for.
    pub scan: ScanWish,
}

/// A device or feature that a session keeps for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reservation {
    /// Which device.
    pub device: DeviceIndex,
    /// Which feature of it; all if absent.
    pub feature: Option<FeatureIndex>,
}

/// One output of one device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutputId {
    /// Which device.
    pub device: DeviceIndex,
    /// Which feature of it.
    pub feature: FeatureIndex,
    /// Which output of that.
    pub kind: OutputKind,
}

/// The live value of one output, in the range that clients are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputState {
    /// Which output.
    pub output: OutputId,
    /// What was asked for last; absent while nobody has.
    pub wanted: Option<i32>,
    /// What the device took last; absent while that is not known.
    pub confirmed: Option<i32>,
    /// The session that set it last; absent when it was stopped or that session ended.
    pub owner: Option<SessionId>,
}

impl OutputState {
    /// Whether this session set it last, and it is not at rest.
    #[must_use]
    pub fn is_driven_by(&self, session: SessionId) -> bool {
        self.owner == Some(session) && self.confirmed != Some(0)
    }
}

/// Whether devices are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScanWish {
    /// At least one session wants it.
    Scan,
    /// None does.
    #[default]
    Rest,
}

/// How a bus is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransportStatus {
    /// The bus: `bluetooth`, `serial`, `hid`, `simulated`, ...
    pub transport: &'static str,
    /// Whether it takes a scan to find its devices.
    pub finds: Finds,
    /// Whether it can be used.
    pub state: TransportState,
    /// Why it is in that state, for people; empty when there is nothing to say.
    pub reason: String,
    /// What would mend it: a command, a rule, a group; empty when nothing needs mending.
    pub hint: String,
}

/// When a bus finds its devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finds {
    /// While a scan runs.
    WhenAsked,
    /// As they are plugged in or dial in. A scan finds nothing more on it.
    Unasked,
}

/// Whether a bus can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransportState {
    /// It can.
    Ready,
    /// Switched off, by the configuration or by the user (an adapter that is powered off).
    Off,
    /// It cannot be used: no adapter, no service, no permission.
    Unavailable,
}
