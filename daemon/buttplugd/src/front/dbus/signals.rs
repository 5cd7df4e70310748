//! Signals that go to one peer alone, one after the other, while its session goes on.
//!
//! A signal on its way is never given up: half a message would end the connection to the bus, and with it every session
//! on it. So the session does not wait for it; it polls it beside everything else, and ends when the bus takes too long.

use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use engine::{command::Event, fault::Fault};
use ipc_schema::dbus::{SERVER_PATH, device_path};
use tokio::time::Instant;
use zbus::{
    Connection,
    names::{BusName, OwnedUniqueName},
    object_server::SignalEmitter,
};

use super::{device::Device, server::Server, words};

/// What is signalled.
#[derive(Debug)]
pub(super) enum Signal {
    Event(Event),
    Fault(Fault),
}

/// The signals of one session.
pub(super) struct Signals {
    peer: Peer,
    /// The time that the bus has for each.
    limit: Duration,
    /// Few: nothing more is taken from the hub while there are any.
    waiting: VecDeque<Signal>,
    sending: Option<Sending>,
}

struct Sending {
    sent: Pin<Box<dyn Future<Output = zbus::Result<()>> + Send>>,
    due: Instant,
}

impl Signals {
    pub(super) fn new(connection: Connection, name: OwnedUniqueName, limit: Duration) -> Self {
        Self { peer: Peer { connection, name }, limit, waiting: VecDeque::new(), sending: None }
    }

    pub(super) fn push(&mut self, signal: Signal) {
        match self.sending {
            Some(_) => self.waiting.push_back(signal),
            None => self.begin(signal),
        }
    }

    fn begin(&mut self, signal: Signal) {
        let sent = Box::pin(self.peer.clone().send(signal));
        self.sending = Some(Sending { sent, due: Instant::now() + self.limit });
    }

    /// Whether the bus has taken all of them.
    pub(super) fn is_idle(&self) -> bool {
        self.sending.is_none()
    }

    /// By when the bus must have taken the one on its way. It may be later after [`Self::poll_sent`], never earlier.
    pub(super) fn due(&self) -> Option<Instant> {
        self.sending.as_ref().map(|sending| sending.due)
    }

    /// Gives the bus what it takes. Ready when that is all.
    pub(super) fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(sending) = &mut self.sending {
            if let Err(error) = ready!(sending.sent.as_mut().poll(cx)) {
                // The connection to the bus is gone; whoever watches that acts on it.
                tracing::debug!(%error, "cannot send a signal");
            }
            self.sending = None;
            if let Some(next) = self.waiting.pop_front() {
                self.begin(next);
            }
        }
        Poll::Ready(())
    }
}

/// The receiver.
#[derive(Clone)]
struct Peer {
    connection: Connection,
    name: OwnedUniqueName,
}

impl Peer {
    fn emitter(&self, path: &str) -> zbus::Result<SignalEmitter<'static>> {
        let emitter = SignalEmitter::new(&self.connection, path.to_owned())?;
        Ok(emitter.set_destination(BusName::from(self.name.inner().to_owned())))
    }

    async fn send(self, signal: Signal) -> zbus::Result<()> {
        match signal {
            Signal::Event(event) => self.event(&event).await,
            Signal::Fault(fault) => {
                Server::error(&self.emitter(SERVER_PATH)?, &fault.reason.dbus_name(), &fault.text).await
            }
        }
    }

    async fn event(&self, event: &Event) -> zbus::Result<()> {
        let server = self.emitter(SERVER_PATH)?;
        match event {
            Event::DeviceAdded { device, .. } => {
                Server::device_added(&server, device.index.0, words::device(device)).await
            }
            Event::DeviceRemoved { device, .. } => Server::device_removed(&server, device.0).await,
            Event::Reading(reading) => {
                let device = self.emitter(&device_path(reading.device.0))?;
                let kind = words::input_name(reading.kind);
                Device::input_reading(&device, reading.feature.0, kind, reading.value).await
            }
            Event::ScanningFinished => Server::scanning_finished(&server).await,
            Event::OutputsChanged(changes) => {
                for change in changes.iter() {
                    // An output has no value that could be told before the device has taken one: it may be running.
                    let Some(value) = change.confirmed else { continue };
                    let device = self.emitter(&device_path(change.output.device.0))?;
                    let kind = words::output_name(change.output.kind);
                    Device::output_changed(&device, change.output.feature.0, kind, value).await?;
                }
                Ok(())
            }
            // A recording needs the extension `monitor`, which D-Bus does not offer.
            Event::Recorded { .. } => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use engine::{
        monitor::{OutputId, OutputState},
        vocabulary::{DeviceIndex, FeatureIndex, OutputKind},
    };

    use super::{super::tests::bus, *};

    #[tokio::test(start_paused = true)]
    async fn an_output_that_the_device_has_not_confirmed_is_not_said_to_be_at_rest() {
        let (connection, mut taken) = bus(8).await;
        let name = OwnedUniqueName::try_from(":1.7").unwrap();
        let mut signals = Signals::new(connection, name, Duration::from_secs(5));
        let state = |feature, confirmed| OutputState {
            output: OutputId {
                device: DeviceIndex(7),
                feature: FeatureIndex(feature),
                kind: OutputKind::Vibrate,
            },
            wanted: Some(9),
            confirmed,
            owner: None,
        };
        let changes = [state(0, None), state(1, Some(0)), state(2, Some(9))];
        signals.push(Signal::Event(Event::OutputsChanged(changes.into())));
        poll_fn(|cx| signals.poll_sent(cx)).await;
        let told = std::iter::from_fn(|| taken.try_recv().ok())
            .map(|signal| signal.body().deserialize::<(u32, String, i32)>().unwrap());
        let vibrate = || "Vibrate".to_owned();
        assert_eq!(told.collect::<Vec<_>>(), [(1, vibrate(), 0), (2, vibrate(), 9)]);
    }
}
