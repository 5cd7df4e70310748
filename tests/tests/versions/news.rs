//! What a session is told: a battery, a device that leaves and returns.

use super::*;

#[tokio::test]
async fn a_battery_is_read_in_every_version_that_can() {
    let rig = rig(0).await;
    for (turn, version) in VERSIONS.into_iter().chain(VERSIONS).enumerate() {
        let mut peer = rig.open(version, alternating(turn)).await;
        let (name, body, told) = match version {
            0 | 1 => ("BatteryLevelCmd", json!({ "DeviceIndex": 0 }), None),
            2 => (
                "BatteryLevelCmd",
                json!({ "DeviceIndex": 0 }),
                Some(json!({ "BatteryLevelReading": { "Id": 2, "DeviceIndex": 0, "BatteryLevel": 0.85 } })),
            ),
            3 => (
                "SensorReadCmd",
                json!({ "DeviceIndex": 0, "SensorIndex": 0, "SensorType": "Battery" }),
                Some(json!({ "SensorReading": {
                    "Id": 2, "DeviceIndex": 0, "SensorIndex": 0, "SensorType": "Battery", "Data": [CHARGE]
                } })),
            ),
            _ => (
                "InputCmd",
                json!({ "DeviceIndex": 0, "FeatureIndex": 10, "Type": "Battery", "Command": "Read" }),
                Some(json!({ "InputReading": {
                    "Id": 2, "DeviceIndex": 0, "FeatureIndex": 10, "Reading": { "Battery": { "Value": CHARGE } }
                } })),
            ),
        };
        let reply = peer.request(name, body).await.unwrap();
        match told {
            Some(told) => assert_eq!(reply, told, "v{version}"),
            None => assert_eq!(reply["Error"]["ErrorCode"], 3, "v{version}: {reply}"),
        }
    }
}

/// Waits until the session was told that the device went, or came, in its version's own words.
async fn told(peer: &mut Peer, version: u32, news: News) -> Value {
    let name = match (version, news) {
        (4, News::Gone | News::Back) => "DeviceList",
        (_, News::Gone) => "DeviceRemoved",
        (_, News::Back) => "DeviceAdded",
    };
    peer.event(name).await.unwrap()
}

#[derive(Debug, Clone, Copy)]
enum News {
    Gone,
    Back,
}

#[tokio::test]
async fn a_device_that_leaves_and_returns_is_told_of_in_the_words_of_each_version() {
    let rig = rig(0).await;
    let mut peers = Vec::new();
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut peer = rig.open(version, alternating(turn)).await;
        let list = peer.request("RequestDeviceList", json!({})).await.unwrap();
        let devices = &list["DeviceList"]["Devices"];
        let name = if version == 4 { &devices["0"]["DeviceName"] } else { &devices[0]["DeviceName"] };
        assert_eq!(*name, "Everything", "v{version}: {list}");
        ok(&mut peer, "StartScanning", json!({})).await;
        peers.push((version, peer));
    }
    rig.toy.vanish();
    for (version, peer) in &mut peers {
        let news = told(peer, *version, News::Gone).await;
        let wanted = match version {
            4 => json!({ "Id": 0, "Devices": {} }),
            _ => json!({ "Id": 0, "DeviceIndex": 0 }),
        };
        assert_eq!(news, wanted, "v{version}");
    }
    rig.toy.appear();
    for (version, peer) in &mut peers {
        let news = told(peer, *version, News::Back).await;
        let device = if *version == 4 { &news["Devices"]["0"] } else { &news };
        assert_eq!(device["DeviceIndex"], 0, "v{version}: {news}");
        assert_eq!(device["DeviceName"], "Everything", "v{version}: {news}");
        let shows = if *version == 4 { "DeviceFeatures" } else { "DeviceMessages" };
        assert!(device.get(shows).is_some(), "v{version}: {news}");
    }
    // Each scan ends for the one who ends it, and the last one ends the search.
    for (version, peer) in &mut peers {
        ok(peer, "StopScanning", json!({})).await;
        assert_eq!(peer.event("ScanningFinished").await.unwrap(), json!({ "Id": 0 }), "v{version}");
    }
    rig.bluez.adapter().not_discovering().await;
}
