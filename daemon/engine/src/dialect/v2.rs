//! Spec v2: vibrators, rotations and movements as counted lists with steps; battery and signal strength.

use ipc_schema::{
    error::Reason,
    v2::{self, ClientMessage, DeviceOnly, Plain, ServerMessage},
    version::SpecVersion,
};

use super::{
    Asked, Dialect, Reply, Shape, refusal, settings,
    tables::{self, OutputEntry},
};
use crate::{
    command::{Answer, Command, Event, Reading, StopTarget, StopWhat},
    fault::Fault,
    protocol::InputWish,
    request::{Hello, LogLevel, Request, Welcome},
    view::{DeviceList, DeviceView},
    vocabulary::{DeviceIndex, InputKind, RequestId},
};

/// The weakest signal that this version can tell, in dBm.
const RSSI_LEAST: i32 = -100;

/// The dialect.
pub(crate) struct V2;

impl Dialect for V2 {
    type Request = ClientMessage;
    type Reply = ServerMessage;

    fn request(message: ClientMessage, devices: &DeviceList) -> Result<Asked, Fault> {
        let request = match message {
            ClientMessage::RequestServerInfo(hello) => {
                Request::Hello(Hello::without_extensions(hello.client_name, SpecVersion::V2))
            }
            ClientMessage::Ping(_) => Request::Ping,
            ClientMessage::RequestLog(wish) if wish.log_level == v2::LogLevel::Off => {
                Request::Log(LogLevel::Off)
            }
            ClientMessage::RequestLog(_) => return Err(refusal::log()),
            ClientMessage::StartScanning(_) => Request::Command(Command::StartScanning),
            ClientMessage::StopScanning(_) => Request::Command(Command::StopScanning),
            ClientMessage::RequestDeviceList(_) => Request::Command(Command::ListDevices),
            ClientMessage::StopDeviceCmd(stop) => Request::Command(Command::Stop {
                target: StopTarget::Device(DeviceIndex(stop.device_index)),
                what: StopWhat::Both,
            }),
            ClientMessage::StopAllDevices(_) => {
                Request::Command(Command::Stop { target: StopTarget::Everything, what: StopWhat::Both })
            }
            ClientMessage::VibrateCmd(command) => {
                let speeds = command.speeds.iter().map(|entry| (entry.index, entry.speed));
                Request::Command(settings::vibrate(command.device_index, speeds, devices)?)
            }
            ClientMessage::RotateCmd(command) => {
                let turns =
                    command.rotations.iter().map(|entry| (entry.index, entry.speed, entry.clockwise.into()));
                Request::Command(settings::rotate(command.device_index, turns, devices)?)
            }
            ClientMessage::LinearCmd(command) => {
                let moves = command.vectors.iter().map(|entry| (entry.index, entry.position, entry.duration));
                Request::Command(settings::movements(command.device_index, moves, devices)?)
            }
            ClientMessage::BatteryLevelCmd(command) => {
                return read_input(command.device_index, InputKind::Battery, Shape::BatteryLevel, devices);
            }
            ClientMessage::RSSILevelCmd(command) => {
                return read_input(command.device_index, InputKind::Rssi, Shape::RssiLevel, devices);
            }
            ClientMessage::RawWriteCmd(_)
            | ClientMessage::RawReadCmd(_)
            | ClientMessage::RawSubscribeCmd(_)
            | ClientMessage::RawUnsubscribeCmd(_) => return Err(refusal::raw()),
        };
        Ok(Asked::usual(request))
    }

    fn reply(id: RequestId, reply: Reply<'_>, devices: &DeviceList) -> Result<ServerMessage, Fault> {
        match reply {
            Reply::Welcome(welcome) => Ok(ServerMessage::ServerInfo(server_info(id, welcome))),
            Reply::Answer(Answer::Done, _) => Ok(ServerMessage::Ok(Plain { id: id.0 })),
            Reply::Answer(Answer::Devices(list), _) => Ok(ServerMessage::DeviceList(v2::DeviceList {
                id: id.0,
                devices: list.values().map(|view| device(view)).collect(),
            })),
            Reply::Answer(Answer::Reading(reading), shape) => match shape {
                Shape::BatteryLevel => Ok(ServerMessage::BatteryLevelReading(v2::BatteryLevelReading {
                    id: id.0,
                    device_index: reading.device.0,
                    battery_level: battery_level(reading, devices),
                })),
                Shape::RssiLevel => Ok(ServerMessage::RSSILevelReading(v2::RSSILevelReading {
                    id: id.0,
                    device_index: reading.device.0,
                    rssi_level: reading.value.clamp(RSSI_LEAST, 0),
                })),
                Shape::Usual | Shape::Sensor { .. } => Err(refusal::no_message(reading.kind.name())),
            },
            Reply::Answer(Answer::Monitor(_), _) => Err(refusal::no_message("extension `monitor`")),
            Reply::Echo(_) => Err(refusal::no_message("`Test`")),
            Reply::Error(failure) => Ok(ServerMessage::Error(v2::Error {
                id: id.0,
                error_message: failure.text.to_owned(),
                error_code: failure.class.code(),
            })),
        }
    }

    fn event(event: &Event, _devices: &DeviceList) -> Option<ServerMessage> {
        match event {
            Event::DeviceAdded { device: view, .. } => {
                let device = device(view);
                Some(ServerMessage::DeviceAdded(v2::DeviceAdded {
                    id: 0,
                    device_index: device.device_index,
                    device_name: device.device_name,
                    device_messages: device.device_messages,
                }))
            }
            Event::DeviceRemoved { device, .. } => {
                Some(ServerMessage::DeviceRemoved(DeviceOnly { id: 0, device_index: device.0 }))
            }
            // v2 has no subscriptions to inputs.
            Event::Reading(_) => None,
            Event::ScanningFinished => Some(ServerMessage::ScanningFinished(Plain { id: 0 })),
            Event::OutputsChanged(_) | Event::Recorded { .. } => None,
        }
    }
}

fn server_info(id: RequestId, welcome: &Welcome) -> v2::ServerInfo {
    v2::ServerInfo {
        id: id.0,
        server_name: welcome.server_name.to_string(),
        message_version: SpecVersion::V2.number(),
        max_ping_time: welcome.max_ping_ms(),
    }
}

fn device(view: &DeviceView) -> v2::Device {
    let can_read = |kind| tables::readable(view, kind).map(|_| v2::Empty {});
    v2::Device {
        device_index: view.index.0,
        device_name: view.name.clone(),
        device_messages: v2::DeviceMessages {
            vibrate_cmd: steps(&tables::vibrators(view)),
            rotate_cmd: steps(&tables::rotators(view)),
            linear_cmd: steps(&tables::movers(view)),
            battery_level_cmd: can_read(InputKind::Battery),
            rssi_level_cmd: can_read(InputKind::Rssi),
            stop_device_cmd: Some(v2::Empty {}),
            ..v2::DeviceMessages::default()
        },
    }
}

fn steps(entries: &[OutputEntry<'_>]) -> Option<v2::FeatureSteps> {
    (!entries.is_empty()).then(|| v2::FeatureSteps {
        feature_count: u32::try_from(entries.len()).unwrap_or(u32::MAX),
        step_count: entries.iter().map(OutputEntry::steps).collect(),
    })
}

fn read_input(device: u32, kind: InputKind, shape: Shape, devices: &DeviceList) -> Result<Asked, Fault> {
    let device = DeviceIndex(device);
    let Some(view) = devices.get(&device) else {
        return Ok(Asked::usual(Request::Command(settings::for_an_absent(device))));
    };
    let Some(entry) = tables::readable(view, kind) else {
        let text = format!("device {device} has no {} that can be read", kind.name());
        return Err(Fault::new(Reason::InputNotSupported, text));
    };
    let feature = entry.feature.index;
    let command = Command::Input { device, feature, kind, wish: InputWish::Read };
    Ok(Asked { request: Request::Command(command), shape })
}

/// The level as a fraction of the range that the device has.
fn battery_level(reading: &Reading, devices: &DeviceList) -> f64 {
    const PERCENT: i32 = 100;
    let full = devices
        .get(&reading.device)
        .and_then(|view| view.feature(reading.feature)?.input(reading.kind)?.ranges.first().copied())
        .map_or(PERCENT, |range| range.max)
        .max(1);
    (f64::from(reading.value) / f64::from(full)).clamp(0.0, 1.0)
}
