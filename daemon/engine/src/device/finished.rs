//! What a call that has ended means: for the outputs that it set or stopped, for the inputs, and for the journal.

use std::{collections::BTreeSet, time::Instant};

use super::{
    call::{Call, Cause, Cut, Sent},
    command::{DeviceReport, StopCause, StopScope},
    effect::{Effect, Packet},
    inputs::Wish,
    life::{Device, Life},
    motion::Motion,
    outputs::{Place, Wanted},
    requests::answered,
    stops::StopRun,
};
use crate::{
    fault::Fault,
    protocol::{InputWish, OutputValue},
};

/// How often the last packets of rest are tried when the plugin has failed.
const MOST_LAST_RESTS: u32 = 5;

impl Device {
    /// All operations of a call are done, or were given up.
    pub(super) fn finish(&mut self, call: Call, now: Instant, effects: &mut Vec<Effect>) {
        let Call { cause, fault, packets, cut, cancelled, .. } = call;
        match cause {
            Cause::Output(sent) => {
                let places = sent.iter().map(|sent| sent.place).collect();
                match cut {
                    Cut::Whole => self.finish_set(sent, fault.as_ref(), effects),
                    Cut::Short => self.take_back(sent, fault.as_ref(), &cancelled, now, effects),
                }
                self.remember_rest(places, packets, fault.as_ref());
            }
            Cause::Stop(run) => {
                let places = run.places.clone();
                self.finish_stop(run, fault.clone(), now, effects);
                self.remember_rest(places, packets, fault.as_ref());
            }
            Cause::Input(wish) => self.finish_input(wish, fault, effects),
            Cause::Timer(timer) => {
                if fault.is_some() && self.stop_timers.contains(&timer) {
                    // A stop that goes on by this timer is not whole.
                    self.stops.add_silently(StopScope::All, StopCause::Global, now);
                }
                if !self.timers.contains_key(&timer) {
                    self.stop_timers.remove(&timer);
                }
            }
            Cause::LastRest { packets, attempt } => {
                let Life::Failing { fault: why, .. } = &self.life else { return };
                let why = why.clone();
                if fault.is_none() || attempt >= MOST_LAST_RESTS {
                    return self.end(why, effects);
                }
                let cause = Cause::LastRest { packets: packets.clone(), attempt: attempt.saturating_add(1) };
                self.call = Some(Call::of_packets(cause, packets));
            }
            Cause::Identify
            | Cause::Start
            | Cause::KeepAlive
            | Cause::Repeat
            | Cause::Event
            | Cause::Rescue => {}
        }
        self.journal_rest(effects);
    }

    fn finish_set(&mut self, sent: Vec<Sent>, fault: Option<&Fault>, effects: &mut Vec<Effect>) {
        for Sent { place, level, ticket } in sent {
            if let Some(fault) = fault {
                self.requests.settle(ticket, Err(fault), effects);
                continue;
            }
            effects.extend(self.outputs.confirm(place, level).map(report_output));
            self.requests.settle(ticket, Ok(()), effects);
        }
    }

    /// A stop came before all packets of a set were sent. What it did not address is still wanted.
    fn take_back(
        &mut self,
        sent: Vec<Sent>,
        fault: Option<&Fault>,
        cancelled: &BTreeSet<Place>,
        now: Instant,
        effects: &mut Vec<Effect>,
    ) {
        for Sent { place, level, ticket } in sent {
            if let Some(fault) = fault {
                self.requests.settle(ticket, Err(fault), effects);
                continue;
            }
            let replaced =
                self.outputs.other_way(place).and_then(|other| self.outputs.at(other)?.wanted).is_some();
            match self.outputs.at(place) {
                Some(output) if output.wanted.is_none() && !replaced && !cancelled.contains(&place) => {
                    self.outputs.want(place, Wanted { level, ticket });
                    self.first_wanted.get_or_insert(now);
                }
                Some(_) | None => self.requests.settle(ticket, Ok(()), effects),
            }
        }
    }

    fn finish_stop(&mut self, run: StopRun, fault: Option<Fault>, now: Instant, effects: &mut Vec<Effect>) {
        if let Some(fault) = fault {
            for ticket in &run.tickets {
                effects.push(answered(*ticket, Err(fault.clone())));
            }
            // The device takes nothing at the moment, and nothing is sent before the stop is.
            for (place, wanted) in self.outputs.wanted() {
                self.outputs.forget_wanted(place);
                self.requests.settle(wanted.ticket, Err(&fault), effects);
            }
            let run = StopRun { tickets: Vec::new(), ..run };
            return self.stops.repeat(run, &self.limits, now);
        }
        for place in &run.places {
            effects.extend(self.outputs.confirm_stop(*place).map(report_output));
        }
        effects.extend(run.tickets.into_iter().map(|ticket| answered(ticket, Ok(None))));
    }

    fn finish_input(&mut self, wish: Wish, fault: Option<Fault>, effects: &mut Vec<Effect>) {
        self.inputs.told();
        match (wish.wish, fault) {
            (InputWish::Read, None) => {}
            (InputWish::Read, Some(fault)) => self.answer_reading(wish.input, &Err(fault), effects),
            (InputWish::Subscribe | InputWish::Unsubscribe, fault) => {
                // A subscription that could not be ended is not asked for again: its readings go nowhere.
                if fault.is_none() || wish.wish == InputWish::Unsubscribe {
                    self.inputs.note(wish.input, wish.wish);
                }
                let result = fault.map_or(Ok(None), Err);
                effects.extend(wish.ticket.map(|ticket| answered(ticket, result)));
            }
        }
    }

    fn remember_rest(&mut self, places: BTreeSet<Place>, packets: Vec<Packet>, fault: Option<&Fault>) {
        if fault.is_none() && !self.outputs.anything_going() {
            self.rest_packets.remember(places, packets);
        }
    }

    /// Has the journal forget the device once nothing can be running.
    fn journal_rest(&mut self, effects: &mut Vec<Effect>) {
        let settled = self.stop_timers.is_empty() && !self.stops.is_pending() && !self.is_coming_up();
        if self.journal == Motion::MayRun && settled && !self.outputs.may_run() {
            self.journal = Motion::AtRest;
            effects.push(Effect::Journal(Motion::AtRest));
        }
    }
}

fn report_output(value: OutputValue) -> Effect {
    Effect::Report(DeviceReport::Output { feature: value.feature, kind: value.kind, value: value.value })
}
