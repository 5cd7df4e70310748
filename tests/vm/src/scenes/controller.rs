//! A game controller with force feedback.

use super::{is_gone, is_there};
use crate::{
    pad::Pad,
    person::{Running, person},
    report::Report,
};

/// What a controller is called in the definitions.
pub(super) const PAD: &str = "Game";

/// Both motors, as fast as they can.
pub(super) const FULL: &[u8] = b"runs 65535 65535 for 5000 ms";
pub(super) const REST: &[u8] = b"rests";

pub(super) fn play(report: &mut Report) -> anyhow::Result<Pad> {
    let pad = Pad::plug_in()?;
    report.check("a game controller is there as soon as it is plugged in", || is_there(PAD));
    report.check(
        "a controller's motors run at exactly what each was told, and rest when the time is over",
        || {
            person(&format!("buttplugctl output {PAD} 100% --feature 0 --for 500ms"))?;
            pad.sent.expect_exactly(b"runs 65535 0 for 5000 ms")?;
            pad.sent.expect_exactly(REST)?;
            person(&format!("buttplugctl output {PAD} 1000 --feature 1 --for 500ms"))?;
            pad.sent.expect_exactly(b"runs 0 1000 for 5000 ms")?;
            pad.sent.expect_exactly(REST)
        },
    );
    let holder = Running::start(&format!("buttplugctl output {PAD} 100%"))?;
    report.check("a client of a controller that is killed leaves nothing running", || {
        pad.sent.expect_exactly(FULL)?;
        drop(holder);
        pad.sent.expect_exactly(REST)
    });
    drop(pad);
    report.check("a controller that is pulled out is gone", || is_gone(PAD));
    let pad = Pad::plug_in()?;
    report.check("a controller that returns can be driven again", || {
        is_there(PAD)?;
        person(&format!("buttplugctl output {PAD} 50% --feature 0 --for 500ms"))?;
        pad.sent.expect("half strength", |sent| {
            sent == b"runs 32767 0 for 5000 ms" || sent == b"runs 32768 0 for 5000 ms"
        })?;
        pad.sent.expect_exactly(REST)
    });
    Ok(pad)
}
