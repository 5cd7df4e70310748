//! Serial devices of the real service: a user's definition names a port, which is a pseudo terminal with a test at its other end.
//! Ports that are known by their adapter are in `usb`.

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod dongle;
mod usb;

use std::path::PathBuf;

use serde_json::{Value, json};
use system_tests::{
    peer::Peer,
    pty::SerialDevice,
    service::{Home, Launch, Service},
};

/// A stroker that speaks T-code, and says something back: what follows `B` is the charge of its battery.
const PROTOCOL: &str = r#"
maker = "Test"

[[protocol]]
id = "test-tcode"

[[protocol.serial]]
port = "PORT"
baud_rate = 115200

[protocol.template]
packet = [
    { kinds = ["position-with-duration"], bytes = '"L{i}{v:dec3}I{d}\n"' },
    { kinds = ["vibrate"], bytes = '"V{i}{v:dec2}\n"' },
]
input = [{ kind = "pressure", notify = "rx", value = "u8(0)" }]

[protocol.default]
name = "Test Stroker"
features = [
    { index = 0, output = { position-with-duration = { range = [0, 999], duration_ms = [0, 100000] } } },
    { index = 1, output = { vibrate = [0, 99] } },
    { index = 2, input = { pressure = { range = [[0, 255]], ways = ["subscribe"] } } },
]
"#;

struct Rig {
    service: Service,
    port: PathBuf,
    home: Home,
}

async fn start(home: &Home) -> Service {
    Launch::new(home).arg("--no-dbus").start().await.unwrap()
}

/// A service whose user has named a port at which there is nothing yet.
async fn rig() -> Rig {
    let home = Home::new().unwrap();
    let port = home.path().join("stroker");
    home.write_config("devices.d/stroker.toml", &PROTOCOL.replace("PORT", port.to_str().unwrap())).unwrap();
    let service = start(&home).await;
    Rig { service, port, home }
}

impl Rig {
    fn plug_in(&self) -> SerialDevice {
        SerialDevice::plug_in(&self.port).unwrap()
    }

    async fn peer(&self) -> Peer {
        Peer::driver(self.service.socket()).await.unwrap()
    }
}

/// Waits until there are so many devices, and gives the index of the first.
async fn devices(peer: &mut Peer, count: usize) -> Option<u32> {
    peer.devices(count).await.unwrap().into_keys().next()
}

async fn output(peer: &mut Peer, device: u32, feature: u32, command: Value) -> Value {
    peer.output(device, feature, command).await.unwrap()
}

fn vibrate(value: u32) -> Value {
    json!({ "Vibrate": { "Value": value } })
}

#[tokio::test]
async fn a_port_that_a_user_names_becomes_a_device_as_soon_as_it_is_there() {
    let rig = rig().await;
    let mut peer = rig.peer().await;
    assert_eq!(devices(&mut peer, 0).await, None);

    let mut stroker = rig.plug_in();
    let index = devices(&mut peer, 1).await.unwrap();
    let movement = json!({ "HwPositionWithDuration": { "Value": 999, "Duration": 500 } });
    assert!(output(&mut peer, index, 0, movement).await.get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "L0999I500");
    assert!(output(&mut peer, index, 1, vibrate(50)).await.get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "V150");

    assert!(peer.request("StopCmd", json!({})).await.unwrap().get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "V100");
}

#[tokio::test]
async fn what_the_device_sends_reaches_the_client_and_garbage_hurts_nobody() {
    let mut rig = rig().await;
    let mut stroker = rig.plug_in();
    let mut peer = rig.peer().await;
    let index = devices(&mut peer, 1).await.unwrap();
    stroker.send(&[0xFF; 3000]).await.unwrap();
    let wish = json!({ "DeviceIndex": index, "FeatureIndex": 2, "Type": "Pressure", "Command": "Subscribe" });
    let reply = peer.request("InputCmd", wish).await.unwrap();
    assert!(reply.get("Ok").is_some(), "{reply}");
    loop {
        stroker.send(&[77]).await.unwrap();
        let reading = peer.event("InputReading").await.unwrap();
        // Something of the garbage may have come after the subscription.
        if reading["Reading"]["Pressure"]["Value"] == 77 {
            break;
        }
    }
    assert!(output(&mut peer, index, 1, vibrate(9)).await.get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "V109");
    rig.service.assert_alive();
}

#[tokio::test]
async fn a_device_that_is_pulled_while_it_runs_is_stopped_first_when_it_returns_and_keeps_its_index() {
    let rig = rig().await;
    let mut stroker = rig.plug_in();
    let mut peer = rig.peer().await;
    let index = devices(&mut peer, 1).await.unwrap();
    assert!(output(&mut peer, index, 1, vibrate(60)).await.get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "V160");

    drop(stroker);
    devices(&mut peer, 0).await;
    let reply = output(&mut peer, index, 1, vibrate(61)).await;
    assert_eq!(reply["Error"]["ErrorReason"], "device-not-connected", "{reply}");

    let mut stroker = rig.plug_in();
    assert_eq!(stroker.line().await.unwrap(), "V100");
    assert_eq!(devices(&mut peer, 1).await, Some(index));
}

#[tokio::test]
async fn a_port_that_hangs_is_an_error_and_nothing_of_it_is_done_later() {
    let rig = rig().await;
    let mut stroker = rig.plug_in();
    let mut peer = rig.peer().await;
    let index = devices(&mut peer, 1).await.unwrap();
    assert!(output(&mut peer, index, 1, vibrate(10)).await.get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "V110");

    stroker.hang().unwrap();
    let reply = output(&mut peer, index, 1, vibrate(99)).await;
    assert!(reply.get("Error").is_some(), "{reply}");
    stroker.go_on().unwrap();

    // The device comes back by itself, and the first that it hears is to stop.
    assert_eq!(stroker.line().await.unwrap(), "V100");
    rig.service.wait_for_log("the port hangs").await.unwrap();
}

#[tokio::test]
async fn a_service_that_ends_or_was_killed_stops_the_device() {
    let mut rig = rig().await;
    let mut stroker = rig.plug_in();
    let mut peer = rig.peer().await;
    let index = devices(&mut peer, 1).await.unwrap();
    assert!(output(&mut peer, index, 1, vibrate(20)).await.get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "V120");
    assert!(rig.service.terminate().await.unwrap().success());
    assert_eq!(stroker.line().await.unwrap(), "V100");

    rig.service = start(&rig.home).await;
    let mut peer = rig.peer().await;
    assert_eq!(devices(&mut peer, 1).await, Some(index));
    assert!(output(&mut peer, index, 1, vibrate(30)).await.get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "V130");
    rig.service.kill().await.unwrap();
    // A port is nobody's own once it is closed, which this one never is: the test has it open.
    stroker.vacate().unwrap();

    rig.service = start(&rig.home).await;
    assert_eq!(stroker.line().await.unwrap(), "V100");
}

#[tokio::test]
async fn a_port_that_no_definition_names_is_left_alone_until_one_does() {
    let home = Home::new().unwrap();
    let port = home.path().join("stroker");
    let mut stroker = SerialDevice::plug_in(&port).unwrap();
    let service = start(&home).await;
    let mut rig = Rig { service, port, home };
    let mut peer = rig.peer().await;
    assert_eq!(devices(&mut peer, 0).await, None);
    assert_eq!(stroker.rest(), b"");

    let text = PROTOCOL.replace("PORT", rig.port.to_str().unwrap());
    rig.home.write_config("devices.d/stroker.toml", &text).unwrap();
    rig.service.signal(rustix::process::Signal::HUP).unwrap();
    let index = devices(&mut peer, 1).await.unwrap();
    assert!(output(&mut peer, index, 1, vibrate(5)).await.get("Ok").is_some());
    assert_eq!(stroker.line().await.unwrap(), "V105");
    rig.service.assert_alive();
}

/// What the README of the T-code plugin tells a user to write.
const OSR2: &str = r#"
[[model]]
protocol = "test-tcode"
[[model.serial]]
port = "PORT"
baud_rate = 115200

[[model]]
protocol = "test-tcode"
identifiers = [""]
name = "OSR2"
features = [
    { index = 0, description = "Stroke", output = { position-with-duration = { range = [0, 999], duration_ms = [0, 100000] } } },
    { index = 3, description = "Twist", output = { position-with-duration = { range = [0, 999], duration_ms = [0, 100000] } } },
]
"#;

#[tokio::test]
async fn a_user_gives_a_port_and_more_axes_to_a_protocol_that_is_there() {
    let home = Home::new().unwrap();
    let port = home.path().join("stroker");
    let plugins = home.path().join("plugins/tcode");
    std::fs::create_dir_all(&plugins).unwrap();
    std::fs::write(plugins.join("plugin.toml"), PROTOCOL.replace("PORT", "default")).unwrap();
    home.write_config("devices.d/osr2.toml", &OSR2.replace("PORT", port.to_str().unwrap())).unwrap();
    let launch = Launch::new(&home).arg("--no-dbus").plugin_path(&home.path().join("plugins"));
    let rig = Rig { service: launch.start().await.unwrap(), port, home };
    let mut stroker = rig.plug_in();
    let mut peer = rig.peer().await;
    let index = devices(&mut peer, 1).await.unwrap();
    let movement = json!({ "HwPositionWithDuration": { "Value": 500, "Duration": 250 } });
    let reply = output(&mut peer, index, 3, movement).await;
    assert!(reply.get("Ok").is_some(), "{reply}");
    assert_eq!(stroker.line().await.unwrap(), "L3500I250");
}
