//! Plays folders of conversations against the real service, in every spec version that each file names.
//!
//! `CONVERSATIONS` names further folders, separated by colons; nothing of them is part of the project.

use std::path::PathBuf;

use system_tests::{
    bluez::FakeBluez,
    bus::Bus,
    conversation::{Stage, file, play},
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
