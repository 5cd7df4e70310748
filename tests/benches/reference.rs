//! The same client and the same device behind this service and behind the reference server, in turns.
//!
//! `REFERENCE=/path/to/intiface-engine cargo bench -p system-tests --bench reference`. The device dials in over WebSocket, which both servers
//! take and neither paces, and speaks Lovense's text. Timed is the way from the client's frame to the device's packet: the reference says
//! `Ok` before it writes, so that its replies tell nothing about the device.

mod support;

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use support::{Micros, Times, Usage, lane::hello, launch, measured, websocket_address};
use system_tests::{
    artifact, plugins,
    service::{Home, Service},
};
use tokio::{
    net::TcpStream,
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

/// Names the reference server's executable.
const REFERENCE: &str = "REFERENCE";

/// Nothing here takes that long, unless it never comes.
const LOST: Duration = Duration::from_secs(20);

/// Starts of each server.
const STARTS: usize = 10;

/// The pause between two looks whether a server listens.
const LOOK_AGAIN: Duration = Duration::from_micros(500);

/// What the device calls itself in its greeting, and what it is by its own answer.
const NAME: &str = "Bench";
const TYPE: &[u8] = b"S:11:0082059AD3BD;";

/// The Id of the search. The reference takes no device without one; ours needs none for a device that dials in, and refuses it where there
/// is no bus to be searched.
const SCAN: u32 = 2;

/// The highest step of its motor.
const STEPS: u32 = 20;

fn main() -> anyhow::Result<()> {
    artifact::up_to_date()?;
    support::run(bench)
}

#[expect(clippy::print_stdout, reason = "what a bench is for")]
async fn bench() -> anyhow::Result<()> {
    let Some(program) = env::var_os(REFERENCE).map(PathBuf::from) else {
        println!("nothing to compare with: name the executable of intiface-engine in {REFERENCE}");
        return Ok(());
    };
    let installed = plugins::installed()?;
    let (ours, theirs) = (Home::new()?, Home::new()?);
    let mut starts = Pair::default();
    for _ in 0..STARTS {
        let began = Instant::now();
        let mut service = start_ours(&ours, installed.path()).await?;
        starts.ours.add(began.elapsed());
        service.terminate().await?;
        let began = Instant::now();
        let reference = Reference::start(&program, &theirs).await?;
        starts.theirs.add(began.elapsed());
        drop(reference);
    }
    starts.print("exec to listening, all definitions");

    let service = start_ours(&ours, installed.path()).await?;
    let reference = Reference::start(&program, &theirs).await?;
    let mut our_way = Way::open(&websocket_address(&service).await?, &devices_of(&service)?).await?;
    let mut their_way = Way::open(&reference.clients.to_string(), &reference.devices.to_string()).await?;
    let before = (Usage::of(&service)?, Usage::of_process(reference.pid()?)?);
    let sides =
        measured(async |trip| their_way.trip(trip).await, async |trip| our_way.trip(trip).await).await?;
    let after = (Usage::of(&service)?, Usage::of_process(reference.pid()?)?);
    let trips = f64::from(u32::try_from(sides.ours.len())?) * 25.0 / 24.0;
    Pair { ours: sides.ours, theirs: sides.floor }.print("from a client's frame to the device's packet");
    let spent =
        |after: Usage, before: Usage| (after.processor - before.processor).as_secs_f64() * 1e6 / trips;
    println!(
        "{:<46} {:.1} us, reference {:.1} us",
        "processor time a command",
        spent(after.0, before.0),
        spent(after.1, before.1)
    );
    println!(
        "{:<46} {} KiB, reference {} KiB",
        "resident, with one client and one device", after.0.resident, after.1.resident
    );
    Ok(())
}

/// What both servers took.
#[derive(Default)]
struct Pair {
    ours: Times,
    theirs: Times,
}

impl Pair {
    #[expect(clippy::print_stdout, reason = "what a bench is for")]
    fn print(mut self, what: &str) {
        let [ours, theirs] = [&mut self.ours, &mut self.theirs]
            .map(|times| (times.percentile(50), Micros(times.percentile(99))));
        println!(
            "{what:<46} {} (p99 {})   reference {} (p99 {})   ratio {:.2}",
            Micros(ours.0),
            ours.1,
            Micros(theirs.0),
            theirs.1,
            ours.0.as_secs_f64() / theirs.0.as_secs_f64()
        );
    }
}

async fn start_ours(home: &Home, installed: &Path) -> anyhow::Result<Service> {
    home.write_config("buttplugd.toml", "[websocket-devices]\nenabled = true\nlisten = [\"127.0.0.1:0\"]\n")?;
    home.write_config(
        "devices.d/bench.toml",
        &format!("[[model]]\nprotocol = \"lovense\"\nidentifiers = [\"bench\"]\nname = \"Bench\"\nwebsocket = [{{ names = [\"{NAME}\"] }}]\n"),
    )?;
    let launch = launch(home).env("RUST_LOG", "warn,buttplugd=info").arg("--no-dbus");
    launch.arg("--websocket").arg("127.0.0.1:0").plugin_path(installed).start().await
}

/// Where devices dial in to our service: the port is the system's choice.
fn devices_of(service: &Service) -> anyhow::Result<String> {
    let log = service.log();
    let line = log.lines().find(|line| line.contains("WebSocket devices may dial in"));
    let address = line.and_then(|line| line.split("address=").nth(1)?.split_whitespace().next());
    Ok(address.context("a service that takes no devices")?.to_owned())
}

/// A running reference server. It ends with the value.
struct Reference {
    child: Child,
    clients: SocketAddr,
    devices: SocketAddr,
}

impl Reference {
    async fn start(program: &Path, home: &Home) -> anyhow::Result<Self> {
        let config = home.path().join("devices.json");
        let lovense = json!({ "communication": [{ "websocket": { "name": NAME } }], "configurations": [] });
        let text = json!({
            "version": { "major": 5, "minor": 0 },
            "user_configs": { "protocols": { "lovense": lovense }, "devices": [] },
        });
        fs::write(&config, text.to_string())?;
        let (clients, devices) = (free_port()?, free_port()?);
        let child = Command::new(program)
            .args(["--websocket-port", &clients.port().to_string()])
            .args([
                "--use-device-websocket-server",
                "--device-websocket-server-port",
                &devices.port().to_string(),
            ])
            .arg("--user-device-config-file")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let listens = async {
            while TcpStream::connect(clients).await.is_err() {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
        };
        timeout(LOST, listens).await.context("the reference does not listen")?;
        Ok(Self { child, clients, devices })
    }

    fn pid(&self) -> anyhow::Result<u32> {
        self.child.id().context("the reference has ended")
    }
}

/// A port that was free a moment ago: the reference takes a number only.
fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// A client, a server, and the device at its other end.
struct Way {
    client: WebSocketStream<TcpStream>,
    device: u32,
    packets: mpsc::Receiver<(Instant, String)>,
}

impl Way {
    async fn open(clients: &str, devices: &str) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(clients).await?;
        stream.set_nodelay(true)?;
        let (mut client, _) = client_async(format!("ws://{clients}/"), stream).await?;
        client.send(Message::text(hello("bench").to_string())).await?;
        next(&mut client, |message| message.get("ServerInfo").is_some()).await?;
        client.send(Message::text(json!([{ "StartScanning": { "Id": SCAN } }]).to_string())).await?;
        let (tell, packets) = mpsc::channel(1);
        // A server that is not looking yet may turn the first call away.
        let stream = dial(devices).await?;
        tokio::spawn(be_a_toy(stream, tell));
        let found = |message: &Value| devices_in(message).next().is_some();
        let list = next(&mut client, found).await?;
        let device = devices_in(&list).next().context("a list without devices")?;
        let mut way = Self { client, device, packets };
        way.trip(1).await?;
        Ok(way)
    }

    /// The time from a command to the packet that it makes.
    async fn trip(&mut self, trip: u32) -> anyhow::Result<Duration> {
        let value = if trip.is_multiple_of(2) { STEPS } else { 1 };
        let command = json!([{ "OutputCmd": {
            "Id": trip + 3, "DeviceIndex": self.device, "FeatureIndex": 0, "Command": { "Vibrate": { "Value": value } },
        } }]);
        let text = command.to_string();
        let began = Instant::now();
        self.client.send(Message::text(text)).await?;
        let (came, packet) = timeout(LOST, self.packets.recv()).await?.context("the device was let go")?;
        ensure!(packet == format!("Vibrate:{value};"), "the device was sent {packet}");
        next(&mut self.client, |message| message.get("Ok").is_some()).await?;
        Ok(came - began)
    }
}

fn devices_in(message: &Value) -> impl Iterator<Item = u32> {
    let devices = message.pointer("/DeviceList/Devices").and_then(Value::as_object);
    devices.into_iter().flatten().filter_map(|(index, _)| index.parse().ok())
}

/// The next message that is as wanted; others are passed over.
async fn next(
    client: &mut WebSocketStream<TcpStream>,
    wanted: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    loop {
        let message = timeout(LOST, client.next()).await.context("a message that never came")?;
        let Message::Text(text) = message.context("the connection was closed")?? else { continue };
        let messages: Vec<Value> = serde_json::from_str(&text)?;
        for message in messages {
            let error = message.get("Error");
            ensure!(error.is_none_or(|error| error["Id"] == SCAN), "{message}");
            if wanted(&message) {
                return Ok(message);
            }
        }
    }
}

async fn dial(address: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let call = async {
        loop {
            if let Ok(stream) = TcpStream::connect(address).await {
                return stream;
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    };
    let stream = timeout(LOST, call).await.context("no device may dial in")?;
    stream.set_nodelay(true)?;
    Ok(client_async(format!("ws://{address}/"), stream).await?.0)
}

/// Is the device until the server lets it go.
async fn be_a_toy(
    mut stream: WebSocketStream<TcpStream>,
    tell: mpsc::Sender<(Instant, String)>,
) -> anyhow::Result<()> {
    let greeting = json!({ "identifier": NAME, "address": "0082059AD3BD", "version": 0 });
    stream.send(Message::text(greeting.to_string())).await?;
    while let Some(message) = stream.next().await {
        let packet = message?.into_data();
        match &packet[..] {
            b"DeviceType;" => stream.send(Message::binary(TYPE)).await?,
            b"Battery;" => stream.send(Message::binary(&b"80;"[..])).await?,
            packet if packet.starts_with(b"Vibrate:") => {
                tell.send((Instant::now(), String::from_utf8_lossy(packet).into_owned())).await?;
            }
            _ => {}
        }
    }
    Ok(())
}
