//! The same wish in every spec version, over both encodings: the same bytes at a Bluetooth device, and the same news told in
//! the words of each version.
//!
//! What a version shows of a device, and how it rounds, is tested beside its dialect. Here the whole way is played.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

mod news;
mod packets;
mod refusals;
mod wire;

use serde_json::{Value, json};
use system_tests::{
    bluez::{CharacteristicSpec, DeviceSpec, FakeBluez, FakeDevice, Flag},
    bus::Bus,
    peer::Peer,
    plugins,
    service::{Home, Launch, Service},
};
use tempfile::TempDir;
use uuid::{Uuid, uuid};

const SERVICE: Uuid = uuid!("0000ff00-0000-1000-8000-00805f9b34fb");
const TX: Uuid = uuid!("0000ff01-0000-1000-8000-00805f9b34fb");
const BATTERY_SERVICE: Uuid = uuid!("0000180f-0000-1000-8000-00805f9b34fb");
const BATTERY: Uuid = uuid!("00002a19-0000-1000-8000-00805f9b34fb");

/// A device with every kind of output. A level is `01`, feature, value; a movement `02`, feature, place, milliseconds.
const DEFINITION: &str = r#"
maker = "Test"

[[protocol]]
id = "everything"

[[protocol.bluetooth]]
names = ["Everything"]
[protocol.bluetooth.services]
"0000ff00-0000-1000-8000-00805f9b34fb" = { tx = "0000ff01-0000-1000-8000-00805f9b34fb" }
"0000180f-0000-1000-8000-00805f9b34fb" = { battery = "00002a19-0000-1000-8000-00805f9b34fb" }

[protocol.template]
packet = [
    { kinds = ["vibrate", "rotate", "oscillate", "constrict", "temperature", "led", "spray", "position"], bytes = "01 {i} {v:i16le}" },
    { kinds = ["position-with-duration"], bytes = "02 {i} {v:i16le} {d:u16le}" },
]
input = [{ kind = "battery", read = "battery" }]

[protocol.default]
name = "Everything"
features = [
    { index = 0, output = { vibrate = [0, 127] } },
    { index = 1, output = { vibrate = [0, 20] } },
    { index = 2, output = { rotate = [-20, 20] } },
    { index = 3, output = { position = [0, 100] } },
    { index = 4, output = { position-with-duration = { range = [0, 1000], duration_ms = [0, 10000] } } },
    { index = 5, output = { oscillate = [0, 10] } },
    { index = 6, output = { constrict = [0, 5] } },
    { index = 7, output = { temperature = [0, 10] } },
    { index = 8, output = { led = [0, 255] } },
    { index = 9, output = { spray = [0, 1] } },
    { index = 10, input = { battery = { range = [[0, 100]], ways = ["read"] } } },
]
"#;

/// The battery of the device, in percent.
const CHARGE: u8 = 85;

const VERSIONS: [u32; 5] = [0, 1, 2, 3, 4];

struct Rig {
    service: Service,
    bluez: FakeBluez,
    toy: FakeDevice,
    _plugins: TempDir,
    _home: Home,
    _bus: Bus,
}

/// A service that has found the device, and keeps it. `ping_ms` is the time between pings that it asks for, 0 for none.
async fn rig(ping_ms: u32) -> Rig {
    let bus = Bus::system().await.unwrap();
    let bluez = FakeBluez::start(&bus).await.unwrap();
    let home = Home::new().unwrap();
    let pings =
        format!("[socket]\nmax-ping-time-ms = {ping_ms}\n[websocket]\nmax-ping-time-ms = {ping_ms}\n");
    home.write_config("buttplugd.toml", &pings).unwrap();
    let plugins = plugins::defined("everything", DEFINITION).unwrap();
    let launch =
        Launch::new(&home).system_bus(&bus).plugin_path(plugins.path()).arg("--no-dbus").with_pings();
    let service = launch.start().await.unwrap();
    let writes = CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse]);
    let reads = CharacteristicSpec::new(BATTERY, &[Flag::Read]);
    let spec = DeviceSpec::named("F0:F1:F2:F3:F4:01", "Everything")
        .service(SERVICE, vec![writes])
        .service(BATTERY_SERVICE, vec![reads]);
    let toy = bluez.add_device(spec);
    toy.answer_read(BATTERY, &[CHARGE]);
    let rig = Rig { service, bluez, toy, _plugins: plugins, _home: home, _bus: bus };
    let mut finder = rig.open(4, Encoding::MessagePack).await;
    ok(&mut finder, "StartScanning", json!({})).await;
    while finder.event("DeviceList").await.unwrap()["Devices"].as_object().unwrap().is_empty() {}
    ok(&mut finder, "StopScanning", json!({})).await;
    rig
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Json,
    MessagePack,
}

/// Both in turn.
fn alternating(turn: usize) -> Encoding {
    if turn.is_multiple_of(2) { Encoding::Json } else { Encoding::MessagePack }
}

impl Rig {
    async fn connect(&self, encoding: Encoding) -> Peer {
        let socket = self.service.socket();
        match encoding {
            Encoding::MessagePack => Peer::socket(socket).await.unwrap(),
            Encoding::Json => Peer::websocket_over_unix(socket).await.unwrap(),
        }
    }

    /// A session of that version, which its client has not asked for any extension.
    async fn open(&self, version: u32, encoding: Encoding) -> Peer {
        let mut peer = self.connect(encoding).await;
        let info = peer.request("RequestServerInfo", hello(version)).await.unwrap();
        let info = &info["ServerInfo"];
        let shown = if version == 4 { &info["ProtocolVersionMajor"] } else { &info["MessageVersion"] };
        assert_eq!(*shown, version, "{info}");
        peer
    }

    /// The packets that the device has taken, in hex.
    fn packets(&self) -> Vec<String> {
        let writes = self.toy.writes().into_iter();
        writes.map(|write| write.data.iter().map(|byte| format!("{byte:02x}")).collect()).collect()
    }

    /// The packets since there were so many.
    fn packets_since(&self, before: usize) -> Vec<String> {
        self.packets().split_off(before)
    }
}

fn hello(version: u32) -> Value {
    match version {
        0 => json!({ "ClientName": "old" }),
        4 => json!({ "ClientName": "new", "ProtocolVersionMajor": 4, "ProtocolVersionMinor": 0 }),
        _ => json!({ "ClientName": "middle", "MessageVersion": version }),
    }
}

async fn ok(peer: &mut Peer, name: &str, body: Value) {
    let reply = peer.request(name, body.clone()).await.unwrap();
    assert!(reply.get("Ok").is_some(), "{name} {body}: {reply}");
}

async fn stop_device(peer: &mut Peer, version: u32) {
    let name = if version == 4 { "StopCmd" } else { "StopDeviceCmd" };
    ok(peer, name, json!({ "DeviceIndex": 0 })).await;
}

async fn stop_all(peer: &mut Peer, version: u32) {
    let name = if version == 4 { "StopCmd" } else { "StopAllDevices" };
    ok(peer, name, json!({})).await;
}

fn output(feature: u32, command: Value) -> (&'static str, Value) {
    ("OutputCmd", json!({ "DeviceIndex": 0, "FeatureIndex": feature, "Command": command }))
}

/// Sends the messages in one frame and waits until all are answered with `Ok`.
async fn say(peer: &mut Peer, name: &str, messages: &[(&'static str, Value)], next_id: &mut u32) {
    let mut batch = Vec::new();
    let mut ids = Vec::new();
    for (message, body) in messages {
        *next_id += 1;
        let mut body = body.clone();
        body["Id"] = (*next_id).into();
        ids.push(*next_id);
        batch.push(json!({ *message: body }));
    }
    peer.send_batch(&Value::Array(batch)).await.unwrap();
    for id in ids {
        let reply = peer.reply(id).await.unwrap();
        assert!(reply.get("Ok").is_some(), "{name}: {messages:?}: {reply}");
    }
}
