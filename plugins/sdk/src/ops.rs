//! What a plugin asks for: [`Ops`] queues it, either with the service or, in an author's tests, into a list.

use plugin_abi as abi;

use crate::{Endpoint, InputKind, Timer};

/// Whether the device shall confirm a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteKind {
    /// The device confirms the packet.
    WithResponse,
    /// Sent and forgotten.
    WithoutResponse,
}

/// How grave a line of the log is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something is odd.
    Warn,
    /// A decision worth knowing when looking for a fault.
    Debug,
}

impl LogLevel {
    const fn number(self) -> u32 {
        match self {
            Self::Error => abi::log_level::ERROR,
            Self::Warn => abi::log_level::WARN,
            Self::Debug => abi::log_level::DEBUG,
        }
    }
}

/// One thing that a plugin asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// Send a packet.
    Write {
        /// Where to.
        endpoint: Endpoint,
        /// The packet.
        data: Vec<u8>,
        /// Whether the device shall confirm it.
        kind: WriteKind,
    },
    /// Read an endpoint.
    Read {
        /// Where.
        endpoint: Endpoint,
        /// At most so many bytes.
        max_len: u32,
    },
    /// Pass on what the device sends at an endpoint.
    Subscribe(Endpoint),
    /// No longer.
    Unsubscribe(Endpoint),
    /// Deliver a timer once.
    Timer {
        /// Which.
        timer: Timer,
        /// From now; 0 cancels.
        after_ms: u32,
    },
    /// The model is known.
    Identified {
        /// The protocol that takes over; empty means this one.
        protocol: String,
        /// The identifier.
        model: String,
    },
    /// Bring-up is complete.
    Ready,
    /// An input has a value.
    Reading {
        /// Index of the feature.
        feature: u32,
        /// Which input.
        kind: InputKind,
        /// The value.
        value: i32,
    },
    /// An input cannot be had.
    InputFailed {
        /// Index of the feature.
        feature: u32,
        /// Which input.
        kind: InputKind,
    },
    /// A line for the log.
    Log {
        /// How grave.
        level: LogLevel,
        /// The line.
        text: String,
    },
}

/// Where operations go.
enum Sink<'a> {
    Host(&'a abi::Ops),
    List(&'a mut Vec<Operation>),
}

/// What a plugin may ask for during one call. Nothing happens before the call has returned.
pub struct Ops<'a> {
    now_ms: u64,
    sink: Sink<'a>,
}

impl std::fmt::Debug for Ops<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ops").field("now_ms", &self.now_ms).finish_non_exhaustive()
    }
}

impl<'a> Ops<'a> {
    /// Operations that are put into `list`: for tests of code that takes an `Ops`.
    #[must_use]
    pub fn recording(now_ms: u64, list: &'a mut Vec<Operation>) -> Self {
        Self { now_ms, sink: Sink::List(list) }
    }

    pub(crate) fn host(ops: &'a abi::Ops) -> Self {
        Self { now_ms: ops.now_ms, sink: Sink::Host(ops) }
    }

    /// Monotonic time of this call in milliseconds; the only clock there is.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    /// Sends a packet without response.
    pub fn write(&mut self, endpoint: Endpoint, data: &[u8]) {
        self.write_as(endpoint, data, WriteKind::WithoutResponse);
    }

    /// Sends a packet that the device confirms.
    pub fn write_with_response(&mut self, endpoint: Endpoint, data: &[u8]) {
        self.write_as(endpoint, data, WriteKind::WithResponse);
    }

    /// Sends a packet; a failure comes as [`crate::Event::WriteFailed`].
    pub fn write_as(&mut self, endpoint: Endpoint, data: &[u8], kind: WriteKind) {
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::Write { endpoint, data: data.to_vec(), kind }),
            Sink::Host(ops) => {
                let flags = match kind {
                    WriteKind::WithResponse => abi::write_flag::WITH_RESPONSE,
                    WriteKind::WithoutResponse => 0,
                };
                if let Some(write) = ops.write {
                    // SAFETY: `ctx` goes back to the host that gave it, during its call; the bytes outlive this one.
                    unsafe { write(ops.ctx, endpoint.0, abi::Bytes::new(data), flags) }
                }
            }
        }
    }

    /// Sends text without response: `ops.write_text(tx, format_args!("Vibrate:{value};"))`.
    pub fn write_text(&mut self, endpoint: Endpoint, text: std::fmt::Arguments<'_>) {
        self.write(endpoint, text.to_string().as_bytes());
    }

    /// Reads an endpoint; [`crate::Event::Read`] or [`crate::Event::ReadFailed`] follows.
    pub fn read(&mut self, endpoint: Endpoint, max_len: u32) {
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::Read { endpoint, max_len }),
            Sink::Host(ops) => {
                if let Some(read) = ops.read {
                    // SAFETY: `ctx` goes back to the host that gave it, during its call.
                    unsafe { read(ops.ctx, endpoint.0, max_len) }
                }
            }
        }
    }

    /// Has what the device sends at an endpoint come as [`crate::Event::Notified`].
    pub fn subscribe(&mut self, endpoint: Endpoint) {
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::Subscribe(endpoint)),
            Sink::Host(ops) => host_notify(ops, endpoint, 1),
        }
    }

    /// The opposite of [`Self::subscribe`].
    pub fn unsubscribe(&mut self, endpoint: Endpoint) {
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::Unsubscribe(endpoint)),
            Sink::Host(ops) => host_notify(ops, endpoint, 0),
        }
    }

    /// Has [`crate::Event::Timer`] come once, `after_ms` from now (at least 1). Replaces a timer of the same number.
    pub fn timer(&mut self, timer: Timer, after_ms: u32) {
        self.set_timer(timer, after_ms.max(1));
    }

    /// Cancels a timer; one that is not set is no error.
    pub fn cancel_timer(&mut self, timer: Timer) {
        self.set_timer(timer, 0);
    }

    fn set_timer(&mut self, timer: Timer, after_ms: u32) {
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::Timer { timer, after_ms }),
            Sink::Host(ops) => {
                if let Some(set) = ops.timer {
                    // SAFETY: `ctx` goes back to the host that gave it, during its call.
                    unsafe { set(ops.ctx, timer.0, after_ms) }
                }
            }
        }
    }

    /// Ends identification: this protocol goes on, with the features of `model` (or the default, if it is not listed).
    pub fn identified(&mut self, model: &str) {
        self.hand_over("", model);
    }

    /// Ends identification: the protocol with the id `protocol` takes over.
    pub fn hand_over(&mut self, protocol: &str, model: &str) {
        match &mut self.sink {
            Sink::List(list) => {
                list.push(Operation::Identified { protocol: protocol.to_owned(), model: model.to_owned() });
            }
            Sink::Host(ops) => {
                if let Some(identified) = ops.identified {
                    // SAFETY: `ctx` goes back to the host that gave it, during its call; the texts outlive this one.
                    unsafe { identified(ops.ctx, abi::Str::new(protocol), abi::Str::new(model)) }
                }
            }
        }
    }

    /// Ends bring-up.
    pub fn ready(&mut self) {
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::Ready),
            Sink::Host(ops) => {
                if let Some(ready) = ops.ready {
                    // SAFETY: `ctx` goes back to the host that gave it, during its call.
                    unsafe { ready(ops.ctx) }
                }
            }
        }
    }

    /// An input has a value, in the range of the model. (One outside is dropped by the service.)
    pub fn reading(&mut self, feature: u32, kind: InputKind, value: i32) {
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::Reading { feature, kind, value }),
            Sink::Host(ops) => {
                if let Some(reading) = ops.reading {
                    // SAFETY: `ctx` goes back to the host that gave it, during its call.
                    unsafe { reading(ops.ctx, feature, kind.number(), value) }
                }
            }
        }
    }

    /// What was wanted of an input cannot be had.
    pub fn input_failed(&mut self, feature: u32, kind: InputKind) {
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::InputFailed { feature, kind }),
            Sink::Host(ops) => {
                if let Some(failed) = ops.input_failed {
                    // SAFETY: `ctx` goes back to the host that gave it, during its call.
                    unsafe { failed(ops.ctx, feature, kind.number()) }
                }
            }
        }
    }

    /// Writes a line to the service's log, cut to [`plugin_abi::MAX_TEXT`] bytes.
    pub fn log(&mut self, level: LogLevel, text: &str) {
        let text = cut(text, abi::MAX_TEXT);
        match &mut self.sink {
            Sink::List(list) => list.push(Operation::Log { level, text: text.to_owned() }),
            Sink::Host(ops) => {
                if let Some(log) = ops.log {
                    // SAFETY: `ctx` goes back to the host that gave it, during its call; the text outlives this one.
                    unsafe { log(ops.ctx, level.number(), abi::Str::new(text)) }
                }
            }
        }
    }
}

/// At most `limit` bytes of `text`, whole characters only.
fn cut(text: &str, limit: usize) -> &str {
    let end = (0..=limit.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

fn host_notify(ops: &abi::Ops, endpoint: Endpoint, on: u32) {
    if let Some(notify) = ops.notify {
        // SAFETY: `ctx` goes back to the host that gave it, during its call.
        unsafe { notify(ops.ctx, endpoint.0, on) }
    }
}
