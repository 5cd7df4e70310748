//! The text of a definition file, read alone and as one of a catalogue.

use engine::advertisement::Advertisement;
use engine::definition::catalogue::{Catalogue, Source};
use engine::definition::{
    layer::Layer,
    parse::{Parsed, parse},
    template::AnyTemplate,
};
use engine::vocabulary::DeviceIndex;

/// The text of a definition file: read alone, and as one of a catalogue that is then asked.
pub fn definition(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Parsed::Broken { problems, .. } = parse("fuzz.toml", text, Layer::User, &AnyTemplate) {
        assert!(!problems.is_empty(), "a broken file has a problem");
        assert!(problems.iter().all(|problem| !problem.reason.is_empty()), "{problems:?}");
    }
    let source = Source { layer: Layer::User, file: "fuzz.toml".into(), text: Ok(text.to_owned()) };
    let (catalogue, _) = Catalogue::build(&[source], None, &AnyTemplate);
    for listed in catalogue.list() {
        for identifier in listed.identifiers.iter().map(String::as_str).chain(["", "nobody"]) {
            if let Ok(resolved) = catalogue.resolve(listed.protocol, identifier, "00:11:22:33:44:55") {
                let view = resolved.view(DeviceIndex(0), 75);
                let outputs = view.features.iter().flat_map(|feature| &feature.outputs);
                for output in outputs {
                    assert!(output.range.min <= output.range.max, "{output:?}");
                }
            }
        }
    }
    let advertisement = Advertisement::Bluetooth {
        name: Some("Toy".into()),
        manufacturer_data: Vec::new(),
        services: Vec::new(),
    };
    for candidate in catalogue.find(&advertisement) {
        // Whether it may be used is a matter of rules; that there is an answer is what counts here.
        drop(catalogue.admit(candidate.protocol.id(), "00:11:22:33:44:55"));
    }
}
