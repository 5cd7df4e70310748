//! The messages of spec v2, as they were frozen: names, members and types on the wire.
//!
//! Values are not checked against ranges here, and nothing is converted; the dialect of v2 does both. The raw
//! commands, `RSSILevelCmd` and `RequestLog` (which the schema of v2 tolerates) are here so that a server can refuse them with
//! their Id instead of saying nothing.

use serde::{Deserialize, Serialize};

/// Whatever a client of v2 may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The handshake.
    RequestServerInfo(RequestServerInfo),
    /// Restarts the ping deadline.
    Ping(Plain),
    /// Asks for a log, from a level on; a wish that v2 has no message to fulfil with.
    RequestLog(RequestLog),
    /// Starts looking for devices.
    StartScanning(Plain),
    /// Stops looking for devices.
    StopScanning(Plain),
    /// Asks which devices are connected.
    RequestDeviceList(Plain),
    /// Stops one device.
    StopDeviceCmd(DeviceOnly),
    /// Stops every device.
    StopAllDevices(Plain),
    /// Sets the level of some vibrators of a device.
    VibrateCmd(VibrateCmd),
    /// Sets speed and direction of some rotating features of a device.
    RotateCmd(RotateCmd),
    /// Moves some features of a device to a position in a given time.
    LinearCmd(LinearCmd),
    /// Asks for the charge of a device's battery.
    BatteryLevelCmd(DeviceOnly),
    /// Asks for the strength of a device's radio signal.
    RSSILevelCmd(DeviceOnly),
    /// Writes bytes to an endpoint.
    RawWriteCmd(RawWriteCmd),
    /// Reads bytes from an endpoint.
    RawReadCmd(RawReadCmd),
    /// Asks for what an endpoint sends.
    RawSubscribeCmd(RawEndpoint),
    /// Ends a `RawSubscribeCmd`.
    RawUnsubscribeCmd(RawEndpoint),
}

/// Whatever a server may send to a client of v2.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// The answer to the handshake.
    ServerInfo(ServerInfo),
    /// The request was carried out.
    Ok(Plain),
    /// The request failed, or (Id 0) the session has a problem.
    Error(Error),
    /// The scan that the client asked for has ended.
    ScanningFinished(Plain),
    /// The devices that are connected.
    DeviceList(DeviceList),
    /// A device has connected.
    DeviceAdded(DeviceAdded),
    /// A device has gone.
    DeviceRemoved(DeviceOnly),
    /// The charge of a battery.
    BatteryLevelReading(BatteryLevelReading),
    /// The strength of a radio signal.
    RSSILevelReading(RSSILevelReading),
    /// Bytes of an endpoint.
    RawReading(RawReading),
}

/// A message that has nothing but its Id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Plain {
    /// Id of the request, or 0 in an event.
    pub id: u32,
}

/// A message that names a device and nothing else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceOnly {
    /// Id of the request, or 0 in an event.
    pub id: u32,
    /// The device.
    pub device_index: u32,
}

/// Body of `RequestServerInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestServerInfo {
    /// Id of the request.
    pub id: u32,
    /// Free text for people; may be empty.
    pub client_name: String,
    /// The newest spec version that the client knows.
    pub message_version: u32,
}

/// Body of `ServerInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServerInfo {
    /// Id of the request.
    pub id: u32,
    /// Free text for people.
    pub server_name: String,
    /// The spec version of the session; never above the client's.
    pub message_version: u32,
    /// Longest time between two pings in milliseconds; 0 means that none are wanted.
    pub max_ping_time: u32,
}

/// Body of `Error`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Error {
    /// Id of the request, or 0.
    pub id: u32,
    /// What went wrong, for people.
    pub error_message: String,
    /// Class of the error, 0 to 4.
    pub error_code: u32,
}

/// Body of `RequestLog`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RequestLog {
    /// Id of the request.
    pub id: u32,
    /// The least severe level that is wanted.
    pub log_level: LogLevel,
}

/// Levels of the server's log, as older clients name them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the whole meaning")]
pub enum LogLevel {
    #[serde(alias = "off")]
    Off,
    #[serde(alias = "fatal")]
    Fatal,
    #[serde(alias = "error")]
    Error,
    #[serde(alias = "warn")]
    Warn,
    #[serde(alias = "info")]
    Info,
    #[serde(alias = "debug")]
    Debug,
    #[serde(alias = "trace")]
    Trace,
}

/// Body of `DeviceList`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceList {
    /// Id of the request.
    pub id: u32,
    /// The devices that are connected.
    pub devices: Vec<Device>,
}

/// One device of a `DeviceList`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Device {
    /// Number of the device, its own for life.
    pub device_index: u32,
    /// Name of the model.
    pub device_name: String,
    /// The messages that the device takes.
    pub device_messages: DeviceMessages,
}

/// Body of `DeviceAdded`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DeviceAdded {
    /// Always 0.
    pub id: u32,
    /// Number of the device, its own for life.
    pub device_index: u32,
    /// Name of the model.
    pub device_name: String,
    /// The messages that the device takes.
    pub device_messages: DeviceMessages,
}

/// The messages that a device takes, each with its attributes. An absent member means: not taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceMessages {
    /// Levels for vibrators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vibrate_cmd: Option<FeatureSteps>,
    /// Speeds with direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate_cmd: Option<FeatureSteps>,
    /// Positions with duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear_cmd: Option<FeatureSteps>,
    /// The battery can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_level_cmd: Option<Empty>,
    /// The signal strength can be read.
    #[serde(rename = "RSSILevelCmd", alias = "RssiLevelCmd", skip_serializing_if = "Option::is_none")]
    pub rssi_level_cmd: Option<Empty>,
    /// Endpoints that take bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_write_cmd: Option<Endpoints>,
    /// Endpoints that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_read_cmd: Option<Endpoints>,
    /// Endpoints that send bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw_subscribe_cmd: Option<Endpoints>,
    /// Every device can be stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_device_cmd: Option<Empty>,
}

/// Attributes of a message that has none: an empty map.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Empty {}

/// Attributes of a message that addresses features by index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FeatureSteps {
    /// How many features take the message; their indexes are below it.
    pub feature_count: u32,
    /// Number of steps above rest, one entry a feature.
    pub step_count: Vec<u32>,
}

/// Attributes of a raw message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Endpoints {
    /// Names of the endpoints.
    pub endpoints: Vec<String>,
}

/// Body of `VibrateCmd`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VibrateCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// One entry a vibrator; those left out keep their level.
    pub speeds: Vec<Speed>,
}

/// The level of one vibrator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Speed {
    /// Which of the device's vibrators.
    pub index: u32,
    /// Level, 0 to 1.
    pub speed: f64,
}

/// Body of `RotateCmd`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RotateCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// One entry a rotating feature; those left out keep their speed.
    pub rotations: Vec<Rotation>,
}

/// Speed and direction of one rotating feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rotation {
    /// Which of the device's rotating features.
    pub index: u32,
    /// Level, 0 to 1.
    pub speed: f64,
    /// Direction.
    pub clockwise: bool,
}

/// Body of `LinearCmd`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LinearCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// One entry a moving feature; may be empty.
    pub vectors: Vec<Vector>,
}

/// The movement of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Vector {
    /// Which of the device's moving features.
    pub index: u32,
    /// Time for the movement in milliseconds.
    pub duration: u32,
    /// Where to move to, 0 to 1.
    pub position: f64,
}

/// Body of `BatteryLevelReading`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BatteryLevelReading {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Charge, 0 to 1.
    pub battery_level: f64,
}

/// Body of `RSSILevelReading`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RSSILevelReading {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Strength in dBm, -100 to 0.
    #[serde(rename = "RSSILevel", alias = "RssiLevel")]
    pub rssi_level: i32,
}

/// Body of `RawWriteCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RawWriteCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Name of the endpoint.
    pub endpoint: String,
    /// The bytes.
    pub data: Vec<u8>,
    /// Whether the device is to confirm the write.
    pub write_with_response: bool,
}

/// Body of `RawReadCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RawReadCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Name of the endpoint.
    pub endpoint: String,
    /// How many bytes are wanted; 0 for as many as there are. Some clients call it `Length`.
    #[serde(alias = "Length")]
    pub expected_length: u32,
    /// Whether to wait until there are that many.
    pub wait_for_data: bool,
}

/// Body of `RawSubscribeCmd` and `RawUnsubscribeCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RawEndpoint {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Name of the endpoint.
    pub endpoint: String,
}

/// Body of `RawReading`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RawReading {
    /// Id of the request, or 0 when it comes from a subscription.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Name of the endpoint.
    pub endpoint: String,
    /// The bytes.
    pub data: Vec<u8>,
}
