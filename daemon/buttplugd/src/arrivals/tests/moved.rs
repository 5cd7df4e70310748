//! A device that may be running, and that is another to the service when it is back: its index is changed, or what it is taken for.

use super::{
    candidates::{NAMESAKES, lilac},
    *,
};

const MOVED: &str = "[[device]]\nwhich = { address = \"motor\" }\nindex = 7\n";

/// What a crash leaves behind: a device that runs, by the journal.
async fn left_running(state: &Path) -> (Motor, DeviceIndex) {
    let (service, motor, index) = with_motor(state).await;
    service.end().await;
    motor.taken();
    DeviceNotes::new(RunningJournal::open(state).0).note(index, Motion::MayRun);
    (motor, index)
}

fn named(state: &Path) -> BTreeSet<DeviceIndex> {
    RunningJournal::open(state).1
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_lost_while_it_ran_is_stopped_first_when_it_returns_with_another_index() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
    motor.tell.lock().unwrap().take();
    service.devices(0).await;
    assert_eq!(motor.taken(), [level(9)]);

    service.catalogue.send_replace(catalogue(MOVED));
    motor.appear(&service).await;
    let moved = service.devices(1).await["Simulated Motor"];
    assert_eq!(moved, DeviceIndex(7));
    assert_eq!(motor.taken(), [level(0)]);
    tokio::time::sleep(LASTED).await;
    assert_eq!(named(state.path()), BTreeSet::new());
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_takes_no_stop_when_its_index_changes_is_stopped_when_it_is_back() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
    *motor.refuses.lock().unwrap() = u32::MAX;
    service.catalogue.send_replace(catalogue(MOVED));
    service.devices(0).await;
    assert_eq!(motor.taken(), [level(9)]);
    assert_eq!(named(state.path()), BTreeSet::from([index]));

    let mut wish = service.discovery.wish.clone();
    wish.wait_for(|wish| *wish == ScanWish::Scan).await.unwrap();
    *motor.refuses.lock().unwrap() = 0;
    motor.appear(&service).await;
    assert_eq!(service.devices(1).await["Simulated Motor"], DeviceIndex(7));
    assert_eq!(motor.taken(), [level(0)]);
    tokio::time::sleep(LASTED).await;
    assert_eq!(named(state.path()), BTreeSet::new());
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_crash_left_running_is_stopped_although_its_index_was_changed_before_the_restart() {
    let state = tempfile::tempdir().unwrap();
    let (motor, _) = left_running(state.path()).await;
    let service = start(state.path(), MOVED);
    let mut wish = service.discovery.wish.clone();
    wish.wait_for(|wish| *wish == ScanWish::Scan).await.unwrap();
    *motor.refuses.lock().unwrap() = u32::MAX;
    motor.appear(&service).await;
    tokio::time::sleep(LASTED).await;
    assert_eq!(named(state.path()), BTreeSet::from([DeviceIndex(7)]), "a second crash would be no worse");

    *motor.refuses.lock().unwrap() = 0;
    assert_eq!(service.devices(1).await["Simulated Motor"], DeviceIndex(7));
    // The stop is repeated until it is taken, and then its rest has to last.
    tokio::time::sleep(3 * LASTED).await;
    assert_eq!(motor.taken(), [level(0)]);
    assert_eq!(named(state.path()), BTreeSet::new());
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_may_be_running_is_known_by_its_old_index_as_long_as_the_new_one_is_not_saved() {
    let state = tempfile::tempdir().unwrap();
    let (motor, index) = left_running(state.path()).await;
    // In the way of the file that is to replace the one with the indexes.
    std::fs::create_dir(state.path().join("devices.new")).unwrap();
    let service = start(state.path(), MOVED);
    *motor.refuses.lock().unwrap() = u32::MAX;
    motor.appear(&service).await;
    tokio::time::sleep(LASTED).await;
    assert_eq!(named(state.path()), BTreeSet::from([index, DeviceIndex(7)]));
    *motor.refuses.lock().unwrap() = 0;
    service.devices(1).await;
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_device_that_was_lost_while_it_ran_is_stopped_first_although_it_is_taken_for_another_by_now() {
    let state = tempfile::tempdir().unwrap();
    let service = start(state.path(), NAMESAKES);
    let motor = Motor::default();
    lilac(&service, &motor).await;
    let index = service.devices(1).await["Lilac"];
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));
    motor.tell.lock().unwrap().take();
    service.devices(0).await;
    assert_eq!(motor.taken(), [[0xAA, 9]]);

    let motor = Motor { candidate: 1, ..motor };
    lilac(&service, &motor).await;
    service.devices(1).await;
    assert_eq!(motor.taken(), [[0xBB, 0]]);
    tokio::time::sleep(LASTED).await;
    assert_eq!(named(state.path()), BTreeSet::from([index]), "what it did as that is not known");
    service.end().await;
}
