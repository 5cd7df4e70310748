//! Faults that several dialects answer with.

use ipc_schema::error::Reason;

use super::scale::NotAFraction;
use crate::fault::Fault;

/// Raw bytes to a device, from a client of v0 to v3.
pub(super) fn raw() -> Fault {
    Fault::new(
        Reason::RawNotSupported,
        "raw access to devices is not offered; use the commands that the device list names",
    )
}

/// `RequestLog` of v2, which takes the wish but has no message to fulfil it with.
pub(super) fn log() -> Fault {
    Fault::new(
        Reason::MessageNotSupported,
        "this session's spec version has no message for a line of the log; read it with `journalctl --user -u buttplugd`",
    )
}

/// A version has no message for a reply.
pub(super) fn no_message(what: &str) -> Fault {
    Fault::new(Reason::Internal, format!("the spec version of this session has no message for {what}"))
}

/// A list that must not be empty.
pub(super) fn empty(member: &str) -> Fault {
    Fault::new(Reason::MalformedMessage, format!("`{member}` must have at least one entry"))
}

impl From<NotAFraction> for Fault {
    fn from(error: NotAFraction) -> Self {
        Self::new(Reason::ValueOutOfRange, error.to_string())
    }
}
