//! Whether a device may be running, which decides what its journal says and what a lost device leaves behind.

/// Whether a device may be doing something to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Motion {
    /// A packet that sets an output going is about to be sent.
    MayRun,
    /// Rest is confirmed for all outputs that a stop is for, or nothing was ever set.
    #[default]
    AtRest,
}
