//! The file of a recording: JSON lines, the first about the device, then one for each transfer and each thing that the device sent.
//!
//! The format is ours and has a version. What tells of the user is left out in [`Redaction`]. Who makes recordings is in
//! `record`, who plays them in `replay`.

use std::{
    fs::File,
    io::{self, Read as _},
    path::Path,
};

use engine::{advertisement::Advertisement, protocol::WriteKind};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::TransportFault;

/// What the first line says of the file.
const FORMAT: &str = "buttplugd-recording";
/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;
/// The longest file that is read, in bytes: hours of a busy device.
const FILE_MAX: u64 = 64 * 1024 * 1024;
/// The result of a transfer that went well.
const OK: &str = "ok";

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
    /// The protocol that it was recognised for.
    pub protocol: String,
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

/// Why a file is no recording that can be played.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// It cannot be read.
    #[error("cannot read the recording {path}: {why}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        why: io::Error,
    },
    /// It is something else.
    #[error("{path} is no recording of a device; `buttplugctl record DEVICE FILE` makes one")]
    Other {
        /// The file.
        path: String,
    },
    /// It is newer than this service.
    #[error("{path} is a recording of version {version}, and this service knows {VERSION}")]
    Version {
        /// The file.
        path: String,
        /// Its version.
        version: u32,
    },
    /// One of its lines is broken.
    #[error("{path}, line {line}: {why}")]
    Line {
        /// The file.
        path: String,
        /// Which line, from 1.
        line: usize,
        /// What is wrong.
        why: serde_json::Error,
    },
}

impl Recording {
    /// Reads a file.
    ///
    /// # Errors
    /// It cannot be read, is no recording, or is a newer one.
    pub fn load(path: &Path) -> Result<Self, RecordingError> {
        let name = path.display().to_string();
        let mut bytes = Vec::new();
        let read = File::open(path).and_then(|file| file.take(FILE_MAX + 1).read_to_end(&mut bytes));
        read.map_err(|why| RecordingError::Read { path: name.clone(), why })?;
        let is_short = u64::try_from(bytes.len()).is_ok_and(|length| length <= FILE_MAX);
        match String::from_utf8(bytes) {
            Ok(text) if is_short => Self::parse(&text, &name),
            Ok(_) | Err(_) => Err(RecordingError::Other { path: name }),
        }
    }

    /// Reads the text of a file; `path` is for errors.
    ///
    /// # Errors
    /// As for [`Recording::load`].
    pub fn parse(text: &str, path: &str) -> Result<Self, RecordingError> {
        let other = || RecordingError::Other { path: path.to_owned() };
        let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let (number, first) = lines.next().ok_or_else(other)?;
        let claim: Claim = serde_json::from_str(first).map_err(|_| other())?;
        if claim.format != FORMAT {
            return Err(other());
        }
        if claim.version > VERSION {
            return Err(RecordingError::Version { path: path.to_owned(), version: claim.version });
        }
        let wrong = |line, why| RecordingError::Line { path: path.to_owned(), line, why };
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
            model: String::new(),
            address: None,
            given_name: None,
        }
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

    /// The name of its bus.
    #[must_use]
    pub const fn transport(&self) -> &'static str {
        match self {
            Self::Bluetooth { .. } => "bluetooth",
            Self::Serial { .. } => "serial",
            Self::Hid { .. } => "hid",
            Self::Websocket { .. } => super::websocket::NAME,
            Self::Gamepad { .. } => super::gamepad::NAME,
            Self::Simulated { .. } => "simulated",
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
    /// The outcome of a transfer; one without a result went well.
    ///
    /// # Errors
    /// What the transport said, as far as the file has it.
    pub fn outcome(&self) -> Result<(), TransportFault> {
        let result = self.result.as_deref().unwrap_or(OK);
        let (word, text) = result.split_once(": ").unwrap_or((result, result));
        let text = text.to_owned();
        match word {
            OK => Ok(()),
            "disconnected" => Err(TransportFault::Disconnected(text)),
            "timed-out" => Err(TransportFault::TimedOut(text.parse().unwrap_or_default())),
            "no-endpoint" => Err(TransportFault::NoEndpoint(text)),
            "not-allowed" => Err(TransportFault::NotAllowed(text)),
            _ => Err(TransportFault::Refused(text)),
        }
    }

    /// The line of the file, without what tells of the user.
    #[must_use]
    pub fn line(&self, redaction: &Redaction) -> Option<String> {
        let what = match &self.what {
            What::Write { endpoint, hex, response } => {
                What::Write { endpoint: endpoint.clone(), hex: redaction.bytes(hex), response: *response }
            }
            What::Read { endpoint, hex } => {
                What::Read { endpoint: endpoint.clone(), hex: redaction.bytes(hex) }
            }
            What::Notify { endpoint, hex } => {
                What::Notify { endpoint: endpoint.clone(), hex: redaction.bytes(hex) }
            }
            What::Lost { reason } => What::Lost { reason: redaction.text(reason) },
            other @ (What::Subscribe { .. } | What::Unsubscribe { .. } | What::Missed { .. }) => {
                other.clone()
            }
        };
        let result = self.result.as_deref().map(|result| redaction.text(result));
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

/// The words of a result.
#[must_use]
pub fn result<T>(result: &Result<T, TransportFault>) -> String {
    match result {
        Ok(_) => OK.to_owned(),
        Err(TransportFault::Disconnected(text)) => format!("disconnected: {text}"),
        Err(TransportFault::TimedOut(ms)) => format!("timed-out: {ms}"),
        Err(TransportFault::NoEndpoint(name)) => format!("no-endpoint: {name}"),
        Err(TransportFault::NotAllowed(text)) => format!("not-allowed: {text}"),
        Err(TransportFault::Refused(text)) => format!("refused: {text}"),
    }
}

/// Bytes as hexadecimal digits.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        serializer.serialize_str(&digits)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::bytes_of(&text).ok_or_else(|| D::Error::custom("bytes are pairs of hexadecimal digits"))
    }
}

/// The bytes that hexadecimal digits stand for.
fn bytes_of(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| {
            let text = std::str::from_utf8(pair).ok().filter(|text| text.len() == 2)?;
            let is_digits = text.bytes().all(|digit| digit.is_ascii_hexdigit());
            is_digits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
        })
        .collect()
}

/// Takes the address of a device out of what is recorded. Some devices put it into what they say (as bytes in either order, or as
/// digits), and some put its end into their name. Zeros take its place, so that lengths stay.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Redaction {
    /// What must not be seen. Digits are in lower case.
    hidden: Vec<Vec<u8>>,
    /// The digits of the address, for the end of a name.
    digits: String,
    policy: Policy,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Policy {
    #[default]
    Hide,
    Show,
}

/// What stands between the digits of an address.
const SEPARATORS: [&str; 4] = ["", ":", "-", "_"];
/// The fewest digits of an address at the end of a name that are taken for such.
const NAME_DIGITS_MIN: usize = 4;

impl Redaction {
    /// Hides an address, if it is one of Bluetooth; those of other buses are never in packets.
    #[must_use]
    pub fn of(address: &str) -> Self {
        let digits: String =
            address.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_lowercase();
        let bytes = bytes_of(&digits).filter(|bytes| bytes.len() == 6 && address.len() == 17);
        let Some(bytes) = bytes else { return Self::default() };
        let reversed: Vec<u8> = bytes.iter().rev().copied().collect();
        let mut hidden = Vec::new();
        for order in [&bytes, &reversed] {
            for separator in SEPARATORS {
                let pairs: Vec<String> = order.iter().map(|byte| format!("{byte:02x}")).collect();
                hidden.push(pairs.join(separator).into_bytes());
            }
        }
        hidden.extend([bytes, reversed]);
        Self { hidden, digits, policy: Policy::Hide }
    }

    /// Hides nothing.
    #[must_use]
    pub fn waived() -> Self {
        Self { policy: Policy::Show, ..Self::default() }
    }

    /// Whether the user wished for everything.
    #[must_use]
    pub fn is_waived(&self) -> bool {
        self.policy == Policy::Show
    }

    /// Bytes of a packet.
    #[must_use]
    pub fn bytes(&self, data: &[u8]) -> Vec<u8> {
        let mut shown = data.to_vec();
        for hidden in &self.hidden {
            let is_text = hidden.len() > 6;
            let found: Vec<usize> =
                data.windows(hidden.len())
                    .enumerate()
                    .filter(|(_, part)| {
                        if is_text { part.eq_ignore_ascii_case(hidden) } else { *part == hidden.as_slice() }
                    })
                    .map(|(at, _)| at)
                    .collect();
            for at in found {
                for byte in shown.iter_mut().skip(at).take(hidden.len()) {
                    *byte = match *byte {
                        _ if !is_text => 0,
                        digit if digit.is_ascii_hexdigit() => b'0',
                        separator => separator,
                    };
                }
            }
        }
        shown
    }

    /// A text for people.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// The name that a device shows, which may end in a part of its address.
    #[must_use]
    pub fn name(&self, name: &str) -> String {
        let name = self.text(name);
        let lower = name.to_ascii_lowercase();
        let longest = (NAME_DIGITS_MIN..=self.digits.len())
            .rev()
            .filter_map(|count| self.digits.get(self.digits.len() - count..))
            .find(|end| lower.ends_with(end));
        match longest.and_then(|end| name.get(..name.len() - end.len()).map(|rest| (rest, end.len()))) {
            Some((rest, count)) => format!("{rest}{}", "0".repeat(count)),
            None => name,
        }
    }
}

#[cfg(test)]
mod tests;
