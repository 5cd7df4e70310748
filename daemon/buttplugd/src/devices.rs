//! The side of the service that has devices: definitions, plugins, arrivals and buses, started, reloaded and ended together.
//!
//! What a device does once it is there is the business of its own task; how clients reach it that of the hub.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use engine::{
    definition::{
        catalogue::{Catalogue, Source},
        layer::Layer,
        problem::Problem,
    },
    fault::{Fault, Reason},
    monitor::ServiceFacts,
    recording::Recording,
    vocabulary::DeviceIndex,
};
use tokio::{
    sync::watch,
    task::{JoinHandle, JoinSet},
    time::timeout,
};

use crate::{
    arrivals::{self, Arrivals, MemoryError},
    config::{Config, Directories, value::ReconnectWhen},
    definitions::{Folders, Templates},
    hub::Hub,
    journal::RunningJournal,
    plugin::{LoadError, PluginHost},
    transport::{
        self, Discovery, Search,
        ble::{self, Air},
        dongle, gamepad, hid, replay, serial, simulated, websocket,
    },
};

/// Plugin folders of the distribution and of the machine's administrator; later ones win.
const PLUGIN_FOLDERS: [&str; 2] = ["/usr/lib/buttplugd/plugins", "/usr/local/lib/buttplugd/plugins"];
/// Definition files of the machine's administrator.
const ADMINISTRATOR_FOLDERS: [&str; 2] = ["/etc/buttplugd", "/etc/buttplugd/devices.d"];
/// Definition files of the user, below the configuration folder.
const USER_FOLDER: &str = "devices.d";
/// The time that the tasks of devices have to close their paths, after everything was stopped.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// Why there can be no devices.
#[derive(Debug, thiserror::Error)]
pub enum DevicesError {
    /// The indexes of known devices cannot be read.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// The plugin that is linked in is not in order.
    #[error("the built-in plugin cannot be used: {0}")]
    Plugin(#[from] LoadError),
}

/// Everything that has to do with devices.
pub struct Devices {
    hub: Hub,
    directories: Directories,
    catalogue: watch::Sender<Arc<Catalogue>>,
    closing: watch::Sender<Option<Reason>>,
    /// None once it has failed.
    arrivals: Option<JoinHandle<()>>,
    buses: JoinSet<()>,
}

impl Devices {
    /// Reads the definitions and starts the buses that the configuration names. `left_running` are the devices that were running
    /// when the service was last there, `recordings` are devices without hardware.
    ///
    /// # Errors
    /// When devices could not be told apart, or none could be driven. A broken definition file is no error: it is logged.
    pub async fn start(
        hub: &Hub,
        config: &Config,
        directories: &Directories,
        journal: RunningJournal,
        left_running: BTreeSet<DeviceIndex>,
        recordings: Vec<Recording>,
    ) -> Result<Self, DevicesError> {
        let (catalogue, problems) = definitions(config, directories, None);
        log(&problems);
        let facts = facts(&catalogue, &problems);
        let (catalogue, newest) = watch::channel(Arc::new(catalogue));
        let (closing, closed) = watch::channel(None);
        let parts = arrivals::Parts {
            hub: hub.clone(),
            catalogue: newest,
            plugins: PluginHost::new(&[*plugin_template::entry()])?,
            journal,
            left_running,
            reconnect: match config.devices.reconnect {
                ReconnectWhen::Off => arrivals::Reconnect::Off,
                ReconnectWhen::WhileClientConnected => arrivals::Reconnect::WhileClientConnected,
                ReconnectWhen::Always => arrivals::Reconnect::Always,
            },
            closing: closed,
        };
        let (arrivals, discovery) = Arrivals::new(parts, &directories.state)?;
        let mut buses = JoinSet::new();
        start_buses(&mut buses, config, &discovery, &catalogue, arrivals.search());
        if !recordings.is_empty() {
            buses.spawn(replay::run(discovery.clone(), recordings));
        }
        hub.facts(facts).await;
        let arrivals = Some(tokio::spawn(arrivals.run()));
        Ok(Self { hub: hub.clone(), directories: directories.clone(), catalogue, closing, arrivals, buses })
    }

    /// The definitions in force.
    #[must_use]
    pub fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.borrow().clone()
    }

    /// Reads the definitions again. What is wrong with a file leaves it as it last was.
    ///
    /// # Errors
    /// The first thing that is wrong, after everything else has been put in force.
    pub async fn reload(&self, config: &Config) -> Result<(), Fault> {
        let previous = self.catalogue();
        let (catalogue, problems) = definitions(config, &self.directories, Some(&previous));
        self.hub.facts(facts(&catalogue, &problems)).await;
        self.catalogue.send_replace(Arc::new(catalogue));
        log(&problems);
        match problems.first() {
            None => Ok(()),
            Some(problem) => Err(Fault::new(Reason::NotAllowed, problem.to_string())),
        }
    }

    /// Waits until no device can come any more although nobody ended that. Devices that are there can still be stopped.
    /// Cancel-safe.
    pub async fn failed(&mut self) {
        let Some(arrivals) = &mut self.arrivals else { return };
        let ended = arrivals.await;
        self.arrivals = None;
        tracing::error!(?ended, "the task that takes in devices ended by itself");
    }

    /// Lets all devices go, after they were stopped.
    pub async fn end(mut self) {
        self.closing.send_replace(Some(Reason::ShuttingDown));
        if let Some(arrivals) = &mut self.arrivals
            && timeout(CLOSE_LIMIT, &mut *arrivals).await.is_err()
        {
            tracing::warn!(limit = ?CLOSE_LIMIT, "some devices did not let go in time");
            arrivals.abort();
        }
        self.buses.shutdown().await;
    }
}

fn start_buses(
    buses: &mut JoinSet<()>,
    config: &Config,
    discovery: &Discovery,
    catalogue: &watch::Sender<Arc<Catalogue>>,
    search: watch::Receiver<Search>,
) {
    if config.transports.bluetooth {
        buses.spawn(ble::run(Air { search, tell: discovery.tell.clone() }));
    } else {
        buses.spawn(transport::off(discovery.clone(), ble::NAME, "transports.bluetooth"));
    }
    if config.transports.hid {
        buses.spawn(hid::run(discovery.clone(), catalogue.subscribe()));
    } else {
        buses.spawn(transport::off(discovery.clone(), hid::NAME, "transports.hid"));
    }
    if config.transports.serial {
        buses.spawn(serial::run(discovery.clone(), catalogue.subscribe()));
    } else {
        buses.spawn(transport::off(discovery.clone(), serial::NAME, "transports.serial"));
    }
    if config.transports.lovense_dongle {
        let port = config.transports.lovense_dongle_port.clone();
        buses.spawn(dongle::run(discovery.clone(), catalogue.subscribe(), port));
    } else {
        buses.spawn(transport::off(discovery.clone(), dongle::NAME, "transports.lovense-dongle"));
    }
    if config.transports.gamepads {
        buses.spawn(gamepad::run(discovery.clone(), catalogue.subscribe()));
    } else {
        buses.spawn(transport::off(discovery.clone(), gamepad::NAME, "transports.gamepads"));
    }
    match config.websocket_devices.addresses() {
        Ok(addresses) if config.websocket_devices.enabled => {
            buses.spawn(websocket::run(discovery.clone(), addresses));
        }
        // An address that may not be is refused when the configuration is read.
        Ok(_) | Err(_) => {
            buses.spawn(transport::off(discovery.clone(), websocket::NAME, "websocket-devices.enabled"));
        }
    }
    if config.simulated.enabled {
        let models = config.simulated.models.clone();
        let models = models.unwrap_or_else(|| simulated::MODELS.map(str::to_owned).to_vec());
        buses.spawn(simulated::run(discovery.clone(), models, simulated::Appear::OnScan));
    }
}

/// All definitions, and what is wrong with their files. `previous` is what holds until now.
#[must_use]
pub fn definitions(
    config: &Config,
    directories: &Directories,
    previous: Option<&Catalogue>,
) -> (Catalogue, Vec<Problem>) {
    Catalogue::build(&sources(config, directories), previous, &Templates::Read)
}

/// What the service says of its definitions.
fn facts(catalogue: &Catalogue, problems: &[Problem]) -> ServiceFacts {
    ServiceFacts {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        definitions: u32::try_from(catalogue.list().len()).unwrap_or(u32::MAX),
        warnings: problems.iter().map(ToString::to_string).collect(),
    }
}

/// All definition files, in the order of their weight. Simulated devices are known whether or not there are any: the user's rules
/// for them must not be errors when there are none.
#[must_use]
pub fn sources(config: &Config, directories: &Directories) -> Vec<Source> {
    let text = Ok(simulated::DEFINITIONS.to_owned());
    let mut sources = vec![Source { layer: Layer::Plugins, file: "simulated devices".to_owned(), text }];
    sources.extend(folders(config, directories).read());
    sources
}

/// Where definition files are looked for.
#[must_use]
pub fn folders(config: &Config, directories: &Directories) -> Folders {
    // A build that is laid out under another root, as a package is before it is installed, finds its own plugins.
    let own = std::env::current_exe()
        .ok()
        .and_then(|program| Some(program.parent()?.parent()?.join("lib/buttplugd/plugins")))
        .filter(|own| own.is_dir() && !PLUGIN_FOLDERS.iter().any(|known| own == Path::new(known)));
    let user_plugins = directories.data.join("plugins");
    let plugins = PLUGIN_FOLDERS.iter().map(Into::into).chain(own).chain([user_plugins]);
    Folders {
        plugins: each_once(plugins.chain(config.plugins.path.iter().cloned())),
        administrator: ADMINISTRATOR_FOLDERS.map(Into::into).to_vec(),
        user: vec![directories.config.clone(), directories.config.join(USER_FOLDER)],
    }
}

/// A folder that is named twice, or reached by two names, is one: what is in it would be there twice otherwise.
fn each_once(folders: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    folders.filter(|folder| seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone()))).collect()
}

fn log(problems: &[Problem]) {
    for problem in problems {
        tracing::error!("{problem}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_named_twice_is_one() {
        let home = tempfile::tempdir().unwrap();
        let (real, alias) = (home.path().join("plugins"), home.path().join("alias"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &alias).unwrap();
        let absent = home.path().join("absent");
        let folders = [real.clone(), absent.clone(), alias, real.clone()];
        assert_eq!(each_once(folders.into_iter()), [real, absent]);
    }
}
