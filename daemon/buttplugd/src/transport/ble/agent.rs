//! The agent that BlueZ asks before it pairs. Without one it refuses even what its own client has asked for.
//!
//! It is registered on the connection that asks for the pairing and ends with it. It is nobody's default: what other programs pair, and
//! what wants to be paired with this machine, goes past it to the user's desktop.

use std::{sync::Arc, time::Duration};

use dbus::{
    Message, Path,
    channel::{MatchingReceiver as _, Sender as _},
    message::MatchRule,
    nonblock::{Proxy, SyncConnection},
    strings::ErrorName,
};

const PATH: &str = "/org/buttplugd/agent";

/// Registers an agent without display and keys, which pairs with this device only. BlueZ has `limit` to take it.
///
/// # Errors
/// BlueZ wants none.
pub(super) async fn register(
    bus: &Arc<SyncConnection>,
    device: &str,
    limit: Duration,
) -> Result<(), dbus::Error> {
    let device = device.to_owned();
    bus.start_receive(
        MatchRule::new_method_call().with_path(PATH),
        Box::new(move |call, bus: &SyncConnection| {
            if bus.send(answer(&call, &device)).is_err() {
                tracing::debug!("BlueZ cannot be answered");
            }
            true
        }),
    );
    Proxy::new("org.bluez", "/org/bluez", limit, bus.clone())
        .method_call("org.bluez.AgentManager1", "RegisterAgent", (Path::from(PATH), "NoInputNoOutput"))
        .await
}

fn answer(call: &Message, device: &str) -> Message {
    let is_the_device = || call.get1::<Path<'_>>().is_some_and(|path| &*path == device);
    match call.member().as_deref() {
        Some("RequestAuthorization") if is_the_device() => call.method_return(),
        Some("Release" | "Cancel") => call.method_return(),
        // It cannot show or enter anything.
        Some(_) | None => call.error(&ErrorName::from("org.bluez.Error.Rejected"), c"not here"),
    }
}

#[cfg(test)]
mod tests {
    use dbus::message::MessageType;

    use super::*;

    #[test]
    fn only_the_device_that_is_paired_is_let_in() {
        let answered = |member: &str, device: &'static str| {
            let mut call =
                Message::call_with_args("org.a", PATH, "org.bluez.Agent1", member, (Path::from(device),));
            call.set_serial(1);
            answer(&call, "/org/bluez/hci0/dev_1").msg_type()
        };
        assert_eq!(answered("RequestAuthorization", "/org/bluez/hci0/dev_1"), MessageType::MethodReturn);
        assert_eq!(answered("RequestAuthorization", "/org/bluez/hci0/dev_2"), MessageType::Error);
        assert_eq!(answered("RequestConfirmation", "/org/bluez/hci0/dev_1"), MessageType::Error);
    }
}
