//! One line a check on the way out, and waiting with a limit.

#![expect(clippy::print_stdout, reason = "the lines are what the machine is run for")]

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::bail;

/// How long anything may take here: the processor is emulated, slower by a factor of ten to thirty, and shared with what else is built
/// beside it.
pub(crate) const LIMIT: Duration = Duration::from_secs(90);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// The checks so far.
#[derive(Debug)]
pub(crate) struct Report {
    started: Instant,
    passed: u32,
    failed: u32,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self { started: Instant::now(), passed: 0, failed: 0 }
    }

    /// Makes one check and prints how it went. A later check is made all the same.
    pub(crate) fn check(&mut self, name: &str, check: impl FnOnce() -> anyhow::Result<()>) {
        let outcome = check();
        let at = self.started.elapsed().as_secs_f32();
        match outcome {
            Ok(()) => {
                self.passed += 1;
                println!("ok      [{at:6.1} s] {name}");
            }
            Err(error) => {
                self.failed += 1;
                println!("FAILED  [{at:6.1} s] {name}: {error:#}");
            }
        }
    }

    /// Whether a check has failed.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed > 0
    }

    /// The line that the host looks for.
    pub(crate) fn close(&self) {
        println!("vm: {} passed, {} failed", self.passed, self.failed);
    }
}

/// Prints what helps to understand a failed check.
pub(crate) fn show(text: &str) {
    println!("{text}");
}

/// Waits until something is there.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> anyhow::Result<T> {
    let end = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look() {
            return Ok(found);
        }
        if Instant::now() > end {
            bail!("{what}: not within {} s", LIMIT.as_secs());
        }
        thread::sleep(LOOK_EVERY);
    }
}
