//! `cargo xtask vm-test`: the installed service on a real kernel, real BlueZ and a real user manager, in a virtual machine.
//!
//! The checks themselves are the program in `tests/vm`; here is what makes the machine and runs it.

use std::{
    fs,
    path::{self, Path},
    process::Command,
};

use anyhow::{Context, bail};

use crate::{
    command::{cargo, exists, run},
    packages::{Needed, ensure, is_root},
    stage,
    tree::{Profile, build_dir, target},
};

mod recipe;

mod boot;
mod image;

const NEEDED: [Needed; 4] = [
    Needed { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Needed { program: "mmdebstrap", package: "mmdebstrap" },
    Needed { program: "mke2fs", package: "e2fsprogs" },
    Needed { program: "strip", package: "binutils" },
];

/// Why this machine cannot run the virtual machine. `None`: it can.
#[must_use]
pub fn obstacle() -> Option<String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Some("the virtual machine is for x86-64 Linux".to_owned());
    }
    if !is_root() {
        return Some("its image is made by root".to_owned());
    }
    if !exists("apt-get") {
        return Some("its image is made of Debian packages, and there is no apt-get here".to_owned());
    }
    match suite() {
        Ok(_) => None,
        Err(error) => Some(format!("{error:#}")),
    }
}

/// Builds what is missing, boots, and prints one line a check.
///
/// # Errors
/// When the machine cannot, the build fails, or a check does not pass.
pub fn test() -> anyhow::Result<()> {
    if let Some(obstacle) = obstacle() {
        bail!("not here: {obstacle}");
    }
    let suite = suite()?;
    ensure(&NEEDED)?;
    let folder = path::absolute(target().join("vm")).context("cannot tell where to build")?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    run(&mut stage::build(Profile::Dev))?;
    run(cargo().args(["build", "--package", "vm-guest"]))?;
    let image = image::ensure(&folder, &suite)?;
    let payload = folder.join("payload.ext4");
    lay_out_payload(&folder.join("payload"), &payload)?;
    let console = folder.join("console.log");
    boot::empty(&console)?;
    boot::run(&folder, &image, &payload, &console)
}

/// The second disk: the package as it would be installed, and the program that checks it.
fn lay_out_payload(folder: &Path, disk: &Path) -> anyhow::Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))?;
    }
    let built = build_dir(Profile::Dev);
    stage::lay_out(&built, &folder.join("package"))?;
    let guest = folder.join("vm-guest");
    fs::copy(built.join("vm-guest"), &guest).context("vm-guest was not built")?;
    // Symbols would be most of the disk, and of the machine's memory after the installation.
    run(Command::new("sh").current_dir(folder).args([
        "-c",
        "find . -type f '(' -name '*.so' -o -path '*/usr/bin/*' -o -name vm-guest ')' -exec strip {} +",
    ]))?;
    image::disk(folder, disk)
}

/// The release of this machine: the image has the same, so that what was built here runs there.
fn suite() -> anyhow::Result<String> {
    let text = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let value = |key: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    if value("ID") != Some("debian") {
        bail!("its image is Debian's, as this machine would have to be");
    }
    value("VERSION_CODENAME").map(str::to_owned).context("/etc/os-release has no VERSION_CODENAME")
}
