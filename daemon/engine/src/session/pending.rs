//! Requests that wait for their answer, and the order in which the replies go out.
//!
//! Replies about one device keep the order of their requests. Nothing else waits for anything: a slow device holds back
//! neither another one nor a stop.

use std::collections::{BTreeMap, VecDeque};

use crate::{
    command::{Command, Outcome},
    dialect::Shape,
    vocabulary::{DeviceIndex, RequestId, Ticket},
};

/// The requests of one session that are on their way.
#[derive(Debug, Default)]
pub(super) struct Pending {
    waiting: BTreeMap<Ticket, Waiting>,
    /// The tickets of each device in the order of their requests. A device without any is not in the map.
    lanes: BTreeMap<DeviceIndex, VecDeque<Ticket>>,
    last: u64,
}

#[derive(Debug)]
struct Waiting {
    request: Requested,
    /// `None` for a request whose reply waits for no other.
    lane: Option<DeviceIndex>,
    /// The answer, while replies to earlier requests are missing.
    outcome: Option<Outcome>,
}

/// What is needed to write the reply to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Requested {
    pub(super) id: RequestId,
    pub(super) shape: Shape,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes in a request and gives it its number.
    pub(super) fn add(&mut self, request: Requested, command: &Command) -> Ticket {
        self.last += 1;
        let ticket = Ticket(self.last);
        let lane = lane(command);
        if let Some(device) = lane {
            self.lanes.entry(device).or_default().push_back(ticket);
        }
        self.waiting.insert(ticket, Waiting { request, lane, outcome: None });
        ticket
    }

    /// A number for a command whose answer nobody waits for.
    pub(super) fn unanswered(&mut self) -> Ticket {
        self.last += 1;
        Ticket(self.last)
    }

    /// Takes in an answer, and gives out the replies that can now be sent, in their order.
    ///
    /// An answer to an unknown ticket, or a second one, gives nothing.
    pub(super) fn answered(
        &mut self,
        ticket: Ticket,
        outcome: Outcome,
        mut reply: impl FnMut(Requested, Outcome),
    ) {
        let Some(waiting) = self.waiting.get_mut(&ticket) else { return };
        let Some(device) = waiting.lane else {
            let request = waiting.request;
            self.waiting.remove(&ticket);
            reply(request, outcome);
            return;
        };
        waiting.outcome.get_or_insert(outcome);
        let Some(lane) = self.lanes.get_mut(&device) else { return };
        while let Some(first) = lane.front() {
            match self.waiting.get_mut(first).map(|waiting| (waiting.request, waiting.outcome.take())) {
                Some((_, None)) => return,
                Some((request, Some(outcome))) => {
                    self.waiting.remove(first);
                    lane.pop_front();
                    reply(request, outcome);
                }
                None => {
                    lane.pop_front();
                }
            }
        }
        self.lanes.remove(&device);
    }

    /// Everything that still waits, in the order of the requests, with the answer that may be there already.
    pub(super) fn give_up(&mut self) -> impl Iterator<Item = (Requested, Option<Outcome>)> + use<> {
        self.lanes.clear();
        std::mem::take(&mut self.waiting).into_values().map(|waiting| (waiting.request, waiting.outcome))
    }
}

/// The device whose replies keep order with the reply to this command.
fn lane(command: &Command) -> Option<DeviceIndex> {
    match command {
        Command::SetOutputs { device, .. } | Command::Unlisted { device } | Command::Input { device, .. } => {
            Some(*device)
        }
        Command::StartScanning
        | Command::StopScanning
        | Command::ListDevices
        | Command::Stop { .. }
        | Command::Reserve { .. }
        | Command::Release { .. }
        | Command::Monitor(_) => None,
    }
}
