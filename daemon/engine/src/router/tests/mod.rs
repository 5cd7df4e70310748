//! The router in virtual time: transcripts of what happens and what comes of it.
//!
//! A transcript is text. Lines of input are words; see `input` below. Under each stand all its effects, in order, as lines that
//! begin with `=`. Nothing may be missing or left over.

mod driving;
mod people;
mod stopping;

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use ipc_schema::{error::Reason, version::SpecVersion};

use super::*;
use crate::{
    client::Front,
    command::{Answer, Command, Setting, StopTarget, StopWhat},
    definition::{
        model::{Output, OutputRule},
        scale::OutputScale,
    },
    device::{StopCause, StopScope},
    monitor::{Anonymity, Finds, MonitorRequest, TransportState},
    protocol::InputWish,
    view::{DeviceView, FeatureView, InputView, InputWays, OutputView},
    vocabulary::{FeatureIndex, InputKind, OutputKind, Range},
};

/// Runs a transcript with two sessions, 1 (Ann) and 2 (Bob), and one device, 7.
pub(super) fn check(transcript: &str) {
    let mut router = Router::new(Instant::now());
    let mut effects = Vec::new();
    for line in ["connect 1", "open 1 Ann", "connect 2", "open 2 Bob", "ready 7"] {
        input(&mut router, Instant::now(), line, &mut effects);
    }
    run(&mut router, transcript);
}

/// Runs a transcript from nothing.
pub(super) fn check_bare(transcript: &str) {
    run(&mut Router::new(Instant::now()), transcript);
}

fn run(router: &mut Router, transcript: &str) {
    let mut now = Instant::now();
    let mut seen = String::new();
    let lines = || transcript.lines().map(str::trim).filter(|line| !line.is_empty());
    for line in lines().filter(|line| !line.starts_with('=')) {
        seen.push_str(line);
        seen.push('\n');
        let mut effects = Vec::new();
        if let Some(wait) = line.strip_prefix("+ ") {
            now += Duration::from_millis(wait.parse().unwrap());
            if router.deadline().is_some_and(|due| due <= now) {
                router.handle(now, Input::Deadline, &mut effects);
            }
        } else {
            input(router, now, line, &mut effects);
        }
        for effect in effects {
            writeln!(seen, "= {}", shown(&effect)).unwrap();
        }
    }
    let wanted: String = lines().flat_map(|line| [line, "\n"]).collect();
    assert!(seen == wanted, "wanted:\n{wanted}\nseen:\n{seen}");
}

/// Hands in one line:
/// `connect S`, `open S NAME`, `close S`, `S COMMAND; COMMAND` with tickets, `outside T`, `ready D`, `gone D`,
/// `D ok|value N|fault TICKET`, `confirm D OUTPUT=N`, `reading D F KIND N`, `bus NAME STATE`, `found-all NAME`.
fn input(router: &mut Router, now: Instant, line: &str, effects: &mut Vec<Effect>) {
    let words: Vec<&str> = line.split(' ').collect();
    let fault = || Fault::new(Reason::WriteFailed, "because");
    let input = match words[..] {
        ["connect", session] => Input::SessionConnected {
            session: SessionId(number(session)),
            peer: Arc::new(Peer::of(Front::Socket)),
        },
        ["open", session, name] => Input::SessionOpened {
            session: SessionId(number(session)),
            introduction: Introduction {
                client_name: name.into(),
                version: SpecVersion::V4,
                ping_limit: None,
            },
        },
        ["close", session] => Input::SessionClosed { session: SessionId(number(session)) },
        ["outside", ticket] => Input::StopEverything { ticket: OutsideTicket(number(ticket)) },
        ["ready", device] => Input::DeviceReady(entry(number(device))),
        ["gone", device] => Input::DeviceGone {
            device: DeviceIndex(number(device)),
            fault: Fault::new(Reason::DeviceLost, "out of reach"),
        },
        ["bus", transport, state] => Input::Transport(TransportStatus {
            transport: bus(transport),
            finds: Finds::WhenAsked,
            state: match state {
                "ready" => TransportState::Ready,
                "off" => TransportState::Off,
                other => panic!("{other}"),
            },
            reason: String::new(),
            hint: String::new(),
        }),
        ["found-all", transport] => Input::ScanEnded { transport: bus(transport) },
        ["answer", device, ticket, "ok"] => answered(device, ticket, Ok(None)),
        ["answer", device, ticket, "value", value] => answered(device, ticket, Ok(Some(number(value)))),
        ["answer", device, ticket, "fault"] => answered(device, ticket, Err(fault())),
        ["confirm", device, feature, kind, value] => Input::Report {
            device: DeviceIndex(number(device)),
            report: DeviceReport::Output {
                feature: FeatureIndex(number(feature)),
                kind: output_kind(kind),
                value: number(value),
            },
        },
        ["line", device, line] => Input::Report {
            device: DeviceIndex(number(device)),
            report: DeviceReport::Recorded([line.to_owned()].into()),
        },
        ["reading", device, feature, kind, value] => Input::Report {
            device: DeviceIndex(number(device)),
            report: DeviceReport::Reading {
                feature: FeatureIndex(number(feature)),
                kind: input_kind(kind),
                value: number(value),
            },
        },
        [session, ..] => Input::Commands {
            session: SessionId(number(session)),
            dispatches: line[session.len()..]
                .split(';')
                .map(|command| {
                    let words: Vec<&str> = command.split_whitespace().collect();
                    Dispatch { ticket: Ticket(number(words[0])), command: self::command(&words[1..]) }
                })
                .collect(),
        },
        [] => panic!("an empty line"),
    };
    router.handle(now, input, effects);
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(word: &str) -> T {
    word.parse().unwrap_or_else(|error| panic!("{word}: {error:?}"))
}

fn bus(name: &str) -> &'static str {
    ["bluetooth", "serial"].into_iter().find(|known| *known == name).unwrap()
}

fn answered(device: &str, ticket: &str, result: Result<Option<i32>, Fault>) -> Input {
    let report = DeviceReport::Answered { ticket: DeviceTicket(number(ticket)), result };
    Input::Report { device: DeviceIndex(number(device)), report }
}

fn command(words: &[&str]) -> Command {
    let device = |word: &str| DeviceIndex(number(word));
    let feature = |word: &str| FeatureIndex(number(word));
    match *words {
        ["scan"] => Command::StartScanning,
        ["stop-scan"] => Command::StopScanning,
        ["list"] => Command::ListDevices,
        ["set", on, ref settings @ ..] => Command::SetOutputs {
            device: device(on),
            settings: settings.iter().map(|word| setting(word)).collect(),
        },
        ["unlisted", on] => Command::Unlisted { device: device(on) },
        ["stop"] => Command::Stop { target: StopTarget::Everything, what: StopWhat::Both },
        ["stop", on] => Command::Stop { target: StopTarget::Device(device(on)), what: StopWhat::Both },
        ["stop-nothing"] => Command::Stop { target: StopTarget::Everything, what: StopWhat::Nothing },
        ["stop-outputs", on, of] => {
            Command::Stop { target: StopTarget::Feature(device(on), feature(of)), what: StopWhat::Outputs }
        }
        ["stop-inputs", on] => {
            Command::Stop { target: StopTarget::Device(device(on)), what: StopWhat::Inputs }
        }
        [wish @ ("read" | "subscribe" | "unsubscribe"), on, of, kind] => Command::Input {
            device: device(on),
            feature: feature(of),
            kind: input_kind(kind),
            wish: match wish {
                "read" => InputWish::Read,
                "subscribe" => InputWish::Subscribe,
                _ => InputWish::Unsubscribe,
            },
        },
        ["reserve", on] => Command::Reserve { device: device(on), feature: None },
        ["reserve", on, of] => Command::Reserve { device: device(on), feature: Some(feature(of)) },
        ["release", on] => Command::Release { device: device(on), feature: None },
        ["record", on] => Command::Monitor(MonitorRequest::Record(device(on), Anonymity::Kept)),
        ["end-record", on] => Command::Monitor(MonitorRequest::EndRecording(device(on))),
        ["watch"] => Command::Monitor(MonitorRequest::WatchOutputs),
        ["disconnect", session] => Command::Monitor(MonitorRequest::Disconnect(SessionId(number(session)))),
        _ => panic!("{words:?}"),
    }
}

/// `FEATURE.KIND=VALUE`, or `FEATURE.KIND=VALUE/DURATION`.
fn setting(word: &str) -> Setting {
    let (output, value) = word.split_once('=').unwrap();
    let (feature, kind) = output.split_once('.').unwrap();
    let (value, duration) = value.split_once('/').map_or((value, None), |(value, time)| (value, Some(time)));
    Setting {
        feature: FeatureIndex(number(feature)),
        kind: output_kind(kind),
        value: number(value),
        duration_ms: duration.map(number),
    }
}

fn output_kind(name: &str) -> OutputKind {
    OutputKind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or_else(|| panic!("{name}"))
}

fn input_kind(name: &str) -> InputKind {
    [InputKind::Battery, InputKind::Pressure].into_iter().find(|kind| kind.name() == name).unwrap()
}

/// A device with a vibrator of 20 steps (feature 0, limited by the user to 10 to 15 of the device's own), a rotator that the
/// user has inverted (1), a mover (2), a vibrator that is switched off (3), a battery (4) and a pressure gauge (5).
pub(super) fn entry(index: u32) -> DeviceEntry {
    use OutputKind::{PositionWithDuration, Rotate, Vibrate};
    let shown = |kind, range, duration_ms| vec![OutputView { kind, range, duration_ms }];
    let feature = |index, outputs, inputs| FeatureView {
        index: FeatureIndex(index),
        description: String::new(),
        outputs,
        inputs,
    };
    let input = |kind, ways| vec![InputView { kind, ranges: vec![Range::new(0, 100)], ways }];
    let view = DeviceView {
        index: DeviceIndex(index),
        name: "Toy".into(),
        display_name: None,
        message_gap_ms: 0,
        features: vec![
            feature(0, shown(Vibrate, Range::new(0, 5), None), vec![]),
            feature(1, shown(Rotate, Range::new(-20, 20), None), vec![]),
            feature(2, shown(PositionWithDuration, Range::new(0, 100), Some((10, 5000))), vec![]),
            feature(4, vec![], input(InputKind::Battery, InputWays::Read)),
            feature(5, vec![], input(InputKind::Pressure, InputWays::Both)),
        ],
    };
    let output = |feature, kind, hardware: (i32, i32), rule: Option<OutputRule>| {
        let output = Output {
            range: Range::new(hardware.0, hardware.1),
            duration_ms: (kind == PositionWithDuration).then_some((10, 5000)),
            on_stop: None,
        };
        let scale = OutputScale::new(kind, &output, rule.as_ref()).unwrap();
        OutputEntry { feature: FeatureIndex(feature), kind, scale }
    };
    let rule =
        |kind| OutputRule { feature: 0, kind, range: None, duration_ms: None, disabled: false, invert: true };
    let limited = OutputRule { range: Some(Range::new(10, 15)), invert: false, ..rule(Vibrate) };
    let disabled = OutputRule { disabled: true, invert: false, ..rule(Vibrate) };
    DeviceEntry {
        view: Arc::new(view),
        transport: "simulated",
        protocol: "toy".into(),
        outputs: vec![
            output(0, Vibrate, (0, 20), Some(limited)),
            output(1, Rotate, (-20, 20), Some(rule(Rotate))),
            output(2, PositionWithDuration, (0, 100), Some(rule(PositionWithDuration))),
            output(3, Vibrate, (0, 20), Some(disabled)),
        ],
    }
}

fn shown(effect: &Effect) -> String {
    match effect {
        Effect::Device { device, command } => format!("{device}: {}", shown_command(command)),
        Effect::Answer { session, ticket, outcome: Ok(answer) } => {
            let answer = match answer {
                Answer::Done => "ok".into(),
                Answer::Devices(devices) => format!("devices {:?}", devices.keys().collect::<Vec<_>>()),
                Answer::Reading(reading) => format!("{} {}", reading.kind.name(), reading.value),
                Answer::Monitor(_) => "monitor".into(),
            };
            format!("{session} {ticket} {answer}")
        }
        Effect::Answer { session, ticket, outcome: Err(fault) } => {
            format!("{session} {ticket} {}: {fault}", fault.reason)
        }
        Effect::Event { session, event } => {
            let event = match event {
                Event::DeviceAdded { device, .. } => format!("added {}", device.index),
                Event::DeviceRemoved { device, .. } => format!("removed {device}"),
                Event::Reading(reading) => format!("reading {} {}", reading.kind.name(), reading.value),
                Event::ScanningFinished => "finished".into(),
                Event::Recorded { device, lines } => format!("recorded {device} {}", lines.join(", ")),
                Event::OutputsChanged(outputs) => {
                    let outputs: Vec<String> = outputs
                        .iter()
                        .map(|state| {
                            let value =
                                |value: Option<i32>| value.map_or("?".into(), |value| value.to_string());
                            format!(
                                "{}.{} wanted {} is {} of {:?}",
                                state.output.device,
                                state.output.kind.name(),
                                value(state.wanted),
                                value(state.confirmed),
                                state.owner.map(|owner| owner.0)
                            )
                        })
                        .collect();
                    outputs.join(", ")
                }
            };
            format!("{session} hears {event}")
        }
        Effect::EndSession { session, fault } => format!("end {session} {}", fault.reason),
        Effect::Stopped { ticket, outcome } => {
            let outcome = outcome.as_ref().map_or_else(ToString::to_string, |()| "ok".into());
            format!("outside {} {outcome}", ticket.0)
        }
        Effect::Scan(wish) => format!("{wish:?}"),
        Effect::Record { device, recording } => format!("record {device} {recording:?}"),
        Effect::Reload { session, ticket } => format!("reload for {session} {ticket}"),
    }
}

fn shown_command(command: &DeviceCommand) -> String {
    match command {
        DeviceCommand::Set { ticket, values } => {
            let values: Vec<String> = values
                .iter()
                .map(|set| match set.duration_ms {
                    0 => format!("{}.{}={}", set.feature, set.kind.name(), set.value),
                    time => format!("{}.{}={}/{time}", set.feature, set.kind.name(), set.value),
                })
                .collect();
            format!("{} set {}", ticket.0, values.join(" "))
        }
        DeviceCommand::Stop { ticket, scope, cause } => {
            let scope = match scope {
                StopScope::All => "all".into(),
                StopScope::Feature(feature) => format!("feature {feature}"),
                StopScope::Outputs(outputs) => {
                    let outputs: Vec<String> =
                        outputs.iter().map(|(feature, kind)| format!("{feature}.{}", kind.name())).collect();
                    outputs.join(" ")
                }
            };
            let cause = match cause {
                StopCause::Addressed => "addressed",
                StopCause::Global => "global",
                StopCause::OwnerGone => "owner gone",
            };
            format!("{} stop {scope}, {cause}", shown_ticket(*ticket))
        }
        DeviceCommand::Input { ticket, feature, kind, wish } => {
            format!("{} {wish:?} {feature}.{}", shown_ticket(*ticket), kind.name())
        }
        DeviceCommand::Close { reason } => format!("close {reason}"),
    }
}

fn shown_ticket(ticket: Option<DeviceTicket>) -> String {
    ticket.map_or("-".into(), |ticket| ticket.0.to_string())
}
