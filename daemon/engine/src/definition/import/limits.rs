//! Limits of outputs in an Intiface user configuration.
//!
//! The old file lists the features of a device in full, and names them by ids that only its own data knows. They are found by index
//! where it is there, else by their place in the list, and only taken for the same if the output is there too.

use serde_json::{Map, Value};

use super::super::model::{Feature, Output};
use crate::vocabulary::{OutputKind, Range};

/// What of the limits could be carried over.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Entries of `outputs`, one a line.
    pub(super) outputs: String,
    /// What could not, for people.
    pub(super) doubts: Vec<String>,
}

/// `known` are the features of the model as we have them.
pub(super) fn carry_outputs(features: Option<&Value>, known: &[Feature]) -> Carried {
    let mut carried = Carried::default();
    let features = match features {
        None | Some(Value::Null) => return carried,
        Some(Value::Array(features)) => features.as_slice(),
        Some(_) => {
            carried.doubts.push("`features` is not a list".to_owned());
            return carried;
        }
    };
    let mut sorted: Vec<&Feature> = known.iter().collect();
    sorted.sort_by_key(|feature| feature.index);
    for (place, feature) in features.iter().enumerate() {
        let outputs = match feature.get("output") {
            None | Some(Value::Null) => continue,
            Some(Value::Object(outputs)) => outputs,
            Some(_) => {
                carried.doubts.push(format!("`features[{place}].output` is not an object"));
                continue;
            }
        };
        for (name, settings) in outputs {
            let kind = kind(name);
            let same = kind.and_then(|kind| {
                let found = match feature.get("index").and_then(Value::as_u64) {
                    Some(index) => sorted.iter().find(|one| u64::from(one.index) == index),
                    None if sorted.len() == features.len() => sorted.get(place),
                    None => only_one(&sorted, kind),
                }?;
                Some((found.index, kind, found.output.get(&kind)?))
            });
            let line = match (settings, same) {
                (Value::Object(settings), Some((index, kind, output))) => {
                    limit(settings, index, kind, output)
                }
                (Value::Object(settings), None) if says_nothing(settings) => Ok(None),
                (Value::Object(_), None) => {
                    Err("there is no such output in our definition of the model".to_owned())
                }
                (_, _) => Err("is not an object".to_owned()),
            };
            match line {
                Ok(Some(line)) => carried.outputs.push_str(&line),
                Ok(None) => {}
                Err(why) => carried
                    .doubts
                    .push(format!("the limit `features[{place}].output.{name}` = {settings}: {why}")),
            }
        }
    }
    carried
}

/// The feature with an output of this kind, if it is the only one.
fn only_one<'a, 'b>(features: &'b [&'a Feature], kind: OutputKind) -> Option<&'b &'a Feature> {
    let mut having = features.iter().filter(|feature| feature.output.contains_key(&kind));
    having.next().filter(|_| having.next().is_none())
}

fn says_nothing(settings: &Map<String, Value>) -> bool {
    settings
        .iter()
        .all(|(key, value)| key == "description" || matches!(value, Value::Null | Value::Bool(false)))
}

/// A line of `outputs`, if the settings limit anything.
fn limit(
    settings: &Map<String, Value>,
    feature: u32,
    kind: OutputKind,
    output: &Output,
) -> Result<Option<String>, String> {
    let mut said = String::new();
    for (key, value) in settings {
        match (key.as_str(), value) {
            (_, Value::Null)
            | ("disabled" | "reverse" | "reverse_position", Value::Bool(false))
            | ("description", _) => {}
            ("value", value) => {
                let (min, max) = ends(value).ok_or("`value` is not a range")?;
                let hardware = output.range;
                if (min, max) != (i64::from(hardware.min), i64::from(hardware.max)) {
                    let range = limit_range(min, max, kind, hardware)?;
                    said.push_str(&format!(", range = [{}, {}]", range.min, range.max));
                }
            }
            ("duration", value) => {
                let (min, max) =
                    ends(value).filter(|(min, _)| *min >= 0).ok_or("`duration` is not a range of times")?;
                let hardware = output.duration_ms.ok_or("our definition has no duration there")?;
                if (min, max) != (i64::from(hardware.0), i64::from(hardware.1)) {
                    if min > i64::from(hardware.1) || max < i64::from(hardware.0) {
                        return Err("the device takes none of these times".to_owned());
                    }
                    said.push_str(&format!(", duration_ms = [{min}, {max}]"));
                }
            }
            ("disabled", Value::Bool(true)) => said.push_str(", disabled = true"),
            ("reverse" | "reverse_position", Value::Bool(true)) => said.push_str(", invert = true"),
            (_, _) => return Err(format!("`{key}` is not known")),
        }
    }
    Ok((!said.is_empty())
        .then(|| format!("    {{ feature = {feature}, kind = \"{}\"{said} }},\n", kind.name())))
}

/// A limit as we write it: strengths, not values with a sign.
fn limit_range(min: i64, max: i64, kind: OutputKind, hardware: Range) -> Result<Range, String> {
    let (low, high) =
        if kind.is_position() || min >= 0 { (min, max) } else { (0, max.max(min.saturating_neg())) };
    let lowest = if kind.is_position() { hardware.min } else { 0 };
    if high < i64::from(lowest) || low > i64::from(hardware.max) {
        return Err(format!(
            "the device takes {} to {}, so nothing would be left",
            hardware.min, hardware.max
        ));
    }
    let narrow = |end: i64| i32::try_from(end).map_err(|_| "is out of all bounds".to_owned());
    Ok(Range::new(narrow(low)?, narrow(high)?))
}

/// The two numbers of `[min, max]`, in order.
pub(super) fn ends(value: &Value) -> Option<(i64, i64)> {
    match value.as_array()?.as_slice() {
        [min, max] => Some((min.as_i64()?, max.as_i64()?)).filter(|(min, max)| min <= max),
        _ => None,
    }
}

/// The kind that the old file calls so.
pub(super) fn kind(name: &str) -> Option<OutputKind> {
    let plain = |text: &str| text.replace(['_', '-'], "").to_lowercase();
    let name = plain(name);
    if name == "hwpositionwithduration" {
        return Some(OutputKind::PositionWithDuration);
    }
    OutputKind::ALL.into_iter().find(|kind| plain(kind.name()) == name)
}
