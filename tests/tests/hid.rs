//! HID devices of the real service, on a machine that umockdev makes: found, opened, driven, pulled out and plugged in again.
//!
//! The nodes are no hidraw nodes of a kernel; those are in the virtual machine (`tests/vm`).

#![expect(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

use std::{fs, os::unix::fs::symlink};

use serde_json::{Value, json};
use system_tests::{
    artifact,
    machine::{Hardware, Interface, Machine, Plug},
    peer::Peer,
    pty::HidNode,
    service::{Home, Launch, Service},
};

/// The Cyclone X of Vorze: one motor, which turns both ways.
const CYCLONE: Hardware =
    Hardware { plug: Plug::Usb("1-2"), vendor: 0x0483, product: 0x5750, name: "Cyclone X", number: "" };
const CYCLONE_PART: Interface = Interface { number: 0, node: "hidraw0", usage: (0xff00, 1) };

/// A device of these tests, which says something back: its first byte is a pressure.
const GADGET: &str = r#"
maker = "Test"

[[protocol]]
id = "gadget"
[[protocol.hid]]
ids = [{ vendor = 0xb077, product = 0x0002 }]
#PART
[protocol.template]
packet = [{ bytes = "00 A1 {v}" }]
input = [{ kind = "pressure", notify = "rx", value = "u8(0)" }]
[protocol.default]
name = "Gadget"
features = [
    { index = 0, output = { vibrate = [0, 99] } },
    { index = 1, input = { pressure = { range = [[0, 255]], ways = ["subscribe"] } } },
]
"#;

/// Another protocol with the same ids. It comes second: by the alphabet, since nothing else makes a difference.
const OTHER: &str = r#"
[[protocol]]
id = "other-gadget"
[[protocol.hid]]
ids = [{ vendor = 0xb077, product = 0x0002 }]
[protocol.template]
packet = [{ bytes = "00 B2 {v}" }]
[protocol.default]
name = "Other Gadget"
features = [{ index = 0, output = { vibrate = [0, 99] } }]
"#;

const fn gadget(port: &'static str) -> Hardware {
    Hardware { plug: Plug::Usb(port), vendor: 0xb077, product: 0x0002, name: "Gadget", number: "" }
}

const fn part(number: u8, node: &'static str, usage: (u16, u16)) -> Interface {
    Interface { number, node, usage }
}

/// A home with the plugins of those makers of this tree.
fn home(makers: &[&str]) -> Home {
    let home = Home::new().unwrap();
    for maker in makers {
        let folder = home.path().join("plugins").join(maker);
        fs::create_dir_all(&folder).unwrap();
        let sources = artifact::source_tree().join("plugins").join(maker);
        symlink(sources.join("plugin.toml"), folder.join("plugin.toml")).unwrap();
        if sources.join("Cargo.toml").exists() {
            let library = artifact::plugin(&format!("buttplug-{maker}")).unwrap();
            symlink(&library, folder.join(library.file_name().unwrap())).unwrap();
        }
    }
    home
}

fn launch<'h>(home: &'h Home, machine: &Machine) -> Launch<'h> {
    Launch::new(home).arg("--no-dbus").plugin_path(&home.path().join("plugins")).on(machine)
}

async fn driver(service: &Service) -> Peer {
    Peer::driver(service.socket()).await.unwrap()
}

fn vibrate(value: u32) -> Value {
    json!({ "Vibrate": { "Value": value } })
}

fn rotate(value: i32) -> Value {
    json!({ "Rotate": { "Value": value } })
}

/// The reports of the Cyclone X.
fn turning(direction: u8, speed: u8) -> Vec<u8> {
    let speed = 0x30 + speed;
    vec![0, 0x3c, 0x30, 0x31, 0x35, 0x32, 0x30, direction, speed, 0x30, 0x30, 1, 2, 3, 0x68, 0x3e]
}

#[tokio::test]
async fn a_joycon_over_bluetooth_rumbles_and_is_stopped_when_its_client_dies() {
    const LENGTH: usize = 64;
    let address = "98:b6:e9:01:02:03";
    let joycon = Hardware {
        plug: Plug::Bluetooth,
        vendor: 0x057e,
        product: 0x2007,
        name: "Joy-Con (R)",
        number: address,
    };
    let rumble = |count: u8, rumble: [u8; 4]| {
        let mut report = [&[0x10, count][..], &rumble, &rumble].concat();
        report.resize(LENGTH, 0);
        report
    };
    let (half, quarter, rest) = ([0xa8, 0x88, 0xac, 0x62], [0xa8, 0x48, 0x9c, 0x52], [0, 1, 0x40, 0x40]);
    let (home, mut machine) = (home(&["nintendo"]), Machine::new().unwrap());
    let service = launch(&home, &machine).start().await.unwrap();
    let mut peer = driver(&service).await;
    let mut nodes = machine.plug_in_hid(&joycon, &[part(0, "hidraw0", (1, 5))]).unwrap();
    let index = peer.device().await.unwrap();
    let mut switched_on = vec![0; LENGTH];
    (switched_on[0], switched_on[10], switched_on[11]) = (0x01, 0x48, 0x01);
    assert_eq!(nodes[0].report(LENGTH).await.unwrap(), switched_on);

    peer.drive(index, 0, vibrate(500)).await.unwrap();
    // It is repeated, since the rumble of one report ends by itself.
    for count in 1..=5 {
        assert_eq!(nodes[0].report(LENGTH).await.unwrap(), rumble(count, half));
    }
    drop(peer);
    let mut count = 6;
    loop {
        let report = nodes[0].report(LENGTH).await.unwrap();
        if report == rumble(count, rest) {
            break;
        }
        assert_eq!(report, rumble(count, half), "nothing but what was asked for, until the stop");
        count = (count + 1) & 0x0f;
    }
    let mut peer = driver(&service).await;
    peer.drive(index, 0, vibrate(250)).await.unwrap();
    assert_eq!(nodes[0].report(LENGTH).await.unwrap(), rumble((count + 1) & 0x0f, quarter), "the next one");
}

#[tokio::test]
async fn a_device_that_is_pulled_out_while_it_runs_is_stopped_first_when_it_is_back_and_keeps_its_index() {
    let (home, mut machine) = (home(&["vorze"]), Machine::new().unwrap());
    // This one is there before the service is.
    let mut node = machine.plug_in_hid(&CYCLONE, &[CYCLONE_PART]).unwrap();
    let mut service = launch(&home, &machine).start().await.unwrap();
    let mut peer = driver(&service).await;
    let index = peer.device().await.unwrap();
    peer.drive(index, 0, rotate(-7)).await.unwrap();
    assert_eq!(node[0].report(16).await.unwrap(), turning(0x31, 7));

    drop(node);
    machine.unplug(&CYCLONE).unwrap();
    peer.devices(0).await.unwrap();
    let reply = peer.output(index, 0, rotate(3)).await.unwrap();
    assert_eq!(reply["Error"]["ErrorReason"], "device-not-connected", "{reply}");

    // At another port, with another node.
    let elsewhere = Hardware { plug: Plug::Usb("2-1.4"), ..CYCLONE };
    let mut node = machine.plug_in_hid(&elsewhere, &[part(0, "hidraw3", (0xff00, 1))]).unwrap();
    assert_eq!(node[0].report(16).await.unwrap()[8], 0x30, "the first that it hears is to stand still");
    assert_eq!(peer.device().await.unwrap(), index);
    peer.drive(index, 0, rotate(3)).await.unwrap();
    assert_eq!(node[0].report(16).await.unwrap(), turning(0x30, 3));
    assert!(service.terminate().await.unwrap().success());
    assert_eq!(node[0].report(16).await.unwrap(), turning(0x30, 0));
}

#[tokio::test]
async fn a_node_that_may_not_be_opened_is_told_with_the_rule_and_is_no_reason_to_try_another_protocol() {
    let (home, mut machine) = (home(&[]), Machine::new().unwrap());
    home.write_config("devices.d/gadget.toml", &[GADGET, OTHER].concat()).unwrap();
    let mut node = machine.plug_in_hid(&gadget("1-2"), &[part(0, "hidraw0", (0xff00, 1))]).unwrap();
    node[0].set_mode(0).unwrap();
    let service = launch(&home, &machine).as_anybody().start().await.unwrap();
    let mut peer = driver(&service).await;
    // It is tried again, as the same.
    service.wait_for_log("protocol=\"gadget\" task=1").await.unwrap();
    let told = peer.transport("hid").await.unwrap();
    assert_eq!(told["State"], "unavailable", "{told}");
    assert_eq!(told["Reason"], "/dev/hidraw0 may not be opened", "{told}");
    let rule = r#"SUBSYSTEM=="hidraw", KERNELS=="*:B077:0002.*", TAG+="uaccess""#;
    for part in ["60-buttplugd.rules", rule] {
        assert!(told["Hint"].as_str().unwrap().contains(part), "{told}");
        assert!(service.log().contains(part), "{}", service.log());
    }

    node[0].set_mode(0o600).unwrap();
    machine.changed(&gadget("1-2")).unwrap();
    let devices = peer.devices(1).await.unwrap();
    let (index, name) = devices.first_key_value().unwrap();
    assert_eq!(name, "Gadget");
    peer.drive(*index, 0, vibrate(9)).await.unwrap();
    assert_eq!(node[0].report(3).await.unwrap(), [0, 0xa1, 9]);
    assert_eq!(peer.transport("hid").await.unwrap()["State"], "ready");
    let log = service.log();
    assert!(!log.contains("protocol=\"other-gadget\""), "{log}");
}

#[tokio::test]
async fn a_device_with_several_interfaces_is_one_device_and_the_definition_says_which_of_them_is_driven() {
    let (home, mut machine) = (home(&[]), Machine::new().unwrap());
    let definition = GADGET.replace("#PART", "usage_page = 0xff00\nusage = 0x0007");
    home.write_config("devices.d/gadget.toml", &definition).unwrap();
    let keyboard = (1, 6);
    let parts = [part(0, "hidraw0", keyboard), part(1, "hidraw1", (0xff00, 7)), part(2, "hidraw2", keyboard)];
    let mut first = machine.plug_in_hid(&gadget("1-2"), &parts).unwrap();
    let service = launch(&home, &machine).start().await.unwrap();
    let mut peer = driver(&service).await;
    peer.device().await.unwrap();
    // A second one, whose nodes are in another order.
    let parts = [part(1, "hidraw3", (0xff00, 7)), part(0, "hidraw4", keyboard)];
    let mut second = machine.plug_in_hid(&gadget("1-3"), &parts).unwrap();
    let indexes: Vec<u32> = peer.devices(2).await.unwrap().into_keys().collect();
    for (value, index) in [(11, indexes[0]), (22, indexes[1])] {
        peer.drive(index, 0, vibrate(value)).await.unwrap();
    }
    let (one, two) = (first[1].report(3).await.unwrap(), second[0].report(3).await.unwrap());
    assert_eq!([one, two], [[0, 0xa1, 11], [0, 0xa1, 22]]);
    let others = [first[0].rest(), first[2].rest(), second[1].rest()];
    assert_eq!(others, [b"", b"", b""], "what is not meant hears nothing");
}

#[tokio::test]
async fn of_two_that_look_alike_one_stays_what_it_is_when_the_other_is_pulled_out() {
    let (home, mut machine) = (home(&[]), Machine::new().unwrap());
    home.write_config("devices.d/gadget.toml", GADGET).unwrap();
    let service = launch(&home, &machine).start().await.unwrap();
    let mut peer = driver(&service).await;
    let node = machine.plug_in_hid(&gadget("1-2"), &[part(0, "hidraw0", (0xff00, 1))]).unwrap();
    let first = peer.device().await.unwrap();
    let mut other = machine.plug_in_hid(&gadget("1-3"), &[part(0, "hidraw1", (0xff00, 1))]).unwrap();
    let devices = peer.devices(2).await.unwrap();
    let second = *devices.keys().find(|index| **index != first).unwrap();
    peer.drive(second, 0, vibrate(22)).await.unwrap();
    assert_eq!(other[0].report(3).await.unwrap(), [0, 0xa1, 22]);

    drop(node);
    machine.unplug(&gadget("1-2")).unwrap();
    peer.devices(1).await.unwrap();
    // What comes now comes after the look that found the first one gone.
    let mut node = machine.plug_in_hid(&gadget("1-4"), &[part(0, "hidraw2", (0xff00, 1))]).unwrap();
    let devices = peer.devices(2).await.unwrap();
    assert_eq!(devices.into_keys().collect::<Vec<_>>(), [first, second]);
    for (value, index) in [(1, first), (2, second)] {
        peer.drive(index, 0, vibrate(value)).await.unwrap();
    }
    let (one, two) = (node[0].report(3).await.unwrap(), other[0].report(3).await.unwrap());
    assert_eq!([one, two], [[0, 0xa1, 1], [0, 0xa1, 2]]);
}

#[tokio::test]
async fn a_plug_with_a_loose_contact_ends_as_one_device_that_can_be_driven() {
    let (home, mut machine) = (home(&[]), Machine::new().unwrap());
    home.write_config("devices.d/gadget.toml", GADGET).unwrap();
    let mut service = launch(&home, &machine).start().await.unwrap();
    let mut peer = driver(&service).await;
    let gadget = gadget("1-2");
    let parts = |round: usize| [part(0, ["hidraw0", "hidraw1"][round % 2], (0xff00, 1))];
    for round in 0..20 {
        let _node = machine.plug_in_hid(&gadget, &parts(round)).unwrap();
        // Now and then it lasts until the device is there.
        if round % 5 == 4 {
            peer.device().await.unwrap();
        }
        machine.unplug(&gadget).unwrap();
    }
    peer.devices(0).await.unwrap();
    let mut node = machine.plug_in_hid(&gadget, &parts(0)).unwrap();
    let index = peer.device().await.unwrap();
    peer.drive(index, 0, vibrate(9)).await.unwrap();
    assert_eq!(node[0].report(3).await.unwrap(), [0, 0xa1, 9]);
    service.assert_alive();
}

/// The next line that a Lovense dongle is sent, from reports of 65 bytes that begin with the number of the report, 0.
async fn dongle_hears(dongle: &mut HidNode) -> String {
    let mut line = String::new();
    while !line.ends_with("\r\n") {
        let report = dongle.report(65).await.unwrap();
        assert_eq!((report[0], report[64]), (0, 0));
        line.extend(report.iter().filter(|byte| **byte != 0).map(|byte| char::from(*byte)));
    }
    line.trim_end().to_owned()
}

/// A line of the dongle, in reports of 64 bytes whose last is nothing.
async fn dongle_says(dongle: &mut HidNode, line: &str) {
    for piece in format!("{line}\n").as_bytes().chunks(63) {
        let mut report = [0; 64];
        report[..piece.len()].copy_from_slice(piece);
        dongle.send(&report).await.unwrap();
    }
}

#[tokio::test]
async fn the_toy_behind_a_dongle_is_looked_for_while_a_client_scans_and_stopped_when_that_is_gone() {
    let dongle = Hardware {
        plug: Plug::Usb("1-2"),
        vendor: 0x1915,
        product: 0x520a,
        name: "Lovense Dongle",
        number: "",
    };
    let sent =
        |text: &str| format!(r#"{{"type":"toy","func":"command","id":"C0FFEE012345","cmd":"{text}"}}"#);
    let (home, mut machine) = (home(&["lovense"]), Machine::new().unwrap());
    let service = launch(&home, &machine).start().await.unwrap();
    let mut peer = driver(&service).await;
    let mut nodes = machine.plug_in_hid(&dongle, &[part(0, "hidraw0", (0xff00, 1))]).unwrap();
    let node = &mut nodes[0];
    service.wait_for_log("transport=\"lovense-dongle\" state=Ready").await.unwrap();
    assert!(peer.request("StartScanning", json!({})).await.unwrap().get("Ok").is_some());
    assert_eq!(dongle_hears(node).await, r#"{"type":"toy","func":"statuss"}"#);
    dongle_says(node, "garbage {{{").await;
    node.send(&[0xff; 640]).await.unwrap();
    // It has not answered: it is asked again, and then told to search.
    assert_eq!(dongle_hears(node).await, r#"{"type":"toy","func":"statuss"}"#);
    assert_eq!(dongle_hears(node).await, r#"{"type":"toy","func":"search"}"#);
    dongle_says(node, "").await;
    dongle_says(node, r#"{"type":"toy","func":"toyData","data":{"id":"C0FFEE012345"}}"#).await;
    assert_eq!(dongle_hears(node).await, r#"{"type":"usb","func":"stopSearch"}"#);
    dongle_says(node, r#"{"type":"toy","func":"search","result":206}"#).await;
    assert_eq!(dongle_hears(node).await, sent("DeviceType;"));
    let answer =
        r#"{"type":"toy","func":"toyData","data":{"id":"C0FFEE012345","data":"S:11:C0FFEE012345;"}}"#;
    dongle_says(node, answer).await;
    let index = peer.device().await.unwrap();
    peer.drive(index, 0, vibrate(10)).await.unwrap();
    assert_eq!(dongle_hears(node).await, sent("Vibrate:10;"));
    drop(peer);
    assert_eq!(dongle_hears(node).await, sent("Vibrate:0;"));
}

#[tokio::test]
async fn a_device_without_the_interface_that_one_protocol_wants_is_tried_as_the_next() {
    let (home, mut machine) = (home(&[]), Machine::new().unwrap());
    let definition = GADGET.replace("#PART", "interface = 4");
    home.write_config("devices.d/gadget.toml", &[&definition, OTHER].concat()).unwrap();
    let service = launch(&home, &machine).start().await.unwrap();
    let mut node = machine.plug_in_hid(&gadget("1-2"), &[part(0, "hidraw0", (0xff00, 1))]).unwrap();
    let mut peer = driver(&service).await;
    let index = peer.device().await.unwrap();
    peer.drive(index, 0, vibrate(5)).await.unwrap();
    assert_eq!(node[0].report(3).await.unwrap(), [0, 0xb2, 5]);
}

#[tokio::test]
async fn a_device_that_sends_garbage_hurts_nobody_and_one_that_no_definition_names_is_left_alone() {
    let (home, mut machine) = (home(&[]), Machine::new().unwrap());
    home.write_config("devices.d/gadget.toml", GADGET).unwrap();
    let mut service = launch(&home, &machine).start().await.unwrap();
    let stranger = Hardware { vendor: 0x1234, ..gadget("1-1") };
    let mut other = machine.plug_in_hid(&stranger, &[part(0, "hidraw0", (0xff00, 1))]).unwrap();
    let mut nodes = machine.plug_in_hid(&gadget("1-2"), &[part(0, "hidraw1", (0xff00, 1))]).unwrap();
    let node = &mut nodes[0];
    let mut peer = driver(&service).await;
    let index = peer.device().await.unwrap();
    node.send(&[0xff; 3000]).await.unwrap();
    let wish = json!({ "DeviceIndex": index, "FeatureIndex": 1, "Type": "Pressure", "Command": "Subscribe" });
    assert!(peer.request("InputCmd", wish).await.unwrap().get("Ok").is_some());
    loop {
        node.send(&[77]).await.unwrap();
        let reading = peer.event("InputReading").await.unwrap();
        // Something of the garbage may have come after the subscription.
        if reading["Reading"]["Pressure"]["Value"] == 77 {
            break;
        }
    }
    peer.drive(index, 0, vibrate(8)).await.unwrap();
    assert_eq!(node.report(3).await.unwrap(), [0, 0xa1, 8]);
    assert_eq!(other[0].rest(), b"");
    service.assert_alive();
}
