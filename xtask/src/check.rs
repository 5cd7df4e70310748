//! `cargo xtask test`: everything that CI runs, in parts that can be run alone.

use std::process::Command;

use anyhow::Context;
use clap::ValueEnum;

use crate::{
    command::{cargo, run},
    fuzz, packages, vm,
};

/// A part of the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// `rustfmt`.
    Format,
    /// `clippy`, warnings are errors.
    Lints,
    /// `rustdoc`, warnings are errors.
    Docs,
    /// All Rust tests: units, plugins with their vectors, the service on private buses, tidy.
    Rust,
    /// The installed service in a virtual machine, where this machine can run one; elsewhere it says why not.
    Vm,
    /// Every fuzz target for 30 seconds, or what `FUZZ_SECONDS` says.
    Fuzz,
    /// Real third-party clients from npm, PyPI and crates.io against the running service.
    Clients,
}

const ALL: [Part; 7] =
    [Part::Format, Part::Lints, Part::Docs, Part::Rust, Part::Vm, Part::Fuzz, Part::Clients];

/// Runs the parts named, or all.
///
/// # Errors
/// When a part fails, or a system package is missing and cannot be installed.
pub fn run_all(parts: &[Part]) -> anyhow::Result<()> {
    let parts = if parts.is_empty() { &ALL[..] } else { parts };
    for part in parts {
        one(*part).with_context(|| {
            format!(
                "part `{}`",
                part.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
            )
        })?;
    }
    Ok(())
}

fn one(part: Part) -> anyhow::Result<()> {
    match part {
        Part::Format => {
            run(cargo().args(["fmt", "--all", "--check"]))?;
            run(cargo().current_dir(fuzz::sources()).args(["fmt", "--check"]))
        }
        Part::Lints => {
            run(cargo().args(["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"]))
        }
        Part::Docs => run(cargo().env("RUSTDOCFLAGS", "-D warnings").args([
            "doc",
            "--workspace",
            "--no-deps",
            "--quiet",
        ])),
        Part::Rust => {
            packages::ensure(&packages::SYSTEM_TESTS)?;
            run(&mut tests(&["--workspace"]))
        }
        Part::Vm => match vm::obstacle() {
            Some(obstacle) => {
                eprintln!("the virtual machine is left out: {obstacle}");
                Ok(())
            }
            None => vm::test(),
        },
        Part::Fuzz => {
            packages::ensure(&packages::FUZZER)?;
            fuzz::all()
        }
        Part::Clients => {
            packages::ensure(&packages::CLIENT_TESTS)?;
            // Of the whole workspace, so that what the part before has built serves here too.
            run(&mut tests(&["--workspace", "--features", "system-tests/clients", "--test", "clients"]))
        }
    }
}

/// Tests of these packages. Some of them panic on purpose; backtraces, which a CI may ask for everywhere, would bury what a test that
/// fails says.
fn tests(of: &[&str]) -> Command {
    let mut tests = cargo();
    tests.arg("test").args(of).env("RUST_BACKTRACE", "0");
    tests
}
