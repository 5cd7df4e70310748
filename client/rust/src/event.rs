//! What happens without being asked for, as a stream: devices that come and go, the end of a scan, trouble, the end of the session.
//! Readings have streams of their own, in `input.rs`.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream;
use ipc_schema::v4::OutputState;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::connection::Happening;
use crate::device::Device;
use crate::error::{Closed, ServerError};
use crate::session::Session;

/// Something that happened.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A device has connected.
    DeviceAdded(Device),
    /// A device has gone. Calls on it fail; when it comes back it has the same index.
    DeviceRemoved(Device),
    /// A device has another name or other features than before.
    DeviceChanged(Device),
    /// The scan that this session started has ended.
    ScanningFinished,
    /// Outputs have changed, whoever set them; only after [`Client::subscribe_outputs`](crate::Client::subscribe_outputs).
    OutputsChanged(Arc<Vec<OutputState>>),
    /// Transfers of a device, as lines of JSON; only after [`Client::start_recording`](crate::Client::start_recording).
    Recorded {
        /// The device.
        device_index: u32,
        /// The lines, in order and without their ends.
        lines: Arc<Vec<String>>,
    },
    /// The service has a problem with the session, such as a missed ping.
    Trouble(ServerError),
    /// The application did not read for too long, and this many events are lost. [`Client::devices`](crate::Client::devices) is right all the same.
    Missed(u64),
    /// The session is over; the stream ends after it.
    Closed(Closed),
}

/// A stream of events. It ends with the session, after [`Event::Closed`].
pub type Events = Pin<Box<dyn Stream<Item = Event> + Send>>;

pub(crate) fn events(session: &Arc<Session>) -> Events {
    let happenings = session.line.happenings();
    let over = session.line.closed.borrow().clone();
    let state =
        State { session: Arc::clone(session), happenings, over: over.map(Event::Closed), ended: false };
    Box::pin(stream::unfold(state, |mut state| async move {
        let event = state.next().await?;
        Some((event, state))
    }))
}

struct State {
    session: Arc<Session>,
    happenings: Receiver<Happening>,
    /// The session was over before the stream began.
    over: Option<Event>,
    ended: bool,
}

impl State {
    async fn next(&mut self) -> Option<Event> {
        if self.ended {
            return None;
        }
        if let Some(closed) = self.over.take() {
            self.ended = true;
            return Some(closed);
        }
        let device = |session: &Arc<Session>, device| Device::new(Arc::clone(session), device);
        loop {
            return Some(match self.happenings.recv().await {
                Ok(Happening::Added(added)) => Event::DeviceAdded(device(&self.session, added)),
                Ok(Happening::Removed(removed)) => Event::DeviceRemoved(device(&self.session, removed)),
                Ok(Happening::Changed(changed)) => Event::DeviceChanged(device(&self.session, changed)),
                Ok(Happening::ScanningFinished) => Event::ScanningFinished,
                Ok(Happening::Trouble(trouble)) => Event::Trouble(trouble),
                Ok(Happening::Outputs(outputs)) => Event::OutputsChanged(outputs),
                Ok(Happening::Recorded(device_index, lines)) => Event::Recorded { device_index, lines },
                Ok(Happening::Reading(_)) => continue,
                Ok(Happening::Closed(closed)) => {
                    self.ended = true;
                    Event::Closed(closed)
                }
                Err(RecvError::Lagged(missed)) => Event::Missed(missed),
                Err(RecvError::Closed) => return None,
            });
        }
    }
}
