//! Changes to what the user wants of a device, in the user's own file, whose comments and order stay.

use std::{fmt::Write as _, path::PathBuf, str::FromStr};

use engine::{
    definition::{
        access::Refusal,
        catalogue::{Catalogue, Source},
        edit::{AccessWish, Change, OutputChange, apply},
        layer::Layer,
        model::{DefinitionFile, DeviceRule, OutputRule, Which},
        parse::{Parsed, parse},
        template::AnyTemplate,
    },
    vocabulary::{OutputKind, Range},
};
use serde_json::json;

use super::{
    OfflineError, Outcome, Verdict,
    known::{Devices, Known},
    user_file::UserFile,
};
use crate::{
    config::{Config, Directories},
    definitions::Templates,
};

/// The file that is changed, below the configuration folder of the user.
pub(super) const FILE: &str = "devices.d/devices.toml";

/// What is wanted of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    /// This name, or none.
    Name(Option<String>),
    /// That this output goes no further.
    Cap {
        /// The index of the feature.
        feature: u32,
        /// The kind, as it was typed.
        kind: String,
        /// How far.
        most: Cap,
    },
    /// That it is never connected to.
    Deny,
    /// That it may be used, as far as other rules have it.
    Allow,
    /// That it may be used, and others only if they are allowed too.
    AllowOnly,
}

/// How far an output may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// As far as the device goes.
    Lifted,
    /// A step of the device's own range.
    Step(i32),
    /// Percent of the device's own range, 1 to 100.
    Percent(u8),
}

impl FromStr for Cap {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self::Lifted);
        }
        match text.strip_suffix('%') {
            Some(percent) => match percent.parse() {
                Ok(percent) if (1..=100).contains(&percent) => Ok(Self::Percent(percent)),
                Ok(_) | Err(_) => Err("a percentage is a whole number from 1% to 100%".to_owned()),
            },
            None => text.parse().map(Self::Step).map_err(|_| {
                "give a step of the output's range such as 10, a percentage such as 50%, or `none`".to_owned()
            }),
        }
    }
}

/// Makes one change for one device, where the user has an entry for it already, or else in a new one.
pub(super) fn edit(
    wanted: &str,
    wish: &Wish,
    config: &Config,
    directories: &Directories,
) -> Result<Outcome, OfflineError> {
    let mut devices = Devices::read(config, directories)?;
    let device = devices.find(wanted)?;
    let entries = own_entries(&devices.sources, &device);
    let usual = directories.config.join(FILE);
    let is_denied = entries.iter().any(|(_, rule)| rule.deny);
    let place = |(file, rule): &(String, DeviceRule)| (PathBuf::from(file), rule.which.clone());
    let targets: Vec<(PathBuf, Which)> = match wish {
        // A denial is only taken back when no entry denies the device any more. A place on the list of allowed devices is another
        // matter: were it lost with the denial, the list might be gone and all other devices let in.
        Wish::Allow if is_denied => entries.iter().filter(|(_, rule)| rule.deny).map(place).collect(),
        Wish::Allow => entries.iter().filter(|(_, rule)| rule.allow).map(place).collect(),
        Wish::Name(_) | Wish::Cap { .. } | Wish::Deny | Wish::AllowOnly => {
            vec![entries.last().map_or_else(|| (usual, device.which()), place)]
        }
    };
    let had_allow_list = devices.catalogue.has_allow_list();
    let mut not_offered = None;
    let mut files: Vec<PathBuf> = Vec::new();
    for (path, which) in &targets {
        let file = UserFile::open(path.clone())?;
        let text = edited(&file, &device, which, wish, &devices.catalogue)?;
        let sources = with_text(&devices.sources, &file.name(), &text);
        let (after, _) = Catalogue::build(&sources, None, &Templates::Read);
        not_offered = judge(&device, wish, &devices.catalogue, &after)?;
        if text != file.text() {
            file.replace(&text)?;
        }
        devices.sources = sources;
        devices.catalogue = after;
        files.push(path.clone());
    }
    files.dedup();
    let mut told = format!("{} {}\n", device.title(), said(wish, is_denied));
    for path in &files {
        // Writing to a String cannot fail.
        writeln!(told, "  in {}", path.display()).unwrap_or_default();
    }
    if files.is_empty() {
        told = format!("no file of yours denies {}\n", device.title());
        not_offered = device.resolve(&devices.catalogue).and_then(Result::err);
    }
    if let Some(refusal) = &not_offered {
        writeln!(told, "  but it is not offered: {refusal}").unwrap_or_default();
        if matches!((wish, refusal), (Wish::Allow, Refusal::NotAllowed { .. })) {
            told.push_str("  `allow --only` puts it on the list of allowed devices\n");
        }
    }
    let has_allow_list = devices.catalogue.has_allow_list();
    if had_allow_list && !has_allow_list {
        told.push_str(super::LIST_LIFTED);
    } else if has_allow_list && *wish == Wish::Deny {
        told.push_str("  the list of allowed devices stays: no device that is not on it may be used\n");
    }
    let json = json!({
        "Files": files,
        "DeviceIndex": device.met.as_ref().map(|(index, _)| index.0),
        "Address": device.address,
        "NotOffered": not_offered.map(|refusal| refusal.to_string()),
        "AllowList": has_allow_list,
    });
    Ok(Outcome { text: told, json, verdict: Verdict::Good })
}

/// The entries of the user for this device alone, in rising order of their weight, each with its file.
fn own_entries(sources: &[Source], device: &Known) -> Vec<(String, DeviceRule)> {
    let mut entries = user_entries(sources);
    entries.retain(|(_, rule)| device.is_meant_alone(&rule.which));
    entries.sort_by_key(|(_, rule)| exactness(rule));
    entries
}

/// All entries of the user, each with its file. Files with an error have none.
pub(super) fn user_entries(sources: &[Source]) -> Vec<(String, DeviceRule)> {
    let mut entries = Vec::new();
    for source in sources.iter().filter(|source| source.layer == Layer::User) {
        let Ok(text) = &source.text else { continue };
        let Parsed::Good(content) = parse(&source.file, text, source.layer, &AnyTemplate) else { continue };
        entries.extend(content.device.into_iter().map(|rule| (source.file.clone(), rule)));
    }
    entries
}

/// Of two entries that name an address, the one that says more about the device has more weight.
fn exactness(rule: &DeviceRule) -> (bool, bool) {
    (rule.which.identifier.is_some(), rule.which.protocol.is_some())
}

/// The text of a file with the wish in it.
fn edited(
    file: &UserFile,
    device: &Known,
    which: &Which,
    wish: &Wish,
    catalogue: &Catalogue,
) -> Result<String, OfflineError> {
    let content = match parse(&file.name(), file.text(), Layer::User, &AnyTemplate) {
        Parsed::Good(content) => content,
        // It is not written to: the change below is refused, and says where the error is.
        Parsed::Broken { .. } => DefinitionFile::default(),
    };
    let entry = content.device.iter().find(|rule| rule.which == *which);
    let change = match wish {
        Wish::Name(name) => Change::Rename(name.clone()),
        Wish::Deny => Change::Access(AccessWish::Deny),
        Wish::Allow if entry.is_some_and(|rule| rule.deny) => Change::Access(AccessWish::NotDenied),
        Wish::Allow => Change::Access(AccessWish::Unsaid),
        Wish::AllowOnly => Change::Access(AccessWish::Allow),
        Wish::Cap { feature, kind, most } => {
            let (kind, hardware) =
                find_output(device, catalogue, *feature, kind).map_err(|known| match known {
                    Some(known) => OfflineError::NoOutput { feature: *feature, kind: kind.clone(), known },
                    None => OfflineError::NeverConnected(file.path().to_owned()),
                })?;
            let same = |rule: &&OutputRule| rule.feature == *feature && rule.kind == kind;
            let earlier = entry.and_then(|rule| rule.outputs.iter().find(same)).and_then(|rule| rule.range);
            let change = OutputChange::Limit(limit(kind, hardware, *most, earlier)?);
            Change::Output { feature: *feature, kind, change }
        }
    };
    Ok(apply(&file.name(), file.text(), which, &change)?)
}

fn said(wish: &Wish, was_denied: bool) -> String {
    match wish {
        Wish::Name(Some(name)) => format!("is now called \"{name}\""),
        Wish::Name(None) => "has the name of its model again".to_owned(),
        Wish::Cap { feature, kind, most } => match most {
            Cap::Lifted => format!("has no limit at feature {feature}, {kind}, any more"),
            Cap::Step(step) => format!("goes no further than {step} at feature {feature}, {kind}"),
            Cap::Percent(percent) => {
                format!("goes no further than {percent} % at feature {feature}, {kind}")
            }
        },
        Wish::Deny => "will not be connected to".to_owned(),
        Wish::Allow if was_denied => "may be used again".to_owned(),
        Wish::Allow => "is not on the list of allowed devices any more".to_owned(),
        Wish::AllowOnly => "may be used, and no device that is not allowed this way".to_owned(),
    }
}

/// Why the device will not be offered after the change, if that is no surprise.
fn judge(
    device: &Known,
    wish: &Wish,
    before: &Catalogue,
    after: &Catalogue,
) -> Result<Option<Refusal>, OfflineError> {
    let refused = |catalogue| device.resolve(catalogue).and_then(Result::err);
    match (refused(before), refused(after)) {
        (None, Some(refusal @ Refusal::Quarantined { .. })) => Err(OfflineError::Harmful(refusal)),
        (_, after) => Ok(after.filter(|_| *wish != Wish::Deny)),
    }
}

/// All definition files, with this text in that file.
fn with_text(sources: &[Source], file: &str, text: &str) -> Vec<Source> {
    let mut sources = sources.to_vec();
    let new = Source { layer: Layer::User, file: file.to_owned(), text: Ok(text.to_owned()) };
    match sources.iter_mut().find(|source| source.file == file) {
        Some(source) => *source = new,
        None => sources.push(new),
    }
    sources
}

/// The output that is meant, or those that there are, or nothing if that is not known.
fn find_output(
    device: &Known,
    catalogue: &Catalogue,
    feature: u32,
    kind: &str,
) -> Result<(OutputKind, Range), Option<Vec<String>>> {
    let (_, key) = device.met.as_ref().ok_or(None)?;
    let features = catalogue.features(&key.protocol, &key.identifier).ok_or(None)?;
    let outputs = features
        .iter()
        .flat_map(|one| one.output.iter().map(|(kind, output)| (one.index, *kind, output.range)));
    let mut known = Vec::new();
    for (index, is, range) in outputs {
        if index == feature && is.name() == kind {
            return Ok((is, range));
        }
        known.push(format!("{index} {}", is.name()));
    }
    Err(Some(known))
}

/// The range for a limit. What the user said of the lower end before stays, where that is possible.
fn limit(
    kind: OutputKind,
    hardware: Range,
    most: Cap,
    earlier: Option<Range>,
) -> Result<Option<Range>, OfflineError> {
    let lowest = if kind.is_position() { hardware.min } else { 0 };
    let most = match most {
        Cap::Lifted => return Ok(None),
        Cap::Step(step) => step,
        Cap::Percent(percent) => {
            let span = i64::from(hardware.max) - i64::from(lowest);
            // Down, since it is a limit; but one step must be left, or the output could not be used at all.
            let steps = (span * i64::from(percent) / 100).max(1);
            i32::try_from(i64::from(lowest) + steps).unwrap_or(hardware.max)
        }
    };
    let least = lowest.saturating_add(1);
    if !(least..=hardware.max).contains(&most) {
        return Err(OfflineError::OutsideRange { wanted: most, lowest, least, max: hardware.max });
    }
    let low = earlier.map_or(lowest, |range| range.min).clamp(lowest, most - 1);
    Ok(Some(Range::new(low, most)))
}
