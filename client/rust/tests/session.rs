//! Sessions with a fake service over a pair of sockets, in virtual time: handshake, matching of answers, pings, streams, and every way
//! in which a session can end. The real service is tried in the whole-system tests.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

mod common;

use std::time::Duration;

use buttplugd_client::{
    Class, Client, Closed, Connect, Error, Event, Extension, InputType, OutputType, Reason,
};
use common::{FakeService, device, id, said, session};
use futures_util::{FutureExt, StreamExt};
use ipc_schema::v4::{
    self, ClientMessage, InputCommand, OutputCommand, OutputValue, Plain, ServerMessage, TimedValue,
};
use tokio::io::AsyncWriteExt;
use tokio::time::Instant;

fn output(message: Option<ClientMessage>) -> v4::OutputCmd {
    match message {
        Some(ClientMessage::OutputCmd(command)) => command,
        other => panic!("{other:?} instead of OutputCmd"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_handshake_asks_for_what_was_wished_and_brings_the_devices() {
    let (mut service, stream) = FakeService::pair();
    let connect = Connect::new("tester").ping_time(Duration::from_millis(1500)).over(stream);
    let known = [device(3)];
    let (client, request) = tokio::join!(connect, service.greet(1500, &known));
    let client = client.unwrap();

    assert_eq!((request.client_name.as_str(), request.protocol_version_major), ("tester", 4));
    assert_eq!(request.extensions.unwrap(), ["error-reason", "ping-time", "rssi"]);
    assert_eq!(request.ping_time, Some(1500));
    assert_eq!(client.ping_deadline(), Some(Duration::from_millis(1500)));
    assert!(client.has(Extension::ErrorReason) && !client.has(Extension::Monitor));
    assert_eq!(client.devices().iter().map(|device| device.index()).collect::<Vec<_>>(), [3]);
    assert_eq!(client.device(3).unwrap().outputs().len(), 4);
    assert!(client.device(0).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refused_handshake_says_why() {
    let (mut service, stream) = FakeService::pair();
    let connect = Connect::new("tester").over(stream);
    let refuse = async {
        let id = id(&service.next().await.unwrap());
        service.error(id, 6, "too-many-sessions").await;
    };
    let (client, ()) = tokio::join!(connect, refuse);
    assert_eq!(said(&client.unwrap_err()), (Class::Limit, Reason::TooManySessions));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_says_nothing_is_given_up() {
    let (_service, stream) = FakeService::pair();
    let error = Connect::new("tester").answer_within(Duration::from_secs(3)).over(stream).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { after } if after == Duration::from_secs(3)), "{error}");
}

#[tokio::test]
async fn a_service_that_is_not_there_is_named_with_its_socket() {
    let error = Connect::new("tester").socket("/nowhere/at/all.sock").connect().await.unwrap_err();
    assert!(
        error.to_string().starts_with("could not connect to buttplugd at /nowhere/at/all.sock: "),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn answers_find_their_requests_in_whatever_order_they_come() {
    let (client, mut service) = session(0, &[device(0), device(1)]).await;
    let (slow, fast) = (client.device(0).unwrap(), client.device(1).unwrap());
    let (slow, fast) = (slow.output(OutputType::Rotate).unwrap(), fast.output(OutputType::Rotate).unwrap());
    let answer = async {
        let first = output(service.next().await);
        let second = output(service.next().await);
        assert_eq!((first.device_index, second.device_index), (0, 1));
        assert_eq!(first.command, OutputCommand::Rotate(OutputValue { value: -10 }));
        service.ok(second.id).await;
        service.error(first.id, 4, "write-failed").await;
    };
    let (slow, fast, ()) = tokio::join!(slow.set(-10), fast.set(10), answer);
    assert_eq!(said(&slow.unwrap_err()), (Class::Device, Reason::WriteFailed));
    fast.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_class_and_a_reason_that_this_library_does_not_know_are_no_obstacle() {
    let (client, mut service) = session(0, &[]).await;
    let answer = async {
        let id = id(&service.next().await.unwrap());
        service.error(id, 99, "struck-by-lightning").await;
    };
    let (result, ()) = tokio::join!(client.start_scanning(), answer);
    let error = result.unwrap_err();
    assert_eq!((error.class(), error.reason()), (Some(Class::Unknown), None));
    assert_eq!(error.to_string(), "it is struck-by-lightning");
}

#[tokio::test(start_paused = true)]
async fn what_an_output_cannot_do_is_never_sent() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let device = client.device(0).unwrap();
    let vibrator = device.output(OutputType::Vibrate).unwrap();
    let stroker = device.output(OutputType::HwPositionWithDuration).unwrap();

    assert!(matches!(
        vibrator.set(21).await,
        Err(Error::ValueOutOfRange { value: 21, least: 0, greatest: 20 })
    ));
    assert!(matches!(vibrator.set(-1).await, Err(Error::ValueOutOfRange { .. })));
    assert!(matches!(vibrator.set_fraction(f64::NAN).await, Err(Error::FractionOutOfRange { .. })));
    assert!(matches!(vibrator.set_fraction(-0.5).await, Err(Error::FractionOutOfRange { least: 0, .. })));
    assert!(matches!(vibrator.move_to(1, Duration::from_secs(1)).await, Err(Error::WrongCommand { .. })));
    assert!(matches!(stroker.set(1).await, Err(Error::WrongCommand { .. })));
    assert!(matches!(
        stroker.move_to(1, Duration::from_millis(49)).await,
        Err(Error::ValueOutOfRange { value: 49, .. })
    ));
    assert!(matches!(device.output(OutputType::Spray), Err(Error::NoSuchOutput(OutputType::Spray))));
    let batch = client.batch().set(&vibrator, 1).unwrap().set(&vibrator, 99);
    assert!(matches!(batch, Err(Error::ValueOutOfRange { .. })));

    drop((client, device, vibrator, stroker));
    assert_eq!(service.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_movement_carries_its_time() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let stroker = client.device(0).unwrap().output(OutputType::HwPositionWithDuration).unwrap();
    let answer = async {
        let command = output(service.next().await);
        assert_eq!(
            command.command,
            OutputCommand::HwPositionWithDuration(TimedValue { value: 500, duration: 250 })
        );
        service.ok(command.id).await;
    };
    let (moved, ()) = tokio::join!(stroker.move_to_fraction(0.5, Duration::from_millis(250)), answer);
    moved.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fraction_becomes_the_step_that_people_expect() {
    let (client, _service) = session(0, &[device(0)]).await;
    let device = client.device(0).unwrap();
    let at = |kind, fraction| device.output(kind).unwrap().value_at(fraction).unwrap();
    for (fraction, value) in [(0.0, 0), (0.001, 1), (0.05, 1), (0.051, 2), (0.5, 10), (0.35, 7), (1.0, 20)] {
        assert_eq!(at(OutputType::Vibrate, fraction), value, "{fraction} of 20 steps");
    }
    for (fraction, value) in [(-1.0, -10), (-0.001, -1), (-0.5, -5), (0.0, 0), (0.55, 6), (1.0, 10)] {
        assert_eq!(at(OutputType::Rotate, fraction), value, "{fraction} of 10 steps each way");
    }
    for (fraction, value) in [(0.0, 0), (0.0001, 0), (0.4999, 500), (1.0, 1000)] {
        assert_eq!(at(OutputType::HwPositionWithDuration, fraction), value, "{fraction} of the way");
    }
}

#[tokio::test(start_paused = true)]
async fn all_vibrators_are_set_in_one_frame() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let device = client.device(0).unwrap();
    let answer = async {
        let frame = service.next_frame().await.unwrap();
        assert_eq!(frame.len(), 2);
        for message in frame {
            let command = output(Some(message));
            assert_eq!(command.command, OutputCommand::Vibrate(OutputValue { value: 10 }));
            service.ok(command.id).await;
        }
    };
    let (set, ()) = tokio::join!(device.vibrate(0.5), answer);
    set.unwrap();
}

#[tokio::test(start_paused = true)]
async fn pings_come_at_a_third_of_the_deadline_and_nothing_else_moves_them() {
    let (client, mut service) = session(900, &[]).await;
    let start = Instant::now();
    for round in 1..=4 {
        let Some(ClientMessage::Ping(ping)) = service.next().await else { panic!("no ping") };
        assert_eq!(start.elapsed().as_millis() / 10, 30 * round, "ping {round}");
        service.ok(ping.id).await;
        // Other traffic between pings.
        let (stopped, ()) = tokio::join!(client.stop_scanning(), async {
            let id = id(&service.next().await.unwrap());
            service.ok(id).await;
        });
        stopped.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_deadline_there_are_no_pings() {
    let (client, mut service) = session(0, &[]).await;
    let silence = tokio::time::timeout(Duration::from_secs(3600), service.next()).await;
    assert!(silence.is_err());
    assert_eq!(client.ping_deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn devices_come_change_and_go_as_events() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let mut events = client.events();
    let mut renamed = device(0);
    renamed.device_display_name = Some("the blue one".into());

    service.devices(0, &[device(0), device(7)]).await;
    service.devices(0, &[renamed.clone(), device(7)]).await;
    service.devices(0, &[renamed]).await;
    service.say(ServerMessage::ScanningFinished(Plain { id: 0 })).await;

    assert!(matches!(events.next().await, Some(Event::DeviceAdded(device)) if device.index() == 7));
    assert!(
        matches!(events.next().await, Some(Event::DeviceChanged(device)) if device.name() == "the blue one")
    );
    match events.next().await {
        Some(Event::DeviceRemoved(device)) => assert!(device.index() == 7 && !device.is_connected()),
        other => panic!("{other:?}"),
    }
    assert!(matches!(events.next().await, Some(Event::ScanningFinished)));
    assert_eq!(client.devices().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_reader_of_events_that_is_far_behind_is_told_what_it_missed() {
    let (client, mut service) = session(0, &[]).await;
    let mut events = client.events();
    for _ in 0..300 {
        service.say(ServerMessage::ScanningFinished(Plain { id: 0 })).await;
    }
    // An answer comes after all of them.
    let answer = async {
        let id = id(&service.next().await.unwrap());
        service.ok(id).await;
    };
    let (scan, ()) = tokio::join!(client.start_scanning(), answer);
    scan.unwrap();
    assert!(matches!(events.next().await, Some(Event::Missed(44))));
    assert!(matches!(events.next().await, Some(Event::ScanningFinished)));
}

fn pressure(device_index: u32, value: u32) -> ServerMessage {
    let reading = v4::Reading::Pressure(v4::ReadingValue { value });
    ServerMessage::InputReading(v4::InputReading { id: 0, device_index, feature_index: 7, reading })
}

/// Takes the next message as an `InputCmd`, answers it, and gives its command.
async fn take_input(service: &mut FakeService) -> InputCommand {
    let Some(ClientMessage::InputCmd(input)) = service.next().await else { panic!("no InputCmd") };
    service.ok(input.id).await;
    input.command
}

#[tokio::test(start_paused = true)]
async fn readings_of_a_subscription_come_as_a_stream_that_ends_with_the_device() {
    let (client, mut service) = session(0, &[device(0), device(1)]).await;
    let input = client.device(0).unwrap().input(InputType::Pressure).unwrap();
    let (readings, asked) = tokio::join!(input.subscribe(), take_input(&mut service));
    let mut readings = readings.unwrap();
    assert_eq!(asked, InputCommand::Subscribe);

    service.say(pressure(1, 5)).await;
    service.say(pressure(0, 700)).await;
    service.say(pressure(0, 701)).await;
    service.devices(0, &[device(1)]).await;
    assert_eq!(readings.next().await, Some(700));
    assert_eq!(readings.next().await, Some(701));
    assert_eq!(readings.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn the_last_stream_of_an_input_ends_its_subscription() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let input = client.device(0).unwrap().input(InputType::Pressure).unwrap();
    let (first, _) = tokio::join!(input.subscribe(), take_input(&mut service));
    let (second, _) = tokio::join!(input.subscribe(), take_input(&mut service));

    drop(first.unwrap());
    assert!(service.next().now_or_never().is_none());
    drop(second.unwrap());
    assert_eq!(take_input(&mut service).await, InputCommand::Unsubscribe);
}

#[tokio::test(start_paused = true)]
async fn a_battery_is_read() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let device = client.device(0).unwrap();
    let answer = async {
        let Some(ClientMessage::InputCmd(input)) = service.next().await else { panic!("no InputCmd") };
        assert_eq!((input.feature_index, input.command), (6, InputCommand::Read));
        service
            .say(ServerMessage::InputReading(v4::InputReading {
                id: input.id,
                device_index: 0,
                feature_index: 6,
                reading: v4::Reading::Battery(v4::ReadingValue { value: 85 }),
            }))
            .await;
    };
    let (battery, ()) = tokio::join!(device.battery(), answer);
    assert_eq!(battery.unwrap(), 85);
}

#[tokio::test(start_paused = true)]
async fn a_stop_overtakes_what_waits_for_answers() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let vibrator = client.device(0).unwrap().output(OutputType::Vibrate).unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..400 {
        let vibrator = vibrator.clone();
        callers.spawn(async move { vibrator.set(5).await });
    }
    for _ in 0..256 {
        output(service.next().await);
    }
    // As many as may be without an answer: the others wait in the library.
    assert!(tokio::time::timeout(Duration::from_secs(1), service.next()).await.is_err());

    let answer = async {
        let Some(ClientMessage::StopCmd(stop)) = service.next().await else { panic!("the stop had to wait") };
        assert_eq!((stop.device_index, stop.outputs, stop.inputs), (None, true, false));
        service.ok(stop.id).await;
    };
    let (stopped, ()) = tokio::join!(client.stop_all(), answer);
    stopped.unwrap();
}

#[tokio::test(start_paused = true)]
async fn requests_given_up_make_room_for_others() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let vibrator = client.device(0).unwrap().output(OutputType::Vibrate).unwrap();
    let mut callers = tokio::task::JoinSet::new();
    for _ in 0..256 {
        let vibrator = vibrator.clone();
        callers.spawn(async move { vibrator.set(5).await });
    }
    for _ in 0..256 {
        output(service.next().await);
    }
    callers.shutdown().await;
    let answer = async {
        let command = output(service.next().await);
        service.ok(command.id).await;
    };
    let (set, ()) = tokio::join!(vibrator.set(6), answer);
    set.unwrap();
}

#[tokio::test(start_paused = true)]
async fn when_the_service_goes_away_everybody_is_told() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let mut events = client.events();
    let waits = async {
        let id = id(&service.next().await.unwrap());
        assert_ne!(id, 0);
        drop(service);
    };
    let (waiting, ()) = tokio::join!(client.start_scanning(), waits);
    assert!(matches!(waiting, Err(Error::Closed(Closed::ByServer))), "{waiting:?}");
    assert!(matches!(events.next().await, Some(Event::DeviceRemoved(_))));
    assert!(matches!(events.next().await, Some(Event::Closed(Closed::ByServer))));
    assert!(events.next().await.is_none());

    assert_eq!(client.closed().await, Closed::ByServer);
    assert!(client.devices().is_empty());
    assert!(matches!(client.stop_all().await, Err(Error::Closed(Closed::ByServer))));
    let mut late = client.events();
    assert!(matches!(late.next().await, Some(Event::Closed(Closed::ByServer))));
    assert!(late.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn what_the_service_said_before_it_closed_is_the_reason() {
    let (client, mut service) = session(0, &[]).await;
    service.error(0, 2, "ping-missed").await;
    drop(service);
    match client.closed().await {
        Closed::Refused(error) => {
            assert_eq!((error.class, error.reason), (Class::Ping, Some(Reason::PingMissed)))
        }
        other => panic!("{other:?}"),
    }
    let error = client.start_scanning().await.unwrap_err();
    assert_eq!(said(&error), (Class::Ping, Reason::PingMissed));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_no_frame_ends_the_session() {
    let (client, mut service) = session(0, &[]).await;
    service.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n").await.unwrap();
    assert!(matches!(client.closed().await, Closed::Broken(_)));

    let (client, mut service) = session(0, &[]).await;
    service.stream.write_all(&[9, 0, 0, 0, 1]).await.unwrap();
    drop(service);
    assert!(matches!(client.closed().await, Closed::Broken(_)));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_understood_fails_its_request_alone() {
    let (client, mut service) = session(0, &[]).await;
    let answer = async {
        let id = id(&service.next().await.unwrap());
        // [{"Nonsense": {"Id": id}}]
        let mut bytes = b"\x10\x00\x00\x00\x91\x81\xa8Nonsense\x81\xa2Id".to_vec();
        bytes.push(u8::try_from(id).unwrap());
        service.stream.write_all(&bytes).await.unwrap();
    };
    let (scan, ()) = tokio::join!(client.start_scanning(), answer);
    assert!(matches!(scan, Err(Error::Unexpected(_))), "{scan:?}");

    let answer = async {
        let id = id(&service.next().await.unwrap());
        service.devices(id, &[]).await;
    };
    let (scan, ()) = tokio::join!(client.start_scanning(), answer);
    assert!(matches!(scan, Err(Error::Unexpected(_))), "{scan:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_does_not_come_is_given_up_and_may_come_late() {
    let (client, mut service) = session(0, &[]).await;
    let start = Instant::now();
    let error = client.start_scanning().await.unwrap_err();
    assert!(matches!(error, Error::TimedOut { .. }));
    assert_eq!(start.elapsed().as_secs(), 30);

    let late = id(&service.next().await.unwrap());
    service.ok(late).await;
    let answer = async {
        let id = id(&service.next().await.unwrap());
        service.ok(id).await;
    };
    let (scan, ()) = tokio::join!(client.stop_scanning(), answer);
    scan.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_dropped_session_closes_the_connection_after_its_last_words() {
    let (client, mut service) = session(0, &[device(0)]).await;
    let device = client.device(0).unwrap();
    drop(client);
    {
        let mut set = Box::pin(device.vibrate(1.0));
        assert!((&mut set).now_or_never().is_none());
    }
    drop(device);
    assert_eq!(service.next_frame().await.unwrap().len(), 2);
    assert_eq!(service.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_session_is_disconnected_in_good_order() {
    let (client, mut service) = session(0, &[]).await;
    let answer = async {
        let Some(ClientMessage::Disconnect(Plain { id })) = service.next().await else {
            panic!("no Disconnect")
        };
        service.ok(id).await;
    };
    let (disconnected, ()) = tokio::join!(client.disconnect(), answer);
    disconnected.unwrap();
    assert_eq!(service.next().await, None);
}

#[tokio::test(start_paused = true)]
async fn changes_of_outputs_are_events() {
    let (client, mut service): (Client, _) = session(0, &[device(0)]).await;
    let state = v4::OutputState {
        device_index: 0,
        feature_index: 0,
        output: OutputType::Vibrate,
        wanted: Some(5),
        confirmed: None,
        session_id: Some(2),
    };
    let answer = async {
        let Some(ClientMessage::SubscribeOutputs(Plain { id })) = service.next().await else {
            panic!("nothing")
        };
        service.ok(id).await;
        let outputs = v4::Outputs { id: 0, outputs: vec![state.clone()] };
        service.say(ServerMessage::OutputsChanged(outputs)).await;
    };
    let mut events = client.events();
    let (subscribed, ()) = tokio::join!(client.subscribe_outputs(), answer);
    subscribed.unwrap();
    assert!(matches!(events.next().await, Some(Event::OutputsChanged(states)) if *states == [state]));
}
