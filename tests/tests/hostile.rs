//! Hostile and clumsy clients against the real service, one sin a row, each with the answer that it must get. Beside them all
//! a client that behaves well drives a device, and keeps its round trips.
//!
//! What is refused before a session begins for reasons of policy (Origins, whose socket it is, how many sessions) is with the
//! tests of the fronts.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

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
[socket]
max-ping-time-ms = 0
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

// ---- The stage ----

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

// ---- Messages that are wrong: an answer each, and the connection lives ----

/// What is sent, before or after the handshake, and the Id and class of the error that answers it.
struct Wrong {
    sin: &'static str,
    greeted: bool,
    what: Sent,
    id: u32,
    class: u32,
}

enum Sent {
    /// In the encoding of either door.
    Either(Value),
    /// The payload of a frame, as it is, through one door.
    Bytes(Door, Vec<u8>),
}

fn before(sin: &'static str, frame: Value, id: u32, class: u32) -> Wrong {
    Wrong { sin, greeted: false, what: Sent::Either(frame), id, class }
}

fn after(sin: &'static str, frame: Value, id: u32, class: u32) -> Wrong {
    Wrong { sin, greeted: true, what: Sent::Either(frame), id, class }
}

fn packed(sin: &'static str, payload: &[u8], id: u32) -> Wrong {
    Wrong { sin, greeted: true, what: Sent::Bytes(Door::Socket, payload.to_vec()), id, class: 3 }
}

fn text(sin: &'static str, payload: &[u8], id: u32) -> Wrong {
    Wrong { sin, greeted: true, what: Sent::Bytes(Door::WebSocket, payload.to_vec()), id, class: 3 }
}

fn hello(id: u32, major: u32) -> Value {
    let body =
        json!({ "Id": id, "ClientName": "x", "ProtocolVersionMajor": major, "ProtocolVersionMinor": 0 });
    json!([{ "RequestServerInfo": body }])
}

fn wrong_messages() -> Vec<Wrong> {
    let output = |device: Value, feature: Value, command: Value| {
        json!([{ "OutputCmd": {
            "Id": 9, "DeviceIndex": device, "FeatureIndex": feature, "Command": command
        } }])
    };
    let vibrate = |value: Value| output(json!(77), json!(0), json!({ "Vibrate": { "Value": value } }));
    vec![
        // The handshake.
        before("no handshake", json!([{ "Ping": { "Id": 3 } }]), 3, 1),
        before(
            "no handshake, but a stop of one device",
            json!([{ "StopCmd": { "Id": 3, "DeviceIndex": 0 } }]),
            3,
            1,
        ),
        before("no handshake, not even a message", json!("hello"), 0, 3),
        before("a handshake without a name", json!([{ "RequestServerInfo": { "Id": 3 } }]), 3, 1),
        before("a handshake with Id 0", hello(0, 4), 0, 3),
        after("a second handshake", hello(3, 4), 3, 1),
        // Names and shapes.
        after("an unknown message", json!([{ "Explode": { "Id": 4 } }]), 4, 3),
        after("a message without a name", json!([{ "": { "Id": 4 } }]), 4, 3),
        after("a name of a thousand letters", json!([{ "x".repeat(1_000): { "Id": 4 } }]), 4, 3),
        after("a message of another version", json!([{ "ScalarCmd": { "Id": 4 } }]), 4, 3),
        after("a reply as a request", json!([{ "Ok": { "Id": 4 } }]), 4, 3),
        after(
            "an error as a request",
            json!([{ "Error": { "Id": 4, "ErrorMessage": "no, you", "ErrorCode": 1 } }]),
            4,
            3,
        ),
        after("an event as a request", json!([{ "ScanningFinished": { "Id": 4 } }]), 4, 3),
        after("a device list for the server", json!([{ "DeviceList": { "Id": 4, "Devices": {} } }]), 4, 3),
        after("two messages in one map", json!([{ "Ping": { "Id": 4 }, "StopScanning": { "Id": 4 } }]), 4, 3),
        after("no array", json!({ "Ping": { "Id": 4 } }), 4, 3),
        after("an empty array", json!([]), 0, 3),
        after("an empty map", json!([{}]), 0, 3),
        after("an array of numbers", json!([1]), 0, 3),
        after("an array in an array", json!([[{ "Ping": { "Id": 4 } }]]), 0, 3),
        after("a body that is text", json!([{ "Ping": "4" }]), 0, 3),
        after("a body that is a list", json!([{ "Ping": [4] }]), 0, 3),
        after("nothing", Value::Null, 0, 3),
        // Ids.
        after("no Id", json!([{ "Ping": {} }]), 0, 3),
        after("Id 0", json!([{ "Ping": { "Id": 0 } }]), 0, 3),
        after("an Id beyond its type", json!([{ "Ping": { "Id": 4_294_967_296_u64 } }]), 0, 3),
        after("an Id beyond any type", json!([{ "Ping": { "Id": u64::MAX } }]), 0, 3),
        after("a negative Id", json!([{ "Ping": { "Id": -1 } }]), 0, 3),
        after("text for an Id", json!([{ "Ping": { "Id": "4" } }]), 0, 3),
        after("a fraction for an Id", json!([{ "Ping": { "Id": 4.5 } }]), 0, 3),
        after("a list for an Id", json!([{ "Ping": { "Id": [4] } }]), 0, 3),
        after("null for an Id", json!([{ "Ping": { "Id": null } }]), 0, 3),
        // Values and indices.
        after("an unknown device", vibrate(json!(1)), 9, 4),
        after("an unknown output", output(json!(77), json!(0), json!({ "Explode": { "Value": 1 } })), 9, 3),
        after(
            "two outputs in one command",
            output(json!(77), json!(0), json!({ "Vibrate": { "Value": 1 }, "Led": { "Value": 1 } })),
            9,
            3,
        ),
        after("text for a value", vibrate(json!("1")), 9, 3),
        after("a truth value for a value", vibrate(json!(true)), 9, 3),
        after("a fraction for a value", vibrate(json!(0.5)), 9, 3),
        after("a value beyond its type", vibrate(json!(5_000_000_000_u64)), 9, 3),
        after("a value beyond all bounds", vibrate(json!(1e300)), 9, 3),
        after("no value", output(json!(77), json!(0), json!({ "Vibrate": {} })), 9, 3),
        after("a negative device", output(json!(-1), json!(0), json!({ "Vibrate": { "Value": 1 } })), 9, 3),
        after("a negative feature", output(json!(77), json!(-1), json!({ "Vibrate": { "Value": 1 } })), 9, 3),
        after(
            "a device beyond its type",
            json!([{ "StopCmd": { "Id": 9, "DeviceIndex": 1_u64 << 32 } }]),
            9,
            3,
        ),
        after("a stop of an unknown device", json!([{ "StopCmd": { "Id": 9, "DeviceIndex": 77 } }]), 9, 4),
        // What only one encoding can say.
        text("no text at all", b"", 0),
        text("text that is no JSON", b"nonsense", 0),
        text("JSON that breaks off", b"[{\"Ping\":{\"Id\":4}", 0),
        text("NaN in JSON", b"[{\"Ping\":{\"Id\":NaN}}]", 0),
        text("half a surrogate", b"[{\"Ping\":{\"Id\":4,\"x\":\"\\ud800\"}}]", 0),
        text("invalid UTF-8 in a binary message", b"[{\"Ping\":{\"Id\":4,\"x\":\"\xff\"}}]", 0),
        text("MessagePack through the wrong door", b"\x91\x81\xa4Ping\x81\xa2Id\x04", 0),
        text("garbage in a binary message", &[0xfe, 0xed, 0xfa, 0xce], 0),
        text("nesting without an end", &[b'['; 60_000], 0),
        packed("an empty frame", b"", 0),
        packed("JSON through the wrong door", b"[{\"Ping\":{\"Id\":4}}]", 0),
        packed("MessagePack that breaks off", b"\x91\x81\xa4Ping\x81\xa2Id", 0),
        packed("a byte that MessagePack does not have", b"\xc1", 0),
        packed("an array of four thousand million messages", b"\xdd\xff\xff\xff\xff", 0),
        packed("a map of four thousand million messages", b"\x91\xdf\xff\xff\xff\xff", 0),
        packed("a text of four gigabytes", b"\x91\x81\xdb\xff\xff\xff\xffPing", 0),
        packed("bytes for a name", b"\x91\x81\xc4\x04Ping\x81\xa2Id\x04", 0),
        packed("a text that is not UTF-8", b"\x91\x81\xa4\xff\xfe\xfd\xfc\x81\xa2Id\x04", 0),
        packed("NaN for a value", b"\x91\x81\xa4Ping\x82\xa2Id\x04\xa1x\xcb\x7f\xf8\0\0\0\0\0\0", 4),
        packed("infinity for an Id", b"\x91\x81\xa4Ping\x81\xa2Id\xcb\x7f\xf0\0\0\0\0\0\0", 0),
        packed("a type of somebody's own", b"\x91\x81\xa4Ping\x82\xa2Id\x04\xa1x\xd4\x01\x00", 4),
        packed("nesting without an end", &[0x91; 60_000], 0),
    ]
}

#[tokio::test]
async fn a_wrong_message_is_answered_and_the_connection_lives() {
    let mut stage = Stage::set().await;
    for wrong in wrong_messages() {
        for door in BOTH {
            let sin = format!("{} through {door:?}", wrong.sin);
            if matches!(wrong.what, Sent::Bytes(only, _) if only != door) {
                continue;
            }
            let mut peer = stage.peer(door).await;
            if wrong.greeted {
                peer.open("clumsy").await.unwrap();
            }
            match (&wrong.what, door) {
                (Sent::Either(frame), _) => peer.send_batch(frame).await.unwrap(),
                (Sent::Bytes(_, payload), Door::Socket) => {
                    peer.send_raw(&socket_frame(payload)).await.unwrap();
                }
                (Sent::Bytes(_, payload), Door::WebSocket) => peer.send_raw(payload).await.unwrap(),
            }
            let answer = peer.message_that(&sin, |message| message.get("Error").is_some()).await;
            let answer = answer.unwrap_or_else(|error| panic!("{sin}: {error:#}\n{}", stage.service.log()));
            let error = &answer["Error"];
            let wanted = (&json!(wrong.id), &json!(wrong.class));
            assert_eq!((&error["Id"], &error["ErrorCode"]), wanted, "{sin}: {error}");
            assert!(error["ErrorMessage"].as_str().is_some_and(|text| !text.is_empty()), "{sin}: {error}");
            if wrong.greeted {
                let ok = peer.request("StopCmd", json!({ "DeviceIndex": null })).await.unwrap();
                assert!(ok.get("Ok").is_some(), "{sin}: {ok}");
            } else {
                peer.open("contrite").await.unwrap_or_else(|error| panic!("{sin}: {error:#}"));
            }
        }
        stage.others_noticed_nothing(wrong.sin).await;
    }
    stage.beside.end().await;
}

// ---- Bytes that end a connection ----

/// How a peer speaks that cannot stay.
enum Breach {
    /// Nothing but these bytes, to the socket.
    Socket(Vec<u8>),
    /// Nothing but these bytes, to the port of WebSocket.
    Tcp(Vec<u8>),
    /// The handshake of WebSocket, then these bytes.
    Upgraded(Vec<u8>),
    /// The handshakes of WebSocket and of a session of v4, then these bytes.
    Greeted(Vec<u8>),
}

/// What the other side is told before the end.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// Nothing that it could read.
    Nothing,
    /// A page of HTTP with this status.
    Status(u16),
    /// An error of that class, in the encoding of the door.
    Class(u8),
}

fn breaches() -> Vec<(&'static str, Breach, Told)> {
    let over = vec![b'x'; FRAME_SIZE + 1];
    let fragments = {
        let mut bytes = websocket_frame(TEXT_TO_BE_CONTINUED, &[b' '; 1_000]);
        for _ in 0..FRAME_SIZE / 1_000 + 1 {
            bytes.extend(websocket_frame(CONTINUED, &[b' '; 1_000]));
        }
        bytes
    };
    let unmasked = [&[TEXT, 2][..], b"[]"].concat();
    let promised = [&[TEXT, 0x80 | 127][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
    let get = |more: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{more}").into_bytes();
    let upgrade = |version: &str, more: &str| {
        get(&format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Version: {version}\r\n{more}\r\n"
        ))
    };
    let handshake_late = Told::Class(1);
    vec![
        // Those who say too little.
        ("a silent peer on the socket", Breach::Socket(Vec::new()), handshake_late),
        ("a silent peer on TCP", Breach::Tcp(Vec::new()), Told::Nothing),
        ("half a length", Breach::Socket(vec![1, 0]), handshake_late),
        ("a length and no more", Breach::Socket(vec![16, 0, 0, 0]), handshake_late),
        ("half a frame", Breach::Socket(vec![16, 0, 0, 0, 0x91, 0x81]), handshake_late),
        ("half a request of HTTP", Breach::Tcp(get("")), Told::Nothing),
        ("half a request of HTTP to the socket", Breach::Socket(get("")), Told::Nothing),
        ("a WebSocket on which nothing comes", Breach::Upgraded(Vec::new()), handshake_late),
        ("half a frame of WebSocket", Breach::Upgraded(vec![TEXT, 0x80 | 50, 0, 0]), handshake_late),
        // Those who say too much.
        ("a huge length", Breach::Socket([&u32::MAX.to_le_bytes()[..], b"x"].concat()), Told::Class(0)),
        ("a frame over the limit", Breach::Socket(socket_frame(&over)), Told::Class(0)),
        ("a huge length of WebSocket", Breach::Upgraded(promised), Told::Class(0)),
        ("a message over the limit", Breach::Greeted(websocket_frame(TEXT, &over)), Told::Class(0)),
        ("fragments without an end", Breach::Upgraded(fragments), Told::Class(0)),
        ("headers without an end", Breach::Tcp(get(&"X-More: more\r\n".repeat(20_000))), Told::Nothing),
        // Those who say it wrong.
        ("HTTP that is no WebSocket", Breach::Tcp(get("\r\n")), Told::Nothing),
        ("HTTP that is no WebSocket, to the socket", Breach::Socket(get("\r\n")), Told::Nothing),
        ("another method", Breach::Tcp(b"POST / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()), Told::Nothing),
        (
            "no HTTP at all",
            Breach::Tcp(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec()),
            Told::Nothing,
        ),
        ("a WebSocket of the past", Breach::Tcp(upgrade("8", "")), Told::Nothing),
        ("a foreign page", Breach::Tcp(upgrade("13", "Origin: https://evil.example\r\n")), Told::Status(403)),
        (
            "a foreign page at the socket",
            Breach::Socket(upgrade("13", "Origin: null\r\n")),
            Told::Status(403),
        ),
        ("invalid UTF-8", Breach::Upgraded(websocket_frame(TEXT, b"[\xff\xfe]")), Told::Class(3)),
        ("a frame without a mask", Breach::Upgraded(unmasked), Told::Class(3)),
        ("an opcode that does not exist", Breach::Greeted(websocket_frame(0x83, b"x")), Told::Class(3)),
        ("a continuation of nothing", Breach::Greeted(websocket_frame(CONTINUED, b"x")), Told::Class(3)),
        ("a ping in fragments", Breach::Greeted(websocket_frame(PING & 0x7f, b"x")), Told::Class(3)),
        ("a ping that is too long", Breach::Greeted(websocket_frame(PING, &[0; 126])), Told::Class(3)),
        // Those who want what we do not have.
        (
            "a handshake of the future",
            Breach::Upgraded(websocket_frame(TEXT, hello(3, 5).to_string().as_bytes())),
            Told::Class(1),
        ),
    ]
}

#[tokio::test]
async fn what_breaks_a_connection_ends_that_one_and_nothing_else() {
    let mut stage = Stage::set().await;
    for (sin, breach, told) in breaches() {
        let (said, in_json) = match breach {
            Breach::Socket(bytes) => (say(sin, stage.socket().await, &bytes).await, false),
            Breach::Tcp(bytes) => (say(sin, stage.tcp().await, &bytes).await, true),
            Breach::Upgraded(bytes) => (say(sin, stage.upgraded().await, &bytes).await, true),
            Breach::Greeted(bytes) => {
                let mut stream = stage.upgraded().await;
                let hello = hello(1, 4).to_string();
                stream.write_all(&websocket_frame(TEXT, hello.as_bytes())).await.unwrap();
                (say(sin, stream, &bytes).await, true)
            }
        };
        let shown = String::from_utf8_lossy(&said);
        match told {
            Told::Nothing => assert!(!holds(&said, "ErrorCode"), "{sin}: {shown}"),
            Told::Status(status) => assert!(holds(&said, &format!("HTTP/1.1 {status}")), "{sin}: {shown}"),
            Told::Class(class) if in_json => {
                assert!(holds(&said, &format!("\"ErrorCode\":{class}")), "{sin}: {shown}");
            }
            Told::Class(class) => {
                let wanted = [&b"ErrorCode"[..], &[class]].concat();
                assert!(said.windows(wanted.len()).any(|window| window == wanted), "{sin}: {said:02x?}");
            }
        }
        stage.others_noticed_nothing(sin).await;
    }
    stage.beside.end().await;
}

/// Says that, and hears to the end what comes back.
async fn say(sin: &str, mut stream: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> Vec<u8> {
    // The service may close before it has read everything: that is an error here, and right.
    stream.write_all(bytes).await.ok();
    to_the_end(sin, &mut stream).await
}

// ---- Those who do it too often, too slowly, or half ----

#[tokio::test]
async fn a_thousand_messages_in_one_frame_are_answered_one_by_one() {
    let mut stage = Stage::set().await;
    for door in BOTH {
        let mut peer = stage.peer(door).await;
        peer.open("busy").await.unwrap();
        let messages: Vec<Value> = (1..=1_000).map(|id| json!({ "Ping": { "Id": id } })).collect();
        peer.send_batch(&Value::Array(messages)).await.unwrap();
        let mut refused = 0;
        for id in 1..=1_000 {
            let reply = peer.reply(id).await.unwrap();
            refused += u32::from(reply.get("Error").is_some());
        }
        assert_eq!(refused, 1_000 - 256, "what is over the limit is refused, and said to be");
        peer.request("Ping", json!({})).await.unwrap();
    }
    stage.others_noticed_nothing("a thousand messages").await;
    stage.beside.end().await;
}

#[tokio::test]
async fn a_stop_behind_a_thousand_messages_in_one_frame_is_not_refused() {
    let mut stage = Stage::set().await;
    let mut peer = stage.peer(Door::Socket).await;
    peer.open("busy").await.unwrap();
    let mut messages: Vec<Value> =
        (1..=1_000).map(|id| json!({ "RequestDeviceList": { "Id": id } })).collect();
    messages.push(json!({ "StopCmd": { "Id": 1_001 } }));
    peer.send_batch(&Value::Array(messages)).await.unwrap();
    let reply = peer.reply(1_001).await.unwrap();
    assert!(reply.get("Ok").is_some(), "{reply}");
    stage.others_noticed_nothing("a stop behind a thousand messages").await;
    stage.beside.end().await;
}

#[tokio::test]
async fn every_one_of_many_requests_with_one_id_is_answered() {
    let stage = Stage::set().await;
    for door in BOTH {
        let mut peer = stage.peer(door).await;
        peer.open("double").await.unwrap();
        let one = json!({ "RequestDeviceList": { "Id": 7 } });
        peer.send_batch(&json!([one, one, { "Ping": { "Id": 7 } }])).await.unwrap();
        for _ in 0..3 {
            let reply = peer.reply(7).await.unwrap();
            assert!(reply.get("Error").is_none(), "{reply}");
        }
    }
    stage.beside.end().await;
}

#[tokio::test]
async fn floods_of_pings_are_answered_and_keep_nobody_waiting() {
    let mut stage = Stage::set().await;
    for door in BOTH {
        let mut peer = stage.peer(door).await;
        peer.open("eager").await.unwrap();
        for _ in 0..20 {
            let mut last = 0;
            for _ in 0..200 {
                last = peer.send("Ping", json!({})).await.unwrap();
            }
            peer.reply(last).await.unwrap();
        }
        stage.others_noticed_nothing("a flood of pings").await;
    }
    let mut stream = stage.upgraded().await;
    stream.write_all(&websocket_frame(TEXT, hello(1, 4).to_string().as_bytes())).await.unwrap();
    let pings = websocket_frame(PING, b"there?").repeat(10_000);
    let last = websocket_frame(BINARY, b"[{\"Ping\":{\"Id\":4242}}]");
    let mut heard = Vec::new();
    let (mut read, mut write) = stream.split();
    let sent = async { write.write_all(&[pings, last].concat()).await.unwrap() };
    let answered = async {
        while !holds(&heard[heard.len().saturating_sub(8_192)..], "{\"Ok\":{\"Id\":4242}}") {
            assert_ne!(timeout(PATIENCE, read.read_buf(&mut heard)).await.unwrap().unwrap(), 0, "closed");
        }
    };
    tokio::join!(sent, answered);
    stage.others_noticed_nothing("a flood of pings of WebSocket").await;
    stage.beside.end().await;
}

#[tokio::test]
async fn a_writer_that_trickles_is_served_after_its_handshake_and_let_go_before() {
    let mut stage = Stage::set().await;
    let greeting = rmp_serde::to_vec_named(&hello(1, 4)).unwrap();

    // One byte at a time, at the speed of the machine: slow for the service, which sees each of them alone.
    let mut slow = stage.socket().await;
    for byte in socket_frame(&greeting) {
        slow.write_all(&[byte]).await.unwrap();
    }
    let mut heard = Vec::new();
    while !holds(&heard, "ServerInfo") {
        assert_ne!(timeout(PATIENCE, slow.read_buf(&mut heard)).await.unwrap().unwrap(), 0, "closed");
    }

    // So slowly that the handshake is never done in time. Each byte is progress, and none of them buys time.
    let mut trickles = stage.socket().await;
    let mut request = b"GET / HTTP/1.1\r\nX-Long: ".iter().chain(std::iter::repeat(&b'x'));
    let begin = Instant::now();
    loop {
        let byte = request.next().unwrap();
        let written = trickles.write_all(&[*byte]).await.is_ok();
        let mut buffer = [0; 64];
        let heard = timeout(Duration::from_millis(20), trickles.read(&mut buffer)).await;
        if !written || matches!(heard, Ok(Ok(0) | Err(_))) {
            break;
        }
        assert!(begin.elapsed() < PATIENCE, "it is let trickle for ever");
    }
    stage.others_noticed_nothing("a writer that trickles").await;
    stage.beside.end().await;
}

#[tokio::test]
async fn a_reader_that_stops_is_closed_and_the_log_says_so() {
    let mut stage = Stage::set().await;
    for (times, door) in (1..).zip(BOTH) {
        let mut deaf = stage.peer(door).await;
        deaf.open("deaf").await.unwrap();
        let flood = async { while deaf.send("RequestDeviceList", json!({})).await.is_ok() {} };
        timeout(PATIENCE, flood).await.expect("it is closed");
        let said = async {
            while stage.service.log().matches("does not read").count() < times {
                stage.beside.round_trips("a reader that stops").await;
            }
        };
        timeout(PATIENCE, said).await.expect("the log says why");
        stage.others_noticed_nothing("a reader that stops").await;
    }
    stage.beside.end().await;
}

#[tokio::test]
async fn those_who_go_amid_a_write_leave_nothing_behind() {
    let mut stage = Stage::set().await;
    let list = json!([{ "RequestDeviceList": { "Id": 5 } }]);
    for _ in 0..50 {
        for door in BOTH {
            // With an answer on its way that nobody takes.
            let mut peer = stage.peer(door).await;
            peer.open("hasty").await.unwrap();
            peer.send_batch(&list).await.unwrap();
        }
        // In the middle of a frame, of a message and of a handshake.
        let mut stream = stage.socket().await;
        stream.write_all(&[100, 0, 0, 0, 0x91, 0x81]).await.unwrap();
        let mut stream = stage.upgraded().await;
        stream.write_all(&websocket_frame(TEXT_TO_BE_CONTINUED, b"[{\"RequestServer")).await.unwrap();
        let mut stream = stage.tcp().await;
        stream.write_all(b"GET / HT").await.unwrap();
    }
    stage.others_noticed_nothing("going amid a write").await;
    nobody_is_left(&mut stage).await;
    stage.beside.end().await;
}

#[tokio::test]
async fn five_hundred_that_come_and_go_leave_nothing_behind() {
    let mut stage = Stage::set().await;
    for round in 0..500 {
        match round % 5 {
            0 => drop(stage.tcp().await),
            1 => drop(stage.socket().await),
            2 => drop(stage.upgraded().await),
            3 => drop(stage.peer(Door::Socket).await.open("hasty").await.unwrap()),
            _ => stage.socket().await.write_all(&[0x30, 0, 0, 0, 0x91]).await.unwrap(),
        }
        if round % 50 == 0 {
            stage.others_noticed_nothing("coming and going").await;
        }
    }
    nobody_is_left(&mut stage).await;
    stage.beside.end().await;
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
