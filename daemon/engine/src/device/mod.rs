//! One device: what it is asked, and what it tells.

mod command;

pub use command::{DeviceCommand, DeviceReport, DeviceTicket, StopCause, StopScope};
