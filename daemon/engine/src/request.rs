//! What a client and a session say to each other, in whatever version and on whatever front: what the dialects translate from and to.

use std::{sync::Arc, time::Duration};

use ipc_schema::{extension::Extensions, version::SpecVersion};

use crate::command::Command;

/// What a client asks for, in whatever version and on whatever front.
#[derive(Debug, Clone, PartialEq)]
pub enum Request {
    /// The handshake.
    Hello(Hello),
    /// Move the ping deadline.
    Ping,
    /// End the session: `Ok`, then the end.
    Disconnect,
    /// `Test` of v0 and v1: the same text back, or an error for the text `Error`.
    Echo(String),
    /// `RequestLog` of v0 and v1: lines about this session, up to a level, from now on.
    Log(LogLevel),
    /// For the router.
    Command(Command),
}

/// What a client says of itself in its handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Free text, for people; may be empty.
    pub client_name: String,
    /// The version it wants to speak.
    pub version: SpecVersion,
    /// Names of the extensions it wants. Names that nobody knows are passed over.
    pub extensions: Vec<String>,
    /// The ping limit it wants, if it asks for extension `ping-time`. Never longer than the server's.
    pub ping_time: Option<Duration>,
}

impl Hello {
    /// The handshake of a version that knows no extensions.
    #[must_use]
    pub const fn without_extensions(client_name: String, version: SpecVersion) -> Self {
        Self { client_name, version, extensions: Vec::new(), ping_time: None }
    }
}

/// What the handshake came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// How the service calls itself.
    pub server_name: Arc<str>,
    /// The version that the session speaks: the client's.
    pub version: SpecVersion,
    /// The longest time between two pings; `None` when none are needed.
    pub ping_limit: Option<Duration>,
    /// What was granted; `None` for a client that asked for nothing.
    pub extensions: Option<Extensions>,
}

impl Welcome {
    /// The ping limit in the words of every version: milliseconds, 0 for none. A limit below one millisecond counts as one.
    #[must_use]
    pub fn max_ping_ms(&self) -> u32 {
        self.ping_limit.map_or(0, |limit| u32::try_from(limit.as_millis()).unwrap_or(u32::MAX).max(1))
    }
}

/// How much a client wants to be told, in rising order; also how grave a line is. The names are those of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum LogLevel {
    /// Nothing.
    #[default]
    Off,
    /// The service cannot go on. It says so by ending the session, never in a line.
    Fatal,
    /// A request failed.
    Error,
    /// Nothing at present.
    Warn,
    /// A device came or went, a scan ended.
    Info,
    /// A ping came.
    Debug,
    /// Nothing at present.
    Trace,
}
