//! What the definitions say of a device, in the words of those who need it: transport, plugin, state, hub.

use std::{path::PathBuf, sync::Arc, time::Duration};

use engine::{
    definition::{
        entry::ProtocolEntry,
        matching::Way,
        model,
        resolved::{Resolved, ResolvedOutput},
    },
    device::{InputSetup, KeepAlive, KeepAliveWhen, ModelSetup, Motion, OnStop, OutputSetup, SetUnderWay},
    protocol::Endpoint,
    router::{DeviceEntry, OutputEntry},
    view::FeatureView,
    vocabulary::{DeviceIndex, Range},
};

use crate::{
    plugin::{Feature, InputRange, Model, OutputRange},
    transport::{Access, HidPart, SerialSettings, ble, dongle},
};

/// The gap between packets on Bluetooth, unless a definition says otherwise: what most devices bear.
const BLUETOOTH_GAP_MS: u32 = 75;
/// How long the first of several values for one device waits for the others, on Bluetooth. A client of v4 sends a message for each
/// output, and on a busy machine there are milliseconds between them; a connection of Bluetooth LE carries a packet every 7.5 ms at
/// the soonest.
const BLUETOOTH_GATHER: Duration = Duration::from_millis(5);

/// How a device is opened that can be reached in the first of these ways; over Bluetooth, in whichever of them fits.
pub(super) fn access(first: &Way, others: &[Way]) -> Access {
    let named = |way: &Way| match way {
        Way::Bluetooth(services) => {
            let services = services.iter().map(|(service, endpoints)| {
                let endpoints = endpoints.iter().map(|(name, id)| (Endpoint::from(name.as_str()), *id));
                (*service, endpoints.collect())
            });
            Some(services.collect())
        }
        Way::Serial(_) | Way::Hid(_) | Way::WebSocket | Way::Gamepad | Way::Simulated => None,
    };
    match first {
        Way::Bluetooth(_) => {
            Access::Bluetooth { candidates: [first].into_iter().chain(others).filter_map(named).collect() }
        }
        Way::Serial(settings) => Access::Serial(SerialSettings {
            baud_rate: settings.baud_rate,
            data_bits: settings.data_bits,
            parity: match settings.parity {
                model::Parity::None => 'N',
                model::Parity::Even => 'E',
                model::Parity::Odd => 'O',
            },
            stop_bits: settings.stop_bits,
        }),
        Way::Hid(one) => {
            Access::Hid(HidPart { interface: one.interface, usage_page: one.usage_page, usage: one.usage })
        }
        Way::WebSocket => Access::WebSocket,
        Way::Gamepad => Access::Gamepad,
        Way::Simulated => Access::Simulated,
    }
}

/// Whether packets go over Bluetooth in the end, as they do from a dongle of a maker.
fn is_radio(transport: &str) -> bool {
    [ble::NAME, dongle::NAME].contains(&transport)
}

/// The gap of a bus.
pub(super) fn default_gap_ms(transport: &str) -> u32 {
    if is_radio(transport) { BLUETOOTH_GAP_MS } else { 0 }
}

/// Where the library of a protocol is; `None` for one that is a template.
#[must_use]
pub fn library(protocol: &ProtocolEntry) -> Option<PathBuf> {
    let library = protocol.library.as_ref()?;
    let folder = std::path::Path::new(&protocol.file).parent()?;
    Some(folder.join(format!("lib{library}.so")))
}

/// The strings that the plugin is given.
#[must_use]
pub fn params(protocol: &ProtocolEntry) -> Vec<(String, String)> {
    let definition = &protocol.definition;
    let mut params: Vec<(String, String)> =
        definition.params.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
    if let Some(template) = definition.template.as_ref().filter(|_| !definition.code) {
        match serde_json::to_string(template) {
            Ok(text) => params.push(("template".to_owned(), text)),
            Err(error) => tracing::error!(protocol = definition.id, %error, "a template has no JSON form"),
        }
    }
    params
}

/// What the plugin is told of the model.
#[must_use]
pub fn plugin_model(resolved: &Resolved) -> Model {
    let features = resolved.features.iter().map(|feature| Feature {
        index: feature.index,
        outputs: feature
            .outputs
            .iter()
            .map(|output| OutputRange {
                kind: output.kind,
                range: output.hardware,
                duration_ms: output.hardware_duration_ms.unwrap_or_default(),
            })
            .collect(),
        inputs: feature
            .inputs
            .iter()
            .map(|input| InputRange {
                kind: input.kind,
                range: input.ranges.first().copied().unwrap_or(Range::new(i32::MIN, i32::MAX)),
                ways: input.ways,
            })
            .collect(),
    });
    Model {
        identifier: resolved.identifier.clone(),
        variant: resolved.variant.clone().unwrap_or_default(),
        features: features.collect(),
    }
}

/// What the state of the device is told. `transport` is the name of its bus, `left` whether it may be running already.
#[must_use]
pub fn setup(resolved: &Resolved, transport: &str, left: Motion) -> ModelSetup {
    let outputs: Vec<OutputSetup> = resolved
        .features
        .iter()
        .flat_map(|feature| {
            feature.outputs.iter().map(|output| OutputSetup {
                feature: feature.index,
                kind: output.kind,
                rest: 0,
                on_stop: on_stop(output),
            })
        })
        .collect();
    let inputs = resolved.features.iter().flat_map(|feature| {
        feature.inputs.iter().map(|input| InputSetup { feature: feature.index, kind: input.kind })
    });
    let gathers = is_radio(transport) && outputs.len() > 1;
    let gap = resolved.message_gap_ms.unwrap_or_else(|| default_gap_ms(transport));
    ModelSetup {
        inputs: inputs.collect(),
        signal: signal(resolved, transport).map(|feature| feature.index),
        gap: Duration::from_millis(gap.into()),
        packet_gap: Duration::from_millis(resolved.packet_gap_ms.into()),
        set_under_way: match resolved.set_under_way {
            model::SetUnderWay::Cut => SetUnderWay::Cut,
            model::SetUnderWay::Finish => SetUnderWay::Finish,
        },
        gather: if gathers { BLUETOOTH_GATHER } else { Duration::ZERO },
        keep_alive: resolved.keep_alive.map(|keep_alive| KeepAlive {
            every: Duration::from_millis(keep_alive.every_ms.into()),
            when: match keep_alive.when {
                model::KeepAliveWhen::Always => KeepAliveWhen::Always,
                model::KeepAliveWhen::Running => KeepAliveWhen::Running,
            },
        }),
        left,
        bring_up_limit: resolved.bring_up_limit_ms.map(|limit| Duration::from_millis(limit.into())),
        outputs,
    }
}

fn on_stop(output: &ResolvedOutput) -> OnStop {
    match output.on_stop {
        // A position stays where it is, but a movement under way ends: the state knows positions by their kind.
        model::OnStop::Leave if output.kind.is_position() => OnStop::Rest,
        model::OnStop::Leave => OnStop::Leave,
        model::OnStop::Rest => OnStop::Rest,
    }
}

/// What shows the strength of the signal, where the bus tells it: the toy behind a dongle is heard by the dongle alone.
fn signal(resolved: &Resolved, transport: &str) -> Option<FeatureView> {
    if transport == ble::NAME { resolved.signal() } else { None }
}

/// What the hub is told.
pub(super) fn entry(resolved: &Resolved, index: DeviceIndex, transport: &'static str) -> DeviceEntry {
    let outputs = resolved.features.iter().flat_map(|feature| {
        feature.outputs.iter().map(|output| OutputEntry {
            feature: feature.index,
            kind: output.kind,
            scale: output.scale,
        })
    });
    let mut view = resolved.view(index, default_gap_ms(transport));
    view.features.extend(signal(resolved, transport));
    DeviceEntry {
        view: Arc::new(view),
        transport,
        protocol: Arc::from(resolved.protocol.id()),
        outputs: outputs.collect(),
    }
}
