//! What can go wrong with a fake device, asked for by a test.

/// At which step of its life something goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Connecting.
    Connect,
    /// The finding of services after a connection. [`Failure::Silent`] means that they are never resolved.
    ResolveServices,
    /// Disconnecting.
    Disconnect,
    /// Pairing.
    Pair,
    /// A read of any characteristic.
    Read,
    /// A write to any characteristic.
    Write,
    /// The start of notifications.
    StartNotify,
    /// The end of notifications.
    StopNotify,
}

/// In which way it goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// An answer `org.bluez.Error.NAME` with that text.
    Refuse {
        /// The last part of the error's name: `Failed`, `NotPermitted`, `InProgress`.
        name: &'static str,
        /// The text.
        text: &'static str,
    },
    /// No answer, ever.
    Silent,
    /// The link is lost, and then the answer says so.
    Drop,
    /// It is done, but the answer waits until [`super::FakeDevice::release`].
    Held,
    /// It is done, but the answer is lost with the link: the device has acted, and the caller learns of a failure.
    DoneThenDrop,
}

impl Failure {
    /// The general error of BlueZ, `org.bluez.Error.Failed`.
    #[must_use]
    pub const fn failed(text: &'static str) -> Self {
        Self::Refuse { name: "Failed", text }
    }
}

/// Faults that wait for their step.
#[derive(Debug, Default)]
pub(super) struct Faults(Vec<Planned>);

#[derive(Debug)]
struct Planned {
    step: Step,
    /// How many of these steps still go well before.
    after: usize,
    failure: Failure,
    repeat: Repeat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    Once,
    Always,
}

impl Faults {
    pub(super) fn plan(&mut self, step: Step, after: usize, failure: Failure, repeat: Repeat) {
        self.0.push(Planned { step, after, failure, repeat });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault that befalls this step, if one does. Counts down those that wait for a later one.
    pub(super) fn take(&mut self, step: Step) -> Option<Failure> {
        let mut due = None;
        for (place, planned) in self.0.iter_mut().enumerate() {
            if planned.step != step {
                continue;
            }
            if planned.after == 0 {
                due = due.or(Some(place));
            } else {
                planned.after -= 1;
            }
        }
        let place = due?;
        let planned = self.0.get(place)?;
        match planned.repeat {
            Repeat::Always => Some(planned.failure.clone()),
            Repeat::Once => Some(self.0.remove(place).failure),
        }
    }
}
