//! Stops: of clients, of nobody, and of what a session leaves behind.

use super::check;

#[test]
fn a_session_that_ends_stops_what_it_set_last_and_nothing_else() {
    check(
        "
        1 1 set 7 0.vibrate=1 1.rotate=1 2.position-with-duration=1/10
        = 7: 1 set 0.vibrate=11 1.rotate=-1 2.position-with-duration=99/10
        answer 7 1 ok
        = 1 1 ok
        2 1 set 7 1.rotate=2
        = 7: 2 set 1.rotate=-2
        answer 7 2 ok
        = 2 1 ok
        close 1
        = 7: - stop 0.vibrate 2.position-with-duration, owner gone
        close 1
        close 2
        = 7: - stop 1.rotate, owner gone
        ",
    );
}

#[test]
fn a_session_that_ends_stops_even_what_it_set_to_rest() {
    check(
        "
        1 1 set 7 0.vibrate=0
        = 7: 1 set 0.vibrate=0
        close 1
        = 7: - stop 0.vibrate, owner gone
        ",
    );
}

#[test]
fn what_was_stopped_by_anyone_belongs_to_nobody() {
    check(
        "
        1 1 set 7 0.vibrate=1 1.rotate=1
        = 7: 1 set 0.vibrate=11 1.rotate=-1
        2 1 stop-outputs 7 0
        = 7: 2 stop feature 0, addressed
        close 1
        = 7: - stop 1.rotate, owner gone
        ",
    );
}

#[test]
fn a_value_that_a_failed_write_did_not_replace_is_still_stopped_with_its_session() {
    check(
        "
        1 1 set 7 0.vibrate=1
        = 7: 1 set 0.vibrate=11
        answer 7 1 ok
        = 1 1 ok
        2 1 set 7 0.vibrate=2
        = 7: 2 set 0.vibrate=12
        close 1
        answer 7 2 fault
        = 7: - stop 0.vibrate, owner gone
        = 2 1 write-failed: because
        close 2
        ",
    );
}

#[test]
fn a_dead_session_sets_nothing_but_may_have_stopped() {
    check(
        "
        2 1 set 7 0.vibrate=1
        = 7: 1 set 0.vibrate=11
        close 1
        1 1 set 7 0.vibrate=1; 2 stop; 3 scan; 4 read 7 4 battery
        = 7: 2 stop all, global
        answer 7 2 ok
        ",
    );
}

#[test]
fn a_stop_is_answered_when_every_device_has_answered_it() {
    check(
        "
        ready 8
        = 1 hears added 8
        = 2 hears added 8
        1 1 stop
        = 7: 1 stop all, global
        = 8: 2 stop all, global
        answer 8 2 ok
        answer 7 1 ok
        = 1 1 ok
        1 2 stop
        = 7: 3 stop all, global
        = 8: 4 stop all, global
        gone 8
        = 1 hears removed 8
        = 2 hears removed 8
        answer 7 3 fault
        = 1 2 write-failed: device 7: because; device 8: out of reach
        ",
    );
}

#[test]
fn a_stop_of_one_device_or_feature_leaves_the_others() {
    check(
        "
        ready 8
        = 1 hears added 8
        = 2 hears added 8
        1 1 stop 8
        = 8: 1 stop all, addressed
        1 2 stop-outputs 7 1
        = 7: 2 stop feature 1, addressed
        1 3 stop-outputs 7 4
        = 1 3 ok
        1 4 stop-outputs 7 9
        = 1 4 feature-unknown: device 7 has no feature 9
        1 5 stop 9
        = 1 5 device-unknown: there is no device with index 9
        1 6 stop-nothing
        = 1 6 ok
        ",
    );
}

#[test]
fn a_stop_ends_the_askers_subscriptions_after_its_outputs() {
    check(
        "
        1 1 subscribe 7 5 pressure
        = 7: 1 Subscribe 5.pressure
        answer 7 1 ok
        = 1 1 ok
        2 1 stop
        = 7: 2 stop all, global
        answer 7 2 ok
        = 2 1 ok
        1 2 stop
        = 7: 3 stop all, global
        = 7: 4 Unsubscribe 5.pressure
        answer 7 3 ok
        answer 7 4 ok
        = 1 2 ok
        1 3 stop-inputs 7
        = 1 3 ok
        ",
    );
}

#[test]
fn anyone_can_stop_everything_without_a_session() {
    check(
        "
        1 1 set 7 0.vibrate=1
        = 7: 1 set 0.vibrate=11
        outside 1
        = 7: 2 stop all, global
        answer 7 2 fault
        = outside 1 because
        gone 7
        = 1 1 device-lost: out of reach
        = 1 hears removed 7
        = 2 hears removed 7
        outside 2
        = outside 2 ok
        ",
    );
}

#[test]
fn subscriptions_that_only_a_dead_session_had_end() {
    check(
        "
        1 1 subscribe 7 5 pressure
        = 7: 1 Subscribe 5.pressure
        2 1 subscribe 7 5 pressure
        close 1
        answer 7 1 ok
        = 2 1 ok
        reading 7 5 pressure 1
        = 2 hears reading pressure 1
        close 2
        = 7: - Unsubscribe 5.pressure
        ",
    );
}

#[test]
fn a_reservation_does_not_hold_up_a_stop() {
    check(
        "
        1 1 reserve 7
        = 1 1 ok
        2 1 set 7 0.vibrate=1
        = 2 1 reserved: reserved by session 1 (`Ann`)
        2 2 stop 7
        = 7: 1 stop all, addressed
        1 2 set 7 0.vibrate=1
        = 7: 2 set 0.vibrate=11
        ",
    );
}
