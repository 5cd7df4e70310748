//! Real third-party clients: installed from their registries, run as the programs of `tests/clients`, and followed step by step.
//!
//! What is installed is kept below the build folder, so that a second run starts at once.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    time::timeout,
};

use crate::artifact;

/// How long one step of a program may take: interpreters start slowly on a busy machine.
const STEP_LIMIT: Duration = Duration::from_secs(60);

/// A library as its users install it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// A version of npm's `buttplug`.
    Npm(&'static str),
    /// A requirement for pip.
    Pip(&'static str),
    /// A member of the workspace `tests/clients/rust`.
    Crate(&'static str),
}

/// A program, ready to be run.
#[derive(Debug, Clone)]
pub struct Program {
    command: PathBuf,
    args: Vec<OsString>,
    /// What comes behind the URL and the device.
    more: Vec<OsString>,
}

/// Installs the library if need be, and gives the program written with it. `script` is a path below `tests/clients`, `more` are
/// arguments behind the usual ones.
///
/// # Errors
/// An installer fails; the text is its own.
pub async fn program(library: Library, script: &str, more: &[&str]) -> anyhow::Result<Program> {
    let sources = artifact::source_tree().join("tests/clients");
    let mut more: Vec<OsString> = more.iter().map(OsString::from).collect();
    match library {
        Library::Npm(version) => {
            let folder = installed(&format!("npm-{version}"))?;
            if !folder.join("node_modules/buttplug").exists() {
                fs::write(folder.join("package.json"), "{\"private\":true}")?;
                let buttplug = format!("buttplug@{version}");
                run(Command::new("npm")
                    .args(["install", "--silent", "--no-audit", "--no-fund", &buttplug, "ws@8"])
                    .current_dir(&folder))
                .await?;
            }
            more.push(folder.into());
            Ok(Program { command: "node".into(), args: vec![sources.join(script).into()], more })
        }
        Library::Pip(requirement) => {
            let folder = installed(&format!("pip-{requirement}"))?;
            let python = folder.join("bin/python");
            if !folder.join("installed").exists() {
                run(Command::new("python3").args(["-m", "venv"]).arg(&folder)).await?;
                run(Command::new(&python).args(["-m", "pip", "install", "--quiet", requirement])).await?;
                fs::write(folder.join("installed"), "")?;
            }
            Ok(Program { command: python, args: vec![sources.join(script).into()], more })
        }
        Library::Crate(name) => {
            let target = installed("cargo")?;
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let workspace = sources.join("rust");
            run(Command::new(cargo)
                .args(["build", "--quiet", "--locked", "--package", name])
                .current_dir(&workspace)
                .env("CARGO_TARGET_DIR", &target))
            .await?;
            Ok(Program { command: target.join("debug").join(name), args: Vec::new(), more })
        }
    }
}

fn installed(name: &str) -> anyhow::Result<PathBuf> {
    let build = artifact::folder()?;
    let target = build.parent().context("a build folder without a parent")?;
    let folder = target.join("clients").join(name);
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    Ok(folder)
}

async fn run(command: &mut Command) -> anyhow::Result<()> {
    let output =
        command.stdin(Stdio::null()).output().await.with_context(|| format!("starting {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

impl Program {
    /// Starts the program against the service at `url`. The device called `leaver` will leave when it says `leave`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(&self, url: &str, leaver: &str) -> anyhow::Result<Scene> {
        let mut child = Command::new(&self.command)
            .args(&self.args)
            .args([url, leaver])
            .args(&self.more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", self.command.display()))?;
        let stdout = child.stdout.take().context("a child without stdout")?;
        Ok(Scene { child, lines: BufReader::new(stdout).lines(), name: script_name(&self.args) })
    }
}

fn script_name(args: &[OsString]) -> String {
    args.first()
        .and_then(|path| Path::new(path).file_name())
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// A program that is playing its scene.
#[derive(Debug)]
pub struct Scene {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    name: String,
}

impl Scene {
    /// Waits for the next step, which must be this one, and gives what it says.
    ///
    /// # Errors
    /// Another step comes, the program ends, or nothing comes in time; the text has what it wrote to standard error.
    pub async fn step(&mut self, wanted: &str) -> anyhow::Result<Value> {
        let said = self.any().await.with_context(|| format!("waiting for step `{wanted}`"))?;
        ensure!(said["step"] == wanted, "{}: {said} came where `{wanted}` was due", self.name);
        Ok(said)
    }

    /// Waits for the next step, whichever it is.
    ///
    /// # Errors
    /// As [`Scene::step`].
    pub async fn any(&mut self) -> anyhow::Result<Value> {
        // Libraries write to standard output too; what is no step is theirs.
        loop {
            let line = timeout(STEP_LIMIT, self.lines.next_line())
                .await
                .with_context(|| format!("{}: no step within {STEP_LIMIT:?}", self.name))??;
            let Some(line) = line else {
                let output = timeout(STEP_LIMIT, self.errors()).await.unwrap_or_default();
                bail!("{} ended too early:\n{output}", self.name);
            };
            if let Ok(said) = serde_json::from_str::<Value>(&line)
                && said.get("step").is_some()
            {
                return Ok(said);
            }
        }
    }

    /// Waits for the end, which must be a good one.
    ///
    /// # Errors
    /// The program does not end, or with another status than 0.
    pub async fn end(mut self) -> anyhow::Result<()> {
        let status = timeout(STEP_LIMIT, self.child.wait()).await.context("the program does not end")??;
        ensure!(status.success(), "{} ended with {status}", self.name);
        Ok(())
    }

    async fn errors(&mut self) -> String {
        let mut text = Vec::new();
        if let Some(stderr) = self.child.stderr.as_mut()
            && tokio::io::AsyncReadExt::read_to_end(stderr, &mut text).await.is_err()
        {
            return "standard error cannot be read".into();
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
