//! The command `buttplugctl`: shows and steers the service from a terminal or a script. It parses, runs one command, and turns what
//! went wrong into one clear line and an exit status. It knows no device and no protocol.

mod cli;
mod command;
mod failure;
mod pick;
mod print;
mod text;
mod value;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::print::{Format, Printer};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let format = cli.format();
    match run(cli) {
        Ok(code) => code,
        Err(failure) => {
            print::report(&failure, format);
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode, Failure> {
    let mut printer = Printer::new(cli.format());
    match &cli.command {
        Command::Completions { shell } => {
            command::completions(*shell, &mut printer)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Manual { folder } => {
            command::manual(folder)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Definitions { action, plugin_path } => {
            return command::definitions::run(action, plugin_path, &mut printer);
        }
        _ => {}
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| Failure::System { doing: "could not start", source })?;
    runtime.block_on(command::run(cli, &mut printer))
}

/// Where text goes is decided once.
impl Cli {
    fn format(&self) -> Format {
        if self.json { Format::Json } else { Format::Text }
    }
}
