//! What an application does with devices, for tests that are about the devices: wait for them, drive them.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use serde_json::{Value, json};

use crate::peer::Peer;

impl Peer {
    /// Connects to the socket and opens a session that is told the reasons of errors and may ask how the service is.
    ///
    /// # Errors
    /// As [`Peer::socket`] and [`Peer::open`].
    pub async fn driver(socket: &Path) -> anyhow::Result<Self> {
        let mut peer = Self::socket(socket).await?;
        peer.open_with("test", json!({ "Extensions": ["error-reason", "monitor"] })).await?;
        Ok(peer)
    }

    /// Waits until there are so many devices, and gives their names by index.
    ///
    /// # Errors
    /// As [`Peer::event`].
    pub async fn devices(&mut self, count: usize) -> anyhow::Result<BTreeMap<u32, String>> {
        loop {
            let list = self.request("RequestDeviceList", json!({})).await?;
            let devices = list["DeviceList"]["Devices"].as_object().context("a list of devices")?;
            if devices.len() == count {
                let of = |(index, device): (&String, &Value)| {
                    let name = device["DeviceName"].as_str().context("a device without a name")?;
                    Ok((index.parse()?, name.to_owned()))
                };
                return devices.iter().map(of).collect();
            }
            self.event("DeviceList").await?;
        }
    }

    /// Waits for one device, and gives its index.
    ///
    /// # Errors
    /// As [`Peer::devices`].
    pub async fn device(&mut self) -> anyhow::Result<u32> {
        self.devices(1).await?.into_keys().next().context("one device")
    }

    /// Sets an output, and gives the reply.
    ///
    /// # Errors
    /// As [`Peer::request`].
    pub async fn output(&mut self, device: u32, feature: u32, command: Value) -> anyhow::Result<Value> {
        let body = json!({ "DeviceIndex": device, "FeatureIndex": feature, "Command": command });
        self.request("OutputCmd", body).await
    }

    /// Sets an output, which must succeed.
    ///
    /// # Errors
    /// The reply is another.
    pub async fn drive(&mut self, device: u32, feature: u32, command: Value) -> anyhow::Result<()> {
        let reply = self.output(device, feature, command).await?;
        anyhow::ensure!(reply.get("Ok").is_some(), "{reply}");
        Ok(())
    }

    /// What the service says of a bus.
    ///
    /// # Errors
    /// As [`Peer::request`].
    pub async fn transport(&mut self, name: &str) -> anyhow::Result<Value> {
        let status = self.request("RequestStatus", json!({})).await?;
        let transports = status["Status"]["Transports"].as_array().context("a status with transports")?;
        transports.iter().find(|one| one["Name"] == name).cloned().context("no such transport")
    }
}
