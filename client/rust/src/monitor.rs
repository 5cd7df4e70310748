//! What only programs need that show or steer the service itself: its status, its clients, the live values of outputs. All of it
//! needs the extension `monitor`, asked for with [`Connect::extension`](crate::Connect::extension).

use ipc_schema::v4::{
    ClientMessage, ClientStatus, DisconnectClient, OutputState, Plain, ServerMessage, StartRecording, Status,
    StopRecording,
};

use crate::client::Client;
use crate::error::Error;

/// What a recording may say of its user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anonymity {
    /// Neither the address of the device nor the name that the user gave it.
    Kept,
    /// Both.
    Waived,
}

impl Client {
    /// How the service, its buses and its devices are.
    ///
    /// # Errors
    /// [`Error::Server`] with reason `extension-required` without the extension; [`Error::Closed`], [`Error::TimedOut`].
    pub async fn status(&self) -> Result<Status, Error> {
        match self.request(|id| ClientMessage::RequestStatus(Plain { id })).await? {
            ServerMessage::Status(status) => Ok(status),
            other => Err(Error::Unexpected(format!("{other:?} instead of Status"))),
        }
    }

    /// Who is connected, oldest first.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn clients(&self) -> Result<Vec<ClientStatus>, Error> {
        match self.request(|id| ClientMessage::RequestClients(Plain { id })).await? {
            ServerMessage::Clients(clients) => Ok(clients.clients),
            other => Err(Error::Unexpected(format!("{other:?} instead of Clients"))),
        }
    }

    /// Ends another session; what it had set is stopped.
    ///
    /// # Errors
    /// As [`Client::status`], and when there is no such session.
    pub async fn disconnect_client(&self, session_id: u32) -> Result<(), Error> {
        self.request_ok(|id| ClientMessage::DisconnectClient(DisconnectClient { id, session_id })).await
    }

    /// Has the service read its configuration, definitions and plugin folders again.
    ///
    /// # Errors
    /// As [`Client::status`], and when the configuration cannot be read; the old one stays in force then.
    pub async fn reload(&self) -> Result<(), Error> {
        self.request_ok(|id| ClientMessage::Reload(Plain { id })).await
    }

    /// Every output of every connected device.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn output_states(&self) -> Result<Vec<OutputState>, Error> {
        match self.request(|id| ClientMessage::RequestOutputs(Plain { id })).await? {
            ServerMessage::Outputs(outputs) => Ok(outputs.outputs),
            other => Err(Error::Unexpected(format!("{other:?} instead of Outputs"))),
        }
    }

    /// Has changes of outputs come as [`Event::OutputsChanged`](crate::Event::OutputsChanged), in order with all other events.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn subscribe_outputs(&self) -> Result<(), Error> {
        self.request_ok(|id| ClientMessage::SubscribeOutputs(Plain { id })).await
    }

    /// Ends [`Client::subscribe_outputs`].
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn unsubscribe_outputs(&self) -> Result<(), Error> {
        self.request_ok(|id| ClientMessage::UnsubscribeOutputs(Plain { id })).await
    }

    /// Has every transfer of a device come as [`Event::Recorded`](crate::Event::Recorded), its bring-up first.
    ///
    /// # Errors
    /// As [`Client::status`]; when the device is not connected, or is recorded by another session.
    pub async fn start_recording(&self, device_index: u32, anonymity: Anonymity) -> Result<(), Error> {
        let with_address = match anonymity {
            Anonymity::Kept => false,
            Anonymity::Waived => true,
        };
        self.request_ok(|id| ClientMessage::StartRecording(StartRecording { id, device_index, with_address }))
            .await
    }

    /// Ends [`Client::start_recording`]. All that was recorded before has come when this returns.
    ///
    /// # Errors
    /// As [`Client::status`].
    pub async fn stop_recording(&self, device_index: u32) -> Result<(), Error> {
        self.request_ok(|id| ClientMessage::StopRecording(StopRecording { id, device_index })).await
    }
}
