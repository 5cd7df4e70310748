//! The fuzz targets without the fuzzer: over their corpus, over the samples and definitions of this tree, and over inputs that
//! were changed at random, the same ones in every run. `FUZZ_ROUNDS` says how many of those, for a longer search.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that meets the unexpected has failed")]

#[path = "../fuzz/src/lib.rs"]
#[expect(unreachable_pub, reason = "for the fuzzer it is a library")]
mod fuzz;

use std::env;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use system_tests::{artifact::source_tree, chance::Chance};

/// Changed inputs a target, unless `FUZZ_ROUNDS` says otherwise.
const CHANGED: u64 = 2_000;

/// Inputs above this are played as they are and not changed, since they take too long.
const CHANGED_SIZE_MAX: usize = 4 * 1024;

/// Runs a target over all inputs and over changed ones.
fn run(name: &str, target: fn(&[u8]), more: Vec<Vec<u8>>) {
    let mut inputs = files(&source_tree().join("tests/fuzz/corpus").join(name));
    assert!(!inputs.is_empty(), "the corpus of {name} is empty");
    inputs.extend(more);
    for input in &inputs {
        play(name, target, input);
    }
    inputs.retain(|input| input.len() <= CHANGED_SIZE_MAX);
    let rounds = env::var("FUZZ_ROUNDS").map_or(CHANGED, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let mut chance = Chance(round);
        let mut input = inputs[chance.below(inputs.len())].clone();
        for _ in 0..=chance.below(4) {
            change(&mut chance, &mut input, &inputs);
        }
        play(name, target, &input);
    }
}

fn play(name: &str, target: fn(&[u8]), input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| target(input))) {
        // The panic has said what is wrong; this says with what.
        eprintln!("{name} went wrong with:\n{}\n", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

/// The files of a folder, in the order of their names.
fn files(folder: &Path) -> Vec<Vec<u8>> {
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().filter(|path| path.is_file()).map(|path| fs::read(path).unwrap()).collect()
}

/// The definitions of all plugins.
fn definitions() -> Vec<Vec<u8>> {
    let mut paths: Vec<_> =
        fs::read_dir(source_tree().join("plugins")).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().filter_map(|path| fs::read(path.join("plugin.toml")).ok()).collect()
}

#[test]
fn frames() {
    let samples = source_tree().join("ipc-schema/samples");
    run(
        "frames",
        fuzz::frames,
        (0..=4).flat_map(|version| files(&samples.join(format!("v{version}")))).collect(),
    );
}

#[test]
fn session() {
    let samples = source_tree().join("ipc-schema/samples");
    let mut talks = Vec::new();
    for version in 0..=4 {
        for encoding in ["j", "m"] {
            // All messages of a version, one after the other: a line each.
            let mut talk = format!("{version} {encoding}\n").into_bytes();
            for sample in files(&samples.join(format!("v{version}"))) {
                talk.extend(sample.into_iter().filter(|byte| !byte.is_ascii_control()));
                talk.push(b'\n');
            }
            talks.push(talk);
        }
    }
    run("session", fuzz::session, talks);
}

#[test]
fn definition() {
    run("definition", fuzz::definition, definitions());
}

#[test]
fn greeting() {
    run("greeting", fuzz::greeting, Vec::new());
}

#[test]
fn import() {
    run("import", fuzz::import, Vec::new());
}

#[test]
fn indexes() {
    run("indexes", fuzz::indexes, Vec::new());
}

#[test]
fn recording() {
    run("recording", fuzz::recording, files(&source_tree().join("tests/recordings")));
}

#[test]
fn template() {
    let mut templates = Vec::new();
    for text in definitions() {
        let file: toml::Table = String::from_utf8(text).unwrap().parse().unwrap();
        let protocols = file.get("protocol").and_then(toml::Value::as_array).into_iter().flatten();
        for template in protocols.filter_map(|protocol| protocol.get("template")) {
            let mut input = serde_json::to_vec(template).unwrap();
            input.push(0);
            // Everything that can happen, twice, with a change of values in between.
            input.extend((0..=255_u8).rev().step_by(5));
            input.extend((0..=255_u8).step_by(7));
            templates.push(input);
        }
    }
    assert!(!templates.is_empty());
    run("template", fuzz::template, templates);
}

/// One change, anywhere.
fn change(chance: &mut Chance, input: &mut Vec<u8>, others: &[Vec<u8>]) {
    let place = chance.below(input.len() + 1);
    let end = (place + chance.below(40)).min(input.len());
    match chance.below(8) {
        0 => {
            let bit = 1 << chance.below(8);
            if let Some(byte) = input.get_mut(place) {
                *byte ^= bit;
            }
        }
        1 => {
            let byte = chance.byte();
            input.insert(place, byte);
        }
        2 => drop(input.drain(place..end)),
        3 => {
            let piece = input[place..end].to_vec();
            input.splice(place..place, piece);
        }
        4 => input.truncate(place),
        // Words and numbers that mean something at many places.
        5 => {
            let words = ["null", "-1", "4294967296", "1e999", "[", "}", "\"", "\n", "0.5", "\0", "{v}", "Id"];
            let word = words[chance.below(words.len())];
            input.splice(place..end, word.bytes());
        }
        6 => {
            let other = &others[chance.below(others.len())];
            let from = chance.below(other.len() + 1);
            let to = (from + chance.below(80)).min(other.len());
            input.splice(place..end, other[from..to].iter().copied());
        }
        _ => {
            if let Some(byte) = input.get_mut(place) {
                *byte = byte.wrapping_add(1);
            }
        }
    }
}
