//! The command line: subcommands, options, and the help that people read first. What the commands do is in `command/`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::value::{Amount, duration};

const EXAMPLES: &str = "\
Examples:
  buttplugctl status                   is the service well, and what is missing?
  buttplugctl scan                     look for devices for ten seconds
  buttplugctl list                     which devices are connected?
  buttplugctl output 0 50% --for 3s    drive device 0 at half its power for three seconds
  buttplugctl stop                     stop everything, now
  buttplugctl watch                    see live what every device does

A DEVICE is its number in `list`, or a part of its name that no other has.
Exit status: 0 done, 1 refused or failed, 2 wrong usage, 3 the service does not run.
See also: buttplugd(1)";

/// See and steer the haptic devices that buttplugd looks after.
#[derive(Debug, Parser)]
#[command(name = "buttplugctl", version, after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Cli {
    /// Print JSON for scripts in place of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Socket of the service, if not $XDG_RUNTIME_DIR/buttplugd/buttplugd.sock.
    #[arg(long, global = true, value_name = "PATH")]
    pub(crate) socket: Option<PathBuf>,

    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show how the service and its buses are, and what is missing.
    #[command(after_help = "Examples:\n  buttplugctl status\n  buttplugctl status --json | jq .Transports")]
    Status,

    /// Check whether devices can be reached, and say what to do if not.
    #[command(after_help = "Works without the service too. Exit status 1 when something is broken.")]
    Doctor,

    /// Look for devices, and print those that come.
    #[command(after_help = "Examples:\n  buttplugctl scan\n  buttplugctl scan --for 1m")]
    Scan {
        /// How long to look, such as 500ms, 10s or 2m.
        #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = duration)]
        time: Duration,
    },

    /// List the connected devices.
    List,

    /// Show all features of a device.
    #[command(after_help = "Examples:\n  buttplugctl info 0\n  buttplugctl info max")]
    Info {
        /// Number, or part of the name.
        device: String,
    },

    /// Drive an output of a device until Ctrl-C, or for a time.
    ///
    /// When the command ends, in whatever way, the output stops: the service sees to that.
    #[command(after_help = "\
Examples:
  buttplugctl output 0 50%                           all vibrators (else the first output) at half power
  buttplugctl output 0 10 --feature 1 --for 2s       feature 1 at step 10 of its range for two seconds
  buttplugctl output 0 -100% --kind rotate           rotate the other way, as fast as it can
  buttplugctl output 3 90% --within 500ms            move a stroker to 90 % of its way in half a second")]
    Output {
        /// Number, or part of the name.
        device: String,
        /// A percentage such as 50%, or a step of the output's own range such as 10.
        #[arg(allow_negative_numbers = true, allow_hyphen_values = true)]
        value: Amount,
        /// Only this feature, by its number in `info`.
        #[arg(long, value_name = "NUMBER")]
        feature: Option<u32>,
        /// Only outputs of this kind.
        #[arg(long, value_name = "KIND")]
        kind: Option<OutputKind>,
        /// How long, such as 500ms, 10s or 2m; until Ctrl-C if left out.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
        /// Time for the movement to a position.
        #[arg(long, value_name = "TIME", value_parser = duration)]
        within: Option<Duration>,
    },

    /// Stop everything, one device, or one feature, whoever drives it.
    #[command(
        after_help = "Examples:\n  buttplugctl stop\n  buttplugctl stop 0\n\nBind `buttplugctl stop` to a key."
    )]
    Stop {
        /// Number, or part of the name; everything if left out.
        device: Option<String>,
        /// Only this feature, by its number in `info`.
        #[arg(long, value_name = "NUMBER", requires = "device")]
        feature: Option<u32>,
    },

    /// Read an input of a device, such as its battery.
    #[command(after_help = "\
Examples:
  buttplugctl read 0                              the battery
  buttplugctl read 0 --kind pressure --follow     every new value until Ctrl-C")]
    Read {
        /// Number, or part of the name.
        device: String,
        /// Which kind of input.
        #[arg(long, value_name = "KIND", default_value = "battery")]
        kind: InputKind,
        /// Only this feature, by its number in `info`.
        #[arg(long, value_name = "NUMBER")]
        feature: Option<u32>,
        /// Print every new value until Ctrl-C.
        #[arg(long)]
        follow: bool,
    },

    /// Show live what every device does; plain lines where there is no terminal.
    #[command(after_help = "Keys: space stops everything, q or Ctrl-C ends the view (and stops nothing).")]
    Watch {
        /// How long, such as 10s or 2m; until Ctrl-C if left out.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
    },

    /// Record every transfer of a device to a file, for a bug report or a test.
    ///
    /// The file begins with what the service said to the device when it connected. The device's address and the name that you gave
    /// it are left out.
    #[command(after_help = "\
Examples:
  buttplugctl record 0 toy.jsonl               until Ctrl-C; drive the device meanwhile
  buttplugctl record 0 toy.jsonl --for 30s
  buttplugd --replay toy.jsonl                 the same device, without hardware")]
    Record {
        /// Number, or part of the name.
        device: String,
        /// The file to write; one that is there is replaced.
        file: PathBuf,
        /// How long, such as 10s or 2m; until Ctrl-C if left out.
        #[arg(long = "for", value_name = "TIME", value_parser = duration)]
        time: Option<Duration>,
        /// Leave the address and the name in.
        #[arg(long)]
        with_address: bool,
    },

    /// List the applications that are connected, and what each drives.
    Clients,

    /// Disconnect an application; what it drives stops.
    #[command(after_help = "Example:\n  buttplugctl clients\n  buttplugctl disconnect 12")]
    Disconnect {
        /// Number of the application in `clients`.
        id: u32,
    },

    /// Have the service read its configuration, definitions and plugins again.
    Reload,

    /// Name, limit or deny devices; changes a file of yours and has the service read it.
    #[command(after_help = "\
Examples:
  buttplugctl config show                        all known devices, and what you changed
  buttplugctl config rename 0 Blue
  buttplugctl config cap 0 1 vibrate 50%         feature 1 never goes above half its power
  buttplugctl config deny AA:BB:CC:DD:EE:FF      never connect to this one
  buttplugctl config import intiface.json        names, limits and denials from another server")]
    Config {
        #[command(subcommand)]
        action: Config,
        /// Look for plugins in this folder too. May be given several times.
        #[arg(long, global = true, value_name = "DIR")]
        plugin_path: Vec<PathBuf>,
    },

    /// Look at the descriptions of devices, without the service.
    Definitions {
        #[command(subcommand)]
        action: Definitions,
        /// Look for plugins in this folder too. May be given several times.
        #[arg(long, global = true, value_name = "DIR")]
        plugin_path: Vec<PathBuf>,
    },

    /// Print completions for a shell.
    #[command(
        after_help = "Example:\n  buttplugctl completions bash > ~/.local/share/bash-completion/completions/buttplugctl"
    )]
    Completions {
        /// Which shell.
        shell: Shell,
    },

    /// Write the manual pages to a folder, for a package.
    #[command(hide = true)]
    Manual {
        /// The folder, such as /usr/share/man/man1.
        folder: PathBuf,
    },
}

/// A DEVICE here may be one that is not connected, or that was never seen, by its address.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Give a device a name, or take it away.
    Rename {
        /// Number, address, or part of the name.
        device: String,
        /// The new name; that of the model again if left out.
        name: Option<String>,
    },
    /// Limit an output.
    Cap {
        /// Number, address, or part of the name.
        device: String,
        /// Number of the feature, as in `info`.
        feature: u32,
        /// Kind of output.
        kind: OutputKind,
        /// A step of the device's own range such as 10, a percentage of it such as 50%, or `none` to lift the limit.
        #[arg(value_name = "MAX")]
        most: String,
    },
    /// Never connect to a device.
    Deny {
        /// Number, address, or part of the name.
        device: String,
    },
    /// Take a denial back. A device that is not denied is taken off the list of `--only`.
    Allow {
        /// Number, address, or part of the name.
        device: String,
        /// From now on, only devices that are allowed this way. `allow` without `--only` takes a device off that list again, and
        /// with the last one all devices may be used; `deny` keeps the list.
        #[arg(long)]
        only: bool,
    },
    /// Take over names, limits and denials from the user configuration of Intiface.
    Import {
        /// The file.
        file: PathBuf,
        /// Take the place of what was imported before, which is kept beside.
        #[arg(long)]
        replace: bool,
    },
    /// Show all known devices, and what you changed of them and of others.
    Show,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Definitions {
    /// Check a file that describes devices, and say what is wrong with it and where.
    Check {
        /// The file; all that are in force if left out.
        file: Option<PathBuf>,
    },
    /// List all device models that the service would know.
    List,
    /// Show where the description of a device comes from, layer by layer.
    Explain {
        /// Name of the device, as it announces itself or as `definitions list` prints it.
        name: String,
    },
}

/// Kinds of output, by the names of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputKind {
    Vibrate,
    Rotate,
    Oscillate,
    Constrict,
    Temperature,
    Led,
    Spray,
    Position,
    /// A position with a time (`HwPositionWithDuration`).
    Move,
}

/// Kinds of input, by the names of the spec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputKind {
    Battery,
    Rssi,
    Button,
    Pressure,
    Depth,
    Position,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Cli, clap::Error> {
        Cli::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn options_for_all_commands_may_stand_anywhere() {
        let cli = parse("buttplugctl --socket /tmp/a status --json").unwrap();
        assert!(cli.json);
        assert_eq!(cli.socket.unwrap(), PathBuf::from("/tmp/a"));
    }

    #[test]
    fn values_may_be_negative_and_percentages() {
        for (line, expected) in [
            ("buttplugctl output 0 -50%", Amount::Fraction(-0.5)),
            ("buttplugctl output 0 -5 --feature 1", Amount::Steps(-5)),
            ("buttplugctl output 0 100% --for 2s", Amount::Fraction(1.0)),
        ] {
            match parse(line).unwrap().command {
                Command::Output { value, device, .. } => {
                    assert_eq!((device.as_str(), value), ("0", expected), "{line}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn wrong_usage_is_refused_with_what_is_wrong() {
        for (line, kind) in [
            ("buttplugctl", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
            ("buttplugctl dance", ErrorKind::InvalidSubcommand),
            ("buttplugctl info", ErrorKind::MissingRequiredArgument),
            ("buttplugctl output 0", ErrorKind::MissingRequiredArgument),
            ("buttplugctl output 0 fast", ErrorKind::ValueValidation),
            ("buttplugctl output 0 5 --kind wiggle", ErrorKind::InvalidValue),
            ("buttplugctl output 0 5 --for ever", ErrorKind::ValueValidation),
            ("buttplugctl stop --feature 1", ErrorKind::MissingRequiredArgument),
            ("buttplugctl disconnect me", ErrorKind::ValueValidation),
            ("buttplugctl scan --for 10s extra", ErrorKind::UnknownArgument),
        ] {
            assert_eq!(parse(line).unwrap_err().kind(), kind, "{line}");
        }
    }

    #[test]
    fn a_scan_and_a_battery_need_no_options() {
        match parse("buttplugctl scan").unwrap().command {
            Command::Scan { time } => assert_eq!(time, Duration::from_secs(10)),
            other => panic!("{other:?}"),
        }
        match parse("buttplugctl read max").unwrap().command {
            Command::Read { kind, follow, feature, .. } => {
                assert_eq!((kind, follow, feature), (InputKind::Battery, false, None));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_command_says_what_it_does() {
        for command in Cli::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{} has no help", command.get_name());
        }
    }
}
