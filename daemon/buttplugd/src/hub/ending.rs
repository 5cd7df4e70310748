//! The end of the service: outputs are stopped, then sessions are closed and devices let go.

use engine::{
    device::DeviceCommand,
    fault::{Fault, Reason},
    router::{self, OutsideTicket},
};
use tokio::sync::oneshot;

use super::{
    ended,
    task::{Next, Phase, Task},
};

impl Task {
    pub(super) fn shut_down(&mut self, reply: oneshot::Sender<()>) {
        match self.phase {
            Phase::Serving => {
                tracing::info!(
                    sessions = self.sessions.len(),
                    devices = self.devices.len(),
                    "stopping all outputs"
                );
                let stop = self.next_outside();
                self.phase = Phase::Stopping { stop, reply };
                self.route(router::Input::StopEverything { ticket: stop });
            }
            // Whoever asks a second time gives up waiting sooner.
            Phase::Stopping { .. } | Phase::Closing { .. } => {}
        }
    }

    pub(super) fn stopped(&mut self, ticket: OutsideTicket, outcome: Result<(), Fault>) {
        if let Some(reply) = self.outside.remove(&ticket) {
            // The caller may have gone; the stop is done all the same.
            drop(reply.send(outcome));
            return;
        }
        if !matches!(&self.phase, Phase::Stopping { stop, .. } if *stop == ticket) {
            return;
        }
        if let Err(fault) = outcome {
            tracing::error!(%fault, "not every output could be stopped");
        }
        if let Phase::Stopping { reply, .. } = std::mem::replace(&mut self.phase, Phase::Serving) {
            self.phase = Phase::Closing { reply };
        }
        for session in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.end_session(session, ended());
        }
        for device in self.devices.indexes() {
            self.command(device, DeviceCommand::Close { reason: Reason::ShuttingDown });
        }
    }

    /// Ends the task when all devices have let go.
    pub(super) fn further(&mut self) -> Next {
        match &self.phase {
            Phase::Closing { .. } if self.devices.is_empty() => {}
            Phase::Serving | Phase::Stopping { .. } | Phase::Closing { .. } => return Next::GoOn,
        }
        if let Phase::Closing { reply } = std::mem::replace(&mut self.phase, Phase::Serving)
            && reply.send(()).is_err()
        {
            tracing::debug!("the end came after its limit");
        }
        Next::End
    }
}
