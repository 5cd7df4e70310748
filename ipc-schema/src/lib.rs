//! The words on the wire between buttplugd and its clients.

pub mod codec;
pub mod frame;

pub mod error;
pub mod extension;
pub mod version;

pub mod v0;
pub mod v1;
pub mod v2;
pub mod v3;
pub mod v4;

pub mod dbus;

mod lenient;
mod number;
mod tree;

pub use codec::{BadMessage, Encoding, Envelope};
pub use error::{Class, Reason};
pub use extension::{Extension, Extensions};
pub use version::SpecVersion;
