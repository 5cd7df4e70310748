//! The opening of a link: connecting, finding services, and handing over what the device's task works with.

use std::{cell::Cell, sync::Arc, time::Duration};

use async_trait::async_trait;
use btleplug::{
    api::{Central as _, Manager as _, Peripheral as _},
    platform::{Manager, Peripheral, PeripheralId},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    super::{Access, NamedServices, Opened, Opener, TransportFault},
    asked::Asked,
    endpoints::Endpoints,
    fault::{dbus_error, fault, milliseconds, wants_pairing, within},
    link::{EVENTS, Link, Notifications},
    links::{Connection, Key, Links, News},
    pairing, quarantine,
    request::{Guess, Pairing},
    transport::{LinkTransport, Sent},
};
use crate::limit::Limit;

/// From the wish to connect until BlueZ has found the services. BlueZ itself gives up on a silent device after about 20 s.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Reading the list of services from BlueZ, which knows it by then.
const SERVICES_LIMIT: Duration = Duration::from_secs(10);

/// For finding the device and for calling off a connection that failed.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// How long one attempt may take. A device that is near is connected within a second or two, and its services are found within a few
/// more; an attempt that BlueZ has lost, which happens, is not worth waiting for.
const TRY_LIMIT: Duration = Duration::from_secs(10);

/// A first attempt often fails for nothing, above all while the radio scans.
const TRIES: u32 = 3;

/// How long a connection that BlueZ has already may take to show the services.
const HELD_LIMIT: Duration = Duration::from_secs(6);

/// How often it is asked whether that connection is there still.
const HELD_LOOK: Duration = Duration::from_millis(250);

/// Between two attempts.
const TRY_PAUSE: Duration = Duration::from_millis(300);

/// Texts of such failures.
const PASSING: [&str; 4] = [
    "le-connection-abort-by-local",
    "Software caused connection abort",
    "Operation already in progress",
    "Connection attempt failed",
];

/// The way to a device that was seen.
pub(super) struct LinkOpener {
    id: PeripheralId,
    address: String,
    /// The strength with which it was seen.
    rssi: Option<i16>,
    links: Links,
}

impl LinkOpener {
    pub(super) fn new(id: PeripheralId, address: String, rssi: Option<i16>, links: Links) -> Self {
        Self { id, address, rssi, links }
    }
}

#[async_trait]
impl Opener for LinkOpener {
    fn shows_itself(&self) -> bool {
        true
    }

    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        let candidates = match access {
            Access::Bluetooth { candidates } => candidates.clone(),
            Access::Serial(_) | Access::Hid(_) | Access::WebSocket | Access::Gamepad | Access::Simulated => {
                return Err(TransportFault::Refused("the definition is not for a Bluetooth device".into()));
            }
        };
        // One at a time: calls to a transport never overlap.
        let (requests, inbox) = mpsc::channel(1);
        let (tell, events) = mpsc::channel(EVENTS);
        let (ready, opened) = oneshot::channel();
        // Detached: it ends when the transport is closed or dropped, or the link breaks.
        drop(quarantine::start("bluetooth-link", move || async move {
            let LinkOpener { id, address, rssi, links } = *self;
            let mut ready = ready;
            let (key, news) = links.add(id, rssi);
            let up = tokio::select! {
                up = bring_up(&key, &address, news, &links, &candidates) => up,
                // Whoever wanted it has given up.
                () = ready.closed() => Err(TransportFault::Refused("nobody waits for it any more".into())),
            };
            match up {
                Ok(Up { peripheral, candidate, endpoints, news, notifications, paired }) => {
                    let pairing = Cell::new(paired);
                    let asked = Arc::<Asked>::default();
                    let transport = LinkTransport {
                        requests,
                        peripheral: peripheral.clone(),
                        address: address.clone(),
                        endpoints: Arc::clone(&endpoints),
                        candidate,
                        limit: Limit::default(),
                        asked: Arc::clone(&asked),
                        sent: Sent::Nothing,
                    };
                    let link = Link {
                        key,
                        address,
                        links,
                        peripheral,
                        endpoints,
                        tell,
                        news,
                        pairing,
                        limit: Cell::default(),
                        asked,
                    };
                    // It is there before anybody can ask for it.
                    let told = link.tell_signal();
                    if ready.send(Ok(transport)).is_ok() {
                        link.serve(inbox, notifications, told).await;
                    } else {
                        link.hang_up().await;
                    }
                }
                Err(fault) => {
                    match links.closing(&key) {
                        Connection::Own => call_off(&key.id).await,
                        Connection::OfAnother => {}
                    }
                    links.remove(&key);
                    if ready.send(Err(fault)).is_err() {
                        tracing::debug!(address, "a link failed that nobody waited for");
                    }
                }
            }
        }));
        match opened.await {
            Ok(Ok(transport)) => Ok(Opened { transport: Box::new(transport), events }),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Err(TransportFault::Refused("the Bluetooth part of the service failed".into())),
        }
    }
}

/// A link that is up.
struct Up {
    peripheral: Peripheral,
    /// Which of the candidates it is.
    candidate: usize,
    endpoints: Arc<Endpoints>,
    news: watch::Receiver<News>,
    notifications: Notifications,
    paired: Pairing,
}

async fn bring_up(
    key: &Key,
    address: &str,
    mut news: watch::Receiver<News>,
    links: &Links,
    candidates: &[NamedServices],
) -> Result<Up, TransportFault> {
    let peripheral = within(CALL_LIMIT, address, find(&key.id)).await?;
    let up = async {
        let paired = connect(&peripheral, key, address, links).await?;
        links.came_up(key);
        // It may have broken before that was noted.
        if !within(CALL_LIMIT, address, peripheral.is_connected()).await? {
            return Err(TransportFault::Disconnected("the device broke the connection at once".into()));
        }
        // First the stream, then the services: no notification is missed.
        let notifications = within(CALL_LIMIT, address, peripheral.notifications()).await?;
        within(SERVICES_LIMIT, address, peripheral.discover_services()).await?;
        let (candidate, endpoints) = Endpoints::choose(candidates, &peripheral.services())?;
        Ok((candidate, Arc::new(endpoints), notifications, paired))
    };
    let broken = async {
        match news.wait_for(|news| news.lost.is_some()).await {
            Ok(news) => news.lost.clone().unwrap_or_default(),
            Err(_) => "the link was replaced by another".to_owned(),
        }
    };
    let (candidate, endpoints, notifications, paired) = tokio::select! {
        up = up => up?,
        reason = broken => return Err(TransportFault::Disconnected(reason)),
    };
    Ok(Up { peripheral, candidate, endpoints, news, notifications, paired })
}

/// The device on a new connection to the bus.
async fn find(id: &PeripheralId) -> btleplug::Result<Peripheral> {
    let adapters = Manager::new().await?.adapters().await?;
    // The id names the adapter too; any of them serves to ask.
    let adapter = adapters.first().ok_or(btleplug::Error::NoAdapterAvailable)?;
    adapter.peripheral(id).await
}

/// What one attempt to connect came to.
enum Attempt {
    Connected,
    Failed(btleplug::Error),
    /// BlueZ had a connection already, and it came to nothing.
    Dead,
    Late,
}

/// Tries to connect. Where BlueZ has a connection already, that may be one that nobody serves, as after BlueZ was killed: BlueZ says that
/// all is well, never finds the services, and the kernel drops the connection a few seconds later.
async fn attempt(peripheral: &Peripheral, deadline: Instant) -> Attempt {
    let is_held =
        async || timeout(CALL_LIMIT, peripheral.is_connected()).await.is_ok_and(|held| held.unwrap_or(false));
    let held = is_held().await;
    let deadline = deadline.min(Instant::now() + TRY_LIMIT);
    let ends = async {
        let end = Instant::now() + HELD_LIMIT;
        while Instant::now() < end && is_held().await {
            sleep(HELD_LOOK).await;
        }
    };
    tokio::select! {
        biased;
        done = timeout_at(deadline, peripheral.connect()) => match done {
            Ok(Ok(())) => Attempt::Connected,
            Ok(Err(error)) => Attempt::Failed(error),
            Err(_) => Attempt::Late,
        },
        () = ends, if held => Attempt::Dead,
    }
}

/// Connects, and says whether the device was asked to pair on the way.
async fn connect(
    peripheral: &Peripheral,
    key: &Key,
    address: &str,
    links: &Links,
) -> Result<Pairing, TransportFault> {
    let id = &key.id;
    let mut paired = Pairing::Untried;
    let deadline = Instant::now() + CONNECT_LIMIT;
    let mut tries = 1;
    loop {
        let error = match attempt(peripheral, deadline).await {
            Attempt::Connected => break,
            Attempt::Failed(error) => error,
            Attempt::Dead | Attempt::Late if tries < TRIES && Instant::now() < deadline => {
                tracing::debug!(address, tries, "a connection comes to nothing, and is made anew");
                tries += 1;
                links.connecting(key);
                call_off(id).await;
                continue;
            }
            Attempt::Dead => {
                return Err(TransportFault::Disconnected("the connection is of no use".into()));
            }
            Attempt::Late => return Err(TransportFault::TimedOut(milliseconds(CONNECT_LIMIT))),
        };
        if wants_pairing(&error) && paired == Pairing::Untried {
            paired = Pairing::Tried;
            pairing::pair(id, address, links).await?;
            continue;
        }
        let passing =
            dbus_error(&error).is_some_and(|(_, text)| PASSING.iter().any(|sign| text.contains(sign)));
        if !passing || tries == TRIES {
            return Err(fault(&error, address));
        }
        tracing::debug!(address, tries, %error, "a connection failed, and is tried again");
        tries += 1;
        sleep(TRY_PAUSE).await;
    }
    if paired == Pairing::Untried
        && links.hangs_up(id)
        && pairing::guess(id, address, links).await? == Guess::Right
    {
        paired = Pairing::Tried;
    }
    Ok(paired)
}

/// BlueZ goes on trying to connect after the caller has given up, unless it is told.
async fn call_off(id: &PeripheralId) {
    let disconnect = async { find(id).await?.disconnect().await };
    match timeout(CALL_LIMIT, disconnect).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "there was no connection to call off"),
        Err(_) => tracing::debug!("BlueZ does not answer"),
    }
}
