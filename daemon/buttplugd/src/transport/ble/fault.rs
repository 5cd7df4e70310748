//! What an error of btleplug means for a device, and what the user can do about it.

use std::{future::Future, time::Duration};

use bluez_async::BluetoothError;
use tokio::time::timeout;

use super::super::TransportFault;

/// Texts by which BlueZ says that a device wants to be paired first: its own, and the codes of the attribute protocol for
/// insufficient authentication, authorisation, key size and encryption.
const WANTS_PAIRING: [&str; 6] =
    ["Not paired", "Not Paired", "ATT error: 0x05", "ATT error: 0x08", "ATT error: 0x0c", "ATT error: 0x0f"];

/// Names of errors of BlueZ that say it too.
const UNPAIRED: [&str; 5] = [
    "AuthenticationFailed",
    "AuthenticationCanceled",
    "AuthenticationRejected",
    "AuthenticationTimeout",
    "NotAuthorized",
];

/// The name and text of the D-Bus error behind an error of btleplug, if there is one.
pub(super) fn dbus_error(error: &btleplug::Error) -> Option<(&str, &str)> {
    let btleplug::Error::Other(inner) = error else { return None };
    match inner.downcast_ref::<BluetoothError>() {
        Some(BluetoothError::DbusError(error)) => {
            Some((error.name().unwrap_or_default(), error.message().unwrap_or_default()))
        }
        _ => None,
    }
}

/// An error as text, with the name that BlueZ gave it.
pub(super) fn text(error: &btleplug::Error) -> String {
    match dbus_error(error) {
        Some((name, text)) => format!("{text} ({name})"),
        None => error.to_string(),
    }
}

/// What an error means for the device of that address.
pub(super) fn fault(error: &btleplug::Error, address: &str) -> TransportFault {
    match error {
        btleplug::Error::NotConnected | btleplug::Error::DeviceNotFound => {
            return TransportFault::Disconnected(error.to_string());
        }
        btleplug::Error::PermissionDenied => return TransportFault::NotAllowed(error.to_string()),
        btleplug::Error::TimedOut(limit) => return TransportFault::TimedOut(milliseconds(*limit)),
        _ => {}
    }
    let Some((name, text)) = dbus_error(error) else { return TransportFault::Refused(error.to_string()) };
    classify(name, text, address)
}

/// Whether an error says that the device wants to be paired.
pub(super) fn wants_pairing(error: &btleplug::Error) -> bool {
    dbus_error(error).is_some_and(|(name, text)| is_unpaired(name, text))
}

fn is_unpaired(name: &str, text: &str) -> bool {
    let by_name = name.strip_prefix("org.bluez.Error.").is_some_and(|short| UNPAIRED.contains(&short));
    by_name || WANTS_PAIRING.iter().any(|sign| text.contains(sign))
}

fn classify(name: &str, text: &str, address: &str) -> TransportFault {
    if is_unpaired(name, text) {
        return TransportFault::NotPaired(format!(
            "the device wants to be paired first: `bluetoothctl pair {address}` ({text})"
        ));
    }
    let short =
        name.strip_prefix("org.bluez.Error.").or_else(|| name.strip_prefix("org.freedesktop.DBus.Error."));
    match short.unwrap_or(name) {
        "NotConnected" | "DoesNotExist" | "UnknownObject" | "UnknownMethod" | "UnknownInterface"
        | "ServiceUnknown" | "NameHasNoOwner" | "Disconnected" => {
            TransportFault::Disconnected(text.to_owned())
        }
        "Failed" if text.eq_ignore_ascii_case("not connected") => {
            TransportFault::Disconnected(text.to_owned())
        }
        // The reply of a service that left the bus meanwhile has this name too.
        "NoReply" | "Timeout" | "TimedOut" => {
            TransportFault::Disconnected(format!("BlueZ did not answer: {text}"))
        }
        "AccessDenied" | "NotPermitted" => TransportFault::NotAllowed(text.to_owned()),
        short => TransportFault::Refused(format!("BlueZ: {text} ({short})")),
    }
}

/// Gives a call of btleplug a limit and its error a meaning.
pub(super) async fn within<T>(
    limit: Duration,
    address: &str,
    call: impl Future<Output = btleplug::Result<T>>,
) -> Result<T, TransportFault> {
    match timeout(limit, call).await {
        Ok(done) => done.map_err(|error| fault(&error, address)),
        Err(_) => Err(TransportFault::TimedOut(milliseconds(limit))),
    }
}

/// A limit in milliseconds, as [`TransportFault::TimedOut`] tells it.
pub(super) fn milliseconds(limit: Duration) -> u64 {
    u64::try_from(limit.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = "F0:F1:F2:F3:F4:01";

    #[test]
    fn a_broken_link_is_told_apart_from_a_refusal() {
        let broken = classify("org.bluez.Error.Failed", "Not connected", ADDRESS);
        assert_eq!(broken, TransportFault::Disconnected("Not connected".into()));
        let refused = classify("org.bluez.Error.Failed", "Operation failed with ATT error: 0x0e", ADDRESS);
        assert!(matches!(refused, TransportFault::Refused(text) if text.contains("0x0e")));
    }

    #[test]
    fn a_device_that_wants_pairing_says_how() {
        for (name, text) in [
            ("org.bluez.Error.NotPermitted", "Not paired"),
            ("org.bluez.Error.Failed", "Operation failed with ATT error: 0x0f"),
            ("org.bluez.Error.AuthenticationFailed", "Authentication Failed"),
        ] {
            let fault = classify(name, text, ADDRESS);
            let says =
                matches!(&fault, TransportFault::NotPaired(text) if text.contains("bluetoothctl pair F0:F1"));
            assert!(says, "{fault:?}");
        }
    }

    #[test]
    fn a_service_that_left_is_a_broken_link() {
        for name in ["org.freedesktop.DBus.Error.ServiceUnknown", "org.freedesktop.DBus.Error.NoReply"] {
            assert!(matches!(classify(name, "gone", ADDRESS), TransportFault::Disconnected(_)));
        }
    }
}
