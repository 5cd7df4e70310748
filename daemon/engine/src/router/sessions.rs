//! Sessions and devices that come and go, and who is told of it.

use std::{
    collections::{BTreeSet, btree_map::Entry},
    sync::Arc,
    time::Instant,
};

use ipc_schema::error::Reason;

use super::{Effect, Freshness, Router, connected::Connected, entry::DeviceEntry, waiting::Waiting};
use crate::{
    client::{Introduction, Peer},
    command::{Answer, Event, Reading},
    device::{DeviceReport, DeviceTicket},
    fault::Fault,
    monitor::{DeviceState, DeviceStatus, OutputId},
    view::DeviceList,
    vocabulary::{DeviceIndex, SessionId},
};

/// One session.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) peer: Arc<Peer>,
    /// Present from the handshake on, with its time.
    pub(super) introduction: Option<(Introduction, Instant)>,
}

impl Client {
    /// What the client calls itself; empty before the handshake.
    pub(super) fn name(&self) -> Arc<str> {
        self.introduction.as_ref().map_or_else(|| Arc::from(""), |(said, _)| said.client_name.clone())
    }
}

impl Router {
    pub(super) fn session_connected(&mut self, session: SessionId, peer: Arc<Peer>) {
        self.sessions.insert(session, Client { peer, introduction: None });
        self.freshness = Freshness::Stale;
    }

    pub(super) fn session_opened(&mut self, now: Instant, session: SessionId, introduction: Introduction) {
        if let Some(client) = self.sessions.get_mut(&session) {
            client.introduction = Some((introduction, now));
            self.freshness = Freshness::Stale;
        }
    }

    /// Outputs first: everything else can wait.
    pub(super) fn session_closed(&mut self, now: Instant, session: SessionId, effects: &mut Vec<Effect>) {
        if self.sessions.remove(&session).is_none() {
            return;
        }
        self.watching.remove(&session);
        self.stop_owned(now, session, effects);
        self.leave_subscriptions(session, effects);
        self.leave_recordings(session, effects);
        self.scan.stop(session);
        self.scan_changed(effects);
        self.reservations.ended(session);
        self.freshness = Freshness::Stale;
    }

    pub(super) fn device_ready(&mut self, now: Instant, entry: DeviceEntry, effects: &mut Vec<Effect>) {
        let view = entry.view.clone();
        let index = view.index;
        // A device that is there already has come back before its loss was told.
        let fault = Fault::new(Reason::DeviceLost, format!("device {index} was connected anew"));
        self.device_gone(now, index, &fault, effects);
        self.known.insert(
            index,
            DeviceStatus {
                index,
                name: view.name.clone(),
                display_name: view.display_name.clone(),
                transport: Arc::from(entry.transport),
                protocol: entry.protocol.clone(),
                state: DeviceState::Connected,
                reason: String::new(),
                battery: None,
            },
        );
        let connected = Connected::new(entry);
        for &(feature, kind) in connected.outputs.keys() {
            self.output_changed(now, OutputId { device: index, feature, kind });
        }
        self.devices.insert(index, connected);
        let devices = self.renew_list();
        self.tell_all(&Event::DeviceAdded { device: view, devices }, effects);
    }

    pub(super) fn device_gone(
        &mut self,
        now: Instant,
        device: DeviceIndex,
        fault: &Fault,
        effects: &mut Vec<Effect>,
    ) {
        let Some(connected) = self.devices.get_mut(&device) else { return };
        // Its subscriptions and owners go with it; whoever waits for it is told why it will not come.
        let waiting = std::mem::take(&mut connected.waiting);
        connected.subscriptions.clear();
        for (ticket, waiting) in waiting {
            self.answered(now, device, ticket, waiting, Err(fault.clone()), effects);
        }
        self.devices.remove(&device);
        self.recorders.remove(&device);
        self.changed.retain(|output| output.device != device);
        if let Some(status) = self.known.get_mut(&device) {
            status.state = DeviceState::Absent;
            status.reason = fault.text.clone();
        }
        let devices = self.renew_list();
        self.tell_all(&Event::DeviceRemoved { device, devices }, effects);
        self.freshness = Freshness::Stale;
        if self.changed.is_empty() {
            self.tell_at = None;
        } else {
            self.tell_at = self.tell_at.or(Some(now));
        }
    }

    /// What is said of a device that takes commands is out of date: it has come back meanwhile.
    pub(super) fn device_status(&mut self, status: DeviceStatus) {
        if self.devices.contains_key(&status.index) {
            return;
        }
        match self.known.entry(status.index) {
            Entry::Vacant(new) => {
                new.insert(status);
            }
            Entry::Occupied(mut known) => {
                // Its bus and its battery are as they were seen last.
                let known = known.get_mut();
                let transport = if status.transport.is_empty() {
                    known.transport.clone()
                } else {
                    status.transport.clone()
                };
                let battery = status.battery.or(known.battery);
                *known = DeviceStatus { transport, battery, ..status };
            }
        }
        self.freshness = Freshness::Stale;
    }

    fn renew_list(&mut self) -> DeviceList {
        self.freshness = Freshness::Stale;
        let views = self.devices.iter().map(|(index, connected)| (*index, connected.entry.view.clone()));
        self.list = Arc::new(views.collect());
        self.list.clone()
    }

    fn tell_all(&self, event: &Event, effects: &mut Vec<Effect>) {
        for session in self.sessions.keys() {
            effects.push(Effect::Event { session: *session, event: event.clone() });
        }
    }

    pub(super) fn report(
        &mut self,
        now: Instant,
        device: DeviceIndex,
        report: DeviceReport,
        effects: &mut Vec<Effect>,
    ) {
        match report {
            DeviceReport::Answered { ticket, result } => {
                let waiting =
                    self.devices.get_mut(&device).and_then(|connected| connected.waiting.remove(&ticket));
                if let Some(waiting) = waiting {
                    self.answered(now, device, ticket, waiting, result, effects);
                }
            }
            DeviceReport::Reading { feature, kind, value } => {
                self.reading(Reading { device, feature, kind, value }, effects);
            }
            DeviceReport::Output { feature, kind, value } => {
                self.output_confirmed(now, device, feature, kind, value);
            }
            DeviceReport::Recorded(lines) => self.recorded(device, lines, effects),
        }
    }

    /// Passes an answer of a device on to those who wait for it.
    fn answered(
        &mut self,
        now: Instant,
        device: DeviceIndex,
        ticket: DeviceTicket,
        waiting: Waiting,
        result: Result<Option<i32>, Fault>,
        effects: &mut Vec<Effect>,
    ) {
        match waiting {
            Waiting::Set { session, first, more } => {
                self.set_answered(now, device, ticket, result.as_ref().map(|_| ()).map_err(|_| ()), effects);
                let outcome = result.map(|_| Answer::Done);
                self.answer(session, first, outcome.clone(), effects);
                for ticket in more {
                    self.answer(session, ticket, outcome.clone(), effects);
                }
            }
            Waiting::Stop(number) => self.stop_part_answered(number, device, result.map(|_| ()), effects),
            Waiting::Read { session, ticket, feature, kind } => {
                let outcome = match result {
                    Ok(Some(value)) => {
                        let reading = Reading { device, feature, kind, value };
                        self.note_battery(reading);
                        Ok(Answer::Reading(reading))
                    }
                    Ok(None) => Err(Fault::new(Reason::ReadFailed, "the device gave no value")),
                    Err(fault) => Err(fault),
                };
                self.answer(session, ticket, outcome, effects);
            }
            Waiting::Subscribe { askers, feature, kind } => {
                let result = result.map(|_| ());
                self.subscribe_answered(device, ticket, askers, (feature, kind), result, effects);
            }
            Waiting::Unsubscribe { session, ticket } => {
                self.answer(session, ticket, result.map(|_| Answer::Done), effects);
            }
        }
    }

    /// A scan is over for these sessions.
    pub(super) fn scan_finished(&mut self, sessions: BTreeSet<SessionId>, effects: &mut Vec<Effect>) {
        self.scan_changed(effects);
        for session in sessions {
            effects.push(Effect::Event { session, event: Event::ScanningFinished });
        }
    }

    /// Passes the wish to scan on if it has changed.
    pub(super) fn scan_changed(&mut self, effects: &mut Vec<Effect>) {
        self.freshness = Freshness::Stale;
        let wish = self.scan.wish();
        if wish != self.told_scan {
            self.told_scan = wish;
            effects.push(Effect::Scan(wish));
        }
    }
}
