//! Known devices that are missing: whether they are looked for, as the user set it.

use super::{candidates::NAMESAKES, *};
use crate::transport::Whom;

const ADDRESS: &str = "F0:F1:F2:F3:F4:01";
/// Longer than the first scan and the first pause after it.
const A_WHILE: Duration = Duration::from_secs(12);

async fn see(service: &Service, motor: &Motor) {
    let advertisement = Advertisement::Bluetooth {
        name: Some("FM-LILAC".into()),
        manufacturer_data: Vec::new(),
        services: Vec::new(),
    };
    let discovered = Discovered {
        transport: "bluetooth",
        advertisement,
        address: ADDRESS.into(),
        opener: Box::new(motor.clone()),
    };
    assert!(service.discovery.tell.send(FromTransport::Discovered(discovered)).await.is_ok());
    service.devices(1).await;
}

async fn lose(service: &Service, motor: &Motor) {
    motor.tell.lock().unwrap().take();
    service.devices(0).await;
}

/// Whether there is a scan for the device within a while.
async fn is_looked_for(service: &Service) -> bool {
    let mut search = service.search.clone();
    let scan = search.wait_for(|search| search.scan == ScanWish::Scan);
    let scans = tokio::time::timeout(A_WHILE, scan).await.is_ok();
    let sought = Whom::These(BTreeSet::from([ADDRESS.to_owned()]));
    assert_eq!(service.search.borrow().whom == sought, scans);
    assert_eq!(*service.discovery.wish.borrow(), ScanWish::Rest, "it can be nowhere else");
    scans
}

async fn rests(service: &Service) {
    let mut search = service.search.clone();
    search.wait_for(|search| search.scan == ScanWish::Rest).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_lost_device_is_looked_for_as_the_user_set_it() {
    for (reconnect, alone, with_a_client) in [
        (Reconnect::Off, false, false),
        (Reconnect::WhileClientConnected, false, true),
        (Reconnect::Always, true, true),
    ] {
        let state = tempfile::tempdir().unwrap();
        let service = start_with(state.path(), NAMESAKES, reconnect);
        let motor = Motor::default();
        see(&service, &motor).await;
        lose(&service, &motor).await;
        assert_eq!(is_looked_for(&service).await, alone, "{reconnect:?}");

        let link = service.session().await;
        assert_eq!(is_looked_for(&service).await, with_a_client, "{reconnect:?}");
        drop(link);
        rests(&service).await;
        assert_eq!(is_looked_for(&service).await, alone, "{reconnect:?}");

        // It is back, and nothing is missing.
        see(&service, &motor).await;
        rests(&service).await;
        assert!(!is_looked_for(&service).await, "{reconnect:?}");
        service.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_that_an_earlier_run_knew_comes_back_by_itself_unless_it_is_denied() {
    let state = tempfile::tempdir().unwrap();
    let service = start_with(state.path(), NAMESAKES, Reconnect::Always);
    see(&service, &Motor::default()).await;
    service.end().await;

    let denied = format!("{NAMESAKES}[[device]]\nwhich = {{ address = \"{ADDRESS}\" }}\ndeny = true\n");
    for (reconnect, definitions, alone, with_a_client) in [
        (Reconnect::Off, NAMESAKES, false, false),
        (Reconnect::WhileClientConnected, NAMESAKES, false, true),
        (Reconnect::Always, NAMESAKES, true, true),
        (Reconnect::Always, &denied, false, false),
    ] {
        let service = start_with(state.path(), definitions, reconnect);
        assert_eq!(is_looked_for(&service).await, alone, "{reconnect:?}");
        let _link = service.session().await;
        assert_eq!(is_looked_for(&service).await, with_a_client, "{reconnect:?}");
        service.end().await;
    }

    // As soon as it is not denied any more, it is.
    let service = start_with(state.path(), &denied, Reconnect::WhileClientConnected);
    let _link = service.session().await;
    assert!(!is_looked_for(&service).await);
    service.catalogue.send_replace(catalogue(NAMESAKES));
    assert!(is_looked_for(&service).await);
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_may_be_running_is_looked_for_whatever_the_user_set() {
    let state = tempfile::tempdir().unwrap();
    let service = start_with(state.path(), NAMESAKES, Reconnect::Off);
    let motor = Motor::default();
    see(&service, &motor).await;
    let index = service.devices(1).await["Lilac"];
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
    lose(&service, &motor).await;
    drop(link);
    assert!(is_looked_for(&service).await);

    motor.taken();
    see(&service, &motor).await;
    rests(&service).await;
    assert_eq!(motor.taken(), [vec![0xAA, 0]]);
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_scan_of_a_client_is_for_all_devices_and_what_is_missing_is_looked_for_after_it() {
    let state = tempfile::tempdir().unwrap();
    let service = start_with(state.path(), NAMESAKES, Reconnect::WhileClientConnected);
    service.simulate(&[], Appear::OnScan);
    let motor = Motor::default();
    see(&service, &motor).await;
    let mut link = service.session().await;
    let mut status = service.hub.status();
    status.wait_for(|status| !status.transports.is_empty()).await.unwrap();
    lose(&service, &motor).await;
    assert!(is_looked_for(&service).await);

    assert_eq!(ask(&mut link, 1, Command::StartScanning).await, Ok(Answer::Done));
    let mut search = service.search.clone();
    search.wait_for(|search| search.whom == Whom::Anyone).await.unwrap();
    assert_eq!(ask(&mut link, 2, Command::StopScanning).await, Ok(Answer::Done));
    search.wait_for(|search| search.whom != Whom::Anyone).await.unwrap();
    rests(&service).await;
    assert!(is_looked_for(&service).await);
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_of_another_bus_is_no_reason_for_bluetooth_to_scan() {
    let state = tempfile::tempdir().unwrap();
    let service = start_with(state.path(), "", Reconnect::Always);
    let motor = Motor::default();
    motor.appear(&service).await;
    service.devices(1).await;
    lose(&service, &motor).await;
    let mut wish = service.discovery.wish.clone();
    wish.wait_for(|wish| *wish == ScanWish::Scan).await.unwrap();
    assert_eq!(*service.search.borrow(), Search::rest());
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_seen_again_before_its_lost_path_is_closed_is_opened_as_soon_as_that_is() {
    let state = tempfile::tempdir().unwrap();
    let service = start_with(state.path(), NAMESAKES, Reconnect::Off);
    let motor = Motor { shows_itself: true, ..Motor::default() };
    *motor.closes_in.lock().unwrap() = Duration::from_millis(300);
    see(&service, &motor).await;
    let index = service.devices(1).await["Lilac"];
    lose(&service, &motor).await;
    let lost = Instant::now();
    see(&service, &motor).await;
    assert_eq!(service.devices(1).await["Lilac"], index);
    assert!(lost.elapsed() < Duration::from_millis(400), "{:?}", lost.elapsed());

    // While it is there, a second one at its address is not kept waiting.
    let openers = || Arc::strong_count(&motor.packets);
    let alone = openers();
    see(&service, &motor).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(openers(), alone + 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(openers(), alone);
    service.end().await;
}
