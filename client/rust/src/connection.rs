//! The task that owns the connection: it writes requests, matches answers by Id, pings in time, keeps the list of devices, and tells
//! everyone when it is over. It knows nothing of devices as objects, and never waits for a caller.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ipc_schema::codec::{self, BadMessage, Encoding, Envelope};
use ipc_schema::frame::{self, FrameDecoder};
use ipc_schema::v4::{self, ClientMessage, ServerMessage};
use tokio::net::UnixStream;
use tokio::sync::{Notify, broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, warn};

use crate::error::{Closed, Error, ServerError};

/// The Id of all pings; their answers are told apart from others by it.
pub(crate) const PING_ID: u32 = u32::MAX;

/// Frames that wait to be written. A full queue makes callers wait.
pub(crate) const QUEUE_LEN: usize = 64;
/// Requests without an answer yet. No more are written until some are answered; stops go out all the same.
const PENDING_MAX: usize = 256;
/// Bytes that wait for the service to read them, before no more requests are taken.
const OUT_MAX: usize = 64 * 1024;
/// Bytes that may wait in all, stops included. Beyond that the service is taken for dead.
const OUT_DEAD: usize = 1024 * 1024;
/// Happenings that a reader of events may be behind; then it misses the oldest.
const EVENTS_LEN: usize = 256;
/// Bytes that are read at once.
const READ_LEN: usize = 16 * 1024;
/// The largest answer that is taken, in bytes: far above the largest device list.
const ANSWER_MAX: u32 = 16 * 1024 * 1024;
/// How long the last requests of an application that lets go of everything may take to be written.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// Pings in one period of the deadline. Two may get lost or late before the session does.
const PINGS_PER_DEADLINE: u32 = 3;
const DOES_NOT_READ: &str = "the service does not read what is sent to it";

/// Devices by index.
pub(crate) type Devices = BTreeMap<u32, Arc<v4::Device>>;
/// The answer to one request, `Error` messages included.
pub(crate) type Answer = Result<ServerMessage, Error>;

/// A request on its way.
pub(crate) struct Request {
    pub(crate) id: u32,
    pub(crate) message: ClientMessage,
    pub(crate) answer: oneshot::Sender<Answer>,
}

/// What happened without being asked for.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    Added(Arc<v4::Device>),
    Removed(Arc<v4::Device>),
    Changed(Arc<v4::Device>),
    Reading(v4::InputReading),
    Outputs(Arc<Vec<v4::OutputState>>),
    Recorded(u32, Arc<Vec<String>>),
    ScanningFinished,
    Trouble(ServerError),
    Closed(Closed),
}

/// The way to the task for all handles, and what it publishes.
#[derive(Debug)]
pub(crate) struct Line {
    /// Frames of requests, each written as one batch.
    pub(crate) requests: mpsc::Sender<Vec<Request>>,
    /// Stops, which overtake all other requests.
    pub(crate) stops: mpsc::Sender<Vec<Request>>,
    pub(crate) devices: watch::Receiver<Devices>,
    pub(crate) closed: watch::Receiver<Option<Closed>>,
    /// Told when a caller has stopped waiting for an answer.
    pub(crate) given_up: Arc<Notify>,
    happenings: broadcast::WeakSender<Happening>,
}

impl Line {
    /// What happens from now on; over at once when the session is.
    pub(crate) fn happenings(&self) -> broadcast::Receiver<Happening> {
        match self.happenings.upgrade() {
            Some(happenings) => happenings.subscribe(),
            None => broadcast::channel(1).1,
        }
    }

    /// Why the session is over.
    pub(crate) fn close_reason(&self) -> Closed {
        self.closed.borrow().clone().unwrap_or(Closed::ByServer)
    }
}

/// Starts the task for a connected stream. It ends when the connection does, or when the line is dropped.
pub(crate) fn start(stream: UnixStream) -> Line {
    let (requests, requests_in) = mpsc::channel(QUEUE_LEN);
    let (stops, stops_in) = mpsc::channel(QUEUE_LEN);
    let (devices_out, devices) = watch::channel(Devices::new());
    let (closed_out, closed) = watch::channel(None);
    let happenings = broadcast::channel(EVENTS_LEN).0;
    let given_up = Arc::new(Notify::new());
    let happenings_out = happenings.downgrade();
    let line = Line {
        requests,
        stops,
        devices,
        closed,
        given_up: Arc::clone(&given_up),
        happenings: happenings_out,
    };
    let connection = Connection {
        stream,
        frames: FrameDecoder::new(ANSWER_MAX),
        out: Vec::new(),
        pending: HashMap::new(),
        requests: requests_in,
        stops: stops_in,
        given_up,
        devices: devices_out,
        closed: closed_out,
        happenings,
        ping: None,
        last_trouble: None,
    };
    tokio::spawn(connection.run());
    line
}

/// When to ping.
struct Ping {
    every: Duration,
    next: Instant,
}

struct Connection {
    stream: UnixStream,
    frames: FrameDecoder,
    /// What is still to be written.
    out: Vec<u8>,
    pending: HashMap<u32, oneshot::Sender<Answer>>,
    requests: mpsc::Receiver<Vec<Request>>,
    stops: mpsc::Receiver<Vec<Request>>,
    given_up: Arc<Notify>,
    devices: watch::Sender<Devices>,
    closed: watch::Sender<Option<Closed>>,
    happenings: broadcast::Sender<Happening>,
    ping: Option<Ping>,
    /// An error with Id 0: the reason, should the connection end now.
    last_trouble: Option<ServerError>,
}

impl Connection {
    async fn run(mut self) {
        let closed = loop {
            if let Err(closed) = self.step().await {
                break closed;
            }
        };
        self.end(closed);
    }

    /// Does whatever can be done next. Every arm is cancel-safe: readiness, channel receives, a notice and a
    /// timer.
    async fn step(&mut self) -> Result<(), Closed> {
        let has_room = self.out.len() < OUT_MAX;
        let has_slots = self.pending.len() < PENDING_MAX || self.forget_the_given_up();
        let next_ping = self.ping.as_ref().map(|ping| ping.next);
        tokio::select! {
            ready = self.stream.readable() => {
                ready.map_err(broken)?;
                self.read()
            }
            ready = self.stream.writable(), if !self.out.is_empty() => {
                ready.map_err(broken)?;
                self.write()
            }
            stop = self.stops.recv() => match stop {
                Some(frame) => self.put(frame),
                None => self.say_last_words().await,
            },
            frame = self.requests.recv(), if has_room && has_slots && self.stops.is_empty() => match frame {
                Some(frame) => self.put(frame),
                None => self.say_last_words().await,
            },
            () = self.given_up.notified(), if !has_slots => Ok(()),
            () = sleep_until(next_ping.unwrap_or_else(Instant::now)), if next_ping.is_some() => self.ping(),
        }
    }

    fn read(&mut self) -> Result<(), Closed> {
        let mut bytes = [0; READ_LEN];
        match self.stream.try_read(&mut bytes) {
            Ok(0) => Err(self.gone()),
            Ok(length) => {
                self.frames.push(bytes.get(..length).unwrap_or_default());
                loop {
                    let frame =
                        self.frames.next_frame().map_err(|error| Closed::Broken(error.to_string()))?;
                    let Some(payload) = frame else { return Ok(()) };
                    for message in codec::decode(payload, Encoding::MessagePack) {
                        self.take(message);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Err(self.gone()),
            Err(error) => Err(broken(error)),
        }
    }

    fn write(&mut self) -> Result<(), Closed> {
        match self.stream.try_write(&self.out) {
            Ok(written) => {
                self.out.drain(..written);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            // What the service said before it closed may still be there to be read, and is the better reason.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.out.clear();
                self.read()
            }
            Err(error) => Err(broken(error)),
        }
    }

    /// Puts one batch into the bytes to be written.
    fn put(&mut self, frame: Vec<Request>) -> Result<(), Closed> {
        if self.out.len() > OUT_DEAD {
            return Err(Closed::Broken(DOES_NOT_READ.into()));
        }
        let (messages, waiting): (Vec<_>, Vec<_>) =
            frame.into_iter().map(|request| (request.message, (request.id, request.answer))).unzip();
        match codec::encode_frame(&messages, frame::DEFAULT_LIMIT) {
            Ok(bytes) => {
                self.out.extend_from_slice(&bytes);
                self.pending.extend(waiting);
                self.write()
            }
            Err(error) => {
                let text = error.to_string();
                for (_, answer) in waiting {
                    give(answer, Err(Error::Unexpected(text.clone())));
                }
                Ok(())
            }
        }
    }

    fn ping(&mut self) -> Result<(), Closed> {
        if let Some(ping) = &mut self.ping {
            ping.next = Instant::now() + ping.every;
        }
        if self.out.len() >= OUT_MAX {
            return Ok(());
        }
        // Nobody waits for the answer, so it needs no Id of its own.
        let ping = ClientMessage::Ping(v4::Plain { id: PING_ID });
        match codec::encode_frame(&[ping], frame::DEFAULT_LIMIT) {
            Ok(bytes) => self.out.extend_from_slice(&bytes),
            Err(error) => warn!(%error, "could not write a ping"),
        }
        self.write()
    }

    /// Drops requests whose callers wait no more; says whether there is room now.
    fn forget_the_given_up(&mut self) -> bool {
        self.pending.retain(|_, answer| !answer.is_closed());
        self.pending.len() < PENDING_MAX
    }

    fn take(&mut self, message: Result<Envelope, BadMessage>) {
        let read = message.and_then(|envelope| envelope.message::<ServerMessage>());
        let message = match read {
            Ok(message) => message,
            Err(bad) => {
                debug!(reason = %bad.reason, text = %bad.text, "the service sent what this library cannot read");
                if let Some(answer) = self.pending.remove(&bad.id) {
                    give(answer, Err(Error::Unexpected(bad.text)));
                }
                return;
            }
        };
        match &message {
            ServerMessage::ServerInfo(info) => self.begin_to_ping(info.max_ping_time),
            ServerMessage::DeviceList(list) => self.compare(list),
            _ => {}
        }
        match id(&message) {
            0 => self.happen(message),
            id => match self.pending.remove(&id) {
                Some(answer) => give(answer, Ok(message)),
                None if id == PING_ID => self.ping_answered(message),
                None => debug!(id, "an answer came for which nobody waits any more"),
            },
        }
    }

    fn begin_to_ping(&mut self, max_ping_time: u32) {
        let deadline = Duration::from_millis(u64::from(max_ping_time));
        let every = deadline / PINGS_PER_DEADLINE;
        self.ping = (!every.is_zero()).then(|| Ping { every, next: Instant::now() + every });
    }

    /// Publishes the new list first, then what is new about it.
    fn compare(&mut self, list: &v4::DeviceList) {
        let new: Devices =
            list.devices.iter().map(|(index, device)| (*index, Arc::new(device.clone()))).collect();
        let old = self.devices.send_replace(new.clone());
        for (index, device) in &old {
            if !new.contains_key(index) {
                self.tell(Happening::Removed(Arc::clone(device)));
            }
        }
        for (index, device) in &new {
            match old.get(index) {
                None => self.tell(Happening::Added(Arc::clone(device))),
                Some(known) if known != device => self.tell(Happening::Changed(Arc::clone(device))),
                Some(_) => {}
            }
        }
    }

    fn happen(&mut self, message: ServerMessage) {
        match message {
            ServerMessage::InputReading(reading) => self.tell(Happening::Reading(reading)),
            ServerMessage::OutputsChanged(outputs) => {
                self.tell(Happening::Outputs(Arc::new(outputs.outputs)))
            }
            ServerMessage::Recorded(body) => {
                self.tell(Happening::Recorded(body.device_index, Arc::new(body.lines)));
            }
            ServerMessage::ScanningFinished(_) => self.tell(Happening::ScanningFinished),
            ServerMessage::Error(error) => self.trouble(error.into()),
            // Compared already.
            ServerMessage::DeviceList(_) => {}
            ServerMessage::ServerInfo(_)
            | ServerMessage::Ok(_)
            | ServerMessage::Status(_)
            | ServerMessage::Clients(_)
            | ServerMessage::Outputs(_) => debug!("an answer came with Id 0"),
        }
    }

    fn ping_answered(&mut self, message: ServerMessage) {
        if let ServerMessage::Error(error) = message {
            self.trouble(error.into());
        }
    }

    fn trouble(&mut self, error: ServerError) {
        self.last_trouble = Some(error.clone());
        self.tell(Happening::Trouble(error));
    }

    fn tell(&self, happening: Happening) {
        // An error means that nobody listens, which is fine.
        drop(self.happenings.send(happening));
    }

    /// The application has let go of everything: what it asked for last is still written.
    async fn say_last_words(&mut self) -> Result<(), Closed> {
        let write_all = async {
            while let Ok(frame) = self.stops.try_recv() {
                self.put(frame)?;
            }
            while let Ok(frame) = self.requests.try_recv() {
                self.put(frame)?;
            }
            while !self.out.is_empty() {
                self.stream.writable().await.map_err(broken)?;
                self.write()?;
            }
            Ok::<(), Closed>(())
        };
        match timeout(LAST_WORDS, write_all).await {
            Ok(Ok(())) => Err(Closed::ByClient),
            Ok(Err(closed)) => Err(closed),
            Err(_) => Err(Closed::Broken(DOES_NOT_READ.into())),
        }
    }

    fn gone(&mut self) -> Closed {
        if let Err(error) = self.frames.finish() {
            return Closed::Broken(error.to_string());
        }
        self.last_trouble.take().map_or(Closed::ByServer, Closed::Refused)
    }

    /// Publishes the end first, then fails everyone who waits.
    fn end(mut self, closed: Closed) {
        debug!(%closed, "the session is over");
        self.closed.send_replace(Some(closed.clone()));
        for (_, device) in self.devices.send_replace(Devices::new()) {
            self.tell(Happening::Removed(device));
        }
        self.tell(Happening::Closed(closed.clone()));
        self.stops.close();
        self.requests.close();
        let mut waiting: Vec<_> = self.pending.drain().map(|(_, answer)| answer).collect();
        while let Ok(frame) = self.stops.try_recv() {
            waiting.extend(frame.into_iter().map(|request| request.answer));
        }
        while let Ok(frame) = self.requests.try_recv() {
            waiting.extend(frame.into_iter().map(|request| request.answer));
        }
        for answer in waiting {
            give(answer, Err(closed.clone().into()));
        }
    }
}

fn give(to: oneshot::Sender<Answer>, answer: Answer) {
    if to.send(answer).is_err() {
        debug!("a caller has stopped waiting for its answer");
    }
}

fn broken(error: io::Error) -> Closed {
    Closed::Broken(error.to_string())
}

fn id(message: &ServerMessage) -> u32 {
    match message {
        ServerMessage::ServerInfo(body) => body.id,
        ServerMessage::Ok(body) | ServerMessage::ScanningFinished(body) => body.id,
        ServerMessage::Error(body) => body.id,
        ServerMessage::DeviceList(body) => body.id,
        ServerMessage::InputReading(body) => body.id,
        ServerMessage::Status(body) => body.id,
        ServerMessage::Clients(body) => body.id,
        ServerMessage::Outputs(body) | ServerMessage::OutputsChanged(body) => body.id,
        ServerMessage::Recorded(body) => body.id,
    }
}
