//! Readings and subscriptions.

use super::bench::{SIGNAL, check, model};
use crate::device::ModelSetup;

#[test]
fn those_who_ask_for_the_same_reading_share_it() {
    check(
        model("v0"),
        "begin -> Ready
         read #1 -> read
         read #2
         data 85 -> #1 85, #2 85, reading 85
         read #3 -> read
         fails -> #3 ReadFailed",
    );
}

#[test]
fn a_reading_has_a_limit_and_a_late_one_harms_nobody() {
    check(
        model("v0"),
        "begin -> Ready
         read #1 -> read
         at 1999
         at 2000 -> #1 ReadTimedOut
         data 85 -> reading 85",
    );
}

#[test]
fn a_subscription_is_made_once_and_ends() {
    check(
        model("v0"),
        "begin -> Ready
         subscribe #1 -> subscribe
         done -> #1 ok
         subscribe #2 -> #2 ok
         notify 3 -> reading 3
         unsubscribe #3 -> unsubscribe
         fails -> #3 SubscribeFailed
         unsubscribe #4 -> #4 ok
         subscribe #5 -> subscribe
         fails -> #5 SubscribeFailed",
    );
}

#[test]
fn a_wish_that_comes_while_its_opposite_is_carried_out_is_carried_out_too() {
    check(
        model("v0"),
        "begin -> Ready
         subscribe #1 -> subscribe
         unsubscribe #2
         done -> #1 ok, unsubscribe
         subscribe #3
         done -> #2 ok, subscribe
         done -> #3 ok
         notify 3 -> reading 3",
    );
}

fn by_radio() -> ModelSetup {
    ModelSetup { signal: Some(SIGNAL.0), ..model("v0") }
}

#[test]
fn the_strength_of_the_signal_is_what_was_heard_last_and_asks_nothing_of_the_device() {
    check(
        by_radio(),
        "begin -> Ready
         read #1 signal -> #1 ReadFailed
         heard -60
         heard -71
         read #2 signal -> #2 -71
         heard 20
         read #3 signal -> #3 0",
    );
}

#[test]
fn who_subscribes_to_the_signal_learns_its_changes() {
    check(
        by_radio(),
        "begin -> Ready
         heard -60
         subscribe #1 signal -> #1 ok
         heard -60
         heard -61 -> reading -61
         unsubscribe #2 signal -> #2 ok
         heard -62",
    );
}

#[test]
fn a_device_that_is_not_reached_by_radio_has_no_signal() {
    check(
        model("v0"),
        "begin -> Ready
         heard -60
         read #1 signal -> #1 InputNotSupported",
    );
}

#[test]
fn a_device_that_wants_to_be_paired_says_so_whatever_was_asked_of_it() {
    check(
        model("v0"),
        "begin -> Ready
         read #1 -> read
         unpaired -> #1 PairingRequired
         read #2 -> read
         fails -> #2 ReadFailed
         subscribe #3 -> subscribe
         unpaired -> #3 PairingRequired
         set #4 v0=9 -> MayRun, v0=9
         unpaired -> #4 PairingRequired",
    );
}
