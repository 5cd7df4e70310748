//! A template on the bench: made from the text of a definition, driven by hand, its packets read as hex.
#![allow(dead_code, reason = "each test file uses a part of it")]

use plugin_sdk::driver::{Bench, Call, Direct, info};
use plugin_sdk::{
    Feature, Info, InputKind, InputRange, Model, Output, OutputKind, OutputRange, Ways, WriteKind,
};
use plugin_template::TemplateDevice;

/// A device on the bench.
pub(crate) type Device = Bench<Direct<TemplateDevice>>;

/// What `create` gets for a device with this template.
pub(crate) fn info_for(template: &str, name: &str, endpoints: &[&str]) -> Info {
    let table: toml::Table = toml::from_str(template).expect("the template of a test is TOML");
    let json = serde_json::to_string(&table).expect("it can be written as JSON");
    let mut info = info("test", name, endpoints);
    info.params.push((String::from("template"), json));
    info
}

/// One feature with one output.
pub(crate) fn feature(index: u32, kind: OutputKind, min: i32, max: i32) -> Feature {
    let duration_ms = if kind == OutputKind::PositionWithDuration { (0, 100_000) } else { (0, 0) };
    Feature { index, outputs: vec![OutputRange { kind, min, max, duration_ms }], inputs: Vec::new() }
}

/// A vibrator of 0..max.
pub(crate) fn vibrate(index: u32, max: i32) -> Feature {
    feature(index, OutputKind::Vibrate, 0, max)
}

/// One feature with one input.
pub(crate) fn sensor(index: u32, kind: InputKind) -> Feature {
    let range = InputRange { kind, min: 0, max: 2000, ways: Ways::Both };
    Feature { index, outputs: Vec::new(), inputs: vec![range] }
}

pub(crate) fn model(features: Vec<Feature>) -> Model {
    Model { identifier: String::from("MODEL"), variant: String::new(), features }
}

/// A device that was started; its bring-up operations are still there to be taken.
pub(crate) fn started(template: &str, endpoints: &[&str], features: Vec<Feature>) -> Device {
    let mut device = Device::direct(&info_for(template, "NAME", endpoints)).expect("the template is right");
    device.call(Call::Start(&model(features))).expect("the bring-up begins");
    device
}

/// The usual device: one endpoint `tx`, ready.
pub(crate) fn ready(template: &str, features: Vec<Feature>) -> Device {
    let mut device = started(template, &["tx"], features);
    assert_eq!(device.take_next(), Some(plugin_sdk::Operation::Ready));
    device
}

pub(crate) fn output(feature: u32, kind: OutputKind, value: i32, duration_ms: u32) -> Output {
    Output { feature, kind, value, duration_ms }
}

/// Sets vibrators and gives the packets: `tx 55 01`, or `tx! 55 01` with response.
pub(crate) fn set(device: &mut Device, values: &[(u32, i32)]) -> Vec<String> {
    let set: Vec<Output> =
        values.iter().map(|(feature, value)| output(*feature, OutputKind::Vibrate, *value, 0)).collect();
    set_outputs(device, &set)
}

pub(crate) fn set_outputs(device: &mut Device, set: &[Output]) -> Vec<String> {
    device.call(Call::Output(set)).expect("the values can be sent");
    packets(device)
}

pub(crate) fn stop(device: &mut Device, set: &[Output]) -> Vec<String> {
    device.call(Call::Stop(set)).expect("a stop never fails");
    packets(device)
}

/// The packets that were written since.
pub(crate) fn packets(device: &mut Device) -> Vec<String> {
    let packets = device.packets();
    packets
        .into_iter()
        .map(|(endpoint, data, kind)| {
            let mark = if kind == WriteKind::WithResponse { "!" } else { "" };
            let hex: Vec<String> = data.iter().map(|byte| format!("{byte:02X}")).collect();
            format!("{endpoint}{mark} {}", hex.join(" "))
        })
        .collect()
}
