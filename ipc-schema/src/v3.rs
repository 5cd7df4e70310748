//! The messages of spec v3, as they were frozen: names, members and types on the wire.
//!
//! Values are not checked against ranges here, and nothing is converted; the dialect of v3 does both. The raw
//! commands are here so that a server can refuse them with their Id instead of saying nothing. `VibrateCmd` left the spec with
//! v3; clients of v3 send it all the same.

use serde::{Deserialize, Serialize};

/// Whatever a client of v3 may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum ClientMessage {
    /// The handshake.
    RequestServerInfo(RequestServerInfo),
    /// Restarts the ping deadline.
    Ping(Plain),
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
    /// Sets the level of some features of a device, whatever they are.
    ScalarCmd(ScalarCmd),
    /// Reads a sensor once.
    SensorReadCmd(SensorCmd),
    /// Asks for what a sensor measures from now on.
    SensorSubscribeCmd(SensorCmd),
    /// Ends a `SensorSubscribeCmd`.
    SensorUnsubscribeCmd(SensorCmd),
    /// Writes bytes to an endpoint.
    RawWriteCmd(RawWriteCmd),
    /// Reads bytes from an endpoint.
    RawReadCmd(RawReadCmd),
    /// Asks for what an endpoint sends.
    RawSubscribeCmd(RawEndpoint),
    /// Ends a `RawSubscribeCmd`.
    RawUnsubscribeCmd(RawEndpoint),
}

/// Whatever a server may send to a client of v3.
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
    DeviceAdded(Box<DeviceAdded>),
    /// A device has gone.
    DeviceRemoved(DeviceOnly),
    /// What a sensor measured.
    SensorReading(SensorReading),
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
    /// The name that the user gave to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_display_name: Option<String>,
    /// Least time between two commands that makes sense, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_message_timing_gap: Option<u32>,
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
    /// The name that the user gave to the device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_display_name: Option<String>,
    /// Least time between two commands that makes sense, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_message_timing_gap: Option<u32>,
    /// The messages that the device takes.
    pub device_messages: DeviceMessages,
}

/// The messages that a device takes, each with its attributes. An absent member means: not taken.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct DeviceMessages {
    /// Levels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scalar_cmd: Option<Vec<ActuatorAttributes>>,
    /// Speeds with direction.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rotate_cmd: Option<Vec<ActuatorAttributes>>,
    /// Positions with duration.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linear_cmd: Option<Vec<ActuatorAttributes>>,
    /// Sensors that can be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensor_read_cmd: Option<Vec<SensorAttributes>>,
    /// Sensors that can be subscribed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sensor_subscribe_cmd: Option<Vec<SensorAttributes>>,
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

/// One feature that takes a command. Its index is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ActuatorAttributes {
    /// Text for people; may be empty.
    pub feature_descriptor: String,
    /// What the feature does.
    pub actuator_type: ActuatorType,
    /// Number of steps above rest, at least 1.
    pub step_count: u32,
}

/// One sensor. Its index is its place in the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SensorAttributes {
    /// Text for people; may be empty.
    pub feature_descriptor: String,
    /// What the sensor measures.
    pub sensor_type: SensorType,
    /// Least and greatest value of each axis.
    pub sensor_range: Vec<[i32; 2]>,
}

/// What a feature does. The last three are known to servers of v3 only through newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the whole meaning")]
pub enum ActuatorType {
    #[serde(alias = "unknown")]
    Unknown,
    #[serde(alias = "vibrate")]
    Vibrate,
    #[serde(alias = "rotate")]
    Rotate,
    #[serde(alias = "oscillate")]
    Oscillate,
    #[serde(alias = "constrict")]
    Constrict,
    #[serde(alias = "inflate")]
    Inflate,
    #[serde(alias = "position")]
    Position,
    #[serde(alias = "temperature")]
    Temperature,
    #[serde(alias = "led", alias = "LED")]
    Led,
    #[serde(alias = "spray")]
    Spray,
}

/// What a sensor measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the whole meaning")]
pub enum SensorType {
    #[serde(alias = "unknown")]
    Unknown,
    #[serde(alias = "battery")]
    Battery,
    #[serde(rename = "RSSI", alias = "Rssi", alias = "rssi")]
    Rssi,
    #[serde(alias = "button")]
    Button,
    #[serde(alias = "pressure")]
    Pressure,
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

/// Body of `ScalarCmd`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ScalarCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// One entry a feature; those left out keep their level.
    pub scalars: Vec<Scalar>,
}

/// The level of one feature.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Scalar {
    /// Which entry of the device's `ScalarCmd` attributes.
    pub index: u32,
    /// Level, 0 to 1.
    pub scalar: f64,
    /// What the client takes the feature for; must match the attributes.
    pub actuator_type: ActuatorType,
}

/// Body of `SensorReadCmd`, `SensorSubscribeCmd` and `SensorUnsubscribeCmd`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SensorCmd {
    /// Id of the request.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Which of the device's sensors.
    pub sensor_index: u32,
    /// What the sensor measures.
    pub sensor_type: SensorType,
}

/// Body of `SensorReading`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SensorReading {
    /// Id of the request, or 0 when it comes from a subscription.
    pub id: u32,
    /// The device.
    pub device_index: u32,
    /// Which of the device's sensors.
    pub sensor_index: u32,
    /// What the sensor measures.
    pub sensor_type: SensorType,
    /// One number an axis, in the sensor's own unit.
    pub data: Vec<i32>,
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
