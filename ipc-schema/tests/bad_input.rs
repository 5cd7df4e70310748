//! What the decoders make of bad input: which Id, which reason, and what survives beside it; and what they let pass although the
//! spec does not. Good input is in `samples.rs`.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use ipc_schema::codec::{self, BadMessage, Encoding, Envelope};
use ipc_schema::{Reason, v0, v2, v3, v4};
use serde_json::json;

/// Each message as `name id` or `reason id`.
fn outline(payload: &[u8], encoding: Encoding) -> Vec<String> {
    codec::decode(payload, encoding)
        .into_iter()
        .map(|message| match message {
            Ok(Envelope { name, id: Some(id), .. }) => format!("{name} {id}"),
            Ok(Envelope { name, id: None, .. }) => format!("{name} -"),
            Err(BadMessage { id, reason, .. }) => format!("{reason} {id}"),
        })
        .collect()
}

fn json_outline(payload: &str) -> Vec<String> {
    outline(payload.as_bytes(), Encoding::Json)
}

fn packed<T: serde::Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).unwrap()
}

fn packed_outline<T: serde::Serialize>(value: &T) -> Vec<String> {
    outline(&packed(value), Encoding::MessagePack)
}

/// The one message of a JSON text, as a request.
fn request<T: serde::de::DeserializeOwned>(payload: &str) -> Result<T, BadMessage> {
    let mut messages = codec::decode(payload.as_bytes(), Encoding::Json);
    assert_eq!(messages.len(), 1, "{payload}");
    messages.remove(0)?.request()
}

fn refusal(payload: &str) -> (u32, Reason, String) {
    let bad = request::<v4::ClientMessage>(payload).unwrap_err();
    (bad.id, bad.reason, bad.text)
}

#[test]
fn a_frame_that_is_no_array_of_messages_is_answered_once() {
    for bad in ["", "   ", "5", "null", "\"[]\"", "{", "[", "[[", "garbage", "[{\"Ping\":{\"Id\":1", "\u{0}"]
    {
        assert_eq!(json_outline(bad), ["malformed-frame 0"], "{bad:?}");
    }
    assert_eq!(json_outline("[]"), ["malformed-frame 0"]);
    assert_eq!(outline(b"[{\"Ping\":{\"Id\":1,\"x\":\"\xff\"}}]", Encoding::Json), ["malformed-frame 0"]);
    assert_eq!(outline(b"", Encoding::MessagePack), ["malformed-frame 0"]);
    assert_eq!(outline(&[0x90], Encoding::MessagePack), ["malformed-frame 0"]);
    assert_eq!(outline(&[0xc1], Encoding::MessagePack), ["malformed-frame 0"]);
    assert_eq!(outline(&[0xdd, 0xff, 0xff, 0xff, 0xff], Encoding::MessagePack), ["malformed-frame 0"]);
    assert_eq!(
        outline(b"[{\"Ping\":{\"Id\":1}}]", Encoding::MessagePack).last().unwrap(),
        "malformed-frame 0"
    );
}

#[test]
fn a_message_without_its_array_is_answered_with_its_id() {
    assert_eq!(json_outline(r#"{"Ping":{"Id":7}}"#), ["malformed-frame 7"]);
    assert_eq!(json_outline("{}"), ["malformed-frame 0"]);
    assert_eq!(packed_outline(&json!({"Ping": {"Id": 7}})), ["malformed-frame 7"]);
}

#[test]
fn good_messages_beside_bad_ones_live() {
    let text = r#"[{"Ping":{"Id":1}},5,{},{"A":{"Id":2},"B":{"Id":3}},{"Ping":null},{"Ping":{"Id":4}}]"#;
    let expected = [
        "Ping 1",
        "malformed-message 0",
        "malformed-message 0",
        "malformed-message 2",
        "malformed-message 0",
        "Ping 4",
    ];
    assert_eq!(json_outline(text), expected);
    let value: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(packed_outline(&value), expected);
}

#[test]
fn what_was_whole_before_the_garbage_is_taken() {
    assert_eq!(json_outline(r#"[{"StopCmd":{"Id":1}},{"Pi"#), ["StopCmd 1", "malformed-frame 0"]);
    assert_eq!(json_outline(r#"[{"StopCmd":{"Id":1}}] tail"#), ["StopCmd 1", "malformed-frame 0"]);
    let mut bytes = packed(&json!([{"StopCmd": {"Id": 1}}]));
    bytes.push(0xc1);
    assert_eq!(outline(&bytes, Encoding::MessagePack), ["StopCmd 1", "malformed-frame 0"]);
}

#[test]
fn arrays_in_a_row_are_one_batch() {
    assert_eq!(
        json_outline("[{\"Ping\":{\"Id\":1}}][{\"Ping\":{\"Id\":2}}] \n [{\"Ping\":{\"Id\":3}}]\n").len(),
        3
    );
    let one = packed(&json!([{"Ping": {"Id": 1}}]));
    assert_eq!(outline(&[one.clone(), one].concat(), Encoding::MessagePack), ["Ping 1", "Ping 1"]);
}

#[test]
fn what_a_tree_cannot_hold_is_a_flaw_of_its_message_alone() {
    #[derive(serde::Serialize)]
    struct Body {
        #[serde(rename = "Id")]
        id: u32,
        x: f64,
    }
    let message = |id, x| std::collections::BTreeMap::from([("Ping", Body { id, x })]);
    let frame = [message(1, f64::NAN), message(2, f64::INFINITY), message(3, 1.0)];
    assert_eq!(packed_outline(&frame), ["malformed-message 1", "malformed-message 2", "Ping 3"]);

    // [{"Ping": {"Id": 4, "x": <extension type 1, one byte>}}]
    let extension = b"\x91\x81\xa4Ping\x82\xa2Id\x04\xa1x\xd4\x01\x00";
    assert_eq!(outline(extension, Encoding::MessagePack), ["malformed-message 4"]);
}

#[test]
fn deep_nesting_is_refused_and_neither_overflows_nor_hides_the_id() {
    let deep = |levels: usize| {
        format!(
            r#"[{{"Ping":{{"Id":5,"x":{}{}}}}},{{"Ping":{{"Id":6}}}}]"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    assert_eq!(json_outline(&deep(14)), ["Ping 5", "Ping 6"]);
    assert_eq!(json_outline(&deep(15)), ["malformed-message 5", "Ping 6"]);
    assert_eq!(json_outline(&deep(100_000)).last().unwrap(), "Ping 6");

    let value: serde_json::Value = serde_json::from_str(&deep(40)).unwrap();
    assert_eq!(packed_outline(&value), ["malformed-message 5", "Ping 6"]);
    assert_eq!(outline(&[0x91; 1_000_000], Encoding::MessagePack), ["malformed-frame 0"]);
}

#[test]
fn an_id_must_be_there_and_within_its_range() {
    for id in ["0", "-1", "4294967296", "\"1\"", "1.5", "null", "true", "1e300"] {
        let (answer, reason, text) = refusal(&format!(r#"[{{"Ping":{{"Id":{id}}}}}]"#));
        assert_eq!((answer, reason), (0, Reason::InvalidId), "{text}");
    }
    assert_eq!(refusal(r#"[{"Ping":{}}]"#), (0, Reason::InvalidId, "Ping: `Id` is missing".into()));
}

#[test]
fn a_message_of_another_version_or_direction_is_told_apart_from_nonsense() {
    let text = |name: &str| {
        let (id, reason, text) = refusal(&format!(r#"[{{"{name}":{{"Id":8}}}}]"#));
        assert_eq!((id, reason), (8, Reason::UnknownMessage));
        text
    };
    assert_eq!(text("ScalarCmd"), "this session's spec version has no message `ScalarCmd`; it belongs to v3");
    assert_eq!(text("DeviceList"), "`DeviceList` is a message that only the server sends");
    assert_eq!(text("ping"), "no spec version has a message `ping`");
    assert!(text(&"x".repeat(10_000)).len() < 100);
}

#[test]
fn a_wrong_member_is_named_with_its_path() {
    let output = |command: &str| {
        refusal(&format!(
            r#"[{{"OutputCmd":{{"Id":9,"DeviceIndex":0,"FeatureIndex":0,"Command":{command}}}}}]"#
        ))
    };
    let (id, reason, text) = output(r#"{"Vibrate":{"Value":0.5}}"#);
    assert_eq!((id, reason), (9, Reason::InvalidValueType));
    assert_eq!(text, "OutputCmd.Command.Vibrate.Value: must be i32, but is floating point `0.5`");

    let (_, reason, text) = output(r#"{"Vibrate":{"Value":"5"}}"#);
    assert_eq!(reason, Reason::InvalidValueType, "{text}");
    let (_, reason, text) = output(r#"{"Vibrate":{"Value":3000000000}}"#);
    assert_eq!(reason, Reason::InvalidValueType, "{text}");
    let (_, reason, text) = output(r#"{"Vibrate":{}}"#);
    assert_eq!(
        (reason, text.as_str()),
        (Reason::MalformedMessage, "OutputCmd.Command.Vibrate: member `Value` is missing")
    );
    let (_, reason, text) = output(r#"{"Vibrate":{"Value":1},"Rotate":{"Value":1}}"#);
    assert_eq!(reason, Reason::MalformedMessage, "{text}");
    let (_, reason, text) = output(r#""Vibrate""#);
    assert_eq!(reason, Reason::InvalidValueType, "{text}");
    let (_, reason, text) = output(r#"{"Teleport":{"Value":1}}"#);
    assert_eq!(reason, Reason::MalformedMessage);
    assert!(text.starts_with("OutputCmd.Command: `Teleport` is not known"), "{text}");
    let (_, reason, text) = output(r#"[]"#);
    assert_eq!(reason, Reason::InvalidValueType, "{text}");

    let bad = request::<v3::ClientMessage>(
        r#"[{"LinearCmd":{"Id":1,"DeviceIndex":0,"Vectors":[{"Index":0,"Duration":5,"Position":0},{"Index":1,"Duration":-5,"Position":0}]}}]"#,
    );
    let bad = bad.unwrap_err();
    assert_eq!(bad.text, "LinearCmd.Vectors.1.Duration: must be u32, but is integer `-5`");
}

#[test]
fn what_clients_are_known_to_write_otherwise_is_taken() {
    // Whole numbers as fractions, lower-case names, unknown members, null for absent.
    let output = r#"[{"OutputCmd":{"Id":1.0,"DeviceIndex":0.0,"FeatureIndex":2.0,"Command":{"vibrate":{"Value":5.0,"Duration":9}},"X":[]}}]"#;
    assert_eq!(
        request(output),
        Ok(v4::ClientMessage::OutputCmd(v4::OutputCmd {
            id: 1,
            device_index: 0,
            feature_index: 2,
            command: v4::OutputCommand::Vibrate(v4::OutputValue { value: 5 }),
        }))
    );
    let stop = r#"[{"StopCmd":{"Id":1,"DeviceIndex":null}}]"#;
    assert_eq!(
        request(stop),
        Ok(v4::ClientMessage::StopCmd(v4::StopCmd {
            id: 1,
            device_index: None,
            feature_index: None,
            inputs: true,
            outputs: true,
        }))
    );
    for (written, meant) in [
        ("RSSI", v4::InputType::Rssi),
        ("Rssi", v4::InputType::Rssi),
        ("rssi", v4::InputType::Rssi),
        ("battery", v4::InputType::Battery),
    ] {
        let input = format!(
            r#"[{{"InputCmd":{{"Id":1,"DeviceIndex":0,"FeatureIndex":0,"Type":"{written}","Command":"read"}}}}]"#
        );
        match request(&input) {
            Ok(v4::ClientMessage::InputCmd(input)) => {
                assert_eq!((input.input_type, input.command), (meant, v4::InputCommand::Read));
            }
            other => panic!("{other:?}"),
        }
    }
    let scalar = r#"[{"ScalarCmd":{"Id":1,"DeviceIndex":0,"Scalars":[{"Index":0,"Scalar":1,"ActuatorType":"vibrate"}]}}]"#;
    match request(scalar) {
        Ok(v3::ClientMessage::ScalarCmd(command)) => {
            assert_eq!(command.scalars[0].actuator_type, v3::ActuatorType::Vibrate);
            assert_eq!(command.scalars[0].scalar, 1.0);
        }
        other => panic!("{other:?}"),
    }
    for length in ["Length", "ExpectedLength"] {
        let read = format!(
            r#"[{{"RawReadCmd":{{"Id":1,"DeviceIndex":0,"Endpoint":"rx","{length}":4,"WaitForData":true}}}}]"#
        );
        match request(&read) {
            Ok(v2::ClientMessage::RawReadCmd(read)) => assert_eq!(read.expected_length, 4),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn bytes_of_message_pack_are_taken_for_arrays_of_numbers() {
    // [{"RawCmd": {"Id": 1, "DeviceIndex": 0, "Command": <bin of two bytes>}}]
    let frame = b"\x91\x81\xa6RawCmd\x83\xa2Id\x01\xabDeviceIndex\x00\xa7Command\xc4\x02\x07\xff";
    let message = codec::decode(frame, Encoding::MessagePack).remove(0).unwrap();
    assert_eq!(
        message.request(),
        Ok(v0::ClientMessage::RawCmd(v0::RawCmd { id: 1, device_index: 0, command: vec![7, 255] }))
    );
}

#[test]
fn map_keys_are_read_as_numbers_and_as_text() {
    // [{"DeviceList": {"Id": 0, "Devices": {<2 or "2">: {...}}}}]
    let device = packed(
        &json!({"DeviceIndex": 2, "DeviceName": "", "DeviceMessageTimingGap": 0, "DeviceFeatures": {}}),
    );
    for key in [b"\x02".as_slice(), b"\xa12"] {
        let frame =
            [b"\x91\x81\xaaDeviceList\x82\xa2Id\x00\xa7Devices\x81".as_slice(), key, &device].concat();
        let message = codec::decode(&frame, Encoding::MessagePack).remove(0).unwrap();
        match message.message() {
            Ok(v4::ServerMessage::DeviceList(list)) => assert_eq!(list.devices[&2].device_index, 2),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn any_bytes_are_answered_and_none_brings_the_decoder_down() {
    // A fixed sequence that touches every byte in many places; the fuzz targets go further.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let sample = packed(
        &json!([{"OutputCmd": {"Id": 1, "DeviceIndex": 0, "FeatureIndex": 2, "Command": {"Vibrate": {"Value": 5}}}}]),
    );
    for _ in 0..20_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [place, byte, cut, ..] = state.to_le_bytes();
        let mut bytes = sample.clone();
        let place = usize::from(place) % bytes.len();
        bytes[place] = byte;
        bytes.truncate(bytes.len() - usize::from(cut % 8));
        for encoding in [Encoding::Json, Encoding::MessagePack] {
            let messages = codec::decode(&bytes, encoding);
            assert!(!messages.is_empty());
            for message in messages.into_iter().flatten() {
                if let Err(bad) = message.request::<v4::ClientMessage>() {
                    assert_eq!(bad.id, message.id.unwrap_or(0));
                }
            }
        }
    }
}
