//! Runs golden vectors: files of steps that say which packets a protocol sends for what is asked of it.
//!
//! The form is described in `plugins/README.md`. A vector passes if every operation comes exactly in order, none missing and
//! none left over. This module reads as much of a definition file as a vector needs and checks no more of it than that;
//! the service's own reader is the judge of definitions.

mod definition;
mod noise;
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

/// [`check`] for the tests of a maker's crate: `assert_all(env!("CARGO_MANIFEST_DIR"), &buttplug_acme::direct)`. Then the vectors are
/// played with noise in them, which a protocol must survive.
///
/// # Panics
/// With all that is wrong, or if there is no vector.
pub fn assert_all(folder: &str, make: Make<'_>) {
    let folder = Path::new(folder);
    let played = check(folder, make)
        .and_then(|_| each(folder, &mut |vector, definition| noise::survive(vector, definition, make)));
    match played {
        Ok((_, ran)) => assert!(ran > 0, "no vectors"),
        Err(error) => panic!("{error}"),
    }
}

/// Runs all vectors of a maker's folder (`plugin.toml` and `vectors/*.toml`) and gives their number. Those of the template
/// plugin are left out if `make` does not have it: its own tests run them.
///
/// # Errors
/// The first file that cannot be read, the first protocol without a vector, or else all vectors that failed.
pub fn check(folder: &Path, make: Make<'_>) -> Result<usize, FolderError> {
    let mut covered = Vec::new();
    let (definition, ran) = each(folder, &mut |vector, definition| {
        covered.push(vector.protocol.clone());
        run(vector, definition, make)
    })?;
    match definition.protocols().find(|protocol| !covered.iter().any(|one| one == protocol)) {
        Some(protocol) => {
            Err(FolderError::Uncovered { protocol: protocol.to_owned(), folder: folder.join("vectors") })
        }
        None => Ok(ran),
    }
}

/// Plays all vectors of a folder in some way; gives the definition beside them, and how many were played.
fn each(
    folder: &Path,
    play: &mut dyn FnMut(&Vector, &Definition) -> Result<(), Mismatch>,
) -> Result<(Definition, usize), FolderError> {
    let path = folder.join("plugin.toml");
    let definition =
        Definition::parse(&read(&path)?).map_err(|source| FolderError::Definition { path, source })?;
    let mut failed = Vec::new();
    let mut left_out = 0;
    let files = toml_files(&folder.join("vectors"))?;
    for file in &files {
        let vector = Vector::parse(&read(file)?).map_err(|error| error.to_string());
        let outcome = vector.and_then(|vector| match play(&vector, &definition) {
            Err(Mismatch::NoProtocol(protocol)) if protocol == crate::TEMPLATE_PROTOCOL => {
                left_out += 1;
                Ok(())
            }
            done => done.map_err(|mismatch| mismatch.to_string()),
        });
        if let Err(text) = outcome {
            failed.push(format!("{}: {text}", file.display()));
        }
    }
    if failed.is_empty() {
        Ok((definition, files.len() - left_out))
    } else {
        Err(FolderError::Failed { ran: files.len(), failed })
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
