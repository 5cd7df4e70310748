//! Spec v1: vibrators, rotations and movements as counted lists, and the device commands that later versions dropped.
//!
//! `FleshlightLaunchFW12Cmd` and `VorzeA10CycloneCmd` are offered where a device can do what they ask. Text and bytes for one maker's
//! devices (`KiirooCmd`, `LovenseCmd`, `RawCmd`) are refused like all raw access.

use ipc_schema::{
    v1::{self, ClientMessage, DeviceOnly, Plain, ServerMessage},
    version::SpecVersion,
};

use super::{
    Asked, Dialect, Reply, refusal, settings,
    tables::{self, OutputEntry},
};
use crate::{
    command::{Answer, Command, Event, StopTarget, StopWhat},
    fault::Fault,
    request::{Hello, LogLevel, Request, Welcome},
    view::{DeviceList, DeviceView},
    vocabulary::{DeviceIndex, RequestId},
};

/// The dialect.
pub(crate) struct V1;

impl Dialect for V1 {
    type Request = ClientMessage;
    type Reply = ServerMessage;

    fn request(message: ClientMessage, devices: &DeviceList) -> Result<Asked, Fault> {
        let request = match message {
            ClientMessage::RequestServerInfo(hello) => {
                Request::Hello(Hello::without_extensions(hello.client_name, SpecVersion::V1))
            }
            ClientMessage::Ping(_) => Request::Ping,
            ClientMessage::Test(test) => Request::Echo(test.test_string),
            ClientMessage::RequestLog(wish) => Request::Log(wanted_level(wish.log_level)),
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
            ClientMessage::SingleMotorVibrateCmd(command) => {
                Request::Command(settings::vibrate_all(command.device_index, command.speed, devices)?)
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
            ClientMessage::FleshlightLaunchFW12Cmd(command) => Request::Command(settings::launch(
                command.device_index,
                command.position,
                command.speed,
                devices,
            )?),
            ClientMessage::VorzeA10CycloneCmd(command) => Request::Command(settings::rotate_all(
                command.device_index,
                settings::percent(command.speed)?,
                command.clockwise.into(),
                devices,
            )?),
            ClientMessage::KiirooCmd(_) | ClientMessage::LovenseCmd(_) | ClientMessage::RawCmd(_) => {
                return Err(refusal::raw());
            }
        };
        Ok(Asked::usual(request))
    }

    fn reply(id: RequestId, reply: Reply<'_>, _devices: &DeviceList) -> Result<ServerMessage, Fault> {
        match reply {
            Reply::Welcome(welcome) => Ok(ServerMessage::ServerInfo(server_info(id, welcome))),
            Reply::Answer(Answer::Done, _) => Ok(ServerMessage::Ok(Plain { id: id.0 })),
            Reply::Answer(Answer::Devices(list), _) => Ok(ServerMessage::DeviceList(v1::DeviceList {
                id: id.0,
                devices: list.values().map(|view| device(view)).collect(),
            })),
            Reply::Answer(Answer::Reading(reading), _) => Err(refusal::no_message(reading.kind.name())),
            Reply::Answer(Answer::Monitor(_), _) => Err(refusal::no_message("extension `monitor`")),
            Reply::Echo(text) => Ok(ServerMessage::Test(v1::Test { id: id.0, test_string: text.to_owned() })),
            Reply::Error(failure) => Ok(ServerMessage::Error(v1::Error {
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
                Some(ServerMessage::DeviceAdded(v1::DeviceAdded {
                    id: 0,
                    device_index: device.device_index,
                    device_name: device.device_name,
                    device_messages: device.device_messages,
                }))
            }
            Event::DeviceRemoved { device, .. } => {
                Some(ServerMessage::DeviceRemoved(DeviceOnly { id: 0, device_index: device.0 }))
            }
            // v1 has no inputs.
            Event::Reading(_) => None,
            Event::ScanningFinished => Some(ServerMessage::ScanningFinished(Plain { id: 0 })),
            Event::OutputsChanged(_) | Event::Recorded { .. } => None,
        }
    }

    fn log(level: LogLevel, text: &str) -> Option<ServerMessage> {
        Some(ServerMessage::Log(v1::Log {
            id: 0,
            log_level: shown_level(level),
            log_message: text.to_owned(),
        }))
    }
}

const fn wanted_level(level: v1::LogLevel) -> LogLevel {
    match level {
        v1::LogLevel::Off => LogLevel::Off,
        v1::LogLevel::Fatal => LogLevel::Fatal,
        v1::LogLevel::Error => LogLevel::Error,
        v1::LogLevel::Warn => LogLevel::Warn,
        v1::LogLevel::Info => LogLevel::Info,
        v1::LogLevel::Debug => LogLevel::Debug,
        v1::LogLevel::Trace => LogLevel::Trace,
    }
}

const fn shown_level(level: LogLevel) -> v1::LogLevel {
    match level {
        LogLevel::Off => v1::LogLevel::Off,
        LogLevel::Fatal => v1::LogLevel::Fatal,
        LogLevel::Error => v1::LogLevel::Error,
        LogLevel::Warn => v1::LogLevel::Warn,
        LogLevel::Info => v1::LogLevel::Info,
        LogLevel::Debug => v1::LogLevel::Debug,
        LogLevel::Trace => v1::LogLevel::Trace,
    }
}

fn server_info(id: RequestId, welcome: &Welcome) -> v1::ServerInfo {
    v1::ServerInfo {
        id: id.0,
        server_name: welcome.server_name.to_string(),
        // Three numbers that every server has left at 0 since the message exists; clients do not read them.
        major_version: 0,
        minor_version: 0,
        build_version: 0,
        message_version: SpecVersion::V1.number(),
        max_ping_time: welcome.max_ping_ms(),
    }
}

fn device(view: &DeviceView) -> v1::Device {
    let (vibrators, rotators, movers) =
        (tables::vibrators(view), tables::rotators(view), tables::movers(view));
    let if_any = |entries: &[OutputEntry<'_>]| (!entries.is_empty()).then_some(v1::Empty {});
    v1::Device {
        device_index: view.index.0,
        device_name: view.name.clone(),
        device_messages: v1::DeviceMessages {
            single_motor_vibrate_cmd: if_any(&vibrators),
            vibrate_cmd: count(&vibrators),
            rotate_cmd: count(&rotators),
            linear_cmd: count(&movers),
            fleshlight_launch_fw12_cmd: if_any(&movers),
            vorze_a10_cyclone_cmd: if_any(&rotators),
            stop_device_cmd: Some(v1::Empty {}),
        },
    }
}

fn count(entries: &[OutputEntry<'_>]) -> Option<v1::FeatureCount> {
    (!entries.is_empty())
        .then(|| v1::FeatureCount { feature_count: u32::try_from(entries.len()).unwrap_or(u32::MAX) })
}
