//! The time from a client's command to its reply, with a value that is new to the device each time, beside the floor of the way.
//!
//! `cargo bench -p system-tests --bench round_trip`. The service is the one that is shipped, with a simulated device.

mod support;

use std::collections::HashMap;

use anyhow::Context as _;
use ipc_schema::dbus::{self, DEVICE_INTERFACE};
use support::{
    Output, Usage,
    floor::{self, Floor, Kind},
    lane::{SocketLane, WebSocketLane, frame},
    launch, outputs, print_cost, side_by_side, websocket_address,
};
use system_tests::{
    artifact,
    bus::Bus,
    peer::Peer,
    service::{Home, Service},
};
use zbus::Connection;

fn main() -> anyhow::Result<()> {
    // Built before there is one core only.
    artifact::up_to_date()?;
    support::on_one_core()?;
    support::run(bench)
}

async fn bench() -> anyhow::Result<()> {
    let home = Home::new()?;
    home.write_config("buttplugd.toml", "[simulated]\nenabled = true\nmodels = [\"Simulated Motor\"]\n")?;
    let bus = Bus::session().await?;
    let service = launch(&home).session_bus(&bus).arg("--websocket").arg("127.0.0.1:0").start().await?;
    let mut peer = Peer::socket(service.socket()).await?;
    peer.open("bench").await?;
    let output = outputs(&mut peer, 1).await?.into_iter().next().context("a device without outputs")?;

    socket(&home, &service, &output).await?;
    websocket(&service, &output).await?;
    bus_call(&bus, &service, &output).await
}

/// Trips of the turns that count and of the one that does not.
fn all_trips(sides: &support::Sides) -> anyhow::Result<u32> {
    Ok(u32::try_from(sides.ours.len() * 25 / 24)?)
}

async fn socket(home: &Home, service: &Service, output: &Output) -> anyhow::Result<()> {
    let path = home.path().join("floor");
    let _floor = Floor::start(Kind::Socket, &path.display().to_string()).await?;
    let frames = [frame(&output.command(2, 0))?, frame(&output.command(3, 1))?];
    let next = |trip: u32| if trip.is_multiple_of(2) { &frames[0] } else { &frames[1] };
    let mut floor = SocketLane::connect(&path).await?;
    let mut ours = SocketLane::connect(service.socket()).await?.open("socket").await?;
    let before = Usage::of(service)?;
    let mut sides = side_by_side(
        async |trip| floor.trip(next(trip), 1).await,
        async |trip| ours.trip(next(trip), 1).await,
    )
    .await?;
    sides.print("socket, MessagePack", "aim 1.50");
    print_cost("", before, service, all_trips(&sides)?)
}

async fn websocket(service: &Service, output: &Output) -> anyhow::Result<()> {
    let floor_process = Floor::start(Kind::WebSocket, "").await?;
    let texts = [output.command(2, 0).to_string(), output.command(3, 1).to_string()];
    let address = websocket_address(service).await?;
    let mut floor = WebSocketLane::connect(&floor_process.address).await?;
    let mut ours = WebSocketLane::connect(&address).await?.open("websocket").await?;

    let next = |trip: u32| if trip.is_multiple_of(2) { [texts[0].as_str()] } else { [texts[1].as_str()] };
    let before = Usage::of(service)?;
    let mut sides =
        side_by_side(async |trip| floor.trip(&next(trip)).await, async |trip| ours.trip(&next(trip)).await)
            .await?;
    sides.print("WebSocket over TCP, JSON", "no aim");
    print_cost("", before, service, all_trips(&sides)?)?;

    let both = [texts[0].as_str(), texts[1].as_str()];
    let mut sides = side_by_side(async |_| floor.trip(&both).await, async |_| ours.trip(&both).await).await?;
    sides.print("WebSocket, two commands at once", "aim: no delay of 40 ms");
    Ok(())
}

async fn bus_call(bus: &Bus, service: &Service, output: &Output) -> anyhow::Result<()> {
    let _floor = Floor::start(Kind::Dbus, &bus.address()).await?;
    let connection = bus.connect().await?;
    let no_options = HashMap::<&str, zbus::Variant<'_>>::new();
    let hello = ("bus", &no_options);
    let server = Some(dbus::SERVER_INTERFACE);
    connection
        .call_method(Some(dbus::BUS_NAME), dbus::SERVER_PATH, server, "RequestServerInfo", &hello)
        .await?;
    let path = dbus::device_path(output.device);
    let call = async |connection: &Connection, name: &str, path: &str, interface: &str, trip: u32| {
        let body = (output.feature, output.kind.as_str(), output.value(trip), &no_options);
        connection.call_method(Some(name), path, Some(interface), "Output", &body).await?;
        anyhow::Ok(())
    };
    let before = Usage::of(service)?;
    let mut sides = side_by_side(
        async |trip| call(&connection, floor::BUS_NAME, floor::PATH, floor::BUS_NAME, trip).await,
        async |trip| call(&connection, dbus::BUS_NAME, path.as_str(), DEVICE_INTERFACE, trip).await,
    )
    .await?;
    sides.print("D-Bus, method Output", "aim 1.20");
    print_cost("", before, service, all_trips(&sides)?)
}
