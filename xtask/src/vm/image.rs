//! Makes the machine's image: a root of Debian packages, a kernel that is unpacked and not installed, a first program, one read-only disk.
//!
//! Only Debian's packages are asked for, and nothing of the machine that builds is changed.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, bail};

use super::recipe;
use crate::command::run;

/// The files that qemu starts from.
pub(super) struct Image {
    pub(super) kernel: PathBuf,
    pub(super) initrd: PathBuf,
    pub(super) disk: PathBuf,
}

/// Gives the image in `folder`, made first if it is absent or its recipe has changed.
///
/// # Errors
/// When a package cannot be had, or a tool fails.
pub(super) fn ensure(folder: &Path, suite: &str) -> anyhow::Result<Image> {
    let image = Image {
        kernel: folder.join("vmlinuz"),
        initrd: folder.join("initrd"),
        disk: folder.join("root.ext4"),
    };
    let package = kernel_package()?;
    let recipe = recipe::text(suite, &package)?;
    let made_by = folder.join("recipe");
    if fs::read_to_string(&made_by).is_ok_and(|text| text == recipe) {
        return Ok(image);
    }
    let work = folder.join("work");
    if work.exists() {
        fs::remove_dir_all(&work).context("cannot remove an unfinished image")?;
    }
    fs::create_dir_all(&work).with_context(|| format!("cannot make {}", work.display()))?;
    let root = work.join("root");
    run(Command::new("mmdebstrap")
        .args(["--quiet", "--mode=root", "--variant=minbase"])
        .arg(format!("--include={}", recipe::PACKAGES.join(",")))
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        .args(
            ["man", "doc", "info", "locale"]
                .map(|part| format!("--dpkgopt=path-exclude=/usr/share/{part}/*")),
        )
        .arg(suite)
        .arg(&root))?;
    let version = kernel(&work, &root, &package, &image)?;
    initrd(&work, &root, &version, &image.initrd)?;
    settle(&root)?;
    disk(&root, &image.disk)?;
    fs::write(&made_by, recipe).context("cannot keep the recipe")?;
    fs::remove_dir_all(&work).context("cannot remove what the image was made of").map(|()| image)
}

/// Makes a file system out of a folder, with some room.
///
/// # Errors
/// When `mke2fs` fails.
pub(super) fn disk(from: &Path, to: &Path) -> anyhow::Result<()> {
    let used = output(Command::new("du").args(["-sm"]).arg(from))?;
    let used: u64 =
        used.split_whitespace().next().unwrap_or_default().parse().context("du said no number")?;
    if to.exists() {
        fs::remove_file(to).with_context(|| format!("cannot replace {}", to.display()))?;
    }
    run(Command::new("mke2fs")
        .args(["-q", "-t", "ext4", "-O", "^has_journal", "-m", "0", "-d"])
        .arg(from)
        .arg(to)
        .arg(format!("{}M", used + used / 5 + 64)))
}

/// The package that Debian's newest kernel of this release is in.
fn kernel_package() -> anyhow::Result<String> {
    let said = output(Command::new("apt-cache").args(["depends", "linux-image-amd64"]))?;
    said.lines()
        .find_map(|line| line.trim().strip_prefix("Depends: "))
        .map(str::to_owned)
        .context("apt knows no linux-image-amd64; `apt-get update` first")
}

/// Unpacks the kernel, and puts the modules that are needed into the root. Gives its version.
fn kernel(work: &Path, root: &Path, package: &str, image: &Image) -> anyhow::Result<String> {
    run(Command::new("apt-get").current_dir(work).args(["download", "-qq", package]))?;
    let archive = crate::stage::sorted(work)?
        .into_iter()
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .context("apt downloaded no kernel")?;
    let unpacked = work.join("kernel");
    run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&unpacked))?;
    let modules = unpacked.join("lib/modules");
    let version = crate::stage::sorted(&modules)?
        .first()
        .and_then(|path| path.file_name())
        .context("a kernel without modules")?
        .to_string_lossy()
        .into_owned();
    fs::copy(unpacked.join(format!("boot/vmlinuz-{version}")), &image.kernel)
        .context("a package without a kernel")?;

    let to = root.join("lib/modules");
    fs::create_dir_all(&to).context("cannot make the folder of modules")?;
    fs::rename(modules.join(&version), to.join(&version)).context("cannot move the modules")?;
    depmod(root, &version)?;
    let needs = Needs::read(root, &version)?;
    let kept: BTreeSet<_> = recipe::BOOT_MODULES
        .iter()
        .chain(&recipe::DEVICE_MODULES)
        .flat_map(|name| needs.in_order(name))
        .collect();
    for path in needs.0.keys().filter(|path| !kept.contains(*path)) {
        fs::remove_file(to.join(&version).join(path)).with_context(|| format!("cannot leave out {path}"))?;
    }
    depmod(root, &version)?;
    Ok(version)
}

fn depmod(root: &Path, version: &str) -> anyhow::Result<()> {
    run(Command::new("chroot").arg(root).args(["depmod", version]))
}

/// Which modules each module needs, by path: what `depmod` found out.
struct Needs(BTreeMap<String, Vec<String>>);

impl Needs {
    fn read(root: &Path, version: &str) -> anyhow::Result<Self> {
        let file = root.join("lib/modules").join(version).join("modules.dep");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let words = |words: &str| words.split_whitespace().map(str::to_owned).collect();
        Ok(Self(
            text.lines()
                .filter_map(|line| line.split_once(':'))
                .map(|(path, needs)| (path.to_owned(), words(needs)))
                .collect(),
        ))
    }

    /// The module of that name and what it needs, in the order of loading. Nothing if it is built in.
    fn in_order(&self, name: &str) -> Vec<String> {
        let file = |path: &str| path.rsplit('/').next().unwrap_or(path).replace('-', "_");
        let wanted = format!("{name}.ko");
        self.0
            .iter()
            .find(|(path, _)| file(path) == wanted)
            .map_or_else(Vec::new, |(path, needs)| needs.iter().rev().chain([path]).cloned().collect())
    }
}

/// Packs the first program, its shell and the modules of the disk.
fn initrd(work: &Path, root: &Path, version: &str, to: &Path) -> anyhow::Result<()> {
    let tree = work.join("initrd");
    for folder in ["bin", "dev", "proc", "sys", "disk", "changes", "root", "modules"] {
        fs::create_dir_all(tree.join(folder)).with_context(|| format!("cannot make {folder}"))?;
    }
    fs::copy(root.join("bin/busybox"), tree.join("bin/busybox")).context("the root has no busybox")?;
    fs::copy(recipe::files().join("init"), tree.join("init")).context("cannot copy the first program")?;
    run(Command::new("chmod").arg("755").arg(tree.join("init")))?;
    let needs = Needs::read(root, version)?;
    let mut loaded = BTreeSet::new();
    for path in recipe::BOOT_MODULES.iter().flat_map(|name| needs.in_order(name)) {
        if loaded.insert(path.clone()) {
            let name = path.rsplit('/').next().unwrap_or(&path);
            let to = tree.join("modules").join(format!("{:02}-{name}", loaded.len()));
            fs::copy(root.join("lib/modules").join(version).join(&path), to)
                .with_context(|| format!("cannot copy {path}"))?;
        }
    }
    run(Command::new("sh")
        .current_dir(&tree)
        .args(["-c", "find . | \"$0\" cpio -o -H newc > \"$1\" 2>/dev/null"])
        .arg(tree.join("bin/busybox"))
        .arg(to))
}

/// A user who may sit at the machine, our files, and nothing that only costs time.
fn settle(root: &Path) -> anyhow::Result<()> {
    run(Command::new("chroot").arg(root).args([
        "useradd",
        "--create-home",
        "--uid",
        "1000",
        "--groups",
        "dialout",
        "--shell",
        "/bin/bash",
        "tester",
    ]))?;
    run(Command::new("cp")
        .args(["-a", "--no-preserve=ownership"])
        .arg(recipe::files().join("root/."))
        .arg(root))?;
    fs::create_dir_all(root.join("payload")).context("cannot make the place of the second disk")?;
    let units = root.join("etc/systemd/system");
    for unit in recipe::MASKED {
        symlink("/dev/null", units.join(unit)).with_context(|| format!("cannot mask {unit}"))?;
    }
    // Made here and not kept among our files: a copy of the tree that knows no links would make a file of it, which systemd passes over.
    let wanted = units.join("multi-user.target.wants");
    fs::create_dir_all(&wanted).context("cannot make the folder of wanted units")?;
    symlink("../vm-test.service", wanted.join("vm-test.service")).context("cannot enable the checks")
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start {:?}", command.get_program()))?;
    if !output.status.success() {
        bail!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
