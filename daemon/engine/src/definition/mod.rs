//! Definitions: what `plugin.toml` and the user's files say about devices.
//!
//! [`model`] is the data of one file and [`parse`] reads it; [`catalogue`] is all files as one, which matches advertisements and
//! looks up devices. Nothing here opens a file or a device: the shell hands in texts and advertisements.

pub mod layer;
pub mod model;
mod range;
pub mod template;

pub mod parse;
pub mod problem;
mod rules;

pub mod catalogue;
pub mod entry;

pub mod access;
pub mod matching;
pub mod resolved;
pub mod scale;

pub mod edit;
pub mod explain;
pub mod import;
pub mod indices;
pub mod schema;

#[cfg(test)]
mod tests;
