//! The WebSocket front of the real service: existing applications, and web pages. Bad input is in `hostile.rs`.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

use serde_json::json;
use system_tests::{
    bluez::PATIENCE,
    peer::Peer,
    service::{Home, Launch, Service},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, timeout},
};

/// Starts a service with WebSocket on a free port, and gives its address.
async fn start(home: &Home, config: &str) -> (Service, String) {
    home.write_config("buttplugd.toml", config).unwrap();
    let service =
        Launch::new(home).arg("--no-dbus").arg("--websocket").arg("127.0.0.1:0").start().await.unwrap();
    service.wait_for_log(" ready ").await.unwrap();
    let log = service.log();
    let (_, rest) = log.split_once("websocket=\"").unwrap();
    let (address, _) = rest.split_once('"').unwrap();
    (service, address.to_owned())
}

#[tokio::test]
async fn applications_of_every_version_are_served_at_once() {
    let home = Home::new().unwrap();
    let (service, address) = start(&home, "").await;
    let mut peers = Vec::new();
    for version in 0..=4 {
        let mut peer = match version {
            // One comes over the local socket, as `ws+unix:` does.
            0 => Peer::websocket_over_unix(service.socket()).await.unwrap(),
            _ => Peer::websocket(&address, None).await.unwrap(),
        };
        let hello = match version {
            0 => json!({ "ClientName": "old" }),
            4 => json!({ "ClientName": "new", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0 }),
            version => json!({ "ClientName": "middle", "MessageVersion": version }),
        };
        let info = peer.request("RequestServerInfo", hello).await.unwrap();
        assert_eq!(info["ServerInfo"]["MaxPingTime"], 0, "version {version}: {info}");
        peers.push(peer);
    }
    for peer in &mut peers {
        let list = peer.request("RequestDeviceList", json!({})).await.unwrap();
        assert!(list.get("DeviceList").is_some(), "{list}");
    }
}

#[tokio::test]
async fn a_web_page_must_be_named_in_the_configuration() {
    let home = Home::new().unwrap();
    let config = "[websocket]\nallowed-origins = [\"https://good.example\", \"http://localhost:*\"]\n";
    let (service, address) = start(&home, config).await;
    for origin in [None, Some("https://good.example"), Some("http://localhost:3000")] {
        Peer::websocket(&address, origin).await.unwrap().open("allowed").await.unwrap();
    }
    for origin in ["https://evil.example", "https://good.example.evil.example", "http://good.example", "null"]
    {
        let error = Peer::websocket(&address, Some(origin)).await.unwrap_err();
        assert!(format!("{error:#}").contains("403"), "{origin}: {error:#}");
        let allow = format!("allowed-origins = [{origin:?}]");
        service.wait_for_log(&allow).await.unwrap();
    }
}

#[tokio::test]
async fn silent_peers_keep_nobody_out_and_are_let_go_in_time() {
    let home = Home::new().unwrap();
    let config = "[limits]\nhandshake-time-ms = 1000\nhalf-open = 8\n";
    let (_service, address) = start(&home, config).await;
    let begin = Instant::now();
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(&address).await.unwrap());
    }
    let mut half = TcpStream::connect(&address).await.unwrap();
    half.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    Peer::websocket(&address, None).await.unwrap().open("one who means it").await.unwrap();
    for stream in silent.iter_mut().chain([&mut half]) {
        let mut rest = Vec::new();
        timeout(PATIENCE, stream.read_to_end(&mut rest)).await.unwrap().ok();
    }
    assert!(begin.elapsed() < PATIENCE);
}

#[tokio::test]
async fn two_replies_at_once_do_not_wait_for_each_other() {
    let home = Home::new().unwrap();
    let (_service, address) = start(&home, "").await;
    let mut peer = Peer::websocket(&address, None).await.unwrap();
    peer.open("two at once").await.unwrap();
    let begin = Instant::now();
    for _ in 0..20 {
        let first = peer.send("Ping", json!({})).await.unwrap();
        let second = peer.send("RequestDeviceList", json!({})).await.unwrap();
        peer.reply(first).await.unwrap();
        peer.reply(second).await.unwrap();
    }
    // The delayed acknowledgement of TCP alone would take 40 ms each time.
    assert!(begin.elapsed().as_millis() < 400, "{:?}", begin.elapsed());
}

#[tokio::test]
async fn a_client_is_told_how_large_a_message_may_be_before_it_is_closed() {
    let home = Home::new().unwrap();
    let (mut service, address) = start(&home, "[limits]\nframe-size = 4096\n").await;
    let mut peer = Peer::websocket(&address, None).await.unwrap();
    peer.open("verbose").await.unwrap();
    peer.send_raw("x".repeat(5_000).as_bytes()).await.unwrap();
    let told = peer.closed().await.unwrap();
    let error = told.iter().find_map(|message| message.get("Error")).expect("an error before the end");
    assert!(error["ErrorMessage"].as_str().unwrap().contains("over the limit of 4096"), "{error}");
    service.assert_alive();
}
