//! The time from exec to ready, what the service holds and does while nothing happens, and the time to recognise a device.
//!
//! `cargo bench -p system-tests --bench start`. The plugins are all of this tree, laid out as a package lays them out.

mod support;

use std::{
    fs,
    hint::black_box,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use criterion::Criterion;
use engine::{
    advertisement::Advertisement,
    definition::{
        catalogue::{Catalogue, Source},
        layer::Layer,
        template::AnyTemplate,
    },
};
use support::{Micros, Times, Usage, lane::SocketLane, launch, outputs};
use system_tests::{
    artifact,
    bus::Bus,
    peer::Peer,
    plugins,
    service::{Home, Launch},
};

/// Starts of each kind, in turns.
const STARTS: u32 = 25;

/// How long the idle service is looked at.
const IDLE: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    let installed = plugins::installed()?;
    support::run(async || {
        size(installed.path())?;
        start(installed.path()).await?;
        idle(installed.path()).await
    })?;
    // Criterion blocks, so it comes after the runtime is gone.
    matching(installed.path());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
fn size(installed: &Path) -> anyhow::Result<()> {
    let (mut definitions, mut libraries, mut files) = (0, 0, 0);
    for maker in fs::read_dir(installed)? {
        for file in fs::read_dir(maker?.path())? {
            let file = file?.path();
            let size = fs::metadata(&file)?.len();
            files += 1;
            match file.extension().is_some_and(|extension| extension == "toml") {
                true => definitions += size,
                false => libraries += size,
            }
        }
    }
    println!(
        "plugin folder: {files} files, {} KiB, of which {} KiB are definitions",
        (definitions + libraries) / 1024,
        definitions / 1024
    );
    Ok(())
}

/// Starts services in turns: none, all plugins, and a process of the same program that only says how it is configured.
#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn start(installed: &Path) -> anyhow::Result<()> {
    let bus = Bus::session().await?;
    let program = artifact::executable("buttplugd")?;
    let (mut bare, mut none, mut all, mut all_on_bus) =
        (Times::default(), Times::default(), Times::default(), Times::default());
    for round in 0..=STARTS {
        let home = Home::new()?;
        let began = Instant::now();
        let status = tokio::process::Command::new(&program)
            .arg("--example-config")
            .stdout(Stdio::null())
            .status()
            .await?;
        let took = began.elapsed();
        anyhow::ensure!(status.success(), "the program does not run: {status}");
        let times = [
            (&mut bare, took),
            (&mut none, ready(launch(&home).arg("--no-dbus")).await?),
            (&mut all, ready(launch(&home).arg("--no-dbus").plugin_path(installed)).await?),
            (&mut all_on_bus, ready(launch(&home).session_bus(&bus).plugin_path(installed)).await?),
        ];
        // The first round reads everything from the disk, and does not count.
        for (times, took) in times {
            if round > 0 {
                times.add(took);
            }
        }
    }
    for (what, times, aim) in [
        ("exec, a page of text, exit (the floor)", &mut bare, ""),
        ("exec to ready, no definitions", &mut none, "aim 30 ms"),
        ("exec to ready, all definitions", &mut all, "aim 40 ms"),
        ("exec to ready, all definitions, session bus", &mut all_on_bus, "aim 40 ms"),
    ] {
        let (best, median) = (times.percentile(10), times.percentile(50));
        println!("{what:<46} {} (best tenth {})   {aim}", Micros(median), Micros(best));
    }
    Ok(())
}

/// The time from exec until the service says that it is ready.
async fn ready(launch: Launch<'_>) -> anyhow::Result<Duration> {
    let began = Instant::now();
    let mut service = launch.start().await?;
    let took = began.elapsed();
    service.terminate().await?;
    Ok(took)
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn idle(installed: &Path) -> anyhow::Result<()> {
    // Both buses of a desktop; on that of the machine nobody is BlueZ.
    let (session, system) = (Bus::session().await?, Bus::system().await?);
    let home = Home::new()?;
    let launch = launch(&home).session_bus(&session).system_bus(&system);
    let service = launch.arg("--simulated").plugin_path(installed).start().await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let start = Usage::of(&service)?;
    println!(
        "\nidle with all definitions, no library opened: resident {} KiB, proportional {} KiB, anonymous {} KiB, {} threads",
        start.resident, start.proportional, start.anonymous, start.threads
    );
    report_idle("nobody connected", &service).await?;

    let mut peer = Peer::socket(service.socket()).await?;
    peer.open("idle").await?;
    outputs(&mut peer, 1).await?;
    let _lane = SocketLane::connect(service.socket()).await?.open("idle").await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    report_idle("two clients, simulated devices at rest", &service).await
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn report_idle(what: &str, service: &system_tests::service::Service) -> anyhow::Result<()> {
    let before = Usage::of(service)?;
    tokio::time::sleep(IDLE).await;
    let after = Usage::of(service)?;
    println!(
        "{what}: {} wake-ups and {} of processor time in {IDLE:?}   aim 0",
        after.wake_ups - before.wake_ups,
        Micros(after.processor - before.processor)
    );
    Ok(())
}

/// The definitions as the service reads them.
fn sources(installed: &Path) -> anyhow::Result<Vec<Source>> {
    let mut sources = Vec::new();
    for maker in fs::read_dir(installed).context("no plugin folder")? {
        let file = maker?.path().join("plugin.toml");
        let text = Ok(fs::read_to_string(&file)?);
        sources.push(Source { layer: Layer::Plugins, file: file.display().to_string(), text });
    }
    Ok(sources)
}

fn matching(installed: &Path) {
    let sources = sources(installed).expect("definitions that were just laid out");
    let (catalogue, problems) = Catalogue::build(&sources, None, &AnyTemplate);
    assert!(problems.is_empty(), "{problems:?}");
    let of = |name: &str| Advertisement::Bluetooth {
        name: Some(name.to_owned()),
        manufacturer_data: Vec::new(),
        services: Vec::new(),
    };
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("one advertisement");
    for (what, advertisement) in [("known", of("LVS-A011")), ("unknown", of("a neighbour's headphones"))] {
        println_found(what, &catalogue, &advertisement);
        group.bench_function(what, |bencher| bencher.iter(|| catalogue.find(black_box(&advertisement))));
    }
    group.finish();
    let mut group = criterion.benchmark_group("definitions");
    group.sample_size(10);
    group.bench_function("read all", |bencher| {
        bencher.iter(|| Catalogue::build(black_box(&sources), None, &AnyTemplate));
    });
    group.finish();
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
fn println_found(what: &str, catalogue: &Catalogue, advertisement: &Advertisement) {
    let models = catalogue.list().len();
    println!("{what}: {} candidates among {models} models", catalogue.find(advertisement).len());
}
