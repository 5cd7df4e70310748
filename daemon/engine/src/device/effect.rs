//! What can happen to a device, and what it wants done.

use crate::{
    fault::{Fault, Reason},
    protocol::{Endpoint, LogLevel, Operation, PluginFault, ProtocolEvent, WriteKind},
};

use super::{
    command::{DeviceCommand, DeviceReport},
    motion::Motion,
    setup::ModelSetup,
};

/// What can happen to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The answer to [`Effect::Identified`]: the plugin instance of the protocol that takes over is there.
    Model(ModelSetup),
    /// The model was not found, or its plugin could not be loaded.
    NoModel(Fault),
    /// Something is asked of the device.
    Command(DeviceCommand),
    /// The plugin call under way has returned.
    Called(Result<Vec<Operation>, PluginFault>),
    /// The transfer under way has ended.
    Transferred(Result<Transferred, TransferFault>),
    /// The device sent bytes at an endpoint.
    Notified {
        /// Where.
        endpoint: Endpoint,
        /// The bytes.
        data: Vec<u8>,
    },
    /// The radio heard the device with this strength, in dBm.
    Signal(i32),
    /// The path is gone, for the reason in the text.
    Lost(String),
    /// The deadline that the device named has passed.
    Deadline,
}

/// What has to be done, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Call the plugin; the result comes back as [`Input::Called`]. None is under way.
    Call(ProtocolEvent),
    /// Use the path; the result comes back as [`Input::Transferred`]. None is under way.
    Transfer(Transfer),
    /// Write down, before the next effect, whether the device may be running: that outlives a crash of the service.
    Journal(Motion),
    /// The model is known. The shell looks it up and answers with [`Input::Model`] or [`Input::NoModel`].
    Identified {
        /// The protocol that takes over; `None` means the one that identified.
        protocol: Option<String>,
        /// The identifier under which the definition lists the model.
        model: String,
    },
    /// Bring-up is done; commands that came before are carried out now, stops first.
    Ready,
    /// Tell the router.
    Report(DeviceReport),
    /// The device has come to its end. Everything is answered, nothing follows; the shell closes the path.
    Gone(Fault),
    /// Write a line of the plugin to the log.
    Log {
        /// How grave it is.
        level: LogLevel,
        /// The line.
        text: String,
    },
}

/// One use of the path to a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transfer {
    /// Send a packet.
    Write(Packet),
    /// Ask for the bytes of an endpoint.
    Read {
        /// Where from.
        endpoint: Endpoint,
        /// At most so many bytes.
        max_len: u32,
    },
    /// Have the device send what is new at an endpoint.
    Subscribe(Endpoint),
    /// The opposite.
    Unsubscribe(Endpoint),
}

/// Bytes for one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// Where to.
    pub endpoint: Endpoint,
    /// The bytes.
    pub data: Vec<u8>,
    /// Whether the device shall confirm it.
    pub kind: WriteKind,
}

/// What a transfer that succeeded gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transferred {
    /// The path accepted it.
    Done,
    /// The bytes that were read.
    Data(Vec<u8>),
}

/// Why a transfer failed, with a text for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferFault {
    /// The device or its bus refused it.
    #[error("{0}")]
    Refused(String),
    /// The device wants to be paired first.
    #[error("{0}")]
    NotPaired(String),
    /// It took too long.
    #[error("{0}")]
    TimedOut(String),
    /// The path is gone. The device is, too.
    #[error("{0}")]
    Lost(String),
}

impl TransferFault {
    /// The fault that a client is told, where the transfer was a write.
    pub(super) fn of_write(&self) -> Fault {
        let reason = match self {
            Self::Refused(_) => Reason::WriteFailed,
            Self::NotPaired(_) => Reason::PairingRequired,
            Self::TimedOut(_) => Reason::WriteTimedOut,
            Self::Lost(_) => Reason::DeviceLost,
        };
        Fault::new(reason, format!("the device did not take a packet: {self}"))
    }

    /// The reason that is told, where another than this would have to be told for all faults alike.
    pub(super) fn reason_or(&self, usual: Reason) -> Reason {
        match self {
            Self::NotPaired(_) => Reason::PairingRequired,
            Self::Refused(_) | Self::TimedOut(_) | Self::Lost(_) => usual,
        }
    }
}
