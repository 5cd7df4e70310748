//! Runs golden vectors: files of steps that say which packets a protocol sends for what is asked of it.
//!
//! The form is described in `plugins/README.md`. A vector passes if every operation comes exactly in order, none missing and
//! none left over. This module reads as much of a definition file as a vector needs and checks no more of it than that;
//! the service's own reader is the judge of definitions.

mod definition;
mod run;
mod step;

use std::path::{Path, PathBuf};

use thiserror::Error;

pub use definition::{Definition, DefinitionError};
pub use run::{Make, Mismatch, run};
pub use step::{Vector, VectorError};

/// Why the vectors of a folder did not pass.
#[derive(Debug, Error)]
pub enum FolderError {
    /// A file or folder could not be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The definition is not one.
    #[error("in {path}")]
    Definition {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        source: DefinitionError,
    },
    /// A protocol of the definition has no vector.
    #[error("protocol {protocol} has no vector in {folder}")]
    Uncovered {
        /// Which protocol.
        protocol: String,
        /// Where one was looked for.
        folder: PathBuf,
    },
    /// Vectors that did not pass, one text each.
    #[error("{} of {ran} vectors failed:\n{}", failed.len(), failed.join("\n"))]
    Failed {
        /// How many there were.
        ran: usize,
        /// File and reason of each.
        failed: Vec<String>,
    },
}

/// [`check`] for the tests of a maker's crate: `assert_all(env!("CARGO_MANIFEST_DIR"), &buttplug_acme::direct)`.
///
/// # Panics
/// With all that is wrong, or if there is no vector.
pub fn assert_all(folder: &str, make: Make<'_>) {
    match check(Path::new(folder), make) {
        Ok(ran) => assert!(ran > 0, "no vectors"),
        Err(error) => panic!("{error}"),
    }
}

/// Runs all vectors of a maker's folder (`plugin.toml` and `vectors/*.toml`) and gives their number. Those of the template
/// plugin are left out if `make` does not have it: its own tests run them.
///
/// # Errors
/// The first file that cannot be read, the first protocol without a vector, or else all vectors that failed.
pub fn check(folder: &Path, make: Make<'_>) -> Result<usize, FolderError> {
    let path = folder.join("plugin.toml");
    let definition =
        Definition::parse(&read(&path)?).map_err(|source| FolderError::Definition { path, source })?;
    let vectors = folder.join("vectors");
    let mut covered = Vec::new();
    let mut failed = Vec::new();
    let files = toml_files(&vectors)?;
    let mut left_out = 0;
    for file in &files {
        let outcome = Vector::parse(&read(file)?).map_err(|error| error.to_string()).and_then(|vector| {
            covered.push(vector.protocol.clone());
            match run(&vector, &definition, make) {
                Err(Mismatch::NoProtocol(protocol)) if protocol == crate::TEMPLATE_PROTOCOL => {
                    left_out += 1;
                    Ok(())
                }
                done => done.map_err(|mismatch| mismatch.to_string()),
            }
        });
        if let Err(text) = outcome {
            failed.push(format!("{}: {text}", file.display()));
        }
    }
    if !failed.is_empty() {
        return Err(FolderError::Failed { ran: files.len(), failed });
    }
    match definition.protocols().find(|protocol| !covered.iter().any(|one| one == protocol)) {
        Some(protocol) => Err(FolderError::Uncovered { protocol: protocol.to_owned(), folder: vectors }),
        None => Ok(files.len() - left_out),
    }
}

fn read(path: &Path) -> Result<String, FolderError> {
    std::fs::read_to_string(path).map_err(|source| FolderError::Unreadable { path: path.to_owned(), source })
}

fn toml_files(folder: &Path) -> Result<Vec<PathBuf>, FolderError> {
    let unreadable = |source| FolderError::Unreadable { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
