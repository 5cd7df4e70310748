//! What is remembered of devices: their indexes for life, in a file, and their failures, in memory.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use engine::{
    definition::{
        catalogue::{Candidate, Catalogue},
        indices::{Assigned, BookError, BookState, DeviceKey, IndexBook, WishState},
    },
    vocabulary::DeviceIndex,
};
use tokio::{task, time::Instant};

use super::Place;
use crate::{
    device_task::{Reached, TaskId},
    journal::replace,
};

/// The name of the file in the folder of the service's state.
const FILE: &str = "devices.toml";
/// The time before a device that failed is tried again. Doubles with each failure.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest time before a device that failed is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// The time before a device that may not be used is tried again: longer than the service runs. A reload ends it.
const REFUSED_PAUSE: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);
/// Devices whose failures are remembered. With more, those are forgotten whose pause ends first.
const MOST_REMEMBERED: usize = 256;

/// Why the indexes of known devices cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The file cannot be read.
    #[error("cannot read the indexes of known devices from {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file does not have what it should.
    #[error("the indexes of known devices in {} cannot be used: {source}; mend the file, or remove it to begin anew", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: BookError,
    },
}

/// Reads which devices have an index, from the folder of the service's state.
///
/// # Errors
/// The file is there and cannot be read.
pub fn known_devices(folder: &Path) -> Result<IndexBook, MemoryError> {
    let path = folder.join(FILE);
    match fs::read_to_string(&path) {
        Ok(text) => IndexBook::load(&text).map_err(|source| MemoryError::Broken { path, source }),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(IndexBook::default()),
        Err(source) => Err(MemoryError::Unreadable { path, source }),
    }
}

/// The indexes of known devices.
#[derive(Debug)]
pub(super) struct Indexes {
    path: PathBuf,
    book: IndexBook,
    file: OnDisk,
}

/// Whether the file has what the memory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OnDisk {
    Same,
    Behind,
}

/// The index that a device has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) index: DeviceIndex,
    /// The one that it had before, if this is another.
    pub(super) replaced: Option<DeviceIndex>,
}

impl Indexes {
    pub(super) fn open(folder: &Path) -> Result<Self, MemoryError> {
        Ok(Self { path: folder.join(FILE), book: known_devices(folder)?, file: OnDisk::Same })
    }

    /// All devices that have an index.
    pub(super) fn devices(&self) -> impl Iterator<Item = (&DeviceKey, DeviceIndex)> {
        self.book.devices()
    }

    /// The addresses of the devices that have these indexes, whatever their bus.
    pub(super) fn addresses(&self, of: &BTreeSet<DeviceIndex>) -> Vec<String> {
        self.book.addresses(of).map(str::to_owned).collect()
    }

    /// The devices that have an index and, as far as the definitions tell, may be used.
    pub(super) fn known<'a>(&'a self, catalogue: &'a Catalogue) -> impl Iterator<Item = &'a DeviceKey> {
        let may_be_used =
            |key: &&DeviceKey| catalogue.resolve(&key.protocol, &key.identifier, &key.address).is_ok();
        self.book.devices().map(|(key, _)| key).filter(may_be_used)
    }

    /// The index of a device, which it gets now if it has none. It is to be [saved](Self::save).
    pub(super) fn index(&mut self, key: &DeviceKey, wish: Option<u32>, reserved: &BTreeSet<u32>) -> Given {
        let before = self.book.get(key);
        let assigned = self.book.assign(key, wish, reserved);
        warn_if_taken(&assigned, wish);
        if assigned.book == BookState::Changed {
            self.file = OnDisk::Behind;
        }
        Given { index: assigned.index, replaced: before.filter(|before| *before != assigned.index) }
    }

    /// The index that a device would get now.
    pub(super) fn index_to_come(
        &self,
        key: &DeviceKey,
        wish: Option<u32>,
        reserved: &BTreeSet<u32>,
    ) -> DeviceIndex {
        let assigned = self.book.would_assign(key, wish, reserved);
        warn_if_taken(&assigned, wish);
        assigned.index
    }

    /// Writes to the file what it has not. Where that fails, the next call tries again.
    pub(super) fn save(&mut self) -> OnDisk {
        if self.file == OnDisk::Behind {
            match replace(&self.path, &self.book.save()) {
                Ok(()) => self.file = OnDisk::Same,
                Err(error) => {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "cannot save the index of a device; it may get another after a restart");
                }
            }
        }
        self.file
    }
}

fn warn_if_taken(assigned: &Assigned, wish: Option<u32>) {
    match assigned.wish {
        WishState::Followed => {}
        WishState::Taken => {
            tracing::warn!(index = %assigned.index, wish, "another device has the index that the user wants for one");
        }
    }
}

/// What went wrong with a device.
#[derive(Debug)]
struct Failure<D> {
    count: u32,
    /// How many candidates turned out to be wrong.
    passed_over: usize,
    until: Instant,
    /// The newest sight of it, to be tried then.
    seen: Option<D>,
}

/// Devices that failed, each with the time before which it is not tried again.
#[derive(Debug)]
pub(super) struct Attempts<D> {
    failures: BTreeMap<Place, Failure<D>>,
    tasks: HashMap<task::Id, TaskId>,
}

impl<D> Default for Attempts<D> {
    fn default() -> Self {
        Self { failures: BTreeMap::new(), tasks: HashMap::new() }
    }
}

impl<D> Attempts<D> {
    /// Gives the sight back if the device may be tried now; else it is kept until it may.
    pub(super) fn may_try(&mut self, place: &Place, seen: D, now: Instant) -> Option<D> {
        match self.failures.get_mut(place) {
            Some(failure) if failure.until > now => {
                failure.seen = Some(seen);
                None
            }
            Some(_) | None => Some(seen),
        }
    }

    /// A device that waited to be tried again is not there any more. What is found where it was seen would be another.
    pub(super) fn gone(&mut self, place: &Place) {
        if let Some(failure) = self.failures.get_mut(place) {
            failure.seen = None;
        }
    }

    /// The best candidate that has not turned out to be wrong; after the last the first again.
    pub(super) fn pick<'a>(&self, place: &Place, candidates: &'a [Candidate]) -> Option<&'a Candidate> {
        let passed_over = self.failures.get(place).map_or(0, |failure| failure.passed_over);
        candidates.get(passed_over.checked_rem(candidates.len())?)
    }

    /// A task began for a device.
    pub(super) fn began(&mut self, task: task::Id, id: TaskId) {
        self.tasks.insert(task, id);
    }

    /// The device task behind a task of the runtime that has ended. It is forgotten.
    pub(super) fn task(&mut self, task: task::Id) -> Option<TaskId> {
        self.tasks.remove(&task)
    }

    /// A device worked.
    pub(super) fn succeeded(&mut self, place: &Place) {
        self.failures.remove(place);
    }

    /// A device may not be used: it is let alone until the definitions or the user's rules are read again.
    pub(super) fn refused(&mut self, place: Place, now: Instant) {
        self.failure(place, now).until = now + REFUSED_PAUSE;
    }

    fn failure(&mut self, place: Place, now: Instant) -> &mut Failure<D> {
        if self.failures.len() >= MOST_REMEMBERED && !self.failures.contains_key(&place) {
            let first =
                self.failures.iter().min_by_key(|(_, failure)| failure.until).map(|(place, _)| place.clone());
            if let Some(first) = first {
                self.failures.remove(&first);
            }
        }
        self.failures.entry(place).or_insert(Failure { count: 0, passed_over: 0, until: now, seen: None })
    }

    /// A device failed.
    pub(super) fn failed(&mut self, place: Place, reached: Reached, now: Instant) {
        let failure = self.failure(place, now);
        let doubled = 1_u32.checked_shl(failure.count).unwrap_or(u32::MAX);
        failure.until = now + FIRST_PAUSE.saturating_mul(doubled).min(LONGEST_PAUSE);
        failure.count = failure.count.saturating_add(1);
        match reached {
            Reached::Mismatch => failure.passed_over = failure.passed_over.saturating_add(1),
            Reached::Nothing | Reached::Open | Reached::Ready => {}
        }
    }

    /// When the next device that waits may be tried.
    pub(super) fn next(&self) -> Option<Instant> {
        self.failures.values().filter(|failure| failure.seen.is_some()).map(|failure| failure.until).min()
    }

    /// The devices that waited and may be tried now.
    pub(super) fn due(&mut self, now: Instant) -> Vec<D> {
        let due = self.failures.values_mut().filter(|failure| failure.until <= now);
        due.filter_map(|failure| failure.seen.take()).collect()
    }

    /// The definitions changed: what was wrong may be right now.
    pub(super) fn forget(&mut self) {
        let now = Instant::now();
        for failure in self.failures.values_mut() {
            (failure.count, failure.passed_over, failure.until) = (0, 0, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        ("bluetooth", "aa".to_owned())
    }

    #[test]
    fn a_device_that_fails_is_tried_less_and_less_often_and_its_newest_sight_is_kept() {
        let mut attempts = Attempts::default();
        let start = Instant::now();
        assert_eq!(attempts.may_try(&place(), 1, start), Some(1));
        attempts.failed(place(), Reached::Open, start);
        assert_eq!(attempts.may_try(&place(), 2, start), None);
        assert_eq!(attempts.may_try(&place(), 3, start), None);
        let first = start + FIRST_PAUSE;
        assert_eq!(attempts.next(), Some(first));
        assert_eq!(attempts.due(first), [3]);
        attempts.failed(place(), Reached::Open, first);
        assert_eq!(attempts.may_try(&place(), 4, first + FIRST_PAUSE), None);
        assert_eq!(attempts.due(first + 2 * FIRST_PAUSE), [4]);
        attempts.failed(place(), Reached::Open, first);
        assert_eq!(attempts.may_try(&place(), 5, first), None);
        attempts.gone(&place());
        assert!(attempts.due(first + LONGEST_PAUSE).is_empty());
        attempts.succeeded(&place());
        assert_eq!(attempts.may_try(&place(), 6, first), Some(6));
    }

    #[test]
    fn a_device_that_may_not_be_used_is_let_alone_until_the_rules_are_read_again() {
        let mut attempts = Attempts::default();
        let start = Instant::now();
        attempts.refused(place(), start);
        let later = start + 100 * LONGEST_PAUSE;
        assert_eq!(attempts.may_try(&place(), 1, later), None);
        assert!(attempts.due(later).is_empty());
        attempts.forget();
        assert_eq!(attempts.due(Instant::now()), [1]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut attempts = Attempts::<()>::default();
        for number in 0..2 * MOST_REMEMBERED {
            attempts.failed(("bluetooth", number.to_string()), Reached::Nothing, Instant::now());
        }
        assert_eq!(attempts.failures.len(), MOST_REMEMBERED);
    }

    #[test]
    fn an_index_that_could_not_be_saved_is_saved_with_the_next() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        fs::write(&state, "no folder").unwrap();
        let key = DeviceKey { protocol: "p".into(), identifier: "i".into(), address: "a".into() };
        let mut indexes = Indexes { path: state.join(FILE), book: IndexBook::default(), file: OnDisk::Same };
        indexes.index(&key, None, &BTreeSet::new());
        assert_eq!(indexes.save(), OnDisk::Behind);

        fs::remove_file(&state).unwrap();
        indexes.index(&key, None, &BTreeSet::new());
        assert_eq!(indexes.save(), OnDisk::Same);
        assert_eq!(known_devices(&state).unwrap().get(&key), Some(DeviceIndex(0)));
    }

    #[test]
    fn an_index_survives_and_a_broken_file_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let key = |address: &str| DeviceKey {
            protocol: "p".into(),
            identifier: "i".into(),
            address: address.into(),
        };
        let none = BTreeSet::new();
        let new = |index| Given { index: DeviceIndex(index), replaced: None };
        let mut indexes = Indexes::open(folder.path()).unwrap();
        assert_eq!(indexes.index(&key("a"), None, &none), new(0));
        assert_eq!(indexes.index(&key("b"), None, &none), new(1));
        assert_eq!(indexes.save(), OnDisk::Same);
        let mut indexes = Indexes::open(folder.path()).unwrap();
        assert_eq!(indexes.index(&key("b"), None, &none), new(1));
        assert_eq!(indexes.index_to_come(&key("b"), Some(7), &none), DeviceIndex(7));
        let moved = Given { index: DeviceIndex(7), replaced: Some(DeviceIndex(1)) };
        assert_eq!(indexes.index(&key("b"), Some(7), &none), moved);

        fs::write(folder.path().join(FILE), "nonsense").unwrap();
        assert!(matches!(Indexes::open(folder.path()), Err(MemoryError::Broken { .. })));
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "nonsense");
    }
}
