//! The plugin that runs protocols written as data.
//!
//! A definition file may say in `[protocol.template]` what a protocol sends, instead of naming code: bring-up steps, byte
//! patterns with values and checksums in them, and how inputs are read. [`Template`] is that text as it stands in
//! the file, [`Program`] what was read from it. The host hands the template to the plugin
//! as JSON in the param `template`.
//!
//! ```
//! # use plugin_template::{Model, Output, OutputKind, Program};
//! let program = Program::from_json(r#"{ "packet": [{ "bytes": "55 04 03 00 {on} {v}" }] }"#)?;
//! let vibrate = Output { feature: 0, kind: OutputKind::Vibrate, min: 0, max: 19, duration_ms: (0, 0) };
//! program.check(&Model { outputs: vec![vibrate], ..Model::default() }).expect("every value fits");
//! # Ok::<(), plugin_template::TemplateError>(())
//! ```
//!
//! The language is small on purpose: it has no loops, no variables and no memory but the values of the outputs and the
//! number of the packet. What needs more is code on the SDK. The README of this crate documents every key.

mod bring_up;
mod check;
mod checksum;
mod context;
mod error;
mod expression;
mod expression_text;
mod identify;
mod kind;
mod matching;
mod pattern;
mod plugin;
mod program;
mod readings;
mod running;
mod select;
pub mod source;
mod speed;
mod steps;
mod text;

pub use check::{Input, Model, Output};
pub use error::{CheckError, EncodeError, Fault, TemplateError};
pub use kind::{InputKind, OutputKind};
pub use plugin::TemplateDevice;
pub use program::Program;
pub use source::Template;

plugin_sdk::entry! {
    static ENTRY, id: "template", protocols: { "template" => TemplateDevice }
}

/// The plugin, for linking statically. Its only protocol is [`plugin_sdk::TEMPLATE_PROTOCOL`].
#[must_use]
pub fn entry() -> &'static plugin_sdk::StaticEntry {
    &ENTRY
}
