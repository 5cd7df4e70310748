//! The local socket of the real service: whose it is, and how many it serves. Bad input is in `hostile.rs`.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

use std::os::unix::fs::PermissionsExt;

use serde_json::json;
use system_tests::{
    peer::Peer,
    service::{Home, Launch, Service},
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
    let hello = json!({ "ClientName": "third", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0 });
    third.send("RequestServerInfo", hello).await.unwrap();
    let told = third.closed().await.unwrap();
    let error = told.iter().find_map(|message| message.get("Error")).expect("an error");
    assert!(error["ErrorMessage"].as_str().unwrap().contains("the limit"), "{error}");
    for peer in &mut peers {
        peer.request("Ping", json!({})).await.unwrap();
    }
    // A stop needs no session, and so no room for one.
    let mut hotkey = Peer::socket(service.socket()).await.unwrap();
    let reply = hotkey.request("StopCmd", json!({})).await.unwrap();
    assert!(reply.get("Ok").is_some(), "{reply}");
}

#[tokio::test]
async fn everything_can_be_stopped_without_a_session() {
    let home = Home::new().unwrap();
    let mut service = Launch::new(&home).arg("--simulated").arg("--no-dbus").start().await.unwrap();
    let mut driver = Peer::socket(service.socket()).await.unwrap();
    driver.open_with("driver", json!({ "Extensions": ["monitor"] })).await.unwrap();
    driver.request("StartScanning", json!({})).await.unwrap();
    let list = driver.event("DeviceList").await.unwrap();
    let index = list["Devices"]["0"]["DeviceIndex"].clone();
    let vibrate =
        json!({ "DeviceIndex": index, "FeatureIndex": 0, "Command": { "Vibrate": { "Value": 10 } } });
    let reply = driver.request("OutputCmd", vibrate).await.unwrap();
    assert!(reply.get("Ok").is_some(), "{reply}");

    for (name, encoded) in [("StopCmd", "socket"), ("StopAllDevices", "websocket")] {
        let mut hotkey = match encoded {
            "socket" => Peer::socket(service.socket()).await.unwrap(),
            _ => Peer::websocket_over_unix(service.socket()).await.unwrap(),
        };
        let reply = hotkey.request(name, json!({})).await.unwrap();
        assert!(reply.get("Ok").is_some(), "{name}: {reply}");
    }
    let outputs = driver.request("RequestOutputs", json!({})).await.unwrap();
    let motor = &outputs["Outputs"]["Outputs"][0];
    assert_eq!((&motor["Wanted"], &motor["Confirmed"]), (&json!(0), &json!(0)), "{outputs}");
    service.assert_alive();
}
