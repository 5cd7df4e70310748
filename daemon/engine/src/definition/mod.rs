//! Definitions: what `plugin.toml` and the user's files say about devices.
//!
//! [`model`] is the data of one file. Nothing here opens a file or a device: the shell hands in texts and advertisements.

pub mod model;
mod range;
