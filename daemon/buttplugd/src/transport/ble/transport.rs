//! An open link: the half that the device's task holds.
//!
//! Packets go to BlueZ from the device's task itself, without the way through the link's thread; only what BlueZ says to them comes
//! through it. Everything else is asked of the thread.
//!
//! A pairing may take long, and a stop waits for what was begun before it. So it is waited for only until the first packet is through, since
//! nothing runs before. Later it goes on by itself on the thread, where packets pass it by, and what wanted it has failed.

use std::{future::Future, panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use async_trait::async_trait;
use btleplug::{
    api::{Peripheral as _, WriteType},
    platform::Peripheral,
};
use engine::protocol::{Endpoint, WriteKind};
use futures_util::FutureExt as _;
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, timeout, timeout_at},
};

use super::{
    super::{Transport, TransportFault},
    asked::{Asked, PAIRING_GUESS, Turn},
    endpoints::{Endpoints, write_type},
    fault::{fault, milliseconds, wants_pairing},
    pairing::{self, PAIR_LIMIT},
    request::{CLOSE_LIMIT, Pairing, Reply, Request, TRANSFER_LIMIT},
};
use crate::limit::Limit;

/// For what is asked of the thread and may need a pairing: longer than its own limits for what it was asked, the pairing, and that once
/// more.
const PAIRED_LIMIT: Duration =
    TRANSFER_LIMIT.saturating_mul(2).saturating_add(PAIR_LIMIT.saturating_add(MARGIN));

/// How much longer than the thread the other half waits for it.
const MARGIN: Duration = Duration::from_secs(1);

/// Whether a packet may have reached the device over this link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Nothing,
    /// It may run.
    Something,
}

/// The half that the device's task holds. Dropping it hangs up, as closing it does.
pub(super) struct LinkTransport {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) peripheral: Peripheral,
    pub(super) address: String,
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) candidate: usize,
    pub(super) limit: Limit,
    pub(super) asked: Arc<Asked>,
    pub(super) sent: Sent,
}

impl LinkTransport {
    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, TransportFault> {
        let limit = match self.sent {
            Sent::Nothing => PAIRED_LIMIT,
            Sent::Something => TRANSFER_LIMIT,
        };
        match timeout(limit, ask(&self.requests, request)).await {
            Ok(answer) => answer.unwrap_or_else(|| Err(gone())),
            Err(_) if self.asked.is_pairing() => Err(pairing::unfinished(&self.address, limit)),
            Err(_) => Err(TransportFault::TimedOut(milliseconds(limit))),
        }
    }

    /// Has the device paired, which has refused a packet: what had been done for that before.
    async fn pair(&self, begun: Instant) -> Result<Pairing, TransportFault> {
        let limit = match self.sent {
            Sent::Nothing => TRANSFER_LIMIT + PAIR_LIMIT + MARGIN,
            Sent::Something => TRANSFER_LIMIT,
        };
        match timeout_at(begun + limit, ask(&self.requests, |reply| Request::Pair { reply })).await {
            Ok(answer) => answer.unwrap_or_else(|| Err(gone())),
            Err(_) => Err(pairing::unfinished(&self.address, limit)),
        }
    }

    /// Sends a packet, and pairs if the device wants that.
    async fn send_paired(
        &mut self,
        endpoint: &str,
        data: &[u8],
        kind: WriteKind,
    ) -> Result<(), TransportFault> {
        let begun = Instant::now();
        let error = loop {
            let Err(error) = self.send(endpoint, data, kind).await? else { return Ok(()) };
            if !wants_pairing(&error) {
                break error;
            }
            match self.pair(begun).await? {
                // It is paired now.
                Pairing::Untried => {}
                Pairing::Tried => break error,
            }
        };
        let fault = fault(&error, &self.address);
        if let TransportFault::Disconnected(reason) = &fault {
            // When it does not hear this, it knows.
            self.requests.try_send(Request::Lost { reason: reason.clone() }).ok();
        }
        Err(fault)
    }

    /// Sends a packet, and gives what BlueZ says of it.
    async fn send(
        &mut self,
        endpoint: &str,
        data: &[u8],
        kind: WriteKind,
    ) -> Result<btleplug::Result<()>, TransportFault> {
        let place = self.endpoints.characteristic(endpoint)?;
        let kind = write_type(kind, place.properties);
        if self.requests.is_closed() {
            // There may be another link to the device by now.
            return Err(gone());
        }
        let call = AssertUnwindSafe(self.peripheral.write(place, data, kind)).catch_unwind();
        let turn = match kind {
            WriteType::WithResponse => self.asked.begin(endpoint),
            WriteType::WithoutResponse => Turn::Later,
        };
        let done = match turn {
            Turn::First => first(&self.requests, call).await,
            Turn::Later => {
                tokio::select! {
                    biased;
                    done = self.limit.within(TRANSFER_LIMIT, call) => done.ok_or_else(late),
                    // Without the thread no answer comes.
                    () = self.requests.closed() => Err(gone()),
                }
            }
        };
        let done = done?
            .map_err(|_panic| TransportFault::Refused("the Bluetooth part of the service failed".into()))?;
        if done.is_ok() && turn == Turn::First {
            self.asked.answered(endpoint);
        }
        Ok(done)
    }
}

/// Waits for an endpoint that has not answered yet. If it does not now, BlueZ may wait for somebody to confirm a pairing that the device
/// wants. It goes on with the packet once the device is paired.
async fn first<T>(
    requests: &mpsc::Sender<Request>,
    call: impl Future<Output = T>,
) -> Result<T, TransportFault> {
    let until = Instant::now() + TRANSFER_LIMIT;
    let mut call = pin!(call);
    let answered = async {
        if let Ok(done) = timeout(PAIRING_GUESS, &mut call).await {
            return Ok(done);
        }
        let limit = tokio::select! {
            biased;
            done = &mut call => return Ok(done),
            guess = timeout_at(until, ask(requests, |reply| Request::Guess { reply })) => match guess {
                Ok(guess) => guess.ok_or_else(gone)??.limit(),
                // The device may have acted on the packet, and a stop may wait.
                Err(_) => return Err(late()),
            },
        };
        timeout(limit, call).await.map_err(|_| late())
    };
    tokio::select! {
        biased;
        done = answered => done,
        () = requests.closed() => Err(gone()),
    }
}

fn late() -> TransportFault {
    TransportFault::TimedOut(milliseconds(TRANSFER_LIMIT))
}

/// Asks the thread and waits for its answer. `None` when it has ended, or ends without one.
///
/// Not only for the answer: a request that is sent at the very moment at which the thread ends is taken by nobody, and lies in the
/// channel, with the other end of the answer, for as long as this end of the channel is held.
async fn ask<T>(
    requests: &mpsc::Sender<Request>,
    request: impl FnOnce(oneshot::Sender<T>) -> Request,
) -> Option<T> {
    let (reply, mut answer) = oneshot::channel();
    requests.send(request(reply)).await.ok()?;
    tokio::select! {
        biased;
        answer = &mut answer => answer.ok(),
        // It may have answered last of all.
        () = requests.closed() => answer.try_recv().ok(),
    }
}

fn gone() -> TransportFault {
    TransportFault::Disconnected("the link is broken".into())
}

#[async_trait]
impl Transport for LinkTransport {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.endpoints.names()
    }

    fn candidate(&self) -> usize {
        self.candidate
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], kind: WriteKind) -> Result<(), TransportFault> {
        let sent = self.send_paired(endpoint, data, kind).await;
        // Also one that was not answered may have been acted on.
        self.sent = Sent::Something;
        sent
    }

    async fn read(&mut self, endpoint: &str, max_len: u32) -> Result<Vec<u8>, TransportFault> {
        let endpoint = endpoint.to_owned();
        self.ask(|reply| Request::Read { endpoint, max_len, reply }).await
    }

    async fn subscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        let endpoint = endpoint.to_owned();
        self.ask(|reply| Request::Subscribe { endpoint, reply }).await
    }

    async fn unsubscribe(&mut self, endpoint: &str) -> Result<(), TransportFault> {
        let endpoint = endpoint.to_owned();
        self.ask(|reply| Request::Unsubscribe { endpoint, reply }).await
    }

    async fn close(self: Box<Self>) {
        // No answer means that the link is broken already.
        if timeout(CLOSE_LIMIT + MARGIN, ask(&self.requests, |done| Request::Close { done })).await.is_err() {
            tracing::warn!("a Bluetooth link does not close");
        }
    }
}
