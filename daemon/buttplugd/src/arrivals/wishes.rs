//! What the buses are to look for, brought in line with what clients want and with the devices that are missing.
//!
//! When a missing device is looked for is decided by the lookout; here it is told what happens.

use std::collections::BTreeSet;

use engine::{device::Motion, fault::Reason};
use tokio::{sync::watch, time::Instant};

use super::{
    Arrivals,
    lookout::{Clients, Why},
    open::{LetGo, Open},
};
use crate::{
    device_task::{Ended, Reached},
    transport::{ScanWish, Search, Whom, ble},
};

impl Arrivals {
    /// Whether a device that is not open any more is looked for, and why.
    pub(super) fn look_for(&mut self, open: &Open, ended: &Ended, now: Instant) {
        if self.closing.borrow().is_some() {
            return;
        }
        let address = &open.place.1;
        match ended.reached {
            Reached::Ready => self.lookout.forget(address),
            Reached::Nothing | Reached::Mismatch | Reached::Open => self.lookout.failed(address, now),
        }
        match open.let_go {
            LetGo::Refused => self.lookout.forget(address),
            LetGo::No | LetGo::Changed if ended.motion == Motion::MayRun => {
                // One that fails again and again is not looked for the more.
                if !self.lookout.may_run(address) {
                    self.lookout.miss(address, Why::MayRun, now);
                }
            }
            LetGo::Changed => self.lookout.miss(address, Why::Changed, now),
            LetGo::No if ended.reached == Reached::Ready && ended.fault.reason == Reason::DeviceLost => {
                self.lookout.miss(address, Why::Lost, now);
            }
            LetGo::No => {}
        }
        self.update_wish();
    }

    /// The known devices that a bus could find and that are not open.
    pub(super) fn known(&self) -> Vec<String> {
        let catalogue = self.catalogue.borrow().clone();
        let is_open = |address: &str| self.open.values().any(|open| open.place.1 == address);
        let mut known: Vec<String> = self
            .indexes
            .known(&catalogue)
            .filter(|key| ble::is_address(&key.address))
            .filter(|key| !is_open(&key.address))
            .map(|key| key.address.clone())
            .collect();
        known.dedup();
        known
    }

    /// Clients may have come, or the last one left.
    pub(super) fn clients_changed(&mut self) {
        let clients =
            if self.status.borrow_and_update().clients.is_empty() { Clients::None } else { Clients::Some };
        if clients == self.lookout.clients() {
            return;
        }
        match clients {
            Clients::Some => self.lookout.clients_came(self.known(), Instant::now()),
            Clients::None => self.lookout.clients_left(Instant::now()),
        }
        self.update_wish();
    }

    /// Clients want something else.
    pub(super) fn asked(&mut self) {
        self.update_wish();
        if *self.hub_wish.borrow() == ScanWish::Scan {
            self.look_anew();
        }
    }

    /// Tells also buses that scan already: it may be that they tell of each device once.
    pub(super) fn look_anew(&self) {
        if *self.wish.borrow() == ScanWish::Scan {
            self.wish.send_modify(|_| ());
        }
    }

    /// A missing device is looked for where it can be: one with an address of Bluetooth there, another on the other buses.
    pub(super) fn update_wish(&mut self) {
        let by_clients = *self.hub_wish.borrow_and_update();
        let (by_radio, elsewhere): (BTreeSet<String>, BTreeSet<String>) =
            self.lookout.sought().into_iter().partition(|address| ble::is_address(address));
        let looks = self.lookout.wants_scan();
        let scan = |sought: &BTreeSet<String>| match by_clients {
            ScanWish::Rest if looks && !sought.is_empty() => ScanWish::Scan,
            ScanWish::Rest | ScanWish::Scan => by_clients,
        };
        replace(&self.wish, scan(&elsewhere));
        let scan = scan(&by_radio);
        let whom = match by_clients {
            ScanWish::Scan => Whom::Anyone,
            ScanWish::Rest => Whom::These(by_radio),
        };
        replace(&self.search, Search { scan, whom });
    }
}

/// Tells only what is new: every word wakes a bus.
fn replace<T: PartialEq>(told: &watch::Sender<T>, new: T) {
    told.send_if_modified(|current| {
        let changes = *current != new;
        *current = new;
        changes
    });
}
