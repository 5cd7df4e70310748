//! Extension `monitor` in v4: what the service says about itself. Only answers; the requests are read with the others.

use std::time::{Duration, Instant};

use ipc_schema::v4::{self, ServerMessage};

use super::output_type;
use crate::{
    client::Introduction,
    monitor::{
        ClientStatus, DeviceState, DeviceStatus, MonitorAnswer, OutputState, ScanWish, Status,
        TransportState, TransportStatus,
    },
    vocabulary::{RequestId, SessionId},
};

/// The reply to a question about the service.
pub(super) fn reply(id: RequestId, answer: &MonitorAnswer) -> ServerMessage {
    match answer {
        MonitorAnswer::Status { status, at } => ServerMessage::Status(service(id, status, *at)),
        MonitorAnswer::Clients { status, outputs, at, asker } => ServerMessage::Clients(v4::Clients {
            id: id.0,
            clients: status.clients.iter().filter_map(|known| client(known, outputs, *at, *asker)).collect(),
        }),
        MonitorAnswer::Outputs(states) => ServerMessage::Outputs(outputs(id, states)),
    }
}

/// Outputs with their live values.
pub(super) fn outputs(id: RequestId, states: &[OutputState]) -> v4::Outputs {
    v4::Outputs { id: id.0, outputs: states.iter().map(output).collect() }
}

fn output(state: &OutputState) -> v4::OutputState {
    v4::OutputState {
        device_index: state.output.device.0,
        feature_index: state.output.feature.0,
        output: output_type(state.output.kind),
        wanted: state.wanted,
        confirmed: state.confirmed,
        session_id: state.owner.map(session_number),
    }
}

fn service(id: RequestId, status: &Status, at: Instant) -> v4::Status {
    v4::Status {
        id: id.0,
        server_version: status.facts.version.clone(),
        uptime: at.saturating_duration_since(status.since).as_secs(),
        scanning: match status.scan {
            ScanWish::Scan => true,
            ScanWish::Rest => false,
        },
        transports: status.transports.iter().map(transport).collect(),
        devices: status.devices.iter().map(device).collect(),
        sessions: u32::try_from(status.clients.len()).unwrap_or(u32::MAX),
        definitions: status.facts.definitions,
        warnings: status.facts.warnings.clone(),
    }
}

fn transport(status: &TransportStatus) -> v4::TransportStatus {
    v4::TransportStatus {
        name: status.transport.to_owned(),
        state: match status.state {
            TransportState::Ready => v4::TransportState::Ready,
            TransportState::Off => v4::TransportState::Off,
            TransportState::Unavailable => v4::TransportState::Unavailable,
        },
        reason: unless_empty(&status.reason),
        hint: unless_empty(&status.hint),
    }
}

fn device(status: &DeviceStatus) -> v4::DeviceStatus {
    v4::DeviceStatus {
        device_index: status.index.0,
        device_name: status.name.clone(),
        device_display_name: status.display_name.clone(),
        transport: status.transport.to_string(),
        protocol: status.protocol.to_string(),
        state: match status.state {
            DeviceState::Connected => v4::DeviceState::Connected,
            DeviceState::Connecting => v4::DeviceState::Connecting,
            DeviceState::Absent => v4::DeviceState::Absent,
            DeviceState::Denied => v4::DeviceState::Denied,
        },
        reason: unless_empty(&status.reason),
        battery: status.battery.and_then(|percent| u8::try_from(percent).ok()),
    }
}

/// One session; `None` before its handshake, since it has no name or version yet.
fn client(
    status: &ClientStatus,
    outputs: &[OutputState],
    at: Instant,
    asker: SessionId,
) -> Option<v4::ClientStatus> {
    let (Introduction { client_name, version, ping_limit }, since) = status.introduction.as_ref()?;
    let process = status.peer.process.as_ref();
    Some(v4::ClientStatus {
        session_id: session_number(status.session),
        client_name: client_name.to_string(),
        front: status.peer.front.name().to_owned(),
        spec_version: version.number(),
        process_id: process.map(|process| process.pid),
        executable: process
            .and_then(|process| process.executable.as_ref())
            .map(|path| path.to_string_lossy().into_owned()),
        origin: status.peer.origin.clone(),
        connected: at.saturating_duration_since(*since).as_secs(),
        max_ping_time: ping_limit.map_or(0, milliseconds),
        drives: outputs.iter().filter(|state| state.is_driven_by(status.session)).map(output).collect(),
        reserves: status
            .reserves
            .iter()
            .map(|reserved| v4::ReservedFeature {
                device_index: reserved.device.0,
                feature_index: reserved.feature.map(|feature| feature.0),
            })
            .collect(),
        own: status.session == asker,
    })
}

fn unless_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn milliseconds(limit: Duration) -> u32 {
    u32::try_from(limit.as_millis()).unwrap_or(u32::MAX)
}

/// The number of a session on the wire. They count up from 1, so it fits for as long as anyone lives.
fn session_number(session: SessionId) -> u32 {
    u32::try_from(session.0).unwrap_or(u32::MAX)
}
