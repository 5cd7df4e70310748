//! The new file as it grows, and what its owner must know of it.

use super::super::{
    layer::Layer,
    parse::{Parsed, parse},
    template::AnyTemplate,
};

/// Something that did not go over as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{entry}: {what}")]
pub struct Note {
    /// The entry in the old file: `user_configs.devices[0]`.
    pub entry: String,
    /// What became of it.
    pub what: String,
}

/// Collects the new file and what is to be said about it.
#[derive(Default)]
pub(super) struct Writer {
    pub(super) text: String,
    pub(super) report: Vec<Note>,
}

impl Writer {
    pub(super) fn note(&mut self, entry: &str, what: impl Into<String>) {
        self.report.push(Note { entry: entry.to_owned(), what: what.into() });
    }

    /// Adds an entry if our own parser takes it.
    pub(super) fn add(&mut self, chunk: &str) -> Result<(), String> {
        match parse("import", chunk, Layer::User, &AnyTemplate) {
            Parsed::Good(_) => {
                self.text.push('\n');
                self.text.push_str(chunk);
                Ok(())
            }
            Parsed::Broken { problems, .. } => Err(problems
                .first()
                .map_or_else(String::new, |problem| format!("{}: {}", problem.key, problem.reason))),
        }
    }
}

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml_edit::Value::from(text).to_string()
}
