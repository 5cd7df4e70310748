//! The machine goes to sleep while a device runs.

use serde_json::{Value, json};
use system_tests::{
    bluez::{Action, Failure, FakeBluez, Operation, Outcome, Step},
    bus::Bus,
    logind::FakeLogind,
    massager,
    peer::Peer,
    service::{Home, Launch},
};

fn vibrate(value: u32) -> Value {
    json!({ "Vibrate": { "Value": value } })
}

#[tokio::test]
async fn a_device_is_stopped_before_the_machine_sleeps_and_not_set_before_it_is_awake() {
    let system = Bus::system().await.unwrap();
    let bluez = FakeBluez::start(&system).await.unwrap();
    let toy = bluez.add_device(massager::spec(1));
    let (home, plugins) = (Home::new().unwrap(), massager::plugin().unwrap());
    let launch = Launch::new(&home).arg("--no-dbus").system_bus(&system).plugin_path(plugins.path());
    let mut service = launch.start().await.unwrap();
    // It may come later than the service.
    let mut logind = FakeLogind::start(&system).await.unwrap();
    let mut lock = logind.lock().await.unwrap();
    assert_eq!((lock.what.as_str(), lock.mode.as_str()), ("sleep", "delay"));
    let mut peer = Peer::socket(service.socket()).await.unwrap();
    peer.open_with("driver", json!({ "Extensions": ["error-reason"] })).await.unwrap();
    peer.request("StartScanning", json!({})).await.unwrap();
    let index = peer.device().await.unwrap();
    peer.drive(index, 0, vibrate(100)).await.unwrap();
    assert_eq!(toy.next_write().await.data, [0xF1, 100]);
    assert!(lock.is_held().await);

    logind.fall_asleep().await.unwrap();
    lock.released().await.unwrap();
    // Not one that comes later: nobody waits for it any more.
    let rest: Vec<_> = toy.writes().into_iter().map(|write| write.data).skip(1).collect();
    assert_eq!(rest, [[0xF1, 0], [0xF2, 0]]);
    let refused = peer.output(index, 0, vibrate(100)).await.unwrap();
    assert_eq!(refused["Error"]["ErrorReason"], "suspending", "{refused}");
    assert!(peer.request("StopCmd", json!({})).await.unwrap().get("Ok").is_some());

    logind.wake().await.unwrap();
    let mut lock = logind.lock().await.unwrap();
    assert!(lock.is_held().await);
    toy.forget_operations();
    peer.drive(index, 0, vibrate(50)).await.unwrap();
    assert_eq!(toy.next_write().await.data, [0xF1, 50]);

    // What could not be stopped at once is stopped again before the machine may sleep.
    let refused = Failure::Refuse { name: "Failed", text: "Operation failed" };
    toy.fail_next(Step::Write, refused);
    logind.fall_asleep().await.unwrap();
    lock.released().await.unwrap();
    let is_rest = |one: &Operation| matches!(&one.action, Action::Write(write) if write.data == [0xF1, 0]);
    let rests: Vec<_> = toy.operations().into_iter().filter(is_rest).map(|one| one.outcome).collect();
    assert_eq!(rests.last(), Some(&Outcome::Done), "{rests:?}");
    assert!(rests.len() > 1, "{rests:?}");
    logind.wake().await.unwrap();
    let mut lock = logind.lock().await.unwrap();
    peer.drive(index, 0, vibrate(50)).await.unwrap();

    // One that goes while the machine is said to sleep does not leave the service asleep for ever.
    logind.fall_asleep().await.unwrap();
    lock.released().await.unwrap();
    drop(logind);
    while peer.output(index, 0, vibrate(60)).await.unwrap().get("Ok").is_none() {}
    service.assert_alive();
}

#[tokio::test]
async fn a_lock_that_comes_when_the_machine_is_about_to_sleep_does_not_hold_it_up() {
    let system = Bus::system().await.unwrap();
    let mut logind = FakeLogind::start(&system).await.unwrap();
    logind.hold_answers_back();
    let home = Home::new().unwrap();
    let mut service = Launch::new(&home).arg("--no-dbus").system_bus(&system).start().await.unwrap();
    let mut lock = logind.lock().await.unwrap();
    logind.fall_asleep().await.unwrap();
    service.wait_for_log("the machine is about to sleep").await.unwrap();
    logind.answer();
    lock.released().await.unwrap();

    logind.wake().await.unwrap();
    assert!(logind.lock().await.unwrap().is_held().await);
    service.assert_alive();
}
