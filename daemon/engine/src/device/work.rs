//! What a device does next when nothing is under way: stops first, then events, outputs and inputs in turn, then a keep-alive.

use std::time::Instant;

use super::{
    call::{Call, Cause, Sent},
    command::{StopCause, StopScope},
    effect::Effect,
    keep_alive::Repetition,
    life::{Device, Life},
    motion::Motion,
    requests::answered,
    turn::Turn,
};
use crate::protocol::ProtocolEvent;

/// Something was begun or settled, so that there may be more to do at once.
#[derive(Debug)]
pub(super) struct Progress;

impl Device {
    /// Begins the next piece of work. `None` when there is nothing to do now.
    pub(super) fn next_call(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Option<Progress> {
        match &self.life {
            Life::Opened => {
                self.life = Life::Identifying;
                self.make_call(Cause::Identify, ProtocolEvent::Identify, effects);
                Some(Progress)
            }
            Life::Identifying => self.next_event(effects),
            Life::Identified => None,
            Life::Starting => self.next_event(effects),
            Life::Modelled => {
                self.life = Life::Starting;
                self.make_call(Cause::Start, ProtocolEvent::Start, effects);
                Some(Progress)
            }
            Life::Ready => self
                .next_stop(now, effects)
                .or_else(|| self.next_in_turn(now, effects))
                .or_else(|| self.next_keep_alive(now, effects)),
            Life::Closing { fault, .. } => {
                let fault = fault.clone();
                if let Some(progress) = self.next_stop(now, effects) {
                    return Some(progress);
                }
                if self.stops.is_pending() || !self.stop_timers.is_empty() {
                    return self.next_event(effects);
                }
                if let Some(progress) = self.next_input(effects) {
                    return Some(progress);
                }
                self.end(fault, effects);
                None
            }
            Life::Failing { .. } | Life::Gone => None,
        }
    }

    /// When there will be something to do, if nothing happens before.
    pub(super) fn work_deadline(&self) -> Option<Instant> {
        match self.life {
            Life::Ready => {
                let keep_alive = if self.stops.is_pending() {
                    None
                } else {
                    self.keep_alive.deadline(self.outputs.anything_going())
                };
                [self.stops.deadline(), self.outputs_due(), keep_alive].into_iter().flatten().min()
            }
            Life::Closing { .. } => self.stops.deadline(),
            Life::Opened
            | Life::Identifying
            | Life::Identified
            | Life::Modelled
            | Life::Starting
            | Life::Failing { .. }
            | Life::Gone => None,
        }
    }

    fn next_stop(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Option<Progress> {
        if !self.stops.is_due(now) {
            return None;
        }
        let run = self.stops.take(&mut self.outputs);
        if run.places.is_empty() {
            effects.extend(run.tickets.into_iter().map(|ticket| answered(ticket, Ok(None))));
            return Some(Progress);
        }
        let set = self.outputs.begin_stop(&run.places);
        self.make_call(Cause::Stop(run), ProtocolEvent::Stop(set), effects);
        Some(Progress)
    }

    fn next_in_turn(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Option<Progress> {
        let first = self.turn;
        for turn in [first, first.next(), first.next().next()] {
            let progress = match turn {
                Turn::Events => self.next_event(effects),
                Turn::Outputs => self.next_outputs(now, effects),
                Turn::Inputs => self.next_input(effects),
            };
            if progress.is_some() {
                self.turn = turn.next();
                return progress;
            }
        }
        None
    }

    fn next_event(&mut self, effects: &mut Vec<Effect>) -> Option<Progress> {
        let event = self.events.pop_front()?;
        let cause = match event {
            ProtocolEvent::Timer { timer } => Cause::Timer(timer),
            ProtocolEvent::Notified { .. }
            | ProtocolEvent::ReadDone { .. }
            | ProtocolEvent::ReadFailed { .. }
            | ProtocolEvent::WriteFailed { .. }
            | ProtocolEvent::Identify
            | ProtocolEvent::Start
            | ProtocolEvent::Output(_)
            | ProtocolEvent::Stop(_)
            | ProtocolEvent::Input { .. }
            | ProtocolEvent::KeepAlive => Cause::Event,
        };
        self.make_call(cause, event, effects);
        Some(Progress)
    }

    /// When the values that wait may be sent: the gap has passed, and others had time to join the first.
    fn outputs_due(&self) -> Option<Instant> {
        if self.stops.is_pending() || !self.outputs.anything_wanted() {
            return None;
        }
        let first = self.first_wanted?;
        let gathered = if self.outputs.everything_wanted() { first } else { first + self.gather };
        Some(self.last_packet.map_or(gathered, |last| gathered.max(last + self.gap)))
    }

    fn next_outputs(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Option<Progress> {
        if self.outputs_due()? > now {
            return None;
        }
        self.first_wanted = None;
        let mut sent = Vec::new();
        let mut set = Vec::new();
        let mut runs = false;
        for (place, wanted) in self.outputs.wanted() {
            self.outputs.forget_wanted(place);
            let is_there =
                self.outputs.at(place).is_some_and(|output| output.confirmed == Some(wanted.level));
            if is_there {
                self.requests.settle(wanted.ticket, Ok(()), effects);
                continue;
            }
            runs |= self.outputs.begin(place, wanted.level);
            set.extend(self.outputs.value(place, wanted.level));
            sent.push(Sent { place, level: wanted.level, ticket: wanted.ticket });
        }
        if sent.is_empty() {
            return Some(Progress);
        }
        if runs && self.journal == Motion::AtRest {
            self.journal = Motion::MayRun;
            effects.push(Effect::Journal(Motion::MayRun));
        }
        self.make_call(Cause::Output(sent), ProtocolEvent::Output(set), effects);
        Some(Progress)
    }

    fn next_input(&mut self, effects: &mut Vec<Effect>) -> Option<Progress> {
        let wish = self.inputs.next()?;
        let (feature, kind) = wish.input;
        self.make_call(Cause::Input(wish), ProtocolEvent::Input { feature, kind, wish: wish.wish }, effects);
        Some(Progress)
    }

    fn next_keep_alive(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Option<Progress> {
        if self.stops.is_pending() || self.keep_alive.deadline(self.outputs.anything_going())? > now {
            return None;
        }
        self.keep_alive_now(now, effects)
    }

    pub(super) fn keep_alive_now(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Option<Progress> {
        match self.keep_alive.repetition(now) {
            Repetition::AskPlugin => self.make_call(Cause::KeepAlive, ProtocolEvent::KeepAlive, effects),
            Repetition::Write(packet) => self.call = Some(Call::of_packets(Cause::Repeat, vec![packet])),
            Repetition::Stop => self.stops.add_silently(StopScope::All, StopCause::Global, now),
            Repetition::Nothing => return None,
        }
        Some(Progress)
    }
}
