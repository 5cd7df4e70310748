//! How an application gets a session: where the socket is, what it asks for in the handshake, how long it waits.

use std::env;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ipc_schema::v4::{ClientMessage, RequestServerInfo, ServerMessage};
use ipc_schema::{Extension, Extensions, SpecVersion};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::client::Client;
use crate::connection;
use crate::error::Error;
use crate::session::Session;

/// The socket within `$XDG_RUNTIME_DIR`.
const SOCKET: &str = "buttplugd/buttplugd.sock";
/// How long an answer may take unless said otherwise: longer than any device may, so that its own error comes first.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Where the service listens: `$XDG_RUNTIME_DIR/buttplugd/buttplugd.sock`.
///
/// # Errors
/// [`Error::NoSocketPath`] when the environment does not say where that is.
pub fn default_socket() -> Result<PathBuf, Error> {
    match env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => Ok(Path::new(&folder).join(SOCKET)),
        _ => Err(Error::NoSocketPath),
    }
}

/// What a session is to be like.
#[derive(Debug, Clone)]
#[must_use]
pub struct Connect {
    name: String,
    socket: Option<PathBuf>,
    extensions: Extensions,
    ping_time: Option<Duration>,
    answer_within: Duration,
}

impl Connect {
    /// A session under this name, which the user sees in the list of clients.
    pub fn new(name: impl Into<String>) -> Self {
        let extensions =
            Extensions::NONE.with(Extension::ErrorReason).with(Extension::PingTime).with(Extension::Rssi);
        Self { name: name.into(), socket: None, extensions, ping_time: None, answer_within: ANSWER_WITHIN }
    }

    /// The socket to connect to, if not the usual one.
    pub fn socket(mut self, path: impl Into<PathBuf>) -> Self {
        self.socket = Some(path.into());
        self
    }

    /// Asks for a shorter ping deadline than the service's own: that long after this application hangs, its outputs stop.
    pub fn ping_time(mut self, deadline: Duration) -> Self {
        self.ping_time = Some(deadline);
        self
    }

    /// Asks for an extension. What the service granted is in [`Client::extensions`].
    pub fn extension(mut self, extension: Extension) -> Self {
        self.extensions = self.extensions.with(extension);
        self
    }

    /// How long a call waits for its answer, the handshake included; 30 s unless set.
    pub fn answer_within(mut self, limit: Duration) -> Self {
        self.answer_within = limit;
        self
    }

    /// Connects and does the handshake. To be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::NoSocketPath`] and [`Error::Connect`] when the service cannot be reached, and those of [`Connect::over`].
    pub async fn connect(self) -> Result<Client, Error> {
        let path = match &self.socket {
            Some(path) => path.clone(),
            None => default_socket()?,
        };
        let connecting = timeout(self.answer_within, UnixStream::connect(&path)).await;
        match connecting {
            Ok(Ok(stream)) => self.over(stream).await,
            Ok(Err(source)) => Err(Error::Connect { path, source }),
            Err(_) => Err(Error::TimedOut { after: self.answer_within }),
        }
    }

    /// Does the handshake over a connected stream, such as one from the D-Bus method `OpenSocket`.
    ///
    /// # Errors
    /// [`Error::Server`] when the service refuses the session, [`Error::Closed`] when the connection ends, [`Error::TimedOut`].
    pub async fn over(self, stream: UnixStream) -> Result<Client, Error> {
        let session = Session::new(connection::start(stream), self.answer_within);
        let id = session.next_id();
        let ping_time = self.ping_time.map(|time| u32::try_from(time.as_millis()).unwrap_or(u32::MAX));
        let request = ClientMessage::RequestServerInfo(RequestServerInfo {
            id,
            client_name: self.name,
            protocol_version_major: SpecVersion::V4.number(),
            protocol_version_minor: 0,
            extensions: Some(self.extensions.names()),
            ping_time,
        });
        match session.ask(id, request).await? {
            ServerMessage::ServerInfo(info) => {
                let client = Client::new(session, info);
                client.refresh_devices().await?;
                Ok(client)
            }
            other => Err(Error::Unexpected(format!("{other:?} instead of ServerInfo"))),
        }
    }
}
