//! The safe Rust face of the buttplugd plugin ABI: what the author of a protocol writes against.
//!
//! A protocol is a type that implements [`Protocol`]: events in, operations out, no I/O, no clock, no thread. [`export!`]
//! turns a list of them into a library that the service loads; [`entry!`] makes the same table for linking statically.
//!
//! ```
//! use plugin_sdk::{Endpoint, Failure, Info, Ops, Output, Protocol};
//!
//! struct Wave {
//!     tx: Endpoint,
//! }
//!
//! impl Protocol for Wave {
//!     fn create(info: &Info, _: &mut Ops<'_>) -> Result<Self, Failure> {
//!         Ok(Self { tx: info.require("tx")? })
//!     }
//!
//!     fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
//!         for output in set {
//!             ops.write(self.tx, &[0xaa, 0x01, output.byte()?]);
//!         }
//!         Ok(())
//!     }
//! }
//!
//! plugin_sdk::export! { id: "acme", protocols: { "acme-wave" => Wave } }
//! ```
//!
//! With the feature `driver` there are also `driver`, which plays the service in an author's tests, and `vectors`,
//! which runs the golden vectors beside a plugin. With the feature `sealed` there is [`Seal`].
//!
//! The crate does not protect the service from a plugin: a segfault or a loop in a plugin is one in the service.

mod checksum;
#[cfg(feature = "driver")]
pub mod driver;
mod export;
mod info;
mod ops;
mod protocol;
mod query;
#[cfg(feature = "sealed")]
mod sealed;
mod travel;
mod values;
#[cfg(feature = "driver")]
pub mod vectors;
mod vocabulary;

pub use plugin_abi::StaticEntry;

pub use checksum::{crc16_modbus, sum8, xor8};
pub use info::{Feature, Info, InputRange, ManufacturerData, Model, OutputRange, Ways};
pub use ops::{LogLevel, Operation, Ops, WriteKind};
pub use protocol::{Event, Failure, Output, Protocol, Wanted};
pub use query::{Query, Waited};
#[cfg(feature = "sealed")]
pub use sealed::Seal;
pub use travel::Travel;
pub use values::Values;
pub use vocabulary::{Endpoint, InputKind, OutputKind, Timer, TransportKind, Wish};

/// The name of the protocol that runs byte patterns which are written in a definition's `[protocol.template]` table.
pub const TEMPLATE_PROTOCOL: &str = "template";

/// The key of the param under which that table is handed to it, as JSON.
pub const TEMPLATE_PARAM: &str = "template";

/// What the macros expand to; not for use by hand.
#[doc(hidden)]
pub mod private {
    pub use crate::export::{entry, table};
    pub use plugin_abi as abi;
}
