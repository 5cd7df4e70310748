//! Bluetooth as BlueZ sees it: from a client's frame to the `WriteValue`, beside bare btleplug; from the return of a lost device to its
//! connection; and the wake-ups of a service that holds ten devices.
//!
//! `cargo bench -p system-tests --bench bluetooth`. The service is the one that is shipped, BlueZ is the fake of the tests, which answers at
//! once: what is measured is what we add to the radio.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{
    Micros, Times, Usage,
    floor::{Floor, Kind},
    lane::{SocketLane, frame},
    launch, measured,
    radio::{self, PACKET, SERVICE, TX},
};
use system_tests::{
    artifact,
    bluez::{Action, CharacteristicSpec, DeviceSpec, FakeBluez, FakeDevice, Flag, Operation, WriteKind},
    bus::Bus,
    peer::Peer,
    plugins,
    service::{Home, Service},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
};

/// One output, and no gap between packets: what is measured is the way, not the pace.
const DEFINITION: &str = r#"
maker = "Bench"

[[protocol]]
id = "bench"
message_gap_ms = 0

[[protocol.bluetooth]]
names = ["Bench"]
[protocol.bluetooth.services]
"0000ff00-0000-1000-8000-00805f9b34fb" = { tx = "0000ff01-0000-1000-8000-00805f9b34fb" }

[protocol.template]
packet = [{ bytes = "F1 {v}" }]

[protocol.default]
name = "Bench"
features = [{ index = 0, output = { vibrate = [0, 200] } }]
"#;

/// Returns of a device that are measured.
const RETURNS: u32 = 40;
/// Devices of the idle service.
const DEVICES: u8 = 10;
/// By then every timer of the scan and the bring-up has run out.
const SETTLED: Duration = Duration::from_secs(20);
/// How long it is idle.
const IDLE: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    // Built before there is one core only.
    artifact::up_to_date()?;
    support::on_one_core()?;
    support::run(bench)
}

fn device(number: u8, name: &str) -> DeviceSpec {
    DeviceSpec::named(&format!("F0:F1:F2:F3:F4:{number:02X}"), name)
        .service(SERVICE, vec![CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse])])
}

async fn bench() -> anyhow::Result<()> {
    let bus = Bus::system().await?;
    let bluez = FakeBluez::start(&bus).await?;
    let home = Home::new()?;
    let plugins = plugins::defined("bench", DEFINITION)?;
    let service = launch(&home).system_bus(&bus).plugin_path(plugins.path()).arg("--no-dbus").start().await?;
    let toy = bluez.add_device(device(1, "Bench"));
    let mut peer = Peer::socket(service.socket()).await?;
    peer.open("bench").await?;
    find(&mut peer, 1).await?;

    writes(&home, &bus, &bluez, &service, &toy).await?;
    returns(&mut peer, &toy).await?;
    idle(&mut peer, &bluez, &service).await
}

async fn find(peer: &mut Peer, devices: usize) -> anyhow::Result<()> {
    peer.request("StartScanning", json!({})).await?;
    listed(peer, devices).await?;
    peer.request("StopScanning", json!({})).await?;
    Ok(())
}

async fn listed(peer: &mut Peer, devices: usize) -> anyhow::Result<()> {
    loop {
        let list = peer.event("DeviceList").await?;
        if list["Devices"].as_object().is_some_and(|list| list.len() == devices) {
            return Ok(());
        }
    }
}

/// When BlueZ was asked to write this value.
async fn seen(toy: &FakeDevice, value: u8) -> Instant {
    let is_it = |operation: &Operation| matches!(&operation.action, Action::Write(write) if write.data == [PACKET, value]);
    toy.operation_that(is_it).await.at
}

async fn writes(
    home: &Home,
    bus: &Bus,
    bluez: &FakeBluez,
    service: &Service,
    toy: &FakeDevice,
) -> anyhow::Result<()> {
    let other = bluez.add_device(device(200, "Floor"));
    let path = home.path().join("floor");
    let _floor = Floor::start_on(Kind::Bluetooth, &radio::place(&path, &other.address()), bus).await?;
    let mut floor = UnixStream::connect(&path).await?;
    let mut ours = SocketLane::connect(service.socket()).await?.open("lane").await?;
    // Never at rest, as between two changes of a pattern; a start is noted on the disk besides.
    let value = |trip: u32| if trip.is_multiple_of(2) { 50 } else { 100 };
    let command = |trip: u32| {
        frame(&json!([{ "OutputCmd": {
            "Id": 2, "DeviceIndex": 0, "FeatureIndex": 0, "Command": { "Vibrate": { "Value": value(trip) } },
        } }]))
    };
    let frames = [command(0)?, command(1)?];

    let before = Usage::of(service)?;
    let mut whole = support::Sides::default();
    let mut sides = measured(
        async |trip| {
            let began = Instant::now();
            floor.write_all(&[value(trip)]).await?;
            let written = seen(&other, value(trip)).await;
            floor.read_exact(&mut [0]).await?;
            whole.floor.add(began.elapsed());
            Ok(written - began)
        },
        async |trip| {
            let began = Instant::now();
            ours.send(&frames[usize::from(!trip.is_multiple_of(2))]).await?;
            let written = seen(toy, value(trip)).await;
            ours.take_frame().await?;
            whole.ours.add(began.elapsed());
            Ok(written - began)
        },
    )
    .await?;
    sides.print("Bluetooth: frame to WriteValue", "aim 1.20");
    whole.print("Bluetooth: frame to reply", "no aim");
    let trips = u32::try_from(whole.ours.len())?;
    support::print_cost("Bluetooth", before, service, trips)?;
    let kinds = |toy: &FakeDevice| toy.writes().last().map(|write| write.kind);
    anyhow::ensure!(
        kinds(toy) == kinds(&other) && kinds(toy) == Some(WriteKind::WithoutResponse),
        "the two do not write alike"
    );
    Ok(())
}

/// A device that is lost while the service is used, and returns while it is looked for.
#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn returns(peer: &mut Peer, toy: &FakeDevice) -> anyhow::Result<()> {
    let (mut connects, mut ready) = (Times::default(), Times::default());
    for _ in 0..RETURNS {
        toy.vanish();
        listed(peer, 0).await?;
        toy.forget_operations();
        let returned = Instant::now();
        toy.appear();
        let connect = toy.operation_that(|operation| operation.action == Action::Connect).await;
        listed(peer, 1).await?;
        ready.add(returned.elapsed());
        connects.add(connect.at - returned);
    }
    for (what, times) in [("to Connect", &mut connects), ("to the list", &mut ready)] {
        let [half, most] = [50, 99].map(|percent| Micros(times.percentile(percent)));
        println!("{:<46} {half} (p99 {most})", format!("Bluetooth: return of a device {what}"));
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn idle(peer: &mut Peer, bluez: &FakeBluez, service: &Service) -> anyhow::Result<()> {
    let _toys: Vec<_> = (2..=DEVICES).map(|number| bluez.add_device(device(number, "Bench"))).collect();
    find(peer, DEVICES.into()).await?;
    bluez.adapter().not_discovering().await;
    tokio::time::sleep(SETTLED).await;
    let before = Usage::of(service)?;
    tokio::time::sleep(IDLE).await;
    let after = Usage::of(service)?;
    println!(
        "Bluetooth: {DEVICES} devices, {} s idle: {} wake-ups of {} threads, {:.1} ms of processor time, {} KiB resident, {} KiB its own",
        IDLE.as_secs(),
        after.wake_ups - before.wake_ups,
        after.threads,
        (after.processor - before.processor).as_secs_f64() * 1e3,
        after.resident,
        after.anonymous,
    );
    Ok(())
}
