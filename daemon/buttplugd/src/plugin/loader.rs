//! Finds the table of a protocol: in the plugins that are linked in, or in a library that is loaded when first needed.
//!
//! A library passes all checks or is refused as a whole, with the reason as a [`LoadError`]. What was loaded stays loaded until
//! the process ends: unloading code with thread-locals and statics is not sound, so an upgrade means a restart.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use plugin_abi as abi;
use tokio::sync::oneshot;

use super::refusal::{LOAD_LIMIT, LoadError};
use super::table::{Plugin, Table, Trust, check_entry};

/// Where the code of a protocol is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code<'a> {
    /// In a plugin that is linked in.
    LinkedIn,
    /// In this file.
    Library(&'a Path),
}

/// What is known of a plugin that is in use, for status and logs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// The file; `None` for one that is linked in.
    pub path: Option<PathBuf>,
    /// The plugin's own name.
    pub id: String,
    /// The plugin's own version.
    pub version: String,
    /// The names of its protocols.
    pub protocols: Vec<String>,
}

/// All plugins that are in use. Libraries are loaded by [`PluginHost::table`] when they are first needed.
#[derive(Debug)]
pub struct PluginHost {
    linked_in: Vec<Plugin>,
    libraries: BTreeMap<PathBuf, Result<Plugin, Arc<LoadError>>>,
}

impl PluginHost {
    /// A host with the plugins that are linked in, and no library yet.
    ///
    /// # Errors
    /// What is wrong with one of them; they go through the same checks as a library.
    pub fn new(linked_in: &[abi::StaticEntry]) -> Result<Self, LoadError> {
        let mut host = Self { linked_in: Vec::new(), libraries: BTreeMap::new() };
        for entry in linked_in {
            // SAFETY: a `StaticEntry` vouches for its table.
            let plugin = unsafe { check_entry(entry.table(), Trust::Inline) }?;
            host.refuse_duplicates(&plugin)?;
            host.linked_in.push(plugin);
        }
        Ok(host)
    }

    /// The table of a protocol; loads the library if that has not been done yet.
    ///
    /// A library that was refused stays refused, without another try, until [`PluginHost::forget_refusals`].
    ///
    /// # Errors
    /// Why the library was refused, or that it does not have the protocol.
    pub async fn table(&mut self, code: Code<'_>, protocol: &str) -> Result<Table, Arc<LoadError>> {
        let found = match code {
            Code::LinkedIn => {
                self.linked_in.iter().flat_map(|plugin| &plugin.tables).find(|one| one.name == protocol)
            }
            Code::Library(path) => self.library(path).await?.tables.iter().find(|one| one.name == protocol),
        };
        found.copied().ok_or_else(|| {
            let place = match code {
                Code::LinkedIn => "the service itself".to_owned(),
                Code::Library(path) => format!("the plugin {}", path.display()),
            };
            Arc::new(LoadError::NoProtocol { place, protocol: protocol.to_owned() })
        })
    }

    /// Lets libraries that were refused be tried again: the user may have mended them.
    pub fn forget_refusals(&mut self) {
        self.libraries.retain(|_, outcome| outcome.is_ok());
    }

    /// The plugins in use, those that are linked in first.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginInfo> {
        let linked_in = self.linked_in.iter().map(|plugin| plugin_info(None, plugin));
        let loaded = self.libraries.iter().filter_map(|(path, outcome)| {
            let plugin = outcome.as_ref().ok()?;
            Some(plugin_info(Some(path.clone()), plugin))
        });
        linked_in.chain(loaded).collect()
    }

    /// The libraries that were refused, and why.
    pub fn refusals(&self) -> impl Iterator<Item = (&Path, &LoadError)> {
        let refused = self.libraries.iter().map(|(path, outcome)| (path.as_path(), outcome.as_ref().err()));
        refused.filter_map(|(path, error)| error.map(|error| (path, error.as_ref())))
    }

    async fn library(&mut self, path: &Path) -> Result<&Plugin, Arc<LoadError>> {
        if !self.libraries.contains_key(path) {
            let loaded = match load(path).await {
                Ok(plugin) => self.refuse_duplicates(&plugin).map(|()| plugin),
                Err(error) => Err(error),
            };
            match &loaded {
                Ok(plugin) => tracing::info!(plugin = plugin.id, version = plugin.version, "plugin loaded"),
                Err(error) => tracing::error!(error = error as &dyn std::error::Error, "plugin refused"),
            }
            self.libraries.insert(path.to_owned(), loaded.map_err(Arc::new));
        }
        match self.libraries.get(path) {
            Some(Ok(plugin)) => Ok(plugin),
            Some(Err(error)) => Err(error.clone()),
            None => Err(Arc::new(LoadError::NoEntry { path: path.to_owned() })),
        }
    }

    fn refuse_duplicates(&self, plugin: &Plugin) -> Result<(), LoadError> {
        let loaded = self.libraries.values().filter_map(|outcome| outcome.as_ref().ok());
        for other in self.linked_in.iter().chain(loaded) {
            for table in &plugin.tables {
                if other.tables.iter().any(|one| one.name == table.name) {
                    return Err(LoadError::DuplicateProtocol {
                        plugin: plugin.id.to_owned(),
                        protocol: table.name.to_owned(),
                        other: other.id.to_owned(),
                    });
                }
            }
        }
        Ok(())
    }
}

fn plugin_info(path: Option<PathBuf>, plugin: &Plugin) -> PluginInfo {
    PluginInfo {
        path,
        id: plugin.id.to_owned(),
        version: plugin.version.to_owned(),
        protocols: plugin.tables.iter().map(|table| table.name.to_owned()).collect(),
    }
}

/// Checks and opens a library on a thread of its own, since opening runs foreign code that may never end.
async fn load(path: &Path) -> Result<Plugin, LoadError> {
    let (tell, told) = oneshot::channel();
    let file = path.to_owned();
    let thread = std::thread::Builder::new().name("plugin-load".to_owned()).spawn(move || {
        if tell.send(open(&file)).is_err() {
            tracing::warn!(library = %file.display(), "a library finished loading after it had been given up");
        }
    });
    thread.map_err(|source| LoadError::NoThread { path: path.to_owned(), source })?;
    match tokio::time::timeout(LOAD_LIMIT, told).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(_)) | Err(_) => Err(LoadError::TimedOut { path: path.to_owned() }),
    }
}

fn open(path: &Path) -> Result<Plugin, LoadError> {
    let path =
        path.canonicalize().map_err(|source| LoadError::Unreadable { path: path.to_owned(), source })?;
    for one in path.ancestors() {
        let metadata =
            one.metadata().map_err(|source| LoadError::Unreadable { path: one.to_owned(), source })?;
        trusted(one, &Permissions::of(&metadata), &Myself::now())?;
    }
    // SAFETY: the file is of an owner whom the user trusts with code; its constructors run here.
    let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.map_err(|source| LoadError::Open { path: path.clone(), source })?;
    // SAFETY: the name is promised by the ABI to be data of this type; only its address is taken here.
    let symbol = unsafe { library.get::<*const abi::PluginEntry>(abi::SYMBOL.to_bytes_with_nul()) };
    let entry = symbol.map(|symbol| *symbol).map_err(|_| LoadError::NoEntry { path: path.clone() });
    // Never unloaded, accepted or not: even a refused library may have started threads or registered destructors.
    std::mem::forget(library);
    // SAFETY: the library stays mapped for ever, and by the ABI the entry and what it points to are its statics.
    unsafe { check_entry(entry?, Trust::OwnThread) }
}

/// Who owns a file and who may write to it.
struct Permissions {
    owner: u32,
    group: u32,
    mode: u32,
    what: What,
}

/// Sticky bits mean something for folders only.
#[derive(PartialEq, Eq)]
enum What {
    Folder,
    File,
}

impl Permissions {
    fn of(metadata: &std::fs::Metadata) -> Self {
        let what = if metadata.is_dir() { What::Folder } else { What::File };
        Self { owner: metadata.uid(), group: metadata.gid(), mode: metadata.mode() & 0o7777, what }
    }
}

/// Whom the service runs as.
struct Myself {
    user: u32,
    group: u32,
    /// Whom the root folder belongs to. Where the service runs in a user namespace of its own, as its unit has it, root is not known
    /// there by its number; and whoever owns the root folder can change everything anyway.
    root: u32,
}

impl Myself {
    fn now() -> Self {
        Self {
            user: rustix::process::geteuid().as_raw(),
            group: rustix::process::getegid().as_raw(),
            root: std::fs::metadata("/").map_or(0, |metadata| metadata.uid()),
        }
    }
}

/// Whether nobody but root and the user can change what is at `path`.
fn trusted(path: &Path, found: &Permissions, me: &Myself) -> Result<(), LoadError> {
    if ![0, me.root, me.user].contains(&found.owner) {
        return Err(LoadError::ForeignOwner { path: path.to_owned(), owner: found.owner });
    }
    // In a folder with the sticky bit (`/tmp`) others can add files, but not replace ours.
    let sticky_folder = found.what == What::Folder && found.mode & 0o1000 != 0;
    // The user's own group is the user, on systems that give everybody a group of the same name.
    let group_writes = found.mode & 0o020 != 0 && found.group != 0 && found.group != me.group;
    if !sticky_folder && (found.mode & 0o002 != 0 || group_writes) {
        return Err(LoadError::WritableByOthers { path: path.to_owned(), mode: found.mode });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: Myself = Myself { user: 1000, group: 1000, root: 0 };

    fn judge(owner: u32, group: u32, mode: u32) -> Result<(), LoadError> {
        trusted(Path::new("/x"), &Permissions { owner, group, mode, what: What::File }, &ME)
    }

    #[test]
    fn root_and_the_user_are_trusted() {
        judge(0, 0, 0o755).unwrap();
        judge(0, 0, 0o775).unwrap();
        judge(1000, 1000, 0o775).unwrap();
    }

    #[test]
    fn root_is_trusted_in_a_namespace_that_does_not_know_it() {
        let me = Myself { root: 65534, ..ME };
        let file = Permissions { owner: 65534, group: 65534, mode: 0o644, what: What::File };
        trusted(Path::new("/x"), &file, &me).unwrap();
        assert!(trusted(Path::new("/x"), &file, &ME).is_err());
    }

    #[test]
    fn another_owner_is_refused() {
        assert!(matches!(judge(1001, 1000, 0o755), Err(LoadError::ForeignOwner { owner: 1001, .. })));
    }

    #[test]
    fn what_others_can_write_to_is_refused() {
        assert!(matches!(judge(1000, 1000, 0o757), Err(LoadError::WritableByOthers { mode: 0o757, .. })));
        assert!(matches!(judge(1000, 50, 0o775), Err(LoadError::WritableByOthers { .. })));
    }

    #[test]
    fn a_sticky_folder_is_no_danger() {
        let folder = Permissions { owner: 0, group: 0, mode: 0o1777, what: What::Folder };
        trusted(Path::new("/tmp"), &folder, &ME).unwrap();
        assert!(matches!(judge(0, 0, 0o1777), Err(LoadError::WritableByOthers { .. })));
    }
}
