//! The other end of a connection: a service that says and expects what a test tells it to.

use std::collections::BTreeMap;

use buttplugd_client::{Client, Connect, Error, Extension, OutputType};
use ipc_schema::codec::{self, Encoding};
use ipc_schema::frame::{self, FrameDecoder};
use ipc_schema::v4::{self, ClientMessage, Plain, ServerMessage};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

pub(crate) struct FakeService {
    pub(crate) stream: UnixStream,
    frames: FrameDecoder,
    /// Messages of one frame that were not looked at yet.
    unread: Vec<ClientMessage>,
}

impl FakeService {
    pub(crate) fn pair() -> (Self, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        (Self { stream: ours, frames: FrameDecoder::new(frame::DEFAULT_LIMIT), unread: Vec::new() }, theirs)
    }

    /// The next message, or `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<ClientMessage> {
        if self.unread.is_empty() {
            self.unread = self.next_frame().await?;
        }
        Some(self.unread.remove(0))
    }

    /// The messages of the next frame, or `None` at the end of the stream.
    pub(crate) async fn next_frame(&mut self) -> Option<Vec<ClientMessage>> {
        loop {
            if let Some(payload) = self.frames.next_frame().unwrap() {
                let messages = codec::decode(payload, Encoding::MessagePack);
                return Some(
                    messages.into_iter().map(|message| message.unwrap().request().unwrap()).collect(),
                );
            }
            let mut bytes = [0; 4096];
            match self.stream.read(&mut bytes).await.unwrap() {
                0 => return None,
                length => self.frames.push(&bytes[..length]),
            }
        }
    }

    pub(crate) async fn say(&mut self, message: ServerMessage) {
        let bytes = codec::encode_frame(&[message], frame::DEFAULT_LIMIT).unwrap();
        self.stream.write_all(&bytes).await.unwrap();
    }

    pub(crate) async fn ok(&mut self, id: u32) {
        self.say(ServerMessage::Ok(Plain { id })).await;
    }

    pub(crate) async fn error(&mut self, id: u32, code: u32, reason: &str) {
        self.say(ServerMessage::Error(v4::Error {
            id,
            error_message: format!("it is {reason}"),
            error_code: code,
            error_reason: Some(reason.into()),
        }))
        .await;
    }

    /// Says which devices there are, to a request or (0) as an event.
    pub(crate) async fn devices(&mut self, id: u32, devices: &[v4::Device]) {
        let devices = devices.iter().map(|device| (device.device_index, device.clone())).collect();
        self.say(ServerMessage::DeviceList(v4::DeviceList { id, devices })).await;
    }

    /// Answers the handshake and the first question for devices.
    pub(crate) async fn greet(
        &mut self,
        max_ping_time: u32,
        devices: &[v4::Device],
    ) -> v4::RequestServerInfo {
        let Some(ClientMessage::RequestServerInfo(request)) = self.next().await else {
            panic!("no handshake")
        };
        self.say(ServerMessage::ServerInfo(v4::ServerInfo {
            id: request.id,
            server_name: "fake".into(),
            protocol_version_major: 4,
            protocol_version_minor: 0,
            max_ping_time,
            extensions: request.extensions.clone(),
        }))
        .await;
        let Some(ClientMessage::RequestDeviceList(Plain { id })) = self.next().await else {
            panic!("no question")
        };
        self.devices(id, devices).await;
        request
    }
}

/// A session with a fake service.
pub(crate) async fn session(max_ping_time: u32, devices: &[v4::Device]) -> (Client, FakeService) {
    let (mut service, stream) = FakeService::pair();
    let (client, _) = tokio::join!(
        Connect::new("test").extension(Extension::Monitor).over(stream),
        service.greet(max_ping_time, devices)
    );
    (client.unwrap(), service)
}

/// Two vibrators of 20 steps, a rotation in both directions, a stroker, a battery and a pressure sensor.
pub(crate) fn device(index: u32) -> v4::Device {
    let output =
        |kind, value, duration| Some(BTreeMap::from([(kind, v4::OutputProperties { value, duration })]));
    let input = |kind, value, command| {
        Some(BTreeMap::from([(kind, v4::InputProperties { value: vec![value], command: vec![command] })]))
    };
    let feature = |index, output, input| {
        (index, v4::Feature { feature_index: index, feature_description: String::new(), output, input })
    };
    v4::Device {
        device_index: index,
        device_name: "Sample".into(),
        device_display_name: None,
        device_message_timing_gap: 100,
        device_features: BTreeMap::from([
            feature(0, output(OutputType::Vibrate, [0, 20], None), None),
            feature(1, output(OutputType::Vibrate, [0, 20], None), None),
            feature(4, output(OutputType::Rotate, [-10, 10], None), None),
            feature(5, output(OutputType::HwPositionWithDuration, [0, 1000], Some([50, 5000])), None),
            feature(6, None, input(v4::InputType::Battery, [0, 100], v4::InputCommand::Read)),
            feature(7, None, input(v4::InputType::Pressure, [0, 1024], v4::InputCommand::Subscribe)),
        ]),
    }
}

pub(crate) fn id(message: &ClientMessage) -> u32 {
    match message {
        ClientMessage::RequestServerInfo(body) => body.id,
        ClientMessage::Ping(body)
        | ClientMessage::Disconnect(body)
        | ClientMessage::StartScanning(body)
        | ClientMessage::StopScanning(body)
        | ClientMessage::RequestDeviceList(body)
        | ClientMessage::RequestStatus(body)
        | ClientMessage::RequestClients(body)
        | ClientMessage::Reload(body)
        | ClientMessage::RequestOutputs(body)
        | ClientMessage::SubscribeOutputs(body)
        | ClientMessage::UnsubscribeOutputs(body) => body.id,
        ClientMessage::StopCmd(body) => body.id,
        ClientMessage::OutputCmd(body) => body.id,
        ClientMessage::InputCmd(body) => body.id,
        ClientMessage::Reserve(body) | ClientMessage::Release(body) => body.id,
        ClientMessage::DisconnectClient(body) => body.id,
        ClientMessage::StartRecording(body) => body.id,
        ClientMessage::StopRecording(body) => body.id,
    }
}

/// The class and reason of an error that must be the service's.
pub(crate) fn said(error: &Error) -> (buttplugd_client::Class, buttplugd_client::Reason) {
    (error.class().unwrap(), error.reason().unwrap())
}
