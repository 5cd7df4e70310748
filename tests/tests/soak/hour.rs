//! Mixed load: clients of several versions and fronts, well-behaved and not, and a device that comes and goes, while the time of the
//! service passes thirty times as fast.
//!
//! `SOAK_MINUTES` sets how long, in the time of the service; 60 is what a release is tried with.

use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use ipc_schema::dbus::{BUS_NAME, SERVER_INTERFACE, SERVER_PATH};
use serde_json::{Value, json};
use system_tests::{
    bluez::{FakeBluez, FakeDevice},
    bus::Bus,
    chance::Chance,
    clock::FastClock,
    massager,
    peer::Peer,
    service::{Home, Launch},
};
use tokio::{
    task::JoinSet,
    time::{Interval, interval, timeout},
};

use crate::{advertising, measure::Measure};

const MINUTES: u32 = 3;
/// Minutes before the first measurement.
const WARM_UP_MINUTES: u32 = 1;
const FACTOR: u32 = 30;
/// Between two commands of a client, in the time of the service: what an application that plays a pattern sends.
const BEAT: Duration = Duration::from_millis(100);
/// A device is there so many beats and away as many.
const STAY_BEATS: u32 = 100;
/// Of the commands, so many percent are done; the others came when a device was away, or from a client that was closed.
const DONE_PERCENT_MIN: u32 = 50;

/// The simulated devices, and the one of Bluetooth.
const DEVICES: usize = 7;
/// Time between two pings that clients ask for, in the milliseconds of the service.
const PING_MS: u32 = 10_000;

/// What all clients are given.
#[derive(Clone)]
struct Stage {
    socket: PathBuf,
    clock: FastClock,
    counts: Arc<Counts>,
}

/// Of commands.
#[derive(Default)]
struct Counts {
    asked: AtomicU32,
    done: AtomicU32,
}

impl Stage {
    fn beats(&self) -> Interval {
        interval(self.clock.ours(BEAT))
    }

    /// Sends a command and counts what became of it.
    async fn ask(&self, peer: &mut Peer, name: &str, body: Value) -> anyhow::Result<()> {
        self.counts.asked.fetch_add(1, Ordering::Relaxed);
        let reply = peer.request(name, body).await?;
        if reply.get("Error").is_none() {
            self.counts.done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// A client of spec version 4 over the socket, with a ping deadline, and the indexes of the devices.
    async fn new_client(&self, name: &str) -> anyhow::Result<(Peer, Vec<u32>)> {
        let mut peer = Peer::socket(&self.socket).await?;
        peer.open_with(name, json!({ "Extensions": ["ping-time"], "PingTime": PING_MS })).await?;
        let list = peer.request("RequestDeviceList", json!({})).await?;
        let devices = list["DeviceList"]["Devices"].as_object().into_iter().flatten();
        Ok((peer, devices.filter_map(|(index, _)| index.parse().ok()).collect()))
    }
}

/// Plays a pattern on whatever there is, and pings as it should.
async fn steady(stage: &Stage, chance: &mut Chance) -> anyhow::Result<()> {
    let (mut peer, devices) = stage.new_client("steady").await?;
    let mut beats = stage.beats();
    for beat in 1..=200 {
        beats.tick().await;
        let body = vibrate(chance.one_of(&devices), chance.below(2), chance.below(20));
        stage.ask(&mut peer, "OutputCmd", body).await?;
        if beat % 20 == 0 {
            stage.ask(&mut peer, "Ping", json!({})).await?;
        }
    }
    stage.ask(&mut peer, "StopCmd", json!({})).await?;
    peer.request("Disconnect", json!({})).await?;
    Ok(())
}

/// An application of spec version 3 over WebSocket, which moves a stroker and reads a battery, and goes without a word.
async fn old(stage: &Stage, chance: &mut Chance) -> anyhow::Result<()> {
    let mut peer = Peer::websocket_over_unix(&stage.socket).await?;
    peer.request("RequestServerInfo", json!({ "ClientName": "old", "MessageVersion": 3 })).await?;
    let list = peer.request("RequestDeviceList", json!({})).await?;
    let devices = list["DeviceList"]["Devices"].as_array().cloned().unwrap_or_default();
    let named = |name: &str| {
        let device = devices.iter().find(|device| device["DeviceName"] == name);
        device.map_or(Value::Null, |device| device["DeviceIndex"].clone())
    };
    let (stroker, sensor) = (named("Simulated Stroker"), named("Simulated Sensor"));
    let mut beats = stage.beats();
    for _ in 0..30 {
        beats.tick().await;
        let position = if chance.below(2) == 0 { 0.1 } else { 0.9 };
        let vectors = json!([{ "Index": 0, "Duration": 300, "Position": position }]);
        stage.ask(&mut peer, "LinearCmd", json!({ "DeviceIndex": stroker, "Vectors": vectors })).await?;
        let read = json!({ "DeviceIndex": sensor, "SensorIndex": 0, "SensorType": "Battery" });
        stage.ask(&mut peer, "SensorReadCmd", read).await?;
        stage.ask(&mut peer, "Ping", json!({})).await?;
    }
    Ok(())
}

/// Sets something going and hangs, until the ping deadline closes it.
async fn hanging(stage: &Stage, chance: &mut Chance) -> anyhow::Result<()> {
    let (mut peer, devices) = stage.new_client("hanging").await?;
    for _ in 0..5 {
        stage.ask(&mut peer, "OutputCmd", vibrate(chance.one_of(&devices), 0, 20)).await?;
    }
    peer.closed().await?;
    Ok(())
}

/// Scans, lists and subscribes, all the time, many messages at once.
async fn curious(stage: &Stage, chance: &mut Chance) -> anyhow::Result<()> {
    let (mut peer, devices) = stage.new_client("curious").await?;
    let mut beats = stage.beats();
    for _ in 0..10 {
        beats.tick().await;
        stage.ask(&mut peer, "StartScanning", json!({})).await?;
        let device = chance.one_of(&devices);
        for (input, command) in [("Battery", "Read"), ("Pressure", "Subscribe"), ("Pressure", "Unsubscribe")]
        {
            let body = json!({ "DeviceIndex": device, "FeatureIndex": 1, "Type": input, "Command": command });
            // Most devices have no such thing, and say so.
            peer.request("InputCmd", body).await?;
        }
        stage.ask(&mut peer, "RequestDeviceList", json!({})).await?;
        stage.ask(&mut peer, "StopScanning", json!({})).await?;
        stage.ask(&mut peer, "Ping", json!({})).await?;
    }
    Ok(())
}

fn vibrate(device: Option<u32>, feature: usize, value: usize) -> Value {
    json!({ "DeviceIndex": device, "FeatureIndex": feature, "Command": { "Vibrate": { "Value": value } } })
}

/// An application of the desktop, which comes with a connection of its own and leaves by closing it.
async fn desktop(stage: &Stage, bus: &Bus) -> anyhow::Result<()> {
    let caller = bus.connect().await?;
    let hello = ("desktop", HashMap::<&str, zbus::Variant<'_>>::new());
    let call = |method| caller.call_method(Some(BUS_NAME), SERVER_PATH, Some(SERVER_INTERFACE), method, &());
    caller
        .call_method(Some(BUS_NAME), SERVER_PATH, Some(SERVER_INTERFACE), "RequestServerInfo", &hello)
        .await?;
    let mut beats = stage.beats();
    for method in ["RequestDeviceList", "StartScanning", "Ping", "StopScanning"] {
        beats.tick().await;
        stage.counts.asked.fetch_add(1, Ordering::Relaxed);
        call(method).await?;
        stage.counts.done.fetch_add(1, Ordering::Relaxed);
    }
    caller.close().await?;
    Ok(())
}

/// Comes and goes, also while it runs.
async fn coming_and_going(stage: &Stage, toy: &FakeDevice) {
    let mut beats = stage.beats();
    loop {
        for _ in 0..STAY_BEATS {
            beats.tick().await;
        }
        toy.vanish();
        toy.forget_operations();
        for _ in 0..STAY_BEATS {
            beats.tick().await;
        }
        toy.appear();
    }
}

/// Plays a client again and again, each time as a new one. One that is closed (a ping of it came late on a busy machine) comes again too.
macro_rules! again_and_again {
    ($clients:ident, $stage:ident, $seed:literal, $client:ident) => {{
        let stage = $stage.clone();
        $clients.spawn(async move {
            let mut chance = Chance($seed);
            loop {
                $client(&stage, &mut chance).await.ok();
            }
        });
    }};
}

#[tokio::test]
async fn mixed_load_leaves_nothing_behind() {
    let minutes = std::env::var("SOAK_MINUTES").map_or(MINUTES, |minutes| minutes.parse().unwrap());
    let clock = FastClock::new(FACTOR).unwrap();
    let (system, session) = (Bus::system().await.unwrap(), Bus::session().await.unwrap());
    let bluez = FakeBluez::start(&system).await.unwrap();
    let home = Home::new().unwrap();
    home.write_config("buttplugd.toml", "[simulated]\nenabled = true\n").unwrap();
    let plugins = massager::plugin().unwrap();
    let launch = Launch::new(&home).system_bus(&system).session_bus(&session).plugin_path(plugins.path());
    let mut service = launch.clock(&clock).env("RUST_LOG", "error").start().await.unwrap();
    let toy = bluez.add_device(massager::spec(1));

    let stage = Stage { socket: service.socket().to_owned(), clock: clock.clone(), counts: Arc::default() };
    let mut clients = JoinSet::new();
    again_and_again!(clients, stage, 1, steady);
    again_and_again!(clients, stage, 2, steady);
    again_and_again!(clients, stage, 3, old);
    again_and_again!(clients, stage, 4, hanging);
    again_and_again!(clients, stage, 5, curious);
    let minute = clock.ours(Duration::from_secs(60));
    let load = async {
        tokio::join!(coming_and_going(&stage, &toy), async {
            loop {
                desktop(&stage, &session).await.unwrap();
            }
        });
    };
    let buses = [&system, &session];
    tokio::pin!(load);
    timeout(minute * WARM_UP_MINUTES, &mut load).await.unwrap_err();
    there(&stage, &toy).await;
    let before = Measure::of(&service, &buses).await;
    timeout(minute * minutes, &mut load).await.unwrap_err();
    // It is waited for while somebody still wants it.
    there(&stage, &toy).await;
    clients.shutdown().await;
    at_rest(&stage).await;
    let after = Measure::of(&service, &buses).await;
    service.assert_alive();
    after.assert_no_more_than(&before);
    let counted = |count: &AtomicU32| count.load(Ordering::Relaxed);
    let (asked, done) = (counted(&stage.counts.asked), counted(&stage.counts.done));
    eprintln!("{done} of {asked} commands were done");
    assert!(asked > 0 && done * 100 / asked >= DONE_PERCENT_MIN, "{done} of {asked} commands were done");
}

/// Waits until the device is ready, wherever it was on its way.
async fn there(stage: &Stage, toy: &FakeDevice) {
    toy.appear();
    let mut peer = Peer::driver(&stage.socket).await.unwrap();
    tokio::select! {
        listed = peer.devices(DEVICES) => drop(listed.unwrap()),
        never = advertising(toy) => match never {},
    }
    peer.request("Disconnect", json!({})).await.unwrap();
}

/// Waits until no output is set any more. One that has been moved somewhere stays there.
async fn at_rest(stage: &Stage) {
    let mut peer = Peer::socket(&stage.socket).await.unwrap();
    peer.open_with("watcher", json!({ "Extensions": ["monitor"] })).await.unwrap();
    peer.request("SubscribeOutputs", json!({})).await.unwrap();
    let mut news = peer.request("RequestOutputs", json!({})).await.unwrap()["Outputs"].clone();
    let mut running = BTreeSet::new();
    loop {
        for output in news["Outputs"].as_array().unwrap() {
            let kind = output["Output"].as_str().unwrap();
            let which = format!("{}.{} {kind}", output["DeviceIndex"], output["FeatureIndex"]);
            let is_at_rest = |value: &Value| value.as_i64().is_none_or(|value| value == 0);
            if kind.contains("Position") || is_at_rest(&output["Wanted"]) && is_at_rest(&output["Confirmed"])
            {
                running.remove(&which);
            } else {
                running.insert(which);
            }
        }
        if running.is_empty() {
            break;
        }
        news = peer.event("OutputsChanged").await.unwrap();
    }
}
