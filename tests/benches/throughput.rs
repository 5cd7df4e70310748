//! How much goes through, and how that grows with the number of clients.
//!
//! `cargo bench -p system-tests --bench throughput`. The clients run in this process and share the machine with the service, so
//! that what they see is a limit from below; the service's own processor time is told beside it.

mod support;

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use support::{
    Micros, Output, Times, Usage,
    floor::{Floor, Kind},
    lane::{SocketLane, frame},
    launch, outputs,
};
use system_tests::{
    peer::Peer,
    service::{Home, Service},
};
use tokio::{task::LocalSet, time::MissedTickBehavior};

/// Commands that one client has on the way at a time: fewer than a session may have unanswered.
const WINDOW: u32 = 64;

/// Windows of each side before it is the other's turn, and turns of each.
const WINDOWS: u32 = 40;
const TURNS: u32 = 10;

/// The simulated devices that the clients share: all models there are.
const DEVICES: usize = 6;

/// The pace of one client among many.
const INTERVAL: Duration = Duration::from_millis(100);

/// How long each number of clients is looked at.
const PERIOD: Duration = Duration::from_secs(5);

fn main() -> anyhow::Result<()> {
    support::run(bench)
}

async fn bench() -> anyhow::Result<()> {
    let home = Home::new()?;
    let service = launch(&home).arg("--no-dbus").arg("--simulated").start().await?;
    let mut peer = Peer::socket(service.socket()).await?;
    peer.open("bench").await?;
    let outputs = outputs(&mut peer, DEVICES).await?;
    pipelined(&home, &service, outputs.first().context("no outputs")?).await?;
    growth(&service, &outputs).await
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn pipelined(home: &Home, service: &Service, output: &Output) -> anyhow::Result<()> {
    let path = home.path().join("floor");
    let _floor = Floor::start(Kind::Socket, &path.display().to_string()).await?;
    let mut window = Vec::new();
    for number in 0..WINDOW {
        window.extend(frame(&output.command(number + 2, number))?);
    }
    let frames = usize::try_from(WINDOW)?;
    let mut floor = SocketLane::connect(&path).await?;
    let mut ours = SocketLane::connect(service.socket()).await?.open("pipeline").await?;
    let before = Usage::of(service)?;
    let (mut floor_time, mut our_time) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..TURNS {
        let began = Instant::now();
        for _ in 0..WINDOWS {
            floor.trip(&window, frames).await?;
        }
        floor_time += began.elapsed();
        let began = Instant::now();
        for _ in 0..WINDOWS {
            ours.trip(&window, frames).await?;
        }
        our_time += began.elapsed();
    }
    let commands = f64::from(TURNS * WINDOWS * WINDOW);
    let (ours, floor) = (commands / our_time.as_secs_f64(), commands / floor_time.as_secs_f64());
    println!(
        "pipelined on one connection, {WINDOW} at a time: {ours:.0} commands a second   floor {floor:.0}   ratio {:.2}",
        floor / ours
    );
    let spent = (Usage::of(service)?.processor - before.processor).as_secs_f64() * 1e6 / commands;
    println!("{spent:.1} us of the service's processor time a command\n");
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn growth(service: &Service, outputs: &[Output]) -> anyhow::Result<()> {
    println!(
        "clients   commands/s        p50           p99       processor   processor a command   memory a session"
    );
    for clients in [1, 10, 100, 200, 500, 1_000] {
        let empty = Usage::of(service)?;
        let mut lanes = Vec::new();
        for _ in 0..clients {
            lanes.push(SocketLane::connect(service.socket()).await?.open("one of many").await?);
        }
        let before = Usage::of(service)?;
        let began = Instant::now();
        let local = LocalSet::new();
        let outputs: Rc<[Output]> = outputs.into();
        let tasks: Vec<_> = (0u32..)
            .zip(lanes)
            .map(|(number, lane)| local.spawn_local(client(number, clients, lane, Rc::clone(&outputs))))
            .collect();
        local.await;
        let took = began.elapsed();
        let after = Usage::of(service)?;
        let mut times = Times::default();
        let mut kept = Vec::new();
        for task in tasks {
            let (lane, told) = task.await??;
            times.extend(told);
            kept.push(lane);
        }
        let commands = times.len();
        let spent = after.processor - before.processor;
        println!(
            "{clients:>7}   {:>10.0}   {}   {}   {:>7.1} %   {:>16.1} us   {:>12.1} KiB",
            f64::from(u32::try_from(commands)?) / took.as_secs_f64(),
            Micros(times.percentile(50)),
            Micros(times.percentile(99)),
            spent.as_secs_f64() / took.as_secs_f64() * 100.0,
            spent.as_secs_f64() * 1e6 / f64::from(u32::try_from(commands)?),
            f64::from(u32::try_from(after.anonymous.saturating_sub(empty.anonymous))?) / f64::from(clients),
        );
        // The next number starts from a service without clients.
        drop(kept);
        quiet(service).await?;
    }
    Ok(())
}

/// One client: a command every [`INTERVAL`], with the others spread evenly between.
async fn client(
    number: u32,
    of: u32,
    mut lane: SocketLane,
    outputs: Rc<[Output]>,
) -> anyhow::Result<(SocketLane, Times)> {
    let place = usize::try_from(number)? % outputs.len();
    let output = outputs.get(place).context("no outputs")?;
    let frames = [frame(&output.command(2, 0))?, frame(&output.command(3, 1))?];
    let start = tokio::time::Instant::now() + INTERVAL * number / of;
    let mut ticks = tokio::time::interval_at(start, INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut times = Times::default();
    for frame in frames.iter().cycle() {
        ticks.tick().await;
        if start.elapsed() >= PERIOD {
            break;
        }
        let began = Instant::now();
        lane.trip(frame, 1).await?;
        times.add(began.elapsed());
    }
    Ok((lane, times))
}

/// Waits until the service has let its clients go: a client that connects and asks is behind them in the queue of its hub.
async fn quiet(service: &Service) -> anyhow::Result<()> {
    let mut peer = Peer::socket(service.socket()).await?;
    peer.open("last").await?;
    peer.request("StopCmd", serde_json::json!({})).await?;
    Ok(())
}
