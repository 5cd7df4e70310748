//! Answers as text for people. Pure: values in, lines out.

use std::time::Duration;

use buttplugd_client::{ClientStatus, Device, DeviceState, OutputState, Status, TransportState};
use ipc_schema::v4;

/// Some text, and whether it has more than one of what it counts.
fn count(number: usize, one: &str, many: &str) -> String {
    match number {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    }
}

/// A time span as people say it: the two largest units.
pub(crate) fn span(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")];
    let mut parts = Vec::new();
    let mut rest = seconds;
    for (length, name) in units {
        if rest >= length {
            parts.push(format!("{} {name}", rest / length));
            rest %= length;
        }
    }
    match parts.as_slice() {
        [] => "0 s".into(),
        [first] => first.clone(),
        [first, second, ..] => format!("{first} {second}"),
    }
}

/// The service as a whole.
pub(crate) fn status(status: &Status) -> String {
    let mut text = String::new();
    let sessions = usize::try_from(status.sessions).unwrap_or(usize::MAX);
    line(&mut text, &format!("buttplugd {}, up for {}", status.server_version, span(status.uptime)));
    line(
        &mut text,
        &format!(
            "{}, {} known{}",
            count(sessions, "session (this one)", "sessions (this one included)"),
            count(usize::try_from(status.definitions).unwrap_or(usize::MAX), "device model", "device models"),
            if status.scanning { ", looking for devices" } else { "" }
        ),
    );
    line(&mut text, "\nBuses:");
    text.push_str(&transports(status));
    line(&mut text, "\nDevices:");
    if status.devices.is_empty() {
        line(&mut text, "  none known yet (look for some with: buttplugctl scan)");
    }
    for device in &status.devices {
        let name = device.device_display_name.as_deref().unwrap_or(&device.device_name);
        let battery = device.battery.map(|percent| format!(", battery {percent} %")).unwrap_or_default();
        let state = device_state(device.state);
        // The bus of a device that has not been seen since the service started is not known.
        let bus = if device.transport.is_empty() { String::new() } else { format!("{}, ", device.transport) };
        line(
            &mut text,
            &format!("  {:>3}  {name}: {state} ({bus}{}){battery}", device.device_index, device.protocol),
        );
        if let Some(reason) = &device.reason {
            line(&mut text, &format!("       {reason}"));
        }
    }
    if !status.warnings.is_empty() {
        line(&mut text, "\nWarnings:");
        for warning in &status.warnings {
            line(&mut text, &format!("  {warning}"));
        }
    }
    text
}

/// The buses, with what is missing.
pub(crate) fn transports(status: &Status) -> String {
    let mut text = String::new();
    if status.transports.is_empty() {
        line(&mut text, "  none: the service was started without any");
    }
    for transport in &status.transports {
        let state = match transport.state {
            TransportState::Ready => "ready",
            TransportState::Off => "off",
            TransportState::Unavailable => "not available",
        };
        let reason = transport.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        line(&mut text, &format!("  {:<10} {state}{reason}", transport.name));
        if let Some(hint) = &transport.hint {
            line(&mut text, &format!("             {hint}"));
        }
    }
    text
}

fn device_state(state: DeviceState) -> &'static str {
    match state {
        DeviceState::Connected => "connected",
        DeviceState::Connecting => "connecting",
        DeviceState::Absent => "not here",
        DeviceState::Denied => "not to be used",
    }
}

/// One line a device.
pub(crate) fn list(devices: &[Device]) -> String {
    if devices.is_empty() {
        return "no device is connected (look for some with: buttplugctl scan)\n".into();
    }
    let mut text = String::new();
    for device in devices {
        line(&mut text, &summary(device.description()));
    }
    text
}

/// One device in one line: number, name, what it can do.
pub(crate) fn summary(device: &v4::Device) -> String {
    let features = || device.device_features.values();
    let outputs =
        features().flat_map(|feature| feature.output.iter().flatten()).map(|(kind, _)| format!("{kind:?}"));
    let inputs =
        features().flat_map(|feature| feature.input.iter().flatten()).map(|(kind, _)| format!("{kind:?}"));
    let kinds = match (grouped(outputs), grouped(inputs)) {
        (outputs, inputs) if outputs.is_empty() && inputs.is_empty() => "nothing that can be driven".into(),
        (outputs, inputs) if inputs.is_empty() => outputs,
        (outputs, inputs) if outputs.is_empty() => format!("reads {inputs}"),
        (outputs, inputs) => format!("{outputs}; reads {inputs}"),
    };
    let name = device.device_display_name.as_deref().unwrap_or(&device.device_name);
    format!("{:>3}  {name}: {kinds}", device.device_index)
}

/// Words in the order in which they come, with how often.
fn grouped(words: impl Iterator<Item = String>) -> String {
    let mut counted: Vec<(String, usize)> = Vec::new();
    for word in words {
        match counted.iter_mut().find(|(known, _)| *known == word) {
            Some((_, number)) => *number += 1,
            None => counted.push((word, 1)),
        }
    }
    let shown = counted
        .into_iter()
        .map(|(word, number)| if number == 1 { word } else { format!("{number}x {word}") });
    shown.collect::<Vec<_>>().join(", ")
}

/// Everything about one device.
pub(crate) fn info(device: &v4::Device) -> String {
    let mut text = String::new();
    let name = device.device_display_name.as_deref().unwrap_or(&device.device_name);
    line(&mut text, &format!("{} {name}", device.device_index));
    line(&mut text, &format!("  model    {}", device.device_name));
    match device.device_message_timing_gap {
        0 => line(&mut text, "  pace     as fast as it goes"),
        gap => line(&mut text, &format!("  pace     one command every {gap} ms")),
    }
    for feature in device.device_features.values() {
        let description = match feature.feature_description.as_str() {
            "" => String::new(),
            description => format!(" ({description})"),
        };
        line(&mut text, &format!("  feature {}{description}", feature.feature_index));
        for (kind, limits) in feature.output.iter().flatten() {
            let [least, greatest] = limits.value;
            let time = limits
                .duration
                .map(|[shortest, longest]| format!(", in {shortest} to {longest} ms"))
                .unwrap_or_default();
            line(&mut text, &format!("    output {kind:?}: {least} to {greatest}{time}"));
        }
        for (kind, limits) in feature.input.iter().flatten() {
            let ranges: Vec<String> =
                limits.value.iter().map(|[least, greatest]| format!("{least} to {greatest}")).collect();
            let commands: Vec<String> =
                limits.command.iter().map(|command| format!("{command:?}").to_lowercase()).collect();
            line(&mut text, &format!("    input {kind:?}: {} ({})", ranges.join(", "), commands.join(", ")));
        }
    }
    text
}

/// Who is connected.
pub(crate) fn clients(clients: &[ClientStatus]) -> String {
    let mut text = String::new();
    for client in clients {
        let name = if client.client_name.is_empty() { "(no name)" } else { &client.client_name };
        let own = if client.own { " (this command)" } else { "" };
        line(&mut text, &format!("{:>4}  {name}{own}", client.session_id));
        let ping = match client.max_ping_time {
            0 => "no ping deadline".into(),
            deadline => format!("ping deadline {:?}", Duration::from_millis(u64::from(deadline))),
        };
        let age = span(client.connected);
        line(&mut text, &format!("      {}, spec v{}, {ping}, for {age}", client.front, client.spec_version));
        if let Some(executable) = &client.executable {
            let process = client.process_id.map(|id| format!(" (process {id})")).unwrap_or_default();
            line(&mut text, &format!("      {executable}{process}"));
        }
        if let Some(origin) = &client.origin {
            line(&mut text, &format!("      web page {origin}"));
        }
        for output in &client.drives {
            line(&mut text, &format!("      drives {}", output_state(output)));
        }
        for reserved in &client.reserves {
            let feature =
                reserved.feature_index.map(|feature| format!(", feature {feature}")).unwrap_or_default();
            line(&mut text, &format!("      reserves device {}{feature}", reserved.device_index));
        }
    }
    text
}

/// One output in one line.
pub(crate) fn output_state(output: &OutputState) -> String {
    let value = |value: Option<i32>| value.map_or("?".into(), |value| value.to_string());
    let pending = match output.wanted {
        wanted if wanted == output.confirmed => String::new(),
        wanted => format!(" (wanted {})", value(wanted)),
    };
    format!(
        "device {}, feature {}: {:?} {}{pending}",
        output.device_index,
        output.feature_index,
        output.output,
        value(output.confirmed)
    )
}

fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of a wire sample.
    fn sample<T: serde::de::DeserializeOwned>(frame: &str, name: &str) -> T {
        let frame: serde_json::Value = serde_json::from_str(frame).unwrap();
        serde_json::from_value(frame[0][name].clone()).unwrap()
    }

    #[test]
    fn spans_have_at_most_two_units() {
        for (seconds, text) in
            [(0, "0 s"), (59, "59 s"), (61, "1 min 1 s"), (3600, "1 h"), (90_061, "1 d 1 h")]
        {
            assert_eq!(span(seconds), text);
        }
    }

    #[test]
    fn the_status_says_what_is_missing() {
        let shown: Status = sample(include_str!("../../../ipc-schema/samples/v4/Status.json"), "Status");
        let expected = "\
buttplugd 0.1.0, up for 1 d
2 sessions (this one included), 806 device models known, looking for devices

Buses:
  ble        off: the adapter is switched off
             run: bluetoothctl power on
  serial     not available: no permission to open /dev/ttyUSB0
             install the udev rules
  simulated  ready

Devices:
    1  the blue one: connected (simulated, simulated), battery 85 %
    2  Sample Stroker: connecting (ble, sample)
    3  Sample Vibrator: not here (ble, sample)
       it did not answer the first question
    4  Sample Pump: not to be used (ble, sample)

Warnings:
  /etc/buttplugd/mine.toml: unknown key `nmae`
";
        assert_eq!(status(&shown), expected);
    }

    #[test]
    fn clients_are_listed_with_what_they_drive() {
        let shown: v4::Clients =
            sample(include_str!("../../../ipc-schema/samples/v4/Clients.json"), "Clients");
        let expected = "  12  Tapper
      websocket, spec v3, no ping deadline, for 1 min 1 s
      web page https://example.org
      drives device 1, feature 4: Rotate -1 (wanted -2)
      reserves device 1, feature 4
      reserves device 2
  13  buttplugctl (this command)
      socket, spec v4, ping deadline 10s, for 0 s
      /usr/bin/buttplugctl (process 4242)
";
        assert_eq!(clients(&shown.clients), expected);
    }

    #[test]
    fn a_device_is_shown_in_one_line_and_in_full() {
        let list: v4::DeviceList =
            sample(include_str!("../../../ipc-schema/samples/v4/DeviceList.json"), "DeviceList");
        let device = &list.devices[&1];
        assert_eq!(summary(device), "  1  the blue one: Vibrate, Rotate; reads Battery, Button, Pressure");
        let expected = "1 the blue one
  model    Sample Rotator
  pace     one command every 100 ms
  feature 0
    output Vibrate: 0 to 10
  feature 4 (shaft)
    output Rotate: -2 to 2
  feature 5 (battery)
    input Battery: 0 to 100 (read)
  feature 6 (grip)
    input Button: 0 to 1 (read, subscribe)
    input Pressure: 0 to 1024 (subscribe)
";
        assert_eq!(info(device), expected);
        assert!(
            info(&list.devices[&u32::MAX]).contains("HwPositionWithDuration: 0 to 1000, in 0 to 100000 ms")
        );
    }
}
