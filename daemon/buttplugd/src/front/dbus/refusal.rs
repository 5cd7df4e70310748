//! Faults as D-Bus errors: the name says class and reason, the text is for people.

use engine::fault::{Fault, Reason};
use zbus::{
    DBusError,
    message::{Header, Message},
    names::ErrorName,
};

/// A fault on its way to a caller.
#[derive(Debug)]
pub(super) struct Refusal {
    fault: Fault,
    name: String,
}

impl Refusal {
    pub(super) fn new(reason: Reason, text: impl Into<String>) -> Self {
        Fault::new(reason, text).into()
    }

    /// The fault in it.
    pub(super) fn into_fault(self) -> Fault {
        self.fault
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        let name = fault.reason.dbus_name();
        Self { fault, name }
    }
}

impl DBusError for Refusal {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        Message::error(call, self.name()).build(&(&self.fault.text,))
    }

    fn name(&self) -> ErrorName<'_> {
        // The names of reasons are CamelCase words with dots, which a test of the schema checks.
        ErrorName::from_str_unchecked(&self.name)
    }

    fn description(&self) -> Option<&str> {
        Some(&self.fault.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_a_valid_name() {
        for reason in Reason::ALL {
            let refusal = Refusal::new(reason, "text");
            ErrorName::try_from(refusal.name().as_str()).unwrap();
        }
    }
}
