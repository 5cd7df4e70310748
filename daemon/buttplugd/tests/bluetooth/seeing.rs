//! Which devices are told, with what they show, and when there is a scan.

use super::*;

async fn another_program_scans(rig: &Rig) -> zbus::Connection {
    let program = rig.bus.connect().await.unwrap();
    let (bluez, adapter) = (Some("org.bluez"), Some("org.bluez.Adapter1"));
    program.call_method(bluez, "/org/bluez/hci0", adapter, "StartDiscovery", &()).await.unwrap();
    program
}

#[test]
fn a_device_is_told_with_all_that_it_shows_and_only_while_that_is_wanted() {
    in_own_process(
        module_path!(),
        "a_device_is_told_with_all_that_it_shows_and_only_while_that_is_wanted",
        async |mut rig: Rig| {
            let toy = rig.bluez.add_device(toy());
            let adapter = rig.bluez.adapter();
            assert!(!adapter.is_discovering());

            rig.transport.scan();
            let device = rig.transport.device().await;
            let expected = Advertisement::Bluetooth {
                name: Some("TOY-1 ".into()),
                manufacturer_data: vec![(0x1234, vec![1, 2, 3])],
                services: vec![SERVICE],
            };
            assert_eq!((device.transport, device.advertisement), ("bluetooth", expected));

            rig.transport.rest();
            adapter.not_discovering().await;
            // What BlueZ hears because another program scans is not told.
            let other = another_program_scans(&rig).await;
            toy.set_rssi(-40);
            assert!(rig.transport.is_quiet().await);
            other.close().await.unwrap();

            rig.transport.scan();
            rig.transport.device().await;
            drop(rig.transport.told);
            timeout(PATIENCE, rig.transport.task).await.unwrap().unwrap();
            adapter.not_discovering().await;
        },
    );
}

#[test]
fn a_name_that_comes_late_and_without_an_event_is_seen() {
    in_own_process(
        module_path!(),
        "a_name_that_comes_late_and_without_an_event_is_seen",
        async |mut rig: Rig| {
            let toy = rig.bluez.add_device(DeviceSpec { name: None, ..toy() });
            rig.transport.scan();
            let device = rig.transport.device().await;
            assert_eq!(device.advertisement.name(), None);

            toy.set_name("TOY-1");
            rig.transport.device_that(|device| device.advertisement.name() == Some("TOY-1")).await;
        },
    );
}

#[test]
fn a_device_that_is_connected_already_is_told_without_a_scan() {
    in_own_process(
        module_path!(),
        "a_device_that_is_connected_already_is_told_without_a_scan",
        async |mut rig: Rig| {
            let (toy, opened) = rig.open(toy()).await;
            // As after a crash: the process is gone, BlueZ keeps the link.
            rig.transport.task.abort();
            toy.fail_next(Step::Disconnect, Failure::failed("not now"));
            opened.transport.close().await;
            assert!(toy.is_connected());

            let mut after = Watched::start();
            let device = after.device().await;
            let mut opened = device.opener.open(&access()).await.unwrap();
            opened.transport.write("tx", &[0], Wanted::WithResponse).await.unwrap();
            assert_eq!(toy.next_write().await.data, [0]);
        },
    );
}

#[test]
fn a_long_scan_in_a_crowd_takes_no_more_of_the_bus() {
    in_own_process(
        module_path!(),
        "a_long_scan_in_a_crowd_takes_no_more_of_the_bus",
        async |mut rig: Rig| {
            rig.transport.scan();
            rig.bluez.adapter().discovering().await;
            for number in 0..600_u32 {
                // More devices than a connection may have match rules; phones change their addresses.
                let address = format!("C0:00:00:00:{:02X}:{:02X}", number / 256, number % 256);
                let phone =
                    rig.bluez.add_device(DeviceSpec { name: None, ..DeviceSpec::named(&address, "") });
                rig.transport.device_that(|device| device.address == address).await;
                phone.vanish();
                phone.forget();
            }
            let (toy, mut opened) = rig.open(DeviceSpec { presence: Presence::Near, ..toy() }).await;
            opened.transport.write("tx", &[9], Wanted::WithResponse).await.unwrap();
            assert_eq!(toy.next_write().await.data, [9]);
        },
    );
}

#[test]
fn a_device_that_is_looked_for_is_told_and_no_other() {
    in_own_process(
        module_path!(),
        "a_device_that_is_looked_for_is_told_and_no_other",
        async |mut rig: Rig| {
            let adapter = rig.bluez.adapter();
            let other = rig.bluez.add_device(DeviceSpec::named("F0:F1:F2:F3:F4:02", "OTHER"));
            let toy = rig.bluez.add_device(toy());
            rig.transport.look_for(ADDRESS);
            assert_eq!(rig.transport.device_that(|_| true).await.address, ADDRESS);
            adapter.discovering().await;
            // Between two scans it is told too, if another program's scan shows it.
            rig.transport.search.send_modify(|search| search.scan = ScanWish::Rest);
            adapter.not_discovering().await;
            let program = another_program_scans(&rig).await;
            other.set_rssi(-41);
            toy.set_rssi(-42);
            assert_eq!(rig.transport.device_that(|_| true).await.address, ADDRESS);

            program.close().await.unwrap();

            // A client that begins to scan amid it is told of all.
            rig.transport.look_for(ADDRESS);
            adapter.discovering().await;
            rig.transport.scan();
            rig.transport.device_that(|device| device.address != ADDRESS).await;

            rig.transport.rest();
            adapter.not_discovering().await;
        },
    );
}
