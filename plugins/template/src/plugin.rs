//! The program behind the SDK: what the host loads and calls.
//!
//! One protocol, `template`, for every device whose definition is data. Which one it is says the param `template`.

use std::sync::Arc;

use plugin_sdk::{Event, Failure, Info, LogLevel, ManufacturerData, Model, Ops, Output, Protocol, Wanted};

use crate::bring_up::{BringUp, Progress};
use crate::identify;
use crate::kind::{InputKind, OutputKind};
use crate::program::Program;
use crate::readings::Readings;
use crate::running::Running;
use crate::select::Facts;

/// One device that a template drives.
pub struct TemplateDevice {
    program: Arc<Program>,
    name: String,
    manufacturer_data: Vec<ManufacturerData>,
    running: Running,
    readings: Readings,
    phase: Phase,
}

/// How far the device has come.
enum Phase {
    New,
    Identifying(BringUp),
    Starting(BringUp),
    Ready,
}

impl Protocol for TemplateDevice {
    fn create(info: &Info, ops: &mut Ops<'_>) -> Result<Self, Failure> {
        let template = info
            .param(plugin_sdk::TEMPLATE_PARAM)
            .ok_or_else(|| Failure::failed("the definition has no template"))?;
        let program = Program::from_json(template).map_err(|error| {
            ops.log(LogLevel::Error, &format!("protocol.template of {}: {error}", info.protocol));
            Failure::failed("the template cannot be read")
        })?;
        let program = Arc::new(program);
        Ok(Self {
            name: info.name.clone(),
            manufacturer_data: info.manufacturer_data.clone(),
            running: Running::new(Arc::clone(&program), info),
            readings: Readings::default(),
            phase: Phase::New,
            program,
        })
    }

    fn identify(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let program = Arc::clone(&self.program);
        let Some(identify) = &program.identify else {
            return Err(Failure::Unsupported);
        };
        if let Some(data) = identify::advertised(identify, &self.manufacturer_data) {
            return identify::conclude(identify, Some(data), &self.name, ops);
        }
        if identify.steps.is_empty() {
            return identify::conclude(identify, Some(self.name.as_bytes()), &self.name, ops);
        }
        let endpoints = self.running.names();
        let facts = Facts { identifier: "", variant: "", outputs: 0, endpoints: Some(&endpoints) };
        let mut steps = BringUp::new(&identify.steps, &facts);
        let progress = steps.go(&mut self.running, ops)?;
        self.phase = Phase::Identifying(steps);
        self.advance(progress, ops)
    }

    fn start(&mut self, model: &Model, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let endpoints = self.running.names();
        let outputs = model.features.iter().map(|feature| feature.outputs.len()).sum();
        let facts = Facts {
            identifier: &model.identifier,
            variant: &model.variant,
            outputs,
            endpoints: Some(&endpoints),
        };
        self.running.take_model(model, &facts)?;
        self.readings = Readings::new(&self.program, model, &facts, &self.running)?;
        let mut steps = BringUp::new(&self.program.start, &facts);
        let progress = steps.go(&mut self.running, ops)?;
        self.phase = Phase::Starting(steps);
        self.advance(progress, ops)
    }

    fn output(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.running.output(set, ops)
    }

    fn stop(&mut self, set: &[Output], ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.running.stop(set, ops);
        Ok(())
    }

    fn event(&mut self, event: Event<'_>, ops: &mut Ops<'_>) -> Result<(), Failure> {
        let progress = match &mut self.phase {
            Phase::Identifying(steps) | Phase::Starting(steps) => {
                steps.event(event, &mut self.running, ops)?
            }
            Phase::New | Phase::Ready => {
                if let Event::Timer(timer) = event {
                    self.running.delayed(timer, ops);
                }
                self.readings.event(event, &self.running, ops);
                return Ok(());
            }
        };
        self.advance(progress, ops)
    }

    fn input(&mut self, wanted: Wanted, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.readings.wanted(wanted, &mut self.running, ops)
    }

    fn keep_alive(&mut self, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.running.keep_alive(ops)
    }
}

impl TemplateDevice {
    /// Ends a phase whose steps are done.
    fn advance(&mut self, progress: Progress, ops: &mut Ops<'_>) -> Result<(), Failure> {
        match progress {
            Progress::Waiting => return Ok(()),
            Progress::Done => {}
        }
        match std::mem::replace(&mut self.phase, Phase::New) {
            Phase::Identifying(steps) => {
                let program = Arc::clone(&self.program);
                match &program.identify {
                    Some(identify) => identify::conclude(identify, steps.taken(), &self.name, ops),
                    None => Ok(()),
                }
            }
            Phase::Starting(_) => {
                self.phase = Phase::Ready;
                ops.ready();
                Ok(())
            }
            phase @ (Phase::New | Phase::Ready) => {
                self.phase = phase;
                Ok(())
            }
        }
    }
}

impl From<plugin_sdk::OutputKind> for OutputKind {
    fn from(kind: plugin_sdk::OutputKind) -> Self {
        match kind {
            plugin_sdk::OutputKind::Vibrate => Self::Vibrate,
            plugin_sdk::OutputKind::Rotate => Self::Rotate,
            plugin_sdk::OutputKind::Oscillate => Self::Oscillate,
            plugin_sdk::OutputKind::Constrict => Self::Constrict,
            plugin_sdk::OutputKind::Temperature => Self::Temperature,
            plugin_sdk::OutputKind::Led => Self::Led,
            plugin_sdk::OutputKind::Spray => Self::Spray,
            plugin_sdk::OutputKind::Position => Self::Position,
            plugin_sdk::OutputKind::PositionWithDuration => Self::PositionWithDuration,
        }
    }
}

impl From<plugin_sdk::InputKind> for InputKind {
    fn from(kind: plugin_sdk::InputKind) -> Self {
        match kind {
            plugin_sdk::InputKind::Battery => Self::Battery,
            plugin_sdk::InputKind::Rssi => Self::Rssi,
            plugin_sdk::InputKind::Button => Self::Button,
            plugin_sdk::InputKind::Pressure => Self::Pressure,
            plugin_sdk::InputKind::Depth => Self::Depth,
            plugin_sdk::InputKind::Position => Self::Position,
        }
    }
}
