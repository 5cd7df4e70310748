//! The floors: echoes in a process of their own, made of the same libraries as the service.

use std::{collections::HashMap, env, path::Path, process::Stdio};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use system_tests::bus::Bus;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, UnixListener},
    process::{Child, Command},
};
use zbus::{OwnedVariant, interface};

use super::radio;

/// Says which floor this process is, and where.
const ROLE: &str = "BUTTPLUGD_FLOOR";

/// The name of the echo on the bus.
pub(crate) const BUS_NAME: &str = "org.buttplugd.Floor";
/// The path of its object.
pub(crate) const PATH: &str = "/org/buttplugd/Floor";

/// What echoes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A Unix socket; the place is its path.
    Socket,
    /// WebSocket over TCP on a free port; the place is not looked at.
    WebSocket,
    /// A method on a bus; the place is its address.
    Dbus,
    /// A device behind btleplug; see [`radio::place`].
    Bluetooth,
}

impl Kind {
    const fn word(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::WebSocket => "websocket",
            Self::Dbus => "dbus",
            Self::Bluetooth => "bluetooth",
        }
    }
}

/// A floor that runs. It ends with the value.
pub(crate) struct Floor {
    _child: Child,
    /// What it said when it was ready: its address.
    pub(crate) address: String,
}

impl Floor {
    pub(crate) async fn start(kind: Kind, place: &str) -> anyhow::Result<Self> {
        Self::spawn(kind, place, Command::new(env::current_exe()?)).await
    }

    /// A floor for which this bus is the system's.
    pub(crate) async fn start_on(kind: Kind, place: &str, bus: &Bus) -> anyhow::Result<Self> {
        let mut command = Command::new(env::current_exe()?);
        command.env("DBUS_SYSTEM_BUS_ADDRESS", bus.address());
        Self::spawn(kind, place, command).await
    }

    async fn spawn(kind: Kind, place: &str, mut command: Command) -> anyhow::Result<Self> {
        let mut child = command
            .env(ROLE, format!("{}={place}", kind.word()))
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting a floor")?;
        let mut said = BufReader::new(child.stdout.take().context("a child without stdout")?);
        let mut address = String::new();
        said.read_line(&mut address).await?;
        if address.is_empty() {
            bail!("the floor {} did not start", kind.word());
        }
        Ok(Self { _child: child, address: address.trim().to_owned() })
    }
}

/// The floor that this process was started to be.
pub(crate) fn role() -> Option<String> {
    env::var(ROLE).ok()
}

/// Is the floor until it is killed.
pub(crate) async fn serve(role: String) -> anyhow::Result<()> {
    match role.split_once('=').context("a floor without a place")? {
        ("socket", path) => echo_socket(Path::new(path)).await,
        ("websocket", _) => echo_websocket().await,
        ("dbus", address) => echo_dbus(address).await,
        ("bluetooth", place) => radio::serve(place, || ready("listens")).await,
        (other, _) => bail!("there is no floor {other}"),
    }
}

#[expect(clippy::print_stdout, reason = "what the bench waits for")]
fn ready(address: &str) {
    println!("{address}");
}

async fn echo_socket(path: &Path) -> anyhow::Result<()> {
    let listener = UnixListener::bind(path)?;
    ready("bound");
    loop {
        let (mut stream, _) = listener.accept().await?;
        tokio::spawn(async move {
            let mut buffer = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                let bytes = buffer.get(..read).unwrap_or_default();
                if stream.write_all(bytes).await.is_err() {
                    return;
                }
            }
        });
    }
}

async fn echo_websocket() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    ready(&listener.local_addr()?.to_string());
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(async move {
            let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
            while let Some(Ok(message)) = socket.next().await {
                if message.is_text() && socket.send(message).await.is_err() {
                    return;
                }
            }
        });
    }
}

struct Echo;

#[interface(name = "org.buttplugd.Floor")]
impl Echo {
    fn output(&self, _feature: u32, _kind: String, _value: i32, _options: HashMap<String, OwnedVariant>) {}
}

async fn echo_dbus(address: &str) -> anyhow::Result<()> {
    let _connection =
        zbus::connection::Builder::address(address).serve_at(PATH, Echo).name(BUS_NAME).build().await?;
    ready("named");
    std::future::pending().await
}
