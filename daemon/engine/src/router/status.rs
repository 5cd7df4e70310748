//! What the service tells people about itself: who is connected, what they drive, how the buses are doing.
//!
//! A [`Status`] is a snapshot that anyone may keep. Live values of outputs are not in it, since they change with every
//! command; see [`OutputChange`].

use std::sync::Arc;

use super::client::{Introduction, Peer};
use crate::{
    view::DeviceList,
    vocabulary::{DeviceIndex, FeatureIndex, OutputKind, SessionId},
};

/// Everything but the values of outputs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// The connected devices.
    pub devices: DeviceList,
    /// The sessions, in the order in which they came.
    pub clients: Vec<ClientStatus>,
    /// The buses, in the order of their names.
    pub transports: Vec<TransportStatus>,
    /// Whether devices are looked for.
    pub scan: ScanWish,
    /// What is reserved for whom.
    pub reservations: Vec<Reservation>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientStatus {
    /// The session.
    pub session: SessionId,
    /// Where it comes from.
    pub peer: Arc<Peer>,
    /// What it said of itself; absent before its handshake.
    pub introduction: Option<Introduction>,
    /// The outputs that it set last, and that are stopped when it ends.
    pub drives: Vec<OutputId>,
    /// Whether it wants devices to be looked for.
    pub scan: ScanWish,
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

/// An output, and the value that its device has confirmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputChange {
    /// Which output.
    pub output: OutputId,
    /// The value in the range that clients are shown.
    pub value: i32,
    /// Who set it; absent for a stop.
    pub owner: Option<SessionId>,
}

/// A device or feature that one session keeps for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Which device.
    pub device: DeviceIndex,
    /// Which feature of it; all if absent.
    pub feature: Option<FeatureIndex>,
    /// Who holds it.
    pub holder: SessionId,
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
    /// Whether it can be used.
    pub state: TransportState,
    /// Why it is in that state, for people; empty when there is nothing to say.
    pub reason: String,
    /// What would mend it: a command, a rule, a group; empty when nothing needs mending.
    pub hint: String,
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
