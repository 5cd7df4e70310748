//! The structs of the ABI for one call, made from the service's own words.
//!
//! They borrow: each is made, used for one call and dropped. No pointer in them outlives what it was made from.

use engine::{
    advertisement::Advertisement,
    protocol::{InputWish, OutputValue},
    view::InputWays,
    vocabulary::{InputKind, OutputKind},
};
use plugin_abi as abi;

use super::info::{DeviceInfo, Feature, Model};

/// Calls `body` with the ABI's form of `info`.
pub(super) fn with_info<T>(info: &DeviceInfo, body: impl FnOnce(&abi::DeviceInfo) -> T) -> T {
    let manufacturer_data: Vec<abi::ManufacturerData> = match &info.advertisement {
        Advertisement::Bluetooth { manufacturer_data, .. } => manufacturer_data
            .iter()
            .map(|(company, data)| abi::ManufacturerData {
                company: u32::from(*company),
                reserved: 0,
                data: abi::Bytes::new(data),
            })
            .collect(),
        Advertisement::Serial { .. }
        | Advertisement::Hid { .. }
        | Advertisement::WebSocket { .. }
        | Advertisement::Gamepad { .. }
        | Advertisement::Simulated { .. } => Vec::new(),
    };
    let endpoints: Vec<abi::Endpoint> = info
        .endpoints
        .iter()
        .zip(0..)
        .map(|(name, id)| abi::Endpoint { id, flags: 0, name: abi::Str::new(name) })
        .collect();
    let params: Vec<abi::Param> = info
        .params
        .iter()
        .map(|(key, value)| abi::Param { key: abi::Str::new(key), value: abi::Str::new(value) })
        .collect();
    let (transport, vendor, product) = match &info.advertisement {
        Advertisement::Bluetooth { .. } => (abi::transport::BLUETOOTH, 0, 0),
        Advertisement::Serial { usb, .. } => {
            let (vendor, product) = usb.unwrap_or((0, 0));
            (abi::transport::SERIAL, vendor, product)
        }
        Advertisement::Hid { vendor, product, .. } => (abi::transport::HID, *vendor, *product),
        Advertisement::WebSocket { .. } => (abi::transport::WEBSOCKET, 0, 0),
        Advertisement::Gamepad { .. } | Advertisement::Simulated { .. } => (abi::transport::OTHER, 0, 0),
    };
    body(&abi::DeviceInfo {
        struct_size: size::<abi::DeviceInfo>(),
        transport,
        seed: info.seed,
        protocol: abi::Str::new(&info.protocol),
        name: abi::Str::new(info.advertisement.name().unwrap_or_default()),
        address: abi::Str::new(&info.address),
        vendor: u32::from(vendor),
        product: u32::from(product),
        manufacturer_data: manufacturer_data.as_ptr(),
        manufacturer_data_count: manufacturer_data.len(),
        endpoints: endpoints.as_ptr(),
        endpoint_count: endpoints.len(),
        params: params.as_ptr(),
        param_count: params.len(),
    })
}

/// Calls `body` with the ABI's form of `model`.
pub(super) fn with_model<T>(model: &Model, body: impl FnOnce(&abi::Model) -> T) -> T {
    let ranges: Vec<(Vec<abi::OutputRange>, Vec<abi::InputRange>)> =
        model.features.iter().map(|feature| (output_ranges(feature), input_ranges(feature))).collect();
    let features: Vec<abi::Feature> = model
        .features
        .iter()
        .zip(&ranges)
        .map(|(feature, (outputs, inputs))| abi::Feature {
            index: feature.index.0,
            reserved: 0,
            outputs: outputs.as_ptr(),
            output_count: outputs.len(),
            inputs: inputs.as_ptr(),
            input_count: inputs.len(),
        })
        .collect();
    body(&abi::Model {
        struct_size: size::<abi::Model>(),
        reserved: 0,
        identifier: abi::Str::new(&model.identifier),
        variant: abi::Str::new(&model.variant),
        features: features.as_ptr(),
        feature_count: features.len(),
    })
}

fn output_ranges(feature: &Feature) -> Vec<abi::OutputRange> {
    let ranges = feature.outputs.iter().map(|output| abi::OutputRange {
        kind: output_kind(output.kind),
        min: output.range.min,
        max: output.range.max,
        reserved: 0,
        duration_min_ms: output.duration_ms.0,
        duration_max_ms: output.duration_ms.1,
    });
    ranges.collect()
}

fn input_ranges(feature: &Feature) -> Vec<abi::InputRange> {
    let ranges = feature.inputs.iter().map(|input| abi::InputRange {
        kind: input_kind(input.kind),
        min: input.range.min,
        max: input.range.max,
        ways: match input.ways {
            InputWays::Read => abi::way::READ,
            InputWays::Subscribe => abi::way::SUBSCRIBE,
            InputWays::Both => abi::way::READ | abi::way::SUBSCRIBE,
        },
    });
    ranges.collect()
}

/// The ABI's form of a set of outputs.
pub(super) fn outputs<'a>(set: impl IntoIterator<Item = &'a OutputValue>) -> Vec<abi::Output> {
    let outputs = set.into_iter().map(|one| abi::Output {
        feature: one.feature.0,
        kind: output_kind(one.kind),
        value: one.value,
        duration_ms: one.duration_ms,
    });
    outputs.collect()
}

/// The number of a kind of output.
pub(super) fn output_kind(kind: OutputKind) -> u32 {
    match kind {
        OutputKind::Vibrate => abi::output_kind::VIBRATE,
        OutputKind::Rotate => abi::output_kind::ROTATE,
        OutputKind::Oscillate => abi::output_kind::OSCILLATE,
        OutputKind::Constrict => abi::output_kind::CONSTRICT,
        OutputKind::Temperature => abi::output_kind::TEMPERATURE,
        OutputKind::Led => abi::output_kind::LED,
        OutputKind::Spray => abi::output_kind::SPRAY,
        OutputKind::Position => abi::output_kind::POSITION,
        OutputKind::PositionWithDuration => abi::output_kind::POSITION_WITH_DURATION,
    }
}

/// The number of a kind of input.
pub(super) fn input_kind(kind: InputKind) -> u32 {
    match kind {
        InputKind::Battery => abi::input_kind::BATTERY,
        InputKind::Rssi => abi::input_kind::RSSI,
        InputKind::Button => abi::input_kind::BUTTON,
        InputKind::Pressure => abi::input_kind::PRESSURE,
        InputKind::Depth => abi::input_kind::DEPTH,
        InputKind::Position => abi::input_kind::POSITION,
    }
}

/// The number of what is wanted of an input.
pub(super) fn want(wish: InputWish) -> u32 {
    match wish {
        InputWish::Read => abi::want::READ,
        InputWish::Subscribe => abi::want::SUBSCRIBE,
        InputWish::Unsubscribe => abi::want::UNSUBSCRIBE,
    }
}

/// The size of a struct of ours, as the ABI counts it.
pub(super) fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}
