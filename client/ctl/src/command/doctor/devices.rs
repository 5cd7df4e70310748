//! What the running service says of the devices that it knows.

use buttplugd_client::{DeviceState, DeviceStatus};

use super::Finding;

const CHECK: &str = "devices";

/// The devices that could be here and are not, each with why.
pub(super) fn known(devices: &[DeviceStatus]) -> Vec<Finding> {
    let missing: Vec<Finding> = devices.iter().filter_map(missing).collect();
    if !missing.is_empty() || devices.is_empty() {
        return missing;
    }
    vec![Finding::well(CHECK, "nothing keeps a known device away")]
}

fn missing(device: &DeviceStatus) -> Option<Finding> {
    match device.state {
        DeviceState::Connected | DeviceState::Connecting | DeviceState::Denied => return None,
        DeviceState::Absent => {}
    }
    let reason = device.reason.as_deref()?;
    let name = device.device_display_name.as_ref().unwrap_or(&device.device_name);
    let text = format!("{name} is not here: {reason}");
    Some(match command(reason) {
        Some(command) => Finding::broken(CHECK, text, command),
        None => Finding { mend: None, ..Finding::note(CHECK, text, "") },
    })
}

/// The command that a text names, between its first two backticks.
fn command(text: &str) -> Option<&str> {
    text.split('`').nth(1).filter(|command| !command.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    fn device(state: DeviceState, reason: Option<&str>) -> DeviceStatus {
        DeviceStatus {
            device_index: 1,
            device_name: "Toy".into(),
            device_display_name: None,
            transport: "bluetooth".into(),
            protocol: "toy".into(),
            state,
            reason: reason.map(Into::into),
            battery: None,
        }
    }

    #[test]
    fn a_device_that_wants_to_be_paired_comes_with_the_command() {
        let reason = "the device wants to be paired first: `bluetoothctl pair C4:4F:33:A1:B2:D3` (refused)";
        let found = known(&[device(DeviceState::Absent, Some(reason))]);
        assert_eq!(found[0].state, State::Broken);
        assert_eq!(found[0].mend.as_deref(), Some("bluetoothctl pair C4:4F:33:A1:B2:D3"));
    }

    #[test]
    fn a_device_that_is_away_is_nothing_to_mend() {
        assert_eq!(known(&[]), []);
        let well = known(&[device(DeviceState::Connected, None), device(DeviceState::Absent, None)]);
        assert_eq!(well[0].state, State::Well);
        let found = known(&[device(DeviceState::Absent, Some("it did not answer"))]);
        assert_eq!((found[0].state, found[0].mend.as_deref()), (State::Note, None));
    }
}
