//! Sins that need the C ABI without the SDK in between. All of them are committed in `output`, but for those of `create`.

use plugin_sdk::private::abi::{self, status};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sin {
    UnknownStatus,
    NullDevice,
    HugeWrite,
    NullWrite,
    UnknownEndpoint,
    UnknownTimer,
    UnknownInput,
    NotifyTwo,
    BrokenText,
    HugeText,
    BrokenLog,
    ReadyOutOfTurn,
    WritesInCreate,
}

const SINS: [(&str, Sin); 13] = [
    ("unknown-status", Sin::UnknownStatus),
    ("null-device", Sin::NullDevice),
    ("huge-write", Sin::HugeWrite),
    ("null-write", Sin::NullWrite),
    ("unknown-endpoint", Sin::UnknownEndpoint),
    ("unknown-timer", Sin::UnknownTimer),
    ("unknown-input", Sin::UnknownInput),
    ("notify-two", Sin::NotifyTwo),
    ("broken-text", Sin::BrokenText),
    ("huge-text", Sin::HugeText),
    ("broken-log", Sin::BrokenLog),
    ("ready-out-of-turn", Sin::ReadyOutOfTurn),
    ("writes-in-create", Sin::WritesInCreate),
];

/// The table of a protocol that commits the sin it is named for.
pub(crate) const fn sinner(name: &'static str) -> abi::Protocol {
    abi::Protocol {
        // Only up to the last function it has: the rest must not be looked at.
        struct_size: REQUIRED,
        reserved: 0,
        name: abi::Str::new(name),
        create: Some(create),
        destroy: Some(destroy),
        output: Some(output),
        identify: None,
        start: None,
        stop: None,
        event: None,
        input: None,
        keep_alive: None,
    }
}

const REQUIRED: u32 = {
    let size = std::mem::offset_of!(abi::Protocol, identify);
    assert!(size < 4096);
    #[expect(clippy::cast_possible_truncation, reason = "asserted in the line before")]
    let size = size as u32;
    size
};

unsafe extern "C" fn create(
    info: *const abi::DeviceInfo,
    ops: *const abi::Ops,
    out: *mut *mut abi::Device,
) -> abi::Status {
    // SAFETY: the host gives valid pointers; its side of the contract is not what is under test.
    let protocol = unsafe {
        let protocol = (*info).protocol;
        std::slice::from_raw_parts(protocol.ptr.cast::<u8>(), protocol.len)
    };
    let Some((_, sin)) = SINS.iter().find(|(name, _)| name.as_bytes() == protocol) else {
        return status::FAILED;
    };
    match sin {
        Sin::NullDevice => return status::OK,
        // SAFETY: as above.
        Sin::WritesInCreate => unsafe { write(ops, 0, abi::Bytes::new(b"too early")) },
        Sin::UnknownStatus
        | Sin::HugeWrite
        | Sin::NullWrite
        | Sin::UnknownEndpoint
        | Sin::UnknownTimer
        | Sin::UnknownInput
        | Sin::NotifyTwo
        | Sin::BrokenText
        | Sin::HugeText
        | Sin::BrokenLog
        | Sin::ReadyOutOfTurn => {}
    }
    // SAFETY: as above.
    unsafe { *out = Box::into_raw(Box::new(*sin)).cast() };
    status::OK
}

unsafe extern "C" fn destroy(dev: *mut abi::Device) {
    // SAFETY: `dev` is from `create`.
    drop(unsafe { Box::from_raw(dev.cast::<Sin>()) });
}

unsafe extern "C" fn output(
    dev: *mut abi::Device,
    _: *const abi::Output,
    _: usize,
    ops: *const abi::Ops,
) -> abi::Status {
    // SAFETY: `dev` is from `create`.
    let sin = unsafe { *dev.cast::<Sin>() };
    // SAFETY: the pointers that are wrong are so on purpose; the host must not follow them.
    unsafe { commit(sin, ops) };
    if sin == Sin::UnknownStatus { 77 } else { status::OK }
}

/// # Safety
/// `ops` is the table of the running call.
unsafe fn commit(sin: Sin, ops: *const abi::Ops) {
    let broken: &[u8] = &[0xff, 0xfe];
    let broken = abi::Str { ptr: broken.as_ptr().cast(), len: broken.len() };
    let empty = abi::Str::new("");
    let byte: &[u8] = &[1];
    let huge = abi::Bytes { ptr: byte.as_ptr(), len: usize::MAX };
    // SAFETY: the contract of this function; the functions are all there in this version of the ABI.
    unsafe {
        let table = &*ops;
        match sin {
            Sin::HugeWrite => write(ops, 0, huge),
            Sin::NullWrite => write(ops, 0, abi::Bytes { ptr: std::ptr::null(), len: 8 }),
            Sin::UnknownEndpoint => write(ops, 99, abi::Bytes::new(byte)),
            Sin::UnknownTimer => {
                if let Some(timer) = table.timer {
                    timer(table.ctx, u32::MAX, 1);
                }
            }
            Sin::UnknownInput => {
                if let Some(reading) = table.reading {
                    reading(table.ctx, 0, 99, 1);
                }
            }
            Sin::NotifyTwo => {
                if let Some(notify) = table.notify {
                    notify(table.ctx, 0, 2);
                }
            }
            Sin::BrokenText | Sin::HugeText => {
                let model =
                    if sin == Sin::BrokenText { broken } else { abi::Str { len: usize::MAX, ..empty } };
                if let Some(identified) = table.identified {
                    identified(table.ctx, empty, model);
                }
            }
            Sin::BrokenLog => {
                if let Some(log) = table.log {
                    log(table.ctx, abi::log_level::WARN, broken);
                }
            }
            Sin::ReadyOutOfTurn => {
                if let Some(ready) = table.ready {
                    ready(table.ctx);
                }
            }
            Sin::UnknownStatus | Sin::NullDevice | Sin::WritesInCreate => {}
        }
    }
}

/// # Safety
/// `ops` is the table of the running call.
unsafe fn write(ops: *const abi::Ops, endpoint: u32, data: abi::Bytes) {
    // SAFETY: the contract of this function.
    unsafe {
        if let Some(write) = (*ops).write {
            write((*ops).ctx, endpoint, data, 0);
        }
    }
}
