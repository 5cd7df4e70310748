//! Moves a stroker to a place in a given time. The device only has "go to", so it is sent there in steps.

use plugin_sdk::{Endpoint, Ops, Output, Timer};

/// The time between two steps.
const STEP_MS: u32 = 100;

/// Where the device is, and where it is going. Where it is is never asked: it is taken to be at 0 at first.
#[derive(Debug, Default)]
pub(crate) struct Movement {
    current: i32,
    goal: i32,
    /// The length of a step and its direction; `None` until the first step to a new goal.
    step: Option<i32>,
    duration_ms: u32,
}

impl Movement {
    /// Sets a goal, for the next step to go to. A goal that is set already keeps its time.
    pub(crate) fn go_to(&mut self, output: Output, timer: Timer, ops: &mut Ops<'_>) {
        if output.value == self.goal {
            return;
        }
        let at_rest = self.goal == self.current;
        self.goal = output.value;
        self.duration_ms = output.duration_ms;
        self.step = None;
        if at_rest {
            ops.timer(timer, STEP_MS);
        }
    }

    /// Gives the goal up: the place reached is the goal.
    pub(crate) fn end(&mut self, timer: Timer, ops: &mut Ops<'_>) {
        if self.goal != self.current {
            self.goal = self.current;
            ops.cancel_timer(timer);
        }
    }

    /// Takes one step, and sets the timer for the next if there is one.
    pub(crate) fn step(&mut self, tx: Endpoint, timer: Timer, ops: &mut Ops<'_>) {
        let distance = self.goal.saturating_sub(self.current);
        if distance == 0 {
            return;
        }
        let steps = i32::try_from((self.duration_ms / STEP_MS).max(1)).unwrap_or(i32::MAX);
        let shortest = distance.signum();
        let step = *self.step.get_or_insert_with(|| match distance / steps {
            0 => shortest,
            step => step,
        });
        self.current = if step.abs() >= distance.abs() { self.goal } else { self.current + step };
        ops.write_text(tx, format_args!("FSetSite:{};", self.current));
        if self.current != self.goal {
            ops.timer(timer, STEP_MS);
        }
    }
}
