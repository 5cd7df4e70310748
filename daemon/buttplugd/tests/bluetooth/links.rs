//! Links to devices: opening, packets, breaks, and what is left behind.

use super::*;

#[test]
fn packets_pass_in_the_way_that_each_characteristic_takes() {
    in_own_process(
        module_path!(),
        "packets_pass_in_the_way_that_each_characteristic_takes",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;
            assert_eq!(opened.transport.endpoints(), ["fast", "rx", "slow", "tx"].map(Endpoint::from));
            // How strong the advertisement was that led here.
            assert_eq!(next_event(&mut opened.events).await, Some(TransportEvent::Rssi(-50)));

            for (endpoint, wanted, characteristic, kind) in [
                ("tx", Wanted::WithResponse, TX, WriteKind::WithResponse),
                ("tx", Wanted::WithoutResponse, TX, WriteKind::WithoutResponse),
                ("fast", Wanted::WithResponse, FAST, WriteKind::WithoutResponse),
                ("slow", Wanted::WithoutResponse, SLOW, WriteKind::WithResponse),
            ] {
                opened.transport.write(endpoint, &[1, 2], wanted).await.unwrap();
                assert_eq!(toy.next_operation().await.action, write(characteristic, &[1, 2], kind));
            }
            let none = opened.transport.write("firmware", &[1], Wanted::WithResponse).await;
            assert_eq!(none, Err(TransportFault::NoEndpoint("firmware".into())));

            // What is read is not a notification, though BlueZ announces both alike.
            toy.answer_read(RX, b"battery 80");
            assert_eq!(opened.transport.read("rx", 7).await.unwrap(), b"battery");
            assert_eq!(toy.notify(RX, b"nobody asked"), Delivery::NotSubscribed);
            opened.transport.subscribe("rx").await.unwrap();
            assert_eq!(toy.notify(RX, b"hello"), Delivery::Sent);
            let notified =
                |data: &[u8]| Some(TransportEvent::Notified { endpoint: "rx".into(), data: data.to_vec() });
            assert_eq!(next_event(&mut opened.events).await, notified(b"hello"));
            opened.transport.unsubscribe("rx").await.unwrap();
            opened.transport.unsubscribe("rx").await.unwrap();
            assert_eq!(toy.notify(RX, b"too late"), Delivery::NotSubscribed);

            // The number by which a controller says that it does not know.
            toy.set_rssi(127);
            toy.set_rssi(-61);
            assert_eq!(next_event(&mut opened.events).await, Some(TransportEvent::Rssi(-61)));

            opened.transport.close().await;
            assert!(!toy.is_connected());
            assert_eq!(lost(&mut opened.events).await, None);
        },
    );
}

#[test]
fn a_device_that_vanishes_is_lost_and_is_told_when_it_returns() {
    in_own_process(
        module_path!(),
        "a_device_that_vanishes_is_lost_and_is_told_when_it_returns",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;

            toy.vanish();
            assert!(matches!(lost(&mut opened.events).await, Some(TransportFault::Disconnected(_))));
            let written = opened.transport.write("tx", &[1], Wanted::WithResponse).await;
            assert!(matches!(written, Err(TransportFault::Disconnected(_))), "{written:?}");

            // BlueZ still has its object, so only the strength of its signal says that it is back.
            toy.appear();
            let device = rig.transport.device().await;
            toy.forget_operations();
            let mut again = device.opener.open(&access()).await.unwrap();
            again.transport.write("tx", &[2], Wanted::WithResponse).await.unwrap();
            assert_eq!(toy.next_write().await.data, [2]);
        },
    );
}

#[test]
fn a_failed_connection_is_tried_again_and_not_for_ever() {
    in_own_process(
        module_path!(),
        "a_failed_connection_is_tried_again_and_not_for_ever",
        async |mut rig: Rig| {
            let toy = rig.bluez.add_device(toy());
            rig.transport.scan();
            toy.fail_next(Step::Connect, Failure::failed("le-connection-abort-by-local"));
            let opened = rig.transport.device().await.opener.open(&access()).await.unwrap();
            opened.transport.close().await;

            toy.fail_always(Step::Connect, Failure::failed("le-connection-abort-by-local"));
            toy.advertise();
            let fault = rig.transport.device().await.opener.open(&access()).await.err().unwrap();
            assert!(fault.to_string().contains("le-connection-abort-by-local"), "{fault}");
            let tries =
                toy.operations().iter().filter(|operation| operation.action == Action::Connect).count();
            assert_eq!(tries, 5);

            // A device that could not be opened is told again when it is heard again.
            toy.heal();
            toy.advertise();
            rig.transport.device().await.opener.open(&access()).await.unwrap();
        },
    );
}

#[test]
fn what_goes_wrong_in_the_middle_of_opening_is_said_at_once() {
    in_own_process(
        module_path!(),
        "what_goes_wrong_in_the_middle_of_opening_is_said_at_once",
        async |mut rig: Rig| {
            let toy = rig.bluez.add_device(toy());
            rig.transport.scan();
            let begun = Instant::now();

            toy.fail_next(Step::ResolveServices, Failure::Drop);
            let fault = rig.transport.device().await.opener.open(&access()).await.err().unwrap();
            assert!(matches!(fault, TransportFault::Disconnected(_)), "{fault:?}");

            toy.set_services(vec![ServiceSpec { uuid: RX, characteristics: Vec::new() }]);
            toy.advertise();
            let fault = rig.transport.device().await.opener.open(&access()).await.err().unwrap();
            assert!(fault.to_string().contains(&RX.to_string()), "{fault}");
            assert!(!toy.is_connected());
            assert!(begun.elapsed() < PATIENCE, "waited for {:?}", begun.elapsed());

            // Whoever gives up waiting leaves no connection behind.
            toy.fail_next(Step::Connect, Failure::Held);
            toy.advertise();
            let opener = rig.transport.device().await.opener;
            let gave_up = timeout(Duration::from_millis(200), opener.open(&access())).await;
            assert!(gave_up.is_err());
            toy.disconnected().await;
        },
    );
}

/// Once in a while BlueZ or the kernel loses an attempt. One that takes ten seconds is called off, and the next works.
#[test]
fn an_attempt_that_comes_to_nothing_is_made_anew() {
    in_own_process(module_path!(), "an_attempt_that_comes_to_nothing_is_made_anew", async |mut rig: Rig| {
        let toy = rig.bluez.add_device(toy());
        rig.transport.scan();
        let opener = rig.transport.device().await.opener;
        toy.fail_next(Step::Connect, Failure::Silent);
        let mut opened = opener.open(&access()).await.unwrap();
        opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap();
        let asked = toy.operations().into_iter().map(|operation| operation.action);
        let called_off = [Action::Connect, Action::Disconnect, Action::Connect];
        assert_eq!(asked.take(3).collect::<Vec<_>>(), called_off);
    });
}

#[test]
fn a_connection_from_before_that_nobody_serves_is_made_anew() {
    in_own_process(
        module_path!(),
        "a_connection_from_before_that_nobody_serves_is_made_anew",
        async |mut rig: Rig| {
            let toy = rig.bluez.add_device(toy());
            rig.transport.scan();
            let opener = rig.transport.device().await.opener;
            // What is left of a BlueZ that was killed, until the kernel drops it.
            toy.fail_next(Step::ResolveServices, Failure::Silent);
            toy.fail_next(Step::ResolveServices, Failure::Silent);
            let other = rig.bus.connect().await.unwrap();
            let path = format!("/org/bluez/hci0/dev_{}", toy.address().replace(':', "_"));
            let device = Some("org.bluez.Device1");
            other.call_method(Some("org.bluez"), path.as_str(), device, "Connect", &()).await.unwrap();
            assert_eq!(toy.next_operation().await.action, Action::Connect);

            let begun = Instant::now();
            let access = access();
            let (opened, ()) = tokio::join!(opener.open(&access), async {
                assert_eq!(toy.next_operation().await.action, Action::Connect);
                toy.disconnect();
            });
            opened.unwrap().transport.write("tx", &[1], Wanted::WithResponse).await.unwrap();
            assert!(begun.elapsed() < Duration::from_secs(5), "waited for {:?}", begun.elapsed());
        },
    );
}

#[test]
fn a_write_that_fails_says_why_and_the_link_goes_on() {
    in_own_process(
        module_path!(),
        "a_write_that_fails_says_why_and_the_link_goes_on",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;

            toy.fail_next(Step::Write, Failure::failed("Operation failed with ATT error: 0x0e"));
            let refused = opened.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap_err();
            assert!(
                matches!(&refused, TransportFault::Refused(text) if text.contains("0x0e")),
                "{refused:?}"
            );

            toy.fail_next(Step::Write, Failure::Silent);
            let silent = opened.transport.write("tx", &[2], Wanted::WithResponse).await;
            assert_eq!(silent, Err(TransportFault::TimedOut(3000)));

            opened.transport.write("tx", &[3], Wanted::WithResponse).await.unwrap();

            toy.fail_next(Step::Write, Failure::DoneThenDrop);
            let broken = opened.transport.write("tx", &[4], Wanted::WithResponse).await;
            assert!(matches!(broken, Err(TransportFault::Disconnected(_))), "{broken:?}");
            assert!(lost(&mut opened.events).await.is_some());
        },
    );
}

#[test]
fn a_link_that_breaks_amid_a_write_does_not_wait_for_its_answer() {
    in_own_process(
        module_path!(),
        "a_link_that_breaks_amid_a_write_does_not_wait_for_its_answer",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;
            toy.fail_next(Step::Write, Failure::Silent);
            let begun = Instant::now();
            let write = opened.transport.write("tx", &[1], Wanted::WithResponse);
            let vanish = async {
                toy.next_write().await;
                toy.vanish();
            };
            let (written, ()) = tokio::join!(write, vanish);
            assert!(matches!(written, Err(TransportFault::Disconnected(_))), "{written:?}");
            assert!(begun.elapsed() < Duration::from_secs(4), "waited for {:?}", begun.elapsed());
        },
    );
}

/// Two ways to one device, told of one after the other.
async fn seen_twice(rig: &mut Rig) -> (FakeDevice, [Box<dyn Opener>; 2]) {
    let toy = rig.bluez.add_device(toy());
    rig.transport.scan();
    let first = rig.transport.device().await.opener;
    rig.transport.rest();
    rig.bluez.adapter().not_discovering().await;
    rig.transport.scan();
    (toy, [first, rig.transport.device().await.opener])
}

/// Whether a new link passes packets, is told what BlueZ says of the device, and that it breaks.
async fn works(toy: &FakeDevice, link: &mut Opened) {
    assert_eq!(next_event(&mut link.events).await, Some(TransportEvent::Rssi(-50)));
    toy.set_rssi(-61);
    assert_eq!(next_event(&mut link.events).await, Some(TransportEvent::Rssi(-61)));
    link.transport.write("tx", &[1], Wanted::WithResponse).await.unwrap();
    toy.vanish();
    assert!(matches!(lost(&mut link.events).await, Some(TransportFault::Disconnected(_))));
}

#[test]
fn a_link_that_is_replaced_leaves_the_next_one_alone() {
    in_own_process(
        module_path!(),
        "a_link_that_is_replaced_leaves_the_next_one_alone",
        async |mut rig: Rig| {
            let (toy, [first, second]) = seen_twice(&mut rig).await;
            let mut first = first.open(&access()).await.unwrap();
            let mut second = second.open(&access()).await.unwrap();
            assert!(matches!(lost(&mut first.events).await, Some(TransportFault::Disconnected(_))));
            first.transport.close().await;
            works(&toy, &mut second).await;
        },
    );
}

#[test]
fn a_link_that_is_slow_to_end_leaves_the_next_one_alone() {
    in_own_process(
        module_path!(),
        "a_link_that_is_slow_to_end_leaves_the_next_one_alone",
        async |mut rig: Rig| {
            let (toy, [first, second]) = seen_twice(&mut rig).await;
            let first = first.open(&access()).await.unwrap();
            toy.fail_next(Step::Disconnect, Failure::Silent);
            let closing = tokio::spawn(first.transport.close());
            toy.operation_that(|operation| operation.action == Action::Disconnect).await;
            let mut second = second.open(&access()).await.unwrap();
            closing.await.unwrap();

            works(&toy, &mut second).await;
        },
    );
}

#[test]
fn many_links_leave_nothing_behind() {
    in_own_process(module_path!(), "many_links_leave_nothing_behind", async |mut rig: Rig| {
        let (toy, opened) = rig.open(toy()).await;
        opened.transport.close().await;
        let open_files = || fs::read_dir("/proc/self/fd").unwrap().count();
        let threads = || fs::read_dir("/proc/self/task").unwrap().count();
        toy.advertise();
        let mut device = rig.transport.device().await;
        let (connections, files, running) = (rig.connections().await, open_files(), threads());

        // btleplug panics in a task in about one of eight of these, with a signal on its way while a stream is dropped.
        for cycle in 0..60_u8 {
            let mut opened = device.opener.open(&access()).await.unwrap();
            opened.transport.subscribe("rx").await.unwrap();
            opened.transport.write("tx", &[cycle], Wanted::WithResponse).await.unwrap();
            toy.notify(RX, &[cycle]);
            if cycle % 2 == 0 {
                toy.vanish();
                lost(&mut opened.events).await;
                toy.appear();
            } else {
                opened.transport.close().await;
                toy.advertise();
            }
            device = rig.transport.device().await;
        }

        assert_eq!(toy.writes().len(), 60);
        assert_eq!(rig.connections().await, connections);
        assert!(open_files() <= files + 2, "{} files open, {files} before", open_files());
        assert!(threads() <= running + 2, "{} threads, {running} before", threads());
    });
}

/// What BlueZ never answers ends with the limit for connecting, 20 s, and is called off.
#[test]
fn a_device_that_never_answers_is_given_up() {
    in_own_process(module_path!(), "a_device_that_never_answers_is_given_up", async |mut rig: Rig| {
        const OTHER: &str = "F0:F1:F2:F3:F4:02";
        let mute = rig.bluez.add_device(toy());
        mute.fail_always(Step::Connect, Failure::Silent);
        let secretive = rig.bluez.add_device(DeviceSpec { address: OTHER.into(), ..toy() });
        secretive.fail_always(Step::ResolveServices, Failure::Silent);
        rig.transport.scan();
        let begun = Instant::now();
        let mut openers = BTreeMap::new();
        while openers.len() < 2 {
            let device = rig.transport.device_that(|_| true).await;
            openers.entry(device.address).or_insert(device.opener);
        }
        for opened in futures_util::future::join_all(
            openers.into_values().map(async |opener| opener.open(&access()).await.err()),
        )
        .await
        {
            assert_eq!(opened, Some(TransportFault::TimedOut(20_000)));
        }
        assert!(begun.elapsed() < Duration::from_secs(28), "waited for {:?}", begun.elapsed());
        secretive.disconnected().await;
        mute.operation_that(|operation| operation.action == Action::Disconnect).await;
    });
}
