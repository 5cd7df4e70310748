//! The task of a device has ended: what is remembered of that, and whether the device is there again already.

use engine::{
    device::Motion,
    fault::{Fault, Reason},
};
use tokio::time::Instant;

use super::{Arrivals, lookout::Why, open::LetGo};
use crate::{
    device_task::{Ended, Reached},
    transport::Discovered,
};

impl Arrivals {
    /// The task of a device has ended. Gives the device back where it was seen again before that.
    pub(super) async fn ended(&mut self, ended: Ended) -> Option<Discovered> {
        let now = Instant::now();
        if let Some(index) = ended.index() {
            match ended.motion {
                Motion::MayRun => self.left.insert(index),
                Motion::AtRest => self.left.remove(&index),
            };
        }
        let mut open = self.open.remove(&ended.id)?;
        let back = open.back(now);
        self.look_for(&open, &ended, now);
        self.tell_why_not(&open, &ended.fault).await;
        match ended.reached {
            _ if open.let_go != LetGo::No => self.attempts.succeeded(&open.place),
            // Only a connected device tells which of several protocols it speaks, so it may be refused as late as that.
            Reached::Open if ended.fault.reason == Reason::NotAllowed => {
                self.attempts.refused(open.place, now);
            }
            Reached::Ready if ended.fault.reason != Reason::PluginFailed => {
                self.attempts.succeeded(&open.place)
            }
            reached @ (Reached::Ready | Reached::Nothing | Reached::Mismatch | Reached::Open) => {
                self.attempts.failed(open.place, reached, now);
            }
        }
        if open.let_go == LetGo::Changed {
            self.look_anew();
        }
        back
    }

    /// The task of a device panicked. Its path is closed by being dropped; what the device does, the journal knows.
    pub(super) async fn failed(&mut self, error: &tokio::task::JoinError) -> Option<Discovered> {
        tracing::error!(%error, "the task of a device failed");
        let mut open = self.attempts.task(error.id()).and_then(|id| self.open.remove(&id))?;
        let now = Instant::now();
        let back = open.back(now);
        match open.index().filter(|index| self.journal.motion(*index) == Motion::MayRun) {
            Some(index) => {
                self.left.insert(index);
                self.lookout.miss(&open.place.1, Why::MayRun, now);
            }
            None => self.lookout.failed(&open.place.1, now),
        }
        let why = Fault::new(Reason::Internal, "the service failed to drive it; see its log");
        self.tell_why_not(&open, &why).await;
        self.attempts.failed(open.place, Reached::Open, now);
        self.update_wish();
        back
    }
}
