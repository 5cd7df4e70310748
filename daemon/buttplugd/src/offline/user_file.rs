//! The files of the user that this program writes: read and replaced as a whole, one change after the other.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use super::OfflineError;

/// A file that is about to be changed. No other change is made as long as this value lives.
#[derive(Debug)]
pub(super) struct UserFile {
    path: PathBuf,
    text: String,
    /// Its lock is what keeps others out.
    _folder: File,
}

impl UserFile {
    /// Makes the folder if there is none, waits for other changes in it, and reads the file, of which a missing one is empty.
    pub(super) fn open(path: PathBuf) -> Result<Self, OfflineError> {
        let locked = || {
            let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
            fs::create_dir_all(folder)?;
            let folder = File::open(folder)?;
            folder.lock()?;
            Ok::<_, io::Error>(folder)
        };
        let folder = locked().map_err(|source| OfflineError::Unwritable { path: path.clone(), source })?;
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => String::new(),
            Err(source) => return Err(OfflineError::Unreadable { path, source }),
        };
        Ok(Self { path, text, _folder: folder })
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Its path as definitions are known by.
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// What it says; empty if there is none.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Keeps what it said beside, with the ending `.old`.
    pub(super) fn keep_old(&self) -> Result<(), OfflineError> {
        let mut old = self.path.clone().into_os_string();
        old.push(".old");
        write_whole(Path::new(&old), &self.text)
    }

    /// Replaces it: a reader sees the old text or the new one, whatever happens meanwhile.
    pub(super) fn replace(self, text: &str) -> Result<(), OfflineError> {
        // A link to a file that is kept elsewhere stays a link.
        let real = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        write_whole(&real, text)
    }
}

fn write_whole(path: &Path, text: &str) -> Result<(), OfflineError> {
    let write = || {
        // Hidden, so that it is not taken for a definition, and not left behind when writing fails.
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = path.with_file_name(format!(".{name}.new"));
        let written = (|| {
            let mut file = File::create(&beside)?;
            file.write_all(text.as_bytes())?;
            if let Ok(facts) = fs::metadata(path) {
                file.set_permissions(facts.permissions())?;
            }
            file.sync_all()?;
            fs::rename(&beside, path)
        })();
        if written.is_err() {
            fs::remove_file(&beside).ok();
        }
        written
    };
    write().map_err(|source| OfflineError::Unwritable { path: path.to_owned(), source })
}
