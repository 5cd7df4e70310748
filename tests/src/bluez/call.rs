//! A call on an object of the fake, its answer, and the course that it takes when a test has planned a fault.

use zbus::{Message, message};

use super::{
    fault::{Failure, Step},
    operation::{Action, Outcome},
    world::World,
};

/// An error answer: the full name and the text.
pub(super) struct Refusal(pub(super) String, pub(super) String);

impl Refusal {
    pub(super) fn bluez(name: &str, text: &str) -> Self {
        Self(format!("org.bluez.Error.{name}"), text.into())
    }

    pub(super) fn not_connected() -> Self {
        Self::bluez("Failed", "Not connected")
    }

    pub(super) fn standard(name: &str, text: String) -> Self {
        Self(format!("org.freedesktop.DBus.Error.{name}"), text)
    }

    pub(super) fn unreadable(error: &zbus::Error) -> Self {
        Self::standard("InvalidArgs", error.to_string())
    }
}

/// A call that is to be answered.
pub(super) struct Call<'m> {
    pub(super) message: &'m Message,
    pub(super) header: message::Header<'m>,
    pub(super) path: String,
    pub(super) sender: String,
}

impl Call<'_> {
    pub(super) fn body<T>(&self) -> Result<T, Refusal>
    where
        T: serde::de::DeserializeOwned + zbus::Type,
    {
        self.message.body().deserialize().map_err(|error| Refusal::unreadable(&error))
    }

    pub(super) fn reply<B>(&self, body: &B) -> Message
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        Message::method_return(&self.header).build(body).expect("the fake builds only valid messages")
    }

    pub(super) fn answer<B>(&self, world: &World, body: &B)
    where
        B: serde::Serialize + zbus::DynamicType,
    {
        world.send(Ok(self.reply(body)));
    }
}

pub(super) fn unknown(call: &Call<'_>, member: &str) -> Refusal {
    Refusal::standard("UnknownMethod", format!("no method `{member}` at {}", call.path))
}

/// What is to become of a step after its fault, if it has one, was looked up.
pub(super) enum Course {
    /// Do it and answer.
    Do,
    /// Do it and keep the answer.
    Hold,
    /// Do it, then lose the link.
    DoThenDrop,
    /// Lose the link.
    Drop,
    /// Do nothing, answer nothing.
    Ignore,
    /// Answer with that error.
    Refuse(Refusal),
}

impl Course {
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Do | Self::Hold | Self::DoThenDrop => Outcome::Done,
            Self::Drop | Self::Refuse(_) => Outcome::Refused,
            Self::Ignore => Outcome::Unanswered,
        }
    }
}

pub(super) fn course(world: &mut World, device: &str, step: Step) -> Course {
    let device = world.device(device);
    match device.faults.take(step) {
        None if device.is_closed_to(step) => Course::Refuse(Refusal::bluez("NotPermitted", "Not paired")),
        None => Course::Do,
        Some(Failure::Held) => Course::Hold,
        Some(Failure::Silent) => Course::Ignore,
        Some(Failure::Drop) => Course::Drop,
        Some(Failure::DoneThenDrop) => Course::DoThenDrop,
        Some(Failure::Refuse { name, text }) => Course::Refuse(Refusal::bluez(name, text)),
    }
}

/// Records an operation and takes its course: `act` does it and gives the answer.
pub(super) fn operation(
    world: &mut World,
    call: &Call<'_>,
    device: &str,
    (step, action): (Step, Action),
    act: impl FnOnce(&mut World) -> Message,
) -> Result<(), Refusal> {
    let course = course(world, device, step);
    world.device(device).record(action, course.outcome());
    world.changed();
    match course {
        Course::Do => {
            let reply = act(world);
            world.send(Ok(reply));
        }
        Course::Hold => {
            let reply = act(world);
            world.device(device).held.push(reply);
        }
        Course::DoThenDrop => {
            act(world);
            world.disconnect(device);
            return Err(Refusal::not_connected());
        }
        Course::Drop => {
            world.disconnect(device);
            return Err(Refusal::not_connected());
        }
        Course::Ignore => tracing::debug!(device, path = call.path, "left without an answer"),
        Course::Refuse(refusal) => return Err(refusal),
    }
    Ok(())
}
