//! The hub's task in virtual time: links, queues that fill up, and the end.

use std::{sync::Arc, time::Duration};

use engine::{
    client::{Front, Introduction, Peer},
    command::{Answer, Command, Dispatch, Event, Setting, StopTarget, StopWhat},
    definition::{model::Output, scale::OutputScale},
    device::{DeviceCommand, DeviceReport, StopScope},
    fault::{Fault, Reason},
    router::{DeviceEntry, OutputEntry},
    view::{DeviceView, FeatureView, OutputView},
    vocabulary::{DeviceIndex, FeatureIndex, OutputKind, Range, Ticket},
};
use ipc_schema::version::SpecVersion;
use tokio::sync::mpsc;

use super::*;

/// Less than a device queue, so that it is seen to hold.
const EVENT_QUEUE: usize = 64;

fn hub() -> (Hub, JoinHandle<()>, mpsc::Receiver<ReloadRequest>) {
    let (reload, reloads) = mpsc::channel(1);
    let (hub, task) = Hub::start(Parts {
        sessions_max: 3,
        event_queue: EVENT_QUEUE,
        policy: Arc::new(|peer: &Peer| match peer.origin.as_deref() {
            Some("https://evil") => Err(Fault::new(Reason::NotAllowed, "not this page")),
            _ => Ok(()),
        }),
        reload,
    });
    (hub, task, reloads)
}

fn entry(index: u32) -> DeviceEntry {
    let output = OutputView { kind: OutputKind::Vibrate, range: Range::new(0, 20), duration_ms: None };
    let feature = FeatureView {
        index: FeatureIndex(0),
        description: String::new(),
        outputs: vec![output],
        inputs: vec![],
    };
    DeviceEntry {
        view: Arc::new(DeviceView {
            index: DeviceIndex(index),
            name: "Toy".into(),
            display_name: None,
            message_gap_ms: 0,
            features: vec![feature],
        }),
        transport: "simulated",
        protocol: "toy".into(),
        outputs: vec![OutputEntry {
            feature: FeatureIndex(0),
            kind: OutputKind::Vibrate,
            scale: OutputScale::new(
                OutputKind::Vibrate,
                &Output { range: Range::new(0, 20), duration_ms: None, on_stop: None },
                None,
            )
            .unwrap(),
        }],
    }
}

fn set(ticket: u64, value: i32) -> Dispatch {
    let setting = Setting { feature: FeatureIndex(0), kind: OutputKind::Vibrate, value, duration_ms: None };
    Dispatch {
        ticket: Ticket(ticket),
        command: Command::SetOutputs { device: DeviceIndex(7), settings: vec![setting] },
    }
}

fn stop(ticket: u64) -> Dispatch {
    let command = Command::Stop { target: StopTarget::Everything, what: StopWhat::Outputs };
    Dispatch { ticket: Ticket(ticket), command }
}

async fn open(hub: &Hub, name: &str) -> Link {
    let link = hub.open(Peer::of(Front::Socket)).await.unwrap();
    link.opened(Introduction { client_name: name.into(), version: SpecVersion::V4, ping_limit: None }).await;
    link
}

/// Answers a set or stop as done.
async fn obey(link: &DeviceLink, command: &DeviceCommand) {
    let ticket = match command {
        DeviceCommand::Set { ticket, .. } => Some(*ticket),
        DeviceCommand::Stop { ticket, .. } | DeviceCommand::Input { ticket, .. } => *ticket,
        DeviceCommand::Close { .. } => None,
    };
    if let Some(ticket) = ticket {
        link.report(DeviceReport::Answered { ticket, result: Ok(None) }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_command_goes_to_the_device_and_its_answer_back() {
    let (hub, _task, _reloads) = hub();
    let mut device = hub.device_ready(entry(7)).await.unwrap();
    let mut link = open(&hub, "Ann").await;
    assert_eq!(link.devices.keys().collect::<Vec<_>>(), [&DeviceIndex(7)]);
    link.dispatch(vec![set(1, 5)]).await;
    let command = device.commands.recv().await.unwrap();
    assert!(matches!(&command, DeviceCommand::Set { values, .. } if values[0].value == 5));
    obey(&device, &command).await;
    let answer = ToSession::Answer { ticket: Ticket(1), outcome: Ok(Answer::Done) };
    assert_eq!(link.inbox.recv().await, Some(answer));
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_dropped_stops_what_it_set_after_all_that_it_sent() {
    let (hub, _task, _reloads) = hub();
    let mut device = hub.device_ready(entry(7)).await.unwrap();
    let link = open(&hub, "Ann").await;
    link.dispatch(vec![set(1, 5)]).await;
    link.dispatch(vec![set(2, 6)]).await;
    drop(link);
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(device.commands.recv().await.unwrap());
    }
    assert!(matches!(
        &seen[..],
        [DeviceCommand::Set { .. }, DeviceCommand::Set { .. }, DeviceCommand::Stop { .. }]
    ));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_closed_and_stopped() {
    let (hub, _task, _reloads) = hub();
    let mut device = hub.device_ready(entry(7)).await.unwrap();
    let mut link = open(&hub, "Ann").await;
    link.dispatch(vec![set(1, 5)]).await;
    let mut stopped = false;
    // More answers than there is room for.
    for ticket in 2..=u64::try_from(EVENT_QUEUE).unwrap() + 2 {
        link.dispatch(vec![Dispatch { ticket: Ticket(ticket), command: Command::ListDevices }]).await;
    }
    while let Some(command) = device.commands.recv().await {
        if let DeviceCommand::Stop { scope: StopScope::Outputs(outputs), .. } = command {
            assert_eq!(outputs, [(FeatureIndex(0), OutputKind::Vibrate)]);
            stopped = true;
            break;
        }
    }
    assert!(stopped);
    let mut last = None;
    let mut count = 0;
    while let Some(message) = link.inbox.recv().await {
        last = Some(message);
        count += 1;
    }
    assert_eq!(count, EVENT_QUEUE + 1, "as many as may wait, and the end");
    assert!(matches!(last, Some(ToSession::Close(fault)) if fault.reason == Reason::SlowReader));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_takes_nothing_is_refused_sets_but_gets_its_stop() {
    let (hub, _task, _reloads) = hub();
    let mut device = hub.device_ready(entry(7)).await.unwrap();
    let mut link = open(&hub, "Ann").await;
    let full = u64::try_from(DEVICE_QUEUE).unwrap();
    for ticket in 1..=full {
        link.dispatch(vec![set(ticket, 5)]).await;
    }
    link.dispatch(vec![set(full + 1, 5)]).await;
    match link.inbox.recv().await {
        Some(ToSession::Answer { ticket, outcome: Err(fault) }) => {
            assert_eq!((ticket, fault.reason), (Ticket(full + 1), Reason::TooManyRequests));
        }
        other => panic!("{other:?}"),
    }
    link.dispatch(vec![stop(full + 2)]).await;
    // A set after the stop may not get ahead of it, even when there is room again.
    assert!(matches!(device.commands.recv().await, Some(DeviceCommand::Set { .. })));
    link.dispatch(vec![set(full + 3, 5)]).await;
    let mut rest = Vec::new();
    while rest.len() < DEVICE_QUEUE + 1 {
        match tokio::time::timeout(Duration::from_secs(1), device.commands.recv()).await {
            Ok(Some(command)) => rest.push(command),
            Ok(None) | Err(_) => break,
        }
    }
    let stop_at = rest.iter().position(|command| matches!(command, DeviceCommand::Stop { .. }));
    assert_eq!(stop_at, Some(DEVICE_QUEUE - 1), "right after the sets that were before it");
}

#[tokio::test(start_paused = true)]
async fn a_device_that_comes_again_takes_the_place_of_the_old_one() {
    let (hub, _task, _reloads) = hub();
    let mut old = hub.device_ready(entry(7)).await.unwrap();
    let mut new = hub.device_ready(entry(7)).await.unwrap();
    assert_eq!(old.commands.recv().await, None);
    old.gone(Fault::new(Reason::DeviceLost, "late news"));
    let link = open(&hub, "Ann").await;
    assert_eq!(link.devices.len(), 1);
    link.dispatch(vec![set(1, 5)]).await;
    assert!(matches!(new.commands.recv().await, Some(DeviceCommand::Set { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_device_that_is_gone_fails_what_waits_for_it_and_leaves_the_list() {
    let (hub, _task, _reloads) = hub();
    let mut device = hub.device_ready(entry(7)).await.unwrap();
    let mut link = open(&hub, "Ann").await;
    link.dispatch(vec![set(1, 5)]).await;
    device.commands.recv().await.unwrap();
    drop(device);
    match link.inbox.recv().await {
        Some(ToSession::Answer { outcome: Err(fault), .. }) => assert_eq!(fault.reason, Reason::DeviceLost),
        other => panic!("{other:?}"),
    }
    assert!(matches!(link.inbox.recv().await, Some(ToSession::Event(Event::DeviceRemoved { .. }))));
}

#[tokio::test(start_paused = true)]
async fn the_policy_and_the_limit_say_who_may_open_a_session() {
    let (hub, _task, _reloads) = hub();
    let evil = Peer { origin: Some("https://evil".into()), ..Peer::of(Front::WebSocket) };
    assert_eq!(hub.open(evil).await.unwrap_err().reason, Reason::NotAllowed);
    let mut links = Vec::new();
    for _ in 0..3 {
        links.push(hub.open(Peer::of(Front::Socket)).await.unwrap());
    }
    assert_eq!(hub.open(Peer::of(Front::Socket)).await.unwrap_err().reason, Reason::TooManySessions);
    links.pop();
    assert!(hub.open(Peer::of(Front::Socket)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_session_that_the_user_ends_is_told_so() {
    let (hub, _task, _reloads) = hub();
    let mut link = open(&hub, "Ann").await;
    hub.disconnect(link.id, Fault::new(Reason::DisconnectedByUser, "go")).await;
    assert!(matches!(link.inbox.recv().await, Some(ToSession::Close(fault)) if fault.text == "go"));
    assert_eq!(link.inbox.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_status_is_published_when_it_changes() {
    let (hub, _task, _reloads) = hub();
    let mut status = hub.status();
    let _link = open(&hub, "Ann").await;
    let seen = status
        .wait_for(|status| status.clients.iter().any(|client| client.introduction.is_some()))
        .await
        .unwrap()
        .clone();
    assert_eq!(seen.clients.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_stops_all_outputs_before_anyone_is_let_go() {
    let (hub, task, _reloads) = hub();
    let mut device = hub.device_ready(entry(7)).await.unwrap();
    let mut link = open(&hub, "Ann").await;
    let end = tokio::spawn({
        let hub = hub.clone();
        async move { hub.shutdown(Duration::from_secs(5)).await }
    });
    let command = device.commands.recv().await.unwrap();
    assert!(matches!(command, DeviceCommand::Stop { scope: StopScope::All, .. }));
    link.dispatch(vec![set(1, 5)]).await;
    match link.inbox.recv().await {
        Some(ToSession::Answer { outcome: Err(fault), .. }) => assert_eq!(fault.reason, Reason::ShuttingDown),
        other => panic!("{other:?}"),
    }
    assert_eq!(hub.open(Peer::of(Front::Socket)).await.unwrap_err().reason, Reason::ShuttingDown);
    obey(&device, &command).await;
    assert!(
        matches!(link.inbox.recv().await, Some(ToSession::Close(fault)) if fault.reason == Reason::ShuttingDown)
    );
    // What the session may have set is stopped once more, then the device is let go.
    while let Some(command) = device.commands.recv().await {
        if matches!(command, DeviceCommand::Close { .. }) {
            break;
        }
    }
    device.gone(Fault::new(Reason::ShuttingDown, "let go"));
    assert_eq!(end.await.unwrap(), Shutdown::Complete);
    task.await.unwrap();
    assert_eq!(hub.open(Peer::of(Front::Socket)).await.unwrap_err().reason, Reason::ShuttingDown);
}

#[tokio::test(start_paused = true)]
async fn the_end_has_a_limit() {
    let (hub, _task, _reloads) = hub();
    let _device = hub.device_ready(entry(7)).await.unwrap();
    assert_eq!(hub.shutdown(Duration::from_secs(5)).await, Shutdown::OutOfTime);
}

#[tokio::test(start_paused = true)]
async fn everything_can_be_stopped_without_a_session() {
    let (hub, _task, _reloads) = hub();
    assert_eq!(hub.stop_everything().await, Ok(()));
    let mut device = hub.device_ready(entry(7)).await.unwrap();
    let stop = tokio::spawn({
        let hub = hub.clone();
        async move { hub.stop_everything().await }
    });
    let command = device.commands.recv().await.unwrap();
    obey(&device, &command).await;
    assert_eq!(stop.await.unwrap(), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_set_while_the_machine_sleeps() {
    let (hub, _task, _reloads) = hub();
    let mut device = hub.device_ready(entry(7)).await.unwrap();
    let mut link = open(&hub, "Ann").await;
    let answer = |ticket, outcome| Some(ToSession::Answer { ticket: Ticket(ticket), outcome });
    let asleep = tokio::spawn({
        let hub = hub.clone();
        async move { hub.sleep().await }
    });
    let command = device.commands.recv().await.unwrap();
    assert!(matches!(command, DeviceCommand::Stop { scope: StopScope::All, .. }));
    let list = Dispatch { ticket: Ticket(2), command: Command::ListDevices };
    link.dispatch(vec![set(1, 5), list, stop(3)]).await;
    assert_eq!(link.inbox.recv().await, answer(1, Err(super::asleep())));
    assert!(matches!(
        link.inbox.recv().await,
        Some(ToSession::Answer { outcome: Ok(Answer::Devices(_)), .. })
    ));
    obey(&device, &command).await;
    assert_eq!(asleep.await.unwrap(), Ok(()));
    let command = device.commands.recv().await.unwrap();
    obey(&device, &command).await;
    assert_eq!(link.inbox.recv().await, answer(3, Ok(Answer::Done)));

    hub.wake().await;
    link.dispatch(vec![set(4, 5)]).await;
    assert!(matches!(device.commands.recv().await, Some(DeviceCommand::Set { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_reload_is_answered_when_it_is_done() {
    use engine::monitor::MonitorRequest;
    let (hub, _task, mut reloads) = hub();
    let mut link = open(&hub, "Ann").await;
    let reload =
        |ticket| Dispatch { ticket: Ticket(ticket), command: Command::Monitor(MonitorRequest::Reload) };
    link.dispatch(vec![reload(1), reload(2)]).await;
    match link.inbox.recv().await {
        Some(ToSession::Answer { ticket, outcome: Err(fault) }) => {
            assert_eq!((ticket, fault.reason), (Ticket(2), Reason::TooManyRequests));
        }
        other => panic!("{other:?}"),
    }
    reloads.recv().await.unwrap().done(Ok(())).await;
    let answer = ToSession::Answer { ticket: Ticket(1), outcome: Ok(Answer::Done) };
    assert_eq!(link.inbox.recv().await, Some(answer));
}
