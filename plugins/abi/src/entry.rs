//! What a plugin offers: its table of protocols, each a table of functions.

use core::ffi::CStr;

use crate::{DeviceInfo, Event, Input, Model, Ops, Output, Status, Str};

/// The name under which a library exports its [`PluginEntry`], as data.
pub const SYMBOL: &CStr = c"buttplug_plugin_entry_v1";

/// `bp_device`: the plugin's own state of one device. The host only holds a pointer to it.
#[repr(C)]
#[derive(Debug)]
pub struct Device {
    opaque: [u8; 0],
}

/// `bp_protocol`: the functions that speak one byte language.
///
/// Optional functions may lie past `struct_size`: read them through the host's adapter, never from the field of a table
/// that was written by others.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Protocol {
    /// Bytes of this struct that the plugin knew.
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// The id that the definition names.
    pub name: Str,
    /// Required.
    pub create: Option<
        unsafe extern "C" fn(info: *const DeviceInfo, ops: *const Ops, out: *mut *mut Device) -> Status,
    >,
    /// Required.
    pub destroy: Option<unsafe extern "C" fn(dev: *mut Device)>,
    /// Required.
    pub output: Option<
        unsafe extern "C" fn(dev: *mut Device, set: *const Output, count: usize, ops: *const Ops) -> Status,
    >,
    /// Optional.
    pub identify: Option<unsafe extern "C" fn(dev: *mut Device, ops: *const Ops) -> Status>,
    /// Optional.
    pub start: Option<unsafe extern "C" fn(dev: *mut Device, model: *const Model, ops: *const Ops) -> Status>,
    /// Optional.
    pub stop: Option<
        unsafe extern "C" fn(dev: *mut Device, set: *const Output, count: usize, ops: *const Ops) -> Status,
    >,
    /// Optional.
    pub event: Option<unsafe extern "C" fn(dev: *mut Device, event: *const Event, ops: *const Ops) -> Status>,
    /// Optional.
    pub input: Option<unsafe extern "C" fn(dev: *mut Device, input: *const Input, ops: *const Ops) -> Status>,
    /// Optional.
    pub keep_alive: Option<unsafe extern "C" fn(dev: *mut Device, ops: *const Ops) -> Status>,
}

// SAFETY: a table is only ever read, and its pointers lead to data that lives and stays the same for the whole process.
unsafe impl Sync for Protocol {}
// SAFETY: as above.
unsafe impl Send for Protocol {}

/// `bp_plugin_entry`: what a library exports.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct PluginEntry {
    /// [`crate::ABI_MAJOR`] of the plugin. First in every version.
    pub abi_major: u32,
    /// [`crate::ABI_MINOR`] of the plugin. Second in every version.
    pub abi_minor: u32,
    /// Bytes of this struct that the plugin knew.
    pub struct_size: u32,
    /// Length of `protocols`.
    pub protocol_count: u32,
    /// Name of the plugin, for logs.
    pub id: Str,
    /// Version of the plugin, for logs.
    pub version: Str,
    /// Array of pointers, each to a table.
    pub protocols: *const *const Protocol,
}

// SAFETY: as for `Protocol`.
unsafe impl Sync for PluginEntry {}
// SAFETY: as for `Protocol`.
unsafe impl Send for PluginEntry {}

/// An entry that is linked into the program itself: the static twin of a library.
///
/// Whoever holds one may call it without further proof, since making one is a promise.
#[derive(Debug, Clone, Copy)]
pub struct StaticEntry(&'static PluginEntry);

impl StaticEntry {
    /// Vouches for `entry`.
    ///
    /// # Safety
    /// `entry` and all that it points to live for the whole process, and its functions keep the contract of the header.
    #[must_use]
    pub const unsafe fn new(entry: &'static PluginEntry) -> Self {
        Self(entry)
    }

    /// The table.
    #[must_use]
    pub const fn table(self) -> &'static PluginEntry {
        self.0
    }
}
