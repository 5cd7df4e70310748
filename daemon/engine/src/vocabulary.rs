//! The nouns that every part of the engine shares: kinds of outputs and inputs, and the ids of things.
//!
//! Nothing here is a wire type. The dialects translate these words into the spec's own.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an output does to the world.
///
/// The names in definition files are the kebab-case forms (`position-with-duration`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OutputKind {
    /// Strength of a vibration motor.
    Vibrate,
    /// Speed of a rotation; negative is counter-clockwise, where the range has negative values.
    Rotate,
    /// Speed of a back-and-forth movement.
    Oscillate,
    /// Strength of suction or squeeze.
    Constrict,
    /// Heating (or cooling) level.
    Temperature,
    /// Brightness of a light.
    Led,
    /// A spray that fires.
    Spray,
    /// A place to go to as fast as the device can.
    Position,
    /// A place to go to in a given time.
    PositionWithDuration,
}

impl OutputKind {
    /// All kinds, in the order in which legacy attribute lists name them.
    pub const ALL: [Self; 9] = [
        Self::Constrict,
        Self::Temperature,
        Self::Led,
        Self::Oscillate,
        Self::Position,
        Self::PositionWithDuration,
        Self::Rotate,
        Self::Spray,
        Self::Vibrate,
    ];

    /// Whether the value is a place rather than a strength: a place has no rest, and a stop leaves it.
    #[must_use]
    pub const fn is_position(self) -> bool {
        match self {
            Self::Position | Self::PositionWithDuration => true,
            Self::Vibrate
            | Self::Rotate
            | Self::Oscillate
            | Self::Constrict
            | Self::Temperature
            | Self::Led
            | Self::Spray => false,
        }
    }

    /// The kebab-case name, as in definition files and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vibrate => "vibrate",
            Self::Rotate => "rotate",
            Self::Oscillate => "oscillate",
            Self::Constrict => "constrict",
            Self::Temperature => "temperature",
            Self::Led => "led",
            Self::Spray => "spray",
            Self::Position => "position",
            Self::PositionWithDuration => "position-with-duration",
        }
    }
}

/// What an input tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputKind {
    /// Charge in percent.
    Battery,
    /// Received signal strength in dBm, negative.
    Rssi,
    /// Pressed (1) or not (0), or the number of the button.
    Button,
    /// Pressure in the device's own unit.
    Pressure,
    /// Depth of insertion in the device's own unit.
    Depth,
    /// Where a moving part is.
    Position,
}

impl InputKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Battery, Self::Rssi, Self::Button, Self::Pressure, Self::Depth, Self::Position];

    /// The kebab-case name, as in definition files and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Battery => "battery",
            Self::Rssi => "rssi",
            Self::Button => "button",
            Self::Pressure => "pressure",
            Self::Depth => "depth",
            Self::Position => "position",
        }
    }
}

/// An inclusive range of integers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The lowest value.
    pub min: i32,
    /// The highest value, not below `min`.
    pub max: i32,
}

impl Range {
    /// The range from `min` to `max`, both included.
    #[must_use]
    pub const fn new(min: i32, max: i32) -> Self {
        Self { min, max }
    }

    /// Whether `value` lies in the range.
    #[must_use]
    pub const fn contains(self, value: i32) -> bool {
        self.min <= value && value <= self.max
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// One conversation with one client; unique for the life of the service, never reused.
    SessionId(u64)
);
id!(
    /// A device for life: kept in the state directory, never given to another.
    DeviceIndex(u32)
);
id!(
    /// One addressable ability of a device. Indexes of a device may have gaps.
    FeatureIndex(u32)
);
id!(
    /// The `Id` that a client gave its request. Clients may repeat one.
    RequestId(u32)
);
id!(
    /// One request on its way through the service; unique for the life of the service, unlike a [`RequestId`].
    Ticket(u64)
);
