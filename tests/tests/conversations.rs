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
        if let Some(config) = &conversation.user_device_config {
            plugins::import(&home, installed.path(), config)?;
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

/// The golden vectors of the plugins, seen behind the service. The gap of every device is set to a millisecond: pacing has tests of
/// its own, and every value waits for it.
#[tokio::test]
async fn every_golden_vector_comes_as_written() -> anyhow::Result<()> {
    /// Of all vectors so many can be played at least; the others need what only a plugin can be told.
    const PLAYED_AT_LEAST: usize = 150;

    let system = Bus::system().await?;
    let bluez = FakeBluez::start(&system).await?;
    let installed = plugins::installed()?;
    let vectors = golden::read(&artifact::source_tree().join("plugins"))?;
    let home = Home::new()?;
    let protocols: BTreeSet<&str> =
        vectors.iter().filter_map(|one| Some(one.conversation.as_ref().ok()?.protocol.as_str())).collect();
    let rules: String = protocols
        .iter()
        .map(|protocol| format!("[[device]]\nwhich = {{ protocol = \"{protocol}\" }}\nmessage_gap_ms = 1\n"))
        .collect();
    home.write_config("devices.d/gaps.toml", &rules)?;
    let launch = Launch::new(&home).system_bus(&system).plugin_path(installed.path()).arg("--no-dbus");
    let mut service = launch.start().await?;
    let (mut played, mut number, mut wrong) = (0, 0, Vec::new());
    for vector in &vectors {
        let Ok(conversation) = &vector.conversation else { continue };
        played += 1;
        for version in conversation.versions() {
            number += 1;
            let stage = Stage { service: &service, bluez: &bluez };
            if let Err(error) = play::play(&stage, conversation, version, number).await {
                wrong.push(format!("{} in v{version}: {error:#}", vector.path.display()));
                break;
            }
            service.assert_alive();
        }
    }
    let status = service.terminate().await?;
    assert!(status.success(), "{status}");
    assert!(wrong.is_empty(), "{} of {number} went wrong:\n{}", wrong.len(), wrong.join("\n"));
    assert!(played >= PLAYED_AT_LEAST, "only {played} of {} vectors can be played", vectors.len());
    Ok(())
}
