//! Devices that work only for those who are paired with them.

use super::*;

const NOT_PAIRED: Failure = Failure::Refuse { name: "NotPermitted", text: "Not paired" };
const AUTHENTICATION_FAILED: Failure =
    Failure::Refuse { name: "AuthenticationFailed", text: "Authentication Failed" };

fn guarded() -> DeviceSpec {
    DeviceSpec { security: Security::Paired, ..toy() }
}

fn pairings(toy: &FakeDevice) -> usize {
    toy.operations().iter().filter(|operation| operation.action == Action::Pair).count()
}

#[track_caller]
fn says(fault: &TransportFault, command: &str) {
    let command = format!("bluetoothctl {command} {ADDRESS}");
    assert!(matches!(fault, TransportFault::NotPaired(text) if text.contains(&command)), "{fault:?}");
}

#[test]
fn a_device_that_wants_to_be_paired_is_paired_and_takes_the_packet() {
    in_own_process(
        module_path!(),
        "a_device_that_wants_to_be_paired_is_paired_and_takes_the_packet",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(guarded()).await;
            opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap();
            assert_eq!(toy.writes().len(), 1);
            opened.transport.subscribe("rx").await.unwrap();
            assert_eq!(toy.notify(RX, b"hello"), Delivery::Sent);
            assert_eq!(pairings(&toy), 1);
        },
    );
}

#[test]
fn a_device_that_cannot_be_paired_is_asked_once_and_the_user_is_told_how() {
    in_own_process(
        module_path!(),
        "a_device_that_cannot_be_paired_is_asked_once_and_the_user_is_told_how",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(guarded()).await;
            toy.fail_always(Step::Pair, AUTHENTICATION_FAILED);
            says(&opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap_err(), "pair");
            says(&opened.transport.read("rx", 20).await.unwrap_err(), "pair");
            says(&opened.transport.subscribe("rx").await.unwrap_err(), "pair");
            assert_eq!((pairings(&toy), toy.writes().len()), (1, 0));
            assert!(toy.is_connected(), "it may be paired by hand meanwhile");

            // A service that tries it again and again does not ask the user again and again.
            opened.transport.close().await;
            toy.advertise();
            let mut again = rig.transport.device().await.opener.open(&access()).await.unwrap();
            says(&again.transport.write("tx", &[2], Wanted::WithResponse).await.unwrap_err(), "pair");
            assert_eq!(pairings(&toy), 1);

            // Whoever looks for devices may have switched it to pairing.
            again.transport.close().await;
            toy.heal();
            rig.transport.rest();
            rig.bluez.adapter().not_discovering().await;
            rig.transport.scan();
            let mut again = rig.transport.device().await.opener.open(&access()).await.unwrap();
            again.transport.write("tx", &[3], Wanted::WithResponse).await.unwrap();
            assert_eq!(pairings(&toy), 2);
        },
    );
}

#[test]
fn keys_that_the_device_has_forgotten_are_to_be_removed() {
    in_own_process(
        module_path!(),
        "keys_that_the_device_has_forgotten_are_to_be_removed",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(guarded()).await;
            opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap();
            opened.transport.close().await;
            toy.advertise();
            let mut again = rig.transport.device().await.opener.open(&access()).await.unwrap();
            toy.fail_next(Step::Write, NOT_PAIRED);
            says(&again.transport.write("tx", &[2], Wanted::WithResponse).await.unwrap_err(), "remove");
        },
    );
}

#[test]
fn a_connection_that_wants_pairing_says_how() {
    in_own_process(module_path!(), "a_connection_that_wants_pairing_says_how", async |mut rig: Rig| {
        let toy = rig.bluez.add_device(guarded());
        rig.transport.scan();
        toy.fail_always(Step::Connect, AUTHENTICATION_FAILED);
        says(&rig.transport.device().await.opener.open(&access()).await.err().unwrap(), "pair");
        assert_eq!(pairings(&toy), 1);
        assert_eq!(
            toy.operations().iter().filter(|operation| operation.action == Action::Connect).count(),
            2
        );
    });
}

#[test]
fn a_connection_that_wants_pairing_is_made_after_it() {
    in_own_process(
        module_path!(),
        "a_connection_that_wants_pairing_is_made_after_it",
        async |mut rig: Rig| {
            let toy = rig.bluez.add_device(guarded());
            toy.fail_next(Step::Connect, AUTHENTICATION_FAILED);
            rig.transport.scan();
            let mut opened = rig.transport.device().await.opener.open(&access()).await.unwrap();
            opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap();
            assert_eq!((pairings(&toy), toy.writes().len()), (1, 1));
        },
    );
}

#[test]
fn a_pairing_that_never_ends_is_given_up() {
    in_own_process(module_path!(), "a_pairing_that_never_ends_is_given_up", async |mut rig: Rig| {
        let (toy, mut opened) = rig.open(guarded()).await;
        toy.fail_next(Step::Pair, Failure::Silent);
        let begun = Instant::now();
        says(&opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap_err(), "pair");
        assert!(begun.elapsed() < PATIENCE, "waited for {:?}", begun.elapsed());
    });
}

/// What runs has to be stopped whenever that is wanted.
#[test]
fn nothing_waits_for_a_pairing_once_the_device_may_run() {
    in_own_process(
        module_path!(),
        "nothing_waits_for_a_pairing_once_the_device_may_run",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;
            opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap();
            toy.fail_next(Step::Read, NOT_PAIRED);
            toy.fail_next(Step::Pair, Failure::Held);
            let unfinished = opened.transport.read("rx", 20).await.unwrap_err();
            says(&unfinished, "pair");
            assert!(unfinished.to_string().contains("3000 ms and goes on"), "{unfinished}");
            toy.forget_operations();
            opened.transport.write("tx", &[0], Wanted::WithResponse).await.unwrap();
            assert_eq!(toy.next_operation().await.action, write(TX, &[0], WriteKind::WithResponse));

            // It was not for nothing.
            toy.answer_read(RX, b"battery 80");
            toy.release();
            assert_eq!(opened.transport.read("rx", 7).await.unwrap(), b"battery");

            toy.fail_next(Step::Write, NOT_PAIRED);
            says(&opened.transport.write("slow", &[1], Wanted::WithResponse).await.unwrap_err(), "pair");
        },
    );
}

#[test]
fn a_pairing_is_called_off_when_the_link_is_closed() {
    in_own_process(
        module_path!(),
        "a_pairing_is_called_off_when_the_link_is_closed",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;
            opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap();
            toy.fail_next(Step::Write, NOT_PAIRED);
            toy.fail_next(Step::Pair, Failure::Silent);
            let unfinished = opened.transport.write("slow", &[1], Wanted::WithResponse).await.unwrap_err();
            assert!(unfinished.to_string().contains("3000 ms and goes on"), "{unfinished}");
            // The pairing has five seconds left.
            let begun = Instant::now();
            opened.transport.close().await;
            assert!(begun.elapsed() < Duration::from_secs(4), "waited for {:?}", begun.elapsed());
            assert!(!toy.is_connected());
        },
    );
}
