//! A recording of a device as text: JSON lines, the first about the device, then one for each transfer and each thing that the device
//! sent.
//!
//! The format is ours and has a version. What tells of the user is left out in [`Redaction`]. Who makes recordings, who plays them
//! and what a result means on a bus is the shell's.

mod hex;
mod redaction;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::redaction::Redaction;
use crate::{advertisement::Advertisement, protocol::WriteKind};

/// What the first line says of the file.
const FORMAT: &str = "buttplugd-recording";
/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
/// A recording that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// The device.
    pub head: Head,
    /// What happened, in order.
    pub steps: Vec<Step>,
}

/// The first line: what the device is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    format: String,
    version: u32,
    /// What it shows of itself, by its bus.
    #[serde(flatten)]
    pub shown: Shown,
    /// The endpoints that it has.
    pub endpoints: Vec<String>,
    /// The protocol that it speaks.
    pub protocol: String,
    /// The protocol that it was recognised for, if its bring-up showed that it speaks another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_for: Option<String>,
    /// The bus that it was on, if that is not the one of what it shows: a dongle of a maker, say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bus: Option<String>,
    /// The name of the model.
    pub model: String,
    /// Its address on the bus, only if the user wished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The name that the user gave it, only if the user wished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
}

/// What a device shows of itself, in the words of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "transport", rename_all = "snake_case")]
pub enum Shown {
    /// Bluetooth LE.
    Bluetooth {
        /// The local name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// By company.
        #[serde(default)]
        manufacturer_data: Vec<CompanyData>,
        /// The services that are advertised.
        #[serde(default)]
        services: Vec<Uuid>,
    },
    /// A serial port.
    Serial {
        /// The port, only if the user wished.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        port: Option<String>,
        /// Vendor and product.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        usb: Option<(u16, u16)>,
    },
    /// A HID device.
    Hid {
        /// Vendor.
        vendor: u16,
        /// Product.
        product: u16,
        /// The product string.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<String>,
    },
    /// A device that dialled in over WebSocket.
    Websocket {
        /// Its identifier.
        name: String,
    },
    /// A game controller.
    Gamepad {
        /// What it calls itself.
        name: String,
    },
    /// A simulated device.
    Simulated {
        /// The model.
        name: String,
    },
}

/// Manufacturer data of one company.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CompanyData {
    company: u16,
    #[serde(with = "hex")]
    hex: Vec<u8>,
}

/// One line after the first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Milliseconds since the path was open; of a transfer, when it began.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
    /// What a transfer came to: `ok`, or a word and a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A packet was sent.
    Write {
        /// Where.
        endpoint: String,
        /// The bytes.
        #[serde(with = "hex")]
        hex: Vec<u8>,
        /// Whether the device was to confirm it.
        response: bool,
    },
    /// Bytes were asked for.
    Read {
        /// Where.
        endpoint: String,
        /// What came.
        #[serde(with = "hex")]
        hex: Vec<u8>,
    },
    /// News of an endpoint were asked for.
    Subscribe {
        /// Which.
        endpoint: String,
    },
    /// The opposite.
    Unsubscribe {
        /// Which.
        endpoint: String,
    },
    /// The device sent bytes.
    Notify {
        /// Where.
        endpoint: String,
        /// The bytes.
        #[serde(with = "hex")]
        hex: Vec<u8>,
    },
    /// The path broke.
    Lost {
        /// Why.
        reason: String,
    },
    /// So many steps happened here that were too many to keep.
    Missed {
        /// How many.
        steps: u64,
    },
}

/// Why a text is no recording that can be played.
#[derive(Debug, thiserror::Error)]
pub enum Unplayable {
    /// It is something else.
    #[error("this is no recording of a device; `buttplugctl record DEVICE FILE` makes one")]
    Other,
    /// It is newer than this service.
    #[error("this is a recording of version {0}, and this service knows {VERSION}")]
    Version(u32),
    /// One of its lines is broken.
    #[error("line {line}: {why}")]
    Line {
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        why: serde_json::Error,
    },
}

impl Recording {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// It is no recording, a newer one, or a line of it is broken.
    pub fn parse(text: &str) -> Result<Self, Unplayable> {
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (number, first) = lines.next().ok_or(Unplayable::Other)?;
        let claim: Claim = serde_json::from_str(first).map_err(|_| Unplayable::Other)?;
        if claim.format != FORMAT {
            return Err(Unplayable::Other);
        }
        if claim.version > VERSION {
            return Err(Unplayable::Version(claim.version));
        }
        let wrong = |line, why| Unplayable::Line { line, why };
        let head = serde_json::from_str(first).map_err(|why| wrong(number, why))?;
        let steps = lines
            .map(|(number, line)| serde_json::from_str(line).map_err(|why| wrong(number, why)))
            .collect::<Result<_, _>>()?;
        Ok(Self { head, steps })
    }
}

/// What every version of the format begins with.
#[derive(Deserialize)]
struct Claim {
    format: String,
    version: u32,
}

impl Head {
    /// The first line for a device. `redaction` is already applied to what it shows.
    #[must_use]
    pub fn new(advertisement: &Advertisement, redaction: &Redaction) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            shown: Shown::new(advertisement, redaction),
            endpoints: Vec::new(),
            protocol: String::new(),
            opened_for: None,
            bus: None,
            model: String::new(),
            address: None,
            given_name: None,
        }
    }

    /// The protocol whose bring-up is on the recording.
    #[must_use]
    pub fn recognised_for(&self) -> &str {
        self.opened_for.as_ref().unwrap_or(&self.protocol)
    }
}

impl Shown {
    fn new(advertisement: &Advertisement, redaction: &Redaction) -> Self {
        match advertisement {
            Advertisement::Bluetooth { name, manufacturer_data, services } => Self::Bluetooth {
                name: name.as_deref().map(|name| redaction.name(name)),
                manufacturer_data: manufacturer_data
                    .iter()
                    .map(|(company, data)| CompanyData { company: *company, hex: redaction.bytes(data) })
                    .collect(),
                services: services.clone(),
            },
            Advertisement::Serial { port, usb } => {
                Self::Serial { port: redaction.is_waived().then(|| port.clone()), usb: *usb }
            }
            Advertisement::Hid { vendor, product, name } => Self::Hid {
                vendor: *vendor,
                product: *product,
                name: name.as_deref().map(|name| redaction.name(name)),
            },
            Advertisement::WebSocket { name } => Self::Websocket { name: redaction.name(name) },
            Advertisement::Gamepad { name } => Self::Gamepad { name: redaction.name(name) },
            Advertisement::Simulated { name } => Self::Simulated { name: name.clone() },
        }
    }

    /// The advertisement again. `port` stands for a port that was left out.
    #[must_use]
    pub fn advertisement(&self, port: &str) -> Advertisement {
        match self {
            Self::Bluetooth { name, manufacturer_data, services } => Advertisement::Bluetooth {
                name: name.clone(),
                manufacturer_data: manufacturer_data
                    .iter()
                    .map(|data| (data.company, data.hex.clone()))
                    .collect(),
                services: services.clone(),
            },
            Self::Serial { port: known, usb } => {
                let port = known.clone().unwrap_or_else(|| port.to_owned());
                Advertisement::Serial { port, usb: *usb }
            }
            Self::Hid { vendor, product, name } => {
                Advertisement::Hid { vendor: *vendor, product: *product, name: name.clone() }
            }
            Self::Websocket { name } => Advertisement::WebSocket { name: name.clone() },
            Self::Gamepad { name } => Advertisement::Gamepad { name: name.clone() },
            Self::Simulated { name } => Advertisement::Simulated { name: name.clone() },
        }
    }
}

impl What {
    /// A packet.
    #[must_use]
    pub fn write(endpoint: &str, data: &[u8], kind: WriteKind) -> Self {
        let response = match kind {
            WriteKind::WithResponse => true,
            WriteKind::WithoutResponse => false,
        };
        Self::Write { endpoint: endpoint.to_owned(), hex: data.to_vec(), response }
    }

    /// Whether the service did it, in contrast to the device.
    #[must_use]
    pub const fn is_transfer(&self) -> bool {
        match self {
            Self::Write { .. } | Self::Read { .. } | Self::Subscribe { .. } | Self::Unsubscribe { .. } => {
                true
            }
            Self::Notify { .. } | Self::Lost { .. } | Self::Missed { .. } => false,
        }
    }
}

impl Step {
    /// The line of the file, without what tells of the user.
    #[must_use]
    pub fn line(&self, redaction: &Redaction) -> Option<String> {
        let hide = |text: &String| redaction.text(text);
        // Endpoints are hidden too: a transport may know no better name for one than a path that the address is in.
        let what = match &self.what {
            What::Write { endpoint, hex, response } => {
                What::Write { endpoint: hide(endpoint), hex: redaction.bytes(hex), response: *response }
            }
            What::Read { endpoint, hex } => {
                What::Read { endpoint: hide(endpoint), hex: redaction.bytes(hex) }
            }
            What::Notify { endpoint, hex } => {
                What::Notify { endpoint: hide(endpoint), hex: redaction.bytes(hex) }
            }
            What::Subscribe { endpoint } => What::Subscribe { endpoint: hide(endpoint) },
            What::Unsubscribe { endpoint } => What::Unsubscribe { endpoint: hide(endpoint) },
            What::Lost { reason } => What::Lost { reason: hide(reason) },
            What::Missed { steps } => What::Missed { steps: *steps },
        };
        let result = self.result.as_ref().map(hide);
        line(&Self { at_ms: self.at_ms, what, result })
    }
}

/// A value as a line.
#[must_use]
pub fn line(value: &impl Serialize) -> Option<String> {
    serde_json::to_string(value)
        .inspect_err(|error| tracing::error!(%error, "a line of a recording has no JSON form"))
        .ok()
}
