//! What passes between a device's state and the plugin that knows its byte language: events in, operations out.
//!
//! This is the engine's own vocabulary. How it crosses the C ABI is the business of the service's plugin host.

use std::sync::Arc;

use crate::vocabulary::{FeatureIndex, InputKind, OutputKind};

/// The name of a place in a transport that takes or gives bytes (`tx`, `rx`, `rxblebattery`).
pub type Endpoint = Arc<str>;

/// One output and the value it shall have, in the device's own range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputValue {
    /// Which feature.
    pub feature: FeatureIndex,
    /// Which output of it.
    pub kind: OutputKind,
    /// The value as the device counts it, after the user's limits.
    pub value: i32,
    /// Time the movement shall take; 0 for every kind but position-with-duration.
    pub duration_ms: u32,
}

/// What is wanted of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputWish {
    /// One reading now.
    Read,
    /// Readings whenever there is something new.
    Subscribe,
    /// No more readings.
    Unsubscribe,
}

/// What a plugin is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProtocolEvent {
    /// The transport is open: find out which model this is.
    Identify,
    /// The model is known (the instance was created or told with it): bring the device up.
    Start,
    /// Set these outputs, all at once.
    Output(Vec<OutputValue>),
    /// Bring these outputs to rest. Positions in the set are not to move: a timed movement is cancelled.
    Stop(Vec<OutputValue>),
    /// Something is wanted of an input.
    Input {
        /// Which feature.
        feature: FeatureIndex,
        /// Which input of it.
        kind: InputKind,
        /// What is wanted.
        wish: InputWish,
    },
    /// It is time to repeat.
    KeepAlive,
    /// The device sent bytes.
    Notified {
        /// Where they came from.
        endpoint: Endpoint,
        /// The bytes.
        data: Vec<u8>,
    },
    /// A read that the plugin asked for gave bytes.
    ReadDone {
        /// Where they came from.
        endpoint: Endpoint,
        /// The bytes.
        data: Vec<u8>,
    },
    /// A read that the plugin asked for failed.
    ReadFailed {
        /// Where it was tried.
        endpoint: Endpoint,
    },
    /// A write that the plugin asked for failed.
    WriteFailed {
        /// Where it was tried.
        endpoint: Endpoint,
    },
    /// A timer that the plugin set is due.
    Timer {
        /// Its number.
        timer: u32,
    },
}

/// Whether the device shall confirm a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// The device confirms the packet.
    WithResponse,
    /// Sent and forgotten by the radio.
    WithoutResponse,
}

/// How grave a line that a plugin wants logged is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something is odd.
    Warn,
    /// A decision worth knowing when looking for a fault.
    Debug,
}

/// What a plugin asks for. Nothing happens during the call; the results come as events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Send a packet.
    Write {
        /// Where to.
        endpoint: Endpoint,
        /// The packet.
        data: Vec<u8>,
        /// Whether the device shall confirm it.
        kind: WriteKind,
    },
    /// Ask for the bytes of an endpoint.
    Read {
        /// Where from.
        endpoint: Endpoint,
        /// At most so many bytes are wanted.
        max_len: u32,
    },
    /// Ask the device to send what is new at an endpoint.
    Subscribe {
        /// Where.
        endpoint: Endpoint,
    },
    /// The opposite.
    Unsubscribe {
        /// Where.
        endpoint: Endpoint,
    },
    /// Have [`ProtocolEvent::Timer`] delivered once; replaces a timer of the same number.
    Timer {
        /// Its number, the plugin's own.
        timer: u32,
        /// Time from now in milliseconds; 0 cancels.
        after_ms: u32,
    },
    /// The model is known.
    Identified {
        /// The protocol that takes over; `None` means this one.
        protocol: Option<String>,
        /// The identifier under which the definition lists the model.
        model: String,
    },
    /// Bring-up is complete.
    Ready,
    /// An input has a value.
    Reading {
        /// Which feature.
        feature: FeatureIndex,
        /// Which input of it.
        kind: InputKind,
        /// The value as the device counts it.
        value: i32,
    },
    /// What was wanted of an input cannot be had.
    InputFailed {
        /// Which feature.
        feature: FeatureIndex,
        /// Which input of it.
        kind: InputKind,
    },
    /// Write a line to the log of the service.
    Log {
        /// How grave it is.
        level: LogLevel,
        /// The line.
        text: String,
    },
}

/// Why a call of a plugin gave no operations.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PluginFault {
    /// The plugin does not do this. The only fault after which it is called again as before: the command fails, the device
    /// stays.
    #[error("the protocol does not support this")]
    Unsupported,
    /// The device answered what its protocol does not allow.
    #[error("the device gave an answer that its protocol does not allow")]
    BadReply,
    /// The plugin cannot go on with this device; it has logged why.
    #[error("the plugin could not go on")]
    Failed,
    /// The plugin panicked.
    #[error("the plugin panicked")]
    Panicked,
    /// The plugin returned a number that is no status.
    #[error("the plugin returned the unknown status {0}")]
    UnknownStatus(i32),
    /// The call took too long, and its thread was written off.
    #[error("the plugin did not return within {limit_ms} ms")]
    TimedOut {
        /// The limit that was passed.
        limit_ms: u64,
    },
    /// The thread of the plugin ended although nobody asked it to.
    #[error("the plugin's thread is gone")]
    ThreadGone,
    /// More was asked for than a plugin may ask for.
    #[error("the plugin went over the limit of {limit} {what}")]
    OverLimit {
        /// What there was too much of.
        what: &'static str,
        /// How much is allowed.
        limit: usize,
    },
    /// An operation that makes no sense: an endpoint that does not exist, a pointer to nothing, text that is not UTF-8.
    #[error("the plugin asked for nonsense: {0}")]
    Nonsense(&'static str),
    /// The call before this one has not returned yet.
    #[error("the plugin is still busy")]
    Busy,
    /// The plugin has failed before; nothing is asked of it any more.
    #[error("the plugin has failed before")]
    WrittenOff,
}

impl PluginFault {
    /// Whether the device has to be given up.
    #[must_use]
    pub const fn ends_the_device(&self) -> bool {
        match self {
            Self::Unsupported | Self::Busy => false,
            Self::BadReply
            | Self::Failed
            | Self::Panicked
            | Self::UnknownStatus(_)
            | Self::TimedOut { .. }
            | Self::ThreadGone
            | Self::OverLimit { .. }
            | Self::Nonsense(_)
            | Self::WrittenOff => true,
        }
    }
}
