//! Which session drives what: the one place where commands of sessions meet devices.
//!
//! A [`Router`] is a value. The hub around it hands in what happened ([`Input`]) with the time, and does what the [`Effect`]s
//! say in their order. It knows no wire format and no plugin: commands come in the range that clients are shown, and leave
//! in the device's own.

mod claim;
mod connected;
mod drive;
mod entry;
mod inputs;
mod recording;
mod reservations;
mod scan;
mod sessions;
mod stop;
mod telling;
mod waiting;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Instant,
};

pub use self::entry::{DeviceEntry, OutputEntry};
use self::{connected::Connected, reservations::Reservations, scan::Scan, sessions::Client, stop::Stops};
use crate::{
    client::{Introduction, Peer},
    command::{Dispatch, Event, Outcome},
    device::{DeviceCommand, DeviceReport, DeviceTicket},
    fault::Fault,
    monitor::{DeviceStatus, OutputId, Recording, ScanWish, ServiceFacts, TransportStatus},
    view::DeviceList,
    vocabulary::{DeviceIndex, SessionId, Ticket},
};

/// What the router is told by the hub.
#[derive(Debug)]
pub enum Input {
    /// A client has connected. Its handshake is still to come.
    SessionConnected {
        /// Its number, never used before.
        session: SessionId,
        /// What is known of it.
        peer: Arc<Peer>,
    },
    /// Its handshake is done.
    SessionOpened {
        /// Which session.
        session: SessionId,
        /// What the client said of itself.
        introduction: Introduction,
    },
    /// It has ended, in whatever way: what it set is stopped.
    SessionClosed {
        /// Which session.
        session: SessionId,
    },
    /// Commands of one frame.
    Commands {
        /// Whose.
        session: SessionId,
        /// In their order.
        dispatches: Vec<Dispatch>,
    },
    /// Stop everything, for somebody who needs no session.
    StopEverything {
        /// By which the outcome is known.
        ticket: OutsideTicket,
    },
    /// A device is ready to be driven.
    DeviceReady(DeviceEntry),
    /// A device can no longer be reached. It has answered what it could.
    DeviceGone {
        /// Which device.
        device: DeviceIndex,
        /// What commands that still wait are told.
        fault: Fault,
    },
    /// A device tells something.
    Report {
        /// Which device.
        device: DeviceIndex,
        /// What.
        report: DeviceReport,
    },
    /// How a device that is not ready is doing, or that the service knows it at all.
    DeviceStatus(DeviceStatus),
    /// How a bus is doing.
    Transport(TransportStatus),
    /// A bus has nothing more to find.
    ScanEnded {
        /// Which bus.
        transport: &'static str,
    },
    /// What the shell says of itself.
    Facts(Arc<ServiceFacts>),
    /// A reload that was asked for is done.
    Reloaded {
        /// As in [`Effect::Reload`].
        session: SessionId,
        /// As in [`Effect::Reload`].
        ticket: Ticket,
        /// What it came to.
        outcome: Result<(), Fault>,
    },
    /// [`Router::deadline`] has passed.
    Deadline,
}

/// What the hub shall do, in this order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Hand a command to a device.
    Device {
        /// Which device.
        device: DeviceIndex,
        /// The command.
        command: DeviceCommand,
    },
    /// Tell a session what its command came to.
    Answer {
        /// Which session.
        session: SessionId,
        /// The command's.
        ticket: Ticket,
        /// What it came to.
        outcome: Outcome,
    },
    /// Tell a session something unasked.
    Event {
        /// Which session.
        session: SessionId,
        /// What.
        event: Event,
    },
    /// End a session; [`Input::SessionClosed`] follows when it has.
    EndSession {
        /// Which session.
        session: SessionId,
        /// What it is told.
        fault: Fault,
    },
    /// A stop without a session is done.
    Stopped {
        /// As in [`Input::StopEverything`].
        ticket: OutsideTicket,
        /// What it came to.
        outcome: Result<(), Fault>,
    },
    /// The wish to look for devices has changed.
    Scan(ScanWish),
    /// Record a device, or no longer.
    Record {
        /// Which device.
        device: DeviceIndex,
        /// Whether, and how much of it.
        recording: Recording,
    },
    /// Read configuration, definitions and plugin folders again, then say [`Input::Reloaded`].
    Reload {
        /// Who asked.
        session: SessionId,
        /// The command's.
        ticket: Ticket,
    },
}

/// A stop that somebody asked for without a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OutsideTicket(pub u64);

/// Sessions, devices, and who drives what.
#[derive(Debug)]
pub struct Router {
    since: Instant,
    facts: Arc<ServiceFacts>,
    sessions: BTreeMap<SessionId, Client>,
    devices: BTreeMap<DeviceIndex, Connected>,
    list: DeviceList,
    /// Every device that was ever heard of, by its newest status; connected ones too.
    known: BTreeMap<DeviceIndex, DeviceStatus>,
    scan: Scan,
    /// What the hub was told last.
    told_scan: ScanWish,
    reservations: Reservations,
    stops: Stops,
    last_ticket: u64,
    /// Sessions that are told of every change of an output.
    watching: BTreeSet<SessionId>,
    /// Outputs of which they have not been told.
    changed: BTreeSet<OutputId>,
    tell_at: Option<Instant>,
    /// Who records which device.
    recorders: BTreeMap<DeviceIndex, SessionId>,
    freshness: Freshness,
}

/// Whether somebody who keeps a [`Status`](crate::monitor::Status) needs a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// The one given out last still holds.
    Fresh,
    /// Something has changed.
    Stale,
}

impl Router {
    /// A router without sessions and devices.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            since: now,
            facts: Arc::default(),
            sessions: BTreeMap::new(),
            devices: BTreeMap::new(),
            list: DeviceList::default(),
            known: BTreeMap::new(),
            scan: Scan::default(),
            told_scan: ScanWish::Rest,
            reservations: Reservations::default(),
            stops: Stops::default(),
            last_ticket: 0,
            watching: BTreeSet::new(),
            changed: BTreeSet::new(),
            tell_at: None,
            recorders: BTreeMap::new(),
            freshness: Freshness::Stale,
        }
    }

    /// The connected devices.
    #[must_use]
    pub fn devices(&self) -> &DeviceList {
        &self.list
    }

    /// When [`Input::Deadline`] is due.
    #[must_use]
    pub const fn deadline(&self) -> Option<Instant> {
        self.tell_at
    }

    /// Takes in what happened and says what to do about it.
    pub fn handle(&mut self, now: Instant, input: Input, effects: &mut Vec<Effect>) {
        match input {
            Input::SessionConnected { session, peer } => self.session_connected(session, peer),
            Input::SessionOpened { session, introduction } => self.session_opened(now, session, introduction),
            Input::SessionClosed { session } => self.session_closed(now, session, effects),
            Input::Commands { session, dispatches } => self.commands(now, session, dispatches, effects),
            Input::StopEverything { ticket } => self.stop_from_outside(now, ticket, effects),
            Input::DeviceReady(entry) => self.device_ready(now, entry, effects),
            Input::DeviceGone { device, fault } => self.device_gone(now, device, &fault, effects),
            Input::Report { device, report } => self.report(now, device, report, effects),
            Input::DeviceStatus(status) => self.device_status(status),
            Input::Transport(status) => {
                let finished = self.scan.status(status);
                self.scan_finished(finished, effects);
            }
            Input::ScanEnded { transport } => {
                let finished = self.scan.ended(transport);
                self.scan_finished(finished, effects);
            }
            Input::Facts(facts) => {
                self.facts = facts;
                self.freshness = Freshness::Stale;
            }
            Input::Reloaded { session, ticket, outcome } => {
                let outcome = outcome.map(|()| crate::command::Answer::Done);
                self.answer(session, ticket, outcome, effects);
            }
            Input::Deadline => {}
        }
        if self.tell_at.is_some_and(|due| due <= now) {
            self.tell_changes(effects);
        }
    }

    fn answer(&self, session: SessionId, ticket: Ticket, outcome: Outcome, effects: &mut Vec<Effect>) {
        if self.sessions.contains_key(&session) {
            effects.push(Effect::Answer { session, ticket, outcome });
        }
    }

    fn next_ticket(&mut self) -> DeviceTicket {
        self.last_ticket += 1;
        DeviceTicket(self.last_ticket)
    }

    /// The connected device of this index.
    fn device(&self, index: DeviceIndex) -> Result<&Connected, Fault> {
        use ipc_schema::error::Reason;
        match (self.devices.get(&index), self.known.get(&index)) {
            (Some(device), _) => Ok(device),
            (None, Some(known)) => {
                let text = format!("device {index} ({}) is not connected", known.name);
                Err(Fault::new(Reason::DeviceNotConnected, text))
            }
            (None, None) => {
                Err(Fault::new(Reason::DeviceUnknown, format!("there is no device with index {index}")))
            }
        }
    }
}
