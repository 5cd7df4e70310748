//! The command `buttplugd`: command line, configuration and log, then the service itself (`buttplugd::app`).

use std::{
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::anyhow;
use buttplugd::{
    app::{self, Setup},
    config::{
        Directories,
        source::{Overrides, Source},
        value::{ListenAddress, LogLevel},
    },
    front::listen::Inherited,
    log,
    offline::{ConfigTask, Task, Verdict},
    transport::replay,
};
use clap::{CommandFactory as _, Parser, Subcommand};

const PLACES: &str = "\
Files:
  $XDG_CONFIG_HOME/buttplugd/buttplugd.toml    the configuration
  $XDG_CONFIG_HOME/buttplugd/devices.d/        what you want of devices
  /etc/buttplugd/*.toml, devices.d/            the same, by the administrator
  /usr/lib/buttplugd/plugins/                  plugins: a folder a maker, the .so beside plugin.toml
  $XDG_DATA_HOME/buttplugd/plugins/            plugins of your own, in the same form
  $XDG_STATE_HOME/buttplugd/state/             known and running devices
  $XDG_RUNTIME_DIR/buttplugd/buttplugd.sock    the socket

Signals:
  SIGTERM, SIGINT    stop every device, then end
  SIGHUP             read the configuration and the definitions again

See also: buttplugctl(1)";

/// The service that owns the haptic devices of your session.
///
/// It runs until it is told to end (SIGTERM, SIGINT), and stops every device before it does. SIGHUP has it read its
/// configuration and its definitions of devices again.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100, after_long_help = PLACES)]
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

    /// Have a device out of a recording, as `buttplugctl record` makes it. May be given several times
    #[arg(long, value_name = "FILE")]
    replay: Vec<PathBuf>,

    /// Close every client that sends no ping for so long, whatever its front; 0 asks for no pings
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(..=3_600_000))]
    max_ping_time: Option<u32>,

    /// Log so much; comes before RUST_LOG
    #[arg(long, value_name = "LEVEL")]
    log: Option<LogLevel>,

    /// Say whether the configuration is right, and end
    #[arg(long)]
    check_config: bool,

    /// Print a configuration with every key, its meaning and its default, and end
    #[arg(long)]
    example_config: bool,

    /// Say what is wrong with this definition file, or with all that are installed, and end
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    definitions_check: Option<Option<PathBuf>>,

    /// List all device models that are known, and end
    #[arg(long)]
    definitions_list: bool,

    /// Say what a device that announces itself so is taken for, and end
    #[arg(long, value_name = "NAME")]
    definitions_explain: Option<String>,

    /// Write the manual page to this folder, for a package
    #[arg(long, hide = true, value_name = "DIR")]
    manual: Option<PathBuf>,

    /// Answer what is asked here in JSON
    #[arg(long, hide = true, global = true)]
    json: bool,

    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Change what the user wants of devices; `buttplugctl config` does this and has the service know.
    #[command(hide = true)]
    Config {
        #[command(subcommand)]
        task: ConfigTask,
    },
}

impl Args {
    /// What is to be done in place of being the service.
    fn task(&self) -> Option<Task> {
        match (&self.action, &self.definitions_check, self.definitions_list, &self.definitions_explain) {
            (Some(Action::Config { task }), ..) => Some(Task::Config(task.clone())),
            (None, Some(file), ..) => Some(Task::Check(file.clone())),
            (None, None, true, _) => Some(Task::List),
            (None, None, false, Some(name)) => Some(Task::Explain(name.clone())),
            (None, None, false, None) => None,
        }
    }
}

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(code) => code,
        Err(error) => {
            // Not through the log: a filter must not hide why the service did not start.
            // The texts of our errors have their source in them, so that the chain would say it twice.
            eprintln!("buttplugd: {error}");
            ExitCode::FAILURE
        }
    }
}

#[expect(clippy::print_stdout, reason = "what is asked for by an option goes to stdout")]
fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.example_config {
        print!("{}", buttplugd::config::ANNOTATED);
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(folder) = &args.manual {
        // The one subcommand is hidden, and gets no page.
        clap_mangen::generate_to(Args::command(), folder)
            .map_err(|error| anyhow!("cannot write the manual page into {}: {error}", folder.display()))?;
        return Ok(ExitCode::SUCCESS);
    }
    let task = args.task();
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
        config.check_fronts().map_err(|error| source.name(error))?;
        println!("ok");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(task) = task {
        let outcome = task.run(&config, &directories)?;
        let said = if args.json { format!("{}\n", outcome.json) } else { outcome.text };
        match io::stdout().lock().write_all(said.as_bytes()) {
            // Whoever read it has enough, as with `| head`.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            written => written?,
        }
        return Ok(match outcome.verdict {
            Verdict::Good => ExitCode::SUCCESS,
            Verdict::Bad => ExitCode::FAILURE,
        });
    }
    let recordings = replay::load(&args.replay)?;
    log::start(args.log, config.log)?;
    log::hook_panics();
    let inherited = Inherited::take()?;
    if inherited.local.is_empty() && inherited.tcp.is_empty() {
        config.check_fronts().map_err(|error| source.name(error))?;
    }
    app::run(Setup { source, config, directories, inherited, recordings })?;
    Ok(ExitCode::SUCCESS)
}
