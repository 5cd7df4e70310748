//! Protocol plugins: loading libraries, and one instance of a protocol for each device.
//!
//! All `unsafe` of the service is in this folder. The safe face protects the service's own code from a plugin that returns
//! nonsense, floods, panics or stalls; it does not protect the process from one that writes to memory that is not its own.
//! What an operation means is not decided here, and no transfer is made: see the device task.

mod loader;
mod refusal;
mod table;

mod info;
mod instance;

mod foreign;
mod told;
mod wishes;

pub use info::{DeviceInfo, Feature, InputRange, Model, OutputRange};
pub use instance::{CALL_LIMIT, Instance};
pub use loader::{Code, PluginHost, PluginInfo};
pub use refusal::LoadError;
pub use table::Table;
