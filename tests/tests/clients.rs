//! Existing applications, unchanged: the scene of `tests/clients` with client libraries of every spec version.
//!
//! Behind the feature `clients`, since it installs from npm, PyPI and crates.io: `cargo xtask test clients`.

use system_tests::{
    bluez::{CharacteristicSpec, DeviceSpec, FakeBluez, FakeDevice, Flag, Write},
    bus::Bus,
    clients::{Library, Program, program},
    plugins,
    service::{Home, Launch, Service},
};
use tempfile::TempDir;
use uuid::{Uuid, uuid};

/// The service with simulated devices, and one Bluetooth device that can leave: a Lovense Nora.
struct Stage {
    service: Service,
    nora: FakeDevice,
    url: String,
    _bluez: FakeBluez,
    _bus: Bus,
    _home: Home,
    _plugins: TempDir,
}

const NAME: &str = "Lovense Nora";
const SERVICE: Uuid = uuid!("6e400001-b5a3-f393-e0a9-e50e24dcca9e");
const TX: Uuid = uuid!("6e400002-b5a3-f393-e0a9-e50e24dcca9e");
const RX: Uuid = uuid!("6e400003-b5a3-f393-e0a9-e50e24dcca9e");

impl Stage {
    async fn new() -> anyhow::Result<Self> {
        let bus = Bus::system().await?;
        let bluez = FakeBluez::start(&bus).await?;
        let nora = bluez.add_device(DeviceSpec::named("F0:F1:F2:F3:F4:05", "LVS-A011").service(
            SERVICE,
            vec![
                CharacteristicSpec::new(TX, &[Flag::Write, Flag::WriteWithoutResponse]),
                CharacteristicSpec::new(RX, &[Flag::Notify]),
            ],
        ));
        nora.respond_with(|write: &Write| {
            let answer = match write.text().as_str() {
                "DeviceType;" => "A:11:0082059AD3BD;",
                "Battery;" => "85;",
                _ => "OK;",
            };
            vec![(RX, answer.as_bytes().to_vec())]
        });
        let home = Home::new()?;
        let plugins = plugins::installed()?;
        let port = free_port()?;
        let service = Launch::new(&home)
            .system_bus(&bus)
            .plugin_path(plugins.path())
            .arg("--no-dbus")
            .arg("--simulated")
            .arg(format!("--websocket=127.0.0.1:{port}"))
            .start()
            .await?;
        let url = format!("ws://127.0.0.1:{port}");
        Ok(Self { service, nora, url, _bluez: bluez, _bus: bus, _home: home, _plugins: plugins })
    }

    /// Plays the whole scene with one program.
    async fn play(&mut self, program: &Program) -> anyhow::Result<()> {
        let mut scene = program.start(&self.url, NAME)?;
        scene.step("connected").await?;
        let devices = scene.step("devices").await?;
        anyhow::ensure!(devices["names"].as_array().is_some_and(|names| names.len() > 4), "{devices}");
        self.nora.forget_operations();
        let drove = scene.step("drove").await?;
        let kinds = drove["kinds"].as_array().map_or(0, Vec::len);
        anyhow::ensure!(kinds >= 3, "{drove}");
        let wrote: Vec<String> = self.nora.writes().iter().map(Write::text).collect();
        anyhow::ensure!(wrote.iter().any(|text| text.starts_with("Vibrate:")), "{wrote:?}");
        let mut next = scene.any().await?;
        if next["step"] == "battery" {
            let level = next["level"].as_f64().unwrap_or_default();
            anyhow::ensure!((level - 0.85).abs() < 0.005, "{next}");
            next = scene.any().await?;
        }
        anyhow::ensure!(next["step"] == "leave", "{next}");
        self.nora.vanish();
        scene.step("left").await?;
        self.nora.appear();
        scene.step("returned").await?;
        self.nora.operation_that(|operation| text_of(operation).is_some_and(|text| is_running(&text))).await;
        scene.step("stopped").await?;
        let stopped =
            self.nora.operation_that(|operation| text_of(operation).as_deref() == Some("Vibrate:0;")).await;
        anyhow::ensure!(stopped.outcome == system_tests::bluez::Outcome::Done, "{stopped:?}");
        scene.step("done").await?;
        scene.end().await?;
        self.service.assert_alive();
        Ok(())
    }
}

fn text_of(operation: &system_tests::bluez::Operation) -> Option<String> {
    match &operation.action {
        system_tests::bluez::Action::Write(write) => Some(write.text()),
        _ => None,
    }
}

fn is_running(text: &str) -> bool {
    text.strip_prefix("Vibrate:").is_some_and(|value| value != "0;")
}

fn free_port() -> anyhow::Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

async fn scene(library: Library, script: &str, more: &[&str]) -> anyhow::Result<()> {
    let program = program(library, script, more).await?;
    Stage::new().await?.play(&program).await
}

#[tokio::test]
async fn npm_5_0_2_speaks_v4() -> anyhow::Result<()> {
    scene(Library::Npm("5.0.2"), "js/v4.mjs", &[]).await
}

#[tokio::test]
async fn npm_4_0_2_speaks_v4() -> anyhow::Result<()> {
    scene(Library::Npm("4.0.2"), "js/v4.mjs", &[]).await
}

#[tokio::test]
async fn npm_3_2_2_speaks_v3() -> anyhow::Result<()> {
    scene(Library::Npm("3.2.2"), "js/v3.mjs", &[]).await
}

#[tokio::test]
async fn npm_0_13_2_speaks_v1() -> anyhow::Result<()> {
    scene(Library::Npm("0.13.2"), "js/v1.mjs", &[]).await
}

#[tokio::test]
async fn pip_buttplug_1_0_0_speaks_v4() -> anyhow::Result<()> {
    scene(Library::Pip("buttplug==1.0.0"), "python/v4.py", &[]).await
}

#[tokio::test]
async fn pip_buttplug_0_3_0_speaks_v1() -> anyhow::Result<()> {
    scene(Library::Pip("buttplug==0.3.0"), "python/v1.py", &[]).await
}

#[tokio::test]
async fn pip_buttplug_py_0_2_0_speaks_v3_and_v2() -> anyhow::Result<()> {
    scene(Library::Pip("buttplug-py==0.2.0"), "python/siege.py", &["v3"]).await?;
    scene(Library::Pip("buttplug-py==0.2.0"), "python/siege.py", &["v2"]).await
}

#[tokio::test]
async fn crate_buttplug_client_11_speaks_v4() -> anyhow::Result<()> {
    scene(Library::Crate("scene-v4"), "", &[]).await
}

#[tokio::test]
async fn crate_buttplug_7_speaks_v3() -> anyhow::Result<()> {
    scene(Library::Crate("scene-v3"), "", &[]).await
}

/// Two clients of different versions drive at once, and each sees what the other's device does.
#[tokio::test]
async fn two_versions_at_once() -> anyhow::Result<()> {
    let new = program(Library::Npm("5.0.2"), "js/v4.mjs", &[]).await?;
    let old = program(Library::Npm("0.13.2"), "js/v1.mjs", &[]).await?;
    let mut stage = Stage::new().await?;
    let mut first = new.start(&stage.url, NAME)?;
    let mut second = old.start(&stage.url, NAME)?;
    for scene in [&mut first, &mut second] {
        scene.step("connected").await?;
        scene.step("devices").await?;
        scene.step("drove").await?;
    }
    first.step("battery").await?;
    first.step("leave").await?;
    second.step("leave").await?;
    stage.nora.vanish();
    first.step("left").await?;
    second.step("left").await?;
    stage.nora.appear();
    for scene in [&mut first, &mut second] {
        scene.step("returned").await?;
        scene.step("stopped").await?;
        scene.step("done").await?;
    }
    first.end().await?;
    second.end().await?;
    stage.service.assert_alive();
    Ok(())
}
