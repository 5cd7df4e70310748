//! Stops, from whomever: never refused, never held up by a reservation, answered when every part of them is.

use std::{collections::BTreeMap, time::Instant};

use ipc_schema::error::Reason;

use super::{
    Effect, OutsideTicket, Router,
    waiting::{StopNumber, Waiting},
};
use crate::{
    command::{Answer, StopTarget, StopWhat},
    device::{DeviceCommand, StopCause, StopScope},
    fault::Fault,
    monitor::OutputId,
    protocol::InputWish,
    vocabulary::{DeviceIndex, FeatureIndex, SessionId, Ticket},
};

/// The stops that have not been answered.
#[derive(Debug, Default)]
pub(super) struct Stops {
    waiting: BTreeMap<StopNumber, Waited>,
    last: u64,
}

#[derive(Debug)]
struct Waited {
    asker: Asker,
    /// Parts that have not been answered.
    open: usize,
    parts: usize,
    faults: Vec<(DeviceIndex, Fault)>,
}

/// Who waits for a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    Session(SessionId, Ticket),
    Outside(OutsideTicket),
}

impl Asker {
    const fn session(self) -> Option<SessionId> {
        match self {
            Self::Session(session, _) => Some(session),
            Self::Outside(_) => None,
        }
    }
}

/// Which of a device's features are meant.
#[derive(Debug, Clone, Copy)]
enum Part {
    Device,
    Feature(FeatureIndex),
}

impl Part {
    fn has(self, feature: FeatureIndex) -> bool {
        match self {
            Self::Device => true,
            Self::Feature(meant) => meant == feature,
        }
    }
}

impl Router {
    pub(super) fn stop_from_outside(
        &mut self,
        now: Instant,
        ticket: OutsideTicket,
        effects: &mut Vec<Effect>,
    ) {
        self.stop(now, Asker::Outside(ticket), StopTarget::Everything, StopWhat::Outputs, effects);
    }

    pub(super) fn stop(
        &mut self,
        now: Instant,
        asker: Asker,
        target: StopTarget,
        what: StopWhat,
        effects: &mut Vec<Effect>,
    ) {
        let addressed = match self.addressed(target) {
            Ok(addressed) => addressed,
            Err(fault) => {
                self.stopped(asker, Err(fault), effects);
                return;
            }
        };
        let cause = match target {
            StopTarget::Everything => StopCause::Global,
            StopTarget::Device(_) | StopTarget::Feature(..) => StopCause::Addressed,
        };
        self.stops.last += 1;
        let number = StopNumber(self.stops.last);
        let mut parts = 0;
        if matches!(what, StopWhat::Outputs | StopWhat::Both) {
            for (device, part) in &addressed {
                parts += self.stop_outputs(now, number, *device, *part, cause, effects);
            }
        }
        if let (StopWhat::Inputs | StopWhat::Both, Some(session)) = (what, asker.session()) {
            for (device, part) in &addressed {
                parts += self.end_subscriptions(number, session, *device, *part, effects);
            }
        }
        if parts == 0 {
            self.stopped(asker, Ok(()), effects);
        } else {
            self.stops.waiting.insert(number, Waited { asker, open: parts, parts, faults: Vec::new() });
        }
    }

    fn addressed(&self, target: StopTarget) -> Result<Vec<(DeviceIndex, Part)>, Fault> {
        match target {
            StopTarget::Everything => Ok(self.devices.keys().map(|device| (*device, Part::Device)).collect()),
            StopTarget::Device(device) => {
                self.device(device)?;
                Ok(vec![(device, Part::Device)])
            }
            StopTarget::Feature(device, feature) => {
                self.device(device)?.check_feature(feature)?;
                Ok(vec![(device, Part::Feature(feature))])
            }
        }
    }

    /// Stops outputs of one device; gives the number of answers to wait for.
    fn stop_outputs(
        &mut self,
        now: Instant,
        number: StopNumber,
        device: DeviceIndex,
        part: Part,
        cause: StopCause,
        effects: &mut Vec<Effect>,
    ) -> usize {
        let ticket = self.next_ticket();
        let Some(connected) = self.devices.get_mut(&device) else { return 0 };
        let mut stopped = Vec::new();
        for (&(feature, kind), output) in &mut connected.outputs {
            if part.has(feature) {
                output.abandon();
                stopped.push(OutputId { device, feature, kind });
            }
        }
        if stopped.is_empty() {
            return 0;
        }
        connected.waiting.insert(ticket, Waiting::Stop(number));
        for output in stopped {
            self.output_changed(now, output);
        }
        let scope = match part {
            Part::Device => StopScope::All,
            Part::Feature(feature) => StopScope::Feature(feature),
        };
        let command = DeviceCommand::Stop { ticket: Some(ticket), scope, cause };
        effects.push(Effect::Device { device, command });
        1
    }

    /// Ends what a session subscribed to on one device; gives the number of answers to wait for.
    fn end_subscriptions(
        &mut self,
        number: StopNumber,
        session: SessionId,
        device: DeviceIndex,
        part: Part,
        effects: &mut Vec<Effect>,
    ) -> usize {
        let Some(connected) = self.devices.get_mut(&device) else { return 0 };
        let mut ended = Vec::new();
        connected.subscriptions.retain(|&(feature, kind), subscription| {
            if part.has(feature) && subscription.leave(session) && subscription.is_deserted() {
                ended.push((feature, kind));
                return false;
            }
            true
        });
        for &(feature, kind) in &ended {
            let ticket = self.next_ticket();
            if let Some(connected) = self.devices.get_mut(&device) {
                connected.waiting.insert(ticket, Waiting::Stop(number));
            }
            let command =
                DeviceCommand::Input { ticket: Some(ticket), feature, kind, wish: InputWish::Unsubscribe };
            effects.push(Effect::Device { device, command });
        }
        ended.len()
    }

    /// A device has answered its part of a stop.
    pub(super) fn stop_part_answered(
        &mut self,
        number: StopNumber,
        device: DeviceIndex,
        result: Result<(), Fault>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(waited) = self.stops.waiting.get_mut(&number) else { return };
        waited.open -= 1;
        waited.faults.extend(result.err().map(|fault| (device, fault)));
        if waited.open > 0 {
            return;
        }
        if let Some(Waited { asker, parts, faults, .. }) = self.stops.waiting.remove(&number) {
            self.stopped(asker, sum_up(faults, parts), effects);
        }
    }

    fn stopped(&self, asker: Asker, outcome: Result<(), Fault>, effects: &mut Vec<Effect>) {
        match asker {
            Asker::Session(session, ticket) => {
                self.answer(session, ticket, outcome.map(|()| Answer::Done), effects);
            }
            Asker::Outside(ticket) => effects.push(Effect::Stopped { ticket, outcome }),
        }
    }
}

/// The outcome of a stop whose parts failed with these faults.
fn sum_up(mut faults: Vec<(DeviceIndex, Fault)>, parts: usize) -> Result<(), Fault> {
    let Some((device, first)) = faults.pop() else { return Ok(()) };
    if parts == 1 {
        return Err(first);
    }
    let mut text = format!("device {device}: {first}");
    let reason = if faults.iter().all(|(_, fault)| fault.reason == first.reason) {
        first.reason
    } else {
        Reason::WriteFailed
    };
    for (device, fault) in faults {
        text.push_str(&format!("; device {device}: {fault}"));
    }
    Err(Fault::new(reason, text))
}
