//! Reading inputs and subscribing to them. A subscription is shared: the device is asked once, for the first session, and told
//! to end it after the last.

use ipc_schema::error::Reason;

use super::{Effect, Freshness, Router, waiting::Waiting};
use crate::{
    command::{Answer, Event, Outcome, Reading},
    device::{DeviceCommand, DeviceTicket},
    fault::Fault,
    protocol::InputWish,
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, SessionId, Ticket},
};

/// Who wants to know of an input, and whether the device sends it yet.
#[derive(Debug)]
pub(super) struct Subscription {
    sessions: Vec<SessionId>,
    progress: Progress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The device has been asked.
    Beginning(DeviceTicket),
    /// It sends.
    Running,
}

impl Subscription {
    /// Takes a session off; whether it was on.
    pub(super) fn leave(&mut self, session: SessionId) -> bool {
        let before = self.sessions.len();
        self.sessions.retain(|subscribed| *subscribed != session);
        self.sessions.len() < before
    }

    pub(super) fn is_deserted(&self) -> bool {
        self.sessions.is_empty()
    }
}

impl Router {
    #[expect(clippy::too_many_arguments, reason = "the parts of one command, taken apart by its only caller")]
    pub(super) fn input(
        &mut self,
        session: SessionId,
        ticket: Ticket,
        device: DeviceIndex,
        feature: FeatureIndex,
        kind: InputKind,
        wish: InputWish,
        effects: &mut Vec<Effect>,
    ) {
        if let Err(fault) = self.check_input(device, feature, kind, wish) {
            self.answer(session, ticket, Err(fault), effects);
            return;
        }
        let asked = self.next_ticket();
        let Some(connected) = self.devices.get_mut(&device) else { return };
        let waiting = match wish {
            InputWish::Read => Waiting::Read { session, ticket, feature, kind },
            InputWish::Subscribe => match connected.subscriptions.get_mut(&(feature, kind)) {
                Some(subscription) => {
                    if !subscription.sessions.contains(&session) {
                        subscription.sessions.push(session);
                    }
                    let running = match subscription.progress {
                        Progress::Running => true,
                        Progress::Beginning(begun) => match connected.waiting.get_mut(&begun) {
                            Some(Waiting::Subscribe { askers, .. }) => {
                                askers.push((session, ticket));
                                false
                            }
                            _ => true,
                        },
                    };
                    if running {
                        self.answer(session, ticket, Ok(Answer::Done), effects);
                    }
                    return;
                }
                None => {
                    let subscription =
                        Subscription { sessions: vec![session], progress: Progress::Beginning(asked) };
                    connected.subscriptions.insert((feature, kind), subscription);
                    Waiting::Subscribe { askers: vec![(session, ticket)], feature, kind }
                }
            },
            InputWish::Unsubscribe => {
                let last = connected
                    .subscriptions
                    .get_mut(&(feature, kind))
                    .is_some_and(|subscription| subscription.leave(session) && subscription.is_deserted());
                if !last {
                    self.answer(session, ticket, Ok(Answer::Done), effects);
                    return;
                }
                connected.subscriptions.remove(&(feature, kind));
                Waiting::Unsubscribe { session, ticket }
            }
        };
        connected.waiting.insert(asked, waiting);
        let command = DeviceCommand::Input { ticket: Some(asked), feature, kind, wish };
        effects.push(Effect::Device { device, command });
    }

    fn check_input(
        &self,
        device: DeviceIndex,
        feature: FeatureIndex,
        kind: InputKind,
        wish: InputWish,
    ) -> Result<(), Fault> {
        let connected = self.device(device)?;
        connected.check_feature(feature)?;
        let input = connected.entry.view.feature(feature).and_then(|feature| feature.input(kind));
        let Some(input) = input else {
            let text = format!("feature {feature} has no input {}", kind.name());
            return Err(Fault::new(Reason::InputNotSupported, text));
        };
        let (possible, way) = match wish {
            InputWish::Read => (input.ways.can_read(), "read"),
            InputWish::Subscribe | InputWish::Unsubscribe => (input.ways.can_subscribe(), "subscribed to"),
        };
        if possible {
            return Ok(());
        }
        let text = format!("{} of feature {feature} cannot be {way}", kind.name());
        Err(Fault::new(Reason::InputNotSupported, text))
    }

    /// A device has answered the beginning of a subscription.
    pub(super) fn subscribe_answered(
        &mut self,
        device: DeviceIndex,
        ticket: DeviceTicket,
        askers: Vec<(SessionId, Ticket)>,
        input: (FeatureIndex, InputKind),
        result: Result<(), Fault>,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(connected) = self.devices.get_mut(&device)
            && let Some(subscription) = connected.subscriptions.get_mut(&input)
            && subscription.progress == Progress::Beginning(ticket)
        {
            match result {
                Ok(()) => subscription.progress = Progress::Running,
                Err(_) => {
                    connected.subscriptions.remove(&input);
                }
            }
        }
        let outcome: Outcome = result.map(|()| Answer::Done);
        for (session, ticket) in askers {
            self.answer(session, ticket, outcome.clone(), effects);
        }
    }

    /// A subscribed input has a new value.
    pub(super) fn reading(&mut self, reading: Reading, effects: &mut Vec<Effect>) {
        self.note_battery(reading);
        let Some(connected) = self.devices.get(&reading.device) else { return };
        let Some(subscription) = connected.subscriptions.get(&(reading.feature, reading.kind)) else {
            return;
        };
        for session in &subscription.sessions {
            effects.push(Effect::Event { session: *session, event: Event::Reading(reading) });
        }
    }

    pub(super) fn note_battery(&mut self, reading: Reading) {
        if reading.kind != InputKind::Battery {
            return;
        }
        if let Some(connected) = self.devices.get_mut(&reading.device)
            && connected.battery.replace(reading.value) != Some(reading.value)
        {
            self.freshness = Freshness::Stale;
        }
    }

    /// Ends every subscription that only this session had.
    pub(super) fn leave_subscriptions(&mut self, session: SessionId, effects: &mut Vec<Effect>) {
        for (&device, connected) in &mut self.devices {
            connected.subscriptions.retain(|&(feature, kind), subscription| {
                if subscription.leave(session) && subscription.is_deserted() {
                    let command =
                        DeviceCommand::Input { ticket: None, feature, kind, wish: InputWish::Unsubscribe };
                    effects.push(Effect::Device { device, command });
                    return false;
                }
                true
            });
        }
    }
}
