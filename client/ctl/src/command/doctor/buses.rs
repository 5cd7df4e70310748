//! What systemd and the two message buses say, through the programs that are there for it.

use std::env;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use super::Finding;

const NAME: &str = "org.buttplugd.Buttplug1";

/// What a program prints, whatever its status; nothing if it is not there or prints nothing.
pub(super) fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let text = String::from_utf8_lossy(&output.ok()?.stdout).into_owned();
    (!text.trim().is_empty()).then_some(text)
}

fn bus(which: &str, name: &str) -> Option<bool> {
    const DAEMON: &str = "org.freedesktop.DBus";
    let path = "/org/freedesktop/DBus";
    let answer =
        said("busctl", &[which, "--timeout=3", "call", DAEMON, path, DAEMON, "NameHasOwner", "s", name])?;
    Some(answer.trim() == "b true")
}

/// The session bus.
pub(super) fn session(service_runs: bool) -> Vec<Finding> {
    const CHECK: &str = "session bus";
    let has_bus = env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some()
        || env::var_os("XDG_RUNTIME_DIR").is_some_and(|folder| Path::new(&folder).join("bus").exists());
    if !has_bus {
        let text = "there is none, so applications can use the sockets only";
        return vec![Finding::note(
            CHECK,
            text,
            "log in on a desktop, or install dbus-user-session and log in again",
        )];
    }
    vec![match bus("--user", NAME) {
        Some(true) => Finding::well(CHECK, format!("{NAME} is there")),
        Some(false) if service_runs => Finding::broken(
            CHECK,
            "the service runs without it",
            "systemctl --user restart buttplugd.service",
        ),
        Some(false) => Finding::note(CHECK, format!("{NAME} is not there now"), "see the service above"),
        None => Finding::note(
            CHECK,
            "it does not answer, or there is no busctl to ask it with",
            "busctl --user status",
        ),
    }]
}

/// BlueZ and its adapters.
pub(super) fn bluetooth() -> Vec<Finding> {
    const CHECK: &str = "bluetooth";
    match bus("--system", "org.bluez") {
        None => {
            return vec![Finding::broken(
                CHECK,
                "the system bus does not answer, so BlueZ cannot be reached",
                "sudo systemctl start dbus",
            )];
        }
        Some(false) => {
            let unit = ["/usr/lib/systemd/system/bluetooth.service", "/lib/systemd/system/bluetooth.service"];
            let mend = if unit.iter().any(|unit| Path::new(unit).exists()) {
                "sudo systemctl enable --now bluetooth"
            } else {
                "install the package `bluez`, then: sudo systemctl start bluetooth"
            };
            return vec![Finding::broken(CHECK, "BlueZ does not run", mend)];
        }
        Some(true) => {}
    }
    let objects = said(
        "busctl",
        &[
            "--system",
            "--timeout=3",
            "--json=short",
            "call",
            "org.bluez",
            "/",
            "org.freedesktop.DBus.ObjectManager",
            "GetManagedObjects",
        ],
    );
    let objects = objects.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null);
    vec![match adapters(&objects).as_slice() {
        [] => Finding::broken(
            CHECK,
            "there is no Bluetooth adapter",
            "plug one in; if it has one: rfkill unblock bluetooth",
        ),
        powered if powered.contains(&true) => Finding::well(CHECK, "BlueZ has an adapter that is on"),
        _ => Finding::broken(CHECK, "the Bluetooth adapter is switched off", "bluetoothctl power on"),
    }]
}

/// Whether each adapter is on.
fn adapters(objects: &Value) -> Vec<bool> {
    let objects = objects.pointer("/data/0").and_then(Value::as_object);
    let adapter = |object: &Value| {
        let adapter = object.get("org.bluez.Adapter1")?;
        Some(adapter.pointer("/Powered/data").and_then(Value::as_bool).unwrap_or(false))
    };
    objects.into_iter().flat_map(|objects| objects.values()).filter_map(adapter).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn adapters_are_found_among_the_objects_of_bluez() {
        let adapter = |on: bool| json!({ "org.bluez.Adapter1": { "Powered": { "type": "b", "data": on } } });
        let objects = json!({ "type": "a{oa{sa{sv}}}", "data": [{ "/org/bluez": {}, "/org/bluez/hci0": adapter(false), "/org/bluez/hci1": adapter(true) }] });
        assert_eq!(adapters(&objects), [false, true]);
        assert_eq!(adapters(&Value::Null), [false; 0]);
    }
}
