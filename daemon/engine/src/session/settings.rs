//! What a front decides about its sessions, once for all of them.

use std::{sync::Arc, time::Duration};

use ipc_schema::{codec, extension::Extensions};

/// What a session is told about itself when it is made.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How the service calls itself in the handshake.
    pub server_name: Arc<str>,
    /// The longest time between two pings; `None` where clients need not ping.
    pub ping_limit: Option<Duration>,
    /// What may be granted to a client that asks.
    pub extensions: Extensions,
    /// Where it ends.
    pub limits: Limits,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            server_name: Arc::from("buttplugd"),
            ping_limit: None,
            extensions: Extensions::all(),
            limits: Limits::default(),
        }
    }
}

/// How much one session may ask for at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Requests that wait for their answer. Stops may go over it by [`Limits::STOPS_BEYOND`].
    pub requests_in_flight: usize,
    /// Messages of one frame that are looked at. Stops are looked at wherever they stand.
    pub messages_in_frame: usize,
    /// Time from the opening of the connection to the handshake; `None` for no limit.
    pub time_to_handshake: Option<Duration>,
}

impl Limits {
    /// So many stops may wait for their answer when no other request may: a session that floods can still be stopped. More are carried out
    /// too, and answered at once with the reason `too-many-requests`.
    pub const STOPS_BEYOND: usize = 32;
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            requests_in_flight: 256,
            messages_in_frame: 256,
            time_to_handshake: Some(Duration::from_secs(10)),
        }
    }
}

/// How a session's front speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// In frames of bytes: requests come as [`Input::Frame`](super::Input::Frame), all else goes out as
    /// [`Effect::Send`](super::Effect::Send).
    Bytes(codec::Encoding),
    /// In the engine's own words: requests come as [`Input::Ask`](super::Input::Ask), all else goes out as
    /// [`Effect::Tell`](super::Effect::Tell).
    Typed,
}
