//! crates.io `buttplug_client` 11 over its WebSocket transport: spec v4.

use std::{error::Error, time::Duration};

use buttplug_client::{
    ButtplugClient, ButtplugClientDevice,
    connector::ButtplugRemoteClientConnector,
    device::{ClientDeviceCommandValue, ClientDeviceOutputCommand},
    serializer::ButtplugClientJSONSerializer,
};
use buttplug_core::message::{InputType, OutputType};
use buttplug_transport_websocket_tungstenite::ButtplugWebsocketClientTransport;
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
    let client = ButtplugClient::new("scene v4");
    let transport = ButtplugWebsocketClientTransport::new_insecure_connector(&url);
    client
        .connect(ButtplugRemoteClientConnector::<_, ButtplugClientJSONSerializer>::new(transport))
        .await?;
    say("connected", json!({}));

    let named = || -> Option<ButtplugClientDevice> {
        client.devices().into_values().find(|device| *device.name() == leaver)
    };
    client.start_scanning().await?;
    until(|| named().is_some() && client.devices().len() > 1, "the devices").await?;
    client.stop_scanning().await?;
    let names: Vec<_> = client.devices().values().map(|device| device.name().to_string()).collect();
    say("devices", json!({ "names": names }));

    let half = || ClientDeviceCommandValue::Percent(0.5);
    let mut kinds = Vec::new();
    for device in client.devices().values() {
        let commands = [
            (OutputType::Vibrate, ClientDeviceOutputCommand::Vibrate(half())),
            (OutputType::Rotate, ClientDeviceOutputCommand::Rotate(half())),
            (OutputType::Oscillate, ClientDeviceOutputCommand::Oscillate(half())),
            (OutputType::Constrict, ClientDeviceOutputCommand::Constrict(half())),
            (OutputType::Temperature, ClientDeviceOutputCommand::Temperature(half())),
            (OutputType::Led, ClientDeviceOutputCommand::Led(half())),
            (OutputType::Position, ClientDeviceOutputCommand::Position(half())),
            (OutputType::HwPositionWithDuration, ClientDeviceOutputCommand::HwPositionWithDuration(half(), 100)),
        ];
        for (kind, command) in commands {
            if device.output_available(kind) {
                device.run_output(&command).await?;
                kinds.push(format!("{kind:?}"));
            }
        }
    }
    kinds.sort();
    kinds.dedup();
    say("drove", json!({ "kinds": kinds }));

    let device = named().ok_or("the device is not there")?;
    if !device.input_available(InputType::Battery) {
        return Err("the device shows no battery".into());
    }
    say("battery", json!({ "level": f64::from(device.battery().await?) / 100.0 }));

    say("leave", json!({}));
    until(|| named().is_none(), "the device to leave").await?;
    say("left", json!({}));
    client.start_scanning().await?;
    until(|| named().is_some(), "the device to return").await?;
    client.stop_scanning().await?;
    say("returned", json!({}));

    let device = named().ok_or("the device is not there")?;
    device.run_output(&ClientDeviceOutputCommand::Vibrate(ClientDeviceCommandValue::Percent(0.75))).await?;
    client.stop_all_devices().await?;
    say("stopped", json!({}));
    client.disconnect().await?;
    say("done", json!({}));
    Ok(())
}
