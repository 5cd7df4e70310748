//! When something has to be repeated, and what.

use std::time::Instant;

use super::{
    effect::Packet,
    setup::{KeepAlive, KeepAliveWhen},
};

/// The last packet that was to set the device. Questions to it and repetitions do not count.
#[derive(Debug, Default)]
enum LastPacket {
    /// There was none.
    #[default]
    None,
    /// It failed: to repeat the one before it could set going what somebody wanted changed.
    Failed,
    /// It was accepted.
    Sent(Packet),
}

/// Whether the plugin knows what to repeat.
#[derive(Debug, Default, PartialEq, Eq)]
enum Knowledge {
    /// It has not said yet, or it does.
    #[default]
    Ask,
    /// It does not.
    RepeatLastPacket,
}

/// What is to be done when a keep-alive is due.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    /// Ask the plugin.
    AskPlugin,
    /// Write this again.
    Write(Packet),
    /// Nothing was ever written: a stop gives something to repeat.
    Stop,
    /// Nothing this time.
    Nothing,
}

/// The keep-alive of one device.
#[derive(Debug)]
pub(super) struct KeepAliveClock {
    setup: Option<KeepAlive>,
    since: Instant,
    knowledge: Knowledge,
    last: LastPacket,
}

impl KeepAliveClock {
    pub(super) fn new(now: Instant) -> Self {
        Self { setup: None, since: now, knowledge: Knowledge::default(), last: LastPacket::default() }
    }

    /// The model is known.
    pub(super) fn set_up(&mut self, setup: Option<KeepAlive>, now: Instant) {
        self.setup = setup;
        self.since = now;
    }

    /// The device is ready: the time counts from now, unless there was a packet.
    pub(super) fn restart(&mut self, now: Instant) {
        if let LastPacket::None = self.last {
            self.since = now;
        }
    }

    /// A packet was tried, whatever for and whatever came of it: the time counts from now.
    pub(super) fn tried(&mut self, now: Instant) {
        self.since = now;
    }

    /// A packet that sets the device was accepted.
    pub(super) fn set(&mut self, packet: Packet) {
        self.last = LastPacket::Sent(packet);
    }

    /// A packet that sets the device was not accepted.
    pub(super) fn failed_to_set(&mut self) {
        self.last = LastPacket::Failed;
    }

    /// The plugin does not know what to repeat.
    pub(super) fn plugin_does_not_know(&mut self) {
        self.knowledge = Knowledge::RepeatLastPacket;
    }

    /// When the next repetition is due, if there is one to be.
    pub(super) fn deadline(&self, anything_going: bool) -> Option<Instant> {
        let setup = self.setup?;
        let needed = match setup.when {
            KeepAliveWhen::Always => true,
            KeepAliveWhen::Running => anything_going,
        };
        needed.then(|| self.since + setup.every)
    }

    /// What is to be done now that it is due. The next one is due a period later, whatever comes of it.
    pub(super) fn repetition(&mut self, now: Instant) -> Repetition {
        self.since = now;
        match (&self.knowledge, &self.last) {
            (Knowledge::Ask, _) => Repetition::AskPlugin,
            (Knowledge::RepeatLastPacket, LastPacket::Sent(packet)) => Repetition::Write(packet.clone()),
            (Knowledge::RepeatLastPacket, LastPacket::None) => Repetition::Stop,
            (Knowledge::RepeatLastPacket, LastPacket::Failed) => Repetition::Nothing,
        }
    }
}
