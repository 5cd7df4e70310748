//! What a device is recognised by, bus by bus.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, de};
use uuid::Uuid;

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
    /// The USB interface whose reports are meant, for a device that has several. Without: the lowest that can be opened.
    pub interface: Option<u8>,
    /// The usage page of the reports that are meant, for a device whose nodes differ in that.
    pub usage_page: Option<u16>,
    /// The usage on that page.
    pub usage: Option<u16>,
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
