//! The messages of spec v4, as they were frozen: names, members and types on the wire, and the messages of our extensions.
//!
//! Values are not checked against ranges here, and nothing is converted; the dialect of v4 does both. A message or member of an
//! extension never reaches a client that did not ask for the extension.

mod client;
mod device;
mod monitor;
mod server;
mod single;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use client::{
    InputCmd, OutputCmd, OutputCommand, OutputValue, RequestServerInfo, Reservation, StopCmd, TimedValue,
};
pub use device::{
    Device, DeviceList, Feature, InputCommand, InputProperties, InputType, OutputProperties, OutputType,
};
pub use monitor::{
    ClientStatus, Clients, DeviceState, DeviceStatus, DisconnectClient, OutputState, Outputs, Recorded,
    ReservedFeature, StartRecording, Status, StopRecording, TransportState, TransportStatus,
};
pub use server::{Error, InputReading, Reading, ReadingValue, ServerInfo};

/// Whatever a client of v4 may send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum ClientMessage {
    /// The handshake.
    RequestServerInfo(RequestServerInfo),
    /// Restarts the ping deadline.
    Ping(Plain),
    /// Ends the session: what it set is stopped, `Ok` is sent, the connection is closed.
    Disconnect(Plain),
    /// Starts looking for devices.
    StartScanning(Plain),
    /// Stops looking for devices.
    StopScanning(Plain),
    /// Asks which devices are connected.
    RequestDeviceList(Plain),
    /// Stops everything, one device, or one feature.
    StopCmd(StopCmd),
    /// Sets one output of one feature.
    OutputCmd(OutputCmd),
    /// Reads or subscribes to one input of one feature.
    InputCmd(InputCmd),
    /// Extension `reserve`: keeps a device or feature for this session.
    Reserve(Reservation),
    /// Extension `reserve`: gives a device or feature back.
    Release(Reservation),
    /// Extension `monitor`: asks how the service, its buses and its devices are; answered by `Status`.
    RequestStatus(Plain),
    /// Extension `monitor`: asks who is connected; answered by `Clients`.
    RequestClients(Plain),
    /// Extension `monitor`: ends another session, whose outputs are stopped.
    DisconnectClient(DisconnectClient),
    /// Extension `monitor`: reads configuration, definitions and plugin folders again.
    Reload(Plain),
    /// Extension `monitor`: asks for the value of every output; answered by `Outputs`.
    RequestOutputs(Plain),
    /// Extension `monitor`: asks for `OutputsChanged` from now on. A second time changes nothing.
    SubscribeOutputs(Plain),
    /// Extension `monitor`: ends `SubscribeOutputs`.
    UnsubscribeOutputs(Plain),
    /// Extension `monitor`: asks for `Recorded` with every transfer of one device, from its bring-up on.
    StartRecording(StartRecording),
    /// Extension `monitor`: ends `StartRecording`.
    StopRecording(StopRecording),
}

/// Whatever a server may send to a client of v4.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum ServerMessage {
    /// The answer to the handshake.
    ServerInfo(ServerInfo),
    /// The request was carried out.
    Ok(Plain),
    /// The request failed, or (Id 0) the session has a problem.
    Error(Error),
    /// The devices that are connected; with Id 0 whenever they change.
    DeviceList(DeviceList),
    /// The scan that the client asked for has ended.
    ScanningFinished(Plain),
    /// What an input measured.
    InputReading(InputReading),
    /// Extension `monitor`: how the service is.
    Status(Status),
    /// Extension `monitor`: who is connected.
    Clients(Clients),
    /// Extension `monitor`: the value of every output.
    Outputs(Outputs),
    /// Extension `monitor`: an event with the outputs that have changed. Quick changes are put together into one event.
    OutputsChanged(Outputs),
    /// Extension `monitor`: an event with lines of a recording.
    Recorded(Recorded),
}

/// A message that has nothing but its Id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "PascalCase")]
pub struct Plain {
    /// Id of the request, or 0 in an event.
    pub id: u32,
}
