//! The strength of the signal of a Bluetooth device, on D-Bus and from the command line. What each spec version says of it is tested with
//! the other commands (`bluetooth`).

use std::collections::HashMap;

use ipc_schema::dbus::{BUS_NAME, DEVICE_INTERFACE, SERVER_INTERFACE, SERVER_PATH, device_path};
use serde_json::json;
use system_tests::{
    artifact,
    bluez::{DeviceSpec, FakeBluez},
    bus::Bus,
    massager,
    peer::Peer,
    service::{Home, Launch},
};

#[tokio::test]
async fn the_bus_and_the_command_line_read_it() {
    let control = artifact::executable("buttplugctl").unwrap();
    let (system, session) = (Bus::system().await.unwrap(), Bus::session().await.unwrap());
    let bluez = FakeBluez::start(&system).await.unwrap();
    let _toy = bluez.add_device(DeviceSpec { rssi: -63, ..massager::spec(1) });
    let home = Home::new().unwrap();
    let plugins = massager::plugin().unwrap();
    let launch = Launch::new(&home).system_bus(&system).session_bus(&session).plugin_path(plugins.path());
    let service = launch.start().await.unwrap();
    let mut peer = Peer::socket(service.socket()).await.unwrap();
    peer.open("finder").await.unwrap();
    peer.request("StartScanning", json!({})).await.unwrap();
    while peer.event("DeviceList").await.unwrap()["Devices"].as_object().unwrap().is_empty() {}

    let caller = session.connect().await.unwrap();
    let server = Some(SERVER_INTERFACE);
    let hello = ("caller", HashMap::<&str, zbus::Variant<'_>>::new());
    caller.call_method(Some(BUS_NAME), SERVER_PATH, server, "RequestServerInfo", &hello).await.unwrap();
    let path = device_path(0);
    let device = Some(DEVICE_INTERFACE);
    let read = caller.call_method(Some(BUS_NAME), path.as_str(), device, "Read", &(2_u32, "RSSI"));
    assert_eq!(read.await.unwrap().body().deserialize::<i32>().unwrap(), -63);

    let said = tokio::process::Command::new(control)
        .arg("--socket")
        .arg(service.socket())
        .args(["read", "0", "--kind", "rssi"])
        .output()
        .await
        .unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(String::from_utf8_lossy(&said.stdout), "-63 dBm\n");
}
