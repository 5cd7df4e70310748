//! Real libraries through the service's loader: those that do right, those that are refused, those that do wrong.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod nonsense;
mod plugin_support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use buttplugd::plugin::{
    Code, DeviceInfo, Feature, InputRange, Instance, LoadError, Model, OutputRange, PluginHost, Table,
};
use engine::advertisement::Advertisement;
use engine::definition::{
    layer::Layer,
    parse::{Parsed, parse},
    template::AnyTemplate,
};
use engine::protocol::{InputWish, Operation, OutputValue, PluginFault, ProtocolEvent, WriteKind};
use engine::view::InputWays;
use engine::vocabulary::{FeatureIndex, InputKind, OutputKind, Range};
use plugin_sdk::driver::Subject;
use plugin_sdk::{Failure, Info, vectors};
use plugin_support::{Loaded, built, compiled, plugins};

// ---- Those that do right ----

/// Runs the vectors of every folder of plugins that has some: code through its library, patterns through the template.
#[test]
fn every_golden_vector_passes_through_the_loader() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let (mut ran, mut failed) = (0, Vec::new());
    for entry in std::fs::read_dir(plugins()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("vectors").is_dir() {
            continue;
        }
        let host = std::cell::RefCell::new(PluginHost::new(&[*plugin_template::entry()]).unwrap());
        let library = library(&folder);
        let make = |protocol: &str, info: &Info| -> Option<Result<Box<dyn Subject>, Failure>> {
            let code = match &library {
                Some(path) if protocol != plugin_sdk::TEMPLATE_PROTOCOL => Code::Library(path),
                Some(_) | None => Code::LinkedIn,
            };
            let table = runtime.block_on(host.borrow_mut().table(code, protocol));
            let made = table.map_err(|error| Failure::failed(error.to_string()));
            Some(made.map(|table| Box::new(Loaded::new(table, info)) as Box<dyn Subject>))
        };
        match vectors::check(&folder, &make) {
            Ok(number) => ran += number,
            Err(error) => failed.push(format!("{}: {error}", folder.display())),
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(ran > 0, "no vectors were found in {}", plugins().display());
}

/// The vectors are run on what the SDK reads of a definition, so the service's own reader has to take it too.
#[test]
fn every_definition_is_taken_by_the_service_and_names_what_its_library_has() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut read = 0;
    for entry in std::fs::read_dir(plugins()).unwrap() {
        let folder = entry.unwrap().path();
        let path = folder.join("plugin.toml");
        if !path.exists() {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let parsed = parse(&path.display().to_string(), &text, Layer::Plugins, &AnyTemplate);
        let Parsed::Good(definition) = parsed else { panic!("{}: {parsed:?}", path.display()) };
        read += 1;
        if let Some(library) = library(&folder) {
            let mut host = PluginHost::new(&[]).unwrap();
            for protocol in definition.protocol.iter().filter(|protocol| protocol.code) {
                runtime.block_on(host.table(Code::Library(&library), &protocol.id)).unwrap();
            }
        }
    }
    assert!(read > 0, "no definitions were found in {}", plugins().display());
}

/// The library that a folder's `plugin.toml` names, built or compiled.
fn library(folder: &Path) -> Option<PathBuf> {
    let definition: toml::Table =
        std::fs::read_to_string(folder.join("plugin.toml")).unwrap().parse().unwrap();
    let name = definition.get("library")?.as_str().unwrap();
    let in_c = folder.join(format!("{}.c", folder.file_name().unwrap().to_str().unwrap()));
    Some(if in_c.exists() { compiled(&in_c, name, &[]) } else { built(name) })
}

#[tokio::test]
async fn a_library_is_loaded_once_and_listed() {
    let path = built("buttplug_lovense");
    let mut host = PluginHost::new(&[*plugin_template::entry()]).unwrap();
    assert_eq!(host.plugins().len(), 1, "nothing is loaded before it is needed");
    let first = host.table(Code::Library(&path), "lovense").await.unwrap();
    let second = host.table(Code::Library(&path), "lovense").await.unwrap();
    assert_eq!((first.name(), first.plugin()), ("lovense", "lovense"));
    assert_eq!(first.name().as_ptr(), second.name().as_ptr());
    let listed = host.plugins();
    assert_eq!(listed.len(), 2);
    assert_eq!(listed[1].path.as_deref(), Some(path.as_path()));
    assert_eq!(listed[1].protocols, ["lovense"]);
}

#[tokio::test]
async fn a_protocol_that_a_plugin_lacks_is_named() {
    let path = built("buttplug_lovense");
    let mut host = PluginHost::new(&[]).unwrap();
    let missing = host.table(Code::Library(&path), "nothing").await.unwrap_err();
    assert!(matches!(&*missing, LoadError::NoProtocol { protocol, .. } if protocol == "nothing"));
    let missing = host.table(Code::LinkedIn, "template").await.unwrap_err();
    assert!(matches!(&*missing, LoadError::NoProtocol { .. }));
}

// ---- Those that are refused ----

async fn refusal(name: &str, defines: &[&str]) -> Result<Table, std::sync::Arc<LoadError>> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugin_support/refused.c");
    let defines: Vec<String> = defines.iter().map(|one| format!("-D{one}")).collect();
    let path = compiled(&source, &format!("refused_{name}"), &defines);
    let mut host = PluginHost::new(&[]).unwrap();
    let table = host.table(Code::Library(&path), "refused").await;
    assert_eq!(host.refusals().count(), usize::from(table.is_err()));
    table
}

/// Declares a test that a library with one thing wrong is refused for that thing.
macro_rules! refused {
    ($($name:ident: $defines:expr => $pattern:pat,)+) => {
        $(#[tokio::test]
        async fn $name() {
            let error = refusal(stringify!($name), &$defines).await.unwrap_err();
            assert!(matches!(&*error, $pattern), "{error}");
        })+
    };
}

refused! {
    another_major_is_refused: ["MAJOR=2"] => LoadError::OtherMajor { found: 2, .. },
    a_newer_minor_is_refused: ["MINOR=1"] => LoadError::NewerMinor { found: 1, .. },
    a_short_entry_is_refused: ["ENTRY_SIZE=16"] => LoadError::BadSize { table: "entry", found: 16, .. },
    a_monstrous_entry_is_refused: ["ENTRY_SIZE=4097"] => LoadError::BadSize { table: "entry", found: 4097, .. },
    a_short_protocol_is_refused: ["PROTOCOL_SIZE=40"] => LoadError::BadSize { table: "protocol", found: 40, .. },
    a_library_without_the_symbol_is_refused: ["SYMBOL=something_else"] => LoadError::NoEntry { .. },
    no_protocols_are_refused: ["COUNT=0"] => LoadError::BadCount { found: 0, .. },
    too_many_protocols_are_refused: ["COUNT=257"] => LoadError::BadCount { found: 257, .. },
    a_null_list_is_refused: ["LIST=NULL"] => LoadError::BadPointer { what: "the list of protocols", .. },
    a_null_protocol_is_refused: ["FIRST=NULL"] => LoadError::BadPointer { what: "a protocol", .. },
    a_null_create_is_refused: ["CREATE=NULL"] => LoadError::MissingFunction { function: "create", .. },
    a_null_destroy_is_refused: ["DESTROY=NULL"] => LoadError::MissingFunction { function: "destroy", .. },
    a_null_output_is_refused: ["OUTPUT=NULL"] => LoadError::MissingFunction { function: "output", .. },
    an_empty_name_is_refused: ["NAME={NULL,0}"] => LoadError::BadText { what: "protocol name", .. },
    a_name_that_is_no_utf8_is_refused: ["NAME={\"\\xff\",1}"] => LoadError::BadText { what: "protocol name", .. },
    an_endless_name_is_refused: ["NAME={\"x\",4096}"] => LoadError::BadText { what: "protocol name", .. },
    the_same_protocol_twice_is_refused: ["COUNT=2"] => LoadError::DuplicateProtocol { .. },
}

#[tokio::test]
async fn the_same_library_without_the_fault_is_taken() {
    refusal("nothing", &[]).await.unwrap();
}

#[tokio::test]
async fn a_plugin_of_an_older_smaller_table_is_taken() {
    refusal("older", &["PROTOCOL_SIZE=offsetof(bp_protocol,identify)"]).await.unwrap();
}

#[tokio::test]
async fn two_libraries_with_the_same_protocol_are_refused() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/plugin_support/refused.c");
    let (first, second) = (compiled(&source, "refused_first", &[]), compiled(&source, "refused_second", &[]));
    let mut host = PluginHost::new(&[]).unwrap();
    host.table(Code::Library(&first), "refused").await.unwrap();
    let error = host.table(Code::Library(&second), "refused").await.unwrap_err();
    assert!(matches!(&*error, LoadError::DuplicateProtocol { .. }), "{error}");
    host.table(Code::Library(&first), "refused").await.unwrap();
}

#[tokio::test]
async fn what_is_no_library_is_refused_until_it_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libx.so");
    let mut host = PluginHost::new(&[]).unwrap();
    let error = host.table(Code::Library(&path), "lovense").await.unwrap_err();
    assert!(matches!(&*error, LoadError::Unreadable { .. }), "{error}");
    std::fs::write(&path, "no library").unwrap();
    host.forget_refusals();
    let error = host.table(Code::Library(&path), "lovense").await.unwrap_err();
    assert!(matches!(&*error, LoadError::Open { .. }), "{error}");
    std::fs::copy(built("buttplug_lovense"), &path).unwrap();
    host.table(Code::Library(&path), "lovense").await.unwrap_err();
    host.forget_refusals();
    host.table(Code::Library(&path), "lovense").await.unwrap();
}

#[tokio::test]
async fn a_file_or_folder_that_others_can_write_to_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libx.so");
    std::fs::copy(built("buttplug_lovense"), &path).unwrap();
    let mut host = PluginHost::new(&[]).unwrap();
    for (changed, open, shut) in [(path.as_path(), 0o757, 0o755), (folder.path(), 0o707, 0o700)] {
        std::fs::set_permissions(changed, std::fs::Permissions::from_mode(open)).unwrap();
        let error = host.table(Code::Library(&path), "lovense").await.unwrap_err();
        let canonical = changed.canonicalize().unwrap();
        assert!(matches!(&*error, LoadError::WritableByOthers { path, .. } if *path == canonical), "{error}");
        std::fs::set_permissions(changed, std::fs::Permissions::from_mode(shut)).unwrap();
        host.forget_refusals();
    }
    host.table(Code::Library(&path), "lovense").await.unwrap();
}

// ---- Those that do wrong ----

/// The one motor and the battery that hostile devices have.
const MOTOR: FeatureIndex = FeatureIndex(0);
const BATTERY: FeatureIndex = FeatureIndex(1);

/// A limit that no call reaches that returns at all, however busy the machine is.
const PATIENT: Duration = Duration::from_secs(30);
/// A limit that a call which never returns reaches soon.
const SHORT: Duration = Duration::from_millis(500);

async fn hostile(protocol: &str, limit: Duration) -> Instance {
    let mut host = PluginHost::new(&[]).unwrap();
    let table = host.table(Code::Library(&built("buttplug_hostile")), protocol).await.unwrap();
    let info = DeviceInfo {
        protocol: protocol.to_owned(),
        advertisement: Advertisement::Bluetooth {
            name: Some("HOSTILE".to_owned()),
            manufacturer_data: Vec::new(),
            services: Vec::new(),
        },
        address: "00:11:22:33:44:55".to_owned(),
        endpoints: vec!["tx".into()],
        params: Vec::new(),
        seed: 1,
    };
    Instance::with_limit(table, info, limit)
}

fn model() -> Model {
    let motor = OutputRange { kind: OutputKind::Vibrate, range: Range::new(0, 20), duration_ms: (0, 0) };
    let battery = InputRange { kind: InputKind::Battery, range: Range::new(0, 100), ways: InputWays::Read };
    Model {
        identifier: "model".to_owned(),
        variant: String::new(),
        features: vec![
            Feature { index: MOTOR, outputs: vec![motor], inputs: Vec::new() },
            Feature { index: BATTERY, outputs: Vec::new(), inputs: vec![battery] },
        ],
    }
}

fn vibrate(value: i32) -> Vec<OutputValue> {
    vec![OutputValue { feature: MOTOR, kind: OutputKind::Vibrate, value, duration_ms: 0 }]
}

fn packet(data: &[u8]) -> Vec<Operation> {
    vec![Operation::Write { endpoint: "tx".into(), data: data.to_vec(), kind: WriteKind::WithoutResponse }]
}

/// Identified and started.
async fn ready(protocol: &str) -> Instance {
    ready_within(protocol, PATIENT).await
}

async fn ready_within(protocol: &str, limit: Duration) -> Instance {
    let mut instance = hostile(protocol, limit).await;
    let identified = instance.call(0, ProtocolEvent::Identify).await.unwrap();
    assert!(matches!(identified[..], [Operation::Identified { protocol: None, .. }]), "{identified:?}");
    instance.set_model(model());
    assert_eq!(instance.call(1, ProtocolEvent::Start).await.unwrap(), [Operation::Ready]);
    instance
}

fn read_battery() -> ProtocolEvent {
    ProtocolEvent::Input { feature: BATTERY, kind: InputKind::Battery, wish: InputWish::Read }
}

#[tokio::test]
async fn a_panic_before_the_model_is_known_loses_the_device() {
    for protocol in ["panic-in-create", "panic-in-identify"] {
        let mut instance = hostile(protocol, PATIENT).await;
        assert_eq!(instance.call(0, ProtocolEvent::Identify).await, Err(PluginFault::Panicked), "{protocol}");
        assert_eq!(instance.call(1, ProtocolEvent::Stop(vibrate(0))).await, Err(PluginFault::WrittenOff));
    }
}

#[tokio::test]
async fn a_panic_in_start_loses_the_device() {
    let mut instance = hostile("panic-in-start", PATIENT).await;
    instance.call(0, ProtocolEvent::Identify).await.unwrap();
    instance.set_model(model());
    assert_eq!(instance.call(1, ProtocolEvent::Start).await, Err(PluginFault::Panicked));
}

#[tokio::test]
async fn a_device_whose_plugin_panicked_is_stopped_all_the_same() {
    let notified = ProtocolEvent::Notified { endpoint: "tx".into(), data: vec![1] };
    let sins = [
        ("panic-in-output", ProtocolEvent::Output(vibrate(9))),
        ("panic-in-event", notified),
        ("panic-in-input", read_battery()),
        ("panic-in-keep-alive", ProtocolEvent::KeepAlive),
    ];
    for (protocol, event) in sins {
        let mut instance = ready(protocol).await;
        assert_eq!(instance.call(2, event).await, Err(PluginFault::Panicked), "{protocol}");
        let again = instance.call(3, ProtocolEvent::Output(vibrate(5))).await;
        assert_eq!(again, Err(PluginFault::WrittenOff), "{protocol}");
        assert_eq!(
            instance.call(4, ProtocolEvent::Stop(vibrate(0))).await.unwrap(),
            packet(&[0]),
            "{protocol}"
        );
        let again = instance.call(5, ProtocolEvent::Stop(vibrate(0))).await;
        assert_eq!(again, Err(PluginFault::WrittenOff), "{protocol}: one stop is tried, not more");
    }
}

#[tokio::test]
async fn a_plugin_that_panics_in_stop_is_not_asked_for_ever() {
    let mut instance = ready("panic-in-stop").await;
    for fault in [PluginFault::Panicked, PluginFault::Panicked, PluginFault::WrittenOff] {
        assert_eq!(instance.call(2, ProtocolEvent::Stop(vibrate(0))).await, Err(fault));
    }
}

#[tokio::test]
async fn a_panic_in_destroy_ends_a_thread_and_nothing_else() {
    drop(ready("panic-in-destroy").await);
    let mut other = ready("panic-in-stop").await;
    assert_eq!(other.call(2, ProtocolEvent::Output(vibrate(7))).await.unwrap(), packet(&[7]));
}

#[tokio::test]
async fn wrong_operations_and_statuses_are_faults_with_their_names() {
    let over = |what, limit| PluginFault::OverLimit { what, limit };
    let sins = [
        ("unknown-status", PluginFault::UnknownStatus(77)),
        ("huge-write", over("bytes in one write", 4096)),
        ("null-write", PluginFault::Nonsense("a null pointer with a length")),
        ("unknown-endpoint", PluginFault::Nonsense("an endpoint that the device does not have")),
        ("unknown-timer", PluginFault::Nonsense("a timer whose number is too high")),
        ("unknown-input", PluginFault::Nonsense("a kind of input that does not exist")),
        ("notify-two", PluginFault::Nonsense("notify with something else than 0 or 1")),
        ("broken-text", PluginFault::Nonsense("text that is not UTF-8")),
        ("huge-text", over("bytes in one text", 1024)),
        ("broken-log", PluginFault::Nonsense("text that is not UTF-8")),
        ("ready-out-of-turn", PluginFault::Nonsense("ready out of turn")),
        ("floods", over("operations in one call", 256)),
        ("fails", PluginFault::Failed),
    ];
    for (protocol, fault) in sins {
        let mut instance = ready(protocol).await;
        assert_eq!(instance.call(2, ProtocolEvent::Output(vibrate(9))).await, Err(fault), "{protocol}");
    }
}

#[tokio::test]
async fn a_device_that_create_spoilt_is_refused() {
    let sins = [
        ("null-device", PluginFault::Nonsense("a null device")),
        ("writes-in-create", PluginFault::Nonsense("operations during create")),
    ];
    for (protocol, fault) in sins {
        let mut instance = hostile(protocol, PATIENT).await;
        assert_eq!(instance.call(0, ProtocolEvent::Identify).await, Err(fault), "{protocol}");
    }
}

#[tokio::test]
async fn a_plugin_that_finds_an_answer_wrong_loses_the_device_and_stops_it() {
    let mut instance = ready("bad-reply").await;
    let notified = ProtocolEvent::Notified { endpoint: "tx".into(), data: vec![1] };
    assert_eq!(instance.call(2, notified).await, Err(PluginFault::BadReply));
    assert_eq!(instance.call(3, ProtocolEvent::Stop(vibrate(0))).await.unwrap(), packet(&[0]));
}

#[tokio::test]
async fn a_notification_of_an_endpoint_that_the_plugin_was_not_told_of_is_kept_from_it() {
    let mut instance = ready("panic-in-event").await;
    let notified = ProtocolEvent::Notified { endpoint: "other".into(), data: vec![1] };
    assert_eq!(instance.call(2, notified).await.unwrap(), []);
}

#[tokio::test]
async fn a_plugin_that_is_never_ready_says_nothing() {
    let mut instance = hostile("never-ready", PATIENT).await;
    instance.call(0, ProtocolEvent::Identify).await.unwrap();
    instance.set_model(model());
    assert_eq!(
        instance.call(1, ProtocolEvent::Start).await.unwrap(),
        [],
        "the limit of bring-up is the device's"
    );
}

#[tokio::test]
async fn a_plugin_that_blocks_is_written_off_and_its_device_is_stopped() {
    let mut blocked = ready_within("blocks", SHORT).await;
    blocked.submit(2, ProtocolEvent::Output(vibrate(9))).unwrap();
    assert!(blocked.is_busy());
    assert_eq!(blocked.submit(2, ProtocolEvent::KeepAlive), Err(PluginFault::Busy));

    let mut other = ready("polite").await;
    assert_eq!(other.call(2, ProtocolEvent::Output(vibrate(7))).await.unwrap(), packet(&[7]));

    assert_eq!(blocked.result().await, Err(PluginFault::TimedOut { limit_ms: 500 }));
    assert_eq!(blocked.call(3, ProtocolEvent::Stop(vibrate(0))).await.unwrap(), packet(&[0]));
}

#[tokio::test]
async fn the_outcome_of_a_call_is_not_lost_when_nobody_waits_for_it_at_the_time() {
    let mut instance = ready("panic-in-stop").await;
    instance.submit(2, ProtocolEvent::Output(vibrate(3))).unwrap();
    tokio::select! {
        biased;
        () = std::future::ready(()) => {}
        _ = instance.result() => unreachable!("the other arm is first"),
    }
    assert!(instance.is_busy());
    assert_eq!(instance.result().await.unwrap(), packet(&[3]));
    assert!(!instance.is_busy());
}

#[tokio::test]
async fn endless_timers_are_a_flood() {
    let mut instance = ready("endless-timers").await;
    let mut outcome = instance.call(1000, ProtocolEvent::Output(vibrate(1))).await;
    let mut ticks = 0;
    while outcome.is_ok() {
        ticks += 1;
        assert!(ticks < 1000, "the flood was not noticed");
        outcome = instance.call(1000 + ticks, ProtocolEvent::Timer { timer: 0 }).await;
    }
    assert_eq!(outcome, Err(PluginFault::OverLimit { what: "timer events a second", limit: 250 }));
    assert_eq!(ticks, 251);
}

#[tokio::test]
async fn a_reading_out_of_range_is_a_failed_input_and_one_of_no_input_is_nothing() {
    let mut instance = ready("out-of-range").await;
    let failed = Operation::InputFailed { feature: BATTERY, kind: InputKind::Battery };
    assert_eq!(instance.call(2, read_battery()).await.unwrap(), [failed]);
    assert_eq!(instance.call(3, ProtocolEvent::Output(vibrate(4))).await.unwrap(), packet(&[4]));
}

#[tokio::test]
async fn what_a_plugin_leaves_out_is_filled_in() {
    let mut instance = ready("polite").await;
    assert_eq!(instance.call(2, read_battery()).await, Err(PluginFault::Unsupported));
    // The device then repeats the last packet that went out, which a plugin cannot know.
    assert_eq!(instance.call(3, ProtocolEvent::KeepAlive).await, Err(PluginFault::Unsupported));
    instance.call(4, ProtocolEvent::Output(vibrate(8))).await.unwrap();
    assert_eq!(instance.call(6, ProtocolEvent::Stop(vibrate(0))).await.unwrap(), packet(&[0]));
    assert_eq!(instance.call(7, ProtocolEvent::Timer { timer: 3 }).await.unwrap(), []);
    let place = OutputValue { feature: MOTOR, kind: OutputKind::Position, value: 5, duration_ms: 0 };
    assert_eq!(instance.call(8, ProtocolEvent::Stop(vec![place])).await.unwrap(), [], "a place is not moved");
}

#[tokio::test]
async fn an_output_that_a_plugin_does_not_know_cannot_keep_the_others_running() {
    let mut instance = ready("picky").await;
    let unknown = OutputValue { feature: BATTERY, kind: OutputKind::Led, value: 0, duration_ms: 0 };
    let both = [vec![unknown], vibrate(0)].concat();
    assert_eq!(instance.call(2, ProtocolEvent::Output(both.clone())).await, Err(PluginFault::Unsupported));
    assert_eq!(instance.call(3, ProtocolEvent::Stop(both)).await.unwrap(), packet(&[0]));
    assert_eq!(instance.call(4, ProtocolEvent::Stop(vec![unknown])).await, Err(PluginFault::Unsupported));
}
