//! `cargo xtask demo`: the service with simulated devices, and a first session in front of the reader's eyes.

#![expect(clippy::print_stdout, reason = "showing a session is what this command is for")]

use std::{
    fs,
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

use crate::{
    command::run,
    stage,
    tree::{Profile, build_dir},
};

/// How long the service may take to offer its socket.
const START_LIMIT: Duration = Duration::from_secs(10);

/// Time between two steps of the session in a terminal, so that eyes can follow.
const STEP: Duration = Duration::from_millis(1200);

/// What the first session does: words for the reader, and the arguments of `buttplugctl`.
const SESSION: [(&str, &[&str]); 9] = [
    ("what the service is doing", &["status"]),
    ("look for devices", &["scan", "--for", "1s"]),
    ("which devices are there", &["list"]),
    ("what one of them can do", &["info", "stroker"]),
    ("let a motor vibrate at half its strength", &["output", "motor", "50%", "--for", "1s"]),
    ("read a battery", &["read", "sensor"]),
    (
        "move a stroker to 80 % of its way in half a second",
        &["output", "stroker", "80%", "--within", "500ms", "--for", "1s"],
    ),
    ("rotate the other way", &["output", "rotor", "-50%", "--kind", "rotate", "--for", "1s"]),
    ("stop everything", &["stop"]),
];

/// Builds everything and plays.
///
/// # Errors
/// When the build fails, the service does not start, or a step of the session fails.
pub fn run_demo() -> anyhow::Result<()> {
    run(&mut stage::build(Profile::Dev))?;
    let folder = Folder::new()?;
    let plugins = folder.path.join("plugins");
    stage::plugins(&build_dir(Profile::Dev), &plugins, stage::Place::Link)?;
    let socket = folder.path.join("buttplugd.sock");
    let _service = Service::start(&folder.path, &plugins, &socket)?;
    if io::stdout().is_terminal() { in_a_terminal(&socket) } else { as_lines(&socket) }
}

fn as_lines(socket: &Path) -> anyhow::Result<()> {
    for (words, arguments) in SESSION {
        println!("\n# {words}\n$ buttplugctl {}", arguments.join(" "));
        step(socket, arguments)?;
    }
    println!("\nThat was a first session. In a terminal, this command shows the devices move.");
    Ok(())
}

fn in_a_terminal(socket: &Path) -> anyhow::Result<()> {
    let mut watch = ctl(socket, &["watch"]).spawn().context("cannot start buttplugctl")?;
    thread::sleep(STEP);
    let played = SESSION
        .iter()
        .filter(|(_, arguments)| arguments[0] != "status" && arguments[0] != "list" && arguments[0] != "info")
        .try_for_each(|(_, arguments)| {
            let output = ctl(socket, arguments).output().context("cannot start buttplugctl")?;
            if !output.status.success() {
                bail!(
                    "buttplugctl {} failed: {}",
                    arguments.join(" "),
                    String::from_utf8_lossy(&output.stderr)
                );
            }
            thread::sleep(STEP);
            Ok(())
        });
    if played.is_ok() {
        watch.wait().context("cannot wait for buttplugctl")?;
    } else {
        watch.kill().context("cannot end buttplugctl")?;
    }
    played
}

fn step(socket: &Path, arguments: &[&str]) -> anyhow::Result<()> {
    let status = ctl(socket, arguments).status().context("cannot start buttplugctl")?;
    if !status.success() {
        bail!("buttplugctl {} ended with {status}", arguments.join(" "));
    }
    Ok(())
}

fn ctl(socket: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(build_dir(Profile::Dev).join("buttplugctl"));
    command.arg("--socket").arg(socket).args(arguments);
    command
}

/// The running service; ended with the demo.
struct Service(Child);

impl Service {
    fn start(folder: &Path, plugins: &Path, socket: &Path) -> anyhow::Result<Self> {
        let log = fs::File::create(folder.join("buttplugd.log")).context("cannot write a log")?;
        let child = Command::new(build_dir(Profile::Dev).join("buttplugd"))
            .args(["--simulated", "--no-dbus", "--plugin-path"])
            .arg(plugins)
            .arg("--socket")
            .arg(socket)
            .env("XDG_STATE_HOME", folder.join("state"))
            .env("XDG_CONFIG_HOME", folder.join("config"))
            .env("XDG_RUNTIME_DIR", folder)
            .stderr(log)
            .spawn()
            .context("cannot start buttplugd")?;
        let mut service = Self(child);
        let started = Instant::now();
        while !socket.exists() {
            if let Some(status) = service.0.try_wait().context("cannot ask after buttplugd")? {
                let log = fs::read_to_string(folder.join("buttplugd.log")).unwrap_or_default();
                bail!("buttplugd ended with {status}:\n{log}");
            }
            if started.elapsed() > START_LIMIT {
                bail!("buttplugd did not offer its socket within {} s", START_LIMIT.as_secs());
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(service)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        if !Command::new("kill").arg(&id).status().is_ok_and(|status| status.success()) {
            eprintln!("xtask: cannot end buttplugd, process {id}");
            return;
        }
        if let Err(error) = self.0.wait() {
            eprintln!("xtask: cannot wait for buttplugd: {error}");
        }
    }
}

/// A folder that goes away with the demo.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("buttplugd-demo-{}", std::process::id()));
        fs::create_dir_all(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("xtask: cannot remove {}: {error}", self.path.display());
        }
    }
}
