//! The messages of spec v0, as they were frozen: names, members and types on the wire.
//!
//! Values are not checked against ranges here, and nothing is converted; the dialect of v0 does both. The raw, Kiiroo and
//! Lovense commands are here so that a server can refuse them with their Id instead of saying nothing.

use serde::{Deserialize, Serialize};

/// Whatever a client of v0 may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The handshake. Without a version member it means v0.
    RequestServerInfo(RequestServerInfo),
    /// Restarts the ping deadline.
    Ping(Plain),
    /// Asks for the same text back.
    Test(Test),
    /// Asks for a log, from a level on. This server tells a session about itself only.
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
    /// Sets every vibrator of a device to one level.
    SingleMotorVibrateCmd(SingleMotorVibrateCmd),
    /// A command in the vocabulary of Kiiroo's first devices.
    KiirooCmd(TextCmd),
    /// A command in the vocabulary of Lovense's devices.
    LovenseCmd(TextCmd),
    /// A stroke of a Fleshlight Launch.
    FleshlightLaunchFW12Cmd(FleshlightLaunchFW12Cmd),
    /// A rotation of a Vorze A10 Cyclone.
    VorzeA10CycloneCmd(VorzeA10CycloneCmd),
    /// Bytes for a device; no server ever carried it out.
    RawCmd(RawCmd),
}

/// Whatever a server may send to a client of v0.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ServerMessage {
    /// The answer to the handshake.
    ServerInfo(ServerInfo),
    /// The request was carried out.
    Ok(Plain),
    /// The request failed, or (Id 0) the session has a problem.
    Error(Error),
    /// The text of the client's `Test`.
    Test(Test),
    /// One line of the server's log.
    Log(Log),
    /// The scan that the client asked for has ended.
    ScanningFinished(Plain),
    /// The devices that are connected.
    DeviceList(DeviceList),
    /// A device has connected.
    DeviceAdded(DeviceAdded),
    /// A device has gone.
    DeviceRemoved(DeviceOnly),
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
}

/// Body of `ServerInfo`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ServerInfo {
    /// Id of the request.
    pub id: u32,
    /// Free text for people.
    pub server_name: String,
    /// Version of the server's build; not of the spec.
    pub major_version: u32,
    /// Version of the server's build; not of the spec.
    pub minor_version: u32,
    /// Version of the server's build; not of the spec.
    pub build_version: u32,
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

/// Body of `Test`, in both directions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Test {
    /// Id of the request.
    pub id: u32,
    /// The text to send back; `Error` asks for an error instead.
    pub test_string: String,
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

/// Body of `Log`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Log {
    /// Always 0.
    pub id: u32,
    /// How severe the line is.
    pub log_level: LogLevel,
    /// The line.
    pub log_message: String,
}

/// Levels of the server's log, as clients of v0 name them.
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
    /// Names of the messages that the device takes, sorted.
    pub device_messages: Vec<String>,
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
    /// Names of the messages that the device takes, sorted.
    pub device_messages: Vec<String>,
}

/// Body of `SingleMotorVibrateCmd`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SingleMotorVibrateCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Level, 0 to 1.
    pub speed: f64,
}

/// Body of `KiirooCmd` and `LovenseCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TextCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// The command in the maker's own words.
    pub command: String,
}

/// Body of `FleshlightLaunchFW12Cmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct FleshlightLaunchFW12Cmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Where to move to, 0 to 99.
    pub position: u32,
    /// How fast to move there, 0 to 99.
    pub speed: u32,
}

/// Body of `VorzeA10CycloneCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct VorzeA10CycloneCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Level, 0 to 100.
    pub speed: u32,
    /// Direction.
    pub clockwise: bool,
}

/// Body of `RawCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RawCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// The bytes.
    pub command: Vec<u8>,
}
