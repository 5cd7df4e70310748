//! A session with the service, as the application holds it: its devices, scans, stops and events. What is asked is in `session.rs`, what
//! a single device can do in `device.rs`, what only `buttplugctl` and its like need in `monitor.rs`.

use std::sync::Arc;
use std::time::Duration;

use ipc_schema::v4::{ClientMessage, Plain, ServerInfo, ServerMessage};
use ipc_schema::{Extension, Extensions};

use crate::connection::Answer;
use crate::device::Device;
use crate::error::{Closed, Error};
use crate::event::{self, Events};
use crate::output::Batch;
use crate::session::Session;

/// A session. Clones are the same session; it ends when the last of them, and of the devices and streams from it, is dropped.
///
/// When it ends, in whatever way, the service stops what it had set.
#[derive(Debug, Clone)]
pub struct Client {
    session: Arc<Session>,
    info: Arc<ServerInfo>,
}

impl Client {
    pub(crate) fn new(session: Session, info: ServerInfo) -> Self {
        Self { session: Arc::new(session), info: Arc::new(info) }
    }

    /// Connects to the service at its usual place, under this name. [`Connect`](crate::Connect) has more to choose.
    ///
    /// # Errors
    /// See [`Connect::connect`](crate::Connect::connect).
    pub async fn connect(name: impl Into<String>) -> Result<Self, Error> {
        crate::Connect::new(name).connect().await
    }

    /// What the service calls itself.
    pub fn server_name(&self) -> &str {
        &self.info.server_name
    }

    /// The ping deadline of the session, which this library keeps by itself; `None` when there is none.
    pub fn ping_deadline(&self) -> Option<Duration> {
        match self.info.max_ping_time {
            0 => None,
            deadline => Some(Duration::from_millis(u64::from(deadline))),
        }
    }

    /// The extensions that the service granted.
    pub fn extensions(&self) -> Extensions {
        let names = self.info.extensions.as_deref().unwrap_or_default();
        Extensions::all().grant(names.iter().map(String::as_str))
    }

    /// Whether the service granted an extension.
    pub fn has(&self, extension: Extension) -> bool {
        self.extensions().contains(extension)
    }

    /// The devices that are connected now, by index.
    pub fn devices(&self) -> Vec<Device> {
        let devices = self.session.line.devices.borrow();
        devices.values().map(|device| Device::new(Arc::clone(&self.session), Arc::clone(device))).collect()
    }

    /// The device of this index, if it is connected now.
    pub fn device(&self, index: u32) -> Option<Device> {
        let devices = self.session.line.devices.borrow();
        devices.get(&index).map(|device| Device::new(Arc::clone(&self.session), Arc::clone(device)))
    }

    /// Asks the service for the list of devices. It is not needed: the list is kept up to date by itself.
    ///
    /// # Errors
    /// As every request: [`Error::Server`], [`Error::Closed`], [`Error::TimedOut`].
    pub async fn refresh_devices(&self) -> Result<(), Error> {
        match self.request(|id| ClientMessage::RequestDeviceList(Plain { id })).await? {
            ServerMessage::DeviceList(_) => Ok(()),
            other => Err(Error::Unexpected(format!("{other:?} instead of DeviceList"))),
        }
    }

    /// Starts looking for devices; they come as events.
    ///
    /// # Errors
    /// [`Error::Server`] with reason `no-transport`, `transport-unavailable` or `scan-failed` when nothing can be scanned.
    pub async fn start_scanning(&self) -> Result<(), Error> {
        self.request_ok(|id| ClientMessage::StartScanning(Plain { id })).await
    }

    /// Stops looking for devices. Other applications may go on.
    ///
    /// # Errors
    /// As every request: [`Error::Server`], [`Error::Closed`], [`Error::TimedOut`].
    pub async fn stop_scanning(&self) -> Result<(), Error> {
        self.request_ok(|id| ClientMessage::StopScanning(Plain { id })).await
    }

    /// Stops every output of every device, whoever set it. It overtakes all requests that wait.
    ///
    /// # Errors
    /// [`Error::Server`] when a device could not be stopped; the service goes on trying.
    pub async fn stop_all(&self) -> Result<(), Error> {
        self.session.stop(None, None).await
    }

    /// An empty batch, to set several outputs at once.
    pub fn batch(&self) -> Batch {
        Batch::new(Arc::clone(&self.session))
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        event::events(&self.session)
    }

    /// Ends the session in good order: its outputs are stopped when this returns.
    ///
    /// # Errors
    /// [`Error::Server`] when an output could not be stopped, [`Error::TimedOut`].
    pub async fn disconnect(self) -> Result<(), Error> {
        match self.request_ok(|id| ClientMessage::Disconnect(Plain { id })).await {
            Ok(()) | Err(Error::Closed(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits until the session is over, and says how that came.
    pub async fn closed(&self) -> Closed {
        let mut closed = self.session.line.closed.clone();
        match closed.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or(Closed::ByServer),
            Err(_) => self.session.line.close_reason(),
        }
    }

    pub(crate) async fn request(&self, message: impl FnOnce(u32) -> ClientMessage) -> Answer {
        self.session.request(message).await
    }

    pub(crate) async fn request_ok(&self, message: impl FnOnce(u32) -> ClientMessage) -> Result<(), Error> {
        self.session.request_ok(message).await
    }
}
