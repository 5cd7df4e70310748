//! From the opened path to ready, and to the end.

use super::{
    super::*,
    bench::{check, check_left, model, ms},
};
use crate::{
    fault::{Fault, Reason},
    protocol::{Operation, PluginFault, ProtocolEvent},
};
use std::time::Instant;

#[test]
fn a_device_comes_up_and_closes() {
    check(
        model("v0"),
        "begin -> Ready
         close -> v0=0
         done -> v0 is 0, Gone ShuttingDown",
    );
}

#[test]
fn a_device_that_was_left_running_is_stopped_first() {
    check_left(
        model("v0 s3"),
        Motion::MayRun,
        "begin -> Ready, v0=0
         set #1 v0=5
         fails -> #1 WriteFailed
         at 50 -> v0=0
         done -> v0 is 0, AtRest",
    );
}

#[test]
fn a_closing_device_stops_before_it_unsubscribes_and_has_a_limit() {
    check(
        model("v0"),
        "begin -> Ready
         subscribe #1 -> subscribe
         done -> #1 ok
         set #2 v0=5 -> MayRun, v0=5
         done -> v0 is 5, #2 ok
         read #3 -> read
         close -> #3 ShuttingDown
         data 9 -> v0=0
         set #4 v0=1 -> #4 ShuttingDown
         done -> v0 is 0, AtRest, unsubscribe
         at 2000 -> Gone ShuttingDown",
    );
}

fn begin(now: Instant) -> (Device, Vec<Effect>) {
    let (mut device, mut effects) = (Device::new(DeviceSetup::default(), now), Vec::new());
    device.handle(now, Input::Deadline, &mut effects);
    (device, effects)
}

#[test]
fn bring_up_that_takes_too_long_ends_the_device_and_answers_its_stop() {
    let now = Instant::now();
    let (mut device, mut effects) = begin(now);
    assert_eq!(effects, [Effect::Call(ProtocolEvent::Identify)]);
    assert_eq!(device.deadline(), Some(now + ms(30_000)));
    effects.clear();
    let stop = DeviceCommand::Stop {
        ticket: Some(DeviceTicket(7)),
        scope: StopScope::All,
        cause: StopCause::Global,
    };
    device.handle(now, Input::Command(stop), &mut effects);
    assert_eq!(effects, [], "it is remembered");

    device.handle(now + ms(30_000), Input::Deadline, &mut effects);

    let fault = Fault::new(Reason::BringUpFailed, "the device was not ready in time");
    let answer = DeviceReport::Answered { ticket: DeviceTicket(7), result: Err(fault.clone()) };
    assert_eq!(effects, [Effect::Report(answer), Effect::Gone(fault)]);
    assert_eq!(device.deadline(), None);
}

#[test]
fn a_plugin_that_fails_during_bring_up_ends_the_device() {
    let now = Instant::now();
    let (mut device, mut effects) = begin(now);
    device.handle(now, Input::Called(Err(PluginFault::Unsupported)), &mut effects);
    assert!(matches!(effects.last(), Some(Effect::Gone(Fault { reason: Reason::BringUpFailed, .. }))));
}

#[test]
fn a_protocol_that_hands_over_leaves_no_timer_behind() {
    let now = Instant::now();
    let (mut device, mut effects) = begin(now);
    effects.clear();
    let handed_over = Operation::Identified { protocol: Some("mini".into()), model: "m".into() };
    let operations = vec![Operation::Timer { timer: 1, after_ms: 5 }, handed_over];
    device.handle(now, Input::Called(Ok(operations)), &mut effects);
    device.handle(now + ms(10), Input::Model(model("v0")), &mut effects);
    let identified = Effect::Identified { protocol: Some("mini".into()), model: "m".into() };
    assert_eq!(effects, [identified, Effect::Call(ProtocolEvent::Start)]);
    device.handle(now + ms(10), Input::Called(Ok(vec![Operation::Ready])), &mut effects);
    assert_eq!(effects.last(), Some(&Effect::Ready));
    assert_eq!(device.deadline(), None, "an idle device does not wake");
}
