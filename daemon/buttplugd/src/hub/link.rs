//! What a front holds of a session, and a device task of its device. Dropping it is how the hub learns that it is gone.

use std::sync::{Arc, OnceLock};

use engine::{
    client::Introduction,
    command::Dispatch,
    device::{DeviceCommand, DeviceReport},
    fault::{Fault, Reason},
    monitor::Recording,
    view::DeviceList,
    vocabulary::{DeviceIndex, SessionId},
};
use tokio::sync::{
    mpsc::{self, error::TryRecvError},
    watch,
};

use super::{Generation, ToHub, ToSession};

/// One session's way to the hub, and back. Dropped, the session has ended: what it set is stopped.
#[derive(Debug)]
pub struct Link {
    /// The session's number.
    pub id: SessionId,
    /// The devices as they were when the events of [`Link::inbox`] began.
    pub devices: DeviceList,
    /// What the hub tells the session.
    pub inbox: Inbox,
    pub(super) hub: mpsc::Sender<ToHub>,
    /// A place in the hub's queue, for the last word.
    pub(super) departure: Option<mpsc::OwnedPermit<ToHub>>,
}

impl Link {
    /// Says that the handshake is done. To be called before anything is dispatched.
    pub async fn opened(&self, introduction: Introduction) {
        self.tell(ToHub::Opened { session: self.id, introduction }).await;
    }

    /// Hands commands on, all of one frame at once. Waits while the hub has more to do than it should; the answers come
    /// through the inbox.
    pub async fn dispatch(&self, dispatches: Vec<Dispatch>) {
        self.tell(ToHub::Commands { session: self.id, dispatches }).await;
    }

    async fn tell(&self, message: ToHub) {
        if self.hub.send(message).await.is_err() {
            // The inbox ends too, and says why.
            tracing::debug!(session = %self.id, "the hub has ended");
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(departure) = self.departure.take() {
            departure.send(ToHub::SessionGone { session: self.id });
        }
    }
}

/// What the hub tells a session, in order.
#[derive(Debug)]
pub struct Inbox {
    pub(super) receiver: mpsc::Receiver<ToSession>,
    /// Why the hub has let the session go, if it has.
    pub(super) verdict: Arc<OnceLock<Fault>>,
    pub(super) ending: Ending,
}

/// Whether the session has been told of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Untold,
    Told,
}

impl Inbox {
    /// The next message. The last one is [`ToSession::Close`], and `None` follows. Cancel-safe.
    pub async fn recv(&mut self) -> Option<ToSession> {
        match self.receiver.recv().await {
            Some(message) => Some(message),
            None => self.last_word(),
        }
    }

    /// The next message, if there is one already.
    ///
    /// # Errors
    /// As for the channels of tokio.
    pub fn try_recv(&mut self) -> Result<ToSession, TryRecvError> {
        match self.receiver.try_recv() {
            Err(TryRecvError::Disconnected) => self.last_word().ok_or(TryRecvError::Disconnected),
            other => other,
        }
    }

    fn last_word(&mut self) -> Option<ToSession> {
        match self.ending {
            Ending::Told => None,
            Ending::Untold => {
                self.ending = Ending::Told;
                let fault = self.verdict.get().cloned().unwrap_or_else(super::ended);
                Some(ToSession::Close(fault))
            }
        }
    }
}

/// One device's way to the hub, and back. Dropped, the device is gone: whoever waits for it is told so.
#[derive(Debug)]
pub struct DeviceLink {
    /// The device.
    pub device: DeviceIndex,
    /// What is asked of it. Ends when a newer device has taken its index, or with the service: stop it and let it go.
    pub commands: mpsc::Receiver<DeviceCommand>,
    /// Whether a session wants to know of every transfer.
    pub recording: watch::Receiver<Recording>,
    pub(super) generation: Generation,
    pub(super) hub: mpsc::Sender<ToHub>,
    /// A place in the hub's queue, for the last word.
    pub(super) departure: Option<mpsc::OwnedPermit<ToHub>>,
}

impl DeviceLink {
    /// Tells what the device told.
    pub async fn report(&self, report: DeviceReport) {
        let message = ToHub::Report { device: self.device, generation: self.generation, report };
        if self.hub.send(message).await.is_err() {
            tracing::debug!(device = %self.device, "the hub has ended");
        }
    }

    /// Says that the device is gone, and why. To be called when all that can be answered is answered.
    pub fn gone(mut self, fault: Fault) {
        self.depart(fault);
    }

    fn depart(&mut self, fault: Fault) {
        if let Some(departure) = self.departure.take() {
            departure.send(ToHub::DeviceGone { device: self.device, generation: self.generation, fault });
        }
    }
}

impl Drop for DeviceLink {
    fn drop(&mut self) {
        let text = format!("device {} is gone", self.device);
        self.depart(Fault::new(Reason::DeviceLost, text));
    }
}
