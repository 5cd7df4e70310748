//! The same wish in every spec version, over both encodings: the same bytes at a Bluetooth device, and the same news told in
//! the words of each version.
//!
//! What a version shows of a device, and how it rounds, is tested beside its dialect. Here the whole way is played.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

use std::fs;

use serde_json::{Value, json};
use system_tests::{
    bluez::{CharacteristicSpec, DeviceSpec, FakeBluez, FakeDevice, Flag},
    bus::Bus,
    peer::Peer,
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
    { index = 9, output = { spray = { range = [0, 1], on_stop = "leave" } } },
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
    let plugins = tempfile::tempdir().unwrap();
    fs::create_dir(plugins.path().join("everything")).unwrap();
    fs::write(plugins.path().join("everything/plugin.toml"), DEFINITION).unwrap();
    let launch = Launch::new(&home).system_bus(&bus).plugin_path(plugins.path()).arg("--no-dbus");
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

/// One wish, the packets that it must become, and how each version says it. A version may have several ways.
struct Wish {
    name: &'static str,
    packets: Vec<&'static str>,
    forms: Vec<(u32, Vec<(&'static str, Value)>)>,
}

/// The same message in several versions.
fn in_versions(
    versions: &[u32],
    name: &'static str,
    body: Value,
) -> impl Iterator<Item = (u32, Vec<(&'static str, Value)>)> {
    let mut body = body;
    body["DeviceIndex"] = 0.into();
    versions.iter().map(move |version| (*version, vec![(name, body.clone())]))
}

fn wishes() -> Vec<Wish> {
    let speed = |index: u32, speed: f64| json!({ "Index": index, "Speed": speed });
    let both = json!({ "Speeds": [speed(0, 0.5), speed(1, 0.5)] });
    let second = json!({ "Speeds": [speed(1, 0.001)] });
    let turn =
        |clockwise: bool| json!({ "Rotations": [{ "Index": 0, "Speed": 0.501, "Clockwise": clockwise }] });
    let vector =
        |position: f64, ms: u32| json!({ "Vectors": [{ "Index": 0, "Position": position, "Duration": ms }] });
    let scalar = |index: u32, kind: &str, value: f64| json!({ "Scalars": [{ "Index": index, "ActuatorType": kind, "Scalar": value }] });
    let level = |name, index: u32, kind: &'static str, shown: &str, fraction, value: i32, packet| {
        // The list of scalars leaves out the movement with a time, which is feature 4.
        let feature = if index < 4 { index } else { index + 1 };
        let new = (4, vec![output(feature, json!({ kind: { "Value": value } }))]);
        Wish {
            name,
            packets: vec![packet],
            forms: in_versions(&[3], "ScalarCmd", scalar(index, shown, fraction)).chain([new]).collect(),
        }
    };
    let value = |kind: &str, value: i32| json!({ kind: { "Value": value } });
    let timed = |value: i32, ms: u32| json!({ "HwPositionWithDuration": { "Value": value, "Duration": ms } });
    vec![
        Wish {
            name: "both motors at half",
            packets: vec!["01004000", "01010a00"],
            forms: in_versions(&[0, 1], "SingleMotorVibrateCmd", json!({ "Speed": 0.5 }))
                .chain(in_versions(&[1, 2, 3], "VibrateCmd", both))
                .chain(in_versions(
                    &[3],
                    "ScalarCmd",
                    json!({ "Scalars": [
                        { "Index": 1, "ActuatorType": "Vibrate", "Scalar": 0.5 },
                        { "Index": 0, "ActuatorType": "Vibrate", "Scalar": 0.5 },
                    ] }),
                ))
                .chain([(4, vec![output(0, value("Vibrate", 64)), output(1, value("Vibrate", 10))])])
                .collect(),
        },
        Wish {
            name: "the second motor, as weak as it can",
            packets: vec!["01010100"],
            forms: in_versions(&[1, 2, 3], "VibrateCmd", second)
                .chain(in_versions(&[3], "ScalarCmd", scalar(1, "Vibrate", 0.05)))
                .chain([(4, vec![output(1, value("Vibrate", 1))])])
                .collect(),
        },
        Wish {
            name: "clockwise",
            packets: vec!["01020b00"],
            forms: in_versions(&[0, 1], "VorzeA10CycloneCmd", json!({ "Speed": 51, "Clockwise": true }))
                .chain(in_versions(&[1, 2, 3], "RotateCmd", turn(true)))
                .chain(in_versions(&[3], "ScalarCmd", scalar(2, "Rotate", 0.51)))
                .chain([(4, vec![output(2, value("Rotate", 11))])])
                .collect(),
        },
        Wish {
            name: "counter-clockwise",
            packets: vec!["0102f5ff"],
            forms: in_versions(&[0, 1], "VorzeA10CycloneCmd", json!({ "Speed": 51, "Clockwise": false }))
                .chain(in_versions(&[1, 2, 3], "RotateCmd", turn(false)))
                .chain([(4, vec![output(2, value("Rotate", -11))])])
                .collect(),
        },
        Wish {
            name: "a movement over the whole way",
            packets: vec!["0204e803d500"],
            forms: in_versions(&[0, 1], "FleshlightLaunchFW12Cmd", json!({ "Position": 99, "Speed": 99 }))
                .chain(in_versions(&[1, 2, 3], "LinearCmd", vector(1.0, 213)))
                .chain([(4, vec![output(4, timed(1_000, 213))])])
                .collect(),
        },
        Wish {
            name: "a movement to just before the middle",
            packets: vec!["0204f301f401"],
            forms: in_versions(&[1, 2, 3], "LinearCmd", vector(0.4999, 500))
                .chain([(4, vec![output(4, timed(499, 500))])])
                .collect(),
        },
        level("a position", 3, "Position", "Position", 0.495, 50, "01033200"),
        level("oscillation", 4, "Oscillate", "Oscillate", 0.3, 3, "01050300"),
        level("constriction", 5, "Constrict", "Constrict", 1.0, 5, "01060500"),
        // Kinds that came with v4 have no name in v3, and can be driven there all the same.
        level("temperature", 6, "Temperature", "Unknown", 0.4, 4, "01070400"),
        level("light", 7, "Led", "Unknown", 0.5, 128, "01088000"),
        level("spray", 8, "Spray", "Unknown", 1.0, 1, "01090100"),
    ]
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

#[tokio::test]
async fn a_wish_becomes_the_same_packets_in_every_version() {
    let rig = rig(0).await;
    let mut referee = rig.open(4, Encoding::MessagePack).await;
    let (mut turn, mut next_id) = (0, 10_000);
    for wish in wishes() {
        for (version, messages) in &wish.forms {
            // From rest, and from the end of the ways: a value that the device has already is not written again.
            stop_all(&mut referee, 4).await;
            for (name, body) in [
                output(3, json!({ "Position": { "Value": 0 } })),
                output(4, json!({ "HwPositionWithDuration": { "Value": 0, "Duration": 0 } })),
                output(9, json!({ "Spray": { "Value": 0 } })),
            ] {
                ok(&mut referee, name, body).await;
            }
            turn += 1;
            let encoding = alternating(turn);
            let mut peer = rig.open(*version, encoding).await;
            let before = rig.packets().len();
            say(&mut peer, wish.name, messages, &mut next_id).await;
            let sent = rig.packets_since(before);
            assert_eq!(sent, wish.packets, "{} in v{version} over {encoding:?}: {messages:?}", wish.name);
        }
    }
}

#[tokio::test]
async fn a_stop_becomes_the_same_packets_in_every_version() {
    let rig = rig(0).await;
    let mut referee = rig.open(4, Encoding::MessagePack).await;
    let run = [
        output(0, json!({ "Vibrate": { "Value": 9 } })),
        output(2, json!({ "Rotate": { "Value": -9 } })),
        output(9, json!({ "Spray": { "Value": 1 } })),
    ];
    let (mut next_id, mut everything) = (10_000, None);
    for (turn, version) in VERSIONS.into_iter().chain(VERSIONS).enumerate() {
        // Each version over both encodings, since there are an odd number of versions.
        let mut peer = rig.open(version, alternating(turn)).await;
        stop_all(&mut referee, 4).await;
        say(&mut referee, "running", &run, &mut next_id).await;
        let before = rig.packets().len();
        stop_device(&mut peer, version).await;
        // What runs, and nothing else; and no stop makes a device spray.
        assert_eq!(rig.packets_since(before), ["01000000", "01020000"], "v{version}");

        say(&mut referee, "running", &run[..2], &mut next_id).await;
        let before = rig.packets().len();
        stop_all(&mut peer, version).await;
        let sent = rig.packets_since(before);
        let levels = ["01000000", "01010000", "01020000", "01050000", "01060000", "01070000", "01080000"];
        for packet in levels {
            assert!(sent.iter().any(|sent| sent == packet), "v{version}: {packet} is not among {sent:?}");
        }
        assert_eq!(*everything.get_or_insert(sent.clone()), sent, "v{version}");
    }
}

#[tokio::test]
async fn a_battery_is_read_in_every_version_that_can() {
    let rig = rig(0).await;
    for (turn, version) in VERSIONS.into_iter().chain(VERSIONS).enumerate() {
        let mut peer = rig.open(version, alternating(turn)).await;
        let (name, body, told) = match version {
            0 | 1 => ("BatteryLevelCmd", json!({ "DeviceIndex": 0 }), None),
            2 => (
                "BatteryLevelCmd",
                json!({ "DeviceIndex": 0 }),
                Some(json!({ "BatteryLevelReading": { "Id": 2, "DeviceIndex": 0, "BatteryLevel": 0.85 } })),
            ),
            3 => (
                "SensorReadCmd",
                json!({ "DeviceIndex": 0, "SensorIndex": 0, "SensorType": "Battery" }),
                Some(json!({ "SensorReading": {
                    "Id": 2, "DeviceIndex": 0, "SensorIndex": 0, "SensorType": "Battery", "Data": [CHARGE]
                } })),
            ),
            _ => (
                "InputCmd",
                json!({ "DeviceIndex": 0, "FeatureIndex": 10, "Type": "Battery", "Command": "Read" }),
                Some(json!({ "InputReading": {
                    "Id": 2, "DeviceIndex": 0, "FeatureIndex": 10, "Reading": { "Battery": { "Value": CHARGE } }
                } })),
            ),
        };
        let reply = peer.request(name, body).await.unwrap();
        match told {
            Some(told) => assert_eq!(reply, told, "v{version}"),
            None => assert_eq!(reply["Error"]["ErrorCode"], 3, "v{version}: {reply}"),
        }
    }
}

/// Waits until the session was told that the device went, or came, in its version's own words.
async fn told(peer: &mut Peer, version: u32, news: News) -> Value {
    let name = match (version, news) {
        (4, News::Gone | News::Back) => "DeviceList",
        (_, News::Gone) => "DeviceRemoved",
        (_, News::Back) => "DeviceAdded",
    };
    peer.event(name).await.unwrap()
}

#[derive(Debug, Clone, Copy)]
enum News {
    Gone,
    Back,
}

#[tokio::test]
async fn a_device_that_leaves_and_returns_is_told_of_in_the_words_of_each_version() {
    let rig = rig(0).await;
    let mut peers = Vec::new();
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut peer = rig.open(version, alternating(turn)).await;
        let list = peer.request("RequestDeviceList", json!({})).await.unwrap();
        let devices = &list["DeviceList"]["Devices"];
        let name = if version == 4 { &devices["0"]["DeviceName"] } else { &devices[0]["DeviceName"] };
        assert_eq!(*name, "Everything", "v{version}: {list}");
        ok(&mut peer, "StartScanning", json!({})).await;
        peers.push((version, peer));
    }
    rig.toy.vanish();
    for (version, peer) in &mut peers {
        let news = told(peer, *version, News::Gone).await;
        let wanted = match version {
            4 => json!({ "Id": 0, "Devices": {} }),
            _ => json!({ "Id": 0, "DeviceIndex": 0 }),
        };
        assert_eq!(news, wanted, "v{version}");
    }
    rig.toy.appear();
    for (version, peer) in &mut peers {
        let news = told(peer, *version, News::Back).await;
        let device = if *version == 4 { &news["Devices"]["0"] } else { &news };
        assert_eq!(device["DeviceIndex"], 0, "v{version}: {news}");
        assert_eq!(device["DeviceName"], "Everything", "v{version}: {news}");
        let shows = if *version == 4 { "DeviceFeatures" } else { "DeviceMessages" };
        assert!(device.get(shows).is_some(), "v{version}: {news}");
    }
    // Each scan ends for the one who ends it, and the last one ends the search.
    for (version, peer) in &mut peers {
        ok(peer, "StopScanning", json!({})).await;
        assert_eq!(peer.event("ScanningFinished").await.unwrap(), json!({ "Id": 0 }), "v{version}");
    }
    rig.bluez.adapter().not_discovering().await;
}

#[tokio::test]
async fn a_missed_ping_is_told_in_every_version_and_stops_what_its_session_set() {
    const LIMIT_MS: u32 = 400;
    let rig = rig(LIMIT_MS).await;
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut peer = rig.connect(alternating(turn)).await;
        let info = peer.request("RequestServerInfo", hello(version)).await.unwrap();
        assert_eq!(info["ServerInfo"]["MaxPingTime"], LIMIT_MS, "v{version}");
        let (name, body) = match version {
            0 => ("SingleMotorVibrateCmd", json!({ "DeviceIndex": 0, "Speed": 1.0 })),
            1..=3 => {
                let speeds = json!([{ "Index": 0, "Speed": 1.0 }]);
                ("VibrateCmd", json!({ "DeviceIndex": 0, "Speeds": speeds }))
            }
            _ => output(0, json!({ "Vibrate": { "Value": 127 } })),
        };
        ok(&mut peer, name, body).await;
        assert!(rig.packets().iter().any(|packet| packet == "01007f00"), "v{version}");
        rig.toy.forget_operations();
        let rest = peer.closed().await.unwrap();
        let [last] = &rest[..] else { panic!("v{version}: {rest:?}") };
        assert_eq!((&last["Error"]["Id"], &last["Error"]["ErrorCode"]), (&json!(0), &json!(2)), "v{version}");
        while rig.toy.next_write().await.data != [1, 0, 0, 0] {}
    }
}

#[tokio::test]
async fn what_one_session_reserves_is_refused_to_others_in_words_that_they_know_but_never_a_stop() {
    let rig = rig(0).await;
    let mut holder = rig.connect(Encoding::MessagePack).await;
    holder.open_with("holder", json!({ "Extensions": ["reserve"] })).await.unwrap();
    ok(&mut holder, "Reserve", json!({ "DeviceIndex": 0 })).await;
    let run = output(0, json!({ "Vibrate": { "Value": 9 } }));
    stop_all(&mut holder, 4).await;
    let mut next_id = 10_000;
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut peer = rig.open(version, alternating(turn)).await;
        say(&mut holder, "running", std::slice::from_ref(&run), &mut next_id).await;
        let before = rig.packets().len();
        let (name, body) = match version {
            0 => ("SingleMotorVibrateCmd", json!({ "DeviceIndex": 0, "Speed": 1.0 })),
            1..=3 => {
                let speeds = json!([{ "Index": 0, "Speed": 1.0 }]);
                ("VibrateCmd", json!({ "DeviceIndex": 0, "Speeds": speeds }))
            }
            _ => output(0, json!({ "Vibrate": { "Value": 127 } })),
        };
        let reply = peer.request(name, body).await.unwrap();
        let error = &reply["Error"];
        assert_eq!(error["ErrorCode"], 0, "v{version}: {reply}");
        assert!(error["ErrorMessage"].as_str().unwrap().contains("holder"), "v{version}: {reply}");
        assert_eq!(error.get("ErrorReason"), None, "v{version}: {reply}");
        assert!(rig.packets_since(before).is_empty(), "v{version}");
        stop_device(&mut peer, version).await;
        assert_eq!(rig.packets_since(before), ["01000000"], "v{version}");
    }
    let mut knows = rig.connect(Encoding::Json).await;
    knows.open_with("knows reasons", json!({ "Extensions": ["error-reason"] })).await.unwrap();
    let reply = knows.request(run.0, run.1).await.unwrap();
    let error = &reply["Error"];
    assert_eq!((&error["ErrorCode"], &error["ErrorReason"]), (&json!(5), &json!("reserved")), "{reply}");
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_in_words_that_each_version_knows() {
    let rig = rig(0).await;
    let pings: Vec<Value> = (1_000..1_300).map(|id| json!({ "Ping": { "Id": id } })).collect();
    let pings = Value::Array(pings);
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut peer = rig.open(version, alternating(turn)).await;
        peer.send_batch(&pings).await.unwrap();
        assert!(peer.reply(1_255).await.unwrap().get("Ok").is_some(), "v{version}");
        let reply = peer.reply(1_256).await.unwrap();
        assert_eq!(reply["Error"]["ErrorCode"], 0, "v{version}: {reply}");
        assert_eq!(reply["Error"].get("ErrorReason"), None, "v{version}: {reply}");
    }
    let mut knows = rig.connect(Encoding::MessagePack).await;
    knows.open_with("knows reasons", json!({ "Extensions": ["error-reason"] })).await.unwrap();
    knows.send_batch(&pings).await.unwrap();
    let reply = knows.reply(1_256).await.unwrap();
    let error = &reply["Error"];
    assert_eq!(
        (&error["ErrorCode"], &error["ErrorReason"]),
        (&json!(6), &json!("too-many-requests")),
        "{reply}"
    );
}

/// No client of v0 works any more, so this is what one would say and hear, message by message.
#[tokio::test]
async fn a_conversation_of_v0_as_it_goes_over_the_wire() {
    let rig = rig(0).await;
    let commands =
        ["FleshlightLaunchFW12Cmd", "SingleMotorVibrateCmd", "StopDeviceCmd", "VorzeA10CycloneCmd"];
    let device = json!({ "DeviceIndex": 0, "DeviceName": "Everything", "DeviceMessages": commands });
    let transcript = [
        (
            json!({ "RequestServerInfo": { "Id": 1, "ClientName": "of 2017" } }),
            json!({ "ServerInfo": {
                "Id": 1, "ServerName": "buttplugd", "MajorVersion": 0, "MinorVersion": 0, "BuildVersion": 0,
                "MessageVersion": 0, "MaxPingTime": 0,
            } }),
        ),
        (json!({ "Ping": { "Id": 2 } }), json!({ "Ok": { "Id": 2 } })),
        (
            json!({ "Test": { "Id": 3, "TestString": "Grüße" } }),
            json!({ "Test": { "Id": 3, "TestString": "Grüße" } }),
        ),
        (
            json!({ "Test": { "Id": 4, "TestString": "Error" } }),
            json!({ "Error": { "Id": 4, "ErrorMessage": "the client asked for an error", "ErrorCode": 3 } }),
        ),
        (
            json!({ "RequestDeviceList": { "Id": 5 } }),
            json!({ "DeviceList": { "Id": 5, "Devices": [device] } }),
        ),
        (json!({ "StartScanning": { "Id": 6 } }), json!({ "Ok": { "Id": 6 } })),
        (
            json!({ "SingleMotorVibrateCmd": { "Id": 7, "DeviceIndex": 0, "Speed": 0.25 } }),
            json!({ "Ok": { "Id": 7 } }),
        ),
        (
            json!({ "FleshlightLaunchFW12Cmd": { "Id": 8, "DeviceIndex": 0, "Position": 0, "Speed": 99 } }),
            json!({ "Ok": { "Id": 8 } }),
        ),
        (
            json!({ "VorzeA10CycloneCmd": { "Id": 9, "DeviceIndex": 0, "Speed": 100, "Clockwise": false } }),
            json!({ "Ok": { "Id": 9 } }),
        ),
        (json!({ "StopDeviceCmd": { "Id": 10, "DeviceIndex": 0 } }), json!({ "Ok": { "Id": 10 } })),
        (
            json!({ "VibrateCmd": { "Id": 11, "DeviceIndex": 0, "Speeds": [] } }),
            json!({ "Error": {
                "Id": 11, "ErrorCode": 3,
                "ErrorMessage": "this session's spec version has no message `VibrateCmd`; it belongs to v1, v2, v3",
            } }),
        ),
        (json!({ "StopAllDevices": { "Id": 12 } }), json!({ "Ok": { "Id": 12 } })),
        (json!({ "RequestLog": { "Id": 13, "LogLevel": "Info" } }), json!({ "Ok": { "Id": 13 } })),
        (json!({ "StopScanning": { "Id": 14 } }), json!({ "Ok": { "Id": 14 } })),
    ];
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let before = rig.packets().len();
        let mut peer = rig.connect(encoding).await;
        for (id, (said, heard)) in (1..).zip(&transcript) {
            peer.send_batch(&json!([said])).await.unwrap();
            assert_eq!(peer.reply(id).await.unwrap(), *heard, "{encoding:?}");
        }
        assert_eq!(peer.event("ScanningFinished").await.unwrap(), json!({ "Id": 0 }));
        let line = json!({ "Id": 0, "LogLevel": "Info", "LogMessage": "the scan has ended" });
        assert_eq!(peer.event("Log").await.unwrap(), line);
        let sent = rig.packets_since(before);
        let driven = ["01002000", "01010500", "02040000d500", "0102ecff"];
        let at = sent.windows(driven.len()).position(|window| window == driven);
        assert!(at.is_some(), "{encoding:?}: {sent:?}");
        assert_eq!(sent.get(driven.len()..).unwrap()[..3], ["01000000", "01010000", "01020000"], "{sent:?}");
    }
}
