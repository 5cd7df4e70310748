//! Readings and subscriptions.

use super::bench::{check, model};

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
