//! Which devices may be running, kept in a file, so that a service that starts after a crash can stop them.
//!
//! The file is written before a device is set going, and again when its rest is confirmed. It is meant for the crash of the
//! service, not of the machine: what has been written survives the process without being flushed to the disk, and the first
//! command does not wait for a disk.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use engine::{router::Running, vocabulary::DeviceIndex};

use crate::hub::Journal;

/// The name of the file in the folder of the service's state.
const FILE: &str = "running";

/// The journal.
#[derive(Debug)]
pub struct RunningJournal {
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
        (Self { path, running: running.clone() }, running)
    }

    fn save(&self) -> io::Result<()> {
        let text: String = self.running.iter().map(|index| format!("{index}\n")).collect();
        replace(&self.path, &text)
    }
}

impl Journal for RunningJournal {
    fn note(&mut self, device: DeviceIndex, running: Running) {
        let changed = match running {
            Running::Perhaps => self.running.insert(device),
            Running::No => self.running.remove(&device),
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
        let (mut journal, left) = RunningJournal::open(&below);
        assert_eq!(left, BTreeSet::new());
        journal.note(DeviceIndex(3), Running::Perhaps);
        journal.note(DeviceIndex(7), Running::Perhaps);
        journal.note(DeviceIndex(3), Running::No);
        drop(journal);
        let (_, left) = RunningJournal::open(&below);
        assert_eq!(left, BTreeSet::from([DeviceIndex(7)]));
    }
}
