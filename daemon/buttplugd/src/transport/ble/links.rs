//! The links that are up or coming up, so that the radio, which alone hears of broken ones, can tell them.
//!
//! Shared by threads; every lock is held for a few instructions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use btleplug::platform::PeripheralId;
use tokio::{sync::watch, time::Instant};

use super::super::TransportFault;

/// A device that could not be paired is not asked again for so long, unless a client looks for devices: a desktop may show a question each
/// time.
const PAIR_AGAIN: Duration = Duration::from_secs(10 * 60);

/// So many of them are remembered.
const UNPAIRED_MOST: usize = 64;

/// A device that hangs up so often at the first thing that it is asked for may want to be paired.
const HANG_UPS: u32 = 2;

/// What a link is told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct News {
    /// The strength of the signal in dBm, when BlueZ last said it.
    pub(super) rssi: Option<i16>,
    /// How far the connection is.
    phase: Phase,
    /// Why the link is broken, once it is.
    pub(super) lost: Option<String>,
}

/// Whose the connection to a device is when a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connection {
    Own,
    OfAnother,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// BlueZ has not said yet that it is connected. News of a break are of the connection before.
    #[default]
    Connecting,
    Connected,
    /// It is being closed. A break is no loss any more.
    Closing,
}

/// Which of the links of this service, one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Generation(u64);

/// What a link calls itself by. Its device alone would not do: while it is slow to end there may be another link to that.
#[derive(Debug, Clone)]
pub(super) struct Key {
    pub(super) id: PeripheralId,
    generation: Generation,
}

/// The links, by device. Clones are the same set.
#[derive(Debug, Clone, Default)]
pub(super) struct Links(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    up: HashMap<PeripheralId, (Generation, watch::Sender<News>)>,
    last_generation: Generation,
    /// Links that ended, until the radio takes them.
    ended: Vec<PeripheralId>,
    ends: watch::Sender<()>,
    /// Devices that could not be paired: when that was, and what was said of it.
    unpaired: HashMap<PeripheralId, (Instant, TransportFault)>,
    /// Devices that hung up at the first thing that they were asked for: how often, one link after the other.
    hang_ups: HashMap<PeripheralId, u32>,
}

impl Inner {
    /// The link to a device, whichever it is now.
    fn to(&self, id: &PeripheralId) -> Option<&watch::Sender<News>> {
        self.up.get(id).map(|(_, link)| link)
    }

    /// This link, unless it has ended or there is another to its device.
    fn own(&self, key: &Key) -> Option<&watch::Sender<News>> {
        self.up.get(&key.id).filter(|(generation, _)| *generation == key.generation).map(|(_, link)| link)
    }

    fn enter(&self, key: &Key, phase: Phase) {
        if let Some(link) = self.own(key) {
            link.send_modify(|news| news.phase = phase);
        }
    }

    fn lose(&mut self, id: &PeripheralId, reason: &str) {
        if let Some(link) = self.to(id).filter(|link| link.borrow().phase != Phase::Closing) {
            link.send_modify(|news| news.lost = Some(reason.to_owned()));
            self.end(id);
        }
    }

    fn end(&mut self, id: &PeripheralId) {
        if self.up.remove(id).is_some() {
            self.ended.push(id.clone());
            self.ends.send_replace(());
        }
    }
}

impl Links {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link is coming up to a device that was heard with this strength. What this gives hears of it until it is removed or lost.
    pub(super) fn add(&self, id: PeripheralId, rssi: Option<i16>) -> (Key, watch::Receiver<News>) {
        let (tell, news) = watch::channel(News { rssi, ..News::default() });
        let mut inner = self.lock();
        inner.last_generation.0 += 1;
        let generation = inner.last_generation;
        inner.up.insert(id.clone(), (generation, tell));
        (Key { id, generation }, news)
    }

    /// The connection of a link is about to be made anew. The end of the one before is no loss.
    pub(super) fn connecting(&self, key: &Key) {
        self.lock().enter(key, Phase::Connecting);
    }

    /// A link is connected.
    pub(super) fn came_up(&self, key: &Key) {
        self.lock().enter(key, Phase::Connected);
    }

    /// A device is connected, as BlueZ says.
    pub(super) fn connected(&self, id: &PeripheralId) {
        if let Some(link) = self.lock().to(id) {
            link.send_modify(|news| news.phase = Phase::Connected);
        }
    }

    /// A link is about to be closed. Whether the connection is its own to be ended: another link may have that by now.
    pub(super) fn closing(&self, key: &Key) -> Connection {
        let inner = self.lock();
        inner.enter(key, Phase::Closing);
        match inner.own(key) {
            None if inner.up.contains_key(&key.id) => Connection::OfAnother,
            Some(_) | None => Connection::Own,
        }
    }

    /// A link was closed, or never came up.
    pub(super) fn remove(&self, key: &Key) {
        let mut inner = self.lock();
        if inner.own(key).is_some() {
            inner.end(&key.id);
        }
    }

    /// A link broke, as it found itself.
    pub(super) fn broke(&self, key: &Key, reason: &str) {
        let mut inner = self.lock();
        if inner.own(key).is_some() {
            inner.lose(&key.id, reason);
        }
    }

    /// Whether there is a link to the device.
    pub(super) fn contains(&self, id: &PeripheralId) -> bool {
        self.lock().up.contains_key(id)
    }

    /// Whether the device of a link was connected.
    pub(super) fn is_connected(&self, id: &PeripheralId) -> bool {
        self.lock().to(id).is_some_and(|link| link.borrow().phase == Phase::Connected)
    }

    /// The devices with a link that is connected.
    pub(super) fn all_connected(&self) -> Vec<PeripheralId> {
        let inner = self.lock();
        let connected = inner.up.iter().filter(|(_, (_, link))| link.borrow().phase == Phase::Connected);
        connected.map(|(id, _)| id.clone()).collect()
    }

    /// Why a device could not be paired a short time ago, if that was tried.
    pub(super) fn pairing_refused(&self, id: &PeripheralId) -> Option<TransportFault> {
        let inner = self.lock();
        let (_, fault) = inner.unpaired.get(id).filter(|(when, _)| when.elapsed() < PAIR_AGAIN)?;
        Some(fault.clone())
    }

    /// A device could not be paired.
    pub(super) fn unpaired(&self, id: &PeripheralId, fault: &TransportFault) {
        let unpaired = &mut self.lock().unpaired;
        unpaired.retain(|_, (when, _)| when.elapsed() < PAIR_AGAIN);
        if unpaired.len() < UNPAIRED_MOST {
            unpaired.insert(id.clone(), (Instant::now(), fault.clone()));
        }
    }

    /// A client looks for devices: whoever is there may have switched one to pairing.
    pub(super) fn may_be_paired_again(&self) {
        self.lock().unpaired.clear();
    }

    /// A device broke the link at the first thing that one of its endpoints was asked for.
    pub(super) fn hung_up(&self, id: &PeripheralId) {
        let hang_ups = &mut self.lock().hang_ups;
        if hang_ups.len() < UNPAIRED_MOST || hang_ups.contains_key(id) {
            let times = hang_ups.entry(id.clone()).or_default();
            *times = times.saturating_add(1);
        }
    }

    /// Whether a device has hung up so often that it may want to be paired. The count begins anew.
    pub(super) fn hangs_up(&self, id: &PeripheralId) -> bool {
        let hang_ups = &mut self.lock().hang_ups;
        let often = hang_ups.get(id).is_some_and(|times| *times >= HANG_UPS);
        if often {
            hang_ups.remove(id);
        }
        often
    }

    /// A device that hung up has answered.
    pub(super) fn answered(&self, id: &PeripheralId) {
        self.lock().hang_ups.remove(id);
    }

    /// The strength of a signal changed.
    pub(super) fn rssi(&self, id: &PeripheralId, rssi: i16) {
        if let Some(link) = self.lock().to(id) {
            link.send_if_modified(|news| news.rssi.replace(rssi) != Some(rssi));
        }
    }

    /// The link to a device broke, as BlueZ says.
    pub(super) fn lose(&self, id: &PeripheralId, reason: &str) {
        self.lock().lose(id, reason);
    }

    /// All links broke, those that are coming up too.
    pub(super) fn lose_all(&self, reason: &str) {
        let mut inner = self.lock();
        let all: Vec<_> = inner.up.keys().cloned().collect();
        for id in all {
            inner.lose(&id, reason);
        }
    }

    /// Changes when a link ends; then [`Links::take_ended`] has something.
    pub(super) fn ends(&self) -> watch::Receiver<()> {
        self.lock().ends.subscribe()
    }

    /// The links that ended since the last call.
    pub(super) fn take_ended(&self) -> Vec<PeripheralId> {
        std::mem::take(&mut self.lock().ended)
    }
}
