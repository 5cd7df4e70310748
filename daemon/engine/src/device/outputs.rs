//! The outputs of a device: what is wanted of each, and what each has confirmed.

use std::collections::BTreeSet;

use super::{
    command::{DeviceTicket, StopCause, StopScope},
    setup::{OnStop, OutputSetup},
};
use crate::{
    protocol::OutputValue,
    vocabulary::{FeatureIndex, OutputKind},
};

/// The place of an output in the order of the features.
pub(super) type Place = usize;

/// A value and, for a timed position, the time for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) value: i32,
    pub(super) duration_ms: u32,
}

/// A level that has not been handed to the plugin yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) level: Level,
    pub(super) ticket: DeviceTicket,
}

/// One output.
#[derive(Debug)]
pub(super) struct Output {
    setup: OutputSetup,
    /// The newest value that is still to be sent.
    pub(super) wanted: Option<Wanted>,
    /// When that was asked for, counted over all outputs.
    wanted_as: u64,
    /// What the transport accepted last; `None` before the first write, after a failed one, and while one is under way.
    pub(super) confirmed: Option<Level>,
    /// Whether it was set since its rest, or the end of its movement, was last confirmed.
    going: bool,
}

impl Output {
    /// The name of the output.
    pub(super) const fn name(&self) -> (FeatureIndex, OutputKind) {
        (self.setup.feature, self.setup.kind)
    }

    /// Whether a stop writes to it.
    const fn obeys_stop(&self) -> bool {
        match self.setup.on_stop {
            OnStop::Rest => true,
            OnStop::Leave => false,
        }
    }

    /// Whether this level can do something that only a stop ends.
    const fn runs_at(&self, level: Level) -> bool {
        self.obeys_stop() && !self.setup.kind.is_position() && level.value != self.setup.rest
    }

    /// The place whose two ways of being set (`position` and `position-with-duration`) exclude each other.
    fn shares_place_with(&self, other: &Self) -> bool {
        self.setup.feature == other.setup.feature
            && self.setup.kind != other.setup.kind
            && self.setup.kind.is_position()
            && other.setup.kind.is_position()
    }

    const fn value(&self, level: Level) -> OutputValue {
        OutputValue {
            feature: self.setup.feature,
            kind: self.setup.kind,
            value: level.value,
            duration_ms: level.duration_ms,
        }
    }
}

/// All outputs, in feature order.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    list: Vec<Output>,
    /// How often something was wanted of any of them.
    asked: u64,
}

impl Outputs {
    /// Outputs of which nothing is known, or, after the service lost sight of them, that all may be going.
    pub(super) fn new(mut setups: Vec<OutputSetup>, left_going: bool) -> Self {
        setups.sort_by_key(|setup| setup.feature);
        let list = setups.into_iter().map(|setup| Output {
            setup,
            wanted: None,
            wanted_as: 0,
            confirmed: None,
            going: left_going,
        });
        Self { list: list.collect(), asked: 0 }
    }

    /// The output at a place. Places come from this type only, so that it is there.
    pub(super) fn at(&mut self, place: Place) -> Option<&mut Output> {
        self.list.get_mut(place)
    }

    /// Where an output is.
    pub(super) fn place(&self, feature: FeatureIndex, kind: OutputKind) -> Option<Place> {
        self.list.iter().position(|output| output.name() == (feature, kind))
    }

    /// The places that a stop addresses, in feature order.
    pub(super) fn addressed(&self, scope: &StopScope) -> BTreeSet<Place> {
        let is_addressed = |output: &Output| match scope {
            StopScope::All => true,
            StopScope::Feature(feature) => output.setup.feature == *feature,
            StopScope::Outputs(names) => names.contains(&output.name()),
        };
        self.places(is_addressed)
    }

    /// Of those that a stop addresses, the ones that it has to write to.
    pub(super) fn to_stop(&self, scope: &StopScope, cause: StopCause) -> BTreeSet<Place> {
        let addressed = self.addressed(scope);
        let mut places = self.places(|output| {
            let known_at_rest = if output.setup.kind.is_position() {
                !output.going
            } else {
                output.confirmed.is_some_and(|level| level.value == output.setup.rest)
            };
            let leave_out = match cause {
                StopCause::Global => false,
                StopCause::Addressed | StopCause::OwnerGone => known_at_rest,
            };
            output.obeys_stop() && !leave_out
        });
        places.retain(|place| addressed.contains(place));
        places
    }

    /// Forgets what the outputs have that a stop addresses and leaves. Who stops a spray and asks for it again means a new one,
    /// which must not be taken for what it did before the stop.
    pub(super) fn forget_left(&mut self, scope: &StopScope) {
        for place in self.addressed(scope) {
            let Some(output) = self.list.get_mut(place) else { continue };
            if !output.obeys_stop() && !output.setup.kind.is_position() {
                output.confirmed = None;
            }
        }
    }

    /// Takes what is wanted of an output that is to be stopped or that a newer value is for.
    pub(super) fn forget_wanted(&mut self, place: Place) -> Option<DeviceTicket> {
        self.list.get_mut(place)?.wanted.take().map(|wanted| wanted.ticket)
    }

    /// The other way of setting the same place, if the output is a position that has one.
    pub(super) fn other_way(&self, place: Place) -> Option<Place> {
        let output = self.list.get(place)?;
        self.list.iter().position(|other| output.shares_place_with(other))
    }

    /// Whether something is to be sent.
    pub(super) fn anything_wanted(&self) -> bool {
        self.list.iter().any(|output| output.wanted.is_some())
    }

    /// Whether nothing more can come that would belong into the same set.
    pub(super) fn everything_wanted(&self) -> bool {
        self.list.iter().all(|output| output.wanted.is_some())
    }

    /// This is to be sent, after what is wanted of the others.
    pub(super) fn want(&mut self, place: Place, wanted: Wanted) {
        let Some(output) = self.list.get_mut(place) else { return };
        self.asked = self.asked.wrapping_add(1);
        output.wanted_as = self.asked;
        output.wanted = Some(wanted);
    }

    /// Places with something to be sent, in the order in which it was asked for: who sends one message an output may mean it.
    pub(super) fn wanted(&self) -> Vec<(Place, Wanted)> {
        let mut places: Vec<(u64, Place, Wanted)> = Vec::new();
        for (place, output) in self.list.iter().enumerate() {
            places.extend(output.wanted.map(|wanted| (output.wanted_as, place, wanted)));
        }
        places.sort_by_key(|(wanted_as, ..)| *wanted_as);
        places.into_iter().map(|(_, place, wanted)| (place, wanted)).collect()
    }

    /// A level is about to be sent: from now on what the device has is unknown. Tells whether it may run from then on.
    pub(super) fn begin(&mut self, place: Place, level: Level) -> bool {
        if let Some(other) = self.other_way(place).and_then(|other| self.list.get_mut(other)) {
            other.confirmed = None;
        }
        let Some(output) = self.list.get_mut(place) else { return false };
        output.confirmed = None;
        output.going = output.going || output.setup.kind.is_position() || level.value != output.setup.rest;
        output.runs_at(level)
    }

    /// All packets of a level have been accepted.
    pub(super) fn confirm(&mut self, place: Place, level: Level) -> Option<OutputValue> {
        let output = self.list.get_mut(place)?;
        output.confirmed = Some(level);
        if !output.setup.kind.is_position() {
            output.going = level.value != output.setup.rest;
        }
        Some(output.value(level))
    }

    /// A stop is about to be sent. Gives the set for the plugin, in feature order.
    pub(super) fn begin_stop(&mut self, places: &BTreeSet<Place>) -> Vec<OutputValue> {
        let mut set = Vec::with_capacity(places.len());
        for place in places {
            let Some(output) = self.list.get_mut(*place) else { continue };
            let value = if output.setup.kind.is_position() {
                output.confirmed.map_or(output.setup.rest, |level| level.value)
            } else {
                output.confirmed = None;
                output.setup.rest
            };
            set.push(output.value(Level { value, duration_ms: 0 }));
        }
        set
    }

    /// All packets of a stop have been accepted.
    pub(super) fn confirm_stop(&mut self, place: Place) -> Option<OutputValue> {
        let output = self.list.get_mut(place)?;
        output.going = false;
        match output.setup.kind {
            // Its movement was cut short, so that the same wish means something again.
            OutputKind::PositionWithDuration => {
                output.confirmed = None;
                None
            }
            OutputKind::Position => None,
            OutputKind::Vibrate
            | OutputKind::Rotate
            | OutputKind::Oscillate
            | OutputKind::Constrict
            | OutputKind::Temperature
            | OutputKind::Led
            | OutputKind::Spray => {
                let level = Level { value: output.setup.rest, duration_ms: 0 };
                output.confirmed = Some(level);
                Some(output.value(level))
            }
        }
    }

    /// Whether an output that a stop is for may be doing something. Positions end by themselves and do not count.
    pub(super) fn may_run(&self) -> bool {
        self.list.iter().any(|output| output.going && output.obeys_stop() && !output.setup.kind.is_position())
    }

    /// Whether any output is not known to be at rest, those among them that a stop leaves.
    pub(super) fn anything_going(&self) -> bool {
        self.list.iter().any(|output| output.going && !output.setup.kind.is_position())
    }

    /// The value of an output for the plugin.
    pub(super) fn value(&self, place: Place, level: Level) -> Option<OutputValue> {
        self.list.get(place).map(|output| output.value(level))
    }

    fn places(&self, is_meant: impl Fn(&Output) -> bool) -> BTreeSet<Place> {
        let meant = self.list.iter().enumerate().filter(|(_, output)| is_meant(output));
        meant.map(|(place, _)| place).collect()
    }
}
