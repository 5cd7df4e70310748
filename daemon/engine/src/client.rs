//! Who is at the other end of a session, for the user's list of clients and for the access policy.
//!
//! Nothing here is proof of identity: the front states what the kernel or the browser told it.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use ipc_schema::version::SpecVersion;

/// The way a session came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Front {
    /// The local socket, MessagePack.
    Socket,
    /// WebSocket, JSON; over TCP or over the local socket.
    WebSocket,
    /// The session bus.
    DBus,
}

impl Front {
    /// The name in the configuration, in logs and in the list of clients.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::WebSocket => "websocket",
            Self::DBus => "dbus",
        }
    }
}

impl fmt::Display for Front {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The process behind a session, as the kernel told it when the session opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// What it runs; absent when that could not be read.
    pub executable: Option<PathBuf>,
}

/// What is known of a client before it has said a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The way it came in.
    pub front: Front,
    /// Its process; absent for TCP.
    pub process: Option<Process>,
    /// The web page that opened the WebSocket, if one did.
    pub origin: Option<String>,
}

impl Peer {
    /// A peer of which nothing but the way in is known.
    #[must_use]
    pub const fn of(front: Front) -> Self {
        Self { front, process: None, origin: None }
    }
}

/// What a client said of itself in its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Introduction {
    /// Free text, for people; may be empty. Never proof of anything.
    pub client_name: Arc<str>,
    /// The spec version that the session speaks.
    pub version: SpecVersion,
    /// The longest time between two of its pings; `None` when it need not ping.
    pub ping_limit: Option<Duration>,
}
