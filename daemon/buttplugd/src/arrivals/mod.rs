//! From a device that a bus has seen to a device task, and what is remembered of devices between their visits: their index for
//! life, that they may have been left running, and that they failed a moment ago.
//!
//! Nothing here talks to a device. See [`crate::device_task`] for that, and `engine::definition` for what belongs to which protocol.
