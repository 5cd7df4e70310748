//! The links that are up or coming up, so that the radio, which alone hears of broken ones, can tell them.
//!
//! Shared by threads; every lock is held for a few instructions.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use btleplug::platform::PeripheralId;
use tokio::sync::watch;

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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// BlueZ has not said yet that it is connected. News of a break are of the connection before.
    #[default]
    Connecting,
    Connected,
    /// It is being closed. A break is no loss any more.
    Closing,
}

/// How a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It was closed, or never came up.
    Closed,
    /// It broke.
    Lost,
}

/// The links, by device. Clones are the same set.
#[derive(Debug, Clone, Default)]
pub(super) struct Links(Arc<Mutex<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    up: HashMap<PeripheralId, watch::Sender<News>>,
    /// Links that ended, until the radio takes them.
    ended: Vec<(PeripheralId, Ended)>,
    ends: watch::Sender<()>,
}

impl Inner {
    fn lose(&mut self, id: &PeripheralId, reason: &str) {
        if let Some(link) = self.up.get(id).filter(|link| link.borrow().phase != Phase::Closing) {
            link.send_modify(|news| news.lost = Some(reason.to_owned()));
            self.end(id, Ended::Lost);
        }
    }

    fn end(&mut self, id: &PeripheralId, how: Ended) {
        if self.up.remove(id).is_some() {
            self.ended.push((id.clone(), how));
            self.ends.send_replace(());
        }
    }
}

impl Links {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A link is coming up. What this gives hears of it until it is removed or lost.
    pub(super) fn add(&self, id: PeripheralId) -> watch::Receiver<News> {
        let (tell, news) = watch::channel(News::default());
        self.lock().up.insert(id, tell);
        news
    }

    /// The device of a link is connected.
    pub(super) fn connected(&self, id: &PeripheralId) {
        if let Some(link) = self.lock().up.get(id) {
            link.send_modify(|news| news.phase = Phase::Connected);
        }
    }

    /// A link is about to be closed.
    pub(super) fn closing(&self, id: &PeripheralId) {
        if let Some(link) = self.lock().up.get(id) {
            link.send_modify(|news| news.phase = Phase::Closing);
        }
    }

    /// A link was closed, or never came up.
    pub(super) fn remove(&self, id: &PeripheralId) {
        self.lock().end(id, Ended::Closed);
    }

    /// Whether there is a link to the device.
    pub(super) fn contains(&self, id: &PeripheralId) -> bool {
        self.lock().up.contains_key(id)
    }

    /// Whether the device of a link was connected.
    pub(super) fn is_connected(&self, id: &PeripheralId) -> bool {
        self.lock().up.get(id).is_some_and(|link| link.borrow().phase == Phase::Connected)
    }

    /// The devices with a link that is connected.
    pub(super) fn all_connected(&self) -> Vec<PeripheralId> {
        let inner = self.lock();
        let connected = inner.up.iter().filter(|(_, link)| link.borrow().phase == Phase::Connected);
        connected.map(|(id, _)| id.clone()).collect()
    }

    /// The strength of a signal changed.
    pub(super) fn rssi(&self, id: &PeripheralId, rssi: i16) {
        if let Some(link) = self.lock().up.get(id) {
            link.send_if_modified(|news| news.rssi.replace(rssi) != Some(rssi));
        }
    }

    /// The link to a device broke.
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
    pub(super) fn take_ended(&self) -> Vec<(PeripheralId, Ended)> {
        std::mem::take(&mut self.lock().ended)
    }
}
