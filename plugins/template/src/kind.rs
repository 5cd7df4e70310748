//! Names of output and input kinds, as definition files write them.
//!
//! The SDK has the same kinds as numbers of the C ABI; `plugin` translates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What an output does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TemplateOutputKind")]
#[allow(missing_docs, reason = "the names say it; DESIGN section 8 defines them")]
pub enum OutputKind {
    Vibrate,
    Rotate,
    Oscillate,
    Constrict,
    Temperature,
    Led,
    Spray,
    Position,
    PositionWithDuration,
}

impl OutputKind {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Vibrate,
        Self::Rotate,
        Self::Oscillate,
        Self::Constrict,
        Self::Temperature,
        Self::Led,
        Self::Spray,
        Self::Position,
        Self::PositionWithDuration,
    ];

    /// The name in definition files.
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

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether the value is a place: it has no rest, and a stop leaves it.
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
}

/// What an input tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "TemplateInputKind")]
#[allow(missing_docs, reason = "the names say it; DESIGN section 8 defines them")]
pub enum InputKind {
    Battery,
    Rssi,
    Button,
    Pressure,
    Depth,
    Position,
}

impl InputKind {
    /// The name in definition files.
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
