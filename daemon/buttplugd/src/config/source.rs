//! Where the configuration comes from: a file, and the command line over it. Kept, so that a reload reads both again.

use std::path::{Path, PathBuf};

use super::{Config, ConfigError, Directories, value::ListenAddress};

/// The file and what the command line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    file: File,
    overrides: Overrides,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum File {
    /// Named on the command line; must be there.
    Given(PathBuf),
    /// The usual one; may be missing.
    Usual(PathBuf),
}

/// What the command line says. Everything absent leaves the file as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Overrides {
    /// Where the socket shall be.
    pub socket: Option<PathBuf>,
    /// Whether the session bus shall be left alone.
    pub no_dbus: bool,
    /// Serve WebSocket, here.
    pub websocket: Option<ListenAddress>,
    /// Whether there shall be simulated devices.
    pub simulated: bool,
    /// Time between two pings in milliseconds, for every front.
    pub max_ping_time_ms: Option<u32>,
    /// More plugin folders, which win over those of the file.
    pub plugin_path: Vec<PathBuf>,
}

impl Source {
    /// The given file, or the usual one.
    #[must_use]
    pub fn new(given: Option<PathBuf>, directories: &Directories, overrides: Overrides) -> Self {
        let file = given.map_or_else(|| File::Usual(directories.config_file()), File::Given);
        Self { file, overrides }
    }

    /// Reads the file and applies the command line.
    ///
    /// # Errors
    /// When the file cannot be read, or either says something that it may not.
    pub fn load(&self) -> Result<Config, ConfigError> {
        let mut config = match &self.file {
            File::Given(path) => Config::load(path)?,
            File::Usual(path) => Config::load_if_present(path)?,
        };
        self.overrides.apply(&mut config);
        config.check()?;
        Ok(config)
    }

    /// The error with the name of the file beside it.
    #[must_use]
    pub fn name(&self, why: ConfigError) -> ConfigError {
        ConfigError::InFile { path: self.path().to_owned(), why: Box::new(why) }
    }

    /// The path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        match &self.file {
            File::Given(path) | File::Usual(path) => path,
        }
    }
}

impl Overrides {
    fn apply(&self, config: &mut Config) {
        if let Some(path) = &self.socket {
            config.socket.enabled = true;
            config.socket.path = Some(path.clone());
        }
        if self.no_dbus {
            config.dbus.enabled = false;
        }
        if let Some(address) = self.websocket {
            config.websocket.enabled = true;
            config.websocket.listen = vec![address];
        }
        if self.simulated {
            config.simulated.enabled = true;
        }
        if let Some(limit) = self.max_ping_time_ms {
            config.socket.max_ping_time_ms = limit;
            config.dbus.max_ping_time_ms = limit;
            config.websocket.max_ping_time_ms = limit;
        }
        config.plugins.path.extend(self.plugin_path.iter().cloned());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, overrides: Overrides) -> Result<Config, ConfigError> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("b.toml");
        std::fs::write(&file, text).unwrap();
        Source { file: File::Given(file), overrides }.load()
    }

    #[test]
    fn the_command_line_wins() {
        let overrides = Overrides {
            socket: Some("/s".into()),
            no_dbus: true,
            websocket: Some(ListenAddress::Loopback(7)),
            simulated: true,
            max_ping_time_ms: Some(5),
            plugin_path: vec!["/b".into()],
        };
        let text = "[socket]\nenabled = false\n[websocket]\nlisten = [1]\n[plugins]\npath = [\"/a\"]\n";
        let config = load(text, overrides).unwrap();
        assert!(config.socket.enabled && config.websocket.enabled && config.simulated.enabled);
        assert!(!config.dbus.enabled);
        assert_eq!(config.socket.path.as_deref(), Some(Path::new("/s")));
        assert_eq!(config.websocket.listen, [ListenAddress::Loopback(7)]);
        let pings =
            [config.socket.max_ping_time_ms, config.dbus.max_ping_time_ms, config.websocket.max_ping_time_ms];
        assert_eq!(pings, [5; 3]);
        assert_eq!(config.plugins.path, [Path::new("/a"), Path::new("/b")]);
    }

    #[test]
    fn a_command_line_that_says_nothing_changes_nothing() {
        assert_eq!(load("", Overrides::default()).unwrap(), Config::default());
    }

    #[test]
    fn an_open_address_on_the_command_line_needs_the_file_to_allow_it() {
        let overrides = Overrides { websocket: Some("0.0.0.0:1".parse().unwrap()), ..Overrides::default() };
        assert!(matches!(load("", overrides.clone()), Err(ConfigError::NotLoopback(..))));
        assert!(load("[websocket]\nallow-remote = true\n", overrides).is_ok());
    }
}
