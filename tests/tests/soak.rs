//! A long life in short time: devices and clients come and go hundreds of times, and the service is afterwards what it was: no more
//! files, threads, match rules on the bus, and no more memory than a bound.
//!
//! `SOAK_CYCLES` sets the number of cycles; 10000 is what a release is tried with.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use std::{collections::HashMap, fs};

use serde_json::{Value, json};
use system_tests::{
    bluez::{CharacteristicSpec, DeviceSpec, FakeBluez, Flag},
    bus::Bus,
    peer::Peer,
    service::{Home, Launch, Service},
};
use uuid::{Uuid, uuid};
use zbus::OwnedVariant;

const CYCLES: u32 = 300;
/// Cycles before the first measurement: caches and pools are full then.
const WARM_UP: u32 = 40;
/// Memory that may come on top, in KiB. A leak of 64 bytes a cycle is more than that in a full soak, one of 30 KiB in a short one.
const GROWTH_MAX_KIB: u64 = 6 * 1024;
/// Files that may be open at one measurement and not at the other: a client that is just going.
const FILES_BESIDE: usize = 2;

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
features = [{ index = 0, output = { vibrate = [0, 127] } }]
"#;

/// What must not grow.
#[derive(Debug)]
struct Measure {
    files: usize,
    threads: u64,
    memory_kib: u64,
    /// Absent where the bus does not count them.
    match_rules: Option<u32>,
}

async fn measure(service: &Service, bus: &Bus) -> Measure {
    let pid = service.pid().unwrap().as_raw_nonzero();
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    Measure {
        files: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
        threads: field("Threads:"),
        memory_kib: field("VmRSS:"),
        match_rules: match_rules(bus, pid.get().unsigned_abs()).await,
    }
}

/// The match rules of all connections of a process, as the bus counts them.
async fn match_rules(bus: &Bus, pid: u32) -> Option<u32> {
    const NAME: &str = "org.freedesktop.DBus";
    let connection = bus.connect().await.unwrap();
    let proxy = zbus::fdo::DBusProxy::new(&connection).await.unwrap();
    let mut sum = 0;
    for name in proxy.list_names().await.unwrap() {
        if !name.starts_with(':')
            || proxy.get_connection_unix_process_id(name.clone().into()).await != Ok(pid)
        {
            continue;
        }
        let interface = "org.freedesktop.DBus.Debug.Stats";
        let path = "/org/freedesktop/DBus";
        let reply = connection
            .call_method(Some(NAME), path, Some(interface), "GetConnectionStats", &name.as_str())
            .await
            .ok()?;
        let stats: HashMap<String, OwnedVariant> = reply.body().deserialize().unwrap();
        sum += u32::try_from(stats.get("MatchRules")?).unwrap();
    }
    Some(sum)
}

/// Waits for a device list with so many devices and gives it.
async fn devices(peer: &mut Peer, count: usize) -> Value {
    loop {
        let list = peer.event("DeviceList").await.unwrap();
        if list["Devices"].as_object().unwrap().len() == count {
            return list["Devices"].clone();
        }
    }
}

async fn vibrate(peer: &mut Peer, device: u32, value: u32) -> Value {
    let command = json!({ "Vibrate": { "Value": value } });
    let body = json!({ "DeviceIndex": device, "FeatureIndex": 0, "Command": command });
    peer.request("OutputCmd", body).await.unwrap()
}

#[tokio::test]
async fn devices_and_clients_that_come_and_go_leave_nothing_behind() {
    let cycles = std::env::var("SOAK_CYCLES").map_or(CYCLES, |count| count.parse().unwrap());
    let bus = Bus::system().await.unwrap();
    let bluez = FakeBluez::start(&bus).await.unwrap();
    let home = Home::new().unwrap();
    home.write_config("buttplugd.toml", "[simulated]\nenabled = true\nmodels = [\"Simulated Motor\"]\n")
        .unwrap();
    let plugins = tempfile::tempdir().unwrap();
    fs::create_dir(plugins.path().join("massager")).unwrap();
    fs::write(plugins.path().join("massager/plugin.toml"), DEFINITION).unwrap();
    let launch = Launch::new(&home)
        .system_bus(&bus)
        .plugin_path(plugins.path())
        .arg("--no-dbus")
        .env("RUST_LOG", "warn");
    let mut service = launch.start().await.unwrap();

    // The simulated device stays and is driven all the time.
    let mut stays = Peer::socket(service.socket()).await.unwrap();
    stays.open("stays").await.unwrap();
    stays.request("StartScanning", json!({})).await.unwrap();
    let list = devices(&mut stays, 1).await;
    let simulated: u32 = list.as_object().unwrap().keys().next().unwrap().parse().unwrap();
    let toy = bluez.add_device(
        DeviceSpec::named("F0:F1:F2:F3:F4:01", "Massage Demo")
            .service(SERVICE, vec![CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse])]),
    );
    let mut before = None;
    for cycle in 0..cycles + WARM_UP {
        let list = devices(&mut stays, 2).await;
        if cycle == WARM_UP {
            before = Some(measure(&service, &bus).await);
        }
        let keys = list.as_object().unwrap().keys().map(|key| key.parse::<u32>().unwrap());
        let attached = keys.into_iter().find(|index| *index != simulated).unwrap();
        // Numbers are for life, so a device that returns is no new one.
        assert!(attached <= 1, "cycle {cycle}: {list}");

        let mut goes = Peer::socket(service.socket()).await.unwrap();
        goes.open("goes").await.unwrap();
        assert!(vibrate(&mut goes, attached, 1 + cycle % 100).await.get("Ok").is_some());
        for value in 0..5 {
            let reply = vibrate(&mut stays, simulated, value).await;
            assert!(reply.get("Ok").is_some(), "cycle {cycle}: {reply}");
        }
        stays.request("Ping", json!({})).await.unwrap();
        drop(goes);
        toy.vanish();
        devices(&mut stays, 1).await;
        toy.forget_operations();
        toy.appear();
    }
    devices(&mut stays, 2).await;
    let after = measure(&service, &bus).await;
    let before = before.unwrap();
    service.assert_alive();
    assert!(after.files <= before.files + FILES_BESIDE, "{before:?} became {after:?}");
    assert!(after.threads <= before.threads, "{before:?} became {after:?}");
    assert!(after.match_rules <= before.match_rules, "{before:?} became {after:?}");
    assert!(after.memory_kib <= before.memory_kib + GROWTH_MAX_KIB, "{before:?} became {after:?}");
}
