//! What a session does between its handshake and its end.

use super::*;

/// Runs a transcript after a handshake of v4 without extensions.
fn check_open(transcript: &str) {
    check_open_with(settings(), "", transcript);
}

/// Runs a transcript after a handshake of v4 with these names of extensions.
fn check_open_with(settings: Settings, extensions: &str, transcript: &str) {
    let mut session = Session::new(
        settings.clone(),
        Form::Bytes(codec::Encoding::Json),
        DeviceList::default(),
        Instant::now(),
    );
    let hello = format!(
        r#"[{{"RequestServerInfo":{{"Id":1,"ClientName":"a","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"Extensions":[{extensions}]}}}}]"#
    );
    let mut effects = Vec::new();
    session.handle(Instant::now(), Input::Frame(hello.as_bytes()), &mut effects);
    let greeting: String = effects.iter().flat_map(|effect| [shown(effect), "\n".into()]).collect();
    check_with(settings, Form::Bytes(codec::Encoding::Json), &format!("> {hello}\n{greeting}{transcript}"));
}

#[test]
fn a_frame_goes_out_as_one_dispatch() {
    check_open(
        r#"
        > [{"OutputCmd":{"Id":2,"DeviceIndex":7,"FeatureIndex":0,"Command":{"Vibrate":{"Value":5}}}},{"OutputCmd":{"Id":3,"DeviceIndex":7,"FeatureIndex":1,"Command":{"HwPositionWithDuration":{"Value":9,"Duration":100}}}},{"StopCmd":{"Id":4}}]
        = dispatch 1 set 7.0.vibrate=5, 2 set 7.1.position-with-duration=9, 3 stop all Both
        answer 1 ok
        < [{"Ok":{"Id":2}}]
        answer 2 write-failed
        < [{"Error":{"Id":3,"ErrorMessage":"because","ErrorCode":4}}]
        answer 3 ok
        < [{"Ok":{"Id":4}}]
        "#,
    );
}

#[test]
fn replies_about_one_device_keep_their_order_and_hold_back_nothing_else() {
    check_open(
        r#"
        > [{"InputCmd":{"Id":2,"DeviceIndex":7,"FeatureIndex":1,"Type":"Battery","Command":"Read"}}]
        = dispatch 1 Read 7.1.battery
        > [{"OutputCmd":{"Id":3,"DeviceIndex":7,"FeatureIndex":0,"Command":{"Vibrate":{"Value":5}}}}]
        = dispatch 2 set 7.0.vibrate=5
        > [{"OutputCmd":{"Id":4,"DeviceIndex":8,"FeatureIndex":0,"Command":{"Vibrate":{"Value":5}}}}]
        = dispatch 3 set 8.0.vibrate=5
        > [{"StopCmd":{"Id":5,"DeviceIndex":7}}]
        = dispatch 4 stop 7 Both
        answer 2 ok
        answer 4 ok
        < [{"Ok":{"Id":5}}]
        answer 3 ok
        < [{"Ok":{"Id":4}}]
        > [{"Ping":{"Id":6}}]
        < [{"Ok":{"Id":6}}]
        answer 1 battery 85
        < [{"InputReading":{"Id":2,"DeviceIndex":7,"FeatureIndex":1,"Reading":{"Battery":{"Value":85}}}}]
        < [{"Ok":{"Id":3}}]
        "#,
    );
}

#[test]
fn the_same_id_twice_is_answered_twice() {
    check_open(
        r#"
        > [{"StartScanning":{"Id":2}},{"StopScanning":{"Id":2}}]
        = dispatch 1 scan, 2 stop-scan
        answer 1 ok
        < [{"Ok":{"Id":2}}]
        answer 2 ok
        < [{"Ok":{"Id":2}}]
        answer 2 ok
        answer 99 ok
        "#,
    );
}

#[test]
fn bad_messages_are_answered_one_by_one_and_the_good_ones_served() {
    check_open(
        r#"
        > [{"Ping":{"Id":2}},{"Fly":{"Id":3}},{"Ping":{"Id":0}},{"Ping":{"Id":2.0}},{"OutputCmd":{"Id":5,"DeviceIndex":-1}}]
        < [{"Ok":{"Id":2}}]
        < [{"Error":{"Id":3,"ErrorMessage":"no spec version has a message `Fly`","ErrorCode":3}}]
        < [{"Error":{"Id":0,"ErrorMessage":"Ping: `Id` must be 1 or above; 0 is for events of the server","ErrorCode":3}}]
        < [{"Ok":{"Id":2}}]
        < [{"Error":{"Id":5,"ErrorMessage":"OutputCmd.DeviceIndex: must be u32, but is integer `-1`","ErrorCode":3}}]
        "#,
    );
}

#[test]
fn a_feature_without_a_device_cannot_be_stopped() {
    check_open(
        r#"
        > [{"StopCmd":{"Id":2,"FeatureIndex":1}}]
        < [{"Error":{"Id":2,"ErrorMessage":"`FeatureIndex` of a StopCmd means nothing without `DeviceIndex`","ErrorCode":3}}]
        "#,
    );
}

#[test]
fn a_class_that_the_client_does_not_know_is_sent_as_unknown() {
    let talk = |extensions: &str, end: &str| {
        check_open_with(
            settings(),
            extensions,
            &format!(
                "
                > [{{\"RequestDeviceList\":{{\"Id\":2}}}}]
                = dispatch 1 list
                answer 1 reserved
                < [{{\"Error\":{{\"Id\":2,\"ErrorMessage\":\"because\",{end}}}}}]
                "
            ),
        );
    };
    talk("", r#""ErrorCode":0"#);
    talk(r#""error-reason""#, r#""ErrorCode":5,"ErrorReason":"reserved""#);
}

#[test]
fn only_a_ping_moves_the_deadline_and_it_is_exact() {
    let settings = Settings { ping_limit: Some(Duration::from_millis(500)), ..settings() };
    check_open_with(
        settings,
        "",
        r#"
        + 499
        > [{"Ping":{"Id":2}}]
        < [{"Ok":{"Id":2}}]
        + 400
        > [{"RequestDeviceList":{"Id":3}}]
        = dispatch 1 list
        + 99
        + 1
        < [{"Error":{"Id":0,"ErrorMessage":"no ping came in time; what this session set is stopped","ErrorCode":2}}]
        < [{"Error":{"Id":3,"ErrorMessage":"the session ended before the answer was there","ErrorCode":1}}]
        = closed ping-missed
        > [{"Ping":{"Id":4}}]
        answer 1 ok
        event finished
        + 1000
        "#,
    );
}

#[test]
fn a_missed_ping_is_told_in_the_clients_own_version() {
    let settings = Settings { ping_limit: Some(Duration::from_millis(500)), ..settings() };
    check_with(
        settings,
        Form::Bytes(codec::Encoding::Json),
        r#"
        > [{"RequestServerInfo":{"Id":1,"ClientName":"a","MessageVersion":2}}]
        = opened "a" v2 ping Some(500ms)
        < [{"ServerInfo":{"Id":1,"ServerName":"test","MessageVersion":2,"MaxPingTime":500}}]
        + 500
        < [{"Error":{"Id":0,"ErrorMessage":"no ping came in time; what this session set is stopped","ErrorCode":2}}]
        = closed ping-missed
        "#,
    );
}

/// What comes of a frame in a session of v3 whose ping is overdue by a millisecond.
fn too_late(frame: &[u8]) -> Vec<Effect> {
    let start = Instant::now();
    let settings = Settings { ping_limit: Some(Duration::from_millis(500)), ..settings() };
    let mut session =
        Session::new(settings, Form::Bytes(codec::Encoding::Json), DeviceList::default(), start);
    let mut effects = Vec::new();
    let hello = br#"[{"RequestServerInfo":{"Id":1,"ClientName":"a","MessageVersion":3}}]"#;
    session.handle(start, Input::Frame(hello), &mut effects);
    effects.clear();
    session.handle(start + Duration::from_millis(501), Input::Frame(frame), &mut effects);
    effects
}

#[test]
fn a_ping_that_comes_too_late_is_too_late_even_if_it_is_seen_first() {
    let effects = too_late(br#"[{"Ping":{"Id":2}}]"#);
    assert!(
        matches!(&effects[..], [Effect::Send(_), Effect::Closed(End::Fault(fault))] if fault.reason == Reason::PingMissed)
    );
}

#[test]
fn a_stop_is_never_too_late() {
    let effects = too_late(br#"[{"StartScanning":{"Id":2}},{"StopAllDevices":{"Id":3}}]"#);
    let [Effect::Dispatch(dispatches), Effect::Send(_), Effect::Send(_), Effect::Closed(_)] = &effects[..]
    else {
        panic!("{effects:?}")
    };
    assert!(matches!(&dispatches[..], [Dispatch { command: Command::Stop { .. }, .. }]));
}

#[test]
fn a_ping_is_welcome_where_none_is_needed() {
    check_open(
        r#"
        > [{"Ping":{"Id":2}}]
        < [{"Ok":{"Id":2}}]
        + 1000000
        "#,
    );
}

#[test]
fn disconnect_is_answered_and_what_came_before_it_is_done() {
    check_open(
        r#"
        > [{"StopCmd":{"Id":2}},{"Disconnect":{"Id":3}},{"Ping":{"Id":4}}]
        = dispatch 1 stop all Both
        < [{"Error":{"Id":2,"ErrorMessage":"the session ended before the answer was there","ErrorCode":1}}]
        < [{"Ok":{"Id":3}}]
        = closed by the client
        "#,
    );
}

#[test]
fn a_client_that_is_gone_is_told_nothing() {
    check_open(
        r#"
        > [{"RequestDeviceList":{"Id":2}}]
        = dispatch 1 list
        gone
        = gone
        gone
        answer 1 devices
        "#,
    );
}

#[test]
fn more_requests_than_allowed_are_refused_but_stops_are_not() {
    let mut settings = settings();
    settings.limits.requests_in_flight = 1;
    check_open_with(
        settings,
        r#""error-reason""#,
        r#"
        > [{"StartScanning":{"Id":2}},{"StopScanning":{"Id":3}},{"StopCmd":{"Id":4,"Inputs":false}}]
        < [{"Error":{"Id":3,"ErrorMessage":"1 requests of this session wait for their answer already","ErrorCode":6,"ErrorReason":"too-many-requests"}}]
        = dispatch 1 scan, 2 stop all Outputs
        answer 1 ok
        < [{"Ok":{"Id":2}}]
        answer 2 ok
        < [{"Ok":{"Id":4}}]
        > [{"StopScanning":{"Id":5}}]
        = dispatch 3 stop-scan
        "#,
    );
}

#[test]
fn stops_beyond_all_limits_are_carried_out_and_answered_at_once() {
    let mut settings = settings();
    settings.limits.requests_in_flight = 0;
    let mut session =
        Session::new(settings, Form::Bytes(codec::Encoding::Json), DeviceList::default(), Instant::now());
    let mut effects = Vec::new();
    let hello = br#"[{"RequestServerInfo":{"Id":1,"ClientName":"a","MessageVersion":3}}]"#;
    session.handle(Instant::now(), Input::Frame(hello), &mut effects);
    effects.clear();
    let stops = vec![r#"{"StopDeviceCmd":{"Id":2,"DeviceIndex":7}}"#; Limits::STOPS_BEYOND + 1].join(",");
    session.handle(Instant::now(), Input::Frame(format!("[{stops}]").as_bytes()), &mut effects);
    let [Effect::Send(refusal), Effect::Dispatch(dispatches)] = &effects[..] else { panic!("{effects:?}") };
    assert!(String::from_utf8_lossy(refusal).contains("wait for their answer"));
    let last = dispatches.last().unwrap().ticket;
    assert_eq!(dispatches.len(), Limits::STOPS_BEYOND + 1);
    effects.clear();
    session.handle(Instant::now(), Input::Answer { ticket: last, outcome: Ok(Answer::Done) }, &mut effects);
    assert_eq!(effects, [], "it was answered already");
}

#[test]
fn a_second_handshake_is_refused_whatever_version_it_is_of() {
    check_open(
        r#"
        > [{"RequestServerInfo":{"Id":2,"ClientName":"a"}}]
        < [{"Error":{"Id":2,"ErrorMessage":"the handshake of this session is done already","ErrorCode":1}}]
        "#,
    );
}

#[test]
fn more_messages_in_a_frame_than_allowed_are_refused_but_stops_are_not() {
    let mut settings = settings();
    settings.limits.messages_in_frame = 1;
    check_open_with(
        settings,
        "",
        r#"
        > [{"Ping":{"Id":2}},{"Ping":{"Id":3}},{"StopCmd":{"Id":4,"DeviceIndex":7,"FeatureIndex":0,"Outputs":false}}]
        < [{"Ok":{"Id":2}}]
        < [{"Error":{"Id":3,"ErrorMessage":"a frame may hold 1 messages","ErrorCode":0}}]
        = dispatch 1 stop 7.0 Inputs
        "#,
    );
}

#[test]
fn events_are_told_in_the_clients_version() {
    check_open(
        r#"
        event added
        < [{"DeviceList":{"Id":0,"Devices":{"7":{"DeviceIndex":7,"DeviceName":"Toy","DeviceMessageTimingGap":75,"DeviceFeatures":{"0":{"FeatureIndex":0,"FeatureDescription":"","Output":{"Vibrate":{"Value":[0,20]}}}}}}}}]
        event battery 85
        < [{"InputReading":{"Id":0,"DeviceIndex":7,"FeatureIndex":1,"Reading":{"Battery":{"Value":85}}}}]
        event removed
        < [{"DeviceList":{"Id":0,"Devices":{}}}]
        event finished
        < [{"ScanningFinished":{"Id":0}}]
        "#,
    );
}

#[test]
fn a_session_that_is_ended_tells_its_client_why() {
    check_open_with(
        settings(),
        r#""error-reason""#,
        r#"
        closing disconnected-by-user
        < [{"Error":{"Id":0,"ErrorMessage":"because","ErrorCode":5,"ErrorReason":"disconnected-by-user"}}]
        = closed disconnected-by-user
        closing disconnected-by-user
        "#,
    );
}

#[test]
fn a_test_of_v0_comes_back() {
    check(
        r#"
        > [{"RequestServerInfo":{"Id":1,"ClientName":"a"}}]
        = opened "a" v0 ping None
        < [{"ServerInfo":{"Id":1,"ServerName":"test","MajorVersion":0,"MinorVersion":0,"BuildVersion":0,"MessageVersion":0,"MaxPingTime":0}}]
        > [{"Test":{"Id":2,"TestString":"hello"}}]
        < [{"Test":{"Id":2,"TestString":"hello"}}]
        > [{"Test":{"Id":3,"TestString":"Error"}}]
        < [{"Error":{"Id":3,"ErrorMessage":"the client asked for an error","ErrorCode":3}}]
        "#,
    );
}

#[test]
fn message_pack_says_the_same() {
    let start = Instant::now();
    let form = Form::Bytes(codec::Encoding::MessagePack);
    let mut session = Session::new(settings(), form, DeviceList::default(), start);
    let mut effects = Vec::new();
    let pack = |value: serde_json::Value| codec::encode(&value, codec::Encoding::MessagePack).unwrap();
    let hello = serde_json::json!({"RequestServerInfo": {"Id": 1, "ClientName": "a", "MessageVersion": 3}});
    session.handle(start, Input::Frame(&pack(hello)), &mut effects);
    session.handle(start, Input::Frame(&pack(serde_json::json!({"Ping": {"Id": 2}}))), &mut effects);
    let replies: Vec<&Vec<u8>> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Send(payload) => Some(payload),
            _ => None,
        })
        .collect();
    let reply = ipc_schema::v3::ServerMessage::Ok(ipc_schema::v3::Plain { id: 2 });
    assert_eq!(replies.len(), 2);
    assert_eq!(*replies[1], codec::encode(&reply, codec::Encoding::MessagePack).unwrap());
}

#[test]
fn a_session_that_asked_for_a_log_is_told_of_itself_until_it_wants_no_more() {
    check(
        r#"
        > [{"RequestServerInfo":{"Id":1,"ClientName":"a","MessageVersion":1}}]
        = opened "a" v1 ping None
        < [{"ServerInfo":{"Id":1,"ServerName":"test","MajorVersion":0,"MinorVersion":0,"BuildVersion":0,"MessageVersion":1,"MaxPingTime":0}}]
        > [{"RequestLog":{"Id":2,"LogLevel":"Debug"}}]
        < [{"Ok":{"Id":2}}]
        > [{"Ping":{"Id":3}}]
        < [{"Ok":{"Id":3}}]
        < [{"Log":{"Id":0,"LogLevel":"Debug","LogMessage":"ping"}}]
        event added
        < [{"DeviceAdded":{"Id":0,"DeviceIndex":7,"DeviceName":"Toy","DeviceMessages":{"SingleMotorVibrateCmd":{},"VibrateCmd":{"FeatureCount":1},"StopDeviceCmd":{}}}}]
        < [{"Log":{"Id":0,"LogLevel":"Info","LogMessage":"device 7 came: Toy"}}]
        > [{"RequestLog":{"Id":4,"LogLevel":"Info"}}]
        < [{"Ok":{"Id":4}}]
        > [{"Ping":{"Id":5}}]
        < [{"Ok":{"Id":5}}]
        > [{"VibrateCmd":{"Id":6,"DeviceIndex":7,"Speeds":[{"Index":0,"Speed":1.0}]}}]
        = dispatch 1 set 7.0.vibrate=20
        answer 1 write-failed
        < [{"Error":{"Id":6,"ErrorMessage":"because","ErrorCode":4}}]
        < [{"Log":{"Id":0,"LogLevel":"Error","LogMessage":"request 6 failed: because (write-failed)"}}]
        > [{"Explode":{"Id":7}}]
        < [{"Error":{"Id":7,"ErrorMessage":"no spec version has a message `Explode`","ErrorCode":3}}]
        < [{"Log":{"Id":0,"LogLevel":"Error","LogMessage":"request 7 failed: no spec version has a message `Explode` (unknown-message)"}}]
        event finished
        < [{"ScanningFinished":{"Id":0}}]
        < [{"Log":{"Id":0,"LogLevel":"Info","LogMessage":"the scan has ended"}}]
        > [{"RequestLog":{"Id":8,"LogLevel":"Off"}}]
        < [{"Ok":{"Id":8}}]
        event removed
        < [{"DeviceRemoved":{"Id":0,"DeviceIndex":7}}]
        "#,
    );
}
