//! `record`: writes the lines of a recording to a file as they come. What is in them is the service's business.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::time::Duration;

use buttplugd_client::{Anonymity, Client, Device, Event};
use futures_util::{FutureExt, StreamExt};
use serde_json::json;

use super::{Interrupts, pass};
use crate::failure::Failure;
use crate::print::Printer;

/// What is wanted.
pub(crate) struct Order {
    pub(crate) file: PathBuf,
    /// Until Ctrl-C if absent.
    pub(crate) time: Option<Duration>,
    pub(crate) anonymity: Anonymity,
}

/// The file, and what is in it.
struct Recording {
    file: BufWriter<File>,
    device: u32,
    lines: usize,
}

/// Whether more is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    GoOn,
    DeviceGone,
}

pub(crate) async fn run(
    client: &Client,
    device: &Device,
    order: Order,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut events = client.events();
    let shown = order.file.display().to_string();
    client.start_recording(device.index(), order.anonymity).await?;
    // Only now, so that a refusal leaves an older file alone.
    let file = File::create(&order.file)
        .map_err(|source| Failure::System { doing: "could not write the recording", source })?;
    let mut recording = Recording { file: BufWriter::new(file), device: device.index(), lines: 0 };
    let until = order.time.map_or_else(|| "Ctrl-C ends it".to_owned(), |time| format!("for {time:?}"));
    let mut interrupts = Interrupts::listen()?;
    printer.remark(&format!("recording {} to {shown}, {until}", device.name()));
    let writing = async {
        while let Some(event) = events.next().await {
            if recording.take(event)? == Next::DeviceGone {
                return Ok(Next::DeviceGone);
            }
        }
        Ok::<_, Failure>(Next::GoOn)
    };
    let next = tokio::select! {
        next = writing => next?,
        () = pass(order.time) => Next::GoOn,
        () = interrupts.come() => Next::GoOn,
    };
    match next {
        Next::DeviceGone => printer.remark("the device has gone, and the recording ends there"),
        Next::GoOn => {
            client.stop_recording(device.index()).await?;
            // All of it has come before the answer did.
            while let Some(Some(event)) = events.next().now_or_never() {
                recording.take(event)?;
            }
        }
    }
    recording.file.flush()?;
    let lines = recording.lines;
    printer.print(&json!({"File": shown, "Lines": lines}), || format!("{lines} lines are in {shown}\n"))
}

impl Recording {
    fn take(&mut self, event: Event) -> Result<Next, Failure> {
        match event {
            Event::Recorded { device_index, lines } if device_index == self.device => {
                for line in lines.iter() {
                    writeln!(self.file, "{line}")?;
                }
                self.lines += lines.len();
                // Whatever ends this program, the file has what was there.
                self.file.flush()?;
            }
            Event::DeviceRemoved(gone) if gone.index() == self.device => return Ok(Next::DeviceGone),
            Event::Missed(count) => {
                self.file.flush()?;
                let text = format!(
                    "the recording is broken after {} lines: {count} events came faster than they could be written",
                    self.lines
                );
                return Err(Failure::Refused(text));
            }
            Event::Closed(closed) => return Err(Failure::Client(closed.into())),
            _ => {}
        }
        Ok(Next::GoOn)
    }
}
