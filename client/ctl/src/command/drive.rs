//! `output`: sets outputs and holds them for a time or until Ctrl-C, since the service stops what an ended session had set. It stops
//! them itself, too, so that the person learns if that failed.

use std::time::Duration;

use buttplugd_client::{Client, Device, Output, OutputType};
use serde_json::json;

use super::{Interrupts, pass};
use crate::failure::Failure;
use crate::print::Printer;
use crate::value::Amount;

/// Time for a movement when none is given.
const MOVE_WITHIN: Duration = Duration::from_millis(500);

/// What to do with the outputs.
pub(crate) struct Order {
    pub(crate) value: Amount,
    /// How long to hold it; until Ctrl-C when `None`.
    pub(crate) time: Option<Duration>,
    /// Time for a movement.
    pub(crate) within: Option<Duration>,
}

pub(crate) async fn run(
    client: &Client,
    device: &Device,
    outputs: &[Output],
    order: Order,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut batch = client.batch();
    let mut shown = Vec::new();
    let mut moves = None;
    for output in outputs {
        let value = match order.value {
            Amount::Fraction(fraction) => output.value_at(fraction)?,
            Amount::Steps(steps) => steps,
        };
        batch = if output.kind() == OutputType::HwPositionWithDuration {
            let within = order.within.unwrap_or(MOVE_WITHIN);
            moves = Some(within);
            batch.move_to(output, value, within)?
        } else if order.within.is_some() {
            return Err(Failure::Usage(format!(
                "--within is for movements, but feature {} has an output of kind {:?}",
                output.feature(),
                output.kind()
            )));
        } else {
            batch.set(output, value)?
        };
        shown.push((output, value));
    }
    batch.send().await?;

    let set: Vec<_> = shown
        .iter()
        .map(|(output, value)| json!({"FeatureIndex": output.feature(), "Output": output.kind(), "Value": value}))
        .collect();
    printer.print(&json!({"DeviceIndex": device.index(), "Set": set}), || {
        let line = |(output, value): &(&Output, i32)| {
            format!(
                "{}: {:?} of feature {} is at {value} of {}\n",
                device.name(),
                output.kind(),
                output.feature(),
                output.range().end()
            )
        };
        shown.iter().map(line).collect()
    })?;

    // A movement is over by itself.
    let time = order.time.or(moves);
    let mut interrupts = Interrupts::listen()?;
    if time.is_none() {
        printer.remark("Ctrl-C stops it");
    }
    let closed = tokio::select! {
        () = pass(time) => None,
        () = interrupts.come() => None,
        closed = client.closed() => Some(closed),
    };
    if let Some(closed) = closed {
        return Err(Failure::Client(closed.into()));
    }
    for output in outputs {
        output.stop().await?;
    }
    Ok(())
}
