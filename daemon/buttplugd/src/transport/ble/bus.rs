//! Whether BlueZ is on the system bus, and when its objects come and go: the two things that btleplug does not tell.
//!
//! It asks nothing of BlueZ itself, since that would start it where it is not wanted.

use std::{sync::Arc, time::Duration};

use dbus::{
    Message,
    channel::MatchingReceiver as _,
    message::MatchRule,
    nonblock::{Proxy, SyncConnection},
};
use tokio::sync::watch;

/// The bus answers at once or not at all.
const LIMIT: Duration = Duration::from_secs(10);

const BLUEZ: &str = "org.bluez";

/// The match rules, by which the bus wakes this process for no other service.
const OWNER_RULE: &str = "type='signal',sender='org.freedesktop.DBus',interface='org.freedesktop.DBus',\
                          member='NameOwnerChanged',arg0='org.bluez'";
const OBJECTS_RULE: &str =
    "type='signal',sender='org.bluez',interface='org.freedesktop.DBus.ObjectManager',path='/'";

/// What is known of BlueZ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Who owns its name; a new owner is a new BlueZ that knows nothing of the old one's links.
    pub(super) owner: Option<String>,
    /// Counts the times at which an adapter came or went.
    pub(super) adapters: u64,
    /// Whether the bus itself is still there.
    pub(super) bus: BusState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BusState {
    Up,
    Lost,
}

/// Watches BlueZ from a new connection to the system bus, until the runtime ends. The connection is given too.
///
/// Blocks while it connects.
///
/// # Errors
/// The system bus cannot be reached.
pub(super) async fn watch() -> Result<(watch::Receiver<Seen>, Arc<SyncConnection>), dbus::Error> {
    let (resource, connection) = dbus_tokio::connection::new_system_sync()?;
    connection.set_signal_match_mode(true);
    let (tell, seen) = watch::channel(Seen { owner: None, adapters: 0, bus: BusState::Up });
    let ended = tell.clone();
    tokio::spawn(async move {
        let error = resource.await;
        tracing::warn!(%error, "the system bus is gone");
        ended.send_modify(|seen| seen.bus = BusState::Lost);
    });

    let of_owner = tell.clone();
    connection.start_receive(
        MatchRule::new_signal("org.freedesktop.DBus", "NameOwnerChanged"),
        Box::new(move |message, _: &SyncConnection| {
            if let Ok((BLUEZ, _, new)) = message.read3::<&str, &str, &str>() {
                of_owner.send_modify(|seen| seen.owner = (!new.is_empty()).then(|| new.to_owned()));
            }
            true
        }),
    );
    let of_objects = tell.clone();
    connection.start_receive(
        MatchRule::new().with_interface("org.freedesktop.DBus.ObjectManager"),
        Box::new(move |message, _: &SyncConnection| {
            if is_adapter(&message) {
                of_objects.send_modify(|seen| seen.adapters = seen.adapters.wrapping_add(1));
            }
            true
        }),
    );
    connection.add_match_no_cb(OWNER_RULE).await?;
    connection.add_match_no_cb(OBJECTS_RULE).await?;

    let proxy = Proxy::new("org.freedesktop.DBus", "/org/freedesktop/DBus", LIMIT, connection.clone());
    let owner: Result<(String,), _> =
        proxy.method_call("org.freedesktop.DBus", "GetNameOwner", (BLUEZ,)).await;
    match owner {
        // The signal may have said something newer already; then it stands.
        Ok((owner,)) => tell.send_modify(|seen| {
            seen.owner.get_or_insert(owner);
        }),
        Err(error) if error.name() == Some("org.freedesktop.DBus.Error.NameHasNoOwner") => {}
        Err(error) => return Err(error),
    }
    Ok((seen, connection))
}

/// Whether a signal tells of an adapter: `/org/bluez/hci0`, and nothing below it.
fn is_adapter(message: &Message) -> bool {
    let path: Option<dbus::Path<'_>> = message.get1();
    path.and_then(|path| path.strip_prefix("/org/bluez/").map(|rest| !rest.contains('/'))).unwrap_or(false)
}
