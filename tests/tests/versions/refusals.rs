//! What is refused, and how a session ends, in words that each version knows.

use super::*;

#[tokio::test]
async fn a_missed_ping_is_told_in_every_version_and_stops_what_its_session_set() {
    const LIMIT_MS: u32 = 400;
    let rig = rig(LIMIT_MS).await;
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut peer = rig.connect(alternating(turn)).await;
        let info = peer.request("RequestServerInfo", hello(version)).await.unwrap();
        assert_eq!(info["ServerInfo"]["MaxPingTime"], LIMIT_MS, "v{version}");
        let (name, body) = match version {
            0 => ("SingleMotorVibrateCmd", json!({ "DeviceIndex": 0, "Speed": 1.0 })),
            1..=3 => {
                let speeds = json!([{ "Index": 0, "Speed": 1.0 }]);
                ("VibrateCmd", json!({ "DeviceIndex": 0, "Speeds": speeds }))
            }
            _ => output(0, json!({ "Vibrate": { "Value": 127 } })),
        };
        ok(&mut peer, name, body).await;
        assert!(rig.packets().iter().any(|packet| packet == "01007f00"), "v{version}");
        rig.toy.forget_operations();
        let rest = peer.closed().await.unwrap();
        let [last] = &rest[..] else { panic!("v{version}: {rest:?}") };
        assert_eq!((&last["Error"]["Id"], &last["Error"]["ErrorCode"]), (&json!(0), &json!(2)), "v{version}");
        while rig.toy.next_write().await.data != [1, 0, 0, 0] {}
    }
}

#[tokio::test]
async fn what_one_session_reserves_is_refused_to_others_in_words_that_they_know_but_never_a_stop() {
    let rig = rig(0).await;
    let mut holder = rig.connect(Encoding::MessagePack).await;
    holder.open_with("holder", json!({ "Extensions": ["reserve"] })).await.unwrap();
    ok(&mut holder, "Reserve", json!({ "DeviceIndex": 0 })).await;
    let run = output(0, json!({ "Vibrate": { "Value": 9 } }));
    stop_all(&mut holder, 4).await;
    let mut next_id = 10_000;
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut peer = rig.open(version, alternating(turn)).await;
        say(&mut holder, "running", std::slice::from_ref(&run), &mut next_id).await;
        let before = rig.packets().len();
        let (name, body) = match version {
            0 => ("SingleMotorVibrateCmd", json!({ "DeviceIndex": 0, "Speed": 1.0 })),
            1..=3 => {
                let speeds = json!([{ "Index": 0, "Speed": 1.0 }]);
                ("VibrateCmd", json!({ "DeviceIndex": 0, "Speeds": speeds }))
            }
            _ => output(0, json!({ "Vibrate": { "Value": 127 } })),
        };
        let reply = peer.request(name, body).await.unwrap();
        let error = &reply["Error"];
        assert_eq!(error["ErrorCode"], 0, "v{version}: {reply}");
        assert!(error["ErrorMessage"].as_str().unwrap().contains("holder"), "v{version}: {reply}");
        assert_eq!(error.get("ErrorReason"), None, "v{version}: {reply}");
        assert!(rig.packets_since(before).is_empty(), "v{version}");
        stop_device(&mut peer, version).await;
        assert_eq!(rig.packets_since(before), ["01000000"], "v{version}");
    }
    let mut knows = rig.connect(Encoding::Json).await;
    knows.open_with("knows reasons", json!({ "Extensions": ["error-reason"] })).await.unwrap();
    let reply = knows.request(run.0, run.1).await.unwrap();
    let error = &reply["Error"];
    assert_eq!((&error["ErrorCode"], &error["ErrorReason"]), (&json!(5), &json!("reserved")), "{reply}");
}

#[tokio::test]
async fn what_is_over_a_limit_is_refused_in_words_that_each_version_knows() {
    let rig = rig(0).await;
    let pings: Vec<Value> = (1_000..1_300).map(|id| json!({ "Ping": { "Id": id } })).collect();
    let pings = Value::Array(pings);
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut peer = rig.open(version, alternating(turn)).await;
        peer.send_batch(&pings).await.unwrap();
        assert!(peer.reply(1_255).await.unwrap().get("Ok").is_some(), "v{version}");
        let reply = peer.reply(1_256).await.unwrap();
        assert_eq!(reply["Error"]["ErrorCode"], 0, "v{version}: {reply}");
        assert_eq!(reply["Error"].get("ErrorReason"), None, "v{version}: {reply}");
    }
    let mut knows = rig.connect(Encoding::MessagePack).await;
    knows.open_with("knows reasons", json!({ "Extensions": ["error-reason"] })).await.unwrap();
    knows.send_batch(&pings).await.unwrap();
    let reply = knows.reply(1_256).await.unwrap();
    let error = &reply["Error"];
    assert_eq!(
        (&error["ErrorCode"], &error["ErrorReason"]),
        (&json!(6), &json!("too-many-requests")),
        "{reply}"
    );
}
