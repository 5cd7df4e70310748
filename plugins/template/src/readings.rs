//! Inputs of one device: reads that are under way, and subscriptions to what it notifies.
//!
//! Several inputs may share an endpoint; it is subscribed with the first that wants it and unsubscribed with the last.

use std::sync::Arc;

use plugin_sdk::{Endpoint, Event, Failure, Model, Ops, Timer, Wanted, Wish};

use crate::bring_up::READ_LENGTH;
use crate::kind::InputKind;
use crate::program::{Input, Program};
use crate::running::{FIRST_DELAY, Running};
use crate::select::Facts;

/// The timer of the first input; each has one of its own.
const FIRST_READING: u32 = 1;
/// So many inputs a model may have.
const MAX_READINGS: u32 = FIRST_DELAY - FIRST_READING;

/// The inputs of one device.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    inputs: Vec<Reading>,
}

/// One input of the model.
#[derive(Debug)]
struct Reading {
    program: Arc<Program>,
    /// Its place in the program.
    input: usize,
    feature: u32,
    kind: plugin_sdk::InputKind,
    timer: Timer,
    read: Option<Endpoint>,
    notify: Option<Endpoint>,
    /// A single reading is waited for.
    asked: bool,
    /// Every reading is wanted.
    subscribed: bool,
}

impl Reading {
    fn input(&self) -> Option<&Input> {
        self.program.inputs.get(self.input)
    }

    /// Whether it needs its endpoint to notify.
    fn listens(&self) -> bool {
        self.subscribed || (self.asked && self.read.is_none())
    }
}

impl Readings {
    /// The inputs of this model. An input whose endpoints the device lacks is there and fails when it is wanted.
    pub(crate) fn new(
        program: &Arc<Program>,
        model: &Model,
        facts: &Facts<'_>,
        running: &Running,
    ) -> Result<Self, Failure> {
        let mut timers = FIRST_READING..FIRST_READING + MAX_READINGS;
        let mut inputs = Vec::new();
        for feature in &model.features {
            for input in &feature.inputs {
                let kind = InputKind::from(input.kind);
                let known = program
                    .inputs
                    .iter()
                    .position(|known| known.select.suits(facts) && known.tells(feature.index, kind));
                let Some(place) = known else { continue };
                let timer = timers.next().ok_or_else(|| Failure::failed("too many inputs"))?;
                let endpoint =
                    |name: &Option<String>| name.as_deref().and_then(|name| running.endpoint(name).ok());
                let known = program.inputs.get(place);
                inputs.push(Reading {
                    program: Arc::clone(program),
                    input: place,
                    feature: feature.index,
                    kind: input.kind,
                    timer: Timer(timer),
                    read: known.and_then(|known| endpoint(&known.read)),
                    notify: known.and_then(|known| endpoint(&known.notify)),
                    asked: false,
                    subscribed: false,
                });
            }
        }
        Ok(Self { inputs })
    }

    /// Something is wanted of an input.
    pub(crate) fn wanted(
        &mut self,
        wanted: Wanted,
        running: &mut Running,
        ops: &mut Ops<'_>,
    ) -> Result<(), Failure> {
        let known =
            self.inputs.iter().position(|one| one.feature == wanted.feature && one.kind == wanted.kind);
        let Some(at) = known else { return Err(Failure::Unsupported) };
        let before = self.listening();
        let Some(reading) = self.inputs.get_mut(at) else { return Err(Failure::Unsupported) };
        match wanted.wish {
            Wish::Read if reading.read.is_some() || reading.notify.is_some() => reading.asked = true,
            Wish::Subscribe if reading.notify.is_some() => reading.subscribed = true,
            Wish::Read | Wish::Subscribe => return Err(Failure::Unsupported),
            Wish::Unsubscribe => reading.subscribed = false,
        }
        let (read, timer) = (reading.read, reading.timer);
        let input = reading.input().cloned();
        self.follow(&before, running, ops);
        let Some(input) = input else { return Ok(()) };
        match (wanted.wish, read) {
            (Wish::Read, Some(endpoint)) => ops.read(endpoint, READ_LENGTH),
            (Wish::Read, None) => {
                ask(&input, running, ops)?;
                ops.timer(timer, input.within_ms);
            }
            (Wish::Subscribe, _) => ask(&input, running, ops)?,
            (Wish::Unsubscribe, _) => {}
        }
        Ok(())
    }

    /// Takes an event that may be a reading, or the end of waiting for one.
    pub(crate) fn event(&mut self, event: Event<'_>, running: &Running, ops: &mut Ops<'_>) {
        let before = self.listening();
        for reading in &mut self.inputs {
            match event {
                Event::Notified { endpoint, data }
                    if reading.notify == Some(endpoint) && reading.listens() =>
                {
                    let Some(value) = reading.input().and_then(|input| input.reading(data)) else { continue };
                    ops.reading(reading.feature, reading.kind, value);
                    if reading.asked && reading.read.is_none() {
                        ops.cancel_timer(reading.timer);
                        reading.asked = false;
                    }
                }
                Event::Read { endpoint, data } if reading.read == Some(endpoint) && reading.asked => {
                    reading.asked = false;
                    match reading.input().and_then(|input| input.reading(data)) {
                        Some(value) => ops.reading(reading.feature, reading.kind, value),
                        None => ops.input_failed(reading.feature, reading.kind),
                    }
                }
                Event::ReadFailed { endpoint } if reading.read == Some(endpoint) && reading.asked => {
                    reading.asked = false;
                    ops.input_failed(reading.feature, reading.kind);
                }
                Event::Timer(timer) if timer == reading.timer && reading.asked && reading.read.is_none() => {
                    reading.asked = false;
                    ops.input_failed(reading.feature, reading.kind);
                }
                Event::Notified { .. }
                | Event::Read { .. }
                | Event::ReadFailed { .. }
                | Event::WriteFailed { .. }
                | Event::Timer(_) => {}
            }
        }
        self.follow(&before, running, ops);
    }

    fn listening(&self) -> Vec<Endpoint> {
        self.inputs.iter().filter(|reading| reading.listens()).filter_map(|reading| reading.notify).collect()
    }

    /// Subscribes what is listened to now and was not before, and the reverse; but not what the bring-up subscribed.
    fn follow(&self, before: &[Endpoint], running: &Running, ops: &mut Ops<'_>) {
        let now = self.listening();
        only_in(&now, before).filter(|endpoint| !running.is_subscribed(*endpoint)).for_each(|endpoint| {
            ops.subscribe(endpoint);
        });
        only_in(before, &now).filter(|endpoint| !running.is_subscribed(*endpoint)).for_each(|endpoint| {
            ops.unsubscribe(endpoint);
        });
    }
}

/// What is in the first list and not in the second, each once.
fn only_in(these: &[Endpoint], those: &[Endpoint]) -> impl Iterator<Item = Endpoint> {
    these.iter().enumerate().filter_map(|(place, endpoint)| {
        let repeated = these.iter().take(place).any(|earlier| earlier == endpoint);
        (!repeated && !those.contains(endpoint)).then_some(*endpoint)
    })
}

fn ask(input: &Input, running: &mut Running, ops: &mut Ops<'_>) -> Result<(), Failure> {
    let Some(request) = &input.request else { return Ok(()) };
    running.fixed(&request.to, request.response, &request.bytes)?.write(ops);
    Ok(())
}
