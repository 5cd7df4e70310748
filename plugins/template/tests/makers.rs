//! Every template of every maker's folder: it suits all models of its definition, names only endpoints that are there, and
//! does what the golden vectors beside it say.
//!
//! Protocols that are code are tested by the crate of their maker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use plugin_sdk::Info;
use plugin_sdk::driver::{Direct, Subject};
use plugin_sdk::vectors::{Definition, Vector, run};
use plugin_template::{CheckError, Input, InputKind, Model, Output, OutputKind, Program, TemplateDevice};
use serde::Deserialize;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    protocol: Vec<Protocol>,
}

#[derive(Deserialize)]
struct Protocol {
    id: String,
    template: Option<toml::Value>,
    #[serde(default)]
    bluetooth: Vec<Bluetooth>,
    default: Option<ModelTable>,
    #[serde(default)]
    model: Vec<ModelTable>,
}

#[derive(Deserialize)]
struct Bluetooth {
    #[serde(default)]
    services: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct ModelTable {
    #[serde(default)]
    identifiers: Vec<String>,
    #[serde(default)]
    variant: String,
    features: Option<Vec<FeatureTable>>,
}

#[derive(Deserialize)]
struct FeatureTable {
    index: u32,
    #[serde(default)]
    output: BTreeMap<OutputKind, OutputTable>,
    #[serde(default)]
    input: BTreeMap<InputKind, toml::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OutputTable {
    Range([i32; 2]),
    Table {
        range: [i32; 2],
        #[serde(default)]
        duration_ms: [u32; 2],
    },
}

/// The folders of makers that have a definition.
fn makers() -> Vec<PathBuf> {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is in plugins/");
    let mut makers: Vec<PathBuf> = std::fs::read_dir(plugins)
        .expect("plugins/ can be read")
        .map(|entry| entry.expect("its entries too").path())
        .filter(|folder| folder.join("plugin.toml").is_file())
        .collect();
    makers.sort();
    makers
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn definition(folder: &Path) -> File {
    let path = folder.join("plugin.toml");
    toml::from_str(&read(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn outputs(features: &[FeatureTable]) -> Vec<Output> {
    let outputs = features.iter().flat_map(|feature| {
        feature.output.iter().map(|(kind, output)| {
            let ([min, max], [shortest, longest]) = match output {
                OutputTable::Range(range) => (*range, [0, 0]),
                OutputTable::Table { range, duration_ms } => (*range, *duration_ms),
            };
            Output { feature: feature.index, kind: *kind, min, max, duration_ms: (shortest, longest) }
        })
    });
    outputs.collect()
}

/// All models of a protocol, one for each identifier, and the default one.
fn models(protocol: &Protocol) -> Vec<Model> {
    let own = |model: &ModelTable, identifier: &str, fallback: &[FeatureTable]| {
        let features = model.features.as_deref().unwrap_or(fallback);
        let inputs = features.iter().flat_map(|feature| {
            feature.input.keys().map(|kind| Input { feature: feature.index, kind: *kind })
        });
        Model {
            identifier: String::from(identifier),
            variant: model.variant.clone(),
            outputs: outputs(features),
            inputs: inputs.collect(),
        }
    };
    let fallback = protocol.default.as_ref().and_then(|model| model.features.as_deref()).unwrap_or_default();
    let default = protocol.default.iter().map(|model| own(model, "", fallback));
    let listed = protocol
        .model
        .iter()
        .flat_map(|model| model.identifiers.iter().map(move |identifier| own(model, identifier, fallback)));
    default.chain(listed).collect()
}

fn endpoints(protocol: &Protocol) -> Vec<&str> {
    let services = protocol.bluetooth.iter().flat_map(|bluetooth| bluetooth.services.values());
    let mut names: Vec<&str> = services.flat_map(BTreeMap::keys).map(String::as_str).collect();
    if protocol.bluetooth.is_empty() {
        names = vec!["tx", "rx"];
    }
    names
}

/// A template against the definition around it; each fault as a line.
fn check(protocol: &Protocol, template: &toml::Value) -> Vec<String> {
    let json = serde_json::to_string(template).expect("TOML without dates is JSON");
    let program = match Program::from_json(&json) {
        Ok(program) => program,
        Err(error) => return vec![error.to_string()],
    };
    let named = |model: &Model, errors: Vec<CheckError>| {
        let model = if model.identifier.is_empty() { "default" } else { &model.identifier };
        errors.into_iter().map(|error| format!("model {model}: {error}")).collect::<Vec<_>>()
    };
    let suits = models(protocol)
        .into_iter()
        .flat_map(|model| program.check(&model).map_or_else(|errors| named(&model, errors), |()| Vec::new()));
    let endpoints = program.check_endpoints(&endpoints(protocol)).err().unwrap_or_default();
    suits.chain(endpoints.into_iter().map(|error| error.to_string())).collect()
}

#[test]
fn every_template_suits_every_model_of_its_definition() {
    let mut faults = Vec::new();
    for folder in makers() {
        for protocol in definition(&folder).protocol {
            let Some(template) = &protocol.template else { continue };
            let found = check(&protocol, template).into_iter();
            faults.extend(found.map(|fault| format!("{}: {}: {fault}", folder.display(), protocol.id)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn template(protocol: &str, info: &Info) -> Option<Result<Box<dyn Subject>, plugin_sdk::Failure>> {
    (protocol == plugin_sdk::TEMPLATE_PROTOCOL)
        .then(|| Direct::<TemplateDevice>::create(info).map(|device| Box::new(device) as Box<dyn Subject>))
}

#[test]
fn every_template_does_what_its_vectors_say() {
    let mut faults = Vec::new();
    for folder in makers() {
        let all = definition(&folder).protocol;
        let mut uncovered: BTreeSet<String> = all
            .into_iter()
            .filter(|protocol| protocol.template.is_some())
            .map(|protocol| protocol.id)
            .collect();
        if uncovered.is_empty() {
            continue;
        }
        let ours = uncovered.clone();
        let definition = Definition::parse(&read(&folder.join("plugin.toml"))).expect("it was read above");
        let vectors = std::fs::read_dir(folder.join("vectors")).into_iter().flatten();
        for path in vectors.map(|entry| entry.expect("entries can be read").path()) {
            let vector = match Vector::parse(&read(&path)) {
                Ok(vector) => vector,
                Err(error) => {
                    faults.push(format!("{}: {error}", path.display()));
                    continue;
                }
            };
            uncovered.remove(&vector.protocol);
            if ours.contains(&vector.protocol)
                && let Err(error) = run(&vector, &definition, &template)
            {
                faults.push(format!("{}: {error}", path.display()));
            }
        }
        faults.extend(uncovered.iter().map(|id| format!("{}: no vector for {id}", folder.display())));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
