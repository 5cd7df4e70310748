//! Finds what tests run: the service, the command and plugins, built from this tree and never stale.
//!
//! Whether something is stale is cargo's to say, so it is asked, once per package and test process.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, bail};

/// Names a folder in which everything was built already; then cargo is not asked.
const PREBUILT: &str = "BUTTPLUGD_TEST_BIN_DIR";

/// What was built by this process, by package.
static BUILT: Mutex<BTreeMap<String, ()>> = Mutex::new(BTreeMap::new());

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

/// The executable of that name, of that package.
///
/// # Errors
/// It does not build; the text is the compiler's.
pub fn executable(package: &str, name: &str) -> anyhow::Result<PathBuf> {
    build(package)?;
    existing(folder()?.join(name))
}

/// The plugin library of that package.
///
/// # Errors
/// It does not build; the text is the compiler's.
pub fn plugin(package: &str) -> anyhow::Result<PathBuf> {
    build(package)?;
    existing(folder()?.join(format!("lib{}.so", package.replace('-', "_"))))
}

/// Brings the libraries of all makers up to date.
///
/// # Errors
/// One does not build; the text is the compiler's.
pub fn all_plugins() -> anyhow::Result<()> {
    for entry in fs::read_dir(source_tree().join("plugins"))? {
        let folder = entry?.path();
        if folder.join("plugin.toml").exists() && folder.join("Cargo.toml").exists() {
            let manifest = fs::read_to_string(folder.join("Cargo.toml"))?;
            let manifest: toml::Table = toml::from_str(&manifest)?;
            let name = manifest.get("package").and_then(|package| package.get("name"));
            build(name.and_then(toml::Value::as_str).context("a package without a name")?)?;
        }
    }
    Ok(())
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

/// Has cargo bring a package up to date. Those who ask at the same time wait for the first.
fn build(package: &str) -> anyhow::Result<()> {
    if env::var_os(PREBUILT).is_some() {
        return Ok(());
    }
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    if built.contains_key(package) {
        return Ok(());
    }
    let folder = folder()?;
    let (target, profile) = match (folder.parent(), folder.file_name().and_then(|name| name.to_str())) {
        (Some(target), Some("debug")) => (target, "dev"),
        (Some(target), Some(profile)) => (target, profile),
        _ => bail!("{} is not a target folder", folder.display()),
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--quiet", "--package", package, "--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(source_tree())
        .output()
        .with_context(|| format!("running cargo to build {package}"))?;
    if !output.status.success() {
        bail!("{package} does not build:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    built.insert(package.to_owned(), ());
    Ok(())
}
