//! Calls of the plugin, and the operations that they gave: one at a time, in order, to the end or to the first failure.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    call::{Call, Cause, Cut, Phase},
    command::DeviceReport,
    effect::{Effect, Packet, Transfer, TransferFault, Transferred},
    life::{Device, Life},
    outputs::Place,
    setup::SetUnderWay,
};
use crate::{
    fault::{Fault, Reason},
    protocol::{Endpoint, InputWish, Operation, PluginFault, ProtocolEvent},
};

/// Operations that one call may give.
const MOST_OPERATIONS: usize = 1024;
/// Timers that a plugin may have at a time.
const MOST_TIMERS: usize = 64;

impl Device {
    /// Whether neither a call nor a transfer is under way.
    pub(super) const fn is_idle(&self) -> bool {
        self.call.is_none() && self.transfer.is_none()
    }

    /// Whether a set or stop under way has this output in it.
    pub(super) fn is_being_written(&self, place: Place) -> bool {
        match self.call.as_ref().map(|call| &call.cause) {
            Some(Cause::Output(sent)) => sent.iter().any(|sent| sent.place == place),
            Some(Cause::Stop(run)) => run.places.contains(&place),
            Some(_) | None => false,
        }
    }

    pub(super) fn make_call(&mut self, cause: Cause, event: ProtocolEvent, effects: &mut Vec<Effect>) {
        self.call = Some(Call::of_plugin(cause));
        effects.push(Effect::Call(event));
    }

    /// Does what can be done now: operations of the call under way, then the next call.
    pub(super) fn advance(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        while self.transfer.is_none() && !self.is_gone() {
            let goes_on = match &self.call {
                Some(call) if call.is_with_plugin() => return,
                Some(_) => {
                    let waits = self.next_packet_due().is_some_and(|due| due > now) && !self.gives_way(now);
                    if waits {
                        return;
                    }
                    self.next_operation(now, effects);
                    true
                }
                None => self.next_call(now, effects).is_some(),
            };
            if !goes_on {
                return;
            }
        }
    }

    pub(super) fn called(
        &mut self,
        now: Instant,
        result: Result<Vec<Operation>, PluginFault>,
        effects: &mut Vec<Effect>,
    ) {
        let coming_up = self.is_coming_up();
        let Some(call) = self.call.as_mut().filter(|call| call.is_with_plugin()) else { return };
        if let Cause::Rescue = call.cause {
            let packets = result.map(packets_of).unwrap_or_default();
            return self.rescue(packets, effects);
        }
        match result {
            Ok(operations) if operations.len() > MOST_OPERATIONS => {
                let fault = PluginFault::OverLimit { what: "operations", limit: MOST_OPERATIONS };
                self.plugin_failed(now, &fault, effects);
            }
            Ok(operations) => call.phase = Phase::Operations(operations.into()),
            Err(fault) if coming_up || fault.ends_the_device() => self.plugin_failed(now, &fault, effects),
            Err(fault) => {
                call.phase = Phase::Operations(VecDeque::new());
                match (&call.cause, fault) {
                    (Cause::KeepAlive, PluginFault::Unsupported) => {
                        self.keep_alive.plugin_does_not_know();
                        self.call = None;
                        self.keep_alive_now(now, effects);
                    }
                    (Cause::Input(_), PluginFault::Unsupported) => {
                        call.fail(Fault::new(
                            Reason::InputNotSupported,
                            "the protocol of the device does not do this",
                        ));
                    }
                    (_, PluginFault::Unsupported) => {
                        call.fail(Fault::new(
                            Reason::OutputNotSupported,
                            "the protocol of the device does not do this",
                        ));
                    }
                    (_, fault) => call.fail(Fault::new(Reason::PluginFailed, fault.to_string())),
                }
            }
        }
    }

    /// When the next operation of the call under way may be done, if it is a packet that has to keep its distance.
    pub(super) fn next_packet_due(&self) -> Option<Instant> {
        let call = self.call.as_ref()?;
        let Phase::Operations(operations) = &call.phase else { return None };
        if self.transfer.is_some() {
            return None;
        }
        match operations.front()? {
            Operation::Write { .. } => self.spacing.due(call),
            Operation::Read { .. }
            | Operation::Subscribe { .. }
            | Operation::Unsubscribe { .. }
            | Operation::Timer { .. }
            | Operation::Identified { .. }
            | Operation::Ready
            | Operation::Reading { .. }
            | Operation::InputFailed { .. }
            | Operation::Log { .. } => None,
        }
    }

    /// Whether packets of the call under way are dropped now because a stop is due.
    fn gives_way(&self, now: Instant) -> bool {
        let gives_way = match self.set_under_way {
            SetUnderWay::Cut => self.call.as_ref().is_some_and(|call| call.cause.gives_way()),
            SetUnderWay::Finish => false,
        };
        gives_way && !self.is_coming_up() && self.stops.is_due(now)
    }

    fn next_operation(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let gives_way = self.gives_way(now);
        let Some(call) = &mut self.call else { return };
        let Phase::Operations(operations) = &mut call.phase else { return };
        let Some(operation) = operations.pop_front() else {
            if let Some(call) = self.call.take() {
                self.finish(call, now, effects);
            }
            return;
        };
        let transfer = match operation {
            Operation::Write { .. } | Operation::Read { .. } if gives_way => {
                call.cut = Cut::Short;
                return;
            }
            Operation::Write { endpoint, data, kind } => Transfer::Write(Packet { endpoint, data, kind }),
            Operation::Read { endpoint, max_len } => Transfer::Read { endpoint, max_len },
            Operation::Subscribe { endpoint } => Transfer::Subscribe(endpoint),
            Operation::Unsubscribe { endpoint } => Transfer::Unsubscribe(endpoint),
            Operation::Timer { timer, after_ms } => return self.set_timer(now, timer, after_ms, effects),
            Operation::Identified { protocol, model } => return self.identified(protocol, model, effects),
            Operation::Ready => return self.ready(now, effects),
            Operation::Reading { feature, kind, value } => {
                self.answer_reading((feature, kind), &Ok(value), effects);
                effects.push(Effect::Report(DeviceReport::Reading { feature, kind, value }));
                return;
            }
            Operation::InputFailed { feature, kind } => {
                let fault = self
                    .read_fault
                    .take()
                    .unwrap_or_else(|| Fault::new(Reason::ReadFailed, "the device did not tell the value"));
                if let Cause::Input(wish) = &call.cause
                    && wish.input == (feature, kind)
                    && wish.wish != InputWish::Read
                {
                    call.fail(Fault::new(
                        Reason::SubscribeFailed,
                        "the device did not take the subscription",
                    ));
                }
                return self.answer_reading((feature, kind), &Err(fault), effects);
            }
            Operation::Log { level, text } => return effects.push(Effect::Log { level, text }),
        };
        self.transfer = Some(transfer.clone());
        effects.push(Effect::Transfer(transfer));
    }

    fn set_timer(&mut self, now: Instant, timer: u32, after_ms: u32, effects: &mut Vec<Effect>) {
        self.events.retain(|event| *event != ProtocolEvent::Timer { timer });
        self.timers.remove(&timer);
        let goes_on_with_stop = match self.call.as_ref().map(|call| &call.cause) {
            Some(Cause::Stop(_)) => true,
            Some(Cause::Timer(current)) => self.stop_timers.contains(current),
            Some(_) | None => false,
        };
        if after_ms == 0 || !goes_on_with_stop {
            self.stop_timers.remove(&timer);
        }
        if after_ms == 0 {
            return;
        }
        if self.timers.len() >= MOST_TIMERS {
            let fault = PluginFault::OverLimit { what: "timers", limit: MOST_TIMERS };
            return self.plugin_failed(now, &fault, effects);
        }
        self.timers.insert(timer, now + Duration::from_millis(after_ms.into()));
        if goes_on_with_stop {
            self.stop_timers.insert(timer);
        }
    }

    fn identified(&mut self, protocol: Option<String>, model: String, effects: &mut Vec<Effect>) {
        let Life::Identifying = self.life else { return };
        if protocol.is_some() {
            // They belong to the plugin that is leaving.
            self.events.clear();
            self.timers.clear();
        }
        self.life = Life::Identified;
        effects.push(Effect::Identified { protocol, model });
    }

    fn ready(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        let Life::Starting = self.life else { return };
        self.life = Life::Ready;
        self.keep_alive.restart(now);
        effects.push(Effect::Ready);
    }

    pub(super) fn transferred(
        &mut self,
        now: Instant,
        result: Result<Transferred, TransferFault>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(transfer) = self.transfer.take() else { return };
        if let Err(TransferFault::Lost(why)) = &result {
            return self.end(
                Fault::new(Reason::DeviceLost, format!("the device is no longer there: {why}")),
                effects,
            );
        }
        match (transfer, result) {
            (Transfer::Write(packet), result) => self.written(now, packet, result, effects),
            (Transfer::Read { endpoint, .. }, Ok(Transferred::Data(data))) => {
                self.read_fault = None;
                self.push_event(ProtocolEvent::ReadDone { endpoint, data });
            }
            (Transfer::Read { endpoint, .. }, Ok(Transferred::Done)) => {
                self.push_event(ProtocolEvent::ReadDone { endpoint, data: Vec::new() });
            }
            (Transfer::Read { endpoint, .. }, Err(why)) => {
                let text = format!("the device did not tell the value: {why}");
                self.read_fault = Some(Fault::new(why.reason_or(Reason::ReadFailed), text));
                self.push_event(ProtocolEvent::ReadFailed { endpoint })
            }
            (Transfer::Subscribe(_) | Transfer::Unsubscribe(_), Ok(_)) => {}
            (Transfer::Subscribe(endpoint) | Transfer::Unsubscribe(endpoint), Err(why)) => {
                self.subscription_failed(&endpoint, &why, effects);
            }
        }
    }

    fn written(
        &mut self,
        now: Instant,
        packet: Packet,
        result: Result<Transferred, TransferFault>,
        effects: &mut Vec<Effect>,
    ) {
        self.last_packet = Some(now);
        self.spacing.written(self.call.as_ref(), now);
        self.keep_alive.tried(now);
        let sets = self.call.as_ref().is_some_and(|call| call.cause.sets_the_device());
        let Err(why) = result else {
            if sets {
                self.keep_alive.set(packet.clone());
            }
            if let Some(call) = &mut self.call {
                call.packets.push(packet);
            }
            return;
        };
        if sets {
            self.keep_alive.failed_to_set();
        }
        let fault = why.of_write();
        if self.is_coming_up() {
            return self.end(Fault::new(why.reason_or(Reason::BringUpFailed), fault.text), effects);
        }
        if let Some(call) = &mut self.call {
            call.fail(fault);
            if let (Cause::Output(_), Phase::Operations(operations)) = (&call.cause, &mut call.phase) {
                // The rest of a set without its beginning could mean anything to the device.
                operations.clear();
            }
        }
        self.push_event(ProtocolEvent::WriteFailed { endpoint: packet.endpoint });
    }

    fn subscription_failed(&mut self, endpoint: &Endpoint, why: &TransferFault, effects: &mut Vec<Effect>) {
        let text = format!("the device did not take a subscription to `{endpoint}`: {why}");
        if self.is_coming_up() {
            return self.end(Fault::new(why.reason_or(Reason::BringUpFailed), text), effects);
        }
        if let Some(call) = &mut self.call {
            call.fail(Fault::new(why.reason_or(Reason::SubscribeFailed), text));
        }
    }
}

/// The packets among some operations; of a plugin that has failed nothing else is taken.
fn packets_of(operations: Vec<Operation>) -> Vec<Packet> {
    let packet = |operation| match operation {
        Operation::Write { endpoint, data, kind } => Some(Packet { endpoint, data, kind }),
        Operation::Read { .. }
        | Operation::Subscribe { .. }
        | Operation::Unsubscribe { .. }
        | Operation::Timer { .. }
        | Operation::Identified { .. }
        | Operation::Ready
        | Operation::Reading { .. }
        | Operation::InputFailed { .. }
        | Operation::Log { .. } => None,
    };
    operations.into_iter().filter_map(packet).take(MOST_OPERATIONS).collect()
}
