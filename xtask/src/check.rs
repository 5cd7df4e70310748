//! `cargo xtask test`: everything that CI runs, in parts that can be run alone.

use anyhow::Context;
use clap::ValueEnum;

use crate::{
    command::{cargo, run},
    packages,
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
    /// Real third-party clients from npm, PyPI and crates.io against the running service.
    Clients,
}

const ALL: [Part; 5] = [Part::Format, Part::Lints, Part::Docs, Part::Rust, Part::Clients];

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
        Part::Format => run(cargo().args(["fmt", "--all", "--check"])),
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
            run(cargo().args(["test", "--workspace"]))
        }
        Part::Clients => {
            packages::ensure(&packages::CLIENT_TESTS)?;
            run(cargo().args([
                "test",
                "--package",
                "system-tests",
                "--features",
                "clients",
                "--test",
                "clients",
            ]))
        }
    }
}
