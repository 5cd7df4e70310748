//! The plugins of this tree, laid out as a package would, for a service under test.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::{artifact, service::Home};

/// All plugins, up to date, in a folder that goes when the value is dropped.
///
/// # Errors
/// Something does not build, or the folder cannot be written.
pub fn installed() -> anyhow::Result<TempDir> {
    artifact::up_to_date()?;
    let folder = tempfile::Builder::new().prefix("buttplugd-plugins-").tempdir()?;
    xtask::stage::plugins(&artifact::folder()?, folder.path(), xtask::stage::Place::Link)?;
    Ok(folder)
}

/// A folder of plugins with one definition of the test's own.
///
/// # Errors
/// The folder cannot be written.
pub fn defined(name: &str, definition: &str) -> anyhow::Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("buttplugd-plugins-").tempdir()?;
    let maker = folder.path().join(name);
    fs::create_dir(&maker)?;
    fs::write(maker.join("plugin.toml"), definition)?;
    Ok(folder)
}

/// Imports a user's configuration of another server, as its user would, with the plugins of this folder.
///
/// # Errors
/// The import fails; the text says why.
pub fn import(home: &Home, plugins: &Path, config: &Value) -> anyhow::Result<()> {
    let file = home.path().join("imported.json");
    fs::write(&file, config.to_string())?;
    let output = Command::new(artifact::executable("buttplugctl")?)
        .args(["config", "import"])
        .arg(&file)
        .arg("--plugin-path")
        .arg(plugins)
        .env("XDG_STATE_HOME", home.state())
        .env("XDG_CONFIG_HOME", home.config())
        .env("XDG_RUNTIME_DIR", home.runtime())
        .output()
        .context("running buttplugctl")?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
