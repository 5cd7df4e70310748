//! A program at work on one device: outputs in, packets out.
//!
//! It holds all that a template may remember: the value of every output, the one before it, and the number of the next packet.
//! Nothing panics and nothing is indexed with what came from outside.

use std::sync::Arc;

use plugin_sdk::{Endpoint, Failure, Info, LogLevel, Model, Ops, Timer, WriteKind};

use crate::error::EncodeError;
use crate::expression::{OutputState, Scope};
use crate::kind::OutputKind;
use crate::pattern::Pattern;
use crate::program::{Made, Packet, Program, Repeat, Write};
use crate::select::Facts;
use crate::steps::Response;

/// Timers of delayed packets have the numbers from here on, those of bring-up and readings the ones below.
pub(crate) const FIRST_DELAY: u32 = 40;
/// So many packets may be delayed in one template.
pub(crate) const MAX_DELAYS: u32 = 24;

/// The outputs of one device and the packets that carry them.
pub(crate) struct Running {
    program: Arc<Program>,
    endpoints: Vec<(String, Endpoint)>,
    outputs: Vec<OutputState>,
    /// Which outputs were ever set, in the order of `outputs`.
    set: Vec<bool>,
    active: Vec<Active>,
    seq: u8,
    /// Endpoints that the bring-up subscribed; readings leave them so.
    subscribed: Vec<Endpoint>,
}

/// A packet that this model uses.
struct Active {
    /// Its place in the program.
    packet: usize,
    /// The outputs that it carries.
    members: Vec<usize>,
    /// Its timer, if it is a delayed one.
    timer: Option<Timer>,
}

/// Bytes that are ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    endpoint: Endpoint,
    data: Vec<u8>,
    kind: WriteKind,
}

impl Frame {
    pub(crate) fn write(&self, ops: &mut Ops<'_>) {
        ops.write_as(self.endpoint, &self.data, self.kind);
    }
}

/// One packet that is due, for one output or for all that it carries.
struct Due {
    active: usize,
    current: Option<usize>,
}

impl Running {
    pub(crate) fn new(program: Arc<Program>, info: &Info) -> Self {
        let endpoints = info.endpoints.clone();
        Self {
            program,
            endpoints,
            outputs: Vec::new(),
            set: Vec::new(),
            active: Vec::new(),
            seq: 0,
            subscribed: Vec::new(),
        }
    }

    pub(crate) fn endpoint(&self, name: &str) -> Result<Endpoint, Failure> {
        let known = self.endpoints.iter().find(|(known, _)| known == name).map(|(_, endpoint)| *endpoint);
        known.ok_or_else(|| Failure::failed(format!("the device has no endpoint {name}")))
    }

    /// A step of the bring-up subscribes.
    pub(crate) fn subscribe(&mut self, name: &str, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let endpoint = self.endpoint(name)?;
        self.subscribed.push(endpoint);
        ops.subscribe(endpoint);
        Ok(())
    }

    /// A step of the bring-up unsubscribes.
    pub(crate) fn unsubscribe(&mut self, name: &str, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let endpoint = self.endpoint(name)?;
        self.subscribed.retain(|known| *known != endpoint);
        ops.unsubscribe(endpoint);
        Ok(())
    }

    /// Whether the bring-up subscribed an endpoint for good.
    pub(crate) fn is_subscribed(&self, endpoint: Endpoint) -> bool {
        self.subscribed.contains(&endpoint)
    }

    /// The endpoints that the device has.
    pub(crate) fn names(&self) -> Vec<String> {
        self.endpoints.iter().map(|(name, _)| name.clone()).collect()
    }

    /// Takes over the model: its outputs, and the packets that it uses.
    pub(crate) fn take_model(&mut self, model: &Model, facts: &Facts<'_>) -> Result<(), Failure> {
        let features = model.features.iter();
        let outputs = features.flat_map(|feature| {
            let index = feature.index;
            feature.outputs.iter().map(move |output| {
                OutputState::new(index, OutputKind::from(output.kind), output.min, output.max)
            })
        });
        self.outputs = outputs.collect();
        self.set = vec![false; self.outputs.len()];
        self.active.clear();
        let mut delays = FIRST_DELAY..FIRST_DELAY + MAX_DELAYS;
        for (place, packet) in self.program.packets.iter().enumerate() {
            let carried = self.outputs.iter().enumerate();
            let carried = carried.filter(|(_, output)| packet.carries(output.feature, output.kind));
            let members: Vec<usize> = carried.map(|(at, _)| at).collect();
            if members.is_empty() || !packet.select.suits(facts) {
                continue;
            }
            self.endpoint(&packet.to)?;
            let timer = packet.after_ms.and_then(|_| delays.next()).map(Timer);
            if packet.after_ms.is_some() && timer.is_none() {
                return Err(Failure::failed("too many delayed packets"));
            }
            self.active.push(Active { packet: place, members, timer });
        }
        for (at, output) in self.outputs.iter().enumerate() {
            if !self.active.iter().any(|active| active.members.contains(&at)) {
                let kind = output.kind.name();
                return Err(Failure::failed(format!("no packet for {kind} of feature {}", output.feature)));
            }
        }
        Ok(())
    }

    /// Sets outputs and writes the packets that carry them. When one cannot be made, nothing is set and nothing written.
    pub(crate) fn output(&mut self, set: &[plugin_sdk::Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        let before = (self.outputs.clone(), self.set.clone(), self.seq);
        let touched = self.apply(set);
        let mut frames = Vec::new();
        for due in self.due(&touched) {
            match self.frame(&due) {
                Ok(frame) => frames.extend(frame),
                Err(error) => {
                    ops.log(LogLevel::Error, &self.complaint(&due, &error));
                    (self.outputs, self.set, self.seq) = before;
                    return Err(Failure::Unsupported);
                }
            }
        }
        frames.iter().for_each(|frame| frame.write(ops));
        self.set_timers(&touched, ops);
        Ok(())
    }

    /// Brings outputs to rest; positions are left where they are. A packet that cannot be made is named in the log, and all
    /// others are written nevertheless.
    pub(crate) fn stop(&mut self, set: &[plugin_sdk::Output], ops: &mut Ops<'_>) {
        let is_position = |output: &&plugin_sdk::Output| OutputKind::from(output.kind).is_position();
        let moving: Vec<plugin_sdk::Output> =
            set.iter().filter(|output| !is_position(output)).copied().collect();
        let touched = self.apply(&moving);
        self.write_all(&touched, ops);
        self.set_timers(&touched, ops);
        let positions: Vec<usize> =
            set.iter().filter(is_position).filter_map(|output| self.place(output)).collect();
        let still = |(at, output): (usize, &OutputState)| output.at_rest() || positions.contains(&at);
        if self.outputs.iter().enumerate().all(still) {
            let program = Arc::clone(&self.program);
            self.write_fixed(&program.stop, ops);
        }
    }

    /// Writes the packets of all outputs at rest, but those of positions.
    pub(crate) fn rest(&mut self, ops: &mut Ops<'_>) {
        let all = 0..self.outputs.len();
        let touched: Vec<usize> =
            all.filter(|at| self.outputs.get(*at).is_some_and(|output| !output.kind.is_position())).collect();
        for at in &touched {
            if let Some(output) = self.outputs.get_mut(*at) {
                output.value = output.rest;
            }
            self.note_set(*at);
        }
        self.write_all(&touched, ops);
    }

    /// The device wants a sign of life.
    pub(crate) fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let program = Arc::clone(&self.program);
        match &program.keep_alive {
            Repeat::Last => return Err(Failure::Unsupported),
            Repeat::All => {
                let set: Vec<usize> =
                    self.set.iter().enumerate().filter(|(_, set)| **set).map(|(at, _)| at).collect();
                self.write_all(&set, ops);
            }
            Repeat::Packets(writes) => self.write_fixed(writes, ops),
        }
        Ok(())
    }

    /// The time of a delayed packet has come.
    pub(crate) fn delayed(&mut self, timer: Timer, ops: &mut Ops<'_>) {
        let Some(at) = self.active.iter().position(|active| active.timer == Some(timer)) else {
            return;
        };
        let dues = self.dues_of(at);
        self.write_dues(&dues, ops);
    }

    /// All that a packet is made for.
    fn dues_of(&self, at: usize) -> Vec<Due> {
        let Some(active) = self.active.get(at) else { return Vec::new() };
        match self.packet(active).map(|packet| packet.made) {
            Some(Made::ForEach) => {
                active.members.iter().map(|member| Due { active: at, current: Some(*member) }).collect()
            }
            Some(Made::Once) => vec![Due { active: at, current: None }],
            None => Vec::new(),
        }
    }

    /// One packet without outputs of its own.
    pub(crate) fn fixed(&mut self, to: &str, response: Response, bytes: &Pattern) -> Result<Frame, Failure> {
        let endpoint = self.endpoint(to)?;
        let members: Vec<usize> = (0..self.outputs.len()).collect();
        let scope = self.scope(&members, None);
        let data = bytes.encode(&scope).map_err(|error| Failure::failed(error.to_string()))?;
        if bytes.counts() {
            self.seq = self.seq.wrapping_add(1);
        }
        Ok(Frame { endpoint, data, kind: kind(response) })
    }

    fn write_fixed(&mut self, writes: &[Write], ops: &mut Ops<'_>) {
        for write in writes {
            match self.fixed(&write.to, write.response, &write.bytes) {
                Ok(frame) => frame.write(ops),
                Err(error) => ops.log(LogLevel::Error, &format!("{}: {error}", write.key)),
            }
        }
    }

    fn apply(&mut self, set: &[plugin_sdk::Output]) -> Vec<usize> {
        let mut touched = Vec::new();
        for output in set {
            // The host sends only what the model has; what it does not have has no packet either.
            let Some(at) = self.place(output) else { continue };
            if let Some(state) = self.outputs.get_mut(at) {
                state.previous = state.value;
                state.value = output.value;
                state.duration_ms = output.duration_ms;
            }
            self.note_set(at);
            touched.retain(|known| *known != at);
            touched.push(at);
        }
        touched
    }

    fn note_set(&mut self, at: usize) {
        if let Some(set) = self.set.get_mut(at) {
            *set = true;
        }
    }

    fn place(&self, output: &plugin_sdk::Output) -> Option<usize> {
        let kind = OutputKind::from(output.kind);
        self.outputs.iter().position(|known| known.feature == output.feature && known.kind == kind)
    }

    /// The packets that changed outputs call for: in the order of the change, and for one output in the order of the file. A
    /// packet that carries several goes out once, at the last of them.
    fn due(&self, touched: &[usize]) -> Vec<Due> {
        let mut due: Vec<Due> = Vec::new();
        for at in touched {
            for (place, active) in self.active.iter().enumerate() {
                if active.timer.is_some() || !active.members.contains(at) {
                    continue;
                }
                match self.packet(active).map(|packet| packet.made) {
                    Some(Made::ForEach) => due.push(Due { active: place, current: Some(*at) }),
                    Some(Made::Once) => {
                        due.retain(|known| known.active != place);
                        due.push(Due { active: place, current: None });
                    }
                    None => {}
                }
            }
        }
        due
    }

    fn packet(&self, active: &Active) -> Option<&Packet> {
        self.program.packets.get(active.packet)
    }

    fn scope<'s>(&'s self, members: &'s [usize], current: Option<usize>) -> Scope<'s> {
        Scope { outputs: &self.outputs, members, current, seq: self.seq, done: &[], received: &[] }
    }

    /// The bytes of a packet that is due; none where it is left out.
    fn frame(&mut self, due: &Due) -> Result<Option<Frame>, EncodeError> {
        let Some(active) = self.active.get(due.active) else { return Ok(None) };
        let Some(packet) = self.packet(active) else { return Ok(None) };
        let scope = self.scope(&active.members, due.current);
        if let Some(condition) = &packet.condition
            && condition.value(&scope)? == 0
        {
            return Ok(None);
        }
        let Some(pattern) = packet.pattern(&scope) else { return Ok(None) };
        let data = pattern.encode(&scope)?;
        // Whether it is there was seen when the model was taken over.
        let Ok(endpoint) = self.endpoint(&packet.to) else { return Ok(None) };
        let kind = kind(packet.response);
        if pattern.counts() {
            self.seq = self.seq.wrapping_add(1);
        }
        Ok(Some(Frame { endpoint, data, kind }))
    }

    fn write_all(&mut self, touched: &[usize], ops: &mut Ops<'_>) {
        let dues = self.due(touched);
        self.write_dues(&dues, ops);
    }

    fn write_dues(&mut self, dues: &[Due], ops: &mut Ops<'_>) {
        for due in dues {
            match self.frame(due) {
                Ok(frame) => frame.iter().for_each(|frame| frame.write(ops)),
                Err(error) => ops.log(LogLevel::Error, &self.complaint(due, &error)),
            }
        }
    }

    /// Whether the packet has bytes at the values of now.
    fn has_bytes(&self, due: &Due) -> bool {
        let Some(active) = self.active.get(due.active) else { return false };
        self.packet(active)
            .is_some_and(|packet| packet.pattern(&self.scope(&active.members, due.current)).is_some())
    }

    fn set_timers(&self, touched: &[usize], ops: &mut Ops<'_>) {
        for (at, active) in self.active.iter().enumerate() {
            let after_ms = self.packet(active).and_then(|packet| packet.after_ms);
            if let (Some(timer), Some(after_ms)) = (active.timer, after_ms)
                && active.members.iter().any(|member| touched.contains(member))
            {
                if self.dues_of(at).iter().any(|due| self.has_bytes(due)) {
                    ops.timer(timer, after_ms);
                } else {
                    // Nothing would be sent, and a stop would not be over before.
                    ops.cancel_timer(timer);
                }
            }
        }
    }

    fn complaint(&self, due: &Due, error: &EncodeError) -> String {
        let packet = self.active.get(due.active).and_then(|active| self.packet(active));
        format!("{}: {error}", packet.map_or("packet", |packet| packet.key.as_str()))
    }
}

fn kind(response: Response) -> WriteKind {
    match response {
        Response::Wanted => WriteKind::WithResponse,
        Response::NotWanted => WriteKind::WithoutResponse,
    }
}
