//! An open link: the half that the device's task holds, and the half that speaks to BlueZ on the link's own thread.

use std::{collections::BTreeSet, future::Future, pin::Pin, time::Duration};

use async_trait::async_trait;
use btleplug::{
    api::{Peripheral as _, ValueNotification},
    platform::{Peripheral, PeripheralId},
};
use engine::protocol::{Endpoint, WriteKind};
use futures_util::{Stream, StreamExt as _};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::timeout,
};

use super::{
    super::{Transport, TransportEvent, TransportFault},
    endpoints::{Endpoints, write_type},
    fault::within,
    links::{Links, News},
};

/// A write or read that the device does not answer for so long will not be answered: the attribute protocol itself ends
/// the link after 30 s.
const TRANSFER_LIMIT: Duration = Duration::from_secs(5);

/// For saying good-bye.
const CLOSE_LIMIT: Duration = Duration::from_secs(5);

pub(super) type Notifications = Pin<Box<dyn Stream<Item = ValueNotification> + Send>>;

type Reply<T> = oneshot::Sender<Result<T, TransportFault>>;

/// What the device's task asks of the link's thread.
pub(super) enum Request {
    Write { endpoint: String, data: Vec<u8>, kind: WriteKind, reply: Reply<()> },
    Read { endpoint: String, max_len: u32, reply: Reply<Vec<u8>> },
    Subscribe { endpoint: String, reply: Reply<()> },
    Unsubscribe { endpoint: String, reply: Reply<()> },
    Close { done: oneshot::Sender<()> },
}

/// The half that the device's task holds. Dropping it hangs up, as closing it does.
pub(super) struct LinkTransport {
    requests: mpsc::Sender<Request>,
    endpoints: Vec<Endpoint>,
    candidate: usize,
}

impl LinkTransport {
    pub(super) fn new(requests: mpsc::Sender<Request>, endpoints: Vec<Endpoint>, candidate: usize) -> Self {
        Self { requests, endpoints, candidate }
    }

    async fn ask<T>(&self, request: impl FnOnce(Reply<T>) -> Request) -> Result<T, TransportFault> {
        let gone = || TransportFault::Disconnected("the link is broken".into());
        let (reply, answer) = oneshot::channel();
        self.requests.send(request(reply)).await.map_err(|_| gone())?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }
}

#[async_trait]
impl Transport for LinkTransport {
    fn endpoints(&self) -> Vec<Endpoint> {
        self.endpoints.clone()
    }

    fn candidate(&self) -> usize {
        self.candidate
    }

    async fn write(&mut self, endpoint: &str, data: &[u8], kind: WriteKind) -> Result<(), TransportFault> {
        let (endpoint, data) = (endpoint.to_owned(), data.to_vec());
        self.ask(|reply| Request::Write { endpoint, data, kind, reply }).await
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
        let (done, closed) = oneshot::channel();
        if self.requests.send(Request::Close { done }).await.is_err() {
            // The link is broken already.
            return;
        }
        if timeout(CLOSE_LIMIT * 2, closed).await.is_err() {
            tracing::warn!("a Bluetooth link does not close");
        }
    }
}

/// The half that speaks to BlueZ.
pub(super) struct Link {
    pub(super) id: PeripheralId,
    pub(super) address: String,
    pub(super) links: Links,
    pub(super) peripheral: Peripheral,
    pub(super) endpoints: Endpoints,
    pub(super) tell: mpsc::Sender<TransportEvent>,
    pub(super) news: watch::Receiver<News>,
}

/// What an operation changed.
enum Done {
    Nothing,
    /// This endpoint notifies no more, or does not notify after all.
    Silent(String),
    /// The device is gone, as the operation learned.
    Lost(String),
}

type Running<'a> = Pin<Box<dyn Future<Output = Done> + 'a>>;

/// Waits for an operation; for ever when there is none.
async fn ongoing(running: &mut Option<Running<'_>>) -> Done {
    match running {
        Some(running) => running.await,
        None => std::future::pending().await,
    }
}

impl Link {
    /// Serves requests until the link is closed, dropped or broken.
    pub(super) async fn serve(self, mut requests: mpsc::Receiver<Request>, mut notifications: Notifications) {
        let mut news = self.news.clone();
        let mut rssi = None;
        let mut subscribed = BTreeSet::new();
        let mut dropped = 0_u64;
        let reason = {
            let link = &self;
            let mut running: Option<Running<'_>> = None;
            loop {
                tokio::select! {
                    done = ongoing(&mut running), if running.is_some() => {
                        running = None;
                        match done {
                            Done::Nothing => {}
                            Done::Silent(endpoint) => drop(subscribed.remove(&endpoint)),
                            Done::Lost(reason) => break Some(reason),
                        }
                    }
                    request = requests.recv(), if running.is_none() => match request {
                        None => break None,
                        Some(Request::Close { done }) => {
                            self.hang_up().await;
                            // The other half may have given up waiting.
                            done.send(()).ok();
                            return;
                        }
                        Some(request) => {
                            // A device may notify before the answer to the subscription is here.
                            if let Request::Subscribe { endpoint, .. } = &request {
                                subscribed.insert(endpoint.clone());
                            }
                            running = Some(Box::pin(link.perform(request)));
                        }
                    },
                    notification = notifications.next() => match notification {
                        Some(notification) => link.notified(notification, &subscribed, &mut dropped),
                        None => break Some("the system bus is gone".to_owned()),
                    },
                    changed = news.changed() => {
                        let now = news.borrow_and_update().clone();
                        if let Some(reason) = now.lost {
                            break Some(reason);
                        }
                        if changed.is_err() {
                            break Some("the link was replaced by another".to_owned());
                        }
                        if let Some(now) = now.rssi.filter(|now| rssi.replace(*now) != Some(*now)) {
                            link.report(TransportEvent::Rssi(now), &mut dropped);
                        }
                    }
                }
            }
        };
        match reason {
            Some(reason) => {
                self.links.lose(&self.id, &reason);
                // If there is no room, the end of the channel says it too.
                self.tell.try_send(TransportEvent::Lost(TransportFault::Disconnected(reason))).ok();
            }
            None => self.hang_up().await,
        }
    }

    /// Ends the connection. Not a loss: it was wanted.
    pub(super) async fn hang_up(&self) {
        self.links.closing(&self.id);
        if let Err(error) = within(CLOSE_LIMIT, &self.address, self.peripheral.disconnect()).await {
            tracing::debug!(address = self.address, %error, "cannot disconnect");
        }
        self.links.remove(&self.id);
    }

    async fn perform(&self, request: Request) -> Done {
        match request {
            Request::Write { endpoint, data, kind, reply } => {
                let written = async {
                    let place = self.endpoints.characteristic(&endpoint)?;
                    let kind = write_type(kind, place.properties);
                    within(TRANSFER_LIMIT, &self.address, self.peripheral.write(place, &data, kind)).await
                };
                answer(reply, written.await, || Done::Nothing)
            }
            Request::Read { endpoint, max_len, reply } => {
                let read = async {
                    let place = self.endpoints.characteristic(&endpoint)?;
                    let mut data = within(TRANSFER_LIMIT, &self.address, self.peripheral.read(place)).await?;
                    data.truncate(usize::try_from(max_len).unwrap_or(usize::MAX));
                    Ok(data)
                };
                answer(reply, read.await, || Done::Nothing)
            }
            Request::Subscribe { endpoint, reply } => {
                let subscribed = async {
                    let place = self.endpoints.characteristic(&endpoint)?;
                    within(TRANSFER_LIMIT, &self.address, self.peripheral.subscribe(place)).await
                };
                let subscribed = subscribed.await;
                let refused = subscribed.is_err();
                match answer(reply, subscribed, || Done::Nothing) {
                    Done::Nothing if refused => Done::Silent(endpoint),
                    done @ (Done::Nothing | Done::Silent(_) | Done::Lost(_)) => done,
                }
            }
            Request::Unsubscribe { endpoint, reply } => {
                let unsubscribed = async {
                    let place = self.endpoints.characteristic(&endpoint)?;
                    within(TRANSFER_LIMIT, &self.address, self.peripheral.unsubscribe(place)).await
                };
                answer(reply, unsubscribed.await, || Done::Silent(endpoint))
            }
            // Taken by the loop.
            Request::Close { .. } => Done::Nothing,
        }
    }

    fn notified(&self, notification: ValueNotification, subscribed: &BTreeSet<String>, dropped: &mut u64) {
        let endpoint = self.endpoints.endpoint_of(notification.service_uuid, notification.uuid);
        // BlueZ announces what was read in the same way. Only what was subscribed to is a notification.
        if let Some(endpoint) = endpoint.filter(|endpoint| subscribed.contains(&***endpoint)) {
            let event =
                TransportEvent::Notified { endpoint: Endpoint::clone(endpoint), data: notification.value };
            self.report(event, dropped);
        }
    }

    /// Tells the device's task, and drops what it has no room for.
    fn report(&self, event: TransportEvent, dropped: &mut u64) {
        match self.tell.try_send(event) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                *dropped += 1;
                if dropped.is_power_of_two() {
                    tracing::warn!(address = self.address, dropped, "a device sends faster than it is read");
                }
            }
            // The task is about to close the link.
            Err(mpsc::error::TrySendError::Closed(_)) => {}
        }
    }
}

/// Answers a request, and says what the answer means for the link.
fn answer<T>(reply: Reply<T>, result: Result<T, TransportFault>, done: impl FnOnce() -> Done) -> Done {
    let outcome = match &result {
        Ok(_) => done(),
        Err(TransportFault::Disconnected(reason)) => Done::Lost(reason.clone()),
        Err(_) => Done::Nothing,
    };
    if reply.send(result).is_err() {
        tracing::debug!("nobody waits for the result of an operation");
    }
    outcome
}
