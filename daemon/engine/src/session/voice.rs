//! How a session speaks: in which form, version and class of error. It decides nothing.

use std::sync::Arc;

use ipc_schema::{
    codec,
    extension::{Extension, Extensions},
    version::SpecVersion,
};

use super::{Effect, Form, Told};
use crate::{
    command::{Answer, Event, Outcome},
    dialect::{self, Failure, Reply, Shape},
    fault::Fault,
    request::{LogLevel, Welcome},
    view::{self, DeviceList},
    vocabulary::RequestId,
};

/// The form, version and extensions of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Voice {
    pub(super) form: Form,
    pub(super) version: SpecVersion,
    pub(super) granted: Extensions,
}

impl Voice {
    /// The voice before the handshake: errors look the same in every version, and nobody has asked for an extension.
    pub(super) const fn unknown(form: Form) -> Self {
        Self { form, version: SpecVersion::NEWEST, granted: Extensions::NONE }
    }

    pub(super) fn welcome(self, id: RequestId, welcome: Welcome, devices: &DeviceList) -> Option<Effect> {
        match self.form {
            Form::Bytes(encoding) => self.send(encoding, id, Reply::Welcome(&welcome), devices),
            Form::Typed => Some(Effect::Tell(Told::Welcome { id, welcome })),
        }
    }

    pub(super) fn outcome(
        self,
        id: RequestId,
        shape: Shape,
        outcome: Outcome,
        devices: &DeviceList,
    ) -> Option<Effect> {
        match self.form {
            Form::Typed => Some(Effect::Tell(Told::Reply { id, outcome })),
            Form::Bytes(encoding) => match &outcome {
                Ok(Answer::Devices(list)) if !self.shows_signal() => {
                    let answer = Answer::Devices(view::without_signal(list));
                    self.send(encoding, id, Reply::Answer(&answer, shape), devices)
                }
                Ok(answer) => self.send(encoding, id, Reply::Answer(answer, shape), devices),
                Err(fault) => self.send(encoding, id, Reply::Error(self.failure(fault)), devices),
            },
        }
    }

    pub(super) fn fault(self, id: RequestId, fault: &Fault, devices: &DeviceList) -> Option<Effect> {
        match self.form {
            Form::Typed => Some(Effect::Tell(Told::Reply { id, outcome: Err(fault.clone()) })),
            Form::Bytes(encoding) => self.send(encoding, id, Reply::Error(self.failure(fault)), devices),
        }
    }

    pub(super) fn echo(self, id: RequestId, text: String, devices: &DeviceList) -> Option<Effect> {
        match self.form {
            Form::Typed => Some(Effect::Tell(Told::Echo { id, text })),
            Form::Bytes(encoding) => self.send(encoding, id, Reply::Echo(&text), devices),
        }
    }

    /// `None` for a version, or a front, that has no log.
    pub(super) fn log(self, level: LogLevel, text: &str) -> Option<Effect> {
        match self.form {
            Form::Typed => None,
            Form::Bytes(encoding) => match dialect::write_log(self.version, encoding, level, text)? {
                Ok(payload) => Some(Effect::Send(payload)),
                Err(fault) => {
                    tracing::warn!(version = %self.version, %fault, "a line of the log could not be written");
                    None
                }
            },
        }
    }

    /// `None` for an event that the version has no message for.
    pub(super) fn event(self, event: &Event, devices: &DeviceList) -> Option<Effect> {
        let without_signal;
        let event = match (event, self.form) {
            (Event::DeviceAdded { device, devices }, Form::Bytes(_)) if !self.shows_signal() => {
                let (device, devices) = (Arc::new(device.without_signal()), view::without_signal(devices));
                without_signal = Event::DeviceAdded { device, devices };
                &without_signal
            }
            (Event::DeviceRemoved { device, devices }, Form::Bytes(_)) if !self.shows_signal() => {
                let devices = view::without_signal(devices);
                without_signal = Event::DeviceRemoved { device: *device, devices };
                &without_signal
            }
            (event, _) => event,
        };
        match self.form {
            Form::Typed => Some(Effect::Tell(Told::Event(event.clone()))),
            Form::Bytes(encoding) => match dialect::write_event(self.version, encoding, event, devices)? {
                Ok(payload) => Some(Effect::Send(payload)),
                Err(fault) => {
                    tracing::warn!(version = %self.version, %fault, "an event could not be written");
                    None
                }
            },
        }
    }

    /// Whether the strength of the signal is among the inputs that this client is shown. Common clients of v3 and v4 do not know the
    /// name that the spec gives it, and take no device at all from a list that has it. A client may ask for it all the same.
    const fn shows_signal(self) -> bool {
        match self.version {
            SpecVersion::V4 => self.granted.contains(Extension::Rssi),
            SpecVersion::V3 => false,
            // It has a message of its own in v2; v0 and v1 have no inputs.
            SpecVersion::V0 | SpecVersion::V1 | SpecVersion::V2 => true,
        }
    }

    /// The fault as this client may see it.
    fn failure(self, fault: &Fault) -> Failure<'_> {
        let class = fault.reason.class().for_client(self.version, self.granted);
        let reason = self.granted.contains(Extension::ErrorReason).then_some(fault.reason);
        Failure { class, text: &fault.text, reason }
    }

    /// A reply that the version has no message for becomes an error in the same version.
    fn send(
        self,
        encoding: codec::Encoding,
        id: RequestId,
        reply: Reply<'_>,
        devices: &DeviceList,
    ) -> Option<Effect> {
        let payload = dialect::write_reply(self.version, encoding, id, reply, devices).or_else(|fault| {
            let failure = Reply::Error(self.failure(&fault));
            dialect::write_reply(self.version, encoding, id, failure, devices)
        });
        match payload {
            Ok(payload) => Some(Effect::Send(payload)),
            Err(fault) => {
                tracing::error!(version = %self.version, %fault, "an error could not be written");
                None
            }
        }
    }
}
