//! The floor for Bluetooth: a process that does nothing but hand each byte that it is sent to btleplug as a packet.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use btleplug::{
    api::{Central as _, Characteristic, Manager as _, Peripheral as _, ScanFilter, WriteType},
    platform::{Manager, Peripheral},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{UnixListener, UnixStream},
    time::sleep,
};
use uuid::{Uuid, uuid};

/// The service of every device of the bench.
pub(crate) const SERVICE: Uuid = uuid!("0000ff00-0000-1000-8000-00805f9b34fb");
/// Its characteristic.
pub(crate) const TX: Uuid = uuid!("0000ff01-0000-1000-8000-00805f9b34fb");
/// The first byte of every packet.
pub(crate) const PACKET: u8 = 0xF1;

/// Between two looks for the device.
const GLANCE: Duration = Duration::from_millis(20);

/// Where the floor listens, and the address of its device.
pub(crate) fn place(socket: &Path, address: &str) -> String {
    format!("{}|{address}", socket.display())
}

/// Connects to the device, then writes what comes over the socket. `ready` is called when it listens.
pub(crate) async fn serve(place: &str, ready: impl FnOnce()) -> anyhow::Result<()> {
    let (socket, address) = place.split_once('|').context("no address")?;
    let peripheral = find(address).await?;
    peripheral.connect().await?;
    peripheral.discover_services().await?;
    let tx = peripheral.characteristics().into_iter().find(|place| place.uuid == TX).context("no TX")?;
    let listener = UnixListener::bind(socket)?;
    ready();
    loop {
        let (stream, _) = listener.accept().await?;
        pass_on(stream, &peripheral, &tx).await?;
    }
}

async fn find(address: &str) -> anyhow::Result<Peripheral> {
    let manager = Manager::new().await?;
    let adapter = manager.adapters().await?.into_iter().next().context("no adapter")?;
    adapter.start_scan(ScanFilter::default()).await?;
    loop {
        let all = adapter.peripherals().await?;
        if let Some(found) = all.into_iter().find(|one| one.address().to_string() == address) {
            adapter.stop_scan().await?;
            return Ok(found);
        }
        sleep(GLANCE).await;
    }
}

async fn pass_on(mut stream: UnixStream, peripheral: &Peripheral, tx: &Characteristic) -> anyhow::Result<()> {
    let mut value = [0];
    while stream.read(&mut value).await? > 0 {
        peripheral.write(tx, &[PACKET, value[0]], WriteType::WithoutResponse).await?;
        stream.write_all(&value).await?;
    }
    Ok(())
}
