//! Which devices may be running, kept in a file, so that a service that starts after a crash can stop them.
//!
//! The state of a device says when: before the first packet that sets it going, and once its rest is confirmed. That it may run is
//! written before anything else is done for it, as one short line (`+3`); its rest (`-3`) only when it has lasted, so that a pattern that
//! goes on and off at every beat writes nothing. A rest that a crash keeps out of the file costs one stop too many. Now and then the file
//! is replaced by what still holds.
//!
//! It is meant for the crash of the service, not of the machine: what has been written survives the process without being flushed to the
//! disk, and the first command does not wait for a disk.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use engine::{device::Motion, vocabulary::DeviceIndex};
use tokio::time::Instant;

/// The name of the file in the folder of the service's state.
const FILE: &str = "running";

/// Lines that are added before the file is replaced by what still holds: about a page of the disk.
const MOST_LINES: u32 = 1024;

/// A rest that has lasted so long is written down.
const SETTLES: Duration = Duration::from_secs(1);

/// The pause before what could not be written is written again.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

/// The journal. Each device task has a copy of this handle: what one writes down has to be there before it goes on, so that it
/// cannot be a message to somebody.
#[derive(Debug, Clone)]
pub struct RunningJournal(Arc<Mutex<Pages>>);

/// What is written down, and where.
#[derive(Debug)]
struct Pages {
    path: PathBuf,
    running: BTreeSet<DeviceIndex>,
    file: OnDisk,
}

/// The file of this run.
#[derive(Debug)]
enum OnDisk {
    /// It is that of the last run, which says the same.
    Untouched,
    /// It was written as a whole, and is open at its end.
    Open(Open),
    /// A write failed: it does not say what holds.
    Behind,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Lines added since it was written as a whole.
    lines: u32,
}

impl RunningJournal {
    /// Opens the journal in this folder and tells which devices it names. One that cannot be read is an empty one, with a line in
    /// the log: the service must start, so that devices can be stopped at all. What can be read of a spoilt one holds.
    #[must_use]
    pub fn open(folder: &Path) -> (Self, BTreeSet<DeviceIndex>) {
        let path = folder.join(FILE);
        let running = match fs::read(&path) {
            Ok(text) => read(&String::from_utf8_lossy(&text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot read which devices were left running");
                BTreeSet::new()
            }
        };
        let pages = Pages { path, running: running.clone(), file: OnDisk::Untouched };
        (Self(Arc::new(Mutex::new(pages))), running)
    }

    /// What is written down of a device.
    #[must_use]
    pub fn motion(&self, device: DeviceIndex) -> Motion {
        let pages = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if pages.running.contains(&device) { Motion::MayRun } else { Motion::AtRest }
    }

    /// Writes it down before returning. A failure is logged and does not keep a device from being driven.
    pub fn note(&self, device: DeviceIndex, motion: Motion) -> Noted {
        // What a panic left half done is a set with one device more or less, which this call mends.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(device, motion)
    }
}

/// Whether the file says what holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    /// It does.
    Written,
    /// It could not be written.
    Unwritten,
}

/// The journal in the hands of a device's task: when its rest is written down, and again what could not be.
#[derive(Debug)]
pub struct DeviceNotes {
    journal: RunningJournal,
    resting: Option<Resting>,
    /// A device that may run and is not written down. Nobody says so a second time while it runs on.
    unwritten: Option<DeviceIndex>,
    /// When to look. It stays when a rest ends, since a timer that is set anew at every beat costs more than one that finds nothing.
    look_at: Option<Instant>,
}

/// A rest that is confirmed and not yet written down.
#[derive(Debug, Clone, Copy)]
struct Resting {
    device: DeviceIndex,
    due: Instant,
}

impl DeviceNotes {
    /// Nothing is noted yet.
    #[must_use]
    pub fn new(journal: RunningJournal) -> Self {
        Self { journal, resting: None, unwritten: None, look_at: None }
    }

    /// That it may run is written down before this returns, unless it is there still.
    pub fn note(&mut self, device: DeviceIndex, motion: Motion) {
        match motion {
            Motion::MayRun => {
                self.resting = None;
                self.write_running(device);
            }
            Motion::AtRest => {
                self.unwritten = None;
                let due = Instant::now() + SETTLES;
                self.resting = Some(Resting { device, due });
                self.look_at.get_or_insert(due);
            }
        }
    }

    /// When [`Self::settle`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.look_at
    }

    /// Writes a rest down that has lasted, or once more what could not be written.
    pub fn settle(&mut self) {
        let now = Instant::now();
        if self.look_at.is_none_or(|look_at| look_at > now) {
            return;
        }
        self.look_at = self.resting.map(|resting| resting.due).filter(|due| *due > now);
        if self.look_at.is_none() {
            self.write_rest();
        }
        if let Some(device) = self.unwritten {
            self.write_running(device);
        }
    }

    fn write_running(&mut self, device: DeviceIndex) {
        self.unwritten = match self.journal.note(device, Motion::MayRun) {
            Noted::Written => None,
            Noted::Unwritten => {
                self.look_at.get_or_insert(Instant::now() + WRITE_AGAIN);
                Some(device)
            }
        };
    }

    fn write_rest(&mut self) {
        if let Some(resting) = self.resting.take() {
            self.journal.note(resting.device, Motion::AtRest);
        }
    }
}

/// However the task ends: the rest was confirmed.
impl Drop for DeviceNotes {
    fn drop(&mut self) {
        self.write_rest();
    }
}

impl Pages {
    /// Adds a line, or writes the whole if that cannot be.
    fn write(&mut self, device: DeviceIndex, motion: Motion) -> io::Result<()> {
        if let OnDisk::Open(open) = &mut self.file
            && open.lines < MOST_LINES
            && open.add(device, motion).is_ok()
        {
            return Ok(());
        }
        let text: String = self.running.iter().map(|index| format!("+{index}\n")).collect();
        replace(&self.path, &text)?;
        let file = OpenOptions::new().append(true).open(&self.path)?;
        self.file = OnDisk::Open(Open { file, lines: 0 });
        Ok(())
    }

    fn note(&mut self, device: DeviceIndex, motion: Motion) -> Noted {
        let changed = match motion {
            Motion::MayRun => self.running.insert(device),
            Motion::AtRest => self.running.remove(&device),
        };
        let was_behind = matches!(self.file, OnDisk::Behind);
        if !changed && !was_behind {
            return Noted::Written;
        }
        match self.write(device, motion) {
            Ok(()) => {
                if was_behind {
                    tracing::info!(path = %self.path.display(), "devices that may be running are noted again");
                }
                Noted::Written
            }
            Err(error) => {
                self.file = OnDisk::Behind;
                // Once: a pattern would say it at every beat.
                if !was_behind {
                    let path = self.path.display();
                    tracing::error!(%path, %error, "cannot note that a device may be running; after a crash it would not be stopped");
                }
                Noted::Unwritten
            }
        }
    }
}

impl Open {
    /// Adds a line.
    ///
    /// # Errors
    /// It cannot be written, or only a part of it; or somebody has removed the file.
    fn add(&mut self, device: DeviceIndex, motion: Motion) -> io::Result<()> {
        if self.file.metadata()?.nlink() == 0 {
            return Err(io::ErrorKind::NotFound.into());
        }
        let sign = match motion {
            Motion::MayRun => '+',
            Motion::AtRest => '-',
        };
        let line = format!("{sign}{device}\n");
        // At once or not at all: half a line would spoil the next one.
        if self.file.write(line.as_bytes())? < line.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.lines += 1;
        Ok(())
    }
}

/// What holds after all lines. A line without an end was never wholly written, and says nothing; a number alone is one that runs.
fn read(text: &str) -> BTreeSet<DeviceIndex> {
    let mut running = BTreeSet::new();
    for line in text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')) {
        let (motion, index) = match line.strip_prefix('-') {
            Some(index) => (Motion::AtRest, index),
            None => (Motion::MayRun, line.strip_prefix('+').unwrap_or(line)),
        };
        match (motion, index.parse().map(DeviceIndex)) {
            (Motion::MayRun, Ok(index)) => {
                running.insert(index);
            }
            (Motion::AtRest, Ok(index)) => {
                running.remove(&index);
            }
            (_, Err(_)) => tracing::warn!(line, "a line of the journal of running devices cannot be read"),
        }
    }
    running
}

/// Replaces a file as a whole: a reader sees the old text or the new one.
///
/// # Errors
/// The folder cannot be made or written to.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_running_is_known_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("not/yet/there");
        let (journal, left) = RunningJournal::open(&below);
        assert_eq!(left, BTreeSet::new());
        journal.note(DeviceIndex(3), Motion::MayRun);
        journal.note(DeviceIndex(7), Motion::MayRun);
        journal.note(DeviceIndex(3), Motion::AtRest);
        drop(journal);
        let (_, left) = RunningJournal::open(&below);
        assert_eq!(left, BTreeSet::from([DeviceIndex(7)]));
    }

    #[test]
    fn a_pattern_that_goes_on_and_off_does_not_grow_the_file_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = RunningJournal::open(folder.path());
        journal.note(DeviceIndex(1), Motion::MayRun);
        for _ in 0..5_000 {
            journal.note(DeviceIndex(2), Motion::MayRun);
            journal.note(DeviceIndex(2), Motion::AtRest);
        }
        assert!(fs::metadata(folder.path().join(FILE)).unwrap().len() < 4_096);
        assert_eq!(RunningJournal::open(folder.path()).1, BTreeSet::from([DeviceIndex(1)]));
        // A crash at this very moment, amid a beat.
        journal.note(DeviceIndex(2), Motion::MayRun);
        assert_eq!(RunningJournal::open(folder.path()).1, BTreeSet::from([DeviceIndex(1), DeviceIndex(2)]));
    }

    #[test]
    fn a_file_that_somebody_removes_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let (journal, _) = RunningJournal::open(folder.path());
        journal.note(DeviceIndex(1), Motion::MayRun);
        fs::remove_file(folder.path().join(FILE)).unwrap();
        journal.note(DeviceIndex(2), Motion::MayRun);
        assert_eq!(RunningJournal::open(folder.path()).1, BTreeSet::from([DeviceIndex(1), DeviceIndex(2)]));
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_not_be_written_is_written_as_soon_as_that_can_be() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let named = || RunningJournal::open(&state).1;
        let (journal, _) = RunningJournal::open(&state);
        journal.note(DeviceIndex(1), Motion::MayRun);
        fs::remove_dir_all(&state).unwrap();
        fs::write(&state, "no folder").unwrap();
        let mut notes = DeviceNotes::new(journal.clone());
        notes.note(DeviceIndex(2), Motion::MayRun);
        assert_eq!(journal.note(DeviceIndex(2), Motion::MayRun), Noted::Unwritten);
        fs::remove_file(&state).unwrap();
        assert_eq!(journal.note(DeviceIndex(2), Motion::MayRun), Noted::Written);
        assert_eq!(named(), BTreeSet::from([DeviceIndex(1), DeviceIndex(2)]));

        // One that runs on is noted once: its task has to see to it.
        fs::remove_dir_all(&state).unwrap();
        fs::write(&state, "no folder").unwrap();
        notes.note(DeviceIndex(3), Motion::MayRun);
        for _ in 0..3 {
            tokio::time::sleep_until(notes.deadline().unwrap()).await;
            notes.settle();
        }
        fs::remove_file(&state).unwrap();
        tokio::time::sleep_until(notes.deadline().unwrap()).await;
        notes.settle();
        assert_eq!(named(), BTreeSet::from([DeviceIndex(1), DeviceIndex(2), DeviceIndex(3)]));
        assert_eq!(notes.deadline(), None);
    }

    #[test]
    fn bytes_that_are_no_text_spoil_their_own_line_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), b"+1\n+\xff\n+2\n-1\n").unwrap();
        let (journal, left) = RunningJournal::open(folder.path());
        assert_eq!(left, BTreeSet::from([DeviceIndex(2)]));
        journal.note(DeviceIndex(3), Motion::MayRun);
        assert_eq!(RunningJournal::open(folder.path()).1, BTreeSet::from([DeviceIndex(2), DeviceIndex(3)]));
    }

    #[test]
    fn half_a_line_spoils_nothing() {
        assert_eq!(read("+1\n+12\n-1"), BTreeSet::from([DeviceIndex(1), DeviceIndex(12)]));
        assert_eq!(read("rubbish\n3\n-\n+4\n-3\n"), BTreeSet::from([DeviceIndex(4)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pattern_writes_once_and_its_rest_when_that_has_lasted() {
        let folder = tempfile::tempdir().unwrap();
        let lines = || fs::read_to_string(folder.path().join(FILE)).unwrap();
        let (journal, _) = RunningJournal::open(folder.path());
        let mut notes = DeviceNotes::new(journal.clone());
        for _ in 0..100 {
            notes.note(DeviceIndex(3), Motion::MayRun);
            notes.note(DeviceIndex(3), Motion::AtRest);
            tokio::time::advance(SETTLES / 2).await;
            notes.settle();
        }
        assert_eq!(lines(), "+3\n");
        tokio::time::sleep_until(notes.deadline().unwrap()).await;
        notes.settle();
        assert_eq!((lines().as_str(), notes.deadline()), ("+3\n-3\n", None));

        notes.note(DeviceIndex(3), Motion::MayRun);
        notes.note(DeviceIndex(3), Motion::AtRest);
        drop(notes);
        assert_eq!(
            RunningJournal::open(folder.path()).1,
            BTreeSet::new(),
            "the end of the task writes it too"
        );

        let mut notes = DeviceNotes::new(journal);
        notes.note(DeviceIndex(3), Motion::MayRun);
        drop(notes);
        assert_eq!(RunningJournal::open(folder.path()).1, BTreeSet::from([DeviceIndex(3)]));
    }
}
