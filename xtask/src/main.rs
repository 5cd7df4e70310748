//! Developer commands: `cargo xtask <command>`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use xtask::{check, demo, stage, vm};

/// Developer commands of buttplugd.
#[derive(Parser)]
#[command(bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Build everything and run the service with simulated devices in front of your eyes.
    ///
    /// In a terminal: a live view of the devices, driven by a first session. Elsewhere: the first session as lines, then exit.
    Demo,
    /// Run everything that CI runs, installing what it needs: format, lints, documentation, all tests.
    Test {
        /// Only the parts with these names. All of them if none is named.
        parts: Vec<check::Part>,
    },
    /// Boot the installed service in a virtual machine, with real BlueZ, HID and serial devices there, and check what it does.
    ///
    /// Needs root, apt and Debian; the image is kept under the target folder.
    VmTest,
    /// Lay out a release build under DIR as a package would install it.
    Stage {
        /// The folder; made if absent.
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Task::Demo => demo::run_demo(),
        Task::Test { parts } => check::run_all(&parts),
        Task::VmTest => vm::test(),
        Task::Stage { dir } => stage::package(&dir),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
