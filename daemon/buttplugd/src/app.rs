//! The service as a whole: what starts in which order, what it waits for, and how it ends.
//!
//! Listeners are bound before anything slow, so that clients wait instead of being refused. The name on the bus comes before
//! they are served, since without it the service may have to end at once, and the word "ready" comes last. At the end all outputs are stopped first; everything else can wait, and all of it has a limit.

use std::{sync::Arc, time::Duration};

use engine::{
    fault::{Fault, Reason},
    monitor::{Finds, Status, TransportState},
    recording::Recording,
};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{mpsc, watch},
    task::{JoinHandle, JoinSet},
    time::{MissedTickBehavior, timeout},
};

use crate::{
    config::{Config, Directories, source::Source},
    devices::{Devices, DevicesError},
    front::{
        Shared, dbus,
        half_open::HalfOpen,
        listen::{Inherited, ListenError, Listeners},
    },
    hub::{self, Hub, ReloadRequest, Shutdown},
    journal::RunningJournal,
    notify, sleep,
};

/// The time that all outputs have to be stopped in at the end. systemd gives a service 90 s unless told otherwise.
const STOP_LIMIT: Duration = Duration::from_secs(5);

/// The time that clients have at the end to read why.
const GOODBYE_LIMIT: Duration = Duration::from_secs(2);

/// The time that the bus has to answer at the start. A bus that hangs must not keep the socket from being served.
const BUS_LIMIT: Duration = Duration::from_secs(5);

/// Reloads that clients may ask for while one is going on.
const RELOADS_WAITING: usize = 4;

/// What the service is started with.
pub struct Setup {
    /// Where the configuration came from, for a reload.
    pub source: Source,
    /// The configuration.
    pub config: Config,
    /// The user's folders.
    pub directories: Directories,
    /// What systemd passed.
    pub inherited: Inherited,
    /// Devices out of recordings.
    pub recordings: Vec<Recording>,
}

/// Why the service does not start, or ends.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The system has no room for it.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
    /// A socket cannot be had.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There can be no devices.
    #[error(transparent)]
    Devices(#[from] DevicesError),
    /// The bus cannot be served.
    #[error("{0}")]
    Bus(String),
    /// The hub failed. Devices are stopped by their own tasks.
    #[error("the hub of the service failed; it must be started again")]
    Hub,
    /// No device can come any more. Those that were there have been stopped.
    #[error("the part of the service that takes in devices failed; it must be started again")]
    Arrivals,
}

/// Runs the service until it is told to end.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub fn run(setup: Setup) -> Result<(), AppError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async { App::start(setup).await?.serve().await })
}

struct App {
    source: Source,
    config: watch::Sender<Arc<Config>>,
    hub: Hub,
    hub_task: JoinHandle<()>,
    devices: Devices,
    reloads: mpsc::Receiver<ReloadRequest>,
    bus: Option<dbus::Front>,
    listeners: JoinSet<()>,
    /// Held by the task of every connection, as long as it lasts.
    alive: mpsc::Sender<()>,
    /// Ends when nobody holds the other end any more.
    connections: mpsc::Receiver<()>,
    signals: Signals,
    /// Ends with this.
    sleep: JoinSet<()>,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }
}

impl App {
    async fn start(setup: Setup) -> Result<Self, AppError> {
        let Setup { source, config, directories, inherited, recordings } = setup;
        // First, so that a signal during the start is not lost.
        let signals = Signals::new()?;
        let listeners = Listeners::bind(&config, &directories, inherited).await?;
        let (ask_reload, reloads) = mpsc::channel(RELOADS_WAITING);
        let (journal, left_running) = RunningJournal::open(&directories.state);
        let parts = hub_parts(&config, ask_reload);
        let (hub, hub_task) = Hub::start(parts);
        let devices = Devices::start(&hub, &config, &directories, journal, left_running, recordings).await?;

        let half_open = HalfOpen::new(config.limits.half_open);
        let serve_bus = config.dbus.enabled;
        let (config, newest) = watch::channel(Arc::new(config));
        let (alive, connections) = mpsc::channel(1);
        let shared = Shared { hub: hub.clone(), config: newest, half_open, alive: alive.downgrade() };
        let mut app = Self {
            source,
            config,
            hub,
            hub_task,
            devices,
            reloads,
            bus: None,
            listeners: JoinSet::new(),
            alive,
            connections,
            signals,
            sleep: JoinSet::new(),
        };
        if serve_bus {
            match start_bus(shared.clone()).await {
                Ok(bus) => app.bus = bus,
                // There may be devices already, which are not left as they are.
                Err(error) => {
                    app.end("the session bus cannot be served").await;
                    return Err(error);
                }
            }
        }
        let (local, tcp) = (listeners.local_places(), listeners.tcp_places());
        app.listeners = listeners.serve(&shared);
        let dbus = if app.bus.is_some() { ipc_schema::dbus::BUS_NAME } else { "off" };
        tracing::info!(socket = local, websocket = tcp, dbus, "ready");
        notify::ready(&summary(&app.hub.status().borrow()));
        app.sleep.spawn(sleep::watch(app.hub.clone()));
        Ok(app)
    }

    async fn serve(mut self) -> Result<(), AppError> {
        let mut alive = notify::alive_interval().map(|interval| {
            let mut ticks = tokio::time::interval(interval);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        let mut status = self.hub.status();
        status.mark_unchanged();
        let is_heard = notify::is_heard();
        let mut said = summary(&status.borrow());
        // All arms are cancel-safe. What they lead to is short or has a limit.
        let end = loop {
            tokio::select! {
                _ = self.signals.terminate.recv() => break Ok("SIGTERM"),
                _ = self.signals.interrupt.recv() => break Ok("SIGINT"),
                _ = self.signals.hang_up.recv() => {
                    // The log has said what is wrong, if something is.
                    self.reload().await.ok();
                }
                Some(request) = self.reloads.recv() => {
                    let outcome = self.reload().await;
                    request.done(outcome).await;
                }
                Some(()) = tick(&mut alive), if alive.is_some() => notify::alive(),
                Ok(()) = status.changed(), if is_heard => {
                    let now = summary(&status.borrow_and_update());
                    if now != said && notify::status(&now) == notify::Said::Heard {
                        said = now;
                    }
                }
                () = bus_gone(self.bus.as_ref()), if self.bus.is_some() => {
                    self.bus = None;
                    if std::env::var_os("DBUS_STARTER_ADDRESS").is_some() {
                        // Whoever is started by a bus ends with it: nobody else would end it.
                        break Ok("end of the session bus");
                    }
                    tracing::warn!("the session bus is gone; serving the socket alone");
                }
                ended = &mut self.hub_task => {
                    tracing::error!(?ended, "the hub ended by itself");
                    break Err(AppError::Hub);
                }
                () = self.devices.failed() => break Err(AppError::Arrivals),
                Some(ended) = self.listeners.join_next() => {
                    tracing::error!(?ended, "a listener ended by itself; no new clients come there");
                }
            }
        };
        match end {
            Ok(why) => {
                self.end(why).await;
                Ok(())
            }
            Err(error) => {
                self.end("a part of the service failed").await;
                Err(error)
            }
        }
    }

    async fn end(mut self, why: &str) {
        tracing::info!(why, "ending");
        notify::stopping("stopping all devices");
        match self.hub.shutdown(STOP_LIMIT).await {
            Shutdown::Complete => {}
            Shutdown::OutOfTime => {
                tracing::error!(limit = ?STOP_LIMIT, "not all devices could be stopped in time; look after them by hand");
            }
        }
        self.devices.end().await;
        // Takes the socket file with it.
        self.listeners.shutdown().await;
        drop(self.alive);
        let goodbyes = async {
            // Nothing is ever sent: it ends when every connection has let go of its end.
            while self.connections.recv().await.is_some() {}
            if let Some(bus) = &self.bus {
                bus.give_name_back().await;
            }
        };
        if timeout(GOODBYE_LIMIT, goodbyes).await.is_err() {
            tracing::debug!("some clients did not read the end of their session");
        }
        tracing::info!("ended");
    }

    /// Reads configuration and definitions again. What is wrong leaves everything as it was.
    async fn reload(&mut self) -> Result<(), Fault> {
        notify::reloading();
        let outcome = self.read_again().await;
        match &outcome {
            Ok(()) => tracing::info!("configuration and definitions are read again"),
            Err(fault) => tracing::error!("nothing was changed by the reload: {fault}"),
        }
        notify::ready(&summary(&self.hub.status().borrow()));
        outcome
    }

    async fn read_again(&mut self) -> Result<(), Fault> {
        // The reason `internal` would ask for a report; this is the user's own file.
        let config = self.source.load().map_err(|error| Fault::new(Reason::NotAllowed, error.to_string()))?;
        let access = config.access.clone();
        self.hub.set_policy(Arc::new(move |peer| access.check(peer))).await;
        let config = Arc::new(config);
        self.config.send_replace(Arc::clone(&config));
        self.devices.reload(&config).await
    }
}

fn hub_parts(config: &Config, reload: mpsc::Sender<ReloadRequest>) -> hub::Parts {
    let access = config.access.clone();
    hub::Parts {
        sessions_max: config.limits.sessions,
        event_queue: config.limits.event_queue,
        policy: Arc::new(move |peer| access.check(peer)),
        reload,
    }
}

/// The front on the bus, or none if there is no bus.
async fn start_bus(shared: Shared) -> Result<Option<dbus::Front>, AppError> {
    match timeout(BUS_LIMIT, dbus::Front::start(shared)).await {
        Ok(Ok(front)) => Ok(Some(front)),
        Ok(Err(error @ dbus::DbusError::NoBus(_))) => {
            tracing::warn!("{error}; serving the socket alone");
            Ok(None)
        }
        Ok(Err(error @ (dbus::DbusError::NameTaken | dbus::DbusError::Failed(_)))) => {
            Err(AppError::Bus(error.to_string()))
        }
        Err(_) => {
            tracing::warn!("the session bus does not answer; serving the socket alone");
            Ok(None)
        }
    }
}

async fn bus_gone(bus: Option<&dbus::Front>) {
    match bus {
        Some(bus) => bus.gone().await,
        None => std::future::pending().await,
    }
}

async fn tick(ticks: &mut Option<tokio::time::Interval>) -> Option<()> {
    ticks.as_mut()?.tick().await;
    Some(())
}

/// What `systemctl status` shows: how many devices and clients, and which buses cannot be used.
fn summary(status: &Status) -> String {
    let count = |number: usize, word: &str| format!("{number} {word}{}", if number == 1 { "" } else { "s" });
    let clients = status.clients.iter().filter(|client| client.introduction.is_some()).count();
    let mut text = format!("{}, {}", count(status.list.len(), "device"), count(clients, "client"));
    for transport in &status.transports {
        match transport.state {
            TransportState::Ready => {}
            // Nobody misses a bus that the configuration or an empty socket switches off.
            TransportState::Off if transport.finds == Finds::Unasked => {}
            TransportState::Off => text.push_str(&format!("; {} is off", transport.transport)),
            TransportState::Unavailable => {
                text.push_str(&format!("; {} cannot be used", transport.transport))
            }
        }
    }
    text
}
