//! The fronts: everything that clients talk to. Bytes come in, sessions decide, bytes go out.
//!
//! A front knows how its clients connect and who they are, and runs an `engine::session::Session` for each. What a session
//! may drive is decided behind the hub.

pub(crate) mod dbus;
pub(crate) mod socket;
pub(crate) mod websocket;

mod conversation;

pub mod half_open;
pub mod listen;
mod stream;

use std::{future::Future, io, sync::Arc, time::Duration};

use engine::{
    client::Front,
    session::{Limits, Settings},
};
use ipc_schema::Extensions;
use tokio::sync::{mpsc, watch};

use self::half_open::HalfOpen;
use crate::{config::Config, hub::Hub};

/// The time to let pass when the system has no room for another connection. Trying again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What every connection of every front needs.
#[derive(Clone)]
pub(crate) struct Shared {
    /// The way to the devices.
    pub(crate) hub: Hub,
    /// The newest configuration. A session keeps what held when it began.
    pub(crate) config: watch::Receiver<Arc<Config>>,
    /// The connections that have not finished their handshake.
    pub(crate) half_open: HalfOpen,
    /// Every task of a connection holds it strongly, so that the end of the last can be waited for.
    pub(crate) alive: mpsc::WeakSender<()>,
}

impl Shared {
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.borrow())
    }

    /// What a new session of this front is told about itself.
    fn session_settings(&self, front: Front) -> Settings {
        let config = self.config();
        let max_ping_time_ms = match front {
            Front::Socket => config.socket.max_ping_time_ms,
            Front::WebSocket => config.websocket.max_ping_time_ms,
            Front::DBus => config.dbus.max_ping_time_ms,
        };
        Settings {
            server_name: Arc::from("buttplugd"),
            ping_limit: (max_ping_time_ms > 0).then(|| Duration::from_millis(u64::from(max_ping_time_ms))),
            extensions: Extensions::all(),
            limits: Limits {
                requests_in_flight: config.limits.requests_in_flight,
                messages_in_frame: config.limits.messages_in_frame,
                time_to_handshake: Some(config.limits.handshake_time()),
            },
        }
    }

    /// Runs the task of a connection.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let alive = self.alive.upgrade();
        tokio::spawn(async move {
            task.await;
            drop(alive);
        });
    }

    async fn accept_failed(&self, error: &io::Error, front: &'static str) {
        tracing::warn!(%error, front, "cannot take a connection");
        tokio::time::sleep(ACCEPT_PAUSE).await;
    }
}

#[cfg(test)]
mod tests;
