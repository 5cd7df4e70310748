//! Extension `monitor`: what a program needs that shows or steers the service itself, such as `buttplugctl`. Not part of the
//! spec; a session that did not ask for the extension never sees a byte of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::device::OutputType;

/// Body of `DisconnectClient`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct DisconnectClient {
    /// Id of the request.
    pub id: u32,
    /// The session to end, from `Clients`.
    pub session_id: u32,
}

/// Body of `Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Status {
    /// Id of the request.
    pub id: u32,
    /// Version of the service.
    pub server_version: String,
    /// Seconds since the service was ready.
    pub uptime: u64,
    /// Whether a scan is running.
    pub scanning: bool,
    /// Every bus that the service was built for, in a fixed order.
    pub transports: Vec<TransportStatus>,
    /// Every device that the service knows, also those that are not connected, by index.
    pub devices: Vec<DeviceStatus>,
    /// How many sessions are open, this one included.
    pub sessions: u32,
    /// How many device models the loaded definitions describe.
    pub definitions: u32,
    /// What the definition files and plugins of all layers have wrong with them, one line each; empty when all is well.
    pub warnings: Vec<String>,
}

/// One bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct TransportStatus {
    /// Its name: `ble`, `serial`, `hid`, `simulated` and so on.
    pub name: String,
    /// Whether it can be used.
    pub state: TransportState,
    /// Why it cannot be used, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What the user can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// Whether a bus can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TransportState {
    /// Devices are found and driven on it.
    Ready,
    /// The configuration, or the user's Bluetooth switch, has it off.
    Off,
    /// Something that it needs is missing.
    Unavailable,
}

/// One device that the service knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceStatus {
    /// Number of the device, its own for life.
    pub device_index: u32,
    /// Name of the model.
    pub device_name: String,
    /// The name that the user gave to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_display_name: Option<String>,
    /// Name of the bus on which it was seen last; empty if it was not seen since the service started.
    pub transport: String,
    /// Name of the protocol that it speaks.
    pub protocol: String,
    /// What it is doing.
    pub state: DeviceState,
    /// Why it is not connected although it could be, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Charge of its battery in percent, when that was last read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub battery: Option<u8>,
}

/// What a device is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceState {
    /// It takes commands.
    Connected,
    /// It was found and is being prepared.
    Connecting,
    /// It is out of reach or switched off.
    Absent,
    /// The user does not want it to be used.
    Denied,
}

/// Body of `Clients`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Clients {
    /// Id of the request.
    pub id: u32,
    /// The sessions, oldest first.
    pub clients: Vec<ClientStatus>,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ClientStatus {
    /// Number of the session, never used for another while the service runs.
    pub session_id: u32,
    /// What the client calls itself.
    pub client_name: String,
    /// The way it came: `socket`, `websocket` or `dbus`.
    pub front: String,
    /// The spec version that it speaks.
    pub spec_version: u32,
    /// Process of the client, where the front can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process_id: Option<u32>,
    /// Path of its program, where the front can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executable: Option<String>,
    /// The web page that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// Seconds since its handshake.
    pub connected: u64,
    /// Its ping deadline in milliseconds; 0 for none.
    pub max_ping_time: u32,
    /// The outputs that it set last and that are not at rest.
    pub drives: Vec<OutputState>,
    /// What it has reserved.
    pub reserves: Vec<ReservedFeature>,
    /// Whether the request came from this very session.
    pub own: bool,
}

/// A device or feature that a session has reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct ReservedFeature {
    /// The device.
    pub device_index: u32,
    /// The feature; the whole device when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_index: Option<u32>,
}

/// Body of `Outputs` and `OutputsChanged`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Outputs {
    /// Id of the request, or 0 in `OutputsChanged`.
    pub id: u32,
    /// `Outputs`: every output of every connected device. `OutputsChanged`: those that have changed, in their newest state.
    pub outputs: Vec<OutputState>,
}

/// The live value of one output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct OutputState {
    /// The device.
    pub device_index: u32,
    /// The feature.
    pub feature_index: u32,
    /// Which output of the feature.
    pub output: OutputType,
    /// The value that was asked for last; absent while nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<i32>,
    /// The value that the device took last; absent while that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<i32>,
    /// The session that set it last; absent when that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<u32>,
}

/// Body of `StartRecording`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct StartRecording {
    /// Id of the request.
    pub id: u32,
    /// The device, which must be connected and not be recorded by another session.
    pub device_index: u32,
    /// Whether its address and the name that the user gave it are to be in the recording.
    #[serde(default)]
    pub with_address: bool,
}

/// Body of `StopRecording`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct StopRecording {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
}

/// Body of `Recorded`. The recording ends with `StopRecording`, or when the device leaves the device list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Recorded {
    /// 0.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Lines for the file, each a JSON object; the first of a recording says what the device is. A client writes them as they are.
    pub lines: Vec<String>,
}
