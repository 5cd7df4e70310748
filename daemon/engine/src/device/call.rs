//! One call of the plugin, or a few packets without it: why it is made, and what has come of it so far.

use std::collections::{BTreeSet, VecDeque};

use super::{
    command::DeviceTicket,
    effect::Packet,
    inputs::Wish,
    outputs::{Level, Place},
    stops::StopRun,
};
use crate::{fault::Fault, protocol::Operation};

/// Why the plugin was called, or packets are sent without it.
#[derive(Debug)]
pub(super) enum Cause {
    Identify,
    Start,
    Output(Vec<Sent>),
    Stop(StopRun),
    Input(Wish),
    KeepAlive,
    /// The last packet again.
    Repeat,
    Event,
    Timer(u32),
    /// The plugin has failed, and is asked for one last stop.
    Rescue,
    /// The packets of that stop, or those of the last one that worked.
    LastRest {
        packets: Vec<Packet>,
        attempt: u32,
    },
}

impl Cause {
    /// Whether its packets say what the device is to do. Others ask it something, or say again what was said.
    pub(super) const fn sets_the_device(&self) -> bool {
        match self {
            Self::Start | Self::Output(_) | Self::Stop(_) | Self::Timer(_) => true,
            Self::Identify
            | Self::Input(_)
            | Self::KeepAlive
            | Self::Repeat
            | Self::Event
            | Self::Rescue
            | Self::LastRest { .. } => false,
        }
    }

    /// Whether packets that are still to be sent are dropped when a stop comes: they could set something going after it.
    pub(super) const fn gives_way(&self) -> bool {
        match self {
            Self::Output(_) | Self::KeepAlive | Self::Repeat | Self::Timer(_) => true,
            Self::Identify
            | Self::Start
            | Self::Stop(_)
            | Self::Input(_)
            | Self::Event
            | Self::Rescue
            | Self::LastRest { .. } => false,
        }
    }
}

/// A level that was handed to the plugin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sent {
    pub(super) place: Place,
    pub(super) level: Level,
    pub(super) ticket: DeviceTicket,
}

/// Where a call is.
#[derive(Debug)]
pub(super) enum Phase {
    /// The plugin has not returned.
    WithPlugin,
    /// These are still to be done.
    Operations(VecDeque<Operation>),
}

/// A call and what comes of it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) cause: Cause,
    pub(super) phase: Phase,
    /// The first failure.
    pub(super) fault: Option<Fault>,
    /// Packets that were accepted.
    pub(super) packets: Vec<Packet>,
    /// Whether packets were dropped because a stop came.
    pub(super) cut: Cut,
    /// Outputs that a stop addressed meanwhile.
    pub(super) cancelled: BTreeSet<Place>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Whole,
    Short,
}

impl Call {
    pub(super) const fn of_plugin(cause: Cause) -> Self {
        Self {
            cause,
            phase: Phase::WithPlugin,
            fault: None,
            packets: Vec::new(),
            cut: Cut::Whole,
            cancelled: BTreeSet::new(),
        }
    }

    pub(super) fn of_packets(cause: Cause, packets: Vec<Packet>) -> Self {
        let write = |packet: Packet| Operation::Write {
            endpoint: packet.endpoint,
            data: packet.data,
            kind: packet.kind,
        };
        let operations = packets.into_iter().map(write).collect();
        Self { phase: Phase::Operations(operations), ..Self::of_plugin(cause) }
    }

    pub(super) const fn is_with_plugin(&self) -> bool {
        matches!(self.phase, Phase::WithPlugin)
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        self.fault.get_or_insert(fault);
    }
}
