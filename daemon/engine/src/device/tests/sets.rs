//! Setting outputs: pacing, newest value wins, nothing written twice, failures.

use super::{
    super::*,
    bench::{check, model, ms},
};

fn paced() -> ModelSetup {
    ModelSetup { gap: ms(50), ..model("v0 v1") }
}

#[test]
fn the_first_value_goes_at_once_and_the_newest_after_the_gap() {
    check(
        paced(),
        "begin -> Ready
         set #1 v0=1 -> MayRun, v0=1
         at 3
         done -> v0 is 1, #1 ok
         set #2 v0=2
         set #3 v0=3 -> #2 ok
         at 52
         at 53 -> v0=3
         done -> v0 is 3, #3 ok",
    );
}

#[test]
fn a_confirmed_value_is_not_written_again_but_a_failed_one_is() {
    check(
        model("v0"),
        "begin -> Ready
         set #1 v0=1 -> MayRun, v0=1
         set #2 v0=1
         done -> v0 is 1, #1 ok, #2 ok
         set #3 v0=1 -> #3 ok
         set #4 v0=2 -> v0=2
         fails -> #4 WriteFailed
         set #5 v0=1 -> v0=1
         late -> #5 WriteTimedOut
         set #6 v0=1 -> v0=1
         done -> v0 is 1, #6 ok",
    );
}

#[test]
fn a_value_that_would_return_to_the_confirmed_one_replaces_the_pending_one() {
    check(
        paced(),
        "begin -> Ready
         set #1 v0=1 -> MayRun, v0=1
         done -> v0 is 1, #1 ok
         set #2 v0=2
         set #3 v0=1 -> #2 ok, #3 ok
         at 100",
    );
}

#[test]
fn values_that_arrive_together_are_one_set_in_the_order_of_the_messages_and_within_one_of_the_features() {
    check(
        ModelSetup { gather: ms(2), ..model("v0 v1 v2") },
        "begin -> Ready
         set #1 v1=1
         at 1
         set #2 v0=1
         at 2 -> MayRun, v1=1
         done -> v0=1
         done -> v1 is 1, #1 ok, v0 is 1, #2 ok
         set #3 v2=1 v1=3 v0=3 -> v0=3
         done -> v1=3
         fails -> #3 WriteFailed
         set #4 v0=3
         at 4 -> v0=3
         done -> v0 is 3, #4 ok",
    );
}

#[test]
fn a_value_that_replaces_one_that_waits_goes_behind_the_others() {
    check(
        ModelSetup { gather: ms(2), ..model("v0 v1 v2") },
        "begin -> Ready
         set #1 v0=1
         set #2 v1=1
         set #3 v0=2 -> #1 ok
         at 2 -> MayRun, v1=1
         done -> v0=2
         done -> v1 is 1, #2 ok, v0 is 2, #3 ok",
    );
}

#[test]
fn the_two_ways_of_moving_replace_each_other() {
    check(
        ModelSetup { gap: ms(50), ..model("p2 t2") },
        "begin -> Ready
         set #1 p2=10 -> p2=10
         done -> p2 is 10, #1 ok
         set #2 p2=20
         set #3 t2=30 -> #2 ok
         at 50 -> t2=30
         done -> t2 is 30, #3 ok
         set #4 p2=10
         at 100 -> p2=10
         done -> p2 is 10, #4 ok",
    );
}

#[test]
fn outputs_that_do_not_exist_are_refused() {
    check(
        model("v0"),
        "begin -> Ready
         set #1 v7=1 -> #1 OutputNotSupported",
    );
}

#[test]
fn a_device_that_is_lost_answers_everything() {
    check(
        paced(),
        "begin -> Ready
         set #1 v0=1 -> MayRun, v0=1
         set #2 v1=1
         stop #3 v1 -> #2 ok
         read #4
         lost -> #1 DeviceLost, #3 DeviceLost, #4 DeviceLost, Gone DeviceLost
         set #5 v0=1 -> #5 DeviceLost
         stop #6 -> #6 DeviceLost",
    );
}

#[test]
fn a_keep_alive_repeats_the_last_packet_while_something_runs() {
    let when = KeepAliveWhen::Running;
    check(
        ModelSetup { keep_alive: Some(KeepAlive { every: ms(100), when }), ..model("v0") },
        "begin -> Ready
         at 1000
         set #1 v0=1 -> MayRun, v0=1
         done -> v0 is 1, #1 ok
         at 1100 -> v0=1
         done
         set #2 v0=2 -> v0=2
         fails -> #2 WriteFailed
         at 1500
         stop #3 -> v0=0
         done -> v0 is 0, #3 ok, AtRest
         at 9000",
    );
}

#[test]
fn a_repetition_that_failed_is_tried_again() {
    let when = KeepAliveWhen::Running;
    check(
        ModelSetup { keep_alive: Some(KeepAlive { every: ms(100), when }), ..model("v0") },
        "begin -> Ready
         set #1 v0=1 -> MayRun, v0=1
         done -> v0 is 1, #1 ok
         at 100 -> v0=1
         fails
         at 200 -> v0=1",
    );
}

#[test]
fn a_keep_alive_that_is_always_needed_begins_with_a_stop() {
    let when = KeepAliveWhen::Always;
    check(
        ModelSetup { keep_alive: Some(KeepAlive { every: ms(100), when }), ..model("v0") },
        "begin -> Ready
         at 100 -> v0=0
         done -> v0 is 0
         at 200 -> v0=0
         done
         at 300 -> v0=0",
    );
}
