//! The whole way: from a client's bytes through the real service, btleplug and BlueZ's interface to the bytes at a
//! characteristic, and what becomes of a running device when something on that way ends.
//!
//! What Bluetooth does by itself (scans, faults of BlueZ, links) is tested beside the transport.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use serde_json::{Value, json};
use system_tests::{
    bluez::{
        Action, CharacteristicSpec, DeviceSpec, Failure, FakeBluez, FakeDevice, Flag, Outcome, Security,
        Step, WriteKind,
    },
    bus::Bus,
    massager::{self, TX},
    peer::Peer,
    service::{Home, Launch, Service},
};
use tempfile::TempDir;

/// One that has to answer every packet.
fn strict_massager(number: u8) -> DeviceSpec {
    DeviceSpec { services: vec![], ..massager::spec(number) }
        .service(massager::SERVICE, vec![CharacteristicSpec::new(TX, &[Flag::Write])])
}

struct Rig {
    service: Service,
    bluez: FakeBluez,
    plugins: TempDir,
    home: Home,
    bus: Bus,
}

async fn rig() -> Rig {
    rig_with("").await
}

async fn rig_with(configuration: &str) -> Rig {
    let bus = Bus::system().await.unwrap();
    let bluez = FakeBluez::start(&bus).await.unwrap();
    let home = Home::new().unwrap();
    home.write_config("buttplugd.toml", configuration).unwrap();
    let plugins = massager::plugin().unwrap();
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
    let toy = rig.bluez.add_device(massager::spec(1));
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
    let toy = rig.bluez.add_device(massager::spec(1));
    let mut peer = rig.found(1).await;

    toy.fail_next(Step::Write, Failure::failed("Operation failed with ATT error: 0x0e"));
    let reply = vibrate(&mut peer, 0, 0, 10).await;
    assert_eq!(reply["Error"]["ErrorReason"], "write-failed", "{reply}");
    assert_eq!(reply["Error"]["ErrorCode"], 4);
    assert!(vibrate(&mut peer, 0, 0, 11).await.get("Ok").is_some());
}

#[tokio::test]
async fn a_device_that_wants_to_be_paired_says_how() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(DeviceSpec { security: Security::Paired, ..massager::spec(1) });
    let mut peer = rig.found(1).await;
    let refused = Failure::Refuse { name: "AuthenticationFailed", text: "Authentication Failed" };
    toy.fail_next(Step::Pair, refused);
    let reply = vibrate(&mut peer, 0, 0, 10).await;
    assert_eq!(reply["Error"]["ErrorReason"], "pairing-required", "{reply}");
    let text = reply["Error"]["ErrorMessage"].as_str().unwrap();
    assert!(text.contains(&format!("bluetoothctl pair {}", toy.address())), "{text}");

    // The user does so.
    let bluetoothctl = rig.bus.connect().await.unwrap();
    let path = format!("/org/bluez/hci0/dev_{}", toy.address().replace(':', "_"));
    let device = Some("org.bluez.Device1");
    bluetoothctl.call_method(Some("org.bluez"), path.as_str(), device, "Pair", &()).await.unwrap();
    assert!(vibrate(&mut peer, 0, 0, 11).await.get("Ok").is_some());
    assert!(packets(&toy).contains(&vec![0xF1, 11]));
}

/// The packet that wanted it says so, and not that it took too long.
#[tokio::test]
async fn a_pairing_that_comes_to_nothing_says_how() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(DeviceSpec { security: Security::Paired, ..massager::spec(1) });
    let mut peer = rig.found(1).await;
    toy.fail_next(Step::Pair, Failure::Silent);
    let reply = vibrate(&mut peer, 0, 0, 10).await;
    assert_eq!(reply["Error"]["ErrorReason"], "pairing-required", "{reply}");
    let text = reply["Error"]["ErrorMessage"].as_str().unwrap();
    assert!(text.contains(&format!("bluetoothctl pair {}", toy.address())), "{text}");
}

#[tokio::test]
async fn a_device_for_which_bluez_waits_for_a_pairing_is_paired() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(strict_massager(1));
    let mut peer = rig.found(1).await;
    // The device has refused, BlueZ pairs by itself, and waits for somebody to confirm that.
    toy.fail_next(Step::Write, Failure::Held);
    let (reply, ()) = tokio::join!(vibrate(&mut peer, 0, 0, 10), async {
        toy.operation_that(|operation| operation.action == Action::Pair).await;
        toy.release();
    });
    assert!(reply.get("Ok").is_some(), "{reply}");
    // What has answered once is not waited for any more.
    assert!(vibrate(&mut peer, 0, 0, 11).await.get("Ok").is_some());
    let pairings = toy.operations().into_iter().filter(|operation| operation.action == Action::Pair);
    assert_eq!(pairings.count(), 1);
}

#[tokio::test]
async fn a_device_that_hangs_up_at_the_first_packet_each_time_is_asked_to_pair() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(strict_massager(1));
    let mut peer = rig.found(1).await;
    toy.fail_always(Step::Write, Failure::Drop);
    toy.fail_always(Step::Pair, Failure::Refuse { name: "AuthenticationFailed", text: "no" });
    for value in [10, 11] {
        let reply = vibrate(&mut peer, 0, 0, value).await;
        assert!(reply.get("Error").is_some(), "{reply}");
        toy.advertise();
        if value == 10 {
            toy.connected().await;
            devices(&mut peer, 1).await;
        }
    }
    toy.operation_that(|operation| operation.action == Action::Pair).await;
}

#[tokio::test]
async fn an_adapter_is_never_switched_on() {
    let rig = rig().await;
    let _toy = rig.bluez.add_device(massager::spec(1));
    rig.found(1).await;
    let adapter = rig.bluez.adapter();
    adapter.not_discovering().await;
    let asked: Vec<_> = adapter.operations().into_iter().map(|operation| operation.action).collect();
    assert_eq!(asked, [Action::StartDiscovery, Action::StopDiscovery]);
}

#[tokio::test]
async fn the_strength_of_the_signal_is_read_in_every_version_that_knows_it_and_can_be_subscribed_to() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(massager::spec(1));
    let mut strict = rig.found(1).await;
    let mut peer = Peer::socket(rig.service.socket()).await.unwrap();
    peer.open_with("asks", json!({ "Extensions": ["rssi"] })).await.unwrap();
    let open = async |version: u32| {
        let mut peer = Peer::socket(rig.service.socket()).await.unwrap();
        peer.request("RequestServerInfo", json!({ "ClientName": "old", "MessageVersion": version }))
            .await
            .unwrap();
        peer
    };
    let (mut v2, mut v3) = (open(2).await, open(3).await);
    let ask = async |peer: &mut Peer, name: &str, more: Value| {
        let mut body = json!({ "DeviceIndex": 0 });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        peer.request(name, body).await.unwrap()
    };
    // The motors are features 0 and 1; the signal comes after them.
    let input = |command: &str| json!({ "FeatureIndex": 2, "Type": "RSSI", "Command": command });

    let read = ask(&mut v2, "RSSILevelCmd", json!({})).await;
    assert_eq!(read["RSSILevelReading"]["RSSILevel"], -50, "{read}");
    let sensor = json!({ "SensorIndex": 0, "SensorType": "RSSI" });
    let read = ask(&mut v3, "SensorReadCmd", sensor.clone()).await;
    assert_eq!(read["SensorReading"]["Data"], json!([-50]), "{read}");
    let read = ask(&mut peer, "InputCmd", input("Read")).await;
    assert_eq!(read["InputReading"]["Reading"]["RSSI"]["Value"], -50, "{read}");

    assert!(ask(&mut v3, "SensorSubscribeCmd", sensor).await.get("Ok").is_some());
    assert!(ask(&mut peer, "InputCmd", input("Subscribe")).await.get("Ok").is_some());
    toy.set_rssi(-61);
    assert_eq!(v3.event("SensorReading").await.unwrap()["Data"], json!([-61]));
    let told = peer.event("InputReading").await.unwrap();
    assert_eq!((&told["FeatureIndex"], &told["Reading"]["RSSI"]["Value"]), (&json!(2), &json!(-61)));

    // It is shown to those who asked for it, and to v2, which has a word of its own for it.
    let list = peer.request("RequestDeviceList", json!({})).await.unwrap();
    let features = &list["DeviceList"]["Devices"]["0"]["DeviceFeatures"];
    assert_eq!(features["2"]["Input"]["RSSI"]["Command"], json!(["Read", "Subscribe"]), "{list}");
    let list = strict.request("RequestDeviceList", json!({})).await.unwrap();
    let features = &list["DeviceList"]["Devices"]["0"]["DeviceFeatures"];
    assert_eq!(features.as_object().unwrap().len(), 2, "{list}");
    let list = v3.request("RequestDeviceList", json!({})).await.unwrap();
    assert!(list["DeviceList"]["Devices"][0]["DeviceMessages"].get("SensorReadCmd").is_none(), "{list}");
    let list = v2.request("RequestDeviceList", json!({})).await.unwrap();
    assert_eq!(list["DeviceList"]["Devices"][0]["DeviceMessages"]["RSSILevelCmd"], json!({}), "{list}");
    // It asked nothing of the device.
    assert!(packets(&toy).is_empty(), "{:?}", toy.writes());
}

#[tokio::test]
async fn one_write_is_in_flight_and_a_stop_comes_next() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(massager::spec(1));
    let mut peer = rig.found(1).await;
    toy.fail_next(Step::Write, Failure::Held);
    let set = |id: u32, value: i32| {
        let command = json!({ "Vibrate": { "Value": value } });
        json!({ "OutputCmd": { "Id": id, "DeviceIndex": 0, "FeatureIndex": 0, "Command": command } })
    };
    peer.send_batch(&json!([set(90, 9)])).await.unwrap();
    assert_eq!(toy.next_write().await.data, [0xF1, 9]);
    peer.send_batch(&json!([set(91, 10)])).await.unwrap();
    peer.send_batch(&json!([{ "StopCmd": { "Id": 92 } }])).await.unwrap();
    // It was taken, so the service has heard all of it.
    peer.send_batch(&json!([{ "Ping": { "Id": 93 } }])).await.unwrap();
    peer.reply(93).await.unwrap();
    assert_eq!(packets(&toy), [[0xF1, 9]]);

    toy.release();
    for id in [90, 91, 92] {
        let reply = peer.reply(id).await.unwrap();
        assert!(reply.get("Ok").is_some(), "{id}: {reply}");
    }
    // The value that waited was never sent.
    let sent = packets(&toy);
    assert!(!sent.contains(&vec![0xF1, 10]) && sent.contains(&vec![0xF1, 0]), "{sent:?}");
}

#[tokio::test]
async fn what_a_killed_client_drove_stops_and_nothing_else() {
    let rig = rig().await;
    let (one, other) = (rig.bluez.add_device(massager::spec(1)), rig.bluez.add_device(massager::spec(2)));
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
    let toy = rig.bluez.add_device(massager::spec(1));
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
    let toy = rig.bluez.add_device(massager::spec(1));
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
    let toy = rig.bluez.add_device(massager::spec(1));
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
    let _other = rig.bluez.add_device(massager::spec(2));
    let mut peer = rig.found(1).await;
    let toy = rig.bluez.add_device(massager::spec(1));
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

#[tokio::test]
async fn a_known_device_comes_back_by_itself_while_a_client_is_connected() {
    let rig = rig().await;
    let toy = rig.bluez.add_device(massager::spec(1));
    let peer = rig.found(1).await;
    let adapter = rig.bluez.adapter();
    adapter.not_discovering().await;
    drop(peer);
    toy.vanish();
    rig.service.wait_for_log("device gone").await.unwrap();
    assert!(!adapter.is_discovering());

    let mut peer = rig.peer("plays on").await;
    adapter.discovering().await;
    toy.appear();
    devices(&mut peer, 1).await;
    adapter.not_discovering().await;
    assert!(vibrate(&mut peer, 0, 0, 7).await.get("Ok").is_some());
}

#[tokio::test]
async fn a_known_device_comes_back_without_a_client_if_the_user_wants_it() {
    let rig = rig_with("devices.reconnect = \"always\"").await;
    let toy = rig.bluez.add_device(massager::spec(1));
    drop(rig.found(1).await);
    toy.vanish();
    let adapter = rig.bluez.adapter();
    adapter.discovering().await;
    toy.forget_operations();
    toy.appear();
    toy.operation_that(|operation| operation.action == Action::Connect).await;
    adapter.not_discovering().await;
}
