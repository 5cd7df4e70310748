//! Bodies of the messages that a client of v4 sends. What a device can do is described in `device.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    device::{InputCommand, InputType, OutputType},
    single,
};

/// Body of `RequestServerInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct RequestServerInfo {
    /// Id of the request.
    pub id: u32,
    /// Free text for people; may be empty.
    pub client_name: String,
    /// The newest spec version that the client knows.
    pub protocol_version_major: u32,
    /// The newest minor version of it that the client knows.
    pub protocol_version_minor: u32,
    /// Ours: names of the extensions that the client wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<String>>,
    /// Extension `ping-time`: the longest time between two pings that the client wishes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ping_time: Option<u32>,
}

/// Body of `StopCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct StopCmd {
    /// Id of the request.
    pub id: u32,
    /// The device; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_index: Option<u32>,
    /// The feature; all of the device's when absent. Means nothing without a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_index: Option<u32>,
    /// Whether subscriptions to inputs end.
    #[serde(default = "yes")]
    pub inputs: bool,
    /// Whether outputs go to rest.
    #[serde(default = "yes")]
    pub outputs: bool,
}

fn yes() -> bool {
    true
}

/// Body of `OutputCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct OutputCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// The feature.
    pub feature_index: u32,
    /// Which output of the feature, and its value.
    pub command: OutputCommand,
}

/// One output and its value: a map with exactly one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "`OutputType` has them")]
pub enum OutputCommand {
    #[serde(alias = "vibrate")]
    Vibrate(OutputValue),
    #[serde(alias = "rotate")]
    Rotate(OutputValue),
    #[serde(alias = "oscillate")]
    Oscillate(OutputValue),
    #[serde(alias = "constrict")]
    Constrict(OutputValue),
    #[serde(alias = "temperature")]
    Temperature(OutputValue),
    #[serde(alias = "led", alias = "LED")]
    Led(OutputValue),
    #[serde(alias = "spray")]
    Spray(OutputValue),
    #[serde(alias = "position")]
    Position(OutputValue),
    #[serde(alias = "hwPositionWithDuration", alias = "hw_position_with_duration")]
    HwPositionWithDuration(TimedValue),
}

impl OutputCommand {
    /// The kind of output that is set.
    pub fn output_type(&self) -> OutputType {
        match self {
            Self::Vibrate(_) => OutputType::Vibrate,
            Self::Rotate(_) => OutputType::Rotate,
            Self::Oscillate(_) => OutputType::Oscillate,
            Self::Constrict(_) => OutputType::Constrict,
            Self::Temperature(_) => OutputType::Temperature,
            Self::Led(_) => OutputType::Led,
            Self::Spray(_) => OutputType::Spray,
            Self::Position(_) => OutputType::Position,
            Self::HwPositionWithDuration(_) => OutputType::HwPositionWithDuration,
        }
    }
}

/// A value in the output's own range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct OutputValue {
    /// Within the range that the feature states; never scaled, never clamped.
    #[serde(deserialize_with = "single::value")]
    pub value: i32,
}

/// A position in the output's own range, and the time to reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TimedValue {
    /// Within the range that the feature states; never scaled, never clamped.
    #[serde(deserialize_with = "single::value")]
    pub value: i32,
    /// Time for the movement in milliseconds.
    pub duration: u32,
}

/// Body of `InputCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct InputCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// The feature.
    pub feature_index: u32,
    /// Which input of the feature.
    #[serde(rename = "Type")]
    pub input_type: InputType,
    /// What to do with it.
    pub command: InputCommand,
}

/// Body of `Reserve` and `Release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Reservation {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// The feature; the whole device when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_index: Option<u32>,
}
