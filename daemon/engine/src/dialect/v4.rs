//! Spec v4, the newest: its words are nearly the engine's own. Beside it our extensions `error-reason`, `ping-time`, `reserve`.
//!
//! Whether a session may use an extension is the session's business, not checked here.

mod monitor;

use std::{collections::BTreeMap, time::Duration};

use ipc_schema::{
    error::Reason,
    v4::{
        self, ClientMessage, InputCommand, InputType, OutputCommand, OutputType, Plain, ReadingValue,
        ServerMessage,
    },
    version::SpecVersion,
};

use super::{Asked, Dialect, Reply};
use crate::{
    command::{Answer, Command, Event, Reading, Setting, StopTarget, StopWhat},
    fault::Fault,
    monitor::{Anonymity, MonitorRequest},
    protocol::InputWish,
    request::{Hello, Request, Welcome},
    view::{DeviceList, DeviceView, FeatureView, InputView, InputWays, OutputView},
    vocabulary::{DeviceIndex, FeatureIndex, InputKind, OutputKind, Range, RequestId, SessionId},
};

/// The Id of everything that is told unasked.
const EVENT: RequestId = RequestId(0);

/// The dialect.
pub(crate) struct V4;

impl Dialect for V4 {
    type Request = ClientMessage;
    type Reply = ServerMessage;

    fn request(message: ClientMessage, _devices: &DeviceList) -> Result<Asked, Fault> {
        let request = match message {
            ClientMessage::RequestServerInfo(hello) => Request::Hello(Hello {
                client_name: hello.client_name,
                version: SpecVersion::V4,
                extensions: hello.extensions.unwrap_or_default(),
                ping_time: hello.ping_time.map(|limit| Duration::from_millis(limit.into())),
            }),
            ClientMessage::Ping(_) => Request::Ping,
            ClientMessage::Disconnect(_) => Request::Disconnect,
            ClientMessage::StartScanning(_) => Request::Command(Command::StartScanning),
            ClientMessage::StopScanning(_) => Request::Command(Command::StopScanning),
            ClientMessage::RequestDeviceList(_) => Request::Command(Command::ListDevices),
            ClientMessage::StopCmd(stop) => Request::Command(read_stop(&stop)?),
            ClientMessage::OutputCmd(output) => Request::Command(read_output(&output)),
            ClientMessage::InputCmd(input) => Request::Command(Command::Input {
                device: DeviceIndex(input.device_index),
                feature: FeatureIndex(input.feature_index),
                kind: input_kind(input.input_type),
                wish: match input.command {
                    InputCommand::Read => InputWish::Read,
                    InputCommand::Subscribe => InputWish::Subscribe,
                    InputCommand::Unsubscribe => InputWish::Unsubscribe,
                },
            }),
            ClientMessage::Reserve(what) => Request::Command(Command::Reserve {
                device: DeviceIndex(what.device_index),
                feature: what.feature_index.map(FeatureIndex),
            }),
            ClientMessage::Release(what) => Request::Command(Command::Release {
                device: DeviceIndex(what.device_index),
                feature: what.feature_index.map(FeatureIndex),
            }),
            ClientMessage::RequestStatus(_) => Request::Command(Command::Monitor(MonitorRequest::Status)),
            ClientMessage::RequestClients(_) => Request::Command(Command::Monitor(MonitorRequest::Clients)),
            ClientMessage::DisconnectClient(which) => Request::Command(Command::Monitor(
                MonitorRequest::Disconnect(SessionId(which.session_id.into())),
            )),
            ClientMessage::Reload(_) => Request::Command(Command::Monitor(MonitorRequest::Reload)),
            ClientMessage::RequestOutputs(_) => Request::Command(Command::Monitor(MonitorRequest::Outputs)),
            ClientMessage::SubscribeOutputs(_) => {
                Request::Command(Command::Monitor(MonitorRequest::WatchOutputs))
            }
            ClientMessage::UnsubscribeOutputs(_) => {
                Request::Command(Command::Monitor(MonitorRequest::UnwatchOutputs))
            }
            ClientMessage::StartRecording(which) => {
                let anonymity = if which.with_address { Anonymity::Waived } else { Anonymity::Kept };
                let device = DeviceIndex(which.device_index);
                Request::Command(Command::Monitor(MonitorRequest::Record(device, anonymity)))
            }
            ClientMessage::StopRecording(which) => Request::Command(Command::Monitor(
                MonitorRequest::EndRecording(DeviceIndex(which.device_index)),
            )),
        };
        Ok(Asked::usual(request))
    }

    fn reply(id: RequestId, reply: Reply<'_>, _devices: &DeviceList) -> Result<ServerMessage, Fault> {
        match reply {
            Reply::Welcome(welcome) => Ok(ServerMessage::ServerInfo(server_info(id, welcome))),
            Reply::Answer(Answer::Done, _) => Ok(ServerMessage::Ok(Plain { id: id.0 })),
            Reply::Answer(Answer::Devices(devices), _) => {
                Ok(ServerMessage::DeviceList(device_list(id, devices)))
            }
            Reply::Answer(Answer::Reading(reading), _) => {
                Ok(ServerMessage::InputReading(input_reading(id, reading)?))
            }
            Reply::Answer(Answer::Monitor(answer), _) => Ok(monitor::reply(id, answer)),
            Reply::Echo(_) => Err(Fault::new(Reason::Internal, "spec v4 has no message `Test`")),
            Reply::Error(failure) => Ok(ServerMessage::Error(v4::Error {
                id: id.0,
                error_message: failure.text.to_owned(),
                error_code: failure.class.code(),
                error_reason: failure.reason.map(|reason| reason.word().to_owned()),
            })),
        }
    }

    fn event(event: &Event, _devices: &DeviceList) -> Option<ServerMessage> {
        match event {
            Event::DeviceAdded { devices, .. } | Event::DeviceRemoved { devices, .. } => {
                Some(ServerMessage::DeviceList(device_list(EVENT, devices)))
            }
            // A reading that v4 has no words for cannot be told.
            Event::Reading(reading) => input_reading(EVENT, reading).ok().map(ServerMessage::InputReading),
            Event::ScanningFinished => Some(ServerMessage::ScanningFinished(Plain { id: EVENT.0 })),
            Event::OutputsChanged(outputs) => {
                Some(ServerMessage::OutputsChanged(monitor::outputs(EVENT, outputs)))
            }
            Event::Recorded { device, lines } => Some(ServerMessage::Recorded(v4::Recorded {
                id: EVENT.0,
                device_index: device.0,
                lines: lines.to_vec(),
            })),
        }
    }
}

fn read_stop(stop: &v4::StopCmd) -> Result<Command, Fault> {
    let target = match (stop.device_index, stop.feature_index) {
        (None, None) => StopTarget::Everything,
        (Some(device), None) => StopTarget::Device(DeviceIndex(device)),
        (Some(device), Some(feature)) => StopTarget::Feature(DeviceIndex(device), FeatureIndex(feature)),
        (None, Some(_)) => {
            let text = "`FeatureIndex` of a StopCmd means nothing without `DeviceIndex`";
            return Err(Fault::new(Reason::MalformedMessage, text));
        }
    };
    let what = match (stop.outputs, stop.inputs) {
        (true, true) => StopWhat::Both,
        (true, false) => StopWhat::Outputs,
        (false, true) => StopWhat::Inputs,
        (false, false) => StopWhat::Nothing,
    };
    Ok(Command::Stop { target, what })
}

fn read_output(output: &v4::OutputCmd) -> Command {
    let (kind, value, duration_ms) = match output.command {
        OutputCommand::Vibrate(set) => (OutputKind::Vibrate, set.value, None),
        OutputCommand::Rotate(set) => (OutputKind::Rotate, set.value, None),
        OutputCommand::Oscillate(set) => (OutputKind::Oscillate, set.value, None),
        OutputCommand::Constrict(set) => (OutputKind::Constrict, set.value, None),
        OutputCommand::Temperature(set) => (OutputKind::Temperature, set.value, None),
        OutputCommand::Led(set) => (OutputKind::Led, set.value, None),
        OutputCommand::Spray(set) => (OutputKind::Spray, set.value, None),
        OutputCommand::Position(set) => (OutputKind::Position, set.value, None),
        OutputCommand::HwPositionWithDuration(set) => {
            (OutputKind::PositionWithDuration, set.value, Some(set.duration))
        }
    };
    Command::SetOutputs {
        device: DeviceIndex(output.device_index),
        settings: vec![Setting { feature: FeatureIndex(output.feature_index), kind, value, duration_ms }],
    }
}

fn server_info(id: RequestId, welcome: &Welcome) -> v4::ServerInfo {
    v4::ServerInfo {
        id: id.0,
        server_name: welcome.server_name.to_string(),
        protocol_version_major: SpecVersion::V4.number(),
        protocol_version_minor: 0,
        max_ping_time: welcome.max_ping_ms(),
        extensions: welcome.extensions.map(|granted| granted.names()),
    }
}

fn device_list(id: RequestId, devices: &DeviceList) -> v4::DeviceList {
    let devices = devices.values().map(|view| (view.index.0, device(view))).collect();
    v4::DeviceList { id: id.0, devices }
}

fn device(view: &DeviceView) -> v4::Device {
    v4::Device {
        device_index: view.index.0,
        device_name: view.name.clone(),
        device_display_name: view.display_name.clone(),
        device_message_timing_gap: view.message_gap_ms,
        device_features: view
            .features
            .iter()
            .filter(|view| !(view.outputs.is_empty() && view.inputs.is_empty()))
            .map(|view| (view.index.0, feature(view)))
            .collect(),
    }
}

fn feature(view: &FeatureView) -> v4::Feature {
    let output = view.outputs.iter().map(|view| (output_type(view.kind), output_properties(view)));
    // An input that no reading could tell of is not offered.
    let inputs = view.inputs.iter().filter(|view| has_reading(view.kind));
    let input: BTreeMap<_, _> = inputs.map(|view| (input_type(view.kind), input_properties(view))).collect();
    v4::Feature {
        feature_index: view.index.0,
        feature_description: view.description.clone(),
        output: (!view.outputs.is_empty()).then(|| output.collect()),
        input: (!input.is_empty()).then_some(input),
    }
}

fn output_properties(view: &OutputView) -> v4::OutputProperties {
    v4::OutputProperties {
        value: pair(view.range),
        duration: view.duration_ms.map(|(shortest, longest)| [shortest, longest]),
    }
}

fn input_properties(view: &InputView) -> v4::InputProperties {
    v4::InputProperties {
        value: view.ranges.iter().copied().map(pair).collect(),
        command: match view.ways {
            InputWays::Read => vec![InputCommand::Read],
            InputWays::Subscribe => vec![InputCommand::Subscribe],
            InputWays::Both => vec![InputCommand::Read, InputCommand::Subscribe],
        },
    }
}

fn pair(range: Range) -> [i32; 2] {
    [range.min, range.max]
}

fn input_reading(id: RequestId, reading: &Reading) -> Result<v4::InputReading, Fault> {
    let unfit = || {
        let text = format!("spec v4 has no reading for {} {}", reading.kind.name(), reading.value);
        Fault::new(Reason::ReadFailed, text)
    };
    let value = reading.value;
    let content = match reading.kind {
        InputKind::Battery => v4::Reading::Battery(ReadingValue { value: fit(value).ok_or_else(unfit)? }),
        InputKind::Rssi => v4::Reading::Rssi(ReadingValue { value: fit(value).ok_or_else(unfit)? }),
        InputKind::Button => v4::Reading::Button(ReadingValue { value: fit(value).ok_or_else(unfit)? }),
        InputKind::Pressure => v4::Reading::Pressure(ReadingValue { value: fit(value).ok_or_else(unfit)? }),
        InputKind::Depth | InputKind::Position => return Err(unfit()),
    };
    Ok(v4::InputReading {
        id: id.0,
        device_index: reading.device.0,
        feature_index: reading.feature.0,
        reading: content,
    })
}

fn fit<T: TryFrom<i32>>(value: i32) -> Option<T> {
    T::try_from(value).ok()
}

const fn has_reading(kind: InputKind) -> bool {
    match kind {
        InputKind::Battery | InputKind::Rssi | InputKind::Button | InputKind::Pressure => true,
        InputKind::Depth | InputKind::Position => false,
    }
}

fn output_type(kind: OutputKind) -> OutputType {
    match kind {
        OutputKind::Vibrate => OutputType::Vibrate,
        OutputKind::Rotate => OutputType::Rotate,
        OutputKind::Oscillate => OutputType::Oscillate,
        OutputKind::Constrict => OutputType::Constrict,
        OutputKind::Temperature => OutputType::Temperature,
        OutputKind::Led => OutputType::Led,
        OutputKind::Spray => OutputType::Spray,
        OutputKind::Position => OutputType::Position,
        OutputKind::PositionWithDuration => OutputType::HwPositionWithDuration,
    }
}

fn input_type(kind: InputKind) -> InputType {
    match kind {
        InputKind::Battery => InputType::Battery,
        InputKind::Rssi => InputType::Rssi,
        InputKind::Button => InputType::Button,
        InputKind::Pressure => InputType::Pressure,
        InputKind::Depth => InputType::Depth,
        InputKind::Position => InputType::Position,
    }
}

fn input_kind(wire: InputType) -> InputKind {
    match wire {
        InputType::Battery => InputKind::Battery,
        InputType::Rssi => InputKind::Rssi,
        InputType::Button => InputKind::Button,
        InputType::Pressure => InputKind::Pressure,
        InputType::Depth => InputKind::Depth,
        InputType::Position => InputKind::Position,
    }
}
