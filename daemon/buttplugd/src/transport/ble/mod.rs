//! Bluetooth LE, through BlueZ with `btleplug`.
//!
//! [`run`] keeps a *radio* going: it watches BlueZ and its adapters, looks for devices while that is wanted, and tells what
//! it sees. Each open device is a *link* of its own. Both run on threads of their own (`quarantine`), because btleplug
//! blocks while it connects to the bus, can panic in a task, and leaves match rules and connections behind: all of that
//! ends with the thread.
//!
//! Which devices are wanted, and whether one that returned is opened again, is not decided here.

mod radio;

mod awaited;
mod sighting;
mod status;

mod open;

mod endpoints;
mod fault;
mod link;

mod bus;
mod links;
mod quarantine;

use std::time::Duration;

use tokio::time::Instant;

use super::{Discovery, FromTransport};
use links::Links;
use radio::{End, Memory};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "bluetooth";

/// The first pause before a lost system bus is looked for again; it doubles with each failure.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest such pause. A machine without a system bus wakes once in this time.
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// What the configuration says about Bluetooth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether lost devices are looked for.
    pub reconnect: Reconnect,
    /// Addresses of devices that an earlier run of the service may have left running. They are looked for from the start,
    /// whatever `reconnect` says, so that they can be stopped.
    pub left_running: Vec<String>,
}

/// Whether a device whose link broke is looked for when no session wants a scan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// It is not. It is found by the next scan that a session wants.
    Off,
    /// It is, with short scans and growing pauses between them, until it is back or half an hour has passed. Other devices
    /// that such a scan shows are not told.
    Lost,
}

/// Runs Bluetooth until `discovery.tell` is closed.
pub async fn run(discovery: Discovery, settings: Settings) {
    let links = Links::default();
    let mut memory = Memory::awaiting(&settings.left_running);
    let mut pause = RETRY_FIRST;
    // Told before anything slow: a client that asks for a scan as soon as the service is ready is not told that there is no
    // bus for it. If Bluetooth cannot be used, that follows.
    let starting = status::starting();
    memory.is_news(&starting);
    if discovery.tell.send(FromTransport::Status(starting)).await.is_err() {
        return;
    }
    loop {
        let started = Instant::now();
        let radio = {
            let (discovery, links, reconnect) = (discovery.clone(), links.clone(), settings.reconnect);
            quarantine::start("bluetooth", move || radio::run(discovery, reconnect, links, memory))
        };
        let status = match radio.await {
            Ok((End::NobodyListens, _)) => return,
            Ok((End::Changed, kept)) => {
                memory = kept;
                continue;
            }
            Ok((End::BusLost(error), kept)) => {
                memory = kept;
                status::no_bus(&error)
            }
            Err(_) => {
                memory = Memory::default();
                status::failed()
            }
        };
        links.lose_all("Bluetooth became unavailable");
        if started.elapsed() > RETRY_LONGEST {
            pause = RETRY_FIRST;
        }
        if memory.is_news(&status) && discovery.tell.send(FromTransport::Status(status)).await.is_err() {
            return;
        }
        let mut wish = discovery.wish.clone();
        wish.mark_unchanged();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // Somebody wants a scan: try at once. The sender's end means that the service ends.
            changed = wish.changed() => if changed.is_err() { return },
            () = discovery.tell.closed() => return,
        }
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}
