//! Finds what tests run: the service, the command and plugins, built from this tree and never stale.
//!
//! Whether something is stale is cargo's to say, so it is asked: once per test process, for everything, when a test first wants any of it.
//! A build in the middle of a test would hold up the sessions that are open by then.

use std::{
    env,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, bail};
use xtask::{stage, tree::Profile};

/// Names a folder in which everything was built already; then cargo is not asked.
const PREBUILT: &str = "BUTTPLUGD_TEST_BIN_DIR";

/// Whether this process has had everything built.
static BUILT: Mutex<bool> = Mutex::new(false);

/// The folder of this build's executables and libraries, `target/debug` as a rule.
///
/// # Errors
/// The test was started from a place where no cargo would have put it.
pub fn folder() -> anyhow::Result<PathBuf> {
    if let Some(folder) = env::var_os(PREBUILT) {
        return Ok(folder.into());
    }
    let this = env::current_exe()?;
    // target/debug/deps/name-hash for a test, target/debug/name for a program.
    let folder = this.parent().context("an executable without a folder")?;
    let folder = if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.parent().context("a test outside of a target folder")?
    } else {
        folder
    };
    Ok(folder.to_owned())
}

/// The executable of that name.
///
/// # Errors
/// Something does not build; the text is the compiler's.
pub fn executable(name: &str) -> anyhow::Result<PathBuf> {
    up_to_date()?;
    existing(folder()?.join(name))
}

/// The plugin library of that package.
///
/// # Errors
/// Something does not build; the text is the compiler's.
pub fn plugin(package: &str) -> anyhow::Result<PathBuf> {
    up_to_date()?;
    existing(folder()?.join(format!("lib{}.so", package.replace('-', "_"))))
}

/// The root of the source tree.
#[must_use]
pub fn source_tree() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

fn existing(path: PathBuf) -> anyhow::Result<PathBuf> {
    if !path.exists() {
        bail!("{} is not there", path.display());
    }
    Ok(path)
}

/// Has cargo bring everything up to date. Those who ask at the same time wait for the first.
///
/// # Errors
/// Something does not build; the text is the compiler's.
pub fn up_to_date() -> anyhow::Result<()> {
    if env::var_os(PREBUILT).is_some() {
        return Ok(());
    }
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if *built {
        return Ok(());
    }
    let folder = folder()?;
    let target = folder.parent().with_context(|| format!("{} is no target folder", folder.display()))?;
    let profiles = [Profile::Dev, Profile::Release];
    let profile = profiles.into_iter().find(|profile| folder.ends_with(profile.folder()));
    let profile = profile.with_context(|| format!("{} is of no profile", folder.display()))?;
    let output = stage::build(profile)
        .arg("--quiet")
        .arg("--target-dir")
        .arg(target)
        .output()
        .context("running cargo to build what is tested")?;
    if !output.status.success() {
        bail!("it does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    *built = true;
    Ok(())
}
