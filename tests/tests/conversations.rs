//! Plays folders of conversations against the real service, in every spec version that each file names.
//!
//! `CONVERSATIONS` names further folders, separated by colons; nothing of them is part of the project.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use futures_util::future::join_all;
use system_tests::{
    artifact,
    bluez::FakeBluez,
    bus::Bus,
    conversation::{Conversation, Stage, file, golden, play},
    plugins,
    service::{Home, Launch},
};

/// So many conversations at a time: most of one is waiting for the gaps between its packets.
const LANES: usize = 4;

/// So many lines of a service's log are shown beside what went wrong.
const LAST_WORDS: usize = 40;

#[tokio::test]
async fn every_conversation_comes_as_written() -> anyhow::Result<()> {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conversations")];
    if let Some(more) = std::env::var_os("CONVERSATIONS") {
        folders.extend(std::env::split_paths(&more));
    }
    let only = std::env::var("CONVERSATION").ok();
    let installed = plugins::installed()?;
    let mut lanes: [Vec<Conversation>; LANES] = Default::default();
    for folder in &folders {
        let all = file::read_folder(folder)?.into_iter();
        let wanted = all.filter(|conversation| only.as_ref().is_none_or(|only| *only == conversation.case));
        for (number, conversation) in wanted.enumerate() {
            lanes[number % LANES].push(conversation);
        }
    }
    let (mut played, mut wrong) = (0, Vec::new());
    for lane in join_all(lanes.iter().map(|lane| in_turn(lane, installed.path()))).await {
        let lane = lane?;
        played += lane.played;
        wrong.extend(lane.wrong);
    }
    assert!(wrong.is_empty(), "{} of {played} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

struct Lane {
    played: u16,
    wrong: Vec<String>,
}

/// Plays conversations one after the other, each with a service of its own.
async fn in_turn(conversations: &[Conversation], plugins: &Path) -> anyhow::Result<Lane> {
    let system = Bus::system().await?;
    let bluez = FakeBluez::start(&system).await?;
    let mut lane = Lane { played: 0, wrong: Vec::new() };
    for conversation in conversations {
        let home = Home::new()?;
        if let Some(config) = play::configuration(conversation) {
            plugins::import(&home, plugins, &config)?;
        }
        let launch = Launch::new(&home).system_bus(&system).plugin_path(plugins).arg("--no-dbus");
        let mut service = launch.start().await?;
        for version in conversation.versions() {
            lane.played += 1;
            let stage = Stage { service: &service, bluez: &bluez };
            if let Err(error) = play::play(&stage, conversation, version, lane.played).await {
                let log = service.last_words(LAST_WORDS);
                lane.wrong.push(format!("{} in v{version}: {error:#}\n{log}", conversation.case));
                // The device may still be connected; the next service starts afresh.
                break;
            }
            service.assert_alive();
        }
        let status = service.terminate().await?;
        assert!(status.success(), "{status}");
    }
    Ok(lane)
}

#[tokio::test]
async fn every_golden_vector_comes_as_written_in_v4() -> anyhow::Result<()> {
    golden_vectors(4, 150).await
}

#[tokio::test]
async fn every_golden_vector_comes_as_written_in_v3() -> anyhow::Result<()> {
    golden_vectors(3, 150).await
}

#[tokio::test]
async fn every_golden_vector_comes_as_written_in_v2() -> anyhow::Result<()> {
    golden_vectors(2, 100).await
}

#[tokio::test]
async fn every_golden_vector_comes_as_written_in_v1() -> anyhow::Result<()> {
    golden_vectors(1, 100).await
}

/// Plays the golden vectors of the plugins behind the service, and wants that at least so many can be played; the others need what only
/// a plugin can be told. The gap of every device is set to a millisecond: pacing has tests of its own, and every value waits for it.
async fn golden_vectors(version: u32, at_least: usize) -> anyhow::Result<()> {
    let system = Bus::system().await?;
    let bluez = FakeBluez::start(&system).await?;
    let installed = plugins::installed()?;
    let vectors = golden::read(&artifact::source_tree().join("plugins"))?;
    let playable: Vec<_> = vectors
        .iter()
        .filter_map(|one| Some((&one.path, one.conversation.as_ref().ok()?)))
        .filter(|(_, conversation)| conversation.versions().any(|known| known == version))
        .collect();
    assert!(playable.len() >= at_least, "only {} of {} vectors can be played", playable.len(), vectors.len());

    let home = Home::new()?;
    let protocols: BTreeSet<&str> =
        playable.iter().map(|(_, conversation)| conversation.protocol.as_str()).collect();
    let rules: String = protocols
        .iter()
        .map(|protocol| format!("[[device]]\nwhich = {{ protocol = \"{protocol}\" }}\nmessage_gap_ms = 1\n"))
        .collect();
    home.write_config("devices.d/gaps.toml", &rules)?;
    let launch = Launch::new(&home).system_bus(&system).plugin_path(installed.path()).arg("--no-dbus");
    let mut service = launch.start().await?;
    let mut wrong = Vec::new();
    for (number, (path, conversation)) in (1..).zip(&playable) {
        let stage = Stage { service: &service, bluez: &bluez };
        if let Err(error) = play::play(&stage, conversation, version, number).await {
            let log = service.last_words(LAST_WORDS);
            wrong.push(format!("{}: {error:#}\n{log}", path.display()));
        }
        service.assert_alive();
    }
    let status = service.terminate().await?;
    assert!(status.success(), "{status}");
    assert!(wrong.is_empty(), "{} of {} went wrong:\n{}", wrong.len(), playable.len(), wrong.join("\n"));
    Ok(())
}
