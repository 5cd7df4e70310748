//! What can go wrong, in two words: the class that every spec version has, and our reason, which says exactly what happened.
//!
//! Both lists are closed. A reason belongs to one class; a class that a client would not know is sent to it as `Unknown`, decided
//! by one table. The text beside them is for people and may change at any time.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::dbus;
use crate::extension::{Extension, Extensions};
use crate::version::SpecVersion;

/// The coarse kind of an error, `ErrorCode` on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// 0: the service itself has a problem, or the class is one that the client would not know.
    Unknown,
    /// 1: the handshake is missing, repeated, or cannot be served.
    Handshake,
    /// 2: the ping deadline has passed.
    Ping,
    /// 3: a message cannot be read.
    Message,
    /// 4: a device, or the way to it, cannot do what was asked.
    Device,
    /// 5: the user or another session does not allow it.
    Permission,
    /// 6: too many, too large, or too fast.
    Limit,
}

/// Since when clients know a class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// Every client of this spec version or a newer one.
    Version(SpecVersion),
    /// Only clients that have negotiated the extension.
    Extension(Extension),
}

/// Which class is known to whom. Whoever does not know a class gets `Unknown`.
const KNOWN_SINCE: [(Class, Since); 7] = [
    (Class::Unknown, Since::Version(SpecVersion::V0)),
    (Class::Handshake, Since::Version(SpecVersion::V0)),
    (Class::Ping, Since::Version(SpecVersion::V0)),
    (Class::Message, Since::Version(SpecVersion::V0)),
    (Class::Device, Since::Version(SpecVersion::V0)),
    (Class::Permission, Since::Extension(Extension::ErrorReason)),
    (Class::Limit, Since::Extension(Extension::ErrorReason)),
];

impl Class {
    /// All classes in the order of their codes.
    pub const ALL: [Self; 7] = [
        Self::Unknown,
        Self::Handshake,
        Self::Ping,
        Self::Message,
        Self::Device,
        Self::Permission,
        Self::Limit,
    ];

    /// The number on the wire.
    pub const fn code(self) -> u32 {
        match self {
            Self::Unknown => 0,
            Self::Handshake => 1,
            Self::Ping => 2,
            Self::Message => 3,
            Self::Device => 4,
            Self::Permission => 5,
            Self::Limit => 6,
        }
    }

    /// The class of this number; `Unknown` for one that nobody has defined yet.
    pub fn from_code(code: u32) -> Self {
        Self::ALL.into_iter().find(|class| class.code() == code).unwrap_or(Self::Unknown)
    }

    /// The name, as it stands in the names of D-Bus errors.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "Unknown",
            Self::Handshake => "Handshake",
            Self::Ping => "Ping",
            Self::Message => "Message",
            Self::Device => "Device",
            Self::Permission => "Permission",
            Self::Limit => "Limit",
        }
    }

    /// Since which version, or with which extension, clients know this class.
    pub fn since(self) -> Since {
        KNOWN_SINCE
            .into_iter()
            .find_map(|(class, since)| (class == self).then_some(since))
            .unwrap_or(Since::Version(SpecVersion::V0))
    }

    /// The class to send to a client: this one if the client knows it, else `Unknown`.
    #[must_use]
    pub fn for_client(self, version: SpecVersion, granted: Extensions) -> Self {
        let known = match self.since() {
            Since::Version(since) => version >= since,
            Since::Extension(extension) => granted.contains(extension),
        };
        if known { self } else { Self::Unknown }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// What happened. On the wire it is a word in kebab case (`value-out-of-range`), on D-Bus the end of the error's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Something in the service failed that should not have. Please report it with the service's log.
    Internal,
    /// The service is ending. Connect again when it is back.
    ShuttingDown,

    /// Another message came before `RequestServerInfo`. Send the handshake first.
    HandshakeExpected,
    /// The handshake came a second time. A session has one; open a new connection for another.
    HandshakeRepeated,
    /// `RequestServerInfo` lacks a member or has one of a wrong type. The text names it.
    HandshakeMalformed,
    /// No handshake came in time, and the connection was closed. Send it right after connecting.
    HandshakeTimedOut,
    /// The client asked for a spec version that this service does not know. Use version 4 or older.
    VersionNotSupported,
    /// The session has ended (disconnected, or its ping was missed). Open a new connection.
    SessionClosed,

    /// No `Ping` came within `MaxPingTime`; the session's outputs were stopped. Ping at a third of it.
    PingMissed,

    /// The payload is not an array of messages: no JSON or MessagePack, no array, an empty array, bytes after it. Mend the encoder.
    MalformedFrame,
    /// A message is no map with one key, lacks a member, is nested too deep, or names something that the spec does not have. The text says where.
    MalformedMessage,
    /// The spec version of the session has no such message from a client. The text says which version has it, if one has.
    UnknownMessage,
    /// `Id` is missing, 0, negative, above 4294967295 or no whole number. Use 1 to 4294967295.
    InvalidId,
    /// A member has another type than the spec says: text for a number, a fraction for a whole number, a number that does not fit. The text
    /// says where.
    InvalidValueType,
    /// The message belongs to an extension that the session did not ask for. Name it in `Extensions` of the handshake.
    ExtensionRequired,
    /// The spec has the message, but no device takes it any more (`KiirooCmd`, `LovenseCmd`). Use what the device list offers.
    MessageNotSupported,
    /// Raw access to devices does not exist here. Use what the device list offers.
    RawNotSupported,
    /// The client asked for an error (`Test` with the text `Error`), and here it is.
    TestRequested,

    /// There never was a device of this index. Take the indexes of the device list.
    DeviceUnknown,
    /// The device is known but not connected. Switch it on, scan, wait for it in the device list.
    DeviceNotConnected,
    /// The device went away while the command was on its way. Wait for it in the device list.
    DeviceLost,
    /// The device has no feature of this index. Take the indexes of the device list.
    FeatureUnknown,
    /// The feature has no output of this kind. Take the kinds of the device list.
    OutputNotSupported,
    /// The feature has no input of this kind, or not this way of reading it. Take the kinds and commands of the device list.
    InputNotSupported,
    /// The value lies outside the output's range; it is never clamped. Take the range of the device list.
    ValueOutOfRange,
    /// The duration lies outside the output's range. Take the range of the device list.
    DurationOutOfRange,
    /// The user has switched this output off in the configuration. Only the user can change that.
    OutputDisabled,
    /// The device, or the bus to it, refused the bytes. Try again; look at distance and battery.
    WriteFailed,
    /// The device did not take the bytes in time. Try again; look at distance and battery.
    WriteTimedOut,
    /// The device refused to be read. Try again; look at distance and battery.
    ReadFailed,
    /// The device did not answer the read in time. Try again; look at distance and battery.
    ReadTimedOut,
    /// The device refused the subscription, or its end. Try again; look at distance and battery.
    SubscribeFailed,
    /// The plugin of the device failed, and the device was let go. Please report it with the service's log.
    PluginFailed,
    /// The device was found but could not be prepared. Switch it off and on; the log says which step failed.
    BringUpFailed,
    /// The device works only for those who are paired with it, and the service could not pair. The text has the command for the user.
    PairingRequired,
    /// The machine is about to sleep, and everything was stopped for that. Send the value again once it is awake.
    Suspending,
    /// The bus that the device needs is switched off or missing. `buttplugctl status` says what to do.
    TransportUnavailable,
    /// There is no bus at all on which a scan could find anything. `buttplugctl status` says what to do.
    NoTransport,
    /// Every bus that could have been scanned refused. `buttplugctl status` says what to do.
    ScanFailed,

    /// Another session has reserved the device or feature; the text names it. Ask its user.
    Reserved,
    /// The service's configuration does not allow this to this client. Only the user can change that.
    NotAllowed,
    /// The user has ended this session. Do not connect again by yourself.
    DisconnectedByUser,

    /// As many sessions as the service takes are open. Close one, or raise the limit in the configuration.
    TooManySessions,
    /// More requests wait for their answer than a session may have. Wait for answers before sending more.
    TooManyRequests,
    /// A frame is larger than the limit, and the connection was closed. Send less at once.
    FrameTooLarge,
    /// The client did not read what was sent to it, and the connection was closed. Read all the time.
    SlowReader,
}

impl Reason {
    /// All reasons, by class.
    pub const ALL: [Self; 46] = [
        Self::Internal,
        Self::ShuttingDown,
        Self::HandshakeExpected,
        Self::HandshakeRepeated,
        Self::HandshakeMalformed,
        Self::HandshakeTimedOut,
        Self::VersionNotSupported,
        Self::SessionClosed,
        Self::PingMissed,
        Self::MalformedFrame,
        Self::MalformedMessage,
        Self::UnknownMessage,
        Self::InvalidId,
        Self::InvalidValueType,
        Self::ExtensionRequired,
        Self::MessageNotSupported,
        Self::RawNotSupported,
        Self::TestRequested,
        Self::DeviceUnknown,
        Self::DeviceNotConnected,
        Self::DeviceLost,
        Self::FeatureUnknown,
        Self::OutputNotSupported,
        Self::InputNotSupported,
        Self::ValueOutOfRange,
        Self::DurationOutOfRange,
        Self::OutputDisabled,
        Self::WriteFailed,
        Self::WriteTimedOut,
        Self::ReadFailed,
        Self::ReadTimedOut,
        Self::SubscribeFailed,
        Self::PluginFailed,
        Self::BringUpFailed,
        Self::PairingRequired,
        Self::Suspending,
        Self::TransportUnavailable,
        Self::NoTransport,
        Self::ScanFailed,
        Self::Reserved,
        Self::NotAllowed,
        Self::DisconnectedByUser,
        Self::TooManySessions,
        Self::TooManyRequests,
        Self::FrameTooLarge,
        Self::SlowReader,
    ];

    /// The word on the wire, and the class.
    const fn entry(self) -> (&'static str, Class) {
        match self {
            Self::Internal => ("internal", Class::Unknown),
            Self::ShuttingDown => ("shutting-down", Class::Unknown),
            Self::HandshakeExpected => ("handshake-expected", Class::Handshake),
            Self::HandshakeRepeated => ("handshake-repeated", Class::Handshake),
            Self::HandshakeMalformed => ("handshake-malformed", Class::Handshake),
            Self::HandshakeTimedOut => ("handshake-timed-out", Class::Handshake),
            Self::VersionNotSupported => ("version-not-supported", Class::Handshake),
            Self::SessionClosed => ("session-closed", Class::Handshake),
            Self::PingMissed => ("ping-missed", Class::Ping),
            Self::MalformedFrame => ("malformed-frame", Class::Message),
            Self::MalformedMessage => ("malformed-message", Class::Message),
            Self::UnknownMessage => ("unknown-message", Class::Message),
            Self::InvalidId => ("invalid-id", Class::Message),
            Self::InvalidValueType => ("invalid-value-type", Class::Message),
            Self::ExtensionRequired => ("extension-required", Class::Message),
            Self::MessageNotSupported => ("message-not-supported", Class::Message),
            Self::RawNotSupported => ("raw-not-supported", Class::Message),
            Self::TestRequested => ("test-requested", Class::Message),
            Self::DeviceUnknown => ("device-unknown", Class::Device),
            Self::DeviceNotConnected => ("device-not-connected", Class::Device),
            Self::DeviceLost => ("device-lost", Class::Device),
            Self::FeatureUnknown => ("feature-unknown", Class::Device),
            Self::OutputNotSupported => ("output-not-supported", Class::Device),
            Self::InputNotSupported => ("input-not-supported", Class::Device),
            Self::ValueOutOfRange => ("value-out-of-range", Class::Device),
            Self::DurationOutOfRange => ("duration-out-of-range", Class::Device),
            Self::OutputDisabled => ("output-disabled", Class::Device),
            Self::WriteFailed => ("write-failed", Class::Device),
            Self::WriteTimedOut => ("write-timed-out", Class::Device),
            Self::ReadFailed => ("read-failed", Class::Device),
            Self::ReadTimedOut => ("read-timed-out", Class::Device),
            Self::SubscribeFailed => ("subscribe-failed", Class::Device),
            Self::PluginFailed => ("plugin-failed", Class::Device),
            Self::BringUpFailed => ("bring-up-failed", Class::Device),
            Self::PairingRequired => ("pairing-required", Class::Device),
            Self::Suspending => ("suspending", Class::Device),
            Self::TransportUnavailable => ("transport-unavailable", Class::Device),
            Self::NoTransport => ("no-transport", Class::Device),
            Self::ScanFailed => ("scan-failed", Class::Device),
            Self::Reserved => ("reserved", Class::Permission),
            Self::NotAllowed => ("not-allowed", Class::Permission),
            Self::DisconnectedByUser => ("disconnected-by-user", Class::Permission),
            Self::TooManySessions => ("too-many-sessions", Class::Limit),
            Self::TooManyRequests => ("too-many-requests", Class::Limit),
            Self::FrameTooLarge => ("frame-too-large", Class::Limit),
            Self::SlowReader => ("slow-reader", Class::Limit),
        }
    }

    /// The word on the wire, in kebab case.
    pub const fn word(self) -> &'static str {
        self.entry().0
    }

    /// The class that the reason belongs to.
    pub const fn class(self) -> Class {
        self.entry().1
    }

    /// The reason of this word; `None` for a word that this version does not know.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.word() == word)
    }

    /// The name of the D-Bus error, such as `org.buttplugd.Buttplug1.Error.Device.ValueOutOfRange`.
    pub fn dbus_name(self) -> String {
        let mut name = format!("{}.{}.", dbus::ERROR_PREFIX, self.class());
        for part in self.word().split('-') {
            let mut letters = part.chars();
            name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
            name.push_str(letters.as_str());
        }
        name
    }

    /// The reason behind the name of a D-Bus error; `None` for an error that is not ours.
    pub fn from_dbus_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.dbus_name() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.word())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_is_in_the_list_and_has_the_word_of_its_variant() {
        let variants = crate::codec::message_names::<Reason>();
        assert_eq!(variants, Reason::ALL.map(Reason::word));
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.word()), Some(reason));
            assert_eq!(Reason::from_dbus_name(&reason.dbus_name()), Some(reason));
        }
    }

    #[test]
    fn every_class_is_in_the_table_once() {
        for (class, (listed, _)) in Class::ALL.into_iter().zip(KNOWN_SINCE) {
            assert_eq!(class, listed);
            assert_eq!(Class::from_code(class.code()), class);
        }
        assert_eq!(Class::from_code(77), Class::Unknown);
    }

    #[test]
    fn a_class_that_the_client_would_not_know_is_sent_as_unknown() {
        let asked = Extensions::NONE.with(Extension::ErrorReason);
        assert_eq!(Class::Permission.for_client(SpecVersion::V4, asked), Class::Permission);
        assert_eq!(Class::Permission.for_client(SpecVersion::V4, Extensions::NONE), Class::Unknown);
        assert_eq!(Class::Limit.for_client(SpecVersion::V0, Extensions::NONE), Class::Unknown);
        assert_eq!(Class::Device.for_client(SpecVersion::V0, Extensions::NONE), Class::Device);
    }

    #[test]
    fn names_on_the_bus_are_in_camel_case() {
        assert_eq!(
            Reason::ValueOutOfRange.dbus_name(),
            "org.buttplugd.Buttplug1.Error.Device.ValueOutOfRange"
        );
        assert_eq!(Reason::from_dbus_name("org.freedesktop.DBus.Error.Failed"), None);
    }
}
