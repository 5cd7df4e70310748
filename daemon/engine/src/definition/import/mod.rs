//! From the user configuration of Intiface (versions 4 and 5) to the text of a file of ours.
//!
//! Nothing is lost unsaid: what cannot be carried over is in the report, and a device with a limit that cannot be carried over is
//! denied in the new file, with a comment, until its owner has looked at it.

mod limits;
mod models;
mod writer;

use std::fmt::Write as _;

use serde_json::{Map, Value};

pub use self::writer::Note;
use self::{
    limits::{Carried, carry_outputs},
    writer::{Writer, quoted},
};
use super::{catalogue::Catalogue, edit::which_table, model::Which};

/// What an import comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The text of the new file.
    pub text: String,
    /// What its owner must know.
    pub report: Vec<Note>,
}

/// A file that cannot be imported at all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// It is not JSON.
    #[error("the file is not JSON: {0}")]
    NotJson(String),
    /// It lacks what such a file has.
    #[error("the file is no user configuration of Intiface: it has no `{0}`")]
    Missing(&'static str),
    /// Its version is not one of those that are known.
    #[error("the file has version {0}, and only 4 and 5 are known")]
    Version(u64),
}

/// Turns an Intiface user configuration into the text of a definition file of the user.
///
/// # Errors
/// It is not such a file.
pub fn import_intiface(json: &str, catalogue: &Catalogue) -> Result<Imported, ImportError> {
    let root: Value = serde_json::from_str(json).map_err(|error| ImportError::NotJson(error.to_string()))?;
    let major = root
        .pointer("/version/major")
        .and_then(Value::as_u64)
        .ok_or(ImportError::Missing("version.major"))?;
    if !(4..=5).contains(&major) {
        return Err(ImportError::Version(major));
    }
    let users =
        root.get("user_configs").and_then(Value::as_object).ok_or(ImportError::Missing("user_configs"))?;
    let mut writer = Writer {
        text: "# Imported from a user configuration of Intiface.\n".to_owned(),
        ..Writer::default()
    };
    for key in users.keys().filter(|key| !["protocols", "devices"].contains(&key.as_str())) {
        writer.note(&format!("user_configs.{key}"), "is not known, and was left out");
    }
    match users.get("protocols") {
        None | Some(Value::Null) => {}
        Some(Value::Object(protocols)) => models::carry(protocols, catalogue, &mut writer),
        Some(_) => writer.note("user_configs.protocols", "is not an object, and was left out"),
    }
    match users.get("devices") {
        None | Some(Value::Null) => {}
        Some(Value::Array(devices)) => carry_devices(devices, catalogue, &mut writer),
        Some(_) => return Err(ImportError::Missing("user_configs.devices")),
    }
    Ok(Imported { text: writer.text, report: writer.report })
}

fn carry_devices(devices: &[Value], catalogue: &Catalogue, writer: &mut Writer) {
    let whiches: Vec<Which> = devices.iter().map(|device| which(device.get("identifier"))).collect();
    for (number, (device, which)) in devices.iter().zip(&whiches).enumerate() {
        let entry = format!("user_configs.devices[{number}]");
        let mut narrowed = which.clone();
        let twin = |other: &&Which| other.address == which.address && other.protocol == which.protocol;
        if which.address.is_some() && whiches.iter().filter(twin).count() == 1 {
            // The address says it all, and a rule without an identifier holds whatever the device says it is.
            narrowed.identifier = None;
        }
        if narrowed.protocol.as_deref().is_some_and(|protocol| catalogue.protocol(protocol).is_none())
            && let Some(protocol) = narrowed.protocol.take()
        {
            writer.note(&entry, format!("no definition here has the protocol `{protocol}`, so the entry now holds for any protocol"));
        }
        if narrowed == Which::default() {
            writer.note(&entry, "does not say which device is meant, and was left out: if it denied or limited one, write an entry for it");
            continue;
        }
        carry_device(&entry, device, which, &narrowed, catalogue, writer);
    }
}

fn carry_device(
    entry: &str,
    device: &Value,
    which: &Which,
    narrowed: &Which,
    catalogue: &Catalogue,
    writer: &mut Writer,
) {
    let head = format!("[[device]]\nwhich = {}\n", which_table(narrowed).to_string().trim());
    let empty = Map::new();
    let config = device.get("config").and_then(Value::as_object).unwrap_or(&empty);
    let said = config.get("user_config").and_then(Value::as_object);
    let (mut keys, mut doubts) = (String::new(), Vec::new());
    let denied = carry_settings(said.unwrap_or(&empty), &mut keys, &mut doubts);
    if said.is_none() {
        doubts.push("has no `user_config`, which says whether it is denied".to_owned());
    }
    let features = catalogue.features(
        which.protocol.as_deref().unwrap_or_default(),
        which.identifier.as_deref().unwrap_or_default(),
    );
    let Carried { outputs, doubts: limits } =
        carry_outputs(config.get("features"), features.unwrap_or_default());
    doubts.extend(limits);
    if !outputs.is_empty() {
        // Writing to a String cannot fail.
        writeln!(keys, "outputs = [\n{outputs}]").unwrap_or_default();
    }
    let chunk = match (doubts.is_empty(), denied) {
        (true, Denied::No) => format!("{head}{keys}"),
        (_, Denied::Yes) => format!("{head}deny = true\n{keys}"),
        (false, Denied::No) => {
            format!(
                "# Denied by the import, since not all of the old entry could be carried over:\n{}{head}deny = true\n{keys}",
                comments(&doubts)
            )
        }
    };
    let held_back = !doubts.is_empty() && denied == Denied::No;
    for doubt in &doubts {
        let so =
            if held_back { "; the device is denied in the new file until you have looked at it" } else { "" };
        writer.note(entry, format!("{doubt}{so}"));
    }
    if let Err(reason) = writer.add(&chunk) {
        writer.note(entry, format!("cannot be written in our form ({reason}); the device is denied in the new file until you have looked at it"));
        // Without it, a list of allowed devices might be gone, and all others let in.
        let allow = keys.lines().filter(|line| *line == ALLOW).map(|line| format!("{line}\n"));
        let allow: String = allow.collect();
        let least = format!(
            "# Denied by the import: the old entry could not be carried over.\n{head}deny = true\n{allow}"
        );
        if let Err(reason) = writer.add(&least) {
            writer.note(entry, format!("was left out altogether: {reason}"));
        }
    }
}

fn comments(lines: &[String]) -> String {
    lines.iter().map(|line| format!("# - {}\n", line.replace(char::is_control, " "))).collect()
}

/// The line that puts a device on the list of allowed ones. One that is denied keeps it, so that the list stays.
const ALLOW: &str = "allow = true";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Denied {
    Yes,
    No,
}

fn carry_settings(said: &Map<String, Value>, keys: &mut String, doubts: &mut Vec<String>) -> Denied {
    let (mut denied, mut allowed) = (Denied::No, false);
    for (key, value) in said {
        match (key.as_str(), value) {
            (_, Value::Null) | ("deny" | "allow", Value::Bool(false)) => {}
            ("deny", Value::Bool(true)) => denied = Denied::Yes,
            ("allow", Value::Bool(true)) => allowed = true,
            ("display_name", Value::String(name)) if name.is_empty() => {}
            ("display_name", Value::String(name)) => keys.push_str(&format!("name = {}\n", quoted(name))),
            ("index" | "message_gap_ms", value) if value.is_u64() => {
                keys.push_str(&format!("{key} = {value}\n"))
            }
            (_, _) => doubts.push(format!("`user_config.{key}` = {value} is not known")),
        }
    }
    if allowed {
        keys.push_str(&format!("{ALLOW}\n"));
    }
    denied
}

fn which(identifier: Option<&Value>) -> Which {
    let said = |key: &str| {
        let text = identifier.and_then(|one| one.get(key)).and_then(Value::as_str)?;
        (!text.is_empty()).then(|| text.to_owned())
    };
    Which {
        protocol: said("protocol"),
        identifier: said("identifier"),
        address: said("address").map(|address| plain_address(&address)),
    }
}

/// Bluetooth addresses stand in the old file as the debugging text of a library, with `dev_AA_BB_CC_DD_EE_FF` in it.
fn plain_address(address: &str) -> String {
    let bytes = address.as_bytes();
    let is_address = |window: &&[u8]| {
        window.iter().enumerate().all(|(place, byte)| match place % 3 {
            2 => *byte == b'_' || *byte == b':',
            _ => byte.is_ascii_hexdigit(),
        })
    };
    match bytes.windows(17).find(is_address) {
        Some(found) => String::from_utf8_lossy(found).replace('_', ":").to_uppercase(),
        None => address.to_owned(),
    }
}
