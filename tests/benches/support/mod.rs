//! What the benches share: a service to measure, floors in a second process, and figures.
//!
//! A floor is the least that the same way can cost: a process that sends back the bytes that it gets. It is measured in turns
//! with the service, a few hundred trips each, so that both see the same machine. Ratios mean something on a busy machine;
//! times alone do not.

#![allow(dead_code, reason = "no bench uses all of it")]

pub(crate) mod floor;
pub(crate) mod lane;
pub(crate) mod radio;

use std::{
    fmt, fs,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::{Value, json};
use system_tests::{
    peer::Peer,
    service::{Home, Launch, Service},
};

/// Trips of one side before it is the other's turn.
const TURN: u32 = 250;

/// Turns of each side.
const TURNS: u32 = 24;

/// Runs a bench, or a floor if this process was started to be one.
pub(crate) fn run(bench: impl AsyncFnOnce() -> anyhow::Result<()>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match floor::role() {
            Some(role) => floor::serve(role).await,
            None => bench().await,
        }
    })
}

/// Keeps this process, and so the service and the floors that it starts, on one core. On an idle machine the kernel spreads two
/// processes over two cores or not, as it sees fit, and waking a core that sleeps takes longer than a round trip: a floor and a service
/// that are placed differently cannot be compared.
pub(crate) fn on_one_core() -> anyhow::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let first = (0..CpuSet::MAX_CPU).find(|core| allowed.is_set(*core)).context("no core to run on")?;
    let mut one = CpuSet::new();
    one.set(first);
    Ok(sched_setaffinity(None, &one)?)
}

/// A service as a user starts it, but that it logs only what goes wrong and asks for no pings.
pub(crate) fn launch(home: &Home) -> Launch<'_> {
    Launch::new(home).env("RUST_LOG", "warn,buttplugd::app=info")
}

/// The address that a service was given for its WebSocket, from its log.
pub(crate) async fn websocket_address(service: &Service) -> anyhow::Result<String> {
    service.wait_for_log(" ready ").await?;
    let log = service.log();
    let address = log.split_once("websocket=\"").and_then(|(_, rest)| rest.split_once('"'));
    Ok(address.context("a service without WebSocket")?.0.to_owned())
}

/// An output that can be set without anything else.
#[derive(Debug, Clone)]
pub(crate) struct Output {
    pub(crate) device: u32,
    pub(crate) feature: u32,
    pub(crate) kind: String,
    pub(crate) min: i32,
    pub(crate) max: i32,
}

impl Output {
    /// A value that is another one at every turn.
    pub(crate) fn value(&self, turn: u32) -> i32 {
        if turn.is_multiple_of(2) { self.min } else { self.max }
    }

    /// The message that sets it.
    pub(crate) fn command(&self, id: u32, turn: u32) -> Value {
        json!([{ "OutputCmd": {
            "Id": id, "DeviceIndex": self.device, "FeatureIndex": self.feature,
            "Command": { self.kind.as_str(): { "Value": self.value(turn) } },
        } }])
    }
}

/// Has the service look for its simulated devices until it has as many, and gives their outputs.
pub(crate) async fn outputs(peer: &mut Peer, devices: usize) -> anyhow::Result<Vec<Output>> {
    peer.request("StartScanning", json!({})).await?;
    let list = loop {
        let reply = peer.request("RequestDeviceList", json!({})).await?;
        let list = reply.pointer("/DeviceList/Devices").cloned().context("a reply without a list")?;
        if list.as_object().is_some_and(|list| list.len() >= devices) {
            break list;
        }
        peer.event("DeviceList").await?;
    };
    peer.request("StopScanning", json!({})).await?;
    let mut outputs = Vec::new();
    for device in list.as_object().into_iter().flat_map(|list| list.values()) {
        let features = device.get("DeviceFeatures").and_then(Value::as_object);
        for feature in features.into_iter().flat_map(|features| features.values()) {
            let kinds = feature.get("Output").and_then(Value::as_object);
            for (kind, output) in
                kinds.into_iter().flatten().filter(|(_, output)| output.get("Duration").is_none())
            {
                let number = |value: Option<&Value>| value.and_then(Value::as_i64);
                let at = |pointer: &str| i32::try_from(number(output.pointer(pointer)).unwrap_or_default());
                outputs.push(Output {
                    device: u32::try_from(number(device.get("DeviceIndex")).context("no index")?)?,
                    feature: u32::try_from(number(feature.get("FeatureIndex")).context("no index")?)?,
                    kind: kind.clone(),
                    min: at("/Value/0")?,
                    max: at("/Value/1")?,
                });
            }
        }
    }
    Ok(outputs)
}

/// How long each of many things took.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The time that so many in a hundred stayed below.
    pub(crate) fn percentile(&mut self, percent: usize) -> Duration {
        self.0.sort_unstable();
        let place = (self.0.len() * percent / 100).min(self.0.len().saturating_sub(1));
        self.0.get(place).copied().unwrap_or_default()
    }
}

/// What the floor took and what the service took, measured in turns.
#[derive(Debug, Default)]
pub(crate) struct Sides {
    pub(crate) floor: Times,
    pub(crate) ours: Times,
}

impl Sides {
    /// How many times the floor the service took, by the medians.
    pub(crate) fn ratio(&mut self) -> f64 {
        self.ours.percentile(50).as_secs_f64() / self.floor.percentile(50).as_secs_f64()
    }

    #[expect(clippy::print_stdout, reason = "what a bench is for")]
    pub(crate) fn print(&mut self, what: &str, aim: &str) {
        let ratio = self.ratio();
        let [floor, ours] = [&mut self.floor, &mut self.ours]
            .map(|times| (Micros(times.percentile(50)), Micros(times.percentile(99))));
        println!(
            "{what:<46} {} (p99 {})   floor {} (p99 {})   ratio {ratio:.2}   {aim}",
            ours.0, ours.1, floor.0, floor.1
        );
    }
}

/// Measures trips of both sides in turns. Each trip is given its number.
pub(crate) async fn side_by_side(
    mut floor: impl AsyncFnMut(u32) -> anyhow::Result<()>,
    mut ours: impl AsyncFnMut(u32) -> anyhow::Result<()>,
) -> anyhow::Result<Sides> {
    measured(
        async |trip| {
            let began = Instant::now();
            floor(trip).await?;
            Ok(began.elapsed())
        },
        async |trip| {
            let began = Instant::now();
            ours(trip).await?;
            Ok(began.elapsed())
        },
    )
    .await
}

/// The same where a trip says itself how long it took.
pub(crate) async fn measured(
    mut floor: impl AsyncFnMut(u32) -> anyhow::Result<Duration>,
    mut ours: impl AsyncFnMut(u32) -> anyhow::Result<Duration>,
) -> anyhow::Result<Sides> {
    let mut sides = Sides::default();
    // The first turn of each warms caches and buffers up, and does not count.
    for turn in 0..=TURNS {
        let mut times = Sides::default();
        for trip in 0..TURN {
            times.floor.add(floor(trip).await?);
        }
        for trip in 0..TURN {
            times.ours.add(ours(trip).await?);
        }
        if turn > 0 {
            sides.floor.extend(times.floor);
            sides.ours.extend(times.ours);
        }
    }
    Ok(sides)
}

/// Prints what the service itself spent on a command, which is the same however busy the machine is.
#[expect(clippy::print_stdout, reason = "what a bench is for")]
pub(crate) fn print_cost(what: &str, before: Usage, service: &Service, trips: u32) -> anyhow::Result<()> {
    let after = Usage::of(service)?;
    let spent = (after.processor - before.processor).as_secs_f64() * 1e6 / f64::from(trips);
    println!("{what:<46} {spent:>7.1} us of the service's processor time a command");
    Ok(())
}

/// A time in microseconds.
pub(crate) struct Micros(pub(crate) Duration);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>7.1} us", self.0.as_secs_f64() * 1e6)
    }
}

/// What a process has used, and what it holds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Usage {
    /// Processor time of all threads.
    pub(crate) processor: Duration,
    /// Times that a thread was given the processor.
    pub(crate) wake_ups: u64,
    /// Resident memory in KiB, with what is shared with others.
    pub(crate) resident: u64,
    /// The same, with a share of what is shared.
    pub(crate) proportional: u64,
    /// Memory that is neither shared nor in a file.
    pub(crate) anonymous: u64,
    pub(crate) threads: u64,
}

impl Usage {
    pub(crate) fn of(service: &Service) -> anyhow::Result<Self> {
        let pid = service.pid().context("the service has ended")?.as_raw_nonzero();
        Self::of_process(u32::try_from(pid.get())?)
    }

    pub(crate) fn of_process(pid: u32) -> anyhow::Result<Self> {
        let folder = format!("/proc/{pid}");
        let mut usage = Self::default();
        for task in fs::read_dir(format!("{folder}/task"))? {
            let task = task?.path();
            let stat = fs::read_to_string(task.join("schedstat"))?;
            let nanoseconds = stat.split_whitespace().next().context("an empty schedstat")?.parse()?;
            usage.processor += Duration::from_nanos(nanoseconds);
            let status = fs::read_to_string(task.join("status"))?;
            usage.wake_ups += member(&status, "voluntary_ctxt_switches:")?;
            usage.threads += 1;
        }
        let memory = fs::read_to_string(format!("{folder}/smaps_rollup"))?;
        usage.resident = member(&memory, "Rss:")?;
        usage.proportional = member(&memory, "Pss:")?;
        usage.anonymous = member(&memory, "Anonymous:")?;
        Ok(usage)
    }
}

fn member(text: &str, name: &str) -> anyhow::Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)).with_context(|| format!("no {name}"))?;
    Ok(line.split_whitespace().next().context("an empty line")?.parse()?)
}
