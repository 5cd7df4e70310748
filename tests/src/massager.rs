//! A Bluetooth massager of the tests' own: its definition, and what the fake BlueZ shows of it.

use tempfile::TempDir;
use uuid::{Uuid, uuid};

use crate::{
    bluez::{CharacteristicSpec, DeviceSpec, Flag},
    plugins,
};

/// Its one service.
pub const SERVICE: Uuid = uuid!("0000ff00-0000-1000-8000-00805f9b34fb");
/// The characteristic that takes its packets.
pub const TX: Uuid = uuid!("0000ff01-0000-1000-8000-00805f9b34fb");

const DEFINITION: &str = r#"
maker = "Test"

[[protocol]]
id = "massager"

[[protocol.bluetooth]]
names = ["Massage Demo"]
[protocol.bluetooth.services]
"0000ff00-0000-1000-8000-00805f9b34fb" = { tx = "0000ff01-0000-1000-8000-00805f9b34fb" }

[protocol.template]
packet = [{ bytes = "{0xF1 + i} {v}" }]

[protocol.default]
name = "Test Massager"
features = [
    { index = 0, output = { vibrate = [0, 127] } },
    { index = 1, output = { vibrate = [0, 127] } },
]
"#;

/// A folder of plugins with its definition alone: protocol `massager`, two motors of 127 steps, one packet a motor: 0xF1 or 0xF2, and
/// the strength.
///
/// # Errors
/// The folder cannot be written.
pub fn plugin() -> anyhow::Result<TempDir> {
    plugins::defined("massager", DEFINITION)
}

/// One of them; the number is the end of its address.
#[must_use]
pub fn spec(number: u8) -> DeviceSpec {
    DeviceSpec::named(&format!("F0:F1:F2:F3:F4:{number:02X}"), "Massage Demo")
        .service(SERVICE, vec![CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse])])
}
