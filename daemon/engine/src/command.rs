//! What can be asked of the service, what it answers, and what it tells unasked: the one vocabulary that every spec version
//! and every front is translated to and from.

use std::sync::Arc;

use crate::{
    fault::Fault,
    monitor::{MonitorAnswer, MonitorRequest, OutputState, RecordedLines},
    protocol::InputWish,
    view::{DeviceList, DeviceView},
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Ticket},
};

/// Asked of the service by a session whose handshake is done.
///
/// What concerns the session alone (handshake, ping, disconnect) never leaves it and is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Look for devices, until this session no longer wants it.
    StartScanning,
    /// This session no longer wants to look for devices.
    StopScanning,
    /// Which devices are there?
    ListDevices,
    /// Set outputs of one device, all at once.
    SetOutputs {
        /// Which device.
        device: DeviceIndex,
        /// Which outputs, and to what; at least one, unless an old version sent an empty list.
        settings: Vec<Setting>,
    },
    /// Something of a device that the session's list does not have, said in the words of a version whose indexes mean nothing
    /// without that list. It cannot be done; the router knows best why the device is not there.
    Unlisted {
        /// Which device.
        device: DeviceIndex,
    },
    /// Bring outputs to rest, end subscriptions.
    Stop {
        /// Whose.
        target: StopTarget,
        /// Which of the two.
        what: StopWhat,
    },
    /// Read an input once, or begin or end a subscription to it.
    Input {
        /// Which device.
        device: DeviceIndex,
        /// Which feature of it.
        feature: FeatureIndex,
        /// Which input of that.
        kind: InputKind,
        /// What is wanted.
        wish: InputWish,
    },
    /// Keep other sessions from driving a device or one feature of it (extension `reserve`).
    Reserve {
        /// Which device.
        device: DeviceIndex,
        /// Which feature; all if absent.
        feature: Option<FeatureIndex>,
    },
    /// End a reservation of this session.
    Release {
        /// Which device.
        device: DeviceIndex,
        /// Which feature; all if absent.
        feature: Option<FeatureIndex>,
    },
    /// Something about the service itself (extension `monitor`).
    Monitor(MonitorRequest),
}

/// A command on its way to the router.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dispatch {
    /// The number by which the session will know the answer.
    pub ticket: Ticket,
    /// The command.
    pub command: Command,
}

/// One output and the value that a client wants it to have, in the range that the client was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Which feature.
    pub feature: FeatureIndex,
    /// Which output of it.
    pub kind: OutputKind,
    /// The value, not yet checked against the range.
    pub value: i32,
    /// Time for the movement in milliseconds; for position-with-duration only.
    pub duration_ms: Option<u32>,
}

/// What a stop addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopTarget {
    /// Every device. Leaves out nothing, not even what is known to be at rest.
    Everything,
    /// One device.
    Device(DeviceIndex),
    /// One feature of a device.
    Feature(DeviceIndex, FeatureIndex),
}

/// What a stop ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopWhat {
    /// Outputs go to rest.
    Outputs,
    /// Subscriptions of the asking session end.
    Inputs,
    /// Outputs first, then inputs.
    Both,
    /// Nothing; a client may say so, and gets its Ok.
    Nothing,
}

/// The result of a [`Command`]. A failed command is a [`Fault`] beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It has happened.
    Done,
    /// The devices.
    Devices(DeviceList),
    /// The value of an input.
    Reading(Reading),
    /// Something about the service itself.
    Monitor(MonitorAnswer),
}

/// What a command comes to.
pub type Outcome = Result<Answer, Fault>;

/// The value of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Which device.
    pub device: DeviceIndex,
    /// Which feature of it.
    pub feature: FeatureIndex,
    /// Which input of that.
    pub kind: InputKind,
    /// The value as the device counts it.
    pub value: i32,
}

/// Told unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A device came.
    DeviceAdded {
        /// The new one.
        device: Arc<DeviceView>,
        /// All that are there now, the new one among them.
        devices: DeviceList,
    },
    /// A device went.
    DeviceRemoved {
        /// The one that went.
        device: DeviceIndex,
        /// All that are still there.
        devices: DeviceList,
    },
    /// A subscribed input has a new value. Goes to the sessions that subscribed to it.
    Reading(Reading),
    /// This session's wish to scan ended, or the scan did.
    ScanningFinished,
    /// Outputs have changed; quick changes are put together. Goes to the sessions that asked for it.
    OutputsChanged(Arc<[OutputState]>),
    /// Transfers of a device. Goes to the session that records it.
    Recorded {
        /// Which device.
        device: DeviceIndex,
        /// What it and the service said.
        lines: RecordedLines,
    },
}
