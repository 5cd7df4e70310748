//! The inputs of a device: readings that are waited for, subscriptions, and what the plugin is still to be told of them.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Instant,
};

use super::{command::DeviceTicket, setup::InputSetup};
use crate::{
    fault::{Fault, Reason},
    protocol::InputWish,
    vocabulary::{FeatureIndex, InputKind},
};

/// Requests that can wait for the same reading.
const MOST_ASKERS: usize = 64;
/// Wishes that the plugin has not been told yet.
const MOST_WISHES: usize = 64;

/// The name of an input.
pub(super) type InputName = (FeatureIndex, InputKind);

/// A wish that the plugin is to be told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) input: InputName,
    pub(super) wish: InputWish,
    /// Whose answer it is. Absent for a reading: its askers are kept apart, since they share it.
    pub(super) ticket: Option<DeviceTicket>,
}

#[derive(Debug)]
struct Reading {
    askers: Vec<DeviceTicket>,
    until: Instant,
}

/// All inputs.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    known: BTreeSet<InputName>,
    readings: BTreeMap<InputName, Reading>,
    wishes: VecDeque<Wish>,
    /// The input whose subscription begins or ends with the call under way.
    changing: Option<InputName>,
    subscribed: BTreeSet<InputName>,
}

/// What becomes of a wish on its arrival.
#[derive(Debug)]
pub(super) enum Arrival {
    /// The plugin will be told, or a reading on its way serves this one too.
    Waits,
    /// It is so already.
    Done,
    /// It cannot be had.
    Refused(Fault),
}

impl Inputs {
    pub(super) fn new(setups: &[InputSetup]) -> Self {
        Self { known: setups.iter().map(|setup| (setup.feature, setup.kind)).collect(), ..Self::default() }
    }

    /// Takes a wish. `until` is when a reading that is asked for now is overdue.
    pub(super) fn add(
        &mut self,
        input: InputName,
        wish: InputWish,
        ticket: Option<DeviceTicket>,
        until: Instant,
    ) -> Arrival {
        if !self.known.contains(&input) {
            let text = format!("feature {} of the device has no input `{}`", input.0, input.1.name());
            return Arrival::Refused(Fault::new(Reason::InputNotSupported, text));
        }
        match wish {
            InputWish::Read => self.read(input, ticket, until),
            InputWish::Subscribe if self.stays(input, InputWish::Subscribe) => Arrival::Done,
            InputWish::Unsubscribe if self.stays(input, InputWish::Unsubscribe) => Arrival::Done,
            InputWish::Subscribe | InputWish::Unsubscribe => self.queue(Wish { input, wish, ticket }),
        }
    }

    fn read(&mut self, input: InputName, ticket: Option<DeviceTicket>, until: Instant) -> Arrival {
        if let Some(reading) = self.readings.get_mut(&input) {
            if reading.askers.len() >= MOST_ASKERS {
                return Arrival::Refused(too_many());
            }
            reading.askers.extend(ticket);
            return Arrival::Waits;
        }
        let arrival = self.queue(Wish { input, wish: InputWish::Read, ticket: None });
        if let Arrival::Waits = arrival {
            self.readings.insert(input, Reading { askers: ticket.into_iter().collect(), until });
        }
        arrival
    }

    fn queue(&mut self, wish: Wish) -> Arrival {
        if self.wishes.len() >= MOST_WISHES {
            return Arrival::Refused(too_many());
        }
        self.wishes.push_back(wish);
        Arrival::Waits
    }

    /// Whether the subscription is as wished already, with nothing on its way that changes it.
    fn stays(&self, input: InputName, wish: InputWish) -> bool {
        let on_its_way =
            self.wishes.iter().any(|waiting| waiting.input == input && waiting.wish != InputWish::Read);
        !on_its_way
            && self.changing != Some(input)
            && self.subscribed.contains(&input) == (wish == InputWish::Subscribe)
    }

    /// The next wish that the plugin is to be told. Readings that nobody waits for any more are left out.
    pub(super) fn next(&mut self) -> Option<Wish> {
        while let Some(wish) = self.wishes.pop_front() {
            let in_time = wish.wish != InputWish::Read || self.readings.contains_key(&wish.input);
            if in_time {
                self.changing = (wish.wish != InputWish::Read).then_some(wish.input);
                return Some(wish);
            }
        }
        None
    }

    /// The wish that was given last is carried out, or failed.
    pub(super) fn told(&mut self) {
        self.changing = None;
    }

    /// Notes that a subscription has begun or ended.
    pub(super) fn note(&mut self, input: InputName, wish: InputWish) {
        match wish {
            InputWish::Read => {}
            InputWish::Subscribe => {
                self.subscribed.insert(input);
            }
            InputWish::Unsubscribe => {
                self.subscribed.remove(&input);
            }
        }
    }

    /// A reading has come, or will not: those who waited for it.
    pub(super) fn askers(&mut self, input: InputName) -> Vec<DeviceTicket> {
        self.readings.remove(&input).map(|reading| reading.askers).unwrap_or_default()
    }

    /// Those whose reading is overdue.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<DeviceTicket> {
        let late: Vec<InputName> = self
            .readings
            .iter()
            .filter(|(_, reading)| reading.until <= now)
            .map(|(input, _)| *input)
            .collect();
        late.into_iter().flat_map(|input| self.askers(input)).collect()
    }

    /// When the next reading is overdue.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.readings.values().map(|reading| reading.until).min()
    }

    /// Nothing more is asked; all subscriptions are to end. Those whose wish will not be carried out.
    pub(super) fn wind_up(&mut self) -> Vec<DeviceTicket> {
        let mut tickets: Vec<DeviceTicket> = self.wishes.drain(..).filter_map(|wish| wish.ticket).collect();
        tickets.extend(std::mem::take(&mut self.readings).into_values().flat_map(|reading| reading.askers));
        let ends = |input: &InputName| Wish { input: *input, wish: InputWish::Unsubscribe, ticket: None };
        self.wishes.extend(self.subscribed.iter().map(ends));
        tickets
    }
}

fn too_many() -> Fault {
    Fault::new(Reason::TooManyRequests, "too much is being asked of the inputs of the device already")
}
