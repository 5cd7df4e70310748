//! One wish, said in every version and in every way that a version has, becomes the same packets at the device.

use super::*;

/// One wish, the packets that it must become, and how each version says it. A version may have several ways.
struct Wish {
    name: &'static str,
    packets: Vec<&'static str>,
    forms: Vec<(u32, Vec<(&'static str, Value)>)>,
}

/// The same message in several versions.
fn in_versions(
    versions: &[u32],
    name: &'static str,
    body: Value,
) -> impl Iterator<Item = (u32, Vec<(&'static str, Value)>)> {
    let mut body = body;
    body["DeviceIndex"] = 0.into();
    versions.iter().map(move |version| (*version, vec![(name, body.clone())]))
}

fn wishes() -> Vec<Wish> {
    let speed = |index: u32, speed: f64| json!({ "Index": index, "Speed": speed });
    let both = json!({ "Speeds": [speed(0, 0.5), speed(1, 0.5)] });
    let second = json!({ "Speeds": [speed(1, 0.001)] });
    let turn =
        |clockwise: bool| json!({ "Rotations": [{ "Index": 0, "Speed": 0.501, "Clockwise": clockwise }] });
    let vector =
        |position: f64, ms: u32| json!({ "Vectors": [{ "Index": 0, "Position": position, "Duration": ms }] });
    let scalar = |index: u32, kind: &str, value: f64| json!({ "Scalars": [{ "Index": index, "ActuatorType": kind, "Scalar": value }] });
    let level = |name, index: u32, kind: &'static str, shown: &str, fraction, value: i32, packet| {
        // The list of scalars leaves out the movement with a time, which is feature 4.
        let feature = if index < 4 { index } else { index + 1 };
        let new = (4, vec![output(feature, json!({ kind: { "Value": value } }))]);
        Wish {
            name,
            packets: vec![packet],
            forms: in_versions(&[3], "ScalarCmd", scalar(index, shown, fraction)).chain([new]).collect(),
        }
    };
    let value = |kind: &str, value: i32| json!({ kind: { "Value": value } });
    let timed = |value: i32, ms: u32| json!({ "HwPositionWithDuration": { "Value": value, "Duration": ms } });
    vec![
        Wish {
            name: "both motors at half",
            packets: vec!["01004000", "01010a00"],
            forms: in_versions(&[0, 1], "SingleMotorVibrateCmd", json!({ "Speed": 0.5 }))
                .chain(in_versions(&[1, 2, 3], "VibrateCmd", both))
                .chain(in_versions(
                    &[3],
                    "ScalarCmd",
                    json!({ "Scalars": [
                        { "Index": 1, "ActuatorType": "Vibrate", "Scalar": 0.5 },
                        { "Index": 0, "ActuatorType": "Vibrate", "Scalar": 0.5 },
                    ] }),
                ))
                .chain([(4, vec![output(0, value("Vibrate", 64)), output(1, value("Vibrate", 10))])])
                .collect(),
        },
        Wish {
            name: "the second motor, as weak as it can",
            packets: vec!["01010100"],
            forms: in_versions(&[1, 2, 3], "VibrateCmd", second)
                .chain(in_versions(&[3], "ScalarCmd", scalar(1, "Vibrate", 0.05)))
                .chain([(4, vec![output(1, value("Vibrate", 1))])])
                .collect(),
        },
        Wish {
            name: "clockwise",
            packets: vec!["01020b00"],
            forms: in_versions(&[0, 1], "VorzeA10CycloneCmd", json!({ "Speed": 51, "Clockwise": true }))
                .chain(in_versions(&[1, 2, 3], "RotateCmd", turn(true)))
                .chain(in_versions(&[3], "ScalarCmd", scalar(2, "Rotate", 0.51)))
                .chain([(4, vec![output(2, value("Rotate", 11))])])
                .collect(),
        },
        Wish {
            name: "counter-clockwise",
            packets: vec!["0102f5ff"],
            forms: in_versions(&[0, 1], "VorzeA10CycloneCmd", json!({ "Speed": 51, "Clockwise": false }))
                .chain(in_versions(&[1, 2, 3], "RotateCmd", turn(false)))
                .chain([(4, vec![output(2, value("Rotate", -11))])])
                .collect(),
        },
        Wish {
            name: "a movement over the whole way",
            packets: vec!["0204e803d500"],
            forms: in_versions(&[0, 1], "FleshlightLaunchFW12Cmd", json!({ "Position": 99, "Speed": 99 }))
                .chain(in_versions(&[1, 2, 3], "LinearCmd", vector(1.0, 213)))
                .chain([(4, vec![output(4, timed(1_000, 213))])])
                .collect(),
        },
        Wish {
            name: "a movement to just before the middle",
            packets: vec!["0204f301f401"],
            forms: in_versions(&[1, 2, 3], "LinearCmd", vector(0.4999, 500))
                .chain([(4, vec![output(4, timed(499, 500))])])
                .collect(),
        },
        level("a position", 3, "Position", "Position", 0.495, 50, "01033200"),
        level("oscillation", 4, "Oscillate", "Oscillate", 0.3, 3, "01050300"),
        level("constriction", 5, "Constrict", "Constrict", 1.0, 5, "01060500"),
        // Kinds that came with v4 have no name in v3, and can be driven there all the same.
        level("temperature", 6, "Temperature", "Unknown", 0.4, 4, "01070400"),
        level("light", 7, "Led", "Unknown", 0.5, 128, "01088000"),
        level("spray", 8, "Spray", "Unknown", 1.0, 1, "01090100"),
    ]
}

#[tokio::test]
async fn a_wish_becomes_the_same_packets_in_every_version() {
    let rig = rig(0).await;
    let mut referee = rig.open(4, Encoding::MessagePack).await;
    let (mut turn, mut next_id) = (0, 10_000);
    for wish in wishes() {
        for (version, messages) in &wish.forms {
            // From rest, and from the end of the ways: a value that the device has already is not written again.
            stop_all(&mut referee, 4).await;
            for (name, body) in [
                output(3, json!({ "Position": { "Value": 0 } })),
                output(4, json!({ "HwPositionWithDuration": { "Value": 0, "Duration": 0 } })),
                output(9, json!({ "Spray": { "Value": 0 } })),
            ] {
                ok(&mut referee, name, body).await;
            }
            turn += 1;
            let encoding = alternating(turn);
            let mut peer = rig.open(*version, encoding).await;
            let before = rig.packets().len();
            say(&mut peer, wish.name, messages, &mut next_id).await;
            let sent = rig.packets_since(before);
            assert_eq!(sent, wish.packets, "{} in v{version} over {encoding:?}: {messages:?}", wish.name);
        }
    }
}

#[tokio::test]
async fn a_stop_becomes_the_same_packets_in_every_version() {
    let rig = rig(0).await;
    let mut referee = rig.open(4, Encoding::MessagePack).await;
    let run = [
        output(0, json!({ "Vibrate": { "Value": 9 } })),
        output(2, json!({ "Rotate": { "Value": -9 } })),
        output(9, json!({ "Spray": { "Value": 1 } })),
    ];
    let (mut next_id, mut everything) = (10_000, None);
    for (turn, version) in VERSIONS.into_iter().chain(VERSIONS).enumerate() {
        // Each version over both encodings, since there are an odd number of versions.
        let mut peer = rig.open(version, alternating(turn)).await;
        stop_all(&mut referee, 4).await;
        say(&mut referee, "running", &run, &mut next_id).await;
        let before = rig.packets().len();
        stop_device(&mut peer, version).await;
        // What runs, and nothing else; and no stop makes a device spray.
        assert_eq!(rig.packets_since(before), ["01000000", "01020000"], "v{version}");

        say(&mut referee, "running", &run[..2], &mut next_id).await;
        let before = rig.packets().len();
        stop_all(&mut peer, version).await;
        let sent = rig.packets_since(before);
        let levels = ["01000000", "01010000", "01020000", "01050000", "01060000", "01070000", "01080000"];
        for packet in levels {
            assert!(sent.iter().any(|sent| sent == packet), "v{version}: {packet} is not among {sent:?}");
        }
        assert_eq!(*everything.get_or_insert(sent.clone()), sent, "v{version}");
    }
}
