//! Why something that was asked for did not happen.

use std::fmt;

pub use ipc_schema::error::Reason;

/// A failed command: a reason that a program can act on and a text for people.
///
/// The reason decides the error class; see [`Reason`] for the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The word a program acts on.
    pub reason: Reason,
    /// What was being done, to what, and what to do about it. Lower case, no full stop.
    pub text: String,
}

impl Fault {
    /// A fault with this reason and text.
    #[must_use]
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        Self { reason, text: text.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Fault {}
