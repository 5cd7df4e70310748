//! The header and its Rust mirror are the same layout, and the header is clean C11 and C++17.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::mem::{offset_of, size_of};
use std::path::{Path, PathBuf};
use std::process::Command;

use plugin_abi::*;

/// Lines of `STATIC_ASSERT(..)` for the size of a struct and the offset of each of its fields.
macro_rules! same {
    ($out:ident, $rust:ident = $c:literal { $($field:ident),+ $(,)? }) => {
        $out.push_str(&format!("CHECK(sizeof({}) == {});\n", $c, size_of::<$rust>()));
        $($out.push_str(&format!(
            "CHECK(offsetof({}, {}) == {});\n", $c, stringify!($field), offset_of!($rust, $field)
        ));)+
        // A field left out of the list above is a compile error here.
        #[allow(dead_code)]
        fn all_named(value: $rust) {
            let $rust { $($field: _),+ } = value;
        }
        let _: fn($rust) = all_named;
    };
}

/// The text of a program that compiles only if every size, offset and constant is what Rust has.
fn program() -> String {
    let mut out = String::from(
        "#include \"buttplug_plugin.h\"\n\
         #ifdef __cplusplus\n#define CHECK(x) static_assert(x, #x)\n#else\n#define CHECK(x) _Static_assert(x, #x)\n#endif\n",
    );
    {
        same!(out, Str = "bp_str" { ptr, len });
    }
    {
        same!(out, Bytes = "bp_bytes" { ptr, len });
    }
    {
        same!(out, Endpoint = "bp_endpoint" { id, flags, name });
    }
    {
        same!(out, Param = "bp_param" { key, value });
    }
    {
        same!(out, ManufacturerData = "bp_manufacturer_data" { company, reserved, data });
    }
    {
        same!(out, DeviceInfo = "bp_device_info" {
            struct_size, transport, seed, protocol, name, address, vendor, product, manufacturer_data,
            manufacturer_data_count, endpoints, endpoint_count, params, param_count,
        });
    }
    {
        same!(out, OutputRange = "bp_output_range" { kind, min, max, reserved, duration_min_ms, duration_max_ms });
    }
    {
        same!(out, InputRange = "bp_input_range" { kind, min, max, ways });
    }
    {
        same!(out, Feature = "bp_feature" { index, reserved, outputs, output_count, inputs, input_count });
    }
    {
        same!(out, Model = "bp_model" { struct_size, reserved, identifier, variant, features, feature_count });
    }
    {
        same!(out, Output = "bp_output" { feature, kind, value, duration_ms });
    }
    {
        same!(out, Input = "bp_input" { feature, kind, want, reserved });
    }
    {
        same!(out, Event = "bp_event" { kind, id, data });
    }
    {
        same!(out, Ops = "bp_ops" {
            struct_size, reserved, now_ms, ctx, write, read, notify, timer, identified, ready, reading, input_failed, log,
        });
    }
    {
        same!(out, Protocol = "bp_protocol" {
            struct_size, reserved, name, create, destroy, output, identify, start, stop, event, input, keep_alive,
        });
    }
    {
        same!(out, PluginEntry = "bp_plugin_entry" {
            abi_major, abi_minor, struct_size, protocol_count, id, version, protocols,
        });
    }
    for (name, value) in constants() {
        out.push_str(&format!("CHECK({name} == {value});\n"));
    }
    out.push_str("int main(void) { return 0; }\n");
    out
}

fn constants() -> Vec<(&'static str, i64)> {
    let unsigned = [
        ("BP_ABI_MAJOR", ABI_MAJOR),
        ("BP_ABI_MINOR", ABI_MINOR),
        ("BP_MAX_TIMERS", MAX_TIMERS),
        ("BP_MAX_TIMER_EVENTS", MAX_TIMER_EVENTS),
        ("BP_MAX_PROTOCOLS", MAX_PROTOCOLS),
        ("BP_OUTPUT_VIBRATE", output_kind::VIBRATE),
        ("BP_OUTPUT_ROTATE", output_kind::ROTATE),
        ("BP_OUTPUT_OSCILLATE", output_kind::OSCILLATE),
        ("BP_OUTPUT_CONSTRICT", output_kind::CONSTRICT),
        ("BP_OUTPUT_TEMPERATURE", output_kind::TEMPERATURE),
        ("BP_OUTPUT_LED", output_kind::LED),
        ("BP_OUTPUT_SPRAY", output_kind::SPRAY),
        ("BP_OUTPUT_POSITION", output_kind::POSITION),
        ("BP_OUTPUT_POSITION_WITH_DURATION", output_kind::POSITION_WITH_DURATION),
        ("BP_INPUT_BATTERY", input_kind::BATTERY),
        ("BP_INPUT_RSSI", input_kind::RSSI),
        ("BP_INPUT_BUTTON", input_kind::BUTTON),
        ("BP_INPUT_PRESSURE", input_kind::PRESSURE),
        ("BP_INPUT_DEPTH", input_kind::DEPTH),
        ("BP_INPUT_POSITION", input_kind::POSITION),
        ("BP_WANT_READ", want::READ),
        ("BP_WANT_SUBSCRIBE", want::SUBSCRIBE),
        ("BP_WANT_UNSUBSCRIBE", want::UNSUBSCRIBE),
        ("BP_WAY_READ", way::READ),
        ("BP_WAY_SUBSCRIBE", way::SUBSCRIBE),
        ("BP_TRANSPORT_OTHER", transport::OTHER),
        ("BP_TRANSPORT_BLUETOOTH", transport::BLUETOOTH),
        ("BP_TRANSPORT_SERIAL", transport::SERIAL),
        ("BP_TRANSPORT_HID", transport::HID),
        ("BP_TRANSPORT_WEBSOCKET", transport::WEBSOCKET),
        ("BP_ENDPOINT_READ", endpoint_flag::READ),
        ("BP_ENDPOINT_WRITE", endpoint_flag::WRITE),
        ("BP_ENDPOINT_WRITE_NO_RESPONSE", endpoint_flag::WRITE_NO_RESPONSE),
        ("BP_ENDPOINT_NOTIFY", endpoint_flag::NOTIFY),
        ("BP_WRITE_WITH_RESPONSE", write_flag::WITH_RESPONSE),
        ("BP_LOG_ERROR", log_level::ERROR),
        ("BP_LOG_WARN", log_level::WARN),
        ("BP_LOG_DEBUG", log_level::DEBUG),
        ("BP_EVENT_NOTIFIED", event_kind::NOTIFIED),
        ("BP_EVENT_READ", event_kind::READ),
        ("BP_EVENT_READ_FAILED", event_kind::READ_FAILED),
        ("BP_EVENT_WRITE_FAILED", event_kind::WRITE_FAILED),
        ("BP_EVENT_TIMER", event_kind::TIMER),
    ];
    let sizes = [("BP_MAX_OPERATIONS", MAX_OPERATIONS), ("BP_MAX_DATA", MAX_DATA), ("BP_MAX_TEXT", MAX_TEXT)];
    let statuses = [
        ("BP_OK", status::OK),
        ("BP_UNSUPPORTED", status::UNSUPPORTED),
        ("BP_BAD_REPLY", status::BAD_REPLY),
        ("BP_FAILED", status::FAILED),
        ("BP_PANICKED", status::PANICKED),
    ];
    let mut all: Vec<_> = unsigned.into_iter().map(|(name, value)| (name, i64::from(value))).collect();
    all.extend(sizes.into_iter().map(|(name, value)| (name, i64::try_from(value).unwrap())));
    all.extend(statuses.into_iter().map(|(name, value)| (name, i64::from(value))));
    all.push(("BP_CALL_LIMIT_MS", i64::try_from(CALL_LIMIT_MS).unwrap()));
    all
}

fn include() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("include")
}

/// Compiles `text` without linking; fails the test with the compiler's own words.
fn compiles(compiler: &str, standard: &str, name: &str, text: &str) {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, text).unwrap();
    let done = Command::new(compiler)
        .args([standard, "-Wall", "-Wextra", "-pedantic", "-Werror", "-fsyntax-only", "-I"])
        .arg(include())
        .arg(&file)
        .output()
        .unwrap_or_else(|error| panic!("{compiler} must be installed: {error}"));
    assert!(done.status.success(), "{compiler} {standard}: {}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn sizes_offsets_and_constants_are_the_same_in_c() {
    compiles("cc", "-std=c11", "layout.c", &program());
}

#[test]
fn sizes_offsets_and_constants_are_the_same_in_cpp() {
    compiles("c++", "-std=c++17", "layout.cpp", &program());
}

#[test]
fn every_constant_of_the_header_is_mirrored() {
    let header = std::fs::read_to_string(include().join("buttplug_plugin.h")).unwrap();
    let mirrored = constants();
    let macros = ["BP_EXPORT", "BP_STR(literal)"];
    for line in header.lines() {
        let Some(name) = line.strip_prefix("#define ").and_then(|rest| rest.split_whitespace().next()) else {
            continue;
        };
        if name.starts_with("BP_") && !macros.contains(&name) {
            assert!(mirrored.iter().any(|(known, _)| *known == name), "{name} is not in the Rust mirror");
        }
    }
}

#[test]
fn versions_stand_first_in_the_entry_for_ever() {
    assert_eq!(offset_of!(PluginEntry, abi_major), 0);
    assert_eq!(offset_of!(PluginEntry, abi_minor), 4);
    assert_eq!(SYMBOL.to_str().unwrap(), "buttplug_plugin_entry_v1");
}
