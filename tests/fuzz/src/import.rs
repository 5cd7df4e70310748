//! The user configuration of another server, as its owner hands it over.

use engine::definition::catalogue::{Catalogue, Source};
use engine::definition::import::{Imported, import_intiface};
use engine::definition::{
    layer::Layer,
    parse::{Parsed, parse},
    template::AnyTemplate,
};

/// What is installed, so that there are limits to compare with.
const INSTALLED: &str = include_str!("../corpus/definition/everything");

/// The text of such a file: what comes of it is a file that can be read, and whatever is left out is told.
pub fn import(data: &[u8]) {
    let Ok(json) = std::str::from_utf8(data) else { return };
    let installed = Source { layer: Layer::Plugins, file: "test".into(), text: Ok(INSTALLED.to_owned()) };
    let (catalogue, _) = Catalogue::build(&[installed], None, &AnyTemplate);
    match import_intiface(json, &catalogue) {
        Ok(Imported { text, report }) => {
            assert!(report.iter().all(|note| !note.entry.is_empty() && !note.what.is_empty()), "{report:?}");
            if let Parsed::Broken { problems, .. } = parse("imported", &text, Layer::User, &AnyTemplate) {
                panic!("the new file is broken: {problems:?}\n{text}");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
