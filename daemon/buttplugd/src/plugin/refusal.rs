//! Why a library is refused, each reason by its name.

use std::path::PathBuf;
use std::time::Duration;

use plugin_abi as abi;
use thiserror::Error;

/// The longest time that opening a library may take. Its constructors run then, and they are foreign code.
pub(super) const LOAD_LIMIT: Duration = Duration::from_secs(10);

/// No table of the ABI is this large; a larger size is nonsense.
pub(super) const MAX_STRUCT_SIZE: u32 = 4096;

/// Why a library was refused.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file, or a folder that leads to it, cannot be looked at.
    #[error("cannot look at {path}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file, or a folder that leads to it, belongs to somebody else.
    #[error(
        "{path} belongs to user {owner}; it must belong to root or to you (chown it, or install the plugin again)"
    )]
    ForeignOwner {
        /// Which.
        path: PathBuf,
        /// Whose.
        owner: u32,
    },
    /// Somebody else may write to the file or to a folder that leads to it.
    #[error("others may write to {path} (mode {mode:o}); run: chmod go-w {path}")]
    WritableByOthers {
        /// Which.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The system's loader refused the file.
    #[error("cannot open the library {path}")]
    Open {
        /// Which.
        path: PathBuf,
        /// The loader's own words.
        source: libloading::Error,
    },
    /// Opening did not end in time.
    #[error("the library {path} did not finish loading within {} s", LOAD_LIMIT.as_secs())]
    TimedOut {
        /// Which.
        path: PathBuf,
    },
    /// No thread could be had to open the library in.
    #[error("cannot start a thread to load {path}")]
    NoThread {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The library is no plugin.
    #[error("{path} does not export buttplug_plugin_entry_v1, so it is no plugin")]
    NoEntry {
        /// Which.
        path: PathBuf,
    },
    /// The plugin was made for another major version of the ABI.
    #[error(
        "plugin {plugin} speaks major version {found} of the plugin ABI, this service {}",
        abi::ABI_MAJOR
    )]
    OtherMajor {
        /// Which.
        plugin: String,
        /// Its major version.
        found: u32,
    },
    /// The plugin was made for a newer service.
    #[error(
        "plugin {plugin} needs minor version {found} of the plugin ABI, this service has {}",
        abi::ABI_MINOR
    )]
    NewerMinor {
        /// Which.
        plugin: String,
        /// Its minor version.
        found: u32,
    },
    /// A table whose size cannot be.
    #[error(
        "plugin {plugin}: the {table} table says it has {found} bytes, expected {least} to {MAX_STRUCT_SIZE}"
    )]
    BadSize {
        /// Which.
        plugin: String,
        /// Which table.
        table: &'static str,
        /// What it says.
        found: u32,
        /// The size of what every plugin must have.
        least: u32,
    },
    /// A plugin without protocols, or with more than can be.
    #[error("plugin {plugin} has {found} protocols, expected 1 to {}", abi::MAX_PROTOCOLS)]
    BadCount {
        /// Which.
        plugin: String,
        /// How many it says it has.
        found: u32,
    },
    /// A pointer that leads nowhere.
    #[error("plugin {plugin}: the pointer to {what} is null or not aligned")]
    BadPointer {
        /// Which.
        plugin: String,
        /// To what.
        what: &'static str,
    },
    /// Text that is empty, too long or not UTF-8.
    #[error("plugin {plugin}: its {what} is empty, too long or not UTF-8")]
    BadText {
        /// Which.
        plugin: String,
        /// What text.
        what: &'static str,
    },
    /// A protocol without a function that all must have.
    #[error("plugin {plugin}: protocol {protocol} has no function `{function}`")]
    MissingFunction {
        /// Which.
        plugin: String,
        /// Which protocol.
        protocol: String,
        /// Which function.
        function: &'static str,
    },
    /// Two protocols of the same name, in one plugin or in two.
    #[error("plugin {plugin}: there already is a protocol {protocol}, in plugin {other}")]
    DuplicateProtocol {
        /// Which.
        plugin: String,
        /// Which protocol.
        protocol: String,
        /// The plugin that was first.
        other: String,
    },
    /// The plugin is there, but does not have the protocol that a definition says it has.
    #[error("{place} has no protocol {protocol}")]
    NoProtocol {
        /// The library, or the plugins that are linked in.
        place: String,
        /// Which protocol.
        protocol: String,
    },
}
