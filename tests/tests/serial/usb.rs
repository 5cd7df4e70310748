//! Serial ports that the system lists, on a machine that umockdev makes: recognised by the USB ids of their adapter, as the README of
//! T-code tells a user.

use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use system_tests::{
    artifact,
    machine::{Hardware, Machine, Plug},
    peer::Peer,
    service::{Home, Launch},
};

/// An adapter as many makers build it in.
const ADAPTER: Hardware =
    Hardware { plug: Plug::Usb("1-3"), vendor: 0x1a86, product: 0x7523, name: "USB Serial", number: "77" };

const MINE: &str = r#"
[[model]]
protocol = "tcode-v03"
[[model.serial]]
usb = [{ vendor = 0x1a86, product = 0x7523 }]
baud_rate = 115200

[[model]]
protocol = "tcode-v03"
identifiers = [""]
name = "OSR2"
features = [
    { index = 0, output = { position-with-duration = { range = [0, 999], duration_ms = [0, 99999] } } },
    { index = 6, output = { vibrate = [0, 99] } },
]
"#;

/// A home with the T-code of this tree, and a user who says which adapter has it.
fn home(user: &str) -> Home {
    let home = Home::new().unwrap();
    std::fs::create_dir(home.path().join("plugins")).unwrap();
    symlink(artifact::source_tree().join("plugins/tcode"), home.path().join("plugins/tcode")).unwrap();
    home.write_config("devices.d/mine.toml", user).unwrap();
    home
}

fn launch<'h>(home: &'h Home, machine: &Machine) -> Launch<'h> {
    Launch::new(home).arg("--no-dbus").plugin_path(&home.path().join("plugins")).on(machine)
}

fn vibrate(value: u32) -> Value {
    json!({ "Vibrate": { "Value": value } })
}

#[tokio::test]
async fn a_port_is_known_by_its_adapter_and_one_that_no_definition_names_is_never_opened() {
    let (home, mut machine) = (home(MINE), Machine::new().unwrap());
    let others = [
        Hardware { plug: Plug::Usb("1-1"), product: 0x7522, ..ADAPTER },
        Hardware { plug: Plug::Usb("1-2"), vendor: 0x0403, ..ADAPTER },
    ];
    // One that is there from the start, and one that comes later.
    let mut before = machine.plug_in_serial(&others[0], "ttyUSB0").unwrap();
    let mut service = launch(&home, &machine).start().await.unwrap();
    let mut peer = Peer::driver(service.socket()).await.unwrap();
    let mut after = machine.plug_in_serial(&others[1], "ttyUSB1").unwrap();
    let mut stroker = machine.plug_in_serial(&ADAPTER, "ttyUSB2").unwrap();
    let index = peer.device().await.unwrap();
    let movement = json!({ "HwPositionWithDuration": { "Value": 999, "Duration": 250 } });
    peer.drive(index, 0, movement).await.unwrap();
    assert_eq!(stroker.line().await.unwrap(), "L0999I250");
    peer.drive(index, 6, vibrate(50)).await.unwrap();
    assert_eq!(stroker.line().await.unwrap(), "V050");
    peer.request("StartScanning", json!({})).await.unwrap();
    assert!(service.terminate().await.unwrap().success());
    assert_eq!(stroker.line().await.unwrap(), "V000");
    assert!(stroker.was_opened().unwrap());
    assert!(!before.was_opened().unwrap() && !after.was_opened().unwrap());
    assert_eq!([before.rest(), after.rest()], [b"", b""]);
}

#[tokio::test]
async fn a_device_is_the_same_at_another_port_and_stopped_first_when_it_was_pulled_out_running() {
    let (home, mut machine) = (home(MINE), Machine::new().unwrap());
    let twin = Hardware { plug: Plug::Usb("1-1"), number: "78", ..ADAPTER };
    let mut other = machine.plug_in_serial(&twin, "ttyUSB0").unwrap();
    let service = launch(&home, &machine).start().await.unwrap();
    let mut peer = Peer::driver(service.socket()).await.unwrap();
    let twin_index = peer.device().await.unwrap();
    let mut stroker = machine.plug_in_serial(&ADAPTER, "ttyUSB1").unwrap();
    let devices = peer.devices(2).await.unwrap();
    let index = *devices.keys().find(|index| **index != twin_index).unwrap();
    peer.drive(twin_index, 6, vibrate(11)).await.unwrap();
    assert_eq!(other.line().await.unwrap(), "V011");
    peer.drive(index, 6, vibrate(60)).await.unwrap();
    assert_eq!(stroker.line().await.unwrap(), "V060");

    // The plug is pulled, the other one too; what was the other's name is this one's now.
    drop((stroker, other));
    machine.unplug(&ADAPTER).unwrap();
    machine.unplug(&twin).unwrap();
    peer.devices(0).await.unwrap();
    let elsewhere = Hardware { plug: Plug::Usb("1-4"), ..ADAPTER };
    let mut stroker = machine.plug_in_serial(&elsewhere, "ttyUSB0").unwrap();
    assert_eq!(stroker.line().await.unwrap(), "V000");
    assert_eq!(peer.device().await.unwrap(), index);
    peer.drive(index, 6, vibrate(61)).await.unwrap();
    assert_eq!(stroker.line().await.unwrap(), "V061");
    drop(peer);
    assert_eq!(stroker.line().await.unwrap(), "V000", "its client is gone");
}

#[tokio::test]
async fn a_port_that_hangs_is_opened_anew_and_garbage_hurts_nobody() {
    let (home, mut machine) = (home(MINE), Machine::new().unwrap());
    let mut stroker = machine.plug_in_serial(&ADAPTER, "ttyACM0").unwrap();
    let mut service = launch(&home, &machine).start().await.unwrap();
    let mut peer = Peer::driver(service.socket()).await.unwrap();
    let index = peer.device().await.unwrap();
    stroker.send(&[0xff; 3000]).await.unwrap();
    peer.drive(index, 6, vibrate(10)).await.unwrap();
    assert_eq!(stroker.line().await.unwrap(), "V010");

    stroker.hang().unwrap();
    let reply = peer.output(index, 6, vibrate(99)).await.unwrap();
    assert!(reply.get("Error").is_some(), "{reply}");
    stroker.send(&[0x00; 3000]).await.unwrap();
    stroker.go_on().unwrap();
    assert_eq!(stroker.line().await.unwrap(), "V000", "nothing of what hung is sent later");
    assert_eq!(peer.device().await.unwrap(), index);
    service.assert_alive();
}

/// Another device with the same adapter in it.
const NAMESAKE: &str = r#"
[[protocol]]
id = "xylophone"
[[protocol.serial]]
usb = [{ vendor = 0x1a86, product = 0x7523 }]
baud_rate = 9600
[protocol.template]
packet = [{ bytes = '"X{v}\n"' }]
[protocol.default]
name = "Xylophone"
features = [{ index = 0, output = { vibrate = [0, 99] } }]
"#;

#[tokio::test]
async fn a_port_that_another_program_has_is_not_taken_for_another_device_meanwhile() {
    let home = home(&[MINE, NAMESAKE].concat());
    let mut machine = Machine::new().unwrap();
    let mut stroker = machine.plug_in_serial(&ADAPTER, "ttyUSB0").unwrap();
    stroker.occupy().unwrap();
    let service = launch(&home, &machine).as_anybody().start().await.unwrap();
    service.wait_for_log("another program has /dev/ttyUSB0 open").await.unwrap();
    service.wait_for_log("protocol=\"tcode-v03\" task=1").await.unwrap();
    stroker.vacate().unwrap();
    let mut peer = Peer::driver(service.socket()).await.unwrap();
    let devices = peer.devices(1).await.unwrap();
    let (index, name) = devices.first_key_value().unwrap();
    assert_eq!(name, "OSR2");
    peer.drive(*index, 6, vibrate(7)).await.unwrap();
    assert_eq!(stroker.line().await.unwrap(), "V007");
}

#[tokio::test]
async fn a_port_that_may_not_be_opened_is_told_with_the_group_and_opened_once_it_may() {
    let (home, mut machine) = (home(MINE), Machine::new().unwrap());
    let mut stroker = machine.plug_in_serial(&ADAPTER, "ttyUSB0").unwrap();
    stroker.set_mode(0).unwrap();
    let service = launch(&home, &machine).as_anybody().start().await.unwrap();
    let told = "transport=\"serial\" state=Unavailable reason=\"/dev/ttyUSB0 may not be opened\"";
    service.wait_for_log(told).await.unwrap();
    let mut peer = Peer::driver(service.socket()).await.unwrap();
    let told = peer.transport("serial").await.unwrap();
    assert!(told["Hint"].as_str().unwrap().contains("sudo usermod -aG "), "{told}");

    stroker.set_mode(0o600).unwrap();
    machine.changed(&ADAPTER).unwrap();
    let index = peer.device().await.unwrap();
    peer.drive(index, 6, vibrate(3)).await.unwrap();
    assert_eq!(stroker.line().await.unwrap(), "V003");
    assert_eq!(peer.transport("serial").await.unwrap()["State"], "ready");
}

#[tokio::test]
async fn a_system_that_does_not_show_its_ports_is_an_answer_and_no_end() {
    let (home, machine) = (home(MINE), Machine::new().unwrap());
    std::fs::remove_dir(machine.path().join("sys/class/tty")).unwrap();
    let mut service = launch(&home, &machine).start().await.unwrap();
    service.wait_for_log("transport=\"serial\" state=Unavailable").await.unwrap();
    let mut peer = Peer::driver(service.socket()).await.unwrap();
    let told = peer.transport("serial").await.unwrap();
    assert!(told["Hint"].as_str().unwrap().contains("/sys"), "{told}");
    service.assert_alive();
}
