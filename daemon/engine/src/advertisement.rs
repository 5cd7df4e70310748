//! What a device shows of itself before it is opened: all that there is to recognise it by.

use uuid::Uuid;

/// What a device shows of itself, by the kind of its bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Advertisement {
    /// Bluetooth LE.
    Bluetooth {
        /// The complete local name; blanks at its end count.
        name: Option<String>,
        /// Company id and data.
        manufacturer_data: Vec<(u16, Vec<u8>)>,
        /// The services that are advertised, which are often fewer than the device has.
        services: Vec<Uuid>,
    },
    /// A serial port.
    Serial {
        /// The port, `/dev/ttyUSB0`.
        port: String,
        /// Vendor and product of the USB adapter, if it is one.
        usb: Option<(u16, u16)>,
    },
    /// A HID device.
    Hid {
        /// USB or Bluetooth vendor id.
        vendor: u16,
        /// USB or Bluetooth product id.
        product: u16,
        /// The product string.
        name: Option<String>,
    },
    /// A device that dialled in over WebSocket and named itself.
    WebSocket {
        /// The identifier of its first packet.
        name: String,
    },
    /// A game controller that rumbles.
    Gamepad {
        /// What it calls itself.
        name: String,
    },
    /// A simulated device.
    Simulated {
        /// The name of the model.
        name: String,
    },
}

impl Advertisement {
    /// The name that is shown, if there is one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Bluetooth { name, .. } | Self::Hid { name, .. } => name.as_deref(),
            Self::WebSocket { name } | Self::Gamepad { name } | Self::Simulated { name } => Some(name),
            Self::Serial { .. } => None,
        }
    }
}
