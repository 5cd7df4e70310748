//! Spec v3: levels as fractions, outputs and sensors as lists.
//!
//! Clients of v3 may have closed lists of type names, so the kinds that came with v4 (temperature, light, spray) are shown as
//! `Unknown`: their places in the list stay, and a client that does not know what they are can leave them alone.

use ipc_schema::{
    error::Reason,
    v3::{self, ActuatorType, ClientMessage, DeviceOnly, Plain, SensorCmd, SensorType, ServerMessage},
    version::SpecVersion,
};

use super::{
    Asked, Dialect, Reply, Shape, refusal, scale, settings,
    tables::{self, InputEntry, OutputEntry},
};
use crate::{
    command::{Answer, Command, Event, Reading, Setting, StopTarget, StopWhat},
    fault::Fault,
    protocol::InputWish,
    request::{Hello, Request, Welcome},
    view::{DeviceList, DeviceView},
    vocabulary::{DeviceIndex, InputKind, OutputKind, RequestId},
};

/// The dialect.
pub(crate) struct V3;

impl Dialect for V3 {
    type Request = ClientMessage;
    type Reply = ServerMessage;

    fn request(message: ClientMessage, devices: &DeviceList) -> Result<Asked, Fault> {
        let request = match message {
            ClientMessage::RequestServerInfo(hello) => {
                Request::Hello(Hello::without_extensions(hello.client_name, SpecVersion::V3))
            }
            ClientMessage::Ping(_) => Request::Ping,
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
            ClientMessage::ScalarCmd(command) => Request::Command(read_scalars(&command, devices)?),
            ClientMessage::SensorReadCmd(command) => return read_sensor(&command, InputWish::Read, devices),
            ClientMessage::SensorSubscribeCmd(command) => {
                return read_sensor(&command, InputWish::Subscribe, devices);
            }
            ClientMessage::SensorUnsubscribeCmd(command) => {
                return read_sensor(&command, InputWish::Unsubscribe, devices);
            }
            ClientMessage::RawWriteCmd(_)
            | ClientMessage::RawReadCmd(_)
            | ClientMessage::RawSubscribeCmd(_)
            | ClientMessage::RawUnsubscribeCmd(_) => return Err(refusal::raw()),
        };
        Ok(Asked::usual(request))
    }

    fn reply(id: RequestId, reply: Reply<'_>, _devices: &DeviceList) -> Result<ServerMessage, Fault> {
        match reply {
            Reply::Welcome(welcome) => Ok(ServerMessage::ServerInfo(server_info(id, welcome))),
            Reply::Answer(Answer::Done, _) => Ok(ServerMessage::Ok(Plain { id: id.0 })),
            Reply::Answer(Answer::Devices(list), _) => Ok(ServerMessage::DeviceList(v3::DeviceList {
                id: id.0,
                devices: list.values().map(|view| device(view)).collect(),
            })),
            Reply::Answer(Answer::Reading(reading), shape) => {
                let index = match shape {
                    Shape::Sensor { index } => index,
                    Shape::Usual | Shape::BatteryLevel | Shape::RssiLevel => {
                        return Err(refusal::no_message("a reading that was not asked for as a sensor"));
                    }
                };
                sensor_reading(id, reading, index).map(ServerMessage::SensorReading)
            }
            Reply::Answer(Answer::Monitor(_), _) => Err(refusal::no_message("extension `monitor`")),
            Reply::Echo(_) => Err(refusal::no_message("`Test`")),
            Reply::Error(failure) => Ok(ServerMessage::Error(v3::Error {
                id: id.0,
                error_message: failure.text.to_owned(),
                error_code: failure.class.code(),
            })),
        }
    }

    fn event(event: &Event, devices: &DeviceList) -> Option<ServerMessage> {
        match event {
            Event::DeviceAdded { device: view, .. } => {
                let device = device(view);
                Some(ServerMessage::DeviceAdded(Box::new(v3::DeviceAdded {
                    id: 0,
                    device_index: device.device_index,
                    device_name: device.device_name,
                    device_display_name: device.device_display_name,
                    device_message_timing_gap: device.device_message_timing_gap,
                    device_messages: device.device_messages,
                })))
            }
            Event::DeviceRemoved { device, .. } => {
                Some(ServerMessage::DeviceRemoved(DeviceOnly { id: 0, device_index: device.0 }))
            }
            Event::Reading(reading) => {
                let view = devices.get(&reading.device)?;
                let index = sensors(view, InputWish::Subscribe).iter().position(|entry| {
                    entry.feature.index == reading.feature && entry.input.kind == reading.kind
                })?;
                let index = u32::try_from(index).ok()?;
                sensor_reading(RequestId(0), reading, index).ok().map(ServerMessage::SensorReading)
            }
            Event::ScanningFinished => Some(ServerMessage::ScanningFinished(Plain { id: 0 })),
            Event::OutputsChanged(_) | Event::Recorded { .. } => None,
        }
    }
}

fn server_info(id: RequestId, welcome: &Welcome) -> v3::ServerInfo {
    v3::ServerInfo {
        id: id.0,
        server_name: welcome.server_name.to_string(),
        message_version: SpecVersion::V3.number(),
        max_ping_time: welcome.max_ping_ms(),
    }
}

fn device(view: &DeviceView) -> v3::Device {
    v3::Device {
        device_index: view.index.0,
        device_name: view.name.clone(),
        device_display_name: view.display_name.clone(),
        device_message_timing_gap: Some(view.message_gap_ms),
        device_messages: v3::DeviceMessages {
            scalar_cmd: actuators(&tables::scalars(view)),
            rotate_cmd: actuators(&tables::rotators(view)),
            linear_cmd: actuators(&tables::movers(view)),
            sensor_read_cmd: sensor_attributes(&sensors(view, InputWish::Read)),
            sensor_subscribe_cmd: sensor_attributes(&sensors(view, InputWish::Subscribe)),
            stop_device_cmd: Some(v3::Empty {}),
            ..v3::DeviceMessages::default()
        },
    }
}

/// An absent list, not an empty one, says that the device takes no such command.
fn actuators(entries: &[OutputEntry<'_>]) -> Option<Vec<v3::ActuatorAttributes>> {
    (!entries.is_empty()).then(|| {
        entries
            .iter()
            .map(|entry| v3::ActuatorAttributes {
                feature_descriptor: entry.feature.description.clone(),
                actuator_type: actuator_type(entry.output.kind),
                step_count: entry.steps(),
            })
            .collect()
    })
}

fn sensor_attributes(entries: &[InputEntry<'_>]) -> Option<Vec<v3::SensorAttributes>> {
    (!entries.is_empty()).then(|| {
        entries
            .iter()
            .map(|entry| v3::SensorAttributes {
                feature_descriptor: entry.feature.description.clone(),
                sensor_type: sensor_type(entry.input.kind),
                sensor_range: entry.input.ranges.iter().map(|range| [range.min, range.max]).collect(),
            })
            .collect()
    })
}

/// The sensors that a command counts: those that can be read, or those that can be subscribed to. The strength of the signal comes
/// last, since a client may be shown a list without it.
fn sensors(view: &DeviceView, wish: InputWish) -> Vec<InputEntry<'_>> {
    let mut sensors: Vec<_> = tables::inputs(view)
        .filter(|entry| match wish {
            InputWish::Read => entry.input.ways.can_read(),
            InputWish::Subscribe | InputWish::Unsubscribe => entry.input.ways.can_subscribe(),
        })
        .filter(|entry| sensor_type(entry.input.kind) != SensorType::Unknown)
        .collect();
    sensors.sort_by_key(|entry| entry.input.kind == InputKind::Rssi);
    sensors
}

fn read_scalars(command: &v3::ScalarCmd, devices: &DeviceList) -> Result<Command, Fault> {
    let device = DeviceIndex(command.device_index);
    if command.scalars.is_empty() {
        return Err(refusal::empty("Scalars"));
    }
    let Some(view) = devices.get(&device) else { return Ok(settings::for_an_absent(device)) };
    let entries = tables::scalars(view);
    let settings = command
        .scalars
        .iter()
        .map(|scalar| {
            let entry = settings::entry(&entries, scalar.index, "ScalarCmd")?;
            let kind = entry.output.kind;
            let shown = actuator_type(kind);
            if scalar.actuator_type != shown && scalar.actuator_type != newer_type(kind) {
                let text = format!("scalar {} is {shown:?}, not {:?}", scalar.index, scalar.actuator_type);
                return Err(Fault::new(Reason::OutputNotSupported, text));
            }
            let value = match kind {
                OutputKind::Position => scale::position(scalar.scalar, entry.steps()),
                OutputKind::Vibrate
                | OutputKind::Rotate
                | OutputKind::Oscillate
                | OutputKind::Constrict
                | OutputKind::Temperature
                | OutputKind::Led
                | OutputKind::Spray
                | OutputKind::PositionWithDuration => scale::level(scalar.scalar, entry.steps()),
            }?;
            Ok(Setting { feature: entry.feature.index, kind, value, duration_ms: None })
        })
        .collect::<Result<_, Fault>>()?;
    Ok(settings::set_outputs(device, settings))
}

/// Clients number sensors in ways of their own, so the type decides and the index only picks among several of one type.
fn read_sensor(command: &SensorCmd, wish: InputWish, devices: &DeviceList) -> Result<Asked, Fault> {
    let device = DeviceIndex(command.device_index);
    let Some(view) = devices.get(&device) else {
        return Ok(Asked::usual(Request::Command(settings::for_an_absent(device))));
    };
    let entries = sensors(view, wish);
    let is_meant = |entry: &&InputEntry<'_>| sensor_type(entry.input.kind) == command.sensor_type;
    let at_index =
        usize::try_from(command.sensor_index).ok().and_then(|index| entries.get(index)).filter(is_meant);
    let Some(entry) = at_index.or_else(|| entries.iter().find(is_meant)) else {
        let text = format!("device {device} has no sensor {:?} for this command", command.sensor_type);
        return Err(Fault::new(Reason::InputNotSupported, text));
    };
    let (feature, kind) = (entry.feature.index, entry.input.kind);
    Ok(Asked {
        request: Request::Command(Command::Input { device, feature, kind, wish }),
        shape: Shape::Sensor { index: command.sensor_index },
    })
}

fn sensor_reading(id: RequestId, reading: &Reading, index: u32) -> Result<v3::SensorReading, Fault> {
    let sensor_type = sensor_type(reading.kind);
    if sensor_type == SensorType::Unknown {
        return Err(refusal::no_message(reading.kind.name()));
    }
    Ok(v3::SensorReading {
        id: id.0,
        device_index: reading.device.0,
        sensor_index: index,
        sensor_type,
        data: vec![reading.value],
    })
}

/// The type that a client of v3 is shown.
fn actuator_type(kind: OutputKind) -> ActuatorType {
    match kind {
        OutputKind::Vibrate => ActuatorType::Vibrate,
        OutputKind::Rotate => ActuatorType::Rotate,
        OutputKind::Oscillate => ActuatorType::Oscillate,
        OutputKind::Constrict => ActuatorType::Constrict,
        OutputKind::Position | OutputKind::PositionWithDuration => ActuatorType::Position,
        OutputKind::Temperature | OutputKind::Led | OutputKind::Spray => ActuatorType::Unknown,
    }
}

/// The type that other servers show where [`actuator_type`] has `Unknown`; taken from a client that has learnt it there.
fn newer_type(kind: OutputKind) -> ActuatorType {
    match kind {
        OutputKind::Temperature => ActuatorType::Temperature,
        OutputKind::Led => ActuatorType::Led,
        OutputKind::Spray => ActuatorType::Spray,
        OutputKind::Constrict => ActuatorType::Inflate,
        OutputKind::Vibrate
        | OutputKind::Rotate
        | OutputKind::Oscillate
        | OutputKind::Position
        | OutputKind::PositionWithDuration => actuator_type(kind),
    }
}

fn sensor_type(kind: InputKind) -> SensorType {
    match kind {
        InputKind::Battery => SensorType::Battery,
        InputKind::Rssi => SensorType::Rssi,
        InputKind::Button => SensorType::Button,
        InputKind::Pressure => SensorType::Pressure,
        InputKind::Depth | InputKind::Position => SensorType::Unknown,
    }
}
