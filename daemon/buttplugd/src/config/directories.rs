//! The folders that the service uses, as the environment gives them.

use std::path::PathBuf;

use super::ConfigError;

/// The folder of the state, as the unit names it. A folder of its own, since it lies beside the user's configuration under a systemd
/// older than 254, and nothing in it must be taken for a definition.
const STATE_FOLDER: &str = "state";

/// The folders of the XDG base directory specification that the service uses, as the environment gives them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directories {
    /// `buttplugd` in the configuration folder of the user.
    pub config: PathBuf,
    /// `buttplugd/state` in the state folder of the user, or what systemd says.
    pub state: PathBuf,
    /// `buttplugd` in the data folder of the user.
    pub data: PathBuf,
    /// `buttplugd` in the runtime folder of the user, if there is one.
    pub runtime: Option<PathBuf>,
}

impl Directories {
    /// Reads the environment.
    ///
    /// # Errors
    /// When neither the XDG variables nor `HOME` say where the user's files are.
    pub fn from_environment() -> Result<Self, ConfigError> {
        let mut directories = Self::new(|name| std::env::var_os(name).map(PathBuf::from))?;
        // Where a systemd older than 254 keeps the state of a user's services. Whoever runs without systemd must find it too.
        let old = directories.config.join(STATE_FOLDER);
        if !directories.state.is_dir() && old.is_dir() {
            directories.state = old;
        }
        Ok(directories)
    }

    pub(super) fn new(variable: impl Fn(&str) -> Option<PathBuf>) -> Result<Self, ConfigError> {
        // The specification has relative paths ignored.
        let folder = |name: &str| variable(name).filter(|path| path.is_absolute());
        let home = folder("HOME");
        let or_home = |name: &'static str, below: &str| {
            folder(name)
                .or_else(|| home.as_ref().map(|home| home.join(below)))
                .map(|path| path.join("buttplugd"))
                .ok_or(ConfigError::NoDirectory("HOME", name))
        };
        Ok(Self {
            config: or_home("XDG_CONFIG_HOME", ".config")?,
            // systemd names the folder itself, and it is not everywhere the same one.
            state: match folder("STATE_DIRECTORY") {
                Some(state) => state,
                None => or_home("XDG_STATE_HOME", ".local/state")?.join(STATE_FOLDER),
            },
            data: or_home("XDG_DATA_HOME", ".local/share")?,
            runtime: folder("XDG_RUNTIME_DIR").map(|path| path.join("buttplugd")),
        })
    }

    /// Where the configuration is unless `--config` says otherwise.
    #[must_use]
    pub fn config_file(&self) -> PathBuf {
        self.config.join("buttplugd.toml")
    }

    /// Where the socket is unless the configuration or `--socket` says otherwise.
    ///
    /// # Errors
    /// When there is no runtime folder.
    pub fn socket(&self) -> Result<PathBuf, ConfigError> {
        self.runtime
            .as_ref()
            .map(|runtime| runtime.join("buttplugd.sock"))
            .ok_or(ConfigError::NoDirectory("XDG_RUNTIME_DIR", "--socket"))
    }
}
