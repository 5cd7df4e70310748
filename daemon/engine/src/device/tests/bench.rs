//! A device with a plugin of a dozen lines, driven by a script in virtual time.
//!
//! Outputs are named by a letter and the index of their feature: `v0` vibrates, `p2` is a position, `t2` a position with
//! duration, `s3` a spray that a stop leaves, `o4` oscillates and is stopped by two packets 100 ms apart. Input `b9` is a battery, `signal` the
//! strength of the signal where the model has it. The plugin writes one packet for each value, moves `t` in
//! two steps by a timer, and reads the battery from endpoint `rx`.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    sync::Arc,
    time::{Duration, Instant},
};

use super::super::*;
use crate::{
    fault::Reason,
    protocol::{Endpoint, InputWish, Operation, OutputValue, PluginFault, ProtocolEvent, WriteKind},
    vocabulary::{FeatureIndex, InputKind, OutputKind},
};

pub(super) const BATTERY: (FeatureIndex, InputKind) = (FeatureIndex(9), InputKind::Battery);
pub(super) const SIGNAL: (FeatureIndex, InputKind) = (FeatureIndex(10), InputKind::Rssi);
const MOVE: u32 = 1;
const OFF: u32 = 2;

pub(super) fn endpoint(name: &str) -> Endpoint {
    Arc::from(name)
}

fn letter(kind: OutputKind) -> char {
    match kind {
        OutputKind::Vibrate => 'v',
        OutputKind::Position => 'p',
        OutputKind::PositionWithDuration => 't',
        OutputKind::Spray => 's',
        OutputKind::Oscillate => 'o',
        other => panic!("the bench has no {other:?}"),
    }
}

pub(super) fn output(name: &str) -> (FeatureIndex, OutputKind) {
    let (letter, index) = name.split_at(1);
    let kind = match letter {
        "v" => OutputKind::Vibrate,
        "p" => OutputKind::Position,
        "t" => OutputKind::PositionWithDuration,
        "s" => OutputKind::Spray,
        "o" => OutputKind::Oscillate,
        other => panic!("no output is called {other}"),
    };
    (FeatureIndex(index.parse().unwrap()), kind)
}

pub(super) fn value(text: &str) -> OutputValue {
    let (name, value) = text.split_once('=').unwrap();
    let (feature, kind) = output(name);
    let duration_ms = if kind == OutputKind::PositionWithDuration { 100 } else { 0 };
    OutputValue { feature, kind, value: value.parse().unwrap(), duration_ms }
}

/// The plugin of the bench.
#[derive(Debug, Default)]
pub(super) struct Plugin {
    timed: BTreeMap<FeatureIndex, i32>,
    pub(super) health: Health,
}

/// Whether the plugin of the bench works.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Health {
    #[default]
    Well,
    /// It answers one more stop.
    Rescues,
    Broken,
}

impl Plugin {
    pub(super) fn call(&mut self, event: ProtocolEvent) -> Result<Vec<Operation>, PluginFault> {
        match (self.health, &event) {
            (Health::Well, _) => {}
            (Health::Rescues, ProtocolEvent::Stop(_)) => self.health = Health::Broken,
            (Health::Rescues | Health::Broken, _) => return Err(PluginFault::Panicked),
        }
        let write = |text: String| Operation::Write {
            endpoint: endpoint("tx"),
            data: text.into_bytes(),
            kind: WriteKind::WithoutResponse,
        };
        let of =
            |value: &OutputValue| write(format!("{}{}={}", letter(value.kind), value.feature, value.value));
        Ok(match event {
            ProtocolEvent::Identify => vec![Operation::Identified { protocol: None, model: "bench".into() }],
            ProtocolEvent::Start => vec![Operation::Ready],
            ProtocolEvent::Output(set) => {
                let mut operations: Vec<Operation> = set.iter().map(of).collect();
                for value in set.iter().filter(|value| value.kind == OutputKind::PositionWithDuration) {
                    self.timed.insert(value.feature, value.value);
                    operations.push(Operation::Timer { timer: MOVE, after_ms: value.duration_ms });
                }
                operations
            }
            ProtocolEvent::Stop(set) => {
                let mut operations = Vec::new();
                for value in &set {
                    if value.kind.is_position() {
                        self.timed.remove(&value.feature);
                        operations.push(Operation::Timer { timer: MOVE, after_ms: 0 });
                    } else {
                        operations.push(of(value));
                    }
                    if value.kind == OutputKind::Oscillate {
                        operations.push(Operation::Timer { timer: OFF, after_ms: 100 });
                    }
                }
                operations
            }
            ProtocolEvent::Timer { timer: OFF } => vec![write("off".into())],
            ProtocolEvent::Timer { .. } => std::mem::take(&mut self.timed)
                .into_iter()
                .map(|(feature, to)| write(format!("step{feature}={to}")))
                .collect(),
            ProtocolEvent::Input { wish: InputWish::Read, .. } => {
                vec![Operation::Read { endpoint: endpoint("rx"), max_len: 1 }]
            }
            ProtocolEvent::Input { wish: InputWish::Subscribe, .. } => {
                vec![Operation::Subscribe { endpoint: endpoint("rx") }]
            }
            ProtocolEvent::Input { wish: InputWish::Unsubscribe, .. } => {
                vec![Operation::Unsubscribe { endpoint: endpoint("rx") }]
            }
            ProtocolEvent::ReadDone { data, .. } | ProtocolEvent::Notified { data, .. } => {
                let (feature, kind) = BATTERY;
                vec![Operation::Reading { feature, kind, value: i32::from(data[0]) }]
            }
            ProtocolEvent::ReadFailed { .. } => {
                let (feature, kind) = BATTERY;
                vec![Operation::InputFailed { feature, kind }]
            }
            ProtocolEvent::WriteFailed { .. } => Vec::new(),
            ProtocolEvent::KeepAlive => return Err(PluginFault::Unsupported),
        })
    }
}

/// Outputs by their names, `v0 v1 t2`.
pub(super) fn model(outputs: &str) -> ModelSetup {
    let setup = |name: &str| {
        let (feature, kind) = output(name);
        let on_stop = if kind == OutputKind::Spray { OnStop::Leave } else { OnStop::Rest };
        OutputSetup { feature, kind, rest: 0, on_stop }
    };
    ModelSetup {
        outputs: outputs.split_whitespace().map(setup).collect(),
        inputs: vec![InputSetup { feature: BATTERY.0, kind: BATTERY.1 }],
        ..ModelSetup::default()
    }
}

pub(super) const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// A device, its plugin, the time, and what has happened since it was last looked at.
pub(super) struct Bench {
    pub(super) device: Device,
    pub(super) plugin: Plugin,
    pub(super) now: Instant,
    start: Instant,
    model: ModelSetup,
    pub(super) in_flight: Option<Transfer>,
    /// Everything, as words.
    pub(super) trace: Vec<String>,
    /// Everything, as it was.
    pub(super) effects: Vec<Effect>,
}

impl Bench {
    pub(super) fn new(mut model: ModelSetup, left: Motion) -> Self {
        model.left = left;
        let start = Instant::now();
        let device = Device::new(DeviceSetup::default(), start);
        let plugin = Plugin::default();
        let (trace, effects) = (Vec::new(), Vec::new());
        Self { device, plugin, now: start, start, model, in_flight: None, trace, effects }
    }

    /// Hands in one thing, and does what the effects want of plugin and shell until only the transport is waited for.
    pub(super) fn handle(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Vec::new();
            self.device.handle(self.now, input, &mut effects);
            for effect in effects {
                self.note(&effect);
                match &effect {
                    Effect::Call(event) => inputs.push(Input::Called(self.plugin.call(event.clone()))),
                    Effect::Identified { .. } => inputs.push(Input::Model(self.model.clone())),
                    Effect::Transfer(transfer) => {
                        assert!(self.in_flight.is_none(), "one transfer at a time");
                        self.in_flight = Some(transfer.clone());
                    }
                    Effect::Gone(_) => self.in_flight = None,
                    Effect::Journal(_) | Effect::Ready | Effect::Report(_) | Effect::Log { .. } => {}
                }
                self.effects.push(effect);
            }
        }
    }

    fn note(&mut self, effect: &Effect) {
        self.trace.push(match effect {
            Effect::Call(_) | Effect::Identified { .. } => return,
            Effect::Transfer(Transfer::Write(packet)) => String::from_utf8(packet.data.clone()).unwrap(),
            Effect::Transfer(Transfer::Read { .. }) => "read".into(),
            Effect::Transfer(Transfer::Subscribe(_)) => "subscribe".into(),
            Effect::Transfer(Transfer::Unsubscribe(_)) => "unsubscribe".into(),
            Effect::Journal(motion) => format!("{motion:?}"),
            Effect::Ready => "Ready".into(),
            Effect::Report(DeviceReport::Answered { ticket, result }) => match result {
                Ok(None) => format!("#{} ok", ticket.0),
                Ok(Some(value)) => format!("#{} {value}", ticket.0),
                Err(fault) => format!("#{} {:?}", ticket.0, fault.reason),
            },
            Effect::Report(DeviceReport::Reading { value, .. }) => format!("reading {value}"),
            Effect::Report(DeviceReport::Output { feature, kind, value }) => {
                format!("{}{feature} is {value}", letter(*kind))
            }
            Effect::Report(DeviceReport::Recorded(lines)) => lines.join("; "),
            Effect::Gone(fault) => format!("Gone {:?}", fault.reason),
            Effect::Log { text, .. } => text.clone(),
        });
    }

    /// Ends the transfer in flight.
    pub(super) fn finish(&mut self, result: Result<Transferred, TransferFault>) {
        assert!(self.in_flight.take().is_some(), "nothing is in flight");
        self.handle(Input::Transferred(result));
    }

    /// Lets time pass, waking the device whenever it wants to be.
    pub(super) fn pass_to(&mut self, at: Instant) {
        for _ in 0..10_000 {
            let Some(deadline) = self.device.deadline().filter(|deadline| *deadline <= at) else {
                self.now = self.now.max(at);
                return;
            };
            self.now = self.now.max(deadline);
            self.handle(Input::Deadline);
        }
        panic!("the device does not come to rest: {:?}", self.device);
    }

    pub(super) fn step(&mut self, words: &str) {
        let mut words = words.split_whitespace();
        let verb = words.next().unwrap();
        let ticket = |word: &str| DeviceTicket(word.strip_prefix('#').unwrap().parse().unwrap());
        let mut arguments: Vec<&str> = words.collect();
        match verb {
            "set" => {
                let ticket = ticket(arguments.remove(0));
                let values = arguments.into_iter().map(value).collect();
                self.handle(Input::Command(DeviceCommand::Set { ticket, values }));
            }
            "stop" | "global" => {
                let ticket = Some(ticket(arguments.remove(0)));
                let scope = match arguments.as_slice() {
                    [] => StopScope::All,
                    names => StopScope::Outputs(names.iter().map(|name| output(name)).collect()),
                };
                let cause = if verb == "global" { StopCause::Global } else { StopCause::Addressed };
                self.handle(Input::Command(DeviceCommand::Stop { ticket, scope, cause }));
            }
            "read" | "subscribe" | "unsubscribe" => {
                let wish = match verb {
                    "read" => InputWish::Read,
                    "subscribe" => InputWish::Subscribe,
                    _ => InputWish::Unsubscribe,
                };
                let ticket = Some(ticket(arguments.remove(0)));
                let (feature, kind) = if arguments == ["signal"] { SIGNAL } else { BATTERY };
                self.handle(Input::Command(DeviceCommand::Input { ticket, feature, kind, wish }));
            }
            "heard" => self.handle(Input::Signal(arguments[0].parse().unwrap())),
            "done" => self.finish(Ok(Transferred::Done)),
            "data" => self.finish(Ok(Transferred::Data(vec![arguments[0].parse().unwrap()]))),
            "fails" => self.finish(Err(TransferFault::Refused("no".into()))),
            "unpaired" => self.finish(Err(TransferFault::NotPaired("pair it".into()))),
            "late" => self.finish(Err(TransferFault::TimedOut("too late".into()))),
            "lost" => self.handle(Input::Lost("out of range".into())),
            "notify" => {
                let data = vec![arguments[0].parse().unwrap()];
                self.handle(Input::Notified { endpoint: endpoint("rx"), data });
            }
            "close" => self.handle(Input::Command(DeviceCommand::Close { reason: Reason::ShuttingDown })),
            "at" => self.pass_to(self.start + ms(arguments[0].parse().unwrap())),
            "break" => self.plugin.health = Health::Broken,
            "break-but-rescue" => self.plugin.health = Health::Rescues,
            other => panic!("no step is called {other}"),
        }
    }
}

/// Runs a script: on each line what happens, then `->` and what the device does then, in order, between commas.
pub(super) fn check(model: ModelSetup, script: &str) {
    check_left(model, Motion::AtRest, script);
}

/// [`check`] for a device that may have been left running.
pub(super) fn check_left(model: ModelSetup, left: Motion, script: &str) {
    let mut bench = Bench::new(model, left);
    bench.handle(Input::Deadline);
    let mut seen = String::new();
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let step = line.split("->").next().unwrap().trim();
        if step == "begin" {
        } else {
            bench.step(step);
        }
        let trace = std::mem::take(&mut bench.trace).join(", ");
        write!(seen, "{step}").unwrap();
        if !trace.is_empty() {
            write!(seen, " -> {trace}").unwrap();
        }
        seen.push('\n');
    }
    let wanted: String = script
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(wanted, seen, "\n--- wanted\n{wanted}\n--- seen\n{seen}");
}
