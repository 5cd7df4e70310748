//! A long life in short time, after which the service is what it was: no more files, threads and match rules on the bus, no more
//! memory than a bound, and nothing that runs.

#![expect(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

mod cycles;
mod hour;
mod measure;

use std::{convert::Infallible, time::Duration};

use system_tests::bluez::FakeDevice;
use tokio::time::interval;

/// What most devices do.
const ADVERTISES: Duration = Duration::from_millis(100);

/// A device that is near and not connected says so again and again: what it says at the very moment of its loss may be overheard.
async fn advertising(toy: &FakeDevice) -> Infallible {
    let mut beats = interval(ADVERTISES);
    loop {
        beats.tick().await;
        toy.advertise();
    }
}
