//! Messages that are wrong: an answer each, and the connection lives.

use super::*;

/// What is sent, before or after the handshake, and the Id and class of the error that answers it.
struct Wrong {
    sin: &'static str,
    greeted: bool,
    what: Sent,
    id: u32,
    class: u32,
}

enum Sent {
    /// In the encoding of either door.
    Either(Value),
    /// The payload of a frame, as it is, through one door.
    Bytes(Door, Vec<u8>),
}

fn before(sin: &'static str, frame: Value, id: u32, class: u32) -> Wrong {
    Wrong { sin, greeted: false, what: Sent::Either(frame), id, class }
}

fn after(sin: &'static str, frame: Value, id: u32, class: u32) -> Wrong {
    Wrong { sin, greeted: true, what: Sent::Either(frame), id, class }
}

fn packed(sin: &'static str, payload: &[u8], id: u32) -> Wrong {
    Wrong { sin, greeted: true, what: Sent::Bytes(Door::Socket, payload.to_vec()), id, class: 3 }
}

fn text(sin: &'static str, payload: &[u8], id: u32) -> Wrong {
    Wrong { sin, greeted: true, what: Sent::Bytes(Door::WebSocket, payload.to_vec()), id, class: 3 }
}

fn wrong_messages() -> Vec<Wrong> {
    let output = |device: Value, feature: Value, command: Value| {
        json!([{ "OutputCmd": {
            "Id": 9, "DeviceIndex": device, "FeatureIndex": feature, "Command": command
        } }])
    };
    let vibrate = |value: Value| output(json!(77), json!(0), json!({ "Vibrate": { "Value": value } }));
    vec![
        // The handshake.
        before("no handshake", json!([{ "Ping": { "Id": 3 } }]), 3, 1),
        before(
            "no handshake, but a stop of one device",
            json!([{ "StopCmd": { "Id": 3, "DeviceIndex": 0 } }]),
            3,
            1,
        ),
        before("no handshake, not even a message", json!("hello"), 0, 3),
        before("a handshake without a name", json!([{ "RequestServerInfo": { "Id": 3 } }]), 3, 1),
        before("a handshake with Id 0", hello(0, 4), 0, 3),
        after("a second handshake", hello(3, 4), 3, 1),
        // Names and shapes.
        after("an unknown message", json!([{ "Explode": { "Id": 4 } }]), 4, 3),
        after("a message without a name", json!([{ "": { "Id": 4 } }]), 4, 3),
        after("a name of a thousand letters", json!([{ "x".repeat(1_000): { "Id": 4 } }]), 4, 3),
        after("a message of another version", json!([{ "ScalarCmd": { "Id": 4 } }]), 4, 3),
        after("a reply as a request", json!([{ "Ok": { "Id": 4 } }]), 4, 3),
        after(
            "an error as a request",
            json!([{ "Error": { "Id": 4, "ErrorMessage": "no, you", "ErrorCode": 1 } }]),
            4,
            3,
        ),
        after("an event as a request", json!([{ "ScanningFinished": { "Id": 4 } }]), 4, 3),
        after("a device list for the server", json!([{ "DeviceList": { "Id": 4, "Devices": {} } }]), 4, 3),
        after("two messages in one map", json!([{ "Ping": { "Id": 4 }, "StopScanning": { "Id": 4 } }]), 4, 3),
        after("no array", json!({ "Ping": { "Id": 4 } }), 4, 3),
        after("an empty array", json!([]), 0, 3),
        after("an empty map", json!([{}]), 0, 3),
        after("an array of numbers", json!([1]), 0, 3),
        after("an array in an array", json!([[{ "Ping": { "Id": 4 } }]]), 0, 3),
        after("a body that is text", json!([{ "Ping": "4" }]), 0, 3),
        after("a body that is a list", json!([{ "Ping": [4] }]), 0, 3),
        after("nothing", Value::Null, 0, 3),
        // Ids.
        after("no Id", json!([{ "Ping": {} }]), 0, 3),
        after("Id 0", json!([{ "Ping": { "Id": 0 } }]), 0, 3),
        after("an Id beyond its type", json!([{ "Ping": { "Id": 4_294_967_296_u64 } }]), 0, 3),
        after("an Id beyond any type", json!([{ "Ping": { "Id": u64::MAX } }]), 0, 3),
        after("a negative Id", json!([{ "Ping": { "Id": -1 } }]), 0, 3),
        after("text for an Id", json!([{ "Ping": { "Id": "4" } }]), 0, 3),
        after("a fraction for an Id", json!([{ "Ping": { "Id": 4.5 } }]), 0, 3),
        after("a list for an Id", json!([{ "Ping": { "Id": [4] } }]), 0, 3),
        after("null for an Id", json!([{ "Ping": { "Id": null } }]), 0, 3),
        // Values and indices.
        after("an unknown device", vibrate(json!(1)), 9, 4),
        after("an unknown output", output(json!(77), json!(0), json!({ "Explode": { "Value": 1 } })), 9, 3),
        after(
            "two outputs in one command",
            output(json!(77), json!(0), json!({ "Vibrate": { "Value": 1 }, "Led": { "Value": 1 } })),
            9,
            3,
        ),
        after("text for a value", vibrate(json!("1")), 9, 3),
        after("a truth value for a value", vibrate(json!(true)), 9, 3),
        after("a fraction for a value", vibrate(json!(0.5)), 9, 3),
        after("a value beyond its type", vibrate(json!(5_000_000_000_u64)), 9, 3),
        after("a value beyond all bounds", vibrate(json!(1e300)), 9, 3),
        after("no value", output(json!(77), json!(0), json!({ "Vibrate": {} })), 9, 3),
        after("a negative device", output(json!(-1), json!(0), json!({ "Vibrate": { "Value": 1 } })), 9, 3),
        after("a negative feature", output(json!(77), json!(-1), json!({ "Vibrate": { "Value": 1 } })), 9, 3),
        after(
            "a device beyond its type",
            json!([{ "StopCmd": { "Id": 9, "DeviceIndex": 1_u64 << 32 } }]),
            9,
            3,
        ),
        after("a stop of an unknown device", json!([{ "StopCmd": { "Id": 9, "DeviceIndex": 77 } }]), 9, 4),
        // What only one encoding can say.
        text("no text at all", b"", 0),
        text("text that is no JSON", b"nonsense", 0),
        text("JSON that breaks off", b"[{\"Ping\":{\"Id\":4}", 0),
        text("NaN in JSON", b"[{\"Ping\":{\"Id\":NaN}}]", 0),
        text("half a surrogate", b"[{\"Ping\":{\"Id\":4,\"x\":\"\\ud800\"}}]", 0),
        text("invalid UTF-8 in a binary message", b"[{\"Ping\":{\"Id\":4,\"x\":\"\xff\"}}]", 0),
        text("MessagePack through the wrong door", b"\x91\x81\xa4Ping\x81\xa2Id\x04", 0),
        text("garbage in a binary message", &[0xfe, 0xed, 0xfa, 0xce], 0),
        text("nesting without an end", &[b'['; 60_000], 0),
        packed("an empty frame", b"", 0),
        packed("JSON through the wrong door", b"[{\"Ping\":{\"Id\":4}}]", 0),
        packed("MessagePack that breaks off", b"\x91\x81\xa4Ping\x81\xa2Id", 0),
        packed("a byte that MessagePack does not have", b"\xc1", 0),
        packed("an array of four thousand million messages", b"\xdd\xff\xff\xff\xff", 0),
        packed("a map of four thousand million messages", b"\x91\xdf\xff\xff\xff\xff", 0),
        packed("a text of four gigabytes", b"\x91\x81\xdb\xff\xff\xff\xffPing", 0),
        packed("bytes for a name", b"\x91\x81\xc4\x04Ping\x81\xa2Id\x04", 0),
        packed("a text that is not UTF-8", b"\x91\x81\xa4\xff\xfe\xfd\xfc\x81\xa2Id\x04", 0),
        packed("NaN for a value", b"\x91\x81\xa4Ping\x82\xa2Id\x04\xa1x\xcb\x7f\xf8\0\0\0\0\0\0", 4),
        packed("infinity for an Id", b"\x91\x81\xa4Ping\x81\xa2Id\xcb\x7f\xf0\0\0\0\0\0\0", 0),
        packed("a type of somebody's own", b"\x91\x81\xa4Ping\x82\xa2Id\x04\xa1x\xd4\x01\x00", 4),
        packed("nesting without an end", &[0x91; 60_000], 0),
    ]
}

#[tokio::test]
async fn a_wrong_message_is_answered_and_the_connection_lives() {
    let mut stage = Stage::set().await;
    for wrong in wrong_messages() {
        for door in BOTH {
            let sin = format!("{} through {door:?}", wrong.sin);
            if matches!(wrong.what, Sent::Bytes(only, _) if only != door) {
                continue;
            }
            let mut peer = stage.peer(door).await;
            if wrong.greeted {
                peer.open("clumsy").await.unwrap();
            }
            match (&wrong.what, door) {
                (Sent::Either(frame), _) => peer.send_batch(frame).await.unwrap(),
                (Sent::Bytes(_, payload), Door::Socket) => {
                    peer.send_raw(&socket_frame(payload)).await.unwrap();
                }
                (Sent::Bytes(_, payload), Door::WebSocket) => peer.send_raw(payload).await.unwrap(),
            }
            let answer = peer.message_that(&sin, |message| message.get("Error").is_some()).await;
            let answer = answer.unwrap_or_else(|error| panic!("{sin}: {error:#}\n{}", stage.service.log()));
            let error = &answer["Error"];
            let wanted = (&json!(wrong.id), &json!(wrong.class));
            assert_eq!((&error["Id"], &error["ErrorCode"]), wanted, "{sin}: {error}");
            assert!(error["ErrorMessage"].as_str().is_some_and(|text| !text.is_empty()), "{sin}: {error}");
            if wrong.greeted {
                let ok = peer.request("StopCmd", json!({ "DeviceIndex": null })).await.unwrap();
                assert!(ok.get("Ok").is_some(), "{sin}: {ok}");
            } else {
                peer.open("contrite").await.unwrap_or_else(|error| panic!("{sin}: {error:#}"));
            }
        }
        stage.others_noticed_nothing(wrong.sin).await;
    }
    stage.beside.end().await;
}
