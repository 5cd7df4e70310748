//! The data of one definition file, as `plugin.toml` and the files of the administrator and the user write it.
//!
//! A value of these types has known keys and ranges that are not empty, and no more: what a file says as a whole (indexes
//! used twice, code without a library) is checked by `definition::parse`. The doc comments here are what editors
//! show, through the generated JSON Schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use uuid::Uuid;

use super::range;
use crate::vocabulary::{InputKind, OutputKind, Range};

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

/// How a device is recognised over Bluetooth LE: by a name, manufacturer data or an advertised service, any of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BluetoothMatch {
    /// Advertised names: exact, or the beginning of one with a `*` at its end.
    #[serde(default)]
    pub names: Vec<String>,
    /// Manufacturer data of the advertisement.
    #[serde(default)]
    pub manufacturer_data: Vec<ManufacturerData>,
    /// Services in the advertisement by which the device is known even if its name is not.
    #[serde(default)]
    pub advertised_services: Vec<Uuid>,
    /// Services of the device, and in each the characteristic of every endpoint: `tx`, `rx`, `rxblebattery`, ... A device has at
    /// least one of the services; those that it lacks are passed over.
    #[serde(default)]
    pub services: BTreeMap<Uuid, BTreeMap<String, Uuid>>,
}

/// Manufacturer data by which a device is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManufacturerData {
    /// The company id of the Bluetooth SIG.
    pub company: u16,
    /// Bytes in hex (`"ff 21"`) that are part of the data, or of which the data is a part. Without: the company is enough.
    #[serde(default, deserialize_with = "hex")]
    #[schemars(with = "Option<String>")]
    pub data: Option<Vec<u8>>,
}

/// How a device is recognised on a serial port.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SerialMatch {
    /// The port (`/dev/ttyUSB0`), or `default` for one that the USB ids name.
    #[serde(default = "default_port")]
    pub port: String,
    /// USB ids of its adapter.
    #[serde(default)]
    pub usb: Vec<UsbId>,
    /// Bits a second.
    pub baud_rate: u32,
    /// Bits in a byte, 5 to 8.
    #[serde(default = "eight")]
    pub data_bits: u8,
    /// The bit that guards a byte.
    #[serde(default)]
    pub parity: Parity,
    /// Bits after a byte, 1 or 2.
    #[serde(default = "one")]
    pub stop_bits: u8,
}

/// The bit that guards a byte on a serial line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Parity {
    /// There is none.
    #[default]
    None,
    /// Makes the sum of the bits even.
    Even,
    /// Makes the sum of the bits odd.
    Odd,
}

/// Which game controllers that rumble are meant.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GamepadMatch {
    /// Names, or beginnings of names with a `*` at the end. Absent: all controllers.
    #[serde(default)]
    pub names: Vec<String>,
}

/// How a HID device is recognised.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HidMatch {
    /// USB or Bluetooth ids.
    pub ids: Vec<UsbId>,
}

/// Vendor and product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UsbId {
    /// The vendor id.
    pub vendor: u16,
    /// The product id.
    pub product: u16,
}

/// How a device is recognised that tells its name: exact, or the beginning of one with a `*` at its end.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NameMatch {
    /// The names.
    pub names: Vec<String>,
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

/// One addressable ability of a device.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its number, which clients use. There may be gaps.
    pub index: u32,
    /// What it is, for people.
    #[serde(default)]
    pub description: String,
    /// What it can be set to.
    #[serde(default)]
    pub output: BTreeMap<OutputKind, Output>,
    /// What can be read from it.
    #[serde(default)]
    pub input: BTreeMap<InputKind, Input>,
}

/// One output: the values that the device takes, `[0, 20]`, or a table with more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, JsonSchema)]
#[schemars(with = "OutputForm")]
pub struct Output {
    /// The values that the device takes. Negative ones are the other direction, as far as the positive ones go.
    pub range: Range,
    /// The times in milliseconds that it takes; for position-with-duration, and only there.
    pub duration_ms: Option<(u32, u32)>,
    /// What a stop does to it; `None` is what its kind does.
    pub on_stop: Option<OnStop>,
}

/// What a stop does to an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnStop {
    /// It goes to rest, 0.
    Rest,
    /// Nothing: it has no rest, or it would act if it were set to it.
    Leave,
}

/// One input.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// The values it can have, a range for each number of a reading.
    #[serde(deserialize_with = "range::lists")]
    #[schemars(with = "Vec<[i32; 2]>", length(min = 1))]
    pub range: Vec<Range>,
    /// How it can be had.
    pub ways: Vec<InputWay>,
}

/// How an input can be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InputWay {
    /// By asking each time.
    Read,
    /// By subscription.
    Subscribe,
}

/// What the user wants of devices. For one setting the later layer wins, in a layer the more exact `which`, then the later entry;
/// a `deny` always wins.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceRule {
    /// Which devices.
    pub which: Which,
    /// The name that clients are shown beside that of the model.
    pub name: Option<String>,
    /// Whether it is never connected to.
    #[serde(default)]
    pub deny: bool,
    /// Once one entry anywhere says so, only devices are connected to for which an entry says so.
    #[serde(default)]
    pub allow: bool,
    /// The index that it shall have for life, if no other device has it.
    pub index: Option<u32>,
    /// The shortest time between two packets, in milliseconds.
    pub message_gap_ms: Option<u32>,
    /// Limits of single outputs.
    #[serde(default)]
    pub outputs: Vec<OutputRule>,
}

/// Which devices a rule is about: those for which all that is given here is so.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Which {
    /// The protocol that they speak.
    pub protocol: Option<String>,
    /// What they say they are.
    pub identifier: Option<String>,
    /// The address of the one device.
    pub address: Option<String>,
}

/// The user's limits of one output.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputRule {
    /// The index of the feature.
    pub feature: u32,
    /// Which output of it.
    pub kind: OutputKind,
    /// The part of the device's own range that may be used. Of an output with two directions, the strengths in either.
    #[serde(default, deserialize_with = "range::optional_values")]
    #[schemars(with = "Option<[i32; 2]>")]
    pub range: Option<Range>,
    /// The times in milliseconds that may be asked for.
    #[serde(default, deserialize_with = "range::optional_times")]
    #[schemars(with = "Option<[u32; 2]>")]
    pub duration_ms: Option<(u32, u32)>,
    /// Whether no client sees it.
    #[serde(default)]
    pub disabled: bool,
    /// Whether it goes the other way: a position counts from the other end, a rotation turns the other way.
    #[serde(default)]
    pub invert: bool,
}

/// How an [`Output`] may be written.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
#[expect(
    dead_code,
    reason = "describes the two forms to the JSON Schema; reading is done by hand, for better errors"
)]
enum OutputForm {
    /// Only the values that the device takes.
    Range([i32; 2]),
    /// The values, and more.
    Table(OutputTable),
}

/// An output with more than a range.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct OutputTable {
    /// The values that the device takes. Negative ones are the other direction, as far as the positive ones go.
    #[serde(deserialize_with = "range::values")]
    #[schemars(with = "[i32; 2]")]
    range: Range,
    /// The times in milliseconds that it takes; for position-with-duration, and only there.
    #[serde(default, deserialize_with = "range::optional_times")]
    #[schemars(with = "Option<[u32; 2]>")]
    duration_ms: Option<(u32, u32)>,
    /// What a stop does to it. Default: positions are left, everything else goes to rest (0).
    on_stop: Option<OnStop>,
}

impl<'de> Deserialize<'de> for Output {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Form;

        impl<'de> de::Visitor<'de> for Form {
            type Value = Output;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a range `[0, 20]`, or a table `{ range = [0, 20], .. }`")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, from: A) -> Result<Output, A::Error> {
                let range = range::values(de::value::SeqAccessDeserializer::new(from))?;
                Ok(Output { range, duration_ms: None, on_stop: None })
            }

            fn visit_map<A: de::MapAccess<'de>>(self, from: A) -> Result<Output, A::Error> {
                let table = OutputTable::deserialize(de::value::MapAccessDeserializer::new(from))?;
                Ok(Output { range: table.range, duration_ms: table.duration_ms, on_stop: table.on_stop })
            }
        }

        from.deserialize_any(Form)
    }
}

fn hex<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Vec<u8>>, D::Error> {
    let text = String::deserialize(from)?;
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    let bad = || de::Error::custom(format_args!("`{text}` is not bytes in hex, two digits each"));
    if digits.is_empty() || !digits.len().is_multiple_of(2) {
        return Err(bad());
    }
    let byte = |pair: &[char]| {
        let pair: String = pair.iter().collect();
        u8::from_str_radix(&pair, 16).map_err(|_| bad())
    };
    digits.chunks_exact(2).map(byte).collect::<Result<_, _>>().map(Some)
}

fn default_port() -> String {
    "default".to_owned()
}

const fn eight() -> u8 {
    8
}

const fn one() -> u8 {
    1
}
