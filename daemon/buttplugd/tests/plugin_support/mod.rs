//! Finds and builds plugin libraries, and lets the SDK's runner of vectors drive them through the service's own loader.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

use buttplugd::plugin::{DeviceInfo, Feature, InputRange, Instance, Model, OutputRange, Table};
use engine::advertisement::Advertisement;
use engine::protocol::{self, InputWish, OutputValue, PluginFault, ProtocolEvent};
use engine::view::InputWays;
use engine::vocabulary::{self, FeatureIndex, Range};
use plugin_sdk::driver::{Call, Subject};
use plugin_sdk::{Endpoint, Event, Failure, Info, Operation, TransportKind, Ways};
use system_tests::artifact;

/// How many libraries this process has compiled.
static COMPILED: AtomicUsize = AtomicUsize::new(0);

/// The folder of all plugins.
pub(crate) fn plugins() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins").canonicalize().unwrap()
}

/// The library of a plugin in Rust, by the name of its library, up to date.
pub(crate) fn built(library: &str) -> PathBuf {
    artifact::plugin(&library.replace('_', "-")).unwrap()
}

/// The library of a plugin in C, compiled now.
pub(crate) fn compiled(source: &Path, name: &str, defines: &[String]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let library = folder.join(format!("lib{name}.so"));
    // Another test may have the library open: it is replaced whole, never written to.
    let unique = COMPILED.fetch_add(1, Ordering::Relaxed);
    let fresh = folder.join(format!("lib{name}-{}-{unique}.so", std::process::id()));
    let done = Command::new("cc")
        .args([
            "-std=c11",
            "-Wall",
            "-Wextra",
            "-pedantic",
            "-Werror",
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
        ])
        .args(defines)
        .arg("-I")
        .arg(plugins().join("abi/include"))
        .arg("-o")
        .arg(&fresh)
        .arg(source)
        .output()
        .unwrap_or_else(|error| panic!("cc must be installed: {error}"));
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    std::fs::rename(&fresh, &library).unwrap();
    library
}

/// An instance as the SDK's test driver sees a protocol.
pub(crate) struct Loaded {
    instance: Instance,
    endpoints: Vec<(String, Endpoint)>,
    runtime: tokio::runtime::Runtime,
}

impl Loaded {
    pub(crate) fn new(table: Table, info: &Info) -> Self {
        let instance = Instance::new(table, device_info(info));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        Self { instance, endpoints: info.endpoints.clone(), runtime }
    }

    fn name(&self, endpoint: Endpoint) -> protocol::Endpoint {
        let known = self.endpoints.iter().find(|(_, one)| *one == endpoint);
        known.map(|(name, _)| name.as_str().into()).unwrap()
    }

    fn endpoint(&self, name: &str) -> Endpoint {
        self.endpoints.iter().find(|(one, _)| one == name).map(|(_, endpoint)| *endpoint).unwrap()
    }

    fn event(&mut self, call: Call<'_>) -> ProtocolEvent {
        match call {
            Call::Identify => ProtocolEvent::Identify,
            Call::Start(model) => {
                self.instance.set_model(service_model(model));
                ProtocolEvent::Start
            }
            Call::Output(set) => ProtocolEvent::Output(set.iter().map(value).collect()),
            Call::Stop(set) => ProtocolEvent::Stop(set.iter().map(value).collect()),
            Call::Input(wanted) => ProtocolEvent::Input {
                feature: FeatureIndex(wanted.feature),
                kind: input_kind(wanted.kind),
                wish: match wanted.wish {
                    plugin_sdk::Wish::Read => InputWish::Read,
                    plugin_sdk::Wish::Subscribe => InputWish::Subscribe,
                    plugin_sdk::Wish::Unsubscribe => InputWish::Unsubscribe,
                },
            },
            Call::KeepAlive => ProtocolEvent::KeepAlive,
            Call::Event(Event::Notified { endpoint, data }) => {
                ProtocolEvent::Notified { endpoint: self.name(endpoint), data: data.to_vec() }
            }
            Call::Event(Event::Read { endpoint, data }) => {
                ProtocolEvent::ReadDone { endpoint: self.name(endpoint), data: data.to_vec() }
            }
            Call::Event(Event::ReadFailed { endpoint }) => {
                ProtocolEvent::ReadFailed { endpoint: self.name(endpoint) }
            }
            Call::Event(Event::WriteFailed { endpoint }) => {
                ProtocolEvent::WriteFailed { endpoint: self.name(endpoint) }
            }
            Call::Event(Event::Timer(timer)) => ProtocolEvent::Timer { timer: timer.0 },
        }
    }

    fn operation(&self, operation: protocol::Operation) -> Operation {
        match operation {
            protocol::Operation::Write { endpoint, data, kind } => Operation::Write {
                endpoint: self.endpoint(&endpoint),
                data,
                kind: match kind {
                    protocol::WriteKind::WithResponse => plugin_sdk::WriteKind::WithResponse,
                    protocol::WriteKind::WithoutResponse => plugin_sdk::WriteKind::WithoutResponse,
                },
            },
            protocol::Operation::Read { endpoint, max_len } => {
                Operation::Read { endpoint: self.endpoint(&endpoint), max_len }
            }
            protocol::Operation::Subscribe { endpoint } => Operation::Subscribe(self.endpoint(&endpoint)),
            protocol::Operation::Unsubscribe { endpoint } => Operation::Unsubscribe(self.endpoint(&endpoint)),
            protocol::Operation::Timer { timer, after_ms } => {
                Operation::Timer { timer: plugin_sdk::Timer(timer), after_ms }
            }
            protocol::Operation::Identified { protocol, model } => {
                Operation::Identified { protocol: protocol.unwrap_or_default(), model }
            }
            protocol::Operation::Ready => Operation::Ready,
            protocol::Operation::Reading { feature, kind, value } => {
                Operation::Reading { feature: feature.0, kind: sdk_input_kind(kind), value }
            }
            protocol::Operation::InputFailed { feature, kind } => {
                Operation::InputFailed { feature: feature.0, kind: sdk_input_kind(kind) }
            }
            protocol::Operation::Log { text, .. } => {
                Operation::Log { level: plugin_sdk::LogLevel::Debug, text }
            }
        }
    }
}

impl Subject for Loaded {
    fn call(&mut self, now_ms: u64, call: Call<'_>) -> Result<Vec<Operation>, Failure> {
        let event = self.event(call);
        let outcome = self.runtime.block_on(self.instance.call(now_ms, event));
        match outcome {
            Ok(operations) => Ok(operations.into_iter().map(|one| self.operation(one)).collect()),
            Err(PluginFault::Unsupported) => Err(Failure::Unsupported),
            Err(fault) => Err(Failure::failed(fault.to_string())),
        }
    }
}

/// What the service would tell of a device that the bench describes.
fn device_info(info: &Info) -> DeviceInfo {
    let name = Some(info.name.clone()).filter(|name| !name.is_empty());
    let id = |number: u32| u16::try_from(number).unwrap();
    let advertisement = match info.transport {
        TransportKind::Bluetooth => Advertisement::Bluetooth {
            name,
            manufacturer_data: info
                .manufacturer_data
                .iter()
                .map(|one| (id(one.company), one.data.clone()))
                .collect(),
            services: Vec::new(),
        },
        TransportKind::Serial => Advertisement::Serial { port: "/dev/ttyTEST".to_owned(), usb: None },
        TransportKind::Hid => Advertisement::Hid { vendor: id(info.vendor), product: id(info.product), name },
        TransportKind::WebSocket => Advertisement::WebSocket { name: info.name.clone() },
        TransportKind::Other => Advertisement::Simulated { name: info.name.clone() },
    };
    DeviceInfo {
        protocol: info.protocol.clone(),
        advertisement,
        address: info.address.clone(),
        endpoints: info.endpoints.iter().map(|(name, _)| name.as_str().into()).collect(),
        params: info.params.clone(),
        seed: info.seed,
    }
}

fn service_model(model: &plugin_sdk::Model) -> Model {
    let features = model.features.iter().map(|feature| Feature {
        index: FeatureIndex(feature.index),
        outputs: feature
            .outputs
            .iter()
            .map(|one| OutputRange {
                kind: output_kind(one.kind),
                range: Range::new(one.min, one.max),
                duration_ms: one.duration_ms,
            })
            .collect(),
        inputs: feature
            .inputs
            .iter()
            .map(|one| InputRange {
                kind: input_kind(one.kind),
                range: Range::new(one.min, one.max),
                ways: match one.ways {
                    Ways::Read => InputWays::Read,
                    Ways::Subscribe => InputWays::Subscribe,
                    Ways::Both => InputWays::Both,
                },
            })
            .collect(),
    });
    Model {
        identifier: model.identifier.clone(),
        variant: model.variant.clone(),
        features: features.collect(),
    }
}

fn value(output: &plugin_sdk::Output) -> OutputValue {
    OutputValue {
        feature: FeatureIndex(output.feature),
        kind: output_kind(output.kind),
        value: output.value,
        duration_ms: output.duration_ms,
    }
}

fn output_kind(kind: plugin_sdk::OutputKind) -> vocabulary::OutputKind {
    let same = vocabulary::OutputKind::ALL.into_iter().find(|one| one.name() == kind.name());
    same.unwrap_or_else(|| panic!("the service has no output kind {}", kind.name()))
}

const INPUT_KINDS: [vocabulary::InputKind; 6] = [
    vocabulary::InputKind::Battery,
    vocabulary::InputKind::Rssi,
    vocabulary::InputKind::Button,
    vocabulary::InputKind::Pressure,
    vocabulary::InputKind::Depth,
    vocabulary::InputKind::Position,
];

fn input_kind(kind: plugin_sdk::InputKind) -> vocabulary::InputKind {
    let same = INPUT_KINDS.into_iter().find(|one| one.name() == kind.name());
    same.unwrap_or_else(|| panic!("the service has no input kind {}", kind.name()))
}

fn sdk_input_kind(kind: vocabulary::InputKind) -> plugin_sdk::InputKind {
    plugin_sdk::InputKind::from_name(kind.name()).unwrap()
}
