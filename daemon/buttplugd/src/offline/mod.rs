//! What the program does without being the service: it answers questions about definitions, and changes the user's file of devices.
//!
//! `buttplugctl` runs the program for this, since nothing else reads definitions. Neither the service nor a device is spoken to.

mod definitions;

mod edit;
mod import;
mod known;
mod show;
mod user_file;

use std::{io, path::PathBuf};

use clap::Subcommand;
use engine::definition::{edit::EditError, import::ImportError, problem::Problem};
use serde_json::{Value, json};

pub use self::edit::Cap;
use crate::{
    arrivals::MemoryError,
    config::{Config, Directories},
};

/// Something that the program is asked to do in place of being the service.
#[derive(Debug, Clone)]
pub enum Task {
    /// Says what is wrong with one definition file, or with all of them.
    Check(Option<PathBuf>),
    /// Lists all models.
    List,
    /// Says what a device of this name would be taken for.
    Explain(String),
    /// Changes or shows what the user wants of devices.
    Config(ConfigTask),
}

/// Changes to what the user wants of devices.
#[derive(Debug, Clone, Subcommand)]
pub enum ConfigTask {
    /// Give a device a name, or take it away
    Rename {
        /// Number, address, or part of the name
        device: String,
        /// The new name
        name: Option<String>,
    },
    /// Limit an output
    Cap {
        /// Number, address, or part of the name
        device: String,
        /// Number of the feature
        feature: u32,
        /// Kind of output, as definitions name it
        kind: String,
        /// A step of the output's own range, a percentage of it, or `none`
        most: Cap,
    },
    /// Never connect to a device
    Deny {
        /// Number, address, or part of the name
        device: String,
    },
    /// Take a denial back, or else take a device off the list of `--only`
    Allow {
        /// Number, address, or part of the name
        device: String,
        /// From now on, only devices that are allowed this way
        #[arg(long)]
        only: bool,
    },
    /// Take over the user configuration of another server
    Import {
        /// The file
        file: PathBuf,
        /// Take the place of what was imported before
        #[arg(long)]
        replace: bool,
    },
    /// Show all known devices, and what the user wants of them and of others
    Show,
}

/// What is said when no entry allows single devices any more.
const LIST_LIFTED: &str = "  no list of allowed devices any more: all others may be used\n";

/// What came of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// For people.
    pub text: String,
    /// For programs: one object or list.
    pub json: Value,
    /// Whether all is well.
    pub verdict: Verdict,
}

/// Whether all is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Good,
    /// Something that the user wrote is wrong, and the outcome says what.
    Bad,
}

/// Why a task could not be done. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// A file cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The indexes of known devices cannot be read.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The user's file has an error, or would get one.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// The change would keep a device from being used.
    #[error("with this change the device could not be used any more: {0}")]
    Harmful(engine::definition::access::Refusal),
    /// No known device is meant.
    #[error(
        "no known device is called `{0}`; `buttplugctl config show` lists them, and an address is taken for an unknown one"
    )]
    NoDevice(String),
    /// Several known devices may be meant.
    #[error("`{wanted}` may be {}; give the number", found.join(" or "))]
    SeveralDevices {
        /// What was asked for.
        wanted: String,
        /// The devices.
        found: Vec<String>,
    },
    /// What a device can do is not known, since it was never connected.
    #[error("the device was never connected, so its outputs are not known; connect it once, or write the limit into {}", .0.display())]
    NeverConnected(PathBuf),
    /// The device has no such output.
    #[error("the device has no output {kind} at feature {feature}; it has {}", known.join(", "))]
    NoOutput {
        /// The feature that was asked for.
        feature: u32,
        /// The kind that was asked for.
        kind: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The limit lies outside what the output has.
    #[error(
        "this output goes from {lowest} to {max}, so a limit of it may be {least} to {max} and not {wanted}"
    )]
    OutsideRange {
        /// What was asked for.
        wanted: i32,
        /// Where the output begins.
        lowest: i32,
        /// The least that a limit may be.
        least: i32,
        /// The most.
        max: i32,
    },
    /// The file is not one that can be imported.
    #[error("{}: {source}", path.display())]
    Import {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: ImportError,
    },
    /// What was imported makes no sound file.
    #[error("the import came to nothing, since our own file would have an error: {0}")]
    ImportBroken(Problem),
    /// There was an import before.
    #[error("{} is there from an earlier import; look at it, then give --replace (it is kept beside, with the ending .old)", .0.display())]
    ImportedBefore(PathBuf),
}

impl Task {
    /// Does it. The configuration says where plugins are.
    ///
    /// # Errors
    /// When it cannot be done; then nothing was changed.
    pub fn run(self, config: &Config, directories: &Directories) -> Result<Outcome, OfflineError> {
        match self {
            Self::Check(None) => Ok(definitions::check_all(config, directories)),
            Self::Check(Some(file)) => Ok(definitions::check_file(&file, config, directories)),
            Self::List => Ok(definitions::list(config, directories)),
            Self::Explain(name) => Ok(definitions::explain(&name, config, directories)),
            Self::Config(ConfigTask::Import { file, replace }) => {
                let earlier = if replace { import::Earlier::Replace } else { import::Earlier::Keep };
                import::import(&file, earlier, config, directories)
            }
            Self::Config(ConfigTask::Show) => show::show(config, directories),
            Self::Config(ConfigTask::Rename { device, name }) => {
                edit::edit(&device, &edit::Wish::Name(name), config, directories)
            }
            Self::Config(ConfigTask::Cap { device, feature, kind, most }) => {
                edit::edit(&device, &edit::Wish::Cap { feature, kind, most }, config, directories)
            }
            Self::Config(ConfigTask::Deny { device }) => {
                edit::edit(&device, &edit::Wish::Deny, config, directories)
            }
            Self::Config(ConfigTask::Allow { device, only }) => {
                let wish = if only { edit::Wish::AllowOnly } else { edit::Wish::Allow };
                edit::edit(&device, &wish, config, directories)
            }
        }
    }
}

fn problem(problem: &Problem) -> Value {
    json!({
        "File": problem.file,
        "Line": problem.line,
        "Key": problem.key,
        "Reason": problem.reason,
    })
}

#[cfg(test)]
mod tests;
