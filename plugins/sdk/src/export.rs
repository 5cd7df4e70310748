//! From the trait to the table of C functions, with one guard around every one of them.
//!
//! All conversions from the ABI's structs to owned Rust values happen here.

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plugin_abi as abi;
use plugin_abi::status;

use crate::{
    Endpoint, Event, Failure, Feature, Info, InputKind, InputRange, LogLevel, ManufacturerData, Model, Ops,
    Output, OutputKind, OutputRange, Protocol, Timer, TransportKind, Wanted, Ways, Wish,
};

/// Makes a plugin's table for linking statically: `entry! { pub static NAME, id: "..", protocols: { "id" => Type } }`.
///
/// `NAME` is a [`plugin_abi::StaticEntry`]. Nothing is exported, so any number of them can be in one program.
#[macro_export]
macro_rules! entry {
    ($(#[$meta:meta])* $vis:vis static $name:ident, id: $id:literal, protocols: { $($protocol:literal => $type:ty),+ $(,)? }) => {
        $(#[$meta])*
        $vis static $name: $crate::private::abi::StaticEntry = {
            $crate::__table!(TABLE, id: $id, protocols: { $($protocol => $type),+ });
            // SAFETY: the table and what it points to are statics, and its functions are the SDK's own.
            unsafe { $crate::private::abi::StaticEntry::new(&TABLE) }
        };
    };
}

/// Makes this library a plugin: `export! { id: "acme", protocols: { "acme-wave" => Wave } }`.
///
/// The same table is there as `ENTRY` for linking statically. At most one crate that uses this macro can be linked into a
/// program that names its `ENTRY`, since they all export the same symbol; [`entry!`] has no such limit.
#[macro_export]
macro_rules! export {
    (id: $id:literal, protocols: { $($protocol:literal => $type:ty),+ $(,)? }) => {
        $crate::__table!(
            #[doc = "What the service looks for in the library."]
            #[unsafe(export_name = "buttplug_plugin_entry_v1")]
            PLUGIN_ENTRY, id: $id, protocols: { $($protocol => $type),+ }
        );

        /// The table of this plugin, for linking statically.
        pub static ENTRY: $crate::private::abi::StaticEntry = {
            // SAFETY: the table and what it points to are statics, and its functions are the SDK's own.
            unsafe { $crate::private::abi::StaticEntry::new(&PLUGIN_ENTRY) }
        };

        $crate::__direct!($($protocol => $type),+);
    };
}

/// Without the feature `driver` there is nothing to add.
#[cfg(not(feature = "driver"))]
#[doc(hidden)]
#[macro_export]
macro_rules! __direct {
    ($($ignored:tt)*) => {};
}

/// The static table that both macros need; not for use by hand.
#[doc(hidden)]
#[macro_export]
macro_rules! __table {
    ($(#[$meta:meta])* $name:ident, id: $id:literal, protocols: { $($protocol:literal => $type:ty),+ }) => {
        $(#[$meta])*
        static $name: $crate::private::abi::PluginEntry = {
            use $crate::private::abi;
            const COUNT: usize = [$($protocol),+].len();
            struct Tables([*const abi::Protocol; COUNT]);
            // SAFETY: the pointers lead to statics that nobody writes to.
            unsafe impl Sync for Tables {}
            static TABLES: Tables = Tables([$({
                static ONE: abi::Protocol = $crate::private::table::<$type>($protocol);
                &raw const ONE
            }),+]);
            $crate::private::entry($id, env!("CARGO_PKG_VERSION"), &TABLES.0)
        };
    };
}

/// The entry of a plugin, from its protocols.
#[must_use]
pub const fn entry(
    id: &'static str,
    version: &'static str,
    protocols: &'static [*const abi::Protocol],
) -> abi::PluginEntry {
    abi::PluginEntry {
        abi_major: abi::ABI_MAJOR,
        abi_minor: abi::ABI_MINOR,
        struct_size: size_u32(size_of::<abi::PluginEntry>()),
        protocol_count: size_u32(protocols.len()),
        id: abi::Str::new(id),
        version: abi::Str::new(version),
        protocols: protocols.as_ptr(),
    }
}

/// The table of C functions of one protocol.
#[must_use]
pub const fn table<P: Protocol>(name: &'static str) -> abi::Protocol {
    abi::Protocol {
        struct_size: size_u32(size_of::<abi::Protocol>()),
        reserved: 0,
        name: abi::Str::new(name),
        create: Some(create::<P>),
        destroy: Some(destroy::<P>),
        output: Some(output::<P>),
        identify: Some(identify::<P>),
        start: Some(start::<P>),
        stop: Some(stop::<P>),
        event: Some(event::<P>),
        input: Some(input::<P>),
        keep_alive: Some(keep_alive::<P>),
    }
}

/// Sizes of our own structs and lists, known when the plugin is compiled.
#[expect(clippy::cast_possible_truncation, reason = "the assertion before it says that nothing is cut off")]
const fn size_u32(size: usize) -> u32 {
    assert!(size <= u32::MAX as usize);
    size as u32
}

unsafe extern "C" fn create<P: Protocol>(
    info: *const abi::DeviceInfo,
    ops: *const abi::Ops,
    out: *mut *mut abi::Device,
) -> abi::Status {
    guard(ops, |ops| {
        // SAFETY: the host gives pointers that are null or valid during the call.
        let info = unsafe { info.as_ref() }.map(info_of).ok_or_else(null)?;
        // SAFETY: as above.
        let out = unsafe { out.as_mut() }.ok_or_else(null)?;
        *out = Box::into_raw(Box::new(P::create(&info, ops)?)).cast();
        Ok(())
    })
}

unsafe extern "C" fn destroy<P: Protocol>(dev: *mut abi::Device) {
    if dev.is_null() {
        return;
    }
    let freed = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `dev` came from `create` of the same P, and the host does not use it again.
        drop(unsafe { Box::from_raw(dev.cast::<P>()) });
    }));
    if let Err(payload) = freed {
        // There is nobody to tell, and dropping the payload could panic again.
        std::mem::forget(payload);
    }
}

unsafe extern "C" fn identify<P: Protocol>(dev: *mut abi::Device, ops: *const abi::Ops) -> abi::Status {
    // SAFETY: the contract of `bp_protocol`.
    unsafe { with::<P>(dev, ops, |protocol, ops| protocol.identify(ops)) }
}

unsafe extern "C" fn start<P: Protocol>(
    dev: *mut abi::Device,
    model: *const abi::Model,
    ops: *const abi::Ops,
) -> abi::Status {
    // SAFETY: the contract of `bp_protocol`; the model is null or valid during the call.
    unsafe {
        with::<P>(dev, ops, |protocol, ops| {
            let model = model.as_ref().map(model_of).ok_or_else(null)?;
            protocol.start(&model, ops)
        })
    }
}

unsafe extern "C" fn output<P: Protocol>(
    dev: *mut abi::Device,
    set: *const abi::Output,
    count: usize,
    ops: *const abi::Ops,
) -> abi::Status {
    // SAFETY: the contract of `bp_protocol`; the set is valid during the call.
    unsafe { with::<P>(dev, ops, |protocol, ops| protocol.output(&outputs_of(set, count), ops)) }
}

unsafe extern "C" fn stop<P: Protocol>(
    dev: *mut abi::Device,
    set: *const abi::Output,
    count: usize,
    ops: *const abi::Ops,
) -> abi::Status {
    // SAFETY: the contract of `bp_protocol`; the set is valid during the call.
    unsafe { with::<P>(dev, ops, |protocol, ops| protocol.stop(&outputs_of(set, count), ops)) }
}

unsafe extern "C" fn event<P: Protocol>(
    dev: *mut abi::Device,
    event: *const abi::Event,
    ops: *const abi::Ops,
) -> abi::Status {
    // SAFETY: the contract of `bp_protocol`; the event and its data are valid during the call.
    unsafe {
        with::<P>(dev, ops, |protocol, ops| match event_of(event.as_ref().ok_or_else(null)?) {
            Some(event) => protocol.event(event, ops),
            None => Err(Failure::Unsupported),
        })
    }
}

unsafe extern "C" fn input<P: Protocol>(
    dev: *mut abi::Device,
    input: *const abi::Input,
    ops: *const abi::Ops,
) -> abi::Status {
    // SAFETY: the contract of `bp_protocol`; the input is null or valid during the call.
    unsafe {
        with::<P>(dev, ops, |protocol, ops| {
            let input = input.as_ref().ok_or_else(null)?;
            let wanted = InputKind::from_number(input.kind).zip(Wish::from_number(input.want));
            let (kind, wish) = wanted.ok_or(Failure::Unsupported)?;
            protocol.input(Wanted { feature: input.feature, kind, wish }, ops)
        })
    }
}

unsafe extern "C" fn keep_alive<P: Protocol>(dev: *mut abi::Device, ops: *const abi::Ops) -> abi::Status {
    // SAFETY: the contract of `bp_protocol`.
    unsafe { with::<P>(dev, ops, |protocol, ops| protocol.keep_alive(ops)) }
}

/// Runs `body` on the plugin's state.
///
/// # Safety
/// `dev` is null or came from `create` of the same `P`, and no other call for it is under way.
unsafe fn with<P: Protocol>(
    dev: *mut abi::Device,
    ops: *const abi::Ops,
    body: impl FnOnce(&mut P, &mut Ops<'_>) -> Result<(), Failure>,
) -> abi::Status {
    guard(ops, |ops| {
        // SAFETY: the contract of this function.
        let protocol = unsafe { dev.cast::<P>().as_mut() }.ok_or_else(null)?;
        body(protocol, ops)
    })
}

/// What every exported function goes through: no panic leaves, every failure becomes a status and a line in the log.
fn guard(ops: *const abi::Ops, body: impl FnOnce(&mut Ops<'_>) -> Result<(), Failure>) -> abi::Status {
    // SAFETY: the host gives a pointer that is null or valid during the call.
    let Some(host) = (unsafe { ops.as_ref() }) else {
        return status::FAILED;
    };
    let mut ops = Ops::host(host);
    match catch_unwind(AssertUnwindSafe(|| body(&mut ops))) {
        Ok(Ok(())) => status::OK,
        Ok(Err(failure)) => {
            let status = match failure {
                Failure::Unsupported => return status::UNSUPPORTED,
                Failure::BadReply(_) => status::BAD_REPLY,
                Failure::Failed(_) => status::FAILED,
            };
            ops.log(LogLevel::Error, &failure.to_string());
            status
        }
        Err(payload) => {
            ops.log(LogLevel::Error, &format!("panicked: {}", panic_text(payload.as_ref())));
            // Its destructor is the plugin's and could panic again.
            std::mem::forget(payload);
            status::PANICKED
        }
    }
}

fn panic_text(payload: &(dyn Any + Send)) -> &str {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}

fn null() -> Failure {
    Failure::failed("the service gave no pointer where there must be one")
}

/// # Safety
/// `ptr` leads to `len` values that stay the same while the result is used, or `len` is 0.
unsafe fn slice_of<'a, T>(ptr: *const T, len: usize) -> &'a [T] {
    if ptr.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the contract of this function.
    unsafe { std::slice::from_raw_parts(ptr, len) }
}

fn text_of(text: abi::Str) -> String {
    // SAFETY: called only with strings of the running call.
    let bytes = unsafe { slice_of(text.ptr.cast::<u8>(), text.len) };
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(text) => text.to_owned(),
        Cow::Owned(text) => text,
    }
}

fn info_of(info: &abi::DeviceInfo) -> Info {
    // SAFETY: the arrays are valid during the call, by the contract of `bp_device_info`.
    let (manufacturers, endpoints, params) = unsafe {
        (
            slice_of(info.manufacturer_data, info.manufacturer_data_count),
            slice_of(info.endpoints, info.endpoint_count),
            slice_of(info.params, info.param_count),
        )
    };
    let manufacturer_data = manufacturers.iter().map(|one| ManufacturerData {
        company: one.company,
        // SAFETY: as above.
        data: unsafe { slice_of(one.data.ptr, one.data.len) }.to_vec(),
    });
    Info {
        protocol: text_of(info.protocol),
        name: text_of(info.name),
        address: text_of(info.address),
        transport: TransportKind::from_number(info.transport).unwrap_or(TransportKind::Other),
        vendor: info.vendor,
        product: info.product,
        manufacturer_data: manufacturer_data.collect(),
        endpoints: endpoints.iter().map(|one| (text_of(one.name), Endpoint(one.id))).collect(),
        params: params.iter().map(|one| (text_of(one.key), text_of(one.value))).collect(),
        seed: info.seed,
    }
}

fn model_of(model: &abi::Model) -> Model {
    // SAFETY: the array is valid during the call, by the contract of `bp_model`.
    let features = unsafe { slice_of(model.features, model.feature_count) };
    Model {
        identifier: text_of(model.identifier),
        variant: text_of(model.variant),
        features: features.iter().map(feature_of).collect(),
    }
}

fn feature_of(feature: &abi::Feature) -> Feature {
    // SAFETY: the arrays are valid during the call, by the contract of `bp_model`.
    let (outputs, inputs) = unsafe {
        (slice_of(feature.outputs, feature.output_count), slice_of(feature.inputs, feature.input_count))
    };
    let outputs = outputs.iter().filter_map(|one| {
        let duration_ms = (one.duration_min_ms, one.duration_max_ms);
        OutputKind::from_number(one.kind).map(|kind| OutputRange {
            kind,
            min: one.min,
            max: one.max,
            duration_ms,
        })
    });
    let inputs = inputs.iter().filter_map(|one| {
        let ways = match one.ways {
            abi::way::READ => Ways::Read,
            abi::way::SUBSCRIBE => Ways::Subscribe,
            _ => Ways::Both,
        };
        InputKind::from_number(one.kind).map(|kind| InputRange { kind, min: one.min, max: one.max, ways })
    });
    Feature { index: feature.index, outputs: outputs.collect(), inputs: inputs.collect() }
}

/// # Safety
/// `set` leads to `count` outputs that are valid during the call.
unsafe fn outputs_of(set: *const abi::Output, count: usize) -> Vec<Output> {
    // SAFETY: the contract of this function.
    let set = unsafe { slice_of(set, count) };
    let known = set.iter().filter_map(|one| {
        let kind = OutputKind::from_number(one.kind)?;
        Some(Output { feature: one.feature, kind, value: one.value, duration_ms: one.duration_ms })
    });
    known.collect()
}

/// # Safety
/// The data of `event` is valid while the result is used.
unsafe fn event_of(event: &abi::Event) -> Option<Event<'_>> {
    // SAFETY: the contract of this function.
    let data = unsafe { slice_of(event.data.ptr, event.data.len) };
    let endpoint = Endpoint(event.id);
    match event.kind {
        abi::event_kind::NOTIFIED => Some(Event::Notified { endpoint, data }),
        abi::event_kind::READ => Some(Event::Read { endpoint, data }),
        abi::event_kind::READ_FAILED => Some(Event::ReadFailed { endpoint }),
        abi::event_kind::WRITE_FAILED => Some(Event::WriteFailed { endpoint }),
        abi::event_kind::TIMER => Some(Event::Timer(Timer(event.id))),
        _ => None,
    }
}
