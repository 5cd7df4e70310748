//! Spec v0: one speed for all vibrators, and commands for single devices of its time.
//!
//! `FleshlightLaunchFW12Cmd` and `VorzeA10CycloneCmd` are offered where a device can do what they ask. Text and bytes for one maker's
//! devices (`KiirooCmd`, `LovenseCmd`, `RawCmd`) are refused like all raw access.

use ipc_schema::{
    v0::{self, ClientMessage, DeviceOnly, Plain, ServerMessage},
    version::SpecVersion,
};

use super::{Asked, Dialect, Reply, refusal, settings, tables};
use crate::{
    command::{Answer, Command, Event, StopTarget, StopWhat},
    fault::Fault,
    request::{Hello, LogLevel, Request, Welcome},
    view::{DeviceList, DeviceView},
    vocabulary::{DeviceIndex, RequestId},
};

/// The dialect.
pub(crate) struct V0;

impl Dialect for V0 {
    type Request = ClientMessage;
    type Reply = ServerMessage;

    fn request(message: ClientMessage, devices: &DeviceList) -> Result<Asked, Fault> {
        let request = match message {
            ClientMessage::RequestServerInfo(hello) => {
                Request::Hello(Hello::without_extensions(hello.client_name, SpecVersion::V0))
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
            Reply::Answer(Answer::Devices(list), _) => Ok(ServerMessage::DeviceList(v0::DeviceList {
                id: id.0,
                devices: list.values().map(|view| device(view)).collect(),
            })),
            Reply::Answer(Answer::Reading(reading), _) => Err(refusal::no_message(reading.kind.name())),
            Reply::Answer(Answer::Monitor(_), _) => Err(refusal::no_message("extension `monitor`")),
            Reply::Echo(text) => Ok(ServerMessage::Test(v0::Test { id: id.0, test_string: text.to_owned() })),
            Reply::Error(failure) => Ok(ServerMessage::Error(v0::Error {
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
                Some(ServerMessage::DeviceAdded(v0::DeviceAdded {
                    id: 0,
                    device_index: device.device_index,
                    device_name: device.device_name,
                    device_messages: device.device_messages,
                }))
            }
            Event::DeviceRemoved { device, .. } => {
                Some(ServerMessage::DeviceRemoved(DeviceOnly { id: 0, device_index: device.0 }))
            }
            // v0 has no inputs.
            Event::Reading(_) => None,
            Event::ScanningFinished => Some(ServerMessage::ScanningFinished(Plain { id: 0 })),
            Event::OutputsChanged(_) | Event::Recorded { .. } => None,
        }
    }

    fn log(level: LogLevel, text: &str) -> Option<ServerMessage> {
        Some(ServerMessage::Log(v0::Log {
            id: 0,
            log_level: shown_level(level),
            log_message: text.to_owned(),
        }))
    }
}

const fn wanted_level(level: v0::LogLevel) -> LogLevel {
    match level {
        v0::LogLevel::Off => LogLevel::Off,
        v0::LogLevel::Fatal => LogLevel::Fatal,
        v0::LogLevel::Error => LogLevel::Error,
        v0::LogLevel::Warn => LogLevel::Warn,
        v0::LogLevel::Info => LogLevel::Info,
        v0::LogLevel::Debug => LogLevel::Debug,
        v0::LogLevel::Trace => LogLevel::Trace,
    }
}

const fn shown_level(level: LogLevel) -> v0::LogLevel {
    match level {
        LogLevel::Off => v0::LogLevel::Off,
        LogLevel::Fatal => v0::LogLevel::Fatal,
        LogLevel::Error => v0::LogLevel::Error,
        LogLevel::Warn => v0::LogLevel::Warn,
        LogLevel::Info => v0::LogLevel::Info,
        LogLevel::Debug => v0::LogLevel::Debug,
        LogLevel::Trace => v0::LogLevel::Trace,
    }
}

fn server_info(id: RequestId, welcome: &Welcome) -> v0::ServerInfo {
    v0::ServerInfo {
        id: id.0,
        server_name: welcome.server_name.to_string(),
        // Three numbers that every server has left at 0 since the message exists; clients do not read them.
        major_version: 0,
        minor_version: 0,
        build_version: 0,
        message_version: SpecVersion::V0.number(),
        max_ping_time: welcome.max_ping_ms(),
    }
}

/// What a device takes is a list of names, in alphabetical order.
fn device(view: &DeviceView) -> v0::Device {
    let taken = [
        ("FleshlightLaunchFW12Cmd", !tables::movers(view).is_empty()),
        ("SingleMotorVibrateCmd", !tables::vibrators(view).is_empty()),
        ("StopDeviceCmd", true),
        ("VorzeA10CycloneCmd", !tables::rotators(view).is_empty()),
    ];
    v0::Device {
        device_index: view.index.0,
        device_name: view.name.clone(),
        device_messages: taken
            .into_iter()
            .filter(|(_, taken)| *taken)
            .map(|(name, _)| name.to_owned())
            .collect(),
    }
}
