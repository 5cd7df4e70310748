//! Plays folders of conversations against the real service, in every spec version that each file names.
//!
//! `CONVERSATIONS` names further folders, separated by colons; nothing of them is part of the project.

use std::{collections::BTreeSet, path::PathBuf};

use system_tests::{
    artifact,
    bluez::FakeBluez,
    bus::Bus,
    conversation::{Stage, file, golden, play},
    plugins,
    service::{Home, Launch},
};

#[tokio::test]
async fn every_conversation_comes_as_written() -> anyhow::Result<()> {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conversations")];
    if let Some(more) = std::env::var_os("CONVERSATIONS") {
        folders.extend(std::env::split_paths(&more));
    }
    let only = std::env::var("CONVERSATION").ok();
    let system = Bus::system().await?;
    let bluez = FakeBluez::start(&system).await?;
    let installed = plugins::installed()?;
    let (mut played, mut wrong) = (0_u16, Vec::new());
    let mut conversations = Vec::new();
    for folder in &folders {
        conversations.extend(file::read_folder(folder)?);
    }
    for conversation in conversations {
        if only.as_ref().is_some_and(|only| *only != conversation.case) {
            continue;
        }
        let home = Home::new()?;
        if let Some(config) = play::configuration(&conversation) {
            plugins::import(&home, installed.path(), &config)?;
        }
        let launch = Launch::new(&home).system_bus(&system).plugin_path(installed.path()).arg("--no-dbus");
        let mut service = launch.start().await?;
        for version in conversation.versions() {
            played += 1;
            let stage = Stage { service: &service, bluez: &bluez };
            if let Err(error) = play::play(&stage, &conversation, version, played).await {
                wrong.push(format!("{} in v{version}: {error:#}", conversation.case));
                // The device may still be connected; the next service starts afresh.
                break;
            }
            service.assert_alive();
        }
        let status = service.terminate().await?;
        assert!(status.success(), "{status}");
    }
    assert!(wrong.is_empty(), "{} of {played} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
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
            wrong.push(format!("{}: {error:#}", path.display()));
        }
        service.assert_alive();
    }
    let status = service.terminate().await?;
    assert!(status.success(), "{status}");
    assert!(wrong.is_empty(), "{} of {} went wrong:\n{}", wrong.len(), playable.len(), wrong.join("\n"));
    Ok(())
}
