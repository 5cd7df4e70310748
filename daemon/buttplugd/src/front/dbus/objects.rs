//! The objects of the devices, and the change signals of all properties: kept in step with what the hub says.

use std::{collections::BTreeMap, sync::Arc};

use engine::{
    monitor::{ClientStatus, Status},
    vocabulary::{DeviceIndex, SessionId},
};
use ipc_schema::dbus::{SERVER_PATH, device_path};
use tokio::{sync::watch, task::JoinSet};
use zbus::{Connection, object_server::SignalEmitter};

use super::{
    device::{Device, Shown},
    ordered::Ordered,
    peers::Peers,
    server::Server,
};

/// Shows what there is, and goes on showing what changes in a task of its own, which ends with the hub, the bus, or what is given back.
pub(super) async fn show(
    connection: &Connection,
    peers: &Arc<Peers>,
    mut status: watch::Receiver<Arc<Status>>,
) -> zbus::Result<JoinSet<()>> {
    let mut objects =
        Objects { connection: connection.clone(), peers: Arc::clone(peers), devices: BTreeMap::new() };
    let mut last = Arc::clone(&status.borrow_and_update());
    objects.devices_changed(&last).await?;
    let mut showing = JoinSet::new();
    showing.spawn(async move {
        while status.changed().await.is_ok() {
            let next = Arc::clone(&status.borrow_and_update());
            if let Err(error) = objects.changed(&last, &next).await {
                tracing::debug!(%error, "cannot show a change on the bus");
                return;
            }
            last = next;
        }
    });
    Ok(showing)
}

struct Objects {
    connection: Connection,
    peers: Arc<Peers>,
    devices: BTreeMap<DeviceIndex, Arc<Device>>,
}

impl Objects {
    async fn changed(&mut self, last: &Status, next: &Status) -> zbus::Result<()> {
        self.devices_changed(next).await?;
        let server = self.connection.object_server().interface::<_, Ordered<Server>>(SERVER_PATH).await?;
        let emitter = server.signal_emitter();
        let server = server.get().await;
        if last.transports != next.transports {
            server.0.transports_changed(emitter).await?;
        }
        if last.list.len() != next.list.len() {
            server.0.device_count_changed(emitter).await?;
        }
        if last.scan != next.scan {
            server.0.scanning_changed(emitter).await?;
        }
        if !guests(last).eq(guests(next)) {
            server.0.clients_invalidate(emitter).await?;
        }
        Ok(())
    }

    async fn devices_changed(&mut self, status: &Status) -> zbus::Result<()> {
        let gone: Vec<DeviceIndex> =
            self.devices.keys().filter(|index| !status.list.contains_key(index)).copied().collect();
        for index in gone {
            if let Some(device) = self.devices.remove(&index) {
                self.removed(index, &device).await?;
            }
        }
        for (index, view) in status.list.iter() {
            let known = status.devices.iter().find(|device| device.index == *index);
            let battery = known.and_then(|device| device.battery);
            let shown = Shown { view: Arc::clone(view), battery, connected: true };
            match self.devices.get(index) {
                Some(device) => self.shown(*index, device, shown).await?,
                None => self.added(*index, shown).await?,
            }
        }
        Ok(())
    }

    async fn added(&mut self, index: DeviceIndex, shown: Shown) -> zbus::Result<()> {
        let device = Arc::new(Device::new(Arc::clone(&self.peers), shown));
        self.connection.object_server().at(device_path(index.0), Ordered(Arc::clone(&device))).await?;
        self.devices.insert(index, device);
        Ok(())
    }

    async fn shown(&self, index: DeviceIndex, device: &Device, shown: Shown) -> zbus::Result<()> {
        let before = device.show(shown.clone());
        if before == shown {
            return Ok(());
        }
        let emitter = SignalEmitter::new(&self.connection, device_path(index.0))?;
        if before.battery != shown.battery {
            device.battery_changed(&emitter).await?;
        }
        if before.view.display_name != shown.view.display_name {
            device.display_name_changed(&emitter).await?;
        }
        if before.view.features != shown.view.features {
            device.features_changed(&emitter).await?;
        }
        Ok(())
    }

    async fn removed(&self, index: DeviceIndex, device: &Device) -> zbus::Result<()> {
        let path = device_path(index.0);
        let last = Shown { connected: false, ..device.shown() };
        device.show(last);
        device.connected_changed(&SignalEmitter::new(&self.connection, path.as_str())?).await?;
        self.connection.object_server().remove::<Ordered<Device>, _>(path).await?;
        Ok(())
    }
}

/// Who is there and who has introduced themselves.
fn guests(status: &Status) -> impl Iterator<Item = (SessionId, bool)> + '_ {
    status.clients.iter().map(|client: &ClientStatus| (client.session, client.introduction.is_some()))
}
