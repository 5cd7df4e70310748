//! Pairing without a question to the user, with a device that refuses to work for those who are not paired.
//!
//! BlueZ is asked once a link, and not again for a while if that failed. Our `agent` has no display and no keys, so it pairs as "just
//! works", which is all that devices without a display can do. A device that wants more, or has forgotten its keys, is left to the user, who
//! is told the command.
//!
//! Seldom does BlueZ say that a device refuses. It begins to pair by itself, and then waits for somebody to confirm that, where no desktop
//! is there to do so; or the device breaks the link. So a pairing may have to be guessed at.

use std::{sync::Arc, time::Duration};

use btleplug::platform::PeripheralId;
use dbus::nonblock::{Proxy, SyncConnection, stdintf::org_freedesktop_dbus::Properties as _};
use tokio::{task::JoinSet, time::timeout};

use super::{super::TransportFault, agent, fault::milliseconds, links::Links, request::Guess};

/// For the whole exchange of keys. BlueZ calls it off when the caller leaves the bus.
pub(super) const PAIR_LIMIT: Duration = Duration::from_secs(8);

const DEVICE: &str = "org.bluez.Device1";

/// Pairs with a device.
///
/// # Errors
/// It cannot be paired; the text says what the user can do.
pub(super) async fn pair(id: &PeripheralId, address: &str, links: &Links) -> Result<(), TransportFault> {
    if let Some(fault) = links.pairing_refused(id) {
        return Err(fault);
    }
    tracing::info!("a Bluetooth device wants to be paired, and is");
    on_the_bus(async |bus| ask(bus, id).await).await.map_err(|error| {
        let fault = explain(name_of(&error), error.message().unwrap_or_default(), address);
        links.unpaired(id, &fault);
        fault
    })
}

/// Pairs with a device that behaves like one that wants it.
///
/// # Errors
/// It does want it, and refuses.
pub(super) async fn guess(id: &PeripheralId, address: &str, links: &Links) -> Result<Guess, TransportFault> {
    if let Some(fault) = links.pairing_refused(id) {
        return Err(fault);
    }
    let paired = on_the_bus(async |bus| {
        if device(bus.clone(), id).get::<bool>(DEVICE, "Paired").await? {
            return Ok(Guess::Wrong);
        }
        tracing::info!("a Bluetooth device may want to be paired, and is");
        ask(bus, id).await.map(|()| Guess::Right)
    });
    match paired.await {
        Ok(guess) => Ok(guess),
        Err(error) if is_refusal(name_of(&error)) => {
            let fault = explain(name_of(&error), error.message().unwrap_or_default(), address);
            links.unpaired(id, &fault);
            Err(fault)
        }
        Err(error) => {
            tracing::debug!(address, %error, "it is not about pairing");
            Ok(Guess::Wrong)
        }
    }
}

/// Does something with a connection to the system bus of its own, which ends with it, and with it what BlueZ was asked for.
async fn on_the_bus<T>(
    work: impl AsyncFnOnce(Arc<SyncConnection>) -> Result<T, dbus::Error>,
) -> Result<T, dbus::Error> {
    let (resource, connection) = dbus_tokio::connection::new_system_sync()?;
    let mut bus = JoinSet::new();
    bus.spawn(resource);
    timeout(PAIR_LIMIT, work(connection)).await.unwrap_or_else(|_| {
        Err(dbus::Error::new_custom("org.freedesktop.DBus.Error.NoReply", "BlueZ has not answered in time"))
    })
}

fn device(bus: Arc<SyncConnection>, id: &PeripheralId) -> Proxy<'static, Arc<SyncConnection>> {
    Proxy::new("org.bluez", path(id), PAIR_LIMIT, bus)
}

fn path(id: &PeripheralId) -> String {
    format!("/org/bluez/{id}")
}

async fn ask(bus: Arc<SyncConnection>, id: &PeripheralId) -> Result<(), dbus::Error> {
    // Where a desktop is there, its agent serves too.
    if let Err(error) = agent::register(&bus, &path(id), PAIR_LIMIT).await {
        tracing::debug!(%error, "BlueZ takes no agent");
    }
    device(bus, id).method_call(DEVICE, "Pair", ()).await
}

fn name_of(error: &dbus::Error) -> &str {
    error.name().unwrap_or_default()
}

/// Whether a device has answered to a pairing, with no.
fn is_refusal(name: &str) -> bool {
    name.strip_prefix("org.bluez.Error.").is_some_and(|short| short.starts_with("Authentication"))
}

/// A device is being paired, and what it was asked for is not waited for any longer.
pub(super) fn unfinished(address: &str, limit: Duration) -> TransportFault {
    TransportFault::NotPaired(format!(
        "the device wants to be paired for this, which takes longer than {} ms and goes on: try again, or switch it to pairing, then `bluetoothctl pair {address}`",
        milliseconds(limit)
    ))
}

/// What the user can do about a pairing that BlueZ refused.
fn explain(name: &str, text: &str, address: &str) -> TransportFault {
    TransportFault::NotPaired(match name.rsplit('.').next().unwrap_or(name) {
        "AlreadyExists" => format!(
            "the device does not accept the keys that BlueZ has of it: `bluetoothctl remove {address}`, then scan again"
        ),
        "NoReply" | "Timeout" | "TimedOut" => format!(
            "the device wants to be paired and did not finish that within {} ms: switch it to pairing, then `bluetoothctl pair {address}`",
            milliseconds(PAIR_LIMIT)
        ),
        _ => format!(
            "the device wants to be paired, and that failed: switch it to pairing, then `bluetoothctl pair {address}` ({text})"
        ),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_to_do() {
        for (name, says) in [
            ("org.bluez.Error.AlreadyExists", "bluetoothctl remove F0:F1"),
            ("org.bluez.Error.AuthenticationFailed", "bluetoothctl pair F0:F1"),
            ("org.freedesktop.DBus.Error.NoReply", "8000 ms"),
        ] {
            let fault = explain(name, "no", "F0:F1");
            assert!(matches!(&fault, TransportFault::NotPaired(text) if text.contains(says)), "{fault:?}");
        }
    }

    #[test]
    fn only_the_no_of_a_device_proves_a_guess() {
        assert!(is_refusal("org.bluez.Error.AuthenticationFailed"));
        assert!(!is_refusal("org.bluez.Error.ConnectionAttemptFailed"));
        assert!(!is_refusal("org.freedesktop.DBus.Error.NoReply"));
    }
}
