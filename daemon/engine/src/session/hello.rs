//! The state before the handshake: `RequestServerInfo` is taken, and a stop of everything, which anyone may ask for at any time. All
//! else is answered with an error that says so.

use std::time::{Duration, Instant};

use ipc_schema::{
    codec::{BadMessage, Envelope},
    error::Reason,
    version::{SpecVersion, VersionError},
};

use super::{Effect, Form, voice::Voice};
use crate::{
    command::Answer,
    dialect::{self, Shape},
    fault::Fault,
    request::{Hello, Request},
    view::DeviceList,
    vocabulary::RequestId,
};

/// The name of the handshake, in every version.
pub(super) const HELLO: &str = "RequestServerInfo";
/// The stop of everything: of v4, if it names no device, and of the versions before.
const STOPS: [&str; 2] = ["StopCmd", "StopAllDevices"];

/// What this state has: a voice without a version, and perhaps a deadline.
#[derive(Debug)]
pub(super) struct Awaiting {
    voice: Voice,
    due: Option<Instant>,
}

/// What a message before the handshake came to, if it concerns more than its answer.
#[derive(Debug)]
pub(super) enum Heard {
    /// It is the handshake.
    Hello { id: RequestId, hello: Hello },
    /// It is a handshake that can never be served. It has been answered.
    TooNew(Fault),
    /// Everything is to be stopped.
    Stop {
        /// Of the request.
        id: RequestId,
    },
}

impl Awaiting {
    pub(super) fn new(form: Form, limit: Option<Duration>, now: Instant) -> Self {
        Self { voice: Voice::unknown(form), due: limit.map(|limit| now + limit) }
    }

    pub(super) const fn form(&self) -> Form {
        self.voice.form
    }

    pub(super) const fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Takes a message; pushes the answer if it was not a handshake that can be served.
    pub(super) fn message(
        &self,
        message: Result<Envelope, BadMessage>,
        effects: &mut Vec<Effect>,
    ) -> Option<Heard> {
        let envelope = match message {
            Ok(envelope) => envelope,
            Err(bad) => {
                effects.extend(self.fault(RequestId(bad.id), &Fault::new(bad.reason, bad.text)));
                return None;
            }
        };
        if let Some(id) = self.stop(&envelope) {
            return Some(Heard::Stop { id });
        }
        let id = RequestId(envelope.id.unwrap_or(0));
        if envelope.name != HELLO {
            effects.extend(self.expected_hello(id));
            return None;
        }
        match read_hello(&envelope) {
            Ok(hello) => Some(Heard::Hello { id, hello }),
            Err(fault) => {
                effects.extend(self.fault(id, &fault));
                (fault.reason == Reason::VersionNotSupported).then_some(Heard::TooNew(fault))
            }
        }
    }

    /// The Id of a stop of everything, if the message is one.
    pub(super) fn stop(&self, envelope: &Envelope) -> Option<RequestId> {
        is_global_stop(envelope).then(|| RequestId(envelope.id.unwrap_or(0)))
    }

    /// The answer to anything but a handshake.
    pub(super) fn expected_hello(&self, id: RequestId) -> Option<Effect> {
        let text = "the first message must be the handshake, RequestServerInfo";
        self.fault(id, &Fault::new(Reason::HandshakeExpected, text))
    }

    /// The answer to a stop of everything. `Ok` and errors look the same in every version.
    pub(super) fn stopped(&self, id: RequestId, outcome: Result<(), Fault>) -> Option<Effect> {
        let outcome = outcome.map(|()| Answer::Done);
        self.voice.outcome(id, Shape::Usual, outcome, &DeviceList::default())
    }

    pub(super) fn fault(&self, id: RequestId, fault: &Fault) -> Option<Effect> {
        self.voice.fault(id, fault, &DeviceList::default())
    }
}

fn is_global_stop(envelope: &Envelope) -> bool {
    let names = |member: &str| envelope.body.get(member).is_some();
    STOPS.contains(&envelope.name.as_str())
        && envelope.id.is_some_and(|id| id > 0)
        && !names("DeviceIndex")
        && !names("FeatureIndex")
}

fn read_hello(envelope: &Envelope) -> Result<Hello, Fault> {
    let version = SpecVersion::of_handshake(&envelope.body).map_err(|error| {
        let reason = match error {
            VersionError::Unknown { .. } => Reason::VersionNotSupported,
            VersionError::WrongMember { .. } | VersionError::NotANumber { .. } => Reason::HandshakeMalformed,
        };
        Fault::new(reason, error.to_string())
    })?;
    // No device list is needed to read a handshake.
    let asked =
        dialect::read(version, envelope, &DeviceList::default()).map_err(|fault| match fault.reason {
            Reason::MalformedMessage | Reason::InvalidValueType => {
                Fault::new(Reason::HandshakeMalformed, fault.text)
            }
            _ => fault,
        })?;
    match asked.request {
        Request::Hello(hello) => Ok(hello),
        Request::Ping | Request::Disconnect | Request::Echo(_) | Request::Log(_) | Request::Command(_) => {
            Err(Fault::new(Reason::HandshakeExpected, "the first message must be the handshake"))
        }
    }
}
