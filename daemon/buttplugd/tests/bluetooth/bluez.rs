//! What becomes of adapters, of BlueZ and of the system bus.

use super::*;

#[test]
fn a_radio_that_is_off_stays_off_and_scans_when_it_is_on() {
    in_own_process(
        module_path!(),
        "a_radio_that_is_off_stays_off_and_scans_when_it_is_on",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;
            let adapter = rig.bluez.adapter();

            adapter.set_power(Power::Off);
            let status = rig.transport.state(TransportState::Off).await;
            assert!(
                status.reason.contains("hci0") && status.hint.contains("bluetoothctl power on"),
                "{status:?}"
            );
            assert!(lost(&mut opened.events).await.is_some());
            rig.transport.rest();
            rig.transport.scan();
            assert!(rig.transport.is_quiet().await);
            assert!(!adapter.is_discovering());

            adapter.set_power(Power::On);
            rig.transport.state(TransportState::Ready).await;
            toy.advertise();
            rig.transport.device().await;
        },
    );
}

#[test]
fn an_adapter_that_is_pulled_and_put_back_is_used_again() {
    in_own_process(
        module_path!(),
        "an_adapter_that_is_pulled_and_put_back_is_used_again",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;

            rig.bluez.adapter().remove();
            let status = rig.transport.state(TransportState::Unavailable).await;
            assert!(status.reason.contains("no Bluetooth adapter"), "{status:?}");
            assert!(lost(&mut opened.events).await.is_some());

            rig.bluez.adapter().restore();
            rig.transport.state(TransportState::Ready).await;
            toy.advertise();
            let opened = rig.transport.device().await.opener.open(&access()).await.unwrap();
            opened.transport.close().await;
        },
    );
}

#[test]
fn a_bluez_that_ends_and_is_started_again_is_used_again() {
    in_own_process(
        module_path!(),
        "a_bluez_that_ends_and_is_started_again_is_used_again",
        async |mut rig: Rig| {
            let (toy, mut opened) = rig.open(toy()).await;

            rig.bluez.leave().await;
            let status = rig.transport.state(TransportState::Unavailable).await;
            assert!(status.hint.contains("systemctl start bluetooth"), "{status:?}");
            assert!(lost(&mut opened.events).await.is_some());
            let written = opened.transport.write("tx", &[1], Wanted::WithResponse).await;
            assert!(matches!(written, Err(TransportFault::Disconnected(_))), "{written:?}");

            rig.bluez.come_back().await;
            rig.transport.state(TransportState::Ready).await;
            rig.bluez.adapter().discovering().await;
            toy.advertise();
            rig.transport.device().await.opener.open(&access()).await.unwrap();
        },
    );
}

#[test]
fn a_system_bus_that_ends_is_found_again() {
    in_own_process(module_path!(), "a_system_bus_that_ends_is_found_again", async |mut rig: Rig| {
        let (_toy, mut opened) = rig.open(toy()).await;

        rig.bus.stop();
        let status = rig.transport.state(TransportState::Unavailable).await;
        assert!(status.reason.contains("system bus"), "{status:?}");
        assert!(lost(&mut opened.events).await.is_some());

        let bus = Bus::start_in(BusKind::System, &rig.folder).await.unwrap();
        let bluez = FakeBluez::start(&bus).await.unwrap();
        let _toy = bluez.add_device(toy());
        rig.transport.rest();
        rig.transport.scan();
        rig.transport.state(TransportState::Ready).await;
        let _opened = rig.transport.device().await.opener.open(&access()).await.unwrap();
    });
}

#[test]
fn what_is_missing_at_the_start_is_used_when_it_comes() {
    in_own_process(
        module_path!(),
        "what_is_missing_at_the_start_is_used_when_it_comes",
        async |mut rig: Rig| {
            rig.transport.task.abort();
            rig.bluez.adapter().set_power(Power::Off);
            rig.bluez.adapter().remove();
            rig.bluez.leave().await;

            let mut transport = Watched::start();
            let status = transport.state(TransportState::Unavailable).await;
            assert!(status.hint.contains("systemctl start bluetooth"), "{status:?}");
            transport.scan();
            rig.bluez.come_back().await;
            let status = transport.state(TransportState::Unavailable).await;
            assert!(status.reason.contains("no Bluetooth adapter"), "{status:?}");
            rig.bluez.adapter().restore();
            let status = transport.state(TransportState::Off).await;
            assert!(status.reason.contains("hci0"), "{status:?}");
            rig.bluez.adapter().set_power(Power::On);
            transport.state(TransportState::Ready).await;
            // The wish to scan is older than all of it.
            let _toy = rig.bluez.add_device(toy());
            transport.device().await.opener.open(&access()).await.unwrap();
            rig.transport = transport;
        },
    );
}
