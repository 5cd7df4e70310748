//! The path to a device: used by one transfer at a time, each with a limit, and closed at the end.

use std::{future::Future, pin::Pin, time::Duration};

use engine::device::{Transfer, TransferFault, Transferred};
use tokio::time::timeout;

use crate::{
    limit::Limit,
    transport::{Transport, TransportFault},
};

/// The longest time for one transfer. Transports have shorter ones of their own, which can say what went wrong: a few seconds, since a stop
/// may wait, and more only where a device is paired that cannot run yet. This one is for a transport that breaks that.
const TRANSFER_LIMIT: Duration = Duration::from_secs(20);
/// The longest time for closing a path, likewise.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);
/// What a transfer is given that is under way when the device is gone. Then the path is dropped, which closes it too.
const LAST_LIMIT: Duration = Duration::from_secs(3);

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

impl Path {
    pub(super) async fn close(self) {
        match self {
            Self::Free(line) => line.close().await,
            Self::InUse(transferring) => match timeout(LAST_LIMIT, transferring).await {
                Ok((line, _)) => line.close().await,
                Err(_) => tracing::debug!("the last transfer of a device is given up"),
            },
            Self::Closed => {}
        }
    }
}

impl Line {
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self { transport, limit: Limit::default() }
    }

    async fn close(self) {
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

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use async_trait::async_trait;
    use engine::protocol::{Endpoint, WriteKind};
    use tokio::time::{Instant, sleep};

    use super::*;

    /// Takes so long for everything, and then wants to be paired.
    struct Slow {
        takes: Duration,
        closed: Arc<AtomicBool>,
    }

    impl Slow {
        async fn refuse<T>(&self) -> Result<T, TransportFault> {
            sleep(self.takes).await;
            Err(TransportFault::NotPaired("pair it".to_owned()))
        }
    }

    impl Drop for Slow {
        fn drop(&mut self) {
            self.closed.store(true, Ordering::Relaxed);
        }
    }

    #[async_trait]
    impl Transport for Slow {
        fn endpoints(&self) -> Vec<Endpoint> {
            vec![Endpoint::from("tx")]
        }

        async fn write(&mut self, _: &str, _: &[u8], _: WriteKind) -> Result<(), TransportFault> {
            self.refuse().await
        }

        async fn read(&mut self, _: &str, _: u32) -> Result<Vec<u8>, TransportFault> {
            self.refuse().await
        }

        async fn subscribe(&mut self, _: &str) -> Result<(), TransportFault> {
            self.refuse().await
        }

        async fn unsubscribe(&mut self, _: &str) -> Result<(), TransportFault> {
            self.refuse().await
        }

        async fn close(self: Box<Self>) {
            sleep(self.takes).await;
        }
    }

    fn line(takes: Duration) -> (Line, Arc<AtomicBool>) {
        let closed = Arc::<AtomicBool>::default();
        (Line::new(Box::new(Slow { takes, closed: Arc::clone(&closed) })), closed)
    }

    fn subscribe() -> Transfer {
        Transfer::Subscribe(Endpoint::from("tx"))
    }

    #[tokio::test(start_paused = true)]
    async fn a_transport_that_keeps_its_own_limit_says_itself_what_went_wrong() {
        let (line, _) = line(Duration::from_secs(15));
        let (_, result) = line.carry_out(subscribe()).await;
        assert_eq!(result, Err(TransferFault::NotPaired("pair it".to_owned())));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_does_not_is_given_up() {
        let (line, _) = line(Duration::from_secs(600));
        let (line, result) = line.carry_out(subscribe()).await;
        assert!(matches!(result, Err(TransferFault::TimedOut(_))), "{result:?}");
        let begun = Instant::now();
        line.close().await;
        assert_eq!(begun.elapsed().as_secs(), CLOSE_LIMIT.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_ends_soon_whatever_it_is_in_the_middle_of() {
        let (line, closed) = line(Duration::from_secs(15));
        let path = Path::InUse(Box::pin(line.carry_out(subscribe())));
        let begun = Instant::now();
        path.close().await;
        assert_eq!(begun.elapsed().as_secs(), LAST_LIMIT.as_secs());
        assert!(closed.load(Ordering::Relaxed));
    }
}
