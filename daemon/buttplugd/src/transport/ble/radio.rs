//! The radio: what BlueZ, its adapters and the devices around say, and whether they are looked for.
//!
//! One run lasts as long as BlueZ and its set of adapters stay the same. Whatever changes there ends it, and the next run
//! begins with new connections to the bus: there is one place that finds out how things are. Links live on.

use std::{collections::BTreeSet, future::Future, pin::Pin, time::Duration};

use btleplug::{
    api::{Central as _, CentralEvent, CentralState, Manager as _, Peripheral as _},
    platform::{Adapter, Manager, PeripheralId},
};
use engine::advertisement::Advertisement;
use futures_util::{
    StreamExt as _,
    stream::{SelectAll, Stream},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep, sleep_until, timeout},
};

use super::{
    super::{Discovered, FromTransport, ScanWish, Search, TransportStatus, Whom},
    Air, NAME,
    bus::{self, BusState, Seen},
    discovery::Discovery,
    fault,
    links::Links,
    open::LinkOpener,
    sighting::Sightings,
    status,
};

/// A call that BlueZ answers from memory.
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// The first pause before a scan that BlueZ refused is asked for again; it doubles.
const SCAN_RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest.
const SCAN_RETRY_LONGEST: Duration = Duration::from_secs(30);

/// After this a BlueZ that did not answer, or refused what it should not, is asked again.
const REFUSED_RETRY: Duration = Duration::from_secs(30);

/// Why a run ended.
pub(super) enum End {
    /// The service ends.
    NobodyListens,
    /// BlueZ or its adapters are not what they were.
    Changed,
    /// The system bus cannot be reached, or is gone.
    BusLost(String),
}

/// What one run leaves to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    status: Option<TransportStatus>,
}

impl Memory {
    /// Whether a status was not the last one told. It counts as told from now on.
    pub(super) fn is_news(&mut self, status: &TransportStatus) -> bool {
        self.status.replace(status.clone()).as_ref() != Some(status)
    }
}

/// Runs the radio until something ends it.
pub(super) async fn run(air: Air, links: Links, mut memory: Memory) -> (End, Memory) {
    let (seen, connection) = match bus::watch().await {
        Ok(watched) => watched,
        Err(error) => return (End::BusLost(error.to_string()), memory),
    };
    let end = match begin(&air, &links, seen, Discovery::new(connection), &mut memory).await {
        Ok(radio) => radio.serve(&mut memory).await,
        Err(end) => end,
    };
    (end, memory)
}

/// Finds the adapters, or waits until there may be some.
async fn begin<'a>(
    air: &'a Air,
    links: &'a Links,
    mut seen: watch::Receiver<Seen>,
    discovery: Discovery,
    memory: &mut Memory,
) -> Result<Radio<'a>, End> {
    let known = seen.borrow_and_update().clone();
    if known.owner.is_none() {
        links.lose_all("BlueZ is gone");
        return Err(wait(air, seen, memory, status::no_bluez(), None).await);
    }
    let adapters = match within(adapters()).await {
        Ok(adapters) => adapters,
        Err(error) => {
            return Err(wait(air, seen, memory, status::refused(&error), Some(REFUSED_RETRY)).await);
        }
    };
    if adapters.is_empty() {
        links.lose_all("the Bluetooth adapter is gone");
        return Err(wait(air, seen, memory, status::no_adapter(), None).await);
    }
    // A break that was said while nobody listened.
    for id in links.all_connected() {
        if !is_connected(&adapters, &id).await {
            links.lose(&id, "the device is no longer connected");
        }
    }
    let mut events = SelectAll::new();
    for active in &adapters {
        match within(active.adapter.events()).await {
            Ok(stream) => events.push(stream),
            Err(error) => {
                return Err(wait(air, seen, memory, status::refused(&error), Some(REFUSED_RETRY)).await);
            }
        }
    }
    Ok(Radio {
        air,
        links,
        seen,
        known,
        discovery,
        adapters,
        events,
        sightings: Sightings::default(),
        whom: Whom::These(BTreeSet::new()),
        scan_retry: None,
        scan_pause: SCAN_RETRY_FIRST,
        scan_error: None,
    })
}

/// Tells a status and waits until BlueZ or its adapters change, or it is time to try again.
async fn wait(
    air: &Air,
    mut seen: watch::Receiver<Seen>,
    memory: &mut Memory,
    status: TransportStatus,
    retry: Option<Duration>,
) -> End {
    if tell_status(air, memory, status).await.is_err() {
        return End::NobodyListens;
    }
    tokio::select! {
        changed = seen.changed() => match changed {
            Ok(()) if seen.borrow().bus == BusState::Up => End::Changed,
            Ok(()) | Err(_) => End::BusLost("it is gone".into()),
        },
        // The wish of a client is a reason to look again.
        wished = air.client_scans() => match wished {
            Ok(()) => End::Changed,
            Err(_) => End::NobodyListens,
        },
        () = sleep(retry.unwrap_or_default()), if retry.is_some() => End::Changed,
        () = air.tell.closed() => End::NobodyListens,
    }
}

async fn tell_status(
    air: &Air,
    memory: &mut Memory,
    status: TransportStatus,
) -> Result<(), mpsc::error::SendError<FromTransport>> {
    if !memory.is_news(&status) {
        return Ok(());
    }
    air.tell.send(FromTransport::Status(status)).await
}

/// Gives a call of btleplug a limit and its error a text.
async fn within<T>(call: impl Future<Output = btleplug::Result<T>>) -> Result<T, String> {
    match timeout(CALL_LIMIT, call).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(fault::text(&error)),
        Err(_) => Err(format!("no answer within {} s", CALL_LIMIT.as_secs())),
    }
}

/// An adapter in use.
struct Active {
    adapter: Adapter,
    /// `hci0`.
    name: String,
    power: CentralState,
    scan: Scan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scan {
    On,
    Off,
}

async fn adapters() -> btleplug::Result<Vec<Active>> {
    let mut active = Vec::new();
    for adapter in Manager::new().await?.adapters().await? {
        // "hci0 (usb:v1D6Bp0246d0542)".
        let info = adapter.adapter_info().await?;
        let name = info.split(' ').next().unwrap_or_default().to_owned();
        active.push(Active { adapter, name, power: CentralState::Unknown, scan: Scan::Off });
    }
    active.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(active)
}

/// A strength in dBm; `None` for the number by which controllers say that they do not know it.
fn heard(rssi: i16) -> Option<i16> {
    const UNKNOWN: i16 = 127;
    (rssi != UNKNOWN).then_some(rssi)
}

/// Whether BlueZ says that a device is connected. A device that it does not know is not.
async fn is_connected(adapters: &[Active], id: &PeripheralId) -> bool {
    let Some(active) = adapters.first() else { return false };
    within(async { active.adapter.peripheral(id).await?.is_connected().await }).await.unwrap_or(false)
}

struct Radio<'a> {
    air: &'a Air,
    links: &'a Links,
    seen: watch::Receiver<Seen>,
    /// How things were when this run began.
    known: Seen,
    discovery: Discovery,
    adapters: Vec<Active>,
    events: SelectAll<Pin<Box<dyn Stream<Item = CentralEvent> + Send>>>,
    sightings: Sightings<PeripheralId>,
    whom: Whom,
    scan_retry: Option<Instant>,
    scan_pause: Duration,
    scan_error: Option<String>,
}

/// Nobody listens any more.
struct Deaf;

impl<T> From<mpsc::error::SendError<T>> for Deaf {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self
    }
}

impl Radio<'_> {
    async fn serve(mut self, memory: &mut Memory) -> End {
        let mut search = self.air.search.clone();
        let mut ends = self.links.ends();
        ends.mark_changed();
        self.read_power().await;
        let end = loop {
            let wanted = search.borrow_and_update().clone();
            if self.settle(wanted, memory).await.is_err() {
                break End::NobodyListens;
            }
            let deadline = self.deadline();
            tokio::select! {
                changed = self.seen.changed() => if let Some(end) = self.changed(changed.is_ok()) {
                    break end;
                },
                changed = search.changed() => if changed.is_err() {
                    break End::NobodyListens;
                },
                event = self.events.next() => match event {
                    Some(event) => self.event(event).await,
                    None => break End::BusLost("it is gone".into()),
                },
                // The sender lives as long as `self.links`.
                Ok(()) = ends.changed() => self.ended(),
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {}
                () = self.air.tell.closed() => break End::NobodyListens,
            }
        };
        self.scan(Scan::Off).await;
        end
    }

    fn deadline(&self) -> Option<Instant> {
        [self.sightings.deadline(), self.scan_retry].into_iter().flatten().min()
    }

    /// Brings everything in line with what is wanted and what is due.
    async fn settle(&mut self, wanted: Search, memory: &mut Memory) -> Result<(), Deaf> {
        if self.scan_retry.is_some_and(|due| due <= Instant::now()) {
            self.scan_retry = None;
        }
        let begins = wanted.whom == Whom::Anyone && self.whom != Whom::Anyone;
        self.whom = wanted.whom;
        let scan = match wanted.scan {
            ScanWish::Scan => Scan::On,
            ScanWish::Rest => Scan::Off,
        };
        self.scan(scan).await;
        if begins {
            self.links.may_be_paired_again();
            self.look_at_all().await;
        }
        tell_status(self.air, memory, self.status()).await?;
        for id in self.sightings.take_due(Instant::now()) {
            self.look(&id).await?;
        }
        Ok(())
    }

    /// Whether the end of this run is due, after BlueZ or the bus said something.
    fn changed(&mut self, watched: bool) -> Option<End> {
        let seen = self.seen.borrow_and_update().clone();
        if !watched || seen.bus == BusState::Lost {
            return Some(End::BusLost("it is gone".into()));
        }
        if seen.owner != self.known.owner {
            self.links.lose_all("BlueZ has ended");
            return Some(End::Changed);
        }
        (seen.adapters != self.known.adapters).then_some(End::Changed)
    }

    /// Links ended: their devices may be told again as soon as they are seen.
    fn ended(&mut self) {
        let now = Instant::now();
        for id in self.links.take_ended() {
            self.sightings.renew(&id, now);
        }
    }

    async fn event(&mut self, event: CentralEvent) {
        let now = Instant::now();
        match event {
            CentralEvent::DeviceDiscovered(id)
            | CentralEvent::DeviceUpdated(id)
            | CentralEvent::ManufacturerDataAdvertisement { id, .. }
            | CentralEvent::ServiceDataAdvertisement { id, .. }
            | CentralEvent::ServicesAdvertisement { id, .. } => self.sightings.event(&id, now),
            CentralEvent::RssiUpdate { id, rssi } => {
                if let Some(rssi) = heard(rssi) {
                    self.links.rssi(&id, rssi);
                }
                self.sightings.event(&id, now);
            }
            CentralEvent::DeviceConnected(id) => {
                self.links.connected(&id);
                self.sightings.event(&id, now);
            }
            CentralEvent::DeviceDisconnected(id) => {
                // The news may be older than the link: then the device is connected again by now.
                if self.links.is_connected(&id) && !is_connected(&self.adapters, &id).await {
                    self.links.lose(&id, "the device broke the connection, or went out of range");
                }
            }
            CentralEvent::StateUpdate(_) => self.read_power().await,
            CentralEvent::DeviceServicesModified(_) => {}
        }
    }

    async fn read_power(&mut self) {
        for active in &mut self.adapters {
            let power = within(active.adapter.adapter_state()).await.unwrap_or(CentralState::Unknown);
            if power != CentralState::PoweredOn {
                // A radio that is off has forgotten that it was to scan.
                active.scan = Scan::Off;
            }
            active.power = power;
        }
    }

    fn status(&self) -> TransportStatus {
        let on = self.adapters.iter().any(|active| active.power == CentralState::PoweredOn);
        match &self.scan_error {
            _ if !on => {
                let names: Vec<_> = self.adapters.iter().map(|active| active.name.as_str()).collect();
                status::powered_off(&names)
            }
            Some(error) => status::no_scan(error),
            None => status::ready(),
        }
    }

    /// Has every adapter that is on scan, or not.
    async fn scan(&mut self, wanted: Scan) {
        if wanted == Scan::Off {
            self.scan_retry = None;
            self.scan_pause = SCAN_RETRY_FIRST;
            self.scan_error = None;
        }
        if self.scan_retry.is_some() {
            return;
        }
        let mut refusal = None;
        for active in &mut self.adapters {
            // One that the user switched off stays off.
            if active.power != CentralState::PoweredOn || active.scan == wanted {
                continue;
            }
            match wanted {
                Scan::On => match self.discovery.start(&active.name).await {
                    Ok(()) => active.scan = Scan::On,
                    Err(error) => refusal = Some(error),
                },
                Scan::Off => {
                    active.scan = Scan::Off;
                    if let Err(error) = self.discovery.stop(&active.name).await {
                        tracing::debug!(adapter = active.name, error, "the scan had ended already");
                    }
                }
            }
        }
        let scans = self.adapters.iter().any(|active| active.scan == Scan::On);
        match refusal {
            Some(error) if !scans => {
                tracing::warn!(error, "bluetooth cannot look for devices");
                self.scan_retry = Some(Instant::now() + self.scan_pause);
                self.scan_pause = (self.scan_pause * 2).min(SCAN_RETRY_LONGEST);
                self.scan_error = Some(error);
            }
            Some(_) | None => {
                self.scan_pause = SCAN_RETRY_FIRST;
                self.scan_error = None;
            }
        }
    }

    /// Someone begins to look: all that is there already is told again.
    async fn look_at_all(&mut self) {
        self.sightings.clear();
        for active in &self.adapters {
            match within(active.adapter.peripherals()).await {
                Ok(peripherals) => {
                    let now = Instant::now();
                    peripherals.iter().for_each(|peripheral| self.sightings.event(&peripheral.id(), now));
                }
                Err(error) => tracing::debug!(adapter = active.name, error, "cannot list devices"),
            }
        }
    }

    /// Asks BlueZ what a device shows of itself, and tells it if that is wanted.
    async fn look(&mut self, id: &PeripheralId) -> Result<(), Deaf> {
        if self.links.contains(id) {
            return Ok(());
        }
        let Some(active) = self.adapters.first() else { return Ok(()) };
        let found = within(async {
            let peripheral = active.adapter.peripheral(id).await?;
            let properties = peripheral.properties().await?;
            Ok((peripheral.is_connected().await?, properties))
        });
        let (connected, properties) = match found.await {
            Ok((connected, Some(properties))) => (connected, properties),
            // BlueZ has forgotten it meanwhile.
            Ok((_, None)) | Err(_) => {
                self.sightings.forget(id);
                return Ok(());
            }
        };
        // BlueZ keeps devices that are long gone. It has a signal strength only for those that it hears.
        let near = connected || properties.rssi.is_some();
        let address = properties.address.to_string();
        let wanted = match &self.whom {
            Whom::Anyone => true,
            Whom::These(addresses) => connected || addresses.contains(&address),
        };
        if !near {
            self.sightings.away(id);
            return Ok(());
        }
        if !wanted {
            return Ok(());
        }
        let advertisement = Advertisement::Bluetooth {
            // Not `local_name`, which is the address where there is no name, and the user's own name where there is one.
            name: properties.advertisement_name,
            manufacturer_data: properties.manufacturer_data.into_iter().collect(),
            services: properties.services,
        };
        if !self.sightings.shows(id, Instant::now(), &advertisement) {
            return Ok(());
        }
        let rssi = properties.rssi.and_then(heard);
        let opener = Box::new(LinkOpener::new(id.clone(), address.clone(), rssi, self.links.clone()));
        let discovered = Discovered { transport: NAME, advertisement, address, opener };
        Ok(self.air.tell.send(FromTransport::Discovered(discovered)).await?)
    }
}
