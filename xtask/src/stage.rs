//! Laying out what was built: as a package would install it, or as a folder of plugins for a service that runs from the tree.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{
    command::{cargo, run},
    tree::{Profile, build_dir, root},
};

/// How files get to their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Copied: what a package holds.
    Copy,
    /// Linked: follows the next build.
    Link,
}

/// Builds for release and lays everything out under `dir` as a package would install it.
///
/// # Errors
/// When the build fails or a file cannot be written.
pub fn package(dir: &Path) -> anyhow::Result<()> {
    run(&mut build(Profile::Release))?;
    lay_out(&build_dir(Profile::Release), dir)
}

/// The command that builds all that a package holds. Whatever runs the service from the tree builds it with this: cargo then sees the same set of
/// packages every time, with the same features, so that nothing is built twice and what is tested is what is shipped.
#[must_use]
pub fn build(profile: Profile) -> Command {
    let mut build = cargo();
    build.args(["build", "--profile", profile.name(), "--workspace"]);
    for other in ["system-tests", "vm-guest", "xtask"] {
        build.args(["--exclude", other]);
    }
    build
}

/// Lays out the build in `built` under `dir` as a package would install it.
///
/// # Errors
/// When something was not built, or a file cannot be written.
pub fn lay_out(built: &Path, dir: &Path) -> anyhow::Result<()> {
    for binary in ["buttplugd", "buttplugctl"] {
        put(&built.join(binary), &dir.join("usr/bin").join(binary), Place::Copy)?;
    }
    plugins(built, &dir.join("usr/lib/buttplugd/plugins"), Place::Copy)?;
    let units = root().join("systemd");
    for (from, to) in [
        ("buttplugd.service", "usr/lib/systemd/user/buttplugd.service"),
        ("buttplugd.socket", "usr/lib/systemd/user/buttplugd.socket"),
        ("buttplugd-websocket.socket", "usr/lib/systemd/user/buttplugd-websocket.socket"),
        ("org.buttplugd.Buttplug1.service", "usr/share/dbus-1/services/org.buttplugd.Buttplug1.service"),
        ("60-buttplugd.rules", "usr/lib/udev/rules.d/60-buttplugd.rules"),
    ] {
        put(&units.join(from), &dir.join(to), Place::Copy)?;
    }
    for (from, to) in [
        ("ipc-schema/dbus", "usr/share/dbus-1/interfaces"),
        ("ipc-schema/schema", "usr/share/buttplugd/schema"),
    ] {
        for entry in sorted(&root().join(from))? {
            let name = entry.file_name().context("a file without a name")?;
            put(&entry, &dir.join(to).join(name), Place::Copy)?;
        }
    }
    for (from, to) in [
        ("plugins/abi/include/buttplug_plugin.h", "usr/include/buttplug_plugin.h"),
        ("plugins/plugin.schema.json", "usr/share/buttplugd/schema/plugin.json"),
        ("daemon/buttplugd/buttplugd.toml", "usr/share/doc/buttplugd/examples/buttplugd.toml"),
        ("plugins/example/plugin.toml", "usr/share/doc/buttplugd/examples/plugin.toml"),
        ("docs/adding-a-device.md", "usr/share/doc/buttplugd/adding-a-device.md"),
        ("README.md", "usr/share/doc/buttplugd/README.md"),
        ("CHANGELOG.md", "usr/share/doc/buttplugd/CHANGELOG.md"),
        ("LICENSE", "usr/share/doc/buttplugd/copyright"),
    ] {
        put(&root().join(from), &dir.join(to), Place::Copy)?;
    }
    completions(&built.join("buttplugctl"), dir)?;
    manual(built, dir)?;
    eprintln!("staged under {}", dir.display());
    Ok(())
}

/// What shells complete of the command, as it says it itself.
fn completions(command: &Path, dir: &Path) -> anyhow::Result<()> {
    for (shell, to) in [
        ("bash", "usr/share/bash-completion/completions/buttplugctl"),
        ("zsh", "usr/share/zsh/site-functions/_buttplugctl"),
        ("fish", "usr/share/fish/vendor_completions.d/buttplugctl.fish"),
    ] {
        let said = Command::new(command).args(["completions", shell]).output();
        let said = said.with_context(|| format!("cannot run {}", command.display()))?;
        if !said.status.success() {
            bail!("{} says nothing for {shell}: {}", command.display(), said.status);
        }
        let to = dir.join(to);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        fs::write(&to, said.stdout).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

/// The manual pages, as the commands write them themselves.
fn manual(built: &Path, dir: &Path) -> anyhow::Result<()> {
    let pages = dir.join("usr/share/man/man1");
    fs::create_dir_all(&pages).with_context(|| format!("cannot make {}", pages.display()))?;
    run(Command::new(built.join("buttplugd")).arg("--manual").arg(&pages))?;
    run(Command::new(built.join("buttplugctl")).arg("manual").arg(&pages))?;
    for page in sorted(&pages)? {
        if page.file_name().is_some_and(|name| name.to_string_lossy().starts_with("buttplug")) {
            let text =
                fs::read_to_string(&page).with_context(|| format!("cannot read {}", page.display()))?;
            fs::write(&page, with_sections(&text))
                .with_context(|| format!("cannot write {}", page.display()))?;
        }
    }
    Ok(())
}

/// A page in which what stands below the help has sections of its own and keeps its lines: `clap_mangen` puts all of it under the
/// heading EXTRA and fills it into one paragraph.
fn with_sections(page: &str) -> String {
    let Some((before, below)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let (extra, after) = match below.find("\n.SH ") {
        Some(end) => below.split_at(end + 1),
        None => (below, ""),
    };
    let mut text = before.to_owned();
    let mut under_a_heading = false;
    for line in extra.lines() {
        let is_heading = |title: &str| {
            title.starts_with(|c: char| c.is_ascii_uppercase())
                && title.chars().all(|c| c.is_ascii_alphabetic() || c == ' ')
        };
        match line.split_once(':').filter(|(title, _)| is_heading(title)) {
            Some((title, rest)) => {
                if under_a_heading {
                    text.push_str(".fi\n");
                }
                text.push_str(&format!(".SH {:?}\n.nf\n", title.to_uppercase()));
                if !rest.is_empty() {
                    text.push_str(&format!("{}\n", rest.trim_start()));
                }
            }
            None if under_a_heading => text.push_str(&format!("{line}\n")),
            None => text.push_str(&format!(".SH NOTES\n.nf\n{line}\n")),
        }
        under_a_heading = true;
    }
    if under_a_heading {
        text.push_str(".fi\n");
    }
    text + after
}

/// Lays out the plugin folders of the build in `built` under `dir`: each maker's `plugin.toml` and, where it has code, its library.
///
/// Folders without a `plugin.toml` (the ABI, the SDK) and those for tests only are left out.
///
/// # Errors
/// When a library that a `plugin.toml` names was not built, or a file cannot be written.
pub fn plugins(built: &Path, dir: &Path, place: Place) -> anyhow::Result<()> {
    for maker in sorted(&root().join("plugins"))? {
        let definition = maker.join("plugin.toml");
        let Some(name) = maker.file_name() else { continue };
        if !definition.is_file() || name == "example" || name == "hostile" {
            continue;
        }
        let to = dir.join(name);
        put(&definition, &to.join("plugin.toml"), place)?;
        if let Some(library) = library_of(&definition)? {
            let file = format!("lib{library}.so");
            let from = built.join(&file);
            if !from.is_file() {
                bail!(
                    "{} names library `{library}`, but {} was not built",
                    definition.display(),
                    from.display()
                );
            }
            put(&from, &to.join(file), place)?;
        }
    }
    Ok(())
}

/// The `library` line of a definition, without parsing the rest.
fn library_of(definition: &Path) -> anyhow::Result<Option<String>> {
    let text =
        fs::read_to_string(definition).with_context(|| format!("cannot read {}", definition.display()))?;
    Ok(text
        .lines()
        .take_while(|line| !line.starts_with('['))
        .find_map(|line| line.strip_prefix("library")?.trim_start().strip_prefix('='))
        .map(|value| value.split('#').next().unwrap_or(value).trim().trim_matches('"').to_owned()))
}

fn put(from: &Path, to: &Path, place: Place) -> anyhow::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    match fs::remove_file(to) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot replace {}", to.display())),
    }
    match place {
        Place::Copy => fs::copy(from, to).map(drop),
        Place::Link => std::os::unix::fs::symlink(from, to),
    }
    .with_context(|| format!("cannot put {} at {}", from.display(), to.display()))
}

/// What is in a folder, in the order of names.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_below_the_help_has_sections_in_the_manual() {
        let page = ".SH OPTIONS\n\\-x\n.SH EXTRA\nFiles:\n  /a    one\n\nIt ends.\nSee also: b(1)\n.SH VERSION\nv1\n";
        let expected = ".SH OPTIONS\n\\-x\n.SH \"FILES\"\n.nf\n  /a    one\n\nIt ends.\n.fi\n.SH \"SEE ALSO\"\n.nf\nb(1)\n.fi\n.SH VERSION\nv1\n";
        assert_eq!(with_sections(page), expected);
        assert_eq!(with_sections(".SH EXTRA\nIt works.\n"), ".SH NOTES\n.nf\nIt works.\n.fi\n");
        assert_eq!(with_sections(".SH NAME\nb\n"), ".SH NAME\nb\n");
    }

    #[test]
    fn finds_the_library_line_only_at_the_top() {
        let folder = std::env::temp_dir().join(format!("xtask-stage-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join("plugin.toml");
        fs::write(&file, "maker = \"A\"\nlibrary = \"buttplug_a\" # code\n").unwrap();
        assert_eq!(library_of(&file).unwrap().as_deref(), Some("buttplug_a"));
        fs::write(&file, "maker = \"A\"\n[[protocol]]\nlibrary = \"b\"\n").unwrap();
        assert_eq!(library_of(&file).unwrap(), None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
