//! Running programs: as root, and as the person at the machine.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, bail};

/// What the user manager of uid 1000 is reached by.
const SESSION: [&str; 3] = [
    "XDG_RUNTIME_DIR=/run/user/1000",
    "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/1000/bus",
    "HOME=/home/tester",
];

/// Runs a command line as root and gives what it printed.
pub(crate) fn root(line: &str) -> anyhow::Result<String> {
    finish(Command::new("sh").args(["-c", line]), line)
}

/// Runs a command line as the person at the machine and gives what it printed.
pub(crate) fn person(line: &str) -> anyhow::Result<String> {
    finish(&mut as_person(line), line)
}

/// Whether a command line of the person succeeds.
pub(crate) fn succeeds(line: &str) -> bool {
    person(line).is_ok()
}

/// A property of one of the person's units.
pub(crate) fn property(unit: &str, name: &str) -> String {
    let line = format!("systemctl --user show --property {name} --value {unit}");
    person(&line).map_or_else(|_| String::new(), |value| value.trim().to_owned())
}

/// A program of the person's that goes on, such as one that holds an output; ended with this.
pub(crate) struct Running(Child);

impl Running {
    pub(crate) fn start(line: &str) -> anyhow::Result<Self> {
        let line = format!("exec {line}");
        let child = as_person(&line).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        child.map(Self).with_context(|| format!("cannot start `{line}`"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already, as it does when the service stops.
        if self.0.kill().is_ok() && self.0.wait().is_err() {
            crate::report::show("a program could not be waited for");
        }
    }
}

fn as_person(line: &str) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid=1000", "--regid=1000", "--init-groups", "env"])
        .args(SESSION)
        .args(["sh", "-c", line])
        .current_dir("/")
        .stdin(Stdio::null());
    command
}

fn finish(command: &mut Command, line: &str) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!(
            "`{line}` ended with {}: {}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout).trim(),
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
