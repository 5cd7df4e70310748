//! Takes the steps of a bring-up one after another and waits where a step waits.
//!
//! Time passes only by timers and events; a step that is not answered in time goes on, fails, or is taken again.

use plugin_sdk::{Endpoint, Event, Failure, Ops, Timer};

use crate::matching::Matching;
use crate::running::Running;
use crate::select::Facts;
use crate::source::Otherwise;
use crate::steps::{Action, Answer, Step};

/// The timer of the step that waits.
pub(crate) const STEP: Timer = Timer(0);
/// So many bytes of an endpoint are read.
pub(crate) const READ_LENGTH: u32 = 512;

/// Where a bring-up stands.
#[derive(Debug)]
pub(crate) struct BringUp {
    steps: Vec<Step>,
    at: usize,
    tries_left: u32,
    waits: Waits,
    taken: Option<Vec<u8>>,
}

/// What a bring-up waits for.
#[derive(Debug, PartialEq, Eq)]
enum Waits {
    Nothing,
    Notification(Endpoint),
    Read(Endpoint),
    Time,
}

/// Whether a bring-up is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    Waiting,
    Done,
}

impl BringUp {
    /// A bring-up of those steps that are meant for this device.
    pub(crate) fn new(steps: &[Step], facts: &Facts<'_>) -> Self {
        let steps = steps.iter().filter(|step| step.select.suits(facts)).cloned().collect();
        Self { steps, at: 0, tries_left: 0, waits: Waits::Nothing, taken: None }
    }

    /// What was read or notified last.
    pub(crate) fn taken(&self) -> Option<&[u8]> {
        self.taken.as_deref()
    }

    /// Takes steps until one has to wait.
    pub(crate) fn go(&mut self, running: &mut Running, ops: &mut Ops<'_>) -> Result<Progress, Failure> {
        while let Some(step) = self.steps.get(self.at).cloned() {
            self.waits = Waits::Nothing;
            self.tries_left = match &step.action {
                Action::Write { tries, .. } => *tries,
                Action::Wait(_)
                | Action::Subscribe(_)
                | Action::Unsubscribe(_)
                | Action::Read { .. }
                | Action::Pause { .. }
                | Action::Rest => 1,
            };
            self.begin(&step, running, ops)?;
            if self.waits != Waits::Nothing {
                return Ok(Progress::Waiting);
            }
            self.at += 1;
        }
        Ok(Progress::Done)
    }

    fn begin(&mut self, step: &Step, running: &mut Running, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.tries_left = self.tries_left.saturating_sub(1);
        match &step.action {
            Action::Write { to, response, bytes, answer, .. } => {
                running.fixed(to, *response, bytes)?.write(ops);
                if let Some(answer) = answer {
                    self.wait(answer, running, ops)?;
                }
            }
            Action::Wait(answer) => self.wait(answer, running, ops)?,
            Action::Subscribe(endpoint) => running.subscribe(endpoint, ops)?,
            Action::Unsubscribe(endpoint) => running.unsubscribe(endpoint, ops)?,
            Action::Read { from, .. } => {
                let endpoint = running.endpoint(from)?;
                ops.read(endpoint, READ_LENGTH);
                self.waits = Waits::Read(endpoint);
            }
            Action::Pause { for_ms } => {
                ops.timer(STEP, *for_ms);
                self.waits = Waits::Time;
            }
            Action::Rest => running.rest(ops),
        }
        Ok(())
    }

    fn wait(&mut self, answer: &Answer, running: &Running, ops: &mut Ops<'_>) -> Result<(), Failure> {
        self.waits = Waits::Notification(running.endpoint(&answer.from)?);
        if let Some(within_ms) = answer.within_ms {
            ops.timer(STEP, within_ms);
        }
        Ok(())
    }

    /// Takes an event; steps go on if it was the one that is waited for.
    pub(crate) fn event(
        &mut self,
        event: Event<'_>,
        running: &mut Running,
        ops: &mut Ops<'_>,
    ) -> Result<Progress, Failure> {
        let Some(step) = self.steps.get(self.at).cloned() else {
            return Ok(Progress::Done);
        };
        let (matching, otherwise, timed) = expects(&step.action);
        match (&self.waits, event) {
            (Waits::Notification(wanted), Event::Notified { endpoint, data }) if *wanted == endpoint => {
                if !matching.begins(data) {
                    return Ok(Progress::Waiting);
                }
                if timed == Timed::Yes {
                    ops.cancel_timer(STEP);
                }
                self.taken = Some(data.to_vec());
            }
            (Waits::Read(wanted), Event::Read { endpoint, data }) if *wanted == endpoint => {
                if matching.begins(data) {
                    self.taken = Some(data.to_vec());
                } else {
                    unanswered(&step, otherwise, "the device reads something else")?;
                }
            }
            (Waits::Read(wanted), Event::ReadFailed { endpoint }) if *wanted == endpoint => {
                unanswered(&step, otherwise, "the device cannot be read")?;
            }
            (Waits::Notification(_), Event::Timer(STEP)) => {
                if self.tries_left > 0 {
                    self.begin(&step, running, ops)?;
                    return Ok(Progress::Waiting);
                }
                unanswered(&step, otherwise, "the device does not answer")?;
            }
            (Waits::Time, Event::Timer(STEP)) => {}
            _ => return Ok(Progress::Waiting),
        }
        self.at += 1;
        self.go(running, ops)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Timed {
    Yes,
    No,
}

/// What a step expects to receive, and what happens if it does not.
fn expects(action: &Action) -> (Matching, Otherwise, Timed) {
    match action {
        Action::Write { answer: Some(answer), .. } | Action::Wait(answer) => {
            let timed = if answer.within_ms.is_some() { Timed::Yes } else { Timed::No };
            (answer.matching.clone(), answer.otherwise, timed)
        }
        Action::Read { matching, otherwise, .. } => (matching.clone(), *otherwise, Timed::No),
        Action::Write { answer: None, .. }
        | Action::Subscribe(_)
        | Action::Unsubscribe(_)
        | Action::Pause { .. }
        | Action::Rest => (Matching::default(), Otherwise::Fail, Timed::No),
    }
}

fn unanswered(step: &Step, otherwise: Otherwise, what: &str) -> Result<(), Failure> {
    match otherwise {
        Otherwise::GoOn => Ok(()),
        Otherwise::Fail => Err(Failure::bad_reply(format!("{}: {what}", step.key))),
    }
}
