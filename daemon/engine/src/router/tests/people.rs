//! Sessions among each other: scans, reservations, devices that come and go, and who is told what.

use super::*;

#[test]
fn a_scan_runs_while_anyone_wants_it() {
    check(
        "
        1 1 scan
        = 1 1 no-transport: the service runs without any bus that could find a device
        bus bluetooth ready
        1 2 scan
        = Scan
        = 1 2 ok
        2 1 scan
        = 2 1 ok
        1 3 stop-scan
        = 1 3 ok
        = 1 hears finished
        1 4 stop-scan
        = 1 4 ok
        close 2
        = Rest
        ",
    );
}

#[test]
fn the_end_of_a_scan_goes_to_those_who_asked() {
    check(
        "
        bus bluetooth ready
        bus serial ready
        1 1 scan
        = Scan
        = 1 1 ok
        found-all serial
        found-all bluetooth
        = Rest
        = 1 hears finished
        2 1 scan
        = Scan
        = 2 1 ok
        bus bluetooth off
        bus serial off
        = Rest
        = 2 hears finished
        2 2 scan
        = 2 2 transport-unavailable: no bus can find a device: bluetooth is off; serial is off
        ",
    );
}

#[test]
fn everyone_is_told_of_devices_from_the_start_of_the_connection() {
    check_bare(
        "
        connect 1
        ready 7
        = 1 hears added 7
        open 1 Ann
        1 1 list
        = 1 1 devices [DeviceIndex(7)]
        gone 7
        = 1 hears removed 7
        gone 7
        1 2 list
        = 1 2 devices []
        ready 7
        = 1 hears added 7
        ready 7
        = 1 hears removed 7
        = 1 hears added 7
        ",
    );
}

#[test]
fn reservations_keep_others_from_driving_and_end_with_their_session() {
    check(
        "
        1 1 reserve 7 0
        = 1 1 ok
        2 1 set 7 0.vibrate=1
        = 2 1 reserved: reserved by session 1 (`Ann`)
        2 2 set 7 1.rotate=1
        = 7: 1 set 1.rotate=-1
        2 3 reserve 7
        = 2 3 reserved: reserved by session 1 (`Ann`)
        2 4 reserve 7 9
        = 2 4 feature-unknown: device 7 has no feature 9
        2 5 reserve 8
        = 2 5 device-unknown: there is no device with index 8
        close 1
        2 6 reserve 7
        = 2 6 ok
        2 7 release 7
        = 2 7 ok
        ",
    );
}

#[test]
fn changes_of_outputs_are_put_together_for_those_who_watch() {
    check(
        "
        2 1 watch
        = 2 1 ok
        1 1 set 7 0.vibrate=1
        = 7: 1 set 0.vibrate=11
        confirm 7 0 vibrate 11
        + 49
        + 1
        = 2 hears 7.vibrate wanted 1 is 1 of Some(1)
        + 100
        close 1
        = 7: - stop 0.vibrate, owner gone
        + 50
        = 2 hears 7.vibrate wanted 0 is 1 of None
        close 2
        confirm 7 0 vibrate 0
        + 50
        ",
    );
}

#[test]
fn a_user_can_end_a_session() {
    check(
        "
        2 1 disconnect 1
        = end 1 disconnected-by-user
        = 2 1 ok
        2 2 disconnect 77
        = 2 2 session-closed: there is no session 77
        ",
    );
}

#[test]
fn those_who_watch_are_told_of_an_output_that_is_stopped_since_its_last_set_failed() {
    check(
        "
        2 1 watch
        = 2 1 ok
        connect 3
        3 1 set 7 0.vibrate=1
        = 7: 1 set 0.vibrate=11
        answer 7 1 ok
        = 3 1 ok
        confirm 7 0 vibrate 11
        1 1 set 7 0.vibrate=2
        = 7: 2 set 0.vibrate=12
        close 3
        + 50
        = 2 hears 7.vibrate wanted 2 is 1 of Some(1)
        answer 7 2 fault
        = 7: - stop 0.vibrate, owner gone
        = 1 1 write-failed: because
        + 50
        = 2 hears 7.vibrate wanted 0 is 1 of None
        ",
    );
}

#[test]
fn the_status_tells_who_is_there() {
    let now = Instant::now();
    let mut router = Router::new(now);
    let mut effects = Vec::new();
    for line in [
        "connect 1",
        "open 1 Ann",
        "connect 2",
        "ready 7",
        "ready 8",
        "gone 8",
        "1 1 set 7 0.vibrate=3; 2 reserve 7 0; 3 read 7 4 battery",
        "answer 7 2 value 85",
    ] {
        input(&mut router, now, line, &mut effects);
    }
    assert_eq!(router.freshness(), Freshness::Stale);
    let status = router.status();
    assert_eq!(router.freshness(), Freshness::Fresh);
    let [ann, bob] = &status.clients[..] else { panic!("{:?}", status.clients) };
    assert_eq!(ann.introduction.as_ref().map(|(said, _)| &*said.client_name), Some("Ann"));
    assert_eq!(ann.reserves.len(), 1);
    assert_eq!(bob.introduction, None);
    let devices: Vec<_> =
        status.devices.iter().map(|device| (device.index.0, device.state, device.battery)).collect();
    use crate::monitor::DeviceState::{Absent, Connected};
    assert_eq!(devices, [(7, Connected, Some(85)), (8, Absent, None)]);
}

#[test]
fn who_drives_what_is_said_as_it_is_and_makes_no_status_stale() {
    let now = Instant::now();
    let mut router = Router::new(now);
    for line in ["connect 1", "connect 2", "ready 7"] {
        input(&mut router, now, line, &mut Vec::new());
    }
    router.status();
    for (line, ann, bob) in [
        ("1 1 set 7 0.vibrate=3 1.rotate=2", 2, 0),
        ("confirm 7 0 vibrate 13", 2, 0),
        ("2 1 set 7 0.vibrate=0", 1, 1),
        ("confirm 7 0 vibrate 0", 1, 0),
        ("outside 1", 0, 0),
        ("2 2 set 7 1.rotate=2", 0, 1),
    ] {
        input(&mut router, now, line, &mut Vec::new());
        let drives =
            |session| router.outputs().filter(|state| state.is_driven_by(SessionId(session))).count();
        assert_eq!((drives(1), drives(2)), (ann, bob), "{line}");
        assert_eq!(router.freshness(), Freshness::Fresh, "{line}");
    }
}

#[test]
fn one_session_records_a_device_until_it_or_the_device_ends() {
    check(
        "
        line 7 nobody-wants-it
        1 1 record 8
        = 1 1 device-unknown: there is no device with index 8
        1 2 record 7
        = record 7 On(Kept)
        = 1 2 ok
        1 3 record 7
        = 1 3 ok
        2 1 record 7
        = 2 1 reserved: device 7 is recorded by session 1 (Ann) already
        2 2 end-record 7
        = 2 2 ok
        line 7 a
        = 1 hears recorded 7 a
        1 4 end-record 7
        = record 7 Off
        = 1 4 ok
        line 7 late
        2 3 record 7
        = record 7 On(Kept)
        = 2 3 ok
        close 2
        = record 7 Off
        1 5 record 7
        = record 7 On(Kept)
        = 1 5 ok
        gone 7
        = 1 hears removed 7
        ready 7
        = 1 hears added 7
        line 7 bring-up
        ",
    );
}
