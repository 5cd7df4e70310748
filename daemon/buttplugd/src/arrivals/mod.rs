//! From a device that a bus has seen to a device task, and what is remembered of devices between their visits: their index for
//! life, that they may have been left running, and that they failed a moment ago.
//!
//! One task owns all of it. It talks to no device itself; see [`crate::device_task`] for that, and `engine::definition` for what
//! belongs to which protocol.

mod ended;
mod identity;
mod lookout;
mod memory;
mod open;
mod standing;
#[cfg(test)]
mod tests;
mod wishes;

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::RandomState},
    hash::BuildHasher,
    path::Path,
    sync::Arc,
};

use engine::{
    definition::{
        access::Refusal,
        catalogue::{Candidate, Catalogue},
        entry::ProtocolEntry,
        indices::DeviceKey,
        matching::Way,
    },
    device::{DeviceSetup, Motion},
    fault::{Fault, Reason},
    monitor::Status,
    vocabulary::DeviceIndex,
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::{Instant, sleep_until},
};

pub use self::{
    identity::{library, params, plugin_model, setup},
    lookout::Reconnect,
    memory::{MemoryError, known_devices},
};
use self::{
    lookout::{Lookout, Why},
    memory::{Attempts, Given, Indexes, OnDisk},
    open::{Open, Terms},
};
use crate::{
    device_task::{Code, DeviceTask, Ended, Identified, Identity, Reached, TaskId, closed},
    hub::Hub,
    journal::RunningJournal,
    plugin::{self, DeviceInfo, PluginHost},
    transport::{Discovered, Discovery, FromTransport, ScanWish, Search},
};

/// The protocol of the plugin that is linked in, which runs all templates.
const TEMPLATE: &str = "template";
/// What buses may tell before they have to wait.
const TRANSPORT_QUEUE: usize = 64;
/// Devices that may ask at once what they are.
const IDENTIFY_QUEUE: usize = 16;
/// Devices that are open, or on their way to be, at once.
const MOST_DEVICES: usize = 64;
/// Protocols that one device is tried as. No name is claimed by more than two.
const MOST_CANDIDATES: usize = 8;

/// What arrivals are made of.
pub struct Parts {
    /// Where devices are reported.
    pub hub: Hub,
    /// The definitions; replaced at a reload.
    pub catalogue: watch::Receiver<Arc<Catalogue>>,
    /// The code of protocols.
    pub plugins: PluginHost,
    /// Where devices are written down that may be running.
    pub journal: RunningJournal,
    /// Devices that were left running when the service was last there.
    pub left_running: BTreeSet<DeviceIndex>,
    /// When known devices are looked for by themselves.
    pub reconnect: Reconnect,
    /// Set when all devices are to be let go.
    pub closing: watch::Receiver<Option<Reason>>,
}

/// Tells devices apart before they have said what they are: their bus and their address on it.
type Place = (&'static str, String);

/// Owns the way of devices into the service.
pub struct Arrivals {
    hub: Hub,
    catalogue: watch::Receiver<Arc<Catalogue>>,
    plugins: PluginHost,
    indexes: Indexes,
    journal: RunningJournal,
    left: BTreeSet<DeviceIndex>,
    lookout: Lookout,
    closing: watch::Receiver<Option<Reason>>,
    attempts: Attempts<Discovered>,
    open: BTreeMap<TaskId, Open>,
    tasks: JoinSet<Ended>,
    next_task: u64,
    from_buses: mpsc::Receiver<FromTransport>,
    /// Keeps the queue open while there is no bus.
    _tell: mpsc::Sender<FromTransport>,
    questions: mpsc::Receiver<Identified>,
    ask: mpsc::Sender<Identified>,
    hub_wish: watch::Receiver<ScanWish>,
    wish: watch::Sender<ScanWish>,
    search: watch::Sender<Search>,
    status: watch::Receiver<Arc<Status>>,
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        // The tasks of devices go on where this one has panicked: somebody has to stop what they drive.
        if std::thread::panicking() {
            self.tasks.detach_all();
        }
    }
}

impl Arrivals {
    /// Reads the indexes of known devices from the folder of the service's state. The other result is what buses run on.
    ///
    /// # Errors
    /// The file with the indexes cannot be read. An index that came to mean another device could start the wrong motor, so this is
    /// an error of the start.
    pub fn new(parts: Parts, state: &Path) -> Result<(Self, Discovery), MemoryError> {
        let indexes = Indexes::open(state)?;
        let (tell, from_buses) = mpsc::channel(TRANSPORT_QUEUE);
        let (ask, questions) = mpsc::channel(IDENTIFY_QUEUE);
        let hub_wish = parts.hub.scan_wish();
        let (wish, wishes) = watch::channel(ScanWish::Rest);
        let status = parts.hub.status();
        let mut lookout = Lookout::new(parts.reconnect);
        for address in indexes.addresses(&parts.left_running) {
            lookout.miss(&address, Why::MayRun, Instant::now());
        }
        let mut arrivals = Self {
            hub: parts.hub,
            catalogue: parts.catalogue,
            plugins: parts.plugins,
            indexes,
            journal: parts.journal,
            left: parts.left_running,
            lookout,
            closing: parts.closing,
            attempts: Attempts::default(),
            open: BTreeMap::new(),
            tasks: JoinSet::new(),
            next_task: 0,
            from_buses,
            _tell: tell.clone(),
            questions,
            ask,
            hub_wish,
            wish,
            search: watch::Sender::new(Search::rest()),
            status,
        };
        // Clients may be there before anything else; without them this is for those who want known devices back at all times.
        let known = arrivals.known();
        arrivals.lookout.expect(known, Instant::now());
        Ok((arrivals, Discovery { wish: wishes, tell }))
    }

    /// What Bluetooth runs on instead of the wish of the other buses.
    #[must_use]
    pub fn search(&self) -> watch::Receiver<Search> {
        self.search.subscribe()
    }

    /// Runs until all devices are to be let go, and waits for their tasks, each of which has its limits.
    pub async fn run(mut self) {
        self.update_wish();
        self.tell_known().await;
        // All arms are cancel-safe; what they lead to has a limit.
        loop {
            let seen_until = self.open.values().filter_map(Open::seen_until).min();
            let wake =
                [self.lookout.deadline(), self.attempts.next(), seen_until].into_iter().flatten().min();
            tokio::select! {
                Some(said) = self.from_buses.recv() => self.hear(said).await,
                Some(question) = self.questions.recv() => self.answer(question).await,
                Some(ended) = self.tasks.join_next_with_id() => {
                    let back = match ended {
                        Ok((task, ended)) => {
                            self.attempts.task(task);
                            self.ended(ended).await
                        }
                        Err(error) => self.failed(&error).await,
                    };
                    if let Some(discovered) = back {
                        self.discovered(discovered).await;
                    }
                }
                changed = self.hub_wish.changed() => match changed {
                    Ok(()) => self.asked(),
                    Err(_) => break,
                },
                changed = self.status.changed() => match changed {
                    Ok(()) => self.clients_changed(),
                    Err(_) => break,
                },
                changed = self.catalogue.changed() => match changed {
                    Ok(()) => self.reloaded().await,
                    Err(_) => break,
                },
                _ = closed(&mut self.closing) => break,
                () = passed(wake) => self.wake().await,
            }
        }
        let reason = (*self.closing.borrow()).unwrap_or(Reason::ShuttingDown);
        self.open.values().for_each(|open| open.close(reason));
        self.wish.send_replace(ScanWish::Rest);
        self.search.send_replace(Search::rest());
        self.from_buses.close();
        self.questions.close();
        // Devices ask what they are no more; those that are ready end by their own closing.
        while let Ok(question) = self.questions.try_recv() {
            drop(question);
        }
        while let Some(ended) = self.tasks.join_next().await {
            match ended {
                Ok(ended) => drop(self.ended(ended).await),
                Err(error) => tracing::error!(%error, "the task of a device failed"),
            }
        }
    }

    async fn hear(&mut self, said: FromTransport) {
        match said {
            FromTransport::Status(status) => {
                tracing::info!(transport = status.transport, state = ?status.state, reason = status.reason, "transport");
                self.hub.transport_status(status).await;
            }
            FromTransport::ScanEnded(transport) => self.hub.scan_ended(transport).await,
            FromTransport::Discovered(discovered) => self.discovered(discovered).await,
            FromTransport::Gone { transport, address } => self.attempts.gone(&(transport, address)),
        }
    }

    async fn discovered(&mut self, discovered: Discovered) {
        let place = (discovered.transport, discovered.address.clone());
        if let Some(open) = self.open.values_mut().find(|open| open.place == place) {
            if discovered.opener.shows_itself() {
                open.seen(discovered, Instant::now());
            }
            return;
        }
        let Some(discovered) = self.attempts.may_try(&place, discovered, Instant::now()) else { return };
        if self.open.len() >= MOST_DEVICES {
            tracing::warn!("as many devices are open as there is room for; another is left alone");
            return;
        }
        let catalogue = self.catalogue.borrow().clone();
        let mut candidates = catalogue.find(&discovered.advertisement);
        if let Some(known) = discovered.opener.protocol()
            && candidates.iter().any(|one| one.protocol.id() == known)
        {
            candidates.retain(|one| one.protocol.id() == known);
        }
        let Some(first) = candidates.first() else { return };
        // A denied device is not tried as something else, so the first candidate is the one that is asked for.
        if let Err(refusal) = catalogue.admit(first.protocol.id(), &place.1) {
            return tracing::debug!(transport = place.0, %refusal, "a device is left alone");
        }
        let candidates = match first.way {
            // Its services tell, once it is connected.
            Way::Bluetooth(_) => candidates,
            Way::Serial(_) | Way::Hid(_) | Way::WebSocket | Way::Gamepad | Way::Simulated => {
                self.attempts.pick(&place, &candidates).cloned().into_iter().collect()
            }
        };
        self.begin(place, discovered, candidates).await;
    }

    async fn begin(&mut self, place: Place, discovered: Discovered, candidates: Vec<Candidate>) {
        let (mut codes, mut protocols, mut ways) = (Vec::new(), Vec::new(), Vec::new());
        for Candidate { protocol, way, .. } in candidates.into_iter().take(MOST_CANDIDATES) {
            match self.code(&protocol).await {
                Ok(code) => {
                    codes.push(code);
                    protocols.push(protocol);
                    ways.push(way);
                }
                Err(fault) => {
                    tracing::error!(protocol = protocol.id(), %fault, "no code for a device");
                }
            }
        }
        let (Some(protocol), Some((first, others))) = (protocols.into_iter().next(), ways.split_first())
        else {
            return self.attempts.failed(place, Reached::Open, Instant::now());
        };
        let id = TaskId(self.next_task);
        self.next_task += 1;
        let Discovered { advertisement, address, opener, .. } = discovered;
        tracing::info!(transport = place.0, protocol = protocol.id(), task = id.0, "device found");
        let info = DeviceInfo {
            protocol: protocol.id().to_owned(),
            advertisement,
            address,
            endpoints: Vec::new(),
            params: Vec::new(),
            seed: RandomState::new().hash_one(id.0),
        };
        self.lookout.seen(&place.1);
        self.update_wish();
        let (open, closing) = Open::new(place, protocol);
        let task = DeviceTask {
            id,
            opener,
            access: identity::access(first, others),
            codes,
            info,
            setup: DeviceSetup::default(),
            identify: self.ask.clone(),
            closing,
            hub: self.hub.clone(),
            journal: self.journal.clone(),
        };
        let handle = self.tasks.spawn(task.run());
        self.attempts.began(handle.id(), id);
        self.open.insert(id, open);
    }

    async fn code(&mut self, protocol: &ProtocolEntry) -> Result<Code, Fault> {
        let library = identity::library(protocol);
        let (code, name) = match &library {
            Some(path) => (plugin::Code::Library(path), protocol.id()),
            None => (plugin::Code::LinkedIn, TEMPLATE),
        };
        let table = self.plugins.table(code, name).await;
        let table = table.map_err(|error| Fault::new(Reason::PluginFailed, error.to_string()))?;
        Ok(Code { table, protocol: protocol.id().to_owned(), params: identity::params(protocol) })
    }

    /// Tells a device what it is.
    async fn answer(&mut self, question: Identified) {
        let Identified { task, opened_for, protocol, identifier, reply } = question;
        let identity = self.identify(task, &opened_for, protocol.as_deref(), &identifier).await;
        if let Err(fault) = &identity {
            tracing::warn!(task = task.0, %fault, "a device is not used");
        }
        if reply.send(identity.map(Box::new)).is_err() {
            tracing::debug!(task = task.0, "a device ended before it knew what it is");
        }
    }

    async fn identify(
        &mut self,
        task: TaskId,
        opened_for: &str,
        protocol: Option<&str>,
        identifier: &str,
    ) -> Result<Identity, Fault> {
        let gone = || Fault::new(Reason::DeviceLost, "the device is gone");
        let place = self.open.get(&task).map(|open| open.place.clone()).ok_or_else(gone)?;
        let catalogue = self.catalogue.borrow().clone();
        let id = protocol.unwrap_or(opened_for);
        let resolved = catalogue.resolve(id, identifier, &place.1).map_err(|refusal| refused(&refusal))?;
        let code = match protocol {
            Some(_) => Some(self.code(&resolved.protocol).await?),
            None => None,
        };
        let key = DeviceKey {
            protocol: id.to_owned(),
            identifier: identifier.to_owned(),
            address: place.1.clone(),
        };
        let given = self.indexes.index(&key, resolved.index, &catalogue.reserved_indexes());
        self.keep(given);
        let index = given.index;
        // By its address, by which it is looked for too: it may have been taken for something else when it ran.
        let is_left = self.indexes.addresses(&self.left).contains(&place.1);
        let left = if is_left { Motion::MayRun } else { Motion::AtRest };
        if let Some(open) = self.open.get_mut(&task) {
            open.identified(key, Terms::new(&resolved, index, place.0));
        }
        self.hub.device_status(standing::connecting(&resolved, index, place.0)).await;
        Ok(Identity {
            entry: identity::entry(&resolved, index, place.0),
            model: identity::plugin_model(&resolved),
            setup: identity::setup(&resolved, place.0, left),
            code,
        })
    }

    /// Saves the index of a device. That the device may be running goes with it, and is written down before the file says that the
    /// old index is nobody's.
    fn keep(&mut self, given: Given) {
        let moved = given.replaced.filter(|old| self.left.contains(old));
        if moved.is_some() {
            self.left.insert(given.index);
            self.journal.note(given.index, Motion::MayRun);
        }
        if let (OnDisk::Same, Some(old)) = (self.indexes.save(), moved) {
            self.left.remove(&old);
            self.journal.note(old, Motion::AtRest);
        }
    }

    async fn reloaded(&mut self) {
        self.plugins.forget_refusals();
        self.attempts.forget();
        let catalogue = self.catalogue.borrow_and_update().clone();
        for open in self.open.values_mut() {
            open.reconsider(&catalogue, &self.indexes);
        }
        // One that was denied until now may be there.
        let known = self.known().into_iter().filter(|address| !self.lookout.misses(address));
        let known: Vec<_> = known.collect();
        if !known.is_empty() {
            self.lookout.expect(known, Instant::now());
            self.update_wish();
        }
        self.tell_known().await;
    }

    async fn wake(&mut self) {
        let now = Instant::now();
        self.open.values_mut().for_each(|open| open.forget_seen(now));
        self.lookout.advance(now);
        self.update_wish();
        for discovered in self.attempts.due(now) {
            self.discovered(discovered).await;
        }
    }
}

fn refused(refusal: &Refusal) -> Fault {
    let reason = match refusal {
        Refusal::UnknownProtocol { .. } => Reason::BringUpFailed,
        Refusal::Denied { .. } | Refusal::NotAllowed { .. } | Refusal::Quarantined { .. } => {
            Reason::NotAllowed
        }
    };
    Fault::new(reason, refusal.to_string())
}

async fn passed(wake: Option<Instant>) {
    match wake {
        Some(wake) => sleep_until(wake).await,
        None => std::future::pending().await,
    }
}
