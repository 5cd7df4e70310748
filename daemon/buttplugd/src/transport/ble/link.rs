//! An open link: the half that lives on the link's own thread, where all that BlueZ says of the device arrives.

use std::{
    cell::Cell,
    collections::BTreeSet,
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
};

use btleplug::{
    api::{Peripheral as _, ValueNotification},
    platform::Peripheral,
};
use engine::protocol::Endpoint;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

use super::{
    super::{TransportEvent, TransportFault},
    asked::{Asked, PAIRING_GUESS, Turn},
    endpoints::Endpoints,
    fault::{fault, milliseconds, wants_pairing, within},
    links::{Connection, Key, Links, News},
    pairing,
    request::{CLOSE_LIMIT, Guess, Pairing, Reply, Request, TRANSFER_LIMIT},
};
use crate::limit::Limit;

/// Events that wait for the device's task. More than a device sends in a second; beyond it the newest are dropped.
pub(super) const EVENTS: usize = 256;

pub(super) type Notifications = Pin<Box<dyn Stream<Item = ValueNotification> + Send>>;

/// The half that speaks to BlueZ.
pub(super) struct Link {
    pub(super) key: Key,
    pub(super) address: String,
    pub(super) links: Links,
    pub(super) peripheral: Peripheral,
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) tell: mpsc::Sender<TransportEvent>,
    pub(super) news: watch::Receiver<News>,
    pub(super) pairing: Cell<Pairing>,
    pub(super) limit: Cell<Limit>,
    pub(super) asked: Arc<Asked>,
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
    /// Tells the strength of the advertisement that led here, and gives it back.
    pub(super) fn tell_signal(&self) -> Option<i16> {
        let rssi = self.news.borrow().rssi;
        if let Some(rssi) = rssi {
            self.report(TransportEvent::Rssi(rssi), &mut 0);
        }
        rssi
    }

    /// Serves requests until the link is closed, dropped or broken. `rssi` is the strength of the signal that was told already.
    pub(super) async fn serve(
        self,
        mut requests: mpsc::Receiver<Request>,
        mut notifications: Notifications,
        mut rssi: Option<i16>,
    ) {
        let mut news = self.news.clone();
        // There may be newer ones.
        news.mark_changed();
        let mut subscribed = BTreeSet::new();
        let mut dropped = 0_u64;
        let reason = {
            let link = &self;
            let mut running: Option<Running<'_>> = None;
            // What was asked for while something is done that nobody waits for any more: a pairing, say.
            let mut waiting: Option<Request> = None;
            loop {
                if running.is_none()
                    && let Some(request) = waiting.take().filter(|request| !request.is_given_up())
                {
                    // A device may notify before the answer to the subscription is here.
                    if let Request::Subscribe { endpoint, .. } = &request {
                        // What came before is none, above all the value of a read, which BlueZ announces alike.
                        for _ in 0..EVENTS {
                            let Some(Some(old)) = notifications.next().now_or_never() else { break };
                            link.notified(old, &subscribed, &mut dropped);
                        }
                        subscribed.insert(endpoint.clone());
                    }
                    running = Some(Box::pin(link.perform(request)));
                }
                tokio::select! {
                    done = ongoing(&mut running), if running.is_some() => {
                        running = None;
                        match done {
                            Done::Nothing => {}
                            Done::Silent(endpoint) => drop(subscribed.remove(&endpoint)),
                            Done::Lost(reason) => break Some(reason),
                        }
                    }
                    request = requests.recv() => match request {
                        None => break None,
                        Some(Request::Close { done }) => {
                            // It is called off, were it a pairing.
                            drop(running.take());
                            self.hang_up().await;
                            // The other half may have given up waiting.
                            done.send(()).ok();
                            return;
                        }
                        Some(Request::Lost { reason }) => break Some(reason),
                        // One at a time is asked for: the one that waits was given up.
                        Some(request) => waiting = Some(request),
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
                self.note_end();
                self.links.broke(&self.key, &reason);
                // If there is no room, the end of the channel says it too.
                self.tell.try_send(TransportEvent::Lost(TransportFault::Disconnected(reason))).ok();
            }
            None => self.hang_up().await,
        }
    }

    /// The link ends: if that is over what was asked first of an endpoint, the device may want to be paired.
    fn note_end(&self) {
        if self.asked.is_silent() {
            self.links.hung_up(&self.key.id);
        } else {
            self.links.answered(&self.key.id);
        }
    }

    /// Ends the connection. Not a loss: it was wanted.
    pub(super) async fn hang_up(&self) {
        self.note_end();
        match self.links.closing(&self.key) {
            Connection::Own => {
                if let Err(error) = within(CLOSE_LIMIT, &self.address, self.peripheral.disconnect()).await {
                    tracing::debug!(address = self.address, %error, "cannot disconnect");
                }
            }
            Connection::OfAnother => {}
        }
        self.links.remove(&self.key);
    }

    /// Does something with the device; where it wants to be paired for that, pairs and does it again.
    async fn transfer<T, F>(&self, endpoint: &str, call: impl Fn() -> F) -> Result<T, TransportFault>
    where
        F: Future<Output = btleplug::Result<T>>,
    {
        let turn = self.asked.begin(endpoint);
        let done = match turn {
            Turn::First => self.first(call()).await?,
            Turn::Later => {
                // It is put back: there is one transfer at a time.
                let mut limit = self.limit.take();
                let done = limit.within(TRANSFER_LIMIT, call()).await;
                self.limit.set(limit);
                done.ok_or_else(|| TransportFault::TimedOut(milliseconds(TRANSFER_LIMIT)))?
            }
        };
        let done = match done {
            Ok(done) => done,
            Err(error)
                if wants_pairing(&error) && self.pairing.replace(Pairing::Tried) == Pairing::Untried =>
            {
                self.pair().await?;
                within(TRANSFER_LIMIT, &self.address, call()).await?
            }
            Err(error) => return Err(fault(&error, &self.address)),
        };
        if turn == Turn::First {
            self.asked.answered(endpoint);
        }
        Ok(done)
    }

    /// Waits for an endpoint that has not answered yet. If it does not now, BlueZ may wait for somebody to confirm a pairing that the
    /// device wants. It goes on with what it was asked for once the device is paired.
    async fn first<T>(
        &self,
        call: impl Future<Output = btleplug::Result<T>>,
    ) -> Result<btleplug::Result<T>, TransportFault> {
        let mut call = pin!(call);
        if let Ok(done) = timeout(PAIRING_GUESS, &mut call).await {
            return Ok(done);
        }
        let limit = tokio::select! {
            biased;
            done = &mut call => return Ok(done),
            guess = self.guess() => guess?.limit(),
        };
        timeout(limit, call).await.map_err(|_| TransportFault::TimedOut(milliseconds(TRANSFER_LIMIT)))
    }

    async fn pair(&self) -> Result<(), TransportFault> {
        self.asked.pairing_begins();
        let paired = pairing::pair(&self.key.id, &self.address, &self.links).await;
        self.asked.pairing_ends();
        paired
    }

    /// Pairs on suspicion, once.
    async fn guess(&self) -> Result<Guess, TransportFault> {
        match self.pairing.replace(Pairing::Tried) {
            Pairing::Untried => pairing::guess(&self.key.id, &self.address, &self.links).await,
            Pairing::Tried => Ok(Guess::Wrong),
        }
    }

    async fn perform(&self, request: Request) -> Done {
        match request {
            Request::Pair { reply } => {
                let before = self.pairing.replace(Pairing::Tried);
                let paired = match before {
                    Pairing::Untried => self.pair().await,
                    Pairing::Tried => Ok(()),
                };
                answer(reply, paired.map(|()| before), || Done::Nothing)
            }
            Request::Guess { mut reply } => {
                let guess = tokio::select! {
                    guess = self.guess() => guess,
                    // The packet was taken meanwhile, or given up; the next connection begins with the question.
                    () = reply.closed() => Ok(Guess::Wrong),
                };
                answer(reply, guess, || Done::Nothing)
            }
            Request::Read { endpoint, max_len, reply } => {
                let read = async {
                    let place = self.endpoints.characteristic(&endpoint)?;
                    let mut data = self.transfer(&endpoint, || self.peripheral.read(place)).await?;
                    data.truncate(usize::try_from(max_len).unwrap_or(usize::MAX));
                    Ok(data)
                };
                answer(reply, read.await, || Done::Nothing)
            }
            Request::Subscribe { endpoint, reply } => {
                let subscribed = async {
                    let place = self.endpoints.characteristic(&endpoint)?;
                    self.transfer(&endpoint, || self.peripheral.subscribe(place)).await
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
            Request::Lost { .. } | Request::Close { .. } => Done::Nothing,
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
