//! The JSON Schema of definition files, from the types that read them, so that editors complete and check keys.

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Value, json};

use super::model::DefinitionFile;
use crate::vocabulary::{InputKind, OutputKind};

/// The JSON Schema of a definition file. `Template` is what reads `[protocol.template]`.
#[must_use]
pub fn schema<Template: JsonSchema>() -> Schema {
    let mut generator = SchemaGenerator::new(SchemaSettings::draft07());
    let template = generator.subschema_for::<Template>();
    let mut schema = generator.into_root_schema_for::<DefinitionFile>();
    if let Some(place) = schema.pointer_mut("/definitions/Protocol/properties/template") {
        let mut described = template.to_value();
        if let (Some(text), Some(described)) = (place.get("description").cloned(), described.as_object_mut())
        {
            described.insert("description".to_owned(), text);
        }
        *place = described;
    }
    // The schema of a map does not say what its keys can be, and an editor would offer none.
    let outputs: Vec<&str> = OutputKind::ALL.iter().map(|kind| kind.name()).collect();
    let inputs: Vec<&str> = InputKind::ALL.iter().map(|kind| kind.name()).collect();
    for (place, names) in [("output", outputs), ("input", inputs)] {
        let place = format!("/definitions/Feature/properties/{place}");
        if let Some(map) = schema.pointer_mut(&place).and_then(Value::as_object_mut) {
            map.insert("propertyNames".to_owned(), json!({ "enum": names }));
        }
    }
    schema.insert("title".to_owned(), json!("Definition file of buttplugd"));
    // Blank lines and file widths of doc comments mean nothing to an editor.
    plain(schema.as_object_mut().into_iter().flat_map(serde_json::Map::values_mut));
    schema
}

fn plain<'a>(values: impl Iterator<Item = &'a mut Value>) {
    for value in values {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(text)) = map.get_mut("description") {
                    *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
                }
                plain(map.values_mut());
            }
            Value::Array(items) => plain(items.iter_mut()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
