//! The trait that an author implements, and the events that it is called with.

use std::borrow::Cow;

use crate::{Endpoint, Info, InputKind, Model, Ops, OutputKind, Timer, Wish};

/// One byte language. The value is the state of one device.
///
/// Every function with a default may be left out: the service then does what its doc line says. Operations queued in a call
/// count only if the call returns `Ok`; log lines always count.
#[expect(
    unused_variables,
    reason = "the defaults use nothing, but the names say what the functions are given"
)]
pub trait Protocol: Send + Sized + 'static {
    /// Makes the state of one device. Only [`Ops::log`] may be used here.
    ///
    /// # Errors
    /// Ends the device, for instance because an endpoint is missing.
    fn create(info: &Info, ops: &mut Ops<'_>) -> Result<Self, Failure>;

    /// Starts to find out which model this is; ends, now or in a later event, with [`Ops::identified`].
    /// Left out: the identifier is the advertised name.
    ///
    /// # Errors
    /// Ends the device.
    fn identify(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Starts to bring the model up; ends, now or in a later event, with [`Ops::ready`]. Left out: ready at once.
    /// Not preceded by [`Protocol::identify`] where another protocol handed over.
    ///
    /// # Errors
    /// Ends the device.
    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Sets outputs, the whole changed set at once.
    ///
    /// # Errors
    /// [`Failure::Unsupported`] fails the command; all others end the device.
    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure>;

    /// Brings outputs to rest. The set has their rest values, and positions too, which are not to move: a timed movement is
    /// given up. Left out: [`Protocol::output`] is called with the same set without the positions.
    ///
    /// # Errors
    /// Ends the device.
    fn stop(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Something happened. Left out: nothing is of interest.
    ///
    /// # Errors
    /// All but [`Failure::Unsupported`] end the device.
    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// Something is wanted of an input; a read ends, now or in a later event, with [`Ops::reading`] or
    /// [`Ops::input_failed`]. Left out: there are no inputs.
    ///
    /// # Errors
    /// [`Failure::Unsupported`] fails the request; all others end the device.
    fn input(&mut self, wanted: Wanted, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }

    /// The device wants a sign of life. Left out: the last packet that set an output is repeated.
    ///
    /// # Errors
    /// All but [`Failure::Unsupported`] end the device.
    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        Err(Failure::Unsupported)
    }
}

/// The value that an output shall have, inside the range of the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Index of the feature.
    pub feature: u32,
    /// Which output of it.
    pub kind: OutputKind,
    /// The value as the device counts it.
    pub value: i32,
    /// Time of the movement; 0 but for [`OutputKind::PositionWithDuration`].
    pub duration_ms: u32,
}

impl Output {
    /// The value as one byte.
    ///
    /// # Errors
    /// [`Failure::Failed`] if it is not one, which means that the definition has a wrong range.
    pub fn byte(&self) -> Result<u8, Failure> {
        u8::try_from(self.value).map_err(|_| {
            Failure::failed(format!(
                "{} {} of feature {} is not a byte",
                self.kind.name(),
                self.value,
                self.feature
            ))
        })
    }
}

/// What is wanted of which input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Index of the feature.
    pub feature: u32,
    /// Which input of it.
    pub kind: InputKind,
    /// What is wanted.
    pub wish: Wish,
}

/// Something that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event<'a> {
    /// The device sent bytes.
    Notified {
        /// Where.
        endpoint: Endpoint,
        /// The bytes; nothing is known of their length.
        data: &'a [u8],
    },
    /// A read gave bytes.
    Read {
        /// Where.
        endpoint: Endpoint,
        /// The bytes; nothing is known of their length.
        data: &'a [u8],
    },
    /// A read failed.
    ReadFailed {
        /// Where.
        endpoint: Endpoint,
    },
    /// A write failed after bring-up. (Before, it ends the device.)
    WriteFailed {
        /// Where.
        endpoint: Endpoint,
    },
    /// A timer is due; it is no longer set.
    Timer(Timer),
}

/// Why a call did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// Not something this protocol does. The device is kept.
    Unsupported,
    /// The device answered what the protocol does not allow; the text is for the log.
    BadReply(Cow<'static, str>),
    /// The plugin cannot go on with this device; the text is for the log.
    Failed(Cow<'static, str>),
}

impl Failure {
    /// A [`Failure::BadReply`].
    pub fn bad_reply(text: impl Into<Cow<'static, str>>) -> Self {
        Self::BadReply(text.into())
    }

    /// A [`Failure::Failed`].
    pub fn failed(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed(text.into())
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unsupported => f.write_str("not supported"),
            Self::BadReply(text) => write!(f, "unexpected answer: {text}"),
            Self::Failed(text) => f.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}
