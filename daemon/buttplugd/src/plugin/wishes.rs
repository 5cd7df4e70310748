//! The host's side of `bp_ops`: functions that a plugin calls, each of which only checks and queues.
//!
//! None of them may panic (that would abort the process) or wait. What is wrong with a wish is remembered and costs the device
//! when the call has returned.

use std::ffi::c_void;
use std::sync::Arc;

use engine::{
    protocol::{Endpoint, LogLevel, Operation, PluginFault, WriteKind},
    vocabulary::{FeatureIndex, InputKind},
};
use plugin_abi as abi;

/// What a plugin asked for during one call.
#[derive(Debug)]
pub(super) struct Wishes {
    endpoints: Arc<[Endpoint]>,
    operations: Vec<Operation>,
    log: Vec<(LogLevel, String)>,
    fault: Option<PluginFault>,
}

impl Wishes {
    pub(super) fn new(endpoints: Arc<[Endpoint]>) -> Self {
        Self { endpoints, operations: Vec::new(), log: Vec::new(), fault: None }
    }

    /// The table for one call. It leads to `self`, which must stay where it is until the call has returned.
    pub(super) fn table(&mut self, now_ms: u64) -> abi::Ops {
        abi::Ops {
            struct_size: u32::try_from(size_of::<abi::Ops>()).unwrap_or(u32::MAX),
            reserved: 0,
            now_ms,
            ctx: std::ptr::from_mut(self).cast(),
            write: Some(write),
            read: Some(read),
            notify: Some(notify),
            timer: Some(timer),
            identified: Some(identified),
            ready: Some(ready),
            reading: Some(reading),
            input_failed: Some(input_failed),
            log: Some(log),
        }
    }

    /// What was asked for, the lines for the log, and the first thing that was wrong.
    pub(super) fn into_parts(self) -> (Vec<Operation>, Vec<(LogLevel, String)>, Option<PluginFault>) {
        (self.operations, self.log, self.fault)
    }

    fn fail(&mut self, fault: PluginFault) {
        self.fault.get_or_insert(fault);
    }

    /// Queues what is right, keeps the first of what is wrong.
    fn queue(&mut self, operation: Result<Operation, PluginFault>) {
        match operation {
            Err(fault) => self.fail(fault),
            Ok(_) if self.operations.len() + self.log.len() >= abi::MAX_OPERATIONS => {
                self.fail(PluginFault::OverLimit {
                    what: "operations in one call",
                    limit: abi::MAX_OPERATIONS,
                });
            }
            Ok(Operation::Log { level, text }) => self.log.push((level, text)),
            Ok(operation) => self.operations.push(operation),
        }
    }

    fn endpoint(&self, id: u32) -> Result<Endpoint, PluginFault> {
        let place = usize::try_from(id).ok();
        let known = place.and_then(|place| self.endpoints.get(place));
        known.cloned().ok_or(PluginFault::Nonsense("an endpoint that the device does not have"))
    }
}

/// Runs `make` on the wishes of the running call and queues what it gives.
///
/// # Safety
/// `ctx` is what [`Wishes::table`] put into the table of the running call, on the thread of that call.
unsafe fn with(ctx: *mut c_void, make: impl FnOnce(&Wishes) -> Result<Operation, PluginFault>) {
    // SAFETY: the contract of this function; the host itself does not touch the wishes while the call runs.
    if let Some(wishes) = unsafe { ctx.cast::<Wishes>().as_mut() }
        // What comes after the first thing that is wrong is not even looked at.
        && wishes.fault.is_none()
    {
        let operation = make(wishes);
        wishes.queue(operation);
    }
}

unsafe extern "C" fn write(ctx: *mut c_void, endpoint: u32, data: abi::Bytes, flags: u32) {
    let kind = match flags & abi::write_flag::WITH_RESPONSE {
        0 => WriteKind::WithoutResponse,
        _ => WriteKind::WithResponse,
    };
    let packet = |wishes: &Wishes| {
        let endpoint = wishes.endpoint(endpoint)?;
        // SAFETY: by the ABI the plugin's bytes are valid during this call.
        let data = unsafe { bytes(data.ptr, data.len, "bytes in one write", abi::MAX_DATA) }?;
        Ok(Operation::Write { endpoint, data, kind })
    };
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, packet) }
}

unsafe extern "C" fn read(ctx: *mut c_void, endpoint: u32, max_len: u32) {
    let read = |wishes: &Wishes| Ok(Operation::Read { endpoint: wishes.endpoint(endpoint)?, max_len });
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, read) }
}

unsafe extern "C" fn notify(ctx: *mut c_void, endpoint: u32, on: u32) {
    let notify = |wishes: &Wishes| {
        let endpoint = wishes.endpoint(endpoint)?;
        match on {
            0 => Ok(Operation::Unsubscribe { endpoint }),
            1 => Ok(Operation::Subscribe { endpoint }),
            _ => Err(PluginFault::Nonsense("notify with something else than 0 or 1")),
        }
    };
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, notify) }
}

unsafe extern "C" fn timer(ctx: *mut c_void, timer: u32, after_ms: u32) {
    let set = |_: &Wishes| match timer {
        0..abi::MAX_TIMERS => Ok(Operation::Timer { timer, after_ms }),
        _ => Err(PluginFault::Nonsense("a timer whose number is too high")),
    };
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, set) }
}

unsafe extern "C" fn identified(ctx: *mut c_void, protocol: abi::Str, model: abi::Str) {
    let identified = |_: &Wishes| {
        // SAFETY: by the ABI the plugin's texts are valid during this call.
        let (protocol, model) = unsafe { (text(protocol)?, text(model)?) };
        Ok(Operation::Identified { protocol: Some(protocol).filter(|id| !id.is_empty()), model })
    };
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, identified) }
}

unsafe extern "C" fn ready(ctx: *mut c_void) {
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, |_| Ok(Operation::Ready)) }
}

unsafe extern "C" fn reading(ctx: *mut c_void, feature: u32, kind: u32, value: i32) {
    let reading = |_: &Wishes| {
        Ok(Operation::Reading { feature: FeatureIndex(feature), kind: input_kind(kind)?, value })
    };
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, reading) }
}

unsafe extern "C" fn input_failed(ctx: *mut c_void, feature: u32, kind: u32) {
    let failed =
        |_: &Wishes| Ok(Operation::InputFailed { feature: FeatureIndex(feature), kind: input_kind(kind)? });
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, failed) }
}

unsafe extern "C" fn log(ctx: *mut c_void, level: u32, line: abi::Str) {
    let line = |_: &Wishes| {
        let level = match level {
            abi::log_level::ERROR => LogLevel::Error,
            abi::log_level::WARN => LogLevel::Warn,
            abi::log_level::DEBUG => LogLevel::Debug,
            _ => return Err(PluginFault::Nonsense("a log level that does not exist")),
        };
        // SAFETY: by the ABI the plugin's text is valid during this call.
        Ok(Operation::Log { level, text: unsafe { text(line) }? })
    };
    // SAFETY: by the ABI the plugin passes `ctx` on as it got it.
    unsafe { with(ctx, line) }
}

/// # Safety
/// `ptr` is null or leads to `len` bytes.
unsafe fn bytes(
    ptr: *const u8,
    len: usize,
    what: &'static str,
    limit: usize,
) -> Result<Vec<u8>, PluginFault> {
    if len > limit {
        return Err(PluginFault::OverLimit { what, limit });
    }
    if len == 0 {
        return Ok(Vec::new());
    }
    if ptr.is_null() {
        return Err(PluginFault::Nonsense("a null pointer with a length"));
    }
    // SAFETY: the contract of this function; the length is limited.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) }.to_vec())
}

/// # Safety
/// The pointer of `text` is null or leads to as many bytes as it says.
unsafe fn text(text: abi::Str) -> Result<String, PluginFault> {
    // SAFETY: the contract of this function.
    let bytes = unsafe { bytes(text.ptr.cast(), text.len, "bytes in one text", abi::MAX_TEXT) }?;
    String::from_utf8(bytes).map_err(|_| PluginFault::Nonsense("text that is not UTF-8"))
}

fn input_kind(number: u32) -> Result<InputKind, PluginFault> {
    match number {
        abi::input_kind::BATTERY => Ok(InputKind::Battery),
        abi::input_kind::RSSI => Ok(InputKind::Rssi),
        abi::input_kind::BUTTON => Ok(InputKind::Button),
        abi::input_kind::PRESSURE => Ok(InputKind::Pressure),
        abi::input_kind::DEPTH => Ok(InputKind::Depth),
        abi::input_kind::POSITION => Ok(InputKind::Position),
        _ => Err(PluginFault::Nonsense("a kind of input that does not exist")),
    }
}
