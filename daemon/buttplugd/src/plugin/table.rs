//! From the table that a plugin exports to a copy that can be trusted to be whole.
//!
//! Nothing of a plugin runs here. Every field is read only after the size of its struct has been found to reach so far.

use plugin_abi as abi;

use super::refusal::{LoadError, MAX_STRUCT_SIZE};

/// Whether a plugin's calls are made where they are asked for, or on a thread of the device's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    /// Ours, linked in: called where it is needed.
    Inline,
    /// Loaded: called on a thread that can be written off.
    OwnThread,
}

type Create =
    unsafe extern "C" fn(*const abi::DeviceInfo, *const abi::Ops, *mut *mut abi::Device) -> abi::Status;
type Destroy = unsafe extern "C" fn(*mut abi::Device);
type Outputs =
    unsafe extern "C" fn(*mut abi::Device, *const abi::Output, usize, *const abi::Ops) -> abi::Status;
type Plain = unsafe extern "C" fn(*mut abi::Device, *const abi::Ops) -> abi::Status;
type Start = unsafe extern "C" fn(*mut abi::Device, *const abi::Model, *const abi::Ops) -> abi::Status;
type Event = unsafe extern "C" fn(*mut abi::Device, *const abi::Event, *const abi::Ops) -> abi::Status;
type Input = unsafe extern "C" fn(*mut abi::Device, *const abi::Input, *const abi::Ops) -> abi::Status;

/// The functions of one protocol, checked and copied: what is absent is `None`, whatever the size of the plugin's own table.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    pub(super) name: &'static str,
    pub(super) plugin: &'static str,
    pub(super) trust: Trust,
    pub(super) create: Create,
    pub(super) destroy: Destroy,
    pub(super) output: Outputs,
    pub(super) identify: Option<Plain>,
    pub(super) start: Option<Start>,
    pub(super) stop: Option<Outputs>,
    pub(super) event: Option<Event>,
    pub(super) input: Option<Input>,
    pub(super) keep_alive: Option<Plain>,
}

impl Table {
    /// The name of the protocol.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The name of the plugin, for logs.
    #[must_use]
    pub fn plugin(&self) -> &'static str {
        self.plugin
    }
}

#[derive(Debug, Clone)]
pub(super) struct Plugin {
    pub(super) id: &'static str,
    pub(super) version: &'static str,
    pub(super) tables: Vec<Table>,
}

/// Checks the entry of a plugin, and all that it points to, in the order of growing trust in its fields.
///
/// # Safety
/// `entry` is null, or it and what it points to are data that live and stay the same for the whole process. The functions keep
/// the contract of the ABI. (Sizes, counts and nulls are checked here and need not be right.)
pub(super) unsafe fn check_entry(entry: *const abi::PluginEntry, trust: Trust) -> Result<Plugin, LoadError> {
    let unknown = || "(unnamed)".to_owned();
    if entry.is_null() || !entry.is_aligned() {
        return Err(LoadError::BadPointer { plugin: unknown(), what: "the entry" });
    }
    // SAFETY: the first two fields are there in every version of the ABI, the third in every version 1.
    let (major, minor) = unsafe { ((*entry).abi_major, (*entry).abi_minor) };
    if major != abi::ABI_MAJOR {
        return Err(LoadError::OtherMajor { plugin: unknown(), found: major });
    }
    if minor > abi::ABI_MINOR {
        return Err(LoadError::NewerMinor { plugin: unknown(), found: minor });
    }
    // SAFETY: as above.
    let size = unsafe { (*entry).struct_size };
    check_size(&unknown(), "entry", size, size_of::<abi::PluginEntry>())?;
    // SAFETY: the size says that all fields of this version are there.
    let entry = unsafe { *entry };
    // SAFETY: the strings are statics of the plugin.
    let id = unsafe { text(entry.id, &unknown(), "id") }?;
    // SAFETY: as above.
    let version = unsafe { text(entry.version, id, "version") }?;
    let count = entry.protocol_count;
    let protocols = match usize::try_from(count) {
        Ok(length) if (1..=abi::MAX_PROTOCOLS).contains(&count) => length,
        Ok(_) | Err(_) => return Err(LoadError::BadCount { plugin: id.to_owned(), found: count }),
    };
    if entry.protocols.is_null() || !entry.protocols.is_aligned() {
        return Err(LoadError::BadPointer { plugin: id.to_owned(), what: "the list of protocols" });
    }
    // SAFETY: the list has as many pointers as it says, by the contract.
    let list = unsafe { std::slice::from_raw_parts(entry.protocols, protocols) };
    let mut tables: Vec<Table> = Vec::with_capacity(protocols);
    for protocol in list {
        // SAFETY: each pointer is null or leads to a static of the plugin.
        let table = unsafe { check_protocol(*protocol, id, trust) }?;
        if tables.iter().any(|known| known.name == table.name) {
            let (plugin, protocol) = (id.to_owned(), table.name.to_owned());
            return Err(LoadError::DuplicateProtocol { other: plugin.clone(), plugin, protocol });
        }
        tables.push(table);
    }
    Ok(Plugin { id, version, tables })
}

/// Reads a field of a table that may be too short to have it, or too old to know it.
macro_rules! optional {
    ($table:ident, $size:ident, $field:ident) => {
        if std::mem::offset_of!(abi::Protocol, $field) + size_of::<usize>() <= $size {
            // SAFETY: the size of the table says that this field is there.
            unsafe { (*$table).$field }
        } else {
            None
        }
    };
}

/// # Safety
/// `table` is null or leads to a static of the plugin of which as many bytes can be read as it says.
unsafe fn check_protocol(
    table: *const abi::Protocol,
    plugin: &'static str,
    trust: Trust,
) -> Result<Table, LoadError> {
    if table.is_null() || !table.is_aligned() {
        return Err(LoadError::BadPointer { plugin: plugin.to_owned(), what: "a protocol" });
    }
    // SAFETY: the first field is there in every version.
    let size = unsafe { (*table).struct_size };
    let required = std::mem::offset_of!(abi::Protocol, output) + size_of::<usize>();
    let size = check_size(plugin, "protocol", size, required)?;
    // SAFETY: the size says that the name and the required functions are there; the string is a static.
    let name = unsafe { text((*table).name, plugin, "protocol name") }?;
    let missing = |function| LoadError::MissingFunction {
        plugin: plugin.to_owned(),
        protocol: name.to_owned(),
        function,
    };
    // SAFETY: as above.
    let (create, destroy, output) = unsafe { ((*table).create, (*table).destroy, (*table).output) };
    Ok(Table {
        name,
        plugin,
        trust,
        create: create.ok_or_else(|| missing("create"))?,
        destroy: destroy.ok_or_else(|| missing("destroy"))?,
        output: output.ok_or_else(|| missing("output"))?,
        identify: optional!(table, size, identify),
        start: optional!(table, size, start),
        stop: optional!(table, size, stop),
        event: optional!(table, size, event),
        input: optional!(table, size, input),
        keep_alive: optional!(table, size, keep_alive),
    })
}

fn check_size(plugin: &str, table: &'static str, found: u32, least: usize) -> Result<usize, LoadError> {
    let bad = |least| LoadError::BadSize { plugin: plugin.to_owned(), table, found, least };
    match usize::try_from(found) {
        Ok(size) if size >= least && found <= MAX_STRUCT_SIZE => Ok(size),
        Ok(_) | Err(_) => Err(bad(u32::try_from(least).unwrap_or(u32::MAX))),
    }
}

/// # Safety
/// `text` leads to as many bytes as it says, or its pointer is null.
unsafe fn text(text: abi::Str, plugin: &str, what: &'static str) -> Result<&'static str, LoadError> {
    let bad = || LoadError::BadText { plugin: plugin.to_owned(), what };
    if text.ptr.is_null() || text.len == 0 || text.len > abi::MAX_TEXT {
        return Err(bad());
    }
    // SAFETY: the contract of this function; the length is limited.
    let bytes: &'static [u8] = unsafe { std::slice::from_raw_parts(text.ptr.cast(), text.len) };
    std::str::from_utf8(bytes).map_err(|_| bad())
}
