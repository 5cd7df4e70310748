//! The same device and the same wishes in every old version: what is shown, what is asked for, what comes back.

use std::{collections::BTreeMap, sync::Arc};

use ipc_schema::codec::{self, Encoding};
use serde_json::{Value, json};

use super::*;
use crate::{
    command::{Command, Reading, Setting, StopTarget, StopWhat},
    protocol::InputWish,
    view::{DeviceView, FeatureView, InputView, InputWays, OutputView},
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range},
};

fn output(kind: OutputKind, min: i32, max: i32) -> OutputView {
    let duration_ms = (kind == OutputKind::PositionWithDuration).then_some((0, 100_000));
    OutputView { kind, range: Range::new(min, max), duration_ms }
}

fn feature(index: u32, outputs: Vec<OutputView>, inputs: Vec<InputView>) -> FeatureView {
    FeatureView { index: FeatureIndex(index), description: format!("f{index}"), outputs, inputs }
}

fn input(kind: InputKind, max: i32, ways: InputWays) -> InputView {
    InputView { kind, ranges: vec![Range::new(0, max)], ways }
}

/// One device that has everything, with gaps in its feature indexes.
fn devices() -> DeviceList {
    let view = DeviceView {
        index: DeviceIndex(3),
        name: "Everything".into(),
        display_name: Some("Mine".into()),
        message_gap_ms: 75,
        features: vec![
            feature(0, vec![output(OutputKind::Vibrate, 0, 127)], vec![]),
            feature(2, vec![output(OutputKind::Rotate, -20, 20)], vec![]),
            feature(
                4,
                vec![output(OutputKind::Position, 0, 100), output(OutputKind::PositionWithDuration, 0, 1000)],
                vec![],
            ),
            feature(5, vec![output(OutputKind::Temperature, 0, 3)], vec![]),
            feature(6, vec![output(OutputKind::Vibrate, 0, 20)], vec![]),
            feature(7, vec![], vec![input(InputKind::Battery, 100, InputWays::Read)]),
            feature(8, vec![], vec![input(InputKind::Pressure, 1000, InputWays::Subscribe)]),
        ],
    };
    Arc::new(BTreeMap::from([(view.index, Arc::new(view))]))
}

fn ask(version: SpecVersion, message: &Value) -> Result<Asked, Fault> {
    let frame = json!([message]).to_string();
    let envelope = codec::decode(frame.as_bytes(), Encoding::Json).remove(0).unwrap();
    read(version, &envelope, &devices())
}

#[track_caller]
fn sets(version: SpecVersion, message: Value, settings: &[(u32, OutputKind, i32, Option<u32>)]) {
    let settings = settings
        .iter()
        .map(|&(feature, kind, value, duration_ms)| Setting {
            feature: FeatureIndex(feature),
            kind,
            value,
            duration_ms,
        })
        .collect();
    let command = Command::SetOutputs { device: DeviceIndex(3), settings };
    assert_eq!(ask(version, &message), Ok(Asked::usual(Request::Command(command))), "{version} {message}");
}

#[track_caller]
fn refuses(version: SpecVersion, message: Value, reason: Reason) {
    assert_eq!(ask(version, &message).map_err(|fault| fault.reason), Err(reason), "{version} {message}");
}

#[track_caller]
fn says(version: SpecVersion, reply: Reply<'_>, expected: Value) {
    let bytes = write_reply(version, Encoding::Json, RequestId(9), reply, &devices()).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), json!([expected]), "{version}");
}

use SpecVersion::{V0, V1, V2, V3};

#[test]
fn one_speed_drives_every_vibrator() {
    for version in [V0, V1] {
        sets(
            version,
            json!({"SingleMotorVibrateCmd": {"Id": 1, "DeviceIndex": 3, "Speed": 0.5}}),
            &[(0, OutputKind::Vibrate, 64, None), (6, OutputKind::Vibrate, 10, None)],
        );
    }
}

#[test]
fn an_index_counts_its_own_list() {
    for version in [V1, V2, V3] {
        let message =
            json!({"VibrateCmd": {"Id": 1, "DeviceIndex": 3, "Speeds": [{"Index": 1, "Speed": 0.001}]}});
        sets(version, message, &[(6, OutputKind::Vibrate, 1, None)]);
        let turn = json!({"Index": 0, "Speed": 0.5, "Clockwise": false});
        let message = json!({"RotateCmd": {"Id": 1, "DeviceIndex": 3, "Rotations": [turn]}});
        sets(version, message, &[(2, OutputKind::Rotate, -10, None)]);
        let vector = json!({"Index": 0, "Duration": 200, "Position": 0.4999});
        let message = json!({"LinearCmd": {"Id": 1, "DeviceIndex": 3, "Vectors": [vector]}});
        sets(version, message, &[(4, OutputKind::PositionWithDuration, 499, Some(200))]);
    }
}

#[test]
fn scalars_count_everything_but_movements_and_come_in_feature_order() {
    let scalars = json!([
        {"Index": 4, "Scalar": 1.0, "ActuatorType": "Vibrate"},
        {"Index": 0, "Scalar": 0.25, "ActuatorType": "Vibrate"},
        {"Index": 2, "Scalar": 0.5, "ActuatorType": "Position"},
    ]);
    sets(
        V3,
        json!({"ScalarCmd": {"Id": 1, "DeviceIndex": 3, "Scalars": scalars}}),
        &[
            (0, OutputKind::Vibrate, 32, None),
            (4, OutputKind::Position, 50, None),
            (6, OutputKind::Vibrate, 20, None),
        ],
    );
}

#[test]
fn kinds_that_came_later_are_unknown_to_v3_and_may_be_called_by_either_name() {
    for name in ["Unknown", "Temperature"] {
        let scalars = json!([{"Index": 3, "Scalar": 0.4, "ActuatorType": name}]);
        let message = json!({"ScalarCmd": {"Id": 1, "DeviceIndex": 3, "Scalars": scalars}});
        sets(V3, message, &[(5, OutputKind::Temperature, 2, None)]);
    }
}

#[test]
fn what_the_lists_do_not_have_is_refused() {
    for version in [V1, V2, V3] {
        let message =
            json!({"VibrateCmd": {"Id": 1, "DeviceIndex": 3, "Speeds": [{"Index": 2, "Speed": 0.5}]}});
        refuses(version, message, Reason::FeatureUnknown);
        let message = json!({"VibrateCmd": {"Id": 1, "DeviceIndex": 3, "Speeds": []}});
        refuses(version, message, Reason::MalformedMessage);
        let message =
            json!({"VibrateCmd": {"Id": 1, "DeviceIndex": 3, "Speeds": [{"Index": 0, "Speed": 1.5}]}});
        refuses(version, message, Reason::ValueOutOfRange);
    }
    let scalars = json!([{"Index": 0, "Scalar": 0.5, "ActuatorType": "Rotate"}]);
    let message = json!({"ScalarCmd": {"Id": 1, "DeviceIndex": 3, "Scalars": scalars}});
    refuses(V3, message, Reason::OutputNotSupported);
    let message =
        json!({"SensorReadCmd": {"Id": 1, "DeviceIndex": 3, "SensorIndex": 0, "SensorType": "RSSI"}});
    refuses(V3, message, Reason::InputNotSupported);
    refuses(V2, json!({"RSSILevelCmd": {"Id": 1, "DeviceIndex": 3}}), Reason::InputNotSupported);
}

#[test]
fn raw_access_is_refused_in_every_version() {
    for message in [
        json!({"KiirooCmd": {"Id": 1, "DeviceIndex": 3, "Command": "4"}}),
        json!({"LovenseCmd": {"Id": 1, "DeviceIndex": 3, "Command": "Vibrate:20;"}}),
    ] {
        refuses(V0, message.clone(), Reason::RawNotSupported);
        refuses(V1, message, Reason::RawNotSupported);
    }
    let message = json!({"RawSubscribeCmd": {"Id": 1, "DeviceIndex": 3, "Endpoint": "rx"}});
    refuses(V2, message.clone(), Reason::RawNotSupported);
    refuses(V3, message, Reason::RawNotSupported);
}

#[test]
fn commands_for_one_makers_device_drive_whatever_can_do_the_same() {
    for version in [V0, V1] {
        let message =
            json!({"VorzeA10CycloneCmd": {"Id": 1, "DeviceIndex": 3, "Speed": 50, "Clockwise": true}});
        sets(version, message, &[(2, OutputKind::Rotate, 10, None)]);
        let message =
            json!({"FleshlightLaunchFW12Cmd": {"Id": 1, "DeviceIndex": 3, "Position": 99, "Speed": 99}});
        sets(version, message, &[(4, OutputKind::PositionWithDuration, 1000, Some(213))]);
        let message =
            json!({"FleshlightLaunchFW12Cmd": {"Id": 1, "DeviceIndex": 3, "Position": 100, "Speed": 1}});
        refuses(version, message, Reason::ValueOutOfRange);
    }
}

#[test]
fn a_command_for_an_absent_device_is_left_to_the_router() {
    let absent = Command::Unlisted { device: DeviceIndex(8) };
    for (version, message) in [
        (V0, json!({"SingleMotorVibrateCmd": {"Id": 1, "DeviceIndex": 8, "Speed": 0.5}})),
        (V2, json!({"BatteryLevelCmd": {"Id": 1, "DeviceIndex": 8}})),
        (
            V3,
            json!({"SensorReadCmd": {"Id": 1, "DeviceIndex": 8, "SensorIndex": 0, "SensorType": "Battery"}}),
        ),
    ] {
        assert_eq!(ask(version, &message), Ok(Asked::usual(Request::Command(absent.clone()))), "{message}");
    }
}

#[test]
fn stops_are_addressed() {
    for version in [V0, V1, V2, V3] {
        let stop =
            |target| Ok(Asked::usual(Request::Command(Command::Stop { target, what: StopWhat::Both })));
        let message = json!({"StopDeviceCmd": {"Id": 1, "DeviceIndex": 3}});
        assert_eq!(ask(version, &message), stop(StopTarget::Device(DeviceIndex(3))));
        let message = json!({"StopAllDevices": {"Id": 1}});
        assert_eq!(ask(version, &message), stop(StopTarget::Everything));
    }
}

#[test]
fn each_version_is_shown_what_it_knows() {
    let shown = |version| {
        let answer = Answer::Devices(devices());
        let reply = Reply::Answer(&answer, Shape::Usual);
        let bytes = write_reply(version, Encoding::Json, RequestId(9), reply, &devices()).unwrap();
        serde_json::from_slice::<Value>(&bytes).unwrap()[0]["DeviceList"]["Devices"][0].clone()
    };
    assert_eq!(
        shown(V0),
        json!({
            "DeviceIndex": 3, "DeviceName": "Everything",
            "DeviceMessages": ["FleshlightLaunchFW12Cmd", "SingleMotorVibrateCmd", "StopDeviceCmd", "VorzeA10CycloneCmd"],
        })
    );
    assert_eq!(
        shown(V1),
        json!({
            "DeviceIndex": 3, "DeviceName": "Everything",
            "DeviceMessages": {
                "SingleMotorVibrateCmd": {}, "VibrateCmd": {"FeatureCount": 2}, "RotateCmd": {"FeatureCount": 1},
                "LinearCmd": {"FeatureCount": 1}, "FleshlightLaunchFW12Cmd": {}, "VorzeA10CycloneCmd": {},
                "StopDeviceCmd": {},
            },
        })
    );
    assert_eq!(
        shown(V2),
        json!({
            "DeviceIndex": 3, "DeviceName": "Everything",
            "DeviceMessages": {
                "VibrateCmd": {"FeatureCount": 2, "StepCount": [127, 20]},
                "RotateCmd": {"FeatureCount": 1, "StepCount": [20]},
                "LinearCmd": {"FeatureCount": 1, "StepCount": [1000]},
                "BatteryLevelCmd": {}, "StopDeviceCmd": {},
            },
        })
    );
    let actuator = |feature: u32, kind: &str, steps: u32| json!({"FeatureDescriptor": format!("f{feature}"), "ActuatorType": kind, "StepCount": steps});
    let sensor = |feature: u32, kind: &str, max: u32| json!({"FeatureDescriptor": format!("f{feature}"), "SensorType": kind, "SensorRange": [[0, max]]});
    assert_eq!(
        shown(V3),
        json!({
            "DeviceIndex": 3, "DeviceName": "Everything", "DeviceDisplayName": "Mine", "DeviceMessageTimingGap": 75,
            "DeviceMessages": {
                "ScalarCmd": [
                    actuator(0, "Vibrate", 127), actuator(2, "Rotate", 20), actuator(4, "Position", 100),
                    actuator(5, "Unknown", 3), actuator(6, "Vibrate", 20),
                ],
                "RotateCmd": [actuator(2, "Rotate", 20)],
                "LinearCmd": [actuator(4, "Position", 1000)],
                "SensorReadCmd": [sensor(7, "Battery", 100)],
                "SensorSubscribeCmd": [sensor(8, "Pressure", 1000)],
                "StopDeviceCmd": {},
            },
        })
    );
}

#[test]
fn a_battery_is_read_in_the_words_of_the_version() {
    let reading = |shape| {
        let value =
            Reading { device: DeviceIndex(3), feature: FeatureIndex(7), kind: InputKind::Battery, value: 85 };
        (Answer::Reading(value), shape)
    };
    let read = Command::Input {
        device: DeviceIndex(3),
        feature: FeatureIndex(7),
        kind: InputKind::Battery,
        wish: InputWish::Read,
    };
    let asked = ask(V2, &json!({"BatteryLevelCmd": {"Id": 1, "DeviceIndex": 3}})).unwrap();
    assert_eq!(asked, Asked { request: Request::Command(read.clone()), shape: Shape::BatteryLevel });
    let (answer, shape) = reading(asked.shape);
    let expected = json!({"BatteryLevelReading": {"Id": 9, "DeviceIndex": 3, "BatteryLevel": 0.85}});
    says(V2, Reply::Answer(&answer, shape), expected);

    // Clients that number sensors in another way are served by type.
    let message =
        json!({"SensorReadCmd": {"Id": 1, "DeviceIndex": 3, "SensorIndex": 5, "SensorType": "Battery"}});
    let asked = ask(V3, &message).unwrap();
    assert_eq!(asked, Asked { request: Request::Command(read), shape: Shape::Sensor { index: 5 } });
    let (answer, shape) = reading(asked.shape);
    says(
        V3,
        Reply::Answer(&answer, shape),
        json!({"SensorReading": {
            "Id": 9, "DeviceIndex": 3, "SensorIndex": 5, "SensorType": "Battery", "Data": [85],
        }}),
    );
}

/// The signal comes last, after all that a client may know by its place.
fn heard_devices() -> DeviceList {
    let mut view = DeviceView::clone(&devices()[&DeviceIndex(3)]);
    let ranges = vec![Range::new(-128, 0)];
    let signal = InputView { kind: InputKind::Rssi, ranges, ways: InputWays::Both };
    view.features.push(feature(9, vec![], vec![signal]));
    Arc::new(BTreeMap::from([(view.index, Arc::new(view))]))
}

#[test]
fn the_strength_of_the_signal_is_shown_and_read_in_the_words_of_the_version() {
    let devices = heard_devices();
    let shown = |version| {
        let answer = Answer::Devices(Arc::clone(&devices));
        let reply = Reply::Answer(&answer, Shape::Usual);
        let bytes = write_reply(version, Encoding::Json, RequestId(9), reply, &devices).unwrap();
        let list = serde_json::from_slice::<Value>(&bytes).unwrap()[0]["DeviceList"]["Devices"].clone();
        list.get(0).or_else(|| list.get("3")).unwrap().clone()
    };
    assert_eq!(shown(V2)["DeviceMessages"]["RSSILevelCmd"], json!({}));
    let sensor = json!({"FeatureDescriptor": "f9", "SensorType": "RSSI", "SensorRange": [[-128, 0]]});
    assert_eq!(shown(V3)["DeviceMessages"]["SensorReadCmd"][1], sensor);
    assert_eq!(shown(V3)["DeviceMessages"]["SensorSubscribeCmd"][1], sensor);
    let inputs = &shown(SpecVersion::V4)["DeviceFeatures"]["9"]["Input"];
    assert_eq!(inputs, &json!({"RSSI": {"Value": [[-128, 0]], "Command": ["Read", "Subscribe"]}}));

    let expected = Command::Input {
        device: DeviceIndex(3),
        feature: FeatureIndex(9),
        kind: InputKind::Rssi,
        wish: InputWish::Read,
    };
    let reads = [
        (V2, json!({"RSSILevelCmd": {"Id": 1, "DeviceIndex": 3}})),
        (V3, json!({"SensorReadCmd": {"Id": 1, "DeviceIndex": 3, "SensorIndex": 1, "SensorType": "RSSI"}})),
        (
            SpecVersion::V4,
            json!({"InputCmd": {"Id": 1, "DeviceIndex": 3, "FeatureIndex": 9, "Type": "RSSI", "Command": "Read"}}),
        ),
    ];
    let replies = [
        json!({"RSSILevelReading": {"Id": 9, "DeviceIndex": 3, "RSSILevel": -100}}),
        json!({"SensorReading": {"Id": 9, "DeviceIndex": 3, "SensorIndex": 1, "SensorType": "RSSI", "Data": [-104]}}),
        json!({"InputReading": {"Id": 9, "DeviceIndex": 3, "FeatureIndex": 9, "Reading": {"RSSI": {"Value": -104}}}}),
    ];
    for ((version, message), reply) in reads.into_iter().zip(replies) {
        let frame = json!([message]).to_string();
        let envelope = codec::decode(frame.as_bytes(), Encoding::Json).remove(0).unwrap();
        let asked = read(version, &envelope, &devices).unwrap();
        assert_eq!(asked.request, Request::Command(expected.clone()), "{version}");
        let value =
            Reading { device: DeviceIndex(3), feature: FeatureIndex(9), kind: InputKind::Rssi, value: -104 };
        says(version, Reply::Answer(&Answer::Reading(value), asked.shape), reply);
    }
}

#[test]
fn subscribed_readings_reach_v3_and_v4_only() {
    let reading =
        Reading { device: DeviceIndex(3), feature: FeatureIndex(8), kind: InputKind::Pressure, value: 300 };
    let event = Event::Reading(reading);
    for version in [V0, V1, V2] {
        assert!(write_event(version, Encoding::Json, &event, &devices()).is_none(), "{version}");
    }
    let bytes = write_event(V3, Encoding::Json, &event, &devices()).unwrap().unwrap();
    assert_eq!(
        serde_json::from_slice::<Value>(&bytes).unwrap(),
        json!([{"SensorReading": {
            "Id": 0, "DeviceIndex": 3, "SensorIndex": 0, "SensorType": "Pressure", "Data": [300],
        }}])
    );
}

#[test]
fn a_log_is_for_v0_and_v1_and_v2_can_only_say_that_it_wants_none() {
    let wish = |level: &str| json!({"RequestLog": {"Id": 1, "LogLevel": level}});
    let levels = [
        ("Off", LogLevel::Off),
        ("Fatal", LogLevel::Fatal),
        ("Error", LogLevel::Error),
        ("Warn", LogLevel::Warn),
        ("Info", LogLevel::Info),
        ("Debug", LogLevel::Debug),
        ("Trace", LogLevel::Trace),
    ];
    for version in [V0, V1] {
        for (name, level) in levels {
            assert_eq!(ask(version, &wish(name)), Ok(Asked::usual(Request::Log(level))), "{version}");
            let bytes = write_log(version, Encoding::Json, level, "so").unwrap().unwrap();
            let expected = json!([{"Log": {"Id": 0, "LogLevel": name, "LogMessage": "so"}}]);
            assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected, "{version}");
        }
    }
    assert_eq!(ask(V2, &wish("Off")), Ok(Asked::usual(Request::Log(LogLevel::Off))));
    refuses(V2, wish("Error"), Reason::MessageNotSupported);
    refuses(V3, wish("Off"), Reason::UnknownMessage);
    for version in [V2, V3, SpecVersion::V4] {
        assert!(write_log(version, Encoding::Json, LogLevel::Error, "so").is_none(), "{version}");
    }
}
