//! The path to a device: used by one transfer at a time, each with a limit, and closed at the end.

use std::{future::Future, pin::Pin, time::Duration};

use engine::device::{Transfer, TransferFault, Transferred};
use tokio::time::timeout;

use crate::{
    limit::Limit,
    transport::{Transport, TransportFault},
};

/// The longest time for one transfer.
const TRANSFER_LIMIT: Duration = Duration::from_secs(3);
/// The longest time for closing a path.
const CLOSE_LIMIT: Duration = Duration::from_secs(3);

pub(super) async fn close(transport: Box<dyn Transport>) {
    if timeout(CLOSE_LIMIT, transport.close()).await.is_err() {
        tracing::warn!("closing the path to a device took too long");
    }
}

pub(super) type Transferring =
    Pin<Box<dyn Future<Output = (Line, Result<Transferred, TransferFault>)> + Send>>;

/// A transport and the limit of its transfers.
pub(super) struct Line {
    transport: Box<dyn Transport>,
    limit: Limit,
}

/// Where the line is.
pub(super) enum Path {
    Free(Line),
    InUse(Transferring),
    /// It was given up.
    Closed,
}

/// Waits for the transfer under way.
pub(super) async fn transferred(path: &mut Path) -> (Line, Result<Transferred, TransferFault>) {
    match path {
        Path::InUse(transferring) => transferring.await,
        Path::Free(_) | Path::Closed => std::future::pending().await,
    }
}

impl Line {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport, limit: Limit::default() }
    }

    pub(super) async fn close(self) {
        close(self.transport).await;
    }

    /// Has the transport do it, within the limit, and gives the line back.
    pub(super) async fn carry_out(
        mut self,
        transfer: Transfer,
    ) -> (Self, Result<Transferred, TransferFault>) {
        let result = self.limit.within(TRANSFER_LIMIT, use_once(&mut *self.transport, transfer)).await;
        let result = match result {
            Some(result) => result.map_err(|fault| into_transfer_fault(&fault)),
            None => {
                Err(TransferFault::TimedOut(format!("no answer within {} ms", TRANSFER_LIMIT.as_millis())))
            }
        };
        (self, result)
    }
}

async fn use_once(transport: &mut dyn Transport, transfer: Transfer) -> Result<Transferred, TransportFault> {
    match transfer {
        Transfer::Write(packet) => {
            tracing::trace!(endpoint = %packet.endpoint, data = %Hex(&packet.data), "write");
            transport.write(&packet.endpoint, &packet.data, packet.kind).await.map(|()| Transferred::Done)
        }
        Transfer::Read { endpoint, max_len } => {
            transport.read(&endpoint, max_len).await.map(Transferred::Data)
        }
        Transfer::Subscribe(endpoint) => transport.subscribe(&endpoint).await.map(|()| Transferred::Done),
        Transfer::Unsubscribe(endpoint) => transport.unsubscribe(&endpoint).await.map(|()| Transferred::Done),
    }
}

fn into_transfer_fault(fault: &TransportFault) -> TransferFault {
    let text = fault.to_string();
    match fault {
        TransportFault::Disconnected(_) => TransferFault::Lost(text),
        TransportFault::TimedOut(_) => TransferFault::TimedOut(text),
        TransportFault::NotPaired(_) => TransferFault::NotPaired(text),
        TransportFault::NoEndpoint(_) | TransportFault::NotAllowed(_) | TransportFault::Refused(_) => {
            TransferFault::Refused(text)
        }
    }
}

/// Bytes for the log.
struct Hex<'a>(&'a [u8]);

impl std::fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
