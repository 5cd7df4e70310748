//! A first application: waits for a device, drives all its vibrators up and down once, reads its battery, and leaves. Start the
//! service with `buttplugd --simulated` to try it without hardware.

#![allow(clippy::print_stdout, reason = "it is there to be seen")]

use std::time::Duration;

use buttplugd_client::{Client, Device, Error, Event};
use futures_util::StreamExt;
use tokio::time::sleep;

/// Steps of the way up, and of the way down.
const STEPS: u32 = 10;
const STEP_TIME: Duration = Duration::from_millis(200);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let client = Client::connect("first steps").await?;
    let device = first_device(&client).await?;
    println!("{} has {} outputs", device.name(), device.outputs().len());

    for step in (0..=STEPS).chain((0..STEPS).rev()) {
        match device.vibrate(f64::from(step) / f64::from(STEPS)).await {
            Ok(()) => println!("{}", "#".repeat(usize::try_from(step).unwrap_or(0))),
            // It can be read or moved in other ways, but not vibrate.
            Err(Error::NoSuchOutput(_)) => break,
            Err(error) => return Err(error),
        }
        sleep(STEP_TIME).await;
    }

    match device.battery().await {
        Ok(percent) => println!("its battery is at {percent} %"),
        Err(error) => println!("its battery says nothing: {error}"),
    }
    client.disconnect().await
}

/// The first device that there is, or that comes.
async fn first_device(client: &Client) -> Result<Device, Error> {
    let mut events = client.events();
    if let Some(device) = client.devices().into_iter().next() {
        return Ok(device);
    }
    client.start_scanning().await?;
    while let Some(event) = events.next().await {
        match event {
            Event::DeviceAdded(device) => return Ok(device),
            Event::Closed(closed) => return Err(closed.into()),
            _ => {}
        }
    }
    Err(client.closed().await.into())
}
