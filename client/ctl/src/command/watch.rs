//! `watch`: keeps a scene up to date and shows it, as a picture where there is a terminal, else as a line for each change.

use std::io::{self, IsTerminal};
use std::time::Duration;

use buttplugd_client::{Client, Closed, Event, OutputState};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use super::keys::{self, Key, Keys};
use super::picture::Scene;
use super::{Interrupts, pass};
use crate::failure::Failure;
use crate::print::{Format, Printer, plain};

/// Least time between two pictures. Changes in between are put together.
const PICTURE_GAP: Duration = Duration::from_millis(40);
/// Columns when the terminal does not tell.
const WIDTH: usize = 80;

const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?25h\x1b[?1049l";
const HOME: &str = "\x1b[H";
const CLEAR_LINE: &str = "\x1b[K";
const CLEAR_REST: &str = "\x1b[J";

/// How the scene is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Picture,
    Lines,
}

pub(crate) async fn run(
    client: &Client,
    time: Option<Duration>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let way =
        if printer.format == Format::Text && io::stdout().is_terminal() { Way::Picture } else { Way::Lines };
    let mut interrupts = Interrupts::listen()?;
    if way == Way::Picture {
        printer.raw(ENTER)?;
    }
    let ended = tokio::select! {
        ended = show(client, way, printer) => ended,
        () = pass(time) => Ok(()),
        () = interrupts.come() => Ok(()),
    };
    if way == Way::Picture {
        printer.raw(LEAVE)?;
    }
    ended
}

/// Ends when the person has seen enough, or when something goes wrong.
async fn show(client: &Client, way: Way, printer: &mut Printer) -> Result<(), Failure> {
    let mut events = client.events();
    client.subscribe_outputs().await?;
    let mut scene = look(client).await?;
    if way == Way::Lines {
        let states = scene.outputs.values();
        let set: Vec<_> = states.filter(|state| state.confirmed.is_some()).cloned().collect();
        print_lines(&scene, &set, printer)?;
    }
    let mut keys = match way {
        Way::Picture => {
            Keys::new().map_err(|source| Failure::System { doing: "could not read keys", source })?
        }
        Way::Lines => None,
    };
    let mut note = String::new();
    let mut stops = FuturesUnordered::new();
    let mut paint_at = (way == Way::Picture).then(Instant::now);
    loop {
        tokio::select! {
            key = keys::next(keys.as_mut()) => match key {
                Key::Quit => return Ok(()),
                Key::Stop => {
                    note = "stopping ...".into();
                    stops.push(client.stop_all());
                    paint_at = Some(Instant::now());
                }
            },
            Some(stopped) = stops.next() => {
                note = match stopped {
                    Ok(()) => "everything is stopped".into(),
                    Err(error) => format!("NOT everything is stopped: {error}"),
                };
                paint_at = Some(Instant::now());
            }
            event = events.next() => {
                take(event.as_ref(), &mut scene, way, printer)?;
                if matches!(event, Some(Event::Missed(_))) {
                    scene = look(client).await?;
                }
                if way == Way::Picture && paint_at.is_none() {
                    paint_at = Some(Instant::now() + PICTURE_GAP);
                }
            }
            () = sleep_until(paint_at.unwrap_or_else(Instant::now)), if paint_at.is_some() => {
                if scene.has_stranger() {
                    learn_names(client, &mut scene).await?;
                }
                paint(&scene, &note, printer)?;
                paint_at = None;
            }
        }
    }
}

/// Everything as it is now.
async fn look(client: &Client) -> Result<Scene, Failure> {
    let mut scene = Scene::default();
    client.devices().iter().for_each(|device| scene.add(device.description()));
    scene.update(client.output_states().await?);
    Ok(scene)
}

/// Takes in what happened; prints it where there is no picture.
fn take(event: Option<&Event>, scene: &mut Scene, way: Way, printer: &mut Printer) -> Result<(), Failure> {
    match event {
        None => return Err(Failure::Client(Closed::ByServer.into())),
        Some(Event::Closed(closed)) => return Err(Failure::Client(closed.clone().into())),
        Some(Event::OutputsChanged(states)) => {
            if way == Way::Lines {
                let news: Vec<_> = states.iter().filter(|state| scene.is_news(state)).cloned().collect();
                print_lines(scene, &news, printer)?;
            }
            scene.update(states.iter().cloned());
        }
        Some(event) => {
            if way == Way::Lines {
                print_event(event, printer)?;
            }
            match event {
                Event::DeviceAdded(device) | Event::DeviceChanged(device) => scene.add(device.description()),
                Event::DeviceRemoved(device) => scene.remove(device.index()),
                _ => {}
            }
        }
    }
    Ok(())
}

async fn learn_names(client: &Client, scene: &mut Scene) -> Result<(), Failure> {
    let clients = client.clients().await?;
    scene.clients = clients.into_iter().map(|client| (client.session_id, client.client_name)).collect();
    // A session that has just ended is in no list; it must not be asked for again and again.
    for state in scene.outputs.values() {
        if let Some(session) = state.session_id {
            scene.clients.entry(session).or_insert_with(|| "(gone)".into());
        }
    }
    Ok(())
}

fn paint(scene: &Scene, note: &str, printer: &mut Printer) -> Result<(), Failure> {
    let mut picture = String::from(HOME);
    let (width, height) = size();
    let mut lines = scene.paint(width);
    lines.push(String::new());
    lines.push("space stops everything, q ends this view".into());
    lines.push(note.into());
    // The last line of a terminal scrolls when it is ended.
    for (row, line) in lines.iter().take(height).enumerate() {
        if row > 0 {
            picture.push_str("\r\n");
        }
        picture.extend(plain(line).chars().take(width));
        picture.push_str(CLEAR_LINE);
    }
    picture.push_str(CLEAR_REST);
    printer.raw(&picture)
}

/// Columns and rows of the terminal.
fn size() -> (usize, usize) {
    match rustix::termios::tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => (WIDTH, usize::MAX),
    }
}

fn print_lines(scene: &Scene, states: &[OutputState], printer: &mut Printer) -> Result<(), Failure> {
    for (state, line) in states.iter().zip(scene.lines(states)) {
        printer.print(state, || line + "\n")?;
    }
    Ok(())
}

fn print_event(event: &Event, printer: &mut Printer) -> Result<(), Failure> {
    let (what, device) = match event {
        Event::DeviceAdded(device) => ("connected", device),
        Event::DeviceRemoved(device) => ("gone", device),
        Event::DeviceChanged(device) => ("changed", device),
        _ => return Ok(()),
    };
    printer.print(&json!({"DeviceIndex": device.index(), "Device": what}), || {
        format!("{} {}: {what}\n", device.index(), device.name())
    })
}
