//! What this server can do beyond spec v4: the extensions, how a client asks for them and how they are granted.
//!
//! A client lists names in `Extensions` of its handshake, the server answers with those that it grants. A session has nothing of
//! an extension that it did not ask for, so a strict client never sees a byte that the spec does not have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One extension.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extension {
    /// `Error` has a member `ErrorReason`, and error classes 5 and 6 are sent as such.
    ErrorReason,
    /// The handshake may have a member `PingTime`: a ping deadline in milliseconds, shorter than the server's own.
    PingTime,
    /// The messages `Reserve` and `Release`: a device or feature for one session alone.
    Reserve,
    /// The messages that show and steer the service: its status, its sessions, the live values of outputs.
    Monitor,
    /// The device list has the strength of the signal as an input (`RSSI`), of devices that are reached by radio. The spec has that
    /// input, but widely used clients do not take its name and lose the whole list over it.
    Rssi,
}

impl Extension {
    /// All extensions that this version knows.
    pub const ALL: [Self; 5] = [Self::ErrorReason, Self::PingTime, Self::Reserve, Self::Monitor, Self::Rssi];

    /// Its name in the handshake.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ErrorReason => "error-reason",
            Self::PingTime => "ping-time",
            Self::Reserve => "reserve",
            Self::Monitor => "monitor",
            Self::Rssi => "rssi",
        }
    }

    /// The extension of this name; `None` for a name that this version does not know.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|extension| extension.name() == name)
    }

    const fn bit(self) -> u8 {
        match self {
            Self::ErrorReason => 1,
            Self::PingTime => 2,
            Self::Reserve => 4,
            Self::Monitor => 8,
            Self::Rssi => 16,
        }
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A set of extensions: those that a server offers, or those that a session has.
#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct Extensions(u8);

impl Extensions {
    /// No extension: what every session has that did not ask.
    pub const NONE: Self = Self(0);

    /// All extensions that this version knows.
    pub fn all() -> Self {
        Extension::ALL.into_iter().collect()
    }

    /// This set with one extension more.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Self {
        Self(self.0 | extension.bit())
    }

    /// Whether the extension is in the set.
    pub const fn contains(self, extension: Extension) -> bool {
        self.0 & extension.bit() != 0
    }

    /// What a session gets that asked for `names`: those that are offered. Names that nobody knows are passed over, since a
    /// newer client may ask an older server.
    pub fn grant<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        names.into_iter().filter_map(Extension::parse).filter(|extension| self.contains(*extension)).collect()
    }

    /// The extensions of the set, in a fixed order.
    pub fn iter(self) -> impl Iterator<Item = Extension> {
        Extension::ALL.into_iter().filter(move |extension| self.contains(*extension))
    }

    /// The names of the set, as they go into `Extensions` of a handshake.
    pub fn names(self) -> Vec<String> {
        self.iter().map(|extension| extension.name().to_owned()).collect()
    }
}

impl FromIterator<Extension> for Extensions {
    fn from_iter<I: IntoIterator<Item = Extension>>(extensions: I) -> Self {
        extensions.into_iter().fold(Self::NONE, Self::with)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.iter().map(Extension::name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_gets_what_it_asks_for_and_what_is_offered() {
        let offered = Extensions::NONE.with(Extension::ErrorReason).with(Extension::Monitor);
        let granted = offered.grant(["monitor", "reserve", "telepathy"]);
        assert_eq!(granted.names(), ["monitor"]);
        assert_eq!(offered.grant([]), Extensions::NONE);
    }

    #[test]
    fn names_are_read_back() {
        for extension in Extension::ALL {
            assert_eq!(Extension::parse(extension.name()), Some(extension));
            assert_eq!(serde_json::to_value(extension).unwrap(), extension.name());
        }
        assert_eq!(Extensions::all().iter().count(), Extension::ALL.len());
    }
}
