//! Bluetooth LE, through BlueZ with `btleplug`.
//!
//! [`run`] keeps a *radio* going: it watches BlueZ and its adapters, looks for devices while that is wanted, and tells what
//! it sees. Each open device is a *link* of its own. Both run on threads of their own (`quarantine`), because btleplug
//! blocks while it connects to the bus, can panic in a task, and leaves match rules and connections behind: all of that
//! ends with the thread.
//!
//! Which devices are wanted, whether lost ones are looked for, and whether one that returned is opened again, is not decided here.

mod radio;
mod sighting;
mod status;

mod open;

mod endpoints;
mod fault;
mod link;
mod request;
mod transport;

mod agent;
mod asked;
mod bus;
mod discovery;
mod links;
mod pairing;
mod quarantine;

use std::time::Duration;

use btleplug::api::BDAddr;
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{FromTransport, Search, Whom};
use links::Links;
use radio::{End, Memory};

/// The name of this bus, as in [`super::Discovered::transport`].
pub const NAME: &str = "bluetooth";

/// The first pause before a lost system bus is looked for again; it doubles with each failure.
const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest such pause. A machine without a system bus wakes once in this time.
const RETRY_LONGEST: Duration = Duration::from_secs(60);

/// Whether an address is one of Bluetooth.
#[must_use]
pub fn is_address(address: &str) -> bool {
    // The parser takes twelve digits without colons, too.
    address.contains(':') && address.parse::<BDAddr>().is_ok()
}

/// What Bluetooth runs on.
#[derive(Clone)]
pub struct Air {
    /// What is looked for; watched.
    pub search: watch::Receiver<Search>,
    /// Where to tell. Bounded: the radio waits rather than floods.
    pub tell: mpsc::Sender<FromTransport>,
}

impl Air {
    /// Waits until a client begins to scan, or something changes while one does.
    async fn client_scans(&self) -> Result<(), watch::error::RecvError> {
        let mut search = self.search.clone();
        search.mark_unchanged();
        loop {
            search.changed().await?;
            if search.borrow_and_update().whom == Whom::Anyone {
                return Ok(());
            }
        }
    }
}

/// Runs Bluetooth until `air.tell` is closed. While `air.search` names devices, no other is told, but for one that is connected already.
pub async fn run(air: Air) {
    let links = Links::default();
    let mut memory = Memory::default();
    let mut pause = RETRY_FIRST;
    // Told before anything slow: a client that asks for a scan as soon as the service is ready is not told that there is no
    // bus for it. If Bluetooth cannot be used, that follows.
    let starting = status::starting();
    memory.is_news(&starting);
    if air.tell.send(FromTransport::Status(starting)).await.is_err() {
        return;
    }
    loop {
        let started = Instant::now();
        let radio = {
            let (air, links) = (air.clone(), links.clone());
            quarantine::start("bluetooth", move || radio::run(air, links, memory))
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
        if memory.is_news(&status) && air.tell.send(FromTransport::Status(status)).await.is_err() {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            // Somebody wants a scan: try at once. The sender's end means that the service ends.
            wished = air.client_scans() => if wished.is_err() { return },
            () = air.tell.closed() => return,
        }
        pause = (pause * 2).min(RETRY_LONGEST);
    }
}
