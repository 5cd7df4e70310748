//! Sessions in virtual time: transcripts of what comes in and what goes out.
//!
//! A transcript is text. Lines of input: `> frame`, `ask ID REQUEST`, `answer TICKET OUTCOME`, `event NAME`, `+ MILLISECONDS`, `closing
//! REASON`, `gone`. Under each stand all its effects, in order: `< frame`, `= what else`. Nothing may be missing or left over.

mod conversation;
mod handshake;
mod random;

use std::{
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use ipc_schema::{codec, error::Reason, extension::Extensions, version::SpecVersion};

use super::*;
use crate::{
    command::{Answer, Command, Reading, StopTarget},
    view::{DeviceView, FeatureView, OutputView},
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range},
};

/// Runs a transcript in a session with these settings.
pub(super) fn check_with(settings: Settings, form: Form, transcript: &str) {
    let start = Instant::now();
    let mut now = start;
    let mut session = Session::new(settings, form, DeviceList::default(), now);
    let mut seen = String::new();
    for line in transcript.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('<') || line.starts_with('=') {
            continue;
        }
        seen.push_str(line);
        seen.push('\n');
        let mut effects = Vec::new();
        if let Some(wait) = line.strip_prefix("+ ") {
            let until = now + Duration::from_millis(wait.parse().unwrap());
            // The loop around a session calls it exactly at its deadline.
            while let Some(due) = session.deadline().filter(|due| *due <= until) {
                session.handle(due, Input::Deadline, &mut effects);
            }
            now = until;
        } else {
            input(&mut session, now, line, &mut effects);
        }
        for effect in effects {
            writeln!(seen, "{}", shown(&effect)).unwrap();
        }
    }
    let wanted: String = transcript
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(seen == wanted, "wanted:\n{wanted}\nseen:\n{seen}");
}

/// Runs a transcript in a session of JSON with the default settings.
pub(super) fn check(transcript: &str) {
    check_with(settings(), Form::Bytes(codec::Encoding::Json), transcript);
}

/// Settings whose deadlines do not disturb.
pub(super) fn settings() -> Settings {
    Settings {
        server_name: Arc::from("test"),
        ping_limit: None,
        extensions: Extensions::all(),
        limits: Limits { time_to_handshake: None, ..Limits::default() },
    }
}

fn input(session: &mut Session, now: Instant, line: &str, effects: &mut Vec<Effect>) {
    let words: Vec<&str> = line.split(' ').collect();
    match words[..] {
        [">", ..] => session.handle(now, Input::Frame(&line.as_bytes()[2..]), effects),
        ["ask", id, request] => {
            let id = RequestId(id.parse().unwrap());
            let request = match request {
                "hello" => Request::Hello(Hello {
                    client_name: "typed".into(),
                    version: SpecVersion::V4,
                    extensions: vec!["reserve".into()],
                    ping_time: None,
                }),
                "ping" => Request::Ping,
                "list" => Request::Command(Command::ListDevices),
                other => panic!("{other}"),
            };
            session.handle(now, Input::Ask { id, request }, effects);
        }
        ["answer", ticket, ref outcome @ ..] => {
            let outcome = match outcome[..] {
                ["ok"] => Ok(Answer::Done),
                ["devices"] => Ok(Answer::Devices(devices())),
                ["battery", value] => Ok(Answer::Reading(battery(value.parse().unwrap()))),
                [reason] => Err(Fault::new(Reason::parse(reason).unwrap(), "because")),
                _ => panic!("{line}"),
            };
            session.handle(now, Input::Answer { ticket: Ticket(ticket.parse().unwrap()), outcome }, effects);
        }
        ["event", "added"] => {
            let device = devices().values().next().unwrap().clone();
            session.handle(now, Input::Event(Event::DeviceAdded { device, devices: devices() }), effects);
        }
        ["event", "removed"] => {
            let event = Event::DeviceRemoved { device: DeviceIndex(7), devices: DeviceList::default() };
            session.handle(now, Input::Event(event), effects);
        }
        ["event", "battery", value] => {
            session.handle(now, Input::Event(Event::Reading(battery(value.parse().unwrap()))), effects);
        }
        ["event", "finished"] => session.handle(now, Input::Event(Event::ScanningFinished), effects),
        ["stopped", id, ref outcome @ ..] => {
            let outcome = match outcome[..] {
                ["ok"] => Ok(()),
                [reason] => Err(Fault::new(Reason::parse(reason).unwrap(), "because")),
                _ => panic!("{line}"),
            };
            session.handle(now, Input::Stopped { id: RequestId(id.parse().unwrap()), outcome }, effects);
        }
        ["closing", reason] => {
            let fault = Fault::new(Reason::parse(reason).unwrap(), "because");
            session.handle(now, Input::Closing(fault), effects);
        }
        ["gone"] => session.handle(now, Input::Gone, effects),
        _ => panic!("no such line: {line}"),
    }
}

fn battery(value: i32) -> Reading {
    Reading { device: DeviceIndex(7), feature: FeatureIndex(1), kind: InputKind::Battery, value }
}

/// One device: index 7, one vibrator of 20 steps.
pub(super) fn devices() -> DeviceList {
    let view = DeviceView {
        index: DeviceIndex(7),
        name: "Toy".into(),
        display_name: None,
        message_gap_ms: 75,
        features: vec![FeatureView {
            index: FeatureIndex(0),
            description: String::new(),
            outputs: vec![OutputView {
                kind: OutputKind::Vibrate,
                range: Range::new(0, 20),
                duration_ms: None,
            }],
            inputs: vec![],
        }],
    };
    Arc::new([(DeviceIndex(7), Arc::new(view))].into())
}

fn shown(effect: &Effect) -> String {
    match effect {
        Effect::Send(payload) => format!("< {}", String::from_utf8_lossy(payload)),
        Effect::Tell(Told::Welcome { id, welcome }) => {
            format!("= welcome {id} {} {:?}", welcome.version, welcome.extensions)
        }
        Effect::Tell(Told::Reply { id, outcome: Ok(answer) }) => format!("= reply {id} {answer:?}"),
        Effect::Tell(Told::Reply { id, outcome: Err(fault) }) => format!("= reply {id} {}", fault.reason),
        Effect::Tell(Told::Echo { id, text }) => format!("= echo {id} {text}"),
        Effect::Tell(Told::Event(event)) => format!("= event {event:?}"),
        Effect::Opened(said) => {
            format!("= opened {:?} {} ping {:?}", said.client_name, said.version, said.ping_limit)
        }
        Effect::Dispatch(dispatches) => {
            let commands: Vec<String> = dispatches
                .iter()
                .map(|dispatch| format!("{} {}", dispatch.ticket, shown_command(&dispatch.command)))
                .collect();
            format!("= dispatch {}", commands.join(", "))
        }
        Effect::StopEverything { id } => format!("= stop everything for {id}"),
        Effect::Closed(End::Disconnected) => "= closed by the client".into(),
        Effect::Closed(End::Gone) => "= gone".into(),
        Effect::Closed(End::Fault(fault)) => format!("= closed {}", fault.reason),
    }
}

fn shown_command(command: &Command) -> String {
    match command {
        Command::StartScanning => "scan".into(),
        Command::StopScanning => "stop-scan".into(),
        Command::ListDevices => "list".into(),
        Command::SetOutputs { device, settings } => {
            let settings: Vec<String> = settings
                .iter()
                .map(|set| format!("{}.{}.{}={}", device, set.feature, set.kind.name(), set.value))
                .collect();
            format!("set {}", settings.join("+"))
        }
        Command::Stop { target, what } => match target {
            StopTarget::Everything => format!("stop all {what:?}"),
            StopTarget::Device(device) => format!("stop {device} {what:?}"),
            StopTarget::Feature(device, feature) => format!("stop {device}.{feature} {what:?}"),
        },
        Command::Input { device, feature, kind, wish } => {
            format!("{wish:?} {device}.{feature}.{}", kind.name())
        }
        other => format!("{other:?}"),
    }
}
