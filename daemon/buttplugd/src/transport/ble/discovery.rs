//! How BlueZ is told to look for devices: without btleplug, which switches the adapter on for that, although its user may have switched it
//! off a moment ago; and which looks for devices of the older Bluetooth half of the time.

use std::{sync::Arc, time::Duration};

use dbus::{
    arg::{PropMap, RefArg, Variant},
    nonblock::{Proxy, SyncConnection},
};

/// BlueZ answers at once or not at all.
const LIMIT: Duration = Duration::from_secs(5);

const ADAPTER: &str = "org.bluez.Adapter1";

/// The connection that looks for devices. BlueZ stops with the end of it.
#[derive(Clone)]
pub(super) struct Discovery(Arc<SyncConnection>);

impl Discovery {
    pub(super) const fn new(connection: Arc<SyncConnection>) -> Self {
        Self(connection)
    }

    /// Has an adapter look for devices, and tell of everything that it hears of them. It is not switched on for that.
    ///
    /// # Errors
    /// The text and name of BlueZ's error.
    pub(super) async fn start(&self, adapter: &str) -> Result<(), String> {
        let proxy = self.proxy(adapter);
        let filtered: Result<(), _> = proxy.method_call(ADAPTER, "SetDiscoveryFilter", (filter(),)).await;
        filtered.map_err(|error| text(&error))?;
        let started: Result<(), _> = proxy.method_call(ADAPTER, "StartDiscovery", ()).await;
        match started {
            // It was started from here already.
            Err(error) if error.name() == Some("org.bluez.Error.InProgress") => Ok(()),
            started => started.map_err(|error| text(&error)),
        }
    }

    /// Has it stop.
    ///
    /// # Errors
    /// The text and name of BlueZ's error.
    pub(super) async fn stop(&self, adapter: &str) -> Result<(), String> {
        self.proxy(adapter)
            .method_call(ADAPTER, "StopDiscovery", ())
            .await
            .map_err(|error: dbus::Error| text(&error))
    }

    fn proxy(&self, adapter: &str) -> Proxy<'static, Arc<SyncConnection>> {
        Proxy::new("org.bluez", format!("/org/bluez/{adapter}"), LIMIT, self.0.clone())
    }
}

/// Bluetooth LE only, and every advertisement.
fn filter() -> PropMap {
    let (transport, duplicates): (Box<dyn RefArg>, Box<dyn RefArg>) =
        (Box::new("le".to_owned()), Box::new(true));
    PropMap::from([
        ("Transport".to_owned(), Variant(transport)),
        ("DuplicateData".to_owned(), Variant(duplicates)),
    ])
}

fn text(error: &dbus::Error) -> String {
    format!("{} ({})", error.message().unwrap_or_default(), error.name().unwrap_or_default())
}
