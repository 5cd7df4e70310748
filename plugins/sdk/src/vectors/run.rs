//! Makes a vector's steps with a device on the bench and compares.

use thiserror::Error;

use super::definition::{Definition, Known, KnownFeature, Runner};
use super::step::{Do, Expect, InputName, SetTable, Step, Stop, Vector};
use crate::driver::{Bench, Call, Subject};
use crate::{
    Endpoint, Failure, Info, InputKind, ManufacturerData, Model, Operation, Output, OutputKind, Wanted, Wish,
    WriteKind,
};

/// Makes the subject that speaks the protocol of that name for a device: the plugin's own name for it, `template` where
/// the template plugin runs it. `None`: there is no such protocol.
pub type Make<'a> = &'a dyn Fn(&str, &Info) -> Option<Result<Box<dyn Subject>, Failure>>;

/// Why a vector did not pass.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// The definition has no such protocol, or the plugin has none.
    #[error("there is no protocol {0}")]
    NoProtocol(String),
    /// A word that is no kind of output or input.
    #[error("step {step}: {word} is no kind")]
    NoKind {
        /// Which step, counted from 1.
        step: usize,
        /// The word.
        word: String,
    },
    /// The protocol answered with a failure.
    #[error("step {step}: the protocol failed: {failure}")]
    Failed {
        /// Which step, counted from 1; 0 is the bring-up.
        step: usize,
        /// What it said.
        failure: Failure,
    },
    /// Another operation came than was expected, or none.
    #[error("step {step}: expected {expected}, got {got}")]
    Other {
        /// Which step, counted from 1.
        step: usize,
        /// What was expected.
        expected: String,
        /// What came.
        got: String,
    },
    /// The protocol did what it may not do, when the vector was played with noise.
    #[error("with noise {round}: {fault}")]
    Noise {
        /// Which noise.
        round: u64,
        /// What it did.
        fault: String,
    },
    /// An operation came that was not expected.
    #[error("before step {step}: not expected: {got}")]
    LeftOver {
        /// The step before which it was found; one more than there are at the end.
        step: usize,
        /// The operation.
        got: String,
    },
}

/// Runs one vector.
///
/// # Errors
/// The first step that did not go as the vector says.
pub fn run(vector: &Vector, definition: &Definition, make: Make<'_>) -> Result<(), Mismatch> {
    let mut run = Run::begin(vector, definition, make)?;
    for (step, number) in vector.steps.iter().zip(1..) {
        run.settle(number)?;
        match step {
            Step::Do(action) => {
                run.still_there()?;
                run.nothing_left(number)?;
                run.act(number, action)?;
            }
            Step::Expect(expected) => run.compare(number, expected)?,
        }
    }
    let end = vector.steps.len() + 1;
    run.settle(end)?;
    run.still_there()?;
    run.nothing_left(end)
}

pub(super) struct Run<'a> {
    definition: &'a Definition,
    make: Make<'a>,
    info: Info,
    bench: Bench<Box<dyn Subject>>,
    protocol: &'a Known,
    features: Vec<KnownFeature>,
    identifier: String,
    /// Why the device was given up, and at which step.
    failed: Option<Mismatch>,
}

impl<'a> Run<'a> {
    pub(super) fn begin(
        vector: &Vector,
        definition: &'a Definition,
        make: Make<'a>,
    ) -> Result<Self, Mismatch> {
        let no_protocol = || Mismatch::NoProtocol(vector.protocol.clone());
        let protocol = definition.protocol(&vector.protocol).ok_or_else(no_protocol)?;
        let names = vector.endpoints.as_ref().unwrap_or(&protocol.endpoints);
        let endpoints = names.iter().zip(0..).map(|(name, id)| (name.clone(), Endpoint::from_id(id)));
        let manufacturer_data = vector.manufacturer_data.iter();
        let info = Info {
            protocol: protocol.id.clone(),
            name: vector.name.clone(),
            address: vector.address.clone().unwrap_or_default(),
            transport: protocol.transport,
            vendor: 0,
            product: 0,
            manufacturer_data: manufacturer_data
                .map(|(company, data)| ManufacturerData { company: *company, data: data.clone() })
                .collect(),
            endpoints: endpoints.collect(),
            params: protocol.params.clone(),
            seed: 0x5eed,
        };
        let bench = Bench::new(subject(protocol, &info, make)?, &info);
        let features = Vec::new();
        let mut run = Self {
            definition,
            make,
            info,
            bench,
            protocol,
            features,
            identifier: String::new(),
            failed: None,
        };
        let identified = run.bench.call(Call::Identify);
        run.note(0, identified);
        Ok(run)
    }

    /// Does what the service does without being asked: a model that is known is started.
    pub(super) fn settle(&mut self, step: usize) -> Result<(), Mismatch> {
        while let Some((protocol, model)) = self.bench.next_identified() {
            if !protocol.is_empty() {
                let known = self.definition.protocol(&protocol);
                self.protocol = known.ok_or_else(|| Mismatch::NoProtocol(protocol.clone()))?;
                self.info.protocol = protocol;
                self.info.params = self.protocol.params.clone();
                self.bench.take_over(subject(self.protocol, &self.info, self.make)?);
            }
            let (model, features): (Model, _) = self.protocol.model(&model);
            self.identifier.clone_from(&model.identifier);
            self.features = features;
            let started = self.bench.call(Call::Start(&model));
            self.note(step, started);
        }
        Ok(())
    }

    fn nothing_left(&self, step: usize) -> Result<(), Mismatch> {
        match self.bench.waiting().next() {
            Some(operation) => Err(Mismatch::LeftOver { step, got: self.words(operation) }),
            None => Ok(()),
        }
    }

    pub(super) fn act(&mut self, step: usize, action: &Do) -> Result<(), Mismatch> {
        let done = match action {
            Do::Set(set) => {
                let set: Vec<Output> = set.iter().map(|one| output(step, one)).collect::<Result<_, _>>()?;
                self.bench.call(Call::Output(&set))
            }
            Do::Stop(stop) => {
                let set = self.rest(stop);
                self.bench.call(Call::Stop(&set))
            }
            Do::Notify(endpoint, data) => self.bench.notified(endpoint, data),
            Do::ReadResult(endpoint, data) => self.bench.read_gave(endpoint, data),
            Do::ReadFails(endpoint) => self.bench.read_failed(endpoint),
            Do::WriteFails(endpoint) => self.bench.write_failed(endpoint),
            Do::Wait(ms) => self.bench.advance(*ms),
            Do::Read(name) => self.bench.call(Call::Input(wanted(step, name, Wish::Read)?)),
            Do::Subscribe(name) => self.bench.call(Call::Input(wanted(step, name, Wish::Subscribe)?)),
            Do::Unsubscribe(name) => self.bench.call(Call::Input(wanted(step, name, Wish::Unsubscribe)?)),
            Do::KeepAlive => self.bench.call(Call::KeepAlive),
        };
        self.note(step, done);
        Ok(())
    }

    /// Keeps a failure for the step that expects it, or else for the next that does not.
    fn note(&mut self, step: usize, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            self.failed = Some(Mismatch::Failed { step, failure });
        }
    }

    fn still_there(&mut self) -> Result<(), Mismatch> {
        match self.failed.take() {
            Some(failed) => Err(failed),
            None => Ok(()),
        }
    }

    /// Takes the next operation.
    pub(super) fn take_next(&mut self) -> Option<Operation> {
        self.bench.take_next()
    }

    /// Whether the protocol has ended the device.
    pub(super) fn is_given_up(&self) -> bool {
        match &self.failed {
            Some(Mismatch::Failed { failure: Failure::Unsupported, .. }) | None => false,
            Some(_) => true,
        }
    }

    /// The endpoints that the device has.
    pub(super) fn endpoints(&self) -> Vec<String> {
        self.info.endpoints.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Every output that a stop brings to rest, at its highest value.
    pub(super) fn full_speed(&self) -> Vec<SetTable> {
        let outputs = self.features.iter().flat_map(|one| {
            let stopped = |kind: OutputKind| !kind.is_position() && !one.left.contains(&kind);
            let outputs = one.feature.outputs.iter().filter(move |output| stopped(output.kind));
            outputs.map(|output| SetTable {
                feature: one.feature.index,
                kind: output.kind.name().to_owned(),
                value: output.max,
                duration_ms: 0,
            })
        });
        outputs.collect()
    }

    /// The features that [`Self::full_speed`] sets.
    pub(super) fn running(&self) -> Vec<u32> {
        self.full_speed().iter().map(|one| one.feature).collect()
    }

    /// The set of a stop: all outputs of the features, but for those that a stop leaves.
    fn rest(&self, stop: &Stop) -> Vec<Output> {
        let chosen = self.features.iter().filter(|one| match stop {
            Stop::All(_) => true,
            Stop::Features(features) => features.contains(&one.feature.index),
        });
        let outputs = chosen.flat_map(|one| {
            let stopped = one.feature.outputs.iter().filter(|output| !one.left.contains(&output.kind));
            stopped.map(|output| Output {
                feature: one.feature.index,
                kind: output.kind,
                value: 0_i32.clamp(output.min, output.max.max(output.min)),
                duration_ms: 0,
            })
        });
        outputs.collect()
    }

    fn compare(&mut self, step: usize, expected: &Expect) -> Result<(), Mismatch> {
        match (expected, self.failed.take()) {
            // A failure that is no more than "not supported" does not cost the device.
            (
                Expect::GivesUp,
                Some(Mismatch::Failed { failure: Failure::BadReply(_) | Failure::Failed(_), .. }),
            ) => {
                return self.nothing_left(step);
            }
            (_, Some(failed)) => return Err(failed),
            (_, None) => {}
        }
        let got = self.bench.take_next();
        if got.as_ref().is_some_and(|got| self.same(expected, got)) {
            return Ok(());
        }
        let got = got.map_or_else(|| "nothing".to_owned(), |got| self.words(&got));
        Err(Mismatch::Other { step, expected: expected_words(expected), got })
    }

    fn same(&self, expected: &Expect, got: &Operation) -> bool {
        let named = |name: &str, endpoint: Endpoint| self.bench.endpoint_name(endpoint) == name;
        match (expected, got) {
            (
                Expect::Write { endpoint, data, response },
                Operation::Write { endpoint: at, data: sent, kind },
            ) => {
                let confirmed = *kind == WriteKind::WithResponse;
                named(endpoint, *at) && data == sent && *response == confirmed
            }
            (Expect::Subscribe(name), Operation::Subscribe(at))
            | (Expect::Unsubscribe(name), Operation::Unsubscribe(at))
            | (Expect::Read(name), Operation::Read { endpoint: at, .. }) => named(name, *at),
            (Expect::Ready(identifier), Operation::Ready) => *identifier == self.identifier,
            (Expect::Reading(one), Operation::Reading { feature, kind, value }) => {
                one.feature == *feature && one.kind == kind.name() && one.value == *value
            }
            (Expect::InputFailed(one), Operation::InputFailed { feature, kind }) => {
                one.feature == *feature && one.kind == kind.name()
            }
            _ => false,
        }
    }

    fn words(&self, operation: &Operation) -> String {
        match operation {
            Operation::Write { endpoint, data, kind } => {
                write_words(&self.bench.endpoint_name(*endpoint), data, *kind == WriteKind::WithResponse)
            }
            Operation::Read { endpoint, .. } => format!("read of {}", self.bench.endpoint_name(*endpoint)),
            Operation::Subscribe(endpoint) => format!("subscribe to {}", self.bench.endpoint_name(*endpoint)),
            Operation::Unsubscribe(endpoint) => {
                format!("unsubscribe from {}", self.bench.endpoint_name(*endpoint))
            }
            Operation::Ready => format!("ready as \"{}\"", self.identifier),
            Operation::Timer { .. }
            | Operation::Identified { .. }
            | Operation::Reading { .. }
            | Operation::InputFailed { .. }
            | Operation::Log { .. } => format!("{operation:?}"),
        }
    }
}

fn subject(protocol: &Known, info: &Info, make: Make<'_>) -> Result<Box<dyn Subject>, Mismatch> {
    let name = match protocol.runner {
        Runner::Code => protocol.id.as_str(),
        Runner::Template => crate::TEMPLATE_PROTOCOL,
    };
    match make(name, info) {
        Some(made) => made.map_err(|failure| Mismatch::Failed { step: 0, failure }),
        None => Err(Mismatch::NoProtocol(name.to_owned())),
    }
}

fn output(step: usize, table: &SetTable) -> Result<Output, Mismatch> {
    let kind = OutputKind::from_name(&table.kind);
    let kind = kind.ok_or_else(|| Mismatch::NoKind { step, word: table.kind.clone() })?;
    Ok(Output { feature: table.feature, kind, value: table.value, duration_ms: table.duration_ms })
}

fn wanted(step: usize, name: &InputName, wish: Wish) -> Result<Wanted, Mismatch> {
    let kind = InputKind::from_name(&name.kind);
    let kind = kind.ok_or_else(|| Mismatch::NoKind { step, word: name.kind.clone() })?;
    Ok(Wanted { feature: name.feature, kind, wish })
}

fn expected_words(expected: &Expect) -> String {
    match expected {
        Expect::Write { endpoint, data, response } => write_words(endpoint, data, *response),
        Expect::Subscribe(name) => format!("subscribe to {name}"),
        Expect::Unsubscribe(name) => format!("unsubscribe from {name}"),
        Expect::Read(name) => format!("read of {name}"),
        Expect::Ready(identifier) => format!("ready as \"{identifier}\""),
        Expect::Reading(one) => format!("reading {} of feature {}: {}", one.kind, one.feature, one.value),
        Expect::GivesUp => "the device to be given up".to_owned(),
        Expect::InputFailed(one) => format!("failed input {} of feature {}", one.kind, one.feature),
    }
}

fn write_words(endpoint: &str, data: &[u8], response: bool) -> String {
    let hex: Vec<String> = data.iter().map(|byte| format!("{byte:02x}")).collect();
    let kind = if response { "with" } else { "without" };
    format!("write to {endpoint} {kind} response: {} ({})", hex.join(" "), data.escape_ascii())
}
