//! The task around the engine's router: one owner for sessions, devices, and who drives what.
//!
//! Fronts hold a [`Link`] a session, device tasks a [`DeviceLink`] each; dropping one says that the session, or the device,
//! is gone, and cannot fail to. Every message to the hub goes through one bounded queue, so that what was sent before an
//! end is handled before it. The hub waits for nobody: a session whose inbox is full is closed, a command to a device whose
//! queue is full is refused, and a stop to such a device waits at its door.

mod devices;
mod ending;
mod link;
mod task;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use engine::{
    client::{Introduction, Peer},
    command::{Dispatch, Event, Outcome},
    device::DeviceReport,
    fault::{Fault, Reason},
    monitor::{DeviceStatus, OutputState, ServiceFacts, Status, TransportStatus},
    router::DeviceEntry,
    vocabulary::{DeviceIndex, SessionId, Ticket},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
};

pub use self::link::{DeviceLink, Inbox, Link};
use crate::transport::ScanWish;

/// Messages that may wait for the hub. It never waits itself, so this is a burst and not a backlog; who sends one too many
/// waits, and nobody waits for them.
const HUB_QUEUE: usize = 1024;

/// Commands that may wait for a device's task, which takes them at once and keeps only the newest value of each output.
const DEVICE_QUEUE: usize = 256;

/// Devices that may be open at once: far more than one machine has room for.
const DEVICES_MAX: usize = 1024;

/// What the hub is made of.
pub struct Parts {
    /// Sessions that may be open at once.
    pub sessions_max: usize,
    /// Answers and events that may wait for a session; at least 1. A client that lets more pile up does not read, and is let go.
    pub event_queue: usize,
    /// Who may open one.
    pub policy: Policy,
    /// Where clients' wishes to read everything again go.
    pub reload: mpsc::Sender<ReloadRequest>,
}

/// Who may open a session: an error is what the client is told.
pub type Policy = Arc<dyn Fn(&Peer) -> Result<(), Fault> + Send + Sync>;

/// A client's wish to have configuration, definitions and plugin folders read again.
pub struct ReloadRequest {
    session: SessionId,
    ticket: Ticket,
    hub: mpsc::WeakSender<ToHub>,
}

impl ReloadRequest {
    /// Says what it came to.
    pub async fn done(self, outcome: Result<(), Fault>) {
        let Some(hub) = self.hub.upgrade() else { return };
        let said = ToHub::Reloaded { session: self.session, ticket: self.ticket, outcome };
        if hub.send(said).await.is_err() {
            tracing::debug!("the hub ended before a reload");
        }
    }
}

/// What a session is told by the hub.
#[derive(Debug, Clone, PartialEq)]
pub enum ToSession {
    /// What a command came to.
    Answer {
        /// The command's.
        ticket: Ticket,
        /// What it came to.
        outcome: Outcome,
    },
    /// Something that happened.
    Event(Event),
    /// The session is over, whatever its client does. Nothing follows.
    Close(Fault),
}

/// Everything that can wake the hub.
enum ToHub {
    Open {
        peer: Peer,
        departure: mpsc::OwnedPermit<ToHub>,
        reply: oneshot::Sender<Result<Link, Fault>>,
    },
    Opened {
        session: SessionId,
        introduction: Introduction,
    },
    Commands {
        session: SessionId,
        dispatches: Vec<Dispatch>,
    },
    SessionGone {
        session: SessionId,
    },
    StopEverything {
        reply: oneshot::Sender<Result<(), Fault>>,
    },
    Sleep {
        reply: oneshot::Sender<Result<(), Fault>>,
    },
    Wake,
    Disconnect {
        session: SessionId,
        fault: Fault,
    },
    Policy(Policy),
    DeviceReady {
        entry: DeviceEntry,
        departure: mpsc::OwnedPermit<ToHub>,
        reply: oneshot::Sender<DeviceLink>,
    },
    Report {
        device: DeviceIndex,
        generation: Generation,
        report: DeviceReport,
    },
    DeviceGone {
        device: DeviceIndex,
        generation: Generation,
        fault: Fault,
    },
    DeviceStatus(DeviceStatus),
    Transport(TransportStatus),
    ScanEnded(&'static str),
    Facts(Arc<ServiceFacts>),
    Outputs {
        reply: oneshot::Sender<Vec<OutputState>>,
    },
    Reloaded {
        session: SessionId,
        ticket: Ticket,
        outcome: Result<(), Fault>,
    },
    Shutdown {
        reply: oneshot::Sender<()>,
    },
}

/// Which of the times that a device was there. What an earlier one says late is not taken for the newer one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Generation(u64);

/// A handle of the hub, for as many as need one.
#[derive(Clone)]
pub struct Hub {
    sender: mpsc::Sender<ToHub>,
    status: watch::Receiver<Arc<Status>>,
    wish: watch::Receiver<ScanWish>,
}

impl Hub {
    /// Starts the hub's task on the current runtime. It ends after [`Hub::shutdown`], or when every handle and link is gone.
    #[must_use]
    pub fn start(parts: Parts) -> (Self, JoinHandle<()>) {
        // Each session and each device keeps a place in the queue for saying that it is gone.
        let capacity = HUB_QUEUE + parts.sessions_max + DEVICES_MAX;
        let (sender, receiver) = mpsc::channel(capacity);
        let (task, status, wish) = task::Task::new(parts, receiver, sender.downgrade());
        (Self { sender, status, wish }, tokio::spawn(task.run()))
    }

    /// Opens a session.
    ///
    /// # Errors
    /// The policy does not allow it, too many sessions are open, or the service is ending. Tell the client.
    pub async fn open(&self, peer: Peer) -> Result<Link, Fault> {
        let departure = self.sender.clone().reserve_owned().await.map_err(|_| ended())?;
        let (reply, link) = oneshot::channel();
        self.send(ToHub::Open { peer, departure, reply }).await?;
        link.await.map_err(|_| ended())?
    }

    /// Stops every output of every device, without a session.
    ///
    /// # Errors
    /// What a device could not be stopped for. The service goes on trying.
    pub async fn stop_everything(&self) -> Result<(), Fault> {
        let (reply, outcome) = oneshot::channel();
        self.send(ToHub::StopEverything { reply }).await?;
        outcome.await.map_err(|_| ended())?
    }

    /// The machine is about to sleep: stops every output, and refuses to set any until [`Hub::wake`].
    ///
    /// # Errors
    /// What a device could not be stopped for. The service goes on trying.
    pub async fn sleep(&self) -> Result<(), Fault> {
        let (reply, outcome) = oneshot::channel();
        self.send(ToHub::Sleep { reply }).await?;
        outcome.await.map_err(|_| ended())?
    }

    /// The machine is awake again.
    pub async fn wake(&self) {
        self.tell(ToHub::Wake).await;
    }

    /// Ends a session, and tells its client why. Nothing happens if there is no such session.
    pub async fn disconnect(&self, session: SessionId, fault: Fault) {
        self.tell(ToHub::Disconnect { session, fault }).await;
    }

    /// Decides anew who may open a session. Open ones stay.
    pub async fn set_policy(&self, policy: Policy) {
        self.tell(ToHub::Policy(policy)).await;
    }

    /// Says that a device is ready to be driven. Of two with one index, the newer one counts.
    ///
    /// # Errors
    /// The service is ending, or there are more devices than it has room for.
    pub async fn device_ready(&self, entry: DeviceEntry) -> Result<DeviceLink, Fault> {
        let departure = self.sender.clone().reserve_owned().await.map_err(|_| ended())?;
        let (reply, link) = oneshot::channel();
        self.send(ToHub::DeviceReady { entry, departure, reply }).await?;
        link.await.map_err(|_| ended())
    }

    /// Says how a device is doing that is not ready, or that the service knows it.
    pub async fn device_status(&self, status: DeviceStatus) {
        self.tell(ToHub::DeviceStatus(status)).await;
    }

    /// Says how a bus is doing.
    pub async fn transport_status(&self, status: TransportStatus) {
        self.tell(ToHub::Transport(status)).await;
    }

    /// Says that a bus has nothing more to find.
    pub async fn scan_ended(&self, transport: &'static str) {
        self.tell(ToHub::ScanEnded(transport)).await;
    }

    /// Says what only the shell knows of the service.
    pub async fn facts(&self, facts: ServiceFacts) {
        self.tell(ToHub::Facts(Arc::new(facts))).await;
    }

    /// How things are: the newest snapshot, and word of every new one.
    #[must_use]
    pub fn status(&self) -> watch::Receiver<Arc<Status>> {
        self.status.clone()
    }

    /// Every output of every connected device, as it is now. None once the service has ended.
    pub async fn outputs(&self) -> Vec<OutputState> {
        let (reply, outputs) = oneshot::channel();
        self.tell(ToHub::Outputs { reply }).await;
        outputs.await.unwrap_or_default()
    }

    /// Whether devices are looked for; for the buses.
    #[must_use]
    pub fn scan_wish(&self) -> watch::Receiver<ScanWish> {
        self.wish.clone()
    }

    /// Ends the service's work: stops all outputs, waits for the writes, lets devices go and closes sessions, all of it within
    /// the limit. Says whether it was all done.
    pub async fn shutdown(&self, limit: Duration) -> Shutdown {
        let (reply, done) = oneshot::channel();
        let all = async {
            self.tell(ToHub::Shutdown { reply }).await;
            done.await
        };
        match tokio::time::timeout(limit, all).await {
            Ok(_) => Shutdown::Complete,
            Err(_) => Shutdown::OutOfTime,
        }
    }

    async fn send(&self, message: ToHub) -> Result<(), Fault> {
        self.sender.send(message).await.map_err(|_| ended())
    }

    async fn tell(&self, message: ToHub) {
        if self.sender.send(message).await.is_err() {
            tracing::debug!("the hub has ended, and was told something more");
        }
    }
}

/// How a shutdown ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Everything that could be reached is stopped and closed.
    Complete,
    /// The limit passed first. A device may still be running.
    OutOfTime,
}

fn asleep() -> Fault {
    Fault::new(Reason::Suspending, "the machine is about to sleep; send it again once it is awake")
}

fn ended() -> Fault {
    Fault::new(Reason::ShuttingDown, "the service is ending")
}
