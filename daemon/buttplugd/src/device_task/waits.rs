//! What a device's task waits for. What is not there is waited for without end, so that another arm of the wait goes first.

use engine::{
    device::DeviceCommand,
    fault::{Fault, Reason},
    monitor::Recording,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::Identity;
use crate::transport::TransportEvent;

pub(super) async fn next_command(
    commands: Option<&mut mpsc::Receiver<DeviceCommand>>,
) -> Option<DeviceCommand> {
    match commands {
        Some(commands) => commands.recv().await,
        None => std::future::pending().await,
    }
}

/// Waits until a recording begins or ends.
pub(super) async fn changed(recording: Option<&mut watch::Receiver<Recording>>) -> Recording {
    if let Some(recording) = recording
        && recording.changed().await.is_ok()
    {
        return *recording.borrow_and_update();
    }
    // Whoever would say it is gone, and the commands end.
    std::future::pending().await
}

pub(super) async fn next_event(
    events: &mut Option<mpsc::Receiver<TransportEvent>>,
) -> Option<TransportEvent> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn answered(
    identity: &mut Option<oneshot::Receiver<Result<Box<Identity>, Fault>>>,
) -> Result<Box<Identity>, Fault> {
    match identity {
        Some(answer) => {
            answer.await.unwrap_or_else(|_| Err(Fault::new(Reason::ShuttingDown, "the service is ending")))
        }
        None => std::future::pending().await,
    }
}

pub(super) async fn passed(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
