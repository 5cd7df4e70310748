//! The rules that a definition file must keep, beyond the shape that its types have.

mod recognition;
mod words;

use std::collections::BTreeSet;

use self::{
    recognition::{Services, check_bluetooth, check_hid, check_name_lists, check_names, check_serial},
    words::{Report, check_text, is_word},
};
use super::{
    layer::Layer,
    model::{AddedModel, DefinitionFile, DeviceRule, Feature, OnStop, Output, Protocol, Which},
    template::TemplateCheck,
};
use crate::vocabulary::OutputKind;

/// Bring-up that takes longer is a device that never comes up.
const LONGEST_BRING_UP_MS: u32 = 600_000;
/// More often than this is not keeping alive but driving.
const SHORTEST_KEEP_ALIVE_MS: u32 = 20;
/// A longer gap between packets would make a device look dead.
const LONGEST_GAP_MS: u32 = 10_000;

/// The packets of a stop wait for each other so long.
const LONGEST_PACKET_GAP_MS: u32 = 500;

/// Reports everything that is wrong with a file as such.
pub(super) fn check(
    file: &DefinitionFile,
    layer: Layer,
    templates: &dyn TemplateCheck,
    report: &mut Report<'_>,
) {
    if file.library.is_some() && layer != Layer::Plugins {
        report(
            "library".into(),
            "only a plugin folder may name a library; describe the packets in `[protocol.template]`".into(),
        );
    }
    if let Some(library) = &file.library
        && !is_word(library)
    {
        report(
            "library".into(),
            format!(
                "`{library}` is not a library: lower-case letters, digits, `-` and `_`, without `lib` and `.so`"
            ),
        );
    }
    let mut ids = BTreeSet::new();
    for (number, protocol) in file.protocol.iter().enumerate() {
        let at = format!("protocol[{number}]");
        if !ids.insert(&protocol.id) {
            report(format!("{at}.id"), format!("the file has two protocols `{}`", protocol.id));
        }
        check_protocol(protocol, file.library.as_deref(), &at, report);
        if let Some(template) = &protocol.template {
            for problem in templates.check(protocol, template) {
                let dot = if problem.key.is_empty() { "" } else { "." };
                report(format!("{at}.template{dot}{}", problem.key), problem.reason);
            }
        }
    }
    for (number, model) in file.model.iter().enumerate() {
        check_added(model, &format!("model[{number}]"), report);
    }
    if layer == Layer::Plugins && !file.device.is_empty() {
        report(
            "device".into(),
            "belongs in a file of the administrator or the user, not in a plugin folder".into(),
        );
    }
    for (number, rule) in file.device.iter().enumerate() {
        check_rule(rule, &format!("device[{number}]"), report);
    }
}

/// Whether a device rule is one that can be followed.
pub(super) fn rule_is_sound(rule: &DeviceRule) -> bool {
    let mut sound = true;
    check_rule(rule, "", &mut |_, _| sound = false);
    sound
}

fn check_protocol(protocol: &Protocol, library: Option<&str>, at: &str, report: &mut Report<'_>) {
    if !is_word(&protocol.id) {
        report(
            format!("{at}.id"),
            format!("`{}` is not an id: lower-case letters, digits, `-` and `_`", protocol.id),
        );
    }
    match (protocol.code, &protocol.template, library) {
        (true, Some(_), _) => report(
            format!("{at}.template"),
            "is never used: `code = true` says that the library runs it".into(),
        ),
        (true, None, None) => report(
            format!("{at}.code"),
            "needs `library`, the code of this folder, at the top of the file".into(),
        ),
        (false, None, _) => report(at.into(), "needs `[protocol.template]`, or `code = true`".into()),
        (true, None, Some(_)) | (false, Some(_), _) => {}
    }
    if !protocol.code && !protocol.params.is_empty() {
        report(format!("{at}.params"), "are for code, and this protocol has none".into());
    }
    check_gap(protocol.message_gap_ms, at, report);
    if protocol.packet_gap_ms.is_some_and(|gap| gap > LONGEST_PACKET_GAP_MS) {
        report(format!("{at}.packet_gap_ms"), format!("is above {LONGEST_PACKET_GAP_MS}"));
    }
    if let Some(keep_alive) = protocol.keep_alive
        && keep_alive.every_ms < SHORTEST_KEEP_ALIVE_MS
    {
        report(format!("{at}.keep_alive.every_ms"), format!("is below {SHORTEST_KEEP_ALIVE_MS}"));
    }
    if let Some(limit) = protocol.bring_up_limit_ms
        && !(1..=LONGEST_BRING_UP_MS).contains(&limit)
    {
        report(format!("{at}.bring_up_limit_ms"), format!("is not between 1 and {LONGEST_BRING_UP_MS}"));
    }
    check_bluetooth(&protocol.bluetooth, Services::Needed, at, report);
    check_serial(&protocol.serial, at, report);
    check_hid(&protocol.hid, at, report);
    check_name_lists(&protocol.websocket, &format!("{at}.websocket"), report);
    check_names(protocol.gamepad.iter().map(|one| one.names.as_slice()), &format!("{at}.gamepad"), report);
    check_name_lists(&protocol.simulated, &format!("{at}.simulated"), report);
    check_text(&protocol.default.name, &format!("{at}.default.name"), report);
    check_features(&protocol.default.features, &format!("{at}.default.features"), report);
    let mut known = BTreeSet::new();
    for (number, model) in protocol.model.iter().enumerate() {
        let at = format!("{at}.model[{number}]");
        check_text(&model.name, &format!("{at}.name"), report);
        check_identifiers(&model.identifiers, &mut known, &at, report);
        if let Some(features) = &model.features {
            check_features(features, &format!("{at}.features"), report);
        }
    }
}

fn check_added(model: &AddedModel, at: &str, report: &mut Report<'_>) {
    let matches = !(model.bluetooth.is_empty()
        && model.serial.is_empty()
        && model.hid.is_empty()
        && model.websocket.is_empty());
    let only_matches = matches && model.name.is_none() && model.variant.is_none() && model.features.is_none();
    if !(only_matches && model.identifiers.is_empty()) {
        check_identifiers(&model.identifiers, &mut BTreeSet::new(), at, report);
    }
    if let Some(name) = &model.name {
        check_text(name, &format!("{at}.name"), report);
    }
    if let Some(features) = &model.features {
        check_features(features, &format!("{at}.features"), report);
    }
    check_bluetooth(&model.bluetooth, Services::FromProtocol, at, report);
    check_serial(&model.serial, at, report);
    check_hid(&model.hid, at, report);
    check_name_lists(&model.websocket, &format!("{at}.websocket"), report);
}

fn check_rule(rule: &DeviceRule, at: &str, report: &mut Report<'_>) {
    if rule.which == Which::default() {
        report(
            format!("{at}.which"),
            "names no device: give `protocol`, `identifier`, `address`, or several".into(),
        );
    }
    if let Some(name) = &rule.name {
        check_text(name, &format!("{at}.name"), report);
    }
    check_gap(rule.message_gap_ms, at, report);
    let mut known = BTreeSet::new();
    for (number, output) in rule.outputs.iter().enumerate() {
        let at = format!("{at}.outputs[{number}]");
        if !known.insert((output.feature, output.kind)) {
            report(
                at.clone(),
                format!("feature {}, {}, is limited twice in one entry", output.feature, output.kind.name()),
            );
        }
        if output.duration_ms.is_some() && output.kind != OutputKind::PositionWithDuration {
            report(format!("{at}.duration_ms"), format!("a {} output has no duration", output.kind.name()));
        }
        if output.invert && !output.kind.is_position() && output.kind != OutputKind::Rotate {
            report(format!("{at}.invert"), format!("a {} output has one direction", output.kind.name()));
        }
        if let Some(range) = output.range
            && !output.kind.is_position()
            && range.min < 0
        {
            report(
                format!("{at}.range"),
                "a limit of strengths starts at 0 or above; it holds in both directions".into(),
            );
        }
    }
}

fn check_gap(gap: Option<u32>, at: &str, report: &mut Report<'_>) {
    if gap.is_some_and(|gap| gap > LONGEST_GAP_MS) {
        report(format!("{at}.message_gap_ms"), format!("is above {LONGEST_GAP_MS}"));
    }
}

fn check_identifiers<'a>(
    identifiers: &'a [String],
    known: &mut BTreeSet<&'a str>,
    at: &str,
    report: &mut Report<'_>,
) {
    if identifiers.is_empty() {
        report(format!("{at}.identifiers"), "is empty: nothing would ever be this model".into());
    }
    for (number, identifier) in identifiers.iter().enumerate() {
        if !known.insert(identifier) {
            report(format!("{at}.identifiers[{number}]"), format!("the protocol has `{identifier}` already"));
        }
    }
}

fn check_features(features: &[Feature], at: &str, report: &mut Report<'_>) {
    let mut known = BTreeSet::new();
    for (number, feature) in features.iter().enumerate() {
        let at = format!("{at}[{number}]");
        if !known.insert(feature.index) {
            report(format!("{at}.index"), format!("two features have the index {}", feature.index));
        }
        if feature.output.is_empty() && feature.input.is_empty() {
            report(at.clone(), "has neither `output` nor `input`".into());
        }
        for (kind, output) in &feature.output {
            check_output(*kind, output, &format!("{at}.output.{}", kind.name()), report);
        }
        for (kind, input) in &feature.input {
            let at = format!("{at}.input.{}.ways", kind.name());
            if input.ways.is_empty() {
                report(at, "is empty: it could not be had".into());
            } else if input
                .ways
                .iter()
                .enumerate()
                .any(|(number, way)| input.ways.iter().take(number).any(|other| other == way))
            {
                report(at, "has one way twice".into());
            }
        }
    }
}

fn check_output(kind: OutputKind, output: &Output, at: &str, report: &mut Report<'_>) {
    let range = output.range;
    if range.min == range.max {
        report(
            at.into(),
            format!("the range [{}, {}] has one value: there is nothing to set", range.min, range.max),
        );
    } else if !kind.is_position() && !range.contains(0) {
        report(
            at.into(),
            format!(
                "0 is not in the range [{}, {}], so it could never be brought to rest",
                range.min, range.max
            ),
        );
    } else if !kind.is_position() && range.min < 0 && range.min.checked_neg() != Some(range.max) {
        report(
            at.into(),
            format!(
                "the range [{}, {}] does not go as far in one direction as in the other",
                range.min, range.max
            ),
        );
    } else if i64::from(range.max) - i64::from(range.min) > i64::from(i32::MAX) {
        report(at.into(), format!("the range [{}, {}] has too many values", range.min, range.max));
    }
    match (kind, output.duration_ms) {
        (OutputKind::PositionWithDuration, None) => {
            report(at.into(), "needs `duration_ms`, the times that it takes".into())
        }
        (OutputKind::PositionWithDuration, Some(_)) | (_, None) => {}
        (_, Some(_)) => {
            report(format!("{at}.duration_ms"), format!("a {} output has no duration", kind.name()))
        }
    }
    if kind.is_position() && output.on_stop == Some(OnStop::Rest) && !range.contains(0) {
        report(format!("{at}.on_stop"), "0 is not in its range".into());
    }
}
