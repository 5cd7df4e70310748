//! The JSON Schema of spec v4 with our extensions, under `schema/`, for editors, validators and generators of code. It is made
//! from the types, and this test keeps it: `UPDATE_SCHEMA=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "a test may stop where it fails")]

use std::path::Path;
use std::{env, fs};

use ipc_schema::v4;
use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{JsonSchema, Schema};
use serde_json::Value;

/// Optional members are absent, never null; schemars allows both.
fn without_null(schema: &mut Schema) {
    let Some(members) = schema.as_object_mut() else { return };
    if members.get("default").is_some_and(Value::is_null) {
        members.remove("default");
    }
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            members.insert("type".into(), only);
        }
    }
    if let Some(Value::Array(choices)) = members.get_mut("anyOf") {
        choices.retain(|choice| choice.get("type") != Some(&Value::from("null")));
    }
}

/// The schema of a frame: an array of at least one message.
fn frame_schema<T: JsonSchema>(title: &str) -> String {
    let mut settings = SchemaSettings::draft2020_12();
    settings.transforms.push(Box::new(RecursiveTransform(without_null)));
    let mut schema = settings.into_generator().into_root_schema_for::<Vec<T>>();
    RecursiveTransform(without_null).transform(&mut schema);
    schema.insert("title".into(), title.into());
    schema.insert("minItems".into(), 1.into());
    serde_json::to_string_pretty(&schema).unwrap() + "\n"
}

fn check(file: &str, schema: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(file);
    if env::var_os("UPDATE_SCHEMA").is_some() {
        fs::write(&path, schema).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap();
    assert!(committed == schema, "{file} does not fit the types any more; UPDATE_SCHEMA=1 writes it anew");
}

#[test]
fn the_committed_schema_fits_the_types() {
    check("v4-client.json", &frame_schema::<v4::ClientMessage>("Frame of a client, Buttplug spec v4"));
    check("v4-server.json", &frame_schema::<v4::ServerMessage>("Frame of a server, Buttplug spec v4"));
}
