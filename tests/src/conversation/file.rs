//! The form of a conversation file, JSON, `format` 1.
//!
//! A step says what happens next: something is expected of the server, the device does something, or the client does. Unknown members
//! are an error, so that a file that says more than is played cannot pass.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

/// One conversation between a client, the server and simulated devices.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversation {
    /// Form of the file; 1.
    pub format: u32,
    /// Its name.
    pub case: String,
    /// The protocol that the device speaks.
    pub protocol: String,
    /// The protocol that the advertised name belongs to, where another takes over.
    #[serde(default)]
    pub matched_protocol: Option<String>,
    /// The bus of the devices; `btle`.
    pub bus: String,
    /// The spec versions it is meant for.
    pub client_versions: Vec<u32>,
    /// Further versions in which it holds.
    #[serde(default)]
    pub extra_client_versions: Vec<u32>,
    /// Bookkeeping of whoever keeps the files.
    #[serde(default)]
    pub status: Option<String>,
    /// What would surprise a reader.
    #[serde(default)]
    pub notes: Vec<String>,
    /// A user's configuration, in the form of other servers, that must be in force before the device appears.
    #[serde(default)]
    pub user_device_config: Option<Value>,
    /// How long things may take.
    pub timing: Timing,
    /// The devices; a step names one by its place.
    pub devices: Vec<Device>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// Writes that may follow the last step.
    #[serde(default)]
    pub unchecked_tail: Option<Value>,
}

/// How long things may take.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Timing {
    /// The longest wait for the next expected operation.
    pub step_timeout_ms: u64,
    /// The longest wait for the device to be announced.
    pub connect_timeout_ms: u64,
    /// Whether messages that come together must be combined.
    #[serde(default)]
    pub requires_coalescing: bool,
    /// The device is written to again and again.
    #[serde(default)]
    pub periodic_writes: Option<Value>,
}

/// A simulated device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Device {
    /// The complete advertised name.
    pub advertised_name: String,
    /// The entry of the device data that it matches.
    #[serde(default)]
    pub name_pattern: Option<String>,
    /// The address that the configuration refers to.
    #[serde(default)]
    pub address: Option<String>,
    /// What else is advertised; always empty.
    #[serde(default)]
    pub manufacturer_data: Vec<Value>,
    /// What else is advertised; always empty.
    #[serde(default)]
    pub advertised_services: Vec<Value>,
    /// Under which identifier the device data has the model.
    #[serde(default)]
    pub identifier: Option<String>,
    /// What the server must call it.
    #[serde(default)]
    pub expected_name: Option<String>,
    /// What the user calls it.
    #[serde(default)]
    pub expected_display_name: Option<String>,
    /// Service, then endpoint name and characteristic.
    pub gatt: BTreeMap<Uuid, BTreeMap<String, Uuid>>,
    /// How many services were left out because other models have them.
    #[serde(default)]
    pub gatt_alternatives_left_out: Option<u32>,
    /// Other ways in which the protocol can be reached.
    #[serde(default)]
    pub other_specifiers: Option<Value>,
    /// What a client of v4 must be shown.
    pub features: Vec<Feature>,
}

/// A feature that a client of v4 must be shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feature {
    /// Its index.
    pub index: u32,
    /// Its description.
    #[serde(default)]
    pub description: Option<String>,
    /// Outputs by name.
    #[serde(default)]
    pub outputs: BTreeMap<String, Output>,
    /// Inputs by name.
    #[serde(default)]
    pub inputs: BTreeMap<String, Value>,
}

/// An output that a client of v4 must be shown.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Lowest and highest value.
    pub value: [i64; 2],
    /// Shortest and longest time.
    #[serde(default)]
    pub duration: Option<[u64; 2]>,
}

/// Part of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// From connecting to the device being announced.
    Init,
    /// Afterwards.
    Run,
}

/// One step. Exactly one of the members from `expect_subscribe` on is there.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// When it happens.
    pub phase: Phase,
    /// With which device.
    pub device: usize,
    /// Left out for clients of a lower version.
    #[serde(default)]
    pub min_version: u32,
    /// The server subscribes next.
    #[serde(default)]
    pub expect_subscribe: Option<Place>,
    /// The server unsubscribes next.
    #[serde(default)]
    pub expect_unsubscribe: Option<Place>,
    /// The server writes next.
    #[serde(default)]
    pub expect_write: Option<Write>,
    /// The device sends a notification.
    #[serde(default)]
    pub notify: Option<Bytes>,
    /// The device has this ready for a read.
    #[serde(default)]
    pub answer_read: Option<Bytes>,
    /// The client does this.
    #[serde(default)]
    pub command: Option<Map<String, Value>>,
    /// The messages that express it, by version.
    #[serde(default)]
    pub messages: Option<BTreeMap<u32, Vec<Map<String, Value>>>>,
}

/// An endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// Its name.
    pub endpoint: String,
}

/// Bytes at an endpoint.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Its name.
    pub endpoint: String,
    /// The bytes.
    pub hex: String,
}

/// A packet.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Write {
    /// Where to.
    pub endpoint: String,
    /// The bytes.
    pub hex: String,
    /// Whether the device confirms it.
    pub with_response: bool,
}

impl Conversation {
    /// All versions in which it holds.
    pub fn versions(&self) -> impl Iterator<Item = u32> + '_ {
        self.client_versions.iter().chain(&self.extra_client_versions).copied()
    }
}

/// Reads every conversation of a folder, in order of their names.
///
/// # Errors
/// A file cannot be read, or is not of this form; the text names it.
pub fn read_folder(folder: &Path) -> anyhow::Result<Vec<Conversation>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    let mut conversations = Vec::new();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "json")) {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let mut value: Value =
            serde_json::from_str(&text).with_context(|| format!("in {}", path.display()))?;
        // A note alone may stand for a list of one.
        if value.get("notes").is_some_and(|notes| notes.is_null() || notes.is_string()) {
            let notes = value["notes"].as_str().map(str::to_owned).into_iter().collect::<Vec<_>>();
            value["notes"] = notes.into();
        }
        let conversation: Conversation =
            serde_json::from_value(value).with_context(|| format!("in {}", path.display()))?;
        if conversation.format != 1 || conversation.bus != "btle" {
            bail!("{}: format {} on bus {}", path.display(), conversation.format, conversation.bus);
        }
        conversations.push(conversation);
    }
    Ok(conversations)
}

/// Bytes from pairs of hex digits.
///
/// # Errors
/// The text is something else.
pub fn bytes(hex: &str) -> anyhow::Result<Vec<u8>> {
    if !hex.is_ascii() || hex.len() % 2 == 1 {
        bail!("`{hex}` is no row of bytes");
    }
    (0..hex.len())
        .step_by(2)
        .map(|at| {
            u8::from_str_radix(&hex[at..at + 2], 16).with_context(|| format!("`{hex}` is no row of bytes"))
        })
        .collect()
}
