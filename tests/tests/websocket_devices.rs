//! A device that dials in over WebSocket, as people build them, driven through the real service.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use system_tests::{
    bluez::PATIENCE,
    peer::Peer,
    service::{Home, Launch, Service},
};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

const DEFINITION: &str = r#"
maker = "Test"

[[protocol]]
id = "test-buzzer"

[[protocol.websocket]]
names = ["Buzzer"]

[protocol.template]
packet = [{ bytes = "42 {v}" }]

[protocol.default]
name = "Test Buzzer"
features = [{ index = 0, output = { vibrate = [0, 100] } }]
"#;

const CONFIG: &str = "[websocket-devices]\nenabled = true\nlisten = [\"127.0.0.1:0\"]\n";

struct Buzzer(WebSocketStream<TcpStream>);

impl Buzzer {
    async fn dial(address: &str) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut stream, _) = client_async("ws://localhost/", stream).await.unwrap();
        let greeting = json!({ "identifier": "Buzzer", "address": "B-1", "version": 0 });
        stream.send(Message::text(greeting.to_string())).await.unwrap();
        Self(stream)
    }

    async fn packet(&mut self) -> Vec<u8> {
        loop {
            let message = timeout(PATIENCE, self.0.next()).await.unwrap().unwrap().unwrap();
            if let Message::Binary(data) = message {
                return data.to_vec();
            }
        }
    }
}

/// Where devices dial in, from the log: the port is the system's choice.
async fn address(service: &Service) -> String {
    service.wait_for_log("WebSocket devices may dial in").await.unwrap();
    let log = service.log();
    let line = log.lines().find(|line| line.contains("WebSocket devices may dial in")).unwrap();
    line.split("address=").nth(1).unwrap().split_whitespace().next().unwrap().to_owned()
}

async fn devices(peer: &mut Peer, count: usize) -> Option<u32> {
    loop {
        let list = peer.request("RequestDeviceList", json!({})).await.unwrap();
        let devices = list["DeviceList"]["Devices"].as_object().unwrap().clone();
        if devices.len() == count {
            return devices.keys().next().map(|index| index.parse().unwrap());
        }
        peer.event("DeviceList").await.unwrap();
    }
}

async fn vibrate(peer: &mut Peer, device: u32, value: u32) -> Value {
    let command = json!({ "Vibrate": { "Value": value } });
    peer.request("OutputCmd", json!({ "DeviceIndex": device, "FeatureIndex": 0, "Command": command }))
        .await
        .unwrap()
}

#[tokio::test]
async fn a_device_that_dials_in_is_driven_and_stopped_first_when_it_dials_in_again() {
    let home = Home::new().unwrap();
    home.write_config("devices.d/buzzer.toml", DEFINITION).unwrap();
    home.write_config("buttplugd.toml", CONFIG).unwrap();
    let service = Launch::new(&home).arg("--no-dbus").start().await.unwrap();
    let address = address(&service).await;
    let mut peer = Peer::socket(service.socket()).await.unwrap();
    peer.open("test").await.unwrap();

    let mut buzzer = Buzzer::dial(&address).await;
    let index = devices(&mut peer, 1).await.unwrap();
    assert!(vibrate(&mut peer, index, 30).await.get("Ok").is_some());
    assert_eq!(buzzer.packet().await, [0x42, 30]);

    drop(buzzer);
    devices(&mut peer, 0).await;
    let mut buzzer = Buzzer::dial(&address).await;
    assert_eq!(buzzer.packet().await, [0x42, 0]);
    assert_eq!(devices(&mut peer, 1).await, Some(index));
}
