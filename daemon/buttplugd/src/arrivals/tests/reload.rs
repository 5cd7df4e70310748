//! What the user changes holds for devices that are there.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_device_that_is_denied_while_it_runs_is_stopped_and_let_go() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));

    let denied = "[[device]]\nwhich = { address = \"motor\" }\ndeny = true\n";
    service.catalogue.send_replace(catalogue(denied));
    service.devices(0).await;
    assert_eq!(motor.taken(), [level(9), level(0)]);
    assert_eq!(*service.discovery.wish.borrow(), ScanWish::Rest);

    service.catalogue.send_replace(catalogue(""));
    motor.appear(&service).await;
    service.devices(1).await;
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_limit_holds_for_a_device_that_runs() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 90)).await, Ok(Answer::Done));

    let limited = "[[device]]\nwhich = { address = \"motor\" }\nname = \"Mine\"\noutputs = [{ feature = 0, kind = \"vibrate\", range = [0, 20] }]\n";
    service.catalogue.send_replace(catalogue(limited));
    service.devices(0).await;
    assert_eq!(motor.taken(), [level(90), level(0)]);
    let mut wish = service.discovery.wish.clone();
    wish.wait_for(|wish| *wish == ScanWish::Scan).await.unwrap();
    motor.appear(&service).await;
    assert_eq!(service.devices(1).await["Simulated Motor"], index);
    let shown = service.hub.status().borrow().list.values().next().unwrap().display_name.clone();
    assert_eq!(shown.as_deref(), Some("Mine"));
    let above = ask(&mut link, 2, set(index, 0, OutputKind::Vibrate, 21)).await;
    assert_eq!(above, Err(Reason::ValueOutOfRange));
    service.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_says_nothing_new_of_a_device_leaves_it_alone() {
    let state = tempfile::tempdir().unwrap();
    let (service, motor, index) = with_motor(state.path()).await;
    let mut link = service.session().await;
    assert_eq!(ask(&mut link, 1, set(index, 0, OutputKind::Vibrate, 9)).await, Ok(Answer::Done));

    let other = "[[device]]\nwhich = { address = \"other\" }\ndeny = true\n";
    service.catalogue.send_replace(catalogue(other));
    assert_eq!(ask(&mut link, 2, set(index, 0, OutputKind::Vibrate, 3)).await, Ok(Answer::Done));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(motor.taken(), [level(9), level(3)]);
    service.end().await;
}
