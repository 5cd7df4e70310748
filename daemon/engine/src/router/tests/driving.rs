//! Setting outputs and reading inputs.

use super::check;

#[test]
fn values_leave_in_the_devices_own_range() {
    check(
        "
        1 1 set 7 0.vibrate=3
        = 7: 1 set 0.vibrate=13
        1 2 set 7 1.rotate=-5
        = 7: 2 set 1.rotate=5
        1 3 set 7 2.position-with-duration=30/500
        = 7: 3 set 2.position-with-duration=70/500
        1 4 set 7 0.vibrate=0
        = 7: 4 set 0.vibrate=0
        answer 7 1 ok
        = 1 1 ok
        answer 7 2 fault
        = 1 2 write-failed: because
        ",
    );
}

#[test]
fn what_is_not_possible_is_refused_with_its_reason() {
    check(
        "
        1 1 set 8 0.vibrate=3
        = 1 1 device-unknown: there is no device with index 8
        1 2 set 7 9.vibrate=3
        = 1 2 feature-unknown: device 7 has no feature 9
        1 3 set 7 0.rotate=3
        = 1 3 output-not-supported: feature 0 has no output rotate
        1 4 set 7 4.vibrate=3
        = 1 4 output-not-supported: feature 4 has no output vibrate
        1 5 set 7 3.vibrate=3
        = 1 5 output-disabled: vibrate of feature 3 is switched off by the user
        1 6 set 7 0.vibrate=6
        = 1 6 value-out-of-range: vibrate of feature 0 takes 0 to 5, not 6
        1 7 set 7 0.vibrate=-1
        = 1 7 value-out-of-range: vibrate of feature 0 takes 0 to 5, not -1
        1 8 set 7 2.position-with-duration=3/9
        = 1 8 duration-out-of-range: position-with-duration of feature 2 takes a duration of 10 to 5000 ms, not 9 ms
        1 9 set 7 2.position-with-duration=3
        = 1 9 duration-out-of-range: position-with-duration of feature 2 takes a duration of 10 to 5000 ms, not nothing
        1 10 set 7
        = 1 10 ok
        gone 7
        = 1 hears removed 7
        = 2 hears removed 7
        1 11 set 7 0.vibrate=3
        = 1 11 device-not-connected: device 7 (Toy) is not connected
        ",
    );
}

#[test]
fn a_command_for_a_device_that_the_session_was_not_told_of_is_never_done() {
    check(
        "
        1 1 unlisted 7
        = 1 1 device-not-connected: device 7 has only just come; send it again when the list has it
        1 2 unlisted 8
        = 1 2 device-unknown: there is no device with index 8
        gone 7
        = 1 hears removed 7
        = 2 hears removed 7
        1 3 unlisted 7
        = 1 3 device-not-connected: device 7 (Toy) is not connected
        ",
    );
}

#[test]
fn nothing_of_a_request_is_done_if_a_part_of_it_is_not_possible() {
    check(
        "
        1 1 set 7 0.vibrate=3 1.rotate=99
        = 1 1 value-out-of-range: rotate of feature 1 takes -20 to 20, not 99
        ",
    );
}

#[test]
fn outputs_of_one_frame_reach_a_device_as_one_set() {
    check(
        "
        ready 8
        = 1 hears added 8
        = 2 hears added 8
        1 1 set 7 1.rotate=2; 2 set 8 0.vibrate=1; 3 set 7 0.vibrate=1; 4 set 7 0.vibrate=77; 5 set 7 1.rotate=3
        = 1 4 value-out-of-range: vibrate of feature 0 takes 0 to 5, not 77
        = 7: 1 set 0.vibrate=11 1.rotate=-3
        = 8: 2 set 0.vibrate=11
        answer 7 1 ok
        = 1 1 ok
        = 1 3 ok
        = 1 5 ok
        ",
    );
}

#[test]
fn a_stop_within_a_frame_parts_what_is_before_it_from_what_is_after() {
    check(
        "
        1 1 set 7 0.vibrate=1; 2 stop 7; 3 set 7 0.vibrate=2
        = 7: 1 set 0.vibrate=11
        = 7: 2 stop all, addressed
        = 7: 3 set 0.vibrate=12
        ",
    );
}

#[test]
fn a_read_is_answered_with_the_value() {
    check(
        "
        1 1 read 7 4 battery
        = 7: 1 Read 4.battery
        answer 7 1 value 85
        = 1 1 battery 85
        1 2 read 7 4 battery
        = 7: 2 Read 4.battery
        answer 7 2 fault
        = 1 2 write-failed: because
        1 3 subscribe 7 4 battery
        = 1 3 input-not-supported: battery of feature 4 cannot be subscribed to
        1 4 read 7 0 battery
        = 1 4 input-not-supported: feature 0 has no input battery
        1 5 read 7 9 battery
        = 1 5 feature-unknown: device 7 has no feature 9
        ",
    );
}

#[test]
fn a_subscription_is_shared() {
    check(
        "
        1 1 subscribe 7 5 pressure
        = 7: 1 Subscribe 5.pressure
        2 1 subscribe 7 5 pressure
        answer 7 1 ok
        = 1 1 ok
        = 2 1 ok
        1 2 subscribe 7 5 pressure
        = 1 2 ok
        reading 7 5 pressure 42
        = 1 hears reading pressure 42
        = 2 hears reading pressure 42
        1 3 unsubscribe 7 5 pressure
        = 1 3 ok
        reading 7 5 pressure 43
        = 2 hears reading pressure 43
        1 4 unsubscribe 7 5 pressure
        = 1 4 ok
        2 2 unsubscribe 7 5 pressure
        = 7: 6 Unsubscribe 5.pressure
        answer 7 6 ok
        = 2 2 ok
        reading 7 5 pressure 44
        ",
    );
}

#[test]
fn a_subscription_that_fails_fails_for_all_who_asked() {
    check(
        "
        1 1 subscribe 7 5 pressure
        = 7: 1 Subscribe 5.pressure
        2 1 subscribe 7 5 pressure
        answer 7 1 fault
        = 1 1 write-failed: because
        = 2 1 write-failed: because
        reading 7 5 pressure 42
        2 2 subscribe 7 5 pressure
        = 7: 3 Subscribe 5.pressure
        ",
    );
}
