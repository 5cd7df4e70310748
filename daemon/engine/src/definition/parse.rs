//! From the text of one definition file to its data, with every error that one file alone can have.
//!
//! What needs other files (an unknown protocol, a match that two protocols claim) is the catalogue's.

use serde::Deserialize;

use super::{
    layer::Layer,
    model::{DefinitionFile, DeviceRule, Which},
    problem::{Places, Problem},
    rules,
    template::TemplateCheck,
};

/// What a file comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum Parsed {
    /// All is well.
    Good(DefinitionFile),
    /// Something is wrong. Nothing of it is used but the rules that could be read, which are kept because one of them may deny
    /// a device.
    Broken {
        /// What is wrong; never empty.
        problems: Vec<Problem>,
        /// The device rules that could be read.
        rules: Vec<DeviceRule>,
        /// The devices about which it may say something that could not be read.
        concerns: Vec<Concern>,
    },
}

/// Devices about which a broken file may say something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concern {
    /// All there are.
    Everything,
    /// Some.
    Some(Which),
}

/// Reads a file.
#[must_use]
pub fn parse(file: &str, text: &str, layer: Layer, templates: &dyn TemplateCheck) -> Parsed {
    let places = Places::new(file, text);
    match toml::from_str::<DefinitionFile>(text) {
        Ok(read) => {
            let mut problems = Vec::new();
            rules::check(&read, layer, templates, &mut |key, reason| {
                problems.push(places.problem(key, reason))
            });
            if problems.is_empty() {
                return Parsed::Good(read);
            }
            let (rules, concerns) = salvage(text, layer, &mut |rule| rules::rule_is_sound(rule));
            Parsed::Broken { problems, rules, concerns }
        }
        Err(error) => {
            let (rules, concerns) = salvage(text, layer, &mut |rule| rules::rule_is_sound(rule));
            Parsed::Broken { problems: vec![places.unreadable(&error)], rules, concerns }
        }
    }
}

/// What can still be known of the device rules of a broken file.
///
/// Where it cannot be known whom an unreadable rule is about, it is about everyone: not being offered is the safe side of a deny or
/// a limit.
fn salvage(
    text: &str,
    layer: Layer,
    sound: &mut dyn FnMut(&DeviceRule) -> bool,
) -> (Vec<DeviceRule>, Vec<Concern>) {
    if layer == Layer::Plugins {
        return (Vec::new(), Vec::new());
    }
    let Ok(table) = toml::from_str::<toml::Table>(text) else {
        // Not TOML at all. A file with none of these words has no rule to lose, even if one of them is what is misspelt.
        let words = ["device", "which", "deny", "allow", "outputs"];
        let concerns =
            if words.iter().any(|word| text.contains(word)) { vec![Concern::Everything] } else { Vec::new() };
        return (Vec::new(), concerns);
    };
    let known = ["maker", "library", "protocol", "model", "device"];
    let (mut rules, mut concerns) = (Vec::new(), Vec::new());
    if table.keys().any(|key| !known.contains(&key.as_str())) {
        // `[[devices]]` in place of `[[device]]`, say.
        concerns.push(Concern::Everything);
    }
    let entries = match table.get("device") {
        None => return (rules, concerns),
        Some(toml::Value::Array(entries)) => entries.as_slice(),
        Some(_) => {
            concerns.push(Concern::Everything);
            return (rules, concerns);
        }
    };
    for entry in entries {
        let which = entry.get("which").cloned().and_then(|which| Which::deserialize(which).ok());
        match DeviceRule::deserialize(entry.clone()) {
            Ok(rule) if sound(&rule) => rules.push(rule),
            Ok(_) | Err(_) => concerns.push(match which {
                Some(which) if which != Which::default() => Concern::Some(which),
                Some(_) | None => Concern::Everything,
            }),
        }
    }
    (rules, concerns)
}
