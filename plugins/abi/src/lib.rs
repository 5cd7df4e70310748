//! Layouts of the C ABI between buttplugd and its protocol plugins: the Rust mirror of `include/buttplug_plugin.h`.
//!
//! The header is the specification; its prose on ownership, threads, growth and limits holds here too and is not repeated.
//! There is no behaviour in this crate: the safe faces are `plugin_sdk` for plugins, and the service's loader for the host.
//! A test compiles the header as C and as C++ and compares every size and offset.

mod entry;
mod told;

use core::ffi::{c_char, c_void};

pub use entry::{Device, PluginEntry, Protocol, SYMBOL, StaticEntry};
pub use told::{
    DeviceInfo, Endpoint, Event, Feature, Input, InputRange, ManufacturerData, Model, Output, OutputRange,
    Param,
};

/// Major version of the ABI. A library of another one is refused.
pub const ABI_MAJOR: u32 = 1;
/// Minor version of the ABI. A library of a higher one is refused.
pub const ABI_MINOR: u32 = 0;

/// Most operations that one call may queue.
pub const MAX_OPERATIONS: usize = 256;
/// Most bytes of one write.
pub const MAX_DATA: usize = 4096;
/// Most bytes of a log line, an identifier or a protocol id.
pub const MAX_TEXT: usize = 1024;
/// Timers are numbered from 0 to one below this.
pub const MAX_TIMERS: u32 = 64;
/// Most timer events of one device in one second.
pub const MAX_TIMER_EVENTS: u32 = 250;
/// Most protocols of one library.
pub const MAX_PROTOCOLS: u32 = 256;
/// The longest time in milliseconds that one call may take.
pub const CALL_LIMIT_MS: u64 = 1000;

/// `bp_str`: UTF-8 that is valid during one call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Str {
    /// The first byte; may be null if `len` is 0.
    pub ptr: *const c_char,
    /// Length in bytes.
    pub len: usize,
}

impl Str {
    /// The same text, borrowed.
    #[must_use]
    pub const fn new(text: &str) -> Self {
        Self { ptr: text.as_ptr().cast(), len: text.len() }
    }
}

/// `bp_bytes`: bytes that are valid during one call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Bytes {
    /// The first byte; may be null if `len` is 0.
    pub ptr: *const u8,
    /// Length in bytes.
    pub len: usize,
}

impl Bytes {
    /// The same bytes, borrowed.
    #[must_use]
    pub const fn new(data: &[u8]) -> Self {
        Self { ptr: data.as_ptr(), len: data.len() }
    }
}

/// `bp_status`: an open set, so a number and not an enum.
pub type Status = i32;
/// The values of [`Status`].
pub mod status {
    /// Done, or under way.
    pub const OK: super::Status = 0;
    /// Not something this plugin does; the same as a NULL function.
    pub const UNSUPPORTED: super::Status = 1;
    /// The device answered what the protocol does not allow.
    pub const BAD_REPLY: super::Status = 2;
    /// The plugin cannot go on with this device.
    pub const FAILED: super::Status = 3;
    /// The plugin lost control of its own state.
    pub const PANICKED: super::Status = 4;
}

/// Kinds of outputs.
pub mod output_kind {
    /// Strength of a vibration motor.
    pub const VIBRATE: u32 = 1;
    /// Speed of a rotation.
    pub const ROTATE: u32 = 2;
    /// Speed of a back-and-forth movement.
    pub const OSCILLATE: u32 = 3;
    /// Strength of suction or squeeze.
    pub const CONSTRICT: u32 = 4;
    /// Heating or cooling.
    pub const TEMPERATURE: u32 = 5;
    /// Brightness of a light.
    pub const LED: u32 = 6;
    /// A spray.
    pub const SPRAY: u32 = 7;
    /// A place to go to at once.
    pub const POSITION: u32 = 8;
    /// A place to go to in a given time.
    pub const POSITION_WITH_DURATION: u32 = 9;
}

/// Kinds of inputs.
pub mod input_kind {
    /// Charge in percent.
    pub const BATTERY: u32 = 1;
    /// Signal strength in dBm.
    pub const RSSI: u32 = 2;
    /// A button.
    pub const BUTTON: u32 = 3;
    /// Pressure.
    pub const PRESSURE: u32 = 4;
    /// Depth of insertion.
    pub const DEPTH: u32 = 5;
    /// Where a moving part is.
    pub const POSITION: u32 = 6;
}

/// What is wanted of an input.
pub mod want {
    /// One reading now.
    pub const READ: u32 = 1;
    /// Readings whenever there is something new.
    pub const SUBSCRIBE: u32 = 2;
    /// No more of them.
    pub const UNSUBSCRIBE: u32 = 3;
}

/// How an input can be had; flags.
pub mod way {
    /// [`super::want::READ`] may come.
    pub const READ: u32 = 1;
    /// [`super::want::SUBSCRIBE`] may come.
    pub const SUBSCRIBE: u32 = 2;
}

/// The bus by which a device is reached.
pub mod transport {
    /// None of the others.
    pub const OTHER: u32 = 0;
    /// Bluetooth LE.
    pub const BLUETOOTH: u32 = 1;
    /// A serial port.
    pub const SERIAL: u32 = 2;
    /// HID reports.
    pub const HID: u32 = 3;
    /// A device that dials in over a WebSocket.
    pub const WEBSOCKET: u32 = 4;
}

/// What an endpoint can do; flags, all absent where the transport does not know.
pub mod endpoint_flag {
    /// Can be read.
    pub const READ: u32 = 1;
    /// Takes writes with response.
    pub const WRITE: u32 = 2;
    /// Takes writes without response.
    pub const WRITE_NO_RESPONSE: u32 = 4;
    /// Can be subscribed to.
    pub const NOTIFY: u32 = 8;
}

/// Flags of `ops->write`.
pub mod write_flag {
    /// The device shall confirm the packet.
    pub const WITH_RESPONSE: u32 = 1;
}

/// Levels of `ops->log`.
pub mod log_level {
    /// Something is broken.
    pub const ERROR: u32 = 1;
    /// Something is odd.
    pub const WARN: u32 = 2;
    /// A decision worth knowing when looking for a fault.
    pub const DEBUG: u32 = 3;
}

/// Kinds of events.
pub mod event_kind {
    /// The device sent bytes.
    pub const NOTIFIED: u32 = 1;
    /// A read gave bytes.
    pub const READ: u32 = 2;
    /// A read failed.
    pub const READ_FAILED: u32 = 3;
    /// A write failed.
    pub const WRITE_FAILED: u32 = 4;
    /// A timer is due.
    pub const TIMER: u32 = 5;
}

/// `bp_ops`: what a plugin may ask for during a call.
#[repr(C)]
#[derive(Debug, Clone, Copy)]
pub struct Ops {
    /// Bytes of this struct that the host knew.
    pub struct_size: u32,
    /// Zero.
    pub reserved: u32,
    /// Monotonic time of this call in milliseconds.
    pub now_ms: u64,
    /// The host's own; to be passed on.
    pub ctx: *mut c_void,
    /// Sends a packet.
    pub write: Option<unsafe extern "C" fn(ctx: *mut c_void, endpoint: u32, data: Bytes, flags: u32)>,
    /// Reads an endpoint.
    pub read: Option<unsafe extern "C" fn(ctx: *mut c_void, endpoint: u32, max_len: u32)>,
    /// Subscribes (1) or unsubscribes (0).
    pub notify: Option<unsafe extern "C" fn(ctx: *mut c_void, endpoint: u32, on: u32)>,
    /// Sets or (0) cancels a timer.
    pub timer: Option<unsafe extern "C" fn(ctx: *mut c_void, timer: u32, after_ms: u32)>,
    /// Ends identification.
    pub identified: Option<unsafe extern "C" fn(ctx: *mut c_void, protocol: Str, model: Str)>,
    /// Ends bring-up.
    pub ready: Option<unsafe extern "C" fn(ctx: *mut c_void)>,
    /// Reports the value of an input.
    pub reading: Option<unsafe extern "C" fn(ctx: *mut c_void, feature: u32, kind: u32, value: i32)>,
    /// Says that an input cannot be had.
    pub input_failed: Option<unsafe extern "C" fn(ctx: *mut c_void, feature: u32, kind: u32)>,
    /// Writes a line to the log.
    pub log: Option<unsafe extern "C" fn(ctx: *mut c_void, level: u32, text: Str)>,
}
