//! Async client library for buttplugd: an application's session with the service, over its local socket.
//!
//! It speaks spec v4 in MessagePack, pings by itself, matches answers by Id, keeps the list of devices and gives devices, outputs and
//! inputs as objects. It does not drive devices by itself, smooth values or reconnect: when the service goes away, every call and
//! stream says so, and the application decides what next.
//!
//! ```no_run
//! use buttplugd_client::{Client, Event, OutputType};
//! use futures_util::StreamExt;
//!
//! # async fn example() -> Result<(), buttplugd_client::Error> {
//! let client = Client::connect("my application").await?;
//! let mut events = client.events();
//! client.start_scanning().await?;
//!
//! while let Some(event) = events.next().await {
//!     let Event::DeviceAdded(device) = event else { continue };
//!     println!("{} has come", device.name());
//!     // A fraction of what it can do, or a value in its own steps.
//!     device.vibrate(0.5).await?;
//!     if let Ok(output) = device.output(OutputType::Oscillate) {
//!         output.set(*output.range().end()).await?;
//!     }
//!     device.stop().await?;
//! }
//! client.disconnect().await
//! # }
//! ```
//!
//! # When something goes wrong
//!
//! A call that returned `Ok` has reached the device. All others fail with an [`Error`]; those of the service have a
//! [class](Error::class) and a [reason](Error::reason) that programs can act on. When an application dies, hangs for longer than the
//! ping deadline, or drops its [`Client`], the service stops what it had set.

mod client;
mod connect;
mod event;

mod device;
mod input;
mod output;

mod monitor;

mod connection;
mod error;
mod session;

pub use client::Client;
pub use connect::{Connect, default_socket};
pub use device::Device;
pub use error::{Closed, Error, ServerError};
pub use event::{Event, Events};
pub use input::{Input, Readings};
pub use monitor::Anonymity;
pub use output::{Batch, Output};

pub use ipc_schema::v4::{
    ClientStatus, DeviceState, DeviceStatus, InputCommand, InputType, OutputState, OutputType, Status,
    TransportState,
};
pub use ipc_schema::{Class, Extension, Extensions, Reason};
