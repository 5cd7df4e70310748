//! Questions about definitions: what is wrong with a file, which models there are, what a name is taken for.

use std::{
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use engine::{
    advertisement::Advertisement,
    definition::{
        catalogue::{Catalogue, Listed},
        layer::Layer,
        problem::Problem,
    },
};
use serde_json::{Value, json};

use super::{Outcome, Verdict, problem};
use crate::{
    arrivals,
    config::{Config, Directories},
    definitions::{PLUGIN_FILE, Templates, source},
    devices,
};

/// What is wrong with the definitions that are in force.
pub(super) fn check_all(config: &Config, directories: &Directories) -> Outcome {
    let sources = devices::sources(config, directories);
    let (catalogue, mut problems) = Catalogue::build(&sources, None, &Templates::Try);
    for entry in catalogue.protocols() {
        if let Some(library) = arrivals::library(entry).filter(|library| !library.is_file()) {
            problems.push(Problem {
                file: entry.file.clone(),
                line: None,
                key: "library".to_owned(),
                reason: format!("{} is not there, so `{}` cannot be driven", library.display(), entry.id()),
            });
        }
    }
    verdict(&problems)
}

/// What is wrong with this file, beside all others or in the place of the one that it is a newer version of.
pub(super) fn check_file(file: &Path, config: &Config, directories: &Directories) -> Outcome {
    let mut sources = devices::sources(config, directories);
    let same = |other: &str| is_same(file, Path::new(other));
    let layer = match sources.iter().find(|source| same(&source.file)) {
        Some(source) => source.layer,
        None if file.file_name().is_some_and(|name| name == PLUGIN_FILE) => Layer::Plugins,
        None => Layer::User,
    };
    sources.retain(|source| !same(&source.file));
    let (catalogue, _) = Catalogue::build(&sources, None, &Templates::Read);
    verdict(&catalogue.check(&source(layer, file), &Templates::Try))
}

/// Whether two paths are one file, or one plugin folder in two places: that of a source tree and the one that is installed.
fn is_same(file: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let (file, other) = (real(file), real(other));
    let folder = |path: &Path| path.parent().and_then(Path::file_name).map(ToOwned::to_owned);
    let is_plugin = |path: &PathBuf| path.file_name().is_some_and(|name| name == PLUGIN_FILE);
    file == other || is_plugin(&file) && is_plugin(&other) && folder(&file) == folder(&other)
}

fn verdict(problems: &[Problem]) -> Outcome {
    let listed: Vec<Value> = problems.iter().map(problem).collect();
    let json = json!({ "Ok": problems.is_empty(), "Problems": listed });
    if problems.is_empty() {
        return Outcome { text: "ok\n".to_owned(), json, verdict: Verdict::Good };
    }
    let text = problems.iter().map(|problem| format!("{problem}\n")).collect();
    Outcome { text, json, verdict: Verdict::Bad }
}

/// All models, by maker.
pub(super) fn list(config: &Config, directories: &Directories) -> Outcome {
    let (catalogue, problems) = devices::definitions(config, directories, None);
    let mut models = catalogue.list();
    models.sort_by_key(|model| (model.maker.map(str::to_lowercase), model.protocol));
    let mut text = String::new();
    let mut maker = None;
    for model in &models {
        if maker != Some(model.maker) {
            maker = Some(model.maker);
            line(&mut text, model.maker.unwrap_or("(no maker named)"));
        }
        line(&mut text, &format!("  {}", of_model(model)));
    }
    errors(&mut text, &problems);
    let json = models.iter().map(|model| {
        json!({
            "Maker": model.maker,
            "Protocol": model.protocol,
            "Name": model.name,
            "Identifiers": model.identifiers,
            "File": model.file,
        })
    });
    Outcome { text, json: json.collect(), verdict: Verdict::Good }
}

fn errors(text: &mut String, problems: &[Problem]) {
    for problem in problems {
        line(text, &format!("beside this, there is an error: {problem}"));
    }
}

fn of_model(model: &Listed<'_>) -> String {
    format!("{:<28} {}", model.protocol, titled(model))
}

/// The name of a model, and what it says it is.
fn titled(model: &Listed<'_>) -> String {
    match model.identifiers {
        [] => model.name.to_owned(),
        identifiers => format!("{} ({})", model.name, identifiers.join(", ")),
    }
}

/// What a device of this name would be taken for on each bus, or else where a model of this name is defined. Bad if it is neither.
pub(super) fn explain(name: &str, config: &Config, directories: &Directories) -> Outcome {
    let (catalogue, problems) = devices::definitions(config, directories, None);
    let mut found = Vec::new();
    for (bus, shown) in advertisements(name) {
        if !catalogue.find(&shown).is_empty() {
            found.push((bus, catalogue.explain(&shown, None)));
        }
    }
    let mut models = Vec::new();
    if found.is_empty() {
        // A line of the list has blanks between its columns.
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = words(name);
        let same = |one: &str| words(one).eq_ignore_ascii_case(&wanted);
        models = catalogue.list();
        models.retain(|model| {
            same(model.name)
                || same(model.protocol)
                || same(&titled(model))
                || same(&of_model(model))
                || model.identifiers.iter().any(|one| same(one))
        });
    }
    let verdict = if found.is_empty() && models.is_empty() { Verdict::Bad } else { Verdict::Good };
    if verdict == Verdict::Bad {
        for (bus, shown) in advertisements(name).into_iter().take(1) {
            found.push((bus, catalogue.explain(&shown, None)));
        }
    }
    let mut text = String::new();
    for (bus, lines) in &found {
        line(&mut text, &format!("{bus}:"));
        for one in lines {
            line(&mut text, &format!("  {one}"));
        }
    }
    for model in &models {
        line(&mut text, &format!("{} is in {}", of_model(model).trim(), model.file));
        for name in model.bluetooth.iter().flat_map(|one| &one.names) {
            line(&mut text, &format!("  announces itself as {name}"));
        }
    }
    errors(&mut text, &problems);
    let found: Vec<Value> = found.iter().map(|(bus, lines)| json!({ "Bus": bus, "Lines": lines })).collect();
    let models: Vec<Value> = models
        .iter()
        .map(|model| json!({ "Protocol": model.protocol, "Name": model.name, "File": model.file }))
        .collect();
    let problems: Vec<Value> = problems.iter().map(problem).collect();
    let json = json!({ "Found": found, "Models": models, "Problems": problems });
    Outcome { text, json, verdict }
}

/// What may be meant by a name, the likeliest first: a port, a pair of ids such as `0483:5750`, a name on some bus.
fn advertisements(name: &str) -> Vec<(&'static str, Advertisement)> {
    let id = |text: &str| u16::from_str_radix(text, 16).ok().filter(|_| text.len() == 4);
    let ids = name.split_once(':').and_then(|(vendor, product)| Some((id(vendor)?, id(product)?)));
    let own = name.to_owned();
    if let Some((vendor, product)) = ids {
        let usb = Some((vendor, product));
        return vec![
            ("HID", Advertisement::Hid { vendor, product, name: None }),
            ("serial", Advertisement::Serial { port: String::new(), usb }),
        ];
    }
    if name.starts_with("/dev/") {
        return vec![("serial", Advertisement::Serial { port: own, usb: None })];
    }
    let bluetooth = Advertisement::Bluetooth {
        name: Some(own.clone()),
        manufacturer_data: Vec::new(),
        services: Vec::new(),
    };
    vec![
        ("Bluetooth", bluetooth),
        ("WebSocket", Advertisement::WebSocket { name: own.clone() }),
        ("simulated", Advertisement::Simulated { name: own }),
    ]
}

fn line(text: &mut String, line: &str) {
    // Writing to a String cannot fail.
    writeln!(text, "{line}").unwrap_or_default();
}
