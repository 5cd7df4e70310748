//! A plugin that does everything wrong, one sin a protocol, so that tests can see the service survive it.
//!
//! Sins that the SDK allows (`willing`) are on the SDK, which also shows that its guard holds in a loaded library. Those that
//! only a plugin without it can commit (`raw`) call the C ABI themselves. No device is spoken to.

mod raw;
mod willing;

use plugin_sdk::private::{abi, entry, table};
use raw::sinner;
use std::ptr::from_ref;
use willing::{
    BadReply, Blocks, EndlessTimers, Fails, Floods, NeverReady, OutOfRange, PanicIn, Picky, Polite, place,
};

struct Tables([*const abi::Protocol; 31]);

// SAFETY: the pointers lead to statics that nobody writes to.
unsafe impl Sync for Tables {}

static TABLES: Tables = Tables([
    from_ref(&const { table::<PanicIn<{ place::CREATE }>>("panic-in-create") }),
    from_ref(&const { table::<PanicIn<{ place::DESTROY }>>("panic-in-destroy") }),
    from_ref(&const { table::<PanicIn<{ place::IDENTIFY }>>("panic-in-identify") }),
    from_ref(&const { table::<PanicIn<{ place::START }>>("panic-in-start") }),
    from_ref(&const { table::<PanicIn<{ place::OUTPUT }>>("panic-in-output") }),
    from_ref(&const { table::<PanicIn<{ place::STOP }>>("panic-in-stop") }),
    from_ref(&const { table::<PanicIn<{ place::EVENT }>>("panic-in-event") }),
    from_ref(&const { table::<PanicIn<{ place::INPUT }>>("panic-in-input") }),
    from_ref(&const { table::<PanicIn<{ place::KEEP_ALIVE }>>("panic-in-keep-alive") }),
    from_ref(&const { table::<Polite>("polite") }),
    from_ref(&const { table::<Picky>("picky") }),
    from_ref(&const { table::<BadReply>("bad-reply") }),
    from_ref(&const { table::<Fails>("fails") }),
    from_ref(&const { table::<NeverReady>("never-ready") }),
    from_ref(&const { table::<Floods>("floods") }),
    from_ref(&const { table::<Blocks>("blocks") }),
    from_ref(&const { table::<EndlessTimers>("endless-timers") }),
    from_ref(&const { table::<OutOfRange>("out-of-range") }),
    from_ref(&const { sinner("unknown-status") }),
    from_ref(&const { sinner("null-device") }),
    from_ref(&const { sinner("huge-write") }),
    from_ref(&const { sinner("null-write") }),
    from_ref(&const { sinner("unknown-endpoint") }),
    from_ref(&const { sinner("unknown-timer") }),
    from_ref(&const { sinner("unknown-input") }),
    from_ref(&const { sinner("notify-two") }),
    from_ref(&const { sinner("broken-text") }),
    from_ref(&const { sinner("huge-text") }),
    from_ref(&const { sinner("broken-log") }),
    from_ref(&const { sinner("ready-out-of-turn") }),
    from_ref(&const { sinner("writes-in-create") }),
]);

/// What the service looks for in the library.
#[unsafe(export_name = "buttplug_plugin_entry_v1")]
static PLUGIN_ENTRY: abi::PluginEntry = entry("hostile", env!("CARGO_PKG_VERSION"), &TABLES.0);
