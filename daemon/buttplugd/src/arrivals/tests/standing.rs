//! What is known of devices that are not here, and of one whose task did not end as it should.

use engine::monitor::{DeviceState, DeviceStatus};

use super::{
    candidates::{Shut, lilac},
    *,
};

impl Service {
    /// Waits until the status says this of the only device.
    async fn standing(&self, is: impl Fn(&DeviceStatus) -> bool) -> DeviceStatus {
        let mut status = self.hub.status();
        let status = status.wait_for(|status| status.devices.first().is_some_and(&is)).await.unwrap();
        assert_eq!(status.devices.len(), 1);
        status.devices[0].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_device_whose_task_panics_while_it_runs_is_looked_for_and_stopped_first() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    *motor.blows_up.lock().unwrap() = true;
    assert!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await.is_err());
    assert_eq!(motor.taken(), [level(9)]);
    service.devices(0).await;
    let mut wish = service.discovery.wish.clone();
    wish.wait_for(|wish| *wish == ScanWish::Scan).await.unwrap();

    motor.appear(&service).await;
    assert_eq!(service.devices(1).await["Simulated Motor"], index);
    assert_eq!(motor.taken(), [level(0)]);
    service.end().await;
}

/// A protocol that has to send something before the device is ready.
const GREETED: &str = r#"
[[protocol]]
id = "greeted"
[[protocol.bluetooth]]
names = ["FM-LILAC"]
services = { "0000aaaa-0000-1000-8000-00805f9b34fb" = { tx = "0000aaab-0000-1000-8000-00805f9b34fb" } }
[protocol.template]
start = [{ write = "tx", bytes = "70" }]
packet = [{ features = [0], bytes = "AA {v}" }]
[protocol.default]
name = "Greeted"
features = [{ index = 0, output = { vibrate = [0, 9] } }]
"#;

#[tokio::test(start_paused = true)]
async fn a_device_whose_task_panics_while_it_is_prepared_is_not_said_to_be_connecting_for_ever() {
    let state = tempfile::tempdir().unwrap();
    let service = start(state.path(), GREETED);
    let motor = Motor::default();
    *motor.blows_up.lock().unwrap() = true;
    lilac(&service, &motor).await;
    tokio::time::sleep(LASTED).await;
    assert_eq!(motor.taken(), [[0x70]]);
    let failed = service.standing(|_| true).await;
    assert_eq!(
        (failed.state, &*failed.reason),
        (DeviceState::Absent, "the service failed to drive it; see its log")
    );

    lilac(&service, &motor).await;
    service.devices(1).await;
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn known_devices_are_in_the_status_from_the_start_and_it_says_why_one_is_not_here() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    assert_eq!(service.standing(|_| true).await.state, DeviceState::Connected);
    motor.tell.lock().unwrap().take();
    let lost = service.standing(|device| device.state == DeviceState::Absent).await;
    assert!(!lost.reason.is_empty() && &*lost.transport == "simulated", "{lost:?}");
    service.end().await;

    let service = start(state.path(), "");
    let known = service.standing(|_| true).await;
    assert_eq!((known.index, &*known.name), (index, "Simulated Motor"));
    assert_eq!((known.state, &*known.reason, &*known.transport), (DeviceState::Absent, "", ""));

    let faults = Arc::new(Mutex::new(vec![TransportFault::Refused("another program has it open".into())]));
    motor.appear_as(&service, Box::new(Shut { faults, motor: motor.clone() })).await;
    let shut = service.standing(|device| !device.reason.is_empty()).await;
    assert_eq!(shut.state, DeviceState::Absent);
    assert_eq!(shut.reason, "the device could not be prepared: another program has it open");

    let denied = "[[device]]\nwhich = { address = \"motor\" }\ndeny = true\n";
    service.catalogue.send_replace(catalogue(denied));
    let denied = service.standing(|device| device.state == DeviceState::Denied).await;
    assert_eq!((&*denied.name, &*denied.reason), ("Simulated Motor", "denied by user.toml"));
    service.end().await;
}
