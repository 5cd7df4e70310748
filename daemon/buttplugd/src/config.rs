//! The configuration file: what it may say, what holds when it is silent, and how a mistake in it is named.
//!
//! Every key has a default, so that an empty file and a missing one mean the same. An unknown key, a value of the wrong type
//! and a value out of range are refused with the file, the line and the key. Definitions of devices are not here: they have
//! files of their own (`engine::definition`). The command line overrides single keys; that is done in `main.rs`.

pub mod access;
mod directories;
pub mod source;
pub mod value;
pub mod websocket_devices;

use std::{
    fmt, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;

pub use self::directories::Directories;
use self::{
    access::AccessPolicy,
    value::{ListenAddress, LogLevel, OriginPattern, ReconnectWhen, absolute, bounded},
    websocket_devices::WebSocketDevices,
};
use crate::transport::simulated::MODELS;

/// The file with every key, its meaning and its default. A test keeps it equal to [`Config::default`].
pub const ANNOTATED: &str = include_str!("../buttplugd.toml");

/// All that can be configured.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Config {
    /// How much is logged, unless `--log` or `RUST_LOG` says otherwise.
    pub log: LogLevel,
    /// What one client, and all together, may use up.
    pub limits: Limits,
    /// The local socket.
    pub socket: SocketConfig,
    /// The session bus.
    pub dbus: DbusConfig,
    /// WebSocket over TCP.
    pub websocket: WebSocketConfig,
    /// Which buses are looked at for devices.
    pub transports: Transports,
    /// Devices that dial in over WebSocket.
    pub websocket_devices: WebSocketDevices,
    /// Devices that exist only in memory.
    pub simulated: Simulated,
    /// How devices are treated.
    pub devices: Devices,
    /// Where code for devices is found.
    pub plugins: Plugins,
    /// Who may connect.
    pub access: AccessPolicy,
}

/// What one client, and all together, may use up.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Sessions at a time, over all fronts.
    #[serde(deserialize_with = "bounded::<1, 100_000, _, _>")]
    pub sessions: usize,
    /// Connections over WebSocket and socket that have not finished their handshake, over all listeners.
    #[serde(deserialize_with = "bounded::<1, 100_000, _, _>")]
    pub half_open: usize,
    /// Bytes in the payload of one frame. The upper bound keeps `GET ` from being read as a length.
    #[serde(deserialize_with = "bounded::<1_024, 67_108_864, _, _>")]
    pub frame_size: usize,
    /// Requests of one session that are not yet answered.
    #[serde(deserialize_with = "bounded::<1, 100_000, _, _>")]
    pub requests_in_flight: usize,
    /// Messages of one frame. Stops are taken wherever they stand.
    #[serde(deserialize_with = "bounded::<1, 100_000, _, _>")]
    pub messages_in_frame: usize,
    /// Events and answers that wait for one client to read them.
    #[serde(deserialize_with = "bounded::<16, 100_000, _, _>")]
    pub event_queue: usize,
    /// Time in milliseconds from the connection to the end of the handshake.
    #[serde(deserialize_with = "bounded::<10, 3_600_000, _, _>")]
    pub handshake_time_ms: u64,
    /// Time in milliseconds in which a client must have read something of what waits for it.
    #[serde(deserialize_with = "bounded::<10, 3_600_000, _, _>")]
    pub write_time_ms: u64,
}

impl Limits {
    /// [`Self::handshake_time_ms`] as a duration.
    #[must_use]
    pub const fn handshake_time(&self) -> Duration {
        Duration::from_millis(self.handshake_time_ms)
    }

    /// [`Self::write_time_ms`] as a duration.
    #[must_use]
    pub const fn write_time(&self) -> Duration {
        Duration::from_millis(self.write_time_ms)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 1_024,
            half_open: 256,
            frame_size: 1_048_576,
            requests_in_flight: 256,
            messages_in_frame: 256,
            event_queue: 1_024,
            handshake_time_ms: 10_000,
            write_time_ms: 5_000,
        }
    }
}

/// The local socket.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SocketConfig {
    /// Whether it is served. One that systemd passes is served all the same.
    pub enabled: bool,
    /// Where it is; `$XDG_RUNTIME_DIR/buttplugd/buttplugd.sock` if absent.
    #[serde(deserialize_with = "absolute")]
    pub path: Option<PathBuf>,
    /// Time in milliseconds between two pings of a client; 0 asks for none.
    #[serde(deserialize_with = "bounded::<0, 3_600_000, _, _>")]
    pub max_ping_time_ms: u32,
}

impl Default for SocketConfig {
    fn default() -> Self {
        Self { enabled: true, path: None, max_ping_time_ms: 10_000 }
    }
}

/// The session bus.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DbusConfig {
    /// Whether it is served.
    pub enabled: bool,
    /// Time in milliseconds between two pings of a client; 0 asks for none.
    #[serde(deserialize_with = "bounded::<0, 3_600_000, _, _>")]
    pub max_ping_time_ms: u32,
}

impl Default for DbusConfig {
    fn default() -> Self {
        Self { enabled: true, max_ping_time_ms: 10_000 }
    }
}

/// WebSocket over TCP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct WebSocketConfig {
    /// Whether it is served. Sockets that systemd passes are served all the same.
    pub enabled: bool,
    /// Where it listens; a bare port means 127.0.0.1 and ::1.
    pub listen: Vec<ListenAddress>,
    /// Whether addresses that other machines can reach may be listened on.
    pub allow_remote: bool,
    /// Web pages that may connect. Programs that are not web pages send no `Origin`, and may.
    pub allowed_origins: Vec<OriginPattern>,
    /// Time in milliseconds between two pings of a client; 0 asks for none. JavaScript clients send none.
    #[serde(deserialize_with = "bounded::<0, 3_600_000, _, _>")]
    pub max_ping_time_ms: u32,
    /// Time in milliseconds without traffic after which a WebSocket ping is sent; 0 sends none.
    #[serde(deserialize_with = "bounded::<0, 3_600_000, _, _>")]
    pub idle_ping_ms: u64,
}

impl WebSocketConfig {
    /// Where to listen, or why not.
    ///
    /// # Errors
    /// When an address is not a loopback address and [`Self::allow_remote`] is not set.
    pub fn addresses(&self) -> Result<Vec<SocketAddr>, ConfigError> {
        let addresses: Vec<SocketAddr> = self.listen.iter().flat_map(ListenAddress::addresses).collect();
        match addresses.iter().find(|address| !address.ip().is_loopback()) {
            Some(address) if !self.allow_remote => Err(ConfigError::NotLoopback("websocket", *address)),
            Some(_) | None => Ok(addresses),
        }
    }
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            listen: vec![ListenAddress::default()],
            allow_remote: false,
            allowed_origins: Vec::new(),
            max_ping_time_ms: 0,
            idle_ping_ms: 30_000,
        }
    }
}

/// Which buses are looked at for devices.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Transports {
    /// Bluetooth LE, through BlueZ.
    pub bluetooth: bool,
    /// Serial ports.
    pub serial: bool,
    /// HID devices.
    pub hid: bool,
    /// The Lovense USB dongle.
    pub lovense_dongle: bool,
    /// The port of a Lovense USB dongle of the older kind, a serial port; one that is a HID device is found by itself.
    #[serde(deserialize_with = "absolute")]
    pub lovense_dongle_port: Option<PathBuf>,
    /// Game controllers that rumble.
    pub gamepads: bool,
}

impl Default for Transports {
    fn default() -> Self {
        Self {
            bluetooth: true,
            serial: true,
            hid: true,
            lovense_dongle: true,
            lovense_dongle_port: None,
            gamepads: false,
        }
    }
}

/// Devices that exist only in memory.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Simulated {
    /// Whether there are any.
    pub enabled: bool,
    /// Which models; one of each if absent.
    pub models: Option<Vec<String>>,
}

/// How devices are treated.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Devices {
    /// When known devices are looked for by themselves.
    pub reconnect: ReconnectWhen,
}

/// Where code for devices is found.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plugins {
    /// Folders, before those of the distribution; later ones win.
    pub path: Vec<PathBuf>,
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// When it cannot be read, or says something that it may not.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    /// Reads the file, or takes the defaults if there is none.
    ///
    /// # Errors
    /// When it is there and cannot be read, or says something that it may not.
    pub fn load_if_present(path: &Path) -> Result<Self, ConfigError> {
        match Self::load(path) {
            Err(ConfigError::Unreadable { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Ok(Self::default())
            }
            other => other,
        }
    }

    /// Reads the text of a file; `path` is for the error.
    ///
    /// # Errors
    /// When it says something that it may not.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigError> {
        let config: Self = toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let message = error.message().replace('\n', " ");
            ConfigError::Invalid {
                path: path.to_owned(),
                place: Place::of(text, start),
                // The parser names a key that it does not know, but not the key of a value that it cannot take.
                message: match key_before(text, start) {
                    Some(key) => format!("{key}: {message}"),
                    None => message,
                },
            }
        })?;
        let in_file = |why| ConfigError::InFile { path: path.to_owned(), why: Box::new(why) };
        config.check().map_err(in_file)?;
        Ok(config)
    }

    /// Whether an application can connect at all, if systemd passes no socket.
    ///
    /// # Errors
    /// When no front is switched on.
    pub fn check_fronts(&self) -> Result<(), ConfigError> {
        let any = self.socket.enabled || self.dbus.enabled || self.websocket.enabled;
        if any { Ok(()) } else { Err(ConfigError::NoFront) }
    }

    /// Looks at what no single value can tell.
    fn check(&self) -> Result<(), ConfigError> {
        let listens = [
            ("websocket", self.websocket.enabled, &self.websocket.listen),
            ("websocket-devices", self.websocket_devices.enabled, &self.websocket_devices.listen),
        ];
        if let Some((table, ..)) = listens.iter().find(|(_, enabled, listen)| *enabled && listen.is_empty()) {
            return Err(ConfigError::NowhereToListen(table));
        }
        self.websocket.addresses()?;
        self.websocket_devices.addresses()?;
        let unknown = self.simulated.models.iter().flatten().find(|model| !MODELS.contains(&model.as_str()));
        unknown.map_or(Ok(()), |model| Err(ConfigError::UnknownModel(model.clone())))
    }
}

/// Why a configuration is refused.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It says something that it may not.
    #[error("{}:{place}: {message}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Where in it.
        place: Place,
        /// What is wrong there.
        message: String,
    },
    /// A WebSocket address that other machines can reach.
    #[error(
        "{0}.listen: {1} can be reached from other machines; set {0}.allow-remote = true if that is meant"
    )]
    NotLoopback(&'static str, SocketAddr),
    /// WebSocket is switched on, and has no address.
    #[error("{0}.listen: it is empty, while {0}.enabled = true; name a port, or leave the line out")]
    NowhereToListen(&'static str),
    /// Nothing is served: the service could not even be told to stop a device.
    #[error(
        "socket.enabled, dbus.enabled, websocket.enabled: none is true and systemd passes no socket, so that no application could connect"
    )]
    NoFront,
    /// One of the others, in this file.
    #[error("{}: {why}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: Box<ConfigError>,
    },
    /// A simulated device that does not exist.
    #[error("simulated.models: there is no `{0}`; there are: {models}", models = MODELS.join(", "))]
    UnknownModel(String),
    /// There is no place to look for the file or to put the socket.
    #[error("{0} is not set, and {1} was not given")]
    NoDirectory(&'static str, &'static str),
}

/// A place in a text file, both numbers counting from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The character in it.
    pub column: usize,
}

impl Place {
    fn of(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() + 1,
        }
    }
}

/// The key whose value begins at `offset`, if one does.
fn key_before(text: &str, offset: usize) -> Option<&str> {
    let (_, line) = text.get(..offset)?.rsplit_once('\n').unwrap_or(("", text.get(..offset)?));
    line.split_once('=').map(|(key, _)| key.trim())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests;
