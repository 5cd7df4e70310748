//! crates.io `buttplug` 7.1.16, its client: spec v3.

use std::{error::Error, sync::Arc, time::Duration};

use buttplug::{
    client::{ButtplugClient, ButtplugClientDevice, LinearCommand, RotateCommand, ScalarCommand, ScalarValueCommand},
    core::{connector::new_json_ws_client_connector, message::ClientDeviceMessageAttributes},
};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(20);
const GLANCE: Duration = Duration::from_millis(20);

fn say(step: &str, mut details: serde_json::Value) {
    details["step"] = step.into();
    println!("{details}");
}

async fn until(ready: impl Fn() -> bool, what: &str) -> Result<(), Box<dyn Error>> {
    let ask = async {
        while !ready() {
            tokio::time::sleep(GLANCE).await;
        }
    };
    tokio::time::timeout(LIMIT, ask).await.map_err(|_| format!("waited in vain for {what}").into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [url, leaver] = <[String; 2]>::try_from(std::env::args().skip(1).collect::<Vec<_>>()).map_err(|_| "give URL and device")?;
    let client = ButtplugClient::new("scene v3");
    client.connect(new_json_ws_client_connector(&url)).await?;
    say("connected", json!({}));

    let named = || -> Option<Arc<ButtplugClientDevice>> {
        client.devices().into_iter().find(|device| *device.name() == leaver)
    };
    client.start_scanning().await?;
    until(|| named().is_some() && client.devices().len() > 1, "the devices").await?;
    client.stop_scanning().await?;
    let names: Vec<_> = client.devices().iter().map(|device| device.name().to_string()).collect();
    say("devices", json!({ "names": names }));

    let mut kinds = Vec::new();
    for device in client.devices() {
        let attributes: &ClientDeviceMessageAttributes = device.message_attributes();
        if !device.vibrate_attributes().is_empty() {
            device.vibrate(&ScalarValueCommand::ScalarValue(0.5)).await?;
            kinds.push("Vibrate".to_owned());
        }
        if !device.oscillate_attributes().is_empty() {
            device.oscillate(&ScalarValueCommand::ScalarValue(0.5)).await?;
            kinds.push("Oscillate".to_owned());
        }
        // This client takes its linear attributes for those of rotation.
        if attributes.rotate_cmd().is_some() {
            device.rotate(&RotateCommand::Rotate(0.5, false)).await?;
            kinds.push("Rotate".to_owned());
        }
        if !device.linear_attributes().is_empty() {
            device.linear(&LinearCommand::Linear(100, 0.5)).await?;
            kinds.push("HwPositionWithDuration".to_owned());
        }
        for (index, scalar) in (0..).zip(attributes.scalar_cmd().iter().flatten()) {
            let one = [(index, (0.25, *scalar.actuator_type()))].into();
            device.scalar(&ScalarCommand::ScalarMap(one)).await?;
            kinds.push(scalar.actuator_type().to_string());
        }
    }
    kinds.sort();
    kinds.dedup();
    say("drove", json!({ "kinds": kinds }));

    let device = named().ok_or("the device is not there")?;
    if !device.has_battery_level() {
        return Err("the device shows no battery".into());
    }
    say("battery", json!({ "level": device.battery_level().await? }));

    say("leave", json!({}));
    until(|| named().is_none(), "the device to leave").await?;
    say("left", json!({}));
    client.start_scanning().await?;
    until(|| named().is_some(), "the device to return").await?;
    client.stop_scanning().await?;
    say("returned", json!({}));

    let device = named().ok_or("the device is not there")?;
    device.vibrate(&ScalarValueCommand::ScalarValue(0.75)).await?;
    client.stop_all_devices().await?;
    say("stopped", json!({}));
    client.disconnect().await?;
    say("done", json!({}));
    Ok(())
}
