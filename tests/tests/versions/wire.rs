//! What goes over the wire, where no client is left to say it.

use super::*;

/// No client of v0 works any more, so this is what one would say and hear, message by message.
#[tokio::test]
async fn a_conversation_of_v0_as_it_goes_over_the_wire() {
    let rig = rig(0).await;
    let commands =
        ["FleshlightLaunchFW12Cmd", "SingleMotorVibrateCmd", "StopDeviceCmd", "VorzeA10CycloneCmd"];
    let device = json!({ "DeviceIndex": 0, "DeviceName": "Everything", "DeviceMessages": commands });
    let transcript = [
        (
            json!({ "RequestServerInfo": { "Id": 1, "ClientName": "of 2017" } }),
            json!({ "ServerInfo": {
                "Id": 1, "ServerName": "buttplugd", "MajorVersion": 0, "MinorVersion": 0, "BuildVersion": 0,
                "MessageVersion": 0, "MaxPingTime": 0,
            } }),
        ),
        (json!({ "Ping": { "Id": 2 } }), json!({ "Ok": { "Id": 2 } })),
        (
            json!({ "Test": { "Id": 3, "TestString": "Grüße" } }),
            json!({ "Test": { "Id": 3, "TestString": "Grüße" } }),
        ),
        (
            json!({ "Test": { "Id": 4, "TestString": "Error" } }),
            json!({ "Error": { "Id": 4, "ErrorMessage": "the client asked for an error", "ErrorCode": 3 } }),
        ),
        (
            json!({ "RequestDeviceList": { "Id": 5 } }),
            json!({ "DeviceList": { "Id": 5, "Devices": [device] } }),
        ),
        (json!({ "StartScanning": { "Id": 6 } }), json!({ "Ok": { "Id": 6 } })),
        (
            json!({ "SingleMotorVibrateCmd": { "Id": 7, "DeviceIndex": 0, "Speed": 0.25 } }),
            json!({ "Ok": { "Id": 7 } }),
        ),
        (
            json!({ "FleshlightLaunchFW12Cmd": { "Id": 8, "DeviceIndex": 0, "Position": 0, "Speed": 99 } }),
            json!({ "Ok": { "Id": 8 } }),
        ),
        (
            json!({ "VorzeA10CycloneCmd": { "Id": 9, "DeviceIndex": 0, "Speed": 100, "Clockwise": false } }),
            json!({ "Ok": { "Id": 9 } }),
        ),
        (json!({ "StopDeviceCmd": { "Id": 10, "DeviceIndex": 0 } }), json!({ "Ok": { "Id": 10 } })),
        (
            json!({ "VibrateCmd": { "Id": 11, "DeviceIndex": 0, "Speeds": [] } }),
            json!({ "Error": {
                "Id": 11, "ErrorCode": 3,
                "ErrorMessage": "this session's spec version has no message `VibrateCmd`; it belongs to v1, v2, v3",
            } }),
        ),
        (json!({ "StopAllDevices": { "Id": 12 } }), json!({ "Ok": { "Id": 12 } })),
        (json!({ "RequestLog": { "Id": 13, "LogLevel": "Info" } }), json!({ "Ok": { "Id": 13 } })),
        (json!({ "StopScanning": { "Id": 14 } }), json!({ "Ok": { "Id": 14 } })),
    ];
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let before = rig.packets().len();
        let mut peer = rig.connect(encoding).await;
        for (id, (said, heard)) in (1..).zip(&transcript) {
            peer.send_batch(&json!([said])).await.unwrap();
            assert_eq!(peer.reply(id).await.unwrap(), *heard, "{encoding:?}");
        }
        assert_eq!(peer.event("ScanningFinished").await.unwrap(), json!({ "Id": 0 }));
        let line = json!({ "Id": 0, "LogLevel": "Info", "LogMessage": "the scan has ended" });
        assert_eq!(peer.event("Log").await.unwrap(), line);
        let sent = rig.packets_since(before);
        let driven = ["01002000", "01010500", "02040000d500", "0102ecff"];
        let at = sent.windows(driven.len()).position(|window| window == driven);
        assert!(at.is_some(), "{encoding:?}: {sent:?}");
        assert_eq!(sent.get(driven.len()..).unwrap()[..3], ["01000000", "01010000", "01020000"], "{sent:?}");
    }
}
