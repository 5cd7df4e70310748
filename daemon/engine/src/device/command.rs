//! What passes between the router and one device: commands in, reports out. Values are in the device's own range.

use ipc_schema::error::Reason;

use crate::{
    fault::Fault,
    monitor::RecordedLines,
    protocol::{InputWish, OutputValue},
    vocabulary::{FeatureIndex, InputKind, OutputKind},
};

/// One command on its way to a device; unique for the life of the service, and greater than all before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceTicket(pub u64);

/// Asked of a device. Everything with a ticket is answered by exactly one [`DeviceReport::Answered`], also when the device
/// is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceCommand {
    /// Set outputs, all at once. The values are valid.
    Set {
        /// Whose answer it is.
        ticket: DeviceTicket,
        /// The outputs, each at most once, ascending by feature.
        values: Vec<OutputValue>,
    },
    /// Bring outputs to rest. Goes before everything that waits, and ends it for the outputs that it addresses.
    Stop {
        /// Whose answer it is; absent when nobody waits for it.
        ticket: Option<DeviceTicket>,
        /// Which outputs.
        scope: StopScope,
        /// Why.
        cause: StopCause,
    },
    /// Something is wanted of an input.
    Input {
        /// Whose answer it is; absent when nobody waits for it.
        ticket: Option<DeviceTicket>,
        /// Which feature.
        feature: FeatureIndex,
        /// Which input of it.
        kind: InputKind,
        /// What is wanted.
        wish: InputWish,
    },
    /// Stop all outputs, then let the device go.
    Close {
        /// Why, for people.
        reason: Reason,
    },
}

/// Which outputs of a device a stop addresses. Positions are among them: a timed movement ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopScope {
    /// All.
    All,
    /// Those of one feature.
    Feature(FeatureIndex),
    /// These.
    Outputs(Vec<(FeatureIndex, OutputKind)>),
}

/// Why outputs are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    /// A client addressed them. An output may be left out whose rest is confirmed as the last thing written.
    Addressed,
    /// Everything is to stop. Nothing is left out.
    Global,
    /// The session that set them has ended. An output may be left out whose rest is confirmed as the last thing written.
    OwnerGone,
}

/// Told by a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceReport {
    /// What a command came to: the value for a read, else nothing.
    Answered {
        /// Which command.
        ticket: DeviceTicket,
        /// What it came to.
        result: Result<Option<i32>, Fault>,
    },
    /// A subscribed input has a new value.
    Reading {
        /// Which feature.
        feature: FeatureIndex,
        /// Which input of it.
        kind: InputKind,
        /// The value as the device counts it.
        value: i32,
    },
    /// An output has a new confirmed value. Told before the command that set it is answered.
    Output {
        /// Which feature.
        feature: FeatureIndex,
        /// Which output of it.
        kind: OutputKind,
        /// The value as the device counts it.
        value: i32,
    },
    /// What passed between the device and the service, for the session that records it.
    Recorded(RecordedLines),
}
