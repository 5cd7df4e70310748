//! The local socket of the real service: every kind of bad input, with the answer that it gets, and the service alive after.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use system_tests::{
    bluez::PATIENCE,
    peer::Peer,
    service::{Home, Launch, Service},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};

async fn start(home: &Home, config: &str) -> Service {
    home.write_config("buttplugd.toml", config).unwrap();
    Launch::new(home).arg("--no-dbus").start().await.unwrap()
}

#[tokio::test]
async fn the_socket_is_for_its_user_alone() {
    let home = Home::new().unwrap();
    let service = start(&home, "").await;
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(service.socket()), 0o600);
    assert_eq!(mode(service.socket().parent().unwrap()), 0o700);
}

/// What is sent, before or after the handshake, and the Id and class of the error that answers it.
struct Sin {
    name: &'static str,
    greeted: bool,
    frame: Value,
    id: u32,
    class: u32,
}

fn sins() -> Vec<Sin> {
    let before = |name, frame, id, class| Sin { name, greeted: false, frame, id, class };
    let after = |name, frame, id, class| Sin { name, greeted: true, frame, id, class };
    let output = |command: Value| {
        json!([{ "OutputCmd": {
        "Id": 9, "DeviceIndex": 77, "FeatureIndex": 0, "Command": command
    } }])
    };
    vec![
        before("no handshake", json!([{ "Ping": { "Id": 3 } }]), 3, 1),
        before("no handshake, not even a message", json!("hello"), 0, 3),
        before("a handshake without a name", json!([{ "RequestServerInfo": { "Id": 3 } }]), 3, 1),
        before(
            "a handshake of the future",
            json!([{ "RequestServerInfo": {
                "Id": 3, "ClientName": "x", "ProtocolVersionMajor": 5, "ProtocolVersionMinor": 0
            } }]),
            3,
            1,
        ),
        after(
            "a second handshake",
            json!([{ "RequestServerInfo": {
                "Id": 3, "ClientName": "x", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0
            } }]),
            3,
            1,
        ),
        after("an unknown message", json!([{ "Explode": { "Id": 4 } }]), 4, 3),
        after("a message of another version", json!([{ "ScalarCmd": { "Id": 4 } }]), 4, 3),
        after("a reply as a request", json!([{ "Ok": { "Id": 4 } }]), 4, 3),
        after("Id 0", json!([{ "Ping": { "Id": 0 } }]), 0, 3),
        after("an Id beyond its type", json!([{ "Ping": { "Id": 4_294_967_296_u64 } }]), 0, 3),
        after("a negative Id", json!([{ "Ping": { "Id": -1 } }]), 0, 3),
        after("text for an Id", json!([{ "Ping": { "Id": "4" } }]), 0, 3),
        after("a fraction for an Id", json!([{ "Ping": { "Id": 4.5 } }]), 0, 3),
        after("no Id", json!([{ "Ping": {} }]), 0, 3),
        after("two messages in one map", json!([{ "Ping": { "Id": 4 }, "StopScanning": { "Id": 4 } }]), 4, 3),
        after("no array", json!({ "Ping": { "Id": 4 } }), 4, 3),
        after("an empty array", json!([]), 0, 3),
        after("an array of numbers", json!([1]), 0, 3),
        after("nothing", Value::Null, 0, 3),
        after("an unknown device", output(json!({ "Vibrate": { "Value": 1 } })), 9, 4),
        after("an unknown output", output(json!({ "Explode": { "Value": 1 } })), 9, 3),
        after("text for a value", output(json!({ "Vibrate": { "Value": "1" } })), 9, 3),
        after("a fraction for a value", output(json!({ "Vibrate": { "Value": 0.5 } })), 9, 3),
        after("a value beyond its type", output(json!({ "Vibrate": { "Value": 5_000_000_000_u64 } })), 9, 3),
        after("a stop of an unknown device", json!([{ "StopCmd": { "Id": 9, "DeviceIndex": 77 } }]), 9, 4),
        after("a negative device", json!([{ "StopCmd": { "Id": 9, "DeviceIndex": -1 } }]), 9, 3),
    ]
}

#[tokio::test]
async fn every_sin_is_answered_and_the_connection_lives() {
    let home = Home::new().unwrap();
    let mut service = start(&home, "").await;
    let mut beside = Peer::socket(service.socket()).await.unwrap();
    beside.open("well-behaved").await.unwrap();
    for Sin { name, greeted, frame, id, class } in sins() {
        for over_websocket in [false, true] {
            let mut peer = if over_websocket {
                Peer::websocket_over_unix(service.socket()).await.unwrap()
            } else {
                Peer::socket(service.socket()).await.unwrap()
            };
            if greeted {
                peer.open("sinner").await.unwrap();
            }
            peer.send_batch(&frame).await.unwrap();
            let answer = peer.message_that(name, |message| message.get("Error").is_some()).await;
            let answer = answer
                .unwrap_or_else(|error| panic!("{name} {over_websocket}: {error:#}\n{}", service.log()));
            let error = &answer["Error"];
            assert_eq!((&error["Id"], &error["ErrorCode"]), (&json!(id), &json!(class)), "{name}: {error}");
            if greeted {
                let ok = peer.request("StopCmd", json!({})).await.unwrap();
                assert!(ok.get("Ok").is_some(), "{name}: {ok}");
            }
        }
        beside.request("Ping", json!({})).await.unwrap();
    }
    service.assert_alive();
}

#[tokio::test]
async fn bytes_that_are_no_frames_end_the_connection_and_nothing_else() {
    let home = Home::new().unwrap();
    let mut service = start(&home, "[limits]\nframe-size = 4096\nhandshake-time-ms = 500\n").await;
    let mut beside = Peer::socket(service.socket()).await.unwrap();
    beside.open("well-behaved").await.unwrap();
    let huge = [&u32::MAX.to_le_bytes()[..], b"x"].concat();
    let table: [(&str, &[u8]); 7] = [
        ("nothing at all", b""),
        ("half a length", b"\x01\x00"),
        ("a length and no more", b"\x10\x00\x00\x00"),
        ("half a frame", b"\x10\x00\x00\x00\x91\x81"),
        ("a huge length", &huge),
        ("half a request of HTTP", b"GET / HTTP/1.1\r\nHost: x\r\n"),
        ("a request of HTTP that is no WebSocket", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    for (name, bytes) in table {
        let mut stream = UnixStream::connect(service.socket()).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap_or_else(|_| panic!("{name}")).ok();
        beside.request("Ping", json!({})).await.unwrap();
    }
    service.assert_alive();
}

#[tokio::test]
async fn five_hundred_that_come_and_go_leave_nothing_behind() {
    let home = Home::new().unwrap();
    let mut service = start(&home, "[limits]\nsessions = 20\n").await;
    for round in 0..500 {
        let mut peer = Peer::socket(service.socket()).await.unwrap();
        match round % 3 {
            0 => {}
            1 => peer.send_raw(b"\x30\x00\x00\x00\x91").await.unwrap(),
            _ => drop(peer.open("hasty").await.unwrap()),
        }
    }
    let mut last = Peer::socket(service.socket()).await.unwrap();
    last.open("the last").await.unwrap();
    service.assert_alive();
}

#[tokio::test]
async fn a_thousand_messages_in_one_frame_are_answered_one_by_one() {
    let home = Home::new().unwrap();
    let service = start(&home, "").await;
    let mut peer = Peer::socket(service.socket()).await.unwrap();
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

#[tokio::test]
async fn too_many_sessions_are_told_so() {
    let home = Home::new().unwrap();
    let service = start(&home, "[limits]\nsessions = 2\n").await;
    let mut peers = Vec::new();
    for _ in 0..2 {
        let mut peer = Peer::socket(service.socket()).await.unwrap();
        peer.open("first").await.unwrap();
        peers.push(peer);
    }
    let mut third = Peer::socket(service.socket()).await.unwrap();
    third
        .send("RequestServerInfo", json!({ "ClientName": "third", "ProtocolVersionMajor": 4 }))
        .await
        .unwrap();
    let told = third.closed().await.unwrap();
    let error = told.iter().find_map(|message| message.get("Error")).expect("an error");
    assert!(error["ErrorMessage"].as_str().unwrap().contains("the limit"), "{error}");
    for peer in &mut peers {
        peer.request("Ping", json!({})).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_closed_and_the_log_says_so() {
    let home = Home::new().unwrap();
    let service = start(&home, "[limits]\nwrite-time-ms = 300\n[socket]\nmax-ping-time-ms = 0\n").await;
    let mut beside = Peer::socket(service.socket()).await.unwrap();
    beside.open("well-behaved").await.unwrap();
    let mut deaf = Peer::socket(service.socket()).await.unwrap();
    deaf.open("deaf").await.unwrap();
    let flood = async { while deaf.send("RequestDeviceList", json!({})).await.is_ok() {} };
    timeout(PATIENCE, flood).await.expect("it is closed");
    service.wait_for_log("does not read").await.unwrap();
    beside.request("Ping", json!({})).await.unwrap();
}
