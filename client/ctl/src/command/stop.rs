//! `stop`: brings outputs to rest. Stopping everything must work whatever else does not: where there is no session to be had over the
//! socket, the session bus is asked, where a stop needs none.

use std::process::{Command, Stdio};

use buttplugd_client::{Client, Connect, Error};
use ipc_schema::dbus;
use serde_json::json;

use crate::failure::Failure;
use crate::pick;
use crate::print::Printer;

/// Stops everything, first over the socket, then over the session bus.
pub(super) async fn everything(connect: Connect, printer: &mut Printer) -> Result<(), Failure> {
    if let Err(error) = over_socket(connect).await {
        // A device that could not be stopped is not stopped better from elsewhere; the service goes on trying.
        if error.class() == Some(buttplugd_client::Class::Device) || !over_bus() {
            return Err(error.into());
        }
    }
    printer.print(&json!({"Stopped": "all"}), || "everything is stopped\n".into())
}

async fn over_socket(connect: Connect) -> Result<(), Error> {
    connect.connect().await?.stop_all().await
}

/// Whether the service was reached over the session bus and said that it has stopped everything. It is not started for that.
fn over_bus() -> bool {
    let status = Command::new("busctl")
        .args(["--user", "--auto-start=no", "--quiet", "call"])
        .args([dbus::BUS_NAME, dbus::SERVER_PATH, dbus::SERVER_INTERFACE, "Stop"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Stops one device or one of its features.
pub(super) async fn one(
    client: &Client,
    device: &str,
    feature: Option<u32>,
    printer: &mut Printer,
) -> Result<(), Failure> {
    let device = pick::device(client, device)?;
    match feature {
        None => device.stop().await?,
        Some(feature) => {
            for output in pick::outputs(&device, Some(feature), None)?.iter().take(1) {
                output.stop().await?;
            }
        }
    }
    let stopped = json!({"Stopped": {"DeviceIndex": device.index(), "FeatureIndex": feature}});
    printer.print(&stopped, || format!("{} is stopped\n", device.name()))
}
