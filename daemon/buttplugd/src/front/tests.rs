//! Whole connections through the loops of the fronts: real sessions, in virtual time, over pipes in memory.

use std::{sync::Arc, time::Duration};

use engine::{
    client::{Front, Peer},
    view::DeviceView,
    vocabulary::DeviceIndex,
};
use futures_util::{SinkExt, StreamExt};
use ipc_schema::{
    codec::{self, Encoding},
    frame::{self, FrameDecoder},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{mpsc, watch},
    time::Instant,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, protocol::frame::coding::CloseCode},
};

use super::{Shared, conversation, half_open::HalfOpen, socket, websocket};
use crate::{
    config::Config,
    hub::{Hub, Parts},
};

/// Bytes that the pipe holds before the writer must wait.
const PIPE: usize = 64 * 1024;

pub(super) fn shared(config: Config) -> Shared {
    let half_open = HalfOpen::new(config.limits.half_open);
    let (_, config) = watch::channel(Arc::new(config));
    let (alive, _) = mpsc::channel(1);
    Shared { hub: idle_hub(), config, half_open, alive: alive.downgrade() }
}

/// A device that can do nothing.
pub(super) fn device_view() -> Arc<DeviceView> {
    Arc::new(DeviceView {
        index: DeviceIndex(0),
        name: "Nothing".to_owned(),
        display_name: None,
        message_gap_ms: 0,
        features: Vec::new(),
    })
}

/// A hub without devices.
fn idle_hub() -> Hub {
    let (reload, _) = mpsc::channel(1);
    let policy = Arc::new(|_: &Peer| Ok(()));
    let (hub, _) = Hub::start(Parts { sessions_max: 1_000, event_queue: 1_024, policy, reload });
    hub
}

/// A client of the socket front.
struct Client {
    stream: DuplexStream,
    decoder: FrameDecoder,
}

impl Client {
    /// Connects, with a pipe of this size.
    fn connect(shared: &Shared, pipe: usize) -> Self {
        let (stream, server) = duplex(pipe);
        let (seat, shared) = (shared.half_open.enter(), shared.clone());
        let limit = u32::try_from(shared.config().limits.frame_size).unwrap();
        tokio::spawn(async move {
            let wire = socket::SocketWire::new(server, &[], limit);
            conversation::serve(wire, &shared, Peer::of(Front::Socket), seat).await;
        });
        Self { stream, decoder: FrameDecoder::new(frame::LIMIT_MAX) }
    }

    async fn send(&mut self, messages: &Value) {
        let messages: Vec<Value> = messages.as_array().unwrap().clone();
        let payload = codec::encode_batch(&messages, Encoding::MessagePack).unwrap();
        self.send_payload(&payload).await;
    }

    async fn send_payload(&mut self, payload: &[u8]) {
        let frame = frame::encode(payload, frame::LIMIT_MAX).unwrap();
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next message, or `None` at the end of the connection.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some(payload) = self.decoder.next_frame().unwrap() {
                let mut messages = codec::decode(payload, Encoding::MessagePack);
                assert_eq!(messages.len(), 1, "one message a frame");
                let message = messages.remove(0).unwrap();
                return Some((message.name, message.body));
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes).await.unwrap() {
                0 => return None,
                read => self.decoder.push(&bytes[..read]),
            }
        }
    }

    async fn expect(&mut self, name: &str) -> Value {
        let (found, body) = self.next().await.expect("a message, not the end");
        assert_eq!(found, name, "{body}");
        body
    }

    async fn hello(&mut self) -> Value {
        self.send(&hello()).await;
        self.expect("ServerInfo").await
    }
}

fn hello() -> Value {
    json!([{ "RequestServerInfo": {
        "Id": 1, "ClientName": "test", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0
    } }])
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_socket_is_served() {
    let shared = shared(Config::default());
    let mut client = Client::connect(&shared, PIPE);
    let info = client.hello().await;
    assert_eq!(info["MaxPingTime"], 10_000);
    client.send(&json!([{ "RequestDeviceList": { "Id": 2 } }, { "Ping": { "Id": 3 } }])).await;
    let mut replies = [client.next().await.unwrap(), client.next().await.unwrap()];
    replies.sort_by_key(|(_, body)| body["Id"].as_u64());
    assert_eq!(replies.map(|(name, _)| name), ["DeviceList", "Ok"]);
    client.send(&json!([{ "Disconnect": { "Id": 4 } }])).await;
    assert_eq!(client.expect("Ok").await["Id"], 4);
    assert_eq!(client.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn bad_input_is_answered_and_the_connection_lives() {
    let shared = shared(Config::default());
    let mut client = Client::connect(&shared, PIPE);
    client.send(&json!([{ "Ping": { "Id": 5 } }])).await;
    let error = client.expect("Error").await;
    assert_eq!((&error["Id"], &error["ErrorCode"]), (&json!(5), &json!(1)), "before the handshake");
    client.hello().await;
    let table: [(&[u8], u32); 4] = [(b"\xc1", 3), (b"", 3), (b"\x90", 3), (b"\x91\x81\xa1X\x80", 3)];
    for (payload, code) in table {
        client.send_payload(payload).await;
        let error = client.expect("Error").await;
        assert_eq!(error["ErrorCode"], code, "{payload:?}");
    }
    client.send(&json!([{ "Ping": { "Id": 6 } }])).await;
    assert_eq!(client.expect("Ok").await["Id"], 6);
}

#[tokio::test(start_paused = true)]
async fn a_frame_over_the_limit_is_told_and_closed() {
    let shared = shared(Config::default());
    let mut client = Client::connect(&shared, PIPE);
    client.hello().await;
    client.stream.write_all(&2_000_000_u32.to_le_bytes()).await.unwrap();
    let error = client.expect("Error").await;
    assert_eq!(
        (&error["Id"], &error["ErrorCode"]),
        (&json!(0), &json!(0)),
        "class Limit, to one that cannot know it"
    );
    assert_eq!(client.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_missed_ping_is_told_and_closed_to_the_millisecond() {
    let shared = shared(Config::default());
    let mut client = Client::connect(&shared, PIPE);
    client.hello().await;
    let begin = Instant::now();
    assert_eq!(client.expect("Error").await["ErrorCode"], 2);
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_millis(10_002), "{waited:?}");
    assert_eq!(client.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_client_without_a_handshake_is_closed_in_time() {
    let shared = shared(Config::default());
    let mut client = Client::connect(&shared, PIPE);
    let begin = Instant::now();
    assert_eq!(client.expect("Error").await["ErrorCode"], 1);
    assert_eq!(client.next().await, None);
    assert!(begin.elapsed() < Duration::from_millis(10_002), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_oldest_silent_client_makes_room_for_a_new_one() {
    let mut config = Config::default();
    config.limits.half_open = 2;
    let shared = shared(config);
    let mut silent = Client::connect(&shared, PIPE);
    let mut others = [Client::connect(&shared, PIPE), Client::connect(&shared, PIPE)];
    let begin = Instant::now();
    assert_eq!(silent.expect("Error").await["ErrorCode"], 1);
    assert!(begin.elapsed() < Duration::from_secs(1));
    for other in &mut others {
        other.hello().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_closed_and_others_notice_nothing() {
    let mut config = Config::default();
    config.socket.max_ping_time_ms = 0;
    let shared = shared(config);
    let mut deaf = Client::connect(&shared, 256);
    deaf.hello().await;
    let mut other = Client::connect(&shared, PIPE);
    other.hello().await;
    let begin = Instant::now();
    let flood = async {
        let payload = codec::encode(&json!({ "Ping": { "Id": 9 } }), Encoding::MessagePack).unwrap();
        let frame = frame::encode(&payload, frame::LIMIT_MAX).unwrap();
        while deaf.stream.write_all(&frame).await.is_ok() {}
    };
    flood.await;
    let waited = begin.elapsed();
    assert!(waited >= Duration::from_secs(5) && waited < Duration::from_secs(6), "{waited:?}");
    other.send(&json!([{ "Ping": { "Id": 2 } }])).await;
    assert_eq!(other.expect("Ok").await["Id"], 2);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_amid_a_frame_ends_its_session() {
    let shared = shared(Config::default());
    let mut client = Client::connect(&shared, PIPE);
    client.hello().await;
    client.stream.write_all(&[9, 0, 0, 0, 1]).await.unwrap();
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.next().await, None);
}

/// A client of the WebSocket front.
async fn websocket(shared: &Shared, origin: Option<&str>) -> Result<WebSocketStream<DuplexStream>, Error> {
    let (stream, server) = duplex(PIPE);
    let (seat, shared) = (shared.half_open.enter(), shared.clone());
    tokio::spawn(async move {
        websocket::begin(server, Vec::new(), &shared, Peer::of(Front::WebSocket), seat).await;
    });
    let mut request = "ws://localhost/".into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("Origin", origin.parse().unwrap());
    }
    client_async(request, stream).await.map(|(client, _)| client)
}

async fn next_json(client: &mut WebSocketStream<DuplexStream>) -> Value {
    loop {
        match client.next().await.expect("a message, not the end").unwrap() {
            Message::Text(text) => return serde_json::from_str::<Value>(&text).unwrap()[0].clone(),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn close_code(client: &mut WebSocketStream<DuplexStream>) -> Option<CloseCode> {
    loop {
        if let Message::Close(frame) = client.next().await?.ok()? {
            return frame.map(|frame| frame.code);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_of_the_websocket_is_served_in_text_and_binary() {
    let shared = shared(Config::default());
    let mut client = websocket(&shared, None).await.unwrap();
    client.send(Message::text(hello().to_string())).await.unwrap();
    assert_eq!(next_json(&mut client).await["ServerInfo"]["MaxPingTime"], 0);
    client.send(Message::binary(json!([{ "Ping": { "Id": 2 } }]).to_string())).await.unwrap();
    assert_eq!(next_json(&mut client).await["Ok"]["Id"], 2);
    client.send(Message::text("{nonsense")).await.unwrap();
    assert_eq!(next_json(&mut client).await["Error"]["ErrorCode"], 3);
    client.send(Message::text(json!([{ "Disconnect": { "Id": 3 } }]).to_string())).await.unwrap();
    assert_eq!(next_json(&mut client).await["Ok"]["Id"], 3);
    assert_eq!(close_code(&mut client).await, Some(CloseCode::Normal));
}

#[tokio::test(start_paused = true)]
async fn a_foreign_page_is_refused() {
    let mut config = Config::default();
    config.websocket.allowed_origins = vec!["https://good.example".parse().unwrap()];
    let shared = shared(config);
    match websocket(&shared, Some("https://evil.example")).await {
        Err(Error::Http(response)) => assert_eq!(response.status(), 403),
        other => panic!("{other:?}"),
    }
    websocket(&shared, Some("https://good.example")).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_broken_websocket_is_told_how() {
    let mut config = Config::default();
    config.limits.frame_size = 1_024;
    let shared = shared(config);
    let mut client = websocket(&shared, None).await.unwrap();
    client.send(Message::text("x".repeat(2_000))).await.unwrap();
    assert_eq!(next_json(&mut client).await["Error"]["Id"], 0);
    assert_eq!(close_code(&mut client).await, Some(CloseCode::Size));

    let mut client = websocket(&shared, None).await.unwrap();
    // A text frame of one byte, masked with zeros, that is not UTF-8.
    client.get_mut().write_all(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await.unwrap();
    assert_eq!(next_json(&mut client).await["Error"]["ErrorCode"], 3);
    assert_eq!(close_code(&mut client).await, Some(CloseCode::Invalid));
}

#[tokio::test(start_paused = true)]
async fn a_silent_websocket_is_asked_and_then_let_go() {
    let shared = shared(Config::default());
    let mut client = websocket(&shared, None).await.unwrap();
    client.send(Message::text(hello().to_string())).await.unwrap();
    next_json(&mut client).await;
    let begin = Instant::now();
    // The library answers the pings while it is polled.
    for _ in 0..3 {
        let message = client.next().await.unwrap().unwrap();
        assert!(message.is_ping(), "{message:?}");
        client.flush().await.unwrap();
    }
    assert!(begin.elapsed() >= Duration::from_secs(90), "{:?}", begin.elapsed());
    // From here on nothing is answered.
    let mut raw = client.into_inner();
    let mut rest = Vec::new();
    raw.read_to_end(&mut rest).await.unwrap();
    assert!(begin.elapsed() < Duration::from_secs(160), "{:?}", begin.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_handshake_of_http_that_is_not_finished_is_let_go() {
    let shared = shared(Config::default());
    let (mut client, server) = duplex(PIPE);
    let seat = shared.half_open.enter();
    let serving = tokio::spawn({
        let shared = shared.clone();
        async move { websocket::begin(server, b"GET ".to_vec(), &shared, Peer::of(Front::WebSocket), seat).await }
    });
    client.write_all(b"/ HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    let begin = Instant::now();
    serving.await.unwrap();
    assert!(begin.elapsed() < Duration::from_millis(10_002), "{:?}", begin.elapsed());
}
