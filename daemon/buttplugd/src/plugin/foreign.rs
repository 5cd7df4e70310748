//! One device's state inside a plugin, and the calls to it, each of them checked before and after.
//!
//! What a plugin leaves out is filled in here, so that the rest of the service sees protocols that do everything. Time limits
//! are not kept here: a call that does not return does not return.

use std::ptr::NonNull;
use std::sync::Arc;

use engine::{
    protocol::{Endpoint, InputWish, LogLevel, Operation, OutputValue, PluginFault, ProtocolEvent},
    vocabulary::{FeatureIndex, InputKind},
};
use plugin_abi as abi;
use plugin_abi::status;

use super::info::{DeviceInfo, Model};
use super::table::Table;
use super::told;
use super::wishes::Wishes;

/// How far the life of the device has come, as far as it limits what the plugin may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Created,
    Identifying,
    Identified,
    Starting,
    Ready,
}

/// A device inside a plugin.
#[derive(Debug)]
pub(super) struct ForeignDevice {
    table: Table,
    /// The plugin's own; from `create` of the same table, not yet given to `destroy`.
    dev: NonNull<abi::Device>,
    endpoints: Arc<[Endpoint]>,
    name: String,
    phase: Phase,
    model: Option<Arc<Model>>,
    state: State,
}

/// Whether the plugin can be trusted with its own memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Sound,
    Panicked,
}

// SAFETY: by the ABI calls for one device may come from different threads, one after the other.
unsafe impl Send for ForeignDevice {}

impl ForeignDevice {
    /// Has the plugin make its state of a device.
    pub(super) fn create(table: Table, info: &DeviceInfo, now_ms: u64) -> Result<Self, PluginFault> {
        let endpoints: Arc<[Endpoint]> = info.endpoints.clone().into();
        let mut dev: *mut abi::Device = std::ptr::null_mut();
        let (status, wishes) = run(&table, endpoints.clone(), now_ms, |ops| {
            // SAFETY: the contract of `create`: all pointers are valid during the call.
            told::with_info(info, |info| unsafe { (table.create)(info, ops, &raw mut dev) })
        });
        let operations = judge(status, wishes)?;
        let dev = NonNull::new(dev).ok_or(PluginFault::Nonsense("a null device"))?;
        let device = Self {
            table,
            dev,
            endpoints,
            name: info.advertisement.name().unwrap_or_default().to_owned(),
            phase: Phase::Created,
            model: None,
            state: State::Sound,
        };
        if operations.is_empty() {
            Ok(device)
        } else {
            Err(PluginFault::Nonsense("operations during create"))
        }
    }

    /// Makes one call. `model` is what [`ProtocolEvent::Start`] hands over; the others do not need it.
    pub(super) fn call(
        &mut self,
        now_ms: u64,
        event: &ProtocolEvent,
        model: Option<&Arc<Model>>,
    ) -> Result<Vec<Operation>, PluginFault> {
        let operations = match event {
            ProtocolEvent::Identify => self.identify(now_ms),
            ProtocolEvent::Start => self.start(now_ms, model),
            ProtocolEvent::Output(set) => self.output(now_ms, &told::outputs(set)),
            ProtocolEvent::Stop(set) => self.stop(now_ms, set),
            ProtocolEvent::Input { feature, kind, wish } => self.input(now_ms, *feature, *kind, *wish),
            ProtocolEvent::KeepAlive => self.keep_alive(now_ms),
            ProtocolEvent::Notified { endpoint, data } => {
                self.event(now_ms, abi::event_kind::NOTIFIED, self.id(endpoint), data)
            }
            ProtocolEvent::ReadDone { endpoint, data } => {
                self.event(now_ms, abi::event_kind::READ, self.id(endpoint), data)
            }
            ProtocolEvent::ReadFailed { endpoint } => {
                self.event(now_ms, abi::event_kind::READ_FAILED, self.id(endpoint), &[])
            }
            ProtocolEvent::WriteFailed { endpoint } => {
                self.event(now_ms, abi::event_kind::WRITE_FAILED, self.id(endpoint), &[])
            }
            ProtocolEvent::Timer { timer } => self.event(now_ms, abi::event_kind::TIMER, Some(*timer), &[]),
        };
        let operations = self.in_turn(operations?)?;
        Ok(self.sane_readings(operations))
    }

    fn identify(&mut self, now_ms: u64) -> Result<Vec<Operation>, PluginFault> {
        self.phase = Phase::Identifying;
        let (dev, identify) = (self.dev.as_ptr(), self.table.identify);
        let by_name = || vec![Operation::Identified { protocol: None, model: self.name.clone() }];
        let Some(identify) = identify else { return Ok(by_name()) };
        // SAFETY: the contract of `identify`.
        let done = self.run(now_ms, |ops| unsafe { identify(dev, ops) });
        if done == Err(PluginFault::Unsupported) {
            return Ok(vec![Operation::Identified { protocol: None, model: self.name.clone() }]);
        }
        done
    }

    fn start(&mut self, now_ms: u64, model: Option<&Arc<Model>>) -> Result<Vec<Operation>, PluginFault> {
        let model = model.cloned().ok_or(PluginFault::Nonsense("to be started without a model"))?;
        self.phase = Phase::Starting;
        self.model = Some(model.clone());
        let (dev, Some(start)) = (self.dev.as_ptr(), self.table.start) else {
            return Ok(vec![Operation::Ready]);
        };
        // SAFETY: the contract of `start`: all pointers are valid during the call.
        let done =
            self.run(now_ms, |ops| told::with_model(&model, |model| unsafe { start(dev, model, ops) }));
        if done == Err(PluginFault::Unsupported) { Ok(vec![Operation::Ready]) } else { done }
    }

    fn output(&mut self, now_ms: u64, set: &[abi::Output]) -> Result<Vec<Operation>, PluginFault> {
        let (dev, output) = (self.dev.as_ptr(), self.table.output);
        // SAFETY: the contract of `output`: the set is valid during the call.
        self.run(now_ms, |ops| unsafe { output(dev, set.as_ptr(), set.len(), ops) })
    }

    fn stop(&mut self, now_ms: u64, set: &[OutputValue]) -> Result<Vec<Operation>, PluginFault> {
        if let Some(stop) = self.table.stop {
            let (dev, all) = (self.dev.as_ptr(), told::outputs(set));
            // SAFETY: the contract of `stop`: the set is valid during the call.
            let done = self.run(now_ms, |ops| unsafe { stop(dev, all.as_ptr(), all.len(), ops) });
            if done != Err(PluginFault::Unsupported) {
                return done;
            }
        }
        let rest = told::outputs(set.iter().filter(|one| !one.kind.is_position()));
        match self.output_unless_empty(now_ms, &rest) {
            Err(PluginFault::Unsupported) => self.stop_one_by_one(now_ms, &rest),
            done => done,
        }
    }

    fn output_unless_empty(
        &mut self,
        now_ms: u64,
        set: &[abi::Output],
    ) -> Result<Vec<Operation>, PluginFault> {
        if set.is_empty() { Ok(Vec::new()) } else { self.output(now_ms, set) }
    }

    /// A plugin that refuses one output of a stop refuses the whole set: then each is tried by itself, so that one output that
    /// the plugin does not know cannot keep the others running.
    fn stop_one_by_one(&mut self, now_ms: u64, rest: &[abi::Output]) -> Result<Vec<Operation>, PluginFault> {
        let mut stopped: Option<Vec<Operation>> = None;
        for one in rest {
            match self.output(now_ms, std::slice::from_ref(one)) {
                Ok(operations) => stopped.get_or_insert_default().extend(operations),
                Err(PluginFault::Unsupported) => {
                    tracing::warn!(
                        feature = one.feature,
                        protocol = self.table.name,
                        "output cannot be stopped"
                    );
                }
                Err(fault) => return Err(fault),
            }
        }
        stopped.ok_or(PluginFault::Unsupported)
    }

    fn input(
        &mut self,
        now_ms: u64,
        feature: FeatureIndex,
        kind: InputKind,
        wish: InputWish,
    ) -> Result<Vec<Operation>, PluginFault> {
        let (dev, Some(input)) = (self.dev.as_ptr(), self.table.input) else {
            return Err(PluginFault::Unsupported);
        };
        let wanted = abi::Input {
            feature: feature.0,
            kind: told::input_kind(kind),
            want: told::want(wish),
            reserved: 0,
        };
        // SAFETY: the contract of `input`: the struct is valid during the call.
        self.run(now_ms, |ops| unsafe { input(dev, &raw const wanted, ops) })
    }

    fn keep_alive(&mut self, now_ms: u64) -> Result<Vec<Operation>, PluginFault> {
        let (dev, keep_alive) = (self.dev.as_ptr(), self.table.keep_alive);
        let Some(keep_alive) = keep_alive else { return Err(PluginFault::Unsupported) };
        // SAFETY: the contract of `keep_alive`.
        self.run(now_ms, |ops| unsafe { keep_alive(dev, ops) })
    }

    /// `id` is `None` for an endpoint that the plugin has not been told of: then there is nothing to tell.
    fn event(
        &mut self,
        now_ms: u64,
        kind: u32,
        id: Option<u32>,
        data: &[u8],
    ) -> Result<Vec<Operation>, PluginFault> {
        let (Some(event), Some(id)) = (self.table.event, id) else { return Ok(Vec::new()) };
        let dev = self.dev.as_ptr();
        let told = abi::Event { kind, id, data: abi::Bytes::new(data) };
        // SAFETY: the contract of `event`: the struct and its data are valid during the call.
        let done = self.run(now_ms, |ops| unsafe { event(dev, &raw const told, ops) });
        if done == Err(PluginFault::Unsupported) { Ok(Vec::new()) } else { done }
    }

    fn id(&self, endpoint: &Endpoint) -> Option<u32> {
        let place = self.endpoints.iter().position(|one| one == endpoint)?;
        u32::try_from(place).ok()
    }

    fn run(
        &mut self,
        now_ms: u64,
        body: impl FnOnce(*const abi::Ops) -> abi::Status,
    ) -> Result<Vec<Operation>, PluginFault> {
        let (status, wishes) = run(&self.table, self.endpoints.clone(), now_ms, body);
        if status == status::PANICKED {
            self.state = State::Panicked;
        }
        judge(status, wishes)
    }

    /// Moves the phase on with what the plugin says, and refuses what is out of turn.
    fn in_turn(&mut self, operations: Vec<Operation>) -> Result<Vec<Operation>, PluginFault> {
        for operation in &operations {
            match (operation, self.phase) {
                (Operation::Identified { .. }, Phase::Identifying) => self.phase = Phase::Identified,
                (Operation::Ready, Phase::Starting) => self.phase = Phase::Ready,
                (Operation::Identified { .. }, _) => {
                    return Err(PluginFault::Nonsense("identified out of turn"));
                }
                (Operation::Ready, _) => return Err(PluginFault::Nonsense("ready out of turn")),
                (
                    Operation::Write { .. }
                    | Operation::Read { .. }
                    | Operation::Subscribe { .. }
                    | Operation::Unsubscribe { .. }
                    | Operation::Timer { .. }
                    | Operation::Reading { .. }
                    | Operation::InputFailed { .. }
                    | Operation::Log { .. },
                    _,
                ) => {}
            }
        }
        Ok(operations)
    }

    /// A reading outside its range is noise of the device: whoever waits for it is told that it failed. One of an input that
    /// the model does not have is dropped.
    fn sane_readings(&self, operations: Vec<Operation>) -> Vec<Operation> {
        let sane = operations.into_iter().filter_map(|operation| {
            let Operation::Reading { feature, kind, value } = operation else { return Some(operation) };
            let range = self.model.as_ref().and_then(|model| model.input(feature, kind));
            match range {
                Some(range) if range.contains(value) => Some(Operation::Reading { feature, kind, value }),
                Some(_) => {
                    tracing::warn!(%feature, kind = kind.name(), value, "reading out of range, dropped");
                    Some(Operation::InputFailed { feature, kind })
                }
                None => {
                    tracing::debug!(%feature, kind = kind.name(), "reading of an input that the model lacks, dropped");
                    None
                }
            }
        });
        sane.collect()
    }
}

impl Drop for ForeignDevice {
    fn drop(&mut self) {
        match self.state {
            // SAFETY: `dev` is from `create` of the same table and is not used again.
            State::Sound => unsafe { (self.table.destroy)(self.dev.as_ptr()) },
            // Its memory may be half changed: a leak is the lesser evil.
            State::Panicked => {
                tracing::debug!(protocol = self.table.name, "device of a panicked plugin is leaked")
            }
        }
    }
}

/// Makes a call with a fresh table of operations, and writes what the plugin logged to the log.
fn run(
    table: &Table,
    endpoints: Arc<[Endpoint]>,
    now_ms: u64,
    body: impl FnOnce(*const abi::Ops) -> abi::Status,
) -> (abi::Status, Result<Vec<Operation>, PluginFault>) {
    let mut wishes = Wishes::new(endpoints);
    let ops = wishes.table(now_ms);
    let status = body(&raw const ops);
    let (operations, log, fault) = wishes.into_parts();
    for (level, text) in log {
        let (plugin, protocol) = (table.plugin, table.name);
        match level {
            LogLevel::Error => tracing::error!(plugin, protocol, "{text}"),
            LogLevel::Warn => tracing::warn!(plugin, protocol, "{text}"),
            LogLevel::Debug => tracing::debug!(plugin, protocol, "{text}"),
        }
    }
    (status, fault.map_or(Ok(operations), Err))
}

/// The outcome of a call: its status first, then what was wrong with what it asked for.
fn judge(
    status: abi::Status,
    wishes: Result<Vec<Operation>, PluginFault>,
) -> Result<Vec<Operation>, PluginFault> {
    match status {
        status::OK => wishes,
        status::UNSUPPORTED => Err(PluginFault::Unsupported),
        status::BAD_REPLY => Err(PluginFault::BadReply),
        status::FAILED => Err(PluginFault::Failed),
        status::PANICKED => Err(PluginFault::Panicked),
        unknown => Err(PluginFault::UnknownStatus(unknown)),
    }
}
