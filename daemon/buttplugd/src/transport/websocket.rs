//! Devices that dial in: what people build themselves connects to port 54817, says what it is in one text frame
//! (`{"identifier": "..", "address": "..", "version": 0}`), and then speaks its protocol in binary frames.
//!
//! The other way round from every other bus: nothing is looked for, and the open path is there before the device is known. Web
//! pages may not dial in. Clients are not served here; see `front`.

use std::{io, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use engine::{
    advertisement::Advertisement,
    protocol::{Endpoint, WriteKind},
};
use futures_util::{SinkExt as _, StreamExt as _};
use rustix::io::Errno;
use serde::Deserialize;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_tungstenite::{
    WebSocketStream, accept_hdr_async_with_config,
    tungstenite::{
        Error, Message,
        handshake::server::{ErrorResponse, Request, Response},
        http::{StatusCode, header::ORIGIN},
        protocol::WebSocketConfig,
    },
};

use super::{
    Access, Discovered, Discovery, Finds, FromTransport, Opened, Opener, Transport, TransportEvent,
    TransportFault, TransportState, TransportStatus, thread::timed_out,
};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "websocket-devices";

const COMMANDS: &str = "tx";
const ANSWERS: &str = "rx";

/// The longest message of a device. What these devices say fits into some hundred bytes.
const MESSAGE_MAX: usize = 64 * 1024;
/// Devices that have not said yet what they are. With more, new ones are turned away.
const MOST_GREETING: usize = 16;
/// The time to say it.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// The time in which a device has to take a packet.
const WRITE_LIMIT: Duration = Duration::from_secs(2);
/// How often a device is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(5);
/// A device that has said nothing for so long, not even that it is there, is gone: Wi-Fi does not tell.
const SILENCE_LIMIT: Duration = Duration::from_secs(15);
/// Messages that may wait for the device's task. With more, the device is read no further until some are taken.
const EVENT_QUEUE: usize = 64;
/// The pause after the system could not take a connection (no file descriptors), so that it is not asked in a loop.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// What a device says of itself. Other members are left unread.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Greeting {
    identifier: String,
    address: String,
}

/// Runs the bus until nobody listens any more.
pub async fn run(discovery: Discovery, addresses: Vec<SocketAddr>) {
    let (listeners, failed) = bind(&addresses).await;
    let status = status(&listeners, failed);
    if discovery.tell.send(FromTransport::Status(status)).await.is_err() || listeners.is_empty() {
        return;
    }
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, discovery.clone()));
    }
    // Their end is that of the bus.
    discovery.tell.closed().await;
    accepting.shutdown().await;
}

type Failed = Option<(SocketAddr, io::Error)>;

/// Listens where it can. The first address that it cannot is told of if there is no other.
async fn bind(addresses: &[SocketAddr]) -> (Vec<TcpListener>, Failed) {
    let (mut listeners, mut failed) = (Vec::new(), None);
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                if let Ok(address) = listener.local_addr() {
                    tracing::info!(%address, "WebSocket devices may dial in");
                }
                listeners.push(listener);
            }
            Err(error) => {
                tracing::debug!(%address, %error, "WebSocket devices cannot dial in here");
                failed = failed.or(Some((*address, error)));
            }
        }
    }
    (listeners, failed)
}

fn status(listeners: &[TcpListener], failed: Failed) -> TransportStatus {
    let (state, reason, hint) = match failed {
        Some((address, error)) if listeners.is_empty() => {
            let hint = match Errno::from_io_error(&error) {
                Some(Errno::ADDRINUSE) => {
                    "another program has the port: end it, or set `websocket-devices.listen` in buttplugd.toml"
                }
                Some(Errno::AFNOSUPPORT | Errno::PERM | Errno::ACCESS) => {
                    "the unit allows no network: `systemctl --user edit buttplugd`, and there in [Service] \
                     `RestrictAddressFamilies=AF_INET AF_INET6`"
                }
                Some(_) | None => {
                    "set `websocket-devices.listen` in buttplugd.toml to an address of this machine"
                }
            };
            let reason = format!("devices cannot dial in at {address}: {error}");
            (TransportState::Unavailable, reason, hint)
        }
        Some(_) | None => (TransportState::Ready, String::new(), ""),
    };
    TransportStatus { transport: NAME, finds: Finds::Unasked, state, reason, hint: hint.to_owned() }
}

async fn accept(listener: TcpListener, discovery: Discovery) {
    let mut greetings = JoinSet::new();
    // Both arms are cancel-safe.
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((_, from)) if greetings.len() >= MOST_GREETING => {
                    tracing::warn!(%from, "too many WebSocket devices dial in at once; one is turned away");
                }
                Ok((stream, _)) => {
                    greetings.spawn(timeout(GREETING_LIMIT, greet(stream)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a WebSocket device cannot dial in");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(greeted) = greetings.join_next() => match greeted {
                Ok(Ok(Ok(discovered))) => {
                    if discovery.tell.send(FromTransport::Discovered(discovered)).await.is_err() {
                        return;
                    }
                }
                Ok(Ok(Err(why))) => tracing::info!(%why, "a WebSocket device is turned away"),
                Ok(Err(_)) => tracing::info!("a WebSocket device took too long to say what it is"),
                Err(error) => tracing::error!(%error, "the greeting of a WebSocket device failed"),
            },
        }
    }
}

/// Why a device is turned away.
#[derive(Debug, thiserror::Error)]
enum TurnedAway {
    #[error("{0}")]
    Connection(#[from] Error),
    #[error("it said nothing")]
    Silent,
    #[error("its first message is no text")]
    NoText,
    #[error("its first message does not say what it is: {0}")]
    NoGreeting(#[from] serde_json::Error),
    #[error("it says no identifier or no address")]
    Nameless,
}

async fn greet(stream: TcpStream) -> Result<Discovered, TurnedAway> {
    // Packets are small, and each is waited for.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "cannot switch off the delay of small writes");
    }
    let settings = WebSocketConfig::default()
        .read_buffer_size(MESSAGE_MAX)
        .max_message_size(Some(MESSAGE_MAX))
        .max_frame_size(Some(MESSAGE_MAX));
    let mut stream = accept_hdr_async_with_config(stream, no_page, Some(settings)).await?;
    let first = loop {
        match stream.next().await.ok_or(TurnedAway::Silent)?? {
            Message::Text(text) => break text,
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => return Err(TurnedAway::Silent),
            Message::Binary(_) | Message::Frame(_) => return Err(TurnedAway::NoText),
        }
    };
    let Greeting { identifier, address } = serde_json::from_str(&first)?;
    if identifier.is_empty() || address.is_empty() {
        return Err(TurnedAway::Nameless);
    }
    Ok(Discovered {
        transport: NAME,
        advertisement: Advertisement::WebSocket { name: identifier },
        address,
        opener: Box::new(DialledIn { stream }),
    })
}

/// A page in a browser could otherwise pass for a device of the person who looks at it.
#[expect(clippy::result_large_err, reason = "the library wants it so")]
fn no_page(request: &Request, response: Response) -> Result<Response, ErrorResponse> {
    if request.headers().contains_key(ORIGIN) {
        let mut refusal = ErrorResponse::new(Some("Web pages cannot be devices.\n".to_owned()));
        *refusal.status_mut() = StatusCode::FORBIDDEN;
        return Err(refusal);
    }
    Ok(response)
}

/// A connection that has said what it is. Dropping it is to hang up.
struct DialledIn {
    stream: WebSocketStream<TcpStream>,
}

#[async_trait]
impl Opener for DialledIn {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        match access {
            Access::WebSocket => {}
            Access::Bluetooth { .. }
            | Access::Serial(_)
            | Access::Hid
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
        link.spawn(Link { stream: self.stream, heard: Heard::No, tell, last: Instant::now() }.run(jobs));
        Ok(Opened { transport: Box::new(WebSocketDevice { write, link }), events })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Yes,
    No,
}

enum Job {
    Write(Vec<u8>, oneshot::Sender<Result<(), TransportFault>>),
    Hear(Heard),
    Close(oneshot::Sender<()>),
}

/// The task of a connection, which alone reads and writes it.
struct Link {
    stream: WebSocketStream<TcpStream>,
    heard: Heard,
    tell: mpsc::Sender<TransportEvent>,
    /// When the device last said anything.
    last: Instant,
}

impl Link {
    async fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let lost = loop {
            // Waiting is cancel-safe in each arm; what follows a wait is done to its end, within a limit.
            tokio::select! {
                job = jobs.recv() => match job {
                    Some(Job::Write(data, reply)) => {
                        let sent = self.send(Message::Binary(data.into())).await;
                        let fault = sent.as_ref().err().cloned();
                        // The limit of the waiting side may have passed.
                        reply.send(sent).ok();
                        if let Some(fault) = fault {
                            break fault;
                        }
                    }
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
                    if let Err(fault) = self.send(Message::Ping(Vec::new().into())).await {
                        break fault;
                    }
                }
            }
        };
        // Nobody may be there to hear it any more.
        self.tell.send(TransportEvent::Lost(lost)).await.ok();
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
        self.ask(Job::Write(data.to_vec(), reply)).await?;
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

#[cfg(test)]
mod tests {
    use tokio::sync::watch;
    use tokio_tungstenite::{client_async, tungstenite::client::IntoClientRequest as _};

    use super::*;
    use crate::transport::ScanWish;

    const PATIENCE: Duration = Duration::from_secs(10);

    struct Bus {
        address: SocketAddr,
        told: mpsc::Receiver<FromTransport>,
        _wish: watch::Sender<ScanWish>,
        _task: JoinSet<()>,
    }

    async fn bus() -> Bus {
        // The port is chosen by the system, so that tests do not meet.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, told) = mpsc::channel(8);
        let (wish, wishes) = watch::channel(ScanWish::Rest);
        let mut task = JoinSet::new();
        task.spawn(accept(listener, Discovery { wish: wishes, tell }));
        Bus { address, told, _wish: wish, _task: task }
    }

    impl Bus {
        async fn dial(&self) -> WebSocketStream<TcpStream> {
            let stream = TcpStream::connect(self.address).await.unwrap();
            client_async("ws://localhost/", stream).await.unwrap().0
        }

        async fn discovered(&mut self) -> Discovered {
            match timeout(PATIENCE, self.told.recv()).await.unwrap().unwrap() {
                FromTransport::Discovered(discovered) => discovered,
                FromTransport::Status(_) | FromTransport::ScanEnded(_) => panic!("a device was to be told"),
            }
        }

        /// A device that has dialled in and is open.
        async fn open(&mut self) -> (Opened, WebSocketStream<TcpStream>) {
            let mut device = self.dial().await;
            device
                .send(Message::text(r#"{"identifier":"LVSDevice","address":"A1","version":0}"#))
                .await
                .unwrap();
            let discovered = self.discovered().await;
            assert_eq!(discovered.advertisement, Advertisement::WebSocket { name: "LVSDevice".into() });
            assert_eq!(discovered.address, "A1");
            (discovered.opener.open(&Access::WebSocket).await.unwrap(), device)
        }
    }

    #[tokio::test]
    async fn a_device_that_dials_in_speaks_both_ways_until_it_hangs_up() {
        let mut bus = bus().await;
        let (Opened { mut transport, mut events }, mut device) = bus.open().await;
        transport.write("tx", b"Vibrate:5;", WriteKind::WithoutResponse).await.unwrap();
        let sent = loop {
            let message = timeout(PATIENCE, device.next()).await.unwrap().unwrap().unwrap();
            if !message.is_ping() {
                break message;
            }
        };
        assert_eq!(sent, Message::binary(b"Vibrate:5;".to_vec()));

        transport.subscribe("rx").await.unwrap();
        // The link has taken the subscription when it takes the next write.
        transport.write("tx", b"x", WriteKind::WithoutResponse).await.unwrap();
        device.send(Message::binary(b"OK;".to_vec())).await.unwrap();
        let told = TransportEvent::Notified { endpoint: Endpoint::from("rx"), data: b"OK;".to_vec() };
        assert_eq!(timeout(PATIENCE, events.recv()).await.unwrap(), Some(told));

        drop(device);
        let lost = timeout(PATIENCE, events.recv()).await.unwrap();
        assert!(matches!(lost, Some(TransportEvent::Lost(TransportFault::Disconnected(_)))), "{lost:?}");
        assert!(transport.write("tx", b"x", WriteKind::WithoutResponse).await.is_err());
    }

    #[tokio::test]
    async fn a_closed_device_is_told() {
        let mut bus = bus().await;
        let (opened, mut device) = bus.open().await;
        let read = async {
            while let Some(Ok(message)) = device.next().await
                && !message.is_close()
            {}
        };
        let ((), end) = tokio::join!(opened.transport.close(), timeout(PATIENCE, read));
        assert!(end.is_ok());
    }

    #[tokio::test]
    async fn what_does_not_say_what_it_is_is_turned_away_and_keeps_nobody_out() {
        let mut bus = bus().await;
        let _silent = bus.dial().await;
        for nonsense in [
            Message::text("hello"),
            Message::text(r#"{"identifier":"","address":"A1","version":0}"#),
            Message::text(r#"{"identifier":"LVSDevice"}"#),
            Message::binary(vec![1, 2, 3]),
        ] {
            let mut device = bus.dial().await;
            device.send(nonsense).await.unwrap();
            let read = async { while let Some(Ok(_)) = device.next().await {} };
            timeout(PATIENCE, read).await.unwrap();
        }
        bus.open().await;
    }

    #[tokio::test]
    async fn a_web_page_is_no_device() {
        let bus = bus().await;
        let mut request = "ws://localhost/".into_client_request().unwrap();
        request.headers_mut().insert("Origin", "https://example.org".parse().unwrap());
        let stream = TcpStream::connect(bus.address).await.unwrap();
        let refused = client_async(request, stream).await.unwrap_err();
        assert!(matches!(refused, Error::Http(response) if response.status() == 403));
    }

    #[tokio::test]
    async fn a_port_that_is_taken_is_said_with_what_mends_it() {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (listeners, failed) = bind(&[taken.local_addr().unwrap()]).await;
        let status = status(&listeners, failed);
        assert_eq!(status.state, TransportState::Unavailable);
        assert!(status.hint.contains("websocket-devices.listen"), "{status:?}");
    }
}
