//! How each spec version says what the engine means, one module a version.
//!
//! Every dialect converts straight between the wire types of its version and the engine's own words. None imports another,
//! and none keeps state: what a client's indexes mean is read off the device list that the session was told last.

use ipc_schema::{
    codec::{self, Envelope},
    error::{Class, Reason},
    version::SpecVersion,
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    command::{Answer, Event},
    fault::Fault,
    request::{LogLevel, Request, Welcome},
    view::DeviceList,
    vocabulary::RequestId,
};

mod refusal;
mod scale;
mod settings;
mod tables;
mod v0;
mod v1;
mod v2;
mod v3;
mod v4;

/// One spec version.
///
/// Ranges of values, and whether a device is there at all, are the router's business; a dialect refuses only what it cannot
/// translate (an index that its own list does not have, a fraction outside of 0 to 1).
pub(crate) trait Dialect {
    /// Whatever a client of this version may send.
    type Request: DeserializeOwned;
    /// Whatever is sent to a client of this version.
    type Reply: Serialize;

    /// What a message asks for, and how its reply will have to look.
    ///
    /// # Errors
    /// A message that the version has but that means nothing here, such as an index that the list does not have.
    fn request(message: Self::Request, devices: &DeviceList) -> Result<Asked, Fault>;

    /// The one reply to a request.
    ///
    /// # Errors
    /// A reply that this version has no message for; the client gets the fault in its place.
    fn reply(id: RequestId, reply: Reply<'_>, devices: &DeviceList) -> Result<Self::Reply, Fault>;

    /// The message for an event; `None` for one that this version has no message for. `devices` is as it was after the event.
    fn event(event: &Event, devices: &DeviceList) -> Option<Self::Reply>;

    /// A line of the session's log; `None` for a version that has no message for one.
    fn log(_level: LogLevel, _text: &str) -> Option<Self::Reply> {
        None
    }
}

/// A request in the engine's words.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    /// What is asked for.
    pub(crate) request: Request,
    /// How the reply will have to look.
    pub(crate) shape: Shape,
}

impl Asked {
    /// A request whose answer alone decides its reply.
    pub(crate) const fn usual(request: Request) -> Self {
        Self { request, shape: Shape::Usual }
    }
}

/// What a reply depends on beside the answer, since a version may have several messages for one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing: `Ok`, the device list, or the version's newest message for a reading.
    Usual,
    /// `BatteryLevelReading` of v2.
    BatteryLevel,
    /// `RSSILevelReading` of v2.
    RssiLevel,
    /// `SensorReading` of v3, for this index among the device's sensors.
    Sensor {
        /// As the client sent it.
        index: u32,
    },
}

/// What a reply says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply<'a> {
    /// The handshake is done.
    Welcome(&'a Welcome),
    /// The command came to this.
    Answer(&'a Answer, Shape),
    /// The text of a `Test`, back to where it came from.
    Echo(&'a str),
    /// It failed.
    Error(Failure<'a>),
}

/// A fault as one client may see it: of a class that it knows, and with a reason only if it asked for reasons.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Failure<'a> {
    /// The class, already one that the client knows.
    pub(crate) class: Class,
    /// What went wrong, for people.
    pub(crate) text: &'a str,
    /// Present for a session with extension `error-reason`.
    pub(crate) reason: Option<Reason>,
}

/// Runs an expression with the dialect of a version as `$dialect`.
macro_rules! with_dialect {
    ($version:expr, $dialect:ident => $run:expr) => {
        match $version {
            SpecVersion::V0 => {
                type $dialect = v0::V0;
                $run
            }
            SpecVersion::V1 => {
                type $dialect = v1::V1;
                $run
            }
            SpecVersion::V2 => {
                type $dialect = v2::V2;
                $run
            }
            SpecVersion::V3 => {
                type $dialect = v3::V3;
                $run
            }
            SpecVersion::V4 => {
                type $dialect = v4::V4;
                $run
            }
        }
    };
}

/// Reads a message in the words of a version.
///
/// # Errors
/// The fault to answer the message with.
pub(crate) fn read(version: SpecVersion, envelope: &Envelope, devices: &DeviceList) -> Result<Asked, Fault> {
    fn read_as<D: Dialect>(envelope: &Envelope, devices: &DeviceList) -> Result<Asked, Fault> {
        let message = envelope.request::<D::Request>().map_err(|bad| Fault::new(bad.reason, bad.text))?;
        D::request(message, devices)
    }
    with_dialect!(version, D => read_as::<D>(envelope, devices))
}

/// Writes the reply to a request.
///
/// # Errors
/// The version has no message for the reply.
pub(crate) fn write_reply(
    version: SpecVersion,
    encoding: codec::Encoding,
    id: RequestId,
    reply: Reply<'_>,
    devices: &DeviceList,
) -> Result<Vec<u8>, Fault> {
    with_dialect!(version, D => write(&D::reply(id, reply, devices)?, encoding))
}

/// Writes an event; `None` for one that the version has no message for.
pub(crate) fn write_event(
    version: SpecVersion,
    encoding: codec::Encoding,
    event: &Event,
    devices: &DeviceList,
) -> Option<Result<Vec<u8>, Fault>> {
    with_dialect!(version, D => D::event(event, devices).map(|message| write(&message, encoding)))
}

/// Writes a line of the session's log; `None` for a version that has no message for one.
pub(crate) fn write_log(
    version: SpecVersion,
    encoding: codec::Encoding,
    level: LogLevel,
    text: &str,
) -> Option<Result<Vec<u8>, Fault>> {
    with_dialect!(version, D => D::log(level, text).map(|message| write(&message, encoding)))
}

fn write<M: Serialize>(message: &M, encoding: codec::Encoding) -> Result<Vec<u8>, Fault> {
    codec::encode(message, encoding).map_err(|error| Fault::new(Reason::Internal, error.to_string()))
}

#[cfg(test)]
mod tests;
