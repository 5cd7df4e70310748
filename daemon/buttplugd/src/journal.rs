//! Which devices may be running, kept in a file, so that a service that starts after a crash can stop them.
//!
//! The state of a device says when: before the first packet that sets it going, and once its rest is confirmed. The file is replaced
//! before anything else is done for that device. It is meant for the crash of the
//! service, not of the machine: what has been written survives the process without being flushed to the disk, and the first
//! command does not wait for a disk.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use engine::{device::Motion, vocabulary::DeviceIndex};

/// The name of the file in the folder of the service's state.
const FILE: &str = "running";

/// The journal. Each device task has a copy of this handle: what one writes down has to be there before it goes on, so that it
/// cannot be a message to somebody.
#[derive(Debug, Clone)]
pub struct RunningJournal(Arc<Mutex<Pages>>);

/// What is written down, and where.
#[derive(Debug)]
struct Pages {
    path: PathBuf,
    running: BTreeSet<DeviceIndex>,
}

impl RunningJournal {
    /// Opens the journal in this folder and tells which devices it names. One that cannot be read is an empty one, with a line in
    /// the log: the service must start, so that devices can be stopped at all.
    #[must_use]
    pub fn open(folder: &Path) -> (Self, BTreeSet<DeviceIndex>) {
        let path = folder.join(FILE);
        let running = match fs::read_to_string(&path) {
            Ok(text) => text.lines().filter_map(|line| line.trim().parse().ok()).map(DeviceIndex).collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeSet::new(),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "cannot read which devices were left running");
                BTreeSet::new()
            }
        };
        let pages = Pages { path, running: running.clone() };
        (Self(Arc::new(Mutex::new(pages))), running)
    }

    /// Writes it down before returning. A failure is logged and does not keep a device from being driven.
    pub fn note(&self, device: DeviceIndex, motion: Motion) {
        // What a panic left half done is a set with one device more or less, which this call mends.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).note(device, motion);
    }
}

impl Pages {
    fn save(&self) -> io::Result<()> {
        let text: String = self.running.iter().map(|index| format!("{index}\n")).collect();
        replace(&self.path, &text)
    }

    fn note(&mut self, device: DeviceIndex, motion: Motion) {
        let changed = match motion {
            Motion::MayRun => self.running.insert(device),
            Motion::AtRest => self.running.remove(&device),
        };
        if !changed {
            return;
        }
        if let Err(error) = self.save() {
            let path = self.path.display();
            tracing::error!(%path, %error, "cannot note that a device may be running; after a crash it would not be stopped");
        }
    }
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
}
