//! Models and matches that an Intiface user configuration adds to protocols.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::{
    super::catalogue::Catalogue,
    limits::{ends, kind},
    writer::{Writer, quoted},
};

/// Carries `user_configs.protocols` over, as `[[model]]` entries.
pub(super) fn carry(protocols: &Map<String, Value>, catalogue: &Catalogue, writer: &mut Writer) {
    for (protocol, content) in protocols {
        let entry = format!("user_configs.protocols.{protocol}");
        if catalogue.protocol(protocol).is_none() {
            writer.note(&entry, "no definition here has this protocol, so what was added to it was left out");
            continue;
        }
        let head = format!("[[model]]\nprotocol = {}\n", quoted(protocol));
        for (number, one) in list(content, "communication").iter().enumerate() {
            let result = ways(one).and_then(|ways| writer.add(&format!("{head}{ways}")));
            if let Err(why) = result {
                writer.note(&format!("{entry}.communication[{number}]"), format!("was left out: {why}"));
            }
        }
        for (number, one) in list(content, "configurations").iter().enumerate() {
            let result = model(one).and_then(|model| writer.add(&format!("{head}{model}")));
            if let Err(why) = result {
                writer.note(&format!("{entry}.configurations[{number}]"), format!("was left out: {why}"));
            }
        }
        let known = ["communication", "configurations"];
        for key in
            content.as_object().into_iter().flat_map(Map::keys).filter(|key| !known.contains(&key.as_str()))
        {
            writer.note(&format!("{entry}.{key}"), "is not known, and was left out");
        }
    }
}

fn list<'a>(content: &'a Value, key: &str) -> &'a [Value] {
    content.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts(content: &Value, key: &str) -> Result<Option<String>, String> {
    match content.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) if items.is_empty() => Ok(None),
        Some(Value::Array(items)) => {
            let items: Option<Vec<String>> = items.iter().map(|item| item.as_str().map(quoted)).collect();
            items
                .map(|items| Some(format!("[{}]", items.join(", "))))
                .ok_or_else(|| format!("`{key}` is not a list of texts"))
        }
        Some(_) => Err(format!("`{key}` is not a list")),
    }
}

fn text<'a>(content: &'a Value, key: &str) -> Result<&'a str, String> {
    content.get(key).and_then(Value::as_str).ok_or_else(|| format!("has no `{key}`"))
}

fn number(content: &Value, key: &str) -> Result<u64, String> {
    content.get(key).and_then(Value::as_u64).ok_or_else(|| format!("has no `{key}`"))
}

/// One way to recognise a device.
fn ways(one: &Value) -> Result<String, String> {
    let ways = one.as_object().ok_or("is not an object")?;
    let mut out = String::new();
    for (bus, content) in ways {
        match bus.as_str() {
            "btle" => bluetooth(content, &mut out)?,
            "serial" => {
                let (port, baud) = (quoted(text(content, "port")?), number(content, "baud_rate")?);
                out.push_str(&format!("[[model.serial]]\nport = {port}\nbaud_rate = {baud}\n"));
            }
            "websocket" => {
                let name = quoted(text(content, "name")?);
                out.push_str(&format!("[[model.websocket]]\nnames = [{name}]\n"));
            }
            "hid" | "usb" => {
                out.push_str("[[model.hid]]\nids = [");
                for pair in list(content, "pairs") {
                    let (vendor, product) = (number(pair, "vendor_id")?, number(pair, "product_id")?);
                    out.push_str(&format!("{{ vendor = {vendor}, product = {product} }}, "));
                }
                out.push_str("]\n");
            }
            other => return Err(format!("there is no bus `{other}` here")),
        }
    }
    Ok(out)
}

fn bluetooth(content: &Value, out: &mut String) -> Result<(), String> {
    out.push_str("[[model.bluetooth]]\n");
    for key in ["names", "advertised_services"] {
        if let Some(items) = texts(content, key)? {
            out.push_str(&format!("{key} = {items}\n"));
        }
    }
    let data = list(content, "manufacturer_data");
    if !data.is_empty() {
        out.push_str("manufacturer_data = [");
        for one in data {
            out.push_str(&format!("{{ company = {}", number(one, "company")?));
            let bytes = list(one, "data");
            if !bytes.is_empty() {
                let bytes: Option<Vec<u8>> =
                    bytes.iter().map(|byte| u8::try_from(byte.as_u64()?).ok()).collect();
                let bytes = bytes.ok_or("`data` is not a list of bytes")?;
                let bytes: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                out.push_str(&format!(", data = \"{}\"", bytes.join(" ")));
            }
            out.push_str(" }, ");
        }
        out.push_str("]\n");
    }
    if let Some(services) =
        content.get("services").and_then(Value::as_object).filter(|services| !services.is_empty())
    {
        out.push_str("[model.bluetooth.services]\n");
        for (service, endpoints) in services {
            let endpoints = endpoints.as_object().ok_or("`services` is not as it was known to be")?;
            let pairs: Option<Vec<String>> = endpoints
                .iter()
                .map(|(name, place)| Some(format!("{name} = {}", quoted(place.as_str()?))))
                .collect();
            let pairs = pairs.ok_or("`services` is not as it was known to be")?;
            out.push_str(&format!("{} = {{ {} }}\n", quoted(service), pairs.join(", ")));
        }
    }
    Ok(())
}

/// One model.
fn model(one: &Value) -> Result<String, String> {
    let identifiers = texts(one, "identifier")?.ok_or("has no `identifier`")?;
    let mut out = format!("identifiers = {identifiers}\nname = {}\n", quoted(text(one, "name")?));
    if let Some(variant) = one.get("protocol_variant").and_then(Value::as_str) {
        out.push_str(&format!("variant = {}\n", quoted(variant)));
    }
    if let Some(features) = one.get("features").and_then(Value::as_array) {
        out.push_str("features = [\n");
        for (place, one) in features.iter().enumerate() {
            feature(place, one, &mut out)?;
        }
        out.push_str("]\n");
    }
    Ok(out)
}

fn feature(place: usize, one: &Value, out: &mut String) -> Result<(), String> {
    let index =
        one.get("index").and_then(Value::as_u64).map_or_else(|| place.to_string(), |index| index.to_string());
    // Writing to a String cannot fail.
    write!(out, "    {{ index = {index}").unwrap_or_default();
    if let Some(description) = one.get("description").and_then(Value::as_str).filter(|text| !text.is_empty())
    {
        write!(out, ", description = {}", quoted(description)).unwrap_or_default();
    }
    let nothing = Map::new();
    let outputs = one.get("output").and_then(Value::as_object).unwrap_or(&nothing);
    let inputs = one.get("input").and_then(Value::as_object).unwrap_or(&nothing);
    let mut said = Vec::new();
    for (name, settings) in outputs {
        let name = kind(name).ok_or_else(|| format!("there is no output `{name}` here"))?.name();
        let (min, max) = settings.get("value").and_then(ends).ok_or("an output has no `value`")?;
        let duration = settings.get("duration").and_then(ends);
        let duration =
            duration.map_or_else(String::new, |(min, max)| format!(", duration_ms = [{min}, {max}]"));
        said.push(format!("{name} = {{ range = [{min}, {max}]{duration} }}"));
    }
    if !said.is_empty() {
        write!(out, ", output = {{ {} }}", said.join(", ")).unwrap_or_default();
    }
    said.clear();
    for (name, settings) in inputs {
        let ranges: Option<Vec<_>> = list(settings, "value").iter().map(ends).collect();
        let ranges = ranges.ok_or("an input has no `value`")?;
        let ranges: Vec<String> = ranges.iter().map(|(min, max)| format!("[{min}, {max}]")).collect();
        let ways = texts(settings, "command")?.ok_or("an input has no `command`")?.to_lowercase();
        said.push(format!("{} = {{ range = [{}], ways = {ways} }}", name.to_lowercase(), ranges.join(", ")));
    }
    if !said.is_empty() {
        write!(out, ", input = {{ {} }}", said.join(", ")).unwrap_or_default();
    }
    out.push_str(" },\n");
    Ok(())
}
