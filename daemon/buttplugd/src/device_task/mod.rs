//! One task a device: carries time, commands, plugin results and transfer results to the device's state, and does what that says.
//!
//! Nothing is decided here. The transport is used by one transfer at a time, each with a limit; the plugin by one call at a time,
//! which has its limit in [`Instance`](crate::plugin::Instance). When the task ends, it has stopped the device, or tried to until the limit.

mod path;
mod running;
mod waits;

use std::time::Duration;

use engine::{
    device::{DeviceSetup, ModelSetup, Motion},
    fault::{Fault, Reason},
    router::DeviceEntry,
    vocabulary::DeviceIndex,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use self::{path::close, running::Running};
use crate::{
    hub::Hub,
    journal::RunningJournal,
    plugin::{DeviceInfo, Model, Table},
    transport::{Access, Opener, TransportFault},
};

/// The longest time for opening a path. Transports have shorter ones of their own; this one is for a transport that breaks that.
const OPEN_LIMIT: Duration = Duration::from_secs(40);

/// The code of a protocol and what it is told of the definition.
#[derive(Debug, Clone)]
pub struct Code {
    /// The protocol.
    pub table: Table,
    /// Its id.
    pub protocol: String,
    /// The strings of the definition.
    pub params: Vec<(String, String)>,
}

/// A device that has said what it is, and waits to be told what that means.
#[derive(Debug)]
pub struct Identified {
    /// Who asks, as it was given to the task.
    pub task: TaskId,
    /// The protocol that it was opened for.
    pub opened_for: String,
    /// The protocol that takes over.
    pub protocol: Option<String>,
    /// What the device says it is.
    pub identifier: String,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Box<Identity>, Fault>>,
}

/// Which of the device tasks; unique for the life of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskId(pub u64);

/// What a device is.
#[derive(Debug)]
pub struct Identity {
    /// For the hub: its index, what clients are shown, what their values mean.
    pub entry: DeviceEntry,
    /// For the plugin.
    pub model: Model,
    /// For the state of the device.
    pub setup: ModelSetup,
    /// The code that takes over, if another does.
    pub code: Option<Code>,
}

/// What a device task is made of.
pub struct DeviceTask {
    /// Its number.
    pub id: TaskId,
    /// The way to open the path.
    pub opener: Box<dyn Opener>,
    /// How.
    pub access: Access,
    /// The protocol; where [`Access`] has several candidates, that of each, in their order.
    pub codes: Vec<Code>,
    /// What is known of the device; endpoints and params are filled in here.
    pub info: DeviceInfo,
    /// How long things may take.
    pub setup: DeviceSetup,
    /// Where to ask what a device is.
    pub identify: mpsc::Sender<Identified>,
    /// Set when the device is to be let go.
    pub closing: watch::Receiver<Option<Reason>>,
    /// Where a device that is ready is reported.
    pub hub: Hub,
    /// Where it is written down that the device may be running.
    pub journal: RunningJournal,
}

/// How a device task ended.
#[derive(Debug)]
pub struct Ended {
    /// Which.
    pub id: TaskId,
    /// The device, if it came so far.
    pub entry: Option<DeviceEntry>,
    /// Whether it may be running still.
    pub motion: Motion,
    /// How far it came.
    pub reached: Reached,
    /// Why.
    pub fault: Fault,
}

impl Ended {
    /// The index of the device, if it came so far.
    #[must_use]
    pub fn index(&self) -> Option<DeviceIndex> {
        self.entry.as_ref().map(|entry| entry.view.index)
    }
}

/// How far a device came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    /// The path could not be opened, which says nothing of what is behind it.
    Nothing,
    /// The path is there, and has not what the protocol needs.
    Mismatch,
    /// The path was open.
    Open,
    /// It took commands.
    Ready,
}

impl DeviceTask {
    /// Runs until the device is gone.
    pub async fn run(self) -> Ended {
        let Self { id, opener, access, codes, mut info, setup, identify, mut closing, hub, journal } = self;
        let protocol = info.protocol.clone();
        let ended = |reached, fault| {
            tracing::info!(protocol, %fault, "device given up");
            Ended { id, entry: None, motion: Motion::AtRest, reached, fault }
        };
        let opening = timeout(OPEN_LIMIT, opener.open(&access));
        let opened = tokio::select! {
            opened = opening => opened,
            reason = closed(&mut closing) => {
                return ended(Reached::Nothing, Fault::new(reason, "the device is let go"));
            }
        };
        let opened = match opened {
            Ok(Ok(opened)) => opened,
            Ok(Err(error)) => {
                let reached = match error {
                    TransportFault::NoEndpoint(_) => Reached::Mismatch,
                    TransportFault::Disconnected(_)
                    | TransportFault::TimedOut(_)
                    | TransportFault::NotAllowed(_)
                    | TransportFault::NotPaired(_)
                    | TransportFault::Refused(_) => Reached::Nothing,
                };
                return ended(reached, not_opened(&error));
            }
            Err(_) => {
                return ended(Reached::Nothing, bring_up_failed("the path could not be opened in time"));
            }
        };
        let Some(code) = codes.into_iter().nth(opened.transport.candidate()) else {
            close(opened.transport).await;
            return ended(Reached::Nothing, bring_up_failed("it was opened as something that it cannot be"));
        };
        info.endpoints = opened.transport.endpoints();
        if info.endpoints.is_empty() {
            close(opened.transport).await;
            let fault = bring_up_failed("it has none of the endpoints that the protocol needs");
            return ended(Reached::Mismatch, fault);
        }
        Running::new(id, opened, code, info, setup, identify, closing, hub, journal).run().await
    }
}

fn not_opened(error: &TransportFault) -> Fault {
    let fault = bring_up_failed(&error.to_string());
    match error {
        TransportFault::NotPaired(_) => Fault { reason: Reason::PairingRequired, ..fault },
        TransportFault::NotAllowed(_) => Fault { reason: Reason::NotAllowed, ..fault },
        TransportFault::Disconnected(_)
        | TransportFault::TimedOut(_)
        | TransportFault::NoEndpoint(_)
        | TransportFault::Refused(_) => fault,
    }
}

fn bring_up_failed(why: &str) -> Fault {
    Fault::new(Reason::BringUpFailed, format!("the device could not be prepared: {why}"))
}

/// Waits until the device is to be let go.
pub(crate) async fn closed(closing: &mut watch::Receiver<Option<Reason>>) -> Reason {
    match closing.wait_for(Option::is_some).await {
        Ok(reason) => (*reason).unwrap_or(Reason::ShuttingDown),
        // Whoever would say it is gone.
        Err(_) => Reason::ShuttingDown,
    }
}
