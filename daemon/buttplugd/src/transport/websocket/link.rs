//! A device that dialled in and is used: the task that alone reads and writes its connection, and the transport in front of it.

use std::time::Duration;

use async_trait::async_trait;
use engine::protocol::{Endpoint, WriteKind};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{
    net::TcpStream,
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{
    super::{Access, Opened, Opener, Transport, TransportEvent, TransportFault, thread::timed_out},
    backlog::Backlog,
};

const COMMANDS: &str = "tx";
const ANSWERS: &str = "rx";

/// The time in which a device has to take a packet.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// How often a device is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A device that has said nothing for so long, not even that it is there, is gone: Wi-Fi does not tell.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// Messages that may wait for the device's task. With more, the device is read no further until some are taken.
const EVENT_QUEUE: usize = 64;

/// A connection that has said what it is. Dropping it is to hang up.
pub(super) struct DialledIn {
    stream: WebSocketStream<TcpStream>,
}

impl DialledIn {
    pub(super) fn new(stream: WebSocketStream<TcpStream>) -> Self {
        Self { stream }
    }
}

#[async_trait]
impl Opener for DialledIn {
    fn shows_itself(&self) -> bool {
        true
    }

    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        match access {
            Access::WebSocket => {}
            Access::Bluetooth { .. }
            | Access::Serial(_)
            | Access::Hid(_)
            | Access::Gamepad
            | Access::Simulated => {
                return Err(TransportFault::Refused(
                    "a device that dialled in is opened as nothing else".to_owned(),
                ));
            }
        }
        let (tell, events) = mpsc::channel(EVENT_QUEUE);
        // One write at a time, so one place; the device's task waits for it.
        let (write, jobs) = mpsc::channel(1);
        let mut link = JoinSet::new();
        link.spawn(
            Link {
                stream: self.stream,
                heard: Heard::No,
                tell,
                last: Instant::now(),
                backlog: Backlog::default(),
                held: None,
            }
            .run(jobs),
        );
        Ok(Opened { transport: Box::new(WebSocketDevice { write, link }), events })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Yes,
    No,
}

enum Job {
    Write(Packet),
    Hear(Heard),
    Close(oneshot::Sender<()>),
}

struct Packet {
    data: Vec<u8>,
    reply: oneshot::Sender<Result<(), TransportFault>>,
}

/// A packet that waits until the device has read others.
struct Held {
    packet: Packet,
    until: Instant,
}

/// The task of a connection, which alone reads and writes it.
struct Link {
    stream: WebSocketStream<TcpStream>,
    heard: Heard,
    tell: mpsc::Sender<TransportEvent>,
    /// When the device last said anything.
    last: Instant,
    backlog: Backlog,
    held: Option<Held>,
}

impl Link {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let lost = loop {
            // Waiting is cancel-safe in each arm; what follows a wait is done to its end, within a limit.
            tokio::select! {
                // One packet may wait, and another task waits for it: while it does, no other comes.
                job = jobs.recv(), if self.held.is_none() => match job {
                    Some(Job::Write(packet)) if self.backlog.is_full() => {
                        self.held = Some(Held { packet, until: Instant::now() + WRITE_LIMIT });
                    }
                    Some(Job::Write(packet)) => if let Err(fault) = self.write(packet).await {
                        break fault;
                    },
                    Some(Job::Hear(heard)) => self.heard = heard,
                    Some(Job::Close(done)) => {
                        if timeout(WRITE_LIMIT, self.stream.close(None)).await.is_err() {
                            tracing::debug!("a WebSocket device does not take its goodbye");
                        }
                        done.send(()).ok();
                        return;
                    }
                    None => return,
                },
                message = self.stream.next() => match message {
                    Some(Ok(Message::Pong(_))) => {
                        self.last = Instant::now();
                        self.backlog.answered();
                        if let Err(fault) = self.go_on().await {
                            break fault;
                        }
                    }
                    Some(Ok(message)) => {
                        self.last = Instant::now();
                        if self.take(message).await.is_err() {
                            return;
                        }
                    }
                    Some(Err(error)) => break TransportFault::Disconnected(error.to_string()),
                    None => break TransportFault::Disconnected("it hung up".to_owned()),
                },
                _ = pings.tick() => {
                    if self.last.elapsed() > SILENCE_LIMIT {
                        break TransportFault::Disconnected(format!("nothing was heard for {SILENCE_LIMIT:?}"));
                    }
                    if self.backlog.takes_ping() && let Err(fault) = self.ping().await {
                        break fault;
                    }
                }
                () = overdue(self.held.as_ref()), if self.held.is_some() => {
                    if let Some(Held { packet, .. }) = self.held.take() {
                        packet.reply.send(Err(timed_out(WRITE_LIMIT))).ok();
                    }
                }
            }
        };
        // What the system still holds of old packets is not to reach the device once it was given up.
        if let Err(error) = self.stream.get_ref().set_zero_linger() {
            tracing::debug!(%error, "a WebSocket device may still be sent what it did not read");
        }
        // Nobody may be there to hear it any more.
        self.tell.send(TransportEvent::Lost(lost)).await.ok();
    }

    /// Sends a packet and replies to whoever waits for it.
    async fn write(&mut self, packet: Packet) -> Result<(), TransportFault> {
        let sent = self.send(Message::Binary(packet.data.into())).await;
        // The limit of the waiting side may have passed.
        packet.reply.send(sent.clone()).ok();
        sent?;
        self.backlog.packet();
        self.ping_if_wanted().await
    }

    /// The device has read something: asks for what it has not read, and sends the packet that waited.
    async fn go_on(&mut self) -> Result<(), TransportFault> {
        self.ping_if_wanted().await?;
        match self.held.take() {
            // Whoever waited for it was told that it did not go out, and it must not.
            Some(Held { packet, .. }) if packet.reply.is_closed() => Ok(()),
            Some(Held { packet, .. }) => self.write(packet).await,
            None => Ok(()),
        }
    }

    async fn ping_if_wanted(&mut self) -> Result<(), TransportFault> {
        if self.backlog.wants_ping() { self.ping().await } else { Ok(()) }
    }

    async fn ping(&mut self) -> Result<(), TransportFault> {
        self.send(Message::Ping(Vec::new().into())).await?;
        self.backlog.pinged();
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), TransportFault> {
        match timeout(WRITE_LIMIT, self.stream.send(message)).await {
            Ok(sent) => sent.map_err(|error| TransportFault::Disconnected(error.to_string())),
            Err(_) => Err(timed_out(WRITE_LIMIT)),
        }
    }

    /// Passes on what the device says; an error when nobody is there to hear it.
    async fn take(&mut self, message: Message) -> Result<(), mpsc::error::SendError<TransportEvent>> {
        let data = match message {
            Message::Binary(data) => data.to_vec(),
            // Some devices answer in text; for a protocol these are bytes as well.
            Message::Text(text) => text.as_bytes().to_vec(),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => return Ok(()),
        };
        match self.heard {
            Heard::Yes => {
                let endpoint = Endpoint::from(ANSWERS);
                self.tell.send(TransportEvent::Notified { endpoint, data }).await
            }
            Heard::No => Ok(()),
        }
    }
}

/// Waits until the device has had its time.
async fn overdue(held: Option<&Held>) {
    match held {
        Some(held) => sleep_until(held.until).await,
        None => std::future::pending().await,
    }
}

/// A device that dialled in and is used.
struct WebSocketDevice {
    write: mpsc::Sender<Job>,
    link: JoinSet<()>,
}

impl WebSocketDevice {
    async fn ask(&self, job: Job) -> Result<(), TransportFault> {
        match timeout(WRITE_LIMIT, self.write.send(job)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(TransportFault::Disconnected("it hung up".to_owned())),
            Err(_) => Err(timed_out(WRITE_LIMIT)),
        }
    }
}

#[async_trait]
impl Transport for WebSocketDevice {
    fn endpoints(&self) -> Vec<Endpoint> {
        [COMMANDS, ANSWERS].into_iter().map(Endpoint::from).collect()
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], _: WriteKind) -> Result<(), TransportFault> {
        if endpoint != COMMANDS {
            return Err(TransportFault::NoEndpoint(endpoint.to_owned()));
        }
        let (reply, result) = oneshot::channel();
        self.ask(Job::Write(Packet { data: data.to_vec(), reply })).await?;
        // The link has a limit of its own and always replies, or is gone.
        result.await.unwrap_or_else(|_| Err(TransportFault::Disconnected("it hung up".to_owned())))
    }

    async fn read(&mut self, endpoint: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
        match endpoint {
            ANSWERS => Err(TransportFault::Refused(
                "a WebSocket device speaks by itself; it is subscribed to, not read".to_owned(),
            )),
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        match endpoint {
            ANSWERS => self.ask(Job::Hear(Heard::Yes)).await,
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        match endpoint {
            ANSWERS => self.ask(Job::Hear(Heard::No)).await,
            other => Err(TransportFault::NoEndpoint(other.to_owned())),
        }
    }

    async fn close(mut self: Box<Self>) {
        let (done, closed) = oneshot::channel();
        if self.ask(Job::Close(done)).await.is_ok() {
            // An error is the end of the link, which is what is waited for.
            timeout(WRITE_LIMIT, closed).await.ok();
        }
        self.link.shutdown().await;
    }
}
