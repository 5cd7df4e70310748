//! `cargo xtask test fuzz`: builds the targets of `tests/fuzz` so that libFuzzer sees where an input went, and runs them.
//!
//! All that this takes is the stable compiler, which can mark every branch by itself; only its memory checkers are kept for nightly,
//! and what is fuzzed has no `unsafe`. Nothing is written into the source tree: what was found on the way lies in `target/fuzz`.

use std::{
    collections::VecDeque,
    env, fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use anyhow::{Context, bail};

use crate::{
    command::{cargo, run},
    tree,
};

/// How the compiler marks branches and comparisons, as libFuzzer wants them.
const MARKS: [&str; 6] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
];

/// Seconds a target, unless `FUZZ_SECONDS` asks for a search.
const SECONDS: u32 = 30;
/// What the same inputs in every run come from.
const SEED: u32 = 1;
/// An input that takes longer, in seconds, is one that hangs the service.
const INPUT_SECONDS: u32 = 10;
/// An input that takes more memory, in MiB, is one that exhausts the machine.
const MEMORY_MIB: u32 = 1024;
/// The longest input, in bytes.
const INPUT_SIZE: u32 = 4096;
/// The lines of a failed target's output that are shown.
const SHOWN_LINES: usize = 60;
/// What libFuzzer says before the file of an input that broke something.
const WRITTEN: &str = "Test unit written to ";
/// How often a running target is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long a target is fuzzed.
#[derive(Clone, Copy)]
enum Extent {
    /// The same inputs in every run, as far as the machine gets, so that a change is judged by what it changed.
    Check,
    /// Others in every run, for so many seconds, going on from what was found before.
    Search(u32),
}

impl Extent {
    /// What libFuzzer is told of it.
    fn arguments(self) -> Vec<String> {
        match self {
            Self::Check => vec![format!("-max_total_time={SECONDS}"), format!("-seed={SEED}")],
            Self::Search(seconds) => vec![format!("-max_total_time={seconds}")],
        }
    }

    /// Where new inputs of a target go.
    fn found(self, name: &str) -> PathBuf {
        results().join(name).join(match self {
            Self::Check => "checked",
            Self::Search(_) => "corpus",
        })
    }
}

/// Builds all targets and fuzzes each, as many at a time as there are cores.
///
/// # Errors
/// When one cannot be built or run, or an input breaks it: its name and where the input is.
pub fn all() -> anyhow::Result<()> {
    let extent = match env::var("FUZZ_SECONDS") {
        Ok(seconds) => Extent::Search(seconds.parse().context("FUZZ_SECONDS is a number of seconds")?),
        Err(_) => Extent::Check,
    };
    let programs = build()?;
    let mut waiting: VecDeque<_> = names()?.into();
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let mut running = Vec::new();
    while !waiting.is_empty() || !running.is_empty() {
        while running.len() < at_once
            && let Some(name) = waiting.pop_front()
        {
            running.push(Running::start(name, &programs, extent)?);
        }
        let mut still = Vec::new();
        for mut one in running.drain(..) {
            match one.child.try_wait()? {
                Some(status) => one.end(status.success())?,
                None => still.push(one),
            }
        }
        running = still;
        thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Where the workspace of the targets is.
#[must_use]
pub fn sources() -> PathBuf {
    tree::root().join("tests/fuzz")
}

/// Where everything goes that the fuzzing makes.
fn results() -> PathBuf {
    tree::target().join("fuzz")
}

/// One target a file.
fn names() -> anyhow::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(sources().join("targets"))? {
        if let Some(name) = entry?.file_name().to_str().and_then(|name| name.strip_suffix(".rs")) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What else of the tree a target begins with.
fn more_seeds(name: &str) -> Option<PathBuf> {
    (name == "frames").then(|| tree::root().join("ipc-schema/samples"))
}

/// Builds the targets and says where their programs are. The target platform is named, so that what runs while building (build
/// scripts, macros) is not marked.
fn build() -> anyhow::Result<PathBuf> {
    let output = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .args(["--print", "host-tuple"])
        .output()
        .context("cannot ask rustc for its platform")?;
    let platform = String::from_utf8(output.stdout)?.trim().to_owned();
    let target = results().join("build");
    run(cargo()
        .current_dir(sources())
        .args(["build", "--quiet", "--bins", "--target", &platform])
        .env("CARGO_TARGET_DIR", &target)
        .env("CARGO_ENCODED_RUSTFLAGS", MARKS.join("\x1f")))?;
    Ok(target.join(platform).join(tree::Profile::Dev.folder()))
}

/// A target that is being fuzzed. Dropped, it is ended.
struct Running {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Running {
    fn start(name: String, programs: &Path, extent: Extent) -> anyhow::Result<Self> {
        let (found, log) = (extent.found(&name), results().join(format!("{name}.log")));
        if let Extent::Check = extent
            && found.exists()
        {
            fs::remove_dir_all(&found)?;
        }
        fs::create_dir_all(&found)?;
        match extent {
            Extent::Check => eprintln!("+ fuzz {name} with the inputs of every run"),
            Extent::Search(seconds) => eprintln!("+ fuzz {name} for {seconds} s"),
        }
        let child = Command::new(programs.join(&name))
            .args(extent.arguments())
            .arg(format!("-timeout={INPUT_SECONDS}"))
            .arg(format!("-rss_limit_mb={MEMORY_MIB}"))
            .arg(format!("-max_len={INPUT_SIZE}"))
            .arg(format!("-artifact_prefix={}/", results().join(&name).display()))
            .arg("-print_final_stats=1")
            // New inputs go into the first folder; the others are read only.
            .arg(found)
            .arg(sources().join("corpus").join(&name))
            .args(more_seeds(&name))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start the fuzz target {name}"))?;
        Ok(Self { name, child, log })
    }

    /// Says what came of it.
    fn end(&mut self, is_well: bool) -> anyhow::Result<()> {
        let log = String::from_utf8_lossy(&fs::read(&self.log)?).into_owned();
        let figure = |what: &str| {
            let line = log.lines().find_map(|line| line.strip_prefix(&format!("stat::{what}:")));
            line.and_then(|number| number.trim().parse::<u64>().ok()).unwrap_or(0)
        };
        let tried = figure("number_of_executed_units");
        if !is_well || tried == 0 {
            if let Some(input) = log.lines().find_map(|line| line.split_once(WRITTEN).map(|(_, path)| path))
                && let Ok(input) = fs::read(input)
            {
                eprintln!("{} went wrong with:\n{}\n", self.name, input.escape_ascii());
            }
            let lines: Vec<_> = log.lines().collect();
            let shown = lines.get(lines.len().saturating_sub(SHOWN_LINES)..).unwrap_or_default();
            bail!("the fuzz target {} failed:\n{}", self.name, shown.join("\n"));
        }
        eprintln!("  {}: {tried} inputs, {} of them new", self.name, figure("new_units_added"));
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
