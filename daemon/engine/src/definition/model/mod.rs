//! The data of one definition file, as `plugin.toml` and the files of the administrator and the user write it.
//!
//! A value of these types has known keys and ranges that are not empty, and no more: what a file says as a whole (indexes
//! used twice, code without a library) is checked by `definition::parse`. The doc comments here are what editors
//! show, through the generated JSON Schema.

mod feature;
mod recognition;
mod rule;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

pub use self::{
    feature::{Feature, Input, InputWay, OnStop, Output},
    recognition::{
        BluetoothMatch, GamepadMatch, HidMatch, ManufacturerData, NameMatch, Parity, SerialMatch, UsbId,
    },
    rule::{DeviceRule, OutputRule, Which},
};

/// One definition file of buttplugd.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefinitionFile {
    /// Who makes these devices; for people.
    pub maker: Option<String>,
    /// The code of this folder: `buttplug_acme` is the file `libbuttplug_acme.so` beside this one. Plugin folders only.
    pub library: Option<String>,
    /// The byte languages, and the devices that speak them.
    #[serde(default)]
    pub protocol: Vec<Protocol>,
    /// Models that are added to a protocol of another file, which stays as it is.
    #[serde(default)]
    pub model: Vec<AddedModel>,
    /// What the user wants of devices: name, limits, whether they may be used at all. Not in plugin folders.
    #[serde(default)]
    pub device: Vec<DeviceRule>,
}

/// What becomes of the packets that are still to be sent of a set when a stop comes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SetUnderWay {
    /// They are left out: the stop makes up for them, sooner.
    #[default]
    Cut,
    /// They are sent before the stop: for devices that are worked by buttons, where half a press could mean anything.
    Finish,
}

/// One byte language, how the devices that speak it are recognised, and what they can do.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// Its name, unlike that of every other protocol: lower-case letters, digits, `-` and `_`.
    pub id: String,
    /// Whether the library of this folder runs it. Without: `[protocol.template]` does.
    #[serde(default)]
    pub code: bool,
    /// The shortest time between two packets, in milliseconds. Default: what the transport needs (75 for Bluetooth).
    pub message_gap_ms: Option<u32>,
    /// The least time between any two packets, those of one set and of one stop among them, in milliseconds: for devices that
    /// lose the first of two that follow each other too closely. At most 500. Default: 0.
    pub packet_gap_ms: Option<u32>,
    /// What becomes of a set that is being sent when a stop comes. Default: `cut`.
    #[serde(default)]
    pub set_under_way: SetUnderWay,
    /// For devices that stop, or hang up, unless they hear something now and then.
    pub keep_alive: Option<KeepAlive>,
    /// How long bring-up may take, in milliseconds, for devices that wait for a button, say. Default: 30000.
    pub bring_up_limit_ms: Option<u32>,
    /// Words for the code that runs it.
    #[serde(default)]
    pub params: BTreeMap<String, String>,
    /// How it is recognised over Bluetooth LE.
    #[serde(default)]
    pub bluetooth: Vec<BluetoothMatch>,
    /// How it is recognised on a serial port.
    #[serde(default)]
    pub serial: Vec<SerialMatch>,
    /// How it is recognised as a HID device.
    #[serde(default)]
    pub hid: Vec<HidMatch>,
    /// How it is recognised when it dials in over WebSocket.
    #[serde(default)]
    pub websocket: Vec<NameMatch>,
    /// Which game controllers it drives.
    #[serde(default)]
    pub gamepad: Vec<GamepadMatch>,
    /// Which simulated devices speak it.
    #[serde(default)]
    pub simulated: Vec<NameMatch>,
    /// The packets, in the pattern language of the template plugin.
    #[schemars(with = "Option<BTreeMap<String, serde_json::Value>>")]
    pub template: Option<toml::Table>,
    /// What a device is that no model names.
    pub default: DefaultModel,
    /// The models.
    #[serde(default)]
    pub model: Vec<Model>,
}

/// When a device must hear something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeepAlive {
    /// The longest silence that it bears, in milliseconds.
    pub every_ms: u32,
    /// In which states.
    pub when: KeepAliveWhen,
}

/// In which states a device must hear something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeepAliveWhen {
    /// As long as it is connected.
    Always,
    /// While an output is not at rest.
    Running,
}

/// What a device of a protocol is that no model names.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultModel {
    /// The name that people see.
    pub name: String,
    /// What the code wants to know of it.
    pub variant: Option<String>,
    /// What it can do.
    #[serde(default)]
    pub features: Vec<Feature>,
}

/// One model of a protocol.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// What the device says it is: its advertised name, or what the protocol's code asks of it.
    pub identifiers: Vec<String>,
    /// The name that people see.
    pub name: String,
    /// What the code wants to know of it.
    pub variant: Option<String>,
    /// What it can do, if that is not what the default can do.
    pub features: Option<Vec<Feature>>,
}

/// A model that is added to a protocol of another file.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddedModel {
    /// The protocol that it speaks.
    pub protocol: String,
    /// What the device says it is: its advertised name, or what the protocol's code asks of it. Empty where the entry only adds a
    /// way to recognise what the protocol knows.
    #[serde(default)]
    pub identifiers: Vec<String>,
    /// The name that people see. Default: that of the protocol's default.
    pub name: Option<String>,
    /// What the code wants to know of it. Default: that of the protocol's default.
    pub variant: Option<String>,
    /// What it can do, if that is not what the protocol's default can do.
    pub features: Option<Vec<Feature>>,
    /// How it is recognised over Bluetooth LE; without `services`, those of the protocol.
    #[serde(default)]
    pub bluetooth: Vec<BluetoothMatch>,
    /// How it is recognised on a serial port.
    #[serde(default)]
    pub serial: Vec<SerialMatch>,
    /// How it is recognised as a HID device.
    #[serde(default)]
    pub hid: Vec<HidMatch>,
    /// How it is recognised when it dials in over WebSocket.
    #[serde(default)]
    pub websocket: Vec<NameMatch>,
}
