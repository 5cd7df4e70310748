//! The rig that starts the service, tried on what needs no clients and no devices.
//!
//! What the service does once it runs is tested elsewhere.

use system_tests::{
    bus::{Bus, BusKind},
    service::{Home, Launch},
};

#[tokio::test]
async fn the_service_of_this_tree_is_built_and_run() {
    let home = Home::new().unwrap();
    let (status, log) = Launch::new(&home).arg("--check-config").run().await.unwrap();
    assert!(status.success(), "{log}");
}

#[tokio::test]
async fn the_service_reads_the_configuration_of_its_home() {
    let home = Home::new().unwrap();
    home.write_config("buttplugd.toml", "no-such-key = 1\n").unwrap();
    let (status, log) = Launch::new(&home).arg("--check-config").run().await.unwrap();
    assert!(!status.success());
    assert!(log.contains("no-such-key"), "{log}");
}

#[tokio::test]
async fn two_buses_are_apart_and_end_when_told() {
    let mut session = Bus::start(BusKind::Session).await.unwrap();
    let system = Bus::start(BusKind::System).await.unwrap();
    let on_session = session.connect().await.unwrap();
    let on_system = system.connect().await.unwrap();
    on_session.request_name("org.buttplugd.Test").await.unwrap();
    on_system.request_name("org.buttplugd.Test").await.unwrap();

    session.stop();

    assert!(session.connect().await.is_err());
    on_session.closed().await;
    assert!(!on_system.is_closed());
    assert!(system.connect().await.is_ok());
}
