//! System packages that the tests need, installed where that is allowed, named where it is not.

use std::process::Command;

use anyhow::bail;

use crate::command::{exists, run};

/// A program and the Debian package that brings it.
#[derive(Debug, Clone, Copy)]
pub struct Needed {
    /// The program, as found on the path.
    pub program: &'static str,
    /// The package.
    pub package: &'static str,
}

/// What the whole-system tests start.
pub const SYSTEM_TESTS: [Needed; 6] = [
    Needed { program: "dbus-daemon", package: "dbus" },
    Needed { program: "busctl", package: "systemd" },
    Needed { program: "gdbus", package: "libglib2.0-bin" },
    Needed { program: "cc", package: "gcc" },
    Needed { program: "umockdev-wrapper", package: "umockdev" },
    Needed { program: "faketime", package: "faketime" },
];

/// What the tests with real third-party clients start.
pub const CLIENT_TESTS: [Needed; 3] = [
    Needed { program: "node", package: "nodejs" },
    Needed { program: "npm", package: "npm" },
    Needed { program: "python3", package: "python3-venv" },
];

/// What building the fuzzer takes.
pub const FUZZER: [Needed; 1] = [Needed { program: "c++", package: "g++" }];

/// Makes sure that every program is there.
///
/// # Errors
/// When one is missing and cannot be installed; the text is the one line to run.
pub fn ensure(needed: &[Needed]) -> anyhow::Result<()> {
    let missing: Vec<_> = needed.iter().filter(|one| !exists(one.program)).map(|one| one.package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --yes {}", missing.join(" "));
    if !is_root() || !exists("apt-get") {
        bail!("missing system packages; run this and try again: sudo {line}");
    }
    run(Command::new("apt-get").arg("update").arg("-qq"))?;
    run(Command::new("apt-get")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .args(["install", "--yes", "--no-install-recommends", "-qq"])
        .args(&missing))
}

/// Whether this runs as root.
#[must_use]
pub fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}
