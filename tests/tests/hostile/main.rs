//! Hostile and clumsy clients against the real service, one sin a row, each with the answer that it must get. Beside them all
//! a client that behaves well drives a device, and keeps its round trips.
//!
//! What is refused before a session begins for reasons of policy (Origins, whose socket it is, how many sessions) is with the
//! tests of the fronts.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

mod breaches;
mod habits;
mod messages;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use system_tests::{
    bluez::PATIENCE,
    peer::Peer,
    service::{Home, Launch, Service},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// Short limits, so that those who wait for the service to lose its patience need not wait long.
const CONFIG: &str = "
[limits]
frame-size = 65536
half-open = 64
handshake-time-ms = 1000
write-time-ms = 500
[simulated]
models = [\"Simulated Motor\"]
";

/// The frame size of [`CONFIG`].
const FRAME_SIZE: usize = 65_536;

/// A round trip of the client that behaves well takes about a millisecond. A second is time that others took from it, on
/// however busy a machine.
const ROUND_TRIP_MAX: Duration = Duration::from_secs(1);

/// A text message that is a whole one, a part of one that goes on, and what goes on: the first byte of a WebSocket frame.
const TEXT: u8 = 0x81;
const TEXT_TO_BE_CONTINUED: u8 = 0x01;
const CONTINUED: u8 = 0x00;
const BINARY: u8 = 0x82;
const PING: u8 = 0x89;

struct Stage {
    service: Service,
    /// Where WebSocket is served over TCP.
    address: String,
    beside: Beside,
    _home: Home,
}

impl Stage {
    async fn set() -> Self {
        let home = Home::new().unwrap();
        home.write_config("buttplugd.toml", CONFIG).unwrap();
        let launch = Launch::new(&home).arg("--no-dbus").arg("--simulated");
        let service = launch.arg("--websocket").arg("127.0.0.1:0").start().await.unwrap();
        service.wait_for_log(" ready ").await.unwrap();
        let log = service.log();
        let (_, rest) = log.split_once("websocket=\"").unwrap();
        let (address, _) = rest.split_once('"').unwrap();
        let address = address.to_owned();
        let beside = Beside::begin(service.socket().to_owned()).await;
        Self { service, address, beside, _home: home }
    }

    async fn peer(&self, door: Door) -> Peer {
        match door {
            Door::Socket => Peer::socket(self.service.socket()).await.unwrap(),
            Door::WebSocket => Peer::websocket(&self.address, None).await.unwrap(),
        }
    }

    async fn socket(&self) -> UnixStream {
        UnixStream::connect(self.service.socket()).await.unwrap()
    }

    async fn tcp(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// A connection on which the handshake of WebSocket is done, and nothing else.
    async fn upgraded(&self) -> TcpStream {
        let mut stream = self.tcp().await;
        let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"\r\n\r\n") {
            let byte = timeout(PATIENCE, stream.read_u8()).await.unwrap();
            answer.push(byte.unwrap());
        }
        assert!(answer.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&answer));
        stream
    }

    /// Fails if the client beside has noticed anything since the last look.
    async fn others_noticed_nothing(&mut self, sin: &str) {
        self.beside.round_trips(sin).await;
        self.service.assert_alive();
    }
}

/// A client that behaves well and drives a device all the time.
struct Beside {
    seen: watch::Receiver<RoundTrips>,
    end: watch::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, Default)]
struct RoundTrips {
    count: u64,
    slowest: Duration,
}

impl Beside {
    async fn begin(socket: PathBuf) -> Self {
        let mut peer = Peer::socket(&socket).await.unwrap();
        peer.open("well-behaved").await.unwrap();
        peer.request("StartScanning", json!({})).await.unwrap();
        let index = loop {
            let reply = peer.request("RequestDeviceList", json!({})).await.unwrap();
            if let Some(index) = reply["DeviceList"]["Devices"].as_object().unwrap().keys().next() {
                break index.parse::<u32>().unwrap();
            }
            peer.event("DeviceList").await.unwrap();
        };
        peer.request("StopScanning", json!({})).await.unwrap();
        let (tell, seen) = watch::channel(RoundTrips::default());
        let (end, mut ended) = watch::channel(());
        let task = tokio::spawn(async move {
            let mut trips = RoundTrips::default();
            loop {
                let command = json!({ "Vibrate": { "Value": trips.count % 100 } });
                let body = json!({ "DeviceIndex": index, "FeatureIndex": 0, "Command": command });
                let begin = Instant::now();
                let reply = peer.request("OutputCmd", body).await.unwrap();
                assert!(reply.get("Ok").is_some(), "{reply}");
                trips.count += 1;
                trips.slowest = trips.slowest.max(begin.elapsed());
                tell.send_replace(trips);
                // A pace that leaves the machine to the sinners, and an end that is waited for.
                if timeout(Duration::from_millis(5), ended.changed()).await.is_ok() {
                    return;
                }
            }
        });
        Self { seen, end, task }
    }

    /// Waits for two round trips, the second of which began and ended after this call.
    async fn round_trips(&mut self, sin: &str) {
        let before = self.seen.borrow().count;
        let more = self.seen.wait_for(|trips| trips.count >= before + 2);
        let trips = *timeout(PATIENCE, more).await.unwrap_or_else(|_| panic!("{sin}: none")).unwrap();
        assert!(trips.slowest < ROUND_TRIP_MAX, "{sin}: a round trip beside it took {:?}", trips.slowest);
    }

    async fn end(self) {
        self.end.send(()).unwrap();
        self.task.await.unwrap();
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Socket,
    WebSocket,
}

const BOTH: [Door; 2] = [Door::Socket, Door::WebSocket];

/// Reads to the end of a connection, which must come.
async fn to_the_end(sin: &str, stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut rest = Vec::new();
    // A reset is an end as well.
    timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap_or_else(|_| panic!("{sin}: no end")).ok();
    rest
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// A frame of WebSocket as a client sends it, masked with zeros.
fn websocket_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match u16::try_from(payload.len()) {
        Ok(length @ ..126) => frame.push(0x80 | u8::try_from(length).unwrap()),
        Ok(length) => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
        Err(_) => {
            frame.push(0x80 | 127);
            frame.extend(u64::try_from(payload.len()).unwrap().to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A frame of the socket.
fn socket_frame(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_le_bytes()[..], payload].concat()
}

fn hello(id: u32, major: u32) -> Value {
    let body =
        json!({ "Id": id, "ClientName": "x", "ProtocolVersionMajor": major, "ProtocolVersionMinor": 0 });
    json!([{ "RequestServerInfo": body }])
}

/// Waits until the service knows of no session but that of the client beside, and of the one that asks.
async fn nobody_is_left(stage: &mut Stage) {
    let mut peer = stage.peer(Door::Socket).await;
    peer.open_with("looks around", json!({ "Extensions": ["monitor"] })).await.unwrap();
    let begin = Instant::now();
    loop {
        let reply = peer.request("RequestClients", json!({})).await.unwrap();
        let clients = reply["Clients"]["Clients"].as_array().unwrap_or_else(|| panic!("{reply}"));
        if clients.len() == 2 {
            return;
        }
        assert!(begin.elapsed() < PATIENCE, "{reply}");
        stage.beside.round_trips("those who are left").await;
    }
}
