//! The rules of `ARCHITECTURE.md`, read off the manifests and sources: what may know what, and what a file must have.
//!
//! Each rule is one test, so that a broken one says its name. The rules are about text, not about meaning: they catch
//! what a reviewer would otherwise have to remember.

#![expect(clippy::unwrap_used, reason = "a rule that cannot be read is a failed test")]

use std::{
    fs,
    path::{Path, PathBuf},
};

/// One file: its path from the root of the tree, and its text.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The lines of code: comments are left out, so that a rule is not broken by talking about it.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(number, line)| (number + 1, line.split("//").next().unwrap_or(line)))
            .filter(|(_, line)| !line.trim().is_empty())
    }

    /// The lines of code before the unit tests.
    fn code_without_tests(&self) -> impl Iterator<Item = (usize, &str)> {
        self.code().take_while(|(_, line)| line.trim() != "#[cfg(test)]")
    }

    /// Whether all of it is tests: `tests.rs`, or a file below `tests/`.
    fn is_test(&self) -> bool {
        self.path.ends_with("/tests.rs") || self.path.contains("/tests/")
    }

    fn is_in(&self, folders: &[&str]) -> bool {
        folders.iter().any(|folder| self.path.starts_with(folder))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files(extension: &str) -> Vec<Source> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && name != "target" && name != "node_modules" {
                    walk(&path, extension, found);
                }
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extension, &mut found);
    found.sort();
    found
        .into_iter()
        .map(|path| Source {
            text: fs::read_to_string(&path).unwrap(),
            path: path.strip_prefix(root()).unwrap().to_string_lossy().into_owned(),
        })
        .collect()
}

/// Fails with every place at which a file of `scope` outside `allowed` has one of `words` as a word of its code.
#[track_caller]
fn only_in(scope: &[&str], allowed: &[&str], words: &[&str]) {
    let mut broken = Vec::new();
    let is_looked_at = |source: &&Source| source.is_in(scope) && !source.is_in(allowed) && !source.is_test();
    for source in files("rs").iter().filter(is_looked_at) {
        for (number, line) in source.code_without_tests() {
            for word in words.iter().filter(|word| has_word(line, word)) {
                broken.push(format!("{}:{number}: `{word}`", source.path));
            }
        }
    }
    assert!(broken.is_empty(), "not allowed here:\n{}", broken.join("\n"));
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        !line[..at].chars().next_back().is_some_and(is_part)
            && !line[at + word.len()..].chars().next().is_some_and(is_part)
    })
}

/// The names of a crate's dependencies, those for tests apart.
fn dependencies(manifest: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join(manifest)).unwrap();
    let parsed: toml::Table = toml::from_str(&text).unwrap();
    parsed
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .map(|table| table.keys().cloned().collect())
        .unwrap_or_default()
}

#[track_caller]
fn depends_only_on(manifest: &str, ours: &[&str]) {
    let wrong: Vec<_> = dependencies(manifest)
        .into_iter()
        .filter(|name| is_ours(name) && !ours.contains(&name.as_str()))
        .collect();
    assert!(wrong.is_empty(), "{manifest} may not depend on {wrong:?}");
}

fn is_ours(name: &str) -> bool {
    name.starts_with("buttplug") || ["engine", "ipc-schema", "system-tests", "xtask"].contains(&name)
}

#[test]
fn dependencies_point_one_way() {
    depends_only_on("ipc-schema/Cargo.toml", &[]);
    depends_only_on("daemon/engine/Cargo.toml", &["ipc-schema"]);
    depends_only_on(
        "daemon/buttplugd/Cargo.toml",
        &["ipc-schema", "engine", "buttplug-plugin-abi", "buttplug-plugin-template"],
    );
    depends_only_on("plugins/abi/Cargo.toml", &[]);
    depends_only_on("plugins/sdk/Cargo.toml", &["buttplug-plugin-abi"]);
    depends_only_on("client/rust/Cargo.toml", &["ipc-schema"]);
    depends_only_on("client/ctl/Cargo.toml", &["ipc-schema", "buttplugd-client"]);
    for entry in fs::read_dir(root().join("plugins")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let manifest = format!("plugins/{name}/Cargo.toml");
        if !["abi", "sdk"].contains(&name.as_str()) && root().join(&manifest).is_file() {
            depends_only_on(&manifest, &["buttplug-plugin-sdk"]);
        }
    }
}

#[test]
fn the_engine_is_pure() {
    let outside = [
        "tokio",
        "zbus",
        "std::fs",
        "std::net",
        "std::os",
        "std::process",
        "std::thread",
        "std::env",
        "SystemTime",
        "Instant::now",
        "unsafe",
    ];
    only_in(&["daemon/engine/src", "ipc-schema/src"], &[], &outside);
}

#[test]
fn only_the_fronts_know_how_clients_connect() {
    only_in(&["daemon"], &["daemon/buttplugd/src/front"], &["interprocess"]);
    // logind, too, is on a bus.
    only_in(&["daemon"], &["daemon/buttplugd/src/front", "daemon/buttplugd/src/sleep.rs"], &["zbus"]);
    // Devices dial in over WebSocket as well as clients do.
    let both = ["daemon/buttplugd/src/front", "daemon/buttplugd/src/transport/websocket/"];
    only_in(&["daemon"], &both, &["tungstenite", "tokio_tungstenite"]);
}

#[test]
fn only_the_transports_know_the_buses() {
    let words = ["btleplug", "serialport", "hidapi", "evdev"];
    only_in(&["daemon"], &["daemon/buttplugd/src/transport"], &words);
}

#[test]
fn unsafe_is_where_the_plugin_abi_is() {
    only_in(
        &["ipc-schema", "daemon", "plugins", "client", "xtask"],
        &["daemon/buttplugd/src/plugin", "plugins/abi", "plugins/sdk", "plugins/hostile"],
        &["unsafe"],
    );
}

#[test]
fn wire_types_stay_in_the_schema_and_the_dialects() {
    let versions = ["ipc_schema::v0", "ipc_schema::v1", "ipc_schema::v2", "ipc_schema::v3", "ipc_schema::v4"];
    only_in(&["daemon"], &["daemon/engine/src/dialect"], &versions);
}

#[test]
fn no_spec_version_imports_another() {
    let mut broken = Vec::new();
    for source in files("rs") {
        let Some(own) = (0..=4).find(|version| {
            ["daemon/engine/src/dialect", "ipc-schema/src"].iter().any(|folder| {
                let start = format!("{folder}/v{version}");
                source.path.strip_prefix(&start).is_some_and(|rest| rest.starts_with(['.', '/']))
            })
        }) else {
            continue;
        };
        for (number, line) in source.code() {
            for other in (0..=4).filter(|other| *other != own) {
                if has_word(line, &format!("v{other}")) {
                    broken.push(format!("{}:{number}: v{own} knows v{other}", source.path));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn a_plugin_does_no_io_starts_no_thread_reads_no_clock() {
    only_in(
        &["plugins"],
        // The last one reads the definitions and vectors of all makers; nothing of it is in a plugin.
        &["plugins/abi", "plugins/sdk", "plugins/hostile", "plugins/template/tests/makers.rs"],
        &[
            "std::fs",
            "std::net",
            "std::thread",
            "std::process",
            "std::env",
            "Instant",
            "SystemTime",
            "println",
            "tokio",
        ],
    );
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent: Vec<_> = files("rs")
        .into_iter()
        .filter(|source| !source.text.starts_with("//!"))
        .map(|source| source.path)
        .collect();
    assert!(silent.is_empty(), "no `//!` at the top of:\n{}", silent.join("\n"));
}

#[test]
fn nothing_is_left_unfinished() {
    let words = [
        concat!("to", "do!"),
        concat!("unimple", "mented!"),
        concat!("#[ig", "nore"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("d", "bg!("),
    ];
    let mut broken = Vec::new();
    for source in files("rs") {
        for (number, line) in source.text.lines().enumerate() {
            for word in words.iter().filter(|word| line.contains(*word)) {
                broken.push(format!("{}:{}: `{word}`", source.path, number + 1));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn names_say_what_a_thing_is() {
    let mut broken = Vec::new();
    for source in files("rs") {
        for (number, line) in source.code() {
            for keyword in ["struct ", "enum ", "trait ", "mod "] {
                let Some(name) = line.split(keyword).nth(1) else { continue };
                let name: String = name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if ["Manager", "Helper", "Utils", "helpers", "utils"].iter().any(|word| name.ends_with(word))
                {
                    broken.push(format!("{}:{number}: {name}", source.path));
                }
            }
        }
    }
    assert!(broken.is_empty(), "names that say nothing:\n{}", broken.join("\n"));
}

#[test]
fn every_maker_has_a_readme_and_vectors() {
    let mut broken = Vec::new();
    for source in files("toml").iter().filter(|source| source.path.ends_with("/plugin.toml")) {
        let folder = root().join(&source.path).parent().unwrap().to_owned();
        if source.path.starts_with("plugins/") && !source.path.starts_with("plugins/hostile/") {
            for needed in ["README.md", "vectors"] {
                if !folder.join(needed).exists() {
                    broken.push(format!("{}: no {needed} beside it", source.path));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_hid_device_may_be_opened_by_whoever_sits_at_the_machine() {
    let rules = fs::read_to_string(root().join("systemd/60-buttplugd.rules")).unwrap();
    let tables = |value: &toml::Value, key: &str| -> Vec<toml::Value> {
        value.get(key).and_then(toml::Value::as_array).cloned().unwrap_or_default()
    };
    let mut without = Vec::new();
    for source in files("toml").iter().filter(|source| {
        source.path.ends_with("/plugin.toml") && !source.is_in(&["plugins/example", "plugins/hostile"])
    }) {
        let file: toml::Value = toml::from_str(&source.text).unwrap();
        let protocols = tables(&file, "protocol");
        let matches = protocols.iter().flat_map(|protocol| tables(protocol, "hid"));
        for id in matches.flat_map(|one| tables(&one, "ids")) {
            let hex = |key: &str| format!("{:04x}", id.get(key).and_then(toml::Value::as_integer).unwrap());
            let (vendor, product) = (format!("ATTRS{{idVendor}}==\"{}\"", hex("vendor")), hex("product"));
            if !rules.lines().any(|rule| rule.starts_with(&vendor) && rule.contains(&product)) {
                without.push(format!("{}: {} {}", source.path, hex("vendor"), product));
            }
        }
    }
    assert!(without.is_empty(), "no udev rule for:\n{}", without.join("\n"));
}
