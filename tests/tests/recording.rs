//! Recording and replay, the whole way: a device of a fake BlueZ is driven and recorded with `buttplugctl`, and the file is a device of
//! a second service that has no Bluetooth at all. The files under `recordings/` are played too.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use system_tests::{
    artifact,
    bluez::{CharacteristicSpec, DeviceSpec, FakeBluez, Flag, PATIENCE},
    bus::Bus,
    peer::Peer,
    service::{Home, Launch, Service},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};
use uuid::{Uuid, uuid};

const SERVICE: Uuid = uuid!("50300001-0023-4bd4-bbd5-a6920e4c5653");
const TX: Uuid = uuid!("50300002-0023-4bd4-bbd5-a6920e4c5653");
const RX: Uuid = uuid!("50300003-0023-4bd4-bbd5-a6920e4c5653");
const ADDRESS: &str = "F0:F1:F2:F3:F4:0A";

/// Writes what is recorded here to `recordings/` as well.
const UPDATE: &str = "UPDATE_RECORDINGS";

/// A toy with two motors. It tells its address when it is asked for its type, as these toys do.
fn toy() -> DeviceSpec {
    DeviceSpec::named(ADDRESS, "LVS-Edge36").service(
        SERVICE,
        vec![
            CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse]),
            CharacteristicSpec::new(RX, &[Flag::Notify]),
        ],
    )
}

/// The plugin of its maker, as a package lays it out.
fn plugins() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let maker = folder.path().join("lovense");
    fs::create_dir(&maker).unwrap();
    let definition = artifact::source_tree().join("plugins/lovense/plugin.toml");
    fs::copy(definition, maker.join("plugin.toml")).unwrap();
    let library = artifact::plugin("buttplug-lovense").unwrap();
    fs::copy(&library, maker.join(library.file_name().unwrap())).unwrap();
    folder
}

/// A client that has found the one device of a service.
async fn found(service: &Service) -> (Peer, Value) {
    let mut peer = Peer::socket(service.socket()).await.unwrap();
    peer.open("drives").await.unwrap();
    let reply = peer.request("StartScanning", json!({})).await.unwrap();
    assert!(reply.get("Ok").is_some(), "{reply}");
    loop {
        let list = peer.event("DeviceList").await.unwrap();
        if let Some(device) = list["Devices"].as_object().unwrap().values().next() {
            peer.request("StopScanning", json!({})).await.unwrap();
            return (peer, device.clone());
        }
    }
}

/// Drives both motors, reads the battery, stops; gives the charge.
async fn drive(peer: &mut Peer, device: &Value) -> Value {
    let index = &device["DeviceIndex"];
    for (feature, value) in [(0, 10), (1, 3), (0, 20)] {
        let command = json!({ "Vibrate": { "Value": value } });
        let body = json!({ "DeviceIndex": index, "FeatureIndex": feature, "Command": command });
        let reply = peer.request("OutputCmd", body).await.unwrap();
        assert!(reply.get("Ok").is_some(), "{reply}");
    }
    let body = json!({ "DeviceIndex": index, "FeatureIndex": 2, "Type": "Battery", "Command": "Read" });
    let reading = peer.request("InputCmd", body).await.unwrap();
    assert!(peer.request("StopCmd", json!({})).await.unwrap().get("Ok").is_some());
    reading["InputReading"]["Reading"].clone()
}

/// `buttplugctl record`, once it records.
struct Recorder {
    command: Child,
    file: PathBuf,
}

impl Recorder {
    async fn start(service: &Service, file: &Path, more: &[&str]) -> Self {
        let program = artifact::executable("buttplugctl").unwrap();
        let mut command = Command::new(program)
            .arg("--socket")
            .arg(service.socket())
            .args(["record", "0"])
            .arg(file)
            .args(more)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut said = BufReader::new(command.stderr.take().unwrap()).lines();
        let line = timeout(PATIENCE, said.next_line()).await.unwrap().unwrap().unwrap_or_default();
        assert!(line.starts_with("recording "), "{line}");
        Self { command, file: file.to_owned() }
    }

    /// Ends it, as Ctrl-C does, and gives what is in the file.
    async fn end(mut self) -> String {
        let pid = i32::try_from(self.command.id().unwrap()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), Signal::INT).unwrap();
        let status = timeout(PATIENCE, self.command.wait()).await.unwrap().unwrap();
        assert!(status.success(), "{status}");
        fs::read_to_string(&self.file).unwrap()
    }
}

/// The packets of a recording, as text.
fn packets(recording: &str) -> Vec<String> {
    let steps = recording.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    steps.filter_map(|step| Some(step["write"]["hex"].as_str()?.to_owned())).collect()
}

async fn replay(home: &Home, plugins: &TempDir, file: &Path) -> Service {
    let launch = Launch::new(home).plugin_path(plugins.path()).args_replay(file);
    launch.start().await.unwrap()
}

/// The option for a recording.
trait Replay {
    fn args_replay(self, file: &Path) -> Self;
}

impl Replay for Launch<'_> {
    fn args_replay(self, file: &Path) -> Self {
        self.arg("--no-dbus").arg("--replay").arg(file)
    }
}

#[tokio::test]
async fn a_recorded_device_is_the_same_without_hardware() {
    let bus = Bus::system().await.unwrap();
    let bluez = FakeBluez::start(&bus).await.unwrap();
    let home = Home::new().unwrap();
    let plugins = plugins();
    let launch = Launch::new(&home).system_bus(&bus).plugin_path(plugins.path()).arg("--no-dbus");
    let service = launch.start().await.unwrap();
    let real = bluez.add_device(toy());
    real.respond_with(|write| match write.text().as_str() {
        "DeviceType;" => vec![(RX, b"P:36:F0F1F2F3F40A;".to_vec())],
        "Battery;" => vec![(RX, b"85;".to_vec())],
        _ => vec![(RX, b"OK;".to_vec())],
    });
    let (mut peer, device) = found(&service).await;
    assert_eq!(device["DeviceName"], "Lovense Edge");
    let file = home.path().join("toy.jsonl");
    let recorder = Recorder::start(&service, &file, &[]).await;
    let charge = drive(&mut peer, &device).await;
    let recording = recorder.end().await;

    for hidden in ["F0F1F2F3F40A", "F0:F1:F2:F3:F4:0A", "F0_F1_F2_F3_F4_0A", "463046314632463346343041"] {
        assert!(!recording.to_uppercase().contains(hidden), "{hidden} is in:\n{recording}");
    }
    let head: Value = serde_json::from_str(recording.lines().next().unwrap()).unwrap();
    assert_eq!(
        [&head["transport"], &head["name"], &head["protocol"], &head["model"]],
        ["bluetooth", "LVS-Edge36", "lovense", "Lovense Edge"]
    );
    let seen: Vec<String> = real
        .writes()
        .iter()
        .map(|write| write.data.iter().map(|byte| format!("{byte:02x}")).collect())
        .collect();
    assert_eq!(packets(&recording), seen, "every packet, from the first");

    let elsewhere = Home::new().unwrap();
    let second = replay(&elsewhere, &plugins, &file).await;
    let (mut peer, replayed) = found(&second).await;
    assert_eq!(replayed, device);
    let again = elsewhere.path().join("again.jsonl");
    let recorder = Recorder::start(&second, &again, &[]).await;
    assert_eq!(drive(&mut peer, &replayed).await, charge);
    assert_eq!(packets(&recorder.end().await), packets(&recording));
    assert!(!second.log().contains("is not in the recording"), "{}", second.log());

    if std::env::var_os(UPDATE).is_some() {
        let kept = artifact::source_tree().join("tests/recordings/lovense-edge.jsonl");
        fs::write(kept, recording).unwrap();
    }
}

#[tokio::test]
async fn a_recording_of_a_user_replays() {
    let plugins = plugins();
    let home = Home::new().unwrap();
    let file = artifact::source_tree().join("tests/recordings/lovense-edge.jsonl");
    let service = replay(&home, &plugins, &file).await;
    let (mut peer, device) = found(&service).await;
    assert_eq!(device["DeviceName"], "Lovense Edge");
    assert_eq!(drive(&mut peer, &device).await, json!({ "Battery": { "Value": 85 } }));
    assert!(!service.log().contains("is not in the recording"), "{}", service.log());

    // Otherwise than it was recorded: said once, and taken.
    for value in [7, 8] {
        let command = json!({ "Vibrate": { "Value": value } });
        let body = json!({ "DeviceIndex": 0, "FeatureIndex": 0, "Command": command });
        assert!(peer.request("OutputCmd", body).await.unwrap().get("Ok").is_some());
    }
    assert_eq!(service.log().matches("is not in the recording").count(), 1, "{}", service.log());
}

#[tokio::test]
async fn the_address_is_in_a_recording_only_when_the_user_wants_it_and_only_one_records() {
    let home = Home::new().unwrap();
    let service = Launch::new(&home).arg("--no-dbus").arg("--simulated").start().await.unwrap();
    let (_peer, _) = found(&service).await;
    let file = home.path().join("open.jsonl");
    let recorder = Recorder::start(&service, &file, &["--with-address"]).await;

    let mut second = Peer::socket(service.socket()).await.unwrap();
    second.open_with("second", json!({ "Extensions": ["monitor", "error-reason"] })).await.unwrap();
    let body = json!({ "DeviceIndex": 0, "WithAddress": false });
    let reply = second.request("StartRecording", body.clone()).await.unwrap();
    assert_eq!(reply["Error"]["ErrorReason"], "reserved", "{reply}");

    let recording = recorder.end().await;
    assert!(recording.lines().next().unwrap().contains(r#""address":"#), "{recording}");
    assert!(second.request("StartRecording", body).await.unwrap().get("Ok").is_some());
    let told = second.event("Recorded").await.unwrap();
    assert!(!told["Lines"][0].as_str().unwrap().contains(r#""address":"#), "{told}");
}

#[tokio::test]
async fn a_file_that_is_no_recording_is_one_line_and_a_failed_start() {
    let home = Home::new().unwrap();
    let file = home.path().join("other.json");
    fs::write(&file, "{\"some\": \"json\"}\n").unwrap();
    for (file, wanted) in [(file, "is no recording of a device"), ("/nonexistent".into(), "cannot read")] {
        let (status, log) = Launch::new(&home).args_replay(&file).run().await.unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(
            log.contains(wanted) && log.lines().count() == 1 && log.matches("os error").count() <= 1,
            "{log}"
        );
    }
}
