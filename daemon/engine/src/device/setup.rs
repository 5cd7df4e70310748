//! What the state of a device has to be told before it can work: limits at once, the model as soon as it is known.
//!
//! Plain data, made by the shell from the definitions and the configuration. Nothing here is decided.

use std::time::Duration;

use super::motion::Motion;
use crate::vocabulary::{FeatureIndex, InputKind, OutputKind};

/// What is known when the path to a device has just been opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceSetup {
    /// How long things may take.
    pub limits: Limits,
}

/// How long things may take. The transfer and the call of a plugin have limits of their own, kept by the shell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// From the opened path to [`Effect::Ready`](super::Effect::Ready).
    pub bring_up: Duration,
    /// From the wish to read an input to its value.
    pub read: Duration,
    /// From [`DeviceCommand::Close`](super::DeviceCommand::Close) to the end, outputs at rest or not.
    pub close: Duration,
    /// Before the first repetition of a stop that failed. Doubles with each, up to [`Limits::stop_retry_most`].
    pub stop_retry: Duration,
    /// The longest time between two repetitions of a stop.
    pub stop_retry_most: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bring_up: Duration::from_secs(30),
            read: Duration::from_secs(2),
            close: Duration::from_secs(2),
            stop_retry: Duration::from_millis(50),
            stop_retry_most: Duration::from_secs(2),
        }
    }
}

/// What becomes of the packets of a set, or of a timer of the plugin, that are still to be sent when a stop comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SetUnderWay {
    /// They are left out.
    #[default]
    Cut,
    /// They are sent before the stop.
    Finish,
}

/// What is known when the device has been identified.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSetup {
    /// All outputs, those that the user has disabled among them: a stop is for them as well. In any order.
    pub outputs: Vec<OutputSetup>,
    /// All inputs that the plugin serves.
    pub inputs: Vec<InputSetup>,
    /// The feature that shows the strength of the signal, where the path tells it ([`Input::Signal`](super::Input::Signal)).
    pub signal: Option<FeatureIndex>,
    /// The shortest time between the last packet of one set of outputs and the first of the next. A stop does not wait for it.
    pub gap: Duration,
    /// The shortest time between any two packets. The first packet of a stop waits for it only where an earlier packet that the
    /// stop does not replace would be lost.
    pub packet_gap: Duration,
    /// What becomes of the packets of a set that are still to be sent when a stop comes.
    pub set_under_way: SetUnderWay,
    /// How long the first command waits for others, so that values that arrive together leave together. 0 where a device has
    /// one output.
    pub gather: Duration,
    /// What has to be repeated so that the device does not stop or hang up by itself.
    pub keep_alive: Option<KeepAlive>,
    /// Whether it may have been left running when it was lost, or when the service crashed. Then it is stopped first.
    pub left: Motion,
    /// Replaces [`Limits::bring_up`], counted from the opened path.
    pub bring_up_limit: Option<Duration>,
}

/// One output of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputSetup {
    /// Which feature.
    pub feature: FeatureIndex,
    /// Which output of it.
    pub kind: OutputKind,
    /// The value at which it does nothing. Without meaning for a position.
    pub rest: i32,
    /// What a stop does to it.
    pub on_stop: OnStop,
}

/// What a stop does to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnStop {
    /// It goes to rest; a position stays where it is, and a movement under way ends.
    Rest,
    /// Nothing: it would act if it were set to rest. What was wanted of it and not yet sent is forgotten all the same.
    Leave,
}

/// One input of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputSetup {
    /// Which feature.
    pub feature: FeatureIndex,
    /// Which input of it.
    pub kind: InputKind,
}

/// What has to be repeated.
///
/// The plugin is asked with [`ProtocolEvent::KeepAlive`](crate::protocol::ProtocolEvent::KeepAlive); if it does not do that, the last
/// packet is written again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeepAlive {
    /// The longest time without a packet.
    pub every: Duration,
    /// When it is needed.
    pub when: KeepAliveWhen,
}

/// When a keep-alive is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeepAliveWhen {
    /// As long as the device is open.
    Always,
    /// While an output is not at rest.
    Running,
}
