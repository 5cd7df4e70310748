//! What each subcommand does, over one session with the service. Longer ones have a file of their own.

mod config;
pub(crate) mod definitions;
mod doctor;
mod drive;
mod keys;
mod picture;
mod program;
mod record;
mod stop;
mod watch;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use buttplugd_client::{
    Anonymity, Client, Connect, Event, Extension, Input, InputCommand, InputType, OutputType,
};
use clap::CommandFactory;
use clap_complete::Shell;
use futures_util::StreamExt;
use serde_json::json;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::cli::{Cli, Command};
use crate::failure::Failure;
use crate::print::Printer;
use crate::{pick, text};

/// How long the service may take to answer a person who waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// How soon after this program was suspended or hangs what it drives is to stop.
const DEAD_AFTER: Duration = Duration::from_secs(2);

/// Runs a command that needs the service.
pub(crate) async fn run(cli: Cli, printer: &mut Printer) -> Result<ExitCode, Failure> {
    if let Command::Config { action, plugin_path } = &cli.command {
        return config::run(action, plugin_path, cli.socket, printer).await;
    }
    let mut connect = Connect::new("buttplugctl").answer_within(ANSWER_WITHIN).extension(Extension::Monitor);
    if let Some(socket) = cli.socket {
        connect = connect.socket(socket);
    }
    if matches!(cli.command, Command::Output { .. }) {
        connect = connect.ping_time(DEAD_AFTER);
    }
    if matches!(cli.command, Command::Stop { device: None, .. }) {
        stop::everything(connect, printer).await?;
        return Ok(ExitCode::SUCCESS);
    }
    if matches!(cli.command, Command::Doctor) {
        return doctor::run(connect, printer).await;
    }
    let client = connect.connect().await?;
    match cli.command {
        Command::Status => {
            let status = client.status().await?;
            printer.print(&status, || text::status(&status))?;
        }
        Command::Scan { time } => scan(&client, time, printer).await?,
        Command::List => {
            let devices = client.devices();
            let described: Vec<_> = devices.iter().map(|device| device.description()).collect();
            printer.print(&described, || text::list(&devices))?;
        }
        Command::Info { device } => {
            let device = pick::device(&client, &device)?;
            printer.print(device.description(), || text::info(device.description()))?;
        }
        Command::Output { device, value, feature, kind, time, within } => {
            let device = pick::device(&client, &device)?;
            // A time for the movement says which kind of output is meant.
            let kind = kind.map(OutputType::from).or(within.map(|_| OutputType::HwPositionWithDuration));
            let outputs = pick::outputs(&device, feature, kind)?;
            drive::run(&client, &device, &outputs, drive::Order { value, time, within }, printer).await?;
        }
        Command::Stop { device: Some(device), feature } => {
            stop::one(&client, &device, feature, printer).await?;
        }
        Command::Read { device, kind, feature, follow } => {
            let device = pick::device(&client, &device)?;
            let input = pick::input(&device, feature, kind.into())?;
            if follow {
                let readings = input.subscribe().await?;
                follow_readings(readings, input.kind(), printer).await?;
            } else {
                print_reading(once(&input).await?, input.kind(), printer)?;
            }
        }
        Command::Watch { time } => watch::run(&client, time, printer).await?,
        Command::Record { device, file, time, with_address } => {
            let device = pick::device(&client, &device)?;
            let anonymity = if with_address { Anonymity::Waived } else { Anonymity::Kept };
            record::run(&client, &device, record::Order { file, time, anonymity }, printer).await?;
        }
        Command::Clients => {
            let clients = client.clients().await?;
            printer.print(&clients, || text::clients(&clients))?;
        }
        Command::Disconnect { id } => {
            client.disconnect_client(id).await?;
            printer.print(&json!({"Disconnected": id}), || format!("application {id} is disconnected\n"))?;
        }
        Command::Reload => {
            client.reload().await?;
            let status = client.status().await?;
            printer.print(&json!({"Warnings": status.warnings}), || match status.warnings.as_slice() {
                [] => "everything was read again\n".into(),
                warnings => {
                    format!("everything was read again, with warnings:\n  {}\n", warnings.join("\n  "))
                }
            })?;
        }
        // These are done before this, since they need no session.
        Command::Stop { device: None, .. }
        | Command::Doctor
        | Command::Config { .. }
        | Command::Definitions { .. }
        | Command::Completions { .. }
        | Command::Manual { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

async fn scan(client: &Client, time: Duration, printer: &mut Printer) -> Result<(), Failure> {
    let mut events = client.events();
    client.start_scanning().await?;
    let mut interrupts = Interrupts::listen()?;
    printer.remark(&format!("looking for devices for {time:?}, Ctrl-C ends it"));
    // A device may come between the list and the events, and must not be shown twice.
    let mut shown = BTreeSet::new();
    for device in client.devices() {
        shown.insert(device.index());
        printer.print(device.description(), || text::summary(device.description()) + "\n")?;
    }
    let looking = async {
        while let Some(event) = events.next().await {
            match event {
                Event::DeviceRemoved(device) => {
                    shown.remove(&device.index());
                }
                Event::DeviceAdded(device) if shown.insert(device.index()) => {
                    printer.print(device.description(), || text::summary(device.description()) + "\n")?;
                }
                Event::ScanningFinished => return Ok(()),
                Event::Closed(closed) => return Err(Failure::Client(closed.into())),
                _ => {}
            }
        }
        Ok(())
    };
    tokio::select! {
        ended = timeout(time, looking) => ended.unwrap_or(Ok(()))?,
        () = interrupts.come() => {}
    }
    client.stop_scanning().await?;
    Ok(())
}

/// The value of an input; of one that only sends by itself, the next that it sends.
async fn once(input: &Input) -> Result<i64, Failure> {
    if input.limits().command.contains(&InputCommand::Read) {
        return Ok(input.read().await?);
    }
    let mut readings = input.subscribe().await?;
    match timeout(ANSWER_WITHIN, readings.next()).await {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(Failure::Refused("the device has gone".into())),
        Err(_) => Err(Failure::Refused(format!("the device has sent nothing for {ANSWER_WITHIN:?}"))),
    }
}

fn print_reading(value: i64, kind: InputType, printer: &mut Printer) -> Result<(), Failure> {
    let unit = match kind {
        InputType::Battery => " %",
        InputType::Rssi => " dBm",
        InputType::Button | InputType::Pressure | InputType::Depth | InputType::Position => "",
    };
    printer.print(&json!({ "Value": value }), || format!("{value}{unit}\n"))
}

async fn follow_readings(
    mut readings: buttplugd_client::Readings,
    kind: InputType,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let mut interrupts = Interrupts::listen()?;
    let printing = async {
        while let Some(value) = readings.next().await {
            print_reading(value, kind, printer)?;
        }
        Err(Failure::Refused("the device has gone".into()))
    };
    tokio::select! {
        ended = printing => ended,
        () = interrupts.come() => Ok(()),
    }
}

/// Ctrl-C, or a polite end, so that the session ends in good order. From when it is made on, neither ends this program by itself.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// To be called before somebody is told that Ctrl-C ends it.
    fn listen() -> Result<Self, Failure> {
        let failed = |source| Failure::System { doing: "could not listen for signals", source };
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    async fn come(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Waits for a time, or for ever.
async fn pass(time: Option<Duration>) {
    match time {
        Some(time) => sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Writes a manual page for the command and one for each of its subcommands.
pub(crate) fn manual(folder: &Path) -> Result<(), Failure> {
    clap_mangen::generate_to(Cli::command(), folder)
        .map_err(|source| Failure::System { doing: "could not write the manual pages", source })
}

/// Prints completions for a shell.
pub(crate) fn completions(shell: Shell, printer: &mut Printer) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "buttplugctl", &mut script);
    printer.raw(&String::from_utf8_lossy(&script))
}
