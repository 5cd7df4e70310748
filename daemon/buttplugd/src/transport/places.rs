//! Watches paths that may come to be: a symbolic link that a udev rule makes, a pseudo terminal, a folder on the way to one.
//!
//! The kernel tells of these only as changes of a folder (inotify). What is at the path is not looked at here.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    fs, io,
    mem::MaybeUninit,
    os::{fd::OwnedFd, unix::ffi::OsStrExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use tokio::io::{Interest, unix::AsyncFd};

use super::ready::waitable;

/// Symbolic links that are followed from a path to what it means; the kernel follows 40.
const MOST_LINKS: usize = 8;
/// Room for a good number of events. What does not fit is read next.
const BUFFER: usize = 4096;

/// Folders with the names in them that matter.
type Folders = BTreeMap<PathBuf, BTreeSet<OsString>>;

/// The watched paths.
#[derive(Debug, Default)]
pub(super) struct Places {
    folders: Folders,
    /// None while there is nothing to watch.
    events: Option<AsyncFd<OwnedFd>>,
}

impl Places {
    /// Watches these paths from now on. To be said again after each change, since the way to a path may be another then.
    ///
    /// # Errors
    /// The system has no more room for watches.
    pub(super) fn watch(&mut self, paths: &[PathBuf]) -> io::Result<()> {
        let mut folders = Folders::new();
        for path in paths {
            way(path, &mut folders);
        }
        if folders == self.folders {
            return Ok(());
        }
        (self.events, self.folders) = (None, Folders::new());
        if folders.is_empty() {
            return Ok(());
        }
        let events = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR;
        for folder in folders.keys() {
            // One that went between two looks is found missing at the next.
            if let Err(error) = inotify::add_watch(&events, folder, flags) {
                tracing::debug!(folder = %folder.display(), %error, "a folder is not watched");
            }
        }
        (self.events, self.folders) = (Some(waitable(events, Interest::READABLE)?), folders);
        Ok(())
    }

    /// Waits until something happened at one of the paths. Cancel-safe. Never ends when nothing is watched.
    ///
    /// # Errors
    /// The watch is broken.
    pub(super) async fn changed(&mut self) -> io::Result<()> {
        let Some(events) = &self.events else { return std::future::pending().await };
        loop {
            let mut ready = events.readable().await?;
            let mut buffer = [MaybeUninit::uninit(); BUFFER];
            let mut reader = Reader::new(events.get_ref(), &mut buffer);
            let mut matters = false;
            loop {
                match reader.next() {
                    Ok(event) => {
                        let lost = ReadFlags::QUEUE_OVERFLOW | ReadFlags::IGNORED;
                        matters |= event.events().intersects(lost)
                            || event.file_name().is_some_and(|name| self.is_named(name.to_bytes()));
                    }
                    Err(rustix::io::Errno::AGAIN) => break,
                    Err(rustix::io::Errno::INTR) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            ready.clear_ready();
            if matters {
                return Ok(());
            }
        }
    }

    fn is_named(&self, name: &[u8]) -> bool {
        self.folders.values().any(|names| names.contains(OsStr::from_bytes(name)))
    }
}

/// Adds the folders in which a change may make the path mean something else.
fn way(path: &Path, folders: &mut Folders) {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let mut below = path.as_path();
        while let (Some(folder), Some(name)) = (below.parent(), below.file_name()) {
            if folder.is_dir() {
                folders.entry(folder.to_owned()).or_default().insert(name.to_owned());
                break;
            }
            below = folder;
        }
        let Ok(target) = fs::read_link(&path) else { return };
        path = path.parent().unwrap_or(Path::new("/")).join(target);
    }
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::symlink, time::Duration};

    use tokio::time::timeout;

    use super::*;

    async fn changes(places: &mut Places) {
        timeout(Duration::from_secs(10), places.changed()).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_path_is_seen_to_come_over_folders_that_are_not_there_yet_and_over_links() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join("ports");
        let port = folder.join("one");
        let paths = [port.clone()];
        let mut places = Places::default();
        places.watch(&paths).unwrap();
        fs::create_dir(&folder).unwrap();
        changes(&mut places).await;
        places.watch(&paths).unwrap();
        symlink(home.path().join("target"), &port).unwrap();
        changes(&mut places).await;
        places.watch(&paths).unwrap();
        fs::write(home.path().join("other"), "").unwrap();
        fs::write(home.path().join("target"), "").unwrap();
        changes(&mut places).await;
        fs::remove_file(&port).unwrap();
        changes(&mut places).await;
    }
}
