//! Whole files in, problems and devices out: what a definition file may say, what a catalogue makes of several, and that nothing
//! which denies or limits a device is ever lost.

mod damage;
mod import;
mod problems;
mod recognition;
mod rules;

use proptest::prelude::*;

use super::{
    access::Refusal,
    catalogue::{Catalogue, Source},
    import::import_intiface,
    layer::Layer,
    matching::{Way, services_fit},
    model::Protocol,
    parse::{Parsed, parse},
    resolved::Resolved,
    template::{AnyTemplate, TemplateCheck, TemplateProblem},
};
use crate::{
    advertisement::Advertisement,
    vocabulary::{DeviceIndex, FeatureIndex, OutputKind, Range},
};

/// A protocol `acme` in the form that the tests vary.
const ACME: &str = r#"maker = "Acme"
[[protocol]]
id = "acme"
[[protocol.bluetooth]]
names = ["Acme One", "AC-*"]
[protocol.bluetooth.services]
"0000fff0-0000-1000-8000-00805f9b34fb" = { tx = "0000fff1-0000-1000-8000-00805f9b34fb" }
[protocol.template]
[protocol.default]
name = "Acme Device"
features = [{ index = 0, output = { vibrate = [0, 20] } }]
[[protocol.model]]
identifiers = ["Acme One"]
name = "Acme One"
variant = "one"
features = [
    { index = 1, output = { position = [0, 100], position-with-duration = { range = [0, 100], duration_ms = [0, 5000] } } },
    { index = 0, output = { rotate = [-99, 99] }, input = { battery = { range = [[0, 100]], ways = ["read"] } } },
]
"#;

fn source(layer: Layer, file: &str, text: &str) -> Source {
    Source { layer, file: file.into(), text: Ok(text.into()) }
}

/// `ACME` and a file of the user.
fn build(user: &str, previous: Option<&Catalogue>) -> (Catalogue, Vec<String>) {
    let sources = [source(Layer::Plugins, "acme", ACME), source(Layer::User, "u", user)];
    let (catalogue, problems) = Catalogue::build(&sources, previous, &AnyTemplate);
    (catalogue, problems.iter().map(ToString::to_string).collect())
}

fn good(user: &str) -> Catalogue {
    let (catalogue, problems) = build(user, None);
    assert_eq!(problems, [""; 0]);
    catalogue
}

fn named(name: &str) -> Advertisement {
    Advertisement::Bluetooth { name: Some(name.into()), manufacturer_data: Vec::new(), services: Vec::new() }
}

fn found(catalogue: &Catalogue, advertisement: &Advertisement) -> Vec<String> {
    catalogue.find(advertisement).iter().map(|one| format!("{}: {}", one.protocol.id(), one.sign)).collect()
}

fn device(rule: &str) -> String {
    format!("[[device]]\nwhich = {{ address = 'AA:01' }}\n{rule}\n")
}

fn resolve(user: &str) -> Result<Resolved, Refusal> {
    good(user).resolve("acme", "Acme One", "aa:01")
}
