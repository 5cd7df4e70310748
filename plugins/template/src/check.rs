//! Whether a program suits a model: every output has a packet, every packet can be made for every value.
//!
//! Values are tried, not proven: all of them where a range is small, else the ends, the rest and a spread
//! between. Packets that carry several outputs are tried with the others at rest, at their lowest and at
//! their highest.

use crate::error::CheckError;
use crate::expression::{OutputState, Scope};
use crate::kind::{InputKind, OutputKind};
use crate::pattern::Pattern;
use crate::program::{Made, Packet, Program, Repeat, Write};
use crate::select::Facts;

/// So many values of a range are tried at most.
const MOST_VALUES: i64 = 128;

/// One output of a model, as a definition has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// The feature's index.
    pub feature: u32,
    /// Which output of it.
    pub kind: OutputKind,
    /// The lowest value.
    pub min: i32,
    /// The highest value.
    pub max: i32,
    /// Shortest and longest duration in milliseconds; zeros for kinds without.
    pub duration_ms: (u32, u32),
}

/// One input of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Input {
    /// The feature's index.
    pub feature: u32,
    /// Which input of it.
    pub kind: InputKind,
}

/// A model that shall be driven by a program.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Model {
    /// The identifier; empty for the protocol's default.
    pub identifier: String,
    /// The variant; empty where the definition names none.
    pub variant: String,
    /// Its outputs, in feature order.
    pub outputs: Vec<Output>,
    /// Its inputs.
    pub inputs: Vec<Input>,
}

impl Program {
    /// Checks the program against a model.
    ///
    /// # Errors
    /// All that is wrong, not only the first: outputs and inputs that nothing serves, and for each packet the first
    /// values for which it cannot be made.
    pub fn check(&self, model: &Model) -> Result<(), Vec<CheckError>> {
        let mut errors = Vec::new();
        let facts = Facts {
            identifier: &model.identifier,
            variant: &model.variant,
            outputs: model.outputs.len(),
            endpoints: None,
        };
        let packets: Vec<&Packet> =
            self.packets.iter().filter(|packet| packet.select.suits(&facts)).collect();
        for output in &model.outputs {
            if !packets.iter().any(|packet| packet.carries(output.feature, output.kind)) {
                errors.push(CheckError::NoPacket { feature: output.feature, kind: output.kind });
            }
        }
        for input in &model.inputs {
            let told = |known: &crate::program::Input| {
                known.select.suits(&facts) && known.tells(input.feature, input.kind)
            };
            if !self.inputs.iter().any(told) {
                errors.push(CheckError::NoInput { feature: input.feature, kind: input.kind.name() });
            }
        }
        errors.extend(packets.iter().filter_map(|packet| Trial::new(model).packet(packet).err()));
        let repeated = match &self.keep_alive {
            Repeat::Packets(writes) => writes.as_slice(),
            Repeat::Last | Repeat::All => &[],
        };
        let writes = repeated.iter().chain(&self.stop);
        errors.extend(writes.filter_map(|write| Trial::new(model).write(write).err()));
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Checks that every endpoint that the program names is one of these, the endpoints of the definition.
    ///
    /// # Errors
    /// All names that are not.
    pub fn check_endpoints(&self, known: &[&str]) -> Result<(), Vec<CheckError>> {
        let unknown = self.endpoints().filter(|(_, endpoint)| !known.contains(endpoint));
        let errors: Vec<CheckError> = unknown
            .map(|(key, endpoint)| CheckError::NoEndpoint {
                key: String::from(key),
                endpoint: String::from(endpoint),
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Every endpoint that the program names, with the key that names it.
    fn endpoints(&self) -> impl Iterator<Item = (&str, &str)> {
        let identify = self.identify.iter().flat_map(|identify| &identify.steps);
        let steps = identify.chain(&self.start);
        let steps = steps.flat_map(|step| step.endpoints().map(|endpoint| (step.key.as_str(), endpoint)));
        let packets = self.packets.iter().map(|packet| (packet.key.as_str(), packet.to.as_str()));
        let writes = match &self.keep_alive {
            Repeat::Packets(writes) => writes.as_slice(),
            Repeat::Last | Repeat::All => &[],
        };
        let writes = writes.iter().chain(&self.stop).map(|write| (write.key.as_str(), write.to.as_str()));
        let inputs = self.inputs.iter().flat_map(|input| {
            let request = input.request.as_ref().map(|request| request.to.as_str());
            let all = [input.read.as_deref(), input.notify.as_deref(), request];
            all.into_iter().flatten().map(|endpoint| (input.key.as_str(), endpoint))
        });
        steps.chain(packets).chain(writes).chain(inputs)
    }
}

/// A model whose outputs are set to one value after another.
struct Trial<'a> {
    model: &'a Model,
    outputs: Vec<OutputState>,
}

impl<'a> Trial<'a> {
    fn new(model: &'a Model) -> Self {
        let outputs = model.outputs.iter();
        let outputs =
            outputs.map(|output| OutputState::new(output.feature, output.kind, output.min, output.max));
        Self { model, outputs: outputs.collect() }
    }

    fn packet(mut self, packet: &Packet) -> Result<(), CheckError> {
        let carried = self.model.outputs.iter().enumerate();
        let carried = carried.filter(|(_, output)| packet.carries(output.feature, output.kind));
        let members: Vec<usize> = carried.map(|(at, _)| at).collect();
        self.vary(&members, |trial, changed| {
            let current = match packet.made {
                Made::ForEach => Some(changed),
                Made::Once => None,
            };
            let scope = trial.scope(&members, current);
            let wrong =
                |error| CheckError::Encode { key: packet.key.clone(), values: trial.values(&members), error };
            if let Some(condition) = &packet.condition
                && condition.value(&scope).map_err(wrong)? == 0
            {
                return Ok(());
            }
            packet.pattern(&scope).map_or(Ok(()), |pattern| pattern.encode(&scope).map(drop).map_err(wrong))
        })
    }

    fn write(mut self, write: &Write) -> Result<(), CheckError> {
        let members: Vec<usize> = (0..self.outputs.len()).collect();
        let try_once = |trial: &Self| {
            let made = write.bytes.encode(&trial.scope(&members, None));
            made.map(drop).map_err(|error| CheckError::Encode {
                key: write.key.clone(),
                values: trial.values(&members),
                error,
            })
        };
        try_once(&self)?;
        self.vary(&members, |trial, _| try_once(trial))
    }

    fn scope<'s>(&'s self, members: &'s [usize], current: Option<usize>) -> Scope<'s> {
        Scope { outputs: &self.outputs, members, current, seq: u8::MAX, done: &[], received: &[] }
    }

    fn values(&self, members: &[usize]) -> String {
        let outputs = members.iter().filter_map(|at| self.outputs.get(*at));
        let texts: Vec<String> = outputs
            .map(|output| {
                let time = if output.duration_ms == 0 {
                    String::new()
                } else {
                    format!(" in {} ms from {}", output.duration_ms, output.previous)
                };
                format!("{} of feature {} at {}{time}", output.kind.name(), output.feature, output.value)
            })
            .collect();
        texts.join(", ")
    }

    /// Calls `attempt` with one output varied over its values while the others rest, are lowest, are highest.
    fn vary(
        &mut self,
        members: &[usize],
        attempt: impl Fn(&Self, usize) -> Result<(), CheckError>,
    ) -> Result<(), CheckError> {
        let model = self.model;
        let lowest = |output: &Output, _: &OutputState| output.min;
        let highest = |output: &Output, _: &OutputState| output.max;
        let resting = |_: &Output, state: &OutputState| state.rest;
        for others in [lowest, highest, resting] {
            for at in members {
                for (state, output) in self.outputs.iter_mut().zip(&model.outputs) {
                    state.value = others(output, state);
                }
                let Some(output) = model.outputs.get(*at) else { continue };
                for (value, previous, duration_ms) in situations(output) {
                    if let Some(state) = self.outputs.get_mut(*at) {
                        state.value = value;
                        state.previous = previous;
                        state.duration_ms = duration_ms;
                    }
                    attempt(self, *at)?;
                }
            }
        }
        Ok(())
    }
}

/// Values of an output, each with a value before it and a duration.
fn situations(output: &Output) -> impl Iterator<Item = (i32, i32, u32)> {
    let (min, max) = (i64::from(output.min), i64::from(output.max));
    let step = ((max - min + MOST_VALUES - 1) / MOST_VALUES).max(1);
    let spread = (0..=MOST_VALUES).map(move |count| min + count * step).filter(move |value| *value <= max);
    let rest = i64::from(OutputState::new(output.feature, output.kind, output.min, output.max).rest);
    let values = spread.chain([max, rest]).filter_map(|value| i32::try_from(value).ok());
    let times = if output.kind == OutputKind::PositionWithDuration {
        let (shortest, longest) = output.duration_ms;
        vec![shortest, shortest.saturating_add(1), 1000.clamp(shortest, longest.max(shortest)), longest]
    } else {
        vec![0]
    };
    let before = if output.kind.is_position() { vec![0, output.min, output.max] } else { vec![0] };
    values.flat_map(move |value| {
        let before = before.clone();
        let times = times.clone();
        before.into_iter().flat_map(move |previous| {
            times.clone().into_iter().map(move |duration_ms| (value, previous, duration_ms))
        })
    })
}

impl Packet {
    /// The pattern for these values: the one at rest, if there is one and all that it carries is at rest. None where nothing
    /// is to be sent.
    pub(crate) fn pattern(&self, scope: &Scope<'_>) -> Option<&Pattern> {
        let resting = match scope.current {
            Some(current) => scope.outputs.get(current).is_some_and(OutputState::at_rest),
            None => scope.members.iter().filter_map(|at| scope.outputs.get(*at)).all(OutputState::at_rest),
        };
        let pattern = match &self.rest {
            Some(rest) if resting => rest,
            Some(_) | None => &self.bytes,
        };
        (!pattern.is_empty()).then_some(pattern)
    }
}
