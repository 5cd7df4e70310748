//! Stopping: before everything else, all of it, until it is confirmed.

use super::{
    super::*,
    bench::{Bench, check, model, ms},
};

#[test]
fn a_stop_is_not_paced_and_forgets_what_was_wanted() {
    check(
        ModelSetup { gap: ms(500), gather: ms(2), ..model("v0 v1") },
        "begin -> Ready
         set #1 v0=1 v1=1 -> MayRun, v0=1
         done -> v1=1
         done -> v0 is 1, v1 is 1, #1 ok
         set #2 v0=2
         set #3 v1=2
         stop #4 -> #2 ok, #3 ok, v0=0
         done -> v1=0
         done -> v0 is 0, v1 is 0, #4 ok, AtRest
         at 9000",
    );
}

#[test]
fn packets_that_a_device_would_lose_are_kept_apart_those_of_a_stop_among_them() {
    check(
        ModelSetup { packet_gap: ms(30), ..model("v0 v1 v2") },
        "begin -> Ready
         set #1 v0=1 v1=1 v2=1 -> MayRun, v0=1
         done
         at 29
         at 30 -> v1=1
         at 35
         done
         at 65 -> v2=1
         done -> v0 is 1, v1 is 1, v2 is 1, #1 ok
         at 70
         stop #2 -> v0=0
         done
         at 99
         at 100 -> v1=0
         done
         at 130 -> v2=0
         done -> v0 is 0, v1 is 0, v2 is 0, #2 ok, AtRest
         at 9000",
    );
}

#[test]
fn a_stop_waits_for_the_rest_of_a_set_that_presses_buttons() {
    check(
        ModelSetup { set_under_way: SetUnderWay::Finish, ..model("v0 v1") },
        "begin -> Ready
         set #1 v0=1 v1=1 -> MayRun, v0=1
         stop #2
         done -> v1=1
         done -> v0 is 1, v1 is 1, #1 ok, v0=0
         done -> v1=0
         done -> v0 is 0, v1 is 0, #2 ok, AtRest",
    );
}

#[test]
fn a_stop_cuts_a_set_that_waits_between_two_packets() {
    check(
        ModelSetup { packet_gap: ms(30), ..model("v0 v1") },
        "begin -> Ready
         set #1 v0=1 v1=1 -> MayRun, v0=1
         done
         stop #2 -> #1 ok, v0=0
         done
         at 30 -> v1=0
         done -> v0 is 0, v1 is 0, #2 ok, AtRest
         at 9000",
    );
}

#[test]
fn a_stop_of_one_output_does_not_have_the_stop_of_another_lost() {
    check(
        ModelSetup { packet_gap: ms(30), ..model("v0 v1") },
        "begin -> Ready
         set #1 v0=1 v1=1 -> MayRun, v0=1
         done
         at 30 -> v1=1
         done -> v0 is 1, v1 is 1, #1 ok
         at 100
         stop #2 v0 -> v0=0
         done -> v0 is 0, #2 ok
         stop #3 v1
         at 129
         at 130 -> v1=0
         done -> v1 is 0, #3 ok, AtRest",
    );
}

#[test]
fn a_stop_waits_for_one_packet_only_and_what_it_did_not_address_is_sent_again() {
    check(
        model("v0 v1 v2"),
        "begin -> Ready
         set #1 v0=1 v1=1 v2=1 -> MayRun, v0=1
         stop #2 v0 v1
         done -> v0=0
         done -> v1=0
         done -> v0 is 0, v1 is 0, #2 ok, v2=1
         done -> v2 is 1, #1 ok",
    );
}

#[test]
fn only_a_confirmed_rest_is_left_out_and_by_the_global_stop_nothing() {
    check(
        model("v0 v1 s3"),
        "begin -> Ready
         set #1 v1=0 -> v1=0
         done -> v1 is 0, #1 ok
         stop #2 -> v0=0
         done -> v0 is 0, #2 ok
         stop #3 -> #3 ok
         global #4 -> v0=0
         stop #5
         done -> v1=0
         done -> v0 is 0, v1 is 0, #4 ok, #5 ok",
    );
}

#[test]
fn a_failed_stop_tries_everything_says_so_and_is_repeated() {
    check(
        model("v0 v1"),
        "begin -> Ready
         set #1 v0=1 v1=1 -> MayRun, v0=1
         done -> v1=1
         done -> v0 is 1, v1 is 1, #1 ok
         stop #2 -> v0=0
         fails -> v1=0
         done -> #2 WriteFailed
         at 50 -> v0=0
         done -> v1=0
         fails
         at 149
         at 150 -> v0=0
         done -> v1=0
         done -> v0 is 0, v1 is 0, AtRest",
    );
}

#[test]
fn nothing_is_set_before_a_failed_stop_is_confirmed() {
    check(
        model("v0 v1"),
        "begin -> Ready
         set #1 v0=1 -> MayRun, v0=1
         done -> v0 is 1, #1 ok
         stop #2 v0 -> v0=0
         fails -> #2 WriteFailed
         set #3 v1=5 -> v0=0
         fails -> #3 WriteFailed
         set #4 v0=1 -> v0=0
         done -> v0 is 0, AtRest, MayRun, v0=1
         done -> v0 is 1, #4 ok",
    );
}

#[test]
fn a_stop_ends_a_movement_and_leaves_a_spray() {
    check(
        model("t2 s3"),
        "begin -> Ready
         set #1 t2=9 -> t2=9
         done -> t2 is 9, #1 ok
         set #2 s3=1 -> s3=1
         done -> s3 is 1, #2 ok
         stop #3 -> #3 ok
         at 1000
         stop #4 -> #4 ok",
    );
}

#[test]
fn a_spray_that_a_stop_left_sprays_again() {
    check(
        model("s3"),
        "begin -> Ready
         set #1 s3=1 -> s3=1
         done -> s3 is 1, #1 ok
         set #2 s3=1 -> #2 ok
         stop #3 -> #3 ok
         set #4 s3=1 -> s3=1
         done -> s3 is 1, #4 ok",
    );
}

#[test]
fn a_timer_that_is_due_when_the_stop_comes_does_not_move_the_device_after_it() {
    check(
        model("v0 t2"),
        "begin -> Ready
         set #1 t2=9 -> t2=9
         done -> t2 is 9, #1 ok
         set #2 v0=1 -> MayRun, v0=1
         at 150
         stop #3
         done -> v0 is 1, #2 ok, v0=0
         done -> v0 is 0, #3 ok, AtRest
         at 1000",
    );
}

#[test]
fn a_stop_that_goes_on_by_a_timer_is_over_with_its_last_packet_and_repeated_if_that_fails() {
    check(
        model("o4"),
        "begin -> Ready
         set #1 o4=1 -> MayRun, o4=1
         done -> o4 is 1, #1 ok
         stop #2 -> o4=0
         done -> o4 is 0, #2 ok
         at 100 -> off
         fails -> o4=0
         done -> o4 is 0
         at 200 -> off
         done -> AtRest",
    );
}

#[test]
fn notifications_without_end_do_not_keep_the_rest_of_a_stop_from_the_plugin() {
    let mut bench = Bench::new(model("o4"), Motion::AtRest);
    bench.handle(Input::Deadline);
    for step in ["set #1 o4=1", "done", "stop #2", "done", "read #3", "at 100"] {
        bench.step(step);
    }
    for _ in 0..1000 {
        bench.step("notify 1");
    }
    bench.trace.clear();
    bench.step("data 85");
    assert_eq!(bench.trace.first().map(String::as_str), Some("off"));
}

#[test]
fn a_plugin_that_fails_is_replaced_by_the_packets_that_stopped_the_device_before() {
    check(
        model("v0 v1"),
        "begin -> Ready
         set #1 v0=1 v1=1 -> MayRun, v0=1
         done -> v1=1
         done -> v0 is 1, v1 is 1, #1 ok
         stop #2 -> v0=0
         done -> v1=0
         done -> v0 is 0, v1 is 0, #2 ok, AtRest
         set #3 v1=7 -> MayRun, v1=7
         done -> v1 is 7, #3 ok
         break
         set #4 v0=1 -> #4 PluginFailed, v0=0
         fails -> v1=0
         done -> v0=0
         stop #5 -> #5 PluginFailed
         done -> v1=0
         done -> Gone PluginFailed",
    );
}

#[test]
fn a_plugin_that_fails_is_asked_for_one_last_stop() {
    check(
        model("v0"),
        "begin -> Ready
         set #1 v0=1 -> MayRun, v0=1
         done -> v0 is 1, #1 ok
         break-but-rescue
         set #2 v0=2 -> #2 PluginFailed, v0=0
         done -> Gone PluginFailed",
    );
}

#[test]
fn a_plugin_that_fails_with_everything_at_rest_just_ends() {
    check(
        model("v0"),
        "begin -> Ready
         break
         stop #1 -> #1 PluginFailed, Gone PluginFailed",
    );
}
