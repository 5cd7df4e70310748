//! The command `buttplugd`: command line, configuration and log, then the service itself (`buttplugd::app`).

use std::{io, path::PathBuf, process::ExitCode};

use buttplugd::{
    app::{self, Setup},
    config::{
        Directories,
        source::{Overrides, Source},
        value::{ListenAddress, LogLevel},
    },
    devices,
    front::listen::Inherited,
    log,
    questions::{self, Verdict},
};
use clap::Parser;

/// The service that owns the haptic devices of your session.
///
/// It runs until it is told to end (SIGTERM, SIGINT), and stops every device before it does. SIGHUP has it read its
/// configuration and its definitions of devices again.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
struct Args {
    /// Read this configuration instead of $XDG_CONFIG_HOME/buttplugd/buttplugd.toml
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// Look for plugins in this folder too; what is found here wins. May be given several times
    #[arg(long, value_name = "DIR")]
    plugin_path: Vec<PathBuf>,

    /// Put the socket here instead of $XDG_RUNTIME_DIR/buttplugd/buttplugd.sock
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,

    /// Leave the session bus alone
    #[arg(long)]
    no_dbus: bool,

    /// Serve WebSocket for existing applications, on 127.0.0.1 and ::1 port 12345 if no address is given
    #[arg(long, value_name = "ADDR:PORT", num_args = 0..=1, default_missing_value = "12345")]
    websocket: Option<ListenAddress>,

    /// Have simulated devices, to try things out without hardware
    #[arg(long)]
    simulated: bool,

    /// Close every client that sends no ping for so long, whatever its front; 0 asks for no pings
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(..=3_600_000))]
    max_ping_time: Option<u32>,

    /// Log so much; comes before RUST_LOG
    #[arg(long, value_name = "LEVEL")]
    log: Option<LogLevel>,

    /// Say whether the configuration is right, and end
    #[arg(long)]
    check_config: bool,

    /// Say what is wrong with a definition file, and end
    #[arg(long, value_name = "FILE")]
    definitions_check: Option<PathBuf>,

    /// List every device model that is known, and end
    #[arg(long)]
    definitions_list: bool,

    /// Say what a device that shows this name would be taken for, and why, and end
    #[arg(long, value_name = "NAME")]
    definitions_explain: Option<String>,

    /// Print a configuration with every key, its meaning and its default, and end
    #[arg(long)]
    example_config: bool,
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(Verdict::Right) => ExitCode::SUCCESS,
        Ok(Verdict::Wrong) => ExitCode::FAILURE,
        Err(error) => {
            // Not through the log: a filter must not hide why the service did not start.
            eprintln!("buttplugd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "what is asked for by an option goes to stdout")]
fn run(args: Args) -> anyhow::Result<Verdict> {
    if args.example_config {
        print!("{}", buttplugd::config::ANNOTATED);
        return Ok(Verdict::Right);
    }
    let directories = Directories::from_environment()?;
    let overrides = Overrides {
        socket: args.socket,
        no_dbus: args.no_dbus,
        websocket: args.websocket,
        simulated: args.simulated,
        max_ping_time_ms: args.max_ping_time,
        plugin_path: args.plugin_path,
    };
    let source = Source::new(args.config, &directories, overrides);
    let config = source.load()?;
    if args.check_config {
        println!("ok");
        return Ok(Verdict::Right);
    }
    if args.definitions_list || args.definitions_check.is_some() || args.definitions_explain.is_some() {
        let (catalogue, problems) = devices::definitions(&config, &directories, None);
        for problem in &problems {
            eprintln!("{problem}");
        }
        let mut out = io::stdout().lock();
        if args.definitions_list {
            questions::list(&catalogue, &mut out)?;
        }
        if let Some(name) = &args.definitions_explain {
            questions::explain(&catalogue, name, &mut out)?;
        }
        return match &args.definitions_check {
            Some(file) => Ok(questions::check(&catalogue, file, &mut out)?),
            None => Ok(Verdict::Right),
        };
    }
    log::start(args.log, config.log)?;
    log::hook_panics();
    let inherited = Inherited::take()?;
    app::run(Setup { source, config, directories, inherited })?;
    Ok(Verdict::Right)
}
