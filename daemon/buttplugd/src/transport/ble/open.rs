//! The opening of a link: connecting, finding services, and handing over what the device's task works with.

use std::time::Duration;

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
    endpoints::Endpoints,
    fault::{dbus_error, fault, milliseconds, within},
    link::{Link, LinkTransport, Notifications},
    links::{Links, News},
    quarantine,
};

/// From the wish to connect until BlueZ has found the services. BlueZ itself gives up on a silent device after about 20 s.
const CONNECT_LIMIT: Duration = Duration::from_secs(20);

/// Reading the list of services from BlueZ, which knows it by then.
const SERVICES_LIMIT: Duration = Duration::from_secs(10);

/// For finding the device and for calling off a connection that failed.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// A first attempt often fails for nothing, above all while the radio scans.
const TRIES: u32 = 3;

/// Between two attempts.
const TRY_PAUSE: Duration = Duration::from_millis(300);

/// Texts of such failures.
const PASSING: [&str; 4] = [
    "le-connection-abort-by-local",
    "Software caused connection abort",
    "Operation already in progress",
    "Connection attempt failed",
];

/// Events that wait for the device's task. More than a device sends in a second; beyond it the newest are dropped.
pub(super) const EVENTS: usize = 256;

/// The way to a device that was seen.
pub(super) struct LinkOpener {
    id: PeripheralId,
    address: String,
    links: Links,
}

impl LinkOpener {
    pub(super) fn new(id: PeripheralId, address: String, links: Links) -> Self {
        Self { id, address, links }
    }
}

#[async_trait]
impl Opener for LinkOpener {
    async fn open(self: Box<Self>, access: &Access) -> Result<Opened, TransportFault> {
        let candidates = match access {
            Access::Bluetooth { candidates } => candidates.clone(),
            Access::Serial(_) | Access::Hid | Access::WebSocket | Access::Gamepad | Access::Simulated => {
                return Err(TransportFault::Refused("the definition is not for a Bluetooth device".into()));
            }
        };
        // One at a time: calls to a transport never overlap.
        let (requests, inbox) = mpsc::channel(1);
        let (tell, events) = mpsc::channel(EVENTS);
        let (ready, opened) = oneshot::channel();
        // Detached: it ends when the transport is closed or dropped, or the link breaks.
        drop(quarantine::start("bluetooth-link", move || async move {
            let LinkOpener { id, address, links } = *self;
            let mut ready = ready;
            let up = tokio::select! {
                up = bring_up(&id, &address, &links, &candidates) => up,
                // Whoever wanted it has given up.
                () = ready.closed() => Err(TransportFault::Refused("nobody waits for it any more".into())),
            };
            match up {
                Ok(Up { peripheral, candidate, endpoints, news, notifications }) => {
                    let link = Link { id, address, links, peripheral, endpoints, tell, news };
                    if ready.send(Ok((link.endpoints.names(), candidate))).is_ok() {
                        link.serve(inbox, notifications).await;
                    } else {
                        link.hang_up().await;
                    }
                }
                Err(fault) => {
                    links.closing(&id);
                    call_off(&id).await;
                    links.remove(&id);
                    if ready.send(Err(fault)).is_err() {
                        tracing::debug!(address, "a link failed that nobody waited for");
                    }
                }
            }
        }));
        match opened.await {
            Ok(Ok((endpoints, candidate))) => {
                let transport = Box::new(LinkTransport::new(requests, endpoints, candidate));
                Ok(Opened { transport, events })
            }
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
    endpoints: Endpoints,
    news: watch::Receiver<News>,
    notifications: Notifications,
}

async fn bring_up(
    id: &PeripheralId,
    address: &str,
    links: &Links,
    candidates: &[NamedServices],
) -> Result<Up, TransportFault> {
    let peripheral = within(CALL_LIMIT, address, find(id)).await?;
    let mut news = links.add(id.clone());
    let up = async {
        connect(&peripheral, address).await?;
        links.connected(id);
        // It may have broken before that was noted.
        if !within(CALL_LIMIT, address, peripheral.is_connected()).await? {
            return Err(TransportFault::Disconnected("the device broke the connection at once".into()));
        }
        // First the stream, then the services: no notification is missed.
        let notifications = within(CALL_LIMIT, address, peripheral.notifications()).await?;
        within(SERVICES_LIMIT, address, peripheral.discover_services()).await?;
        let (candidate, endpoints) = Endpoints::choose(candidates, &peripheral.services())?;
        Ok((candidate, endpoints, notifications))
    };
    let broken = async {
        match news.wait_for(|news| news.lost.is_some()).await {
            Ok(news) => news.lost.clone().unwrap_or_default(),
            Err(_) => "the link was replaced by another".to_owned(),
        }
    };
    let (candidate, endpoints, notifications) = tokio::select! {
        up = up => up?,
        reason = broken => return Err(TransportFault::Disconnected(reason)),
    };
    Ok(Up { peripheral, candidate, endpoints, news, notifications })
}

/// The device on a new connection to the bus.
async fn find(id: &PeripheralId) -> btleplug::Result<Peripheral> {
    let adapters = Manager::new().await?.adapters().await?;
    // The id names the adapter too; any of them serves to ask.
    let adapter = adapters.first().ok_or(btleplug::Error::NoAdapterAvailable)?;
    adapter.peripheral(id).await
}

async fn connect(peripheral: &Peripheral, address: &str) -> Result<(), TransportFault> {
    let deadline = Instant::now() + CONNECT_LIMIT;
    let mut tries = 1;
    loop {
        let error = match timeout_at(deadline, peripheral.connect()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => return Err(TransportFault::TimedOut(milliseconds(CONNECT_LIMIT))),
        };
        let passing =
            dbus_error(&error).is_some_and(|(_, text)| PASSING.iter().any(|sign| text.contains(sign)));
        if !passing || tries == TRIES {
            return Err(fault(&error, address));
        }
        tracing::debug!(address, tries, %error, "a connection failed, and is tried again");
        tries += 1;
        sleep(TRY_PAUSE).await;
    }
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
