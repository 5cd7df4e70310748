//! Types of single values in the configuration, each of which cannot hold what the file may not say.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de};

/// Where every existing application expects a Buttplug server.
const DEFAULT_PORT: u16 = 12345;

/// Reads an integer of `MIN..=MAX`; one outside is refused with both bounds named.
pub(super) fn bounded<'de, const MIN: u64, const MAX: u64, D, N>(deserializer: D) -> Result<N, D::Error>
where
    D: Deserializer<'de>,
    N: TryFrom<u64>,
{
    let refuse = |value: &dyn fmt::Display| de::Error::custom(format!("{value} is not in {MIN} to {MAX}"));
    let value = i64::deserialize(deserializer)?;
    let unsigned = u64::try_from(value).map_err(|_| refuse(&value))?;
    if !(MIN..=MAX).contains(&unsigned) {
        return Err(refuse(&value));
    }
    N::try_from(unsigned).map_err(|_| refuse(&value))
}

/// Reads a path that means the same wherever the service is started.
pub(super) fn absolute<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    if path.is_absolute() {
        return Ok(Some(path));
    }
    Err(de::Error::custom(format!("`{}` is no path that begins with `/`", path.display())))
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum LogLevel {
    /// What the user must act on.
    Error,
    /// What works less well than it should.
    Warn,
    /// Who came and went.
    #[default]
    Info,
    /// Decisions.
    Debug,
    /// Bytes.
    Trace,
}

impl LogLevel {
    /// Its name, as a filter wants it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// When known devices are looked for by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReconnectWhen {
    /// Never.
    Off,
    /// While a client is connected.
    #[default]
    WhileClientConnected,
    /// Whenever the service runs.
    Always,
}

/// Where the WebSocket front listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenAddress {
    /// A port on 127.0.0.1 and ::1. Where the machine has no IPv6, 127.0.0.1 alone.
    Loopback(u16),
    /// This address and port only.
    Exact(SocketAddr),
}

impl ListenAddress {
    /// The addresses, in order.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        match *self {
            Self::Loopback(port) => vec![
                SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
                SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port),
            ],
            Self::Exact(address) => vec![address],
        }
    }
}

impl Default for ListenAddress {
    fn default() -> Self {
        Self::Loopback(DEFAULT_PORT)
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let port = text.strip_prefix("localhost:").unwrap_or(text);
        if let Ok(port) = port.parse() {
            return Ok(Self::Loopback(port));
        }
        text.parse().map(Self::Exact).map_err(|_| {
            format!("`{text}` is not an address with a port, such as 127.0.0.1:{DEFAULT_PORT}, [::1]:{DEFAULT_PORT} or {DEFAULT_PORT}")
        })
    }
}

/// A number or a text in the file; both are natural for a port.
impl<'de> Deserialize<'de> for ListenAddress {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = ListenAddress;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a port or an address with a port")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<ListenAddress, E> {
                u16::try_from(value)
                    .map(ListenAddress::Loopback)
                    .map_err(|_| E::custom(format!("{value} is not a port")))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<ListenAddress, E> {
                value.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

/// A text in which `*` stands for any characters but `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Whether the whole of `text` fits.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else { return false };
        let Some(last) = parts.next_back() else { return rest.is_empty() };
        for part in parts {
            match rest.find(part).and_then(|at| Some((rest.get(..at)?, rest.get(at + part.len()..)?))) {
                Some((skipped, after)) if !skipped.contains('/') => rest = after,
                Some(_) | None => return false,
            }
        }
        rest.strip_suffix(last).is_some_and(|skipped| !skipped.contains('/'))
    }
}

impl From<&str> for Pattern {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text.is_empty() { Err(de::Error::custom("an empty text fits nothing")) } else { Ok(Self(text)) }
    }
}

/// Web pages by their origin: `https://example.org`, `http://localhost:*`, or `*` for every page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OriginPattern(Pattern);

impl OriginPattern {
    /// Whether a page with this `Origin` is meant. Case does not matter: browsers send hosts in lower case.
    #[must_use]
    pub fn matches(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        match (self.0.0.strip_suffix(":*"), origin.rsplit_once(':')) {
            // Any port, and nothing but a port.
            (Some(host), Some((of, port))) => {
                port.bytes().all(|byte| byte.is_ascii_digit()) && Pattern::from(host).matches(of)
            }
            _ => self.0.0 == "*" || self.0.matches(&origin),
        }
    }
}

impl<'de> Deserialize<'de> for OriginPattern {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl FromStr for OriginPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // `null` is what a browser sends for a page from a file.
        let opaque = matches!(text, "*" | "null");
        let host = text.split_once("://").map(|(_, host)| host);
        if opaque || host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
            return Ok(Self(Pattern(text.to_ascii_lowercase())));
        }
        Err(format!(
            "`{text}` is not an origin: write scheme and host without a path, such as https://example.org"
        ))
    }
}
