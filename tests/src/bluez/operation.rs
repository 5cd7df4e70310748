//! What was asked of a fake device or adapter, in the order in which it was asked, for a test to wait for.

use std::{collections::VecDeque, time::Instant};

use uuid::Uuid;

/// One thing that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// When it arrived.
    pub at: Instant,
    /// What it was.
    pub action: Action,
    /// What came of it.
    pub outcome: Outcome,
}

/// What can be asked of a device or an adapter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Connect to the device.
    Connect,
    /// Disconnect from it.
    Disconnect,
    /// Pair with it.
    Pair,
    /// Read a characteristic.
    Read(Uuid),
    /// Write a characteristic.
    Write(Write),
    /// Have a characteristic notify.
    StartNotify(Uuid),
    /// The opposite.
    StopNotify(Uuid),
    /// Read a descriptor.
    ReadDescriptor(Uuid),
    /// Write a descriptor.
    WriteDescriptor(Uuid, Vec<u8>),
    /// Look for devices. Of the adapter.
    StartDiscovery,
    /// The opposite. Of the adapter.
    StopDiscovery,
    /// Switch the radio on. Of the adapter; asking for what already is counts.
    PowerOn,
    /// Switch the radio off. Of the adapter.
    PowerOff,
}

/// A packet that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// To which characteristic.
    pub characteristic: Uuid,
    /// The packet.
    pub data: Vec<u8>,
    /// Whether the device was to confirm it.
    pub kind: WriteKind,
}

impl Write {
    /// The packet as text, for protocols that are text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }
}

/// Whether a device was to confirm a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// Asked for as `request`.
    WithResponse,
    /// Asked for as `command`.
    WithoutResponse,
    /// The caller left the choice to BlueZ.
    Unstated,
}

/// What came of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was answered with an error. The device did not act on it.
    Refused,
    /// It was not answered, and will not be. The device did not act on it.
    Unanswered,
}

/// What became of a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It went to those who subscribed.
    Sent,
    /// Nobody subscribed, or the device is not connected.
    NotSubscribed,
    /// It was to be lost; see [`FakeDevice::lose_notifications`](super::FakeDevice::lose_notifications).
    Lost,
}

/// Operations in order: those not yet taken by the test, and all that ever were.
#[derive(Debug, Default)]
pub(super) struct Record {
    pub(super) waiting: VecDeque<Operation>,
    pub(super) all: Vec<Operation>,
}

impl Record {
    pub(super) fn push(&mut self, action: Action, outcome: Outcome) {
        let operation = Operation { at: Instant::now(), action, outcome };
        self.waiting.push_back(operation.clone());
        self.all.push(operation);
    }
}
