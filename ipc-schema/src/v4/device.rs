//! How v4 describes devices: their features, and the outputs and inputs of each. No commands.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Body of `DeviceList`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceList {
    /// Id of the request, or 0 when the devices have changed.
    pub id: u32,
    /// All devices that are connected, by their index. The keys are decimal text in JSON, integers in MessagePack.
    pub devices: BTreeMap<u32, Device>,
}

/// One connected device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    /// Number of the device, its own for life.
    pub device_index: u32,
    /// Name of the model.
    pub device_name: String,
    /// The name that the user gave to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_display_name: Option<String>,
    /// Least time between two commands that makes sense, in milliseconds.
    pub device_message_timing_gap: u32,
    /// What the device can do, by feature index. Indexes may have gaps.
    pub device_features: BTreeMap<u32, Feature>,
}

/// One feature of a device: a motor, a sensor, a battery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Feature {
    /// Number of the feature, its key in the map.
    pub feature_index: u32,
    /// Text for people; may be empty.
    pub feature_description: String,
    /// What can be set; absent when nothing can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<BTreeMap<OutputType, OutputProperties>>,
    /// What can be read; absent when nothing can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<BTreeMap<InputType, InputProperties>>,
}

/// What an output does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum OutputType {
    /// Vibration; 0 is rest.
    #[serde(alias = "vibrate")]
    Vibrate,
    /// Rotation; 0 is rest, positive is clockwise.
    #[serde(alias = "rotate")]
    Rotate,
    /// Strokes at a speed; 0 is rest.
    #[serde(alias = "oscillate")]
    Oscillate,
    /// Pressure on what is inside; 0 is rest.
    #[serde(alias = "constrict")]
    Constrict,
    /// Heat or cold.
    #[serde(alias = "temperature")]
    Temperature,
    /// Light.
    #[serde(alias = "led", alias = "LED")]
    Led,
    /// A spray of fluid: an act, not a level.
    #[serde(alias = "spray")]
    Spray,
    /// A place to be at, as fast as the device can.
    #[serde(alias = "position")]
    Position,
    /// A place to be at after a given time.
    #[serde(alias = "hwPositionWithDuration", alias = "hw_position_with_duration")]
    HwPositionWithDuration,
}

/// The limits of an output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct OutputProperties {
    /// Least and greatest value, both allowed.
    pub value: [i32; 2],
    /// Shortest and longest duration in milliseconds; only for `HwPositionWithDuration`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<[u32; 2]>,
}

/// What an input measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum InputType {
    /// Charge of the battery in percent.
    #[serde(alias = "battery")]
    Battery,
    /// Strength of the radio signal in dBm. Written as the spec has it; the reference server says `Rssi`.
    #[serde(rename = "RSSI", alias = "Rssi", alias = "rssi")]
    Rssi,
    /// A button: 1 while pressed.
    #[serde(alias = "button")]
    Button,
    /// Pressure in the sensor's own unit.
    #[serde(alias = "pressure")]
    Pressure,
    /// Depth in the sensor's own unit. The spec has no reading for it.
    #[serde(alias = "depth")]
    Depth,
    /// Position in the sensor's own unit. The spec has no reading for it.
    #[serde(alias = "position")]
    Position,
}

/// The limits of an input, and what can be asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct InputProperties {
    /// Least and greatest value of each axis.
    pub value: Vec<[i32; 2]>,
    /// What can be asked; `Unsubscribe` goes without saying.
    pub command: Vec<InputCommand>,
}

/// What to do with an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum InputCommand {
    /// Read it once; the answer is an `InputReading`.
    #[serde(alias = "read")]
    Read,
    /// Send an `InputReading` with Id 0 for each new value.
    #[serde(alias = "subscribe")]
    Subscribe,
    /// End the subscription.
    #[serde(alias = "unsubscribe")]
    Unsubscribe,
}
