//! Golden vectors of plugins as conversations, so that the same packets are seen behind the real service in every spec version.
//!
//! A vector speaks to a plugin alone; a conversation goes through sessions, pacing and confirmed values. What has no meaning there (a
//! transfer that fails, a keep-alive on request, a value that is set again) makes a vector one that is not played, and [`read`] says so.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Map, Value, json};
use toml::Table;
use uuid::Uuid;

use super::file::{Bytes, Conversation, Device, Phase, Place, Step, Timing, Write};

/// Waits longer than this in all are not sat out.
const PATIENCE_MS: i64 = 600;

/// Protocols whose start has random bytes: a vector names the seed, the service draws its own.
const RANDOM: [&str; 3] = ["fluffer", "vibcrafter", "vibio"];

/// One vector: played, or why not.
#[derive(Debug)]
pub struct Golden {
    /// Its file.
    pub path: PathBuf,
    /// The conversation, or what is in it that cannot be played.
    pub conversation: Result<Conversation, String>,
}

/// Reads all vectors of all makers below a folder, in order of their paths.
///
/// # Errors
/// A file cannot be read.
pub fn read(plugins: &Path) -> anyhow::Result<Vec<Golden>> {
    let mut vectors = Vec::new();
    for maker in sorted(plugins)? {
        let definition = maker.join("plugin.toml");
        if !definition.is_file() || maker.ends_with("hostile") || maker.ends_with("example") {
            continue;
        }
        let definition: Table = toml::from_str(&fs::read_to_string(&definition)?)?;
        for path in sorted(&maker.join("vectors"))? {
            let vector: Table = toml::from_str(&fs::read_to_string(&path)?)
                .with_context(|| format!("in {}", path.display()))?;
            let conversation = convert(&path, &vector, &definition).map_err(|error| format!("{error:#}"));
            vectors.push(Golden { path, conversation });
        }
    }
    Ok(vectors)
}

fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn convert(path: &Path, vector: &Table, definition: &Table) -> anyhow::Result<Conversation> {
    let id = text(vector, "protocol")?;
    ensure!(!RANDOM.contains(&id), "its start is random");
    let name = vector.get("name").and_then(toml::Value::as_str).unwrap_or_default();
    let ready = steps(vector)?.find_map(|step| step.get("expect")?.get("ready")?.as_str().map(str::to_owned));
    let ready = ready.context("the device is never ready")?;
    let protocols = definition["protocol"].as_array().context("no protocols")?;
    let find = |id: &str| {
        let found = protocols.iter().find(|one| one["id"].as_str() == Some(id));
        found.and_then(toml::Value::as_table).with_context(|| format!("no protocol {id}"))
    };
    let protocol = find(id)?;
    ensure!(protocol.contains_key("bluetooth"), "not a Bluetooth device");
    ensure!(!vector.contains_key("manufacturer_data"), "needs manufacturer data");
    ensure!(is_named(protocol, name), "another protocol has a claim on this name");
    let wanted: Option<Vec<&str>> = vector
        .get("endpoints")
        .and_then(toml::Value::as_array)
        .map(|list| list.iter().filter_map(toml::Value::as_str).collect());
    let gatt = gatt(protocol, wanted.as_deref())?;
    let outputs = Outputs::of(protocol, &ready)?;
    let mut script =
        Script { outputs, steps: Vec::new(), phase: Phase::Init, waited_ms: 0, versions: vec![4, 3, 2, 1] };
    for step in steps(vector)? {
        script.take(step)?;
    }
    Ok(Conversation {
        format: 1,
        case: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        protocol: id.to_owned(),
        matched_protocol: None,
        bus: "btle".into(),
        client_versions: script.versions,
        extra_client_versions: Vec::new(),
        status: None,
        notes: Vec::new(),
        user_device_config: None,
        timing: Timing {
            step_timeout_ms: 500,
            connect_timeout_ms: 300,
            requires_coalescing: true,
            periodic_writes: protocol.contains_key("keep_alive").then(|| json!({ "what": "last write" })),
        },
        devices: vec![Device {
            advertised_name: name.to_owned(),
            name_pattern: None,
            address: None,
            manufacturer_data: Vec::new(),
            advertised_services: Vec::new(),
            identifier: Some(ready),
            expected_name: None,
            expected_display_name: None,
            gatt,
            gatt_alternatives_left_out: None,
            other_specifiers: None,
            features: Vec::new(),
        }],
        steps: script.steps,
        unchecked_tail: None,
    })
}

fn steps(vector: &Table) -> anyhow::Result<impl Iterator<Item = &toml::Value>> {
    Ok(vector.get("step").and_then(toml::Value::as_array).context("a vector without steps")?.iter())
}

fn text<'t>(table: &'t Table, key: &str) -> anyhow::Result<&'t str> {
    table.get(key).and_then(toml::Value::as_str).with_context(|| format!("no `{key}`"))
}

/// Whether a device of this name is known by it, and not by a service that it advertises.
fn is_named(protocol: &Table, name: &str) -> bool {
    let entries = protocol["bluetooth"].as_array().into_iter().flatten();
    let names = entries.filter_map(|entry| entry.get("names")?.as_array()).flatten();
    names.filter_map(toml::Value::as_str).any(|known| match known.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == known,
    })
}

/// Services with the endpoints that the device has; of alternatives the first.
fn gatt(protocol: &Table, wanted: Option<&[&str]>) -> anyhow::Result<BTreeMap<Uuid, BTreeMap<String, Uuid>>> {
    let mut gatt: BTreeMap<Uuid, BTreeMap<String, Uuid>> = BTreeMap::new();
    let mut have: Vec<String> = Vec::new();
    for bluetooth in protocol["bluetooth"].as_array().into_iter().flatten() {
        for (service, endpoints) in
            bluetooth.get("services").and_then(toml::Value::as_table).into_iter().flatten()
        {
            for (endpoint, characteristic) in endpoints.as_table().into_iter().flatten() {
                let is_wanted = wanted.is_none_or(|wanted| wanted.contains(&endpoint.as_str()));
                if is_wanted && !have.contains(endpoint) {
                    have.push(endpoint.clone());
                    let characteristic =
                        characteristic.as_str().context("a characteristic that is no text")?;
                    gatt.entry(service.parse()?)
                        .or_default()
                        .insert(endpoint.clone(), characteristic.parse()?);
                }
            }
        }
    }
    ensure!(!gatt.is_empty(), "no services");
    Ok(gatt)
}

/// The outputs of a model, in the order in which old versions count them, and what they were set to.
struct Outputs(Vec<Output>);

#[derive(Debug, Clone)]
struct Output {
    feature: i64,
    kind: String,
    min: i64,
    max: i64,
    now: Option<i64>,
}

impl Outputs {
    fn of(protocol: &Table, identifier: &str) -> anyhow::Result<Self> {
        const ORDER: [&str; 9] = [
            "constrict",
            "temperature",
            "led",
            "oscillate",
            "position",
            "position-with-duration",
            "rotate",
            "spray",
            "vibrate",
        ];
        let model =
            protocol.get("model").and_then(toml::Value::as_array).into_iter().flatten().find(|model| {
                let known = model["identifiers"].as_array().into_iter().flatten();
                known.into_iter().any(|one| one.as_str() == Some(identifier))
            });
        let features =
            model.and_then(|model| model.get("features")).unwrap_or(&protocol["default"]["features"]);
        let mut outputs = Vec::new();
        for feature in features.as_array().context("no features")? {
            let index = feature["index"].as_integer().context("a feature without an index")?;
            let table = feature.get("output").and_then(toml::Value::as_table);
            for kind in ORDER {
                let Some(output) = table.and_then(|table| table.get(kind)) else { continue };
                let range = output.get("range").unwrap_or(output);
                let bound = |place: usize| range[place].as_integer().context("a range without two ends");
                let (min, max) = (bound(0)?, bound(1)?);
                ensure!(min == 0 || min == -max, "a range that does not begin at rest");
                outputs.push(Output { feature: index, kind: kind.to_owned(), min, max, now: None });
            }
        }
        Ok(Self(outputs))
    }

    /// The place of an output among those that pass a test, as an index of an old version counts them.
    fn place(&self, wanted: &Output, counts: impl Fn(&Output) -> bool) -> usize {
        let same = |one: &&Output| (one.feature, &one.kind) == (wanted.feature, &wanted.kind);
        self.0.iter().filter(|one| counts(one)).take_while(|one| !same(one)).count()
    }

    fn find(&mut self, feature: i64, kind: &str) -> anyhow::Result<&mut Output> {
        let found = self.0.iter_mut().find(|one| one.feature == feature && one.kind == kind);
        found.with_context(|| format!("no output {kind} at feature {feature}"))
    }
}

struct Script {
    outputs: Outputs,
    steps: Vec<Step>,
    phase: Phase,
    waited_ms: i64,
    versions: Vec<u32>,
}

impl Script {
    fn take(&mut self, step: &toml::Value) -> anyhow::Result<()> {
        if let Some(expect) = step.get("expect").and_then(toml::Value::as_table) {
            return self.expect(expect);
        }
        let action =
            step.get("do").and_then(toml::Value::as_table).context("a step in which nothing happens")?;
        let (what, value) = action
            .iter()
            .find(|(key, _)| !["hex", "text"].contains(&key.as_str()))
            .context("a step in which nothing happens")?;
        match what.as_str() {
            "set" => self.set(value),
            "stop" if value.as_str() == Some("all") => self.stop(),
            "notify" => {
                let endpoint = value.as_str().context("no endpoint")?.to_owned();
                let notify = Some(Bytes { endpoint, hex: hex_of(action)? });
                self.steps.push(Step { notify, ..empty(self.phase) });
                Ok(())
            }
            "read_result" => {
                // Before anything can ask for it.
                let endpoint = value.as_str().context("no endpoint")?.to_owned();
                let answer = Bytes { endpoint, hex: hex_of(action)? };
                let at = self.steps.iter().take_while(|step| step.answer_read.is_some()).count();
                let step = Step { answer_read: Some(answer), ..empty(Phase::Init) };
                self.steps.insert(at, step);
                Ok(())
            }
            "timer_ms" => {
                self.waited_ms += value.as_integer().unwrap_or(i64::MAX / 4);
                ensure!(self.waited_ms <= PATIENCE_MS, "it waits too long");
                Ok(())
            }
            other => bail!("`{other}` has no meaning behind the service"),
        }
    }

    fn expect(&mut self, expect: &Table) -> anyhow::Result<()> {
        let place = |key: &str| {
            let endpoint = expect.get(key).and_then(toml::Value::as_str);
            endpoint.map(|endpoint| Place { endpoint: endpoint.to_owned() })
        };
        let step = empty(self.phase);
        let step = if let Some(place) = place("subscribe") {
            Step { expect_subscribe: Some(place), ..step }
        } else if let Some(place) = place("unsubscribe") {
            Step { expect_unsubscribe: Some(place), ..step }
        } else if let Some(place) = place("write") {
            let with_response = expect.get("response").and_then(toml::Value::as_bool).unwrap_or(false);
            Step {
                expect_write: Some(Write { endpoint: place.endpoint, hex: hex_of(expect)?, with_response }),
                ..step
            }
        } else if expect.contains_key("ready") {
            self.phase = Phase::Run;
            return Ok(());
        } else if expect.contains_key("read") {
            // Reads are the server's own affair.
            return Ok(());
        } else {
            bail!("{expect:?} is not seen at the device");
        };
        self.steps.push(step);
        Ok(())
    }

    fn set(&mut self, value: &toml::Value) -> anyhow::Result<()> {
        let mut changed = Vec::new();
        for set in value.as_array().context("`set` is no list")? {
            let number = |key: &str| set.get(key).and_then(toml::Value::as_integer);
            let (feature, value) =
                (number("feature").context("no feature")?, number("value").context("no value")?);
            let kind = set["kind"].as_str().context("no kind")?;
            let output = self.outputs.find(feature, kind)?;
            ensure!((output.min..=output.max).contains(&value), "a value out of range");
            ensure!(output.now != Some(value), "a value that is set again writes nothing");
            output.now = Some(value);
            changed.push((output.clone(), value, number("duration_ms").unwrap_or(0)));
        }
        self.versions.retain(|version| changed.iter().all(|(output, ..)| has_words(*version, output)));
        let mut messages = BTreeMap::new();
        for version in [1, 2, 3, 4] {
            let of_version = changed
                .iter()
                .filter(|(output, ..)| has_words(version, output))
                .map(|(output, value, duration)| self.message(version, output, *value, *duration))
                .collect();
            messages.insert(version, of_version);
        }
        self.command("set", messages);
        Ok(())
    }

    fn stop(&mut self) -> anyhow::Result<()> {
        for output in self.outputs.0.iter_mut().filter(|output| !output.kind.starts_with("position")) {
            ensure!(output.now != Some(0), "an output at rest is not stopped again");
            output.now = Some(0);
        }
        let stop = |name: &str, body: Value| vec![object(json!({ name: body }))];
        let messages = BTreeMap::from([
            (1, stop("StopDeviceCmd", json!({}))),
            (2, stop("StopDeviceCmd", json!({}))),
            (3, stop("StopDeviceCmd", json!({}))),
            (4, stop("StopCmd", json!({ "Inputs": true, "Outputs": true }))),
        ]);
        self.command("stop", messages);
        Ok(())
    }

    fn command(&mut self, what: &str, messages: BTreeMap<u32, Vec<Map<String, Value>>>) {
        let command = Some(object(json!({ what: {} })));
        self.steps.push(Step { command, messages: Some(messages), ..empty(self.phase) });
    }

    /// The message of a version that sets an output; fractions are such that they come to the value and no other.
    fn message(&self, version: u32, output: &Output, value: i64, duration: i64) -> Map<String, Value> {
        let is = |kind: &'static str| move |one: &Output| one.kind == kind;
        let fraction = |value: i64, offset: f64| as_float(value) + if value == 0 { 0.0 } else { offset };
        let level = fraction(value.abs(), -0.5) / as_float(output.max);
        let moves = (fraction(value, 0.5) / as_float(output.max)).min(1.0);
        let rotates = |one: &Output| one.kind == "rotate" && one.min < 0;
        let message = match (version, output.kind.as_str()) {
            (4, kind) => {
                let mut body = json!({ "Value": value });
                if kind == "position-with-duration" {
                    body["Duration"] = duration.into();
                }
                json!({ "OutputCmd": { "FeatureIndex": output.feature, "Command": { wire_name(kind): body } } })
            }
            (_, "position-with-duration") => {
                let index = self.outputs.place(output, is("position-with-duration"));
                json!({ "LinearCmd": { "Vectors": [{ "Index": index, "Duration": duration, "Position": moves }] } })
            }
            (_, "rotate") if output.min < 0 => {
                let index = self.outputs.place(output, rotates);
                let rotation = json!({ "Index": index, "Speed": level, "Clockwise": value >= 0 });
                json!({ "RotateCmd": { "Rotations": [rotation] } })
            }
            (3, kind) => {
                let index = self.outputs.place(output, |one| one.kind != "position-with-duration");
                let scalar = json!({ "Index": index, "Scalar": level, "ActuatorType": wire_name(kind) });
                json!({ "ScalarCmd": { "Scalars": [scalar] } })
            }
            (_, _) => {
                let index = self.outputs.place(output, is("vibrate"));
                json!({ "VibrateCmd": { "Speeds": [{ "Index": index, "Speed": level }] } })
            }
        };
        object(message)
    }
}

/// Whether a version can say that an output shall be set.
fn has_words(version: u32, output: &Output) -> bool {
    match output.kind.as_str() {
        "vibrate" | "position-with-duration" => true,
        "rotate" => version >= 3 || output.min < 0,
        _ => version >= 3,
    }
}

fn wire_name(kind: &str) -> &'static str {
    match kind {
        "vibrate" => "Vibrate",
        "rotate" => "Rotate",
        "oscillate" => "Oscillate",
        "constrict" => "Constrict",
        "temperature" => "Temperature",
        "led" => "Led",
        "spray" => "Spray",
        "position" => "Position",
        _ => "HwPositionWithDuration",
    }
}

fn as_float(value: i64) -> f64 {
    i32::try_from(value).map_or(f64::NAN, f64::from)
}

fn empty(phase: Phase) -> Step {
    Step {
        phase,
        device: 0,
        min_version: 0,
        expect_subscribe: None,
        expect_unsubscribe: None,
        expect_write: None,
        notify: None,
        answer_read: None,
        command: None,
        messages: None,
    }
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// The bytes of a step, from `hex` or `text`, as pairs of digits without blanks.
fn hex_of(table: &Table) -> anyhow::Result<String> {
    if let Some(hex) = table.get("hex").and_then(toml::Value::as_str) {
        return Ok(hex.split_whitespace().collect());
    }
    Ok(text(table, "text")?.bytes().map(|byte| format!("{byte:02x}")).collect())
}
