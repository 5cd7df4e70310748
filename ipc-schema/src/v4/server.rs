//! Bodies of the messages that a server sends to a client of v4, but for the description of devices.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::device::InputType;

/// Body of `ServerInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ServerInfo {
    /// Id of the request.
    pub id: u32,
    /// Free text for people.
    pub server_name: String,
    /// The spec version of the session; never above the client's.
    pub protocol_version_major: u32,
    /// The minor version of it.
    pub protocol_version_minor: u32,
    /// Longest time between two pings in milliseconds; 0 means that none are wanted.
    pub max_ping_time: u32,
    /// Ours: the extensions that the session has, out of those that were asked for. Absent when none were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extensions: Option<Vec<String>>,
}

/// Body of `Error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Error {
    /// Id of the request, or 0.
    pub id: u32,
    /// What went wrong, for people.
    pub error_message: String,
    /// Class of the error: 0 to 4, with extension `error-reason` also 5 and 6.
    pub error_code: u32,
    /// Extension `error-reason`: one word of the documented list. A newer server may have words that a client does not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_reason: Option<String>,
}

/// Body of `InputReading`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct InputReading {
    /// Id of the request, or 0 when it comes from a subscription.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// The feature.
    pub feature_index: u32,
    /// Which input of the feature, and its value.
    pub reading: Reading,
}

/// One input and its value: a map with exactly one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Reading {
    /// Charge of the battery in percent.
    Battery(ReadingValue<u8>),
    /// Strength of the radio signal in dBm.
    #[serde(rename = "RSSI", alias = "Rssi")]
    Rssi(ReadingValue<i8>),
    /// A button: 1 while pressed.
    Button(ReadingValue<u8>),
    /// Pressure in the sensor's own unit.
    Pressure(ReadingValue<u32>),
}

impl Reading {
    /// The kind of input that was read.
    pub fn input_type(&self) -> InputType {
        match self {
            Self::Battery(_) => InputType::Battery,
            Self::Rssi(_) => InputType::Rssi,
            Self::Button(_) => InputType::Button,
            Self::Pressure(_) => InputType::Pressure,
        }
    }

    /// The value, whatever its width on the wire.
    pub fn value(&self) -> i64 {
        match self {
            Self::Battery(reading) | Self::Button(reading) => i64::from(reading.value),
            Self::Rssi(reading) => i64::from(reading.value),
            Self::Pressure(reading) => i64::from(reading.value),
        }
    }
}

/// The value of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReadingValue<T> {
    /// In the input's own unit.
    pub value: T,
}
