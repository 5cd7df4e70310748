//! A session with the service, as the application holds it: its devices, scans, stops and events. What a single device can do is in
//! `device.rs`, what only `buttplugctl` and its like need in `monitor.rs`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use ipc_schema::v4::{ClientMessage, InputType, Plain, ServerInfo, ServerMessage, StopCmd};
use ipc_schema::{Extension, Extensions};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::timeout;

use crate::connection::{Answer, Line, Request};
use crate::device::Device;
use crate::error::{Closed, Error};
use crate::event::{self, Events};
use crate::input::Subscription;

/// The Id of all pings; their answers are told apart from others by it.
pub(crate) const PING_ID: u32 = u32::MAX;

/// A session. Clones are the same session; it ends when the last of them, and of the devices and streams from it, is dropped.
///
/// When it ends, in whatever way, the service stops what it had set.
#[derive(Debug, Clone)]
pub struct Client {
    pub(crate) session: Arc<Session>,
    info: Arc<ServerInfo>,
}

/// What all clones share.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) line: Line,
    answer_within: Duration,
    next_id: AtomicU32,
    /// The inputs that are subscribed to, so that the last stream of one ends its subscription.
    pub(crate) subscriptions: Mutex<HashMap<(u32, u32, InputType), Weak<Subscription>>>,
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
        devices.values().map(|device| Device::new(self.clone(), Arc::clone(device))).collect()
    }

    /// The device of this index, if it is connected now.
    pub fn device(&self, index: u32) -> Option<Device> {
        let devices = self.session.line.devices.borrow();
        devices.get(&index).map(|device| Device::new(self.clone(), Arc::clone(device)))
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
        self.stop(None, None).await
    }

    pub(crate) async fn stop(&self, device: Option<u32>, feature: Option<u32>) -> Result<(), Error> {
        let session = &self.session;
        let id = session.next_id();
        let stop = ClientMessage::StopCmd(StopCmd {
            id,
            device_index: device,
            feature_index: feature,
            inputs: false,
            outputs: true,
        });
        expect_ok(session.ask_through(&session.line.stops, id, stop).await?)
    }

    /// What happens from now on.
    pub fn events(&self) -> Events {
        event::events(self)
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
        let id = self.session.next_id();
        self.session.ask(id, message(id)).await
    }

    pub(crate) async fn request_ok(&self, message: impl FnOnce(u32) -> ClientMessage) -> Result<(), Error> {
        expect_ok(self.request(message).await?)
    }
}

fn expect_ok(answer: ServerMessage) -> Result<(), Error> {
    match answer {
        ServerMessage::Ok(_) => Ok(()),
        other => Err(Error::Unexpected(format!("{other:?} instead of Ok"))),
    }
}

impl Session {
    pub(crate) fn new(line: Line, answer_within: Duration) -> Self {
        Self { line, answer_within, next_id: AtomicU32::new(1), subscriptions: Mutex::default() }
    }

    /// An Id that no request in flight has: neither 0 nor that of pings.
    pub(crate) fn next_id(&self) -> u32 {
        loop {
            let id = self.next_id.fetch_add(1, Ordering::Relaxed);
            if id != 0 && id != PING_ID {
                return id;
            }
        }
    }

    /// Sends a request and waits for its answer; an `Error` message becomes an error.
    pub(crate) async fn ask(&self, id: u32, message: ClientMessage) -> Answer {
        self.ask_through(&self.line.requests, id, message).await
    }

    async fn ask_through(
        &self,
        queue: &mpsc::Sender<Vec<Request>>,
        id: u32,
        message: ClientMessage,
    ) -> Answer {
        let mut answers = self.ask_all(queue, vec![(id, message)]).await?;
        answers.pop().unwrap_or_else(|| Err(self.line.close_reason().into()))
    }

    /// Sends several requests in one frame and waits for all answers, which come in the order of the requests.
    pub(crate) async fn ask_batch(&self, messages: Vec<(u32, ClientMessage)>) -> Result<Vec<Answer>, Error> {
        self.ask_all(&self.line.requests, messages).await
    }

    async fn ask_all(
        &self,
        queue: &mpsc::Sender<Vec<Request>>,
        messages: Vec<(u32, ClientMessage)>,
    ) -> Result<Vec<Answer>, Error> {
        // Declared first, so that it speaks when all receivers below are gone.
        let _given_up = OnDrop(&self.line.given_up);
        let mut waiting = Vec::with_capacity(messages.len());
        let mut frame = Vec::with_capacity(messages.len());
        for (id, message) in messages {
            let (answer, comes) = oneshot::channel();
            frame.push(Request { id, message, answer });
            waiting.push(comes);
        }
        let whole = async {
            queue.send(frame).await.map_err(|_| self.line.close_reason())?;
            let mut answers = Vec::with_capacity(waiting.len());
            for answer in waiting {
                answers.push(match answer.await {
                    Ok(Ok(ServerMessage::Error(error))) => Err(Error::Server(error.into())),
                    Ok(answer) => answer,
                    Err(_) => Err(self.line.close_reason().into()),
                });
            }
            Ok(answers)
        };
        match timeout(self.answer_within, whole).await {
            Ok(answers) => answers,
            Err(_) => Err(Error::TimedOut { after: self.answer_within }),
        }
    }

    /// Sends a request whose answer nobody waits for, if there is room for it.
    pub(crate) fn tell(&self, id: u32, message: ClientMessage) {
        let (answer, _) = oneshot::channel();
        if let Err(error) = self.line.requests.try_send(vec![Request { id, message, answer }]) {
            tracing::debug!(%error, "could not send a request on the way out");
        }
    }
}

/// Tells the connection that a call is over, answered or not: there may be room for others.
struct OnDrop<'a>(&'a Notify);

impl Drop for OnDrop<'_> {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}
