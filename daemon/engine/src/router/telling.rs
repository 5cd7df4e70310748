//! What is told about the service itself: snapshots on request, and changes of outputs to the sessions that watch.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use ipc_schema::error::Reason;

use super::{
    Effect, Freshness, Router,
    connected::{Connected, Output},
    sessions::Client,
};
use crate::{
    command::{Answer, Event},
    fault::Fault,
    monitor::{ClientStatus, MonitorAnswer, MonitorRequest, OutputId, OutputState, Status},
    vocabulary::{SessionId, Ticket},
};

/// Changes of outputs are put together for this long: quick enough for an eye, and few enough for a slow terminal.
const CHANGES_PUT_TOGETHER: Duration = Duration::from_millis(50);

impl Router {
    /// Whether a status given out before still holds.
    #[must_use]
    pub const fn freshness(&self) -> Freshness {
        self.freshness
    }

    /// How things are now. The next [`Router::freshness`] is against this.
    pub fn status(&mut self) -> Status {
        self.freshness = Freshness::Fresh;
        self.current_status()
    }

    fn current_status(&self) -> Status {
        let devices = self
            .known
            .values()
            .map(|known| {
                let mut status = known.clone();
                if let Some(connected) = self.devices.get(&known.index) {
                    status.battery = connected.battery;
                }
                status
            })
            .collect();
        Status {
            since: self.since,
            facts: self.facts.clone(),
            list: self.list.clone(),
            devices,
            clients: self
                .sessions
                .iter()
                .map(|(session, client)| self.client_status(*session, client))
                .collect(),
            transports: self.scan.transports().cloned().collect(),
            scan: self.scan.wish(),
        }
    }

    fn client_status(&self, session: SessionId, client: &Client) -> ClientStatus {
        ClientStatus {
            session,
            peer: client.peer.clone(),
            introduction: client.introduction.clone(),
            reserves: self.reservations.held_by(session),
            scan: self.scan.wish_of(session),
        }
    }

    /// Every output of every connected device that clients may set.
    pub fn outputs(&self) -> impl Iterator<Item = OutputState> {
        self.devices
            .values()
            .flat_map(|connected| connected.outputs.values().filter_map(|output| state(connected, output)))
    }

    pub(super) fn monitor(
        &mut self,
        now: Instant,
        session: SessionId,
        ticket: Ticket,
        request: MonitorRequest,
        effects: &mut Vec<Effect>,
    ) {
        let outcome = match request {
            MonitorRequest::Status => {
                let status = Arc::new(self.current_status());
                Ok(Answer::Monitor(MonitorAnswer::Status { status, at: now }))
            }
            MonitorRequest::Clients => {
                let status = Arc::new(self.current_status());
                let outputs = self.outputs().collect();
                Ok(Answer::Monitor(MonitorAnswer::Clients { status, outputs, at: now, asker: session }))
            }
            MonitorRequest::Outputs => Ok(Answer::Monitor(MonitorAnswer::Outputs(self.outputs().collect()))),
            MonitorRequest::WatchOutputs => {
                self.watching.insert(session);
                Ok(Answer::Done)
            }
            MonitorRequest::UnwatchOutputs => {
                self.watching.remove(&session);
                Ok(Answer::Done)
            }
            MonitorRequest::Disconnect(other) if self.sessions.contains_key(&other) => {
                let fault = Fault::new(Reason::DisconnectedByUser, "the user has ended this session");
                effects.push(Effect::EndSession { session: other, fault });
                Ok(Answer::Done)
            }
            MonitorRequest::Disconnect(other) => {
                Err(Fault::new(Reason::SessionClosed, format!("there is no session {other}")))
            }
            MonitorRequest::Record(device, anonymity) => self.record(session, device, anonymity, effects),
            MonitorRequest::EndRecording(device) => self.end_recording(session, device, effects),
            MonitorRequest::Reload => {
                effects.push(Effect::Reload { session, ticket });
                return;
            }
        };
        self.answer(session, ticket, outcome, effects);
    }

    /// Takes note that an output is to be told of, if anybody wants to know.
    pub(super) fn output_changed(&mut self, now: Instant, output: OutputId) {
        if self.watching.is_empty() {
            return;
        }
        self.changed.insert(output);
        self.tell_at.get_or_insert(now + CHANGES_PUT_TOGETHER);
    }

    /// Tells the sessions that watch what has changed.
    pub(super) fn tell_changes(&mut self, effects: &mut Vec<Effect>) {
        self.tell_at = None;
        let changed = std::mem::take(&mut self.changed);
        let states: Arc<[OutputState]> = changed
            .into_iter()
            .filter_map(|id| {
                let connected = self.devices.get(&id.device)?;
                connected.outputs.get(&(id.feature, id.kind)).and_then(|output| state(connected, output))
            })
            .collect();
        if states.is_empty() {
            return;
        }
        for session in &self.watching {
            effects.push(Effect::Event { session: *session, event: Event::OutputsChanged(states.clone()) });
        }
    }
}

/// The state of an output; `None` for one that clients are not shown.
fn state(connected: &Connected, output: &Output) -> Option<OutputState> {
    let scale = output.entry.scale?;
    Some(OutputState {
        output: OutputId {
            device: connected.index(),
            feature: output.entry.feature,
            kind: output.entry.kind,
        },
        wanted: output.wanted.map(|value| scale.to_shown(value)),
        confirmed: output.confirmed.map(|value| scale.to_shown(value)),
        owner: output.claim.as_ref().map(super::claim::Claim::owner),
    })
}
