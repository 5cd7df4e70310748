//! What is said about Bluetooth: its state, why, and what would mend it.

use super::super::{Finds, TransportState, TransportStatus};
use super::NAME;

fn status(state: TransportState, reason: impl Into<String>, hint: &str) -> TransportStatus {
    TransportStatus {
        transport: NAME,
        finds: Finds::WhenAsked,
        state,
        reason: reason.into(),
        hint: hint.into(),
    }
}

/// It is not known yet.
pub(super) fn starting() -> TransportStatus {
    status(TransportState::Ready, "BlueZ is being asked for adapters", "")
}

/// All is well.
pub(super) fn ready() -> TransportStatus {
    status(TransportState::Ready, "", "")
}

/// The system bus cannot be reached.
pub(super) fn no_bus(error: &str) -> TransportStatus {
    status(
        TransportState::Unavailable,
        format!("the system bus, by which BlueZ is reached, is not there: {error}"),
        "start it: `sudo systemctl start dbus`",
    )
}

/// The part that speaks to BlueZ panicked.
pub(super) fn failed() -> TransportStatus {
    status(TransportState::Unavailable, "the Bluetooth part of the service failed, and is started again", "")
}

/// Nobody owns the name of BlueZ.
pub(super) fn no_bluez() -> TransportStatus {
    status(
        TransportState::Unavailable,
        "BlueZ, the Bluetooth service of Linux, is not running",
        "start it: `sudo systemctl start bluetooth` (it is in the package `bluez`)",
    )
}

/// BlueZ is there and cannot be used.
pub(super) fn refused(error: &str) -> TransportStatus {
    status(
        TransportState::Unavailable,
        format!("BlueZ does not answer as it should: {error}"),
        "see `systemctl status bluetooth` and `journalctl -u bluetooth`",
    )
}

/// BlueZ knows no adapter.
pub(super) fn no_adapter() -> TransportStatus {
    status(
        TransportState::Unavailable,
        "there is no Bluetooth adapter",
        "plug one in; one that is built in may be blocked: `rfkill list bluetooth`",
    )
}

/// All adapters are switched off.
pub(super) fn powered_off(adapters: &[&str]) -> TransportStatus {
    status(
        TransportState::Off,
        format!("the Bluetooth adapter {} is switched off", adapters.join(", ")),
        "switch it on: `rfkill unblock bluetooth && bluetoothctl power on`",
    )
}

/// Devices cannot be looked for, though an adapter is on.
pub(super) fn no_scan(error: &str) -> TransportStatus {
    status(
        TransportState::Unavailable,
        format!("BlueZ refuses to look for devices: {error}"),
        "see `journalctl -u bluetooth`; `sudo systemctl restart bluetooth` often helps",
    )
}
