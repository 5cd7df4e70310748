//! The whole way: from a client's bytes through the real service, btleplug and BlueZ's interface to the bytes at a
//! characteristic, and what becomes of a running device when something on that way ends.
//!
//! What Bluetooth does by itself (scans, faults of BlueZ, links) is tested beside the transport.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use std::fs;

use serde_json::{Value, json};
use system_tests::{
    bluez::{
        Action, CharacteristicSpec, DeviceSpec, Failure, FakeBluez, FakeDevice, Flag, Outcome, Step,
        WriteKind,
    },
    bus::Bus,
    peer::Peer,
    service::{Home, Launch, Service},
};
use tempfile::TempDir;
use uuid::{Uuid, uuid};

const SERVICE: Uuid = uuid!("0000ff00-0000-1000-8000-00805f9b34fb");
const TX: Uuid = uuid!("0000ff01-0000-1000-8000-00805f9b34fb");

const DEFINITION: &str = r#"
maker = "Test"

[[protocol]]
id = "massager"

[[protocol.bluetooth]]
names = ["Massage Demo"]
[protocol.bluetooth.services]
"0000ff00-0000-1000-8000-00805f9b34fb" = { tx = "0000ff01-0000-1000-8000-00805f9b34fb" }

[protocol.template]
packet = [{ bytes = "{0xF1 + i} {v}" }]

[protocol.default]
name = "Test Massager"
features = [
    { index = 0, output = { vibrate = [0, 127] } },
    { index = 1, output = { vibrate = [0, 127] } },
]
"#;

/// A massager with two motors, one packet a motor: 0xF1 or 0xF2, and the strength.
fn massager(number: u8) -> DeviceSpec {
    DeviceSpec::named(&format!("F0:F1:F2:F3:F4:{number:02X}"), "Massage Demo")
        .service(SERVICE, vec![CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse])])
}

struct Rig {
    service: Service,
    bluez: FakeBluez,
    plugins: TempDir,
    home: Home,
    bus: Bus,
}

async fn rig() -> Rig {
    let bus = Bus::system().await.unwrap();
    let bluez = FakeBluez::start(&bus).await.unwrap();
    let home = Home::new().unwrap();
    let plugins = tempfile::tempdir().unwrap();
    fs::create_dir(plugins.path().join("massager")).unwrap();
    fs::write(plugins.path().join("massager/plugin.toml"), DEFINITION).unwrap();
    let service = start(&home, &bus, &plugins).await;
    Rig { service, bluez, plugins, home, bus }
}

async fn start(home: &Home, bus: &Bus, plugins: &TempDir) -> Service {
    let launch = Launch::new(home).system_bus(bus).plugin_path(plugins.path()).arg("--no-dbus");
    launch.start().await.unwrap()
}

impl Rig {
    async fn peer(&self, name: &str) -> Peer {
        let mut peer = Peer::socket(self.service.socket()).await.unwrap();
        peer.open_with(name, json!({ "Extensions": ["error-reason"] })).await.unwrap();
        peer
    }

    /// A client that scanned until it found so many devices, and stopped.
    async fn found(&self, count: usize) -> Peer {
        let mut peer = self.peer("finder").await;
        let reply = peer.request("StartScanning", json!({})).await.unwrap();
        assert!(reply.get("Ok").is_some(), "{reply}");
        devices(&mut peer, count).await;
        peer.request("StopScanning", json!({})).await.unwrap();
        peer
    }
}

/// Waits for a device list with so many devices and gives their indices.
async fn devices(peer: &mut Peer, count: usize) -> Vec<u32> {
    loop {
        let list = peer.event("DeviceList").await.unwrap();
        let devices = list["Devices"].as_object().unwrap();
        if devices.len() == count {
            return devices.keys().map(|index| index.parse().unwrap()).collect();
        }
    }
}

async fn vibrate(peer: &mut Peer, device: u32, feature: u32, value: i32) -> Value {
    let command = json!({ "Vibrate": { "Value": value } });
    let body = json!({ "DeviceIndex": device, "FeatureIndex": feature, "Command": command });
    peer.request("OutputCmd", body).await.unwrap()
}

fn packets(toy: &FakeDevice) -> Vec<Vec<u8>> {
    toy.writes().into_iter().map(|write| write.data).collect()
}

/// Waits until the last packets to both motors were zeros.
async fn at_rest(toy: &FakeDevice) {
    for motor in [0xF1, 0xF2] {
        let rested =
            packets(toy).iter().rev().find(|packet| packet[0] == motor).is_none_or(|packet| packet[1] == 0);
        if !rested {
            let stops = |action: &Action| matches!(action, Action::Write(write) if write.data == [motor, 0]);
            toy.operation_that(|operation| operation.outcome == Outcome::Done && stops(&operation.action))
                .await;
        }
    }
}

#[tokio::test]
async fn a_command_becomes_its_packet_and_a_stop_ends_it() {
    let mut rig = rig().await;
    let toy = rig.bluez.add_device(massager(1));
    let mut peer = rig.found(1).await;

    assert!(vibrate(&mut peer, 0, 1, 100).await.get("Ok").is_some());
    let write = toy.next_write().await;
    assert_eq!((write.characteristic, &write.data[..]), (TX, &[0xF2, 100][..]));
    assert_ne!(write.kind, WriteKind::Unstated);

    assert!(peer.request("StopCmd", json!({})).await.unwrap().get("Ok").is_some());
    at_rest(&toy).await;
    rig.service.assert_alive();
    rig.bluez.adapter().not_discovering().await;
}

#[tokio::test]
async fn a_failed_write_is_an_error_and_not_an_ok() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(massager(1));
    let mut peer = rig.found(1).await;

    toy.fail_next(Step::Write, Failure::failed("Operation failed with ATT error: 0x0e"));
    let reply = vibrate(&mut peer, 0, 0, 10).await;
    assert_eq!(reply["Error"]["ErrorReason"], "write-failed", "{reply}");
    assert_eq!(reply["Error"]["ErrorCode"], 4);
    assert!(vibrate(&mut peer, 0, 0, 11).await.get("Ok").is_some());
}

#[tokio::test]
async fn what_a_killed_client_drove_stops_and_nothing_else() {
    let rig = rig().await;
    let (one, other) = (rig.bluez.add_device(massager(1)), rig.bluez.add_device(massager(2)));
    let mut stays = rig.found(2).await;
    let mut goes = rig.peer("goes").await;
    // Which device has which index is not said; the packets say it.
    vibrate(&mut goes, 0, 0, 50).await;
    let (driven, other) = if one.writes().is_empty() { (other, one) } else { (one, other) };
    vibrate(&mut stays, 1, 0, 70).await;

    drop(goes);

    at_rest(&driven).await;
    assert_eq!(packets(&other).last().unwrap(), &[0xF1, 70]);
}

#[tokio::test]
async fn a_missed_ping_stops_the_device() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(massager(1));
    let _finder = rig.found(1).await;
    let mut silent = Peer::socket(rig.service.socket()).await.unwrap();
    let wish = json!({ "Extensions": ["ping-time"], "PingTime": 300 });
    silent.open_with("silent", wish).await.unwrap();

    assert!(vibrate(&mut silent, 0, 0, 80).await.get("Ok").is_some());
    let started = toy.next_write().await;
    assert_eq!(started.data, [0xF1, 80]);
    at_rest(&toy).await;
    let rest = silent.closed().await.unwrap();
    assert!(rest.iter().any(|message| message["Error"]["ErrorCode"] == 2), "{rest:?}");
}

#[tokio::test]
async fn a_service_that_is_told_to_end_stops_the_device_first() {
    let mut rig = rig().await;
    let toy = rig.bluez.add_device(massager(1));
    let mut peer = rig.found(1).await;
    vibrate(&mut peer, 0, 0, 90).await;
    vibrate(&mut peer, 0, 1, 91).await;

    let status = rig.service.terminate().await.unwrap();

    assert!(status.success(), "{status}\n{}", rig.service.log());
    // Nothing is waited for: the packets came before the process ended.
    let sent = packets(&toy);
    assert!(
        sent.ends_with(&[vec![0xF1, 0], vec![0xF2, 0]]) || sent.ends_with(&[vec![0xF2, 0], vec![0xF1, 0]]),
        "{sent:?}"
    );
    toy.disconnected().await;
}

#[tokio::test]
async fn a_device_that_a_killed_service_left_running_is_stopped_by_the_next() {
    let mut rig = rig().await;
    let toy = rig.bluez.add_device(massager(1));
    let mut peer = rig.found(1).await;
    vibrate(&mut peer, 0, 0, 90).await;
    rig.service.kill().await.unwrap();
    assert_eq!(packets(&toy).last().unwrap(), &[0xF1, 90]);
    toy.forget_operations();

    let mut service = start(&rig.home, &rig.bus, &rig.plugins).await;

    at_rest(&toy).await;
    service.assert_alive();
}

#[tokio::test]
async fn a_device_that_went_out_of_range_while_running_is_stopped_when_it_returns_and_keeps_its_index() {
    let rig = rig().await;
    let _other = rig.bluez.add_device(massager(2));
    let mut peer = rig.found(1).await;
    let toy = rig.bluez.add_device(massager(1));
    peer.request("StartScanning", json!({})).await.unwrap();
    let before = devices(&mut peer, 2).await;
    let index = *before.iter().find(|index| **index != 0).unwrap();
    vibrate(&mut peer, index, 0, 40).await;
    assert_eq!(toy.next_write().await.data, [0xF1, 40]);

    toy.vanish();
    devices(&mut peer, 1).await;
    let reply = vibrate(&mut peer, index, 0, 41).await;
    assert_eq!(reply["Error"]["ErrorCode"], 4, "{reply}");

    toy.appear();
    let mut after = devices(&mut peer, 2).await;
    after.sort_unstable();
    assert!(after.contains(&index), "{after:?}");
    at_rest(&toy).await;
}

#[tokio::test]
async fn a_scan_that_nothing_can_serve_says_why() {
    let rig = rig().await;
    rig.bluez.leave().await;
    rig.service.wait_for_log("BlueZ, the Bluetooth service of Linux, is not running").await.unwrap();
    let mut peer = rig.peer("looks").await;
    // The log has it a moment before the sessions do.
    let mut reply = Value::Null;
    for _ in 0..100 {
        reply = peer.request("StartScanning", json!({})).await.unwrap();
        if reply.get("Error").is_some() {
            break;
        }
        peer.request("StopScanning", json!({})).await.unwrap();
    }
    let text = reply["Error"]["ErrorMessage"].as_str().unwrap_or_default();
    assert!(text.contains("BlueZ"), "{reply}");
}
