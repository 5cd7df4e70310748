//! Commands of sessions, and above all the setting of outputs: checked, converted, and put together a frame and device.

use std::time::Instant;

use ipc_schema::error::Reason;

use super::{
    Effect, Freshness, Router,
    claim::{Claim, Verdict},
    stop::Asker,
    waiting::Waiting,
};
use crate::{
    command::{Answer, Command, Dispatch, Event, Setting},
    definition::scale::{OutputScale, OutsideRange},
    device::{DeviceCommand, DeviceTicket, StopCause, StopScope},
    fault::Fault,
    monitor::{OutputId, Reservation},
    protocol::OutputValue,
    vocabulary::{DeviceIndex, FeatureIndex, OutputKind, SessionId, Ticket},
};

/// Outputs of one device that requests of one frame set.
struct Batch {
    device: DeviceIndex,
    first: Ticket,
    more: Vec<Ticket>,
    values: Vec<OutputValue>,
}

impl Router {
    pub(super) fn commands(
        &mut self,
        now: Instant,
        session: SessionId,
        dispatches: Vec<Dispatch>,
        effects: &mut Vec<Effect>,
    ) {
        // What a session had sent before it ended may still arrive; it is as good as not sent, but for a stop.
        let alive = self.sessions.contains_key(&session);
        let mut batches: Vec<Batch> = Vec::new();
        for Dispatch { ticket, command } in dispatches {
            match command {
                Command::SetOutputs { device, settings } if alive => {
                    match self.check_settings(session, device, &settings) {
                        Ok(values) if values.is_empty() => {
                            self.answer(session, ticket, Ok(Answer::Done), effects)
                        }
                        Ok(values) => collect(&mut batches, device, ticket, values),
                        Err(fault) => self.answer(session, ticket, Err(fault), effects),
                    }
                }
                Command::Stop { .. } => {
                    self.set_outputs(now, session, &mut batches, effects);
                    self.command(now, session, ticket, command, effects);
                }
                _ if alive => {
                    self.set_outputs(now, session, &mut batches, effects);
                    self.command(now, session, ticket, command, effects);
                }
                _ => {}
            }
        }
        self.set_outputs(now, session, &mut batches, effects);
    }

    fn command(
        &mut self,
        now: Instant,
        session: SessionId,
        ticket: Ticket,
        command: Command,
        effects: &mut Vec<Effect>,
    ) {
        let outcome = match command {
            Command::StartScanning => match self.scan.start(session) {
                Ok(()) => {
                    self.scan_changed(effects);
                    Ok(Answer::Done)
                }
                Err(fault) => Err(fault),
            },
            Command::StopScanning => {
                let ended = self.scan.stop(session);
                self.scan_changed(effects);
                self.answer(session, ticket, Ok(Answer::Done), effects);
                if ended {
                    effects.push(Effect::Event { session, event: Event::ScanningFinished });
                }
                return;
            }
            Command::Unlisted { device } => Err(self.unlisted(device)),
            Command::ListDevices => Ok(Answer::Devices(self.list.clone())),
            Command::Stop { target, what } => {
                self.stop(now, Asker::Session(session, ticket), target, what, effects);
                return;
            }
            Command::Input { device, feature, kind, wish } => {
                self.input(session, ticket, device, feature, kind, wish, effects);
                return;
            }
            Command::Reserve { device, feature } => self.reserve(session, device, feature),
            Command::Release { device, feature } => {
                self.reservations.release(session, Reservation { device, feature });
                self.freshness = Freshness::Stale;
                Ok(Answer::Done)
            }
            Command::Monitor(request) => {
                self.monitor(now, session, ticket, request, effects);
                return;
            }
            // Sets are put together before they get here.
            Command::SetOutputs { .. } => Ok(Answer::Done),
        };
        self.answer(session, ticket, outcome, effects);
    }

    /// Why a device is not in a session's list, whatever is wanted of it.
    fn unlisted(&self, device: DeviceIndex) -> Fault {
        self.device(device).err().unwrap_or_else(|| {
            let text = format!("device {device} has only just come; send it again when the list has it");
            Fault::new(Reason::DeviceNotConnected, text)
        })
    }

    fn reserve(
        &mut self,
        session: SessionId,
        device: DeviceIndex,
        feature: Option<FeatureIndex>,
    ) -> Result<Answer, Fault> {
        let connected = self.device(device)?;
        if let Some(feature) = feature {
            connected.check_feature(feature)?;
        }
        match self.reservations.reserve(session, Reservation { device, feature }) {
            Ok(()) => {
                self.freshness = Freshness::Stale;
                Ok(Answer::Done)
            }
            Err(holder) => Err(self.reserved_by(holder)),
        }
    }

    fn reserved_by(&self, holder: SessionId) -> Fault {
        let name = self.sessions.get(&holder).map(|client| client.name()).unwrap_or_default();
        Fault::new(Reason::Reserved, format!("reserved by session {holder} (`{name}`)"))
    }

    /// The device's own values for what a client wants, if all of it is possible.
    fn check_settings(
        &self,
        session: SessionId,
        device: DeviceIndex,
        settings: &[Setting],
    ) -> Result<Vec<OutputValue>, Fault> {
        let connected = self.device(device)?;
        settings
            .iter()
            .map(|setting| {
                let scale = connected.scale(setting.feature, setting.kind)?;
                if let Some(holder) = self.reservations.in_the_way(session, device, setting.feature) {
                    return Err(self.reserved_by(holder));
                }
                Ok(OutputValue {
                    feature: setting.feature,
                    kind: setting.kind,
                    value: check_value(scale, setting)?,
                    duration_ms: check_duration(scale, setting)?,
                })
            })
            .collect()
    }

    /// Hands what was put together to the devices.
    fn set_outputs(
        &mut self,
        now: Instant,
        session: SessionId,
        batches: &mut Vec<Batch>,
        effects: &mut Vec<Effect>,
    ) {
        for Batch { device, first, more, mut values } in batches.drain(..) {
            let ticket = self.next_ticket();
            let Some(connected) = self.devices.get_mut(&device) else { continue };
            connected.waiting.insert(ticket, Waiting::Set { session, first, more });
            values.sort_by_key(|value| (value.feature, value.kind));
            for value in &values {
                let Some(output) = connected.outputs.get_mut(&(value.feature, value.kind)) else { continue };
                output.wanted = Some(value.value);
                match &mut output.claim {
                    Some(claim) => claim.set_by(session, ticket.0),
                    none => *none = Some(Claim::new(session, ticket.0)),
                }
            }
            for value in &values {
                self.output_changed(now, OutputId { device, feature: value.feature, kind: value.kind });
            }
            effects.push(Effect::Device { device, command: DeviceCommand::Set { ticket, values } });
        }
    }

    /// A device has answered a set.
    pub(super) fn set_answered(
        &mut self,
        now: Instant,
        device: DeviceIndex,
        ticket: DeviceTicket,
        succeeded: Result<(), ()>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(connected) = self.devices.get_mut(&device) else { return };
        let mut abandoned = Vec::new();
        for (key, output) in &mut connected.outputs {
            let Some(claim) = &mut output.claim else { continue };
            match succeeded {
                Ok(()) => claim.succeeded(ticket.0),
                Err(()) => match claim.failed(ticket.0) {
                    Verdict::Keep => {}
                    Verdict::Stop => {
                        output.abandon();
                        abandoned.push(*key);
                    }
                },
            }
        }
        if abandoned.is_empty() {
            return;
        }
        for &(feature, kind) in &abandoned {
            self.output_changed(now, OutputId { device, feature, kind });
        }
        stop_abandoned(device, abandoned, effects);
    }

    /// Stops what a session that has ended was the owner of.
    pub(super) fn stop_owned(&mut self, now: Instant, session: SessionId, effects: &mut Vec<Effect>) {
        let mut changed = Vec::new();
        for (&device, connected) in &mut self.devices {
            let mut abandoned = Vec::new();
            for (&(feature, kind), output) in &mut connected.outputs {
                let Some(claim) = &mut output.claim else { continue };
                if claim.ended(session) == Verdict::Stop {
                    output.abandon();
                    abandoned.push((feature, kind));
                    changed.push(OutputId { device, feature, kind });
                }
            }
            if !abandoned.is_empty() {
                stop_abandoned(device, abandoned, effects);
            }
        }
        for output in changed {
            self.output_changed(now, output);
        }
    }

    /// A device has confirmed the value of an output.
    pub(super) fn output_confirmed(
        &mut self,
        now: Instant,
        device: DeviceIndex,
        feature: FeatureIndex,
        kind: OutputKind,
        value: i32,
    ) {
        let Some(connected) = self.devices.get_mut(&device) else { return };
        let Some(output) = connected.outputs.get_mut(&(feature, kind)) else { return };
        output.confirmed = Some(value);
        self.output_changed(now, OutputId { device, feature, kind });
    }
}

fn stop_abandoned(device: DeviceIndex, outputs: Vec<(FeatureIndex, OutputKind)>, effects: &mut Vec<Effect>) {
    let scope = StopScope::Outputs(outputs);
    let command = DeviceCommand::Stop { ticket: None, scope, cause: StopCause::OwnerGone };
    effects.push(Effect::Device { device, command });
}

/// Puts a request's outputs to those that earlier requests of the frame set on the same device; the newest value wins.
fn collect(batches: &mut Vec<Batch>, device: DeviceIndex, ticket: Ticket, values: Vec<OutputValue>) {
    let Some(batch) = batches.iter_mut().find(|batch| batch.device == device) else {
        let mut batch = Batch { device, first: ticket, more: Vec::new(), values: Vec::new() };
        match values.len() {
            1 => batch.values = values,
            _ => batch.add(values),
        }
        batches.push(batch);
        return;
    };
    batch.more.push(ticket);
    batch.add(values);
}

impl Batch {
    fn add(&mut self, values: Vec<OutputValue>) {
        for value in values {
            let same = |held: &&mut OutputValue| (held.feature, held.kind) == (value.feature, value.kind);
            match self.values.iter_mut().find(same) {
                Some(held) => *held = value,
                None => self.values.push(value),
            }
        }
    }
}

/// The device's own value for what a client wants.
fn check_value(scale: &OutputScale, setting: &Setting) -> Result<i32, Fault> {
    scale.to_hardware(setting.value).map_err(|outside| {
        let (kind, feature) = (setting.kind.name(), setting.feature);
        let OutsideRange { value, range } = outside;
        let text = format!("{kind} of feature {feature} takes {} to {}, not {value}", range.min, range.max);
        Fault::new(Reason::ValueOutOfRange, text)
    })
}

fn check_duration(scale: &OutputScale, setting: &Setting) -> Result<u32, Fault> {
    let Some((shortest, longest)) = scale.duration_ms() else { return Ok(0) };
    match setting.duration_ms {
        Some(duration) if (shortest..=longest).contains(&duration) => Ok(duration),
        given => {
            let given = given.map_or_else(|| String::from("nothing"), |duration| format!("{duration} ms"));
            let (kind, feature) = (setting.kind.name(), setting.feature);
            let text = format!(
                "{kind} of feature {feature} takes a duration of {shortest} to {longest} ms, not {given}"
            );
            Err(Fault::new(Reason::DurationOutOfRange, text))
        }
    }
}
