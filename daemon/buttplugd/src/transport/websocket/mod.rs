//! Devices that dial in: what people build themselves connects to port 54817, says what it is in one text frame
//! (`{"identifier": "..", "address": "..", "version": 0}`), and then speaks its protocol in binary frames.
//!
//! The other way round from every other bus: nothing is looked for, and the open path is there before the device is known. Web
//! pages may not dial in. Clients are not served here; see `front`.

mod backlog;
mod greet;
mod link;

#[cfg(test)]
mod tests;

use std::{io, net::SocketAddr, time::Duration};

use rustix::io::Errno;
use tokio::{net::TcpListener, task::JoinSet, time::timeout};

use self::greet::greet;
use super::{Discovery, Finds, FromTransport, TransportState, TransportStatus};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "websocket-devices";

/// Devices that have not said yet what they are. With more, new ones are turned away.
const MOST_GREETING: usize = 16;
/// The time to say it.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// The pause after the system could not take a connection (no file descriptors), so that it is not asked in a loop.
const ACCEPT_PAUSE: Duration = Duration::from_secs(1);

/// Runs the bus until nobody listens any more.
pub async fn run(discovery: Discovery, addresses: Vec<SocketAddr>) {
    let (listeners, failed) = bind(&addresses).await;
    let status = status(&listeners, failed);
    if discovery.tell.send(FromTransport::Status(status)).await.is_err() || listeners.is_empty() {
        return;
    }
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(listener, discovery.clone()));
    }
    // Their end is that of the bus.
    discovery.tell.closed().await;
    accepting.shutdown().await;
}

type Failed = Option<(SocketAddr, io::Error)>;

/// Listens where it can. The first address that it cannot is told of if there is no other.
async fn bind(addresses: &[SocketAddr]) -> (Vec<TcpListener>, Failed) {
    let (mut listeners, mut failed) = (Vec::new(), None);
    for address in addresses {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                if let Ok(address) = listener.local_addr() {
                    tracing::info!(%address, "WebSocket devices may dial in");
                }
                listeners.push(listener);
            }
            Err(error) => {
                tracing::debug!(%address, %error, "WebSocket devices cannot dial in here");
                failed = failed.or(Some((*address, error)));
            }
        }
    }
    (listeners, failed)
}

fn status(listeners: &[TcpListener], failed: Failed) -> TransportStatus {
    let (state, reason, hint) = match failed {
        Some((address, error)) if listeners.is_empty() => {
            let hint = match Errno::from_io_error(&error) {
                Some(Errno::ADDRINUSE) => {
                    "another program has the port: end it, or set `websocket-devices.listen` in buttplugd.toml"
                }
                Some(Errno::AFNOSUPPORT | Errno::PERM | Errno::ACCESS) => {
                    "the unit allows no network: `systemctl --user edit buttplugd`, and there in [Service] \
                     `RestrictAddressFamilies=AF_INET AF_INET6`"
                }
                Some(_) | None => {
                    "set `websocket-devices.listen` in buttplugd.toml to an address of this machine"
                }
            };
            let reason = format!("devices cannot dial in at {address}: {error}");
            (TransportState::Unavailable, reason, hint)
        }
        Some(_) | None => (TransportState::Ready, String::new(), ""),
    };
    TransportStatus { transport: NAME, finds: Finds::Unasked, state, reason, hint: hint.to_owned() }
}

async fn accept(listener: TcpListener, discovery: Discovery) {
    let mut greetings = JoinSet::new();
    // Both arms are cancel-safe.
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((_, from)) if greetings.len() >= MOST_GREETING => {
                    tracing::warn!(%from, "too many WebSocket devices dial in at once; one is turned away");
                }
                Ok((stream, _)) => {
                    greetings.spawn(timeout(GREETING_LIMIT, greet(stream)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a WebSocket device cannot dial in");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(greeted) = greetings.join_next() => match greeted {
                Ok(Ok(Ok(discovered))) => {
                    if discovery.tell.send(FromTransport::Discovered(discovered)).await.is_err() {
                        return;
                    }
                }
                Ok(Ok(Err(why))) => tracing::info!(%why, "a WebSocket device is turned away"),
                Ok(Err(_)) => tracing::info!("a WebSocket device took too long to say what it is"),
                Err(error) => tracing::error!(%error, "the greeting of a WebSocket device failed"),
            },
        }
    }
}
