//! What is asked of a device: values, stops, inputs, and its end.

use std::{collections::BTreeMap, time::Instant};

use super::{
    command::{DeviceCommand, DeviceTicket, StopCause, StopScope},
    effect::Effect,
    inputs::Arrival,
    life::{Device, Life},
    outputs::{Level, Wanted},
    requests::answered,
    stops::StopRequest,
};
use crate::{
    fault::{Fault, Reason},
    protocol::OutputValue,
};

impl Device {
    pub(super) fn command(&mut self, now: Instant, command: DeviceCommand, effects: &mut Vec<Effect>) {
        match command {
            DeviceCommand::Set { ticket, values } => match self.refusal() {
                Some(fault) => effects.push(answered(ticket, Err(fault))),
                None => self.set(now, ticket, values, effects),
            },
            DeviceCommand::Stop { ticket, scope, cause } => {
                self.stop(now, StopRequest { ticket, scope, cause }, effects)
            }
            DeviceCommand::Input { ticket, feature, kind, wish } => {
                let arrival = match self.refusal() {
                    Some(fault) => Arrival::Refused(fault),
                    None if self.signal.is((feature, kind)) => {
                        let result = self.signal.ask(wish);
                        return effects.extend(ticket.map(|ticket| answered(ticket, result)));
                    }
                    None => self.inputs.add((feature, kind), wish, ticket, now + self.limits.read),
                };
                let result = match arrival {
                    Arrival::Waits => return,
                    Arrival::Done => Ok(None),
                    Arrival::Refused(fault) => Err(fault),
                };
                effects.extend(ticket.map(|ticket| answered(ticket, result)));
            }
            DeviceCommand::Close { reason } => {
                self.close(now, Fault::new(reason, "the device is let go"), effects)
            }
        }
    }

    /// Why the device takes no commands but stops at the moment.
    fn refusal(&self) -> Option<Fault> {
        match &self.life {
            Life::Ready => None,
            Life::Opened | Life::Identifying | Life::Identified | Life::Modelled | Life::Starting => {
                Some(Fault::new(Reason::DeviceNotConnected, "the device is still being prepared"))
            }
            Life::Closing { fault, .. } | Life::Failing { fault, .. } => Some(fault.clone()),
            Life::Gone => Some(Fault::new(Reason::DeviceLost, "the device is gone")),
        }
    }

    fn set(
        &mut self,
        now: Instant,
        ticket: DeviceTicket,
        values: Vec<OutputValue>,
        effects: &mut Vec<Effect>,
    ) {
        let mut levels = BTreeMap::new();
        for value in values {
            let Some(place) = self.outputs.place(value.feature, value.kind) else {
                let text =
                    format!("feature {} of the device has no output `{}`", value.feature, value.kind.name());
                effects.push(answered(ticket, Err(Fault::new(Reason::OutputNotSupported, text))));
                return;
            };
            levels.insert(place, Level { value: value.value, duration_ms: value.duration_ms });
        }
        self.requests.open(ticket, levels.len(), effects);
        for (place, level) in levels {
            let replaced = [Some(place), self.outputs.other_way(place)];
            for old in replaced.into_iter().flatten().filter_map(|place| self.outputs.forget_wanted(place)) {
                self.requests.settle(old, Ok(()), effects);
            }
            let is_settled = !self.stops.is_pending() && !self.is_being_written(place);
            let Some(output) = self.outputs.at(place) else { continue };
            if is_settled && output.confirmed == Some(level) {
                self.requests.settle(ticket, Ok(()), effects);
            } else {
                self.outputs.want(place, Wanted { level, ticket });
                self.first_wanted.get_or_insert(now);
            }
        }
        self.stops.hurry(now);
    }

    fn stop(&mut self, now: Instant, request: StopRequest, effects: &mut Vec<Effect>) {
        match &self.life {
            Life::Failing { fault, .. } => {
                let fault = fault.clone();
                effects.extend(request.ticket.map(|ticket| answered(ticket, Err(fault))));
                return;
            }
            Life::Gone => {
                let fault = Fault::new(Reason::DeviceLost, "the device is gone");
                effects.extend(request.ticket.map(|ticket| answered(ticket, Err(fault))));
                return;
            }
            Life::Opened
            | Life::Identifying
            | Life::Identified
            | Life::Modelled
            | Life::Starting
            | Life::Ready
            | Life::Closing { .. } => {}
        }
        let addressed = self.outputs.addressed(&request.scope);
        for place in &addressed {
            if let Some(ticket) = self.outputs.forget_wanted(*place) {
                self.requests.settle(ticket, Ok(()), effects);
            }
        }
        if let Some(call) = &mut self.call {
            call.cancelled.extend(addressed);
        }
        if let Err(Some(ticket)) = self.stops.add(request, now) {
            let fault = Fault::new(
                Reason::TooManyRequests,
                "too many stops wait already; everything is being stopped",
            );
            effects.push(answered(ticket, Err(fault)));
        }
    }

    fn close(&mut self, now: Instant, fault: Fault, effects: &mut Vec<Effect>) {
        match self.life {
            Life::Opened | Life::Identifying | Life::Identified | Life::Modelled | Life::Starting => {
                self.end(fault, effects)
            }
            Life::Ready => {
                let stop = StopRequest { ticket: None, scope: StopScope::All, cause: StopCause::Addressed };
                self.stop(now, stop, effects);
                for ticket in self.inputs.wind_up() {
                    effects.push(answered(ticket, Err(fault.clone())));
                }
                self.life = Life::Closing { until: now + self.limits.close, fault };
            }
            Life::Closing { .. } | Life::Failing { .. } | Life::Gone => {}
        }
    }
}
