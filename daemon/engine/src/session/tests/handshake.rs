//! The handshake, its versions and its extensions, and what comes before it.

use super::*;

/// A handshake in the default settings, and what must come of it.
fn check_hello(body: &str, reply: &str, opened: &str) {
    check(&format!("> [{{\"RequestServerInfo\":{body}}}]\n{opened}\n< [{reply}]"));
}

#[test]
fn the_version_is_read_off_the_shape() {
    check_hello(
        r#"{"Id":1,"ClientName":"a"}"#,
        r#"{"ServerInfo":{"Id":1,"ServerName":"test","MajorVersion":0,"MinorVersion":0,"BuildVersion":0,"MessageVersion":0,"MaxPingTime":0}}"#,
        r#"= opened "a" v0 ping None"#,
    );
    check_hello(
        r#"{"Id":1,"ClientName":"","MessageVersion":1}"#,
        r#"{"ServerInfo":{"Id":1,"ServerName":"test","MajorVersion":0,"MinorVersion":0,"BuildVersion":0,"MessageVersion":1,"MaxPingTime":0}}"#,
        r#"= opened "" v1 ping None"#,
    );
    for version in [2, 3] {
        check_hello(
            &format!(r#"{{"Id":4294967295,"ClientName":"a","MessageVersion":{version}}}"#),
            &format!(
                r#"{{"ServerInfo":{{"Id":4294967295,"ServerName":"test","MessageVersion":{version},"MaxPingTime":0}}}}"#
            ),
            &format!(r#"= opened "a" v{version} ping None"#),
        );
    }
}

#[test]
fn a_newer_minor_version_is_served_as_ours() {
    check_hello(
        r#"{"Id":1,"ClientName":"a","ProtocolVersionMajor":4,"ProtocolVersionMinor":7,"Unknown":{}}"#,
        r#"{"ServerInfo":{"Id":1,"ServerName":"test","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"MaxPingTime":0}}"#,
        r#"= opened "a" v4 ping None"#,
    );
}

#[test]
fn a_newer_major_version_is_refused_and_closed() {
    check(
        r#"
        > [{"RequestServerInfo":{"Id":3,"ClientName":"a","ProtocolVersionMajor":5,"ProtocolVersionMinor":0}}]
        < [{"Error":{"Id":3,"ErrorMessage":"spec version 5 is not known; this server speaks 0 to 4","ErrorCode":1}}]
        = closed version-not-supported
        > [{"RequestServerInfo":{"Id":3,"ClientName":"a"}}]
        "#,
    );
}

#[test]
fn a_handshake_that_cannot_be_read_may_be_tried_again() {
    check(
        r#"
        > [{"RequestServerInfo":{"Id":1,"ClientName":null}}]
        < [{"Error":{"Id":1,"ErrorMessage":"RequestServerInfo.ClientName: must be a string, but is unit value","ErrorCode":1}}]
        > [{"RequestServerInfo":{"Id":2,"ClientName":"a","MessageVersion":4}}]
        < [{"Error":{"Id":2,"ErrorMessage":"spec version 4 is announced with member `ProtocolVersionMajor`","ErrorCode":1}}]
        > [{"RequestServerInfo":{"Id":3,"ClientName":"a","MessageVersion":3}}]
        = opened "a" v3 ping None
        < [{"ServerInfo":{"Id":3,"ServerName":"test","MessageVersion":3,"MaxPingTime":0}}]
        "#,
    );
}

#[test]
fn nothing_but_a_handshake_is_taken_before_it() {
    check(
        r#"
        > [{"StopCmd":{"Id":4,"DeviceIndex":7}}]
        < [{"Error":{"Id":4,"ErrorMessage":"the first message must be the handshake, RequestServerInfo","ErrorCode":1}}]
        > [{"Nonsense":{}}]
        < [{"Error":{"Id":0,"ErrorMessage":"the first message must be the handshake, RequestServerInfo","ErrorCode":1}}]
        event added
        event finished
        "#,
    );
}

#[test]
fn everything_can_be_stopped_without_a_session() {
    check(
        r#"
        > [{"StopCmd":{"Id":4}}]
        = stop everything for 4
        stopped 4 ok
        < [{"Ok":{"Id":4}}]
        > [{"StopAllDevices":{"Id":5}}]
        = stop everything for 5
        > [{"RequestServerInfo":{"Id":6,"ClientName":"a","MessageVersion":3}}]
        = opened "a" v3 ping None
        < [{"ServerInfo":{"Id":6,"ServerName":"test","MessageVersion":3,"MaxPingTime":0}}]
        stopped 5 write-failed
        < [{"Error":{"Id":5,"ErrorMessage":"because","ErrorCode":4}}]
        "#,
    );
}

#[test]
fn a_session_that_will_not_be_takes_a_stop_and_tells_why_with_the_handshake() {
    let fault = Fault::new(Reason::TooManySessions, "full");
    let session =
        Session::new(settings(), Form::Bytes(codec::Encoding::Json), DeviceList::default(), Instant::now());
    let mut session = session.closed_to(fault.clone());
    let mut effects = Vec::new();
    session.handle(Instant::now(), Input::Frame(br#"[{"StopCmd":{"Id":4}}]"#), &mut effects);
    assert_eq!(effects, [Effect::StopEverything { id: RequestId(4) }]);
    effects.clear();
    let hello = br#"[{"RequestServerInfo":{"Id":5,"ClientName":"a","MessageVersion":3}}]"#;
    session.handle(Instant::now(), Input::Frame(hello), &mut effects);
    let [Effect::Send(answer), Effect::Closed(end)] = &effects[..] else { panic!("{effects:?}") };
    assert!(String::from_utf8_lossy(answer).contains(r#""Id":5,"ErrorMessage":"full""#));
    assert_eq!(*end, End::Fault(fault));
}

#[test]
fn garbage_before_the_handshake_is_answered() {
    let mut session =
        Session::new(settings(), Form::Bytes(codec::Encoding::Json), DeviceList::default(), Instant::now());
    for garbage in [&b""[..], b"\xff\xff", b"[", b"{}", b"[]", b"7"] {
        let mut effects = Vec::new();
        session.handle(Instant::now(), Input::Frame(garbage), &mut effects);
        let [Effect::Send(payload)] = &effects[..] else { panic!("{effects:?}") };
        let text = String::from_utf8_lossy(payload);
        assert!(text.starts_with(r#"[{"Error":{"Id":0,"#) && text.ends_with(r#""ErrorCode":3}}]"#), "{text}");
    }
}

#[test]
fn a_second_handshake_is_an_error_and_the_session_goes_on() {
    check(
        r#"
        > [{"RequestServerInfo":{"Id":1,"ClientName":"a","MessageVersion":3}}]
        = opened "a" v3 ping None
        < [{"ServerInfo":{"Id":1,"ServerName":"test","MessageVersion":3,"MaxPingTime":0}}]
        > [{"RequestServerInfo":{"Id":2,"ClientName":"a","MessageVersion":3}}]
        < [{"Error":{"Id":2,"ErrorMessage":"the handshake of this session is done already","ErrorCode":1}}]
        > [{"Ping":{"Id":3}}]
        < [{"Ok":{"Id":3}}]
        "#,
    );
}

#[test]
fn what_follows_the_handshake_in_its_frame_is_served() {
    check(
        r#"
        > [{"RequestServerInfo":{"Id":1,"ClientName":"a","MessageVersion":3}},{"RequestDeviceList":{"Id":2}}]
        = opened "a" v3 ping None
        < [{"ServerInfo":{"Id":1,"ServerName":"test","MessageVersion":3,"MaxPingTime":0}}]
        = dispatch 1 list
        "#,
    );
}

#[test]
fn extensions_are_granted_to_those_who_ask() {
    check_hello(
        r#"{"Id":1,"ClientName":"a","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"Extensions":["monitor","telepathy"]}"#,
        r#"{"ServerInfo":{"Id":1,"ServerName":"test","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"MaxPingTime":0,"Extensions":["monitor"]}}"#,
        r#"= opened "a" v4 ping None"#,
    );
    check_hello(
        r#"{"Id":1,"ClientName":"a","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"Extensions":[]}"#,
        r#"{"ServerInfo":{"Id":1,"ServerName":"test","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"MaxPingTime":0}}"#,
        r#"= opened "a" v4 ping None"#,
    );
}

#[test]
fn a_message_of_an_extension_needs_the_extension() {
    check(
        r#"
        > [{"RequestServerInfo":{"Id":1,"ClientName":"a","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"Extensions":["error-reason"]}}]
        = opened "a" v4 ping None
        < [{"ServerInfo":{"Id":1,"ServerName":"test","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"MaxPingTime":0,"Extensions":["error-reason"]}}]
        > [{"Reserve":{"Id":2,"DeviceIndex":7}}]
        < [{"Error":{"Id":2,"ErrorMessage":"ask for extension `reserve` in the handshake","ErrorCode":3,"ErrorReason":"extension-required"}}]
        "#,
    );
}

#[test]
fn a_client_can_ask_for_a_shorter_ping_limit_but_for_no_longer_one() {
    for (asked, given) in [(500, 500), (1000, 1000), (5000, 1000), (0, 1000)] {
        let settings = Settings { ping_limit: Some(Duration::from_secs(1)), ..settings() };
        check_with(
            settings,
            Form::Bytes(codec::Encoding::Json),
            &format!(
                r#"
                > [{{"RequestServerInfo":{{"Id":1,"ClientName":"a","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"Extensions":["ping-time"],"PingTime":{asked}}}}}]
                = opened "a" v4 ping Some({:?})
                < [{{"ServerInfo":{{"Id":1,"ServerName":"test","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"MaxPingTime":{given},"Extensions":["ping-time"]}}}}]
                "#,
                Duration::from_millis(given)
            ),
        );
    }
}

#[test]
fn a_ping_time_without_its_extension_is_passed_over() {
    check_hello(
        r#"{"Id":1,"ClientName":"a","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"PingTime":100}"#,
        r#"{"ServerInfo":{"Id":1,"ServerName":"test","ProtocolVersionMajor":4,"ProtocolVersionMinor":0,"MaxPingTime":0}}"#,
        r#"= opened "a" v4 ping None"#,
    );
}

#[test]
fn a_handshake_that_does_not_come_ends_the_connection() {
    let mut settings = settings();
    settings.limits.time_to_handshake = Some(Duration::from_millis(100));
    check_with(
        settings,
        Form::Bytes(codec::Encoding::Json),
        r#"
        + 99
        + 1
        < [{"Error":{"Id":0,"ErrorMessage":"no handshake came in time","ErrorCode":1}}]
        = closed handshake-timed-out
        "#,
    );
}

#[test]
fn a_typed_front_asks_and_is_told_in_words() {
    check_with(
        settings(),
        Form::Typed,
        "
        ask 1 list
        = reply 1 handshake-expected
        ask 2 hello
        = opened \"typed\" v4 ping None
        = welcome 2 v4 Some({\"reserve\"})
        ask 3 ping
        = reply 3 Done
        ask 4 list
        = dispatch 1 list
        answer 1 ok
        = reply 4 Done
        event finished
        = event ScanningFinished
        ask 5 list
        = dispatch 2 list
        closing shutting-down
        = reply 0 shutting-down
        = reply 5 session-closed
        = closed shutting-down
        ",
    );
}
