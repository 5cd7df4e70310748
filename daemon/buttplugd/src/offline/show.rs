//! What the user wants of devices, for reading: of those that were connected once, and what else their files say.

use std::fmt::Write as _;

use engine::{
    definition::{
        access::Refusal,
        model::{DeviceRule, Which},
        resolved::{Resolved, ResolvedOutput},
    },
    vocabulary::Range,
};
use serde_json::{Value, json};

use super::{
    OfflineError, Outcome, Verdict,
    edit::{FILE, user_entries},
    known::Devices,
};
use crate::config::{Config, Directories};

/// All known devices, and what the user wants of them.
pub(super) fn show(config: &Config, directories: &Directories) -> Result<Outcome, OfflineError> {
    let devices = Devices::read(config, directories)?;
    let entries = user_entries(&devices.sources);
    let mut text = String::new();
    let mut all = Vec::new();
    for device in &devices.known {
        let Some((index, key)) = &device.met else { continue };
        let state = device.resolve(&devices.catalogue);
        let (refusal, outputs) = match &state {
            Some(Ok(resolved)) => (None, changed_outputs(resolved)),
            Some(Err(refusal)) => (Some(refusal.to_string()), Vec::new()),
            None => (None, Vec::new()),
        };
        let name = device.called.as_deref().or(device.model.as_deref()).unwrap_or("(unknown model)");
        let mut line = |line: String| writeln!(text, "{line}").unwrap_or_default();
        line(format!("{:>3}  {name}", index.0));
        if let (Some(_), Some(model)) = (&device.called, &device.model) {
            line(format!("     model    {model}"));
        }
        line(format!("     address  {} ({})", device.address, key.protocol));
        if let Some(refusal) = &refusal {
            line(format!("     not offered: {refusal}"));
        }
        let own = entries.iter().map(|(_, rule)| rule).filter(|rule| device.is_meant_alone(&rule.which));
        let (denied, allowed) =
            own.fold((false, false), |said, rule| (said.0 || rule.deny, said.1 || rule.allow));
        if denied && !matches!(state, Some(Err(Refusal::Denied { .. }))) {
            line("     denied".to_owned());
        }
        if allowed {
            line("     on the list of allowed devices".to_owned());
        }
        for output in &outputs {
            line(format!("     {}", output.text));
        }
        all.push(json!({
            "DeviceIndex": index.0,
            "DeviceName": device.model,
            "DeviceDisplayName": device.called,
            "Protocol": key.protocol,
            "Identifier": key.identifier,
            "Address": key.address,
            "NotOffered": refusal,
            "Deny": denied,
            "Allow": allowed,
            "Outputs": outputs.into_iter().map(|output| output.json).collect::<Vec<_>>(),
        }));
    }
    if all.is_empty() {
        text.push_str("no device was ever connected\n");
    }
    let is_shown = |rule: &DeviceRule| devices.known.iter().any(|device| device.is_meant_alone(&rule.which));
    let others: Vec<_> = entries.iter().filter(|(_, rule)| !is_shown(rule)).collect();
    if !others.is_empty() {
        text.push_str("\nfor others:\n");
    }
    for (file, rule) in &others {
        for line in wanted(rule) {
            writeln!(text, "     {line}").unwrap_or_default();
        }
        writeln!(text, "       in {file}").unwrap_or_default();
    }
    if devices.catalogue.has_allow_list() {
        text.push_str("\nonly devices that are allowed may be used\n");
    }
    let file = directories.config.join(FILE);
    writeln!(text, "\nchanges go into {}", file.display()).unwrap_or_default();
    let json = json!({
        "File": file,
        "Devices": all,
        "Others": others.iter().map(|(file, rule)| entry(file, rule)).collect::<Vec<_>>(),
        "AllowList": devices.catalogue.has_allow_list(),
    });
    Ok(Outcome { text, json, verdict: Verdict::Good })
}

/// What an entry wants, and of which devices, in lines for people.
fn wanted(rule: &DeviceRule) -> Vec<String> {
    let Which { protocol, identifier, address } = &rule.which;
    let which = [("address", address), ("protocol", protocol), ("identifier", identifier)];
    let which = which.iter().filter_map(|(key, said)| Some(format!("{key} {}", said.as_ref()?)));
    let mut lines = vec![which.collect::<Vec<_>>().join(", ")];
    lines.extend(rule.name.as_ref().map(|name| format!("  called {name}")));
    lines.extend(rule.deny.then(|| "  denied".to_owned()));
    lines.extend(rule.allow.then(|| "  on the list of allowed devices".to_owned()));
    lines.extend(rule.index.map(|index| format!("  always device {index}")));
    lines.extend(rule.message_gap_ms.map(|gap| format!("  {gap} ms between two packets")));
    for output in &rule.outputs {
        let range = output.range.map(|range| format!("{} to {}", range.min, range.max));
        let times = output.duration_ms.map(|(shortest, longest)| format!("{shortest} to {longest} ms"));
        let parts = [
            range,
            times,
            output.disabled.then(|| "disabled".to_owned()),
            output.invert.then(|| "inverted".to_owned()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        lines.push(format!("  feature {}, {}: {}", output.feature, output.kind.name(), parts.join(", ")));
    }
    lines
}

/// The same for programs.
fn entry(file: &str, rule: &DeviceRule) -> Value {
    let outputs = rule.outputs.iter().map(|output| {
        json!({
            "FeatureIndex": output.feature,
            "Kind": output.kind.name(),
            "Range": output.range.map(|range| [range.min, range.max]),
            "DurationMs": output.duration_ms.map(|(shortest, longest)| [shortest, longest]),
            "Disabled": output.disabled,
            "Inverted": output.invert,
        })
    });
    json!({
        "File": file,
        "Protocol": rule.which.protocol,
        "Identifier": rule.which.identifier,
        "Address": rule.which.address,
        "DeviceDisplayName": rule.name,
        "Deny": rule.deny,
        "Allow": rule.allow,
        "DeviceIndex": rule.index,
        "MessageGapMs": rule.message_gap_ms,
        "Outputs": outputs.collect::<Vec<_>>(),
    })
}

/// An output that is not as the device has it.
struct Changed {
    text: String,
    json: Value,
}

fn changed_outputs(resolved: &Resolved) -> Vec<Changed> {
    let mut changed = Vec::new();
    for feature in &resolved.features {
        for output in &feature.outputs {
            let Some(used) = used(output) else { continue };
            let place = format!("feature {}, {}", feature.index, output.kind.name());
            let text = match used {
                Some(range) => format!(
                    "{place}: {} to {} of {} to {}",
                    range.min, range.max, output.hardware.min, output.hardware.max
                ),
                None => format!("{place}: disabled"),
            };
            let json = json!({
                "FeatureIndex": feature.index.0,
                "Kind": output.kind.name(),
                "Range": used.map(|range| [range.min, range.max]),
                "Hardware": [output.hardware.min, output.hardware.max],
            });
            changed.push(Changed { text, json });
        }
    }
    changed
}

/// The part of the device's range that is used if it is not all of it: `Some(None)` if it is none of it.
fn used(output: &ResolvedOutput) -> Option<Option<Range>> {
    let Some(scale) = &output.scale else { return Some(None) };
    let shown = scale.shown();
    let ends = [scale.to_hardware(shown.min), scale.to_hardware(shown.max)];
    let [Ok(one), Ok(other)] = ends else { return None };
    let range = Range::new(one.min(other), one.max(other));
    (range != output.hardware).then_some(Some(range))
}
