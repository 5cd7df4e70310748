//! Requests that set outputs, from their arrival to their answer. A request is answered when the last of its outputs is
//! settled, with the first fault if there was one.

use std::collections::BTreeMap;

use super::{
    command::{DeviceReport, DeviceTicket},
    effect::Effect,
};
use crate::fault::Fault;

/// Requests that are not answered yet. At most two for each output: one being written, one wanted.
#[derive(Debug, Default)]
pub(super) struct Requests {
    open: BTreeMap<DeviceTicket, Request>,
}

#[derive(Debug)]
struct Request {
    outstanding: usize,
    fault: Option<Fault>,
}

impl Requests {
    /// A request that `outstanding` outputs have to be settled for; answered at once if that is none.
    pub(super) fn open(&mut self, ticket: DeviceTicket, outstanding: usize, effects: &mut Vec<Effect>) {
        if outstanding == 0 {
            effects.push(answered(ticket, Ok(None)));
        } else {
            self.open.insert(ticket, Request { outstanding, fault: None });
        }
    }

    /// One output of a request has come to its end.
    pub(super) fn settle(
        &mut self,
        ticket: DeviceTicket,
        result: Result<(), &Fault>,
        effects: &mut Vec<Effect>,
    ) {
        let Some(request) = self.open.get_mut(&ticket) else { return };
        if let Err(fault) = result {
            request.fault.get_or_insert_with(|| fault.clone());
        }
        request.outstanding = request.outstanding.saturating_sub(1);
        if request.outstanding == 0
            && let Some(request) = self.open.remove(&ticket)
        {
            effects.push(answered(ticket, request.fault.map_or(Ok(None), Err)));
        }
    }

    /// How many are not answered yet.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }
}

/// The report of an answer.
pub(super) fn answered(ticket: DeviceTicket, result: Result<Option<i32>, Fault>) -> Effect {
    Effect::Report(DeviceReport::Answered { ticket, result })
}
