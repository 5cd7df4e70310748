//! The life of a device, from the opened path to its end. What is asked of it on the way is in `asked`.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use super::{
    call::{Call, Cause},
    command::{StopCause, StopScope},
    effect::{Effect, Input, Packet, Transfer},
    inputs::{InputName, Inputs},
    keep_alive::KeepAliveClock,
    motion::Motion,
    outputs::Outputs,
    requests::{Requests, answered},
    rest_packets::RestPackets,
    setup::{DeviceSetup, Limits, ModelSetup, SetUnderWay},
    signal::Signal,
    spacing::Spacing,
    stops::Stops,
    turn::Turn,
};
use crate::{
    fault::{Fault, Reason},
    protocol::{PluginFault, ProtocolEvent},
};

/// Notifications that wait for the plugin. When there are more, the oldest are forgotten: the newest tell how things are. Other events are
/// no more than the timers and transfers that the plugin itself asked for, and none of them is forgotten: a stop may go on by it.
const MOST_NOTIFICATIONS: usize = 64;

/// Where a device is in its life.
#[derive(Debug)]
pub(super) enum Life {
    /// The path is open, the plugin has not been called.
    Opened,
    /// The plugin finds out which model it is.
    Identifying,
    /// The shell looks up the model and makes the plugin that takes over.
    Identified,
    /// The model is known, the plugin has not been told.
    Modelled,
    /// The plugin brings the device up.
    Starting,
    /// Commands are carried out.
    Ready,
    /// Outputs are stopped and subscriptions ended, then it is over.
    Closing { until: Instant, fault: Fault },
    /// The plugin has failed. What runs is stopped if it still can be, then it is over.
    Failing { until: Instant, fault: Fault },
    /// It is over.
    Gone,
}

/// The state of one device. See the [module](super).
#[derive(Debug)]
pub struct Device {
    pub(super) limits: Limits,
    opened: Instant,
    pub(super) bring_up_until: Instant,
    pub(super) life: Life,
    pub(super) journal: Motion,

    pub(super) call: Option<Call>,
    pub(super) transfer: Option<Transfer>,
    pub(super) events: VecDeque<ProtocolEvent>,
    pub(super) timers: BTreeMap<u32, Instant>,
    /// Timers with which the plugin goes on with a stop.
    pub(super) stop_timers: BTreeSet<u32>,

    pub(super) outputs: Outputs,
    pub(super) requests: Requests,
    pub(super) stops: Stops,
    pub(super) inputs: Inputs,
    pub(super) signal: Signal,
    /// Why the last read failed, for the plugin to make an answer of.
    pub(super) read_fault: Option<Fault>,
    pub(super) keep_alive: KeepAliveClock,
    pub(super) rest_packets: RestPackets,

    pub(super) gap: Duration,
    pub(super) spacing: Spacing,
    pub(super) set_under_way: SetUnderWay,
    pub(super) gather: Duration,
    pub(super) last_packet: Option<Instant>,
    /// When the first of the values came that wait to be sent.
    pub(super) first_wanted: Option<Instant>,
    pub(super) turn: Turn,
}

impl Device {
    /// A device whose path was opened just now. It begins with the first [`Device::handle`], for which
    /// [`Input::Deadline`] will do.
    #[must_use]
    pub fn new(setup: DeviceSetup, now: Instant) -> Self {
        Self {
            limits: setup.limits,
            opened: now,
            bring_up_until: now + setup.limits.bring_up,
            life: Life::Opened,
            journal: Motion::AtRest,
            call: None,
            transfer: None,
            events: VecDeque::new(),
            timers: BTreeMap::new(),
            stop_timers: BTreeSet::new(),
            outputs: Outputs::default(),
            requests: Requests::default(),
            stops: Stops::default(),
            inputs: Inputs::default(),
            signal: Signal::default(),
            read_fault: None,
            keep_alive: KeepAliveClock::new(now),
            rest_packets: RestPackets::default(),
            gap: Duration::ZERO,
            spacing: Spacing::default(),
            set_under_way: SetUnderWay::default(),
            gather: Duration::ZERO,
            last_packet: None,
            first_wanted: None,
            turn: Turn::default(),
        }
    }

    /// Takes what has happened and adds what is to be done to `effects`. `now` never goes back.
    pub fn handle(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::Model(setup) => self.start(setup, now),
            Input::NoModel(fault) => self.end(fault, effects),
            Input::Command(command) => self.command(now, command, effects),
            Input::Called(result) => self.called(now, result, effects),
            Input::Transferred(result) => self.transferred(now, result, effects),
            Input::Notified { endpoint, data } => self.push_event(ProtocolEvent::Notified { endpoint, data }),
            Input::Signal(_) if self.is_gone() => {}
            Input::Signal(dbm) => effects.extend(self.signal.heard(dbm).map(Effect::Report)),
            Input::Lost(why) => {
                self.end(
                    Fault::new(Reason::DeviceLost, format!("the device is no longer there: {why}")),
                    effects,
                );
            }
            Input::Deadline => {}
        }
        self.pass_time(now, effects);
        self.advance(now, effects);
    }

    /// When [`Input::Deadline`] is to be handed in, unless something else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let end = match &self.life {
            Life::Opened | Life::Identifying | Life::Identified | Life::Modelled | Life::Starting => {
                Some(self.bring_up_until)
            }
            Life::Closing { until, .. } | Life::Failing { until, .. } => Some(*until),
            Life::Ready => None,
            Life::Gone => return None,
        };
        let timer = self.timers.values().min().copied();
        let work = if self.is_idle() { self.work_deadline() } else { self.next_packet_due() };
        [end, timer, self.inputs.deadline(), work].into_iter().flatten().min()
    }

    /// Whether the device may be doing something that a stop would end. True until rest is confirmed.
    #[must_use]
    pub const fn motion(&self) -> Motion {
        self.journal
    }

    /// Whether it is over.
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self.life, Life::Gone)
    }

    /// Whether bring-up is not done yet.
    pub(super) const fn is_coming_up(&self) -> bool {
        match self.life {
            Life::Opened | Life::Identifying | Life::Identified | Life::Modelled | Life::Starting => true,
            Life::Ready | Life::Closing { .. } | Life::Failing { .. } | Life::Gone => false,
        }
    }

    pub(super) fn push_event(&mut self, event: ProtocolEvent) {
        match self.life {
            Life::Failing { .. } | Life::Gone => return,
            Life::Opened
            | Life::Identifying
            | Life::Identified
            | Life::Modelled
            | Life::Starting
            | Life::Ready
            | Life::Closing { .. } => {}
        }
        let notified = |event: &ProtocolEvent| matches!(event, ProtocolEvent::Notified { .. });
        if notified(&event)
            && self.events.iter().filter(|event| notified(event)).count() >= MOST_NOTIFICATIONS
            && let Some(oldest) = self.events.iter().position(notified)
        {
            self.events.remove(oldest);
        }
        self.events.push_back(event);
    }

    fn start(&mut self, setup: ModelSetup, now: Instant) {
        let Life::Identified = self.life else { return };
        let left = setup.left == Motion::MayRun;
        self.journal = setup.left;
        self.outputs = Outputs::new(setup.outputs, left);
        self.inputs = Inputs::new(&setup.inputs);
        self.signal.set_up(setup.signal);
        // A set that is handed out sooner would wait for its first packet, and a newer value with it.
        self.gap = setup.gap.max(setup.packet_gap);
        self.spacing.set_up(setup.packet_gap);
        self.set_under_way = setup.set_under_way;
        self.gather = setup.gather;
        self.keep_alive.set_up(setup.keep_alive, now);
        if let Some(limit) = setup.bring_up_limit {
            self.bring_up_until = self.opened + limit;
        }
        if left {
            self.stops.add_silently(StopScope::All, StopCause::Global, now);
        }
        self.life = Life::Modelled;
    }

    fn pass_time(&mut self, now: Instant, effects: &mut Vec<Effect>) {
        match &self.life {
            Life::Opened | Life::Identifying | Life::Identified | Life::Modelled | Life::Starting => {
                if self.bring_up_until <= now {
                    self.end(Fault::new(Reason::BringUpFailed, "the device was not ready in time"), effects);
                }
            }
            Life::Closing { until, fault } | Life::Failing { until, fault } => {
                if *until <= now {
                    let fault = fault.clone();
                    self.end(fault, effects);
                }
            }
            Life::Ready | Life::Gone => {}
        }
        while let Some((&timer, _)) =
            self.timers.iter().filter(|(_, at)| **at <= now).min_by_key(|(_, at)| **at)
        {
            self.timers.remove(&timer);
            self.push_event(ProtocolEvent::Timer { timer });
        }
        for ticket in self.inputs.overdue(now) {
            let fault = Fault::new(Reason::ReadTimedOut, "the device did not tell the value in time");
            effects.push(answered(ticket, Err(fault)));
        }
    }

    /// The plugin cannot be asked any more, but for one last stop; see [`Device::rescue`].
    pub(super) fn plugin_failed(&mut self, now: Instant, why: &PluginFault, effects: &mut Vec<Effect>) {
        if self.is_coming_up() {
            return self.end(
                Fault::new(Reason::BringUpFailed, format!("the device could not be prepared: {why}")),
                effects,
            );
        }
        let fault = Fault::new(Reason::PluginFailed, format!("the plugin of the device failed: {why}"));
        if self.journal == Motion::AtRest {
            return self.end(fault, effects);
        }
        self.abandon(&fault, effects);
        self.events.clear();
        self.timers.clear();
        self.life = Life::Failing { until: now + self.limits.close, fault };
        let everything = self.outputs.to_stop(&StopScope::All, StopCause::Global);
        let set = self.outputs.begin_stop(&everything);
        self.make_call(Cause::Rescue, ProtocolEvent::Stop(set), effects);
    }

    /// What the plugin, or a fresh copy of it, said to the last stop. If nothing, the packets are sent that stopped it before.
    pub(super) fn rescue(&mut self, packets: Vec<Packet>, effects: &mut Vec<Effect>) {
        let Life::Failing { fault, .. } = &self.life else { return };
        let fault = fault.clone();
        let packets = if packets.is_empty() { self.rest_packets.all() } else { packets };
        if packets.is_empty() {
            return self.end(fault, effects);
        }
        self.call = Some(Call::of_packets(Cause::LastRest { packets: packets.clone(), attempt: 0 }, packets));
    }

    /// It is over: everything that waits is answered.
    pub(super) fn end(&mut self, fault: Fault, effects: &mut Vec<Effect>) {
        if self.is_gone() {
            return;
        }
        self.abandon(&fault, effects);
        self.life = Life::Gone;
        self.transfer = None;
        self.events.clear();
        self.timers.clear();
        effects.push(Effect::Gone(fault));
    }

    /// Answers everything that waits with a fault.
    fn abandon(&mut self, fault: &Fault, effects: &mut Vec<Effect>) {
        for (place, wanted) in self.outputs.wanted() {
            self.outputs.forget_wanted(place);
            self.requests.settle(wanted.ticket, Err(fault), effects);
        }
        let mut tickets = self.stops.abandon();
        tickets.extend(self.inputs.wind_up());
        if let Some(call) = self.call.take() {
            match call.cause {
                Cause::Output(sent) => {
                    for sent in sent {
                        self.requests.settle(sent.ticket, Err(fault), effects);
                    }
                }
                Cause::Stop(run) => tickets.extend(run.tickets),
                Cause::Input(wish) => tickets.extend(wish.ticket),
                Cause::Identify
                | Cause::Start
                | Cause::KeepAlive
                | Cause::Repeat
                | Cause::Event
                | Cause::Timer(_)
                | Cause::Rescue
                | Cause::LastRest { .. } => {}
            }
        }
        effects.extend(tickets.into_iter().map(|ticket| answered(ticket, Err(fault.clone()))));
    }

    /// Takes a reading that the plugin reported.
    pub(super) fn answer_reading(
        &mut self,
        input: InputName,
        result: &Result<i32, Fault>,
        effects: &mut Vec<Effect>,
    ) {
        for ticket in self.inputs.askers(input) {
            effects.push(answered(ticket, result.clone().map(Some)));
        }
    }
}
