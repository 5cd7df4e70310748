//! Devices and clients come and go hundreds of times.
//!
//! `SOAK_CYCLES` sets how often; 10000 is what a release is tried with.

use crate::{advertising, measure::Measure};
use serde_json::{Value, json};
use system_tests::{
    bluez::FakeBluez,
    bus::Bus,
    massager,
    peer::Peer,
    service::{Home, Launch},
};

const CYCLES: u32 = 300;
/// Cycles before the first measurement: caches and pools are full then.
const WARM_UP: u32 = 40;

/// Otherwise every cycle would wait for the gap between the first packets.
const FAST: &str = "[[device]]\nwhich = { protocol = \"massager\" }\nmessage_gap_ms = 1\n";

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
    home.write_config("devices.d/fast.toml", FAST).unwrap();
    home.write_config("buttplugd.toml", "[simulated]\nenabled = true\nmodels = [\"Simulated Motor\"]\n")
        .unwrap();
    let plugins = massager::plugin().unwrap();
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
    let toy = bluez.add_device(massager::spec(1));
    let mut before = None;
    let coming_and_going = async {
        for cycle in 0..cycles + WARM_UP {
            let list = devices(&mut stays, 2).await;
            if cycle == WARM_UP {
                before = Some(Measure::of(&service, &[&bus]).await);
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
    };
    tokio::select! {
        () = coming_and_going => {}
        never = advertising(&toy) => match never {},
    }
    let after = Measure::of(&service, &[&bus]).await;
    service.assert_alive();
    after.assert_no_more_than(&before.unwrap());
}
